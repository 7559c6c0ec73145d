//! Two thousand new connections a second beside ten thousand idle ones: nobody is refused.

use std::time::{Duration, Instant};

use anyhow::Result;

use super::crowds::{FILE, affordable, fill, gather, settle};
use crate::trial::client::Client;
use crate::trial::crowd::{Line, Member, Seen};
use crate::trial::gauge::{Latencies, Memory, descriptors};
use crate::trial::server::Server;
use crate::trial::{Terms, Verdicts};

const PER_SECOND: f64 = 2_000.0;
/// Of that rate, what has to be reached, or it was a storm of another kind: a server that gets
/// slower would be spared by having [`UNDER_WAY_MAX`] under way.
const RATE_PART_MIN: f64 = 0.95;
/// Who has not been answered by then counts as refused.
const ANSWER_MAX: Duration = Duration::from_secs(10);
/// Connections that the storm may have under way at once: more than it takes, if the server keeps
/// up, and what the descriptors are there for.
const UNDER_WAY_MAX: usize = 2_000;
/// The most of an answer that is looked at.
const ANSWER_BYTES_MAX: usize = 4096;
const REQUEST: &[u8] = b"GET /file HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";

/// One of the storm, from connect to the end of the answer.
struct Visit {
    member: Member,
    answer: Vec<u8>,
}

/// What became of all.
#[derive(Default)]
struct Storm {
    visits: usize,
    refused: usize,
    wrong: usize,
    late: usize,
    latencies: Latencies,
}

pub(super) fn run(verdicts: &mut Verdicts, terms: &Terms) -> Result<()> {
    let crowd = affordable()?;
    let most = (crowd + UNDER_WAY_MAX).to_string();
    let args = ["--workers", "2", "--max-connections", &most, "--idle-timeout", "170"];
    let server = Server::start(&args, fill)?;
    Client::connect(server.addr)?.fetch("/file", &FILE)?;
    std::thread::sleep(Duration::from_millis(100));
    let before = descriptors(server.pid())?;
    let mut idle = gather(server.addr, crowd, terms)?;
    let memory = Memory::of(server.pid())?.resident;

    let lasts = Duration::from_secs(terms.pick(5, 30));
    let start = Instant::now();
    let storm = blow(&server, lasts)?;
    let took = start.elapsed().as_secs_f64();
    let (rate, least) = (storm.visits as f64 / took, PER_SECOND * RATE_PART_MIN);
    println!("  {} connections in {took:.1} s", storm.visits);
    let found = format!("{rate:.0}/s, bound {least}/s");
    verdicts.claim("new connections a second", rate >= least, &found);
    storm.latencies.print("visits, from connect to the last octet");
    verdicts.none("refused or reset", storm.refused, storm.visits);
    verdicts.none("answered wrongly", storm.wrong, storm.visits);
    verdicts.none("not answered in 10 s", storm.late, storm.visits);
    let more = Memory::of(server.pid())?.resident.saturating_sub(memory);
    println!("  resident memory grew by {more} KiB during the storm");

    let mut lost = 0;
    for client in &mut idle {
        terms.check_time()?;
        if client.fetch("/file", &FILE).is_err() {
            lost += 1;
        }
    }
    verdicts.none("idle connections that did not outlast it", lost, crowd);
    drop(idle);
    let after = settle(&server, before)?;
    let found = format!("{before} descriptors before, {after} after");
    verdicts.claim("no descriptor leaks", after <= before, &found);
    Ok(())
}

/// Connects at the rate, whatever becomes of those before, and looks at all in turn.
fn blow(server: &Server, lasts: Duration) -> Result<Storm> {
    let mut storm = Storm::default();
    let mut under_way: Vec<Visit> = Vec::new();
    let start = Instant::now();
    loop {
        let elapsed = start.elapsed();
        let over = elapsed >= lasts;
        if over && under_way.is_empty() {
            return Ok(storm);
        }
        let due = if over { 0.0 } else { elapsed.as_secs_f64() * PER_SECOND };
        while (storm.visits as f64) < due && under_way.len() < UNDER_WAY_MAX {
            let number = storm.visits;
            storm.visits += 1;
            match Member::connect(server.addr, number, Line::default()) {
                Ok(mut member) => {
                    member.send(REQUEST);
                    under_way.push(Visit { member, answer: Vec::new() });
                }
                Err(error) if storm.refused < 5 => {
                    println!("  a visit: {error:#}");
                    storm.refused += 1;
                }
                Err(_) => storm.refused += 1,
            }
        }
        let mut index = 0;
        while index < under_way.len() {
            match storm.look(&mut under_way[index]) {
                true => drop(under_way.swap_remove(index)),
                false => index += 1,
            }
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}

impl Storm {
    /// Looks at one of them; `true` when it is over.
    fn look(&mut self, visit: &mut Visit) -> bool {
        let mut buffer = [0; ANSWER_BYTES_MAX];
        match visit.member.read(&mut buffer) {
            Seen::Moved(count) => {
                visit.answer.extend_from_slice(&buffer[..count]);
                self.wrong += usize::from(visit.answer.len() > ANSWER_BYTES_MAX);
                visit.answer.len() > ANSWER_BYTES_MAX
            }
            Seen::Nothing => {
                let late = visit.member.opened.elapsed() > ANSWER_MAX;
                self.late += usize::from(late);
                late
            }
            Seen::Ended if is_right(&visit.answer) => {
                self.latencies.push(visit.member.opened.elapsed());
                true
            }
            seen => {
                let refused = seen == Seen::Broken
                    || visit.answer.is_empty()
                    || visit.answer.starts_with(b"HTTP/1.1 503");
                self.refused += usize::from(refused);
                self.wrong += usize::from(!refused);
                true
            }
        }
    }
}

fn is_right(answer: &[u8]) -> bool {
    answer.starts_with(b"HTTP/1.1 200 ") && answer.ends_with(&FILE)
}
