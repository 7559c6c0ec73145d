//! The content of requests: received, read and thrown away, or skipped after the answer.

use std::time::Instant;

use tcp_core::{Accepted, Now, Pace, Wait};

use super::service::Shared;
use super::session::{Asked, HttpSession, State, Then, Turn, pool_for, request};
use super::{Handler, Receiver, Response};
use crate::assembly::CONTINUE;
use crate::framing::Expectation;
use crate::{Connection, Event, Framing, Limits, Method, Reject, RequestHead};

/// Content that nobody wants is read and thrown away up to this many octets, so that the
/// connection can be kept; beyond, closing it is cheaper for both sides.
pub(super) const UNWANTED_BYTES_MAX: u64 = 64 * 1024;
/// Content is handed to a receiver in pieces of about this many octets: enough that the trip to a
/// pool thread hardly counts, little enough that ten thousand uploads fit in memory.
const PIECE_BYTES: usize = 64 * 1024;

/// An upload under way.
pub(super) struct Receiving {
    asked: Asked,
    /// Gone once it has finished or failed.
    receiver: Option<Box<dyn Receiver>>,
    piece: Vec<u8>,
    complete: bool,
    /// Back from the pool.
    back: bool,
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

impl<H: Handler> HttpSession<H> {
    /// Content of a method that has no use for it is read first: malformed, it spoils the request.
    pub(super) fn begin_discard(
        &mut self,
        head: &RequestHead<'_>,
        turn: &mut Turn<'_, '_>,
    ) -> Option<Wait> {
        let asked = Asked::new(head.octets(), turn.now);
        if matches!(head.framing, Framing::Length(length) if length > UNWANTED_BYTES_MAX) {
            return Some(self.refuse_asked(Reject::ContentTooLarge, asked, turn.now, turn.output));
        }
        if head.expectation == Expectation::Continue {
            turn.output.tail().extend_from_slice(CONTINUE);
        }
        self.state = State::Discard { asked, transfer: Transfer::new(turn.now) };
        None
    }

    pub(super) fn discard(&mut self, turn: &mut Turn<'_, '_>) -> Option<Wait> {
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
        let request = request(&head, &self.accepted, asked.begun.wall, None);
        match self.shared.handler.recall(&request) {
            Some(response) => self.respond(response, &head, asked.begun, Then::Next, turn),
            None => {
                let wait = pool_for(&self.shared.handler, &request);
                self.state = State::Ask { asked, answer: None };
                Some(wait)
            }
        }
    }

    /// Gathers content for a receiver, up to a piece that is worth a trip to the pool.
    pub(super) fn receive(&mut self, turn: &mut Turn<'_, '_>) -> Option<Wait> {
        let State::Receive(receiving) = &mut self.state else { return None };
        let config = &self.shared.config;
        if std::mem::take(&mut receiving.back) {
            receiving.transfer.resume(turn.now);
        }
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
                                return Some(Wait::LongPool);
                            }
                        }
                        Event::End => {
                            receiving.complete = true;
                            return Some(Wait::LongPool);
                        }
                        _ if turn.input.is_end() => {
                            failed = Some(Reject::IncompleteContent);
                            break;
                        }
                        _ => {
                            let deadline = receiving.transfer.deadline(&config.content_pace);
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
    pub(super) fn skip(&mut self, turn: &mut Turn<'_, '_>) -> Option<Wait> {
        let State::Skip { transfer } = &mut self.state else { return None };
        match throw_away(&mut self.connection, &self.shared, transfer, turn) {
            Ok(Some(wait)) => Some(wait),
            Ok(None) if transfer.octets <= UNWANTED_BYTES_MAX => {
                self.rest(turn.now, self.shared.config.idle_timeout);
                None
            }
            // The request has had its answer; a second one would be taken for the next one's.
            Ok(None) | Err(_) => {
                self.state = State::Over;
                Some(Wait::Linger)
            }
        }
    }
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
                let deadline = transfer.deadline(&shared.config.content_pace);
                return Ok(Some(Wait::Read { deadline }));
            }
        }
    }
}

/// Whether content means something to `method`. For the others RFC 9110 defines none
/// (§9.3.1, §9.3.2, §9.3.5); it is framed all the same.
pub(super) fn takes_content(method: Method<'_>) -> bool {
    match method {
        Method::Post | Method::Put | Method::Patch | Method::Other(_) => true,
        Method::Get | Method::Head | Method::Delete => false,
        Method::Connect | Method::Options | Method::Trace => false,
    }
}

impl Transfer {
    pub(super) fn new(now: Now) -> Transfer {
        Transfer { start: now.instant, last: now.instant, octets: 0 }
    }

    fn count(&mut self, octets: usize, now: Now) {
        self.last = now.instant;
        self.octets += octets as u64;
    }

    /// Leaves out the time since the last octet: we were not reading, however fast the client was.
    fn resume(&mut self, now: Now) {
        self.start += now.instant.saturating_duration_since(self.last);
        self.last = now.instant;
    }

    /// When the content has come too slowly.
    fn deadline(&self, pace: &Pace) -> Instant {
        pace.deadline(self.start, self.last, self.octets)
    }
}

impl Receiving {
    pub(super) fn new(asked: Asked, receiver: Box<dyn Receiver>, now: Now) -> Receiving {
        Receiving {
            asked,
            receiver: Some(receiver),
            piece: Vec::new(),
            complete: false,
            back: false,
            transfer: Transfer::new(now),
            response: None,
        }
    }

    /// The request, when its content is given up.
    pub(super) fn into_asked(self) -> Asked {
        self.asked
    }

    /// On a pool thread: gives the receiver what has been gathered.
    pub(super) fn hand_over(&mut self, accepted: &Accepted, limits: &Limits) {
        self.back = true;
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
            && let Some(head) = self.asked.parse(limits)
        {
            let request = request(&head, accepted, self.asked.begun.wall, None);
            self.response = Some(receiver.finish(&request));
        }
    }
}
