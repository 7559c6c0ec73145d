//! Decides how long a request's content is, before an octet of it is read.
//!
//! Smuggling is won or lost here, so every doubtful head is refused (RFC 9112 §6.3).

use crate::fields::Elements;
use crate::grammar;
use crate::{Fields, Reject, Version};

/// How the content of a request is delimited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// There is none.
    Empty,
    /// That many octets, at least one.
    Length(u64),
    /// Chunks, up to an empty one (RFC 9112 §7.1).
    Chunked,
}

impl Framing {
    /// The framing that the fields of a request ask for.
    pub(crate) fn of(version: Version, fields: &Fields<'_>) -> Result<Framing, Reject> {
        let coded = fields.first("transfer-encoding").is_some();
        let length = length(fields)?;
        match (coded, length) {
            (false, None | Some(0)) => Ok(Framing::Empty),
            (false, Some(length)) => Ok(Framing::Length(length)),
            // RFC 9112 §6.1: HTTP/1.0 has no transfer codings; its framing is faulty.
            (true, _) if version == Version::Http10 => Err(Reject::CodingInHttp10),
            // §6.1: may be refused, and whoever sends both is either wrong or up to something.
            (true, Some(_)) => Err(Reject::LengthWithCoding),
            (true, None) => coding(fields),
        }
    }
}

/// `Transfer-Encoding = #transfer-coding`: chunked alone is understood.
fn coding(fields: &Fields<'_>) -> Result<Framing, Reject> {
    let is_chunked = |coding: &[u8]| coding.eq_ignore_ascii_case(b"chunked");
    let (mut last, mut others, mut chunked) = (None, 0, 0);
    for coding in fields.elements("transfer-encoding") {
        last = Some(coding);
        match is_chunked(coding) {
            true => chunked += 1,
            false => others += 1,
        }
    }
    match (last, chunked, others) {
        // RFC 9112 §6.3: without chunked at the end the length cannot be known. That also
        // covers parameters (§7.1: an error) and an empty field.
        (Some(last), 1, _) if !is_chunked(last) => Err(Reject::BadCoding),
        (Some(_), 1, 0) => Ok(Framing::Chunked),
        (Some(_), 1, _) => Err(Reject::UnknownCoding),
        // §6.1: chunked is applied once.
        _ => Err(Reject::BadCoding),
    }
}

/// `Content-Length = 1*DIGIT`. Several that say the same are one (RFC 9110 §8.6).
fn length(fields: &Fields<'_>) -> Result<Option<u64>, Reject> {
    let mut length = None;
    for value in fields.all("content-length") {
        if value.is_empty() {
            return Err(Reject::BadLength);
        }
        for element in value.split(|&b| b == b',').map(grammar::trim_ows) {
            let digits = !element.is_empty() && element.iter().all(u8::is_ascii_digit);
            // Too large a number is still a number: that of a content that is too large.
            let too_large = if digits { Reject::ContentTooLarge } else { Reject::BadLength };
            let element = grammar::digits(element).ok_or(too_large)?;
            if length.is_some_and(|length| length != element) {
                return Err(Reject::ConflictingLength);
            }
            length = Some(element);
        }
    }
    Ok(length)
}

/// Whether the connection may carry another request after this one (RFC 9112 §9.3).
pub(crate) fn is_persistent(version: Version, fields: &Fields<'_>) -> bool {
    let mut keep_alive = version == Version::Http11;
    for option in fields.all("connection").flat_map(Elements::new) {
        if option.eq_ignore_ascii_case(b"close") {
            return false;
        }
        keep_alive |= option.eq_ignore_ascii_case(b"keep-alive");
    }
    keep_alive
}

/// What the client expects before it sends content (RFC 9110 §10.1.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expectation {
    /// Nothing.
    None,
    /// `100-continue`: an interim response, or a final one instead.
    Continue,
    /// Something that nobody has defined: 417.
    Unknown,
}

impl Expectation {
    pub(crate) fn of(version: Version, framing: Framing, fields: &Fields<'_>) -> Expectation {
        // §10.1.1: to be ignored in HTTP/1.0.
        if version == Version::Http10 {
            return Expectation::None;
        }
        let mut expectation = Expectation::None;
        for expected in fields.elements("expect") {
            if !expected.eq_ignore_ascii_case(b"100-continue") {
                return Expectation::Unknown;
            }
            // §10.1.1: without content there is nothing to continue.
            if framing != Framing::Empty {
                expectation = Expectation::Continue;
            }
        }
        expectation
    }
}
