//! How values on the command line are read: addresses, sizes, times.

use std::fmt::Display;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, ToSocketAddrs};
use std::ops::RangeInclusive;
use std::str::FromStr;
use std::time::Duration;

use fileserve::OnConflict;

/// Where to listen when only half of it is said.
pub(crate) const DEFAULT_PORT: u16 = 8080;

/// An address with a port; the port alone listens on this machine only, the address alone on
/// [`DEFAULT_PORT`].
pub(crate) fn address(text: &str) -> Result<SocketAddr, String> {
    if let Ok(address) = text.parse() {
        return Ok(address);
    }
    if let Ok(ip) = text.trim_matches(['[', ']']).parse::<IpAddr>() {
        return Ok(SocketAddr::new(ip, DEFAULT_PORT));
    }
    if let Ok(port) = text.strip_prefix(':').unwrap_or(text).parse() {
        return Ok(SocketAddr::new(Ipv4Addr::LOCALHOST.into(), port));
    }
    let resolved = text.to_socket_addrs().ok().and_then(|mut found| found.next());
    resolved.ok_or_else(|| "that is no address - try 127.0.0.1:8080 or [::1]:8080".to_owned())
}

/// Octets: a number, perhaps with K, M, G or T (powers of 1024) behind it.
pub(crate) fn size(text: &str) -> Result<u64, String> {
    let (digits, unit) = match text.find(|c: char| !c.is_ascii_digit()) {
        Some(at) => text.split_at(at),
        None => (text, ""),
    };
    let shift = match unit.to_ascii_uppercase().as_str() {
        "" | "B" => 0,
        "K" | "KB" | "KIB" => 10,
        "M" | "MB" | "MIB" => 20,
        "G" | "GB" | "GIB" => 30,
        "T" | "TB" | "TIB" => 40,
        _ => return Err(NO_SIZE.to_owned()),
    };
    let number: u64 = digits.parse().map_err(|_| NO_SIZE)?;
    Ok(number.checked_mul(1 << shift).ok_or("that is too large - try 1G")?)
}

const NO_SIZE: &str = "that is no size - try 512K, 64M or 1G";

/// Seconds, fractions allowed: from a millisecond to a year.
pub(crate) fn seconds(text: &str) -> Result<Duration, String> {
    match text.parse() {
        Ok(seconds) if (0.001..=31_536_000.0).contains(&seconds) => {
            Ok(Duration::from_secs_f64(seconds))
        }
        _ => Err("that is no number of seconds - try 10 or 0.5".to_owned()),
    }
}

/// A count of threads: more than a few per core only wait for each other.
pub(crate) fn threads(text: &str) -> Result<usize, String> {
    within(text, 1..=4096)
}

/// A number within bounds.
pub(crate) fn within<N>(text: &str, bounds: RangeInclusive<N>) -> Result<N, String>
where
    N: FromStr + PartialOrd + Display,
{
    let number = text.parse().ok().filter(|number| bounds.contains(number));
    number.ok_or_else(|| format!("that is no number from {} to {}", bounds.start(), bounds.end()))
}

/// Directives for caches, as RFC 9111 §5.2 writes them, or `off`.
pub(crate) fn cache_control(text: &str) -> Result<String, String> {
    let is_token = |word: &str| {
        let is_tchar = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
        !word.is_empty() && word.bytes().all(is_tchar)
    };
    let is_quoted = |word: &str| {
        let inside = word.strip_prefix('"').and_then(|word| word.strip_suffix('"'));
        inside.is_some_and(|inside| inside.bytes().all(|b| b == b' ' || b.is_ascii_graphic()))
    };
    let is_directive = |directive: &str| match directive.trim().split_once('=') {
        Some((name, argument)) => is_token(name) && (is_token(argument) || is_quoted(argument)),
        None => is_token(directive.trim()),
    };
    if text.eq_ignore_ascii_case("off") {
        return Ok("off".to_owned());
    }
    match text.len() <= CACHE_CONTROL_BYTES_MAX && text.split(',').all(is_directive) {
        true => Ok(text.trim().to_owned()),
        false => Err("those are no cache directives - try max-age=3600 or no-store".to_owned()),
    }
}

/// A host name, without a scheme and a port, or `*`.
pub(crate) fn host(text: &str) -> Result<String, String> {
    let is_name = |name: &str| {
        name.len() <= 255 && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._".contains(&b))
    };
    let is_literal = |text: &str| text.parse::<std::net::Ipv6Addr>().is_ok();
    match text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        Some(literal) if is_literal(literal) => Ok(text.to_owned()),
        None if text == "*" || (!text.is_empty() && is_name(text)) => Ok(text.to_owned()),
        _ => Err("that is no host name - try files.example.org, or '*' for any".to_owned()),
    }
}

/// What is done with an uploaded file whose name is taken.
pub(crate) fn on_conflict(text: &str) -> Result<OnConflict, String> {
    match text {
        "rename" => Ok(OnConflict::Rename),
        "reject" => Ok(OnConflict::Reject),
        "replace" => Ok(OnConflict::Replace),
        _ => Err("that is none of rename, reject and replace".to_owned()),
    }
}

/// Far more than all directives there are; it goes out with every file.
const CACHE_CONTROL_BYTES_MAX: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cache_directives_are_tokens_and_arguments() {
        for text in ["off", "no-cache", "public, max-age=60,immutable", "private=\"x\""] {
            assert_eq!(cache_control(text), Ok(text.to_owned()));
        }
        assert_eq!(cache_control("OFF"), Ok("off".to_owned()));
        for text in
            ["", ",", "max-age=", "max age", "a\r\nb: c", "=1", "private=\"a", "a=\"\u{7f}\""]
        {
            assert!(cache_control(text).is_err(), "{text}");
        }
        assert!(cache_control(&"a,".repeat(200)).is_err());
    }

    #[test]
    fn a_host_is_a_name_without_a_port() {
        for text in ["*", "files.example.org", "my_box", "192.168.0.1", "[::1]", "xn--a"] {
            assert_eq!(host(text), Ok(text.to_owned()));
        }
        for text in ["", "a:80", "http://a/", "a b", "*.a", "[a]", "::1", "é"] {
            assert!(host(text).is_err(), "{text}");
        }
    }

    #[test]
    fn an_address_may_be_said_in_half() {
        for (text, expected) in [
            ("127.0.0.1:80", "127.0.0.1:80"),
            ("0.0.0.0", "0.0.0.0:8080"),
            ("[::1]:80", "[::1]:80"),
            ("::1", "[::1]:8080"),
            ("[::]", "[::]:8080"),
            ("9000", "127.0.0.1:9000"),
            (":9000", "127.0.0.1:9000"),
        ] {
            assert_eq!(address(text), Ok(expected.parse().unwrap()), "{text}");
        }
        for text in ["", "nonsense", "::9000x", "99999", "127.0.0.1:99999", "http://127.0.0.1:80/"]
        {
            assert!(address(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_size_may_have_a_unit() {
        for (text, expected) in
            [("0", 0), ("512", 512), ("8K", 8192), ("1g", 1 << 30), ("2MiB", 2 << 20)]
        {
            assert_eq!(size(text), Ok(expected), "{text}");
        }
        for text in ["", "K", "-1", "1X", "1.5G", "99999999999T"] {
            assert!(size(text).is_err(), "{text}");
        }
    }

    #[test]
    fn seconds_have_bounds() {
        assert_eq!(seconds("0.5"), Ok(Duration::from_millis(500)));
        for text in ["0", "-1", "nan", "inf", "1e300", "soon"] {
            assert!(seconds(text).is_err(), "{text}");
        }
    }
}
