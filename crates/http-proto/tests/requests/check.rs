//! Renders the events of a connection as short text, and replays a case in every way that must
//! make no difference.

use std::fmt::Write;

use http_proto::{
    Connection, Event, Expectation, Framing, Limits, Reject, RequestHead, Target, Version,
};

/// A request that is fine, to put in front of a case, and what is made of it.
const HARMLESS: &[u8] = b"GET /first HTTP/1.1\r\nHost: a\r\n\r\n";
const HARMLESS_EVENTS: &str = "GET /first HTTP/1.1 keep | end | ";
/// Octets behind a case that belong to nobody. Looking at them would be noticed: they are no HTTP.
const TAIL: &[u8] = b"\0\r\n\r\n";
/// Content longer than this is rendered as its length.
const CONTENT_SHOWN_MAX: usize = 40;

/// Checks the events of `input` within the default limits.
#[track_caller]
pub(crate) fn check(input: impl AsRef<[u8]>, expected: &str) {
    check_within(&Limits::default(), input, expected);
}

/// Checks the events of `input`, which must not depend on how it is split, on what came before it
/// or on what comes after it.
#[track_caller]
pub(crate) fn check_within(limits: &Limits, input: impl AsRef<[u8]>, expected: &str) {
    let input = input.as_ref();
    let whole = replay(limits, &[input]);
    assert_eq!(whole, expected, "whole: {}", input.escape_ascii());
    for at in 1..input.len() {
        let split = replay(limits, &[&input[..at], &input[at..]]);
        assert_eq!(split, expected, "split at {at}: {}", input.escape_ascii());
    }
    let octets: Vec<&[u8]> = input.chunks(1).collect();
    assert_eq!(replay(limits, &octets), expected, "by octets: {}", input.escape_ascii());

    let behind: Vec<&[u8]> = HARMLESS.chunks(1).chain(input.chunks(1)).collect();
    let expected_behind = format!("{HARMLESS_EVENTS}{expected}");
    assert_eq!(replay(limits, &behind), expected_behind, "behind a GET, by octets");
    let behind = [HARMLESS, input].concat();
    assert_eq!(replay(limits, &[&behind]), expected_behind, "behind a GET, whole");

    check_tail(limits, input, expected);
}

/// A case that is complete leaves what follows alone; a refused one is refused all the same.
#[track_caller]
fn check_tail(limits: &Limits, input: &[u8], expected: &str) {
    if expected.ends_with("more") {
        return;
    }
    let with_tail = [input, TAIL].concat();
    if expected.contains("reject") {
        assert_eq!(replay(limits, &[&with_tail]), expected, "with a tail");
        return;
    }
    for splits in [vec![&with_tail[..]], with_tail.chunks(1).collect()] {
        let mut reader = Reader::new(limits);
        reader.stop_after_ends = expected.matches("| end").count();
        splits.iter().for_each(|octets| reader.feed(octets));
        assert_eq!(reader.unread, TAIL, "the tail was touched: {}", with_tail.escape_ascii());
        assert_eq!(reader.finish(), expected, "with a tail");
    }
}

/// Feeds `pieces` to a new connection, one after the other; gives the events as text.
pub(crate) fn replay(limits: &Limits, pieces: &[&[u8]]) -> String {
    let mut reader = Reader::new(limits);
    pieces.iter().for_each(|octets| reader.feed(octets));
    reader.finish()
}

/// A connection and what a caller keeps beside it.
struct Reader<'l> {
    limits: &'l Limits,
    connection: Connection,
    /// Shown and not consumed, with what is still to be shown after an early stop.
    unread: Vec<u8>,
    events: Vec<String>,
    /// Content of the current request so far, pieces put together.
    content: Option<Vec<u8>>,
    /// A request has begun and not ended.
    open: bool,
    over: bool,
    stop_after_ends: usize,
    ends: usize,
}

impl<'l> Reader<'l> {
    fn new(limits: &'l Limits) -> Reader<'l> {
        Reader {
            limits,
            connection: Connection::new(),
            unread: Vec::new(),
            events: Vec::new(),
            content: None,
            open: false,
            over: false,
            stop_after_ends: usize::MAX,
            ends: 0,
        }
    }

    fn feed(&mut self, octets: &[u8]) {
        self.unread.extend_from_slice(octets);
        while !self.over && self.ends < self.stop_after_ends {
            match self.connection.next(&self.unread, self.limits) {
                Ok((consumed, event)) => {
                    let more = matches!(event, Event::NeedMore);
                    match event {
                        Event::NeedMore => {}
                        Event::Head(head) => {
                            assert!(!self.open, "a head within a request");
                            self.open = true;
                            self.events.push(render(&head));
                        }
                        Event::Content(content) => {
                            assert!(self.open && !content.is_empty(), "content out of place");
                            self.content.get_or_insert_default().extend_from_slice(content);
                        }
                        Event::End => {
                            assert!(self.open, "an end without a beginning");
                            self.open = false;
                            self.ends += 1;
                            self.flush_content();
                            self.events.push("end".into());
                        }
                        Event::Closed => {
                            assert_eq!(consumed, 0, "a closed connection consumes nothing");
                            assert!(!self.open, "closed within a request");
                            self.over = true;
                        }
                    }
                    self.unread.drain(..consumed);
                    if more {
                        return;
                    }
                }
                Err(reject) => self.refuse(reject),
            }
        }
    }

    fn refuse(&mut self, reject: Reject) {
        self.flush_content();
        self.events.push(format!("reject {} {}", reject.reason(), reject.status().code()));
        self.over = true;
        self.open = false;
        for input in [&b""[..], &self.unread, HARMLESS] {
            let after = self.connection.next(input, self.limits);
            assert!(matches!(after, Ok((0, Event::Closed))), "{after:?} after a refusal");
        }
    }

    fn flush_content(&mut self) {
        if let Some(content) = self.content.take() {
            self.events.push(match content.len() {
                0..=CONTENT_SHOWN_MAX => format!("\"{}\"", content.escape_ascii()),
                octets => format!("{octets} octets"),
            });
        }
    }

    fn finish(mut self) -> String {
        self.flush_content();
        let stopped = self.over || self.ends == self.stop_after_ends;
        if !stopped && (self.open || !self.unread.is_empty()) {
            self.events.push("more".into());
        }
        self.events.join(" | ")
    }
}

fn render(head: &RequestHead<'_>) -> String {
    let mut text = format!("{} ", head.method.as_str());
    match head.target {
        Target::Origin { path, query } => {
            text.push_str(path);
            query.iter().for_each(|query| write!(text, "?{query}").expect("a String takes all"));
        }
        Target::Absolute { scheme, authority, path, query } => {
            write!(text, "({scheme})({authority}){path}").expect("a String takes all");
            query.iter().for_each(|query| write!(text, "?{query}").expect("a String takes all"));
        }
        Target::Authority(authority) => text.push_str(authority),
        Target::Asterisk => text.push('*'),
    }
    text.push_str(match head.version {
        Version::Http10 => " HTTP/1.0",
        Version::Http11 => " HTTP/1.1",
    });
    text.push_str(if head.persistent { " keep" } else { " close" });
    match head.framing {
        Framing::Empty => {}
        Framing::Length(length) => write!(text, " length {length}").expect("a String takes all"),
        Framing::Chunked => text.push_str(" chunked"),
    }
    text.push_str(match head.expectation {
        Expectation::None => "",
        Expectation::Continue => " expect",
        Expectation::Unknown => " expect-unknown",
    });
    text
}
