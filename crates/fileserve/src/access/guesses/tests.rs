//! Pauses, their ends, and who waits for whom.

use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::UNIX_EPOCH;

use super::*;

const ADDRESS: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 7));

fn time(milliseconds: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(1_795_371_226) + Duration::from_millis(milliseconds)
}

/// Fails once, at a time; says how long it would have had to wait instead.
fn fail(guesses: &Guesses, address: IpAddr, ms: u64) -> Option<u32> {
    match guesses.turn(address, time(ms), || false) {
        Turn::Now(attempt) => {
            attempt.failed();
            None
        }
        Turn::Later(seconds) => Some(seconds),
        Turn::Settled | Turn::Busy => panic!("nobody else is there"),
    }
}

fn address(text: &str) -> IpAddr {
    text.parse().expect(text)
}

#[test]
fn each_failure_doubles_the_pause_up_to_a_minute() {
    let guesses = Guesses::new(1);
    let mut now = 0;
    for pause in [250, 500, 1000, 2000, 4000, 8000, 16_000, 32_000, 60_000, 60_000, 60_000] {
        assert_eq!(guesses.pause(ADDRESS, time(now)), None, "{pause}");
        assert_eq!(fail(&guesses, ADDRESS, now), None, "{pause}");
        let rounded_up = u32::try_from(pause).expect("small").div_ceil(1000);
        assert_eq!(fail(&guesses, ADDRESS, now), Some(rounded_up), "{pause}");
        assert_eq!(guesses.pause(ADDRESS, time(now + pause - 1)), Some(1), "{pause}");
        now += pause;
    }
    let end = now - 60_000 + 15 * 60_000;
    assert_eq!(fail(&guesses, ADDRESS, end + 1), None);
    assert_eq!(guesses.pause(ADDRESS, time(end + 251)), None, "forgotten, and the first again");
}

#[test]
fn a_success_counts_nothing_and_forgives_nothing() {
    let guesses = Guesses::new(1);
    let succeed = |ms| match guesses.turn(ADDRESS, time(ms), || false) {
        Turn::Now(attempt) => drop(attempt),
        _ => panic!("nothing is in the way"),
    };
    succeed(0);
    assert!(guesses.lock().sources.is_empty(), "nothing to remember");
    assert_eq!(fail(&guesses, ADDRESS, 0), None);
    succeed(250);
    assert_eq!(fail(&guesses, ADDRESS, 250), None);
    assert_eq!(guesses.pause(ADDRESS, time(749)), Some(1), "the second failure");
}

#[test]
fn addresses_of_one_customer_are_one() {
    for (one, other, is_same) in [
        ("192.0.2.7", "192.0.2.8", false),
        ("192.0.2.7", "::ffff:192.0.2.7", true),
        ("2001:db8::1", "2001:db8::ffff:1", true),
        ("2001:db8:0:1::1", "2001:db8:0:2::1", false),
        ("::1", "127.0.0.1", false),
    ] {
        let guesses = Guesses::new(1);
        assert_eq!(fail(&guesses, address(one), 0), None);
        assert_eq!(guesses.pause(address(other), time(0)).is_some(), is_same, "{one} {other}");
    }
}

#[test]
fn a_clock_that_is_set_back_locks_nobody_out() {
    let guesses = Guesses::new(1);
    assert_eq!(fail(&guesses, ADDRESS, 3_600_000), None);
    assert_eq!(guesses.pause(ADDRESS, time(3_599_000)), Some(1), "another thread's clock");
    assert_eq!(fail(&guesses, ADDRESS, 0), None);
    assert_eq!(fail(&guesses, ADDRESS, 250), None, "the first failure was forgotten");
}

#[test]
fn the_oldest_goes_when_there_are_too_many() {
    let guesses = Guesses::new(1);
    let nth = |n: usize| {
        let [.., a, b] = n.to_be_bytes();
        IpAddr::V4(Ipv4Addr::new(10, 0, a, b))
    };
    for n in 0..ADDRESSES_MAX {
        assert_eq!(fail(&guesses, nth(n), n as u64), None);
    }
    let Turn::Now(attempt) = guesses.turn(nth(0), time(10_000), || false) else {
        panic!("its pause is over")
    };
    assert_eq!(fail(&guesses, nth(ADDRESSES_MAX), 10_000), None);
    let table = guesses.lock();
    assert_eq!(table.sources.len(), ADDRESSES_MAX);
    assert!(table.sources.contains_key(&source_of(nth(0))), "what is being tried stays");
    assert!(!table.sources.contains_key(&source_of(nth(1))), "the oldest of the rest");
    drop(table);
    drop(attempt);
}

/// Waits until so many threads wait.
fn until_waiting(guesses: &Guesses, count: usize) {
    while guesses.lock().waiting < count {
        thread::yield_now();
    }
}

#[test]
fn others_wait_for_the_end_of_an_attempt() {
    for fails in [false, true] {
        let guesses = Guesses::new(2);
        let is_good = AtomicBool::new(false);
        let settled = || is_good.load(Ordering::Relaxed);
        thread::scope(|scope| {
            let Turn::Now(attempt) = guesses.turn(ADDRESS, time(0), settled) else {
                panic!("the first one")
            };
            let wait = || match guesses.turn(ADDRESS, time(0), settled) {
                Turn::Now(_) => "now",
                Turn::Settled => "settled",
                Turn::Later(_) => "later",
                Turn::Busy => "busy",
            };
            let waiters = [scope.spawn(wait), scope.spawn(wait)];
            until_waiting(&guesses, 2);
            assert_eq!(wait(), "busy", "no more may wait");
            let elsewhere = guesses.turn(address("192.0.2.8"), time(0), || false);
            assert!(matches!(elsewhere, Turn::Now(_)), "another address does not wait");
            let expected = if fails { "later" } else { "settled" };
            match fails {
                true => attempt.failed(),
                false => {
                    is_good.store(true, Ordering::Relaxed);
                    drop(attempt);
                }
            }
            for waiter in waiters {
                assert_eq!(waiter.join().expect("no panic"), expected);
            }
        });
        assert_eq!(guesses.lock().waiting, 0);
    }
}

#[test]
fn what_waits_gets_its_turn_when_nothing_came_of_the_other() {
    let guesses = Guesses::new(1);
    thread::scope(|scope| {
        let attempt = guesses.turn(ADDRESS, time(0), || false);
        let waiter = scope.spawn(|| fail(&guesses, ADDRESS, 0));
        until_waiting(&guesses, 1);
        drop(attempt);
        assert_eq!(waiter.join().expect("no panic"), None, "it could try");
    });
}

#[test]
fn a_panic_ends_an_attempt() {
    let guesses = Guesses::new(1);
    let panicked = thread::scope(|scope| {
        let trying = scope.spawn(|| {
            let _attempt = guesses.turn(ADDRESS, time(0), || false);
            panic!("in the middle of a hash");
        });
        trying.join().is_err()
    });
    assert!(panicked);
    assert_eq!(fail(&guesses, ADDRESS, 0), None);
}
