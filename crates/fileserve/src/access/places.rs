//! Decides how many passwords are hashed at once.

use std::sync::atomic::{AtomicUsize, Ordering};

/// As many places as there may be hashes under way: each takes a core for itself, and Argon2 its
/// memory as well.
pub(super) struct Places {
    free: AtomicUsize,
}

/// A place that is taken, until this is dropped.
pub(super) struct Place<'a>(&'a Places);

impl Places {
    pub(super) fn new(count: usize) -> Places {
        Places { free: AtomicUsize::new(count) }
    }

    /// Takes a place; `None` where there is none left.
    pub(super) fn take(&self) -> Option<Place<'_>> {
        let less = |free: usize| free.checked_sub(1);
        let taken = self.free.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less);
        taken.is_ok().then(|| Place(self))
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.free.fetch_add(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_free_again_when_it_is_dropped() {
        let places = Places::new(2);
        let held = (places.take().expect("one"), places.take().expect("another"));
        for _ in 0..3 {
            assert!(places.take().is_none(), "two are all, however often one asks");
        }
        drop(held.0);
        let again = places.take().expect("the one that is free");
        assert!(places.take().is_none());
        drop((again, held.1));
        assert_eq!(places.free.load(Ordering::Relaxed), 2);
    }
}
