//! How a connection ends: in order, given up, or left to the kernel once its peer has nearly all.

use std::io;
use std::net::Shutdown;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use super::{Connection, Lent, Owing, Turn};
use crate::limits::{FIRST_LOOK, LEFT_MAX, later};
use crate::slots::Ready;
use crate::sys::{Taken, taken};
use crate::{Now, Output, Session, Wait};

impl<S: Session> Connection<S> {
    /// [`Wait::Linger`]: the sending side closed, what still comes read and thrown away.
    pub(super) fn discard(
        &mut self,
        ready: &mut Ready,
        budget: &mut usize,
        lent: &mut Lent<'_>,
    ) -> Option<Turn> {
        if self.linger_until.is_none() {
            self.unread = Vec::new();
            self.linger_until = Some(later(lent.now.instant, lent.limits.linger));
            if self.ended || self.socket.shutdown(Shutdown::Write).is_err() {
                self.wait = Wait::Close;
                return None;
            }
        }
        if self.is_due(lent) {
            self.wait = Wait::Close;
            return None;
        }
        match self.receive(ready, lent) {
            Ok((0, _)) => {
                self.wait = Wait::Close;
                None
            }
            Ok((count, _)) => {
                *budget = budget.saturating_sub(count);
                None
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Some(Turn::Parked),
            Err(_) => Some(Turn::Closed),
        }
    }

    /// Its session is asked nothing more: it ends once its peer has taken what there is. That does
    /// not know, and may send more, which must not be met by a reset.
    pub(crate) fn finish(&mut self) {
        self.wait = Wait::Linger;
    }

    /// [`Wait::Close`], all sent: the connection is left to the kernel, but not with much to take.
    /// The kernel bounds neither how many it has like that nor how slowly they take it, and no
    /// limit would count them. Their peers have to keep pace as any other.
    ///
    /// It is looked at ever less often, and most have taken all by the first look: 100 KiB and the
    /// connection cost 1.1 times as much processor time as with a simple close. If the kernel were
    /// to tell of the peer's end, it would be 1.4 times.
    pub(super) fn leave(&mut self, lent: &Lent<'_>) -> Turn {
        let much = if lent.now.stopping { None } else { self.much_to_take() };
        let Some(known) = much else { return Turn::Closed };
        if self.takes_too_little(lent) {
            self.wait = Wait::Abort;
            return Turn::Closed;
        }
        if self.ended && self.owing.is_none() {
            // Only a close would have told the peer of the end, and that is put off.
            let _ = self.socket.shutdown(Shutdown::Write);
        }
        let now = lent.now.instant;
        let owing = self.owing.get_or_insert_with(|| Owing::from(now, known));
        let passed = now.saturating_duration_since(owing.start);
        let pause = passed.max(FIRST_LOOK).min(lent.limits.linger.max(FIRST_LOOK));
        self.linger_until = Some(later(now, pause));
        Turn::Parked
    }

    /// How far the peer is, if it has yet to take more of what the kernel has for it than is left
    /// to the kernel alone.
    pub(crate) fn much_to_take(&self) -> Option<Taken> {
        // Most have been sent less in their life: nobody need be asked.
        if self.sent <= LEFT_MAX {
            return None;
        }
        let known = taken(&self.socket).ok()?;
        let left = self.sent.saturating_sub(known.acknowledged);
        (left > LEFT_MAX && !known.is_over).then_some(known)
    }

    /// The drain is over: what has not ended is reset, lest the peer take what it has got for all.
    pub(crate) fn give_up(&mut self) {
        if self.linger_until.is_none() {
            self.wait = Wait::Abort;
        }
    }

    /// The last thing that happens to a connection: the session is told, the socket closed. What
    /// was still owed comes back: closing the files in it may take long.
    #[must_use]
    pub(crate) fn close(self, now: Now) -> Output {
        if self.wait == Wait::Abort || !self.output.is_empty() {
            // A zero linger time turns the close into a reset (socket(7)).
            let _ = socket2::SockRef::from(&self.socket).set_linger(Some(Duration::ZERO));
        }
        let unsent = self.output.len();
        let Connection { mut session, accepted, output, panicked, .. } = self;
        let told =
            panicked || catch_unwind(AssertUnwindSafe(|| session.closed(now, unsent))).is_ok();
        // What the session holds may panic as well when it is dropped.
        let dropped = catch_unwind(AssertUnwindSafe(|| drop(session))).is_ok();
        if !(told && dropped) {
            log::error!("a session panicked when its connection from {} closed", accepted.peer);
        }
        output
    }
}
