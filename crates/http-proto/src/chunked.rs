//! Decodes chunked content as its octets come in (RFC 9112 §7.1).
//!
//! ```text
//! chunked-body = *chunk last-chunk trailer-section CRLF
//! chunk        = chunk-size [ chunk-ext ] CRLF chunk-data CRLF
//! last-chunk   = 1*("0") [ chunk-ext ] CRLF
//! ```
//! Line ends are CRLF and nothing else: what takes a bare LF for one here, behind something that
//! does not, can be made to see a request that nobody sent.

use crate::chunk_extension::{Place, Step};
use crate::grammar;
use crate::limits::{CHUNK_EXTENSION_BYTES_MAX, CHUNK_LINE_BYTES_MAX};
use crate::{Fields, Limits, Reject};

/// Where the decoder stands.
#[derive(Clone, Debug)]
pub(crate) struct Chunked {
    state: State,
    /// Octets of data announced so far.
    announced: u64,
    /// Octets of the size line so far.
    line: u32,
    /// Octets of all extensions so far.
    extensions: u32,
    /// Octets and lines of the trailer section so far.
    trailer_bytes: u32,
    trailer_lines: u32,
    /// The name of the trailer field that is coming in, in lower case; more than [`NAME_MAX`]
    /// octets are counted and not kept.
    name: [u8; NAME_MAX],
    name_len: usize,
    /// The names in the request's Trailer field; `None` without such a field.
    promised: Option<Box<[u8]>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// In the size, of which that many digits have come.
    Size {
        value: u64,
        digits: u32,
    },
    /// White space that is only allowed before an extension.
    Blank {
        value: u64,
    },
    /// In an extension.
    Extension {
        value: u64,
        place: Place,
    },
    /// The CR of the size line has come.
    SizeEnd {
        value: u64,
    },
    /// That much data is still to come, at least an octet.
    Data {
        left: u64,
    },
    /// After the data.
    DataCr,
    DataLf,
    /// At the start of a trailer line, in its name, in its value, behind its CR.
    TrailerStart,
    TrailerName,
    TrailerValue,
    TrailerLf,
    /// The CR of the last, empty line has come.
    EndLf,
    /// All is read.
    End,
}

/// What a step has found.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Piece<'a> {
    /// More input is needed.
    More,
    /// Octets of the content, at least one.
    Data(&'a [u8]),
    /// The content is complete.
    End,
}

/// Octets of a trailer field's name that are looked at. No field that is forbidden, or that anybody
/// announces, has a longer one.
const NAME_MAX: usize = 64;

/// Fields that no trailer section may hold, since whoever merges them would be deceived about
/// framing, routing or rights (RFC 9110 §6.5.1).
const FORBIDDEN: [&[u8]; 6] =
    [b"content-length", b"transfer-encoding", b"host", b"connection", b"authorization", b"trailer"];

impl Chunked {
    /// A decoder at the start of a content, for a request with `fields`.
    pub(crate) fn new(fields: &Fields<'_>) -> Chunked {
        let promised = fields.first("trailer").map(|_| {
            let names: Vec<&[u8]> = fields.elements("trailer").collect();
            names.join(&b',').into_boxed_slice()
        });
        Chunked {
            promised,
            state: State::Size { value: 0, digits: 0 },
            announced: 0,
            line: 0,
            extensions: 0,
            trailer_bytes: 0,
            trailer_lines: 0,
            name: [0; NAME_MAX],
            name_len: 0,
        }
    }

