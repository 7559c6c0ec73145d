//! Responses: their order, their content, what is recorded of them.

use std::time::Duration;

use crate::desk::{BULKY, EDGE, LONG};
use crate::talk::{Talk, check};

/// A request without content, HTTP/1.1.
fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n")
}

fn head(path: &str) -> String {
    format!("HEAD {path} HTTP/1.1\r\nHost: a\r\n\r\n")
}

#[test]
fn requests_are_answered_in_their_order_wherever_the_answer_comes_from() {
    check(get("/now"), "200 \"now\"", "GET /now HTTP/1.1 200 3", "idle");
    check(get("/pool"), "200 \"pool\"", "GET /pool HTTP/1.1 200 4", "idle");
    check(get("/none-such"), "404 \"?\"", "GET /none-such HTTP/1.1 404 not-found 1", "idle");
    check(
        [get("/pool"), get("/now"), get("/file"), get("/empty"), get("/pool")].concat(),
        "200 \"pool\" | 200 \"now\" | 200 \"package\" | 200 | 200 \"pool\"",
        "GET /pool HTTP/1.1 200 4 | GET /now HTTP/1.1 200 3 | GET /file HTTP/1.1 200 7 | \
         GET /empty HTTP/1.1 200 0 | GET /pool HTTP/1.1 200 4",
        "idle",
    );
}

#[test]
fn head_is_get_without_the_content() {
    check(
        [head("/now"), get("/now"), head("/pool"), head("/file"), head("/empty")].concat(),
        "200 (3) | 200 \"now\" | 200 (4) | 200 (7) | 200",
        "HEAD /now HTTP/1.1 200 0 | GET /now HTTP/1.1 200 3 | HEAD /pool HTTP/1.1 200 0 | \
         HEAD /file HTTP/1.1 200 0 | HEAD /empty HTTP/1.1 200 0",
        "idle",
    );
    check(head("/long"), "200 (100000)", "HEAD /long HTTP/1.1 200 0", "idle");
    check(head("/none"), "204", "HEAD /none HTTP/1.1 204 0", "idle");
    check(head("/x"), "404 (1)", "HEAD /x HTTP/1.1 404 not-found 0", "idle");
}

#[test]
fn statuses_without_content_have_none_and_no_length() {
    check(
        [get("/none"), get("/same"), get("/now")].concat(),
        "204 | 304 | 200 \"now\"",
        "GET /none HTTP/1.1 204 0 | GET /same HTTP/1.1 304 0 | GET /now HTTP/1.1 200 3",
        "idle",
    );
}

#[test]
fn an_old_client_is_kept_if_it_asks_and_told_so() {
    let old = |fields: &str| format!("GET /now HTTP/1.0\r\n{fields}\r\n");
    let note = "GET /now HTTP/1.0 200 3";
    check(old(""), "200 close \"now\"", note, "close");
    check(old("Connection: keep-alive\r\n"), "200 keep-alive \"now\"", note, "idle");
    check(old("Connection: keep-alive, close\r\n"), "200 close \"now\"", note, "close");
    check(
        [old("Connection: keep-alive\r\n"), old("")].concat(),
        "200 keep-alive \"now\" | 200 close \"now\"",
        &[note; 2].join(" | "),
        "close",
    );
}

#[test]
fn a_long_response_is_recorded_when_it_has_gone() {
    let mut talk = Talk::new();
    talk.say_only([get("/long"), get("/now")].concat());
    assert_eq!((talk.waits(), talk.notes().as_str()), ("drain", ""));
    talk.now.instant += Duration::from_secs(5);
    talk.run();
    assert_eq!(talk.answers(), "200 100000 octets | 200 \"now\"");
    assert_eq!(talk.notes(), "GET /long HTTP/1.1 200 100000 | GET /now HTTP/1.1 200 3");
    assert_eq!(talk.waits(), "idle");
}

#[test]
fn what_a_long_response_lacks_when_it_is_cut_is_not_recorded_as_sent() {
    let long = LONG as u64;
    // The last number is more than its content: the head did not go out either.
    for (unsent, sent) in [(0, long), (1, long - 1), (long, 0), (long + 100, 0)] {
        let mut talk = Talk::new();
        talk.say_only([get("/now"), get("/long"), get("/now")].concat()).cut(unsent);
        let expected = format!("GET /now HTTP/1.1 200 3 | GET /long HTTP/1.1 200 {sent}");
        assert_eq!(talk.notes(), expected, "{unsent} unsent");
    }
    let mut talk = Talk::new();
    talk.say_only(get("/file")).block(Duration::ZERO).cut(2);
    assert_eq!(talk.notes(), "GET /file HTTP/1.1 200 5");
}

