//! Plays octets to a [`Connection`] piece by piece and writes down what it says.
//!
//! On the way it checks what holds of every conversation: the order of the events, that they take
//! no more than was shown, and that after the last of them nothing comes but `Closed`.

use http_proto::{Connection, Event, Limits, Reject, RequestHead};

/// One request as the events told it.
#[derive(Debug)]
pub(crate) struct Told<'a> {
    pub(crate) head: RequestHead<'a>,
    /// Where in the input the head ended.
    pub(crate) head_end: usize,
    /// The pieces of its content, joined.
    pub(crate) content: Vec<u8>,
    /// Where in the input the request ended, if it did.
    pub(crate) end: Option<usize>,
}

/// How it went on after the last request that was told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// With all octets shown, more are needed; this many have been taken.
    NeedMore(usize),
    /// Nothing more is read; this many octets have been taken.
    Closed(usize),
    /// What comes next is refused.
    Refused(Reject),
}

/// All that a connection said of some octets.
#[derive(Debug)]
pub(crate) struct Transcript<'a> {
    pub(crate) requests: Vec<Told<'a>>,
    pub(crate) ending: Ending,
}

/// Shows the first `cuts[0]` octets of `wire`, then the first `cuts[1]`, and at last all of them.
pub(crate) fn play<'a>(
    wire: &'a [u8],
    cuts: impl IntoIterator<Item = usize>,
    limits: &Limits,
) -> Transcript<'a> {
    let mut connection = Connection::new();
    let mut requests = Vec::new();
    let mut taken = 0;
    for shown in cuts.into_iter().chain([wire.len()]) {
        loop {
            let input = &wire[taken..shown];
            let (consumed, event) = match connection.next(input, limits) {
                Ok(found) => found,
                Err(reject) => {
                    check_closed(&mut connection, wire, limits);
                    return Transcript { requests, ending: Ending::Refused(reject) };
                }
            };
            assert!(consumed <= input.len(), "no more is taken than was shown");
            taken += consumed;
            match event {
                Event::NeedMore => break,
                Event::Closed => {
                    assert_eq!(consumed, 0, "what is not read is not taken");
                    check_closed(&mut connection, wire, limits);
                    return Transcript { requests, ending: Ending::Closed(taken) };
                }
                event => write_down(&mut requests, event, taken),
            }
        }
    }
    let ending = Ending::NeedMore(taken);
    // Asked again without anything new, it says the same again.
    let again = connection.next(&wire[taken..], limits);
    assert!(matches!(again, Ok((0, Event::NeedMore))), "nothing new, but {again:?}");
    connection.close();
    check_closed(&mut connection, wire, limits);
    Transcript { requests, ending }
}

/// Takes note of an event, which must be one that may come after those before it.
fn write_down<'a>(requests: &mut Vec<Told<'a>>, event: Event<'a>, taken: usize) {
    let open = requests.last_mut().filter(|told| told.end.is_none());
    match (event, open) {
        (Event::Head(head), None) => {
            requests.push(Told { head, head_end: taken, content: Vec::new(), end: None });
        }
        (Event::Content(octets), Some(told)) => {
            assert!(!octets.is_empty(), "content is at least an octet");
            told.content.extend_from_slice(octets);
        }
        (Event::End, Some(told)) => told.end = Some(taken),
        (event, open) => panic!("{event:?} while the open request is {open:?}"),
    }
}

fn check_closed(connection: &mut Connection, wire: &[u8], limits: &Limits) {
    for input in [wire, b"", b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"] {
        let said = connection.next(input, limits);
        assert!(matches!(said, Ok((0, Event::Closed))), "closed, but {said:?}");
    }
}

/// Asserts that two tell the same. Only where content is cut may differ, and that is not kept.
#[track_caller]
pub(crate) fn assert_same(one: &Transcript<'_>, other: &Transcript<'_>, what: &str) {
    let same = one.ending == other.ending
        && one.requests.len() == other.requests.len()
        && one.requests.iter().zip(&other.requests).all(|(one, other)| {
            same_head(&one.head, &other.head)
                && (one.head_end, one.end) == (other.head_end, other.end)
                && one.content == other.content
        });
    assert!(same, "{what}\n one: {one:#?}\nother: {other:#?}");
}

/// Whether two heads say the same in every respect.
pub(crate) fn same_head(one: &RequestHead<'_>, other: &RequestHead<'_>) -> bool {
    one.octets() == other.octets() && one.line == other.line && same_meaning(one, other)
}

/// Whether two heads say the same, however they are spelled.
pub(crate) fn same_meaning(one: &RequestHead<'_>, other: &RequestHead<'_>) -> bool {
    (one.method, one.target, one.version) == (other.method, other.target, other.version)
        && (one.framing, one.persistent, one.expectation)
            == (other.framing, other.persistent, other.expectation)
        && one.fields.iter().eq(other.fields.iter())
        && one.authority() == other.authority()
}
