//! What the threads share, in whatever order their steps may happen: `shuttle` runs each test some
//! thousands of times, and each time chooses who makes the next step. `cargo xtask model`.
//!
//! What runs is the crate's own code: the dealing of connections ([`crate::dealer`]), the way to
//! the pool and back ([`crate::errands`], [`crate::pool`]), counts, wake-ups and the stop
//! ([`crate::stop`]), slots. Only what reaches the system is missing: a worker has no readiness
//! loop here but waits for its waker, and a connection is a number.
//!
//! At random, and not every order there is: with four threads and channels these are too many for
//! a checker that tries all (`loom`). Each step is seen by all threads at once: what goes wrong
//! only where memory is weaker than that is not found here.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use mio::Token;
use shuttle::rand::Rng;
use shuttle::thread::{self, JoinHandle};

use crate::dealer::{self, Arrivals, Dealer};
use crate::errands::Errands;
use crate::limits::AWAY_MAX;
use crate::pool::{self, Errand, Lane, Lanes};
use crate::slots::Slots;
use crate::stop::Shared;
use crate::sync::{self, AtomicUsize, Waker, bounded};

/// Schedules that are tried where the environment does not say how many.
const SCHEDULES: usize = 2_000;

/// Tries schedules at random, and as many with few but well-placed switches: PCT, of which three
/// find most of what is to be found.
fn check(test: impl Fn() + Send + Sync + Clone + 'static) {
    let asked = std::env::var("TCP_CORE_SCHEDULES").ok();
    let schedules = asked.map_or(SCHEDULES, |asked| asked.parse().expect("a number"));
    shuttle::check_random(test.clone(), schedules);
    shuttle::check_pct(test, schedules, 3);
}

fn shared(workers: usize) -> (Arc<Shared>, Vec<Waker>) {
    let wakers: Vec<Waker> = (0..workers).map(|_| Waker::free()).collect();
    (Arc::new(Shared::new(wakers.clone())), wakers)
}

#[test]
#[should_panic(expected = "deadlock")]
fn who_wakes_before_there_is_something_is_found() {
    check(|| {
        let waker = Waker::free();
        let (sender, receiver) = bounded(1);
        let woken = waker.clone();
        let waiting = thread::spawn(move || {
            while receiver.try_recv().is_err() {
                woken.wait();
            }
        });
        waker.wake().expect("it cannot fail");
        assert!(sender.try_send(()).is_ok(), "there is room");
        waiting.join().expect("it ends well");
    });
}

#[test]
#[should_panic(expected = "one is not counted")]
fn a_count_that_takes_two_steps_is_found() {
    check(|| {
        let count = Arc::new(AtomicUsize::new(0));
        let add = |count: &AtomicUsize| {
            let before = count.load(Ordering::Acquire);
            count.store(before + 1, Ordering::Release);
        };
        let theirs = Arc::clone(&count);
        let other = thread::spawn(move || add(&theirs));
        add(&count);
        other.join().expect("it ends well");
        assert_eq!(count.load(Ordering::Acquire), 2, "one is not counted");
    });
}

/// What goes to the pool some times and then ends, once, which is told.
struct Traveller {
    journeys: usize,
    has_ended: Arc<AtomicBool>,
    ends: sync::Sender<()>,
}

impl Errand for Traveller {
    fn block(&mut self) {
        thread::yield_now();
        self.journeys -= 1;
    }

    fn give_up(&mut self) {
        self.journeys = 0;
    }

    fn end(self) {
        assert!(!self.has_ended.swap(true, Ordering::Relaxed), "ended twice");
        assert!(self.ends.try_send(()).is_ok(), "there is room for all");
    }
}

/// A worker that sends each of its connections to the pool, again and again, until it has ended or
/// the drain is over: what [`crate::worker`] does with them, in short.
struct Sender {
    index: usize,
    slots: Slots<Traveller>,
    errands: Errands<Traveller>,
    shared: Arc<Shared>,
}

