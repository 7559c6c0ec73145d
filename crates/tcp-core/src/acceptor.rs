//! Accepts connections and deals them to the workers. The first worker runs it between the turns of
//! its own connections.
//!
//! On a thread of its own it would be woken for every connection and wake a worker for each: two
//! switches between threads, which took a third of what a short connection costs. So it accepts a
//! batch, deals it, and wakes each worker once.

use std::io;
use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use mio::net::{TcpListener, TcpStream};
use mio::{Interest, Registry, Token};
use rustix::io::Errno;

use crate::addresses::{Addresses, Guest};
use crate::dealer::Dealer;
use crate::limits::{ACCEPT_BATCH, ACCEPT_PAUSE};
use crate::refused::Refused;
use crate::spares::Spares;
use crate::stop::Shared;
use crate::{Accepted, Limits, NoRoom, Now, Service};

/// The tokens of the listeners, downwards from here: no slot has one of them, since slots are
/// numbered in 32 bits, nor has the worker's waker.
const LISTENER: usize = usize::MAX - 1;

/// How long after a complaint there is no other.
const COMPLAINT_PAUSE: Duration = Duration::from_secs(10);

/// What the first worker does besides.
pub(crate) struct Acceptor<S> {
    listeners: Vec<Listener>,
    dealer: Dealer<Newcomer>,
    service: Arc<S>,
    shared: Arc<Shared>,
    addresses: Addresses,
    /// As many as may be are on their way to somebody else's place; a worker tells when one
    /// has got there.
    is_crowded: bool,
    refused: Refused,
    spares: Spares,
    /// Nobody can be accepted, mostly for want of descriptors: when that is tried again.
    pause_until: Option<Instant>,
    /// When that was last told of.
    complained: Option<Instant>,
}

/// A connection just accepted.
pub(crate) struct Newcomer {
    pub(crate) socket: TcpStream,
    /// But for the worker, whom nobody knows yet.
    pub(crate) accepted: Accepted,
    /// Counts it among those of its address.
    pub(crate) guest: Option<Guest>,
}

struct Listener {
    socket: TcpListener,
    /// The address that connections are made to, unless they choose among several.
    local: Option<SocketAddr>,
    /// Edge-triggered: set until an accept finds nobody.
    waiting: bool,
}

/// How a run of accepts ends.
enum Batch {
    /// Nobody is waiting.
    Empty,
    /// There may be more.
    Full,
    /// There may be more, for whom room may be found when a worker has told.
    Crowded,
    /// The process is out of file descriptors.
    NoDescriptor,
    /// Nobody could be accepted, for want of memory or the like.
    Failed(io::Error),
}

impl<S: Service> Acceptor<S> {
    /// Watches the listeners, in the readiness loop that `registry` belongs to.
    ///
    /// # Errors
    /// When the kernel cannot watch them.
    pub(crate) fn new(
        listeners: Vec<TcpListener>,
        registry: &Registry,
        dealer: Dealer<Newcomer>,
        service: Arc<S>,
        limits: &Limits,
        shared: Arc<Shared>,
    ) -> io::Result<Acceptor<S>> {
        let mut watched = Vec::new();
        for (index, mut socket) in listeners.into_iter().enumerate() {
            registry.register(&mut socket, Token(LISTENER - index), Interest::READABLE)?;
            let local = socket.local_addr().ok().filter(|local| !local.ip().is_unspecified());
            watched.push(Listener { socket, local, waiting: true });
        }
        let mut spares = Spares::default();
        spares.fill();
        Ok(Acceptor {
            listeners: watched,
            dealer,
            service,
            shared,
            addresses: Addresses::new(limits.per_address),
            is_crowded: false,
            refused: Refused::new(limits.connections),
            spares,
            pause_until: None,
            complained: None,
        })
    }

    /// Notes an event of the readiness loop; `false` when it is not about a listener.
    pub(crate) fn note(&mut self, token: Token) -> bool {
        let index = LISTENER.wrapping_sub(token.0);
        match self.listeners.get_mut(index) {
            Some(listener) => listener.waiting = true,
            None => return false,
        }
        true
    }

    /// How long the readiness loop may wait before [`run`](Self::run) is due; `None` for ever.
    pub(crate) fn timeout(&self, now: Instant) -> Option<Duration> {
        if let Some(until) = self.pause_until {
            return Some(until.saturating_duration_since(now));
        }
        match self.has_waiting() && !self.is_crowded {
            true => Some(Duration::ZERO),
            false => self.refused.timeout(),
        }
    }

    fn has_waiting(&self) -> bool {
        self.listeners.iter().any(|listener| listener.waiting)
    }

    /// Accepts a batch from every listener that has one. `false` when the server is stopping and
    /// all who had connected by then have been handed on: then this is to be dropped, which closes
    /// the listeners, so that the kernel refuses new connections, and tells the workers that
    /// nobody will come any more.
    pub(crate) fn run(&mut self, now: Now) -> bool {
        self.place_again(now);
        if self.pause_until.is_some_and(|until| until > now.instant) && !now.stopping {
            self.dealer.wake_unaware();
            return true;
        }
        self.pause_until = None;
        self.spares.fill();
        for index in 0..self.listeners.len() {
            // In a stop somebody may have come just before whom no event has told of yet.
            if !self.listeners[index].waiting && !now.stopping {
                continue;
            }
            match self.accept_batch(index, now) {
                Batch::Empty => self.listeners[index].waiting = false,
                Batch::Full => self.listeners[index].waiting = true,
                Batch::Crowded => {
                    self.listeners[index].waiting = true;
                    self.is_crowded = true;
                }
                Batch::NoDescriptor => {
                    self.receive_with_spare(index, now);
                }
                Batch::Failed(error) => {
                    self.complain(now, &format!("no connection can be accepted: {error}"));
                    self.pause_until = Some(now.instant + ACCEPT_PAUSE);
                }
            }
        }
        self.dealer.wake_unaware();
        self.refused.expire(now.instant);
        let over = self.shared.is_over(now.instant);
        !now.stopping || (self.has_waiting() && self.pause_until.is_none() && !over)
    }

