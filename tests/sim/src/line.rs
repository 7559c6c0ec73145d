//! Plays tcp-core's part for one connection: what `connection.rs` there does with a socket is done
//! here with two queues of octets.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use http_proto::server::HttpSession;
use tcp_core::testing::{self, Ticks};
use tcp_core::{Limits, Now, Output, Session, Tick, Wait};

use crate::random::Random;
use crate::setup::Setup;
use crate::witness::{Planted, Witness};

/// Octets of responses that are gathered before they are sent.
const GATHERED_MAX: u64 = 64 * 1024;

/// One more response, which is read into memory: 16 KiB of a file, and its head.
const READ_MAX: u64 = 17 * 1024;

/// The same of what is kept of files that are asked for often.
const KEPT_MAX: u64 = 65 * 1024;

/// The same of what is kept of the longest text that is compressed at once.
const COMPRESSED_MAX: u64 = 1024 * 1024;

/// How often a session may be called in one turn. Far more than any turn needs.
const CALLS_MAX: usize = 10_000;

/// One connection, as the server sees it.
pub(crate) struct Line {
    session: Option<HttpSession<Witness>>,
    pub(crate) socket: Socket,
    unread: Vec<u8>,
    output: Output,
    wait: Wait,
    ended: bool,
    nudged: bool,
    owing: Option<Owing>,
    linger_until: Option<Instant>,
    /// By when there was something to read.
    told: Option<Tick>,
    pub(crate) away: bool,
    /// The pool is to read in a file, and no more.
    warms: bool,
    /// The most that was held in memory for the client.
    pub(crate) held_max: u64,
    /// How often the session was called.
    calls: u64,
    /// Octets handed over so far, to the peer or to be.
    produced: u64,
    /// Where something was added to what is owed, and when.
    pub(crate) marks: Vec<Mark>,
    pub(crate) end: Option<End>,
    /// What was owed in the end.
    pub(crate) unsent: Vec<u8>,
}

/// The socket between a client and the server.
#[derive(Default)]
pub(crate) struct Socket {
    /// Sent by the client, not read.
    pub(crate) inbound: VecDeque<u8>,
    pub(crate) is_half_closed: bool,
    pub(crate) is_reset: bool,
    /// The client takes nothing more, and says so.
    pub(crate) is_deaf: bool,
    /// Octets that the server may still send before the client takes some.
    pub(crate) room: usize,
    /// Sent by the server.
    pub(crate) outbound: Vec<u8>,
    /// The server has closed its side.
    pub(crate) is_shut: bool,
}

/// Something was added to what is owed.
#[derive(Clone, Copy)]
pub(crate) struct Mark {
    /// Octets before it.
    pub(crate) at: u64,
    pub(crate) event: u64,
    pub(crate) wall: std::time::SystemTime,
}

/// Why a connection has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cause {
    /// The session said so, or the peer did.
    Orderly,
    /// The peer takes what it is owed too slowly.
    Pace,
    /// A file has become shorter while it was sent.
    Shortened,
    /// A file could not be read while it was sent.
    Unread,
    /// The peer has reset the connection.
    Reset,
    /// The peer takes nothing more.
    Deaf,
    /// The session gave up what it was sending.
    Aborted,
}

#[derive(Clone, Copy)]
pub(crate) struct End {
    pub(crate) cause: Cause,
    pub(crate) event: u64,
}

struct Owing {
    start: Instant,
    last: Instant,
    octets: u64,
}

/// What a turn may use.
pub(crate) struct Lent<'l> {
    pub(crate) now: Now,
    pub(crate) limits: &'l Limits,
    pub(crate) random: &'l mut Random,
    pub(crate) ticks: &'l mut Ticks,
    /// The model's time, which goes on while the session is called.
    pub(crate) event: &'l dyn Fn() -> u64,
    /// A file cannot be read once in so many pieces; 0 for never.
    pub(crate) fails: usize,
    pub(crate) setup: Setup,
    pub(crate) planted: Planted,
}

