//! `cargo xtask`: the project's own commands.

mod attack;
mod bench;
mod compare;
mod corpus;
mod fuzz;
mod invariants;
mod model;
mod requirements;
mod sim;
mod soak;
mod test;
mod trial;

use std::path::Path;
use std::process::ExitCode;

const COMMANDS: &str = "\
cargo xtask test                             format, lints, invariants and every test
cargo xtask invariants                       only the scan for the invariants
cargo xtask fuzz [TARGET ...] [--seconds N]  looks for inputs that break the parsers
cargo xtask model [--schedules N]            tries orders in which threads may make their steps
cargo xtask tsan                             the same threads under ThreadSanitizer
cargo xtask requirements                     only the tables of what the RFCs require
cargo xtask corpus PATH [--base HOST:PORT]   plays a file of raw requests against httpd
cargo xtask compare SERVER [CASE ...]        plays the cases against nginx, lighttpd or another
cargo xtask sim [--seeds N] [--seed S]        simulated clients and faults; one seed with its trace
cargo xtask soak [PART ...]                  what is big, and reads beside writes, in release
cargo xtask attack [PART ...]                hostile clients, and a machine that is broken
                   [--quick] [--minutes N]
cargo xtask bench [WORKLOAD ...]             CPU time per request, beside nginx, h2o and others
                  [--quick] [--rounds N] [--seconds S] [--servers A,B,...] [--log on|off|both]
";

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let (command, rest) = args.split_first().map_or(("", &[][..]), |(c, r)| (c.as_str(), r));
    let done = match command {
        "test" => test::run(),
        "invariants" => invariants::run(workspace()),
        "model" => model::run(rest),
        "tsan" => model::sanitize(),
        "requirements" => requirements::run(workspace()),
        "attack" => attack::run(rest),
        "bench" => bench::run(rest),
        "compare" => compare::run(rest, workspace()),
        "corpus" => corpus::run(rest),
        "fuzz" => fuzz::run(rest),
        "sim" => sim::run(rest),
        "soak" => soak::run(rest),
        _ => {
            eprint!("{COMMANDS}");
            return ExitCode::from(if command.is_empty() { 0 } else { 2 });
        }
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("cargo xtask {command}: {why:#}");
            ExitCode::FAILURE
        }
    }
}

/// The workspace's directory, as it was when this was compiled.
fn workspace() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("xtask/ lies in the workspace")
}
