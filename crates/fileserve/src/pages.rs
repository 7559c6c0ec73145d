//! Bounds what long lists of directories cost: how many are made at once, and how much of them is
//! held for clients that read slowly.
//!
//! A long page goes to an unnamed file in memory, which the kernel sends from. Whoever gets the
//! same octets shares one file, so that many readers of one list hold no more than one of them.

use std::fs::File;
use std::io::Write;
use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use http_proto::server::Body;
use rustix::fs::{MemfdFlags, memfd_create};

use crate::faults::{self, Asking, Call};
use crate::refusal::Refusal;

/// How many lists of more than the `SHORT_NAMES` of a directory are made at once.
/// Each holds a thread of the pool for up to a quarter of a second and, while it does, some 12 MB.
pub const LONG_LISTS_MAX: usize = 2;

/// Pages up to this length are the response's own. Longer ones are shared and counted.
const OWN_BYTES_MAX: usize = 64 * 1024;

/// What all long pages that are being sent hold together: some ten of the longest.
const HELD_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// What is compared at a time.
const PIECE_BYTES: usize = 64 * 1024;

/// The long pages that are being made and sent.
#[derive(Debug, Default)]
pub(crate) struct Pages {
    making: AtomicUsize,
    held: Mutex<Vec<Held>>,
}

/// A page that lives as long as a response with it does.
#[derive(Debug)]
struct Held {
    file: Weak<File>,
    bytes: u64,
}

/// The right to make one long list; dropped, it is another's.
#[derive(Debug)]
pub(crate) struct Turn<'a>(&'a Pages);

impl Pages {
    /// The right to make a long list now.
    ///
    /// # Errors
    /// `Busy` while [`LONG_LISTS_MAX`] others are being made.
    pub(crate) fn turn(&self) -> Result<Turn<'_>, Refusal> {
        let more = |making| (making < LONG_LISTS_MAX).then_some(making + 1);
        match self.making.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more) {
            Ok(_) => Ok(Turn(self)),
            Err(_) => Err(Refusal::Busy),
        }
    }

    /// The content of a response that is `page`.
    ///
    /// # Errors
    /// `Busy` when [`HELD_BYTES_MAX`] would be passed, else as [`Refusal::from_os`] says.
    pub(crate) fn body(&self, page: Vec<u8>) -> Result<Body, Refusal> {
        if page.len() <= OWN_BYTES_MAX {
            return Ok(Body::Bytes(page));
        }
        let bytes = page.len() as u64;
        // The lock is held while a page is compared or copied, a few milliseconds: only who makes
        // such pages waits for it.
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        held.retain(|held| held.file.strong_count() > 0);
        let alike = held.iter().filter(|held| held.bytes == bytes);
        let mut alike = alike.filter_map(|held| held.file.upgrade());
        if let Some(file) = alike.find(|file| holds(file, &page)) {
            return Ok(Body::File(file, 0..bytes));
        }
        if held.iter().map(|held| held.bytes).sum::<u64>() + bytes > HELD_BYTES_MAX {
            return Err(Refusal::Busy);
        }
        let file = faults::before(Call::Make)
            .and_then(|()| memfd_create(c"httpd-listing", MemfdFlags::CLOEXEC))
            .map_err(Refusal::from_os)?;
        let file = File::from(file);
        Asking(&file).write_all(&page).map_err(|error| Refusal::from_io(&error))?;
        let file = Arc::new(file);
        held.push(Held { file: Arc::downgrade(&file), bytes });
        Ok(Body::File(file, 0..bytes))
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.0.making.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Whether `file`, which is as long as `page`, holds the same.
fn holds(file: &File, page: &[u8]) -> bool {
    let mut piece = vec![0; PIECE_BYTES];
    page.chunks(PIECE_BYTES).enumerate().all(|(index, expected)| {
        let found = &mut piece[..expected.len()];
        file.read_exact_at(found, (index * PIECE_BYTES) as u64).is_ok() && found == expected
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_only_so_many_turns() {
        let pages = Pages::default();
        let mut turns: Vec<_> =
            (0..LONG_LISTS_MAX).map(|_| pages.turn().expect("a turn")).collect();
        assert_eq!(pages.turn().map(drop), Err(Refusal::Busy));
        turns.pop();
        assert!(pages.turn().is_ok());
    }

    #[test]
    fn pages_are_held_up_to_a_bound_and_as_long_as_they_are_sent() {
        let pages = Pages::default();
        let page = |letter| vec![letter; 8 * 1024 * 1024];
        let mut sent: Vec<_> = (0..8).map(|n| pages.body(page(n)).expect("room")).collect();
        assert_eq!(pages.body(page(8)).map(drop), Err(Refusal::Busy));
        assert!(pages.body(page(7)).is_ok(), "what is held already takes no room");
        assert!(pages.body(vec![0; OWN_BYTES_MAX]).is_ok(), "nor does a short one");
        sent.pop();
        assert!(pages.body(page(8)).is_ok());
    }
}
