//! The life of one HTTP connection: what it reads, whom it asks, what it waits for.

use std::sync::Arc;
use std::time::{Instant, SystemTime};

use tcp_core::{Accepted, Input, Now, Output, Session, Wait};

use super::service::Shared;
use super::{Answer, Handler, Receiver, Request, Response};
use crate::assembly::CONTINUE;
use crate::framing::Expectation;
use crate::{Connection, Event, Framing, Method, Reject, RequestHead, Status};

/// Content that nobody wants is read and thrown away up to this many octets, so that the
/// connection can be kept; beyond, closing it is cheaper for both sides.
const UNWANTED_BYTES_MAX: u64 = 64 * 1024;
/// Content is handed to a receiver in pieces of about this many octets: enough that the trip to a
/// pool thread hardly counts, little enough that ten thousand uploads fit in memory.
const PIECE_BYTES: usize = 64 * 1024;
/// Responses to pipelined requests are gathered up to this many octets before they are sent.
const GATHER_BYTES_MAX: u64 = 64 * 1024;

/// The HTTP session of one connection: a [`tcp_core::Session`].
pub struct HttpSession<H: Handler> {
    pub(super) shared: Arc<Shared<H>>,
    pub(super) accepted: Accepted,
    pub(super) connection: Connection,
    pub(super) state: State,
}

/// What a session is lent for one call.
pub(super) struct Turn<'t, 'i> {
    pub(super) now: Now,
    pub(super) input: &'t mut Input<'i>,
    pub(super) output: &'t mut Output,
}

/// Where a connection stands. Each variant holds exactly what is needed there.
pub(super) enum State {
    /// Accepted, and nothing has come yet.
    New,
    /// Between requests, or in the first octets of one; cut at the deadline.
    Idle { deadline: Instant },
    /// In a head that must be complete by the deadline.
    Head { deadline: Instant },
    /// Content comes that no handler wants; the request is answered after it.
    Discard { asked: Asked, transfer: Transfer },
    /// The handler is asked on a pool thread.
    Ask { asked: Asked, answer: Option<Answer> },
    /// Content goes to a receiver, piece by piece.
    Receive(Box<Receiving>),
    /// Answered; the rest of the request's content is thrown away before the next one is read.
    Skip { transfer: Transfer },
    /// A long response is going out; it is recorded, and the next request read, when it has gone.
    Send { asked: Asked, status: Status, reason: Option<&'static str>, length: u64, then: Then },
    /// The last response has been given.
    Over,
}

/// A request that outlives the input it came in.
pub(super) struct Asked {
    /// The whole head as it came; it has been parsed once and parses again.
    pub(super) head: Box<[u8]>,
    /// When the head was complete.
    pub(super) begun: Now,
}

/// An upload under way.
pub(super) struct Receiving {
    asked: Asked,
    /// Gone once it has finished or failed.
    receiver: Option<Box<dyn Receiver>>,
    piece: Vec<u8>,
    complete: bool,
    transfer: Transfer,
    response: Option<Response>,
}

/// How content has come in so far.
#[derive(Clone, Copy)]
pub(super) struct Transfer {
    start: Instant,
    last: Instant,
    octets: u64,
}

/// What follows a response.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Then {
    /// The next request.
    Next,
    /// The rest of this request's content, thrown away, then the next request.
    Skip,
    /// Nothing; the client is known to send no more.
    Close,
    /// Nothing, although the client may still be sending.
    Linger,
}

impl Transfer {
    fn new(now: Now) -> Transfer {
        Transfer { start: now.instant, last: now.instant, octets: 0 }
    }

    fn count(&mut self, octets: usize, now: Now) {
        self.last = now.instant;
        self.octets += octets as u64;
    }
}

impl<H: Handler> Session for HttpSession<H> {
    fn advance(&mut self, now: Now, input: &mut Input<'_>, output: &mut Output) -> Wait {
        let turn = &mut Turn { now, input, output };
        loop {
            let wait = match &mut self.state {
                State::New => {
                    let deadline = now.instant + self.shared.config.head_timeout;
                    self.state = State::Idle { deadline };
                    None
                }
                State::Idle { .. } | State::Head { .. } => self.read_head(turn),
                State::Discard { .. } => self.discard(turn),
                State::Ask { .. } => self.take_answer(turn),
                State::Receive(_) => self.receive(turn),
                State::Skip { .. } => self.skip(turn),
                State::Send { .. } => self.sent(turn.now),
                State::Over => Some(Wait::Linger),
            };
            if let Some(wait) = wait {
                return wait;
            }
        }
    }

