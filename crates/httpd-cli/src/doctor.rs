//! `httpd doctor [OPTIONS] [ROOT]`: tells what a server with those options would enforce, which
//! limits it would have, and what in the directory looks exposed. It serves nothing and changes
//! nothing.

mod limits;
mod signs;
mod tree;

use std::ffi::OsString;
use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::os::unix::net::UnixDatagram;
use std::path::{self, Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::{Command, CommandFactory, FromArgMatches};
use fileserve::{Access, Hosts};
use nix::unistd::{User, geteuid};

use self::tree::{DEPTH_MAX, Finding, Findings, NAMES_MAX, Reader, Site};
use crate::args::Args;
use crate::checks;
use crate::jail::{self, Jail, Jailed, Rules, Use};
use crate::serve;
use crate::settings;
use crate::typed::Typed;
use crate::usage;
use crate::user::{self, Identity};

/// What the command is called.
pub(crate) const NAME: &str = "doctor";

/// Lines of one kind that are shown: more would hide the others. All are counted.
const LINES_MAX: usize = 200;

const HELP: &str = "\
Tells what would be enforced for a directory, and what in it looks exposed

Usage: httpd doctor [OPTIONS] [ROOT]

The options are those of httpd, see: httpd --help. Nothing is served, and nothing changed; each
address is listened at for a moment. One in use is told of, for httpd may be running already.
With --user, root's doctor tries all as that user, and anybody else's says what it cannot try.
Exit status: 0 if nothing looks exposed; 1 if something does, if not all could be looked at, or if
httpd would not start; 2 if the command line makes no sense.
";

/// Does what the words behind the command's name say, and says whether all is well.
pub(crate) fn run(words: impl Iterator<Item = OsString>) -> ExitCode {
    let line = [OsString::from("httpd")].into_iter().chain(words);
    let read = command().try_get_matches_from(line).and_then(|matches| {
        let typed = Typed::new(&matches);
        Ok((Args::from_arg_matches(&matches)?, typed))
    });
    let (args, typed) = match read {
        Ok(read) => read,
        Err(error) if error.use_stderr() => return crate::fail(2, usage::sentence(&error)),
        Err(text) => {
            let _ = text.print();
            return ExitCode::SUCCESS;
        }
    };
    crate::init_log(args.verbose);
    match examine(&args, &typed) {
        Ok((report, is_well)) => {
            // Nobody may be reading; the exit status says what matters.
            let _ = io::stdout().write_all(report.as_bytes());
            ExitCode::from(u8::from(!is_well))
        }
        Err(error) => crate::fail(1, format_args!("{error:#}")),
    }
}

fn command() -> Command {
    Args::command().override_help(HELP)
}

/// The report, and whether nothing looks exposed.
///
/// In the order of the server's start, and as root becomes the user of `--user` here as well, what
/// is tried is what the server could do. What another one could, who is not root, cannot be tried.
fn examine(args: &Args, typed: &Typed) -> Result<(String, bool)> {
    let is_root = geteuid().is_root();
    let user = args.protection.user.as_deref().map(user::find).transpose()?;
    let is_tried = user.is_none() || is_root;
    checks::root(args, typed)?;
    if is_tried {
        checks::forms(args)?;
    }
    let access = checks::auth(args)?;
    let descriptors = serve::raise_descriptor_limit();
    let limits = settings::limits(args, descriptors);
    let busy = match checks::addresses(args, typed, &limits) {
        Err(error) if is_tried => return Err(error),
        tried => tried.unwrap_or_default(),
    };
    if let Some(user) = user.as_ref().filter(|_| is_root) {
        user.assume()?;
        checks::forms(args)?;
    }
    if is_tried {
        checks::log(args, typed)?;
        checks::root(args, typed)?;
    }
    let root = args.root.canonicalize().with_context(|| args.root.display().to_string())?;
    let log = log_file(args);
    let site = Site {
        root: &root,
        hidden: args.hidden,
        log: log.as_deref(),
        reader: match &user {
            Some(user) if !is_tried => {
                let (uid, gid) = user.ids();
                Reader::User { uid, gid }
            }
            _ => Reader::Me,
        },
    };
    let found = tree::look(&site);
    let mut report =
        Report(format!("httpd {} would serve {}\n", env!("CARGO_PKG_VERSION"), root.display()));
    enforced(&mut report, args, access.as_deref());
    report.row("user", whom(user.as_ref(), is_root));
    for address in &args.bind {
        report.row("listening at", listening(*address, busy.contains(address)));
    }
    if !is_tried {
        let what = "the addresses, the log and the forms, as only root becomes another user";
        report.row("not tried", what);
    }
    limits::rows(&mut report, args, descriptors, &limits);
    findings(&mut report, &found);
    Ok((report.0, found.exposed.is_empty() && !found.cut))
}

/// Where the log is, without links in its directory.
fn log_file(args: &Args) -> Option<PathBuf> {
    if matches!(args.access_log.to_str(), Some("-" | "off")) {
        return None;
    }
    let log = path::absolute(&args.access_log).ok()?;
    Some(log.parent()?.canonicalize().ok()?.join(log.file_name()?))
}

/// Text in sections of rows.
struct Report(String);

impl Report {
    fn section(&mut self, title: &str) {
        // A string takes all.
        let _ = write!(self.0, "\n{title}\n");
    }

    fn row(&mut self, label: &str, text: impl std::fmt::Display) {
        let _ = writeln!(self.0, "  {label:<18} {text}");
    }
}

fn enforced(report: &mut Report, args: &Args, access: Option<&Access>) {
    report.section("enforced");
    jail_rows(report, args);
    report.row(
        "writing",
        match (args.writable, access) {
            (false, _) => "off: nothing beneath the directory can be changed",
            (true, None) => "on, for anyone who can reach it (--auth says who may)",
            (true, Some(_)) => "on, for whoever has the right",
        },
    );
    if args.writable {
        let scripts =
            if args.writing.trust_uploads { "run (--trust-uploads)" } else { "do not run" };
        report.row("scripts of uploads", scripts);
    }
    report.row("rights", rights(args, access));
    report.row("hidden names", if args.hidden { "served (--hidden)" } else { "not served" });
    report.row("links", "followed as long as they stay in the directory");
    report.row("hosts", hosts(args));
    report.row("foreign pages", "cannot have a browser write here");
}

fn listening(address: SocketAddr, is_busy: bool) -> String {
    let reach = match address.ip().to_canonical().is_loopback() {
        true => "this machine only",
        false => "the network",
    };
    let busy = if is_busy { "; in use now, perhaps by a server that runs already" } else { "" };
    format!("{address}, for {reach}{busy}")
}

/// The jail is entered, on a thread that ends: what cannot be done shows now.
fn jail_rows(report: &mut Report, args: &Args) {
    let (server, log) = (Rules::for_server(args), Rules::for_log(args));
    let entered = || {
        let jail = jail::enter(args, &server);
        (jail, std::fs::read_dir("/").is_err(), UnixDatagram::unbound().is_err())
    };
    let tried = std::thread::scope(|scope| scope.spawn(entered).join());
    let (jail, is_tight, is_mute) = tried.unwrap_or_else(|_| {
        let why = "it could not be tried".to_owned();
        let jail = Jail { files: Jailed::Failed(why.clone()), calls: Jailed::Failed(why) };
        (jail, false, false)
    });
    let tried = |is_so, text| if is_so { text } else { "" };
    match &jail.files {
        Jailed::Inside(abi) => {
            let tried = tried(is_tight, ", tried: / cannot be opened");
            report.row("jail", format_args!("landlock ABI {abi}{tried}"));
            for (path, what) in server.all() {
                report.row("  opened", opened(args, path, what));
            }
            for (path, what) in log.all() {
                report.row("  by the log", opened(args, path, what));
            }
        }
        Jailed::Off => report.row("jail", "none (--no-jail)"),
        Jailed::Unavailable(why) => report.row("jail", format_args!("not available: {why}")),
        Jailed::Failed(why) => report.row("jail", format_args!("there is none: {why}")),
    }
    match &jail.calls {
        Jailed::Inside(()) => {
            let tried = tried(is_mute, ", tried: no socket is made");
            report.row("system calls", format_args!("seccomp{tried}"));
        }
        Jailed::Off => report.row("system calls", "all can be made (--no-jail)"),
        Jailed::Unavailable(why) => {
            report.row("system calls", format_args!("all can be made: {why}"));
        }
        Jailed::Failed(why) => report.row("system calls", format_args!("all can be made: {why}")),
    }
    for (label, text) in [("network", network(&jail)), ("programs", programs(&jail))] {
        report.row(&format!("  {label}"), text);
    }
    if matches!(jail.files, Jailed::Inside(6..)) {
        report.row("  processes", "no other one is signalled");
    }
}

/// What the kernel keeps who serves from, once what is listened at is bound.
fn network(jail: &Jail) -> &'static str {
    match (&jail.calls, &jail.files) {
        (Jailed::Inside(()), _) => "no connection is made, no further address listened at",
        (_, Jailed::Inside(10..)) => "no connection is made, no further address used",
        (_, Jailed::Inside(4..)) => {
            "no TCP connection is made or further port listened at; UDP and local sockets are free"
        }
        _ => "not kept from connections",
    }
}

