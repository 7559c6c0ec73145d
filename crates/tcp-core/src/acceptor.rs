//! Accepts connections and deals them to the workers.

use std::collections::VecDeque;
use std::fs::File;
use std::io;
use std::net::{Shutdown, SocketAddr};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::{Sender, TrySendError};
use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token};

use crate::limits::{ACCEPT_BATCH, ACCEPT_PAUSE, REFUSED_MAX};
use crate::stop::Shared;
use crate::worker::WAKE;
use crate::{Accepted, Limits, Now, Service};

/// How long a refused connection is kept so that it can read why.
const REFUSED_FOR: Duration = Duration::from_secs(1);

/// The acceptor, before it runs in a thread of its own.
pub(crate) struct Acceptor<S> {
    pub(crate) poll: Poll,
    pub(crate) listeners: Vec<TcpListener>,
    /// One for each worker, in order.
    pub(crate) workers: Vec<Sender<(TcpStream, Accepted)>>,
    pub(crate) service: Arc<S>,
    pub(crate) limits: Arc<Limits>,
    pub(crate) shared: Arc<Shared>,
}

/// How a run of accepts ends.
enum Batch {
    /// Nobody is waiting.
    Empty,
    /// There may be more.
    Full,
    /// The process is out of file descriptors.
    NoDescriptor,
    /// Nobody could be accepted, for want of memory or the like.
    Failed(io::Error),
}

impl<S: Service> Acceptor<S> {
    /// Watches the listeners.
    pub(crate) fn register(&mut self) -> io::Result<()> {
        for (index, listener) in self.listeners.iter_mut().enumerate() {
            self.poll.registry().register(listener, Token(index), Interest::READABLE)?;
        }
        Ok(())
    }

    /// Runs until the server stops. Who has been connected by then is still handed on; then
    /// the listeners close, and new connections are refused by the kernel.
    pub(crate) fn run(mut self) {
        let mut events = Events::with_capacity(self.listeners.len() + 1);
        let mut refused = VecDeque::new();
        let mut spare = spare_descriptor();
        let mut next_worker = 0;
        // Edge-triggered: a listener stays on this list until an accept finds nobody.
        let mut waiting: Vec<bool> = vec![true; self.listeners.len()];
        let mut pausing = false;
        loop {
            let timeout = if pausing {
                Some(ACCEPT_PAUSE)
            } else if waiting.contains(&true) {
                Some(Duration::ZERO)
            } else if !refused.is_empty() {
                Some(REFUSED_FOR)
            } else {
                None
            };
            if let Err(error) = self.poll.poll(&mut events, timeout)
                && error.kind() != io::ErrorKind::Interrupted
            {
                log::error!("the acceptor cannot wait for connections: {error}");
                self.shared.stop(self.limits.drain);
                return self.end();
            }
            for event in events.iter().filter(|event| event.token() != WAKE) {
                waiting[event.token().0] = true;
            }
            let stopping = self.shared.drain_until().is_some();
            if stopping {
                // Somebody may have come just before the stop whom no event has told of yet.
                waiting.fill(true);
            }
            // Said once, not with every try.
            let silent = std::mem::take(&mut pausing);
            for (index, listener) in self.listeners.iter().enumerate() {
                if !waiting[index] {
                    continue;
                }
                match self.accept_batch(listener, &mut next_worker, &mut refused) {
                    Batch::Empty => waiting[index] = false,
                    Batch::Full => {}
                    Batch::NoDescriptor => {
                        if !silent {
                            log::warn!("out of file descriptors: connections wait or are refused");
                        }
                        self.refuse_with_spare(listener, &mut spare, &mut refused);
                        pausing = true;
                    }
                    Batch::Failed(error) => {
                        if !silent {
                            log::warn!("no connection can be accepted: {error}");
                        }
                        pausing = true;
                    }
                }
            }
            refused.retain(|(_, until)| *until > Instant::now());
            let over = self.shared.is_over(Instant::now());
            if stopping && (over || pausing || !waiting.contains(&true)) {
                return self.end();
            }
        }
    }

