//! Deals connections to workers: each to the one that has the fewest, and when the server is full
//! to where somebody has been idle longest.

use std::sync::Arc;
use std::time::Instant;

use crossbeam_channel::TryRecvError;

use crate::crowd::{Arrival, Crowd, Displaces, Unplaced};
use crate::limits::{ARRIVALS_MAX, DISPLACING_MAX};
use crate::stop::Shared;
use crate::sync::{Receiver, Sender, bounded};

/// The acceptor's side.
pub(crate) struct Dealer<T> {
    /// One for each worker, in order; `None` for one that has ended, by a fault of this crate.
    doors: Vec<Option<Sender<Arrival<T>>>>,
    /// Newcomers that a worker had no place for.
    unplaced: Receiver<Unplaced<T>>,
    crowd: Crowd,
    /// Workers that have been dealt something and do not know yet.
    unaware: Vec<bool>,
    /// How many connections there may be.
    most: usize,
    shared: Arc<Shared>,
}

/// A worker's side.
pub(crate) struct Arrivals<T> {
    arrivals: Receiver<Arrival<T>>,
    unplaced: Sender<Unplaced<T>>,
}

/// Both sides for `workers`, which may have `most` connections together, all since `start`.
pub(crate) fn pair<T>(
    workers: usize,
    most: usize,
    shared: &Arc<Shared>,
    start: Instant,
) -> (Dealer<T>, Vec<Arrivals<T>>) {
    let (back, unplaced) = bounded(ARRIVALS_MAX * workers);
    let (doors, arrivals) = (0..workers)
        .map(|_| {
            let (door, arrivals) = bounded(ARRIVALS_MAX);
            (Some(door), Arrivals { arrivals, unplaced: back.clone() })
        })
        .unzip();
    let dealer = Dealer {
        doors,
        unplaced,
        crowd: Crowd::new(workers, start),
        unaware: vec![false; workers],
        most,
        shared: Arc::clone(shared),
    };
    (dealer, arrivals)
}

impl<T> Dealer<T> {
    /// Whether a connection can be dealt to anybody. The first worker, which runs this, has room at
    /// least in its next round.
    pub(crate) fn has_room(&self) -> bool {
        self.with_room().next().is_some()
    }

    /// Whether so many are on their way to somebody else's place that no further one may be. A
    /// worker wakes the first one when one has got there, or has not.
    pub(crate) fn is_crowded(&self) -> bool {
        let displacing_max = (self.most / 16).clamp(1, DISPLACING_MAX);
        self.shared.connections() >= self.most + displacing_max
    }

    /// Whether there are as many connections as may be.
    pub(crate) fn is_full(&self) -> bool {
        self.shared.connections() >= self.most
    }

    /// Deals a newcomer for whom there is room to the worker with the fewest connections.
    ///
    /// # Errors
    /// Gives it back when no worker's channel has room.
    pub(crate) fn deal(&mut self, newcomer: T) -> Result<(), T> {
        let fewest = self.with_room().min_by_key(|worker| self.shared.connections_of(*worker));
        let Some(worker) = fewest else { return Err(newcomer) };
        self.send(worker, Arrival { newcomer, displaces: None });
        Ok(())
    }

    /// Sends a newcomer who `came` some time ago, and for whom there is no room, to where somebody
    /// may have been idle since before.
    ///
    /// # Errors
    /// Gives it back when nobody has.
    pub(crate) fn displace(&mut self, newcomer: T, came: Instant) -> Result<(), T> {
        let Some((worker, displaces)) = self.crowd.place(self.with_room(), came) else {
            return Err(newcomer);
        };
        self.send(worker, Arrival { newcomer, displaces: Some(displaces) });
        Ok(())
    }

    /// A newcomer that has come back from a worker that had no place for it, and when it came.
    pub(crate) fn take_unplaced(&mut self) -> Option<(T, Instant)> {
        let Unplaced { newcomer, came, worker, longest } = self.unplaced.try_recv().ok()?;
        self.shared.leave(worker);
        self.crowd.note(worker, longest);
        Some((newcomer, came))
    }

    /// Wakes the workers that have been dealt something. The first one, which runs this, looks at
    /// its own channel next.
    pub(crate) fn wake_unaware(&mut self) {
        for (worker, unaware) in self.unaware.iter_mut().enumerate() {
            if std::mem::take(unaware) && worker > 0 {
                self.shared.wake(worker);
            }
        }
    }

    fn with_room(&self) -> impl Iterator<Item = usize> {
        let has_room =
            |worker: &usize| self.doors[*worker].as_ref().is_some_and(|door| !door.is_full());
        (0..self.doors.len()).filter(has_room)
    }

    fn send(&mut self, worker: usize, arrival: Arrival<T>) {
        self.shared.enter(worker);
        self.unaware[worker] = true;
        // There is room, since nobody else sends: it fails only when the worker has ended.
        let door = self.doors[worker].as_ref();
        if door.is_none_or(|door| door.try_send(arrival).is_err()) {
            log::error!("worker {worker} has ended; the others go on without it");
            self.shared.leave(worker);
            self.doors[worker] = None;
        }
    }
}

impl<T> Drop for Dealer<T> {
    /// Tells the other workers that nobody will come any more, also when this one has failed.
    fn drop(&mut self) {
        let workers = self.doors.len();
        self.doors.clear();
        for worker in 1..workers {
            self.shared.wake(worker);
        }
    }
}

impl<T> Arrivals<T> {
    /// Takes in those that have come, each with whose place it gets, if it needs one. Who cannot be
    /// admitted is given back with the time before which nobody here has been idle, and goes back
    /// to the acceptor. `false` when nobody will come any more.
    pub(crate) fn take_in(
        &self,
        worker: usize,
        shared: &Shared,
        mut admit: impl FnMut(T, Option<Displaces>) -> Result<(), (T, Instant)>,
    ) -> bool {
        let mut is_awaited = false;
        let end = loop {
            let Arrival { newcomer, displaces } = match self.arrivals.try_recv() {
                Ok(arrival) => arrival,
                Err(end) => break end,
            };
            is_awaited |= displaces.is_some();
            let came = displaces.map(|displaces| displaces.came);
            if let (Err((newcomer, longest)), Some(came)) = (admit(newcomer, displaces), came) {
                // It counts as one of ours until the acceptor has it, which is gone only in a stop;
                // else there is room for as many as are on their way.
                let unplaced = Unplaced { newcomer, came, worker, longest };
                if self.unplaced.try_send(unplaced).is_err() {
                    shared.leave(worker);
                }
            }
        };
        // The acceptor may be waiting for what has become of them.
        if is_awaited {
            shared.wake(0);
        }
        end == TryRecvError::Empty
    }

    /// Lets go of those that have come.
    pub(crate) fn turn_away_all(&self, worker: usize, shared: &Shared) {
        while self.arrivals.try_recv().is_ok() {
            shared.leave(worker);
        }
    }
}
