//! A response whose content a test takes at its own pace.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::SystemTime;

use conformance::client::WAIT_MAX;
use conformance::response::Response;
use rustix::net::sockopt::set_socket_recv_buffer_size;

/// What the kernel may hold for a client that does not read, so that "does not read" soon means
/// that the server cannot send. The server's side holds a few MiB at most (`tcp_wmem`).
const HELD_BYTES: usize = 64 << 10;

/// More than both kernels hold: a file of this size cannot be sent to a client that doesn't read.
pub(crate) const UNSENDABLE: usize = 24 << 20;

/// A connection of which the response head has been read.
pub(crate) struct Download {
    stream: TcpStream,
    head: Response,
    asked: SystemTime,
    /// Content that came in one read with the head.
    early: Vec<u8>,
}

impl Download {
    /// Asks for `path` with `fields` (whole field lines) and reads the head of the answer.
    pub(crate) fn start(addr: SocketAddr, path: &str, fields: &str) -> Download {
        let stream = TcpStream::connect_timeout(&addr, WAIT_MAX).expect("the server accepts");
        set_socket_recv_buffer_size(&stream, HELD_BYTES).expect("a receive buffer can be small");
        stream.set_read_timeout(Some(WAIT_MAX)).expect("that is a timeout");
        let mut download = Download::on(stream);
        let request = format!("GET {path} HTTP/1.1\r\nHost: test\r\n{fields}\r\n");
        download.stream.write_all(request.as_bytes()).expect("a request can be sent");
        while !download.read_head() {}
        download
    }

    fn on(stream: TcpStream) -> Download {
        let (reason, fields, body) = (String::new(), Vec::new(), Vec::new());
        let head = Response { status: 0, reason, fields, body };
        Download { stream, head, asked: SystemTime::now(), early: Vec::new() }
    }

    fn read_head(&mut self) -> bool {
        let mut buffer = [0; 4096];
        let count = self.stream.read(&mut buffer).expect("a head comes in time");
        assert!(count > 0, "the connection was closed before a head");
        self.early.extend_from_slice(&buffer[..count]);
        // Read as the answer to a HEAD, a response ends where its content starts.
        let times = self.asked..=SystemTime::now();
        match Response::parse_between(&self.early, true, &times).expect("a sound response") {
            Some((head, length)) => {
                self.head = head;
                self.early.drain(..length);
                true
            }
            None => false,
        }
    }

    pub(crate) fn status(&self) -> u16 {
        self.head.status
    }

    pub(crate) fn field(&self, name: &str) -> String {
        self.head.field(name).unwrap_or_else(|| panic!("no {name} in {:?}", self.head))
    }

    /// The `Content-Length`.
    pub(crate) fn length(&self) -> u64 {
        self.field("Content-Length").parse().expect("a length is a number")
    }

    /// Reads the next `count` octets of the content.
    pub(crate) fn take(&mut self, count: usize) -> Vec<u8> {
        let early = count.min(self.early.len());
        let mut content: Vec<u8> = self.early.drain(..early).collect();
        content.resize(count, 0);
        self.stream.read_exact(&mut content[early..]).expect("the content goes on");
        content
    }

    /// Reads what has come of the content, or comes soon; perhaps nothing.
    pub(crate) fn take_some(&mut self) -> Vec<u8> {
        let mut content = std::mem::take(&mut self.early);
        let mut buffer = [0; 16 << 10];
        let soon = Some(std::time::Duration::from_millis(20));
        self.stream.set_read_timeout(soon).expect("a timeout");
        match self.stream.read(&mut buffer) {
            Ok(count) => {
                assert!(count > 0, "the content has ended");
                content.extend_from_slice(&buffer[..count]);
            }
            Err(e) => assert_eq!(e.kind(), std::io::ErrorKind::WouldBlock),
        }
        self.stream.set_read_timeout(Some(WAIT_MAX)).expect("five seconds are a timeout");
        content
    }

    /// Reads as far as the server's close or reset.
    pub(crate) fn rest(mut self) -> Vec<u8> {
        let mut content = std::mem::take(&mut self.early);
        let mut buffer = vec![0; 64 << 10];
        loop {
            match self.stream.read(&mut buffer) {
                Ok(0) => return content,
                Ok(count) => content.extend_from_slice(&buffer[..count]),
                Err(e) if e.kind() == std::io::ErrorKind::ConnectionReset => return content,
                Err(e) => panic!("neither content nor a close after {}: {e}", content.len()),
            }
        }
    }

    /// Whether the server has reset the connection; takes nothing of the content.
    pub(crate) fn is_reset(&self) -> bool {
        let error = self.stream.take_error().expect("a socket has a state");
        error.is_some_and(|error| error.kind() == std::io::ErrorKind::ConnectionReset)
    }
}

/// Content that looks like itself nowhere else, the same for the same seed.
pub(crate) fn noise(seed: u64, count: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut content = Vec::with_capacity(count + 8);
    while content.len() < count {
        // xorshift64: never zero, and of a period no file is as long as.
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        content.extend_from_slice(&state.to_le_bytes());
    }
    content.truncate(count);
    content
}

/// Fails without printing megabytes of difference.
#[track_caller]
pub(crate) fn assert_same(received: &[u8], expected: &[u8]) {
    let differs = received.iter().zip(expected).position(|(a, b)| a != b);
    assert_eq!((received.len(), differs), (expected.len(), None), "octets, first difference");
}