/// How an attempt to send ends.
enum Flush {
    Done,
    Full,
    Spent,
    Cold,
    Broken(Cause),
}

impl Line {
    pub(crate) fn new(session: HttpSession<Witness>, now: Now) -> Line {
        Line {
            session: Some(session),
            socket: Socket::default(),
            unread: Vec::new(),
            output: Output::default(),
            wait: Wait::Read { deadline: now.instant },
            ended: false,
            nudged: true,
            owing: None,
            linger_until: None,
            told: None,
            away: false,
            warms: false,
            held_max: 0,
            calls: 0,
            produced: 0,
            marks: Vec::new(),
            end: None,
            unsent: Vec::new(),
        }
    }

    pub(crate) fn is_over(&self) -> bool {
        self.end.is_some()
    }

    /// The worker learns what its sockets have.
    pub(crate) fn wake(&mut self, tick: Tick) {
        if !self.socket.inbound.is_empty() && self.told.is_none() {
            self.told = Some(tick);
        }
    }

    /// Something that changes with all that happens to it but time.
    pub(crate) fn progress(&self) -> impl PartialEq + use<> {
        let Socket { inbound, outbound, .. } = &self.socket;
        (inbound.len(), outbound.len(), self.calls, self.away, self.is_over())
    }

    /// The server is stopping.
    pub(crate) fn nudge(&mut self) {
        self.nudged = true;
    }

    /// One turn.
    ///
    /// # Errors
    /// What the session has done that it must not.
    pub(crate) fn turn(&mut self, lent: &mut Lent<'_>) -> Result<(), String> {
        if self.away || self.is_over() {
            return Ok(());
        }
        let mut budget = match lent.random.below(4) {
            0 => 1 + lent.random.below(3_000),
            _ => lent.limits.turn_bytes,
        };
        for _ in 0..CALLS_MAX {
            if self.wait == Wait::Abort {
                return self.close(Cause::Aborted, lent);
            }
            let pools = matches!(self.wait, Wait::Pool | Wait::LongPool);
            match self.flush(&mut budget, lent) {
                Flush::Done => self.owing = None,
                Flush::Full if self.wait == Wait::Drain && lent.planted == Planted::Hoard => {}
                Flush::Full if pools => return self.leave(false),
                Flush::Full if self.is_due(lent) => return self.close(Cause::Pace, lent),
                Flush::Full | Flush::Spent => return Ok(()),
                Flush::Cold => return self.leave(true),
                Flush::Broken(cause) => return self.close(cause, lent),
            }
            match self.wait {
                Wait::Close => {
                    self.socket.is_shut |= !self.ended;
                    return self.close(Cause::Orderly, lent);
                }
                Wait::Abort => {}
                Wait::Pool | Wait::LongPool => return self.leave(false),
                Wait::Drain => self.advance(Vec::new(), None, lent)?,
                Wait::Linger => match self.linger(lent)? {
                    true => {}
                    false => return Ok(()),
                },
                Wait::Read { .. } | Wait::Idle { .. } if self.ended => {
                    return self.close(Cause::Orderly, lent);
                }
                Wait::Read { .. } | Wait::Idle { .. } => match self.receive(lent)? {
                    Received::Octets(octets) => {
                        budget = budget.saturating_sub(octets.len());
                        let told = self.told.take();
                        self.advance(octets, told, lent)?;
                    }
                    Received::Reset => return self.close(Cause::Reset, lent),
                    Received::Nothing if self.nudged => self.advance(Vec::new(), None, lent)?,
                    Received::Nothing if self.is_due(lent) => {
                        let before = self.output.len();
                        let session = self.session.as_mut().ok_or("no session")?;
                        self.wait = session.expire(lent.now, &mut self.output);
                        self.mark(before, lent);
                    }
                    Received::Nothing => return Ok(()),
                },
            }
            if budget == 0 {
                return Ok(());
            }
        }
        Err("the session goes in circles".to_owned())
    }

