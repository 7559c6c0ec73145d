//! Measures one workload: every server is started, checked, and asked in turn, round after round.
//!
//! Rounds of all servers are interleaved, so that what else the machine does meets all alike; the
//! median of the rounds counts. A round with an error in it is flagged and left out of the median.

use std::path::Path;
use std::time::Instant;

use anyhow::{Result, bail};

use super::probe;
use super::process::{self, Cpu};
use super::results::{Cell, Results, Round};
use super::servers::{Kind, Program, Running};
use super::workloads::{Order, Workload};
use super::wrk::{Counted, Load, Wrk};

/// How far the length of the average answer may be from that of the one that was checked.
const LENGTH_TOLERANCE: f64 = 0.03;
/// How many of the idle connections may be gone in the end, one in so many.
const CLOSED_MAX: usize = 100;

/// What all measurements have in common.
pub(super) struct Setup<'a> {
    pub(super) programs: &'a [Program],
    pub(super) root: &'a Path,
    pub(super) wrk: &'a Wrk,
    pub(super) seconds: u32,
    /// The core of the servers and that of wrk, where there are two.
    pub(super) server_core: Option<&'static str>,
    pub(super) load_core: Option<&'static str>,
    /// As many idle connections as the limit of descriptors carries.
    pub(super) idle_max: usize,
    /// No round begins later.
    pub(super) deadline: Instant,
}

/// A server that was found to answer the workload right.
struct Contender {
    running: Running,
    own: Vec<String>,
    /// Octets of an answer, its head included.
    answer_bytes: u64,
    cell: Cell,
}

/// Measures the workload with the log on or off, and adds what came of it to the results.
pub(super) fn run(
    setup: &Setup<'_>,
    workload: &'static Workload,
    has_log: bool,
    rounds: u32,
    results: &mut Results,
) {
    let measured =
        setup.programs.iter().filter(|program| program.kind != Kind::Floor || workload.has_floor());
    let mut contenders = Vec::new();
    for program in measured {
        match prepare(setup, program, workload, has_log) {
            Ok(mut contender) if workload.idle > 0 => {
                // Ten thousand descriptors per server: one after the other.
                if let Err(why) = run_beside_idle(setup, &mut contender, workload, rounds) {
                    results.leave_out(program.kind, workload, &why);
                } else {
                    let cell = finish(contender, results);
                    results.cells.push(cell);
                }
            }
            Ok(contender) => contenders.push(contender),
            Err(why) => results.leave_out(program.kind, workload, &why),
        }
    }
    for _ in 0..rounds {
        for contender in &mut contenders {
            if Instant::now() < setup.deadline {
                one_round(setup, contender, workload);
            }
        }
    }
    for contender in contenders {
        let cell = finish(contender, results);
        results.cells.push(cell);
    }
}

fn prepare(
    setup: &Setup<'_>,
    program: &Program,
    workload: &'static Workload,
    has_log: bool,
) -> Result<Contender> {
    if Instant::now() >= setup.deadline {
        bail!("out of time");
    }
    let running = Running::start(program, setup.root, has_log, 1, setup.server_core)?;
    let own = match program.kind {
        Kind::Floor => Vec::new(),
        _ => probe::own_fields(running.addr, workload)?,
    };
    let answer_bytes = probe::check(program.kind, running.addr, workload, &own)?;
    let cell = Cell::new(workload.name, program.kind, has_log);
    let contender = Contender { running, own, answer_bytes, cell };
    if workload.order == Order::Shuffled {
        // Once through all files, which a cache would have seen before.
        setup.wrk.run(contender.running.addr, &load(setup, &contender, workload))?;
        contender.running.empty_logs();
    }
    Ok(contender)
}

fn load<'a>(setup: &Setup<'_>, contender: &'a Contender, workload: &'static Workload) -> Load<'a> {
    Load {
        workload,
        connections: workload.connections,
        fields: &contender.own,
        threads: 1,
        seconds: setup.seconds.max(workload.seconds_min),
        cores: setup.load_core,
    }
}

fn run_beside_idle(
    setup: &Setup<'_>,
    contender: &mut Contender,
    workload: &'static Workload,
    rounds: u32,
) -> Result<()> {
    let count = workload.idle.min(setup.idle_max);
    let held = probe::hold(contender.running.addr, count, workload.path)?;
    for _ in 0..rounds {
        if Instant::now() < setup.deadline {
            one_round(setup, contender, workload);
        }
    }
    let closed = probe::closed(&held);
    if closed > count / CLOSED_MAX {
        contender.cell.complaints.push(format!("it closed {closed} of {count} idle connections"));
    }
    // Before the connections go: what they cost is asked for.
    (contender.cell.resident, contender.cell.peak) = process::memory(contender.running.pid());
    Ok(())
}

fn one_round(setup: &Setup<'_>, contender: &mut Contender, workload: &'static Workload) {
    let pid = contender.running.pid();
    let before = Cpu::of(pid);
    let counted = setup.wrk.run(contender.running.addr, &load(setup, contender, workload));
    let cpu = Cpu::of(pid).since(&before);
    match counted {
        Ok(counted) => {
            let round = judge(contender, workload, &counted, cpu);
            contender.cell.rounds.push(round);
        }
        Err(why) => contender.cell.complaints.push(format!("{why:#}").replace('\n', " ")),
    }
    let is_mute = contender.cell.has_log
        && contender.cell.kind != Kind::Floor
        && !contender.running.has_logged();
    if is_mute {
        contender.cell.complaints.push("its log stayed empty".to_owned());
    }
    contender.running.empty_logs();
}

/// Turns what was counted into a round, and says what was wrong with it.
fn judge(contender: &Contender, workload: &Workload, counted: &Counted, cpu: f64) -> Round {
    let answer_bytes = contender.answer_bytes as f64;
    // Of few and large answers many are under way in the end.
    let requests = match workload.is_large() {
        true => counted.bytes as f64 / answer_bytes,
        false => counted.requests as f64,
    };
    let mut wrong = Vec::new();
    if counted.socket_errors > 0 {
        wrong.push(format!("{} socket errors", counted.socket_errors));
    }
    let is_floor = contender.cell.kind == Kind::Floor;
    let over_399 = match workload.status > 399 && !is_floor {
        true => counted.requests.saturating_sub(counted.over_399),
        false => counted.over_399,
    };
    if over_399 > 0 {
        wrong.push(format!("{over_399} answers with another status"));
    }
    if counted.requests == 0 && !workload.is_large() {
        wrong.push("no answers".to_owned());
    } else if !workload.is_large() {
        let average = counted.bytes as f64 / requests;
        if (average / answer_bytes - 1.0).abs() > LENGTH_TOLERANCE {
            wrong.push(format!("answers of {average:.0} octets, and not {answer_bytes:.0}"));
        }
    }
    let seconds = counted.duration as f64 / 1e6;
    Round {
        requests,
        seconds,
        bytes: counted.bytes,
        cpu,
        wrong: (!wrong.is_empty()).then(|| wrong.join(", ")),
    }
}

/// Takes a last look at the server before it is stopped.
fn finish(contender: Contender, results: &Results) -> Cell {
    let Contender { running, mut cell, .. } = contender;
    if cell.peak == 0 {
        (cell.resident, cell.peak) = process::memory(running.pid());
    }
    println!("{}", results.progress(&cell));
    cell
}
