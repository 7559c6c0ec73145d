//! One worker: a readiness loop over the connections that it alone owns.

use std::collections::VecDeque;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use mio::event::Event;
use mio::{Events, Poll, Token};

use crate::acceptor::{Acceptor, Newcomer};
use crate::closer::Closer;
use crate::connection::{Connection, Lent, Turn};
use crate::crowd::Displaces;
use crate::dealer::Arrivals;
use crate::errands::Errands;
use crate::limits::EVENTS_MAX;
use crate::pool::Lane;
use crate::room::Permit;
use crate::slots::Slots;
use crate::stop::Shared;
use crate::{Accepted, Limits, Now, Output, Service, Tick};

mod displacing;

/// The token of the worker's waker: no slot has it, since slots are numbered in 32 bits.
pub(crate) const WAKE: Token = Token(usize::MAX);

/// A worker, before it runs in a thread of its own.
pub(crate) struct Worker<S: Service> {
    pub(crate) index: usize,
    pub(crate) poll: Poll,
    pub(crate) service: Arc<S>,
    pub(crate) limits: Arc<Limits>,
    pub(crate) shared: Arc<Shared>,
    pub(crate) closer: Closer,
    /// The first worker's.
    pub(crate) acceptor: Option<Acceptor<S>>,
    pub(crate) arrivals: Arrivals<Newcomer>,
}

/// What a running worker keeps track of.
struct Ledger<S: Service> {
    slots: Slots<Connection<S::Session>>,
    /// Connections with something to do now, each once.
    run: VecDeque<Token>,
    /// What is on the pool.
    errands: Errands<Connection<S::Session>>,
    /// The acceptor is gone: no arrival will follow.
    no_arrivals: bool,
    stopping: bool,
    /// Counts what is learnt of the connections: each wake-up, each read.
    tick: Tick,
    /// For the peers that are given room.
    permits: Permit,
    scratch: Vec<u8>,
    output: Output,
}

impl<S: Service> Worker<S> {
    /// Runs until a stop is complete.
    ///
    /// # Errors
    /// When it cannot wait for events. It has begun the stop itself then.
    pub(crate) fn run(mut self, errands: Errands<Connection<S::Session>>) -> io::Result<()> {
        let mut ledger = Ledger {
            slots: Slots::new(self.limits.connections),
            // Long enough for whatever the kernel tells at once: one that grew with a crowd would
            // keep its memory from being given back.
            run: VecDeque::with_capacity(2 * EVENTS_MAX),
            errands,
            no_arrivals: false,
            stopping: false,
            tick: Tick::of_new_worker(),
            permits: Permit::default(),
            scratch: vec![0; self.limits.input_bytes],
            output: Output::default(),
        };
        let mut events = Events::with_capacity(EVENTS_MAX);
        loop {
            let timeout = self.timeout(&ledger);
            if let Err(error) = self.poll.poll(&mut events, timeout)
                && error.kind() != io::ErrorKind::Interrupted
            {
                log::error!("worker {} cannot wait for events: {error}", self.index);
                // A server that lacks a worker would keep every n-th connection waiting for ever.
                self.shared.stop(self.limits.drain);
                self.abandon(ledger, Now::read(true));
                return Err(error);
            }
            ledger.tick.advance();
            let mut now = Now::read(self.shared.drain_until().is_some());
            if now.stopping && !ledger.stopping {
                ledger.begin_stop();
            }
            for event in &events {
                if event.token() == WAKE {
                    self.take_returns(&mut ledger);
                    self.take_arrivals(&mut ledger, now);
                } else if !self.acceptor.as_mut().is_some_and(|it| it.note(event.token())) {
                    ledger.note(event);
                }
            }
            self.accept(&mut ledger, now);
            ledger.expire(now.instant);
            // Only those that are in line now: who has more to do waits for the next round,
            // behind what the kernel has to tell by then.
            for _ in 0..ledger.run.len() {
                let Some(token) = ledger.run.pop_front() else { break };
                self.turn(&mut ledger, token, now);
            }
            if ledger.stopping {
                now.instant = Instant::now();
                if self.is_drained(&ledger, now) {
                    self.abandon(ledger, now);
                    return Ok(());
                }
            }
        }
    }

