//! The least that an HTTP server can cost: every request is answered with the same 1 KiB.
//!
//! It has the loop of tcp-core and nothing else: no parser, no file, no log. `cargo xtask bench`
//! holds every server against it: `floor ADDR:PORT`.

use std::time::Duration;

use memchr::memmem;
use tcp_core::{Accepted, Input, Limits, Now, Output, Server, Service, Session, Wait};

/// As long as what a file server says of a file.
const HEAD: &str = "HTTP/1.1 200 OK\r\n\
    Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n\
    Content-Type: application/octet-stream\r\n\
    Content-Length: 1024\r\n\
    Last-Modified: Sun, 06 Nov 1994 08:49:37 GMT\r\n\
    ETag: \"37d-1f3a4c6e81b2\"\r\n\
    Accept-Ranges: bytes\r\n\
    Cache-Control: no-cache\r\n";
const CONTENT: [u8; 1024] = [b'x'; 1024];

/// Enough for ten thousand idle connections and those beside them.
const CONNECTIONS: usize = 16_384;
/// Longer than a benchmark keeps an idle connection.
const IDLE_MAX: Duration = Duration::from_secs(600);

#[derive(Clone, Copy)]
struct Floor {
    answer: &'static [u8],
    last_answer: &'static [u8],
}

impl Service for Floor {
    type Session = Floor;

    fn open(&self, _: &Accepted) -> Floor {
        *self
    }

    fn is_spoken_to_first(&self) -> bool {
        true
    }
}

impl Session for Floor {
    fn advance(&mut self, now: Now, input: &mut Input<'_>, output: &mut Output) -> Wait {
        while let Some(at) = memmem::find(input.bytes(), b"\r\n\r\n") {
            let is_last = memmem::find(&input.bytes()[..at], b"Connection: close").is_some();
            output.tail().extend_from_slice(if is_last { self.last_answer } else { self.answer });
            input.consume(at + 4);
            if is_last {
                return Wait::Close;
            }
        }
        if input.is_end() || now.stopping {
            return Wait::Close;
        }
        Wait::Read { deadline: now.instant + IDLE_MAX }
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:7777".to_owned());
    let limits = Limits { workers: 1, pool: 1, connections: CONNECTIONS, ..Limits::default() };
    let answer: &'static [u8] = [HEAD.as_bytes(), b"\r\n", &CONTENT].concat().leak();
    let last = [HEAD.as_bytes(), b"Connection: close\r\n\r\n", &CONTENT].concat();
    let last_answer: &'static [u8] = last.leak();
    let server = Server::bind(address.parse()?, limits)?;
    Ok(server.start(Floor { answer, last_answer })?.join()?)
}
