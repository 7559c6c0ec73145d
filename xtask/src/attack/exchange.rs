//! One request and its answer, and how exactly a connection came to its end if there was none.

use std::cmp::Ordering;
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::Result;

/// No connect, read or write waits longer unless it is said.
const WAIT_MAX: Duration = Duration::from_secs(15);
/// How long a reset may take to follow the end of a connection over loopback.
const RESET_MAX: Duration = Duration::from_millis(50);
/// The most that an answer's head may take.
const HEAD_BYTES_MAX: usize = 16 * 1024;

/// A connection that is talked on.
pub(super) struct Talk {
    stream: TcpStream,
}

/// What became of a request.
#[derive(Debug)]
pub(super) enum Outcome {
    /// The answer came whole.
    Whole(Answer),
    /// The connection was broken, or gave nothing in time, before an octet of the answer.
    Unanswered,
    /// The other side ended the connection in order before an octet of the answer.
    Closed,
    /// It ended within the answer; where.
    Truncated(String),
}

/// A whole answer.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) content: Vec<u8>,
    /// No further request may be sent on this connection.
    pub(super) closes: bool,
    head: String,
}

impl Answer {
    /// The value of the field `name`, in any case.
    pub(super) fn field(&self, name: &str) -> Option<&str> {
        field(&self.head, name)
    }
}

impl Talk {
    pub(super) fn open(addr: SocketAddr) -> Result<Talk> {
        Talk::open_for(addr, WAIT_MAX)
    }

    /// Opens a connection on which nothing is waited for longer than `patience`.
    pub(super) fn open_for(addr: SocketAddr, patience: Duration) -> Result<Talk> {
        let stream = TcpStream::connect_timeout(&addr, patience)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(patience))?;
        stream.set_write_timeout(Some(patience))?;
        Ok(Talk { stream })
    }

    /// The socket, to do with it what no honest client does.
    pub(super) fn stream(&mut self) -> &mut TcpStream {
        &mut self.stream
    }

    /// Sends a request, and reads the answer to its end. A HEAD has none of its length.
    pub(super) fn exchange(&mut self, head: &str, content: &[u8]) -> Outcome {
        self.send(head.as_bytes());
        self.send(content);
        self.answer()
    }

    /// Sends a part of a request.
    pub(super) fn send(&mut self, octets: &[u8]) {
        // An answer may come before all is sent, and the connection's end may follow it.
        let _ = self.stream.write_all(octets);
    }

    /// Of a connection that was [`Closed`](Outcome::Closed): whether the other side had read all
    /// that was sent.
    ///
    /// A kernel resets a connection that is closed with octets in it that nobody has read, and one
    /// to which octets come after the close (RFC 9293 §3.6.1); over loopback at once.
    pub(super) fn was_read_whole(&mut self) -> bool {
        std::thread::sleep(RESET_MAX);
        // After a reset there is nobody to write to.
        self.stream.write_all(b"\r").is_ok()
    }

    /// Reads the answer to its end, also when it did not come in time before.
    pub(super) fn answer(&mut self) -> Outcome {
        let mut octets = Vec::new();
        let mut buffer = vec![0; 64 * 1024];
        loop {
            match parse(&octets) {
                Parsed::Whole(answer) => return Outcome::Whole(answer),
                Parsed::Wrong(why) => return Outcome::Truncated(why),
                Parsed::Partial => {}
            }
            match self.stream.read(&mut buffer) {
                Ok(0) if octets.is_empty() => return Outcome::Closed,
                Ok(0) => return Outcome::Truncated(format!("ended after {}", octets.len())),
                Ok(count) => octets.extend_from_slice(&buffer[..count]),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) if octets.is_empty() => return Outcome::Unanswered,
                Err(error) => {
                    return Outcome::Truncated(format!("{error} after {}", octets.len()));
                }
            }
        }
    }
}

enum Parsed {
    Partial,
    Whole(Answer),
    Wrong(String),
}

fn field<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    head.lines().find_map(|line| {
        let (found, value) = line.split_once(':')?;
        found.eq_ignore_ascii_case(name).then(|| value.trim())
    })
}