    /// How long to wait for events at most.
    fn timeout(&self, ledger: &Ledger<S>) -> Option<Duration> {
        if !ledger.run.is_empty() {
            return Some(Duration::ZERO);
        }
        let stop = self.shared.drain_until();
        let next = ledger.slots.first_deadline().into_iter().chain(stop).min();
        let now = Instant::now();
        let accept = self.acceptor.as_ref().and_then(|acceptor| acceptor.timeout(now));
        // Rounded up, so that the deadline has passed when the wait ends.
        let next = next.map(|at| at.saturating_duration_since(now) + Duration::from_millis(1));
        next.into_iter().chain(accept).min()
    }

    /// The first worker accepts a batch, and takes in its own share.
    fn accept(&mut self, ledger: &mut Ledger<S>, now: Now) {
        let Some(acceptor) = &mut self.acceptor else { return };
        if !acceptor.run(now) {
            self.acceptor = None;
        }
        self.take_arrivals(ledger, now);
    }

    fn take_arrivals(&self, ledger: &mut Ledger<S>, now: Now) {
        let goes_on = self.arrivals.take_in(self.index, &self.shared, |newcomer, displaces| {
            if let Some(Displaces { idle_since_by, .. }) = displaces
                && let Err(longest) = self.make_room(ledger, idle_since_by, now)
            {
                return Err((newcomer, longest));
            }
            self.admit(ledger, newcomer, now);
            Ok(())
        });
        ledger.no_arrivals |= !goes_on;
    }

    /// Takes a new connection in. It is watched when it first waits for something: one that asks,
    /// is answered and closed in its first turn never is.
    fn admit(&self, ledger: &mut Ledger<S>, newcomer: Newcomer, now: Now) {
        let Newcomer { socket, accepted, guest } = newcomer;
        let accepted = Accepted { worker: self.index, ..accepted };
        let open = AssertUnwindSafe(|| self.service.open(&accepted));
        let Ok(session) = catch_unwind(open) else {
            log::error!("no session for the connection from {}: a panic", accepted.peer);
            self.shared.leave(self.index);
            return;
        };
        let token = ledger.slots.reserve();
        let slot = ledger.slots.get(token).expect("reserved just now");
        slot.connection = Some(Connection::new(socket, accepted, guest, session, now));
        slot.queued = true;
        ledger.run.push_back(token);
    }

    fn take_returns(&self, ledger: &mut Ledger<S>) {
        while let Some((token, mut connection, lane)) = ledger.errands.take_return() {
            while let Some(next) = ledger.errands.next_in_line(lane) {
                self.send_to_pool(ledger, next, lane);
            }
            let slot = ledger.slots.get(token).expect("the slot of a connection away is kept");
            if ledger.stopping {
                connection.nudge();
            }
            slot.connection = Some(*connection);
            // What the kernel had to tell meanwhile was noted in the slot; trying finds the rest.
            slot.ready.writable = true;
            slot.queued = true;
            ledger.run.push_back(token);
        }
    }

    /// Gives one connection its turn and sees to what comes of it.
    fn turn(&self, ledger: &mut Ledger<S>, token: Token, now: Now) {
        let Ledger { slots, tick, permits, scratch, output, .. } = ledger;
        let Some(slot) = slots.get(token) else { return };
        slot.queued = false;
        let Some(connection) = &mut slot.connection else { return };
        let mut lent = Lent {
            limits: &self.limits,
            now,
            closer: &self.closer,
            registry: self.poll.registry(),
            token,
            tick,
            permits,
            scratch,
            output,
        };
        let turn = connection.turn(&mut slot.ready, &mut lent);
        self.settle(ledger, token, turn, now);
    }