fn programs(jail: &Jail) -> &'static str {
    match (&jail.calls, &jail.files) {
        (Jailed::Inside(()), _) => "none is run, and none gains rights (no_new_privs)",
        (_, Jailed::Inside(_)) => "none is run from a file, and none gains rights (no_new_privs)",
        (_, Jailed::Off) => "run as usual",
        _ => "run, but none gains rights (no_new_privs)",
    }
}

/// What may be done at a path. A right is good for all that lies beneath, so a directory for logs
/// or forms that holds the root lets more be done than was meant.
fn opened(args: &Args, path: &Path, what: Use) -> String {
    let place = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let holds_root = args.root.canonicalize().is_ok_and(|root| root.starts_with(&place));
    let note = match holds_root && what == Use::Keep {
        true => " - the directory that is served lies in it, better use another one",
        false => "",
    };
    format!("{}: {what}{note}", shown(&place))
}

fn whom(user: Option<&Identity>, is_root: bool) -> String {
    match user {
        Some(user) if is_root => format!("{user}, once the addresses are bound, tried"),
        Some(user) => format!("{user}, if root starts it"),
        None if is_root => {
            "root, if root starts it as now (--user NAME gives root's rights up)".to_owned()
        }
        None => {
            let name = User::from_uid(geteuid()).ok().flatten().map(|user| user.name);
            format!("{}, who starts it", name.unwrap_or_else(|| format!("uid {}", geteuid())))
        }
    }
}

