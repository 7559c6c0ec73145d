//! The syntax of a Host field value: `uri-host [ ":" port ]` (RFC 9110 §7.2, RFC 3986 §3.2.2).

/// Whether `value` is a valid Host value. An empty value is valid: it says that the target has no
/// authority (RFC 9112 §3.2).
///
/// A `reg-name` is held to what names of hosts are made of - letters, digits, `-`, `.`, `_`, `~`
/// and percent-escapes - although RFC 3986 lets sub-delims such as `,` and `=` pass: a value with
/// those is more likely two values joined on the way than a name, and a doubtful Host is refused.
pub(crate) fn is_valid(value: &[u8]) -> bool {
    if value.is_empty() {
        return true;
    }
    let (host, port) = match value.strip_prefix(b"[") {
        Some(rest) => {
            let Some(end) = rest.iter().position(|&b| b == b']') else { return false };
            let Ok(literal) = std::str::from_utf8(&rest[..end]) else { return false };
            // IPvFuture (RFC 3986) has never been assigned; only IPv6 stands in brackets.
            if literal.parse::<core::net::Ipv6Addr>().is_err() {
                return false;
            }
            (&b"x"[..], &rest[end + 1..])
        }
        None => {
            let end = value.iter().position(|&b| b == b':').unwrap_or(value.len());
            value.split_at(end)
        }
    };
    // A port needs a host before it (RFC 9110 §4.2.1 has no use for an empty one).
    !host.is_empty() && is_reg_name(host) && is_port(port)
}

/// `reg-name`, at most the 255 octets that a name may have (RFC 1035 §2.3.4).
fn is_reg_name(host: &[u8]) -> bool {
    let mut rest = host;
    while let Some((&b, tail)) = rest.split_first() {
        rest = match b {
            b'%' => match tail {
                [a, b, tail @ ..] if a.is_ascii_hexdigit() && b.is_ascii_hexdigit() => tail,
                _ => return false,
            },
            b'-' | b'.' | b'_' | b'~' => tail,
            _ if b.is_ascii_alphanumeric() => tail,
            _ => return false,
        };
    }
    host.len() <= 255
}

/// Nothing, or `":" *DIGIT` with a value that is a port.
fn is_port(port: &[u8]) -> bool {
    match port {
        [] | [b':'] => true,
        [b':', digits @ ..] => {
            digits.len() <= 5
                && crate::grammar::digits(digits).is_some_and(|port| port <= u64::from(u16::MAX))
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::is_valid;

    #[test]
    fn host_values() {
        for valid in ["", "a", "a.example", "127.0.0.1", "a:80", "a:", "[::1]", "[::1]:8080", "a_b"]
        {
            assert!(is_valid(valid.as_bytes()), "{valid}");
        }
        for invalid in [
            "a b", "a,b", "a/b", "u@a", "a:b", "a:80:80", "a:65536", "[::1", "::1", "[a]",
            "[::1]a", "a\"", ":80", ":", "%zz", "a?b", "a#b",
        ] {
            assert!(!is_valid(invalid.as_bytes()), "{invalid}");
        }
    }
}
