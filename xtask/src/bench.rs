//! `cargo xtask bench`: decides how much CPU time our server may need, beside other servers that
//! are asked the same in the same run.
//!
//! Every server has one worker on one core, wrk has the other. CPU time per request counts: it
//! depends less on what else the machine does than requests per second do. Timings decide no
//! test: bounds that are missed are printed, and the command succeeds.

mod arguments;
mod chart;
mod config;
mod measure;
mod probe;
mod process;
mod report;
mod results;
mod scale;
mod servers;
mod verdict;
mod workloads;
mod wrk;

use std::fs;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::compare::peer::find_program;
use crate::trial::gauge::raise_descriptor_limit;
use crate::trial::server;

use arguments::Arguments;
use measure::Setup;
use results::Results;
use servers::Program;
use workloads::Workload;
use wrk::Wrk;

/// No round begins later than this after the start, the build apart.
const BENCH_MAX: Duration = Duration::from_secs(56 * 60);
/// Descriptors for what is no idle connection.
const DESCRIPTORS_RESERVED: u64 = 1_000;

/// Measures what the arguments name, and writes the reports to `bench` in the target directory.
///
/// # Errors
/// When the arguments make no sense, wrk is not installed, or nothing could be measured.
pub(crate) fn run(args: &[String]) -> Result<()> {
    let arguments = Arguments::parse(args)?;
    let dir = tempfile::Builder::new().prefix("bench-").tempdir()?;
    let wrk = Wrk::find(dir.path())?;
    server::build()?;
    server::build_release(&["-p", "http-proto", "--example", "floor"])?;
    let programs = find_programs(&arguments)?;

    let root = dir.path().join("root");
    fs::create_dir(&root)?;
    workloads::fill(&root).context("the files to ask for")?;
    let is_pinned = is_pinnable();
    let setup = Setup {
        programs: &programs,
        root: &root,
        wrk: &wrk,
        seconds: arguments.seconds,
        server_core: is_pinned.then_some("0"),
        load_core: is_pinned.then_some("1"),
        idle_max: affordable_idle()?,
        deadline: Instant::now() + BENCH_MAX,
    };

    let workloads: Vec<_> =
        arguments.workloads.iter().filter_map(|name| Workload::named(name)).collect();
    let mut results = Results::default();
    for workload in &workloads {
        for has_log in arguments.logs.iter().copied() {
            println!("\n{}, access log {}", workload.name, if has_log { "on" } else { "off" });
            let rounds = match has_log {
                true => arguments.rounds,
                false => report::rounds_without_log(arguments.rounds),
            };
            measure::run(&setup, workload, has_log, rounds, &mut results);
        }
    }
    let ours = scale::ours(&programs)?;
    let mut rows = Vec::new();
    if arguments.workloads.iter().any(|name| name == scale::NAME) {
        println!("\n{}", scale::NAME);
        rows = scale::run(&setup, ours, arguments.rounds)?;
    }
    println!("\nstart-up and length of the binary");
    let own = scale::own(&setup, ours)?;

    let circumstances = report::circumstances(&programs, &wrk.version, &arguments);
    let verdicts = verdict::judge(&results, &rows, Some(&own));
    let own_part = report::own_part(&rows, Some(&own));
    let text = report::markdown(&circumstances, &results, &workloads, &own_part, &verdicts);
    println!("\n{text}");
    let dir = server::target_dir()?.join("bench");
    fs::create_dir_all(&dir)?;
    fs::write(dir.join("bench.md"), text)?;
    fs::write(dir.join("bench.svg"), chart::draw(&results, &workloads))?;
    fs::write(dir.join("bench.tsv"), report::tsv(&results))?;
    println!("written to {}: bench.md, bench.svg, bench.tsv", dir.display());
    match results.cells.is_empty() && rows.is_empty() {
        true => bail!("nothing could be measured"),
        false => Ok(()),
    }
}

/// The servers that are there; of the others it is said that they are not.
fn find_programs(arguments: &Arguments) -> Result<Vec<Program>> {
    let mut programs = Vec::new();
    for kind in arguments.servers.iter().copied() {
        match Program::find(kind)? {
            Some(program) => programs.push(program),
            None => println!("{} is not installed, and left out", kind.name()),
        }
    }
    Ok(programs)
}

/// Whether servers and wrk can have a core each.
fn is_pinnable() -> bool {
    let has_cores = std::thread::available_parallelism().is_ok_and(|cores| cores.get() > 1);
    let is_pinned = has_cores && find_program("taskset").is_some();
    if !is_pinned {
        println!("NOTE: no second core, or no taskset: servers and wrk share what there is");
    }
    is_pinned
}

/// As many connections as this process, a server and the local ports can hold.
fn affordable_idle() -> Result<usize> {
    let descriptors = raise_descriptor_limit()?.saturating_sub(DESCRIPTORS_RESERVED);
    let range = fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").unwrap_or_default();
    let mut ports = range.split_whitespace().filter_map(|word| word.parse::<u64>().ok());
    let ports = ports.next().zip(ports.next()).map_or(28_000, |(from, to)| to.saturating_sub(from));
    let most = usize::try_from(descriptors.min(ports / 2))?;
    if most < workloads::IDLE {
        println!("NOTE: descriptors or local ports are enough for only {most} connections");
    }
    Ok(most)
}
