//! The Host field (RFC 9112 §3.2, RFC 9110 §7.2).

use crate::check::check;

/// The fields of an HTTP/1.1 request, each line with its end.
#[track_caller]
fn fields(fields: &str, expected: &str) {
    check(format!("GET / HTTP/1.1\r\n{fields}\r\n"), expected);
}

const FINE: &str = "GET / HTTP/1.1 keep | end";

#[test]
fn http_1_1_names_exactly_one_host() {
    fields("Host: a\r\n", FINE);
    fields("hOsT:a\r\n", FINE);
    fields("", "reject missing-host 400");
    fields("X-Host: a\r\n", "reject missing-host 400");
    fields("Host: a\r\nHost: a\r\n", "reject repeated-host 400");
    fields("Host: a\r\nX: y\r\nhost: b\r\n", "reject repeated-host 400");
    fields("Host:\r\nHost:\r\n", "reject repeated-host 400");
}

#[test]
fn http_1_0_may_do_without() {
    check("GET / HTTP/1.0\r\n\r\n", "GET / HTTP/1.0 close | end");
    check("GET / HTTP/1.0\r\nHost: a\r\n\r\n", "GET / HTTP/1.0 close | end");
    check("GET / HTTP/1.0\r\nHost: a\r\nHost: a\r\n\r\n", "reject repeated-host 400");
    check("GET / HTTP/1.0\r\nHost: a b\r\n\r\n", "reject bad-host 400");
}

#[test]
fn a_host_is_a_name_or_an_address_and_perhaps_a_port() {
    for fine in [
        "",
        "a",
        "a.example.",
        "A-b_c~d",
        "%41",
        "127.0.0.1:80",
        "a:",
        "a:65535",
        "[::1]",
        "[2001:db8::1]:8080",
        "[::ffff:127.0.0.1]",
    ] {
        fields(&format!("Host: {fine}\r\n"), FINE);
    }
    for bad in [
        "a b",
        "a,b",
        "a, a",
        "a/b",
        "/",
        "http://a",
        "u@a",
        "a:b",
        "a:1:2",
        "a:65536",
        "a:-1",
        "a:000080",
        "[::1",
        "[::1]a",
        "[::1]]",
        "[]",
        "[v1.a]",
        "[::1%25lo]",
        "::1",
        "a?b",
        "a#b",
        "a\\b",
        "\"a\"",
        "<a>",
        "%",
        "%4",
        "%zz",
        "a;b",
        "a=b",
        "a\tb",
        "\u{e9}",
        "*",
    ] {
        fields(&format!("Host: {bad}\r\n"), "reject bad-host 400");
    }
    fields(&format!("Host: {}\r\n", "a".repeat(255)), FINE);
    fields(&format!("Host: {}\r\n", "a".repeat(256)), "reject bad-host 400");
}

/// RFC 9112 §3.2.2: the authority of an absolute target counts, but Host must be there and be sane.
#[test]
fn an_absolute_target_does_not_excuse_from_it() {
    let absolute = "GET (http)(a)/ HTTP/1.1 keep | end";
    check("GET http://a/ HTTP/1.1\r\nHost: b\r\n\r\n", absolute);
    check("GET http://a/ HTTP/1.1\r\n\r\n", "reject missing-host 400");
    check("GET http://a/ HTTP/1.1\r\nHost: b\r\nHost: a\r\n\r\n", "reject repeated-host 400");
    check("GET http://a/ HTTP/1.1\r\nHost: /\r\n\r\n", "reject bad-host 400");
}
