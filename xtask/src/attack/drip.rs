//! Thousands that send an octet per second, of a head or of a body: the others notice nothing, and
//! the server does not wait for ever.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Result;

use super::crowds::{FILE, affordable, fill};
use crate::trial::beside::beside;
use crate::trial::client::Client;
use crate::trial::crowd::{Line, Member, Seen, departures};
use crate::trial::gauge::{Memory, descriptors};
use crate::trial::server::Server;
use crate::trial::{Terms, Verdicts};

const HEADS: usize = 5_000;
const BODIES: usize = 1_000;
/// How often each drips its octet.
const PERIOD: Duration = Duration::from_secs(1);
/// What drips: a head that never comes to its end.
const HEAD: &[u8] = b"GET /file HTTP/1.1\r\nHost: localhost\r\nX-Never: ending-as-it-seems-to-be-";
/// `--head-timeout` as it is unless it is said.
const HEAD_TIMEOUT: f64 = 10.0;
/// `--rate-grace` as it is unless it is said: when an average below `--min-rate` counts.
const RATE_GRACE: f64 = 15.0;
/// How much later than its deadline a client may go: deadlines are looked at in turn, the drippers
/// look once a second, and a lingering close may take five.
const SLACK: f64 = 3.0;
/// How long slow but honest clients take for their head.
const SLOW_ROUNDS: usize = 8;

pub(super) fn run(verdicts: &mut Verdicts, terms: &Terms) -> Result<()> {
    heads(verdicts, terms)?;
    bodies(verdicts, terms)?;
    slow_but_honest(verdicts)
}

/// Clients that drip heads.
fn heads(verdicts: &mut Verdicts, terms: &Terms) -> Result<()> {
    let count = HEADS.min(affordable()?);
    let most = (count + 500).to_string();
    let server = Server::start(&["--workers", "2", "--max-connections", &most], fill)?;
    let before = descriptors(server.pid())?;
    let (members, found) = beside(server.addr, "/file", &FILE, || {
        let mut members = crowd(&server, count, b"")?;
        let octets = |round: usize, _: usize| HEAD[round % HEAD.len()];
        drip(&mut members, octets, HEAD_TIMEOUT + 10.0, terms)?;
        Ok(members)
    })?;
    found.judge(verdicts, &format!("{count} that drip their head"));
    judge_departures(verdicts, "dripped heads", &members, HEAD_TIMEOUT);
    drop(members);
    let after = super::crowds::settle(&server, before)?;
    let found = format!("{before} descriptors before, {after} after");
    verdicts.claim("descriptors come back", after <= before, &found);
    Ok(())
}

/// Clients that drip the body of an upload.
fn bodies(verdicts: &mut Verdicts, terms: &Terms) -> Result<()> {
    // Of 256 uploads at once, as it is unless it is said, the others would be told 503 at once.
    let uploads = BODIES.to_string();
    let args = ["--writable", "--max-connections", "2000", "--uploads-max", &uploads];
    let server = Server::start(&args, fill)?;
    let (members, found) = beside(server.addr, "/file", &FILE, || {
        let head = "PUT /up HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000\r\n\r\n";
        let mut members = crowd(&server, BODIES, head.as_bytes())?;
        println!("  {} KiB resident with them", Memory::of(server.pid())?.resident);
        drip(&mut members, |_, _| b'x', RATE_GRACE + 10.0, terms)?;
        Ok(members)
    })?;
    found.judge(verdicts, &format!("{BODIES} that drip their body"));
    judge_departures(verdicts, "dripped bodies", &members, RATE_GRACE);
    let left = leftovers(&server.root())?;
    verdicts.none("unfinished uploads of which something is on the disk", left, BODIES);
    Ok(())
}

/// Names beneath `root` that nobody has given.
fn leftovers(root: &Path) -> Result<usize> {
    let mut count = 0;
    for entry in std::fs::read_dir(root)? {
        count += usize::from(entry?.file_name() != "file");
    }
    Ok(count)
}

fn crowd(server: &Server, count: usize, first: &[u8]) -> Result<Vec<Member>> {
    let mut members = Vec::with_capacity(count);
    for number in 0..count {
        let mut member = Member::connect(server.addr, number, Line::default())?;
        // The server's clock starts with a head's first octet.
        member.send(if first.is_empty() { &HEAD[..1] } else { first });
        member.opened = Instant::now();
        members.push(member);
    }
    Ok(members)
}

/// Each sends an octet per period until all are gone, or for `seconds`.
fn drip(
    members: &mut [Member],
    octet: impl Fn(usize, usize) -> u8,
    seconds: f64,
    terms: &Terms,
) -> Result<()> {
    let start = Instant::now();
    let mut round = 1;
    while start.elapsed().as_secs_f64() < seconds {
        terms.check_time()?;
        let mut left = 0;
        for (number, member) in members.iter_mut().enumerate() {
            // Who has been told 408 or 503 goes on dripping, as one who does not listen would,
            // until the connection is broken.
            if member.is_gone() {
                continue;
            }
            if !matches!(member.drain(), Seen::Ended | Seen::Broken) {
                member.send(&[octet(round, number)]);
                left += usize::from(!member.is_gone());
            }
        }
        if left == 0 {
            return Ok(());
        }
        round += 1;
        let next = start + PERIOD * u32::try_from(round).unwrap_or(u32::MAX);
        std::thread::sleep(next.saturating_duration_since(Instant::now()));
    }
    Ok(())
}

fn judge_departures(verdicts: &mut Verdicts, what: &str, members: &[Member], due: f64) {
    let found = departures(members);
    println!("  {what}: the first gone after {:.1} s, the last {:.1} s", found.first, found.last);
    verdicts.none(&format!("{what} still there"), members.len() - found.gone, members.len());
    verdicts.under(&format!("{what}, the last gone"), found.last, due + SLACK, "s");
}

/// Two hundred that are slow and not wrong: once their head is complete, each is answered.
fn slow_but_honest(verdicts: &mut Verdicts) -> Result<()> {
    const SLOW: usize = 200;
    const WHOLE: &[u8] = b"GET /file HTTP/1.1\r\nHost: localhost\r\n\r\n";
    let server = Server::start(&["--workers", "2"], fill)?;
    let mut clients = Vec::new();
    for _ in 0..SLOW {
        clients.push(Client::connect(server.addr)?);
    }
    let start = Instant::now();
    for round in 0..SLOW_ROUNDS {
        for client in &mut clients {
            client.send(&WHOLE[round..=round])?;
        }
        let next = start + PERIOD * (round as u32 + 1);
        std::thread::sleep(next.saturating_duration_since(Instant::now()));
    }
    for client in &mut clients {
        client.send(&WHOLE[SLOW_ROUNDS..])?;
    }
    let answered = clients.iter_mut().map(Client::answer).filter(|ok| *ok).count();
    verdicts.none("slow heads of 8 s that were not answered", SLOW - answered, SLOW);
    Ok(())
}
