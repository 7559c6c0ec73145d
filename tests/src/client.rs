//! One connection to the server, on which no wait is endless.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::{Duration, Instant, SystemTime};

use crate::response::Response;

/// The longest that a read or a write may wait: for what comes at all that is long enough on a
/// machine that is busy with other things, or on a disk that is.
pub const WAIT_MAX: Duration = Duration::from_secs(60);

/// A connection that keeps all it has sent and received, to show it when something is wrong.
///
/// # Example: ask on a kept connection
/// ```no_run
/// # use conformance::{client::Client, server::{Server, ServerOptions}};
/// let server = Server::start(ServerOptions::new());
/// let mut client = Client::connect(server.addr()).unwrap();
/// client.send(b"GET / HTTP/1.1\r\nHost: test\r\n\r\n").unwrap();
/// assert_eq!(client.response().unwrap().status, 200);
/// ```
#[derive(Debug)]
pub struct Client {
    stream: TcpStream,
    sent: Vec<u8>,
    received: Vec<u8>,
    /// How far `received` is made up of responses already handed out.
    taken: usize,
    /// How many of those responses were final.
    answered: usize,
    /// When something was received last.
    received_last: SystemTime,
    /// When something was sent first since the last final response was handed out, or ever.
    asked: SystemTime,
    /// Whether nothing was sent since then.
    is_idle: bool,
    /// When nothing more is waited for, if ever.
    end: Option<Instant>,
    /// Whether an answer in HTTP/1.0 is taken for one in HTTP/1.1.
    takes_old: bool,
}

impl Client {
    /// Connects, with Nagle's delay off, so that a write is a segment.
    pub fn connect(addr: SocketAddr) -> io::Result<Client> {
        let stream = TcpStream::connect_timeout(&addr, WAIT_MAX)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(WAIT_MAX))?;
        stream.set_write_timeout(Some(WAIT_MAX))?;
        Ok(Client {
            stream,
            sent: Vec::new(),
            received: Vec::new(),
            taken: 0,
            answered: 0,
            received_last: SystemTime::now(),
            asked: SystemTime::now(),
            is_idle: true,
            end: None,
            takes_old: false,
        })
    }

    /// Waits only so long for each read from now on, as from a server that may never answer.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn be_impatient(&mut self, wait: Duration) -> io::Result<()> {
        self.stream.set_read_timeout(Some(wait))
    }

    /// Waits for nothing more when that long has passed, though the server may still be dripping.
    pub fn give_up_after(&mut self, wait: Duration) {
        self.end = Some(Instant::now() + wait);
    }

    /// Takes answers in HTTP/1.0, which ours never are, for answers in HTTP/1.1.
    pub fn take_old_version(&mut self) {
        self.takes_old = true;
    }

    /// Sends in as few writes as the kernel takes.
    pub fn send(&mut self, octets: &[u8]) -> io::Result<()> {
        if std::mem::take(&mut self.is_idle) {
            self.asked = SystemTime::now();
        }
        self.sent.extend_from_slice(octets);
        self.stream.write_all(octets)
    }

    /// Sends in writes of one octet.
    pub fn send_by_octets(&mut self, octets: &[u8]) -> io::Result<()> {
        octets.chunks(1).try_for_each(|octet| self.send(octet))
    }

    /// Says that nothing more will be sent; answers can still be read.
    pub fn shut_sending(&mut self) -> io::Result<()> {
        self.stream.shutdown(Shutdown::Write)
    }

    /// Reads the next response, interim or final, to a request other than HEAD.
    ///
    /// # Errors
    /// A sentence that says what the server did instead.
    pub fn response(&mut self) -> Result<Response, String> {
        self.response_to(false)
    }

    /// Reads the next response; `to_head` says that it answers a HEAD.
    pub fn response_to(&mut self, to_head: bool) -> Result<Response, String> {
        let mut begun = self.received_last;
        loop {
            let is_old = self.received[self.taken..].starts_with(b"HTTP/1.0 ");
            if self.takes_old && is_old {
                self.received[self.taken + b"HTTP/1.".len()] = b'1';
            }
            let (rest, times) = (&self.received[self.taken..], self.asked..=begun);
            if let Some((response, length)) = Response::parse_between(rest, to_head, &times)? {
                self.taken += length;
                // RFC 9112 §6.1: a client of HTTP/1.0 would take the chunks for content.
                let coded = response.field("Transfer-Encoding").is_some();
                if coded && nth_version(&self.sent, self.answered) == Some(b"HTTP/1.0") {
                    return Err("Transfer-Encoding in an answer to HTTP/1.0".to_owned());
                }
                self.answered += usize::from(response.status >= 200);
                self.is_idle |= response.status >= 200;
                return Ok(response);
            }
            let has_begun = self.received.len() > self.taken;
            let part = if has_begun { "the rest of a" } else { "a" };
            match self.receive() {
                Ok(0) => return Err(format!("the connection was closed before {part} response")),
                Ok(_) if has_begun => {}
                Ok(_) => begun = self.received_last,
                Err(e) => return Err(format!("waiting for {part} response: {}", said(&e))),
            }
        }
    }

    /// Waits until the server has closed, and makes sure that it sent nothing before that.
    ///
    /// # Errors
    /// A sentence that says what came instead.
    pub fn closed(&mut self) -> Result<(), String> {
        loop {
            if self.received.len() > self.taken {
                let extra = self.received[self.taken..].escape_ascii();
                return Err(format!("more was sent before the close: {extra:.80}"));
            }
            match self.receive() {
                Ok(0) => return Ok(()),
                Ok(_) => {}
                // The answer is in; a reset after it ends the connection just as well.
                Err(e) if e.kind() == io::ErrorKind::ConnectionReset => return Ok(()),
                Err(e) => return Err(format!("waiting for the close: {}", said(&e))),
            }
        }
    }

    /// Reads as far as the server's close, a reset or [`WAIT_MAX`] of silence; returns all that has
    /// not been handed out, and whether the end was a close or reset.
    pub fn rest(&mut self) -> (&[u8], bool) {
        let ended = loop {
            match self.receive() {
                Ok(0) => break true,
                Ok(_) => {}
                Err(e) => break e.kind() == io::ErrorKind::ConnectionReset,
            }
        };
        (&self.received[self.taken..], ended)
    }

    /// Forgets what was sent and handed out, so that a long talk does not fill the memory. Every
    /// request must have had its answer by then.
    pub fn forget(&mut self) {
        self.sent.clear();
        self.received.drain(..self.taken);
        (self.taken, self.answered) = (0, 0);
    }

    /// All that has been given to the kernel to send, or since [`forget`](Self::forget).
    pub fn sent(&self) -> &[u8] {
        &self.sent
    }

    /// All that has been received, or since [`forget`](Self::forget) was not handed out before.
    pub fn received(&self) -> &[u8] {
        &self.received
    }

    fn receive(&mut self) -> io::Result<usize> {
        if self.end.is_some_and(|end| Instant::now() >= end) {
            return Err(io::Error::other("it takes too long altogether"));
        }
        let mut buffer = [0; 64 << 10];
        let length = loop {
            match self.stream.read(&mut buffer) {
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                other => break other?,
            }
        };
        self.received.extend_from_slice(&buffer[..length]);
        self.received_last = SystemTime::now();
        Ok(length)
    }
}

