//! Ten thousand idle connections on two workers: what they cost, and what everyone else notices.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use super::crowds::{FILE, affordable, fill, gather, settle};
use crate::trial::client::Client;
use crate::trial::crowd::{Line, Member};
use crate::trial::gauge::{Latencies, Memory, descriptors};
use crate::trial::server::Server;
use crate::trial::{Terms, Verdicts};

/// GETs that are timed, on fresh and on kept connections each.
const GETS: usize = 1_000;
const MEDIAN_MS_MAX: f64 = 10.0;
const IDLE_KIB_MAX: f64 = 1.0;
/// What may stay once they have left: an allocator gives memory back in pages, and keeps some.
const KEPT_KIB_MAX: f64 = 1024.0;
/// What a second crowd may take beyond the first: more would be a leak.
const LEAK_KIB_MAX: f64 = 1024.0;
/// How long the server may take to stop.
const STOP_MAX: Duration = Duration::from_secs(10);
/// How long memory may take to be given back.
const SETTLE: Duration = Duration::from_secs(2);

pub(super) fn run(verdicts: &mut Verdicts, terms: &Terms) -> Result<()> {
    let crowd = affordable()?;
    let most = (crowd + 200).to_string();
    let args = ["--workers", "2", "--max-connections", &most, "--idle-timeout", "170"];
    let mut server = Server::start(&args, fill)?;
    let mut warm = Client::connect(server.addr)?;
    (0..GETS).try_for_each(|_| warm.fetch("/file", &FILE))?;

    let (before, open_before) = (Memory::of(server.pid())?, descriptors(server.pid())?);
    let mut clients = gather(server.addr, crowd, terms)?;
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
    std::thread::sleep(SETTLE);
    warm.fetch("/file", &FILE).context("later")?;
    let left = Memory::of(server.pid())?.resident;
    println!("  resident memory once they have left: {left} KiB");
    let kept = left.saturating_sub(before.resident) as f64;
    verdicts.under("memory that stays when they have left", kept, KEPT_KIB_MAX, "KiB");

    let clients = gather(server.addr, crowd, terms)?;
    let again = Memory::of(server.pid())?.resident;
    let more = again.saturating_sub(full.resident) as f64;
    verdicts.under("a second crowd beyond the first", more, LEAK_KIB_MAX, "KiB");
    drop(clients);
    settle(&server, open_before)?;

    silent(verdicts, &server, crowd)?;
    let code = server.stop(STOP_MAX)?;
    verdicts.claim("SIGTERM while they idle", code == Some(0), &format!("exit status {code:?}"));
    Ok(())
}

/// A crowd that connects and says nothing at all: the kernel keeps those, as far as it can.
fn silent(verdicts: &mut Verdicts, server: &Server, crowd: usize) -> Result<()> {
    let mut members = Vec::with_capacity(crowd);
    for number in 0..crowd {
        members.push(Member::connect(server.addr, number, Line::default())?);
    }
    let memory = Memory::of(server.pid())?.resident;
    println!("  {crowd} that have said nothing: {memory} KiB resident");
    let fresh = time_fresh(server.addr)?;
    verdicts.under("median of a GET beside silent ones", fresh.median(), MEDIAN_MS_MAX, "ms");
    members.into_iter().for_each(Member::reset);
    Ok(())
}

fn print_growth(what: &str, before: u64, after: u64, crowd: usize) {
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
