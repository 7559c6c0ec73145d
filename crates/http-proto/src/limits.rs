//! Every bound on what a request may look like, in one place, each with its reason.

use crate::FIELD_LINES_CAP;

/// The bounds on a request's head and on the framing of its content.
///
/// The sizes of a head are 16-bit numbers, so that a field line's place in it fits in 8 octets.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Octets of the request line, its line end not counted. Beyond: 414. Default: 8 KiB; RFC 9112
    /// §3 asks for 8,000 at least.
    pub request_line_bytes: u16,
    /// Octets of the whole head, line ends counted. Beyond: 431. Default: 16 KiB.
    pub head_bytes: u16,
    /// Field lines of the head, at most [`FIELD_LINES_CAP`]. Beyond: 431. Default: 100.
    pub field_lines: u8,
    /// Octets of the content. Beyond: 413. Nothing is ever allocated from a declared length.
    /// Default: 1 GiB.
    pub content_bytes: u64,
}

/// Octets of one line with a chunk size, line end not counted. A size takes 16 digits; the rest is
/// for extensions, which nobody uses.
pub const CHUNK_LINE_BYTES_MAX: u32 = 256;
/// Octets of all chunk extensions of one message (RFC 9112 §7.1.1: to be bounded).
pub const CHUNK_EXTENSION_BYTES_MAX: u32 = 16 * 1024;

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            request_line_bytes: 8 * 1024,
            head_bytes: 16 * 1024,
            field_lines: 100,
            content_bytes: 1 << 30,
        }
    }
}

impl Limits {
    /// Field lines allowed, never more than can be kept.
    pub(crate) fn field_lines_max(&self) -> usize {
        usize::from(self.field_lines).min(FIELD_LINES_CAP)
    }
}
