//! Which connection's time comes first: that of its deadline, or that since which it has been idle.

use std::collections::BTreeSet;
use std::time::Instant;

use mio::Token;

/// One time of each of a worker's connections: at most one entry each.
///
/// Entries are lazy. A time that moves later - as the deadline of a busy keep-alive connection does
/// with every request - is left where it is and looked at again when its entry comes first, so that
/// a request costs nothing here. Only one that moves earlier is entered anew.
#[derive(Default)]
pub(crate) struct Timeline {
    entries: BTreeSet<(Instant, Token)>,
}

impl Timeline {
    /// Makes sure that `token` comes up no later than `at`. `scheduled` is the slot's note of its
    /// entry.
    pub(crate) fn schedule(&mut self, token: Token, scheduled: &mut Option<Instant>, at: Instant) {
        match *scheduled {
            Some(earlier) if earlier <= at => return,
            Some(later) => {
                self.entries.remove(&(later, token));
            }
            None => {}
        }
        self.entries.insert((at, token));
        *scheduled = Some(at);
    }

    /// Takes out the entry of a connection that has ended.
    pub(crate) fn cancel(&mut self, token: Token, scheduled: &mut Option<Instant>) {
        if let Some(at) = scheduled.take() {
            self.entries.remove(&(at, token));
        }
    }

    /// Takes out the first entry, if it is due at `now`.
    pub(crate) fn pop_due(&mut self, now: Instant) -> Option<Token> {
        let (at, token) = self.first()?;
        if at > now {
            return None;
        }
        self.entries.pop_first();
        Some(token)
    }

    /// The first entry: no connection's time comes before it.
    pub(crate) fn first(&self) -> Option<(Instant, Token)> {
        self.entries.first().copied()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_time_moves_earlier_at_once_and_later_lazily() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut timeline = Timeline::default();
        let mut scheduled = None;
        timeline.schedule(Token(1), &mut scheduled, at(60));
        timeline.schedule(Token(1), &mut scheduled, at(90));
        assert_eq!(timeline.first(), Some((at(60), Token(1))));
        timeline.schedule(Token(1), &mut scheduled, at(10));
        assert_eq!(timeline.first(), Some((at(10), Token(1))));
        assert_eq!(timeline.pop_due(at(9)), None);
        assert_eq!(timeline.pop_due(at(10)), Some(Token(1)));
        assert_eq!(timeline.first(), None);
    }

    #[test]
    fn a_cancelled_entry_does_not_come_up() {
        let start = Instant::now();
        let mut timeline = Timeline::default();
        let mut scheduled = None;
        timeline.schedule(Token(1), &mut scheduled, start);
        timeline.cancel(Token(1), &mut scheduled);
        assert_eq!(scheduled, None);
        assert_eq!(timeline.pop_due(start), None);
    }
}
