//! How connections end: refusals, `close`, a client that hangs up, a server that stops.

use crate::talk::{Talk, check};

const GET: &str = "GET /now HTTP/1.1\r\nHost: a\r\n\r\n";
const CLOSE: &str = "GET /now HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
const NOW: &str = "200 \"now\"";
const NOW_CLOSE: &str = "200 close \"now\"";
const NOTED: &str = "GET /now HTTP/1.1 200 3";

/// RFC 9112 §9.6: a client that says `close` sends nothing more; if it does, it is not to be reset.
#[test]
fn close_is_answered_with_close() {
    check(CLOSE, NOW_CLOSE, NOTED, "close");
    check([CLOSE, GET].concat(), NOW_CLOSE, NOTED, "linger");
    check([GET, CLOSE].concat(), &[NOW, NOW_CLOSE].join(" | "), &[NOTED; 2].join(" | "), "close");
    let pool = CLOSE.replace("/now", "/pool");
    check(pool, "200 close \"pool\"", "GET /pool HTTP/1.1 200 4", "close");
    let long = CLOSE.replace("/now", "/long");
    let mut talk = Talk::new();
    talk.say(long);
    assert_eq!(talk.answers(), "200 close 100000 octets");
    assert_eq!((talk.notes().as_str(), talk.waits()), ("GET /long HTTP/1.1 200 100000", "close"));
    check(
        "PUT /put HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 5\r\n\r\nhello",
        "201 close \"hello\"",
        "PUT /put HTTP/1.1 201 5",
        "close",
    );
    // Content that is still to come when all is said must not meet a reset.
    check(
        "PUT /refuse HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 5\r\n\r\nhello",
        "403 close \"no\"",
        "PUT /refuse HTTP/1.1 403 refused 2",
        "linger",
    );
}

/// One for each kind of refusal; which head deserves which is the parser's business.
#[test]
fn a_refusal_is_answered_recorded_and_the_last() {
    for (head, status, note) in [
        ("GET / HTTP/1.1\r\n\r\n", 400, "GET / HTTP/1.1 400 missing-host"),
        ("GET / HTTP/3.0\r\n\r\n", 505, "GET / HTTP/3.0 505 unsupported-version"),
        ("GET / HTTP/1.1\nHost: a\n\n", 400, "GET / HTTP/1.1 400 bare-line-feed"),
        ("\r\nGET /\r\n\r\n", 400, "GET / 400 bad-request-line"),
        (
            "GET https://a/ HTTP/1.1\r\nHost: a\r\n\r\n",
            421,
            "GET https://a/ HTTP/1.1 421 https-target",
        ),
        (
            "GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: x, chunked\r\n\r\n",
            501,
            "GET / HTTP/1.1 501 unknown-coding",
        ),
    ] {
        let (answer, note) = (format!("{status} close page"), format!("? {note} page"));
        check(head, &answer, &note, "linger");
        check([head, GET, GET].concat(), &answer, &note, "linger");
        check(
            [GET, head, GET].concat(),
            &format!("{NOW} | {answer}"),
            &format!("{NOTED} | {note}"),
            "linger",
        );
    }
    // As much of the line as had come when it was refused.
    let mut talk = Talk::new();
    talk.say("\x16\x03\x01");
    assert_eq!(talk.answers(), "400 close page");
    assert_eq!(talk.notes(), "? \\x16\\x03\\x01 400 bad-method page");
    // Never more of it than a line may have.
    let mut talk = Talk::new();
    talk.say("A".repeat(10_000));
    assert_eq!(talk.answers(), "414 close page");
    let line = "A".repeat(8 * 1024);
    assert_eq!(talk.notes(), format!("? {line} 414 request-line-too-long page"));
    let mut talk = Talk::new();
    talk.say(format!("GET / HTTP/1.1\r\nX: {}", "y".repeat(20_000)));
    assert_eq!(talk.answers(), "431 close page");
    assert_eq!(talk.notes(), "? GET / HTTP/1.1 431 head-too-large page");
}

/// RFC 9110 §9.3.2: no content in an answer to HEAD, whatever else is wrong.
#[test]
fn a_refused_head_request_gets_no_content() {
    let note = "? HEAD / HTTP/1.1 400 missing-host 0";
    check("HEAD / HTTP/1.1\r\n\r\n", "400 close (page)", note, "linger");
    check("\r\nHEAD / HTTP/1.1\r\n\r\n", "400 close (page)", note, "linger");
    let bad = "HEAD /now HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nx";
    let note = "HEAD /now HTTP/1.1 400 bad-chunk-size 0";
    check(bad, "400 close (page)", note, "linger");
    check(format!("\r\n{bad}"), "400 close (page)", note, "linger");
    let note = "? HEADER / HTTP/1.1 400 missing-host page";
    check("HEADER / HTTP/1.1\r\n\r\n", "400 close page", note, "linger");
}

