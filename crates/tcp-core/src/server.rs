//! Puts the threads together, and takes them apart again.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, unbounded};
use mio::Poll;
use mio::net::TcpListener;
use socket2::{Domain, Protocol, Socket, Type};

use crate::acceptor::Acceptor;
use crate::closer::Closer;
use crate::dealer;
use crate::errands::Errands;
use crate::limits::{AWAY_MAX, BACKLOG, JOIN_GRACE, STEP_COST, later};
use crate::pool::{self, Lanes};
use crate::stop::Shared;
use crate::sync::{Waker, bounded};
use crate::sys;
use crate::worker::{WAKE, Worker};
use crate::{Limits, Now, Service};

/// A server that is bound to its addresses and not yet running: connections wait in the kernel.
#[derive(Debug)]
pub struct Server {
    listeners: Vec<TcpListener>,
    addresses: Vec<SocketAddr>,
    limits: Limits,
}

impl Server {
    /// Listens on `address`; port 0 takes a free one.
    ///
    /// # Errors
    /// What the operating system says: the address in use, not ours, not permitted.
    pub fn bind(address: SocketAddr, limits: Limits) -> io::Result<Server> {
        let mut server = Server { listeners: Vec::new(), addresses: Vec::new(), limits };
        server.listen(address)?;
        Ok(server)
    }

    /// Listens on a further address.
    ///
    /// # Errors
    /// As [`Server::bind`]; the addresses bound so far stay bound.
    pub fn listen(&mut self, address: SocketAddr) -> io::Result<()> {
        let domain = Domain::for_address(address);
        let socket = Socket::new(domain, Type::STREAM, Some(Protocol::TCP))?;
        if address.is_ipv6() {
            // So that 0.0.0.0 and [::] can both be bound, whatever the system's default.
            socket.set_only_v6(true)?;
        }
        socket.set_reuse_address(true)?;
        socket.set_nonblocking(true)?;
        // Linux hands these on to every connection accepted, which saves calls for each.
        socket.set_tcp_nodelay(true)?;
        socket.set_tcp_notsent_lowat(self.limits.unsent_bytes)?;
        // For those that are over for us, with octets that nobody takes: the kernel would try for a
        // quarter of an hour. Who is still served is cut before.
        socket.set_tcp_user_timeout(Some(unacknowledged_max(&self.limits)))?;
        socket.bind(&address.into())?;
        socket.listen(BACKLOG)?;
        let listener = TcpListener::from_std(socket.into());
        self.addresses.push(listener.local_addr()?);
        self.listeners.push(listener);
        Ok(())
    }

    /// The addresses bound, in order, with the ports that were really taken.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// Starts all threads and serves `service`.
    ///
    /// # Errors
    /// When the operating system refuses a thread or a readiness queue.
    pub fn start<S: Service>(self, service: S) -> io::Result<Running> {
        let mut limits = self.limits;
        limits.workers = limits.workers.max(1);
        limits.pool = limits.pool.max(1);
        limits.input_bytes = limits.input_bytes.max(1);
        // One step's cost for the step, one for what it moves.
        limits.turn_bytes = limits.turn_bytes.max(2 * STEP_COST);
        for (listener, address) in self.listeners.iter().zip(&self.addresses) {
            // Both only save work.
            if service.is_spoken_to_first()
                && let Err(error) = sys::defer_accept(listener)
            {
                log::debug!("connections are accepted before their first bytes come: {error}");
            }
            if address.ip().is_loopback()
                && let Err(error) = sys::send_unpaced(listener)
            {
                log::debug!("connections over {address} may be paced: {error}");
            }
        }
        let service = Arc::new(service);
        let polls: Vec<Poll> =
            (0..limits.workers).map(|_| Poll::new()).collect::<io::Result<_>>()?;
        let wakers: Vec<Waker> = polls
            .iter()
            .map(|poll| Waker::new(poll.registry(), WAKE))
            .collect::<io::Result<_>>()?;
        let shared = Arc::new(Shared::new(wakers));
        let (ends, ended) = unbounded();
        let running = Running {
            stopper: Stopper { shared: Arc::clone(&shared), drain: limits.drain },
            threads: Vec::new(),
            ended,
        };
        let limits = Arc::new(limits);
        running
            .spawn_all(polls, self.listeners, service, limits, ends)
            // Half a server is none: the threads that have begun end again.
            .inspect_err(|_| shared.stop(Duration::ZERO))
    }
}

/// How long the kernel tries to deliver what its peer does not acknowledge, `TCP_USER_TIMEOUT`:
/// four stall times, in what that option can hold. To the kernel a peer has not moved before it has
/// room for a whole segment, 64 KiB over loopback, and it looks ever less often: with two stall
/// times of a second each, it cut honest readers there at 40 KiB/s.
fn unacknowledged_max(limits: &Limits) -> Duration {
    const MOST: Duration = Duration::from_millis(i32::MAX.unsigned_abs() as u64);
    limits.pace.stall.saturating_mul(4).clamp(Duration::from_millis(1), MOST)
}