    fn accept_batch(&mut self, index: usize, now: Now) -> Batch {
        let mut failed = None;
        let mut accepts = 0;
        for _ in 0..ACCEPT_BATCH {
            if !self.dealer.has_room() {
                return Batch::Full;
            }
            if self.dealer.is_crowded() {
                return Batch::Crowded;
            }
            let is_full = self.dealer.is_full();
            match self.accept(index) {
                Ok((socket, accepted)) => {
                    accepts += 1;
                    self.receive(socket, accepted, is_full, now);
                }
                Err(error) if is_lack(&error) => return Batch::NoDescriptor,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Batch::Empty,
                // The connection died while it waited, or the like (accept(2)): the next one is not
                // worse for it.
                Err(error) => failed = Some(error),
            }
        }
        match failed {
            // It was not the connections' fault.
            Some(error) if accepts == 0 => Batch::Failed(error),
            _ => Batch::Full,
        }
    }

    /// Takes one connection from the kernel.
    fn accept(&self, index: usize) -> io::Result<(TcpStream, Accepted)> {
        let Listener { socket, local, .. } = &self.listeners[index];
        let (socket, peer) = socket.accept()?;
        let local = local.or_else(|| socket.local_addr().ok()).unwrap_or(peer);
        Ok((socket, Accepted { peer, local, worker: 0 }))
    }

    /// Finds a place for a connection just accepted; `false` if it is refused.
    fn receive(&mut self, socket: TcpStream, accepted: Accepted, is_full: bool, now: Now) -> bool {
        let Some(guest) = self.addresses.enter(accepted.network()) else {
            self.refuse(socket, accepted, NoRoom::Address, now);
            return false;
        };
        self.place(Newcomer { socket, accepted, guest }, is_full, now.instant, now)
    }

    /// Finds a place for a connection that `came` some time ago; `false` if it is refused.
    fn place(&mut self, newcomer: Newcomer, is_full: bool, came: Instant, now: Now) -> bool {
        let placed = match is_full {
            false => self.dealer.deal(newcomer),
            // The idle end anyway.
            true if now.stopping => Err(newcomer),
            true => self.dealer.displace(newcomer, came),
        };
        let Err(Newcomer { socket, accepted, .. }) = placed else { return true };
        self.refuse(socket, accepted, NoRoom::Server, now);
        false
    }

    /// Sees to those that have come back from a worker that had no place for them.
    fn place_again(&mut self, now: Now) {
        self.is_crowded = false;
        while let Some((newcomer, came)) = self.dealer.take_unplaced() {
            // If a spare descriptor is missing it has come with that one, which is not for keeping.
            let has_all = self.spares.fill();
            let is_full = !has_all || self.dealer.is_full();
            if !self.place(newcomer, is_full, came, now) && !has_all {
                self.starve(now);
            }
        }
    }

    /// Tells a connection that there is no room.
    fn refuse(&mut self, socket: TcpStream, accepted: Accepted, why: NoRoom, now: Now) {
        let told = catch_unwind(AssertUnwindSafe(|| self.service.refusal(&accepted, why, now)));
        let told = told.unwrap_or_else(|_| {
            log::error!("the service panicked when it refused a connection");
            Vec::new()
        });
        self.refused.push(socket, &told, now.instant);
    }

    /// Out of descriptors: a spare one is given up for the one who has waited longest. That one
    /// gets the place of somebody idle, who has a descriptor. Where nobody is idle it is told that
    /// there is none, rather than left waiting, and the spare one is there for the next.
    fn receive_with_spare(&mut self, index: usize, now: Now) {
        let mut failed = None;
        for _ in 0..ACCEPT_BATCH {
            if !self.spares.give_up() {
                break;
            }
            match self.accept(index) {
                Ok((socket, accepted)) => {
                    self.complain(now, "out of file descriptors: connections wait or are refused");
                    if self.receive(socket, accepted, true, now) {
                        // It is on the way there.
                        self.is_crowded = true;
                        return;
                    }
                    self.refused.clear();
                }
                // Another thread has got hold of it first.
                Err(error) if is_lack(&error) => continue,
                // Without a descriptor the kernel does not look whether anybody waits.
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.listeners[index].waiting = false;
                    self.spares.fill();
                    return;
                }
                Err(error) => failed = Some(error),
            }
            self.spares.fill();
        }
        match failed {
            Some(error) => self.complain(now, &format!("no connection can be accepted: {error}")),
            None => self.complain(now, "out of file descriptors: connections wait"),
        }
        self.starve(now);
    }

    /// Nobody can be served for want of descriptors: gets the spare ones back, and waits.
    fn starve(&mut self, now: Now) {
        self.refused.clear();
        self.spares.fill();
        self.pause_until = Some(now.instant + ACCEPT_PAUSE);
    }

    /// Tells of a lack, but not with every try.
    fn complain(&mut self, now: Now, what: &str) {
        let before = self.complained.map(|at| now.instant.saturating_duration_since(at));
        if before.is_none_or(|passed| passed >= COMPLAINT_PAUSE) {
            log::warn!("{what}");
            self.complained = Some(now.instant);
        }
    }
}

/// Whether a call has failed because there is no descriptor for the process, or for the system.
fn is_lack(error: &io::Error) -> bool {
    let lacks = [Errno::MFILE, Errno::NFILE].map(|lack| Some(lack.raw_os_error()));
    lacks.contains(&error.raw_os_error())
}