    fn leave(&mut self, warms: bool) -> Result<(), String> {
        self.away = true;
        self.warms = warms;
        Ok(())
    }

    /// What a pool thread does.
    pub(crate) fn block(&mut self) {
        self.away = false;
        self.calls += 1;
        if !std::mem::take(&mut self.warms)
            && let Some(session) = &mut self.session
        {
            session.block();
            self.wait = Wait::Drain;
        }
        self.owing = None;
    }

    /// Sends as much as the peer and the dice allow.
    fn flush(&mut self, budget: &mut usize, lent: &mut Lent<'_>) -> Flush {
        let now = lent.now.instant;
        loop {
            if self.output.is_empty() {
                if lent.planted == Planted::Unasked && lent.random.once_in(50) {
                    let date = httpdate::fmt_http_date(lent.now.wall);
                    let head = format!("HTTP/1.1 204 No Content\r\nDate: {date}\r\n\r\n");
                    self.socket.outbound.extend_from_slice(head.as_bytes());
                }
                return Flush::Done;
            }
            if *budget == 0 {
                return Flush::Spent;
            }
            if self.socket.is_reset {
                return Flush::Broken(Cause::Reset);
            }
            if self.socket.is_deaf {
                return Flush::Broken(Cause::Deaf);
            }
            if self.socket.room == 0 {
                self.owing.get_or_insert(Owing { start: now, last: now, octets: 0 });
                return Flush::Full;
            }
            let is_file = testing::is_file_next(&mut self.output);
            if is_file && lent.random.once_in(24) {
                return Flush::Cold;
            }
            if is_file && lent.planted == Planted::Cut && lent.random.once_in(50) {
                return Flush::Broken(Cause::Shortened);
            }
            if is_file && lent.random.once_in(lent.fails) {
                return Flush::Broken(Cause::Unread);
            }
            let most = match lent.random.below(6) {
                0 => 1 + lent.random.below(100),
                1 => 1 + lent.random.below(5_000),
                _ => usize::MAX,
            };
            let most = most.min(self.socket.room).min(*budget);
            match testing::take(&mut self.output, most, &mut self.socket.outbound) {
                Ok(count) => {
                    if lent.planted == Planted::LostOctet && lent.random.once_in(50) {
                        self.socket.outbound.pop();
                    }
                    self.socket.room -= count;
                    *budget -= count;
                    if let Some(owing) = &mut self.owing {
                        owing.last = now;
                        owing.octets += count as u64;
                    }
                    // Others may have their turn between two pieces of a file.
                    if is_file && lent.random.once_in(3) {
                        return Flush::Spent;
                    }
                }
                Err(_) => return Flush::Broken(Cause::Shortened),
            }
        }
    }

    fn receive(&mut self, lent: &mut Lent<'_>) -> Result<Received, String> {
        if self.socket.is_reset {
            return Ok(Received::Reset);
        }
        let room = lent.limits.input_bytes.saturating_sub(self.unread.len());
        if room == 0 {
            return Err("the session neither consumes its input nor closes".to_owned());
        }
        let there = self.socket.inbound.len();
        if there == 0 {
            if self.socket.is_half_closed {
                self.ended = true;
                return Ok(Received::Octets(Vec::new()));
            }
            return Ok(Received::Nothing);
        }
        let most = match lent.random.below(4) {
            0 => 1 + lent.random.below(there),
            _ => there,
        };
        Ok(Received::Octets(self.socket.inbound.drain(..most.min(room)).collect()))
    }