#[test]
fn a_client_that_hangs_up() {
    // Between requests: nothing to say. An empty line is no request (RFC 9112 §2.2).
    for nothing in ["", "\r", "\r\n"] {
        for before in ["", GET] {
            let mut talk = Talk::new();
            talk.say(before).say(nothing);
            talk.answers();
            talk.notes();
            talk.hang_up();
            assert_eq!((talk.answers(), talk.notes()), Default::default(), "{nothing:?}");
            assert_eq!(talk.waits(), "close");
        }
    }
    // Within a head: an incomplete request (§8).
    let mut talk = Talk::new();
    talk.say("GET / HT").hang_up();
    assert_eq!(talk.answers(), "400 close page");
    assert_eq!(talk.notes(), "? GET / HT 400 incomplete-head page");
    assert_eq!(talk.waits(), "linger");
    // Behind requests that have not been answered yet: they are (§9.6: that is no sign of
    // disinterest).
    let mut talk = Talk::new();
    talk.say_only([GET.replace("/now", "/pool").as_str(), GET].concat()).hang_up();
    talk.run();
    assert_eq!(talk.answers(), format!("200 \"pool\" | {NOW}"));
    assert_eq!(talk.notes(), format!("GET /pool HTTP/1.1 200 4 | {NOTED}"));
    assert_eq!(talk.waits(), "close");
}

#[test]
fn a_stop_ends_idle_connections_and_no_others() {
    for nothing in ["", "\r", "\r\n", GET] {
        let mut talk = Talk::new();
        talk.say(nothing);
        talk.answers();
        talk.stop();
        assert_eq!((talk.answers().as_str(), talk.waits()), ("", "close"), "{nothing:?}");
    }
    let mut talk = Talk::new();
    talk.say("GET /now HT").stop();
    assert_eq!((talk.answers().as_str(), talk.waits()), ("", "read"));
    talk.say("TP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(talk.answers(), NOW_CLOSE);
    let mut talk = Talk::new();
    talk.say("PUT /put HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhe").stop();
    assert_eq!((talk.answers().as_str(), talk.waits()), ("", "read"));
    talk.say("llo");
    assert_eq!(talk.answers(), "201 close \"hello\"");
    assert_eq!(talk.notes(), "PUT /put HTTP/1.1 201 5");
}

/// What is in the socket has been sent before the client could know of the stop.
#[test]
fn a_stop_looks_at_what_has_come_before_it_closes() {
    let mut talk = Talk::new();
    talk.say(GET);
    talk.answers();
    talk.now.stopping = true;
    talk.advance();
    assert_eq!((talk.waits(), talk.patience()), ("read", std::time::Duration::ZERO));
    talk.say(GET);
    assert_eq!(talk.answers(), NOW_CLOSE);
}

/// A client that has not said `close` may be sending its next request, and a reset would take the
/// last answer from it. It has to be told, and waited for.
#[test]
fn a_stop_does_not_reset_a_client_that_may_still_send() {
    for path in ["/now", "/pool", "/long", "/none"] {
        let mut talk = Talk::new();
        talk.now.stopping = true;
        talk.say(&GET[..10]).say(GET[10..].replace("/now", path));
        assert!(talk.answers().contains(" close"));
        assert_eq!(talk.waits(), "linger", "{path}");
    }
    let mut talk = Talk::new();
    talk.say("G");
    talk.now.stopping = true;
    talk.say(&CLOSE[1..]);
    assert_eq!((talk.answers().as_str(), talk.waits()), (NOW_CLOSE, "close"));
    let mut talk = Talk::new();
    talk.say("G");
    talk.now.stopping = true;
    talk.say(&[GET, GET].concat()[1..]);
    assert_eq!((talk.answers().as_str(), talk.waits()), (NOW_CLOSE, "linger"));
    assert_eq!(talk.notes(), NOTED);
}

#[test]
fn whoever_is_over_stays_over() {
    for last in [CLOSE, "GET / HTTP/1.1\r\n\r\n", "\x16"] {
        let mut talk = Talk::new();
        talk.say(last);
        talk.answers();
        talk.notes();
        for _ in 0..3 {
            talk.say_only(GET);
            talk.run();
            assert_eq!((talk.answers(), talk.notes()), Default::default());
            assert_eq!(talk.waits(), "linger");
        }
        talk.cut(0);
        assert_eq!(talk.notes(), "");
    }
}
