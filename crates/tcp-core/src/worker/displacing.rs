//! Gives the place of who has been idle longest to who comes when the server is full.

use std::time::Instant;

use mio::Token;

use super::{Ledger, Worker};
use crate::connection::Turn;
use crate::{Now, Service};

impl<S: Service> Worker<S> {
    /// Closes the connection that has been idle longest, if it has been `until` or before. Else
    /// says since when any may have been.
    pub(super) fn make_room(
        &self,
        ledger: &mut Ledger<S>,
        until: Instant,
        now: Now,
    ) -> Result<(), Instant> {
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
    /// The connection that has been idle longest, as far as its session knows, and since when.
    /// Entries that are behind the truth on the way to it are corrected.
    fn longest_idle(&mut self) -> Option<(Instant, Token)> {
        loop {
            let (noted, token) = self.idle.first()?;
            // Entries of connections that have ended are cancelled.
            let slot = self.slots.get(token)?;
            let connection = slot.connection.as_ref();
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