    fn block(&mut self) {
        match &mut self.state {
            State::Ask { asked, answer } => {
                let handler = &self.shared.handler;
                let accepted = &self.accepted;
                *answer = asked.parse(&self.shared.config.limits).map(|head| {
                    let request = request(&head, accepted, asked.begun.wall);
                    match handler.answer(&request) {
                        // Without content there is nothing to wait for.
                        Answer::Receive(receiver) if head.framing == Framing::Empty => {
                            Answer::Respond(receiver.finish())
                        }
                        answer => answer,
                    }
                });
            }
            State::Receive(receiving) => receiving.hand_over(),
            _ => {}
        }
    }

    fn expire(&mut self, now: Now, output: &mut Output) -> Wait {
        match std::mem::replace(&mut self.state, State::Over) {
            State::Head { .. } => self.refuse(Reject::HeadTimeout, b"", now, output),
            State::Discard { asked, .. } => {
                self.refuse_asked(Reject::ContentTimeout, asked, now, output)
            }
            State::Receive(receiving) => {
                self.refuse_asked(Reject::ContentTimeout, receiving.asked, now, output)
            }
            State::Skip { .. } => Wait::Linger,
            _ => Wait::Close,
        }
    }

    fn closed(&mut self, now: Now, unsent: u64) {
        if let State::Send { length, .. } = self.state {
            self.record_sent(now, length.saturating_sub(unsent));
        }
    }
}

impl<H: Handler> HttpSession<H> {
    pub(super) fn new(shared: Arc<Shared<H>>, accepted: Accepted) -> HttpSession<H> {
        HttpSession { shared, accepted, connection: Connection::new(), state: State::New }
    }

    /// Between requests and in a head.
    fn read_head(&mut self, turn: &mut Turn<'_, '_>) -> Option<Wait> {
        let bytes = turn.input.bytes();
        let config = &self.shared.config;
        let (consumed, event) = match self.connection.next(bytes, &config.limits) {
            Ok(found) => found,
            Err(reject) => {
                return Some(self.refuse(reject, first_line(bytes), turn.now, turn.output));
            }
        };
        turn.input.consume(consumed);
        match event {
            Event::Head(head) => self.begin(&head, &bytes[..consumed], turn),
            Event::NeedMore if bytes.is_empty() && (turn.input.is_end() || turn.now.stopping) => {
                self.state = State::Over;
                Some(Wait::Close)
            }
            Event::NeedMore if turn.input.is_end() => {
                Some(self.refuse(Reject::IncompleteHead, first_line(bytes), turn.now, turn.output))
            }
            Event::NeedMore => {
                let deadline = match self.state {
                    State::Head { deadline } => deadline,
                    State::Idle { deadline } if bytes.is_empty() => deadline,
                    _ => {
                        let deadline = turn.now.instant + config.head_timeout;
                        self.state = State::Head { deadline };
                        deadline
                    }
                };
                Some(Wait::Read { deadline })
            }
            // A response that ends the connection has led to `Over`.
            Event::Content(_) | Event::End | Event::Closed => Some(Wait::Linger),
        }
    }

    /// A head is complete: answers it, or begins what must come before the answer.
    fn begin(
        &mut self,
        head: &RequestHead<'_>,
        bytes: &[u8],
        turn: &mut Turn<'_, '_>,
    ) -> Option<Wait> {
        let bare = head.framing == Framing::Empty;
        if bare {
            self.take_end();
        }
        if head.expectation == Expectation::Unknown {
            let response =
                Response::error(Status::EXPECTATION_FAILED).reason("unknown-expectation");
            return self.answer_early(response, head, turn.now, turn);
        }
        if !bare && !takes_content(head.method) {
            return self.begin_discard(head, bytes, turn);
        }
        let request = request(head, &self.accepted, turn.now.wall);
        match self.shared.handler.recall(&request) {
            Some(response) => self.answer_early(response, head, turn.now, turn),
            None => {
                let asked = Asked::new(bytes, turn.now);
                self.state = State::Ask { asked, answer: None };
                Some(Wait::Pool)
            }
        }
    }

    /// A response is there before the request's content, of which there may be none.
    fn answer_early(
        &mut self,
        response: Response,
        head: &RequestHead<'_>,
        begun: Now,
        turn: &mut Turn<'_, '_>,
    ) -> Option<Wait> {
        let rest = match head.framing {
            Framing::Empty => Then::Next,
            // Nobody knows whether a client that was told the outcome still sends the content
            // it offered (RFC 9110 §10.1.1), so where the next request begins is in doubt.
            _ if head.expectation != Expectation::None => Then::Linger,
            Framing::Length(length) if length > UNWANTED_BYTES_MAX => Then::Linger,
            Framing::Length(_) | Framing::Chunked => Then::Skip,
        };
        self.respond(response, head, begun, rest, turn)
    }

