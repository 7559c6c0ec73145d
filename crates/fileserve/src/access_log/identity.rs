//! Which file the log is, as a pair that many threads read and one thread changes.

use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::thread;

/// Device and inode. A reader takes no lock: the server asks for every file that it opens, and the
/// answer changes once per rotation.
pub(super) struct Identity {
    /// Odd while the pair is being changed.
    turn: AtomicU64,
    dev: AtomicU64,
    /// 0, which no file has, stands for no file.
    ino: AtomicU64,
}

impl Identity {
    pub(super) fn new(pair: Option<(u64, u64)>) -> Identity {
        let (dev, ino) = pair.unwrap_or_default();
        Identity { turn: AtomicU64::new(0), dev: AtomicU64::new(dev), ino: AtomicU64::new(ino) }
    }

    /// Changes the pair; for the writer thread only.
    pub(super) fn store(&self, pair: Option<(u64, u64)>) {
        let (dev, ino) = pair.unwrap_or_default();
        self.turn.fetch_add(1, SeqCst);
        self.dev.store(dev, SeqCst);
        self.ino.store(ino, SeqCst);
        self.turn.fetch_add(1, SeqCst);
    }

    /// The pair, never half of an old one and half of a new one.
    pub(super) fn load(&self) -> Option<(u64, u64)> {
        loop {
            let turn = self.turn.load(SeqCst);
            let pair = (self.dev.load(SeqCst), self.ino.load(SeqCst));
            if turn.is_multiple_of(2) && turn == self.turn.load(SeqCst) {
                return (pair.1 != 0).then_some(pair);
            }
            // The writer is between two of its four stores; it needs the processor more than we.
            thread::yield_now();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Identity;
    use std::thread;

    #[test]
    fn no_reader_sees_half_a_change() {
        let identity = Identity::new(Some((1, 1)));
        thread::scope(|scope| {
            scope.spawn(|| (1..20_000).for_each(|n| identity.store(Some((n, n)))));
            for _ in 0..20_000 {
                let (dev, ino) = identity.load().expect("always a file");
                assert_eq!(dev, ino);
            }
        });
        identity.store(None);
        assert_eq!(identity.load(), None);
    }
}
