//! `httpd`: a directory on the web with one command. Arguments, wiring, signals; nothing else.

mod announce;
mod args;
mod auth;
mod checks;
mod doctor;
mod hash_password;
mod jail;
mod serve;
mod settings;
mod stderr;
mod typed;
mod usage;
mod user;
mod values;

use std::fmt::Display;
use std::process::ExitCode;

use clap::{ArgMatches, CommandFactory, FromArgMatches};

fn main() -> ExitCode {
    let mut words = std::env::args_os().skip(1);
    // Directories of these names are served by: httpd ./doctor
    match words.next() {
        Some(word) if word == hash_password::NAME => {
            return match hash_password::run(words) {
                Ok(()) => ExitCode::SUCCESS,
                Err(hash_password::Failure::Usage(why)) => fail(2, why),
                Err(hash_password::Failure::Other(error)) => fail(1, format_args!("{error:#}")),
            };
        }
        Some(word) if word == doctor::NAME => return doctor::run(words),
        _ => {}
    }
    let read = |matches: ArgMatches| {
        let typed = typed::Typed::new(&matches);
        Ok((args::Args::from_arg_matches(&matches)?, typed))
    };
    let (args, typed) = match args::Args::command().try_get_matches().and_then(read) {
        Ok(read) => read,
        Err(error) if error.use_stderr() => return fail(2, usage::sentence(&error)),
        // --help and --version. Nobody may be reading; that is no failure.
        Err(text) => {
            let _ = text.print();
            return ExitCode::SUCCESS;
        }
    };
    init_log(args.verbose);
    match serve::run(&args, &typed) {
        Ok(()) => {
            // How many lines have been lost, if any.
            stderr::say_last("");
            ExitCode::SUCCESS
        }
        // Causes behind it, never a backtrace.
        Err(error) => fail(1, format_args!("{error:#}")),
    }
}

/// Says why it is over, in one sentence with a way out.
fn fail(status: u8, why: impl Display) -> ExitCode {
    stderr::say_last(&format!("httpd: {why}\n"));
    ExitCode::from(status)
}

/// What the server has to say while it runs goes to standard error, a line each; panics as well. No
/// thread that serves waits for its reader.
fn init_log(verbose: bool) {
    let level = if verbose { log::LevelFilter::Debug } else { log::LevelFilter::Warn };
    let config = simplelog::ConfigBuilder::new()
        .set_time_format_rfc3339()
        .set_target_level(log::LevelFilter::Off)
        .set_thread_level(log::LevelFilter::Off)
        .build();
    // Fails only if there is a logger already.
    let _ = simplelog::WriteLogger::init(level, config, stderr::Lines::new());
    std::panic::set_hook(Box::new(|panic| log::error!("{panic}")));
}
