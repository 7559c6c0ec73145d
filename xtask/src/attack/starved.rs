//! Three hundred clients of a server that may have 64 descriptors: it says so, or lets them wait.

use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow};

use crate::trial::client::{Client, Unanswered};
use crate::trial::crowd::{Line, Member};
use crate::trial::gauge::{descriptors, processor_time};
use crate::trial::server::Server;
use crate::trial::{Terms, Verdicts};

const DESCRIPTORS: u32 = 64;
const CLIENTS: usize = 300;
/// As many files as clients, so that none is open already.
const FILES: usize = 300;
/// Of one core, in percent.
const PROCESSOR_MAX: f64 = 20.0;
/// How long the clients crowd in, and how long they then all stay.
const CROWD_IN: Duration = Duration::from_secs(6);
const STAY: Duration = Duration::from_secs(5);
/// Who has no answer by then waits in vain: as long as a [`Client`] waits, or nearly.
const SILENT: Duration = Duration::from_millis(9_900);
/// Requests that each makes on a connection.
const REQUESTS: usize = 3;
/// How long each waits between two requests. What is asked is work that has to be done, 31 to 34 us
/// each: at 50 ms it was 6,000 requests a second, and 18 % of a core. With this it is some 2,000,
/// and most of 20 % would be spent on nothing.
const PAUSE: Duration = Duration::from_millis(150);
/// How soon after the crowd has left everybody is served again.
const RECOVER_MAX: f64 = 2.0;

/// What the clients were answered.
#[derive(Default)]
struct Answers {
    whole: usize,
    /// 503.
    refused: usize,
    not_found: usize,
    /// Wrong content, a status that says something else, or an answer that was cut.
    wrong: usize,
    /// Connections that ended in place of the answer to their first request.
    ended: usize,
    /// Connections that ended while they were idle between two requests, to make room for others:
    /// who finds that out by asking asks again. No octet of an answer has come.
    given_up: usize,
    /// Requests that had no answer for ten seconds.
    silent: usize,
}

pub(super) fn run(verdicts: &mut Verdicts, terms: &Terms) -> Result<()> {
    println!("  connections as {DESCRIPTORS} descriptors allow:");
    starve(verdicts, terms, "few connections", &[], true)?;
    println!("  more connections than descriptors:");
    // Then connections may take all descriptors, and leave none for files: nobody is served, and
    // everybody told so.
    starve(verdicts, terms, "many connections", &["--max-connections", "1000"], false)
}

fn starve(
    verdicts: &mut Verdicts,
    terms: &Terms,
    what: &str,
    args: &[&str],
    serves: bool,
) -> Result<()> {
    let args = [&["--workers", "2", "--cache", "0"], args].concat();
    let mut server = Server::start_starved(DESCRIPTORS, &args, fill)?;
    let (before, start) = (processor_time(server.pid())?, Instant::now());
    let found = crowd_in(&server)?;
    let took = processor_time(server.pid())?.saturating_sub(before);
    let share = took.as_secs_f64() / start.elapsed().as_secs_f64() * 100.0;
    let Answers { whole, refused, not_found, wrong, ended, given_up, silent } = found;
    let all = whole + refused + not_found + wrong + ended + given_up + silent;
    println!("  {all} requests: {whole} whole, {refused} told 503");
    println!("  {given_up} idle connections made room for others");
    verdicts.under(&format!("{what}: processor time with the crowd"), share, PROCESSOR_MAX, "%");
    verdicts.none(&format!("{what}: connections that ended without a word"), ended, all);
    verdicts.none(&format!("{what}: requests not answered in 10 s"), silent, all);
    verdicts.none(&format!("{what}: 404 for a file that is there"), not_found, all);
    verdicts.none(&format!("{what}: wrong or cut answers"), wrong, all);
    if serves {
        verdicts.claim(&format!("{what}: some are served"), whole > 0, &format!("{whole}"));
    }
    terms.check_time()?;

    let members: Result<Vec<Member>> = (0..CLIENTS)
        .map(|number| {
            let mut member = Member::connect(server.addr, number, Line::default())?;
            member.send(b"GET /1 HTTP/1.1\r\nHost: localhost\r\n");
            Ok(member)
        })
        .collect();
    let members = members?;
    let (before, start) = (processor_time(server.pid())?, Instant::now());
    thread::sleep(STAY);
    let took = processor_time(server.pid())?.saturating_sub(before);
    let share = took.as_secs_f64() / start.elapsed().as_secs_f64() * 100.0;
    println!("  {} descriptors while all stay", descriptors(server.pid())?);
    verdicts.under(&format!("{what}: processor time while all stay"), share, PROCESSOR_MAX, "%");

    drop(members);
    let took = recover(&server)?;
    verdicts.under(&format!("{what}: until served again"), took, RECOVER_MAX, "s");
    let code = server.stop(Duration::from_secs(12))?;
    verdicts.claim(&format!("{what}: SIGTERM"), code == Some(0), &format!("exit status {code:?}"));
    Ok(())
}