fn rights(args: &Args, access: Option<&Access>) -> String {
    match (access, &args.auth) {
        (Some(access), Some(file)) => crate::auth::announcement(access, file, &[])
            .trim_end()
            .trim_start_matches("rights: ")
            .to_owned(),
        _ => "none: anyone who can reach it may read (--auth says who may)".to_owned(),
    }
}

fn hosts(args: &Args) -> String {
    let Hosts { any, names } = settings::hosts(args);
    if any {
        return "any is answered to".to_owned();
    }
    let ours = ["localhost", "127.0.0.1", "[::1]"];
    let all: Vec<_> = ours.into_iter().chain(names.iter().map(String::as_str)).collect();
    format!("{}; another one is refused over a loopback address", all.join(", "))
}

fn findings(report: &mut Report, found: &Findings) {
    let mut list = |title: &str, findings: &[Finding]| {
        if findings.is_empty() {
            return;
        }
        report.section(title);
        for Finding { path, what } in findings.iter().take(LINES_MAX) {
            let _ = writeln!(report.0, "  {}  {what}", shown(path));
        }
        if let Some(more @ 1..) = findings.len().checked_sub(LINES_MAX) {
            let _ = writeln!(report.0, "  and {more} more");
        }
    };
    list("there, and not served", &found.kept);
    list("exposed", &found.exposed);
    let more = if found.cut {
        format!(", and there are more ({NAMES_MAX} names, {DEPTH_MAX} directories deep at most)")
    } else {
        String::new()
    };
    let count = match found.exposed.len() {
        0 => "nothing looks exposed".to_owned(),
        1 => "1 finding".to_owned(),
        count => format!("{count} findings"),
    };
    let _ = write!(report.0, "\n{count}; {} names looked at{more}\n", found.names);
}

/// A path for a terminal, whatever somebody has put into the name: what cannot be seen, or turns
/// the direction of what follows, is written out.
fn shown(path: &Path) -> String {
    // Which escapes quotes, too, but these do no harm.
    let escaped = path.to_string_lossy().escape_debug().to_string();
    escaped.replace("\\'", "'").replace("\\\"", "\"")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_cannot_speak_to_the_terminal() {
        for (name, expected) in [
            ("/a b/é", "/a b/é"),
            ("/\u{1b}[2J", "/\\u{1b}[2J"),
            ("/a\nexposed", "/a\\nexposed"),
            ("/\u{85}", "/\\u{85}"),
            ("/it's \"quoted\"", "/it's \"quoted\""),
            ("/e\u{301}", "/e\u{301}"),
            ("/\u{202e}lqs.pmud", "/\\u{202e}lqs.pmud"),
            ("/a\u{200b}b\u{ad}c\u{feff}", "/a\\u{200b}b\\u{ad}c\\u{feff}"),
            ("/\u{2028}\u{2066}\u{e0041}", "/\\u{2028}\\u{2066}\\u{e0041}"),
            ("/\\u{1b}", "/\\\\u{1b}"),
            ("/\\'", "/\\\\'"),
        ] {
            assert_eq!(shown(Path::new(name)), expected);
        }
    }
}
