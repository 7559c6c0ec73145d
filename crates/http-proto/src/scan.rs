//! Finds where a head ends, as its octets come in, and refuses early what can be no head.

use crate::grammar;
use crate::{Limits, Reject};

/// How far a head has been looked at. Each octet is looked at once, however they are split.
///
/// What is found does not depend on the splits: every check is about octets up to some place, and
/// the first place that fails decides.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Scan {
    /// Where the request line begins: after an empty line, if one came first.
    start: usize,
    /// Where the line begins that is not complete yet.
    line: usize,
    /// Octets looked at.
    seen: usize,
    /// Lines complete, the request line among them.
    lines: usize,
    /// The method is known to be a token, or as much of it as has come.
    method_seen: usize,
    method_ended: bool,
}

/// The place of a complete head in the input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Extent {
    /// First octet of the request line.
    pub(crate) start: usize,
    /// Behind the empty line that ends the head.
    pub(crate) end: usize,
}

impl Scan {
    /// Looks at the octets of `input` that are new; `None` when the head is not complete yet.
    ///
    /// `input` holds all octets since the scan began.
    pub(crate) fn advance(
        &mut self,
        input: &[u8],
        limits: &Limits,
    ) -> Result<Option<Extent>, Reject> {
        // RFC 9112 §2.2: at least one empty line before the request line is to be ignored.
        if self.start == 0 && self.lines == 0 {
            match input {
                [] | [b'\r'] => return Ok(None),
                [b'\r', b'\n', ..] => {
                    *self = Scan { start: 2, line: 2, seen: 2, method_seen: 2, ..Scan::default() };
                }
                _ => {}
            }
        }
        self.check_method(input, limits)?;
        for at in memchr::memchr_iter(b'\n', &input[self.seen..]) {
            let at = self.seen + at;
            if let Some(end) = self.end_line(input, at, limits)? {
                return Ok(Some(Extent { start: self.start, end }));
            }
        }
        self.seen = input.len();
        // What there is of the next line is already too much?
        let partial = input[self.line..].strip_suffix(b"\r").unwrap_or(&input[self.line..]);
        if self.lines == 0 && partial.len() > usize::from(limits.request_line_bytes) {
            return Err(Reject::RequestLineTooLong);
        }
        if input.len() - self.start >= usize::from(limits.head_bytes) {
            return Err(self.head_too_large());
        }
        Ok(None)
    }

    /// The line feed at `at` ends a line; gives the end of the head when that line is empty.
    fn end_line(
        &mut self,
        input: &[u8],
        at: usize,
        limits: &Limits,
    ) -> Result<Option<usize>, Reject> {
        let line = &input[self.line..at];
        let line_bytes = line.strip_suffix(b"\r").unwrap_or(line).len();
        if self.lines == 0 && line_bytes > usize::from(limits.request_line_bytes) {
            return Err(Reject::RequestLineTooLong);
        }
        if at + 1 - self.start > usize::from(limits.head_bytes) {
            return Err(self.head_too_large());
        }
        if line.last() != Some(&b'\r') {
            return Err(Reject::BareLineFeed);
        }
        self.line = at + 1;
        match (self.lines, line_bytes) {
            (0, 0) => return Err(Reject::BadRequestLine),
            (_, 0) => return Ok(Some(at + 1)),
            _ => self.lines += 1,
        }
        if self.lines - 1 > limits.field_lines_max() {
            return Err(Reject::TooManyFields);
        }
        Ok(None)
    }

    fn head_too_large(&self) -> Reject {
        match self.lines {
            0 => Reject::RequestLineTooLong,
            _ => Reject::HeadTooLarge,
        }
    }

    /// Refuses at the first octet what is no HTTP at all - a TLS handshake, for one - rather than
    /// wait for a line end that never comes. Octets beyond a limit are not judged here: whether
    /// they have come yet must not decide what the client is told.
    fn check_method(&mut self, input: &[u8], limits: &Limits) -> Result<(), Reject> {
        let line_max = usize::from(limits.request_line_bytes.min(limits.head_bytes));
        let end = input.len().min(self.start + line_max);
        while !self.method_ended && self.method_seen < end {
            match input[self.method_seen] {
                b if grammar::is_tchar(b) => self.method_seen += 1,
                b' ' if self.method_seen > self.start => self.method_ended = true,
                // A line without a blank: what is wrong with it shows when the line is parsed.
                b'\r' | b'\n' => self.method_ended = true,
                _ => return Err(Reject::BadMethod),
            }
        }
        Ok(())
    }
}
