//! Responses whose content is made while they are sent: a piece on the pool, the piece to the
//! client, the next piece. One piece at a time is all that a slow client holds.

use std::io;

use tcp_core::Wait;

use super::response::SourceBox;
use super::session::{HttpSession, Reply, State, Turn};
use super::{Handler, Produced};
use crate::assembly::{LAST_CHUNK, write_chunk};

/// A response whose content is under way.
pub(super) struct Streaming {
    reply: Reply,
    source: SourceBox,
    /// In chunks, or else until the connection closes.
    chunked: bool,
    /// What the pool has made last, and what came of it; `None` when there is nothing new.
    made: Option<io::Result<Produced>>,
    piece: Vec<u8>,
    /// Octets of content handed over so far.
    length: u64,
}

impl<H: Handler> HttpSession<H> {
    /// Hands over what the pool has made, and asks for more once the client has taken it.
    pub(super) fn stream(&mut self, turn: &mut Turn<'_, '_>) -> Option<Wait> {
        let State::Stream(streaming) = &mut self.state else { return None };
        let Some(made) = streaming.made.take() else { return Some(Wait::Pool) };
        streaming.hand_over(turn);
        match made {
            Ok(Produced::More) if turn.output.is_empty() => Some(Wait::Pool),
            Ok(Produced::More) => Some(Wait::Drain),
            Ok(Produced::All) => {
                let length = streaming.length;
                if streaming.chunked {
                    turn.output.tail().extend_from_slice(LAST_CHUNK);
                }
                let state = std::mem::replace(&mut self.state, State::Over);
                if let State::Stream(streaming) = state {
                    self.state = State::Send { reply: streaming.into_reply(), length };
                }
                Some(Wait::Drain)
            }
            Err(error) => {
                log::warn!("content could not be completed: {error}");
                let sent = streaming.length;
                streaming.reply.reason = Some("content-failed");
                self.record_sent(turn.now, sent.saturating_sub(turn.output.len()));
                Some(Wait::Abort)
            }
        }
    }
}

impl Streaming {
    pub(super) fn new(source: SourceBox, reply: Reply, chunked: bool) -> Streaming {
        Streaming { reply, source, chunked, made: None, piece: Vec::new(), length: 0 }
    }

    /// On a pool thread: makes the next piece.
    pub(super) fn produce(&mut self) {
        self.made = Some(self.source.0.produce(&mut self.piece));
    }

    fn hand_over(&mut self, turn: &mut Turn<'_, '_>) {
        self.length += self.piece.len() as u64;
        let tail = turn.output.tail();
        match self.chunked {
            true => write_chunk(tail, &self.piece),
            false => tail.extend_from_slice(&self.piece),
        }
        // Not kept while the client takes its time: what it holds then is in the output.
        self.piece = Vec::new();
    }

    /// Octets of content handed over so far.
    pub(super) fn length(&self) -> u64 {
        self.length
    }

    pub(super) fn into_reply(self) -> Reply {
        self.reply
    }
}
