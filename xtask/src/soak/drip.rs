//! Two hundred clients that send a byte of their head per second, and what the others notice.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use super::Verdicts;
use super::client::Client;
use super::gauge::Latencies;
use super::server::Server;

const DRIPPERS: usize = 200;
/// How often each drips its byte.
const PERIOD: Duration = Duration::from_secs(1);
/// How many bytes each drips.
const ROUNDS: usize = 8;
/// GETs that are timed in each period.
const GETS: usize = 50;
const MEDIAN_MS_MAX: f64 = 10.0;
/// What is dripped: far from complete when the rounds are over.
const HEAD: &[u8] = b"GET /file HTTP/1.1\r\nHost: localhost\r\n\r\n";

pub(super) fn run(verdicts: &mut Verdicts, deadline: Instant) -> Result<()> {
    let args = ["--workers", "2", "--head-timeout", "120"];
    let server = Server::start(&args, |root| Ok(std::fs::write(root.join("file"), b"quick\n")?))?;
    let mut drippers = Vec::new();
    for _ in 0..DRIPPERS {
        drippers.push(Client::connect(server.addr)?);
    }
    let mut latencies = Latencies::default();
    let start = Instant::now();
    for round in 0..ROUNDS {
        ensure!(Instant::now() < deadline, "out of time in round {round}");
        for dripper in &mut drippers {
            dripper.send(&HEAD[round..=round]).context("a dripping client was cut off")?;
        }
        let next = start + PERIOD * (round as u32 + 1);
        for _ in 0..GETS {
            let asked = Instant::now();
            Client::connect(server.addr)?.fetch("/file", b"quick\n")?;
            latencies.push(asked.elapsed());
            std::thread::sleep(PERIOD / (2 * GETS as u32));
        }
        std::thread::sleep(next.saturating_duration_since(Instant::now()));
    }
    latencies.print(&format!("GETs while {DRIPPERS} clients drip"));
    verdicts.under("median of a GET beside them", latencies.median(), MEDIAN_MS_MAX, "ms");

    // They were slow, not wrong: once complete, each is answered.
    for dripper in &mut drippers {
        dripper.send(&HEAD[ROUNDS..])?;
    }
    let answered = drippers.iter_mut().map(Client::answer).filter(|ok| *ok).count();
    let found = format!("{answered} of {DRIPPERS}");
    verdicts.claim("drippers answered in the end", answered == DRIPPERS, &found);
    Ok(())
}
