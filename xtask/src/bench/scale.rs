//! Measures what is about our server alone: a second worker, ten thousand busy connections, the
//! time until the first answer, and the length of the program.

use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail, ensure};

use super::measure::Setup;
use super::probe;
use super::process::Cpu;
use super::results::median;
use super::servers::{Kind, Program, Running};
use super::workloads::Workload;
use super::wrk::Load;
use crate::trial::gauge::descriptors;

/// The name of this part among the workloads.
pub(super) const NAME: &str = "scale";

const CROWD: usize = 10_000;
/// A crowd takes some of this to connect, which is not counted.
const CROWD_SECONDS_MIN: u32 = 15;
/// The others have to be measured for long enough between wrk's beginning and its end.
const SECONDS_MIN: u32 = 4;
/// How long before its end wrk is no longer measured.
const MARGIN: Duration = Duration::from_secs(1);
/// The shortest time that tells anything: the log is written twice in a second.
const SERVED_MIN: Duration = Duration::from_millis(1_500);
/// How often the server is asked whether all have connected.
const PAUSE: Duration = Duration::from_millis(20);
const STARTS: usize = 20;
const START_MAX: Duration = Duration::from_secs(5);

/// A way to run our server, and wrk beside it.
struct Way {
    what: &'static str,
    workers: u32,
    connections: usize,
    /// Whether both may use both cores.
    is_shared: bool,
}

const WAYS: [Way; 3] = [
    Way { what: "1 worker, 64 connections", workers: 1, connections: 64, is_shared: false },
    Way {
        what: "2 workers, 64 connections, wrk shares both cores",
        workers: 2,
        connections: 64,
        is_shared: true,
    },
    Way { what: "1 worker, 10,000 connections", workers: 1, connections: CROWD, is_shared: false },
];

/// What one way of running came to: medians of the rounds.
#[derive(Clone, Debug)]
pub(super) struct Row {
    pub(super) what: &'static str,
    pub(super) connections: usize,
    pub(super) workers: u32,
    pub(super) requests_per_second: f64,
    /// CPU microseconds per request: of the server and of wrk.
    pub(super) server: f64,
    pub(super) wrk: f64,
    pub(super) errors: u64,
}

/// The time until our server answers, over [`STARTS`] starts, in milliseconds, and its length.
#[derive(Clone, Copy, Debug)]
pub(super) struct Own {
    pub(super) startup: f64,
    pub(super) startup_most: f64,
    pub(super) binary_bytes: u64,
}

/// Runs the ways in turn, round after round.
///
/// # Errors
/// When our server or wrk fails.
pub(super) fn run(setup: &Setup<'_>, program: &Program, rounds: u32) -> Result<Vec<Row>> {
    let workload = Workload::named("1k").context("there is the workload 1k")?;
    let mut measured = WAYS.map(|_| Vec::new());
    for _ in 0..rounds {
        for (way, rows) in WAYS.iter().zip(&mut measured) {
            if Instant::now() < setup.deadline {
                rows.push(one_round(setup, program, workload, way)?);
            }
        }
    }
    Ok(measured.into_iter().filter_map(|rows| summary(&rows)).collect())
}

fn one_round(
    setup: &Setup<'_>,
    program: &Program,
    workload: &'static Workload,
    way: &Way,
) -> Result<Row> {
    let both = setup.server_core.is_some().then_some("0,1");
    let (server, wrk) = match way.is_shared {
        true => (both, both),
        false => (setup.server_core, setup.load_core),
    };
    let running = Running::start(program, setup.root, true, way.workers, server)?;
    let is_crowd = way.connections == CROWD;
    let connections = if is_crowd { CROWD.min(setup.idle_max) } else { way.connections };
    let seconds_min = if is_crowd { CROWD_SECONDS_MIN } else { SECONDS_MIN };
    let load = Load {
        workload,
        connections,
        fields: &[],
        threads: way.workers,
        seconds: setup.seconds.max(seconds_min),
        cores: wrk,
    };
    let own = descriptors(running.pid())?;
    let end = Instant::now() + Duration::from_secs(load.seconds.into()) - MARGIN;
    let (asked, served) = thread::scope(|scope| {
        let served = scope.spawn(|| Served::by(&running, own + connections, end));
        let asked = setup.wrk.run_timed(running.addr, &load);
        (asked, served.join().unwrap_or_else(|_| Err(anyhow!("a panic"))))
    });
    let ((counted, wrk), served) = (asked?, served?);
    Ok(Row {
        what: way.what,
        connections,
        workers: way.workers,
        requests_per_second: served.answers / served.seconds,
        server: served.cpu / served.answers,
        wrk: wrk / counted.requests.max(1) as f64,
        errors: counted.socket_errors + counted.over_399,
    })
}

/// What a server did while all were connected.
struct Served {
    answers: f64,
    seconds: f64,
    /// In microseconds.
    cpu: f64,
}

