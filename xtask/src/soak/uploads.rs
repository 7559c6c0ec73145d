//! GETs of small files beside clients that upload large ones: what the readers notice.
//!
//! The same uploads to a second server tell apart what the machine cannot do at once from what one
//! server makes its readers wait for.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow};

use crate::trial::client::Client;
use crate::trial::gauge::Latencies;
use crate::trial::server::Server;
use crate::trial::{Terms, Verdicts};

/// Small files that are read in turn, each in a directory of its own.
const FILES: usize = 300;
const READERS: usize = 8;
/// How long a reader waits between its requests: 8 readers would else keep two cores busy alone,
/// and every upload would cost them a share of the processor, whatever the server does.
const PAUSE: Duration = Duration::from_millis(1);
const WRITERS: usize = 8;
const UPLOAD_BYTES: usize = 4 << 20;
/// The uploading clients step back from the processor: they stand for other machines, and their own
/// work is not to be taken for the server's. (On Linux, niceness is each thread's own.)
const UPLOAD_NICE: i32 = 15;
/// How long each phase is measured, and how often all phases are played in turn.
const PHASE: Duration = Duration::from_millis(2_000);
const ROUNDS: usize = 3;
/// How much longer than without uploads an answer may take.
const MEDIAN_TIMES_MAX: f64 = 1.5;
const P99_TIMES_MAX: f64 = 3.0;
/// How much longer than while another server takes the uploads. This is what the server itself
/// makes its readers wait; the rest of the bounds above is for what the machine cannot do at once.
const OWN_TIMES_MAX: f64 = 2.0;

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

/// What is read, and how the server is started.
struct Reads {
    what: &'static str,
    flags: &'static [&'static str],
    /// Behind the directory's number.
    path: &'static str,
}

const READS: [Reads; 3] = [
    Reads { what: "files, kept in memory", flags: &[], path: "/file" },
    Reads { what: "files, not kept", flags: &["--cache", "0"], path: "/file" },
    // Made by a pool thread each time: what needs the disk waits in one line with the uploads.
    Reads { what: "listings, made on the pool", flags: &["--cache", "0"], path: "/" },
];

/// A path and what is there.
type Page = (String, Vec<u8>);

pub(super) fn run(verdicts: &mut Verdicts, terms: &Terms) -> Result<()> {
    for Reads { what, flags, path } in READS {
        println!("  {what}:");
        let args = [&["--writable", "--access-log", "off"], flags].concat();
        let servers = [Server::start(&args, fill)?, Server::start(&args, fill)?];
        let [same, another] = servers.each_ref().map(|server| server.addr);
        let mut client = Client::connect(same)?;
        let paths = (0..FILES).map(|number| format!("/{number}{path}"));
        let pages: Result<Vec<Page>> =
            paths.map(|path| Ok((path.clone(), client.get(&path)?))).collect();
        let pages = pages?;
        let mut measured = [const { Vec::new() }; PHASES.len()];
        for _ in 0..ROUNDS {
            for (found, (uploads, name)) in measured.iter_mut().zip(PHASES) {
                terms.check_time()?;
                let to = match uploads {
                    Uploads::None => None,
                    Uploads::ToAnother => Some(another),
                    Uploads::ToTheSame => Some(same),
                };
                let (latencies, stored) = phase(same, &pages, to)?;
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
    for (name, of, most) in [
        ("median", &median as &dyn Fn(&[Latencies]) -> f64, MEDIAN_TIMES_MAX),
        ("p99", &p99, P99_TIMES_MAX),
    ] {
        let name = format!("{what}: {name} beside uploads");
        verdicts.under(&format!("{name}, to that without"), of(same) / of(without), most, "times");
        let found = of(same) / of(another);
        verdicts.under(&format!("{name}, to that beside another's"), found, OWN_TIMES_MAX, "times");
    }
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
        let dir = root.join(number.to_string());
        std::fs::create_dir(&dir)?;
        std::fs::write(dir.join("file"), small(number))?;
    }
    for number in 0..WRITERS {
        std::fs::write(root.join(format!("up-{number}")), "")?;
    }
    Ok(())
}

/// Times GETs, beside uploads `to` a server if to any; says how many of these were stored.
fn phase(read: SocketAddr, pages: &[Page], to: Option<SocketAddr>) -> Result<(Latencies, usize)> {
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
            (0..READERS).map(|number| scope.spawn(move || read_on(read, pages, number))).collect();
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

/// Asks for the pages in turn as long as a phase lasts.
fn read_on(addr: SocketAddr, pages: &[Page], reader: usize) -> Result<Latencies> {
    let mut client = Client::connect(addr)?;
    let mut latencies = Latencies::default();
    let end = Instant::now() + PHASE;
    // Far from where the others are.
    for (path, content) in pages.iter().cycle().skip(reader * FILES / READERS) {
        if Instant::now() >= end {
            break;
        }
        let asked = Instant::now();
        client.fetch(path, content)?;
        latencies.push(asked.elapsed());
        thread::sleep(PAUSE);
    }
    Ok(latencies)
}

fn upload(addr: SocketAddr, number: usize, over: &AtomicBool, stored: &AtomicUsize) -> Result<()> {
    rustix::process::nice(UPLOAD_NICE).context("a thread may be nicer")?;
    let mut client = Client::connect(addr)?;
    let (path, content) = (format!("/up-{number}"), vec![b'x'; UPLOAD_BYTES]);
    while !over.load(Ordering::Relaxed) {
        client.replace(&path, &content)?;
        stored.fetch_add(1, Ordering::Relaxed);
    }
    Ok(())
}
