//! `httpd`: a directory on the web with one command. Arguments, wiring, signals; nothing else.

mod args;
mod serve;
mod values;

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    // Usage errors end here, with status 2 and a hint.
    let args = args::Args::parse();
    init_log(args.verbose);
    match serve::run(&args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // One sentence with a way out; causes behind it, never a backtrace.
            eprintln!("httpd: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// What the server has to say while it runs goes to standard error, a line each; panics as well.
fn init_log(verbose: bool) {
    let level = if verbose { log::LevelFilter::Debug } else { log::LevelFilter::Warn };
    let config = simplelog::ConfigBuilder::new()
        .set_time_format_rfc3339()
        .set_target_level(log::LevelFilter::Off)
        .set_thread_level(log::LevelFilter::Off)
        .build();
    // Fails only if there is a logger already.
    let _ = simplelog::WriteLogger::init(level, config, std::io::stderr());
    std::panic::set_hook(Box::new(|panic| log::error!("{panic}")));
}
