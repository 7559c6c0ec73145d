//! One connection's requests as a sequence of events: every transition of the protocol is here.

use crate::chunked::{Chunked, Piece};
use crate::scan::Scan;
use crate::{Framing, Limits, Reject, RequestHead};

/// Reads the requests of one connection: octets in, events out. Does no I/O, holds no octets,
/// and allocates nothing for a head of usual length; what is not consumed is to be shown again with
/// more behind it.
///
/// For each request the events are one [`Event::Head`], any number of [`Event::Content`] and one
/// [`Event::End`]. The events do not depend on how the octets were split, but for where content
/// is cut into pieces.
///
/// # Example: read a request that comes in two pieces
/// ```
/// use http_proto::{Connection, Event, Limits, Method};
///
/// # fn main() -> Result<(), http_proto::Reject> {
/// let mut connection = Connection::new();
/// let limits = Limits::default();
/// let first = b"GET / HTTP/1.1\r\nHo";
/// assert!(matches!(connection.next(first, &limits)?, (0, Event::NeedMore)));
/// let both = b"GET / HTTP/1.1\r\nHost: example.org\r\n\r\n";
/// let (consumed, event) = connection.next(both, &limits)?;
/// let Event::Head(head) = event else { panic!("the head is complete") };
/// assert_eq!((consumed, head.method), (both.len(), Method::Get));
/// assert!(matches!(connection.next(b"", &limits)?, (0, Event::End)));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Connection {
    state: State,
    /// The current request allows another one after it.
    persistent: bool,
}

#[derive(Clone, Debug)]
enum State {
    /// Between requests, or in a head.
    Head(Scan),
    /// In content of a known length, of which that much is to come.
    Length { left: u64 },
    /// In chunked content. Boxed, since it is rare and several times as large as the others.
    Chunked(Box<Chunked>),
    /// The request is complete; nobody has been told yet.
    End,
    /// Nothing more is read: `close` was asked for, or a request was refused.
    Closed,
}

/// What [`Connection::next`] has found.
#[derive(Debug)]
// A head is large, but an event is only ever on the stack, and a box would cost an allocation.
#[allow(clippy::large_enum_variant)]
pub enum Event<'a> {
    /// More input is needed.
    NeedMore,
    /// A request begins: its head, complete and well-formed.
    Head(RequestHead<'a>),
    /// Octets of its content, transfer coding removed; at least one.
    Content(&'a [u8]),
    /// The request is complete.
    End,
    /// No further request is read from this connection.
    Closed,
}

impl Connection {
    /// A connection on which nothing has come yet.
    pub fn new() -> Connection {
        Connection { state: State::Head(Scan::default()), persistent: true }
    }

    /// Finds the next event at the front of `input`; says how many octets it took, which are
    /// not to be shown again. Before the next call they must be dropped from the input.
    ///
    /// # Errors
    /// The request is refused; every further call says [`Event::Closed`].
    pub fn next<'a>(
        &mut self,
        input: &'a [u8],
        limits: &Limits,
    ) -> Result<(usize, Event<'a>), Reject> {
        let result = self.step(input, limits);
        if result.is_err() {
            self.state = State::Closed;
        }
        result
    }

    fn step<'a>(&mut self, input: &'a [u8], limits: &Limits) -> Result<(usize, Event<'a>), Reject> {
        match &mut self.state {
            State::Head(scan) => {
                let Some(extent) = scan.advance(input, limits)? else {
                    return Ok((0, Event::NeedMore));
                };
                let head = RequestHead::parse_scanned(&input[extent.start..extent.end], limits)?;
                self.persistent = head.persistent;
                self.state = match head.framing {
                    Framing::Empty => State::End,
                    Framing::Length(left) if left > limits.content_bytes => {
                        return Err(Reject::ContentTooLarge);
                    }
                    Framing::Length(left) => State::Length { left },
                    Framing::Chunked => State::Chunked(Box::new(Chunked::new(&head.fields))),
                };
                Ok((extent.end, Event::Head(head)))
            }
            State::Length { left } => {
                let count = usize::try_from(*left).map_or(input.len(), |l| l.min(input.len()));
                if count == 0 {
                    return Ok((0, Event::NeedMore));
                }
                *left -= count as u64;
                if *left == 0 {
                    self.state = State::End;
                }
                Ok((count, Event::Content(&input[..count])))
            }
            State::Chunked(decoder) => {
                let (consumed, piece) = decoder.decode(input, limits)?;
                let event = match piece {
                    Piece::More => Event::NeedMore,
                    Piece::Data(data) => Event::Content(data),
                    Piece::End => {
                        self.end();
                        Event::End
                    }
                };
                Ok((consumed, event))
            }
            State::End => {
                self.end();
                Ok((0, Event::End))
            }
            State::Closed => Ok((0, Event::Closed)),
        }
    }

    /// After a request: the next head, or nothing more (RFC 9112 §9.6).
    fn end(&mut self) {
        let next = State::Head(Scan::default());
        self.state = if self.persistent { next } else { State::Closed };
    }

    /// Reads no further request, whatever comes.
    pub fn close(&mut self) {
        self.state = State::Closed;
    }
}

impl Default for Connection {
    fn default() -> Connection {
        Connection::new()
    }
}
