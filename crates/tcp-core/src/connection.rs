//! The life of one connection: send what is owed, then do what its session waits for.

use std::io::{self, Read};
use std::net::Shutdown;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Instant;

use mio::net::TcpStream;
use mio::{Interest, Registry, Token};

use crate::addresses::Guest;
use crate::closer::Closer;
use crate::limits::{STEP_COST, WARM_BYTES, WARM_UNSENT_SLOW, WIDE_TURNS};
use crate::pool::{Errand, Lane};
use crate::room::{Permit, Room};
use crate::slots::Ready;
use crate::{Accepted, Input, Limits, Now, Output, Session, Tick, Wait};
use owing::Owing;
use sending::{Flush, bring};

mod ending;
mod owing;
mod sending;

/// A connection: its socket, its session, and what is on the way between them.
///
/// An owned value, in one place at a time: a worker's slot, a channel or a pool thread. While it
/// is idle neither buffer holds heap memory.
pub(crate) struct Connection<S> {
    pub(crate) socket: TcpStream,
    accepted: Accepted,
    /// Counts it among those of its address as long as it is.
    _guest: Option<Guest>,
    session: S,
    /// Received and not consumed.
    unread: Vec<u8>,
    pub(crate) output: Output,
    wait: Wait,
    /// The peer has closed its sending side, and the session knows.
    ended: bool,
    /// `advance` is due although nothing may have come: the connection is new, or the server
    /// is stopping.
    nudged: bool,
    /// Octets that the kernel has taken for the peer since the beginning.
    sent: u64,
    /// Set while output is owed to a peer that does not take it, and once all is over, while the
    /// peer has yet to take much of what the kernel has for it.
    owing: Option<Owing>,
    /// Set from when the sending side is closed: when reading and discarding ends, or, once all is
    /// over, when the kernel is asked again what is left to be taken.
    linger_until: Option<Instant>,
    /// What the kernel has been asked to tell of.
    watched: Option<Interest>,
    room: Room,
    /// It goes to the pool for the file at the front of the output, not for its session: to have so
    /// many octets of it read in.
    cold: Option<u64>,
    /// The session has panicked: what it holds may be half done, so it is asked nothing more.
    panicked: bool,
}

/// How a turn ends.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Turn {
    /// Nothing to do before an event or the deadline.
    Parked,
    /// The budget is spent; there is more to do when the others have had their turn.
    Again,
    /// To the pool, which calls `block`.
    Pool(Lane),
    /// The connection is over.
    Closed,
}

/// What a turn may use: the worker's, lent to one connection after the other.
pub(crate) struct Lent<'w> {
    pub(crate) limits: &'w Limits,
    pub(crate) now: Now,
    pub(crate) closer: &'w Closer,
    /// Where the connection is watched, and under which name.
    pub(crate) registry: &'w Registry,
    pub(crate) token: Token,
    pub(crate) tick: &'w mut Tick,
    pub(crate) permits: &'w Permit,
    /// Reads go here first: an idle connection needs no buffer of its own.
    pub(crate) scratch: &'w mut [u8],
    /// An empty queue with room in it.
    pub(crate) output: &'w mut Output,
}

impl<S: Session> Connection<S> {
    pub(crate) fn new(
        socket: TcpStream,
        accepted: Accepted,
        guest: Option<Guest>,
        session: S,
        now: Now,
    ) -> Connection<S> {
        Connection {
            socket,
            accepted,
            _guest: guest,
            session,
            unread: Vec::new(),
            output: Output::default(),
            // The first `advance` comes at once, with what can be read by then.
            wait: Wait::Read { deadline: now.instant },
            ended: false,
            nudged: true,
            sent: 0,
            owing: None,
            linger_until: None,
            watched: None,
            room: Room::default(),
            cold: None,
            panicked: false,
        }
    }

    /// One turn: goes on until the connection waits for something or has spent its budget.
    pub(crate) fn turn(&mut self, ready: &mut Ready, lent: &mut Lent<'_>) -> Turn {
        if self.output.is_empty() {
            std::mem::swap(&mut self.output, lent.output);
        }
        if let Some(owing) = &mut self.owing {
            owing.come_back(lent.now.instant);
        }
        let turn = catch_unwind(AssertUnwindSafe(|| self.run(ready, lent))).unwrap_or_else(|_| {
            self.panicked();
            Turn::Closed
        });
        if let (Turn::Pool(_), Some(owing)) = (&turn, &mut self.owing) {
            owing.away = Some(lent.now.instant);
        }
        if self.output.is_empty() {
            // Also when it was not borrowed in this turn: nobody idle keeps a buffer.
            *lent.output = std::mem::take(&mut self.output);
        }
        // Of who has only to take what the kernel has, nothing need be told.
        let leaves = self.wait == Wait::Close && self.output.is_empty();
        if turn == Turn::Parked
            && !leaves
            && let Err(error) = self.watch(!ready.writable, lent)
        {
            log::error!("the connection from {} cannot be watched: {error}", self.accepted.peer);
            self.wait = Wait::Abort;
            return Turn::Closed;
        }
        turn
    }

