//! Everything at once for half an hour: readers, writers, clients that are killed, files that come
//! and go, a log that is rotated. Memory stays flat, no octet is wrong, no line of the log is lost.

mod clients;
mod faulty;
mod log;
mod tree;

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, ensure};
use rustix::process::Signal;

use crate::trial::gauge::{Memory, descriptors};
use crate::trial::server::Server;
use crate::trial::{Terms, Verdicts};
use clients::Found;
use tree::Tree;

const READERS: usize = 4;
/// Of the time, this part is not measured: what is kept of files and logs fills up first.
const WARM_UP_PART: f64 = 0.2;
/// In less time, what is kept has not come to its full size when it is over.
const MINUTES_MIN: f64 = 5.0;
/// How much more may be resident at the end than at the beginning, in percent.
const GROWTH_MAX: f64 = 5.0;
/// How often memory is looked at.
const SAMPLE: Duration = Duration::from_millis(500);
/// How often the log is rotated: every other time the server is told (SIGHUP).
const ROTATE: Duration = Duration::from_secs(7);
/// How soon there is a new log when it is not told: it has to be gone at two looks in a row, which
/// are up to a second and a half apart, and a busy machine may let it wait.
const NOTICE_MAX: Duration = Duration::from_secs(5);
const STOP_MAX: Duration = Duration::from_secs(12);

pub(super) fn run(verdicts: &mut Verdicts, terms: &Terms) -> Result<()> {
    let lasts = Duration::from_secs_f64(terms.minutes * 60.0);
    let tree = Tree::default();
    let args = ["--workers", "2", "--writable", "--max-connections", "2000"];
    let mut server = Server::start(&args, |root| tree.fill(root))?;
    println!("  {:.1} minutes; readers, writers and faulty clients", terms.minutes);
    let (addr, root) = (server.addr, server.root());
    let over = AtomicBool::new(false);
    let (watched, found, misdeeds) = thread::scope(|scope| {
        let (tree, over, root) = (&tree, &over, &root);
        let mut honest: Vec<_> = (0..READERS)
            .map(|client| scope.spawn(move || clients::read_on(addr, tree, client, over)))
            .collect();
        honest.push(scope.spawn(move || clients::write_on(addr, tree, READERS, over)));
        let renaming = scope.spawn(move || clients::rename_on(root, tree, over));
        let faulty: Vec<_> =
            (0..2).map(|seed| scope.spawn(move || faulty::misbehave(addr, seed, over))).collect();
        let watched = watch(&server, lasts, terms);
        // Whatever became of it, so that they come to an end.
        over.store(true, Ordering::Relaxed);
        let mut found = Vec::new();
        for client in honest {
            found.push(client.join().map_err(|_| anyhow!("a client panicked"))?);
        }
        renaming.join().map_err(|_| anyhow!("the renaming thread panicked"))??;
        let mut misdeeds = 0;
        for client in faulty {
            misdeeds += client.join().map_err(|_| anyhow!("a client panicked"))?;
        }
        anyhow::Ok((watched?, found, misdeeds))
    })?;
    let Watched { samples, rotations, untold, unnoticed } = watched;
    println!("  {misdeeds} faulty connections, {rotations} rotations of the log");
    verdicts.none("rotations that the log did not notice by itself", unnoticed, untold);
    judge_answers(verdicts, &found);
    judge_memory(verdicts, &samples, terms)?;
    println!("  {} descriptors when all have left", descriptors(server.pid())?);
    let code = server.stop(STOP_MAX)?;
    verdicts.claim("SIGTERM", code == Some(0), &format!("exit status {code:?}"));
    let leftovers = tree::leftovers(&server.root())?;
    verdicts.none("leftovers of aborted uploads", leftovers, misdeeds);
    log::judge(verdicts, server.dir(), &found)
}

/// What was seen while it lasted.
#[derive(Default)]
struct Watched {
    /// Resident memory in KiB.
    samples: Vec<u64>,
    rotations: usize,
    /// Of those, the ones of which the server was not told, and those that it did not notice.
    untold: usize,
    unnoticed: usize,
}

/// Samples memory and rotates the log as long as it lasts.
fn watch(server: &Server, lasts: Duration, terms: &Terms) -> Result<Watched> {
    let start = Instant::now();
    let mut watched = Watched::default();
    let mut untold_since = None;
    while start.elapsed() < lasts || untold_since.is_some() {
        terms.check_time()?;
        thread::sleep(SAMPLE);
        let memory = Memory::of(server.pid()).context("the server has died")?;
        watched.samples.push(memory.resident);
        if let Some(since) = untold_since {
            let noticed = log::is_there(server.dir());
            if !noticed && Instant::now() < since + NOTICE_MAX {
                continue;
            }
            if !noticed {
                watched.unnoticed += 1;
                server.signal(Signal::HUP)?;
            }
            untold_since = None;
        } else if start.elapsed() > ROTATE * (watched.rotations as u32 + 1) {
            log::rotate(server.dir(), watched.rotations)?;
            watched.rotations += 1;
            if watched.rotations.is_multiple_of(2) {
                server.signal(Signal::HUP)?;
            } else {
                watched.untold += 1;
                untold_since = Some(Instant::now());
            }
        }
    }
    Ok(watched)
}

fn judge_answers(verdicts: &mut Verdicts, found: &[Found]) {
    let asked: usize = found.iter().map(|one| one.asked).sum();
    let wrong = found.iter().map(|one| one.wrong).sum();
    let failed = found.iter().map(|one| one.failed.len()).sum();
    let denied = found.iter().map(|one| one.denied).sum();
    let stale = found.iter().map(|one| one.stale).sum();
    for complaint in found.iter().flat_map(|one| &one.complaints) {
        println!("  {complaint}");
    }
    verdicts.none("answers with wrong bytes", wrong, asked);
    verdicts.none("answers older than a completed change", stale, asked);
    verdicts.none("404 for what was there", denied, asked);
    verdicts.none("requests of honest clients that failed", failed, asked);
}

/// Compares the medians of the first and the last fifth of what comes after the warm-up.
fn judge_memory(verdicts: &mut Verdicts, samples: &[u64], terms: &Terms) -> Result<()> {
    let measured = &samples[(samples.len() as f64 * WARM_UP_PART) as usize..];
    let fifth = measured.len() / 5;
    ensure!(fifth > 0, "too short to say anything of memory");
    let (first, last) = (median(&measured[..fifth]), median(&measured[measured.len() - fifth..]));
    let each: Vec<String> = measured.chunks(fifth).map(|part| median(part).to_string()).collect();
    println!("  resident memory, medians of fifths: {} KiB", each.join(", "));
    let growth = (last as f64 / first as f64 - 1.0) * 100.0;
    if terms.minutes < MINUTES_MIN {
        println!(
            "  (of which nothing is claimed in less than {MINUTES_MIN} minutes: {growth:.1} %)"
        );
        return Ok(());
    }
    verdicts.under("growth of resident memory", growth, GROWTH_MAX, "%");
    Ok(())
}

fn median(samples: &[u64]) -> u64 {
    let mut sorted = samples.to_vec();
    sorted.sort_unstable();
    sorted[sorted.len() / 2]
}
