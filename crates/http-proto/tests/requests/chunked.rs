//! Chunked content (RFC 9112 §7.1), octet for octet.

use http_proto::Limits;

use crate::check::{check, check_within, replay};

const HEAD: &str = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
const BEGUN: &str = "POST / HTTP/1.1 keep chunked | ";

/// What is made of octets behind a head that says chunked.
#[track_caller]
fn chunks(octets: impl AsRef<[u8]>, expected: &str) {
    chunks_within(&Limits::default(), octets, expected);
}

#[track_caller]
fn chunks_within(limits: &Limits, octets: impl AsRef<[u8]>, expected: &str) {
    let all = [HEAD.as_bytes(), octets.as_ref()].concat();
    check_within(limits, all, &format!("{BEGUN}{expected}"));
}

const BAD_SIZE: &str = "reject bad-chunk-size 400";
const BAD_EXTENSION: &str = "reject bad-chunk-extension 400";
const TOO_LONG: &str = "reject chunk-extensions-too-long 400";
const TOO_LARGE: &str = "reject content-too-large 413";

#[test]
fn chunks_are_put_together() {
    chunks("0\r\n\r\n", "end");
    chunks("5\r\nhello\r\n0\r\n\r\n", "\"hello\" | end");
    chunks("1\r\nh\r\n4\r\nello\r\n0\r\n\r\n", "\"hello\" | end");
    chunks("00005\r\nhello\r\n0000\r\n\r\n", "\"hello\" | end");
    chunks("a\r\n0123456789\r\nB\r\n01234567890\r\n0\r\n\r\n", "\"012345678901234567890\" | end");
    chunks("2\r\n\r\n\r\n0\r\n\r\n", "\"\\r\\n\" | end");
    chunks("5\r\n0\r\n\r\n\r\n0\r\n\r\n", "\"0\\r\\n\\r\\n\" | end");
    check(
        format!("{HEAD}1\r\na\r\n0\r\n\r\nGET /b HTTP/1.1\r\nHost: a\r\n\r\n"),
        &format!("{BEGUN}\"a\" | end | GET /b HTTP/1.1 keep | end"),
    );
}

#[test]
fn chunks_that_are_not_complete_are_waited_for() {
    for (octets, expected) in [
        ("", "more"),
        ("5", "more"),
        ("5\r", "more"),
        ("5\r\n", "more"),
        ("5;a", "more"),
        ("5\r\nhel", "\"hel\" | more"),
        ("5\r\nhello", "\"hello\" | more"),
        ("5\r\nhello\r", "\"hello\" | more"),
        ("5\r\nhello\r\n", "\"hello\" | more"),
        ("0\r\n", "more"),
        ("0\r\n\r", "more"),
        ("0\r\nX: y\r\n", "more"),
    ] {
        chunks(octets, expected);
    }
}

#[test]
fn a_size_is_hexadecimal_digits() {
    for bad in [
        "g", "-1", "+1", " 5", "0x5", "\t5", ";a", "\r\n", "\n", "5 ", "5 \r\n", "5\t\r\n", "5h",
        "5,5", "5.", "5_0", "\u{ff15}", "\"5\"", "5\r\r\n", "5\rh", "5 5", "5\0", "5\x0b",
    ] {
        chunks(format!("{bad}\r\nhello\r\n0\r\n\r\n"), BAD_SIZE);
    }
    chunks("5\nhello\n0\n\n", BAD_SIZE);
    chunks("5\r\nhello\r\n0\n\r\n", &format!("\"hello\" | {BAD_SIZE}"));
}

/// RFC 9112 §7.1: a recipient must not lose digits of a size.
#[test]
fn a_size_that_does_not_fit_is_refused() {
    chunks("ffffffffffffffff\r\n", TOO_LARGE);
    chunks("0000000000000000000000000005\r\nhello\r\n0\r\n\r\n", "\"hello\" | end");
    for bad in ["10000000000000000", "10000000000000005", "100000000000000000000000000000005"] {
        chunks(format!("{bad}\r\nhello"), BAD_SIZE);
    }
    let all = Limits { content_bytes: u64::MAX, ..Limits::default() };
    chunks_within(&all, "ffffffffffffffff\r\nhello", "\"hello\" | more");
}

