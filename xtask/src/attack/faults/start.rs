//! Calls that fail while a server starts: it says in a sentence why it ends, with status 1, or
//! serves, with a warning where something is missing then.

use std::collections::BTreeMap;
use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use rustix::process::{Pid, Signal, kill_process};

use super::tracer::{self, Log};
use crate::attack::exchange::{Outcome, Talk};
use crate::trial::server::{address_in, binary, fresh_dir};
use crate::trial::{Terms, Verdicts};

/// A call that is made at the start.
struct Row {
    call: &'static str,
    /// Only where it concerns the paths that are ours: the program's loader makes such calls too,
    /// and its failures are its own.
    ours: bool,
    errors: &'static [&'static str],
    /// Who serves without has to say so.
    warns: bool,
}

const fn row(call: &'static str, errors: &'static [&'static str]) -> Row {
    Row { call, ours: false, errors, warns: false }
}

const ROWS: [Row; 26] = [
    row("bind", &["EADDRINUSE", "EACCES", "EADDRNOTAVAIL", "ENOMEM"]),
    row("clone3", &["EAGAIN", "ENOMEM"]),
    row("epoll_create1", &["EMFILE", "ENFILE", "ENOMEM"]),
    row("epoll_ctl", &["ENOMEM", "ENOSPC"]),
    row("eventfd2", &["EMFILE", "ENFILE", "ENOMEM"]),
    Row { ours: true, ..row("fcntl", &["EMFILE"]) },
    row("flock", &["ENOLCK", "EINTR"]),
    row("fstatfs", &["EIO"]),
    row("getsockname", &["ENOBUFS"]),
    Row { warns: true, ..row("inotify_init1", &["EMFILE", "ENFILE", "ENOMEM"]) },
    Row { warns: true, ..row("landlock_add_rule", &["ENOMEM"]) },
    Row { warns: true, ..row("landlock_create_ruleset", &["ENOSYS", "EOPNOTSUPP", "ENOMEM"]) },
    Row { warns: true, ..row("landlock_restrict_self", &["EPERM", "E2BIG", "ENOMEM"]) },
    row("linkat", &["EIO", "ENOSPC", "EPERM"]),
    row("listen", &["EADDRINUSE"]),
    Row { ours: true, ..row("newfstatat", &["EIO", "ENOMEM"]) },
    Row { ours: true, ..row("open", &["EIO", "EMFILE", "ENFILE", "EACCES"]) },
    Row { ours: true, ..row("openat", &["EIO", "ENOSPC", "EMFILE", "ENFILE", "ENOMEM"]) },
    row("openat2", &["EIO", "EMFILE", "ENFILE", "ENOMEM", "ENOSYS"]),
    row("prctl", &["EINVAL"]),
    Row { ours: true, ..row("read", &["EIO", "EINTR"]) },
    Row { warns: true, ..row("seccomp", &["EINVAL", "ENOMEM", "EACCES"]) },
    row("setpriority", &["EACCES"]),
    row("setsockopt", &["ENOBUFS", "ENOPROTOOPT"]),
    row("socket", &["EMFILE", "ENFILE", "ENOBUFS", "ENOMEM"]),
    row("socketpair", &["EMFILE", "ENFILE", "ENOMEM"]),
];
const ARGS: &[&str] = &[
    "-b",
    "127.0.0.1:0",
    "--writable",
    "--workers",
    "1",
    "--pool",
    "2",
    "--directories",
    "--gzip",
    "--forms",
    "kept",
    "--auth",
    "users",
    "root",
];
const SMALL: &str = "the small file\n";
const USERS: &str = "/ * read\n";
/// Who neither serves nor has ended by then hangs.
const PATIENCE: Duration = Duration::from_secs(10);
const STOP_MAX: Duration = Duration::from_secs(12);

/// What became of a start.
enum Start {
    Serves,
    Ends,
    NotHit,
    Wrong(String),
}

pub(in crate::attack) fn run(verdicts: &mut Verdicts, terms: &Terms) -> Result<()> {
    if let Some(why) = tracer::missing() {
        println!("  skipped: {why}");
        return Ok(());
    }
    let (mut serves, mut ends, mut not_hit, mut wrong) = (0, 0, 0, 0);
    let mut never = Vec::new();
    for row in &ROWS {
        let count = occurrences(row)?;
        for error in row.errors {
            let mut hits = 0;
            for when in (1..=count).step_by(terms.pick(count.div_ceil(2).max(1), 1)) {
                terms.check_time()?;
                let inject = format!("{}:error={error}:when={when}", row.call);
                match attempt(row, &inject).with_context(|| inject.clone())? {
                    Start::Serves => serves += 1,
                    Start::Ends => ends += 1,
                    Start::NotHit => {
                        not_hit += 1;
                        continue;
                    }
                    Start::Wrong(why) => {
                        println!("  a start with {inject}: {why}");
                        wrong += 1;
                    }
                }
                hits += 1;
            }
            if hits == 0 {
                never.push((row.call, error));
            }
        }
    }
    let all = serves + ends + wrong;
    println!("  {all} starts judged, {not_hit} not: {serves} serve, {ends} end with a sentence");
    verdicts.claim("every fault of a start was judged", never.is_empty(), &format!("{never:?}"));
    verdicts.none("starts that end without a word, hang, or serve wrongly", wrong, all);
    Ok(())
}

/// A directory with what a server needs. It is removed when this is dropped, and the server killed.
struct Place {
    dir: PathBuf,
    child: Option<Child>,
}

impl Place {
    fn make() -> Result<Place> {
        let place = Place { dir: fresh_dir()?, child: None };
        fs::create_dir(place.dir.join("root"))?;
        fs::create_dir(place.dir.join("kept"))?;
        fs::write(place.dir.join("root/small"), SMALL)?;
        fs::write(place.dir.join("users"), USERS)?;
        Ok(place)
    }

    /// Starts the server under strace, which is no parent of it (`-D`), so that its end is seen.
    fn start(&mut self, row: &Row, inject: Option<&str>) -> Result<()> {
        let mut command = Command::new("strace");
        command.args(["-D", "-f", "-qq", "-o", "strace", "-e", &format!("trace={}", row.call)]);
        if row.ours {
            for name in ["root", "kept", "users", "access.log"] {
                // As it is asked for, and as it is.
                command.arg("-P").arg(name).arg("-P").arg(self.dir.join(name));
            }
        }
        if let Some(inject) = inject {
            command.args(["-e", &format!("inject={inject}")]);
        }
        command.arg(binary()?).args(ARGS).current_dir(&self.dir);
        let stderr = fs::File::create(self.dir.join("stderr"))?;
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(stderr);
        self.child = Some(command.spawn().context("strace cannot be started")?);
        Ok(())
    }

    /// What the server has said, without what strace has.
    fn said(&self) -> String {
        let said = fs::read_to_string(self.dir.join("stderr")).unwrap_or_default();
        let ours = said.lines().filter(|line| !line.starts_with("strace: "));
        ours.map(|line| format!("{line}\n")).collect()
    }

    fn log(&self) -> Log {
        Log::read(&self.dir.join("strace"))
    }

    /// The status once it has ended, if it does before `until` or `patience` is over: its code, or
    /// `None` within for a signal's.
    fn wait(
        &mut self,
        patience: Duration,
        until: impl Fn(&str) -> bool,
    ) -> Result<Option<Option<i32>>> {
        let deadline = Instant::now() + patience;
        let child = self.child.as_mut().context("it was started")?;
        let stderr = self.dir.join("stderr");
        loop {
            if let Some(status) = child.try_wait()? {
                return Ok(Some(status.code()));
            }
            if until(&fs::read_to_string(&stderr).unwrap_or_default()) || Instant::now() > deadline
            {
                return Ok(None);
            }
            sleep(Duration::from_millis(10));
        }
    }

    fn terminate(&mut self) -> Result<Option<Option<i32>>> {
        let child = self.child.as_ref().context("it was started")?;
        kill_process(Pid::from_child(child), Signal::TERM)?;
        self.wait(STOP_MAX, |_| false)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            // Both fail only when it is gone already.
            let _ = child.kill();
            let _ = child.wait();
        }
        let _ = fs::remove_dir_all(&self.dir);
    }
}

