//! What a well-behaved client notices while something else is done to the server.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow};

use super::Verdicts;
use super::client::Client;
use super::gauge::Latencies;

/// How often one asks: 200 GETs per second, half of them on connections of their own.
const PERIOD: Duration = Duration::from_millis(5);
/// What one in a hundred may exceed beside any attack, in milliseconds.
pub(crate) const P99_MS_MAX: f64 = 50.0;

/// What became of the GETs.
pub(crate) struct Beside {
    pub(crate) latencies: Latencies,
    /// The first few that were not answered as they should.
    pub(crate) complaints: Vec<String>,
    pub(crate) failed: usize,
    pub(crate) asked: usize,
}

impl Beside {
    /// Prints what was found, and judges it by the bounds that hold beside every attack.
    pub(crate) fn judge(&self, verdicts: &mut Verdicts, what: &str) {
        self.latencies.print(&format!("GETs beside {what}"));
        for complaint in &self.complaints {
            println!("  a GET: {complaint}");
        }
        verdicts.none(&format!("GETs beside {what} that failed"), self.failed, self.asked);
        let name = format!("p99 of GETs beside {what}");
        verdicts.under(&name, self.latencies.p99(), P99_MS_MAX, "ms");
    }
}

/// Does `work` while a thread asks `addr` for `path`, on one kept connection and on fresh ones in
/// turn, and checks that the content is `expected`.
///
/// # Errors
/// Those of `work`.
pub(crate) fn beside<T>(
    addr: SocketAddr,
    path: &str,
    expected: &[u8],
    work: impl FnOnce() -> Result<T>,
) -> Result<(T, Beside)> {
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        let asking = scope.spawn(|| ask_on(addr, path, expected, &over));
        let done = work();
        over.store(true, Ordering::Relaxed);
        let found = asking.join().map_err(|_| anyhow!("the client beside panicked"))?;
        Ok((done?, found))
    })
}

fn ask_on(addr: SocketAddr, path: &str, expected: &[u8], over: &AtomicBool) -> Beside {
    const COMPLAINTS_MAX: usize = 5;
    let mut found =
        Beside { latencies: Latencies::default(), complaints: Vec::new(), failed: 0, asked: 0 };
    let mut kept = None;
    let mut next = Instant::now();
    while !over.load(Ordering::Relaxed) {
        let asked = Instant::now();
        let is_fresh = found.asked.is_multiple_of(2);
        let client = if is_fresh { None } else { kept.take() };
        let answer = client.map_or_else(|| Client::connect(addr), Ok).and_then(|mut client| {
            client.fetch(path, expected)?;
            Ok(client)
        });
        found.asked += 1;
        match answer {
            Ok(client) => {
                found.latencies.push(asked.elapsed());
                if !is_fresh {
                    kept = Some(client);
                }
            }
            Err(error) => {
                found.failed += 1;
                if found.complaints.len() < COMPLAINTS_MAX {
                    found.complaints.push(format!("{error:#} after {:?}", asked.elapsed()));
                }
            }
        }
        next = (next + PERIOD).max(Instant::now());
        thread::sleep(next.saturating_duration_since(Instant::now()));
    }
    found
}
