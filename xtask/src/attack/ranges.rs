//! Few octets that ask for many: hundreds of ranges of a large file, overlapping or apart
//! (RangeAmp). Nobody gets more than the file, and it costs the others little.

use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow};

use super::crowds::FILE;
use crate::trial::beside::beside;
use crate::trial::client::Client;
use crate::trial::crowd::{Line, Member, Seen};
use crate::trial::gauge::{Latencies, Memory, sockets};
use crate::trial::server::Server;
use crate::trial::{Terms, Verdicts};

const LARGE_BYTES: u64 = 50 << 20;
/// Who ask again and again, and read what they are answered.
const ASKING: usize = 8;
/// What each waits after an answer.
const PAUSE: Duration = Duration::from_millis(5);
/// Who ask, and never read.
const HOLDING: usize = 500;
/// Of ours for each of those, in KiB: as for any other slow reader.
const HELD_KIB_MAX: f64 = 64.0;
/// What an answer of ranges may have beside the file: the heads of its parts.
const PARTS_BYTES_MAX: u64 = 16 * 1024;
/// In which ninety-nine of a hundred get the head of their answer, in milliseconds.
const HEAD_MS_MAX: f64 = 250.0;

pub(super) fn run(verdicts: &mut Verdicts, terms: &Terms) -> Result<()> {
    let args = ["--workers", "2", "--max-connections", "2000"];
    let mut server = Server::start(&args, fill)?;
    let open_before = sockets(server.pid())?;
    let mut warm = Client::connect(server.addr)?;
    (0..100).try_for_each(|_| warm.fetch("/file", &FILE))?;
    let lasts = Duration::from_secs(terms.pick(5, 20));

    let before = Memory::of(server.pid())?.resident;
    let (answers, found) = beside(server.addr, "/file", &FILE, || ask_all(&server, lasts))?;
    found.judge(verdicts, "many ranges");
    answers.heads.print("answers to them, up to the end of the head");
    println!("  the longest was to be of {} octets", answers.longest);
    verdicts.none("ranges that were not answered 200 or 206", answers.wrong, answers.count);
    let most = LARGE_BYTES + PARTS_BYTES_MAX;
    let name = "octets that the longest answer was to have";
    verdicts.claim(name, answers.longest <= most, &format!("{}, bound {most}", answers.longest));
    verdicts.under("p99 of heads of many ranges", answers.heads.p99(), HEAD_MS_MAX, "ms");

    read_whole(verdicts, &server)?;

    let (mut members, found) = beside(server.addr, "/file", &FILE, || hold(&server, lasts))?;
    found.judge(verdicts, "many ranges that nobody reads");
    let open = sockets(server.pid())?.saturating_sub(open_before);
    let grown = Memory::of(server.pid())?.resident.saturating_sub(before) as f64;
    // Memory for each means something only if they are there, and answered.
    let name = "connections of these that the server has";
    verdicts.claim(name, open >= HOLDING, &format!("{open}, at least {HOLDING}"));
    let unanswered = members.iter_mut().map(has_answer).filter(|has| !has).count();
    verdicts.none("of these not answered 200 or 206", unanswered, HOLDING);
    let each = grown / (HOLDING - unanswered).max(1) as f64;
    verdicts.under("memory for each that asks for many ranges", each, HELD_KIB_MAX, "KiB");
    members.into_iter().for_each(Member::reset);
    let code = server.stop(Duration::from_secs(12))?;
    verdicts.claim("SIGTERM", code == Some(0), &format!("exit status {code:?}"));
    Ok(())
}

fn fill(root: &Path) -> Result<()> {
    std::fs::write(root.join("large"), vec![b'x'; LARGE_BYTES as usize])?;
    Ok(std::fs::write(root.join("file"), FILE)?)
}

