//! Some seeds, each time; more with `cargo xtask sim`.

use std::collections::BTreeSet;
use std::path::PathBuf;

use fileserve::faults::Call;
use simulation::{Failed, Planted, play};

/// As many as take some ten seconds.
const SEEDS: u64 = 10_000;

/// Within so many seeds each planted fault must be found.
const PLANTED_WITHIN: u64 = 5_000;

/// What is said of each planted fault where it is found.
const PLANTED: [(Planted, &str); 19] = [
    (Planted::WrongOffset, "octets (bytes"),
    (Planted::LostLine, ", but noted ["),
    (Planted::WrongCount, " octets noted of "),
    (Planted::EarlyAnswer, " before the content was there"),
    (Planted::WrongOrder, ", while there was: "),
    (Planted::Unasked, "a response without a request"),
    (Planted::LostOctet, "bad status line"),
    (Planted::Endless, "connections do not end"),
    (Planted::Hoard, " octets are held for one client"),
    (Planted::LongPiece, " octets of content were held"),
    (Planted::DeafSync, " although a sync had failed"),
    (Planted::UnsyncedFile, " although the next file was begun before one was synced"),
    (Planted::EarlyName, " although it had its name before it was synced"),
    (Planted::UnsyncedName, " although its directory was not synced"),
    (Planted::FalseNotFound, "404 with "),
    (Planted::LostForm, "200, and the form is kept 0 times"),
    (Planted::Cut, " ends Shortened for no reason"),
    (Planted::Leak, " is left over"),
    (Planted::Leak, " is still open"),
];

/// The server's code that asks before it makes a call.
const CALLERS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../crates/fileserve/src");

/// What many seeds have come to.
#[derive(Default)]
struct Sum {
    failed: BTreeSet<Failed>,
    held_max: u64,
    piece_max: usize,
}

fn play_all(seeds: impl Iterator<Item = u64>) -> Sum {
    let mut sum = Sum::default();
    for seed in seeds {
        let report = play(seed, Planted::Nothing, false);
        if let Some(fault) = report.fault {
            panic!("seed {seed}: {fault}\nthe trace: cargo xtask sim --seed {seed}");
        }
        sum.add(report.failed, report.held_max, report.piece_max);
    }
    sum
}

impl Sum {
    fn add(&mut self, failed: BTreeSet<Failed>, held_max: u64, piece_max: usize) {
        self.failed.extend(failed);
        self.held_max = self.held_max.max(held_max);
        self.piece_max = self.piece_max.max(piece_max);
    }
}

#[test]
fn no_seed_leads_to_a_wrong_answer() {
    // Half of the time a run waits for the kernel to close what told it of changes.
    let threads = 2 * std::thread::available_parallelism().map_or(1, usize::from) as u64;
    let mut sum = Sum::default();
    std::thread::scope(|scope| {
        let playing: Vec<_> = (0..threads)
            .map(|first| scope.spawn(move || play_all((first..SEEDS).step_by(threads as usize))))
            .collect();
        for thread in playing {
            let part = thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            sum.add(part.failed, part.held_max, part.piece_max);
        }
    });
    assert_eq!(calls_that_never_failed(&sum.failed), Vec::<String>::new());
    // Bounds that nothing comes close to would say nothing.
    assert!(sum.held_max > 64 * 1024, "no more than {} octets were held", sum.held_max);
    assert!(sum.piece_max > 64 * 1024, "no piece was longer than {}", sum.piece_max);
}

/// The places in the server's code where a call may fail, and none has.
fn calls_that_never_failed(failed: &BTreeSet<Failed>) -> Vec<String> {
    let places: BTreeSet<String> = failed
        .iter()
        .map(|(_, file, line)| {
            format!("{}:{line}", file.rsplit_once("src/").unwrap_or(("", file)).1)
        })
        .collect();
    let mut missing = Vec::new();
    let mut files = vec![PathBuf::from(CALLERS)];
    while let Some(path) = files.pop() {
        // The log's thread is not in the simulation; what it does has tests of its own.
        if path.ends_with("access_log") {
            continue;
        }
        if path.is_dir() {
            let entries = std::fs::read_dir(&path).expect("the sources are there");
            files.extend(entries.map(|entry| entry.expect("the sources are there").path()));
            continue;
        }
        let text = std::fs::read_to_string(&path).expect("the sources are there");
        let name = path.strip_prefix(CALLERS).expect("it lies there").display().to_string();
        for (at, line) in text.lines().enumerate() {
            let place = format!("{name}:{}", at + 1);
            if line.contains("faults::before(") && !places.contains(&place) {
                missing.push(format!("{place}: {}", line.trim()));
            }
        }
    }
    for call in [Call::Read, Call::Write] {
        if !failed.iter().any(|(failed, ..)| *failed == call) {
            missing.push(format!("{call:?}"));
        }
    }
    missing.sort();
    missing
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
    for (planted, said) in PLANTED {
        let found = (0..PLANTED_WITHIN).find_map(|seed| {
            let fault = play(seed, planted, false).fault?;
            fault.contains(said).then_some((seed, fault))
        });
        let (seed, fault) = found.unwrap_or_else(|| panic!("{planted:?} is not found"));
        println!("{planted:?} is found by seed {seed}: {fault}");
    }
}