impl Sender {
    fn run(mut self, travellers: Vec<Traveller>, waker: &Waker) {
        for traveller in travellers {
            self.shared.enter(self.index);
            let token = self.slots.reserve();
            self.go_on(token, Box::new(traveller));
        }
        loop {
            waker.wait();
            while let Some((token, traveller, lane)) = self.errands.take_return() {
                while let Some(next) = self.errands.next_in_line(lane) {
                    let slot = self.slots.get(next).expect("who stands in line has a slot");
                    let waiting = slot.connection.take().expect("and is there");
                    self.errands.send(Box::new(waiting), next, lane);
                }
                self.go_on(token, traveller);
            }
            if self.shared.drain_until().is_some()
                && (self.shared.is_over(Instant::now()) || self.slots.len() == 0)
            {
                return self.abandon();
            }
        }
    }

    fn go_on(&mut self, token: Token, traveller: Box<Traveller>) {
        if traveller.journeys == 0 {
            traveller.end();
            self.slots.release(token, Instant::now());
            self.shared.leave(self.index);
            return;
        }
        let lane = if traveller.journeys.is_multiple_of(2) { Lane::Short } else { Lane::Long };
        if self.errands.has_room(lane) {
            self.errands.send(traveller, token, lane);
        } else {
            self.slots.get(token).expect("it is reserved").connection = Some(*traveller);
            self.errands.line_up(token, lane);
        }
    }

    fn abandon(mut self) {
        for token in self.slots.tokens() {
            if let Some(waiting) = self.slots.get(token).and_then(|slot| slot.connection.take()) {
                waiting.end();
            }
            self.slots.release(token, Instant::now());
            self.shared.leave(self.index);
        }
        while let Some((_, traveller, _)) = self.errands.take_return() {
            traveller.end();
        }
    }
}

/// Whenever the stop comes and whatever drain it leaves: every thread ends, every connection ends
/// once, and none is still counted.
#[test]
fn whoever_is_on_the_pool_at_a_stop_ends_once() {
    const TRAVELLERS: usize = 2;
    check(|| {
        let (workers, pool_threads) = (2, 2);
        let (shared, wakers) = shared(workers);
        let (short, short_taken) = bounded(AWAY_MAX * workers);
        let (long, long_taken) = bounded(AWAY_MAX * workers);
        let taken = Lanes { short: short_taken, long: long_taken };
        pool::start(pool_threads, &taken, &shared).expect("threads");
        drop(taken);
        let jobs = Lanes { short, long };
        let (ends, ended) = bounded(TRAVELLERS * workers);
        let threads: Vec<JoinHandle<()>> = (0..workers)
            .map(|index| {
                let errands = Errands::new(index, jobs.clone());
                let shared = Arc::clone(&shared);
                let worker = Sender { index, slots: Slots::new(1), errands, shared };
                let travellers = (1..=TRAVELLERS).map(|journeys| Traveller {
                    journeys,
                    has_ended: Arc::default(),
                    ends: ends.clone(),
                });
                let travellers: Vec<Traveller> = travellers.collect();
                let waker = wakers[index].clone();
                thread::spawn(move || worker.run(travellers, &waker))
            })
            .collect();
        drop((jobs, ends));
        let is_hasty = shuttle::rand::thread_rng().r#gen();
        shared.stop(if is_hasty { Duration::ZERO } else { Duration::from_secs(3600) });
        threads.into_iter().for_each(|thread| thread.join().expect("it ends well"));
        assert_eq!(shared.connections(), 0);
        // Those that are still on the pool end there.
        assert_eq!(ended.iter().count(), TRAVELLERS * workers);
    });
}

/// A connection, and since when it is idle; `None` if it never is.
type Resident = (usize, Option<Instant>);

/// A worker that takes in who comes and keeps everybody: what [`crate::worker`] does with arrivals.
struct Keeper {
    index: usize,
    arrivals: Arrivals<usize>,
    residents: Vec<Resident>,
    shared: Arc<Shared>,
}

