//! What has been received and not yet consumed, as a session sees it.

/// A window on the bytes received so far.
#[derive(Debug)]
pub struct Input<'a> {
    bytes: &'a [u8],
    consumed: usize,
    end: bool,
}

impl<'a> Input<'a> {
    /// A window on `bytes`; `end` says that nothing will follow them.
    ///
    /// Public so that a session can be tested with slices.
    pub fn new(bytes: &'a [u8], end: bool) -> Input<'a> {
        Input { bytes, consumed: 0, end }
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

    /// Whether the peer has closed its sending side: nothing follows what `bytes` shows.
    pub fn is_end(&self) -> bool {
        self.end
    }

    /// How many bytes have been consumed since the window was opened.
    pub fn consumed(&self) -> usize {
        self.consumed
    }
}
