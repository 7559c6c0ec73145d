//! GETs of small files beside clients that upload large ones: what the readers notice.
//!
//! The same uploads to a second server tell apart what the machine cannot do at once from what one
//! server makes its readers wait for.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, ensure};

use super::Verdicts;
use super::client::Client;
use super::gauge::Latencies;
use super::server::Server;

/// Small files that are read in turn.
const FILES: usize = 300;
const READERS: usize = 8;
/// How long a reader waits between its requests: 8 readers would else keep two cores busy alone,
/// and every upload would cost them a share of the processor, whatever the server does.
const PAUSE: Duration = Duration::from_millis(1);
const WRITERS: usize = 8;
const UPLOAD_BYTES: usize = 4 << 20;
/// How long each phase is measured, and how often all phases are played in turn.
const PHASE: Duration = Duration::from_millis(2_000);
const ROUNDS: usize = 3;
/// How much longer than without uploads an answer may take.
const MEDIAN_TIMES_MAX: f64 = 1.5;
const P99_TIMES_MAX: f64 = 3.0;

/// Whom the uploads go to while the readers are timed.
#[derive(Clone, Copy, PartialEq)]
enum Uploads {
    None,
    ToAnother,
    ToTheSame,
}

const PHASES: [(Uploads, &str); 3] = [
    (Uploads::None, "GETs without uploads"),
    (Uploads::ToAnother, "GETs beside uploads to another server"),
    (Uploads::ToTheSame, "GETs beside uploads to the same server"),
];

pub(super) fn run(verdicts: &mut Verdicts, deadline: Instant) -> Result<()> {
    for (what, flags) in [("kept in memory", &[][..]), ("not kept", &["--cache", "0"])] {
        println!("  small files, {what}:");
        let args = [&["--writable", "--access-log", "off"], flags].concat();
        let servers = [Server::start(&args, fill)?, Server::start(&args, fill)?];
        let [same, another] = servers.each_ref().map(|server| server.addr);
        let mut measured = [const { Vec::new() }; PHASES.len()];
        for _ in 0..ROUNDS {
            for (found, (uploads, name)) in measured.iter_mut().zip(PHASES) {
                ensure!(Instant::now() < deadline, "out of time");
                let to = match uploads {
                    Uploads::None => None,
                    Uploads::ToAnother => Some(another),
                    Uploads::ToTheSame => Some(same),
                };
                let (latencies, stored) = phase(same, to)?;
                latencies.print(&format!("{name}, {stored} stored"));
                found.push(latencies);
            }
        }
        judge(verdicts, what, &measured);
    }
    Ok(())
}

/// The median of the rounds counts: one round in which the machine did something else does not.
fn judge(verdicts: &mut Verdicts, what: &str, measured: &[Vec<Latencies>; PHASES.len()]) {
    let [without, another, same] = measured;
    let median = |rounds: &[Latencies]| middle(rounds.iter().map(Latencies::median));
    let p99 = |rounds: &[Latencies]| middle(rounds.iter().map(Latencies::p99));
    let (times, tail) = (median(another) / median(without), p99(another) / p99(without));
    println!("  with another server's uploads: median {times:.2} times, p99 {tail:.2} times");
    let name = format!("median of a GET, {what}, beside uploads");
    verdicts.under(&name, median(same) / median(without), MEDIAN_TIMES_MAX, "times");
    let name = format!("p99 of a GET, {what}, beside uploads");
    verdicts.under(&name, p99(same) / p99(without), P99_TIMES_MAX, "times");
}

/// The middle one of an odd number of values.
fn middle(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

/// The content of the `number`th small file: 1 to 8 KiB.
fn small(number: usize) -> Vec<u8> {
    format!("{number:07}\n").into_bytes().repeat(128 << (number % 4))
}

fn fill(root: &Path) -> Result<()> {
    for number in 0..FILES {
        std::fs::write(root.join(number.to_string()), small(number))?;
    }
    for number in 0..WRITERS {
        std::fs::write(root.join(format!("up-{number}")), "")?;
    }
    Ok(())
}

/// Times GETs, beside uploads `to` a server if to any; says how many of these were stored.
fn phase(read: SocketAddr, to: Option<SocketAddr>) -> Result<(Latencies, usize)> {
    let over = AtomicBool::new(false);
    let stored = AtomicUsize::new(0);
    thread::scope(|scope| {
        let (over, stored) = (&over, &stored);
        let writers: Vec<_> = to
            .iter()
            .flat_map(|addr| (0..WRITERS).map(move |number| (*addr, number)))
            .map(|(addr, number)| scope.spawn(move || upload(addr, number, over, stored)))
            .collect();
        let readers: Vec<_> =
            (0..READERS).map(|number| scope.spawn(move || read_on(read, number))).collect();
        let mut latencies = Latencies::default();
        let found: Vec<_> = readers.into_iter().map(thread::ScopedJoinHandle::join).collect();
        over.store(true, Ordering::Relaxed);
        for found in found {
            latencies.append(found.map_err(|_| anyhow!("a reader panicked"))??);
        }
        for writer in writers {
            writer.join().map_err(|_| anyhow!("a writer panicked"))?.context("an upload")?;
        }
        Ok((latencies, stored.load(Ordering::Relaxed)))
    })
}

/// Asks for small files in turn as long as a phase lasts.
fn read_on(addr: SocketAddr, reader: usize) -> Result<Latencies> {
    let mut client = Client::connect(addr)?;
    let mut latencies = Latencies::default();
    let end = Instant::now() + PHASE;
    // Far from where the others are.
    let mut number = reader * FILES / READERS;
    while Instant::now() < end {
        let content = small(number);
        let path = format!("/{number}");
        let asked = Instant::now();
        client.fetch(&path, &content)?;
        latencies.push(asked.elapsed());
        number = (number + 1) % FILES;
        thread::sleep(PAUSE);
    }
    Ok(latencies)
}

fn upload(addr: SocketAddr, number: usize, over: &AtomicBool, stored: &AtomicUsize) -> Result<()> {
    let mut client = Client::connect(addr)?;
    let (path, content) = (format!("/up-{number}"), vec![b'x'; UPLOAD_BYTES]);
    while !over.load(Ordering::Relaxed) {
        client.replace(&path, &content)?;
        stored.fetch_add(1, Ordering::Relaxed);
    }
    Ok(())
}
