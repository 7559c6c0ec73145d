//! The threads that may block: a connection comes over a channel, and goes home over another.
//!
//! There are two ways in, since uploads that wait for a disk would else keep those waiting who only
//! want a file opened.

use std::io;
use std::sync::Arc;
use std::time::Instant;

use mio::Token;

use crate::stop::Shared;
use crate::sync::{Builder, Receiver, Sender, recv_either};

/// How long work on the pool may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lane {
    Short,
    Long,
}

/// One of something for each lane.
#[derive(Clone, Default)]
pub(crate) struct Lanes<T> {
    pub(crate) short: T,
    pub(crate) long: T,
}

impl<T> Lanes<T> {
    pub(crate) fn of(&mut self, lane: Lane) -> &mut T {
        match lane {
            Lane::Short => &mut self.short,
            Lane::Long => &mut self.long,
        }
    }
}

/// What goes to the pool: a connection, or what stands for one in a model.
pub(crate) trait Errand: Send + 'static {
    /// Does what it has come for.
    fn block(&mut self);
    /// Is to end without it.
    fn give_up(&mut self);
    /// Ends the connection, since its worker is no more, on whichever thread notices.
    fn end(self);
}

/// A connection on its way to the pool, with the way back.
pub(crate) struct Job<C: Errand> {
    pub(crate) carried: Box<C>,
    pub(crate) token: Token,
    pub(crate) lane: Lane,
    pub(crate) home: Home<C>,
}

/// A connection that comes back. Where nobody opens this, since the worker has ended, the
/// connection ends with it: also when it was sent just before.
pub(crate) struct Return<C: Errand> {
    carried: Option<Box<C>>,
    token: Token,
    lane: Lane,
}

impl<C: Errand> Return<C> {
    /// Takes the connection out.
    pub(crate) fn open(mut self) -> (Token, Box<C>, Lane) {
        let carried = self.carried.take().expect("it is taken out only here");
        (self.token, carried, self.lane)
    }
}

impl<C: Errand> Drop for Return<C> {
    fn drop(&mut self) {
        if let Some(mut carried) = self.carried.take() {
            carried.give_up();
            carried.end();
        }
    }
}

/// A worker's door for the connections that come back to it.
pub(crate) struct Home<C: Errand> {
    pub(crate) worker: usize,
    pub(crate) returns: Sender<Return<C>>,
}

// Not derived: a derive would ask for `C: Clone`, which no connection is.
impl<C: Errand> Clone for Home<C> {
    fn clone(&self) -> Home<C> {
        Home { worker: self.worker, returns: self.returns.clone() }
    }
}

/// Starts the pool's threads. They end when every worker has ended.
///
/// A quarter of them, but for a pool of one, never does what may take long.
pub(crate) fn start<C: Errand>(
    threads: usize,
    jobs: &Lanes<Receiver<Job<C>>>,
    shared: &Arc<Shared>,
) -> io::Result<()> {
    let reserved = threads.div_ceil(4).min(threads - 1);
    for index in 0..threads {
        let Lanes { short, long } = jobs.clone();
        let shared = Arc::clone(shared);
        Builder::new().name(format!("pool-{index}")).spawn(move || {
            if index >= reserved {
                crate::sys::step_back();
                // Both end at once, with the workers.
                while let Ok(job) = recv_either(&short, &long) {
                    run(job, &shared);
                }
                long.iter().for_each(|job| run(job, &shared));
            }
            short.iter().for_each(|job| run(job, &shared));
        })?;
    }
    Ok(())
}

/// Does what a connection has come for, and sends it home.
fn run<C: Errand>(job: Job<C>, shared: &Shared) {
    let Job { mut carried, token, lane, home } = job;
    if shared.is_over(Instant::now()) {
        carried.give_up();
    } else {
        carried.block();
    }
    // Never full: a worker has at most AWAY_MAX connections away in each lane. It may be gone, but
    // only after the drain: then the connection ends here.
    if home.returns.send(Return { carried: Some(carried), token, lane }).is_ok() {
        shared.wake(home.worker);
    }
}