    /// Tells the workers that nobody will come any more.
    fn end(self) {
        drop(self.workers);
        for worker in 0..self.limits.workers {
            self.shared.wake(worker);
        }
    }

    fn accept_batch(
        &self,
        listener: &TcpListener,
        next_worker: &mut usize,
        refused: &mut VecDeque<(TcpStream, Instant)>,
    ) -> Batch {
        let mut failed = None;
        let mut accepts = 0;
        for _ in 0..ACCEPT_BATCH {
            match listener.accept() {
                Ok((socket, peer)) => {
                    accepts += 1;
                    let accepted = Accepted::new(&socket, peer);
                    if self.shared.admit(self.limits.connections) {
                        self.deal(socket, accepted, next_worker);
                    } else {
                        self.refuse(socket, &accepted, refused);
                    }
                }
                Err(error) => {
                    match error.raw_os_error().map(rustix::io::Errno::from_raw_os_error) {
                        Some(rustix::io::Errno::MFILE | rustix::io::Errno::NFILE) => {
                            return Batch::NoDescriptor;
                        }
                        Some(rustix::io::Errno::AGAIN) => return Batch::Empty,
                        // The connection died while it waited, or the like (accept(2)): the
                        // next one is not worse for it.
                        _ => failed = Some(error),
                    }
                }
            }
        }
        match failed {
            // It was not the connections' fault.
            Some(error) if accepts == 0 => Batch::Failed(error),
            _ => Batch::Full,
        }
    }

    /// Hands a connection to the next worker in turn that has room; waits when none has.
    fn deal(&self, socket: TcpStream, accepted: Accepted, next_worker: &mut usize) {
        let mut item = (socket, accepted);
        for _ in 0..self.workers.len() {
            let worker = *next_worker % self.workers.len();
            *next_worker = worker + 1;
            item.1.worker = worker;
            match self.workers[worker].try_send(item) {
                Ok(()) => return self.shared.wake(worker),
                Err(TrySendError::Full(back) | TrySendError::Disconnected(back)) => item = back,
            }
        }
        let worker = item.1.worker;
        if self.workers[worker].send(item).is_err() {
            self.shared.leave();
        }
        self.shared.wake(worker);
    }

    /// Tells a connection that there is no room, and keeps it for a moment: closed at once, its
    /// unread request would turn the close into a reset, which can overtake the answer.
    fn refuse(
        &self,
        socket: TcpStream,
        accepted: &Accepted,
        refused: &mut VecDeque<(TcpStream, Instant)>,
    ) {
        let now = Now::read(self.shared.drain_until().is_some());
        let refusal = catch_unwind(AssertUnwindSafe(|| self.service.refusal(accepted, now)));
        let refusal = refusal.unwrap_or_else(|_| {
            log::error!("the service panicked when it refused a connection");
            Vec::new()
        });
        let _ = crate::sys::send(&socket, &[io::IoSlice::new(&refusal)], false);
        let _ = socket.shutdown(Shutdown::Write);
        if refused.len() == REFUSED_MAX {
            refused.pop_front();
        }
        refused.push_back((socket, now.instant + REFUSED_FOR));
    }

    /// Out of descriptors: the spare one is given up for a moment, to tell the one who has
    /// waited longest rather than to leave it waiting.
    fn refuse_with_spare(
        &self,
        listener: &TcpListener,
        spare: &mut Option<File>,
        refused: &mut VecDeque<(TcpStream, Instant)>,
    ) {
        refused.clear();
        if spare.take().is_some()
            && let Ok((socket, peer)) = listener.accept()
        {
            let accepted = Accepted::new(&socket, peer);
            self.refuse(socket, &accepted, refused);
            refused.clear();
        }
        *spare = spare_descriptor();
    }
}

impl Accepted {
    /// A connection that no worker owns yet.
    fn new(socket: &TcpStream, peer: SocketAddr) -> Accepted {
        Accepted { peer, local: socket.local_addr().unwrap_or(peer), worker: 0 }
    }
}

/// A descriptor in hand for when there is no other.
fn spare_descriptor() -> Option<File> {
    File::open("/dev/null").ok()
}
