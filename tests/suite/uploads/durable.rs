//! A write is answered only once it would survive a power cut: the order of the server's system
//! calls shows it, as strace sees them. Where that cannot be had, the test is skipped and says so.

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use conformance::server::{Server, ServerOptions, Signal};
use tempfile::TempDir;

use super::{SOON, ask, connect, put, wait_until};

/// The calls that count: what brings something to the disk, what changes names, what answers.
const CALLS: &str =
    "trace=fsync,fdatasync,syncfs,linkat,renameat,renameat2,unlinkat,mkdirat,sendto,sendmsg,writev";

/// What a call does.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Step {
    Sync,
    Name,
    Answer,
}

/// The steps of a server in a trace, in the order in which the first two were done and the last
/// was begun.
fn steps(trace: &str) -> Vec<Step> {
    let step = |line: &str| {
        if line.contains("\"HTTP/1.1 2") {
            return Some(Step::Answer);
        }
        let done = line.ends_with(" = 0");
        let names = ["linkat", "renameat", "unlinkat", "mkdirat"];
        match done {
            true if line.contains("sync") => Some(Step::Sync),
            true if names.iter().any(|name| line.contains(name)) => Some(Step::Name),
            _ => None,
        }
    };
    trace.lines().filter_map(step).collect()
}

/// `-D`: the process that is started is the server itself.
fn strace(trace: &Path) -> Vec<std::ffi::OsString> {
    let mut command: Vec<_> =
        ["strace", "-D", "-f", "-qq", "-e", CALLS, "-o"].map(Into::into).into();
    command.push(trace.into());
    command
}

fn can_trace(dir: &Path) -> bool {
    let trace = dir.join("probe");
    let command = strace(&trace);
    let mut probe = Command::new(&command[0]);
    probe.args(&command[1..]).arg("true").stdout(Stdio::null()).stderr(Stdio::null());
    probe.status().is_ok_and(|status| status.success())
}

#[test]
fn what_is_answered_is_on_the_disk_with_its_name() {
    let dir = TempDir::new().unwrap();
    if !can_trace(dir.path()) {
        // Unlike with `println!`, that is seen although the test passes.
        let _ = std::io::stderr().write_all(b"uploads: skipped: nothing can be traced\n");
        return;
    }
    let trace = dir.path().join("trace");
    let options = ServerOptions::new().arg("--writable").through(strace(&trace));
    let mut server = Server::start(options);
    let mut client = connect(&server);
    let mut begun = 0;
    // What it does at the start is not asked for here.
    assert_eq!(ask(&mut client, "GET", "/", "").unwrap().status, 200);
    let mut answered = 1;
    let read = || steps(&fs::read_to_string(&trace).unwrap_or_default());
    let mut checked = |what: &str, expected: &[Step]| {
        answered += 1;
        let count = || read().iter().filter(|step| **step == Step::Answer).count();
        assert!(wait_until(SOON, || count() >= answered), "{what}: {:?}", read());
        let all = read();
        let answers: Vec<usize> = (0..all.len()).filter(|&at| all[at] == Step::Answer).collect();
        begun = answers[answered - 2] + 1;
        // An upload that replaces may change two names, one of them hidden.
        let mut found = all[begun..=answers[answered - 1]].to_vec();
        found.dedup();
        assert_eq!(found, expected, "{what}");
    };
    let stored = [Step::Sync, Step::Name, Step::Sync, Step::Answer];
    assert_eq!(put(&mut client, "/file", "", b"new").unwrap().status, 201);
    checked("PUT of a new file", &stored);
    assert_eq!(put(&mut client, "/file", "", b"newer").unwrap().status, 204);
    checked("PUT over a file", &stored);
    assert!(ask(&mut client, "DELETE", "/file", "").unwrap().status < 300);
    checked("DELETE", &[Step::Name, Step::Sync, Step::Answer]);
    server.signal(Signal::TERM);
    server.wait_exit(SOON).expect("it has nothing to do");
}
