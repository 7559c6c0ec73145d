//! The threads that may block: a connection comes over a channel, and goes home over another.

use std::io;
use std::sync::Arc;
use std::thread;

use crossbeam_channel::{Receiver, Sender};
use mio::Token;

use crate::Session;
use crate::connection::Connection;
use crate::stop::Shared;

/// A connection on its way to the pool, with the way back.
pub(crate) struct Job<S> {
    pub(crate) connection: Box<Connection<S>>,
    pub(crate) token: Token,
    pub(crate) home: Home<S>,
}

/// A worker's door for the connections that come back to it.
pub(crate) struct Home<S> {
    pub(crate) worker: usize,
    pub(crate) returns: Sender<(Token, Box<Connection<S>>)>,
}

// Not derived: a derive would ask for `S: Clone`, which no connection is.
impl<S> Clone for Home<S> {
    fn clone(&self) -> Home<S> {
        Home { worker: self.worker, returns: self.returns.clone() }
    }
}

/// Starts the pool's threads. They end when every worker has ended.
pub(crate) fn start<S: Session>(
    threads: usize,
    jobs: &Receiver<Job<S>>,
    shared: &Arc<Shared>,
) -> io::Result<()> {
    for index in 0..threads {
        let jobs = jobs.clone();
        let shared = Arc::clone(shared);
        thread::Builder::new().name(format!("pool-{index}")).spawn(move || {
            for Job { mut connection, token, home } in jobs {
                connection.block();
                // Never full: a worker has at most AWAY_MAX connections away. Gone only
                // after the drain, when the connection may end here.
                if home.returns.send((token, connection)).is_ok() {
                    shared.wake(home.worker);
                }
            }
        })?;
    }
    Ok(())
}
