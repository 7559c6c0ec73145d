//! Deadlines: each state that waits for the client has one, and says the right thing when it
//! passes.

use std::num::NonZeroU32;
use std::time::Duration;

use http_proto::server::Config;
use tcp_core::Pace;

use crate::talk::Talk;

const GET: &str = "GET /now HTTP/1.1\r\nHost: a\r\n\r\n";

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

#[test]
fn a_connection_on_which_nothing_comes_is_closed_silently() {
    let mut talk = Talk::new();
    assert_eq!(talk.patience(), seconds(10), "a new one owes its first octet");
    talk.later(seconds(10));
    assert_eq!((talk.answers().as_str(), talk.notes().as_str(), talk.waits()), ("", "", "close"));

    let mut talk = Talk::new();
    talk.later(seconds(3)).say(GET);
    assert_eq!(talk.answers(), "200 \"now\"");
    talk.notes();
    assert_eq!(talk.patience(), seconds(60), "an idle one has time");
    talk.later(seconds(40));
    assert_eq!(talk.patience(), seconds(20));
    // An empty line is no request, and no sign of one.
    for half in ["\r", "\n"] {
        talk.say(half);
        assert_eq!(talk.patience(), seconds(20));
    }
    talk.later(seconds(20));
    assert_eq!((talk.answers().as_str(), talk.notes().as_str(), talk.waits()), ("", "", "close"));
}

/// Who is idle may be closed before its time when the server is full.
#[test]
fn a_connection_is_idle_between_requests_and_before_the_first() {
    let mut talk = Talk::new();
    talk.later(seconds(3));
    assert_eq!(talk.idleness(), Some(seconds(3)));
    talk.say(GET);
    assert_eq!(talk.idleness(), Some(seconds(0)));
    // An empty line is no request, and makes nobody look busy.
    for nothing in ["\r", "\n"] {
        talk.later(seconds(2)).say(nothing);
    }
    assert_eq!(talk.idleness(), Some(seconds(4)));
    talk.say("G");
    assert_eq!((talk.idleness(), talk.waits()), (None, "read"));
    talk.say(&GET[1..]);
    assert_eq!(talk.idleness(), Some(seconds(0)));
    // Content that is still to be thrown away belongs to a request.
    talk.say("PUT /refuse HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhe");
    assert_eq!((talk.idleness(), talk.waits()), (None, "read"));
    talk.say("llo");
    assert_eq!(talk.idleness(), Some(seconds(0)));
}

#[test]
fn a_head_has_its_time_from_the_first_octet_however_it_drips() {
    for before in ["", GET] {
        let mut talk = Talk::new();
        talk.say(before);
        talk.answers();
        talk.notes();
        talk.later(seconds(7)).say("G");
        assert_eq!(talk.patience(), seconds(10));
        for octet in ["E", "T", " ", "/"] {
            talk.later(seconds(2)).say(octet);
        }
        assert_eq!(talk.patience(), seconds(2));
        talk.later(seconds(2));
        assert_eq!(talk.answers(), "408 close page");
        assert_eq!(talk.notes(), "?  408 head-timeout page");
        assert_eq!(talk.waits(), "linger");
        talk.say(" HTTP/1.1\r\nHost: a\r\n\r\n");
        assert_eq!((talk.answers(), talk.notes()), Default::default());
    }
}

#[test]
fn a_head_that_is_late_gets_content_only_if_it_may_ask_for_some() {
    for (head, page) in [("HEAD /now HT", "(page)"), ("HEAD ", "(page)"), ("HEA", "page")] {
        let mut talk = Talk::new();
        talk.say(head).later(seconds(10));
        assert_eq!(talk.answers(), format!("408 close {page}"), "{head}");
    }
}

