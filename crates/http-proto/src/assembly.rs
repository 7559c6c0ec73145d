//! Writes the head of a response.

use std::cell::RefCell;
use std::io::Write;

use crate::{FieldBlock, HttpDate, Status, Version};

/// What the head of a response says, besides its own fields.
#[derive(Clone, Copy, Debug)]
pub struct ResponseHead<'a> {
    /// The status.
    pub status: Status,
    /// Field lines of this response.
    pub fields: &'a FieldBlock,
    /// How the client knows where the content ends, also where the content itself is left out, as
    /// for HEAD (RFC 9110 §8.6).
    pub framing: ResponseFraming,
    /// What becomes of the connection.
    pub persistence: Persistence,
    /// For the Date field (RFC 9110 §6.6.1).
    pub date: HttpDate,
    /// For the Server field; empty to leave it out (RFC 9110 §10.2.4 warns of needless detail).
    pub server: &'a str,
}

/// How the end of a response's content is told (RFC 9112 §6.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResponseFraming {
    /// By no field: the status has no content, or the content ends with the connection.
    Unsaid,
    /// So many octets.
    Length(u64),
    /// By the last of its chunks: see [`write_chunk`] and [`LAST_CHUNK`]. Only for HTTP/1.1.
    Chunked,
}

/// What a response says of the connection (RFC 9112 §9.3, §9.6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Persistence {
    /// It stays open, and an HTTP/1.1 client knows without being told.
    Keep,
    /// It stays open, which an HTTP/1.0 client asked for and must be told.
    KeepAndSay,
    /// It closes after this response.
    Close,
}

impl Persistence {
    /// What to say to a client of `version` when the connection is to be kept, or not.
    pub fn of(version: Version, keep: bool) -> Persistence {
        match (keep, version) {
            (false, _) => Persistence::Close,
            (true, Version::Http10) => Persistence::KeepAndSay,
            (true, Version::Http11) => Persistence::Keep,
        }
    }
}

/// The interim response that lets a client send its content (RFC 9110 §15.2.1).
pub const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

impl ResponseHead<'_> {
    /// Appends the head to `out`, up to and with its empty line.
    pub fn write(&self, out: &mut Vec<u8>) {
        // Always 1.1, the highest version conformed to (RFC 9110 §6.2).
        out.extend_from_slice(b"HTTP/1.1 ");
        write_number(out, u64::from(self.status.code()));
        out.push(b' ');
        out.extend_from_slice(self.status.reason().as_bytes());
        out.extend_from_slice(b"\r\nDate: ");
        out.extend_from_slice(&date_text(self.date));
        if !self.server.is_empty() {
            out.extend_from_slice(b"\r\nServer: ");
            out.extend_from_slice(self.server.as_bytes());
        }
        out.extend_from_slice(b"\r\n");
        out.extend_from_slice(self.fields.as_bytes());
        match self.framing {
            ResponseFraming::Unsaid => {}
            ResponseFraming::Length(length) => {
                out.extend_from_slice(b"Content-Length: ");
                write_number(out, length);
                out.extend_from_slice(b"\r\n");
            }
            ResponseFraming::Chunked => out.extend_from_slice(b"Transfer-Encoding: chunked\r\n"),
        }
        out.extend_from_slice(match self.persistence {
            Persistence::Keep => b"\r\n",
            Persistence::KeepAndSay => b"Connection: keep-alive\r\n\r\n",
            Persistence::Close => b"Connection: close\r\n\r\n",
        });
    }
}

/// Appends `octets` to chunked content (RFC 9112 §7.1). No octets are no chunk: an empty one would
/// be the last.
pub fn write_chunk(out: &mut Vec<u8>, octets: &[u8]) {
    if octets.is_empty() {
        return;
    }
    // Writing into a Vec cannot fail.
    let _ = write!(out, "{:x}\r\n", octets.len());
    out.extend_from_slice(octets);
    out.extend_from_slice(b"\r\n");
}

/// What stands behind the last chunk of content, without trailers (RFC 9112 §7.1).
pub const LAST_CHUNK: &[u8] = b"0\r\n\r\n";

/// The date as text; the last one is kept for each thread, since all responses of a second share
/// it.
fn date_text(date: HttpDate) -> [u8; 29] {
    thread_local! {
        static LAST: RefCell<Option<(HttpDate, [u8; 29])>> = const { RefCell::new(None) };
    }
    LAST.with_borrow_mut(|last| match last {
        Some((known, text)) if *known == date => *text,
        _ => {
            let text = date.imf_fixdate();
            *last = Some((date, text));
            text
        }
    })
}

fn write_number(out: &mut Vec<u8>, number: u64) {
    // Writing into a Vec cannot fail.
    let _ = write!(out, "{number}");
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;

    fn check(persistence: Persistence, framing: ResponseFraming, expected: &str) {
        let mut fields = FieldBlock::default();
        fields.push("ETag", b"\"a\"");
        let date = HttpDate::from(UNIX_EPOCH + Duration::from_secs(784_111_777));
        let head = ResponseHead {
            status: Status::OK,
            fields: &fields,
            framing,
            persistence,
            date,
            server: "httpd",
        };
        let mut out = b"before".to_vec();
        head.write(&mut out);
        assert_eq!(String::from_utf8_lossy(&out), format!("before{expected}"));
    }

    #[test]
    fn a_head_is_its_status_line_its_fields_and_an_empty_line() {
        check(
            Persistence::Keep,
            ResponseFraming::Length(12),
            "HTTP/1.1 200 OK\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\nServer: httpd\r\n\
             ETag: \"a\"\r\nContent-Length: 12\r\n\r\n",
        );
        check(
            Persistence::Close,
            ResponseFraming::Unsaid,
            "HTTP/1.1 200 OK\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\nServer: httpd\r\n\
             ETag: \"a\"\r\nConnection: close\r\n\r\n",
        );
        check(
            Persistence::Keep,
            ResponseFraming::Chunked,
            "HTTP/1.1 200 OK\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\nServer: httpd\r\n\
             ETag: \"a\"\r\nTransfer-Encoding: chunked\r\n\r\n",
        );
    }

    #[test]
    fn a_chunk_is_its_size_and_its_octets_and_no_octets_are_no_chunk() {
        let mut out = Vec::new();
        write_chunk(&mut out, b"");
        write_chunk(&mut out, &[b'x'; 26]);
        out.extend_from_slice(LAST_CHUNK);
        assert_eq!(out, [b"1a\r\n", &[b'x'; 26][..], b"\r\n0\r\n\r\n"].concat());
    }
}