impl Served {
    /// Looks at a server that is being asked, from when all have connected, so that it has so many
    /// descriptors, to `end`.
    ///
    /// # Errors
    /// When they have not by `end`, or nobody was answered.
    fn by(running: &Running, count: usize, end: Instant) -> Result<Served> {
        while descriptors(running.pid())? < count || running.answers_logged().is_err() {
            if Instant::now() + SERVED_MIN >= end {
                bail!("not all have connected in time");
            }
            thread::sleep(PAUSE);
        }
        let (start, before) = (Instant::now(), Cpu::of(running.pid()));
        let answers = running.answers_logged()?;
        thread::sleep(end.saturating_duration_since(start));
        let cpu = Cpu::of(running.pid()).since(&before);
        let answers = running.answers_logged()? - answers;
        ensure!(answers > 0, "nobody was answered");
        Ok(Served { answers: answers as f64, seconds: start.elapsed().as_secs_f64(), cpu })
    }
}

fn summary(rows: &[Row]) -> Option<Row> {
    let middle = |number: fn(&Row) -> f64| {
        let mut numbers: Vec<_> = rows.iter().map(number).collect();
        numbers.sort_by(f64::total_cmp);
        median(&numbers)
    };
    let row = Row {
        requests_per_second: middle(|row| row.requests_per_second)?,
        server: middle(|row| row.server)?,
        wrk: middle(|row| row.wrk)?,
        errors: rows.iter().map(|row| row.errors).sum(),
        ..rows.first()?.clone()
    };
    println!(
        "  {:<50} {:>9.0} requests/s {:>9.2} us CPU/request",
        row.what, row.requests_per_second, row.server
    );
    Some(row)
}

/// How many times as much CPU time a request costs in the crowd as among 64.
pub(super) fn crowd_ratio(rows: &[Row]) -> Option<f64> {
    let few = rows.iter().find(|row| row.workers == 1 && row.connections == 64)?;
    let crowd = rows.iter().find(|row| row.connections > 64 && row.errors == 0)?;
    Some(crowd.server / few.server)
}

/// How many times as much CPU time a request costs with two workers as with one.
pub(super) fn workers_ratio(rows: &[Row]) -> Option<f64> {
    let with = |workers| {
        rows.iter().find(|row| row.workers == workers && row.connections == 64 && row.errors == 0)
    };
    Some(with(2)?.server / with(1)?.server)
}

/// Starts the server again and again, and measures its program.
///
/// # Errors
/// When it does not answer.
pub(super) fn own(setup: &Setup<'_>, program: &Program) -> Result<Own> {
    let mut times = Vec::new();
    for _ in 0..STARTS {
        let start = Instant::now();
        let running = Running::spawn(program, setup.root, true, 1, setup.server_core)?;
        while probe::ask(running.addr, "/1k.bin", std::iter::empty()).is_err() {
            if start.elapsed() > START_MAX {
                bail!("{} does not answer {} s after its start", program.kind.name(), 5);
            }
            thread::sleep(Duration::from_micros(100));
        }
        times.push(start.elapsed().as_secs_f64() * 1e3);
    }
    times.sort_by(f64::total_cmp);
    let own = Own {
        startup: median(&times).context("it was started")?,
        startup_most: times.last().copied().unwrap_or(0.0),
        binary_bytes: fs::metadata(&program.path)?.len(),
    };
    println!("  {:.1} ms until the first answer, {} octets", own.startup, own.binary_bytes);
    Ok(own)
}

/// Our server among the programs.
///
/// # Errors
/// Never in this workspace: it is always measured.
pub(super) fn ours(programs: &[Program]) -> Result<&Program> {
    programs.iter().find(|program| program.kind == Kind::Httpd).context("httpd is always measured")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(connections: usize, server: f64, errors: u64) -> Row {
        let (requests_per_second, wrk) = (1.0, 1.0);
        Row { what: "", connections, workers: 1, requests_per_second, server, wrk, errors }
    }

    #[test]
    fn two_workers_are_held_against_one() {
        let two = Row { workers: 2, ..row(64, 11.0, 0) };
        assert_eq!(workers_ratio(&[row(64, 10.0, 0), two.clone()]), Some(1.1));
        assert_eq!(workers_ratio(&[row(64, 10.0, 0), row(10_000, 12.0, 0)]), None);
        assert_eq!(workers_ratio(&[two]), None);
    }

    #[test]
    fn the_crowd_is_held_against_the_few_unless_it_met_errors() {
        assert_eq!(crowd_ratio(&[row(64, 10.0, 0), row(10_000, 12.0, 0)]), Some(1.2));
        assert_eq!(crowd_ratio(&[row(64, 10.0, 0), row(10_000, 12.0, 1)]), None);
        assert_eq!(crowd_ratio(&[row(64, 10.0, 0)]), None);
    }
}