#[test]
fn content_is_refused_where_a_size_takes_it_over_its_limit() {
    let ten = Limits { content_bytes: 10, ..Limits::default() };
    chunks_within(&ten, "a\r\n0123456789\r\n0\r\n\r\n", "\"0123456789\" | end");
    chunks_within(&ten, "b\r\n", TOO_LARGE);
    chunks_within(&ten, "9\r\n012345678\r\n1\r\n9\r\n0\r\n\r\n", "\"0123456789\" | end");
    chunks_within(&ten, "9\r\n012345678\r\n2\r\n", &format!("\"012345678\" | {TOO_LARGE}"));
    chunks_within(&ten, "1\r\n0\r\nffffffffffffffff\r\n", &format!("\"0\" | {TOO_LARGE}"));
    let none = Limits { content_bytes: 0, ..Limits::default() };
    chunks_within(&none, "0\r\n\r\n", "end");
    chunks_within(&none, "1\r\n", TOO_LARGE);
}

#[test]
fn a_chunk_ends_where_its_size_says() {
    for bad in [
        "5\r\nhello0\r\n\r\n",
        "5\r\nhello!\r\n",
        "5\r\nhello\n0\r\n\r\n",
        "5\r\nhello\rx",
        "5\r\nhello\r\r\n",
        "5\r\nhello \r\n",
    ] {
        chunks(bad, "\"hello\" | reject bad-chunk-end 400");
    }
    chunks("4\r\nhello\r\n0\r\n\r\n", "\"hell\" | reject bad-chunk-end 400");
}

/// RFC 9112 §7.1.1: extensions that are not known are ignored.
#[test]
fn extensions_are_ignored() {
    for extension in
        [";a", ";a=b", " ;a", "\t; a = b", ";a;b=\"c;d\"", ";a=\"\\\"\"", ";a=\"\u{e9}\t\""]
    {
        chunks(format!("5{extension}\r\nhello\r\n0{extension}\r\n\r\n"), "\"hello\" | end");
    }
    for bad in [
        ";a\n",
        ";a\0",
        ";a\x7f",
        ";\"a\nb\"",
        ";a\x0b",
        "; \x08",
        ";\r",
        ";;",
        ";a;\r",
        ";\u{e9}",
        ";a\t\r",
        ";a=\r",
        ";a=\"b\r",
        ";\\rx",
    ] {
        chunks(format!("5{bad}\r\nhello"), BAD_EXTENSION);
    }
    chunks("5;a\rb\r\nhello", BAD_SIZE);
    chunks("5;a=\"b\r\n\"\r\nhello\r\n", BAD_EXTENSION);
}

#[test]
fn a_size_line_has_its_bound() {
    let line = |octets: usize| format!("5;{}\r\nhello\r\n0\r\n\r\n", "a".repeat(octets - 2));
    chunks(line(256), "\"hello\" | end");
    chunks(line(257), TOO_LONG);
    let zeros = |octets: usize| format!("{:0>octets$}\r\nhello\r\n0\r\n\r\n", 5);
    chunks(zeros(256), "\"hello\" | end");
    chunks(zeros(257), TOO_LONG);
    let blanks = |octets: usize| format!("5{};a\r\nhello\r\n0\r\n\r\n", " ".repeat(octets - 3));
    chunks(blanks(256), "\"hello\" | end");
    chunks(blanks(257), TOO_LONG);
}

