//! Content that is made while it is sent: framed in chunks, one piece at a time, whole or reset.

use std::time::Duration;

use crate::talk::{Talk, check};

const GET: &str = "GET /stream HTTP/1.1\r\nHost: a\r\n\r\n";
const CHUNKS: &str = "200 chunks \"one\" + \"two\" + \"three\" + end";
const NOTED: &str = "GET /stream HTTP/1.1 200 11";

/// RFC 9112 §7.1: a chunk for each piece, none for an empty one, which would end the content.
#[test]
fn each_piece_is_a_chunk() {
    check(GET, CHUNKS, NOTED, "idle");
    check([GET, GET].concat(), &[CHUNKS; 2].join(" | "), &[NOTED; 2].join(" | "), "idle");
    let nothing = GET.replace("/stream", "/nothing");
    check(nothing, "200 chunks end", "GET /nothing HTTP/1.1 200 0", "idle");
}

/// RFC 9112 §6.1: never to a client that has not said HTTP/1.1; §6.3: it reads until the end.
#[test]
fn to_http_1_0_the_content_ends_with_the_connection() {
    check(
        "GET /stream HTTP/1.0\r\n\r\n",
        "200 close until the end \"onetwothree\"",
        "GET /stream HTTP/1.0 200 11",
        "close",
    );
    // To keep the connection would hide where the content ends.
    check(
        "GET /stream HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
        "200 close until the end \"onetwothree\"",
        "GET /stream HTTP/1.0 200 11",
        "linger",
    );
}

#[test]
fn no_content_is_made_where_none_belongs() {
    let head = GET.replace("GET", "HEAD");
    let answers = ["200 chunks nothing", "200 \"now\""].join(" | ");
    let notes = "HEAD /stream HTTP/1.1 200 0 | GET /now HTTP/1.1 200 3";
    check([&head, "GET /now HTTP/1.1\r\nHost: a\r\n\r\n"].concat(), &answers, notes, "idle");
    let same = GET.replace("/stream", "/stream-same");
    check(same, "304", "GET /stream-same HTTP/1.1 304 0", "idle");
}

/// The client must not take what it has got for all there is.
#[test]
fn content_that_cannot_be_completed_resets_the_connection() {
    let mut talk = Talk::new();
    talk.say(GET.replace("/stream", "/broken"));
    assert_eq!(
        (talk.notes().as_str(), talk.waits()),
        ("GET /broken HTTP/1.1 200 content-failed 3", "abort")
    );
}

/// Memory that a slow client holds is that of one piece.
#[test]
fn the_next_piece_is_made_when_the_last_one_has_gone() {
    let mut talk = Talk::new();
    talk.say_only(GET);
    assert_eq!(talk.waits(), "pool");
    talk.block(Duration::ZERO);
    assert_eq!(talk.waits(), "drain", "one piece");
    talk.advance();
    assert_eq!(talk.waits(), "pool");
    // What was sent of it is known although it never ended.
    talk.cut(1);
    assert_eq!(talk.notes(), "GET /stream HTTP/1.1 200 2");
}