/// Values of Range that have cost other servers much, or could.
fn values() -> Vec<String> {
    let list = |count: u64, range: &dyn Fn(u64) -> String| {
        let ranges: Vec<String> = (0..count).map(range).collect();
        format!("bytes={}", ranges.join(","))
    };
    vec![
        // All to the end: each octet as often as there are ranges.
        list(1_300, &|_| "0-".to_owned()),
        list(1_300, &|number| format!("{number}-")),
        list(1_300, &|number| format!("-{}", number + 1)),
        // An octet each, from all over the file: as many as are answered in parts, and more.
        list(16, &|number| format!("{0}-{0}", number * (LARGE_BYTES / 16))),
        list(16, &|number| format!("{0}-{0}", LARGE_BYTES - 1 - number * (LARGE_BYTES / 16))),
        list(600, &|number| format!("{0}-{0}", number * 80_000)),
        // In parts, all of the file.
        list(16, &|number| {
            let (first, step) = (number * (LARGE_BYTES / 16), LARGE_BYTES / 16);
            format!("{first}-{}", first + step - 1)
        }),
    ]
}

/// Takes an answer to each value to the end of the connection: what counts is what comes, whatever
/// the head says.
fn read_whole(verdicts: &mut Verdicts, server: &Server) -> Result<()> {
    let most = LARGE_BYTES + PARTS_BYTES_MAX;
    let (values, mut longest, mut false_lengths) = (values(), 0, 0);
    for value in &values {
        let mut client = Client::connect(server.addr)?;
        let head = client.ask("/large", &format!("Range: {value}\r\nConnection: close\r\n"))?;
        let octets = client.count_to_end(most + 1)?;
        longest = octets.max(longest);
        false_lengths += usize::from(octets != head.length);
    }
    let name = "octets of the longest answer that was read to its end";
    verdicts.claim(name, longest <= most, &format!("{longest}, bound {most}"));
    verdicts.none("answers that were not as long as they said", false_lengths, values.len());
    Ok(())
}

/// What was answered.
#[derive(Default)]
struct Answers {
    count: usize,
    wrong: usize,
    longest: u64,
    heads: Latencies,
}

fn ask_all(server: &Server, lasts: Duration) -> Result<Answers> {
    let end = Instant::now() + lasts;
    thread::scope(|scope| {
        let clients: Vec<_> =
            (0..ASKING).map(|client| scope.spawn(move || ask_on(server, client, end))).collect();
        let mut all = Answers::default();
        for client in clients {
            let found = client.join().map_err(|_| anyhow!("a client panicked"))?;
            all.count += found.count;
            all.wrong += found.wrong;
            all.longest = all.longest.max(found.longest);
            all.heads.append(found.heads);
        }
        Ok(all)
    })
}

/// Takes the head of each answer and a little of what follows, and leaves: to take all is no attack
/// with few octets.
fn ask_on(server: &Server, client: usize, end: Instant) -> Answers {
    let values = values();
    let mut found = Answers::default();
    while Instant::now() < end {
        let value = &values[(client + found.count) % values.len()];
        let asked = Instant::now();
        let answer = Client::connect(server.addr).and_then(|mut client| {
            let head = client.ask("/large", &format!("Range: {value}\r\n"))?;
            let took = asked.elapsed();
            client.read_exact(&mut [0; 512])?;
            Ok((head, took))
        });
        found.count += 1;
        match answer {
            Ok((head, took)) if [200, 206].contains(&head.status) => {
                found.longest = found.longest.max(head.length);
                found.heads.push(took);
            }
            _ => found.wrong += 1,
        }
        thread::sleep(PAUSE);
    }
    found
}

/// Clients that ask, and read nothing.
fn hold(server: &Server, lasts: Duration) -> Result<Vec<Member>> {
    let values = values();
    let mut members = Vec::with_capacity(HOLDING);
    for number in 0..HOLDING {
        let mut member = Member::connect(server.addr, number, Line::default())?;
        let value = &values[number % values.len()];
        let head = format!("GET /large HTTP/1.1\r\nHost: localhost\r\nRange: {value}\r\n\r\n");
        member.send(head.as_bytes());
        members.push(member);
    }
    thread::sleep(lasts);
    Ok(members)
}

/// Whether a client that has read nothing has the beginning of an answer that it may have.
fn has_answer(member: &mut Member) -> bool {
    let mut start = [0; 13];
    let seen = member.read(&mut start);
    let is_right = start.starts_with(b"HTTP/1.1 200 ") || start.starts_with(b"HTTP/1.1 206 ");
    seen == Seen::Moved(start.len()) && is_right
}
