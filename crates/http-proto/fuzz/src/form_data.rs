//! Forms: however they are cut, the parts are those that a slow reading finds.

use http_proto::form_data::{Boundary, Limits, Malformed, boundary};

use super::form_peer;
use super::form_play::{self, Ending, Told, Transcript};

/// `data` is the value of a Content-Type field, a line feed, and content.
pub fn check(data: &[u8]) {
    let mut parts = data.splitn(2, |&b| b == b'\n');
    let (Some(value), Some(content)) = (parts.next(), parts.next()) else { return };
    let Some(Ok(boundary)) = boundary(value) else { return };
    for limits in limits() {
        let whole = form_play::play(&boundary, &limits, content, []);
        let octets = form_play::play(&boundary, &limits, content, 1..content.len());
        assert_eq!(whole, octets, "at once, and octet by octet");
        let pieces = form_play::play(&boundary, &limits, content, cuts(content.len()));
        assert_eq!(whole, pieces, "at once, and piece by piece");
        check_reading(&whole, &read(&boundary, &limits, content));
    }
    form_peer::check(&boundary, content);
}

/// The defaults, and bounds so narrow that short inputs run into them.
fn limits() -> [Limits; 2] {
    [Limits::default(), Limits { parts: 2, part_head_bytes: 80, name_bytes: 4 }]
}

/// Some places to cut at, in order; others for every length.
fn cuts(len: usize) -> Vec<usize> {
    let mut state = len as u64 | 1;
    let mut cuts = Vec::new();
    let mut at = 0;
    loop {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        at += (state >> 33) as usize % 23 + 1;
        if at >= len {
            return cuts;
        }
        cuts.push(at);
    }
}

/// How a slow reading ends.
#[derive(Debug, PartialEq, Eq)]
enum Read {
    Complete(usize),
    Incomplete,
    Refused(Malformed),
    /// Something in the head of a part.
    RefusedHead,
}

fn check_reading(told: &Transcript, read: &(Vec<Told>, Read)) {
    assert_eq!(told.parts, read.0, "{:?} and {:?}", told.ending, read.1);
    match (told.ending, &read.1) {
        (Ending::Complete(taken), Read::Complete(end)) => assert_eq!(taken, *end),
        (Ending::NeedMore(_), Read::Incomplete) => {}
        (Ending::Refused(malformed), Read::Refused(other)) => assert_eq!(malformed, *other),
        (Ending::Refused(malformed), Read::RefusedHead) => check_head_reason(malformed),
        (told, read) => panic!("{told:?} and {read:?}"),
    }
}

/// A reason is one that the head of a part can give.
fn check_head_reason(malformed: Malformed) {
    let known = matches!(
        malformed,
        Malformed::BadFieldName
            | Malformed::ObsoleteFolding
            | Malformed::ControlOctet
            | Malformed::RepeatedField
            | Malformed::NoDisposition
            | Malformed::BadDisposition
            | Malformed::RepeatedParameter
            | Malformed::NoName
            | Malformed::NameTooLong
            | Malformed::TransferEncoded
    );
    assert!(known, "{malformed:?} for the head of a part");
}

/// Reads a form that is there as a whole, as one would by hand.
fn read(boundary: &Boundary, limits: &Limits, form: &[u8]) -> (Vec<Told>, Read) {
    let delimiter = [b"\r\n--", boundary.as_bytes()].concat();
    let dash_boundary = &delimiter[2..];
    let mut parts: Vec<Told> = Vec::new();
    let mut at = match (form.starts_with(dash_boundary), find(form, &delimiter)) {
        (true, _) => dash_boundary.len(),
        (false, Some(at)) => at + delimiter.len(),
        (false, None) => return (parts, Read::Incomplete),
    };
    loop {
        // Behind a boundary.
        let blanks = form[at..].iter().take_while(|&&b| b == b' ' || b == b'\t').count();
        let behind = &form[at + blanks..];
        let is_end = blanks == 0 && behind.starts_with(b"--");
        let end = match behind {
            _ if blanks > 80 => Some(Read::Refused(Malformed::PaddingTooLong)),
            _ if is_end => Some(Read::Complete(at + 2)),
            [] | [b'\r'] | [b'-'] => Some(Read::Incomplete),
            [b'\r', b'\n', ..] if parts.len() == limits.parts as usize => {
                Some(Read::Refused(Malformed::TooManyParts))
            }
            [b'\r', b'\n', ..] => None,
            _ => Some(Read::Refused(Malformed::BadDelimiter)),
        };
        if let Some(part) = parts.last_mut() {
            part.ended = is_end || end.is_none();
        }
        if let Some(end) = end {
            return (parts, end);
        }
        // The line end of the delimiter may be the first of the two that end a head.
        at += blanks;
        let max = usize::from(limits.part_head_bytes);
        let Some(head_len) = find(&form[at..], b"\r\n\r\n").filter(|len| len + 2 <= max) else {
            let is_over = form.len() - (at + 2) >= max;
            let refused = Read::Refused(Malformed::PartHeadTooLarge);
            return (parts, if is_over { refused } else { Read::Incomplete });
        };
        let Some(told) = read_head(&form[at + 2..at + head_len + 2], limits) else {
            return (parts, Read::RefusedHead);
        };
        parts.push(told);
        at += head_len + 4;

        let content = &form[at..];
        if content.starts_with(dash_boundary) {
            return (parts, Read::Refused(Malformed::DelimiterInHead));
        }
        let told = parts.last_mut().expect("one has just been pushed");
        match find(content, &delimiter) {
            Some(len) => {
                told.content = content[..len].to_vec();
                at += len + delimiter.len();
            }
            None => {
                let is_open = |len: &usize| content.ends_with(&delimiter[..*len]);
                let open = (0..delimiter.len()).rev().find(is_open).unwrap_or_default();
                let is_head_open = dash_boundary.starts_with(content);
                let clear = if is_head_open { 0 } else { content.len() - open };
                told.content = content[..clear].to_vec();
                return (parts, Read::Incomplete);
            }
        }
    }
}