    /// Takes octets from the front of `input`; says how many, and what they were.
    pub(crate) fn decode<'a>(
        &mut self,
        input: &'a [u8],
        limits: &Limits,
    ) -> Result<(usize, Piece<'a>), Reject> {
        let mut at = 0;
        loop {
            if self.state == State::End {
                return Ok((at, Piece::End));
            }
            if let State::Data { left } = self.state {
                let rest = &input[at..];
                let count = usize::try_from(left).map_or(rest.len(), |left| left.min(rest.len()));
                if count == 0 {
                    return Ok((at, Piece::More));
                }
                let left = left - count as u64;
                self.state = if left == 0 { State::DataCr } else { State::Data { left } };
                return Ok((at + count, Piece::Data(&rest[..count])));
            }
            let Some(&octet) = input.get(at) else { return Ok((at, Piece::More)) };
            self.state = self.step(octet, limits)?;
            at += 1;
        }
    }

    /// The state after one octet outside the data: every transition on one screen.
    fn step(&mut self, octet: u8, limits: &Limits) -> Result<State, Reject> {
        match (self.state, octet) {
            (State::Size { value, digits }, b) if b.is_ascii_hexdigit() => {
                self.count_line()?;
                let digit = u64::from((b as char).to_digit(16).unwrap_or_default());
                let value = value.checked_mul(16).ok_or(Reject::BadChunkSize)? + digit;
                Ok(State::Size { value, digits: digits + 1 })
            }
            (State::Size { digits: 0, .. }, _) => Err(Reject::BadChunkSize),
            // BWS stands before the semicolon of an extension, and nowhere else (§7.1.1).
            (State::Size { value, .. } | State::Blank { value }, b' ' | b'\t') => {
                self.count_line()?;
                Ok(State::Blank { value })
            }
            (State::Size { value, .. } | State::Blank { value }, b';') => {
                self.count_extension()?;
                Ok(State::Extension { value, place: Place::Start })
            }
            (State::Size { value, .. }, b'\r') => Ok(State::SizeEnd { value }),
            (State::Size { .. } | State::Blank { .. }, _) => Err(Reject::BadChunkSize),
            // §7.1.1: unknown extensions are ignored, but not without a bound.
            (State::Extension { value, place }, octet) => match place.step(octet) {
                Some(Step::To(place)) => {
                    self.count_extension()?;
                    Ok(State::Extension { value, place })
                }
                Some(Step::LineEnd) => Ok(State::SizeEnd { value }),
                None => Err(Reject::BadChunkExtension),
            },
            (State::SizeEnd { value }, b'\n') => {
                self.line = 0;
                // Refused when it is announced: nobody has to send it first.
                self.announced = self.announced.saturating_add(value);
                if self.announced > limits.content_bytes {
                    return Err(Reject::ContentTooLarge);
                }
                Ok(if value == 0 { State::TrailerStart } else { State::Data { left: value } })
            }
            (State::SizeEnd { .. }, _) => Err(Reject::BadChunkSize),
            (State::DataCr, b'\r') => Ok(State::DataLf),
            (State::DataLf, b'\n') => Ok(State::Size { value: 0, digits: 0 }),
            (State::DataCr | State::DataLf, _) => Err(Reject::BadChunkEnd),
            (State::EndLf, b'\n') => Ok(State::End),
            (state, octet) => self.step_trailer(state, octet, limits),
        }
    }

    /// Trailer fields are checked like those of a head, and discarded: merging them into the head
    /// is forbidden (RFC 9110 §6.5.1), and nothing here has a use for them.
    fn step_trailer(&mut self, state: State, octet: u8, limits: &Limits) -> Result<State, Reject> {
        self.trailer_bytes += 1;
        if self.trailer_bytes > u32::from(limits.head_bytes) {
            return Err(Reject::TrailersTooLarge);
        }
        match (state, octet) {
            (State::TrailerStart, b'\r') => Ok(State::EndLf),
            (State::TrailerStart | State::TrailerName, b) if grammar::is_tchar(b) => {
                if state == State::TrailerStart {
                    self.name_len = 0;
                    self.trailer_lines += 1;
                    if self.trailer_lines as usize > limits.field_lines_max() {
                        return Err(Reject::TrailersTooLarge);
                    }
                }
                if let Some(place) = self.name.get_mut(self.name_len) {
                    *place = b.to_ascii_lowercase();
                }
                self.name_len += 1;
                Ok(State::TrailerName)
            }
            (State::TrailerName, b':') => {
                self.check_trailer_name()?;
                Ok(State::TrailerValue)
            }
            (State::TrailerValue, b) if grammar::is_field_octet(b) => Ok(State::TrailerValue),
            (State::TrailerValue, b'\r') => Ok(State::TrailerLf),
            (State::TrailerLf, b'\n') => Ok(State::TrailerStart),
            _ => Err(Reject::BadTrailer),
        }
    }

    /// A trailer must not be about framing, and a client that announces trailers must not send
    /// others (RFC 9110 §6.6.2): whoever relied on the announcement would be deceived.
    fn check_trailer_name(&self) -> Result<(), Reject> {
        let name = self.name.get(..self.name_len);
        if name.is_some_and(|name| FORBIDDEN.contains(&name)) {
            return Err(Reject::ForbiddenTrailer);
        }
        let promised = |names: &[u8]| {
            name.is_some_and(|name| {
                names.split(|&b| b == b',').any(|n| n.eq_ignore_ascii_case(name))
            })
        };
        match &self.promised {
            Some(names) if !promised(names) => Err(Reject::UnannouncedTrailer),
            _ => Ok(()),
        }
    }

    fn count_line(&mut self) -> Result<(), Reject> {
        self.line += 1;
        match self.line <= CHUNK_LINE_BYTES_MAX {
            true => Ok(()),
            false => Err(Reject::ChunkExtensionsTooLong),
        }
    }

    fn count_extension(&mut self) -> Result<(), Reject> {
        self.extensions += 1;
        match self.extensions <= CHUNK_EXTENSION_BYTES_MAX {
            true => self.count_line(),
            false => Err(Reject::ChunkExtensionsTooLong),
        }
    }
}