    fn advance(
        &mut self,
        octets: Vec<u8>,
        told: Option<Tick>,
        lent: &mut Lent<'_>,
    ) -> Result<(), String> {
        self.nudged = false;
        self.calls += 1;
        let before = self.output.len();
        let all = lent.ticks.advance();
        let first = if self.unread.is_empty() { told.unwrap_or(all) } else { all };
        self.unread.extend_from_slice(&octets);
        let mut input = testing::input(&self.unread, self.ended, first, all);
        let session = self.session.as_mut().ok_or("no session")?;
        self.wait = session.advance(lent.now, &mut input, &mut self.output);
        let consumed = input.consumed();
        self.unread.drain(..consumed);
        self.mark(before, lent);
        let held = testing::held(&mut self.output);
        self.held_max = self.held_max.max(held);
        let one_more = match lent.setup {
            Setup { has_long: true, .. } => COMPRESSED_MAX,
            Setup { is_hot: true, .. } => KEPT_MAX,
            _ => READ_MAX,
        };
        if held > GATHERED_MAX + one_more {
            return Err(format!("{held} octets are held for one client"));
        }
        Ok(())
    }

    fn mark(&mut self, before: u64, lent: &Lent<'_>) {
        let added = self.output.len() - before;
        if added > 0 {
            let (event, wall) = ((lent.event)(), lent.now.wall);
            self.marks.push(Mark { at: self.produced, event, wall });
            self.produced += added;
        }
    }

    /// Whether to go on with the turn.
    fn linger(&mut self, lent: &mut Lent<'_>) -> Result<bool, String> {
        if self.linger_until.is_none() {
            self.unread = Vec::new();
            self.linger_until = Some(lent.now.instant + lent.limits.linger);
            self.socket.is_shut = true;
            if self.ended {
                return self.close(Cause::Orderly, lent).map(|()| false);
            }
        }
        if self.is_due(lent) {
            return self.close(Cause::Orderly, lent).map(|()| false);
        }
        match self.receive(lent)? {
            Received::Octets(octets) if !octets.is_empty() => Ok(true),
            Received::Nothing => Ok(false),
            _ => self.close(Cause::Orderly, lent).map(|()| false),
        }
    }

    /// When it has waited too long for what it waits for.
    pub(crate) fn due(&self, limits: &Limits) -> Option<Instant> {
        match (&self.owing, self.linger_until, self.wait) {
            (Some(owing), _, _) => {
                Some(limits.pace.deadline(owing.start, owing.last, owing.octets))
            }
            (None, Some(until), _) => Some(until),
            (None, None, Wait::Read { deadline } | Wait::Idle { deadline, .. }) => Some(deadline),
            _ => None,
        }
    }

    fn is_due(&self, lent: &Lent<'_>) -> bool {
        let is_due = self.due(lent.limits).is_some_and(|due| due <= lent.now.instant);
        is_due && lent.planted != Planted::Endless
    }

    fn close(&mut self, cause: Cause, lent: &Lent<'_>) -> Result<(), String> {
        let mut unsent = self.output.len();
        if lent.planted == Planted::WrongCount {
            unsent = unsent.saturating_sub(1);
        }
        if let Some(mut session) = self.session.take() {
            session.closed(lent.now, unsent);
        }
        self.socket.is_shut = true;
        self.end = Some(End { cause, event: (lent.event)() });
        while let Ok(1..) = testing::take(&mut self.output, usize::MAX, &mut self.unsent) {}
        self.output = Output::default();
        Ok(())
    }

    /// When what stands at octet `at` of all that the client gets was added.
    pub(crate) fn mark_at(&self, at: usize) -> Result<Mark, String> {
        let before = self.marks.partition_point(|mark| mark.at <= at as u64);
        let mark = before.checked_sub(1).and_then(|index| self.marks.get(index));
        mark.copied().ok_or_else(|| "octets that nobody has handed over".to_owned())
    }

    /// The time until it has waited too long.
    pub(crate) fn patience(&self, limits: &Limits, now: Instant) -> Option<Duration> {
        self.due(limits).map(|due| due.saturating_duration_since(now))
    }
}

enum Received {
    Octets(Vec<u8>),
    Nothing,
    Reset,
}
