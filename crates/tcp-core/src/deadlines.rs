//! Which connection's deadline comes next.

use std::collections::BTreeSet;
use std::time::Instant;

use mio::Token;

/// The deadlines of one worker's connections: at most one entry each.
///
/// Entries are lazy. A deadline that moves later - as that of a busy keep-alive connection does
/// with every request - is left where it is and looked at again when its old time comes, so that
/// a request costs nothing here. Only one that moves earlier is entered anew.
#[derive(Default)]
pub(crate) struct Deadlines {
    entries: BTreeSet<(Instant, Token)>,
}

impl Deadlines {
    /// Makes sure that `token` comes up no later than `due`. `scheduled` is the slot's note of its
    /// entry.
    pub(crate) fn schedule(&mut self, token: Token, scheduled: &mut Option<Instant>, due: Instant) {
        match *scheduled {
            Some(earlier) if earlier <= due => return,
            Some(later) => {
                self.entries.remove(&(later, token));
            }
            None => {}
        }
        self.entries.insert((due, token));
        *scheduled = Some(due);
    }

    /// Takes out the entry of a connection that has ended.
    pub(crate) fn cancel(&mut self, token: Token, scheduled: &mut Option<Instant>) {
        if let Some(due) = scheduled.take() {
            self.entries.remove(&(due, token));
        }
    }

    /// Takes out the first entry that is due at `now`.
    pub(crate) fn pop_due(&mut self, now: Instant) -> Option<Token> {
        let &(due, token) = self.entries.first()?;
        if due > now {
            return None;
        }
        self.entries.pop_first();
        Some(token)
    }

    /// When the next entry is due.
    pub(crate) fn next(&self) -> Option<Instant> {
        self.entries.first().map(|&(due, _)| due)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_deadline_moves_earlier_at_once_and_later_lazily() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut deadlines = Deadlines::default();
        let mut scheduled = None;
        deadlines.schedule(Token(1), &mut scheduled, at(60));
        deadlines.schedule(Token(1), &mut scheduled, at(90));
        assert_eq!(deadlines.next(), Some(at(60)));
        deadlines.schedule(Token(1), &mut scheduled, at(10));
        assert_eq!(deadlines.next(), Some(at(10)));
        assert_eq!(deadlines.pop_due(at(9)), None);
        assert_eq!(deadlines.pop_due(at(10)), Some(Token(1)));
        assert_eq!(deadlines.next(), None);
    }

    #[test]
    fn a_cancelled_deadline_does_not_come_up() {
        let start = Instant::now();
        let mut deadlines = Deadlines::default();
        let mut scheduled = None;
        deadlines.schedule(Token(1), &mut scheduled, start);
        deadlines.cancel(Token(1), &mut scheduled);
        assert_eq!(scheduled, None);
        assert_eq!(deadlines.pop_due(start), None);
    }
}
