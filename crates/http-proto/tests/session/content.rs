//! Content: wanted, unwanted, refused, malformed, and never complete.

use std::time::Duration;

use crate::talk::{Talk, check};

/// The most content that is read although nobody wants it.
const UNWANTED: usize = 64 * 1024;

/// A request with content of a known length.
fn sized(method: &str, path: &str, content: &str) -> String {
    let length = content.len();
    format!("{method} {path} HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n{content}")
}

/// A request with chunked content, up to where the chunks begin.
fn chunked(method: &str, path: &str, chunks: &str) -> String {
    format!("{method} {path} HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n{chunks}")
}

const NEXT: &str = "GET /now HTTP/1.1\r\nHost: a\r\n\r\n";
const NOW: &str = "200 \"now\"";
const NOTED: &str = "GET /now HTTP/1.1 200 3";

/// Whole and in pieces: for what is too long for every split.
#[track_caller]
fn check_long(input: &str, answers: &str, notes: &str, waits: &str) {
    for size in [usize::MAX, 10_007, 1_009] {
        let mut talk = Talk::new();
        for piece in input.as_bytes().chunks(size) {
            talk.say(piece);
        }
        assert_eq!(talk.answers(), answers, "in pieces of {size}");
        assert_eq!(talk.notes(), notes, "in pieces of {size}");
        assert_eq!(talk.waits(), waits, "in pieces of {size}");
    }
}

#[test]
fn an_upload_is_answered_when_it_is_complete() {
    check(
        [&sized("PUT", "/put", "hello"), NEXT].concat(),
        &format!("201 \"hello\" | {NOW}"),
        &format!("PUT /put HTTP/1.1 201 5 | {NOTED}"),
        "idle",
    );
    check(
        [&chunked("POST", "/put", "2\r\nhe\r\n3;x\r\nllo\r\n0\r\nX: y\r\n\r\n"), NEXT].concat(),
        &format!("201 \"hello\" | {NOW}"),
        &format!("POST /put HTTP/1.1 201 5 | {NOTED}"),
        "idle",
    );
    check(sized("PUT", "/put", ""), "201", "PUT /put HTTP/1.1 201 0", "idle");
    check(chunked("PUT", "/put", "0\r\n\r\n"), "201", "PUT /put HTTP/1.1 201 0", "idle");
    let long = "x".repeat(300_000);
    check_long(
        &[&sized("PUT", "/put", &long), NEXT].concat(),
        &format!("201 300000 octets | {NOW}"),
        &format!("PUT /put HTTP/1.1 201 300000 | {NOTED}"),
        "idle",
    );
}

#[test]
fn an_upload_never_gathers_more_than_about_a_piece() {
    let mut talk = Talk::new();
    let long = "x".repeat(200_000);
    talk.say_only(sized("PUT", "/put", "")).block(Duration::ZERO);
    talk.run();
    talk.answers();
    let request = sized("PUT", "/put", &long);
    let (head, _) = request.split_at(request.len() - long.len());
    talk.say(head);
    let mut trips = 0;
    for piece in long.as_bytes().chunks(1000) {
        talk.say_only(piece);
        if talk.waits() == "long-pool" {
            trips += 1;
            talk.block(Duration::ZERO);
        }
    }
    talk.run();
    assert_eq!(talk.answers(), "201 200000 octets");
    assert_eq!(trips, 4, "three pieces of 64 KiB and the rest");
}

#[test]
fn content_that_a_method_has_no_use_for_is_read_before_the_answer() {
    for method in ["GET", "HEAD", "DELETE", "OPTIONS", "TRACE"] {
        let shown = if method == "HEAD" { "(3)" } else { "\"now\"" };
        let sent = if method == "HEAD" { 0 } else { 3 };
        check(
            [&sized(method, "/now", "hello"), NEXT].concat(),
            &format!("200 {shown} | {NOW}"),
            &format!("{method} /now HTTP/1.1 200 {sent} | {NOTED}"),
            "idle",
        );
    }
    check(
        [&chunked("GET", "/pool", "5\r\nhello\r\n0\r\n\r\n"), NEXT].concat(),
        &format!("200 \"pool\" | {NOW}"),
        &format!("GET /pool HTTP/1.1 200 4 | {NOTED}"),
        "idle",
    );
    // It is no request of its own.
    check(sized("GET", "/pool", NEXT), "200 \"pool\"", "GET /pool HTTP/1.1 200 4", "idle");
}

