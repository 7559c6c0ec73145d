//! The threads that may block: a connection comes over a channel, and goes home over another.

use std::io;
use std::sync::Arc;
use std::thread;
use std::time::Instant;

use crossbeam_channel::{Receiver, SendError, Sender};
use mio::Token;

use crate::connection::Connection;
use crate::stop::Shared;
use crate::{Now, Session};

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
                if shared.is_over(Instant::now()) {
                    connection.give_up();
                } else {
                    connection.block();
                }
                // Never full: a worker has at most AWAY_MAX connections away. Gone only
                // after the drain: then the connection ends here.
                match home.returns.send((token, connection)) {
                    Ok(()) => shared.wake(home.worker),
                    Err(SendError((_, mut connection))) => {
                        connection.give_up();
                        // This thread may wait for the files to close.
                        drop(connection.close(Now::read(true)));
                    }
                }
            }
        })?;
    }
    Ok(())
}
