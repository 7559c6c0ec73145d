//! Field lines (RFC 9112 §5) and the octets in them (RFC 9110 §5.5).

use http_proto::{Limits, Reject, RequestHead};

use crate::check::check;

/// One field line in an HTTP/1.1 request, in front of the Host line.
#[track_caller]
fn field(line: impl AsRef<[u8]>, expected: &str) {
    let head = [b"GET / HTTP/1.1\r\n", line.as_ref(), b"\r\nHost: a\r\n\r\n"].concat();
    check(head, expected);
}

const FINE: &str = "GET / HTTP/1.1 keep | end";
const BAD_NAME: &str = "reject bad-field-name 400";
const BAD_VALUE: &str = "reject bad-field-value 400";
const BARE_CR: &str = "reject bare-carriage-return 400";
const FOLDING: &str = "reject obsolete-folding 400";

#[test]
fn a_name_is_a_token_right_before_its_colon() {
    for fine in ["X:", "X: y", "x-Y_z.!#$%&'*+^`|~09: y", "X::", "X:y:z"] {
        field(fine, FINE);
    }
    for bad in [
        "X",
        ":",
        ": y",
        "X(Y): z",
        "X\u{e9}: z",
        "X\0: y",
        "\0X: y",
        "\"X\": y",
        "X;Y: z",
        "GET / HTTP/1.1",
        "\x7f: y",
        "X@: y",
    ] {
        // The request line in there has a blank where its colon should be.
        let blank = bad.starts_with("GET ");
        field(bad, if blank { "reject space-before-colon 400" } else { BAD_NAME });
    }
    // RFC 9112 §5.1: must be refused, or a proxy that drops the line sees another request.
    for bad in ["X : y", "X\t: y", "Content-Length : 5", "Transfer-Encoding : chunked", "X "] {
        field(bad, "reject space-before-colon 400");
    }
}

#[test]
fn a_value_holds_no_control_octet_but_tab() {
    for fine in [&b"X: a\tb"[..], b"X: \x80\xff", b"X: ~!@#$%^&*()", b"X:\t \t", b"X: \"\\\r\""] {
        let expected = if fine.contains(&b'\r') { BARE_CR } else { FINE };
        field(fine, expected);
    }
    for octet in (0..b' ').chain([0x7f]) {
        let expected = match octet {
            b'\t' => FINE,
            b'\n' => "reject bare-line-feed 400",
            b'\r' => BARE_CR,
            _ => BAD_VALUE,
        };
        field([b"X: a", &[octet][..], b"b"].concat(), expected);
        // Also at the ends of a value, where white space would be cut off.
        if octet != b'\n' {
            field([b"X:", &[octet][..], b"b"].concat(), expected);
            field([b"X: b", &[octet][..]].concat(), expected);
        }
    }
}

#[test]
fn a_line_that_continues_another_is_refused() {
    field("X: y\r\n z", FOLDING);
    field("X: y\r\n\tz", FOLDING);
    field("X: y\r\n ", FOLDING);
    field("X: y\r\n Transfer-Encoding: chunked", FOLDING);
    // RFC 9112 §2.2: and so is white space before the first field.
    field(" X: y", FOLDING);
    field("\tX: y", FOLDING);
    field(" ", FOLDING);
}

#[test]
fn a_field_line_ends_in_cr_and_lf() {
    field("X: y\nZ: z", "reject bare-line-feed 400");
    field("X: y\r", BARE_CR);
    field("\r", BARE_CR);
    field("\rX: y", BARE_CR);
    field("X\r: y", BARE_CR);
    field("X: y\rZ: z", BARE_CR);
    check("GET / HTTP/1.1\r\nHost: a\r\n\n", "reject bare-line-feed 400");
    check("GET / HTTP/1.1\r\nHost: a\n\r\n", "reject bare-line-feed 400");
    check("GET / HTTP/1.1\r\nHost: a\r\n\r", "more");
}

/// What is first in the head is what is refused, whatever follows.
#[test]
fn the_first_fault_decides() {
    check("GET / HTTP/9.9\r\nX : y\r\n\r\n", "reject unsupported-version 505");
    check("GET / HTTP/1.1\r\nX : y\r\nY\r\n\r\n", "reject space-before-colon 400");
    check("GET / HTTP/1.1\r\nY\r\nX : y\r\n\r\n", BAD_NAME);
    // But for bare line feeds, which are seen before the head is complete.
    check("GET / HTTP/9.9\r\nX: y\n", "reject bare-line-feed 400");
}

#[test]
fn fields_are_found_by_name_in_their_order() {
    let text = b"\r\nGET / HTTP/1.1\r\nHost:  a\t\r\nX:\r\nx: 1, \"a,b\" ,, 2\r\nY: \xff\r\n\r\n";
    let head = RequestHead::parse(text, &Limits::default()).expect("a head that is fine");
    let all: Vec<_> = head.fields.iter().collect();
    let expected: [(&str, &[u8]); 4] =
        [("Host", b"a"), ("X", b""), ("x", b"1, \"a,b\" ,, 2"), ("Y", b"\xff")];
    assert_eq!(all, expected);
    assert_eq!((head.fields.len(), head.fields.is_empty()), (4, false));
    assert_eq!(head.fields.first("X"), Some(&b""[..]));
    assert_eq!(head.fields.single("x"), None);
    assert_eq!(head.fields.single("hOST"), Some(&b"a"[..]));
    assert_eq!(head.fields.first("absent"), None);
    let elements: Vec<_> = head.fields.elements("x").collect();
    assert_eq!(elements, [&b"1"[..], b"\"a,b\"", b"2"]);
    assert_eq!(head.line, b"GET / HTTP/1.1");
    assert_eq!(head.octets(), &text[2..]);
    assert_eq!(head.authority(), Some("a"));
}

#[test]
fn a_head_alone_is_parsed_if_it_is_exactly_one() {
    let parse = |text: &[u8]| RequestHead::parse(text, &Limits::default()).map(|_| ());
    assert_eq!(parse(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"), Ok(()));
    assert_eq!(parse(b""), Err(Reject::IncompleteHead));
    assert_eq!(parse(b"GET / HTTP/1.1\r\nHost: a\r\n\r"), Err(Reject::IncompleteHead));
    assert_eq!(parse(b"GET / HTTP/1.1\r\nHost: a\r\n\r\nx"), Err(Reject::IncompleteHead));
    assert_eq!(parse(b"GET / HTTP/1.1\r\n\r\n"), Err(Reject::MissingHost));
}
