//! Every system call that the serving server makes fails, each with every error that is usual for
//! it, early and late: nobody dies, nothing is lost, nobody is told what is not so.
//!
//! `strace` lets them fail. Its count of calls is for each thread, so that a run fails one call in
//! every thread that gets so far.

mod scenario;
mod tracer;

use std::collections::BTreeMap;

use anyhow::{Context, Result};

use crate::trial::server::Server;
use crate::trial::{Terms, Verdicts};
use scenario::{Expected, Fault};
use tracer::Tracer;

/// The errors that are usual for each call. Those that the kernel gives only to who asks wrongly
/// are left out, and EAGAIN where something is there: edge-triggered, nobody would tell again.
const ERRORS: [(&str, &[&str]); 40] = [
    ("accept4", &["EMFILE", "ENFILE", "ENOMEM", "ECONNABORTED", "EINTR"]),
    ("brk", &["ENOMEM"]),
    ("clone3", &["EAGAIN", "ENOMEM"]),
    ("epoll_ctl", &["ENOMEM", "ENOSPC"]),
    ("epoll_pwait", &["EINTR"]),
    ("epoll_wait", &["EINTR"]),
    ("fallocate", &["EIO", "ENOSPC", "EINTR"]),
    ("fchmod", &["EIO"]),
    ("fcntl", &["EMFILE", "EINTR"]),
    ("fdatasync", &["EIO", "ENOSPC"]),
    ("flock", &["EINTR", "ENOLCK"]),
    ("fstat", &["EIO", "ENOMEM"]),
    ("fstatfs", &["EIO", "EINTR"]),
    ("fsync", &["EIO", "ENOSPC", "EINTR"]),
    ("ftruncate", &["EIO", "ENOSPC", "EINTR"]),
    ("getdents64", &["EIO", "ENOMEM"]),
    ("getrandom", &["EINTR"]),
    ("inotify_add_watch", &["ENOSPC", "ENOMEM"]),
    ("ioctl", &["EIO", "ENOTTY"]),
    ("linkat", &["EIO", "ENOSPC", "ENOMEM", "EDQUOT"]),
    ("lseek", &["EIO"]),
    ("mkdirat", &["EIO", "ENOSPC", "ENOMEM"]),
    ("mmap", &["ENOMEM"]),
    ("mprotect", &["ENOMEM"]),
    ("newfstatat", &["EIO", "ENOMEM"]),
    ("openat", &["EIO", "ENOSPC", "EMFILE", "ENFILE", "ENOMEM", "EINTR"]),
    ("openat2", &["EIO", "ENOSPC", "EMFILE", "ENFILE", "ENOMEM", "EINTR", "EAGAIN"]),
    ("pread64", &["EIO", "EINTR"]),
    ("preadv2", &["EIO", "EINTR", "EAGAIN"]),
    ("read", &["EIO", "EINTR"]),
    ("recvfrom", &["ECONNRESET", "ENOMEM", "EINTR"]),
    ("renameat", &["EIO", "ENOSPC", "ENOMEM"]),
    ("renameat2", &["EIO", "ENOSPC", "ENOMEM"]),
    ("sendfile", &["EIO", "ENOMEM", "EPIPE", "EINTR"]),
    ("sendmsg", &["ECONNRESET", "EPIPE", "ENOBUFS", "EINTR"]),
    ("sendto", &["ECONNRESET", "EPIPE", "ENOBUFS", "EINTR"]),
    ("statx", &["EIO", "ENOMEM"]),
    ("unlinkat", &["EIO", "ENOMEM"]),
    ("utimensat", &["EIO", "ENOSPC"]),
    ("write", &["EIO", "ENOSPC", "EINTR"]),
];
/// Calls that do not fail, that only wait, or of which a failure that is made up leaves behind what
/// a real one would not (`close` closes in any case).
const LEFT_OUT: &[&str] = &[
    "clock_nanosleep",
    "close",
    "exit",
    "exit_group",
    "futex",
    "getpid",
    "getsockopt",
    "getsockname",
    "gettid",
    "inotify_rm_watch",
    "madvise",
    "munmap",
    "ppoll",
    "restart_syscall",
    "rseq",
    "rt_sigprocmask",
    "rt_sigreturn",
    "sched_getaffinity",
    "sched_yield",
    "set_robust_list",
    "setsockopt",
    "shutdown",
    "sigaltstack",
    "tgkill",
];
/// The servers that are tried: files kept in memory, and not.
const SERVERS: [&[&str]; 2] = [&[], &["--cache", "0"]];
/// Of each thread's calls, those that fail, in turn; and the last.
const CALLS: [usize; 9] = [1, 2, 3, 4, 6, 9, 14, 30, 100];