#[test]
fn all_extensions_together_have_their_bound() {
    // 128 chunks of an octet, with an extension of 128 octets each: 16 KiB.
    let chunk = format!("1;{}\r\nx\r\n", "a".repeat(127));
    let full = chunk.repeat(128);
    let limits = Limits::default();
    let whole = |octets: String| {
        let all = format!("{HEAD}{octets}");
        let whole = replay(&limits, &[all.as_bytes()]);
        let octets: Vec<&[u8]> = all.as_bytes().chunks(1).collect();
        assert_eq!(replay(&limits, &octets), whole);
        whole
    };
    assert_eq!(whole(format!("{full}0\r\n\r\n")), format!("{BEGUN}128 octets | end"));
    assert_eq!(whole(format!("{full}0;a\r\n\r\n")), format!("{BEGUN}128 octets | {TOO_LONG}"));
}

/// RFC 9110 §6.6.2: who announces trailers sends those.
#[test]
fn a_trailer_that_was_not_announced_is_refused_where_others_were() {
    let body = |trailers: &str| format!("0\r\n{trailers}\r\n");
    let check = |announced: &str, trailers: &str, expected: &str| {
        let head =
            format!("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n{announced}\r\n");
        super::check::check(format!("{head}{}", body(trailers)), &format!("{BEGUN}{expected}"));
    };
    check("Trailer: X\r\n", "x: y\r\n", "end");
    check("Trailer: A, X\r\nTrailer: B\r\n", "b: y\r\nx: y\r\n", "end");
    check("Trailer: X\r\n", "", "end");
    check("Trailer: X\r\n", "Y: y\r\n", "reject unannounced-trailer 400");
    check("Trailer:\r\n", "Y: y\r\n", "reject unannounced-trailer 400");
    check("Trailer: Host\r\n", "Host: y\r\n", "reject forbidden-trailer 400");
    check("", "Y: y\r\n", "end");
}

/// Trailer fields have the grammar of a head's, and are dropped (RFC 9110 §6.5.1).
#[test]
fn trailers_are_read_and_dropped() {
    for trailers in [
        "X: y\r\n",
        "X:\r\n",
        "X: y\r\nZ: \u{e9}\t\"\r\n",
        "Content-Lengthy: 5\r\n",
        "Transfer-Encodings: x\r\n",
        "Expires: x\r\n",
        "H: a\r\nost: b\r\n",
    ] {
        chunks(format!("0\r\n{trailers}\r\n"), "end");
    }
    for bad in [
        " X: y\r\n",
        "\tX: y\r\n",
        "X : y\r\n",
        "X\r\n",
        ": y\r\n",
        "X: y\n",
        "X: y\r\n z\r\n",
        "X: \0\r\n",
        "X: y\rZ: z\r\n",
        "\n",
        "\r\r\n",
        "X(: y\r\n",
        "X: \x7f\r\n",
        "\u{e9}: y\r\n",
        "GET / HTTP/1.1\r\n",
        "\rX",
    ] {
        chunks(format!("0\r\n{bad}\r\n"), "reject bad-trailer 400");
    }
}

#[test]
fn a_trailer_that_frames_or_routes_is_refused() {
    for bad in [
        "Content-Length: 5",
        "content-length:5",
        "Transfer-Encoding: chunked",
        "Host: b",
        "TRANSFER-ENCODING: x",
        "Connection: close",
        "Authorization: x",
        "Trailer: x",
    ] {
        chunks(format!("0\r\n{bad}\r\n\r\n"), "reject forbidden-trailer 400");
        chunks(format!("0\r\nX: y\r\n{bad}\r\n\r\n"), "reject forbidden-trailer 400");
    }
}

#[test]
fn trailers_have_the_bounds_of_a_head() {
    let limits = Limits { head_bytes: 80, field_lines: 3, ..Limits::default() };
    let over = "reject trailers-too-large 431";
    chunks_within(&limits, format!("0\r\n{}\r\n", "X:\r\n".repeat(3)), "end");
    chunks_within(&limits, format!("0\r\n{}\r\n", "X:\r\n".repeat(4)), over);
    // The first octet of the empty line counts, its last one does not: the section ends with it.
    let section = |octets: usize| format!("0\r\nX:{}\r\n\r\n", "y".repeat(octets - 5));
    chunks_within(&limits, section(80), "end");
    chunks_within(&limits, section(81), over);
}
