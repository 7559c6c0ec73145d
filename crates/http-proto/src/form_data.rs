//! Decides where the parts of a form begin and end: `multipart/form-data` as its octets come in.
//!
//! ```text
//! multipart-body    := [preamble CRLF] dash-boundary transport-padding CRLF
//!                      body-part *encapsulation
//!                      close-delimiter transport-padding [CRLF epilogue]
//! dash-boundary     := "--" boundary
//! encapsulation     := delimiter transport-padding CRLF body-part
//! delimiter         := CRLF dash-boundary
//! close-delimiter   := delimiter "--"                                          (RFC 2046 §5.1.1)
//! ```
//! As everywhere in this crate, what another reader could take for other parts is refused. A line
//! end is CRLF and nothing else. One thing is taken that the grammar has not: a form without parts,
//! nothing but the close delimiter, which is what browsers send of a form without fields.
//!
//! # Example: read a form that comes in two pieces
//! ```
//! use http_proto::form_data::{self, Event, FormData, Limits};
//!
//! # fn main() -> Result<(), form_data::Malformed> {
//! let content_type = b"multipart/form-data; boundary=xyz";
//! let boundary = form_data::boundary(content_type).expect("it is a form")?;
//! let mut form = FormData::new(boundary, Limits::default());
//! let mut buffer = Vec::new();
//! let mut file = Vec::new();
//! for piece in [
//!     &b"--xyz\r\nContent-Disposition: form-data; name=\"a\"; filename=\"b\"\r\n\r\nhel"[..],
//!     b"lo\r\n--xyz--\r\n",
//! ] {
//!     buffer.extend_from_slice(piece);
//!     let mut at = 0;
//!     loop {
//!         let (consumed, event) = form.next(&buffer[at..])?;
//!         at += consumed;
//!         match event {
//!             Event::NeedMore => break,
//!             Event::Part(head) => assert_eq!(head.filename.as_deref(), Some(&b"b"[..])),
//!             Event::Content(octets) => file.extend_from_slice(octets),
//!             Event::PartEnd | Event::End => {}
//!         }
//!     }
//!     buffer.drain(..at);
//! }
//! form.finish()?;
//! assert_eq!(file, b"hello");
//! # Ok(())
//! # }
//! ```

mod boundary;
mod head;
mod malformed;
mod parameters;

use memchr::memmem::Finder;

pub use boundary::{Boundary, boundary};
pub use head::PartHead;
pub use malformed::Malformed;

/// The bounds on what a form may look like. The length of its content is bounded by who reads it
/// from the connection, and that of preamble and epilogue with it.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Parts. Beyond: 413. Default: 1000, more than a page has fields; each costs who stores it
    /// far more than the 50 octets it takes to send.
    pub parts: u32,
    /// Octets of a part's head, line ends counted, the empty line too. Beyond: 413. Default: 8 KiB;
    /// a browser writes some 200 and the filename.
    pub part_head_bytes: u16,
    /// Octets of a name or a filename, escapes undone. Beyond: 413. Default: 1024; file systems
    /// hold 255.
    pub name_bytes: u16,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits { parts: 1000, part_head_bytes: 8 * 1024, name_bytes: 1024 }
    }
}

/// White space behind a boundary. Gateways of mail may add some (RFC 2046 §5.1.1), senders must
/// not; so there is none in HTTP, and this is as much as fills a line of a terminal.
const PADDING_BYTES_MAX: u8 = 80;

/// Reads a form: octets in, events out. Does no I/O, holds no octets of the form; what is not
/// consumed is to be shown again with more behind it.
///
/// For each part the events are one [`Event::Part`], any number of [`Event::Content`] and one
/// [`Event::PartEnd`]; behind the last part comes one [`Event::End`]. The events do not depend
/// on how the octets were split, but for where content is cut into pieces.
///
/// A form is read in time linear in its length, whatever it holds. Each call looks at what is new
/// and at no more of what it was shown before than a delimiter is long, at most 73 octets (in a
/// part's head at 3). Where the delimiter is not found, the octets are consumed up to the last CR
/// that could begin one: a delimiter has a CR at its front and nowhere else, so nothing before it
/// is looked at again. Within a call the search is that of `memchr::memmem`, which is linear.
#[derive(Clone, Debug)]
pub struct FormData {
    limits: Limits,
    /// Looks for CRLF, two hyphens and the boundary.
    delimiter: Finder<'static>,
    /// Parts begun.
    parts: u32,
    state: State,
}

