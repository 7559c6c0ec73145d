//! Chunked content: what the connection makes of it is what a slow reading of §7.1 makes of it.

use http_proto::{Limits, Reject, RequestHead};

use super::head::is_tchar;
use super::limits;
use super::play::{self, Ending};

/// `data` is what stands behind the head of a chunked request, and perhaps behind its end.
pub fn check(data: &[u8]) {
    for limits in limits::sets() {
        check_behind("", &Trailers::Any, data, &limits);
    }
    let names = vec![b"X".to_vec(), b"authorization".to_vec(), vec![b'y'; 65]];
    let announcement = format!("Trailer: x, Authorization\r\nTrailer: {}\r\n", "y".repeat(65));
    check_behind(&announcement, &Trailers::Announced(names), data, &Limits::default());
}

fn check_behind(announcement: &str, announced: &Trailers, data: &[u8], limits: &Limits) {
    let head =
        format!("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n{announcement}\r\n");
    let wire = [head.as_bytes(), data].concat();
    let whole = play::play(&wire, [], limits);
    let octets = play::play(&wire, 1..wire.len(), limits);
    play::assert_same(&whole, &octets, "at once, and octet by octet");
    let threes = play::play(&wire, (head.len()..wire.len()).step_by(3), limits);
    play::assert_same(&whole, &threes, "at once, and three by three");

    // A head that is over the limits is not what this is about.
    let Some(told) = whole.requests.first() else { return };
    match (read(data, announced, limits), told.end) {
        (Read::Complete { content, taken }, Some(end)) => {
            assert_eq!(end, head.len() + taken);
            assert_eq!(told.content, content);
        }
        (Read::Refused, None) => {
            assert!(matches!(whole.ending, Ending::Refused(_)), "{whole:?}");
        }
        // What no octet behind it can mend is refused before its line is complete.
        (Read::Incomplete { content }, None) => {
            assert!(!matches!(whole.ending, Ending::Closed(_)), "{whole:?}");
            assert_eq!(told.content, content);
        }
        (read, _) => panic!("{read:?}\n{whole:#?}"),
    }
    if let (Ending::Refused(reject), None) = (whole.ending, told.end) {
        check_reason(reject);
    }
}

/// A reason is one that chunks can give.
fn check_reason(reject: Reject) {
    let known = matches!(
        reject,
        Reject::BadChunkSize
            | Reject::ChunkExtensionsTooLong
            | Reject::BadChunkExtension
            | Reject::BadChunkEnd
            | Reject::BadTrailer
            | Reject::ForbiddenTrailer
            | Reject::UnannouncedTrailer
            | Reject::TrailersTooLarge
            | Reject::ContentTooLarge
    );
    assert!(known, "{reject:?} for chunked content");
}

/// Which trailer fields a request may have.
pub(crate) enum Trailers {
    /// It has no Trailer field.
    Any,
    /// Those that its Trailer field names.
    Announced(Vec<Vec<u8>>),
}

impl Trailers {
    pub(crate) fn of(head: &RequestHead<'_>) -> Trailers {
        match head.fields.first("trailer") {
            None => Trailers::Any,
            Some(_) => {
                Trailers::Announced(head.fields.elements("trailer").map(<[u8]>::to_vec).collect())
            }
        }
    }

    fn allow(&self, name: &[u8]) -> bool {
        match self {
            Trailers::Any => true,
            // Longer names are not kept, so that what was announced cannot be told.
            Trailers::Announced(names) => {
                name.len() <= 64 && names.iter().any(|each| each.eq_ignore_ascii_case(name))
            }
        }
    }
}

/// What a chunked body is.
#[derive(Debug)]
pub(crate) enum Read {
    /// All of it is there.
    Complete { content: Vec<u8>, taken: usize },
    /// More octets are needed to tell; this is the content so far.
    Incomplete { content: Vec<u8> },
    /// A line that is complete breaks the rules.
    Refused,
}

/// Reads `body` line by line, as one would by hand.
pub(crate) fn read(body: &[u8], announced: &Trailers, limits: &Limits) -> Read {
    let mut content = Vec::new();
    let mut rest = body;
    let mut total: u64 = 0;
    let mut extensions = 0;
    loop {
        let Some((line, behind)) = split_line(rest) else { return Read::Incomplete { content } };
        let Some((size, extension_bytes)) = size_line(line) else { return Read::Refused };
        rest = behind;
        extensions += extension_bytes;
        total = total.saturating_add(size);
        if extensions > 16 * 1024 || total > limits.content_bytes {
            return Read::Refused;
        }
        if size == 0 {
            break;
        }
        let there = usize::try_from(size).unwrap_or(usize::MAX).min(rest.len());
        content.extend_from_slice(&rest[..there]);
        rest = &rest[there..];
        if (there as u64) < size {
            return Read::Incomplete { content };
        }
        match rest {
            [b'\r', b'\n', behind @ ..] => rest = behind,
            [] | [b'\r'] => return Read::Incomplete { content },
            _ => return Read::Refused,
        }
    }
    match trailers(rest, announced, limits) {
        Ok(Some(behind)) => Read::Complete { content, taken: body.len() - behind.len() },
        Ok(None) => Read::Incomplete { content },
        Err(Refused) => Read::Refused,
    }
}

