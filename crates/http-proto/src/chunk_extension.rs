//! Reads past chunk extensions, which nobody uses and everybody must skip the same way.
//!
//! ```text
//! chunk-ext     = *( BWS ";" BWS chunk-ext-name [ BWS "=" BWS chunk-ext-val ] )
//! chunk-ext-val = token / quoted-string                                       (RFC 9112 §7.1.1)
//! ```

use crate::grammar::{is_field_octet, is_ows, is_tchar};

/// Where a reader stands in the extensions of one chunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// Behind a semicolon: white space, then a name.
    Start,
    Name,
    /// Behind a name and white space.
    AfterName,
    /// Behind an equals sign: white space, then a value.
    ValueStart,
    Token,
    Quoted,
    /// Behind a backslash in a quoted string.
    Escaped,
    /// Behind the closing quote.
    Closed,
    /// White space that another extension must follow.
    Blank,
}

/// What an octet means at its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    To(Place),
    /// The CR that ends the line.
    LineEnd,
}

impl Place {
    /// The place after `octet`; `None` where the grammar has no such octet.
    pub(crate) fn step(self, octet: u8) -> Option<Step> {
        let next = match (self, octet) {
            (Place::Name | Place::Token | Place::Closed, b'\r') => return Some(Step::LineEnd),
            (Place::Start, b) if is_ows(b) => Place::Start,
            (Place::Start | Place::Name, b) if is_tchar(b) => Place::Name,
            (Place::Name | Place::AfterName, b) if is_ows(b) => Place::AfterName,
            (Place::Name | Place::AfterName, b'=') => Place::ValueStart,
            (Place::ValueStart, b) if is_ows(b) => Place::ValueStart,
            (Place::ValueStart, b'"') => Place::Quoted,
            (Place::ValueStart | Place::Token, b) if is_tchar(b) => Place::Token,
            (Place::Quoted, b'"') => Place::Closed,
            (Place::Quoted, b'\\') => Place::Escaped,
            (Place::Quoted | Place::Escaped, b) if is_field_octet(b) => Place::Quoted,
            (Place::Token | Place::Closed | Place::Blank, b) if is_ows(b) => Place::Blank,
            (
                Place::Name | Place::AfterName | Place::Token | Place::Closed | Place::Blank,
                b';',
            ) => Place::Start,
            _ => return None,
        };
        Some(Step::To(next))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether `text`, which stands behind the first semicolon, is read to its end.
    fn check(text: &str, expected: bool) {
        let mut place = Place::Start;
        let mut octets = text.bytes().chain(*b"\r");
        let ended = loop {
            match octets.next().and_then(|octet| place.step(octet)) {
                Some(Step::To(next)) => place = next,
                Some(Step::LineEnd) => break octets.next().is_none(),
                None => break false,
            }
        };
        assert_eq!(ended, expected, "{text}");
    }

    #[test]
    fn extensions_are_names_perhaps_with_values() {
        for text in ["a", "a=b", " a", "\ta = b", "a;b;c=d", "a ;b", "a=\"b;\\\"=c\"", "a=\"\" ; b"]
        {
            check(text, true);
        }
    }

    #[test]
    fn what_is_no_extension_is_not_read_past() {
        for text in
            ["", " ", ";", "a;", "=b", "a=", "a b", "a ", "a=b ", "a=\"b", "a=\"b\"c", "\\rx"]
        {
            check(text, false);
        }
    }
}
