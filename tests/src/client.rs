//! One connection to the server, on which no wait is longer than five seconds.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

use crate::response::Response;

/// The longest that a read or a write may wait.
pub const WAIT_MAX: Duration = Duration::from_secs(5);

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
}

impl Client {
    /// Connects, with Nagle's delay off, so that a write is a segment.
    pub fn connect(addr: SocketAddr) -> io::Result<Client> {
        let stream = TcpStream::connect_timeout(&addr, WAIT_MAX)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(WAIT_MAX))?;
        stream.set_write_timeout(Some(WAIT_MAX))?;
        Ok(Client { stream, sent: Vec::new(), received: Vec::new(), taken: 0 })
    }

    /// Sends in as few writes as the kernel takes.
    pub fn send(&mut self, octets: &[u8]) -> io::Result<()> {
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
        loop {
            if let Some((response, length)) =
                Response::parse(&self.received[self.taken..], to_head)?
            {
                self.taken += length;
                return Ok(response);
            }
            let part = if self.received.len() > self.taken { "the rest of a" } else { "a" };
            match self.receive() {
                Ok(0) => return Err(format!("the connection was closed before {part} response")),
                Ok(_) => {}
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

    /// All that has been given to the kernel to send.
    pub fn sent(&self) -> &[u8] {
        &self.sent
    }

    /// All that has been received.
    pub fn received(&self) -> &[u8] {
        &self.received
    }

    fn receive(&mut self) -> io::Result<usize> {
        let mut buffer = [0; 64 << 10];
        let length = loop {
            match self.stream.read(&mut buffer) {
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                other => break other?,
            }
        };
        self.received.extend_from_slice(&buffer[..length]);
        Ok(length)
    }
}

fn said(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => {
            format!("nothing came for {} s", WAIT_MAX.as_secs())
        }
        _ => error.to_string(),
    }
}
