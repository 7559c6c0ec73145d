//! The bounds of a head, exactly at them and one over: RFC 9112 §3 and RFC 9110 §5.4.

use http_proto::{FIELD_LINES_CAP, Limits, RequestHead};

use crate::check::{check_within, replay};

/// Bounds small enough to try every split.
fn small() -> Limits {
    Limits { request_line_bytes: 40, head_bytes: 100, field_lines: 4, content_bytes: 10 }
}

const LINE_TOO_LONG: &str = "reject request-line-too-long 414";
const HEAD_TOO_LARGE: &str = "reject head-too-large 431";
const TOO_MANY: &str = "reject too-many-fields 431";

/// A request line of `octets` octets.
fn line(octets: usize) -> String {
    format!("GET /{} HTTP/1.1", "a".repeat(octets - 14))
}

/// A head of `octets` octets, one field besides Host in it.
fn head(octets: usize) -> String {
    format!("GET / HTTP/1.1\r\nHost: a\r\nX:{}\r\n\r\n", "y".repeat(octets - 31))
}

#[test]
fn the_request_line() {
    let limits = small();
    let path = "a".repeat(26);
    let fine = format!("GET /{path} HTTP/1.1 keep | end");
    check_within(&limits, format!("{}\r\nHost: a\r\n\r\n", line(40)), &fine);
    check_within(&limits, format!("\r\n{}\r\nHost: a\r\n\r\n", line(40)), &fine);
    check_within(&limits, format!("{}\r\nHost: a\r\n\r\n", line(41)), LINE_TOO_LONG);
    check_within(&limits, format!("{}\r", line(40)), "more");
    check_within(&limits, line(41), LINE_TOO_LONG);
    check_within(&limits, "A".repeat(40), "more");
    check_within(&limits, "A".repeat(41), LINE_TOO_LONG);
    // A fault beyond the limit is beyond the limit.
    check_within(&limits, format!("{}\0", "A".repeat(40)), LINE_TOO_LONG);
    check_within(&limits, format!("{}\0", "A".repeat(39)), "reject bad-method 400");
    check_within(&limits, format!("{}\n", "A".repeat(41)), LINE_TOO_LONG);
    check_within(&limits, format!("{}\n", "A".repeat(40)), "reject bare-line-feed 400");
    check_within(&limits, format!("{}\rx", "A".repeat(40)), LINE_TOO_LONG);
}

#[test]
fn the_head() {
    let limits = small();
    let fine = "GET / HTTP/1.1 keep | end";
    check_within(&limits, head(100), fine);
    check_within(&limits, format!("\r\n{}", head(100)), fine);
    check_within(&limits, head(101), HEAD_TOO_LARGE);
    check_within(&limits, format!("\r\n{}", head(101)), HEAD_TOO_LARGE);
    check_within(&limits, &head(101)[..99], "more");
    check_within(&limits, &head(101)[..100], HEAD_TOO_LARGE);
    check_within(&limits, &head(200)[..100], HEAD_TOO_LARGE);
    // A limit on the head below that on the line is one on the line.
    let narrow = Limits { head_bytes: 30, ..small() };
    check_alone(&narrow, &"A".repeat(30), LINE_TOO_LONG);
    check_alone(&narrow, &"A".repeat(29), "more");
    let none = Limits { request_line_bytes: 0, head_bytes: 0, ..small() };
    check_alone(&none, "A", LINE_TOO_LONG);
}

#[test]
fn the_field_lines() {
    let limits = small();
    let head =
        |fields: usize| format!("GET / HTTP/1.1\r\nHost: a\r\n{}\r\n", "X:\r\n".repeat(fields - 1));
    let fine = "GET / HTTP/1.1 keep | end";
    check_within(&limits, head(4), fine);
    check_within(&limits, head(5), TOO_MANY);
    // Refused at the line, not at the end of the head.
    check_within(&limits, head(5).strip_suffix("\r\n").expect("an empty line"), TOO_MANY);
    let cap = Limits { field_lines: u8::MAX, ..Limits::default() };
    check_within(&cap, head(FIELD_LINES_CAP), fine);
    check_within(&cap, head(FIELD_LINES_CAP + 1), TOO_MANY);
    let none = Limits { field_lines: 0, ..small() };
    check_alone(&none, "GET / HTTP/1.0\r\n\r\n", "GET / HTTP/1.0 close | end");
    check_alone(&none, "GET / HTTP/1.0\r\nX:\r\n", TOO_MANY);
}

#[test]
fn the_content() {
    let post = |octets: usize| {
        let content = "a".repeat(octets);
        format!("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {octets}\r\n\r\n{content}")
    };
    let fine = "POST / HTTP/1.1 keep length 10 | \"aaaaaaaaaa\" | end";
    check_within(&small(), post(10), fine);
    check_within(&small(), post(11), "reject content-too-large 413");
}

/// The defaults, and the largest numbers that the limits can hold: places in a head are 16-bit
/// numbers.
#[test]
fn large_heads() {
    let defaults = Limits::default();
    let fine = "GET / HTTP/1.1 keep | end";
    check_alone(&defaults, &head(16 * 1024), fine);
    check_alone(&defaults, &head(16 * 1024 + 1), HEAD_TOO_LARGE);
    let at = format!("{}\r\nHost: a\r\n\r\n", line(8 * 1024));
    check_alone(&defaults, &at, &format!("GET /{} HTTP/1.1 keep | end", "a".repeat(8178)));
    check_alone(&defaults, &line(8 * 1024 + 1), LINE_TOO_LONG);

    let most = Limits { request_line_bytes: u16::MAX, head_bytes: u16::MAX, ..Limits::default() };
    check_alone(&most, &head(65535), fine);
    check_alone(&most, &format!("\r\n{}", head(65535)), fine);
    check_alone(&most, &head(65536), HEAD_TOO_LARGE);
    check_alone(&most, &"A".repeat(65535), LINE_TOO_LONG);
    // The last field as far to the right as it can be.
    let start = "GET / HTTP/1.1\r\nHost: a\r\nX:";
    let end = "\r\nLast: z\r\n\r\n";
    let text = format!("{start}{}{end}", "y".repeat(65535 - start.len() - end.len()));
    let head = RequestHead::parse(text.as_bytes(), &most).expect("a head that just fits");
    assert_eq!(head.fields.first("last"), Some(&b"z"[..]));
}

/// Whole and octet by octet: for what is too long for every split, or for a request before it.
#[track_caller]
fn check_alone(limits: &Limits, input: &str, expected: &str) {
    let input = input.as_bytes();
    assert_eq!(replay(limits, &[input]), expected, "whole");
    let pieces: Vec<&[u8]> =
        if input.len() > 20_000 { input.chunks(509).collect() } else { input.chunks(1).collect() };
    assert_eq!(replay(limits, &pieces), expected, "in pieces");
}