    /// Has the kernel tell of what is waited for. It tells at once of what is there by now.
    ///
    /// A connection that is over in its first turn is never watched, and one whose peer always
    /// takes what it is sent not for room: there is some, and to be told so would cost every new
    /// connection a turn in which there is nothing to do.
    fn watch(&mut self, room: bool, lent: &Lent<'_>) -> io::Result<()> {
        let (registry, token) = (lent.registry, lent.token);
        let interest = match room {
            true => Interest::READABLE | Interest::WRITABLE,
            false => Interest::READABLE,
        };
        match self.watched {
            None => registry.register(&mut self.socket, token, interest)?,
            Some(known) if room && !known.is_writable() => {
                registry.reregister(&mut self.socket, token, interest)?;
            }
            Some(_) => return Ok(()),
        }
        self.watched = Some(interest);
        Ok(())
    }

    /// The life of a connection on one screen.
    fn run(&mut self, ready: &mut Ready, lent: &mut Lent<'_>) -> Turn {
        let mut budget = match self.room.is_wide() {
            true => lent.limits.turn_bytes.saturating_mul(WIDE_TURNS),
            false => lent.limits.turn_bytes,
        };
        loop {
            if self.wait == Wait::Abort {
                return Turn::Closed;
            }
            match (self.flush(ready, &mut budget, lent), self.lane()) {
                (Flush::Done, _) if self.linger_until.is_some() => {}
                (Flush::Done, _) => self.owing = None,
                // What the pool does need not wait for the peer: the output travels along.
                (Flush::Full, Some(lane)) => return Turn::Pool(lane),
                // Too slow: reset, so that the kernel lets go of its bytes too. Whether the file is
                // in memory does not matter then.
                (Flush::Full | Flush::Cold, _) if self.takes_too_little(lent) => {
                    self.wait = Wait::Abort;
                    return Turn::Closed;
                }
                (Flush::Full, _) => return Turn::Parked,
                (Flush::Spent, _) => return Turn::Again,
                (Flush::Cold, _) => {
                    self.cold = Some(self.most_to_warm(lent));
                    return Turn::Pool(Lane::Short);
                }
                (Flush::Broken, _) => {
                    self.wait = Wait::Abort;
                    return Turn::Closed;
                }
            }
            budget = budget.saturating_sub(STEP_COST);
            if budget == 0 {
                return Turn::Again;
            }
            match self.wait {
                Wait::Close => {
                    // Before the close: that would drop what is held back for it, and reset the
                    // connection, should the peer have sent more than the session has seen.
                    if !self.ended && self.linger_until.is_none() {
                        let _ = self.socket.shutdown(Shutdown::Write);
                    }
                    return self.leave(lent);
                }
                Wait::Abort => return Turn::Closed,
                Wait::Pool => return Turn::Pool(Lane::Short),
                Wait::LongPool => return Turn::Pool(Lane::Long),
                Wait::Drain => self.advance(0, None, lent),
                Wait::Linger => match self.discard(ready, &mut budget, lent) {
                    Some(turn) => return turn,
                    None => continue,
                },
                Wait::Read { .. } | Wait::Idle { .. } if self.ended => self.wait = Wait::Close,
                Wait::Read { .. } | Wait::Idle { .. } => match self.receive(ready, lent) {
                    Ok((received, told)) => {
                        budget = budget.saturating_sub(received);
                        self.advance(received, told, lent);
                    }
                    Err(error) if error.kind() != io::ErrorKind::WouldBlock => {
                        self.wait = Wait::Abort;
                        return Turn::Closed;
                    }
                    Err(_) if self.nudged => self.advance(0, None, lent),
                    Err(_) if self.is_due(lent) => {
                        self.wait = self.session.expire(lent.now, &mut self.output);
                    }
                    Err(_) => return Turn::Parked,
                },
            }
        }
    }

