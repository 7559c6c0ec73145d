//! Hundreds that read a large file slowly: what they cost, and who of them is cut.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Result;

use super::crowds::FILE;
use crate::trial::beside::beside;
use crate::trial::client::Client;
use crate::trial::crowd::{Line, Member, departures};
use crate::trial::gauge::{Memory, orphans, tcp_memory};
use crate::trial::server::Server;
use crate::trial::{Terms, Verdicts};

const READERS: usize = 500;
const LARGE_BYTES: u64 = 50 << 20;
/// Of ours, in KiB each.
const OURS_KIB_MAX: f64 = 64.0;
/// Of the kernel's for both ends of a connection, in KiB each.
const KERNEL_KIB_MAX: f64 = 256.0;
/// What a line of the world carries in a segment; with loopback's 64 KiB a reader tells of its room
/// only after as much.
const SEGMENT_BYTES: u32 = 1_448;
const REQUEST: &[u8] = b"GET /large HTTP/1.1\r\nHost: localhost\r\n\r\n";
/// How often each reads.
const PERIOD: Duration = Duration::from_millis(250);
/// Who reads nothing to speak of is gone by then: 30 s without an octet, twice, since a kernel that
/// was given little has room for some more when it is tried again.
const CUT_MAX: f64 = 65.0;

/// Readers of one kind.
struct Kind {
    what: &'static str,
    count: usize,
    /// Octets that each reads per second.
    rate: usize,
    line: Line,
    /// Whether they are to be cut.
    cut: bool,
}

const LOOPBACK: Line = Line { receive_bytes: 0, segment_bytes: 0 };
const WORLD: Line = Line { receive_bytes: 16 * 1024, segment_bytes: SEGMENT_BYTES };

const KINDS: [Kind; 6] = [
    Kind { what: "1 B/s, as over a line", count: 10, rate: 1, line: WORLD, cut: true },
    Kind { what: "1 B/s, as on loopback", count: 10, rate: 1, line: LOOPBACK, cut: true },
    Kind { what: "2 KB/s, as over a line", count: 10, rate: 2_000, line: WORLD, cut: false },
    // Its kernel tells of 64 KiB at once. Below 2.2 KB/s that takes it more than the 30 s in which
    // something has to move.
    Kind { what: "4 KB/s, as on loopback", count: 10, rate: 4_000, line: LOOPBACK, cut: false },
    Kind { what: "1 KB/s, as over a line", count: 10, rate: 1_000, line: WORLD, cut: false },
    Kind { what: "20 KB/s, as on loopback", count: 10, rate: 20_000, line: LOOPBACK, cut: false },
];

pub(super) fn run(verdicts: &mut Verdicts, terms: &Terms) -> Result<()> {
    many(verdicts, terms)?;
    unread(verdicts, terms)?;
    kinds(verdicts, terms)
}

fn fill(root: &Path) -> Result<()> {
    let content: Vec<u8> = (0..LARGE_BYTES).map(|at| (at / 7 % 251) as u8).collect();
    std::fs::write(root.join("large"), content)?;
    Ok(std::fs::write(root.join("file"), FILE)?)
}

/// The crowd of which the memory is measured.
fn many(verdicts: &mut Verdicts, terms: &Terms) -> Result<()> {
    let server = Server::start(&["--workers", "2", "--max-connections", "2000"], fill)?;
    let mut warm = Client::connect(server.addr)?;
    (0..100).try_for_each(|_| warm.fetch("/file", &FILE))?;
    let (ours, kernels) = (Memory::of(server.pid())?.resident, tcp_memory()?);
    // Before any is cut. On loopback their kernels tell of nothing before they have read 64 KiB, so
    // after 30 s they pass for dead.
    let lasts = Duration::from_secs(terms.pick(15, 25));
    let ((gone, ours_most, held), found) = beside(server.addr, "/file", &FILE, || {
        let mut readers = crowd(&server, READERS, LOOPBACK)?;
        let start = Instant::now();
        let (mut ours_most, mut held) = (0, Vec::new());
        while start.elapsed() < lasts {
            terms.check_time()?;
            let next = Instant::now() + PERIOD;
            read_in_turn(&mut readers, 1_000);
            readers.iter_mut().for_each(Member::note_reset);
            ours_most = ours_most.max(Memory::of(server.pid())?.resident);
            held.push(tcp_memory()?);
            std::thread::sleep(next.saturating_duration_since(Instant::now()));
        }
        // The median, since what others of this machine send is in it too.
        held.sort_unstable();
        Ok((departures(&readers).gone, ours_most, held[held.len() / 2]))
    })?;
    let each = |most: u64, before: u64| most.saturating_sub(before) as f64 / READERS as f64;
    found.judge(verdicts, &format!("{READERS} slow readers"));
    let what = "our memory per slow reader";
    verdicts.under(what, each(ours_most, ours), OURS_KIB_MAX, "KiB");
    let what = "the kernel's memory per slow reader, both ends";
    verdicts.under(what, each(held, kernels), KERNEL_KIB_MAX, "KiB");
    let seconds = lasts.as_secs();
    verdicts.none(&format!("slow readers gone within {seconds} s"), gone, READERS);
    Ok(())
}

