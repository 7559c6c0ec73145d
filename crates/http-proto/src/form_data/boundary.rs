//! Decides whether a content is a form, and what stands between its parts.

use super::Malformed;
use super::parameters::{Parameters, Value};
use crate::grammar;

/// What stands between the parts: 1 to 70 octets that need no escape (RFC 2046 §5.1.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Boundary(Box<[u8]>);

/// Octets of the longest boundary (RFC 2046 §5.1.1).
pub(super) const BOUNDARY_BYTES_MAX: usize = 70;

/// The boundary when `content_type`, the value of a request's Content-Type field, is
/// `multipart/form-data`; `None` when it is another media type.
///
/// Type and parameter names have no case (RFC 9110 §8.3.1). Parameters are tokens and quoted
/// strings and nothing else: a boundary with a `=`, `/` or `:` in it comes in quotes.
///
/// # Errors
/// The parameters make no sense, or there is no boundary among them, or none that can be one.
pub fn boundary(content_type: &[u8]) -> Option<Result<Boundary, Malformed>> {
    let end = memchr::memchr(b';', content_type).unwrap_or(content_type.len());
    let (media_type, parameters) = content_type.split_at(end);
    let is_form = grammar::trim_ows(media_type).eq_ignore_ascii_case(b"multipart/form-data");
    is_form.then(|| of_parameters(parameters))
}

fn of_parameters(parameters: &[u8]) -> Result<Boundary, Malformed> {
    let mut found = None;
    for parameter in Parameters::new(parameters) {
        let parameter = parameter.map_err(|_| Malformed::BadContentType)?;
        if !parameter.name.eq_ignore_ascii_case(b"boundary") {
            continue;
        }
        // No octet of a boundary needs a backslash before it, so one that has it is refused below.
        let (Value::Token(text) | Value::Quoted(text)) = parameter.value;
        if found.replace(text).is_some() {
            return Err(Malformed::BadContentType);
        }
    }
    Boundary::new(found.ok_or(Malformed::NoBoundary)?)
}

impl Boundary {
    /// A boundary of those octets.
    ///
    /// # Errors
    /// [`Malformed::BadBoundary`] when none can be of them.
    pub fn new(text: &[u8]) -> Result<Boundary, Malformed> {
        let is_sane = (1..=BOUNDARY_BYTES_MAX).contains(&text.len())
            && text.iter().all(|&b| is_bchar(b))
            && text.last() != Some(&b' ');
        if is_sane { Ok(Boundary(text.into())) } else { Err(Malformed::BadBoundary) }
    }

    /// Its octets.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

/// ```text
/// bchars := bcharsnospace / " "
/// bcharsnospace := DIGIT / ALPHA / "'" / "(" / ")" / "+" / "_" / "," / "-" / "." / "/" / ":"
///                / "=" / "?"                                                   (RFC 2046 §5.1.1)
/// ```
fn is_bchar(b: u8) -> bool {
    b.is_ascii_alphanumeric() || b"'()+_,-./:=? ".contains(&b)
}
