//! Wires the layers together, and waits for signals.

use std::io;
use std::sync::Arc;
use std::thread;

use anyhow::{Context, Result, anyhow};
use fileserve::{AccessLog, Files};
use http_proto::server::Http;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use signal_hook::consts::signal::{SIGHUP, SIGINT, SIGTERM, SIGXFSZ};
use signal_hook::iterator::Signals;
use tcp_core::{Limits, Running, Server, Stopper};

use crate::announce::announce;
use crate::args::Args;
use crate::checks::{self, no_log, no_root, not_bound, not_started};
use crate::jail::{self, Rules};
use crate::settings;
use crate::typed::Typed;
use crate::user;

/// Serves until a signal says stop. `typed` is what `args` were read from.
pub(crate) fn run(args: &Args, typed: &Typed) -> Result<()> {
    // First, so that no signal finds the default action in place once anything is served. SIGXFSZ
    // comes to who writes a file beyond its limit: caught, it lets the write fail like any other.
    let signals =
        Signals::new([SIGINT, SIGTERM, SIGHUP, SIGXFSZ]).context("cannot wait for signals")?;
    // The log comes last of what can fail: a start that comes to nothing should not leave one.
    let access = checks::before_start(args, typed)?;
    let descriptors = raise_descriptor_limit();
    let limits = settings::limits(args, descriptors);
    let user = args.protection.user.as_deref().map(user::find).transpose()?;
    let server = bind(args, typed, &limits)?;
    if let Some(user) = &user {
        user.assume()?;
        // What root could need not be what this user can.
        checks::forms(args)?;
    }
    let log = Arc::new(open_log(args, typed, limits.workers)?);
    // Threads that are started from here on are born in it.
    let rules = Rules::for_server(args);
    let jailed = jail::enter(args, &rules);
    let options = settings::options(args, access.clone(), &limits, descriptors);
    let files = Files::new(&args.root, options, Arc::clone(&log))
        .map_err(|error| no_root(args, typed, &error))?;
    let addresses = server.addresses().to_vec();
    let threads = limits.workers + limits.pool;
    let running = server
        .start(Http::with_config(files, settings::config(args)))
        .map_err(|error| not_started(typed, threads, &error))?;
    let stopper = running.stopper();
    let joiner = join_on_a_thread(running, &signals)
        .map_err(|error| not_started(typed, threads + 1, &error))?;
    announce(args, access.as_deref(), &addresses, user.as_ref(), &jailed.line(&rules));
    wait(&stopper, signals, &log);
    let ended = joiner.join().unwrap_or_else(|_| Err(io::Error::other("a thread panicked")));
    log.shutdown();
    ended.context("the server could not go on")
}

/// Takes as many file descriptors as the system lets this process have; says how many that are. The
/// customary soft limit of 1,024 is for programs that use `select`.
pub(crate) fn raise_descriptor_limit() -> u64 {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    match setrlimit(Resource::Nofile, raised) {
        // No limit at all: more than can ever be used.
        Ok(()) => limit.maximum.unwrap_or(u64::MAX),
        Err(_) => limit.current.unwrap_or(1024),
    }
}

fn bind(args: &Args, typed: &Typed, limits: &Limits) -> Result<Server> {
    let (first, others) = args.bind.split_first().context("there is no address to listen on")?;
    let mut server = Server::bind(*first, limits.clone())
        .map_err(|error| not_bound(args, typed, *first, &error))?;
    for (done, address) in others.iter().enumerate() {
        // Said twice, an address is still one; port 0 is another one each time.
        if address.port() == 0 || !args.bind[..=done].contains(address) {
            server.listen(*address).map_err(|error| not_bound(args, typed, *address, &error))?;
        }
    }
    Ok(server)
}

/// Opens the log on a thread in a jail of its own, so that the log's thread is born there. What the
/// jail would forbid when the log is opened anew, it forbids now.
fn open_log(args: &Args, typed: &Typed, workers: usize) -> Result<AccessLog> {
    thread::scope(|scope| {
        let opening = || {
            for why in jail::enter(args, &Rules::for_log(args)).failures() {
                log::warn!("there is no jail for the access log's thread: {why}");
            }
            open_log_here(args, typed, workers)
        };
        let opened = thread::Builder::new()
            .name("log-opener".into())
            .spawn_scoped(scope, opening)
            .map_err(|error| not_started(typed, 1, &error))?;
        opened.join().unwrap_or_else(|_| Err(anyhow!("the access log cannot be opened")))
    })
}

fn open_log_here(args: &Args, typed: &Typed, workers: usize) -> Result<AccessLog> {
    let path = &args.access_log;
    let log = match path.to_str() {
        Some("off") => Ok(AccessLog::off()),
        Some("-") => AccessLog::to_stdout(args.log_format, workers),
        _ => AccessLog::to_file(path, args.log_format, workers),
    };
    log.map_err(|error| no_log(args, typed, &error))
}

/// Waits for the server to end, and ends the signals then.
fn join_on_a_thread(
    running: Running,
    signals: &Signals,
) -> io::Result<thread::JoinHandle<io::Result<()>>> {
    let handle = signals.handle();
    thread::Builder::new().name("joiner".into()).spawn(move || {
        let ended = running.join();
        handle.close();
        ended
    })
}

/// Acts on signals until they end: the first SIGINT or SIGTERM drains, the second ends at once,
/// SIGHUP reopens the log.
fn wait(stopper: &Stopper, mut signals: Signals, log: &AccessLog) {
    let mut stopping = false;
    for signal in signals.forever() {
        match signal {
            SIGHUP => log.reopen(),
            SIGXFSZ => log::warn!("a file has come to the limit on its size (ulimit -f)"),
            _ if stopping => {
                log.shutdown();
                // What a shell reports of a process that such a signal has ended.
                std::process::exit(128 + signal);
            }
            _ => {
                stopping = true;
                log::info!("stopping: what is under way may end");
                stopper.stop();
            }
        }
    }
}
