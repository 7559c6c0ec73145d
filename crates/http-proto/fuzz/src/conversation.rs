//! Whole conversations: the events do not depend on how the octets were split.

use http_proto::{Framing, Limits, Reject, RequestHead};

use super::chunked::{self, Read, Trailers};
use super::limits;
use super::play::{self, Ending, Told, Transcript};

/// Where one piece ends and the next begins. It is not itself sent: a control octet, so that
/// what is lost by it is little, and one that can be seen in a file.
const CUT: u8 = 0x1e;

/// `data` is what a client sends, in the pieces that RECORD SEPARATOR octets divide it into.
pub fn check(data: &[u8]) {
    let wire: Vec<u8> = data.iter().copied().filter(|&b| b != CUT).collect();
    let cuts: Vec<usize> = data
        .iter()
        .enumerate()
        .filter(|(_, b)| **b == CUT)
        .enumerate()
        .map(|(cuts_before, (at, _))| at - cuts_before)
        .collect();
    for limits in limits::sets() {
        let whole = play::play(&wire, [], &limits);
        let pieces = play::play(&wire, cuts.iter().copied(), &limits);
        play::assert_same(&whole, &pieces, "at once, and in pieces");
        let octets = play::play(&wire, 1..wire.len(), &limits);
        play::assert_same(&whole, &octets, "at once, and octet by octet");
        check_expected(&whole, &expected(&wire, &limits));
    }
}

/// What the conversation is when heads and bodies are cut out by hand, one after the other.
fn expected<'a>(wire: &'a [u8], limits: &Limits) -> Transcript<'a> {
    let mut requests = Vec::new();
    let mut at = 0;
    loop {
        let (head, head_end) = match cut_head(&wire[at..], limits) {
            Ok(Some((head, len))) => (head, at + len),
            Ok(None) => return Transcript { requests, ending: Ending::NeedMore(at) },
            Err(reject) => return Transcript { requests, ending: Ending::Refused(reject) },
        };
        let persistent = head.persistent;
        let rest = &wire[head_end..];
        let (content, taken, refused) = match head.framing {
            Framing::Empty => (Vec::new(), Some(0), None),
            Framing::Length(length) if length > limits.content_bytes => {
                let ending = Ending::Refused(Reject::ContentTooLarge);
                return Transcript { requests, ending };
            }
            Framing::Length(length) => {
                let length = usize::try_from(length).unwrap_or(usize::MAX);
                let there = length.min(rest.len());
                (rest[..there].to_vec(), (there == length).then_some(there), None)
            }
            Framing::Chunked => match chunked::read(rest, &Trailers::of(&head), limits) {
                Read::Complete { content, taken } => (content, Some(taken), None),
                Read::Incomplete { content } => (content, None, None),
                Read::Refused => (Vec::new(), None, Some(Reject::BadChunkSize)),
            },
        };
        let end = taken.map(|taken| head_end + taken);
        requests.push(Told { head, head_end, content, end });
        match (end, refused) {
            (Some(end), _) if persistent => at = end,
            (Some(end), _) => return Transcript { requests, ending: Ending::Closed(end) },
            (None, Some(reject)) => {
                return Transcript { requests, ending: Ending::Refused(reject) };
            }
            (None, None) => {
                return Transcript { requests, ending: Ending::NeedMore(wire.len()) };
            }
        }
    }
}

/// The head at the front of `wire`, and its length: tried at every line end.
fn cut_head<'a>(
    wire: &'a [u8],
    limits: &Limits,
) -> Result<Option<(RequestHead<'a>, usize)>, Reject> {
    let line_ends = wire.iter().enumerate().filter(|(_, b)| **b == b'\n').map(|(at, _)| at + 1);
    for end in line_ends.chain([wire.len()]) {
        match RequestHead::parse(&wire[..end], limits) {
            Ok(head) => return Ok(Some((head, end))),
            Err(Reject::IncompleteHead) => {}
            Err(reject) => return Err(reject),
        }
    }
    Ok(None)
}

/// Compares with what was expected. Of a chunked body that is not complete, or is refused, the
/// slow reading knows less: not the reason, and not how many of its octets were taken.
fn check_expected(whole: &Transcript<'_>, expected: &Transcript<'_>) {
    assert_eq!(whole.requests.len(), expected.requests.len(), "{whole:#?}\n{expected:#?}");
    let in_chunks = |transcript: &Transcript<'_>| {
        let open = transcript.requests.last().filter(|told| told.end.is_none());
        open.is_some_and(|told| told.head.framing == Framing::Chunked)
    };
    assert_eq!(in_chunks(whole), in_chunks(expected), "{whole:#?}\n{expected:#?}");
    for (one, other) in whole.requests.iter().zip(&expected.requests) {
        let same = play::same_head(&one.head, &other.head)
            && (one.head_end, one.end) == (other.head_end, other.end);
        assert!(same, "{one:#?}\n{other:#?}");
        let known = one.end.is_some() || !in_chunks(whole);
        assert!(!known || one.content == other.content, "{one:#?}\n{other:#?}");
    }
    match (whole.ending, expected.ending) {
        (Ending::NeedMore(_) | Ending::Refused(_), Ending::NeedMore(_)) if in_chunks(whole) => {}
        (Ending::Refused(_), Ending::Refused(_)) if in_chunks(whole) => {}
        (one, other) => assert_eq!(one, other, "{whole:#?}\n{expected:#?}"),
    }
}
