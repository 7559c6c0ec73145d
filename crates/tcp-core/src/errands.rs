//! A worker's account of what it has on the pool: what is away, what waits in line, what is back.

use std::collections::VecDeque;

use mio::Token;

use crate::limits::AWAY_MAX;
use crate::pool::{Errand, Home, Job, Lane, Lanes, Return};
use crate::sync::{Receiver, Sender, bounded};

/// What one worker has on the pool.
pub(crate) struct Errands<C: Errand> {
    jobs: Lanes<Sender<Job<C>>>,
    home: Home<C>,
    returns: Receiver<Return<C>>,
    /// In the pool's channel or on its threads.
    away: Lanes<usize>,
    /// Those that wait for a place on the pool, first come first served.
    lines: Lanes<VecDeque<Token>>,
}

impl<C: Errand> Errands<C> {
    /// For the worker of that index; `jobs` are the pool's ways in.
    pub(crate) fn new(worker: usize, jobs: Lanes<Sender<Job<C>>>) -> Errands<C> {
        let (back, returns) = bounded(2 * AWAY_MAX);
        let home = Home { worker, returns: back };
        Errands { jobs, home, returns, away: Lanes::default(), lines: Lanes::default() }
    }

    /// Whether another one may go.
    pub(crate) fn has_room(&mut self, lane: Lane) -> bool {
        *self.away.of(lane) < AWAY_MAX
    }

    /// Sends one away. There must be [room](Self::has_room).
    pub(crate) fn send(&mut self, carried: Box<C>, token: Token, lane: Lane) {
        *self.away.of(lane) += 1;
        let job = Job { carried, token, lane, home: self.home.clone() };
        // The channel holds AWAY_MAX of every worker, and its receivers live as long as this.
        let sent = self.jobs.of(lane).try_send(job);
        assert!(sent.is_ok(), "the pool's channel has room for all");
    }

    /// Puts one in line that finds no room.
    pub(crate) fn line_up(&mut self, token: Token, lane: Lane) {
        self.lines.of(lane).push_back(token);
    }

    /// The next one in line, if there is room for it.
    pub(crate) fn next_in_line(&mut self, lane: Lane) -> Option<Token> {
        self.has_room(lane).then(|| self.lines.of(lane).pop_front())?
    }

    /// Takes in one that has come back, and says by which lane.
    pub(crate) fn take_return(&mut self) -> Option<(Token, Box<C>, Lane)> {
        let (token, carried, lane) = self.returns.try_recv().ok()?.open();
        *self.away.of(lane) -= 1;
        Some((token, carried, lane))
    }
}
