//! What has been received and not yet consumed, as a session sees it.

use std::sync::atomic::{AtomicU64, Ordering};

/// A point in the order in which a worker learns what its connections have sent. Ticks of one
/// worker can be compared; of those of two none is before the other.
///
/// For whoever keeps something that changes may make untrue: who looks for changes at a time, and
/// then meets bytes that had come by a tick before it, need not look again for these. Every change
/// that was complete when they were sent has been seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tick {
    /// No other worker of this process has or had the same.
    worker: u64,
    count: u64,
}

impl Tick {
    /// The first one of a worker.
    pub(crate) fn of_new_worker() -> Tick {
        static WORKERS: AtomicU64 = AtomicU64::new(0);
        Tick { worker: WORKERS.fetch_add(1, Ordering::Relaxed), count: 0 }
    }

    /// The next one.
    pub(crate) fn advance(&mut self) -> Tick {
        self.count += 1;
        *self
    }
}

/// Those of two workers have no order.
impl PartialOrd for Tick {
    fn partial_cmp(&self, other: &Tick) -> Option<std::cmp::Ordering> {
        (self.worker == other.worker).then(|| self.count.cmp(&other.count))
    }
}

/// A window on the bytes received so far.
#[derive(Debug)]
pub struct Input<'a> {
    bytes: &'a [u8],
    consumed: usize,
    end: bool,
    /// When the first byte had come, and when all had.
    arrived: Option<(Tick, Tick)>,
}

impl<'a> Input<'a> {
    /// A window on `bytes`; `end` says that nothing will follow them.
    ///
    /// Public so that a session can be tested with slices.
    pub fn new(bytes: &'a [u8], end: bool) -> Input<'a> {
        Input { bytes, consumed: 0, end, arrived: None }
    }

    /// The same, of bytes of which the first had come by `first` and all by `all`.
    pub(crate) fn arrived_by(self, first: Tick, all: Tick) -> Input<'a> {
        Input { arrived: Some((first, all)), ..self }
    }

    /// The bytes not yet consumed, oldest first.
    pub fn bytes(&self) -> &'a [u8] {
        &self.bytes[self.consumed..]
    }

    /// Takes the first `count` bytes out of the window.
    ///
    /// # Panics
    /// When `count` is more than there are.
    pub fn consume(&mut self, count: usize) {
        assert!(count <= self.bytes.len() - self.consumed, "consumed more than was received");
        self.consumed += count;
    }

    /// A tick by which the byte at index `at` of [`bytes`](Self::bytes) had come, as early as is
    /// known for certain. `None` in a window that a test has made.
    pub fn arrived(&self, at: usize) -> Option<Tick> {
        let (first, all) = self.arrived?;
        Some(if self.consumed + at == 0 { first } else { all })
    }

    /// Whether the peer has closed its sending side: nothing follows what `bytes` shows.
    pub fn is_end(&self) -> bool {
        self.end
    }

    /// How many bytes have been consumed since the window was opened.
    pub fn consumed(&self) -> usize {
        self.consumed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_have_an_order_within_one_worker_alone() {
        let (mut one, mut other) = (Tick::of_new_worker(), Tick::of_new_worker());
        let before = one.advance();
        let after = one.advance();
        assert!(before < after && after >= before);
        other.advance();
        for tick in [before, after] {
            assert!(!(tick < other || tick >= other));
        }
    }
}
