//! Wires the layers together, says what is served, and waits for signals.

use std::io::{self, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::num::NonZeroU32;
use std::path::Path;
use std::sync::Arc;
use std::thread;

use anyhow::{Context, Result, anyhow};
use fileserve::{Access, AccessLog, CacheLimits, Files, Forms, Hosts, Options, Root, Uploads};
use http_proto::server::{Config, Http};
use rustix::fs::{self, AtFlags, CWD, access, accessat};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use signal_hook::consts::signal::{SIGHUP, SIGINT, SIGTERM, SIGXFSZ};
use signal_hook::iterator::Signals;
use tcp_core::{Limits, Pace, Running, Server, Stopper};

use crate::args::Args;
use crate::auth::{self, is_beneath};
use crate::jail::{self, Rules};
use crate::typed::{Quoted, Typed};
use crate::user::{self, Identity};

/// Serves until a signal says stop. `typed` is what `args` were read from.
pub(crate) fn run(args: &Args, typed: &Typed) -> Result<()> {
    // First, so that no signal finds the default action in place once anything is served. SIGXFSZ
    // comes to who writes a file beyond its limit: caught, it lets the write fail like any other.
    let signals =
        Signals::new([SIGINT, SIGTERM, SIGHUP, SIGXFSZ]).context("cannot wait for signals")?;
    // The log comes last of what can fail: a start that comes to nothing should not leave one.
    let access = check(args, typed)?;
    let descriptors = raise_descriptor_limit();
    let limits = limits(args, descriptors);
    let user = args.protection.user.as_deref().map(user::find).transpose()?;
    let server = bind(args, typed, &limits)?;
    if let Some(user) = &user {
        user.assume()?;
        // What root could need not be what this user can.
        check_forms(args)?;
    }
    let log = Arc::new(open_log(args, typed, limits.workers)?);
    // Threads that are started from here on are born in it.
    let rules = Rules::for_server(args);
    let jailed = jail::enter(args, &rules);
    let options = Options {
        access: access.clone(),
        writable: args.writable,
        uploads: uploads(args),
        forms: args
            .writing
            .forms
            .clone()
            .map(|dir| Forms { dir, address: args.writing.forms_address }),
        hosts: hosts(args),
        listing: !args.no_listing,
        hidden: args.hidden,
        precompressed: !args.no_precompressed,
        gzip: args.gzip,
        cache_control: (args.cache_control != "off").then(|| args.cache_control.clone().into()),
        cache: CacheLimits {
            bytes: usize::try_from(args.limits.cache).unwrap_or(usize::MAX),
            files: files_kept(args, descriptors),
            ..CacheLimits::default()
        },
        workers: limits.workers,
    };
    let files = Files::new(&args.root, options, Arc::clone(&log))
        .map_err(|error| no_root(args, typed, &error))?;
    let addresses = server.addresses().to_vec();
    let threads = limits.workers + limits.pool;
    let running = server
        .start(Http::with_config(files, config(args)))
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

/// Finds out whether what is to be served, and the files that this takes, can be had. Returns what
/// `--auth` says.
pub(crate) fn check(args: &Args, typed: &Typed) -> Result<Option<Arc<Access>>> {
    check_root(args, typed)?;
    check_forms(args)?;
    check_auth(args)
}

pub(crate) fn check_root(args: &Args, typed: &Typed) -> Result<()> {
    Root::open(&args.root).map_err(|error| no_root(args, typed, &error))?;
    Ok(())
}

pub(crate) fn check_auth(args: &Args) -> Result<Option<Arc<Access>>> {
    let access = auth::load(args)?;
    auth::check_caching(args, access.as_deref())?;
    Ok(access)
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

/// The limits of connections and threads, where so many file descriptors may be had.
pub(crate) fn limits(args: &Args, descriptors: u64) -> Limits {
    let default = Limits::default();
    let connections =
        Limits::connections_within(descriptors - files_kept(args, descriptors) as u64);
    let flags = &args.limits;
    if let Some(asked) = flags.max_connections.filter(|&asked| asked > connections) {
        log::warn!(
            "the file descriptors allowed may do for {connections} connections only, not {asked} \
             (ulimit -n)"
        );
    }
    Limits {
        workers: flags.workers.unwrap_or(default.workers),
        pool: flags.pool.unwrap_or(default.pool),
        connections: flags.max_connections.unwrap_or(connections),
        per_address: flags.max_per_address,
        pace: pace(args),
        drain: flags.drain,
        ..default
    }
}

fn uploads(args: &Args) -> Uploads {
    let flags = &args.writing;
    Uploads {
        on_conflict: flags.on_conflict,
        directories: flags.directories,
        trusted: flags.trust_uploads,
        quota: flags.quota,
        keep_free: flags.keep_free,
        at_once: flags.uploads_max,
    }
}

/// The names that were said, and this machine's own, which may lead to a loopback address. Nobody
/// else can have a name like that lead here: it has no domain, or one that means this network.
pub(crate) fn hosts(args: &Args) -> Hosts {
    let mut names = args.host.clone();
    names.retain(|name| name != "*");
    let any = names.len() < args.host.len();
    let own = rustix::system::uname().nodename().to_string_lossy().into_owned();
    if !own.is_empty() {
        names.extend([format!("{own}.local"), own]);
    }
    Hosts { any, names }
}

fn pace(args: &Args) -> Pace {
    let flags = &args.limits;
    Pace { stall: flags.stall_timeout, rate: flags.min_rate, grace: flags.rate_grace }
}

pub(crate) fn config(args: &Args) -> Config {
    let flags = &args.limits;
    Config {
        limits: http_proto::Limits {
            // A line is part of the head.
            request_line_bytes: flags.request_line_max.min(flags.head_max),
            head_bytes: flags.head_max,
            field_lines: flags.fields_max,
            content_bytes: flags.body_max,
        },
        head_timeout: flags.head_timeout,
        rate_per_address: flags.rate_per_address.and_then(NonZeroU32::new),
        idle_timeout: flags.idle_timeout,
        content_pace: pace(args),
        ..Config::default()
    }
}

/// How many files the cache may keep open of so many descriptors: as many as is customary, as long
/// as that is a small part.
pub(crate) fn files_kept(args: &Args, descriptors: u64) -> usize {
    const PART: u64 = 16;
    if args.limits.cache == 0 {
        return 0;
    }
    usize::try_from(descriptors / PART).unwrap_or(usize::MAX).min(CacheLimits::default().files)
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

/// Finds out whether the addresses can be had, and returns those that are in use: that may well be
/// a server like this one, which runs already. Each is listened at for a moment.
pub(crate) fn try_addresses(
    args: &Args,
    typed: &Typed,
    limits: &Limits,
) -> Result<Vec<SocketAddr>> {
    let mut busy = Vec::new();
    for (done, address) in args.bind.iter().enumerate() {
        let failed = |error: &io::Error| Err(not_bound(args, typed, *address, error));
        // Both could be had alone.
        let clashes = |other: &SocketAddr| {
            other.port() == address.port()
                && other.is_ipv4() == address.is_ipv4()
                && other.ip().is_unspecified() != address.ip().is_unspecified()
        };
        if address.port() != 0 && args.bind[..done].iter().any(clashes) {
            return failed(&io::ErrorKind::AddrInUse.into());
        }
        match Server::bind(*address, limits.clone()) {
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => busy.push(*address),
            Err(error) => return failed(&error),
        }
    }
    Ok(busy)
}

/// Why an address cannot be had, with a way out that has been tried.
fn not_bound(args: &Args, typed: &Typed, address: SocketAddr, error: &io::Error) -> anyhow::Error {
    let is_wrong = |place: usize| args.bind.get(place) == Some(&address);
    let at = |other: SocketAddr| typed.clone().with("bind", is_wrong, other.to_string());
    match error.kind() {
        io::ErrorKind::AddrInUse => {
            let port = address.port();
            let free = (port.saturating_add(1)..=port.saturating_add(50))
                .map(|port| SocketAddr::new(address.ip(), port))
                .filter(|other| !args.bind.contains(other))
                .find(|other| std::net::TcpListener::bind(other).is_ok())
                .unwrap_or(SocketAddr::new(address.ip(), 0));
            anyhow!("port {port} is in use - try: {}", at(free))
        }
        io::ErrorKind::PermissionDenied => {
            let other = SocketAddr::new(address.ip(), crate::values::DEFAULT_PORT);
            anyhow!(
                "port {} takes more rights than this user has - try: {}",
                address.port(),
                at(other)
            )
        }
        io::ErrorKind::AddrNotAvailable => {
            let here = SocketAddr::new(Ipv4Addr::LOCALHOST.into(), address.port());
            anyhow!("{} is no address of this machine - try: {}", address.ip(), at(here))
        }
        _ => anyhow!("cannot listen at {address}: {}", in_words(error)),
    }
}

fn no_root(args: &Args, typed: &Typed, error: &io::Error) -> anyhow::Error {
    let root = args.root.display();
    match error.kind() {
        io::ErrorKind::NotFound => {
            let here = typed.clone().with_root(".");
            anyhow!("there is no directory '{root}' - try: {here} to serve the current one")
        }
        io::ErrorKind::PermissionDenied => {
            let quoted = Quoted(args.root.as_os_str());
            anyhow!("this user may not enter the directory '{root}' - try: chmod +x {quoted}")
        }
        io::ErrorKind::NotADirectory => {
            let parent = match args.root.parent() {
                Some(parent) if parent != Path::new("") => parent,
                _ => Path::new("."),
            };
            let parent = typed.clone().with_root(parent);
            anyhow!("'{root}' is a file - try its directory: {parent}")
        }
        _ => anyhow!("cannot serve '{root}': {}", in_words(error)),
    }
}

/// Forms are other people's, so where they are kept must not be served.
pub(crate) fn check_forms(args: &Args) -> Result<()> {
    let Some(dir) = &args.writing.forms else { return Ok(()) };
    let shown = dir.display();
    let found = dir.canonicalize().and_then(|dir| std::fs::read_dir(&dir).map(|_| dir));
    let found = found.map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => {
            let quoted = Quoted(dir.as_os_str());
            anyhow!("there is no directory '{shown}' for forms - try: mkdir {quoted}")
        }
        _ => anyhow!("cannot keep forms in '{shown}': {}", in_words(&error)),
    })?;
    access(&found, fs::Access::WRITE_OK | fs::Access::EXEC_OK).map_err(|errno| {
        let why = in_words(&errno.into());
        anyhow!("forms cannot be written to '{shown}': {why} - try another directory")
    })?;
    match is_beneath(&found, &args.root) {
        true => Err(anyhow!(
            "forms kept in '{shown}' would be served to everyone - try a directory beside '{}'",
            args.root.display()
        )),
        false => Ok(()),
    }
}

fn not_started(typed: &Typed, threads: usize, error: &io::Error) -> anyhow::Error {
    let fewer = typed.clone().with("workers", |_| true, "1").with("pool", |_| true, "1");
    let why = in_words(error);
    anyhow!("cannot start {threads} threads to serve with: {why} - try: {fewer}")
}

/// What the OS says, as part of a sentence.
pub(crate) fn in_words(error: &io::Error) -> String {
    let text = error.to_string();
    let text = text.split_once(" (os error").map_or(text.as_str(), |(words, _)| words);
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| first.to_lowercase().chain(chars).collect())
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

/// Finds out whether the log could be opened, without making it.
pub(crate) fn check_log(args: &Args, typed: &Typed) -> Result<()> {
    if matches!(args.access_log.to_str(), Some("-" | "off")) {
        return Ok(());
    }
    let may = |path: &Path, what| {
        accessat(CWD, path, what, AtFlags::EACCESS)
            .map_err(|errno| no_log(args, typed, &errno.into()))
    };
    let log = jail::led_to(&args.access_log);
    match std::fs::metadata(&args.access_log) {
        Ok(found) if found.is_dir() => {
            Err(no_log(args, typed, &io::ErrorKind::IsADirectory.into()))
        }
        Ok(_) => may(&log, fs::Access::WRITE_OK),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let dir = log.parent().filter(|dir| *dir != Path::new("")).unwrap_or(Path::new("."));
            may(dir, fs::Access::WRITE_OK | fs::Access::EXEC_OK)
        }
        Err(error) => Err(no_log(args, typed, &error)),
    }
}

fn no_log(args: &Args, typed: &Typed, error: &io::Error) -> anyhow::Error {
    let why = match error.kind() {
        io::ErrorKind::NotFound => "its directory does not exist".to_owned(),
        io::ErrorKind::PermissionDenied => "permission denied".to_owned(),
        io::ErrorKind::IsADirectory => "it is a directory".to_owned(),
        io::ErrorKind::ReadOnlyFilesystem => "the disk is read-only".to_owned(),
        _ => in_words(error),
    };
    let off = typed.clone().with("access_log", |_| true, "off");
    anyhow!("cannot write the access log '{}': {why} - try: {off}", args.access_log.display())
}

/// Says what is served, where, and what may be done to it. On standard error, since standard output
/// may be the access log.
fn announce(
    args: &Args,
    access: Option<&Access>,
    addresses: &[SocketAddr],
    user: Option<&Identity>,
    jail: &str,
) {
    let root = args.root.canonicalize().unwrap_or_else(|_| args.root.clone());
    let mut text = format!("httpd {} serves {}\n", env!("CARGO_PKG_VERSION"), root.display());
    for address in addresses {
        let (shown, note) = clickable(*address);
        text.push_str(&format!("listening at http://{shown}/{note}\n"));
    }
    text.push_str(match (args.writable, access) {
        (true, None) => "writable: anyone who can reach it may PUT, POST and DELETE\n",
        (true, Some(_)) => "writable: whoever has the right may PUT, POST and DELETE\n",
        (false, _) => "read-only\n",
    });
    if args.writable && !args.writing.trust_uploads {
        let forms = if args.writing.forms.is_some() { " and send no forms" } else { "" };
        text.push_str(&format!("HTML files run no scripts{forms} (--trust-uploads lets them)\n"));
    }
    if let (Some(access), Some(file)) = (access, &args.auth) {
        text.push_str(&auth::announcement(access, file, addresses));
    }
    if let Some(dir) = &args.writing.forms {
        text.push_str(&format!("forms: kept in {}\n", dir.display()));
    }
    text.push_str(&match args.access_log.to_str() {
        Some("off") => "no access log\n".to_owned(),
        Some("-") => format!("access log: standard output ({})\n", args.log_format),
        _ => format!("access log: {} ({})\n", args.access_log.display(), args.log_format),
    });
    if let Some(user) = user {
        text.push_str(&format!("user: {user}\n"));
    }
    text.push_str(jail);
    // Nobody may be listening; that is no reason not to serve.
    let _ = io::stderr().write_all(text.as_bytes());
}

/// An address that a browser can open, and what else is to be said of it.
fn clickable(address: SocketAddr) -> (SocketAddr, &'static str) {
    let port = address.port();
    let everywhere = " and at every other address of this machine";
    match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => {
            (SocketAddr::new(Ipv4Addr::LOCALHOST.into(), port), everywhere)
        }
        IpAddr::V6(ip) if ip.is_unspecified() => {
            (SocketAddr::new(Ipv6Addr::LOCALHOST.into(), port), everywhere)
        }
        _ => (address, ""),
    }
}
