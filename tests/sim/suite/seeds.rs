//! Some seeds, each time; more with `cargo xtask sim`.

use simulation::{Planted, play};

/// As many as take some ten seconds.
const SEEDS: u64 = 10_000;

/// Within so many seeds each planted fault must be found.
const PLANTED_WITHIN: u64 = 5_000;

/// Seeds that find again what was wrong once, as long as the dice fall as they do; each claim has a
/// test of its own besides.
const FOUND: [(u64, &str); 2] = [
    (2, "a HEAD that was not whole in time was answered with content"),
    (2682, "a stop closed on requests that had come"),
];

#[track_caller]
fn assert_good(seed: u64, claim: &str) {
    if let Some(fault) = play(seed, Planted::Nothing, false).fault {
        panic!("seed {seed}{claim}: {fault}\nthe trace: cargo xtask sim --seed {seed}");
    }
}

#[test]
fn no_seed_leads_to_a_wrong_answer() {
    // Half of the time a run waits for the kernel to close what told it of changes.
    let threads = 2 * std::thread::available_parallelism().map_or(1, usize::from) as u64;
    std::thread::scope(|scope| {
        for first in 0..threads {
            scope.spawn(move || {
                (first..SEEDS).step_by(threads as usize).for_each(|seed| assert_good(seed, ""));
            });
        }
    });
}

#[test]
fn what_was_found_once_stays_mended() {
    for (seed, claim) in FOUND {
        assert_good(seed, &format!(" ({claim})"));
    }
}

#[test]
fn a_seed_leads_to_the_same_each_time() {
    for seed in 0..300 {
        let [first, second] = [(); 2].map(|()| play(seed, Planted::Nothing, true));
        let pairs = first.trace.iter().zip(&second.trace);
        for (first, second) in pairs {
            assert_eq!(first, second, "seed {seed}");
        }
        assert_eq!(first.digest, second.digest, "seed {seed}");
    }
}

/// A judge that never finds anything is none.
#[test]
fn what_is_wrong_on_purpose_is_found() {
    for planted in [Planted::WrongOffset, Planted::LostLine, Planted::EarlyAnswer] {
        let found = (0..PLANTED_WITHIN).find_map(|seed| {
            let fault = play(seed, planted, false).fault;
            fault.map(|fault| (seed, fault))
        });
        let (seed, fault) = found.unwrap_or_else(|| panic!("{planted:?} is not found"));
        println!("{planted:?} is found by seed {seed}: {fault}");
    }
}