#[test]
fn a_connection_cut_between_responses_has_nothing_more_to_record() {
    let mut talk = Talk::new();
    talk.say(get("/long"));
    assert_eq!(talk.notes(), "GET /long HTTP/1.1 200 100000");
    talk.cut(0);
    assert_eq!(talk.notes(), "");

    let mut talk = Talk::new();
    talk.say_only(get("/edge"));
    assert_eq!(talk.notes(), format!("GET /edge HTTP/1.1 200 {EDGE}"), "short enough");
    talk.cut(EDGE as u64);
    assert_eq!(talk.notes(), "");
}

#[test]
fn small_responses_are_gathered_up_to_a_bound() {
    let mut talk = Talk::new();
    talk.say(get("/now").repeat(100));
    assert_eq!(talk.drained, [], "a few kilobytes go out at once");
    assert_eq!(talk.notes().matches(" 200 3").count(), 100);

    let mut talk = Talk::new();
    let one = get("/bulky");
    talk.say_only(one.repeat(5));
    assert_eq!(talk.waits(), "drain");
    talk.run();
    assert_eq!(talk.answers(), ["200 40000 octets"; 5].join(" | "));
    assert_eq!(talk.drained.len(), 2, "two, two and one");
    assert!(talk.drained.iter().all(|&octets| octets < 3 * BULKY as u64), "{:?}", talk.drained);
}

#[test]
fn a_record_knows_when_and_how_long() {
    use http_proto::server::{Answer, Exchange, Handler, Http, Request, Response};
    use tcp_core::{Accepted, Input, Now, Output, Service, Session, Wait};

    struct Slow;
    impl Handler for Slow {
        fn answer(&self, request: &Request<'_>) -> Answer {
            assert_eq!(request.now, std::time::UNIX_EPOCH);
            Response::text(http_proto::Status::OK, "x").into()
        }
        fn record(&self, exchange: &Exchange<'_>) {
            assert_eq!(exchange.at, std::time::UNIX_EPOCH);
            assert_eq!(exchange.duration, Duration::from_secs(3));
            assert_eq!((exchange.peer.port(), exchange.worker), (1000, 7));
            let head = exchange.head.expect("a head that was fine");
            assert_eq!((exchange.line, head.line), (&b"GET / HTTP/1.1"[..], exchange.line));
        }
    }
    let accepted = Accepted { peer: ([0; 4], 1000).into(), local: ([0; 4], 80).into(), worker: 7 };
    let mut session = Http::new(Slow).open(&accepted);
    let now = |seconds| Now {
        instant: start() + Duration::from_secs(seconds),
        wall: std::time::UNIX_EPOCH + Duration::from_secs(seconds),
        stopping: false,
    };
    let text = get("/");
    let mut input = Input::new(text.as_bytes(), false);
    let mut output = Output::default();
    assert_eq!(session.advance(now(0), &mut input, &mut output), Wait::Pool);
    session.block();
    let (since, deadline) = (now(3).instant, now(63).instant);
    assert_eq!(session.advance(now(3), &mut input, &mut output), Wait::Idle { since, deadline });
}

/// A worker that closed it could have to wait.
#[test]
fn content_of_which_nothing_is_sent_stays_on_the_pool() {
    use http_proto::server::{Answer, Body, Handler, Http, Request, Response};
    use std::fs::File;
    use std::sync::{Arc, Mutex, Weak};
    use tcp_core::{Accepted, Input, Now, Output, Service, Session, Wait};

    struct Held(Arc<Mutex<Weak<File>>>);
    impl Handler for Held {
        fn answer(&self, request: &Request<'_>) -> Answer {
            let manifest = File::open(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml"));
            let file = Arc::new(manifest.expect("this crate has a manifest"));
            *self.0.lock().expect("no panic") = Arc::downgrade(&file);
            let range = if request.head.target.path() == Some("/empty") { 7..7 } else { 1..8 };
            Response::new(http_proto::Status::OK).body(Body::File(file, range)).into()
        }
    }
    for (text, length, held) in [(head("/file"), 7, 0), (get("/empty"), 0, 0), (get("/file"), 7, 1)]
    {
        let file = Arc::default();
        let accepted =
            Accepted { peer: ([0; 4], 1000).into(), local: ([0; 4], 80).into(), worker: 0 };
        let mut session = Http::new(Held(Arc::clone(&file))).open(&accepted);
        let now = Now { instant: start(), wall: std::time::UNIX_EPOCH, stopping: false };
        let (mut input, mut output) = (Input::new(text.as_bytes(), false), Output::default());
        assert_eq!(session.advance(now, &mut input, &mut output), Wait::Pool);
        session.block();
        assert_eq!(file.lock().expect("no panic").strong_count(), held, "{text}");
        session.advance(now, &mut input, &mut output);
        let sent = output.into_bytes().expect("it can be read");
        let sent = String::from_utf8(sent).expect("text");
        assert!(sent.contains(&format!("\r\nContent-Length: {length}\r\n")), "{sent}");
    }
}

/// One instant for all of a test.
fn start() -> std::time::Instant {
    static START: std::sync::OnceLock<std::time::Instant> = std::sync::OnceLock::new();
    *START.get_or_init(std::time::Instant::now)
}
