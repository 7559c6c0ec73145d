//! The real handler, with somebody at its side who keeps what it notes of each exchange, and can
//! be told to do wrong, so that it can be seen whether anybody notices.

use std::collections::BTreeMap;
use std::mem::ManuallyDrop;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use fileserve::Files;
use http_proto::server::{Answer, Body, Exchange, Handler, Receiver, Request, Response};
use http_proto::{Method, RequestHead, Status};

/// A fault that is there on purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Planted {
    /// None.
    Nothing,
    /// A part of a file begins one octet early, where it lies behind the first 20,000.
    WrongOffset,
    /// What is answered with 304 is not logged.
    LostLine,
    /// What is noted of a response that is cut is one octet too many.
    WrongCount,
    /// A PUT is answered before its content is there.
    EarlyAnswer,
    /// A request is answered with what the one before it asked for.
    WrongOrder,
    /// A response comes that nobody has asked for.
    Unasked,
    /// An octet is lost on the way.
    LostOctet,
    /// No deadline counts.
    Endless,
    /// The next request is read although the last response has not gone.
    Hoard,
    /// Content is handed over when it is complete.
    LongPiece,
    /// A sync that has failed is taken for one that has not.
    DeafSync,
    /// Of the files of a form only the last is synced.
    UnsyncedFile,
    /// A file has its name before it is synced.
    EarlyName,
    /// A directory is not synced.
    UnsyncedName,
    /// A file that is there is answered with 404.
    FalseNotFound,
    /// A form of a page is answered with 200, and not kept.
    LostForm,
    /// A response is cut in its middle for no reason.
    Cut,
    /// A file that has not come whole is left where it is.
    Leak,
}

/// What was noted of an exchange.
#[derive(Clone, Debug)]
pub(crate) struct Line {
    /// The number of the connection.
    pub(crate) connection: u16,
    pub(crate) request: Vec<u8>,
    pub(crate) status: u16,
    pub(crate) sent: u64,
}

/// What was noted of all exchanges.
#[derive(Default)]
pub(crate) struct Notes {
    pub(crate) lines: Vec<Line>,
    /// How many requests each connection has shown the handler.
    pub(crate) asked: BTreeMap<u16, usize>,
    /// The longest piece of content that was handed over.
    pub(crate) piece_max: usize,
}

/// The handler of a run.
pub(crate) struct Witness {
    files: Files,
    notes: Arc<Mutex<Notes>>,
    planted: Planted,
    /// The head of the GET before.
    before: Mutex<Option<Vec<u8>>>,
}

impl Witness {
    pub(crate) fn new(files: Files, notes: Arc<Mutex<Notes>>, planted: Planted) -> Witness {
        Witness { files, notes, planted, before: Mutex::default() }
    }

    fn notes(&self) -> MutexGuard<'_, Notes> {
        self.notes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn spoil(&self, response: Response) -> Response {
        match response.content() {
            Body::File(file, part)
                if self.planted == Planted::WrongOffset && part.start > 20_000 =>
            {
                let body = Body::File(Arc::clone(file), part.start - 1..part.end - 1);
                response.body(body)
            }
            Body::File(..) if self.planted == Planted::FalseNotFound => {
                Response::new(Status::NOT_FOUND)
            }
            _ => response,
        }
    }
}

impl Handler for Witness {
    fn recall(&self, request: &Request<'_>) -> Option<Response> {
        // Each request once, before anything else is done for it.
        *self.notes().asked.entry(request.peer.port()).or_default() += 1;
        if self.planted == Planted::WrongOrder && request.head.method == Method::Get {
            return None;
        }
        self.files.recall(request).map(|response| self.spoil(response))
    }