pub(super) fn run(verdicts: &mut Verdicts, terms: &Terms) -> Result<()> {
    if let Some(why) = tracer::missing() {
        println!("  skipped: {why}");
        return Ok(());
    }
    let mut all = Vec::new();
    let mut runs = 0;
    for args in SERVERS {
        let counts = profile(args)?;
        let flags = args.join(" ");
        println!("  httpd --writable {flags}: {} calls of {} kinds", sum(&counts), counts.len());
        let untried: Vec<&str> = counts.keys().map(String::as_str).filter(is_unknown).collect();
        verdicts.claim("every call is in the table", untried.is_empty(), &untried.join(" "));
        for fault in plan(&counts, terms) {
            terms.check_time()?;
            runs += 1;
            let found = attempt(args, &fault).with_context(|| format!("with {fault:?}"))?;
            for complaint in found {
                let line = format!("{} (httpd --writable {flags}): {complaint}", fault.inject());
                println!("  {line}");
                all.push(complaint);
            }
        }
    }
    println!("  {runs} runs, each of {} requests", scenario::REQUESTS);
    for (name, kind) in scenario::CLAIMS {
        let count = all.iter().filter(|complaint| complaint.kind == kind).count();
        verdicts.none(name, count, runs);
    }
    Ok(())
}

/// How often the busiest thread makes each call, when nothing fails.
fn profile(args: &[&str]) -> Result<BTreeMap<String, usize>> {
    let server = start(args)?;
    let tracer = Tracer::attach(&server, None)?;
    let mut expected = Expected::default();
    scenario::play(&server, &mut expected)?;
    let complaints = expected.complaints;
    anyhow::ensure!(complaints.is_empty(), "without a fault: {complaints:?}");
    tracer.detach()?.calls()
}

fn start(args: &[&str]) -> Result<Server> {
    let args = [scenario::ARGS, args].concat();
    Server::start(&args, scenario::fill)
}

fn sum(counts: &BTreeMap<String, usize>) -> usize {
    counts.values().sum()
}

fn is_unknown(call: &&str) -> bool {
    !LEFT_OUT.contains(call) && ERRORS.iter().all(|(known, _)| known != call)
}

fn plan(counts: &BTreeMap<String, usize>, terms: &Terms) -> Vec<Fault> {
    let mut faults = Vec::new();
    for (call, errors) in ERRORS {
        let Some(&count) = counts.get(call) else { continue };
        let calls = CALLS.iter().copied().filter(|&number| number < count).chain([count]);
        let calls: Vec<usize> = calls.collect();
        for error in errors {
            let step = terms.pick(calls.len().div_ceil(2), 1);
            for &when in calls.iter().step_by(step) {
                faults.push(Fault { call, error, when });
            }
        }
    }
    faults
}

/// Plays the scenario with one fault, and says what is wrong with what became of it.
fn attempt(args: &[&str], fault: &Fault) -> Result<Vec<scenario::Complaint>> {
    let mut server = start(args)?;
    let tracer = Tracer::attach(&server, Some(&fault.inject()))?;
    let mut expected = Expected::default();
    let played = scenario::play(&server, &mut expected);
    let log = tracer.detach()?;
    played?;
    // What is left has happened in other runs, with other calls, as well.
    if log.injected() == 0 || log.impossible() > 0 || expected.is_void {
        return Ok(Vec::new());
    }
    scenario::judge_after(&mut server, &mut expected)?;
    Ok(expected.complaints)
}
