//! Gathers the idle connections that `idle` and `storm` are about.

use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use crate::trial::Terms;
use crate::trial::client::Client;
use crate::trial::gauge::{descriptors, raise_descriptor_limit};
use crate::trial::server::Server;

/// The crowd that the bounds are about.
const CROWD: usize = 10_000;
/// How long the server may take to notice that everybody has left.
const LEAVE_MAX: Duration = Duration::from_secs(10);
/// Descriptors that are needed beside those of a crowd.
const SPARE: usize = 4_000;

/// 1 KiB, as in the bounds' request for "a normal GET".
pub(super) const FILE: [u8; 1024] = [b'x'; 1024];

/// Puts the file there that everybody asks for.
pub(super) fn fill(root: &Path) -> Result<()> {
    Ok(std::fs::write(root.join("file"), FILE)?)
}

/// The crowd, or as much of it as the limit of descriptors carries.
pub(super) fn affordable() -> Result<usize> {
    let limit = usize::try_from(raise_descriptor_limit()?).unwrap_or(usize::MAX);
    let affordable = limit.saturating_sub(SPARE).min(CROWD);
    ensure!(affordable >= 100, "{limit} descriptors are too few to try anything");
    if affordable < CROWD {
        println!("  NOTE: {limit} descriptors are allowed (ulimit -Hn): {affordable} connections");
        println!("  instead of {CROWD}; the bounds are meant for {CROWD}");
    }
    Ok(affordable)
}

/// Opens connections, each with one GET behind it, and lets the server come to rest.
pub(super) fn gather(addr: SocketAddr, crowd: usize, terms: &Terms) -> Result<Vec<Client>> {
    let start = Instant::now();
    let mut clients = Vec::with_capacity(crowd);
    for number in 0..crowd {
        terms.check_time()?;
        let mut client = Client::connect(addr).with_context(|| format!("connection {number}"))?;
        client.fetch("/file", &FILE).with_context(|| format!("on connection {number}"))?;
        clients.push(client);
    }
    println!("  {crowd} connections opened in {:.1} s", start.elapsed().as_secs_f64());
    std::thread::sleep(Duration::from_millis(1500)); // the log's second, and a bit
    Ok(clients)
}

/// Waits until the server has no more descriptors open than `before`, or long enough.
pub(super) fn settle(server: &Server, before: usize) -> Result<usize> {
    let deadline = Instant::now() + LEAVE_MAX;
    loop {
        let open = descriptors(server.pid())?;
        if open <= before || Instant::now() >= deadline {
            return Ok(open);
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}
