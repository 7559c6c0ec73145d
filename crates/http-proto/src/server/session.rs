//! The life of one HTTP connection: what it reads, whom it asks, what it waits for.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use tcp_core::{Accepted, Input, Now, Output, Session, Tick, Wait};

use super::content::{Receiving, Transfer, UNWANTED_BYTES_MAX, takes_content};
use super::service::Shared;
use super::stream::Streaming;
use super::{Answer, Handler, Request, Response};
use crate::assembly::CONTINUE;
use crate::framing::Expectation;
use crate::{Connection, Event, Framing, Method, Reject, RequestHead, Status};

/// Responses to pipelined requests are gathered up to this many octets before they are sent.
const GATHER_BYTES_MAX: u64 = 64 * 1024;

/// How a request begins of which no answer has content (RFC 9110 §9.3.2).
pub(super) const HEAD: &[u8] = b"HEAD ";

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
    /// Between requests, or behind an empty line before one; cut at the deadline, or before when
    /// the server is full.
    Idle { since: Instant, deadline: Instant },
    /// In a head that must be complete by the deadline. `silent`: as far as it has come, whatever
    /// is answered has no content.
    Head { deadline: Instant, silent: bool },
    /// Content comes that no handler wants; the request is answered after it.
    Discard { asked: Asked, transfer: Transfer },
    /// The handler is asked on a pool thread.
    Ask { asked: Asked, answer: Option<Answer> },
    /// Content goes to a receiver, piece by piece.
    Receive(Box<Receiving>),
    /// Answered; the rest of the request's content is thrown away before the next one is read.
    Skip { transfer: Transfer },
    /// A response is going out whose content is still being made, on pool threads.
    Stream(Box<Streaming>),
    /// A long response is going out; it is recorded, and the next request read, when it has gone.
    Send { reply: Reply, length: u64 },
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