/// A handler that asks for content which has been thrown away gets none - and not the next request.
#[test]
fn content_thrown_away_is_not_received_later() {
    for method in ["GET", "DELETE", "OPTIONS"] {
        check(
            [&sized(method, "/put", "hello"), &sized("PUT", "/put", "abc"), NEXT].concat(),
            &format!("201 | 201 \"abc\" | {NOW}"),
            &format!("{method} /put HTTP/1.1 201 0 | PUT /put HTTP/1.1 201 3 | {NOTED}"),
            "idle",
        );
    }
}

#[test]
fn unwanted_content_has_a_bound() {
    let answers = format!("200 \"now\" | {NOW}");
    let notes = format!("GET /now HTTP/1.1 200 3 | {NOTED}");
    let full = "x".repeat(UNWANTED);
    check_long(&[&sized("GET", "/now", &full), NEXT].concat(), &answers, &notes, "idle");
    let chunks = format!("{UNWANTED:x}\r\n{full}\r\n0\r\n\r\n");
    check_long(&[&chunked("GET", "/now", &chunks), NEXT].concat(), &answers, &notes, "idle");

    let refused = "GET /now HTTP/1.1 413 content-too-large page";
    let over = format!("{full}x");
    check_long(&[&sized("GET", "/now", &over), NEXT].concat(), "413 close page", refused, "linger");
    let chunks = format!("{:x}\r\n{over}\r\n0\r\n\r\n", UNWANTED + 1);
    check_long(&chunked("GET", "/now", &chunks), "413 close page", refused, "linger");
    let chunks = format!("{UNWANTED:x}\r\n{full}\r\n1\r\nx\r\n0\r\n\r\n");
    check_long(&chunked("GET", "/now", &chunks), "413 close page", refused, "linger");
}

#[test]
fn malformed_content_spoils_the_request_and_the_connection() {
    for (chunks, reason) in [
        ("x\r\n", "bad-chunk-size"),
        ("5\r\nhello!\r\n", "bad-chunk-end"),
        ("0\r\nX\r\n\r\n", "bad-trailer"),
        ("0\r\nHost: b\r\n\r\n", "forbidden-trailer"),
        ("1;\x01\r\n", "bad-chunk-extension"),
    ] {
        for method in ["GET", "HEAD", "PUT"] {
            let page = if method == "HEAD" { "(page)" } else { "page" };
            let sent = if method == "HEAD" { "0" } else { "page" };
            let forgotten = if method == "PUT" { "forgotten | " } else { "" };
            let input = [&chunked(method, "/put", chunks), NEXT].concat();
            let note = format!("{method} /put HTTP/1.1 400 {reason} {sent}");
            let mut talk = Talk::new();
            talk.say(&input);
            assert_eq!(talk.answers(), format!("400 close {page}"), "{method} {reason}");
            let notes = talk.notes();
            // An upload is forgotten before or after the record: either will do.
            assert!(notes.contains(&note), "{notes}");
            assert_eq!(notes.len(), note.len() + forgotten.len(), "{notes}");
            assert_eq!(talk.waits(), "linger");
            talk.say(NEXT).hang_up();
            assert_eq!((talk.answers(), talk.notes()), Default::default());
        }
    }
}