/// Those that ask for what the kernel takes at once, and read nothing of it. The server has done
/// all that it can for them, and must not count them out: there would be no bound to them.
fn unread(verdicts: &mut Verdicts, terms: &Terms) -> Result<()> {
    const CLIENTS: usize = 1_000;
    const LINE: Line = Line { receive_bytes: 1, segment_bytes: 0 };
    let answer = |root: &Path| Ok(std::fs::write(root.join("answer"), [b'x'; 60_000])?);
    let places = ["--max-connections", "50", "--idle-timeout", "1"];
    let server = Server::start(&places, answer)?;
    let before = orphans()?;
    let mut clients = Vec::with_capacity(CLIENTS);
    for number in 0..CLIENTS {
        let mut client = Member::connect(server.addr, number, LINE)?;
        let end = if number % 2 == 0 { "Connection: close\r\n" } else { "" };
        client.send(format!("GET /answer HTTP/1.1\r\nHost: localhost\r\n{end}\r\n").as_bytes());
        clients.push(client);
    }
    // By then those that are idle are closed.
    std::thread::sleep(Duration::from_secs(3));
    terms.check_time()?;
    let what = format!("of {CLIENTS} with 60 KB that they do not read: left to the kernel");
    // Others of this machine are counted too.
    let left = orphans()?.saturating_sub(before);
    verdicts.under(&what, left as f64, 50.0, "connections");
    Ok(())
}

/// Who is cut, and who is not.
fn kinds(verdicts: &mut Verdicts, terms: &Terms) -> Result<()> {
    let server = Server::start(&["--workers", "2"], fill)?;
    let mut crowds = Vec::new();
    for kind in &KINDS {
        crowds.push(crowd(&server, kind.count, kind.line)?);
    }
    let start = Instant::now();
    let mut round = 0;
    while start.elapsed().as_secs_f64() < CUT_MAX + 30.0 {
        terms.check_time()?;
        for (kind, readers) in KINDS.iter().zip(&mut crowds) {
            // Less than four octets a second are read in one of four rounds.
            if kind.rate >= 4 || round % 4 == 0 {
                read_in_turn(readers, kind.rate);
            }
            // Who reads an octet a second would see the reset only behind what is buffered.
            readers.iter_mut().for_each(Member::note_reset);
        }
        round += 1;
        let next = start + PERIOD * round;
        std::thread::sleep(next.saturating_duration_since(Instant::now()));
    }
    for (Kind { what, count, cut, .. }, readers) in KINDS.iter().zip(&mut crowds) {
        let left = departures(readers);
        let mut found = format!("{} of {count} cut", left.gone);
        if left.gone > 0 {
            found += &format!(", from {:.0} to {:.0} s", left.first, left.last);
        }
        let held = match *cut {
            true => left.gone == *count && left.last <= CUT_MAX,
            false => left.gone == 0,
        };
        let claim = if *cut { "cut" } else { "not cut" };
        verdicts.claim(&format!("readers of {what}: {claim}"), held, &found);
    }
    Ok(())
}

fn crowd(server: &Server, count: usize, line: Line) -> Result<Vec<Member>> {
    let mut members = Vec::with_capacity(count);
    for number in 0..count {
        let mut member = Member::connect(server.addr, number, line)?;
        member.send(REQUEST);
        members.push(member);
    }
    Ok(members)
}

/// Each reads what `rate` octets per second are in a period.
fn read_in_turn(members: &mut [Member], rate: usize) {
    let mut buffer = vec![0; (rate / 4).max(1)];
    for member in members.iter_mut().filter(|member| !member.is_gone()) {
        member.read(&mut buffer);
    }
}