struct Refused;

/// The line in front of the first CRLF, and what is behind it.
fn split_line(octets: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = octets.windows(2).position(|two| two == b"\r\n")?;
    Some((&octets[..end], &octets[end + 2..]))
}

/// The size that a line announces, and how long its extensions are.
fn size_line(line: &[u8]) -> Option<(u64, usize)> {
    let text = std::str::from_utf8(line).ok();
    let semicolon = line.iter().position(|&b| b == b';');
    let extension = &line[semicolon.unwrap_or(line.len())..];
    if line.len() > 256 || !is_extensions(extension) {
        return None;
    }
    let mut digits = match semicolon {
        // What is not text may stand in an extension, not before it.
        Some(end) => std::str::from_utf8(&line[..end]).ok()?.trim_end_matches([' ', '\t']),
        None => text?,
    };
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
        return None;
    }
    digits = digits.trim_start_matches('0');
    let size = if digits.is_empty() { 0 } else { u64::from_str_radix(digits, 16).ok()? };
    Some((size, extension.len()))
}

/// `*( BWS ";" BWS token [ BWS "=" BWS ( token / quoted-string ) ] )`, from the first semicolon.
fn is_extensions(mut rest: &[u8]) -> bool {
    while let Some((b';', behind)) = rest.split_first() {
        let behind = skip(behind, is_blank);
        let after_name = skip(behind, is_tchar);
        if after_name.len() == behind.len() {
            return false;
        }
        rest = after_name;
        if let Some((b'=', value)) = skip(rest, is_blank).split_first() {
            let value = skip(value, is_blank);
            rest = match value {
                [b'"', quoted @ ..] => match behind_quote(quoted) {
                    Some(behind) => behind,
                    None => return false,
                },
                _ if skip(value, is_tchar).len() == value.len() => return false,
                _ => skip(value, is_tchar),
            };
        }
        let next = skip(rest, is_blank);
        // White space stands in front of another extension only.
        if next.is_empty() {
            return rest.is_empty();
        }
        rest = next;
    }
    rest.is_empty()
}

/// What follows the closing quote.
fn behind_quote(mut rest: &[u8]) -> Option<&[u8]> {
    loop {
        rest = match rest {
            [b'"', behind @ ..] => return Some(behind),
            [b'\\', b, behind @ ..] if is_text(*b) => behind,
            [b'\\', ..] => return None,
            [b, behind @ ..] if is_text(*b) => behind,
            _ => return None,
        };
    }
}

fn skip(octets: &[u8], which: impl Fn(u8) -> bool) -> &[u8] {
    let end = octets.iter().position(|&b| !which(b)).unwrap_or(octets.len());
    &octets[end..]
}

fn is_blank(b: u8) -> bool {
    b == b' ' || b == b'\t'
}

fn is_text(b: u8) -> bool {
    b == b'\t' || !b.is_ascii_control()
}

/// What is behind the trailer section, once it is complete.
fn trailers<'a>(
    section: &'a [u8],
    announced: &Trailers,
    limits: &Limits,
) -> Result<Option<&'a [u8]>, Refused> {
    const FORBIDDEN: [&str; 6] =
        ["authorization", "connection", "content-length", "host", "trailer", "transfer-encoding"];
    let mut rest = section;
    let mut lines = 0;
    while let Some((line, behind)) = split_line(rest) {
        rest = behind;
        // All but the very last octet is counted: by then it is over.
        let bytes = section.len() - rest.len();
        if bytes - usize::from(line.is_empty()) > usize::from(limits.head_bytes) {
            return Err(Refused);
        }
        if line.is_empty() {
            return Ok(Some(rest));
        }
        lines += 1;
        let colon = line.iter().position(|&b| b == b':').ok_or(Refused)?;
        let (name, value) = (&line[..colon], &line[colon + 1..]);
        let sane = !name.is_empty()
            && name.iter().all(|&b| is_tchar(b))
            && !value.iter().any(|&b| b != b'\t' && b.is_ascii_control());
        let forbidden = FORBIDDEN.iter().any(|each| name.eq_ignore_ascii_case(each.as_bytes()));
        let unwanted = forbidden || !announced.allow(name);
        if !sane || unwanted || lines > limits.field_lines.min(128) {
            return Err(Refused);
        }
    }
    Ok(None)
}
