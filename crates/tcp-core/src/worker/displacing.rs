//! Gives the place of who has been idle longest to who comes when the server is full.

use std::time::Instant;

use mio::Token;

use super::{Ledger, Worker};
use crate::connection::Turn;
use crate::crowd::{Arrival, Unplaced};
use crate::{Now, Service};

impl<S: Service> Worker<S> {
    /// Takes in a connection for which there is no room, in the place of one that has been idle for
    /// long enough. If there is none it goes back to the acceptor, which knows of other workers.
    pub(super) fn displace(&self, ledger: &mut Ledger<S>, arrival: Arrival, now: Now) {
        let until = arrival.displaces.map_or(now.instant, |displaces| displaces.idle_since_by);
        match self.make_room(ledger, until, now) {
            Ok(()) => self.admit(ledger, arrival, now),
            Err(longest) => {
                let unplaced = Unplaced { arrival, worker: self.index, longest };
                // It counts as one of ours until the acceptor has it, which is gone only in a stop;
                // else there is room for as many as are on their way.
                if self.unplaced.try_send(unplaced).is_err() {
                    self.shared.leave(self.index);
                }
            }
        }
    }

    /// Closes the connection that has been idle longest, if it has been `until` or before. Else
    /// says since when any may have been.
    fn make_room(&self, ledger: &mut Ledger<S>, until: Instant, now: Now) -> Result<(), Instant> {
        loop {
            let Some((since, token)) = ledger.longest_idle() else { return Err(now.instant) };
            if since > until {
                return Err(since);
            }
            let Some(slot) = ledger.slots.get(token) else { return Err(since) };
            if slot.connection.as_ref().is_some_and(|connection| connection.is_silent()) {
                self.settle(ledger, token, Turn::Closed, now);
                return Ok(());
            }
            // Its event is on the way. Looked at again when it is idle again.
            ledger.idle.cancel(token, &mut slot.idle);
        }
    }
}

impl<S: Service> Ledger<S> {
    /// The connection that has been idle longest, as far as the kernel has told, and since when.
    /// Entries that are behind the truth on the way to it are corrected.
    fn longest_idle(&mut self) -> Option<(Instant, Token)> {
        loop {
            let (noted, token) = self.idle.first()?;
            // Entries of connections that have ended are cancelled.
            let slot = self.slots.get(token)?;
            let has_news = slot.queued || slot.ready.readable;
            let connection = slot.connection.as_ref().filter(|_| !has_news);
            match connection.and_then(|connection| connection.idle_since()) {
                Some(since) if since <= noted => return Some((noted, token)),
                since => {
                    self.idle.cancel(token, &mut slot.idle);
                    if let Some(since) = since {
                        self.idle.schedule(token, &mut slot.idle, since);
                    }
                }
            }
        }
    }
}
