//! One answered request, as the access log wants to know it.

use std::net::SocketAddr;
use std::time::{Duration, SystemTime};

use crate::{RequestHead, Status};

/// One exchange that has ended: what was asked, what was answered, how much of it went out.
///
/// Handed to [`Handler::record`](super::Handler::record) exactly once for every response,
/// those that refuse a malformed request included.
pub struct Exchange<'a> {
    /// Where the client's connection comes from.
    pub peer: SocketAddr,
    /// Index of the worker that serves the connection, for logs kept per worker.
    pub worker: usize,
    /// When the request's head was complete (or refused).
    pub at: SystemTime,
    /// From the request's head to the end of the response.
    pub duration: Duration,
    /// The request line as it came, without its line end: raw octets, at most the limit on
    /// request lines. Empty when none came.
    pub line: &'a [u8],
    /// The parsed head; `None` when it was refused.
    pub head: Option<&'a RequestHead<'a>>,
    /// The answer's status.
    pub status: Status,
    /// Octets of content sent: of a file and of long content those that the kernel has taken, of
    /// short content all.
    pub sent: u64,
    /// Why the request was refused, in one word of `[a-z0-9-]`; `None` when it was not.
    pub reason: Option<&'static str>,
}