    /// Content of a method that has no use for it is read first: malformed, it spoils the request.
    fn begin_discard(
        &mut self,
        head: &RequestHead<'_>,
        bytes: &[u8],
        turn: &mut Turn<'_, '_>,
    ) -> Option<Wait> {
        let asked = Asked::new(bytes, turn.now);
        if matches!(head.framing, Framing::Length(length) if length > UNWANTED_BYTES_MAX) {
            return Some(self.refuse_asked(Reject::ContentTooLarge, asked, turn.now, turn.output));
        }
        if head.expectation == Expectation::Continue {
            turn.output.tail().extend_from_slice(CONTINUE);
        }
        self.state = State::Discard { asked, transfer: Transfer::new(turn.now) };
        None
    }

    fn discard(&mut self, turn: &mut Turn<'_, '_>) -> Option<Wait> {
        let State::Discard { transfer, .. } = &mut self.state else { return None };
        let result = match throw_away(&mut self.connection, &self.shared, transfer, turn) {
            Ok(Some(wait)) => return Some(wait),
            Ok(None) if transfer.octets > UNWANTED_BYTES_MAX => Err(Reject::ContentTooLarge),
            other => other.map(|_| ()),
        };
        let State::Discard { asked, .. } = std::mem::replace(&mut self.state, State::Over) else {
            return None;
        };
        if let Err(reject) = result {
            return Some(self.refuse_asked(reject, asked, turn.now, turn.output));
        }
        let head = asked.parse(&self.shared.config.limits)?;
        let request = request(&head, &self.accepted, asked.begun.wall);
        match self.shared.handler.recall(&request) {
            Some(response) => self.respond(response, &head, asked.begun, Then::Next, turn),
            None => {
                self.state = State::Ask { asked, answer: None };
                Some(Wait::Pool)
            }
        }
    }

    /// Back from the pool with an answer.
    fn take_answer(&mut self, turn: &mut Turn<'_, '_>) -> Option<Wait> {
        let State::Ask { asked, answer } = std::mem::replace(&mut self.state, State::Over) else {
            return None;
        };
        let head = asked.parse(&self.shared.config.limits)?;
        match answer? {
            Answer::Respond(response) => {
                // Content that was read before the handler was asked is not to be read again.
                if takes_content(head.method) {
                    self.answer_early(response, &head, asked.begun, turn)
                } else {
                    self.respond(response, &head, asked.begun, Then::Next, turn)
                }
            }
            Answer::Receive(receiver) => {
                // Said also when content is here already, although it need not be: what is
                // sent does not depend on how the octets happened to arrive.
                if head.expectation == Expectation::Continue {
                    turn.output.tail().extend_from_slice(CONTINUE);
                }
                self.state = State::Receive(Box::new(Receiving {
                    asked,
                    receiver: Some(receiver),
                    piece: Vec::new(),
                    complete: false,
                    transfer: Transfer::new(turn.now),
                    response: None,
                }));
                None
            }
        }
    }

    /// Gathers content for a receiver, up to a piece that is worth a trip to the pool.
    fn receive(&mut self, turn: &mut Turn<'_, '_>) -> Option<Wait> {
        let State::Receive(receiving) = &mut self.state else { return None };
        let config = &self.shared.config;
        let mut failed = None;
        while receiving.response.is_none() {
            match self.connection.next(turn.input.bytes(), &config.limits) {
                Ok((consumed, event)) => {
                    turn.input.consume(consumed);
                    match event {
                        Event::Content(bytes) => {
                            receiving.transfer.count(bytes.len(), turn.now);
                            receiving.piece.extend_from_slice(bytes);
                            if receiving.piece.len() >= PIECE_BYTES {
                                return Some(Wait::Pool);
                            }
                        }
                        Event::End => {
                            receiving.complete = true;
                            return Some(Wait::Pool);
                        }
                        _ if turn.input.is_end() => {
                            failed = Some(Reject::IncompleteContent);
                            break;
                        }
                        _ => {
                            let Transfer { start, last, octets } = receiving.transfer;
                            let deadline = config.content_pace.deadline(start, last, octets);
                            return Some(Wait::Read { deadline });
                        }
                    }
                }
                Err(reject) => {
                    failed = Some(reject);
                    break;
                }
            }
        }
        let State::Receive(receiving) = std::mem::replace(&mut self.state, State::Over) else {
            return None;
        };
        let Receiving { asked, complete, response, .. } = *receiving;
        if let Some(reject) = failed {
            return Some(self.refuse_asked(reject, asked, turn.now, turn.output));
        }
        let head = asked.parse(&self.shared.config.limits)?;
        let rest = if complete { Then::Next } else { Then::Linger };
        self.respond(response?, &head, asked.begun, rest, turn)
    }

