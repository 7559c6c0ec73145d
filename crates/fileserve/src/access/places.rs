//! Decides how many passwords are hashed at once.

use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

/// How long somebody waits for a place. Each is taken for a tenth of a second or so.
const WAIT_MAX: Duration = Duration::from_secs(2);

/// As many places as there may be hashes under way: each takes a core for itself, and Argon2 its
/// memory as well.
pub(super) struct Places {
    state: Mutex<State>,
    freed: Condvar,
    /// How many may wait at once: each holds a thread of the pool, and those are for others, too.
    waiting_max: usize,
}

struct State {
    free: usize,
    waiting: usize,
}

/// A place that is taken, until this is dropped.
pub(super) struct Place<'a>(&'a Places);

impl Places {
    pub(super) fn new(count: usize, waiting_max: usize) -> Places {
        let state = Mutex::new(State { free: count, waiting: 0 });
        Places { state, freed: Condvar::new(), waiting_max }
    }

    /// Takes a place, perhaps after a wait; `None` where too many wait already, or too long.
    pub(super) fn take(&self) -> Option<Place<'_>> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.free == 0 {
            if state.waiting == self.waiting_max {
                return None;
            }
            state.waiting += 1;
            let waited = self.freed.wait_timeout_while(state, WAIT_MAX, |state| state.free == 0);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
            state.waiting -= 1;
        }
        state.free = state.free.checked_sub(1)?;
        Some(Place(self))
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner).free += 1;
        self.0.freed.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_free_again_when_it_is_dropped() {
        let places = Places::new(2, 0);
        let held = (places.take().expect("one"), places.take().expect("another"));
        for _ in 0..3 {
            assert!(places.take().is_none(), "two are all, however often one asks");
        }
        drop(held.0);
        let again = places.take().expect("the one that is free");
        assert!(places.take().is_none());
        drop((again, held.1));
        assert!(places.take().is_some());
    }

    #[test]
    fn who_waits_gets_the_next_place() {
        // A busy machine may hold this thread up until the other one has waited enough.
        let gets_it = || {
            let places = Places::new(1, 1);
            let held = places.take().expect("one");
            std::thread::scope(|scope| {
                let waiter = scope.spawn(|| places.take().is_some());
                let waits = || places.state.lock().expect("no panic").waiting == 1;
                while !waits() && !waiter.is_finished() {
                    std::thread::yield_now();
                }
                let is_refused = places.take().is_none();
                drop(held);
                waiter.join().expect("no panic") && is_refused
            })
        };
        assert!((0..5).any(|_| gets_it()), "no more may wait, and who waits gets it");
    }
}
