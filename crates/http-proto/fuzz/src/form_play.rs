//! Plays octets to a [`FormData`] piece by piece and writes down what it says.
//!
//! On the way it checks what holds of every form: the order of the events, that they take no more
//! than was shown, that little is left lying, and that nothing is told twice or out of place.

use http_proto::form_data::{Boundary, Event, FormData, Limits, Malformed, PartHead};

/// One part as the events told it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Told {
    pub(crate) name: Vec<u8>,
    pub(crate) filename: Option<Vec<u8>>,
    pub(crate) content_type: Option<Vec<u8>>,
    /// The pieces of its content, joined.
    pub(crate) content: Vec<u8>,
    pub(crate) ended: bool,
}

/// How it went on after the last part that was told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// The close delimiter came, this many octets into the form.
    Complete(usize),
    /// With all octets shown, more are needed; this many have been taken.
    NeedMore(usize),
    /// It is no form.
    Refused(Malformed),
}

/// All that was said of some octets.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Transcript {
    pub(crate) parts: Vec<Told>,
    pub(crate) ending: Ending,
}

/// Shows the first `cuts[0]` octets of `wire`, then the first `cuts[1]`, and at last all of them.
pub(crate) fn play(
    boundary: &Boundary,
    limits: &Limits,
    wire: &[u8],
    cuts: impl IntoIterator<Item = usize>,
) -> Transcript {
    let mut form = FormData::new(boundary.clone(), limits.clone());
    let mut parts: Vec<Told> = Vec::new();
    let mut taken = 0;
    for shown in cuts.into_iter().chain([wire.len()]) {
        loop {
            let input = &wire[taken..shown];
            let (consumed, event) = match form.next(input) {
                Ok(found) => found,
                Err(malformed) => {
                    check_refused(&mut form, malformed);
                    return Transcript { parts, ending: Ending::Refused(malformed) };
                }
            };
            assert!(consumed <= input.len(), "no more is taken than was shown");
            if let Event::Content(octets) = event {
                assert_eq!(octets.as_ptr(), input.as_ptr(), "content is told in order, once");
                assert!(octets.len() <= consumed, "what is told is taken");
            }
            taken += consumed;
            match event {
                Event::NeedMore => {
                    check_left(&form, boundary, &parts, input.len() - consumed);
                    break;
                }
                Event::End => {
                    assert!(parts.iter().all(|part| part.ended), "{parts:?}");
                    check_complete(&mut form, &wire[taken..]);
                    return Transcript { parts, ending: Ending::Complete(taken) };
                }
                event => {
                    assert!(consumed > 0, "{event:?} of nothing");
                    write_down(&mut parts, event);
                }
            }
        }
    }
    // Asked again without anything new, it says the same again.
    assert_eq!(form.next(&wire[taken..]), Ok((0, Event::NeedMore)));
    assert!(!form.is_complete());
    assert_eq!(form.finish(), Err(Malformed::Incomplete));
    Transcript { parts, ending: Ending::NeedMore(taken) }
}

/// Takes note of an event, which must be one that may come after those before it.
fn write_down(parts: &mut Vec<Told>, event: Event<'_>) {
    let open = parts.last_mut().filter(|told| !told.ended);
    match (event, open) {
        (Event::Part(PartHead { name, filename, content_type }), None) => parts.push(Told {
            name: name.into_owned(),
            filename: filename.map(|filename| filename.into_owned()),
            content_type: content_type.map(<[u8]>::to_vec),
            content: Vec::new(),
            ended: false,
        }),
        (Event::Content(octets), Some(told)) => {
            assert!(!octets.is_empty(), "content is at least an octet");
            told.content.extend_from_slice(octets);
        }
        (Event::PartEnd, Some(told)) => told.ended = true,
        (event, open) => panic!("{event:?} while the open part is {open:?}"),
    }
}

/// In content less than a delimiter is left lying, and elsewhere no more than is promised.
fn check_left(form: &FormData, boundary: &Boundary, parts: &[Told], left: usize) {
    let in_content = parts.last().is_some_and(|told| !told.ended);
    let max = match in_content {
        true => b"\r\n--".len() + boundary.as_bytes().len() - 1,
        false => form.unconsumed_bytes_max(),
    };
    assert!(left <= max, "{left} octets are left, of at most {max}");
}

/// What has ended says so, and takes whatever comes.
fn check_complete(form: &mut FormData, epilogue: &[u8]) {
    for octets in [epilogue, b"", b"\r\n--"] {
        assert!(form.is_complete());
        assert_eq!(form.finish(), Ok(()));
        assert_eq!(form.next(octets), Ok((octets.len(), Event::NeedMore)));
    }
}

/// What was refused stays so.
fn check_refused(form: &mut FormData, malformed: Malformed) {
    for octets in [&b""[..], b"\r\n--"] {
        assert!(!form.is_complete());
        assert_eq!(form.finish(), Err(malformed));
        assert_eq!(form.next(octets), Err(malformed));
    }
}
