//! Takes the parameters behind a media type or a disposition apart.
//!
//! ```text
//! parameters = *( OWS ";" OWS [ parameter ] )
//! parameter  = token "=" ( token / quoted-string )                            (RFC 9110 §5.6.6)
//! ```

use crate::grammar::{is_field_octet, is_ows, is_tchar};

/// The parameters in order. The first that is none is the last that is given.
pub(super) struct Parameters<'a> {
    rest: &'a [u8],
}

/// `name=value`.
pub(super) struct Parameter<'a> {
    pub(super) name: &'a [u8],
    pub(super) value: Value<'a>,
}

pub(super) enum Value<'a> {
    Token(&'a [u8]),
    /// What stands between the quotes, backslashes and all.
    Quoted(&'a [u8]),
}

/// There is something that is no parameter.
pub(super) struct NoParameter;

impl<'a> Parameters<'a> {
    /// Those in `text`, which begins behind the type: with a semicolon, or with nothing.
    pub(super) fn new(text: &'a [u8]) -> Parameters<'a> {
        Parameters { rest: text }
    }

    /// The next parameter, behind its semicolon.
    fn parameter(&mut self) -> Result<Parameter<'a>, NoParameter> {
        let name = self.take(is_tchar);
        let [b'=', rest @ ..] = self.rest else { return Err(NoParameter) };
        self.rest = rest;
        let value = match self.rest {
            [b'"', rest @ ..] => {
                let end = quote(rest).ok_or(NoParameter)?;
                self.rest = &rest[end + 1..];
                Value::Quoted(&rest[..end])
            }
            _ => match self.take(is_tchar) {
                [] => return Err(NoParameter),
                token => Value::Token(token),
            },
        };
        match name {
            [] => Err(NoParameter),
            name => Ok(Parameter { name, value }),
        }
    }

    /// Takes the octets in front that are of a kind.
    fn take(&mut self, is_of_kind: fn(u8) -> bool) -> &'a [u8] {
        let end = self.rest.iter().position(|&b| !is_of_kind(b)).unwrap_or(self.rest.len());
        let (taken, rest) = self.rest.split_at(end);
        self.rest = rest;
        taken
    }
}

impl<'a> Iterator for Parameters<'a> {
    type Item = Result<Parameter<'a>, NoParameter>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            self.take(is_ows);
            let parameter = match self.rest {
                [] => return None,
                [b';', rest @ ..] => {
                    self.rest = rest;
                    self.take(is_ows);
                    match self.rest {
                        [] | [b';', ..] => continue,
                        _ => self.parameter(),
                    }
                }
                _ => Err(NoParameter),
            };
            if parameter.is_err() {
                self.rest = b"";
            }
            return Some(parameter);
        }
    }
}

/// Where the closing quote is: the first that no backslash escapes. Only a quote and a backslash
/// can be escaped; before anything else a backslash is one, so that the end is the same.
fn quote(text: &[u8]) -> Option<usize> {
    let mut at = 0;
    loop {
        at += match text.get(at..)? {
            [b'"', ..] => return Some(at),
            [b'\\', b'"' | b'\\', ..] => 2,
            [b, ..] if is_field_octet(*b) => 1,
            _ => return None,
        };
    }
}