    fn answer(&self, request: &Request<'_>) -> Answer {
        if self.planted == Planted::WrongOrder && request.head.method == Method::Get {
            let mut before = self.before.lock().unwrap_or_else(PoisonError::into_inner);
            let before = before.replace(request.head.octets().to_vec());
            let limits = http_proto::Limits::default();
            let head = before.as_ref().and_then(|head| RequestHead::parse(head, &limits).ok());
            return match &head {
                Some(head) => self.files.answer(&Request { head, ..*request }),
                None => self.files.answer(request),
            };
        }
        let answer = match self.files.answer(request) {
            Answer::Receive(real) => {
                Answer::Receive(Box::new(Watched { real, notes: Arc::clone(&self.notes) }))
            }
            respond => respond,
        };
        match answer {
            Answer::Respond(response) => Answer::Respond(self.spoil(response)),
            Answer::Receive(real) if self.planted == Planted::LongPiece => {
                Answer::Receive(Box::new(Gathering { real, all: Vec::new() }))
            }
            Answer::Receive(receiver)
                if self.planted == Planted::EarlyAnswer && request.head.method == Method::Put =>
            {
                Answer::Receive(Box::new(Hasty(Some(receiver), Status::NO_CONTENT)))
            }
            Answer::Receive(receiver) if self.planted == Planted::LostForm && is_form(request) => {
                Answer::Receive(Box::new(Hasty(Some(receiver), Status::OK)))
            }
            Answer::Receive(real) if self.planted == Planted::Leak => {
                Answer::Receive(Box::new(Leaky(ManuallyDrop::new(real))))
            }
            receive => receive,
        }
    }

    fn record(&self, exchange: &Exchange<'_>) {
        self.files.record(exchange);
        let status = exchange.status.code();
        if self.planted == Planted::LostLine && status == 304 {
            return;
        }
        let (connection, request) = (exchange.peer.port(), exchange.line.to_vec());
        let line = Line { connection, request, status, sent: exchange.sent };
        self.notes().lines.push(line);
    }
}

/// Whether it is a form of a page.
fn is_form(request: &Request<'_>) -> bool {
    let media_type = request.head.fields.first("content-type");
    media_type.is_some_and(|media_type| media_type.ends_with(b"urlencoded"))
}

/// Notes how much a session has held: it hands over all of it.
struct Watched {
    real: Box<dyn Receiver>,
    notes: Arc<Mutex<Notes>>,
}

impl Receiver for Watched {
    fn receive(&mut self, octets: &[u8]) -> Result<(), Response> {
        let mut notes = self.notes.lock().unwrap_or_else(PoisonError::into_inner);
        notes.piece_max = notes.piece_max.max(octets.len());
        drop(notes);
        self.real.receive(octets)
    }

    fn finish(self: Box<Self>, request: &Request<'_>) -> Response {
        self.real.finish(request)
    }
}

/// Holds all content until it is complete.
struct Gathering {
    real: Box<dyn Receiver>,
    all: Vec<u8>,
}

impl Receiver for Gathering {
    fn receive(&mut self, octets: &[u8]) -> Result<(), Response> {
        self.all.extend_from_slice(octets);
        Ok(())
    }

    fn finish(mut self: Box<Self>, request: &Request<'_>) -> Response {
        match self.real.receive(&self.all) {
            Ok(()) => self.real.finish(request),
            Err(response) => response,
        }
    }
}

/// Answers with a status before it is done, once in a while.
struct Hasty(Option<Box<dyn Receiver>>, Status);

impl Receiver for Hasty {
    fn receive(&mut self, octets: &[u8]) -> Result<(), Response> {
        self.0.as_mut().map_or(Ok(()), |real| real.receive(octets))
    }

    fn finish(mut self: Box<Self>, request: &Request<'_>) -> Response {
        match self.0.take() {
            Some(real) if !request.head.octets().len().is_multiple_of(4) => real.finish(request),
            _ => Response::new(self.1),
        }
    }
}

/// Leaves all as it is when it is given up.
struct Leaky(ManuallyDrop<Box<dyn Receiver>>);

impl Receiver for Leaky {
    fn receive(&mut self, octets: &[u8]) -> Result<(), Response> {
        self.0.receive(octets)
    }

    fn finish(self: Box<Self>, request: &Request<'_>) -> Response {
        ManuallyDrop::into_inner(self.0).finish(request)
    }
}