    /// Throws away the content of a request that has been answered.
    fn skip(&mut self, turn: &mut Turn<'_, '_>) -> Option<Wait> {
        let State::Skip { transfer } = &mut self.state else { return None };
        match throw_away(&mut self.connection, &self.shared, transfer, turn) {
            Ok(Some(wait)) => Some(wait),
            Ok(None) if transfer.octets <= UNWANTED_BYTES_MAX => {
                self.rest(turn.now);
                None
            }
            // The request has had its answer; a second one would be taken for the next one's.
            Ok(None) | Err(_) => {
                self.state = State::Over;
                Some(Wait::Linger)
            }
        }
    }

    /// A long response has gone out.
    fn sent(&mut self, now: Now) -> Option<Wait> {
        let State::Send { length, then, .. } = self.state else { return None };
        self.record_sent(now, length);
        self.go_on(then, now)
    }

    /// After a response.
    pub(super) fn go_on(&mut self, then: Then, now: Now) -> Option<Wait> {
        self.state = State::Over;
        match then {
            Then::Next => self.rest(now),
            Then::Skip => self.state = State::Skip { transfer: Transfer::new(now) },
            Then::Close => return Some(Wait::Close),
            Then::Linger => return Some(Wait::Linger),
        }
        None
    }

    /// Waits for the next request.
    fn rest(&mut self, now: Now) {
        self.state = State::Idle { deadline: now.instant + self.shared.config.idle_timeout };
    }

    /// Takes note that a request without content is complete.
    fn take_end(&mut self) {
        let end = self.connection.next(&[], &self.shared.config.limits);
        debug_assert!(matches!(end, Ok((0, Event::End))), "a request without content is complete");
    }
}

/// Whether enough is waiting to be sent that reading on would only add to it.
pub(super) fn has_gathered(output: &Output) -> bool {
    output.len() >= GATHER_BYTES_MAX
}

/// Reads content and drops it: `Some` to wait for more, `None` at its end or beyond the bound.
fn throw_away<H>(
    connection: &mut Connection,
    shared: &Shared<H>,
    transfer: &mut Transfer,
    turn: &mut Turn<'_, '_>,
) -> Result<Option<Wait>, Reject> {
    loop {
        let (consumed, event) = connection.next(turn.input.bytes(), &shared.config.limits)?;
        turn.input.consume(consumed);
        match event {
            Event::Content(bytes) => {
                transfer.count(bytes.len(), turn.now);
                if transfer.octets > UNWANTED_BYTES_MAX {
                    return Ok(None);
                }
            }
            Event::End => return Ok(None),
            _ if turn.input.is_end() => return Err(Reject::IncompleteContent),
            _ => {
                let Transfer { start, last, octets } = *transfer;
                let deadline = shared.config.content_pace.deadline(start, last, octets);
                return Ok(Some(Wait::Read { deadline }));
            }
        }
    }
}

/// Whether content means something to `method`. For the others RFC 9110 defines none
/// (§9.3.1, §9.3.2, §9.3.5); it is framed all the same.
fn takes_content(method: Method<'_>) -> bool {
    match method {
        Method::Post | Method::Put | Method::Patch | Method::Other(_) => true,
        Method::Get | Method::Head | Method::Delete => false,
        Method::Connect | Method::Options | Method::Trace => false,
    }
}

fn request<'a>(head: &'a RequestHead<'a>, accepted: &Accepted, now: SystemTime) -> Request<'a> {
    Request { head, peer: accepted.peer, local: accepted.local, now }
}

/// As much of a refused request's first line as came.
fn first_line(bytes: &[u8]) -> &[u8] {
    let bytes = bytes.strip_prefix(b"\r\n").unwrap_or(bytes);
    let end = bytes.iter().position(|&b| b == b'\r' || b == b'\n').unwrap_or(bytes.len());
    &bytes[..end]
}

impl Asked {
    pub(super) fn new(head: &[u8], begun: Now) -> Asked {
        Asked { head: head.into(), begun }
    }

    /// The head again. It has parsed before; `None` cannot happen, and would close the connection.
    pub(super) fn parse(&self, limits: &crate::Limits) -> Option<RequestHead<'_>> {
        let head = RequestHead::parse(&self.head, limits);
        debug_assert!(head.is_ok(), "a head that has parsed parses again");
        head.ok()
    }
}

impl Receiving {
    /// On a pool thread: gives the receiver what has been gathered.
    fn hand_over(&mut self) {
        let Some(receiver) = &mut self.receiver else { return };
        if !self.piece.is_empty()
            && let Err(response) = receiver.receive(&self.piece)
        {
            self.receiver = None;
            self.response = Some(response);
            return;
        }
        self.piece.clear();
        if self.complete
            && let Some(receiver) = self.receiver.take()
        {
            self.response = Some(receiver.finish());
        }
    }
}
