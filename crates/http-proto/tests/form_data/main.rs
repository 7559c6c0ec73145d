//! Forms, case by case and by the thousand, however they are cut.
// A test that fails should say where: unwrapping is how it does.
#![allow(clippy::unwrap_used)]

mod boundary;
mod cases;
mod generated;
mod names;
mod peer;

#[path = "../../fuzz/src/form_peer.rs"]
mod form_peer;
#[path = "../../fuzz/src/form_play.rs"]
mod form_play;

use form_play::{Ending, Told, Transcript, play};
use http_proto::form_data::{Boundary, Limits};

/// What is said of `form`, which is the same whole, octet by octet, at every split in two, and with
/// a tail behind its end.
#[track_caller]
fn replay(boundary: &Boundary, limits: &Limits, form: &[u8]) -> Transcript {
    let whole = play(boundary, limits, form, []);
    assert_eq!(whole, play(boundary, limits, form, 1..form.len()), "octet by octet");
    for cut in 0..=form.len() {
        assert_eq!(whole, play(boundary, limits, form, [cut]), "split at {cut}");
    }
    if let Ending::Complete(_) = whole.ending {
        let tail = [form, b"\r\n--B\r\n\r\n\0"].concat();
        assert_eq!(whole, play(boundary, limits, &tail, []), "with a tail");
    }
    whole
}

/// The octets that a text means: `\n` is CRLF, `␊` is LF, `␍` is CR and `␀` is NUL.
fn octets(text: &str) -> Vec<u8> {
    let text = text.replace('\n', "\r\n").replace('␊', "\n").replace('␍', "\r");
    text.replace('␀', "\0").into_bytes()
}

/// A form with the boundary `B`, written for [`octets`], and what is said of it: each part as
/// `name<filename>(type)=content`, with `...` when its end has not come, and then how it ends.
#[track_caller]
fn check(form: &str, expected: &str) {
    check_within(&Limits::default(), form, expected);
}

#[track_caller]
fn check_within(limits: &Limits, form: &str, expected: &str) {
    let boundary = Boundary::new(b"B").unwrap();
    let transcript = replay(&boundary, limits, &octets(form));
    assert_eq!(render(&transcript), expected, "{form}");
}

fn render(transcript: &Transcript) -> String {
    let mut lines: Vec<String> = transcript.parts.iter().map(render_part).collect();
    lines.push(match transcript.ending {
        Ending::Complete(_) => "end".to_owned(),
        Ending::NeedMore(_) => "incomplete".to_owned(),
        Ending::Refused(malformed) => malformed.to_string(),
    });
    lines.join(", ")
}

fn render_part(told: &Told) -> String {
    let mut text = told.name.escape_ascii().to_string();
    if let Some(filename) = &told.filename {
        text.push_str(&format!("<{}>", filename.escape_ascii()));
    }
    if let Some(content_type) = &told.content_type {
        text.push_str(&format!("({})", content_type.escape_ascii()));
    }
    text.push_str(&format!("={}", told.content.escape_ascii()));
    text.push_str(if told.ended { "" } else { "..." });
    text
}
