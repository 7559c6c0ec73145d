//! Decides who a request says that it comes from: credentials of the scheme Basic (RFC 7617 §2).

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http_proto::Fields;

/// What goes out with every 401 (RFC 9110 §11.6.1). The charset tells browsers to send names and
/// passwords in UTF-8 (RFC 7617 §2.1).
pub(crate) const CHALLENGE: &str = "Basic realm=\"httpd\", charset=\"UTF-8\"";

/// The longest name of a user, in octets: as `htpasswd` has it.
pub const NAME_BYTES_MAX: usize = 255;

/// The longest password, in octets: more than any password manager makes, and little enough that
/// its length costs nothing beside the hash.
pub const PASSWORD_BYTES_MAX: usize = 1024;

/// The longest `NAME:PASSWORD` in base64, four characters for every three octets.
const ENCODED_BYTES_MAX: usize = (NAME_BYTES_MAX + 1 + PASSWORD_BYTES_MAX).div_ceil(3) * 4;

/// Room for credentials while they are looked at.
pub(super) type Buffer = [u8; ENCODED_BYTES_MAX / 4 * 3];

/// An empty one.
pub(super) const BUFFER: Buffer = [0; ENCODED_BYTES_MAX / 4 * 3];

/// Credentials that have not been looked at.
pub(super) struct Encoded<'f>(&'f [u8]);

impl<'f> Encoded<'f> {
    /// What one Authorization field holds of the scheme Basic; `None` where there is none, another
    /// scheme, or more than could be good.
    pub(super) fn of(fields: &Fields<'f>) -> Option<Encoded<'f>> {
        // A second field line makes both meaningless (RFC 9110 §5.3).
        let value = fields.single("authorization")?;
        let space = value.iter().position(|&b| b == b' ')?;
        let (scheme, rest) = value.split_at(space);
        // RFC 9110 §11.1: the scheme is a token in any case; §11.4: 1*SP behind it.
        let encoded = rest.trim_ascii_start();
        let is_basic = scheme.eq_ignore_ascii_case(b"basic");
        (is_basic && encoded.len() <= ENCODED_BYTES_MAX).then_some(Encoded(encoded))
    }
}

/// A name and a password, as sent. Never shown: it has no `Debug`.
pub(super) struct Credentials<'b> {
    /// `NAME:PASSWORD`. No two pairs look the same, as no name holds a colon.
    pub(super) whole: &'b [u8],
    /// Not empty, and at most [`NAME_BYTES_MAX`] long.
    pub(super) name: &'b str,
    /// At most [`PASSWORD_BYTES_MAX`] long, without control octets.
    pub(super) password: &'b [u8],
}

impl<'b> Credentials<'b> {
    /// Decodes them into `buffer`. `None` unless they are well-formed, with a name and a password
    /// of bearable lengths: no user can have others, so nobody needs to look whether they are good.
    pub(super) fn read(sent: Encoded<'_>, buffer: &'b mut Buffer) -> Option<Credentials<'b>> {
        let length = STANDARD.decode_slice(sent.0, buffer).ok()?;
        let whole = buffer.get(..length)?;
        // RFC 7617 §2: the first colon ends the name; there are no control characters.
        if whole.iter().any(u8::is_ascii_control) {
            return None;
        }
        let colon = whole.iter().position(|&b| b == b':')?;
        let (name, password) = (whole.get(..colon)?, whole.get(colon + 1..)?);
        let name = std::str::from_utf8(name).ok()?;
        let fits = (1..=NAME_BYTES_MAX).contains(&name.len());
        (fits && password.len() <= PASSWORD_BYTES_MAX).then_some(Credentials {
            whole,
            name,
            password,
        })
    }
}

#[cfg(test)]
mod tests {
    use http_proto::{Limits, RequestHead};

    use super::*;

    /// Name and password that a head with these Authorization fields gives.
    fn read(values: &[&str]) -> Option<(String, Vec<u8>)> {
        let lines: String = values.iter().map(|v| format!("Authorization: {v}\r\n")).collect();
        let head = format!("GET / HTTP/1.1\r\nHost: a\r\n{lines}\r\n");
        let head = RequestHead::parse(head.as_bytes(), &Limits::default()).expect("a good head");
        let mut buffer = BUFFER;
        let read = Credentials::read(Encoded::of(&head.fields)?, &mut buffer)?;
        Some((read.name.to_owned(), read.password.to_vec()))
    }

    fn encoded(octets: &[u8]) -> String {
        format!("Basic {}", STANDARD.encode(octets))
    }

    #[test]
    fn a_name_and_a_password() {
        // The example of RFC 7617 §2, and that of §2.1 with a pound sign.
        for (value, name, password) in [
            ("Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==", "Aladdin", "open sesame"),
            ("Basic dGVzdDoxMjPCow==", "test", "123\u{a3}"),
            ("bAsIc   YTpi", "a", "b"),
            (encoded(b"a:b:c").as_str(), "a", "b:c"),
            (encoded(b"a:").as_str(), "a", ""),
            (encoded("\u{e9} b:c".as_bytes()).as_str(), "\u{e9} b", "c"),
        ] {
            let expected = Some((name.to_owned(), password.as_bytes().to_vec()));
            assert_eq!(read(&[value]), expected, "{value}");
        }
        let latin1 = encoded(b"a:\xa3");
        assert_eq!(read(&[&latin1]), Some(("a".to_owned(), b"\xa3".to_vec())), "any octets");
    }

    #[test]
    fn what_is_not_to_the_letter_is_nothing() {
        for value in [
            "",
            "Basic",
            "Basic ",
            "YTpi",
            "Bearer YTpi",
            "Basic YTpi YTpi",
            "Basic YTpi,",
            "Basic\tYTpi",
            "Basic QTpi=",
            "Basic YTpiYw",
            "Basic YTpiYx==",
            "Basic YTp_",
            "Basic !!!!",
            &encoded(b"no colon"),
            &encoded(b":no name"),
            &encoded(b"\xff:no UTF-8"),
            &encoded(b"a:\0"),
            &encoded(b"a\n:b"),
            &encoded(b"a:b\x7f"),
        ] {
            assert_eq!(read(&[value]), None, "{value}");
        }
        assert_eq!(read(&[]), None);
        assert_eq!(read(&["Basic YTpi", "Basic YTpi"]), None, "two of them");
    }

    #[test]
    fn lengths_have_a_bound() {
        for (name, password, is_read) in [
            (NAME_BYTES_MAX, PASSWORD_BYTES_MAX, true),
            (NAME_BYTES_MAX + 1, 1, false),
            (1, PASSWORD_BYTES_MAX + 1, false),
            (NAME_BYTES_MAX, PASSWORD_BYTES_MAX + 2, false),
            (3000, 3000, false),
        ] {
            let value =
                encoded(format!("{}:{}", "n".repeat(name), "p".repeat(password)).as_bytes());
            assert_eq!(read(&[&value]).is_some(), is_read, "{name}:{password}");
        }
    }
}
