//! What has been received and not yet consumed, as a session sees it.

/// A point in the order in which a worker learns what its connections have sent. Ticks of one
/// worker can be compared; those of two have nothing to do with each other.
///
/// For whoever keeps something that changes may make untrue: who looks for changes at a time, and
/// then meets bytes that had come by a tick before it, need not look again for these. Every change
/// that was complete when they were sent has been seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Tick(u64);

impl Tick {
    /// The next one.
    pub(crate) fn advance(&mut self) -> Tick {
        self.0 += 1;
        *self
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
