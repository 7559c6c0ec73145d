//! A file of 4 GiB, whole and resumed: every octet arrives, and the server's memory stays small.

use std::fs::File;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use crate::trial::client::Client;
use crate::trial::gauge::Memory;
use crate::trial::server::Server;
use crate::trial::{Terms, Verdicts};

/// More than 32 bits can count.
const FILE_BYTES: u64 = (4 << 30) + 7;
/// Where the download breaks off, behind what 31 bits can count.
const BREAK: u64 = 3 << 30;
const PEAK_MIB_MAX: f64 = 32.0;

pub(super) fn run(verdicts: &mut Verdicts, terms: &Terms) -> Result<()> {
    let server = Server::start(&["--workers", "2"], |root| {
        Ok(File::create(root.join("large"))?.set_len(FILE_BYTES)?)
    })?;

    let start = Instant::now();
    let mut client = Client::connect(server.addr)?;
    let head = client.ask("/large", "")?;
    ensure!(head.status == 200 && head.length == FILE_BYTES, "{}: {}", head.status, head.length);
    client.read_zeros(FILE_BYTES)?;
    print_rate("whole", FILE_BYTES, start.elapsed());
    client.ask("/nowhere", "").context("the connection is kept after 4 GiB")?;
    terms.check_time()?;

    let mut client = Client::connect(server.addr)?;
    let head = client.ask("/large", "")?;
    let tag = head.field("ETag").context("a file without an ETag cannot be resumed")?.to_owned();
    client.read_zeros(1 << 20)?;
    drop(client);

    let start = Instant::now();
    let mut client = Client::connect(server.addr)?;
    let fields = format!("Range: bytes={BREAK}-\r\nIf-Range: {tag}\r\n");
    let head = client.ask("/large", &fields)?;
    let expected = format!("bytes {BREAK}-{}/{FILE_BYTES}", FILE_BYTES - 1);
    ensure!(head.status == 206, "a resumed download was answered {}", head.status);
    let found = head.field("Content-Range");
    ensure!(found == Some(&*expected), "Content-Range: {found:?} instead of {expected}");
    ensure!(head.length == FILE_BYTES - BREAK, "Content-Length: {}", head.length);
    client.read_zeros(FILE_BYTES - BREAK)?;
    print_rate("resumed", FILE_BYTES - BREAK, start.elapsed());

    let peak = Memory::of(server.pid())?.peak as f64 / 1024.0;
    verdicts.claim("4 GiB whole and resumed", true, "every octet came, all of them zero");
    verdicts.under("peak of resident memory", peak, PEAK_MIB_MAX, "MiB");
    Ok(())
}

fn print_rate(what: &str, octets: u64, took: Duration) {
    let mib = octets as f64 / f64::from(1 << 20);
    let seconds = took.as_secs_f64();
    println!("  {what}: {mib:.0} MiB in {seconds:.1} s, {:.0} MiB/s", mib / seconds);
}
