//! How values on the command line are read: addresses, sizes, times.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, ToSocketAddrs};
use std::time::Duration;

/// Where to listen when only half of it is said.
pub(crate) const DEFAULT_PORT: u16 = 8080;

/// An address with a port; the port alone listens on this machine only, the address alone on
/// [`DEFAULT_PORT`].
pub(crate) fn address(text: &str) -> Result<SocketAddr, String> {
    if let Ok(address) = text.parse() {
        return Ok(address);
    }
    if let Ok(port) = text.trim_start_matches(':').parse() {
        return Ok(SocketAddr::new(Ipv4Addr::LOCALHOST.into(), port));
    }
    if let Ok(ip) = text.trim_matches(['[', ']']).parse::<IpAddr>() {
        return Ok(SocketAddr::new(ip, DEFAULT_PORT));
    }
    let resolved = text.to_socket_addrs().ok().and_then(|mut found| found.next());
    resolved.ok_or_else(|| format!("'{text}' is no address - try 127.0.0.1:8080 or [::1]:8080"))
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
        _ => return Err(format!("'{text}' is no size - try 512K, 64M or 1G")),
    };
    let number: u64 =
        digits.parse().map_err(|_| format!("'{text}' is no size - try 512K, 64M or 1G"))?;
    number.checked_mul(1 << shift).ok_or_else(|| format!("'{text}' is too large"))
}

/// Seconds, fractions allowed: from a millisecond to a year.
pub(crate) fn seconds(text: &str) -> Result<Duration, String> {
    let seconds: f64 =
        text.parse().map_err(|_| format!("'{text}' is no number of seconds - try 10 or 0.5"))?;
    if (0.001..=31_536_000.0).contains(&seconds) {
        Ok(Duration::from_secs_f64(seconds))
    } else {
        Err(format!("{text} is out of range: from 0.001 to 31536000 seconds"))
    }
}

/// A count of threads or connections: at least one.
pub(crate) fn count(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(count @ 1..=1_000_000) => Ok(count),
        _ => Err(format!("'{text}' is no count from 1 to 1000000")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
        for text in ["", "nonsense", "127.0.0.1:99999", "http://127.0.0.1:80/"] {
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