impl Keeper {
    /// Takes in who has come; `false` when nobody will come any more.
    fn take_in(&mut self) -> bool {
        let now = Instant::now();
        let Keeper { arrivals, residents, .. } = self;
        let shared = &self.shared;
        arrivals.take_in(self.index, shared, |newcomer, displaces| {
            if let Some(displaces) = displaces {
                let idle = residents.iter().enumerate();
                let idle = idle.filter_map(|(index, (_, since))| Some(((*since)?, index)));
                match idle.min() {
                    Some((since, index)) if since <= displaces.idle_since_by => {
                        residents.remove(index);
                        shared.leave(self.index);
                    }
                    other => return Err((newcomer, other.map_or(now, |(since, _)| since))),
                }
            }
            residents.push((newcomer, None));
            Ok(())
        })
    }

    fn run(mut self, waker: &Waker) -> Vec<Resident> {
        while self.take_in() {
            waker.wait();
        }
        self.residents
    }
}

/// What [`crate::acceptor`] does with a queue of newcomers; says who was refused.
struct Host {
    dealer: Dealer<usize>,
    queue: Vec<usize>,
    most: usize,
    shared: Arc<Shared>,
    refused: Vec<usize>,
}

impl Host {
    /// Goes on as far as it can; `false` when all have been dealt and nobody is on the way.
    fn run(&mut self, is_done: impl Fn(&Host) -> bool) -> bool {
        while let Some((newcomer, came)) = self.dealer.take_unplaced() {
            self.place(newcomer, came);
        }
        while !self.queue.is_empty() && self.dealer.has_room() && !self.dealer.is_crowded() {
            let newcomer = self.queue.remove(0);
            self.place(newcomer, Instant::now());
            assert!(self.shared.connections() <= self.most + 1, "more than may be on their way");
        }
        self.dealer.wake_unaware();
        !is_done(self)
    }

    fn place(&mut self, newcomer: usize, came: Instant) {
        let placed = match self.dealer.is_full() {
            false => self.dealer.deal(newcomer),
            true => self.dealer.displace(newcomer, came),
        };
        self.refused.extend(placed.err());
    }
}

/// The idle make room, the longest idle first, whichever worker has them; nobody is refused while
/// there are any, everybody when there are none, nobody is lost, and nobody waits for ever.
#[test]
fn whoever_comes_to_a_full_server_gets_the_place_of_somebody_idle_or_is_refused() {
    const NEWCOMERS: usize = 5;
    check(|| {
        let workers = 2;
        let most = 4;
        let (shared, wakers) = shared(workers);
        let (dealer, arrivals) = dealer::pair(workers, most, &shared, Instant::now());
        // Connections 0 to 2 are idle, in this order, 3 is not.
        let residents = [0, 1, 2, 3].map(|n| (n, (n < 3).then(Instant::now)));
        let mut rng = shuttle::rand::thread_rng();
        let mut keepers: Vec<Keeper> = arrivals
            .into_iter()
            .enumerate()
            .map(|(index, arrivals)| {
                let shared = Arc::clone(&shared);
                Keeper { index, arrivals, residents: Vec::new(), shared }
            })
            .collect();
        for resident in residents {
            let worker = rng.gen_range(0..workers);
            shared.enter(worker);
            keepers[worker].residents.push(resident);
        }
        let mut first = keepers.remove(0);
        let waker = wakers[1].clone();
        let others = keepers.into_iter().map(|keeper| {
            let waker = waker.clone();
            thread::spawn(move || keeper.run(&waker))
        });
        let others: Vec<_> = others.collect();
        let queue = (10..10 + NEWCOMERS).collect();
        let shares = Arc::clone(&shared);
        let mut host = Host { dealer, queue, most, shared: shares, refused: Vec::new() };
        // Three have a place, so that two can have none.
        while host.run(|host| host.queue.is_empty() && host.refused.len() == NEWCOMERS - 3) {
            first.take_in();
            wakers[0].wait();
        }
        first.take_in();
        drop(host.dealer);
        let mut residents = first.residents;
        for other in others {
            residents.extend(other.join().expect("it ends well"));
        }
        assert_eq!(shared.connections(), most);
        let mut all: Vec<usize> = residents.iter().map(|(n, _)| *n).collect();
        assert!(all.contains(&3) && !all.iter().any(|n| *n < 3), "who is left: {all:?}");
        all.extend(&host.refused);
        all.sort_unstable();
        assert_eq!(all, [3, 10, 11, 12, 13, 14]);
    });
}
