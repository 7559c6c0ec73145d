//! The threads that may block: a connection comes over a channel, and goes home over another.
//!
//! There are two ways in, since uploads that wait for a disk would else keep those waiting who only
//! want a file opened.

use std::io;
use std::sync::Arc;
use std::thread;
use std::time::Instant;

use crossbeam_channel::{Receiver, SendError, Sender, select};
use mio::Token;

use crate::connection::Connection;
use crate::stop::Shared;
use crate::{Now, Session};

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

/// A connection on its way to the pool, with the way back.
pub(crate) struct Job<S> {
    pub(crate) connection: Box<Connection<S>>,
    pub(crate) token: Token,
    pub(crate) lane: Lane,
    pub(crate) home: Home<S>,
}

/// A connection that comes back.
pub(crate) struct Return<S> {
    pub(crate) connection: Box<Connection<S>>,
    pub(crate) token: Token,
    pub(crate) lane: Lane,
}

/// A worker's door for the connections that come back to it.
pub(crate) struct Home<S> {
    pub(crate) worker: usize,
    pub(crate) returns: Sender<Return<S>>,
}

// Not derived: a derive would ask for `S: Clone`, which no connection is.
impl<S> Clone for Home<S> {
    fn clone(&self) -> Home<S> {
        Home { worker: self.worker, returns: self.returns.clone() }
    }
}

/// Starts the pool's threads. They end when every worker has ended.
///
/// A quarter of them, but for a pool of one, never does what may take long.
pub(crate) fn start<S: Session>(
    threads: usize,
    jobs: &Lanes<Receiver<Job<S>>>,
    shared: &Arc<Shared>,
) -> io::Result<()> {
    let reserved = threads.div_ceil(4).min(threads - 1);
    for index in 0..threads {
        let Lanes { short, long } = jobs.clone();
        let shared = Arc::clone(shared);
        thread::Builder::new().name(format!("pool-{index}")).spawn(move || {
            if index >= reserved {
                // Both end at once, with the workers.
                while let Ok(job) = select! { recv(short) -> job => job, recv(long) -> job => job }
                {
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
fn run<S: Session>(job: Job<S>, shared: &Shared) {
    let Job { mut connection, token, lane, home } = job;
    if shared.is_over(Instant::now()) {
        connection.give_up();
    } else {
        connection.block();
    }
    // Never full: a worker has at most AWAY_MAX connections away in each lane. Gone only after the
    // drain: then the connection ends here.
    match home.returns.send(Return { connection, token, lane }) {
        Ok(()) => shared.wake(home.worker),
        Err(SendError(Return { mut connection, .. })) => {
            connection.give_up();
            // This thread may wait for the files to close.
            drop(connection.close(Now::read(true)));
        }
    }
}
