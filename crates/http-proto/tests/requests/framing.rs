//! How long content is (RFC 9112 §6): where smuggling is won or lost.

use crate::check::check;

/// Field lines of a POST, and octets behind its head.
#[track_caller]
fn post(fields: &str, content: &str, expected: &str) {
    check(format!("POST / HTTP/1.1\r\nHost: a\r\n{fields}\r\n\r\n{content}"), expected);
}

/// A field of a request that is refused for it, in either order with the others.
#[track_caller]
fn refused(fields: &str, expected: &str) {
    post(fields, "", expected);
    check(format!("GET / HTTP/1.1\r\n{fields}\r\nHost: a\r\n\r\n"), expected);
}

const FIVE: &str = "POST / HTTP/1.1 keep length 5 | \"hello\" | end";
const NOTHING: &str = "POST / HTTP/1.1 keep | end";
const BAD_LENGTH: &str = "reject bad-length 400";
const CONFLICT: &str = "reject conflicting-length 400";
const BAD_CODING: &str = "reject bad-coding 400";
const UNKNOWN_CODING: &str = "reject unknown-coding 501";
const BOTH: &str = "reject length-with-coding 400";

#[test]
fn a_length_is_digits() {
    post("Content-Length: 5", "hello", FIVE);
    post("content-length:5", "hello", FIVE);
    post("Content-Length: \t5 \t", "hello", FIVE);
    post("Content-Length: 0005", "hello", FIVE);
    post("Content-Length: 0", "", NOTHING);
    post("Content-Length: 000", "", NOTHING);
    post("X: y", "", NOTHING);
    post("Content-Length: 5", "hell", "POST / HTTP/1.1 keep length 5 | \"hell\" | more");
    post("Content-Length: 5", "", "POST / HTTP/1.1 keep length 5 | more");
    for bad in [
        "", "+5", "-5", "-0", "5.0", "5e0", "0x5", "5 5", "5;5", "\"5\"", "five", "5,", ",5",
        "5,,5", ",", "5\u{a0}", "\u{665}", "5 ,6 7", "5, x", "1_0",
    ] {
        refused(&format!("Content-Length: {bad}"), BAD_LENGTH);
    }
}

#[test]
fn a_length_too_large_for_64_bits_is_a_content_too_large() {
    let over = "reject content-too-large 413";
    refused("Content-Length: 1073741825", over);
    refused("Content-Length: 18446744073709551615", over);
    refused("Content-Length: 18446744073709551616", over);
    refused("Content-Length: 18446744073709551621", over);
    refused("Content-Length: 99999999999999999999999999", over);
}

/// RFC 9110 §8.6: equal values may be taken for one; everything else is refused.
#[test]
fn lengths_agree_or_are_refused() {
    post("Content-Length: 5, 5", "hello", FIVE);
    post("Content-Length: 5 ,\t5,5", "hello", FIVE);
    post("Content-Length: 5\r\nContent-Length: 5", "hello", FIVE);
    post("Content-Length: 0\r\nContent-Length: 0", "", NOTHING);
    for bad in [
        "5, 6",
        "6,5",
        "0, 5",
        "5, 0",
        "5\r\nContent-Length: 6",
        "0\r\nCONTENT-LENGTH: 5",
        "5\r\nX: y\r\nContent-Length: 4",
    ] {
        refused(&format!("Content-Length: {bad}"), CONFLICT);
    }
    refused("Content-Length: 5\r\nContent-Length:", BAD_LENGTH);
    refused("Content-Length:\r\nContent-Length: 5", BAD_LENGTH);
    refused("Content-Length: 5\r\nContent-Length: 5x", BAD_LENGTH);
}

/// A field that looks like a length to somebody, and is none.
#[test]
fn near_misses_of_a_length_are_other_fields_or_faults() {
    for other in ["Content-Lengt: 5", "X-Content-Length: 5", "Content-Length-: 5"] {
        post(other, "", NOTHING);
    }
    refused("content_LENGTH: 5", "reject underscored-framing 400");
    refused("Content-Length : 5", "reject space-before-colon 400");
    refused("Content-Length\t: 5", "reject space-before-colon 400");
    refused("Content-Length:\x0b5", "reject bad-field-value 400");
    refused("Content-Length: 5\r\n 6", "reject obsolete-folding 400");
    refused("\u{feff}Content-Length: 5", "reject bad-field-name 400");
}

#[test]
fn chunked_is_the_one_coding_understood() {
    let hello = "POST / HTTP/1.1 keep chunked | \"hello\" | end";
    let chunks = "5\r\nhello\r\n0\r\n\r\n";
    for fine in ["chunked", "Chunked", "CHUNKED", " \tchunked\t ", "chunked,", ", ,chunked"] {
        post(&format!("Transfer-Encoding: {fine}"), chunks, hello);
    }
    post("Transfer-Encoding:\r\ntransfer-encoding: chunked", chunks, hello);
    for unknown in [
        "gzip, chunked",
        "identity, chunked",
        "x;a=b,chunked",
        "chunked;a=b, chunked",
        "gzip\r\nTransfer-Encoding: chunked",
        "\"chunked\", chunked",
    ] {
        refused(&format!("Transfer-Encoding: {unknown}"), UNKNOWN_CODING);
    }
}

