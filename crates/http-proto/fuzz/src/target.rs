//! Request targets: one of four forms, in parts that make up the whole again.

use http_proto::{Limits, Method, RequestHead, Target};

/// `data` is a method, a blank and a target. An empty line in front is passed over (RFC 9112 §2.2).
pub fn check(data: &[u8]) {
    let line = data.strip_prefix(b"\r\n").unwrap_or(data);
    if line.contains(&b'\n') {
        return;
    }
    let octets = [data, b" HTTP/1.1\r\nHost: a\r\n\r\n"].concat();
    let parsed = RequestHead::parse(&octets, &Limits::default());
    let Some((method, target)) = words(line) else {
        assert!(parsed.is_err(), "not two words: {parsed:?}");
        return;
    };
    if target.len() > 4096 || method.len() > 1024 {
        return;
    }
    match &parsed {
        Ok(head) => {
            assert_eq!(head.method.as_str(), method);
            assert!(is_target(method, target), "{head:?}");
            check_parts(head, target);
        }
        Err(reject) => {
            // With TLS it would be one of ours, without it is refused for that (RFC 9110 §7.4).
            let https = target.get(..6).is_some_and(|start| start.eq_ignore_ascii_case("https:"));
            let token = method.bytes().all(super::head::is_tchar);
            assert!(https || !token || !is_target(method, target), "{reject:?} for {target:?}");
        }
    }
}

/// The two words of a line, if it is two words of text with a blank between them.
fn words(line: &[u8]) -> Option<(&str, &str)> {
    let (method, target) = std::str::from_utf8(line).ok()?.split_once(' ')?;
    let is_word = |word: &str| !word.is_empty() && !word.contains([' ', '\r']);
    (is_word(method) && is_word(target)).then_some((method, target))
}

/// The parts are those of the form, and no octet of the target is lost.
fn check_parts(head: &RequestHead<'_>, text: &str) {
    let with_query = |path: &str, query: Option<&str>| match query {
        Some(query) => format!("{path}?{query}"),
        None => path.to_owned(),
    };
    assert_eq!(
        head.target.path().is_some(),
        head.authority().is_some_and(|_| text != "*") && {
            !matches!(head.target, Target::Authority(_))
        }
    );
    match head.target {
        Target::Origin { path, query } => {
            assert!(path.starts_with('/') && !path.contains('?'), "{path:?}");
            assert_eq!(with_query(path, query), text);
            assert_eq!(head.authority(), Some("a"));
        }
        Target::Absolute { scheme, authority, path, query } => {
            assert!(scheme.eq_ignore_ascii_case("http"), "{scheme:?}");
            assert!(!authority.is_empty() && !authority.contains(['/', '?', '@']), "{authority:?}");
            assert!(path.starts_with('/') && !path.contains('?'), "{path:?}");
            let whole = format!("{scheme}://{authority}{}", with_query(path, query));
            let without_path = format!("{scheme}://{authority}{}", with_query("", query));
            assert!(whole == text || path == "/" && without_path == text, "{whole:?}");
            assert_eq!(head.authority(), Some(authority), "it replaces Host (RFC 9112 §3.2.2)");
        }
        Target::Authority(authority) => {
            assert_eq!((head.method, authority), (Method::Connect, text));
            assert_eq!(head.authority(), Some(text));
        }
        Target::Asterisk => assert_eq!((head.method, text), (Method::Options, "*")),
    }
    assert_eq!(head.target.query().is_some(), head.target.path().is_some() && text.contains('?'));
}

/// Whether `text` is a target that `method` takes: RFC 9112 §3.2, less what nobody sends.
fn is_target(method: &str, text: &str) -> bool {
    // `"`, `<`, `>`, `\` and a fragment are refused; other octets that no URI holds, but browsers
    // do send, are not.
    if !text.bytes().all(|b| b.is_ascii_graphic() && !b"#\"<>\\".contains(&b)) {
        return false;
    }
    if method == "CONNECT" {
        let parts = host_and_port(text);
        return parts.is_some_and(|(host, port)| !host.is_empty() && port.is_some_and(|p| p > 0));
    }
    if text == "*" {
        return method == "OPTIONS";
    }
    if text.starts_with('/') {
        return true;
    }
    let Some((scheme, rest)) = text.split_once("://") else { return false };
    let authority = rest.split(['/', '?']).next().unwrap_or_default();
    let known = scheme.eq_ignore_ascii_case("http") || scheme.eq_ignore_ascii_case("https");
    known && host_and_port(authority).is_some()
}

/// `uri-host [ ":" [ port ] ]`, the port as a number.
pub(crate) fn host_and_port(text: &str) -> Option<(&str, Option<u16>)> {
    // The last colon, unless it is inside of brackets.
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, port),
        _ => (text, ""),
    };
    let port = match port {
        "" => None,
        digits if digits.len() <= 5 && digits.bytes().all(|b| b.is_ascii_digit()) => {
            Some(digits.parse().ok()?)
        }
        _ => return None,
    };
    let literal = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    let valid = match literal {
        Some(literal) => literal.parse::<std::net::Ipv6Addr>().is_ok(),
        None => (1..=255).contains(&host.len()) && is_reg_name(host),
    };
    valid.then_some((host, port))
}

/// Letters, digits, `-._~` and escapes of two hexadecimal digits.
fn is_reg_name(host: &str) -> bool {
    let mut pieces = host.split('%');
    let plain =
        |piece: &str| piece.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._~".contains(&b));
    let escaped =
        |piece: &str| piece.get(..2).is_some_and(|two| two.bytes().all(|b| b.is_ascii_hexdigit()));
    pieces.next().is_some_and(plain) && pieces.all(|piece| escaped(piece) && plain(piece))
}
