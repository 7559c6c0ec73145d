//! SIGTERM while the server has its hands full: what has begun is whole, and the end is in time.

use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, ensure};
use rustix::process::Signal;

use super::exchange::{Outcome, Talk};
use crate::trial::client::Client;
use crate::trial::crowd::{Line, Member};
use crate::trial::server::Server;
use crate::trial::{Terms, Verdicts};

/// `--drain` as it is unless it is said.
const DRAIN: Duration = Duration::from_secs(10);
/// What the machine may add to it.
const SLACK: Duration = Duration::from_secs(2);
/// Who has heard nothing for so long was left alone.
const SILENT: Duration = Duration::from_secs(14);
const LARGE_BYTES: usize = 8 << 20;
/// Beside the one that never reads: each takes 2 MB/s, so four seconds.
const IN_FLIGHT: usize = 8;
const STEP_BYTES: usize = 40_000;
const STEP: Duration = Duration::from_millis(20);
/// Clients of each round under load.
const CLIENTS: usize = 16;
/// How long a round's load lasts before the signal: this and up to 15 times as much more.
const LOAD_STEP: Duration = Duration::from_millis(20);
const MEDIUM_BYTES: usize = 300_000;
const UPLOAD_BYTES: usize = 64 << 10;
/// How long some uploads rest in their middle, so that a signal finds them long begun.
const REST: Duration = Duration::from_millis(400);
/// What was sent so long before the signal was read before it.
const READ_BY: Duration = Duration::from_millis(100);

pub(super) fn run(verdicts: &mut Verdicts, terms: &Terms) -> Result<()> {
    never_reads(verdicts)?;
    under_load(verdicts, terms)
}

/// The content of what is served: no two places near each other are the same.
fn pattern(length: usize) -> Vec<u8> {
    (0..length).map(|at| (at / 5 % 253) as u8).collect()
}

fn fill(root: &Path) -> Result<()> {
    std::fs::write(root.join("large"), pattern(LARGE_BYTES))?;
    std::fs::write(root.join("medium"), pattern(MEDIUM_BYTES))?;
    Ok(std::fs::write(root.join("small"), pattern(1024))?)
}

fn never_reads(verdicts: &mut Verdicts) -> Result<()> {
    let mut server = Server::start(&["--workers", "2"], fill)?;
    let mut never = Member::connect(server.addr, 0, Line::default())?;
    never.send(b"GET /large HTTP/1.1\r\nHost: localhost\r\n\r\n");
    let addr = server.addr;
    let (whole, took, code) = thread::scope(|scope| {
        let readers: Vec<_> = (0..IN_FLIGHT).map(|_| scope.spawn(|| read_slowly(addr))).collect();
        thread::sleep(Duration::from_secs(1));
        let start = Instant::now();
        let code = server.stop(DRAIN + SLACK)?;
        let took = start.elapsed();
        let mut whole = 0;
        for reader in readers {
            match reader.join().map_err(|_| anyhow!("a reader panicked"))? {
                Ok(()) => whole += 1,
                Err(error) => println!("  a transfer: {error:#}"),
            }
        }
        anyhow::Ok((whole, took, code))
    })?;
    verdicts.none("transfers under way that were not whole", IN_FLIGHT - whole, IN_FLIGHT);
    let (took, most) = (took.as_secs_f64(), (DRAIN + SLACK).as_secs_f64());
    verdicts.under("until the exit, beside one that never reads", took, most, "s");
    verdicts.claim("exit status", code == Some(0), &format!("{code:?}"));
    drop(never);
    Ok(())
}

fn read_slowly(addr: std::net::SocketAddr) -> Result<()> {
    let mut client = Client::connect(addr)?;
    let head = client.ask("/large", "")?;
    ensure!(head.status == 200, "answered {}", head.status);
    let expected = pattern(LARGE_BYTES);
    for (number, step) in expected.chunks(STEP_BYTES).enumerate() {
        let mut buffer = vec![0; step.len()];
        client.read_exact(&mut buffer).with_context(|| format!("at step {number}"))?;
        ensure!(buffer == step, "an octet differs in step {number}");
        thread::sleep(STEP);
    }
    Ok(())
}

/// What all rounds have come to.
#[derive(Default)]
struct Totals {
    requests: usize,
    whole: usize,
    /// Ended before an octet of the answer, and before all of the request was read: to be asked
    /// again elsewhere.
    unread: usize,
    /// Read whole, or begun long before the signal, and ended before an octet of the answer.
    unanswered: usize,
    /// Neither answered nor ended in time.
    silent: usize,
    truncated: usize,
    wrong: usize,
    uploads: usize,
    lost: usize,
    bad_exits: usize,
    longest: Duration,
}

fn under_load(verdicts: &mut Verdicts, terms: &Terms) -> Result<()> {
    let rounds = terms.pick(10, 100);
    let mut totals = Totals::default();
    for round in 0..rounds {
        terms.check_time()?;
        one_round(round, &mut totals).with_context(|| format!("round {round}"))?;
    }
    let Totals { requests, whole, unread, unanswered, silent, truncated, wrong, .. } = totals;
    println!("  {rounds} rounds, {requests} requests: {whole} answered whole, {unread} not read");
    verdicts.none("requests that were read and not answered", unanswered, requests);
    verdicts.none("requests of which nothing was heard", silent, requests);
    verdicts.none("truncated answers", truncated, requests);
    verdicts.none("wrong answers", wrong, requests);
    verdicts.none("uploads answered and not there", totals.lost, totals.uploads);
    verdicts.none("exits other than status 0 within the drain limit", totals.bad_exits, rounds);
    println!("  the longest stop took {:.2} s", totals.longest.as_secs_f64());
    Ok(())
}