    /// Reads once into the scratch; no bytes only at the end of the peer's. Says by when the first
    /// of them had come, if the kernel has told.
    fn receive(
        &mut self,
        ready: &mut Ready,
        lent: &mut Lent<'_>,
    ) -> io::Result<(usize, Option<Tick>)> {
        if !ready.readable {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let room = lent.limits.input_bytes.saturating_sub(self.unread.len());
        if room == 0 {
            return Err(io::Error::other("the session neither consumes its input nor closes"));
        }
        let room = room.min(lent.scratch.len());
        let result = retry(|| self.socket.read(&mut lent.scratch[..room]));
        match &result {
            // A read that does not fill the buffer has emptied the socket (epoll(7), edge
            // triggered), but for an end that may stand behind the bytes.
            Ok(count) if *count > 0 && (*count == room || ready.read_closed) => {}
            Ok(0) => self.ended = true,
            _ => ready.readable = false,
        }
        let told = ready.told.take();
        result.map(|count| (count, told))
    }

    /// Shows the session its input: what was unread, and `received` new octets of the scratch, of
    /// which the first had come by `told`.
    fn advance(&mut self, received: usize, told: Option<Tick>, lent: &mut Lent<'_>) {
        self.nudged = false;
        let scratch = &lent.scratch[..received];
        let all = lent.tick.advance();
        if self.unread.is_empty() {
            let first = told.unwrap_or(all);
            let mut input = Input::new(scratch, self.ended).arrived_by(first, all);
            self.wait = self.session.advance(lent.now, &mut input, &mut self.output);
            // Allocates nothing when all has been consumed.
            self.unread.extend_from_slice(input.bytes());
        } else {
            self.unread.extend_from_slice(scratch);
            // Its first byte came earlier; when, nobody has noted.
            let mut input = Input::new(&self.unread, self.ended).arrived_by(all, all);
            self.wait = self.session.advance(lent.now, &mut input, &mut self.output);
            let consumed = input.consumed();
            if consumed == self.unread.len() {
                self.unread = Vec::new();
            } else {
                self.unread.drain(..consumed);
            }
        }
    }

    /// When the connection has waited too long for what it waits for: first for the peer to take
    /// what it is owed, then for the end of a linger, and only then for what the session wants.
    pub(crate) fn due(&self, limits: &Limits) -> Option<Instant> {
        match (&self.owing, self.linger_until, self.wait) {
            (Some(owing), None, _) => Some(owing.deadline(&limits.pace)),
            (Some(owing), Some(look), _) => Some(owing.deadline(&limits.pace).min(look)),
            (None, Some(until), _) => Some(until),
            (None, None, Wait::Read { deadline } | Wait::Idle { deadline, .. }) => Some(deadline),
            _ => None,
        }
    }

    /// Since when the session has been asked nothing, as far as it knows, while it owes nothing.
    pub(crate) fn idle_since(&self) -> Option<Instant> {
        match self.wait {
            Wait::Idle { since, .. } if self.output.is_empty() => Some(since),
            _ => None,
        }
    }

    /// Whether nothing has come that the session does not know of: the kernel may not have told.
    pub(crate) fn is_silent(&self) -> bool {
        let peeked = retry(|| self.socket.peek(&mut [0]));
        peeked.is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock)
    }

    fn is_due(&self, lent: &Lent<'_>) -> bool {
        self.due(lent.limits).is_some_and(|due| due <= lent.now.instant)
    }

    /// Whether the peer has taken too little of what it is owed. The kernel is asked only when it
    /// seems so.
    fn takes_too_little(&mut self, lent: &Lent<'_>) -> bool {
        let (now, pace) = (lent.now.instant, &lent.limits.pace);
        let Some(owing) = &mut self.owing else { return false };
        if now < owing.deadline(pace) {
            return false;
        }
        owing.look(now, &self.socket);
        now >= owing.deadline(pace)
    }

    /// How much of a file is to be read in at once. Little for a slow peer: before it has taken
    /// more, the kernel may have dropped that, and it would be read again each time.
    fn most_to_warm(&self, lent: &Lent<'_>) -> u64 {
        match &self.owing {
            Some(owing) if owing.is_stale(lent.now.instant) => {
                WARM_BYTES.min(WARM_UNSENT_SLOW * u64::from(lent.limits.unsent_bytes))
            }
            _ => WARM_BYTES,
        }
    }

    /// The lane to the pool that the session waits for, if it does.
    fn lane(&self) -> Option<Lane> {
        match self.wait {
            Wait::Pool => Some(Lane::Short),
            Wait::LongPool => Some(Lane::Long),
            _ => None,
        }
    }

    /// The server is stopping: the session is asked once more, even if nothing has come.
    pub(crate) fn nudge(&mut self) {
        self.nudged = true;
    }

    /// What is done on a pool thread: the session's blocking work, or reading in a file that is
    /// about to be sent. Afterwards the connection goes home and has a turn.
    pub(crate) fn block(&mut self) {
        let work = AssertUnwindSafe(|| match self.cold.take() {
            Some(most) => {
                // A worker that tried it once more would wait as long for the same error.
                if let Err(error) = bring(&mut self.output, most, self.room.is_wide()) {
                    log::warn!("what {} is sent cannot be read: {error}", self.accepted.peer);
                    self.wait = Wait::Abort;
                }
            }
            None => {
                self.session.block();
                self.wait = Wait::Drain;
            }
        });
        if catch_unwind(work).is_err() {
            self.panicked();
        }
    }

    /// The session has panicked: this connection is lost, and nothing else.
    fn panicked(&mut self) {
        log::error!("a session panicked; its connection from {} is closed", self.accepted.peer);
        self.panicked = true;
        self.wait = Wait::Abort;
    }
}

impl<S: Session> Errand for Connection<S> {
    fn block(&mut self) {
        Connection::block(self);
    }

    fn give_up(&mut self) {
        Connection::give_up(self);
    }

    fn end(self) {
        drop(self.close(Now::read(true)));
    }
}

/// Calls again what a signal has interrupted.
fn retry(mut call: impl FnMut() -> io::Result<usize>) -> io::Result<usize> {
    loop {
        match call() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}

#[cfg(test)]
mod tests;