/// The last line of a server that serves.
fn is_up(said: &str) -> bool {
    said.lines().any(|line| line.starts_with("jail: ") || line.contains("there is no jail, "))
}

/// How often the busiest thread makes the call when nothing fails.
fn occurrences(row: &Row) -> Result<usize> {
    let mut place = Place::make()?;
    place.start(row, None)?;
    let ended = place.wait(PATIENCE, is_up)?;
    ensure!(ended.is_none() && is_up(&place.said()), "without a fault: {}", place.said());
    place.terminate()?;
    let calls: BTreeMap<String, usize> = place.log().calls()?;
    Ok(calls.get(row.call).copied().unwrap_or(0))
}

fn attempt(row: &Row, inject: &str) -> Result<Start> {
    let mut place = Place::make()?;
    place.start(row, Some(inject))?;
    let ended = place.wait(PATIENCE, is_up)?;
    let said = place.said();
    let found = match ended {
        Some(code) => judge_end(code, &said),
        None if is_up(&said) => judge_service(&mut place, row, &said)?,
        None => Start::Wrong(format!("it hangs; it has said {said:?}")),
    };
    // A call after the start is none of it.
    if place.log().injected() == 0 {
        return Ok(Start::NotHit);
    }
    Ok(found)
}

fn judge_end(code: Option<i32>, said: &str) -> Start {
    let is_warning = |line: &&str| !line.contains("[WARN]");
    let sentences: Vec<&str> = said.lines().filter(is_warning).collect();
    let is_clear = matches!(&sentences[..], [one] if one.starts_with("httpd: "));
    match code == Some(1) && is_clear {
        true => Start::Ends,
        false => Start::Wrong(format!("status {code:?}; it has said {said:?}")),
    }
}

fn judge_service(place: &mut Place, row: &Row, said: &str) -> Result<Start> {
    let addr = said.lines().find_map(address_in).context("no address in what it says")?;
    // In the log, in the announcement, or where that says what the kernel does not have.
    let ways = ["[WARN]", "warning: ", "this kernel has no ", "turned off in this kernel"];
    let told = ways.iter().any(|way| said.contains(way));
    if row.warns && !told {
        return Ok(Start::Wrong("it serves without a warning".to_owned()));
    }
    // The first may be met by the fault, on another thread than those of the start.
    let mut answers = (0..3).map(|_| ask(addr));
    if !answers.any(|one| one.is_ok_and(|one| one)) {
        return Ok(Start::Wrong(format!("/small is not served; it has said {said:?}")));
    }
    Ok(match place.terminate()? {
        Some(Some(0)) => Start::Serves,
        other => Start::Wrong(format!("SIGTERM: {other:?}; it has said {:?}", place.said())),
    })
}

fn ask(addr: SocketAddr) -> Result<bool> {
    let request = "GET /small HTTP/1.1\r\nHost: localhost\r\n\r\n";
    let Outcome::Whole(answer) = Talk::open(addr)?.exchange(request, b"") else { return Ok(false) };
    Ok(answer.status == 200 && answer.content == SMALL.as_bytes())
}
