//! The handler behind the sessions of these tests: one path for each thing a handler can do.

use std::fs::File;
use std::io;
use std::sync::{Arc, Mutex};

use http_proto::server::{
    Answer, Body, Exchange, Handler, Produced, Receiver, Request, Response, Source,
};
use http_proto::{Status, error_page};

/// Octets of `/long`: recorded when they have gone.
pub(crate) const LONG: usize = 100_000;
/// Octets of `/edge`: the most that is recorded when it is handed over.
pub(crate) const EDGE: usize = 64 * 1024;
/// Octets of `/bulky`: less than is gathered, twice as much is more.
pub(crate) const BULKY: usize = 40_000;
/// Octets that an upload to `/full` may have.
const ROOM: usize = 10;

/// What the handler has seen, in order: records, and uploads that were dropped.
pub(crate) type Notes = Arc<Mutex<Vec<String>>>;

/// The handler.
pub(crate) struct Desk {
    pub(crate) notes: Notes,
}

impl Handler for Desk {
    fn recall(&self, request: &Request<'_>) -> Option<Response> {
        let shared = |octets: usize| Body::Shared(vec![b'x'; octets].into());
        Some(match request.head.target.path()? {
            "/now" => Response::text(Status::OK, "now"),
            "/empty" => Response::new(Status::OK),
            "/none" => Response::new(Status::NO_CONTENT),
            // Content that may not be sent, as a careless handler would give it.
            "/same" => Response::text(Status::NOT_MODIFIED, "same").field("ETag", "\"a\""),
            "/long" => Response::new(Status::OK).body(shared(LONG)),
            "/edge" => Response::new(Status::OK).body(shared(EDGE)),
            "/bulky" => Response::new(Status::OK).body(Body::Bytes(vec![b'x'; BULKY])),
            "/stream" => Response::new(Status::OK).stream(Pieces::of(&["one", "", "two", "three"])),
            "/nothing" => Response::new(Status::OK).stream(Pieces::of(&[])),
            "/broken" => Response::new(Status::OK).stream(Pieces::of(&["one", "!"])),
            // Content that may not be sent, as a careless handler would give it.
            "/stream-same" => Response::new(Status::NOT_MODIFIED).stream(Pieces::of(&["same"])),
            "/refuse" => Response::text(Status::FORBIDDEN, "no").reason("refused"),
            _ => return None,
        })
    }

    fn answer(&self, request: &Request<'_>) -> Answer {
        let upload = |room| {
            Answer::Receive(Box::new(Upload {
                notes: Arc::clone(&self.notes),
                content: Vec::new(),
                room,
                over: false,
            }))
        };
        match request.head.target.path() {
            Some("/pool") => Response::text(Status::OK, "pool").into(),
            Some("/file") => {
                let file = File::open(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml"));
                let file = Arc::new(file.expect("this crate has a manifest"));
                Response::new(Status::OK).body(Body::File(file, 1..8)).into()
            }
            Some("/deny") => Response::text(Status::FORBIDDEN, "no").reason("denied").into(),
            Some("/put") => upload(usize::MAX),
            Some("/full") => upload(ROOM),
            _ => Response::text(Status::NOT_FOUND, "?").reason("not-found").into(),
        }
    }

    fn record(&self, exchange: &Exchange<'_>) {
        let line = exchange.line.escape_ascii();
        let status = exchange.status;
        let sent = match exchange.sent {
            // Pages are as long as they are; what matters is that they went out whole.
            sent if status.is_error() && sent == error_page::html(status).len() as u64 => {
                "page".into()
            }
            sent => sent.to_string(),
        };
        let head = if exchange.head.is_some() { "" } else { "? " };
        let reason = exchange.reason.map(|reason| format!(" {reason}")).unwrap_or_default();
        note(&self.notes, format!("{head}{line} {}{reason} {sent}", status.code()));
    }
}

/// Content that is made piece by piece; `!` cannot be made.
struct Pieces(Vec<&'static str>);

impl Pieces {
    fn of(pieces: &[&'static str]) -> Pieces {
        Pieces(pieces.iter().rev().copied().collect())
    }
}

impl Source for Pieces {
    fn produce(&mut self, out: &mut Vec<u8>) -> io::Result<Produced> {
        match self.0.pop() {
            None => return Ok(Produced::All),
            Some("!") => return Err(io::ErrorKind::UnexpectedEof.into()),
            Some(piece) => out.extend_from_slice(piece.as_bytes()),
        }
        Ok(Produced::More)
    }
}

/// An upload that answers with its content, or runs out of room.
struct Upload {
    notes: Notes,
    content: Vec<u8>,
    room: usize,
    over: bool,
}

impl Receiver for Upload {
    fn receive(&mut self, bytes: &[u8]) -> Result<(), Response> {
        assert!(!self.over, "more content for an upload that has failed");
        if self.content.len() + bytes.len() > self.room {
            self.over = true;
            return Err(Response::text(Status::INSUFFICIENT_STORAGE, "full").reason("disk-full"));
        }
        self.content.extend_from_slice(bytes);
        Ok(())
    }

    fn finish(mut self: Box<Self>, _: &Request<'_>) -> Response {
        self.over = true;
        Response::new(Status::CREATED).body(Body::Bytes(std::mem::take(&mut self.content)))
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        if !self.over {
            note(&self.notes, "forgotten".into());
        }
    }
}

fn note(notes: &Notes, text: String) {
    notes.lock().expect("no test panics while it notes").push(text);
}