fn fill(root: &Path) -> Result<()> {
    for number in 0..FILES {
        std::fs::write(root.join(number.to_string()), content(number))?;
    }
    Ok(())
}

fn content(number: usize) -> Vec<u8> {
    format!("{number:07}\n").into_bytes().repeat(128)
}

/// All clients ask for files, each for others.
fn crowd_in(server: &Server) -> Result<Answers> {
    let end = Instant::now() + CROWD_IN;
    thread::scope(|scope| {
        let clients: Vec<_> =
            (0..CLIENTS).map(|number| scope.spawn(move || ask_on(server, number, end))).collect();
        let mut all = Answers::default();
        for client in clients {
            let found = client.join().map_err(|_| anyhow!("a client panicked"))?;
            all.whole += found.whole;
            all.refused += found.refused;
            all.not_found += found.not_found;
            all.wrong += found.wrong;
            all.ended += found.ended;
            all.given_up += found.given_up;
            all.silent += found.silent;
        }
        Ok(all)
    })
}

fn ask_on(server: &Server, client: usize, end: Instant) -> Answers {
    let mut found = Answers::default();
    let mut next = client;
    while Instant::now() < end {
        let Ok(mut connection) = Client::connect(server.addr) else {
            found.ended += 1;
            thread::sleep(PAUSE);
            continue;
        };
        for request in 0..REQUESTS {
            next = (next + 7) % FILES;
            let asked = Instant::now();
            match connection.answer_to(&format!("/{next}")) {
                Ok((head, body)) if head.status == 200 && body == content(next) => {
                    found.whole += 1;
                }
                Ok((head, _)) => {
                    match head.status {
                        503 => found.refused += 1,
                        404 => found.not_found += 1,
                        _ => found.wrong += 1,
                    }
                    break;
                }
                Err(error) => {
                    match request {
                        _ if asked.elapsed() >= SILENT => found.silent += 1,
                        _ if !error.is::<Unanswered>() => {
                            if found.wrong == 0 {
                                println!("  client {client}: a cut answer: {error:#}");
                            }
                            found.wrong += 1;
                        }
                        0 => found.ended += 1,
                        _ => found.given_up += 1,
                    }
                    break;
                }
            }
            thread::sleep(PAUSE);
        }
        thread::sleep(PAUSE);
    }
    found
}

/// How long it takes until ten in a row are served, each on a connection of its own, in seconds.
fn recover(server: &Server) -> Result<f64> {
    const IN_A_ROW: usize = 10;
    const GIVE_UP: Duration = Duration::from_secs(30);
    let start = Instant::now();
    let mut served = 0;
    while served < IN_A_ROW && start.elapsed() < GIVE_UP {
        let path = format!("/{served}");
        let answer = Client::connect(server.addr).and_then(|mut client| client.get(&path));
        served = if answer.is_ok() { served + 1 } else { 0 };
        if served == 0 {
            thread::sleep(Duration::from_millis(20));
        }
    }
    Ok(start.elapsed().as_secs_f64())
}