/// The version in the `n`th of the request lines that were sent, counted from 0: of the lines that
/// end in one, whether in a head or in a content.
fn nth_version(sent: &[u8], n: usize) -> Option<&[u8]> {
    let lines = sent.split(|&octet| octet == b'\n').map(<[u8]>::trim_ascii_end);
    let versions = lines.filter_map(|line| line.rsplit(|&octet| octet == b' ').next());
    versions.filter(|version| version.starts_with(b"HTTP/")).nth(n)
}

fn said(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => "nothing came in time".to_owned(),
        _ => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    /// What a client makes of one chunked response, after `sent` and all other answers.
    fn chunked_answer_to(sent: &[u8], others: usize) -> Result<Response, String> {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut client = Client::connect(listener.local_addr().unwrap()).unwrap();
        let (mut server, _) = listener.accept().unwrap();
        client.send(sent).unwrap();
        let date = httpdate::fmt_http_date(std::time::SystemTime::now());
        let other = format!("HTTP/1.1 200 OK\r\nDate: {date}\r\nContent-Length: 0\r\n\r\n");
        let chunked = format!(
            "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nDate: {date}\r\n\
             Content-Type: a/b\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n"
        );
        server.write_all(format!("{}{chunked}", other.repeat(others)).as_bytes()).unwrap();
        for _ in 0..others {
            client.response().unwrap();
        }
        assert_eq!(client.response().unwrap().status, 100);
        client.response()
    }

    #[test]
    fn a_server_that_drips_is_not_waited_for_without_end() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut client = Client::connect(listener.local_addr().unwrap()).unwrap();
        client.give_up_after(Duration::ZERO);
        assert!(client.response().unwrap_err().contains("too long altogether"));
    }

    #[test]
    fn what_is_forgotten_is_not_taken_for_what_follows() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut client = Client::connect(listener.local_addr().unwrap()).unwrap();
        let (mut server, _) = listener.accept().unwrap();
        let date = httpdate::fmt_http_date(SystemTime::now());
        for (version, chunked_is_fine) in [("HTTP/1.0", false), ("HTTP/1.1", true)] {
            client.send(format!("GET / {version}\r\n\r\n").as_bytes()).unwrap();
            let end = match chunked_is_fine {
                true => "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
                false => "Content-Length: 0\r\n\r\n",
            };
            server
                .write_all(format!("HTTP/1.1 200 OK\r\nDate: {date}\r\n{end}").as_bytes())
                .unwrap();
            assert_eq!(client.response().unwrap().body, b"");
            client.forget();
            assert_eq!((client.sent(), client.received()), (&b""[..], &b""[..]));
        }
    }

    #[test]
    fn chunks_are_for_http_1_1() {
        let old = &b"GET /a HTTP/1.0\r\n\r\n"[..];
        let new = &b"GET /a HTTP/1.1\r\nA: b\r\n\r\n"[..];
        assert_eq!(chunked_answer_to(new, 0).unwrap().body, b"a");
        assert_eq!(chunked_answer_to(&[new, old].concat(), 0).unwrap().body, b"a");
        assert_eq!(chunked_answer_to(&[old, new].concat(), 1).unwrap().body, b"a");
        assert!(chunked_answer_to(old, 0).unwrap_err().contains("HTTP/1.0"));
        assert!(chunked_answer_to(&[new, old].concat(), 1).unwrap_err().contains("HTTP/1.0"));
    }
}