/// A running server.
#[derive(Debug)]
pub struct Running {
    stopper: Stopper,
    threads: Vec<JoinHandle<()>>,
    /// How each of them has ended. A thread that is no more and has said nothing has panicked.
    ended: Receiver<io::Result<()>>,
}

/// Stops the server if the thread that has this panics. One that lacks a worker would keep every
/// n-th connection waiting for ever, and one that lacks the first accepts none.
struct StopsInPanic(Stopper);

impl Drop for StopsInPanic {
    fn drop(&mut self) {
        if thread::panicking() {
            self.0.stop();
        }
    }
}

/// Stops a running server from anywhere.
#[derive(Clone)]
pub struct Stopper {
    shared: Arc<Shared>,
    drain: Duration,
}

impl Running {
    fn spawn_all<S: Service>(
        mut self,
        polls: Vec<Poll>,
        listeners: Vec<TcpListener>,
        service: Arc<S>,
        limits: Arc<Limits>,
        ends: Sender<io::Result<()>>,
    ) -> io::Result<Running> {
        let shared = Arc::clone(&self.stopper.shared);
        let (short, short_taken) = bounded(AWAY_MAX * limits.workers);
        let (long, long_taken) = bounded(AWAY_MAX * limits.workers);
        let jobs = Lanes { short, long };
        pool::start(limits.pool, &Lanes { short: short_taken, long: long_taken }, &shared)?;
        let (closer, big, distant) = Closer::new();
        for (name, files) in [("closer", big), ("distant-closer", distant)] {
            self.spawn(name.to_owned(), ends.clone(), move || {
                files.into_iter().for_each(drop);
                Ok(())
            })?;
        }
        let start = Now::read(false).instant;
        let (dealer, arrivals) = dealer::pair(limits.workers, limits.connections, &shared, start);
        let (first, serves) = (polls[0].registry(), Arc::clone(&service));
        let acceptor =
            Acceptor::new(listeners, first, dealer, serves, &limits, Arc::clone(&shared))?;
        let mut acceptor = Some(acceptor);
        for (index, (poll, arrivals)) in polls.into_iter().zip(arrivals).enumerate() {
            let errands = Errands::new(index, jobs.clone());
            let worker = Worker {
                index,
                poll,
                service: Arc::clone(&service),
                limits: Arc::clone(&limits),
                shared: Arc::clone(&shared),
                closer: closer.clone(),
                acceptor: acceptor.take(),
                arrivals,
            };
            let guard = StopsInPanic(self.stopper());
            self.spawn(format!("worker-{index}"), ends.clone(), move || {
                let _guard = guard;
                worker.run(errands)
            })?;
        }
        Ok(self)
    }

    /// Starts a thread that is waited for.
    fn spawn(
        &mut self,
        name: String,
        ends: Sender<io::Result<()>>,
        run: impl FnOnce() -> io::Result<()> + Send + 'static,
    ) -> io::Result<()> {
        // Nobody may be waiting.
        let run = move || drop(ends.send(run()));
        self.threads.push(thread::Builder::new().name(name).spawn(run)?);
        Ok(())
    }

    /// A handle that stops the server.
    pub fn stopper(&self) -> Stopper {
        self.stopper.clone()
    }

    /// Waits until the server has stopped: every connection has ended, or the drain is over.
    ///
    /// A thread that is blocked then, by a disk that hangs or by a session, is left behind after a
    /// second of grace: the stop ends all the same. One of the pool can reach nothing any more; the
    /// connections of a worker end with the process.
    ///
    /// # Errors
    /// When a thread could not go on: the server has stopped for that, if nobody had asked for it.
    pub fn join(self) -> io::Result<()> {
        // No thread ends before.
        let until = later(self.stopper.shared.wait_for_stop(), JOIN_GRACE);
        let panicked = || io::Error::other("a thread of the server panicked");
        let mut all = Ok(());
        for done in 0..self.threads.len() {
            match self.ended.recv_deadline(until) {
                Ok(ended) => all = all.and(ended),
                Err(RecvTimeoutError::Disconnected) => all = all.and(Err(panicked())),
                Err(RecvTimeoutError::Timeout) => {
                    let left = self.threads.len() - done;
                    log::warn!("left behind at the stop: {left} of the threads, which are blocked");
                    return all;
                }
            }
        }
        // All have said their last word.
        for thread in self.threads {
            let _ = thread.join();
        }
        all
    }
}

impl Stopper {
    /// Begins to stop: no new connection is accepted, those that owe nothing are closed, the
    /// others have [`Limits::drain`] to end. Returns at once; see [`Running::join`].
    pub fn stop(&self) {
        self.shared.stop(self.drain);
    }
}

impl std::fmt::Debug for Stopper {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Stopper").field("drain", &self.drain).finish_non_exhaustive()
    }
}