    fn settle(&self, ledger: &mut Ledger<S>, token: Token, turn: Turn, now: Now) {
        let Some(slot) = ledger.slots.get(token) else { return };
        match turn {
            Turn::Parked => {
                let Some(connection) = &slot.connection else { return };
                let (due, idle) = (connection.due(&self.limits), connection.idle_since());
                ledger.slots.park(token, due, idle);
            }
            Turn::Again if !slot.queued => {
                slot.queued = true;
                ledger.run.push_back(token);
            }
            Turn::Again => {}
            Turn::Pool(lane) if ledger.errands.has_room(lane) => {
                self.send_to_pool(ledger, token, lane);
            }
            Turn::Pool(lane) => {
                slot.queued = true;
                ledger.errands.line_up(token, lane);
            }
            Turn::Closed => {
                if let Some(connection) = slot.connection.take() {
                    self.closer.let_go_all(connection.close(now));
                }
                ledger.slots.release(token, now.instant);
                self.shared.leave(self.index);
            }
        }
    }

    fn send_to_pool(&self, ledger: &mut Ledger<S>, token: Token, lane: Lane) {
        let Some(slot) = ledger.slots.get(token) else { return };
        let Some(connection) = slot.connection.take() else { return };
        slot.queued = false;
        ledger.errands.send(Box::new(connection), token, lane);
    }

    /// Whether a stop has nothing left to wait for.
    fn is_drained(&self, ledger: &Ledger<S>, now: Now) -> bool {
        self.shared.is_over(now.instant) || (ledger.no_arrivals && ledger.slots.len() == 0)
    }

    /// The drain is over, or nothing can be waited for: whoever is left is reset. Connections on
    /// the pool end there.
    fn abandon(&self, mut ledger: Ledger<S>, now: Now) {
        for token in ledger.slots.tokens() {
            if let Some(slot) = ledger.slots.get(token)
                && let Some(connection) = &mut slot.connection
            {
                connection.give_up();
            }
            self.settle(&mut ledger, token, Turn::Closed, now);
        }
        // What comes back later ends where it is.
        while let Some((_, mut connection, _)) = ledger.errands.take_return() {
            connection.give_up();
            // Its slot has been settled with the others, and it was counted there.
            self.closer.let_go_all(connection.close(now));
        }
        self.arrivals.turn_away_all(self.index, &self.shared);
    }
}

impl<S: Service> Ledger<S> {
    /// Notes what the kernel says of a connection and puts it in line.
    fn note(&mut self, event: &Event) {
        let Some(slot) = self.slots.get(event.token()) else { return };
        let ended = event.is_read_closed() || event.is_error();
        slot.ready.readable |= event.is_readable() || ended;
        if event.is_readable() && slot.connection.is_some() {
            slot.ready.told = Some(self.tick);
        }
        slot.ready.writable |= event.is_writable() || event.is_error();
        slot.ready.read_closed |= ended;
        if !slot.queued && slot.connection.is_some() {
            slot.queued = true;
            self.run.push_back(event.token());
        }
    }

    /// Puts every connection in line whose deadline has passed. The turn finds out what was due,
    /// and whether it still is: it tries to send and to read first. One that is away on the pool is
    /// looked at when it is back.
    fn expire(&mut self, now: Instant) {
        let Ledger { slots, run, .. } = self;
        slots.expire(now, |token, slot| {
            // The kernel tells of room only when half of what it holds has gone, which takes a slow
            // but honest reader minutes. Another try finds less room than that.
            slot.ready.writable = true;
            // Nor has it told of everything that has come: a wait that is interrupted tells of
            // nothing, and each of only so many events.
            slot.ready.readable = true;
            if !slot.queued && slot.connection.is_some() {
                slot.queued = true;
                run.push_back(token);
            }
        });
    }

    /// Asks every session once more: those that owe nothing end now.
    fn begin_stop(&mut self) {
        self.stopping = true;
        for token in self.slots.tokens() {
            let Some(slot) = self.slots.get(token) else { continue };
            let Some(connection) = &mut slot.connection else { continue };
            connection.nudge();
            // A request may be in the socket already that no event has told of yet.
            slot.ready.readable = true;
            if !slot.queued {
                slot.queued = true;
                self.run.push_back(token);
            }
        }
    }
}
