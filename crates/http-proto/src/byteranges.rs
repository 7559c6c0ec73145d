//! Plans a `multipart/byteranges` content, so that its parts can be sent from where they lie.

use std::ops::Range;

use crate::range;

/// One part of a plan: what stands before the octets, and which octets follow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// Delimiter and fields, up to and with the empty line.
    pub head: Vec<u8>,
    /// Octets of the representation.
    pub range: Range<u64>,
}

/// A `multipart/byteranges` content (RFC 9110 §14.6): parts, in the order that was asked for, and
/// an end. Its length is known before anything of it is read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Byteranges {
    /// The parts in order.
    pub parts: Vec<Part>,
    /// What stands behind the last part.
    pub end: Vec<u8>,
    /// Value of the Content-Type field.
    pub content_type: String,
}

impl Byteranges {
    /// Plans `ranges` of a representation of `length` octets and type `media_type`.
    ///
    /// `boundary` must not occur in the representation; one that nobody can guess does not, but
    /// by an accident of 1 in 2^64. It holds only letters and digits, 70 at most (RFC 2046 §5.1.1).
    pub fn plan(
        ranges: &[Range<u64>],
        length: u64,
        media_type: &str,
        boundary: &str,
    ) -> Byteranges {
        let part = |(index, range): (usize, &Range<u64>)| {
            // The line end belongs to the delimiter (RFC 2046 §5.1.1); before the first there is
            // nothing to end.
            let line_end = if index == 0 { "" } else { "\r\n" };
            let content_range = range::content_range(range, length);
            let head = format!(
                "{line_end}--{boundary}\r\nContent-Type: {media_type}\r\n\
                 Content-Range: {content_range}\r\n\r\n"
            );
            Part { head: head.into_bytes(), range: range.clone() }
        };
        Byteranges {
            parts: ranges.iter().enumerate().map(part).collect(),
            end: format!("\r\n--{boundary}--\r\n").into_bytes(),
            content_type: format!("multipart/byteranges; boundary={boundary}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_stand_between_delimiters_in_the_order_asked_for() {
        let plan = Byteranges::plan(&[5..7, 0..1], 10, "text/plain", "B");
        let mut content = String::new();
        for part in &plan.parts {
            content.push_str(std::str::from_utf8(&part.head).unwrap());
            content.push_str(&"0123456789"[part.range.start as usize..part.range.end as usize]);
        }
        content.push_str(std::str::from_utf8(&plan.end).unwrap());
        assert_eq!(
            content,
            "--B\r\nContent-Type: text/plain\r\nContent-Range: bytes 5-6/10\r\n\r\n56\r\n\
             --B\r\nContent-Type: text/plain\r\nContent-Range: bytes 0-0/10\r\n\r\n0\r\n--B--\r\n"
        );
        assert_eq!(plan.content_type, "multipart/byteranges; boundary=B");
    }
}
