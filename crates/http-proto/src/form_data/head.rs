//! Decides what a part of a form is: which field of the form, and whether it is a file.

use std::borrow::Cow;

use super::parameters::{Parameters, Value};
use super::{Limits, Malformed};
use crate::grammar;

/// What the head of a part says.
///
/// Name and filename are what the user's side made them, of any octets (UTF-8 as a rule, RFC 7578
/// §5.1.2), and can hold line ends, quotes and path separators: nothing here makes them fit for
/// a path, a log or a page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartHead<'a> {
    /// Which field of the form the part belongs to; perhaps empty. Several parts can have the
    /// same name (RFC 7578 §4.3).
    pub name: Cow<'a, [u8]>,
    /// The name of the file on the user's side. A browser sends an empty one, and empty content,
    /// when no file was chosen.
    pub filename: Option<Cow<'a, [u8]>>,
    /// The value of the part's Content-Type field, as it came.
    pub content_type: Option<&'a [u8]>,
}

impl<'a> PartHead<'a> {
    /// Reads `head`, complete field lines up to and with the empty one.
    ///
    /// All other fields are ignored (RFC 7578 §4.8).
    pub(super) fn parse(head: &'a [u8], limits: &Limits) -> Result<PartHead<'a>, Malformed> {
        let (mut disposition, mut content_type, mut encoding) = (None, None, None);
        for line in head.split_inclusive(|&b| b == b'\n') {
            let line = line.strip_suffix(b"\r\n").ok_or(Malformed::ControlOctet)?;
            if line.is_empty() {
                break;
            }
            let (name, value) = field(line)?;
            let known = if name.eq_ignore_ascii_case(b"content-disposition") {
                &mut disposition
            } else if name.eq_ignore_ascii_case(b"content-type") {
                &mut content_type
            } else if name.eq_ignore_ascii_case(b"content-transfer-encoding") {
                &mut encoding
            } else {
                continue;
            };
            if known.replace(value).is_some() {
                return Err(Malformed::RepeatedField);
            }
        }
        if !encoding.is_none_or(is_identity) {
            return Err(Malformed::TransferEncoded);
        }
        let disposition = disposition.ok_or(Malformed::NoDisposition)?;
        let (name, filename) = names(disposition, limits)?;
        Ok(PartHead { name, filename, content_type })
    }
}

/// Name and value of a line.
fn field(line: &[u8]) -> Result<(&[u8], &[u8]), Malformed> {
    if line.first().is_some_and(|&b| grammar::is_ows(b)) {
        return Err(Malformed::ObsoleteFolding);
    }
    if !line.iter().all(|&b| grammar::is_field_octet(b)) {
        return Err(Malformed::ControlOctet);
    }
    let colon = memchr::memchr(b':', line).ok_or(Malformed::BadFieldName)?;
    let (name, value) = (&line[..colon], &line[colon + 1..]);
    match grammar::is_token(name) {
        true => Ok((name, grammar::trim_ows(value))),
        false => Err(Malformed::BadFieldName),
    }
}

/// The encodings that change nothing (RFC 2045 §6.2).
fn is_identity(encoding: &[u8]) -> bool {
    [&b"7bit"[..], b"8bit", b"binary"].iter().any(|each| encoding.eq_ignore_ascii_case(each))
}

type Names<'a> = (Cow<'a, [u8]>, Option<Cow<'a, [u8]>>);

/// Name and filename of `form-data; name="..."; filename="..."` (RFC 7578 §4.2). `filename*`,
/// which must not be used there, is ignored like every other parameter.
fn names<'a>(disposition: &'a [u8], limits: &Limits) -> Result<Names<'a>, Malformed> {
    let end = memchr::memchr(b';', disposition).unwrap_or(disposition.len());
    let (kind, parameters) = disposition.split_at(end);
    if !grammar::trim_ows(kind).eq_ignore_ascii_case(b"form-data") {
        return Err(Malformed::BadDisposition);
    }
    let (mut name, mut filename) = (None, None);
    for parameter in Parameters::new(parameters) {
        let parameter = parameter.map_err(|_| Malformed::BadDisposition)?;
        let known = if parameter.name.eq_ignore_ascii_case(b"name") {
            &mut name
        } else if parameter.name.eq_ignore_ascii_case(b"filename") {
            &mut filename
        } else {
            continue;
        };
        let value = match parameter.value {
            Value::Token(token) => Cow::Borrowed(token),
            Value::Quoted(text) => unescape(text),
        };
        if value.len() > usize::from(limits.name_bytes) {
            return Err(Malformed::NameTooLong);
        }
        if known.replace(value).is_some() {
            return Err(Malformed::RepeatedParameter);
        }
    }
    Ok((name.ok_or(Malformed::NoName)?, filename))
}

/// What was meant by the text between two quotes.
///
/// Browsers write `%22`, `%0D` and `%0A` for a quote, CR and LF and escape nothing else, not even
/// `%` (HTML, "multipart/form-data encoding algorithm"). Others escape quotes and backslashes with
/// a backslash, as in any quoted string. A backslash before anything else is one: old browsers
/// send whole paths, `C:\dir\file`.
fn unescape(text: &[u8]) -> Cow<'_, [u8]> {
    let Some(first) = memchr::memchr2(b'%', b'\\', text) else { return Cow::Borrowed(text) };
    let (plain, mut rest) = text.split_at(first);
    let mut meant = plain.to_vec();
    loop {
        let (octet, behind) = match rest {
            [] => return Cow::Owned(meant),
            [b'%', b'2', b'2', behind @ ..] => (b'"', behind),
            [b'%', b'0', b'D', behind @ ..] => (b'\r', behind),
            [b'%', b'0', b'A', behind @ ..] => (b'\n', behind),
            [b'\\', escaped @ (b'"' | b'\\'), behind @ ..] => (*escaped, behind),
            [octet, behind @ ..] => (*octet, behind),
        };
        meant.push(octet);
        rest = behind;
    }
}
