//! Ten thousand idle connections on two workers: what they cost, and what everyone else notices.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use super::Verdicts;
use super::client::Client;
use super::gauge::{Latencies, Memory, descriptors, raise_descriptor_limit};
use super::server::Server;

/// The crowd that the bounds are about.
const CROWD: u64 = 10_000;
/// GETs that are timed, on fresh and on kept connections each.
const GETS: usize = 1_000;
const MEDIAN_MS_MAX: f64 = 10.0;
const IDLE_KIB_MAX: f64 = 4.0;
/// What a second crowd may take beyond the first: more would be a leak.
const LEAK_KIB_MAX: f64 = 1024.0;
/// How long the server may take to notice that everybody has left.
const LEAVE_MAX: Duration = Duration::from_secs(10);

/// 1 KiB, as in the bounds' request for "a normal GET".
const FILE: [u8; 1024] = [b'x'; 1024];

pub(super) fn run(verdicts: &mut Verdicts, deadline: Instant) -> Result<()> {
    let crowd = affordable_crowd()?;
    let most = (crowd + 200).to_string();
    let args = ["--workers", "2", "--max-connections", &most, "--idle-timeout", "170"];
    let server = Server::start(&args, |root| Ok(std::fs::write(root.join("file"), FILE)?))?;
    let mut warm = Client::connect(server.addr)?;
    (0..GETS).try_for_each(|_| warm.fetch("/file", &FILE))?;

    let (before, open_before) = (Memory::of(server.pid())?, descriptors(server.pid())?);
    let mut clients = gather(server.addr, crowd, deadline)?;
    let full = Memory::of(server.pid())?;
    println!("  {crowd} idle connections, {} descriptors", descriptors(server.pid())?);
    print_growth("resident memory", before.resident, full.resident, crowd);
    print_growth("of it anonymous", before.anonymous, full.anonymous, crowd);
    let each = full.resident.saturating_sub(before.resident) as f64 / crowd as f64;

    let fresh = time_fresh(server.addr)?;
    let kept = time_kept(&mut clients)?;
    verdicts.under("median of a GET on a fresh connection", fresh.median(), MEDIAN_MS_MAX, "ms");
    verdicts.under("median of a GET on a kept connection", kept.median(), MEDIAN_MS_MAX, "ms");
    verdicts.under("resident memory per idle connection", each, IDLE_KIB_MAX, "KiB");

    drop(clients);
    let open_after = settle(&server, open_before)?;
    let found = format!("{open_before} descriptors before, {open_after} after");
    verdicts.claim("descriptors come back", open_after <= open_before, &found);
    warm.fetch("/file", &FILE).context("after the crowd has left")?;
    println!("  resident memory once they have left: {} KiB", Memory::of(server.pid())?.resident);

    let clients = gather(server.addr, crowd, deadline)?;
    let again = Memory::of(server.pid())?.resident;
    let more = again.saturating_sub(full.resident) as f64;
    verdicts.under("a second crowd beyond the first", more, LEAK_KIB_MAX, "KiB");
    let code = server.stop(LEAVE_MAX)?;
    verdicts.claim("SIGTERM while they idle", code == Some(0), &format!("exit status {code:?}"));
    drop(clients);
    Ok(())
}

/// The crowd, or as much of it as the limit of descriptors carries.
fn affordable_crowd() -> Result<u64> {
    // Client and server each hold one descriptor per connection, and the server some for files.
    let limit = raise_descriptor_limit()?;
    let affordable = (limit / 3 * 2).min(CROWD);
    ensure!(affordable >= 100, "{limit} descriptors are too few to try anything");
    if affordable < CROWD {
        println!("  NOTE: {limit} descriptors are allowed (ulimit -Hn): {affordable} connections");
        println!("  instead of {CROWD}; the bounds are meant for {CROWD}");
    }
    Ok(affordable)
}

/// Opens the connections, each with one GET behind it, and lets the server come to rest.
fn gather(addr: SocketAddr, crowd: u64, deadline: Instant) -> Result<Vec<Client>> {
    let start = Instant::now();
    let mut clients = Vec::new();
    for number in 0..crowd {
        ensure!(Instant::now() < deadline, "out of time after {number} connections");
        let mut client = Client::connect(addr).with_context(|| format!("connection {number}"))?;
        client.fetch("/file", &FILE).with_context(|| format!("on connection {number}"))?;
        clients.push(client);
    }
    println!("  {crowd} connections opened in {:.1} s", start.elapsed().as_secs_f64());
    std::thread::sleep(Duration::from_millis(1500)); // the log's second, and a bit
    Ok(clients)
}

fn print_growth(what: &str, before: u64, after: u64, crowd: u64) {
    let each = (after as f64 - before as f64) / crowd as f64;
    println!("  {what}: {before} KiB before, {after} KiB with them: {each:.2} KiB each");
}

fn time_fresh(addr: SocketAddr) -> Result<Latencies> {
    let mut latencies = Latencies::default();
    for _ in 0..GETS {
        let start = Instant::now();
        Client::connect(addr)?.fetch("/file", &FILE)?;
        latencies.push(start.elapsed());
    }
    latencies.print("GETs on fresh connections");
    Ok(latencies)
}

/// Wakes clients from all over the crowd.
fn time_kept(clients: &mut [Client]) -> Result<Latencies> {
    let mut latencies = Latencies::default();
    let count = clients.len();
    for number in 0..GETS {
        let start = Instant::now();
        clients[number * count / GETS].fetch("/file", &FILE)?;
        latencies.push(start.elapsed());
    }
    latencies.print("GETs on kept connections");
    Ok(latencies)
}

/// Waits until the server has no more descriptors open than `before`, or long enough.
fn settle(server: &Server, before: usize) -> Result<usize> {
    let deadline = Instant::now() + LEAVE_MAX;
    loop {
        let open = descriptors(server.pid())?;
        if open <= before || Instant::now() >= deadline {
            return Ok(open);
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}
