//! One request and its answer, and how exactly a connection came to its end if there was none.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::Result;

/// No connect, read or write waits longer unless it is said.
const WAIT_MAX: Duration = Duration::from_secs(15);
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
    /// The connection ended, or gave nothing in time, before an octet of the answer.
    Unanswered,
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
        // An answer may come before all is sent, and the connection's end may follow it.
        let sent = self.stream.write_all(head.as_bytes());
        let _ = sent.and_then(|()| self.stream.write_all(content));
        self.answer()
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
                Ok(0) if octets.is_empty() => return Outcome::Unanswered,
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

/// Takes an answer apart, of which the length is in its head.
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
    let field = |name: &str| {
        text.lines().find_map(|line| {
            let (found, value) = line.split_once(':')?;
            found.eq_ignore_ascii_case(name).then(|| value.trim().to_owned())
        })
    };
    // RFC 9110 §8.6 and §15.4.5: these have no content, whatever their length says.
    let length = match status {
        204 | 304 => Some(0),
        _ => field("Content-Length").and_then(|length| length.parse().ok()),
    };
    let Some(length) = length else { return Parsed::Wrong(format!("no length in {text:?}")) };
    let content = &octets[end + 4..];
    if content.len() < length {
        return Parsed::Partial;
    }
    if content.len() > length {
        return Parsed::Wrong(format!("{} octets instead of {length}", content.len()));
    }
    let closes = field("Connection").is_some_and(|value| value.eq_ignore_ascii_case("close"));
    Parsed::Whole(Answer { status, content: content.to_vec(), closes })
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
}