/// An answer given before the content: the rest is thrown away if it is known to be little.
#[test]
fn a_refused_upload_keeps_the_connection_if_the_rest_is_little() {
    for (path, reason) in [("/refuse", "refused"), ("/deny", "denied")] {
        let note = format!("PUT {path} HTTP/1.1 403 {reason} 2");
        check(
            [&sized("PUT", path, "hello"), NEXT].concat(),
            &format!("403 \"no\" | {NOW}"),
            &format!("{note} | {NOTED}"),
            "idle",
        );
        // Of a length that nobody has told: refused and told so. Nothing behind is ever read.
        check(
            [&chunked("PUT", path, "5\r\nhello\r\n0\r\n\r\n"), NEXT].concat(),
            "403 close \"no\"",
            &note,
            "linger",
        );
        let full = "x".repeat(UNWANTED);
        check_long(
            &[&sized("PUT", path, &full), NEXT].concat(),
            &format!("403 \"no\" | {NOW}"),
            &format!("{note} | {NOTED}"),
            "idle",
        );
        // Too long, as announced: refused and told so. Nothing behind is ever read.
        let over = format!("{full}x");
        let input = [&sized("PUT", path, &over), NEXT].concat();
        check_long(&input, "403 close \"no\"", &note, "linger");
        // Malformed, which nobody looks at any more: the request has had its answer, that the
        // connection ends with it has been said, and there is no second one.
        let input = [&chunked("PUT", path, "x\r\n"), NEXT].concat();
        check(input, "403 close \"no\"", &note, "linger");
    }
}

#[test]
fn an_upload_that_fails_half_way_ends_the_connection() {
    let note = "PUT /full HTTP/1.1 507 disk-full 4";
    // The first piece is all there is: the next request is where it should be.
    check(
        [&sized("PUT", "/full", "hello, world"), NEXT].concat(),
        &format!("507 \"full\" | {NOW}"),
        &format!("{note} | {NOTED}"),
        "idle",
    );
    let long = "x".repeat(200_000);
    check_long(
        &[&sized("PUT", "/full", &long), NEXT].concat(),
        "507 close \"full\"",
        note,
        "linger",
    );
    check(sized("PUT", "/full", "hello"), "201 \"hello\"", "PUT /full HTTP/1.1 201 5", "idle");
}

#[test]
fn content_that_stops_short_is_no_request() {
    let note = |method: &str| format!("{method} /put HTTP/1.1 400 incomplete-content page");
    for method in ["PUT", "GET"] {
        let short = [
            sized(method, "/put", "hello").replace("hello", "hel"),
            sized(method, "/put", "hello").replace("hello", ""),
            chunked(method, "/put", "5\r\nhel"),
            chunked(method, "/put", "5\r\nhello\r\n0\r\n"),
            chunked(method, "/put", ""),
        ];
        for input in short {
            let mut talk = Talk::new();
            talk.say(&input).hang_up();
            assert_eq!(talk.answers(), "400 close page", "{input}");
            let notes = talk.notes();
            assert!(notes.contains(&note(method)), "{input}: {notes}");
            assert_eq!(notes.contains("forgotten"), method == "PUT", "{input}: {notes}");
            assert_eq!(talk.waits(), "linger");
        }
    }
    // Answered before: nothing more is said.
    let mut talk = Talk::new();
    talk.say(sized("PUT", "/refuse", "hello").replace("hello", "hel")).hang_up();
    assert_eq!(talk.answers(), "403 \"no\"");
    assert_eq!(talk.notes(), "PUT /refuse HTTP/1.1 403 refused 2");
    assert_eq!(talk.waits(), "linger");
}

#[test]
fn content_over_the_limit_is_refused_at_the_head_or_at_the_chunk() {
    let over = "POST /put HTTP/1.1\r\nHost: a\r\nContent-Length: 1073741825\r\n\r\n";
    let note = "POST /put HTTP/1.1 413 content-too-large page";
    check(over, "413 close page", &format!("? {note}"), "linger");
    let mut talk = Talk::new();
    talk.say(chunked("POST", "/put", "5\r\nhello\r\n40000000\r\n"));
    assert_eq!(talk.answers(), "413 close page");
    assert!(talk.notes().contains(note));
    assert_eq!(talk.waits(), "linger");
}
