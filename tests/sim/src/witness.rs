//! The real handler, with somebody at its side who keeps what it notes of each exchange, and can
//! be told to do wrong, so that it can be seen whether anybody notices.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use fileserve::Files;
use http_proto::server::{Answer, Body, Exchange, Handler, Receiver, Request, Response};
use http_proto::{Method, Status};

/// A fault that is there on purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Planted {
    /// None.
    Nothing,
    /// A part of a file begins one octet early, where it lies behind the first 20,000.
    WrongOffset,
    /// What is answered with 304 is not logged.
    LostLine,
    /// A PUT is answered before its content is there.
    EarlyAnswer,
}

/// What was noted of an exchange.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Line {
    /// The number of the connection.
    pub(crate) connection: u16,
    pub(crate) status: u16,
    pub(crate) sent: u64,
}

/// What was noted of all exchanges.
#[derive(Default)]
pub(crate) struct Notes {
    pub(crate) lines: Vec<Line>,
    /// How many requests each connection has shown the handler.
    pub(crate) asked: BTreeMap<u16, usize>,
}

/// The handler of a run.
pub(crate) struct Witness {
    files: Files,
    notes: Arc<Mutex<Notes>>,
    planted: Planted,
}

impl Witness {
    pub(crate) fn new(files: Files, notes: Arc<Mutex<Notes>>, planted: Planted) -> Witness {
        Witness { files, notes, planted }
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
            _ => response,
        }
    }
}

impl Handler for Witness {
    fn recall(&self, request: &Request<'_>) -> Option<Response> {
        // Each request once, before anything else is done for it.
        *self.notes().asked.entry(request.peer.port()).or_default() += 1;
        self.files.recall(request).map(|response| self.spoil(response))
    }

    fn answer(&self, request: &Request<'_>) -> Answer {
        match self.files.answer(request) {
            Answer::Respond(response) => Answer::Respond(self.spoil(response)),
            Answer::Receive(receiver)
                if self.planted == Planted::EarlyAnswer && request.head.method == Method::Put =>
            {
                Answer::Receive(Box::new(Hasty(Some(receiver))))
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
        let line = Line { connection: exchange.peer.port(), status, sent: exchange.sent };
        self.notes().lines.push(line);
    }
}

/// Answers before it is done, once in a while.
struct Hasty(Option<Box<dyn Receiver>>);

impl Receiver for Hasty {
    fn receive(&mut self, octets: &[u8]) -> Result<(), Response> {
        self.0.as_mut().map_or(Ok(()), |real| real.receive(octets))
    }

    fn finish(mut self: Box<Self>, request: &Request<'_>) -> Response {
        match self.0.take() {
            Some(real) if !request.head.octets().len().is_multiple_of(4) => real.finish(request),
            _ => Response::new(Status::NO_CONTENT),
        }
    }
}
