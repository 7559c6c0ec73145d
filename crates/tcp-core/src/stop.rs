//! How far a stop has come, told to all threads at once.

use std::sync::OnceLock;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use crate::limits::later;
use crate::sync::{AtomicUsize, Waker};

/// What the threads of one server share.
pub(crate) struct Shared {
    /// Set once, when the stop begins: when whoever is left is reset.
    drain_until: OnceLock<Instant>,
    /// Wakes every worker, and counts the connections that it has and those on their way to it.
    workers: Vec<(Waker, AtomicUsize)>,
}

impl Shared {
    pub(crate) fn new(wakers: Vec<Waker>) -> Shared {
        let workers = wakers.into_iter().map(|waker| (waker, AtomicUsize::new(0)));
        Shared { drain_until: OnceLock::new(), workers: workers.collect() }
    }

    /// Begins the stop; a second call changes nothing.
    pub(crate) fn stop(&self, drain: Duration) {
        let _ = self.drain_until.set(later(Instant::now(), drain));
        for worker in 0..self.workers.len() {
            self.wake(worker);
        }
    }

    /// When the drain ends, once the stop has begun.
    pub(crate) fn drain_until(&self) -> Option<Instant> {
        self.drain_until.get().copied()
    }

    /// Waits for a stop to begin, and says when its drain ends.
    pub(crate) fn wait_for_stop(&self) -> Instant {
        *self.drain_until.wait()
    }

    /// Whether a stop has begun and its drain is over at `now`.
    pub(crate) fn is_over(&self, now: Instant) -> bool {
        self.drain_until().is_some_and(|until| until <= now)
    }

    /// Wakes a worker.
    pub(crate) fn wake(&self, worker: usize) {
        if let Err(error) = self.workers[worker].0.wake() {
            log::error!("worker {worker} cannot be woken: {error}");
        }
    }

    /// How many connections a worker has.
    pub(crate) fn connections_of(&self, worker: usize) -> usize {
        self.workers[worker].1.load(Ordering::Acquire)
    }

    /// How many connections there are. Only the acceptor adds to them, and may rely on it that
    /// there are no more.
    pub(crate) fn connections(&self) -> usize {
        (0..self.workers.len()).map(|worker| self.connections_of(worker)).sum()
    }

    /// Counts one connection more.
    pub(crate) fn enter(&self, worker: usize) {
        self.workers[worker].1.fetch_add(1, Ordering::AcqRel);
    }

    /// Counts one connection less.
    pub(crate) fn leave(&self, worker: usize) {
        self.workers[worker].1.fetch_sub(1, Ordering::AcqRel);
    }
}
