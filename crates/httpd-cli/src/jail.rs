//! Decides what each of the server's threads may still do, once all that lies outside is open.
//!
//! A thread enters the jail, and what it starts is born in it. There are two: the one that writes
//! the access log may make files where the log is, so that it can be rotated, and nothing else;
//! all others, which are those that hear from clients, may do to the root what is served, and keep
//! forms. Neither can be left. Of either, the kernel refuses what no running server asks for:
//! further sockets, programs, and what reaches into other processes or the kernel.

// seccompiler makes filters for these.
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64", target_arch = "riscv64"))]
mod calls;
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64", target_arch = "riscv64")))]
mod calls {
    pub(super) fn refuse() -> super::Jailed<()> {
        super::Jailed::Unavailable("there are no seccomp filters for this architecture")
    }
}
mod linux;

use std::fmt::{self, Write as _};
use std::path::{self, Path, PathBuf};

use crate::args::Args;

/// What may be done beneath a directory, or to a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Use {
    /// Files are read, directories listed.
    Read,
    /// Files are also made, replaced and removed; directories too, where `directories` says so.
    Write { directories: bool },
    /// Files are made, read and written, never removed. The server only appends, but no right is
    /// as narrow as that: what is there can be overwritten and cut.
    Keep,
    /// A single file is read and written.
    KeepOne,
}

/// What a thread may open, and nothing besides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Rules(Vec<(PathBuf, Use)>);

/// What became of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Jail {
    /// Whether nothing beyond the rules can be opened. The extent is landlock's ABI, as the kernel
    /// numbers what it can enforce: 2 lets files be moved between directories, 3 guards their
    /// length, 4 TCP, 5 devices, 6 signals and abstract sockets, 9 sockets by path, 10 UDP.
    pub(crate) files: Jailed<u32>,
    /// Whether no system call is made that a running server has no use for.
    pub(crate) calls: Jailed<()>,
}

/// What became of one of its walls.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Jailed<Extent> {
    /// It stands.
    Inside(Extent),
    /// The kernel cannot.
    Unavailable(&'static str),
    /// The kernel could, and something went wrong.
    Failed(String),
    /// It was not asked for.
    Off,
}

/// Closes the jail around the calling thread, and those that it starts from now on.
///
/// A kernel that cannot do all of it does what it can, one that can do nothing leaves the thread as
/// it was: the server serves then as well, and says so.
pub(crate) fn enter(args: &Args, rules: &Rules) -> Jail {
    match args.protection.no_jail {
        true => Jail { files: Jailed::Off, calls: Jailed::Off },
        false => close(rules),
    }
}

fn close(rules: &Rules) -> Jail {
    // Good without the rest as well, which asks for it.
    if let Err(errno) = rustix::thread::set_no_new_privs(true) {
        let why = format!("rights cannot be given up: {errno}");
        return Jail { files: Jailed::Failed(why.clone()), calls: Jailed::Failed(why) };
    }
    Jail { files: linux::restrict(rules), calls: calls::refuse() }
}

impl Rules {
    /// For the threads that serve.
    pub(crate) fn for_server(args: &Args) -> Rules {
        let root = match args.writable {
            true => Use::Write { directories: args.writing.directories },
            false => Use::Read,
        };
        let mut rules = vec![(args.root.clone(), root)];
        rules.extend(args.writing.forms.clone().map(|dir| (dir, Use::Keep)));
        Rules(rules)
    }

    /// For the thread that writes the log. It opens the log's path anew after a rotation, and
    /// that makes a file: so it may make files in its directory. What is no regular file, as a FIFO
    /// or a device, is opened by itself.
    pub(crate) fn for_log(args: &Args) -> Rules {
        let log = match args.access_log.to_str() {
            Some("off" | "-") => return Rules(Vec::new()),
            _ => path::absolute(&args.access_log).unwrap_or_else(|_| args.access_log.clone()),
        };
        if std::fs::metadata(&log).is_ok_and(|found| !found.is_file()) {
            return Rules(vec![(log, Use::KeepOne)]);
        }
        // Where its name is, and where a link with that name leads; but what /dev/stdout is called
        // is no reason to write to devices.
        let places = [log.clone(), led_to(&log)];
        let is_systems = |dir: &Path| dir == Path::new("/dev") || dir.starts_with("/proc");
        let dirs = places.iter().filter_map(|log| log.parent());
        let dirs = dirs.filter(|dir| !is_systems(dir));
        let mut rules: Vec<_> = dirs.map(|dir| (dir.to_owned(), Use::Keep)).collect();
        rules.dedup();
        Rules(rules)
    }

    /// Each path and what may be done there.
    pub(crate) fn all(&self) -> impl Iterator<Item = (&Path, Use)> {
        self.0.iter().map(|(path, what)| (path.as_path(), *what))
    }
}

/// Where a file is, or would be made, that is opened by this name: links may lead to a name that is
/// not there yet.
pub(crate) fn led_to(path: &Path) -> PathBuf {
    /// As many as the kernel follows.
    const LINKS_MAX: usize = 40;
    let mut place = path.to_owned();
    for _ in 0..LINKS_MAX {
        if let Ok(there) = place.canonicalize() {
            return there;
        }
        let (Ok(target), Some(dir)) = (place.read_link(), place.parent()) else { break };
        place = dir.join(target);
    }
    match (place.parent().map(Path::canonicalize), place.file_name()) {
        (Some(Ok(dir)), Some(name)) => dir.join(name),
        _ => place,
    }
}

impl Jail {
    /// The lines that tell of it at the start.
    pub(crate) fn line(&self, rules: &Rules) -> String {
        let files = match &self.files {
            Jailed::Inside(abi) => {
                let mut text = "jail: only ".to_owned();
                for (place, (path, _)) in rules.all().enumerate() {
                    let path = path.canonicalize().unwrap_or_else(|_| path.to_owned());
                    let and = if place > 0 { " and " } else { "" };
                    // A string takes all.
                    let _ = write!(text, "{and}{}", path.display());
                }
                text + &format!(" can be opened by what serves clients (landlock ABI {abi})\n")
            }
            Jailed::Unavailable(why) => format!("jail: not available: {why}\n"),
            Jailed::Failed(why) => {
                format!("warning: there is no jail, though this kernel has landlock: {why}\n")
            }
            Jailed::Off => {
                return "no jail: all that this user may open can be opened\n".to_owned();
            }
        };
        let calls = match &self.calls {
            Jailed::Inside(()) => "no socket is made, and no program run (seccomp)\n".to_owned(),
            Jailed::Unavailable(why) => {
                format!("sockets and programs are not refused: {why}\n")
            }
            Jailed::Failed(why) => {
                format!("warning: sockets and programs are not refused: {why}\n")
            }
            Jailed::Off => String::new(),
        };
        files + &calls
    }

    /// Why a wall does not stand though the kernel could have it.
    pub(crate) fn failures(&self) -> impl Iterator<Item = &str> {
        let of_files = match &self.files {
            Jailed::Failed(why) => Some(why.as_str()),
            _ => None,
        };
        let of_calls = match &self.calls {
            Jailed::Failed(why) => Some(why.as_str()),
            _ => None,
        };
        of_files.into_iter().chain(of_calls)
    }
}

impl fmt::Display for Use {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Use::Read => "read",
            Use::Write { directories: false } => "read; make, replace and remove files",
            Use::Write { directories: true } => "read; make, replace and remove files, directories",
            Use::Keep => "make, read and write files",
            Use::KeepOne => "read and write",
        })
    }
}

#[cfg(test)]
mod tests;