#[derive(Clone, Copy, Debug)]
enum State {
    /// Before the first delimiter; `at_start` until it is known that the form does not begin
    /// with one.
    Preamble { at_start: bool },
    /// Behind a boundary and that many octets of white space. `in_part` when it ends a part.
    Delimiter { in_part: bool, padding: u8 },
    /// In the head of a part, of which that many octets have been looked at.
    Head { seen: usize },
    /// In the content of a part; `at_start` until it is known not to begin with a boundary.
    Content { at_start: bool },
    /// The form is complete; nobody has been told yet.
    End,
    /// Behind the end, of which somebody has been told.
    Epilogue,
    /// Nothing more is read.
    Refused(Malformed),
}

/// What [`FormData::next`] has found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event<'a> {
    /// More input is needed; or none, if the form is complete.
    NeedMore,
    /// A part begins.
    Part(PartHead<'a>),
    /// Octets of its content; at least one.
    Content(&'a [u8]),
    /// The part is complete. Whether the form will be is not known yet.
    PartEnd,
    /// The form is complete. Whatever follows is consumed without a look.
    End,
}

impl FormData {
    /// A form of which nothing has come yet.
    pub fn new(boundary: Boundary, limits: Limits) -> FormData {
        let delimiter = Finder::new(&[b"\r\n--", boundary.as_bytes()].concat()).into_owned();
        FormData { limits, delimiter, parts: 0, state: State::Preamble { at_start: true } }
    }

    /// Finds the next event at the front of `bytes`; says how many octets it took. `bytes` begins
    /// where those ended that were taken before.
    ///
    /// After [`Event::NeedMore`], which can have taken some, what is left is to be shown again with
    /// more behind it: [`unconsumed_bytes_max`](Self::unconsumed_bytes_max) at most.
    ///
    /// # Errors
    /// It is no form that is read here; every further call says the same.
    pub fn next<'a>(&mut self, bytes: &'a [u8]) -> Result<(usize, Event<'a>), Malformed> {
        let mut at = 0;
        // Each turn consumes octets or returns, but for the two that go from the content's or the
        // preamble's start into it.
        loop {
            match self.step(&bytes[at..]) {
                Ok((consumed, Some(event))) => return Ok((at + consumed, event)),
                Ok((consumed, None)) => at += consumed,
                Err(malformed) => {
                    self.state = State::Refused(malformed);
                    return Err(malformed);
                }
            }
        }
    }

    /// Whether the close delimiter has come. A form whose octets end before is cut short.
    pub fn is_complete(&self) -> bool {
        matches!(self.state, State::End | State::Epilogue)
    }

    /// To be asked when no more octets come.
    ///
    /// # Errors
    /// [`Malformed::Incomplete`] when the form is cut short: nothing of it must pass for whole.
    /// When it was refused before, why.
    pub fn finish(&self) -> Result<(), Malformed> {
        match self.state {
            State::End | State::Epilogue => Ok(()),
            State::Refused(malformed) => Err(malformed),
            _ => Err(Malformed::Incomplete),
        }
    }

    /// Octets that are left unconsumed at most when [`Event::NeedMore`] is said: fewer than a
    /// delimiter has in content, and than a part's head may have in one. With room for one more in
    /// its buffer a caller always gets on.
    pub fn unconsumed_bytes_max(&self) -> usize {
        let head_bytes = usize::from(self.limits.part_head_bytes);
        head_bytes.max(self.delimiter.needle().len()) - 1
    }

    /// Takes octets from the front of `rest`, and says if there is something to tell of them.
    /// Every transition is here and in the next function.
    fn step<'a>(&mut self, rest: &'a [u8]) -> Result<(usize, Option<Event<'a>>), Malformed> {
        let need_more = Ok((0, Some(Event::NeedMore)));
        match self.state {
            State::Preamble { at_start: true } => match self.begins_with_boundary(rest) {
                None => need_more,
                Some(true) => {
                    self.state = State::Delimiter { in_part: false, padding: 0 };
                    Ok((self.dash_boundary().len(), None))
                }
                Some(false) => {
                    self.state = State::Preamble { at_start: false };
                    Ok((0, None))
                }
            },
            State::Preamble { at_start: false } => match self.find_delimiter(rest) {
                (clear, false) => Ok((clear, Some(Event::NeedMore))),
                (start, true) => {
                    self.state = State::Delimiter { in_part: false, padding: 0 };
                    Ok((start + self.delimiter.needle().len(), None))
                }
            },
            State::Delimiter { in_part, padding } => self.step_delimiter(rest, in_part, padding),
            State::Head { seen } => match self.find_head_end(rest, seen)? {
                None => {
                    self.state = State::Head { seen: rest.len() };
                    need_more
                }
                Some(end) => {
                    let head = PartHead::parse(&rest[..end], &self.limits)?;
                    self.state = State::Content { at_start: true };
                    Ok((end, Some(Event::Part(head))))
                }
            },
            State::Content { at_start: true } => match self.begins_with_boundary(rest) {
                None => need_more,
                Some(true) => Err(Malformed::DelimiterInHead),
                Some(false) => {
                    self.state = State::Content { at_start: false };
                    Ok((0, None))
                }
            },
            State::Content { at_start: false } => {
                let (clear, found) = self.find_delimiter(rest);
                let content = (clear > 0).then_some(Event::Content(&rest[..clear]));
                if !found {
                    return Ok((clear, content.or(Some(Event::NeedMore))));
                }
                self.state = State::Delimiter { in_part: true, padding: 0 };
                Ok((clear + self.delimiter.needle().len(), content))
            }
            State::End => {
                self.state = State::Epilogue;
                Ok((0, Some(Event::End)))
            }
            State::Epilogue => Ok((rest.len(), Some(Event::NeedMore))),
            State::Refused(malformed) => Err(malformed),
        }
    }

    /// Behind a boundary: a part ends when it is known what comes then, and not before.
    fn step_delimiter<'a>(
        &mut self,
        rest: &'a [u8],
        in_part: bool,
        padding: u8,
    ) -> Result<(usize, Option<Event<'a>>), Malformed> {
        match rest {
            [] | [b'-'] | [b'\r'] => Ok((0, Some(Event::NeedMore))),
            [b'-', b'-', ..] if padding == 0 => {
                self.state = State::End;
                Ok((2, in_part.then_some(Event::PartEnd)))
            }
            [b'\r', b'\n', ..] if self.parts == self.limits.parts => Err(Malformed::TooManyParts),
            [b'\r', b'\n', ..] => {
                self.parts += 1;
                self.state = State::Head { seen: 0 };
                Ok((2, in_part.then_some(Event::PartEnd)))
            }
            [b' ' | b'\t', ..] if padding == PADDING_BYTES_MAX => Err(Malformed::PaddingTooLong),
            [b' ' | b'\t', ..] => {
                self.state = State::Delimiter { in_part, padding: padding + 1 };
                Ok((1, None))
            }
            _ => Err(Malformed::BadDelimiter),
        }
    }

    /// Where a part's head ends, behind its empty line; `seen` octets of it are known not to.
    fn find_head_end(&self, head: &[u8], seen: usize) -> Result<Option<usize>, Malformed> {
        const END: &[u8] = b"\r\n\r\n";
        let max = usize::from(self.limits.part_head_bytes);
        let allowed = &head[..head.len().min(max)];
        // Without any field the first line is the empty one.
        if allowed.starts_with(b"\r\n") {
            return Ok(Some(2));
        }
        let from = seen.saturating_sub(END.len() - 1).min(allowed.len());
        match memchr::memmem::find(&allowed[from..], END) {
            Some(at) => Ok(Some(from + at + END.len())),
            None if head.len() >= max => Err(Malformed::PartHeadTooLarge),
            None => Ok(None),
        }
    }

    /// Where the delimiter begins in `rest`, and `true`; or how many octets in front belong to
    /// none, whatever comes behind them, and `false`.
    fn find_delimiter(&self, rest: &[u8]) -> (usize, bool) {
        if let Some(start) = self.delimiter.find(rest) {
            return (start, true);
        }
        let needle = self.delimiter.needle();
        let tail = rest.len().saturating_sub(needle.len() - 1);
        match memchr::memrchr(b'\r', &rest[tail..]) {
            Some(at) if needle.starts_with(&rest[tail + at..]) => (tail + at, false),
            _ => (rest.len(), false),
        }
    }

    /// Whether the boundary stands at the front of `rest`; `None` while it may.
    fn begins_with_boundary(&self, rest: &[u8]) -> Option<bool> {
        let begins = rest.starts_with(self.dash_boundary());
        (begins || !self.dash_boundary().starts_with(rest)).then_some(begins)
    }

    /// What a line must not begin with, but for a delimiter.
    fn dash_boundary(&self) -> &[u8] {
        &self.delimiter.needle()[b"\r\n".len()..]
    }
}
