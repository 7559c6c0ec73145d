//! Several ranges at once: whoever reads the parts gets the octets that were asked for, in order.

use std::ops::Range;

use http_proto::range::{content_range, resolve};
use http_proto::{Byteranges, RangeRequest};

const BOUNDARY: &str = "0123456789abcdef";
const MEDIA_TYPE: &str = "text/plain; charset=utf-8";

/// `data` is the value of a Range field, a line feed, and a representation.
pub fn check(data: &[u8]) {
    let mut parts = data.splitn(2, |&b| b == b'\n');
    let (Some(value), Some(octets)) = (parts.next(), parts.next()) else { return };
    let holds_boundary = octets.windows(BOUNDARY.len()).any(|text| text == BOUNDARY.as_bytes());
    let len = octets.len() as u64;
    let RangeRequest::Many(ranges) = resolve(value, len, 16) else { return };
    if holds_boundary {
        return;
    }
    let plan = Byteranges::plan(&ranges, len, MEDIA_TYPE, BOUNDARY);
    assert_eq!(plan.content_type, format!("multipart/byteranges; boundary={BOUNDARY}"));
    let planned: Vec<&Range<u64>> = plan.parts.iter().map(|part| &part.range).collect();
    assert!(planned.iter().copied().eq(&ranges), "{planned:?} for {ranges:?}");

    let content = send(&plan, octets);
    let expected: Vec<(String, &[u8])> =
        ranges.iter().map(|range| (content_range(range, len), cut(octets, range))).collect();
    assert_eq!(receive(&content), Some(expected));
}

/// The content as it goes out.
fn send(plan: &Byteranges, octets: &[u8]) -> Vec<u8> {
    let mut content = Vec::new();
    for part in &plan.parts {
        content.extend_from_slice(&part.head);
        content.extend_from_slice(cut(octets, &part.range));
    }
    content.extend_from_slice(&plan.end);
    content
}

fn cut<'a>(octets: &'a [u8], range: &Range<u64>) -> &'a [u8] {
    let place = |at: u64| usize::try_from(at).expect("a range lies within the octets");
    &octets[place(range.start)..place(range.end)]
}

/// Content-Range and octets of every part, as a client finds them (RFC 2046 §5.1.1): a delimiter
/// is CRLF, two hyphens and the boundary; fields end with an empty line.
fn receive(content: &[u8]) -> Option<Vec<(String, &[u8])>> {
    let delimiter = format!("\r\n--{BOUNDARY}");
    let mut rest = content.strip_prefix(&delimiter.as_bytes()[2..])?;
    let mut parts = Vec::new();
    while rest != b"--\r\n" {
        let (fields, behind) = split_at(rest.strip_prefix(b"\r\n")?, b"\r\n\r\n")?;
        let fields = std::str::from_utf8(fields).ok()?;
        let [content_type, range] = fields.split("\r\n").collect::<Vec<_>>().try_into().ok()?;
        assert_eq!(content_type.strip_prefix("Content-Type: "), Some(MEDIA_TYPE));
        let (octets, behind) = split_at(behind, delimiter.as_bytes())?;
        parts.push((range.strip_prefix("Content-Range: ")?.to_owned(), octets));
        rest = behind;
    }
    Some(parts)
}

/// What is before the first `mark`, and what is behind it.
fn split_at<'a>(octets: &'a [u8], mark: &[u8]) -> Option<(&'a [u8], &'a [u8])> {
    let at = octets.windows(mark.len()).position(|window| window == mark)?;
    Some((&octets[..at], &octets[at + mark.len()..]))
}
