//! Gives the place of who has been idle longest to who comes when the server is full.

use std::time::Instant;

use super::{Ledger, Worker};
use crate::connection::Turn;
use crate::limits::LOOKS_MAX;
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
        for _ in 0..LOOKS_MAX {
            let Some((since, token)) = ledger.slots.longest_idle() else { return Err(now.instant) };
            if since > until {
                return Err(since);
            }
            let Some(slot) = ledger.slots.get(token) else { return Err(since) };
            let idle = slot.connection.as_mut().filter(|connection| {
                connection.idle_since() == Some(since) && connection.is_silent()
            });
            if let Some(connection) = idle {
                if connection.much_to_take().is_some() {
                    // It is being served, as far as its peer can tell. Nothing follows, so that it
                    // ends when that has taken all, or too little. (Closed, it would be left to the
                    // kernel, where such ones could become as many as come.)
                    connection.finish();
                    slot.idle_since = None;
                    if !slot.queued {
                        slot.queued = true;
                        ledger.run.push_back(token);
                    }
                    continue;
                }
                self.settle(ledger, token, Turn::Closed, now);
                return Ok(());
            }
            // On the pool, or its event is on the way. Noted again when it is idle again.
            slot.idle_since = None;
        }
        Err(ledger.slots.longest_idle().map_or(now.instant, |(since, _)| since))
    }
}