/// A response whose content takes its time: what is recorded of it, and what comes then.
pub(super) struct Reply {
    pub(super) asked: Asked,
    pub(super) status: Status,
    pub(super) reason: Option<&'static str>,
    pub(super) then: Then,
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

impl<H: Handler> Session for HttpSession<H> {
    fn advance(&mut self, now: Now, input: &mut Input<'_>, output: &mut Output) -> Wait {
        let turn = &mut Turn { now, input, output };
        loop {
            let wait = match &mut self.state {
                State::New => {
                    self.rest(now, self.shared.config.head_timeout);
                    None
                }
                State::Idle { .. } | State::Head { .. } => self.read_head(turn),
                State::Discard { .. } => self.discard(turn),
                State::Ask { .. } => self.take_answer(turn),
                State::Receive(_) => self.receive(turn),
                State::Skip { .. } => self.skip(turn),
                State::Stream(_) => self.stream(turn),
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
                    let request = request(&head, accepted, asked.begun.wall, None);
                    let mut answer = handler.answer(&request);
                    if let Answer::Respond(response) = &mut answer {
                        response.let_go_unsent(head.method == Method::Head);
                    }
                    match answer {
                        // There is no content, or it has been thrown away: what comes now is
                        // another request.
                        Answer::Receive(receiver)
                            if head.framing == Framing::Empty || !takes_content(head.method) =>
                        {
                            Answer::Respond(receiver.finish(&request))
                        }
                        answer => answer,
                    }
                });
            }
            State::Receive(receiving) => {
                receiving.hand_over(&self.accepted, &self.shared.config.limits);
            }
            State::Stream(streaming) => streaming.produce(),
            _ => {}
        }
    }

    fn expire(&mut self, now: Now, output: &mut Output) -> Wait {
        match std::mem::replace(&mut self.state, State::Over) {
            State::Head { silent, .. } => {
                self.refuse(Reject::HeadTimeout, b"", silent, now, output)
            }
            State::Discard { asked, .. } => {
                self.refuse_asked(Reject::ContentTimeout, asked, now, output)
            }
            State::Receive(receiving) => {
                self.refuse_asked(Reject::ContentTimeout, receiving.into_asked(), now, output)
            }
            State::Skip { .. } => Wait::Linger,
            _ => Wait::Close,
        }
    }

    fn closed(&mut self, now: Now, unsent: u64) {
        let length = match &self.state {
            State::Send { length, .. } => *length,
            State::Stream(streaming) => streaming.length(),
            _ => return,
        };
        self.record_sent(now, length.saturating_sub(unsent));
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
                let line = first_line(bytes);
                let silent = line.starts_with(HEAD);
                return Some(self.refuse(reject, line, silent, turn.now, turn.output));
            }
        };
        // An empty line before the request is no part of it (RFC 9112 §2.2).
        let begin = bytes.iter().take_while(|octet| matches!(octet, b'\r' | b'\n')).count();
        let arrived = turn.input.arrived(begin);
        turn.input.consume(consumed);
        // RFC 9112 §2.2: an empty line is ignored; nobody has begun a request with it.
        let nothing = matches!(bytes, b"" | b"\r" | b"\r\n");
        match event {
            Event::Head(head) => self.begin(&head, arrived, turn),
            Event::NeedMore if nothing && turn.input.is_end() => {
                self.state = State::Over;
                Some(Wait::Close)
            }
            // What has come already is looked at first: a request that is met by a close resets
            // the connection, and the reset can overtake the last response.
            Event::NeedMore if nothing && turn.now.stopping => {
                let now = turn.now.instant;
                self.state = State::Idle { since: now, deadline: now };
                Some(Wait::Read { deadline: turn.now.instant })
            }
            Event::NeedMore if turn.input.is_end() => {
                let line = first_line(bytes);
                let silent = line.starts_with(HEAD);
                Some(self.refuse(Reject::IncompleteHead, line, silent, turn.now, turn.output))
            }
            Event::NeedMore => {
                let deadline = match self.state {
                    State::Idle { since, deadline } if nothing => {
                        return Some(Wait::Idle { since, deadline });
                    }
                    State::Head { deadline, .. } => deadline,
                    _ => turn.now.instant + config.head_timeout,
                };
                if !nothing {
                    let silent = first_line(bytes).starts_with(HEAD);
                    self.state = State::Head { deadline, silent };
                }
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
        arrived: Option<Tick>,
        turn: &mut Turn<'_, '_>,
    ) -> Option<Wait> {
        let bare = head.framing == Framing::Empty;
        if bare {
            self.take_end();
        }
        if let Some(rates) = &self.shared.rates
            && !rates.admit(self.accepted.network(), turn.now.instant)
        {
            return self.answer_early(too_often(), head, turn.now, turn);
        }
        if head.expectation == Expectation::Unknown {
            let response =
                Response::error(Status::EXPECTATION_FAILED).reason("unknown-expectation");
            return self.answer_early(response, head, turn.now, turn);
        }
        if !bare && !takes_content(head.method) {
            return self.begin_discard(head, turn);
        }
        let request = request(head, &self.accepted, turn.now.wall, arrived);
        match self.shared.handler.recall(&request) {
            Some(response) => self.answer_early(response, head, turn.now, turn),
            None => {
                let wait = pool_for(&self.shared.handler, &request);
                let asked = Asked::new(head.octets(), turn.now);
                self.state = State::Ask { asked, answer: None };
                Some(wait)
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
            Framing::Length(length) if length <= UNWANTED_BYTES_MAX => Then::Skip,
            // Long, or of a length that nobody has told: closing is cheaper for both sides than
            // reading it, and is said in the response.
            Framing::Length(_) | Framing::Chunked => Then::Linger,
        };
        self.respond(response, head, begun, rest, turn)
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
                let receiving = Receiving::new(asked, receiver, turn.now);
                self.state = State::Receive(Box::new(receiving));
                None
            }
        }
    }

    /// A long response has gone out.
    fn sent(&mut self, now: Now) -> Option<Wait> {
        let State::Send { reply: Reply { then, .. }, length } = self.state else { return None };
        self.record_sent(now, length);
        self.go_on(then, now)
    }

    /// After a response.
    pub(super) fn go_on(&mut self, then: Then, now: Now) -> Option<Wait> {
        self.state = State::Over;
        match then {
            Then::Next => self.rest(now, self.shared.config.idle_timeout),
            Then::Skip => self.state = State::Skip { transfer: Transfer::new(now) },
            Then::Close => return Some(Wait::Close),
            Then::Linger => return Some(Wait::Linger),
        }
        None
    }

    /// Waits for the next request, but not for ever.
    pub(super) fn rest(&mut self, now: Now, timeout: Duration) {
        self.state = State::Idle { since: now.instant, deadline: now.instant + timeout };
    }

    /// Takes note that a request without content is complete.
    fn take_end(&mut self) {
        let end = self.connection.next(&[], &self.shared.config.limits);
        debug_assert!(matches!(end, Ok((0, Event::End))), "a request without content is complete");
    }
}

/// Where the handler is asked.
pub(super) fn pool_for(handler: &impl Handler, request: &Request<'_>) -> Wait {
    match handler.may_take_long(request) {
        true => Wait::LongPool,
        false => Wait::Pool,
    }
}

/// Whether enough is waiting to be sent that reading on would only add to it.
pub(super) fn has_gathered(output: &Output) -> bool {
    output.len() >= GATHER_BYTES_MAX
}

pub(super) fn request<'a>(
    head: &'a RequestHead<'a>,
    accepted: &Accepted,
    now: SystemTime,
    arrived: Option<Tick>,
) -> Request<'a> {
    let Accepted { peer, local, worker } = *accepted;
    Request { head, peer, local, worker, now, arrived }
}

/// The answer to one request too many (RFC 6585 §4). At one request a second or more, the next one
/// may be sent a second later at the latest.
fn too_often() -> Response {
    let response = Response::error(Status::TOO_MANY_REQUESTS).reason("address-rate");
    response.field("Retry-After", "1")
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