/// RFC 9112 §6.3: without chunked at the end nobody can say where the request ends.
#[test]
fn every_other_coding_is_refused() {
    for bad in [
        "",
        ",",
        "identity",
        "gzip",
        "chunked, gzip",
        "chunked, identity",
        "chunked, chunked",
        "chunked\r\nTransfer-Encoding: chunked",
        "chunked\r\nTransfer-Encoding: identity",
        "gzip, chunked, chunked",
        "chunked;q=1",
        "chunked;",
        "\"chunked\"",
        "'chunked'",
        "xchunked",
        "chunkedx",
        "chunked chunked",
        "chunked\t,x",
        "x chunked",
        "chunke",
        "(a)chunked",
        "\"a, chunked",
        "\\chunked",
        "chunked\u{a0}",
        "c\u{212a}",
    ] {
        refused(&format!("Transfer-Encoding: {bad}"), BAD_CODING);
    }
}

#[test]
fn near_misses_of_a_coding_are_other_fields_or_faults() {
    for other in [
        "X-Transfer-Encoding: chunked",
        "TE: chunked",
        "Transfer-Encodin: chunked",
        "Content-Encoding: chunked",
    ] {
        post(other, "", NOTHING);
    }
    refused("Transfer_Encoding: chunked", "reject underscored-framing 400");
    refused("Transfer-Encoding : chunked", "reject space-before-colon 400");
    refused("Transfer-Encoding:\x0bchunked", "reject bad-field-value 400");
    refused("Transfer-Encoding: chunked\0", "reject bad-field-value 400");
    refused("Transfer-Encoding:\r\n chunked", "reject obsolete-folding 400");
    refused("X: y\rTransfer-Encoding: chunked", "reject bare-carriage-return 400");
    refused("X: y\nTransfer-Encoding: chunked", "reject bare-line-feed 400");
}

/// RFC 9112 §6.1: whoever sends both is either wrong or up to something.
#[test]
fn a_length_and_a_coding_together_are_refused() {
    for fields in [
        "Content-Length: 5\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: chunked\r\nContent-Length: 5",
        "Transfer-Encoding: chunked\r\nContent-Length: 0",
        "Transfer-Encoding:\r\nContent-Length: 5",
        "Transfer-Encoding: identity\r\nContent-Length: 5",
        "Content-Length: 0\r\nTransfer-Encoding: x",
    ] {
        refused(fields, BOTH);
    }
    refused("Content-Length: x\r\nTransfer-Encoding: chunked", BAD_LENGTH);
}

#[test]
fn http_1_0_has_lengths_and_no_codings() {
    let post = |fields: &str, content: &str, expected: &str| {
        check(format!("POST / HTTP/1.0\r\n{fields}\r\n\r\n{content}"), expected);
    };
    post("Content-Length: 2", "hi", "POST / HTTP/1.0 close length 2 | \"hi\" | end");
    post("X: y", "", "POST / HTTP/1.0 close | end");
    let refused = "reject coding-in-http10 400";
    post("Transfer-Encoding: chunked", "", refused);
    post("Transfer-Encoding: identity", "", refused);
    post("Transfer-Encoding:", "", refused);
    post("Transfer-Encoding: chunked\r\nContent-Length: 2", "", refused);
}

/// Framing does not depend on the method: what one side takes for content is no request to the
/// other.
#[test]
fn any_method_may_have_content() {
    let smuggled = "GET /b HTTP/1.1\r\n\r\n";
    for method in ["GET", "HEAD", "DELETE", "OPTIONS", "TRACE", "NEW"] {
        let fields = format!("Host: a\r\nContent-Length: {}", smuggled.len());
        check(
            format!("{method} /a HTTP/1.1\r\n{fields}\r\n\r\n{smuggled}"),
            &format!("{method} /a HTTP/1.1 keep length 19 | \"GET /b HTTP/1.1\\r\\n\\r\\n\" | end"),
        );
    }
}

/// What stands far down counts as much as what stands on top: more lines than are kept in place.
#[test]
fn a_field_counts_wherever_it_stands() {
    const MANY: usize = 40;
    let at = |place: usize, field: &str| {
        let mut lines = vec!["X: y"; MANY];
        lines[place] = field;
        lines.join("\r\n")
    };
    for place in 0..MANY {
        post(&at(place, "Content-Length: 5"), "hello", FIVE);
        post(&at(place, "Transfer-Encoding: gzip, chunked"), "", UNKNOWN_CODING);
        post(&format!("Content-Length: 5\r\n{}", at(place, "Content-Length: 6")), "", CONFLICT);
        let both = format!("Content-Length: 5\r\n{}", at(place, "Transfer-Encoding: chunked"));
        post(&both, "", BOTH);
        let close =
            format!("GET / HTTP/1.1\r\n{}\r\nConnection: close\r\n\r\n", at(place, "Host: a"));
        check(close, "GET / HTTP/1.1 close | end");
        post(&at(place, "Host: b"), "", "reject repeated-host 400");
    }
}