/// Takes an answer apart, of which the length is in its head or in those of its chunks.
fn parse(octets: &[u8]) -> Parsed {
    let Some(end) = octets.windows(4).take(HEAD_BYTES_MAX).position(|part| part == b"\r\n\r\n")
    else {
        return match octets.len() > HEAD_BYTES_MAX {
            true => Parsed::Wrong("a head without an end".to_owned()),
            false => Parsed::Partial,
        };
    };
    let text = String::from_utf8_lossy(&octets[..end]);
    let status = text.strip_prefix("HTTP/1.1 ").and_then(|rest| rest.get(..3)?.parse().ok());
    let Some(status) = status else { return Parsed::Wrong(format!("no status in {text:?}")) };
    let closes = field(&text, "Connection").is_some_and(|it| it.eq_ignore_ascii_case("close"));
    let whole = |content: Vec<u8>| {
        Parsed::Whole(Answer { status, content, closes, head: text.clone().into_owned() })
    };
    let rest = &octets[end + 4..];
    if field(&text, "Transfer-Encoding").is_some_and(|it| it.eq_ignore_ascii_case("chunked")) {
        return match unchunk(rest) {
            Ok(Some(content)) => whole(content),
            Ok(None) => Parsed::Partial,
            Err(why) => Parsed::Wrong(why),
        };
    }
    // RFC 9110 §8.6 and §15.4.5: these have no content, whatever their length says.
    let length = match status {
        204 | 304 => Some(0),
        _ => field(&text, "Content-Length").and_then(|length| length.parse().ok()),
    };
    let Some(length) = length else { return Parsed::Wrong(format!("no length in {text:?}")) };
    match rest.len().cmp(&length) {
        Ordering::Less => Parsed::Partial,
        Ordering::Equal => whole(rest.to_vec()),
        Ordering::Greater => Parsed::Wrong(format!("{} octets instead of {length}", rest.len())),
    }
}

/// What was sent in chunks (RFC 9112 §7.1), without extensions and trailers; `None` before the end.
fn unchunk(mut rest: &[u8]) -> Result<Option<Vec<u8>>, String> {
    let mut content = Vec::new();
    loop {
        let Some(at) = rest.windows(2).position(|part| part == b"\r\n") else { return Ok(None) };
        let digits = std::str::from_utf8(&rest[..at]).unwrap_or_default();
        let size = usize::from_str_radix(digits, 16).map_err(|_| format!("chunk {digits:?}"))?;
        let Some(chunk) = rest.get(at + 2..at + 2 + size) else { return Ok(None) };
        let Some(after) = rest.get(at + 2 + size..at + 4 + size) else { return Ok(None) };
        if after != b"\r\n" {
            return Err("a chunk without an end".to_owned());
        }
        content.extend_from_slice(chunk);
        rest = &rest[at + 4 + size..];
        match size {
            0 if rest.is_empty() => return Ok(Some(content)),
            0 => return Err(format!("{} octets after the last chunk", rest.len())),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(octets: &[u8]) -> &'static str {
        match parse(octets) {
            Parsed::Partial => "partial",
            Parsed::Whole(_) => "whole",
            Parsed::Wrong(_) => "wrong",
        }
    }

    #[test]
    fn an_answer_is_whole_at_its_last_octet_and_not_before() {
        let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc";
        for end in 0..answer.len() {
            assert_eq!(kind(&answer[..end]), "partial", "{end} octets");
        }
        assert_eq!(kind(answer), "whole");
        assert_eq!(kind(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabcd"), "wrong");
        assert_eq!(kind(b"HTTP/1.1 204 No Content\r\n\r\n"), "whole");
        assert_eq!(kind(b"HTTP/1.1 200 OK\r\n\r\n"), "wrong");
        assert_eq!(kind(b"SSH-2.0\r\n\r\n"), "wrong");
    }

    /// What a client of a server finds that reads so many octets of its request, and closes.
    fn read_and_close(octets: usize) -> (Outcome, bool) {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let mut talk = Talk::open(listener.local_addr().unwrap()).unwrap();
        let (mut server, _) = listener.accept().unwrap();
        talk.stream.write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
        server.read_exact(&mut vec![0; octets]).unwrap();
        // So that the end comes in order whatever is left.
        server.shutdown(std::net::Shutdown::Write).unwrap();
        let outcome = talk.answer();
        drop(server);
        (outcome, talk.was_read_whole())
    }

    #[test]
    fn a_request_that_was_read_is_told_from_one_that_was_not() {
        assert!(matches!(read_and_close(18), (Outcome::Closed, true)));
        assert!(matches!(read_and_close(17), (Outcome::Closed, false)));
    }

    #[test]
    fn chunks_are_whole_at_the_last_octet_of_the_last_one() {
        let answer = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n\
                       3\r\nabc\r\nA\r\n0123456789\r\n0\r\n\r\n";
        for end in 0..answer.len() {
            assert_eq!(kind(&answer[..end]), "partial", "{end} octets");
        }
        let Parsed::Whole(whole) = parse(answer) else { panic!("it is whole") };
        assert_eq!(whole.content, b"abc0123456789");
        assert_eq!(kind(&[&answer[..], b"x"].concat()), "wrong");
        for wrong in ["x\r\nabc\r\n", "3\r\nabcd\r\n"] {
            let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
            assert_eq!(kind(format!("{head}{wrong}").as_bytes()), "wrong");
        }
    }
}