fn find(octets: &[u8], what: &[u8]) -> Option<usize> {
    octets.windows(what.len()).position(|window| window == what)
}

/// The lines of a head, without the empty one.
fn read_head(head: &[u8], limits: &Limits) -> Option<Told> {
    let (mut disposition, mut content_type, mut encoding) = (vec![], vec![], vec![]);
    let mut rest = head;
    while let Some(end) = find(rest, b"\r\n") {
        let (line, behind) = (&rest[..end], &rest[end + 2..]);
        rest = behind;
        let colon = line.iter().position(|&b| b == b':')?;
        let (name, value) = (&line[..colon], line[colon + 1..].trim_ascii());
        let is_sane = !name.is_empty()
            && name.iter().all(|&b| is_token_octet(b))
            && line.iter().all(|&b| b == b'\t' || !b.is_ascii_control());
        if !is_sane {
            return None;
        }
        match name.to_ascii_lowercase().as_slice() {
            b"content-disposition" => disposition.push(value),
            b"content-type" => content_type.push(value),
            b"content-transfer-encoding" => encoding.push(value.to_ascii_lowercase()),
            _ => {}
        }
    }
    let encodings = [&b"7bit"[..], b"8bit", b"binary"];
    let [disposition] = disposition[..] else { return None };
    if content_type.len() > 1
        || encoding.len() > 1
        || encoding.iter().any(|each| !encodings.contains(&each.as_slice()))
    {
        return None;
    }
    let (name, filename) = read_names(disposition)?;
    let is_long = |text: &Vec<u8>| text.len() > usize::from(limits.name_bytes);
    if is_long(&name) || filename.as_ref().is_some_and(is_long) {
        return None;
    }
    let content_type = content_type.first().map(|value| value.to_vec());
    Some(Told { name, filename, content_type, content: Vec::new(), ended: false })
}

/// Name and filename: the text is cut at the semicolons outside of quotes, and each piece at `=`.
fn read_names(disposition: &[u8]) -> Option<(Vec<u8>, Option<Vec<u8>>)> {
    let mut pieces = vec![Vec::new()];
    let (mut is_quoted, mut is_escaped) = (false, false);
    for (at, &b) in disposition.iter().enumerate() {
        let escapes = matches!(disposition.get(at + 1), Some(b'"' | b'\\'));
        match b {
            _ if is_escaped => is_escaped = false,
            b'\\' if is_quoted => is_escaped = escapes,
            b'"' => is_quoted = !is_quoted,
            b';' if !is_quoted => {
                pieces.push(Vec::new());
                continue;
            }
            _ => {}
        }
        pieces.last_mut()?.push(b);
    }
    if is_quoted || !pieces.remove(0).trim_ascii().eq_ignore_ascii_case(b"form-data") {
        return None;
    }
    let (mut name, mut filename) = (Vec::new(), Vec::new());
    for piece in pieces.iter().map(|piece| piece.trim_ascii()).filter(|piece| !piece.is_empty()) {
        let equals = piece.iter().position(|&b| b == b'=')?;
        let (key, value) = (&piece[..equals], &piece[equals + 1..]);
        let is_token = |text: &[u8]| !text.is_empty() && text.iter().all(|&b| is_token_octet(b));
        let value = match value {
            [b'"', quoted @ .., b'"'] => meant(quoted)?,
            _ if is_token(value) => value.to_vec(),
            _ => return None,
        };
        if !is_token(key) {
            return None;
        }
        match key.to_ascii_lowercase().as_slice() {
            b"name" => name.push(value),
            b"filename" => filename.push(value),
            _ => {}
        }
    }
    if filename.len() > 1 || name.len() != 1 {
        return None;
    }
    Some((name.remove(0), filename.pop()))
}

/// The text with its escapes undone; `None` when there is a quote that is not escaped.
fn meant(quoted: &[u8]) -> Option<Vec<u8>> {
    let mut meant = Vec::new();
    let mut at = 0;
    while at < quoted.len() {
        let (octet, len) = match &quoted[at..] {
            [b'"', ..] => return None,
            [b'\\', octet @ (b'"' | b'\\'), ..] => (*octet, 2),
            text if text.starts_with(b"%22") => (b'"', 3),
            text if text.starts_with(b"%0D") => (b'\r', 3),
            text if text.starts_with(b"%0A") => (b'\n', 3),
            text => (text[0], 1),
        };
        meant.push(octet);
        at += len;
    }
    Some(meant)
}

/// `tchar` as RFC 9110 §5.6.2 spells it.
fn is_token_octet(b: u8) -> bool {
    b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b)
}