#[test]
fn content_must_keep_its_pace() {
    let config = || Config {
        content_pace: Pace { stall: seconds(30), rate: 10, grace: seconds(15) },
        ..Config::default()
    };
    for (method, note) in [
        ("PUT", "PUT /put HTTP/1.1 408 content-timeout page"),
        ("GET", "GET /put HTTP/1.1 408 content-timeout page"),
        ("HEAD", "HEAD /put HTTP/1.1 408 content-timeout 0"),
    ] {
        let mut talk = Talk::with(config());
        talk.later(seconds(5));
        talk.say(format!("{method} /put HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\n"));
        assert_eq!(talk.patience(), seconds(15), "grace");
        talk.later(seconds(10)).say([b'x'; 50]);
        assert_eq!(talk.patience(), seconds(10), "five seconds earned");
        talk.say([b'x'; 850]);
        assert_eq!(talk.patience(), seconds(30), "but no more than a stall");
        talk.later(seconds(30));
        let page = if method == "HEAD" { "(page)" } else { "page" };
        assert_eq!(talk.answers(), format!("408 close {page}"));
        let notes = talk.notes();
        assert!(notes.contains(note), "{notes}");
        assert_eq!(notes.contains("forgotten"), method == "PUT", "{notes}");
        assert_eq!(talk.waits(), "linger");
    }
}

/// Size lines, extensions and trailers are no content: who drips them moves nothing.
#[test]
fn framing_does_not_count_as_content() {
    let mut talk = Talk::new();
    talk.say("PUT /put HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
    let patience = talk.patience();
    talk.later(seconds(1)).say("5;aaaa").later(seconds(1)).say("aaaa");
    assert_eq!(talk.patience() + seconds(2), patience);
}

#[test]
fn content_of_an_answered_request_must_come_in_time_too() {
    let mut talk = Talk::new();
    talk.say("PUT /refuse HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhe");
    assert_eq!(talk.answers(), "403 \"no\"");
    assert_eq!(talk.notes(), "PUT /refuse HTTP/1.1 403 refused 2");
    assert_eq!(talk.patience(), seconds(15));
    talk.later(seconds(15));
    assert_eq!((talk.answers(), talk.notes()), Default::default(), "it has had its answer");
    assert_eq!(talk.waits(), "linger");
}

/// A disk that takes its time is not the client's fault.
#[test]
fn time_on_the_pool_is_not_the_clients() {
    let mut talk = Talk::new();
    talk.say("PUT /put HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n");
    let early = talk.patience();
    talk.later(seconds(5)).say_only(vec![b'x'; 70_000]).block(seconds(120));
    assert_eq!(talk.waits(), "read");
    assert_eq!(talk.patience(), seconds(30), "a whole stall, as if there had been no pool");
    assert!(early > seconds(0));
    talk.say(vec![b'x'; 30_000]);
    assert_eq!(talk.answers(), "201 100000 octets");

    let mut talk = Talk::new();
    talk.say_only("PUT /put HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n").block(seconds(120));
    assert_eq!(talk.patience(), early);
}

#[test]
fn deadlines_are_configured() {
    let config = Config { head_timeout: seconds(1), idle_timeout: seconds(2), ..Config::default() };
    let mut talk = Talk::with(config);
    assert_eq!(talk.patience(), seconds(1));
    talk.say(GET);
    assert_eq!(talk.patience(), seconds(2));
    talk.say("G");
    assert_eq!(talk.patience(), seconds(1));
}

/// Five seconds' worth at once, and then so many a second, whoever answers and whatever comes with
/// the request.
#[test]
fn who_asks_too_often_is_told_429_and_may_ask_again_later() {
    let rate_per_address = NonZeroU32::new(1);
    let mut talk = Talk::with(Config { rate_per_address, ..Config::default() });
    for path in ["/now", "/pool", "/now", "/none-such", "/now"] {
        talk.say(GET.replace("/now", path));
        assert!(!talk.answers().contains("429"), "{path}");
    }
    talk.notes();
    talk.say(GET);
    assert_eq!(talk.answers(), "429 page");
    assert_eq!(talk.notes(), "GET /now HTTP/1.1 429 address-rate page");
    talk.say("PUT /put HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello");
    assert_eq!(talk.answers(), "429 page");
    assert_eq!(talk.idleness(), Some(seconds(0)), "the connection goes on");
    talk.later(seconds(1)).say([GET, GET].concat());
    assert_eq!(talk.answers(), "200 \"now\" | 429 page");
}
