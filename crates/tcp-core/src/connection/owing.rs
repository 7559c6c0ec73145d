//! How a peer takes what it is owed: whether it is too slow.

use std::time::Instant;

use mio::net::TcpStream;

use crate::Pace;
use crate::limits::WARM_FOR;
use crate::sys::{Taken, taken};

/// How a peer takes what it is owed, since it first did not take all of it at once.
pub(super) struct Owing {
    pub(super) start: Instant,
    pub(super) last: Instant,
    /// Octets that the kernel has taken for it since.
    pub(super) octets: u64,
    /// How many it had acknowledged at the start, and how far it was when the kernel was last
    /// asked.
    before: u64,
    pub(super) known: Taken,
    /// When what is sent next was last found in memory, sent from it, or read in.
    pub(super) fresh: Instant,
    /// Since when the connection has been away on the pool, if it is.
    pub(super) away: Option<Instant>,
}

impl Owing {
    pub(super) fn new(now: Instant, socket: &TcpStream) -> Owing {
        // It can only fail when the connection is broken, which shows when it is sent to.
        Owing::from(now, taken(socket).unwrap_or_default())
    }

    /// Of a peer that is so far.
    pub(super) fn from(now: Instant, known: Taken) -> Owing {
        let before = known.acknowledged;
        Owing { start: now, last: now, octets: 0, before, known, fresh: now, away: None }
    }

    /// The connection is back from the pool: what that took is not the peer's time.
    pub(super) fn come_back(&mut self, now: Instant) {
        let Some(away) = self.away.take() else { return };
        let passed = now.saturating_duration_since(away);
        (self.start, self.last) = (self.start + passed, self.last + passed);
        self.fresh = now;
    }

    /// Whether the kernel has had time to drop what was in memory.
    pub(super) fn is_stale(&self, now: Instant) -> bool {
        now > self.fresh + WARM_FOR
    }

    /// The kernel has taken so many octets.
    pub(super) fn took(&mut self, octets: u64, now: Instant) {
        (self.last, self.fresh) = (now, now);
        self.octets += octets;
    }

    /// Asks the kernel what the peer has taken. That it has taken something shows in what the
    /// kernel has room for only after a while, which may be longer than it has. When it did so is
    /// not known: it passes for now.
    pub(super) fn look(&mut self, now: Instant, socket: &TcpStream) {
        let Ok(known) = taken(socket) else { return };
        if known.acknowledged > self.known.acknowledged {
            (self.last, self.known) = (now, known);
        }
    }

    /// Octets that count as taken: those that the kernel has taken for the peer, or that it has
    /// acknowledged, if more; and what it may have read before it tells.
    pub(super) fn taken(&self) -> u64 {
        let acknowledged = self.known.acknowledged - self.before;
        self.octets.max(acknowledged).saturating_add(self.known.segment_bytes)
    }

    /// When it has taken too little, unless it takes more before.
    pub(super) fn deadline(&self, pace: &Pace) -> Instant {
        pace.deadline(self.start, self.last, self.taken())
    }
}
