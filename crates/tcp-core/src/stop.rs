//! How far a stop has come, told to all threads at once.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use mio::Waker;

use crate::limits::later;

/// What the threads of one server share.
pub(crate) struct Shared {
    /// Set once, when the stop begins: when whoever is left is reset.
    drain_until: OnceLock<Instant>,
    /// Connections open now, on all workers and on the way to them.
    connections: AtomicUsize,
    /// Wakes every thread that waits in a readiness loop.
    wakers: Vec<Waker>,
}

impl Shared {
    pub(crate) fn new(wakers: Vec<Waker>) -> Shared {
        Shared { drain_until: OnceLock::new(), connections: AtomicUsize::new(0), wakers }
    }

    /// Begins the stop; a second call changes nothing.
    pub(crate) fn stop(&self, drain: Duration) {
        let _ = self.drain_until.set(later(Instant::now(), drain));
        for index in 0..self.wakers.len() {
            self.wake(index);
        }
    }

    /// When the drain ends, once the stop has begun.
    pub(crate) fn drain_until(&self) -> Option<Instant> {
        self.drain_until.get().copied()
    }

    /// Whether a stop has begun and its drain is over at `now`.
    pub(crate) fn is_over(&self, now: Instant) -> bool {
        self.drain_until().is_some_and(|until| until <= now)
    }

    /// Wakes the thread with this index: the workers in order, then the acceptor.
    pub(crate) fn wake(&self, index: usize) {
        if let Err(error) = self.wakers[index].wake() {
            log::error!("a thread cannot be woken: {error}");
        }
    }

    /// Counts one connection more, unless there are `most` already.
    pub(crate) fn admit(&self, most: usize) -> bool {
        let admitted = |count| (count < most).then_some(count + 1);
        self.connections.fetch_update(Ordering::AcqRel, Ordering::Acquire, admitted).is_ok()
    }

    /// Counts one connection less.
    pub(crate) fn leave(&self) {
        self.connections.fetch_sub(1, Ordering::AcqRel);
    }
}