fn one_round(round: usize, totals: &mut Totals) -> Result<()> {
    let mut server = Server::start(&["--workers", "2", "--writable"], fill)?;
    let addr = server.addr;
    let (signalled, took, code, found) = thread::scope(|scope| {
        let clients: Vec<_> =
            (0..CLIENTS).map(|client| scope.spawn(move || load(addr, client))).collect();
        thread::sleep(LOAD_STEP * (1 + round as u32 % 16));
        let start = Instant::now();
        let code = server.stop(DRAIN + SLACK)?;
        let took = start.elapsed();
        if code.is_none() {
            // So that its clients come to an end.
            let _ = server.signal(Signal::KILL);
        }
        let found: Vec<_> = clients.into_iter().map(thread::ScopedJoinHandle::join).collect();
        anyhow::Ok((start, took, code, found))
    })?;
    totals.bad_exits += usize::from(code != Some(0));
    totals.longest = totals.longest.max(took);
    for found in found {
        let found = found.map_err(|_| anyhow!("a client panicked"))?;
        for outcome in &found.outcomes {
            totals.requests += 1;
            match outcome {
                Outcome::Whole(..) => totals.whole += 1,
                Outcome::Unanswered | Outcome::Closed => {}
                Outcome::Truncated(_) => totals.truncated += 1,
            }
            if let Outcome::Truncated(why) = outcome {
                println!("  round {round}: {why}");
            }
        }
        let was_read = |sent: &&Instant| **sent + READ_BY < signalled;
        let read = found.broken.iter().filter(was_read).count();
        totals.unread += found.broken.len() - read;
        totals.unanswered += found.unanswered + read;
        totals.silent += found.silent;
        totals.wrong += found.wrong;
        totals.uploads += found.stored.len();
        let content = pattern(UPLOAD_BYTES);
        for name in found.stored {
            let there = std::fs::read(server.root().join(name)).unwrap_or_default();
            totals.lost += usize::from(there != content);
        }
    }
    Ok(())
}

/// What one client was told.
#[derive(Default)]
struct Found {
    outcomes: Vec<Outcome>,
    /// When those were sent, or begun, that ended before an octet of the answer, by a reset: from
    /// that alone nobody knows whether they were read.
    broken: Vec<Instant>,
    unanswered: usize,
    silent: usize,
    wrong: usize,
    /// Uploads that were answered as stored.
    stored: Vec<String>,
}

/// Asks until the server is gone: small, larger, on connections kept and not, and with uploads,
/// some of which rest in their middle.
fn load(addr: std::net::SocketAddr, client: usize) -> Found {
    let mut found = Found::default();
    let (small, medium) = (pattern(1024), pattern(MEDIUM_BYTES));
    let upload = pattern(UPLOAD_BYTES);
    let mut kept = None;
    for number in 0.. {
        let Some(mut talk) = kept.take().or_else(|| Talk::open(addr).ok()) else { break };
        let asked = Instant::now();
        let put = format!(
            "PUT /{client}-{number} HTTP/1.1\r\nHost: localhost\r\n\
             Content-Length: {UPLOAD_BYTES}\r\n\r\n"
        );
        let (head, content) = match client % 4 {
            0 | 1 => ("GET /small HTTP/1.1\r\nHost: localhost\r\n\r\n", &[][..]),
            2 => ("GET /medium HTTP/1.1\r\nHost: localhost\r\n\r\n", &[][..]),
            _ => (put.as_str(), &upload[..]),
        };
        let (first, rest) = content.split_at(content.len() / 2);
        talk.send(head.as_bytes());
        talk.send(first);
        let sent = Instant::now();
        if client % 8 == 7 {
            thread::sleep(REST);
        }
        talk.send(rest);
        let outcome = talk.answer();
        let stays = match &outcome {
            Outcome::Whole(answer) => {
                let right = match client % 4 {
                    0 | 1 => answer.status == 200 && answer.content == small,
                    2 => answer.status == 200 && answer.content == medium,
                    _ => answer.status == 201,
                };
                // A server that stops may say so.
                found.wrong += usize::from(!right && answer.status != 503);
                if right && client % 4 == 3 {
                    found.stored.push(format!("{client}-{number}"));
                }
                // Of those that ask for the small file, half come anew each time.
                !answer.closes && client % 4 != 1
            }
            Outcome::Closed => {
                match talk.was_read_whole() {
                    true => found.unanswered += 1,
                    false => found.broken.push(sent),
                }
                false
            }
            Outcome::Unanswered => {
                match asked.elapsed() >= SILENT {
                    true => found.silent += 1,
                    false => found.broken.push(sent),
                }
                false
            }
            Outcome::Truncated(_) => false,
        };
        found.outcomes.push(outcome);
        kept = stays.then_some(talk);
    }
    found
}
