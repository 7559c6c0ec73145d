//! Finds out whether what a start takes can be had. What cannot is told with a way out.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;

use anyhow::{Result, anyhow};
use fileserve::{Access, Root};
use rustix::fs::{self, AtFlags, CWD, access, accessat};
use tcp_core::{Limits, Server};

use crate::args::Args;
use crate::auth::{self, is_beneath};
use crate::jail;
use crate::typed::{Quoted, Typed};

/// Finds out whether what is to be served, and the files that this takes, can be had. Returns what
/// `--auth` says.
pub(crate) fn before_start(args: &Args, typed: &Typed) -> Result<Option<Arc<Access>>> {
    root(args, typed)?;
    forms(args)?;
    auth(args)
}

/// Whether there is a root to serve.
pub(crate) fn root(args: &Args, typed: &Typed) -> Result<()> {
    Root::open(&args.root).map_err(|error| no_root(args, typed, &error))?;
    Ok(())
}

/// Why the root cannot be served.
pub(crate) fn no_root(args: &Args, typed: &Typed, error: &io::Error) -> anyhow::Error {
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

/// Whether the file of `--auth` will do, and what it says.
pub(crate) fn auth(args: &Args) -> Result<Option<Arc<Access>>> {
    let access = auth::load(args)?;
    auth::check_caching(args, access.as_deref())?;
    Ok(access)
}

/// Forms are other people's, so where they are kept must not be served.
pub(crate) fn forms(args: &Args) -> Result<()> {
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

/// Finds out whether the addresses can be had, and returns those that are in use: that may well be
/// a server like this one, which runs already. Each is listened at for a moment.
pub(crate) fn addresses(args: &Args, typed: &Typed, limits: &Limits) -> Result<Vec<SocketAddr>> {
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
pub(crate) fn not_bound(
    args: &Args,
    typed: &Typed,
    address: SocketAddr,
    error: &io::Error,
) -> anyhow::Error {
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

/// Finds out whether the log could be opened, without making it.
pub(crate) fn log(args: &Args, typed: &Typed) -> Result<()> {
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

/// Why the access log cannot be written.
pub(crate) fn no_log(args: &Args, typed: &Typed, error: &io::Error) -> anyhow::Error {
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

/// Why so many threads could not be started.
pub(crate) fn not_started(typed: &Typed, threads: usize, error: &io::Error) -> anyhow::Error {
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
