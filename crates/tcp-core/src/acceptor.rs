//! Accepts connections and deals them to the workers. The first worker runs it between the turns of
//! its own connections.
//!
//! On a thread of its own it would be woken for every connection and wake a worker for each: two
//! switches between threads, which took a third of what a short connection costs. So it accepts a
//! batch, deals it, and wakes each worker once.

use std::fs::File;
use std::io;
use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender};
use mio::net::{TcpListener, TcpStream};
use mio::{Interest, Registry, Token};
use rustix::io::Errno;

use crate::addresses::Addresses;
use crate::crowd::{Arrival, Crowd, Unplaced};
use crate::limits::{ACCEPT_BATCH, ACCEPT_PAUSE, DISPLACING_MAX};
use crate::refused::Refused;
use crate::stop::Shared;
use crate::{Accepted, Limits, NoRoom, Now, Service};

/// The tokens of the listeners, downwards from here: no slot has one of them, since slots are
/// numbered in 32 bits, nor has the worker's waker.
const LISTENER: usize = usize::MAX - 1;

/// What the first worker does besides.
pub(crate) struct Acceptor<S> {
    listeners: Vec<Listener>,
    /// One for each worker, in order; `None` for one that has ended, by a fault of this crate.
    doors: Vec<Option<Sender<Arrival>>>,
    service: Arc<S>,
    limits: Arc<Limits>,
    shared: Arc<Shared>,
    addresses: Addresses,
    crowd: Crowd,
    /// Arrivals that a worker had no place for.
    unplaced: Receiver<Unplaced>,
    /// As many as may be are on their way to somebody else's place; a worker tells when one
    /// has got there.
    is_crowded: bool,
    refused: Refused,
    /// Given up for a moment when there is no other descriptor.
    spare: Option<File>,
    /// Nobody can be accepted, mostly for want of descriptors: when that is tried again.
    pause_until: Option<Instant>,
    /// Workers that have been dealt something and do not know yet.
    unaware: Vec<bool>,
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
        doors: Vec<Sender<Arrival>>,
        unplaced: Receiver<Unplaced>,
        service: Arc<S>,
        limits: Arc<Limits>,
        shared: Arc<Shared>,
    ) -> io::Result<Acceptor<S>> {
        let mut watched = Vec::new();
        for (index, mut socket) in listeners.into_iter().enumerate() {
            registry.register(&mut socket, Token(LISTENER - index), Interest::READABLE)?;
            let local = socket.local_addr().ok().filter(|local| !local.ip().is_unspecified());
            watched.push(Listener { socket, local, waiting: true });
        }
        Ok(Acceptor {
            listeners: watched,
            unaware: vec![false; doors.len()],
            addresses: Addresses::new(limits.per_address),
            crowd: Crowd::new(doors.len(), Instant::now()),
            unplaced,
            is_crowded: false,
            refused: Refused::new(limits.connections),
            doors: doors.into_iter().map(Some).collect(),
            service,
            limits,
            shared,
            spare: spare_descriptor(),
            pause_until: None,
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
        // Told of once, not with every try.
        let silent = match self.pause_until {
            Some(until) if until > now.instant && !now.stopping => {
                self.wake_unaware();
                return true;
            }
            pause => pause.is_some(),
        };
        self.pause_until = None;
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
                    if !silent {
                        log::warn!("out of file descriptors: connections wait or are refused");
                    }
                    self.refuse_with_spare(index, now);
                    self.pause_until = Some(now.instant + ACCEPT_PAUSE);
                }
                Batch::Failed(error) => {
                    if !silent {
                        log::warn!("no connection can be accepted: {error}");
                    }
                    self.pause_until = Some(now.instant + ACCEPT_PAUSE);
                }
            }
        }
        self.wake_unaware();
        self.refused.expire(now.instant);
        let over = self.shared.is_over(now.instant);
        !now.stopping || (self.has_waiting() && self.pause_until.is_none() && !over)
    }

    fn accept_batch(&mut self, index: usize, now: Now) -> Batch {
        let mut failed = None;
        let mut accepts = 0;
        for _ in 0..ACCEPT_BATCH {
            // The first worker, which runs this, has room at least in its next round.
            let Some(worker) = self.next_worker() else { return Batch::Full };
            let (connections, most) = (self.shared.connections(), self.limits.connections);
            if connections >= most + self.displacing_max() {
                return Batch::Crowded;
            }
            match self.accept(index, worker) {
                Ok((socket, accepted)) => {
                    accepts += 1;
                    self.receive(socket, accepted, connections < most, now);
                }
                Err(error) => match error.raw_os_error().map(Errno::from_raw_os_error) {
                    Some(Errno::MFILE | Errno::NFILE) => return Batch::NoDescriptor,
                    Some(Errno::AGAIN) => return Batch::Empty,
                    // The connection died while it waited, or the like (accept(2)): the next one is
                    // not worse for it.
                    _ => failed = Some(error),
                },
            }
        }
        match failed {
            // It was not the connections' fault.
            Some(error) if accepts == 0 => Batch::Failed(error),
            _ => Batch::Full,
        }
    }

    /// How many connections may be on their way to somebody else's place.
    fn displacing_max(&self) -> usize {
        (self.limits.connections / 16).clamp(1, DISPLACING_MAX)
    }

    /// The worker with the fewest connections of those whose channel has room.
    fn next_worker(&self) -> Option<usize> {
        self.with_room().min_by_key(|worker| self.shared.connections_of(*worker))
    }

    fn with_room(&self) -> impl Iterator<Item = usize> {
        let has_room =
            |worker: &usize| self.doors[*worker].as_ref().is_some_and(|door| !door.is_full());
        (0..self.doors.len()).filter(has_room)
    }

    /// Takes one connection from the kernel.
    fn accept(&self, index: usize, worker: usize) -> io::Result<(TcpStream, Accepted)> {
        let Listener { socket, local, .. } = &self.listeners[index];
        let (socket, peer) = socket.accept()?;
        let local = local.or_else(|| socket.local_addr().ok()).unwrap_or(peer);
        Ok((socket, Accepted { peer, local, worker }))
    }

    /// Finds a place for a connection just accepted.
    fn receive(&mut self, socket: TcpStream, accepted: Accepted, has_room: bool, now: Now) {
        let Some(guest) = self.addresses.enter(accepted.peer.ip()) else {
            self.refuse(socket, accepted, NoRoom::Address, now);
            return;
        };
        let arrival = Arrival { socket, accepted, guest, displaces: None };
        match has_room {
            true => self.deal(arrival),
            false => self.displace(arrival, now.instant, now),
        }
    }

    /// Sends a connection for which there is no room, and which `came` some time ago, to where
    /// somebody may have been idle since before; refuses it where nobody has.
    fn displace(&mut self, arrival: Arrival, came: Instant, now: Now) {
        match self.crowd.place(self.with_room(), came) {
            // In a stop the idle end anyway.
            Some((worker, displaces)) if !now.stopping => {
                let accepted = Accepted { worker, ..arrival.accepted };
                self.deal(Arrival { accepted, displaces: Some(displaces), ..arrival });
            }
            _ => self.refuse(arrival.socket, arrival.accepted, NoRoom::Server, now),
        }
    }

    /// Sees to those that have come back from a worker that had no place for them.
    fn place_again(&mut self, now: Now) {
        self.is_crowded = false;
        while let Ok(Unplaced { arrival, worker, longest }) = self.unplaced.try_recv() {
            self.shared.leave(worker);
            self.crowd.note(worker, longest);
            let came = arrival.displaces.map_or(now.instant, |displaces| displaces.came);
            let has_room = self.shared.connections() < self.limits.connections;
            match self.next_worker().filter(|_| has_room) {
                Some(worker) => {
                    let accepted = Accepted { worker, ..arrival.accepted };
                    self.deal(Arrival { accepted, displaces: None, ..arrival });
                }
                None => self.displace(arrival, came, now),
            }
        }
    }

    fn deal(&mut self, arrival: Arrival) {
        let worker = arrival.accepted.worker;
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

    /// Wakes the workers that have been dealt something. The first one, which runs this, looks at
    /// its own channel next.
    fn wake_unaware(&mut self) {
        for (worker, unaware) in self.unaware.iter_mut().enumerate() {
            if std::mem::take(unaware) && worker > 0 {
                self.shared.wake(worker);
            }
        }
    }

    /// Tells a connection that there is no room.
    fn refuse(&mut self, socket: TcpStream, accepted: Accepted, why: NoRoom, now: Now) {
        let accepted = Accepted { worker: 0, ..accepted };
        let told = catch_unwind(AssertUnwindSafe(|| self.service.refusal(&accepted, why, now)));
        let told = told.unwrap_or_else(|_| {
            log::error!("the service panicked when it refused a connection");
            Vec::new()
        });
        self.refused.push(socket, &told, now.instant);
    }

    /// Out of descriptors: the spare one is given up for a moment, to tell the one who has
    /// waited longest rather than to leave it waiting.
    fn refuse_with_spare(&mut self, index: usize, now: Now) {
        self.refused.clear();
        if self.spare.take().is_some()
            && let Ok((socket, accepted)) = self.accept(index, 0)
        {
            self.refuse(socket, accepted, NoRoom::Server, now);
            self.refused.clear();
        }
        self.spare = spare_descriptor();
    }
}

impl<S> Drop for Acceptor<S> {
    /// Tells the other workers that nobody will come any more, also when this one has failed.
    fn drop(&mut self) {
        self.doors.clear();
        for worker in 1..self.limits.workers {
            self.shared.wake(worker);
        }
    }
}

/// A descriptor in hand for when there is no other.
fn spare_descriptor() -> Option<File> {
    File::open("/dev/null").ok()
}
