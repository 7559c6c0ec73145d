//! Decides which content coding a response is sent in, by what the client accepts.

use crate::Fields;
use crate::fields::Elements;
use crate::grammar;

/// A content coding (RFC 9110 §8.4.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Coding {
    /// None.
    Identity,
    /// `gzip` (RFC 1952), also called `x-gzip`.
    Gzip,
    /// `br` (RFC 7932).
    Brotli,
    /// `zstd` (RFC 8878).
    Zstd,
}

impl Coding {
    /// Its name in Content-Encoding.
    pub fn as_str(self) -> &'static str {
        match self {
            Coding::Identity => "identity",
            Coding::Gzip => "gzip",
            Coding::Brotli => "br",
            Coding::Zstd => "zstd",
        }
    }

    fn is_named(self, name: &[u8]) -> bool {
        let known_as = |other: &str| name.eq_ignore_ascii_case(other.as_bytes());
        known_as(self.as_str()) || (self == Coding::Gzip && known_as("x-gzip"))
    }
}

/// Which codings a client accepts, and how much it likes them.
///
/// Made from the Accept-Encoding lines of a request (RFC 9110 §12.5.3).
#[derive(Clone, Debug)]
pub struct AcceptEncoding<'f> {
    fields: &'f Fields<'f>,
    present: bool,
}

impl<'f> AcceptEncoding<'f> {
    /// What the fields of a request say.
    pub fn of(fields: &'f Fields<'f>) -> AcceptEncoding<'f> {
        let present = fields.first("accept-encoding").is_some();
        AcceptEncoding { fields, present }
    }

    /// The best of `available`: the one with the greatest weight, among equals the first. `None`
    /// when the client refuses all of them.
    ///
    /// Without the field every coding would do (§12.5.3); a client that does not say so is
    /// better served without any, so only [`Coding::Identity`] is acceptable then.
    pub fn choose(&self, available: &[Coding]) -> Option<Coding> {
        let mut best: Option<(Coding, u16)> = None;
        for &coding in available {
            let weight = self.weight(coding);
            if weight > best.map_or(0, |(_, best)| best) {
                best = Some((coding, weight));
            }
        }
        best.map(|(coding, _)| coding)
    }

    /// The weight of `coding` in thousandths; 0 when it is refused.
    fn weight(&self, coding: Coding) -> u16 {
        if !self.present {
            return if coding == Coding::Identity { 1000 } else { 0 };
        }
        let (mut named, mut any) = (None, None);
        for element in self.fields.all("accept-encoding").flat_map(Elements::new) {
            let Some((name, weight)) = weighted(element) else { continue };
            if coding.is_named(name) {
                named = named.max(Some(weight));
            } else if name == b"*" {
                any = any.max(Some(weight));
            }
        }
        match (named, any) {
            (Some(weight), _) | (None, Some(weight)) => weight,
            // §12.5.3: identity is acceptable unless it is excluded, but liked less than anything
            // that was asked for.
            (None, None) => u16::from(coding == Coding::Identity),
        }
    }
}

/// `codings [ OWS ";" OWS "q=" qvalue ]`; `None` for anything else, which is ignored.
fn weighted(element: &[u8]) -> Option<(&[u8], u16)> {
    let mut parts = element.splitn(2, |&b| b == b';');
    let name = grammar::trim_ows(parts.next()?);
    if !grammar::is_token(name) {
        return None;
    }
    let weight = match parts.next() {
        None => 1000,
        Some(parameter) => match grammar::trim_ows(parameter) {
            [b'q' | b'Q', b'=', value @ ..] => qvalue(value)?,
            _ => return None,
        },
    };
    Some((name, weight))
}

/// `qvalue = ( "0" [ "." 0*3DIGIT ] ) / ( "1" [ "." 0*3("0") ] )`, in thousandths (RFC 9110
/// §12.4.2).
fn qvalue(value: &[u8]) -> Option<u16> {
    let (whole, decimals) = match value {
        [whole] => (whole, &b""[..]),
        [whole, b'.', decimals @ ..] if decimals.len() <= 3 => (whole, decimals),
        _ => return None,
    };
    let mut thousandths = 0;
    for place in 0..3 {
        let digit = decimals.get(place).copied().unwrap_or(b'0');
        thousandths = thousandths * 10 + digit.is_ascii_digit().then(|| u16::from(digit - b'0'))?;
    }
    match (whole, thousandths) {
        (b'0', thousandths) => Some(thousandths),
        (b'1', 0) => Some(1000),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Limits, RequestHead};

    /// What is chosen of br, zstd, gzip and identity, in that order of preference.
    fn check(lines: &[&str], expected: Option<Coding>) {
        let mut head = String::from("GET / HTTP/1.1\r\nHost: a\r\n");
        for line in lines {
            head.push_str(&format!("Accept-Encoding: {line}\r\n"));
        }
        head.push_str("\r\n");
        let head = RequestHead::parse(head.as_bytes(), &Limits::default()).unwrap();
        let available = [Coding::Brotli, Coding::Zstd, Coding::Gzip, Coding::Identity];
        assert_eq!(AcceptEncoding::of(&head.fields).choose(&available), expected, "{lines:?}");
    }

    #[test]
    fn the_greatest_weight_wins_and_the_first_among_equals() {
        check(&["gzip"], Some(Coding::Gzip));
        check(&["gzip, deflate, br"], Some(Coding::Brotli));
        check(&["gzip, deflate, br, zstd"], Some(Coding::Brotli));
        check(&["br;q=0.5, gzip;q=0.8"], Some(Coding::Gzip));
        check(&["gzip;q=0.001, br;q=0.002"], Some(Coding::Brotli));
        check(&["gzip;q=0.5", "zstd;q=0.9"], Some(Coding::Zstd));
        check(&["GZip"], Some(Coding::Gzip));
        check(&["x-gzip"], Some(Coding::Gzip));
        check(&["gzip ; q=1.000"], Some(Coding::Gzip));
    }

    #[test]
    fn without_the_field_nothing_is_coded() {
        check(&[], Some(Coding::Identity));
    }

    #[test]
    fn an_empty_field_asks_for_identity() {
        check(&[""], Some(Coding::Identity));
        check(&["deflate"], Some(Coding::Identity));
        check(&["compress, deflate;q=0.3"], Some(Coding::Identity));
    }

    #[test]
    fn identity_can_be_preferred_and_excluded() {
        check(&["identity, gzip;q=0.5"], Some(Coding::Identity));
        check(&["identity;q=0.5, gzip"], Some(Coding::Gzip));
        check(&["identity;q=0"], None);
        check(&["identity;q=0, gzip"], Some(Coding::Gzip));
        check(&["*;q=0"], None);
        check(&["*;q=0, identity;q=0.1"], Some(Coding::Identity));
        check(&["*;q=0, zstd"], Some(Coding::Zstd));
        check(&["gzip;q=0, *;q=0.1"], Some(Coding::Brotli));
        check(&["*"], Some(Coding::Brotli));
        check(&["gzip;q=0"], Some(Coding::Identity));
    }

    #[test]
    fn what_is_no_weight_is_ignored() {
        for invalid in ["2", "1.001", "0.1234", "", "-1", ".5", "1;x=1"] {
            check(&[&format!("br;q={invalid}, gzip;q=0.1")], Some(Coding::Gzip));
        }
    }
}
