//! What is asked of a server of which a call fails, and what it may say to that.
//!
//! It may refuse with a 5xx, or break the connection. It may not die, hang, send wrong bytes, deny
//! what is there, or confirm what is not kept.

use std::fmt;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Result;
use rustix::process::Signal;

use super::tracer::Log;
use crate::attack::exchange::{Answer, Outcome, Talk};
use crate::trial::server::Server;

/// How every such server is started: few threads, so that each gets far in its count of calls, and
/// short deadlines, so that what is stuck shows.
pub(super) const ARGS: &[&str] =
    &["--writable", "--workers", "1", "--pool", "2", "--on-conflict", "replace"];
/// Who has no answer by then is stuck: more than a busy disk takes for a sync.
const PATIENCE: Duration = Duration::from_secs(15);
/// After this long it is looked whether there is anything to wait for.
const LOOK: Duration = Duration::from_secs(2);
/// How long a server may take to stop: its drain limit and a bit.
const STOP_MAX: Duration = Duration::from_secs(12);
/// Requests in one run.
pub(super) const REQUESTS: usize = 26;
const SMALL: &str = "the small file\n";
const OLD: &str = "what was there\n";
const NEW: &str = "what is there now\n";

/// A call that fails.
#[derive(Debug)]
pub(super) struct Fault {
    pub(super) call: &'static str,
    pub(super) error: &'static str,
    pub(super) when: usize,
}

impl Fault {
    /// As strace's `-e inject=` takes it.
    pub(super) fn inject(&self) -> String {
        let Fault { call, error, when } = self;
        format!("{call}:error={error}:when={when}")
    }
}

/// What must not be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Died,
    Stuck,
    WrongBytes,
    FalseDenial,
    LostWrite,
    BadExit,
}

pub(super) const CLAIMS: [(&str, Kind); 6] = [
    ("runs in which the server died", Kind::Died),
    ("requests that nobody answered or refused", Kind::Stuck),
    ("answers with wrong bytes", Kind::WrongBytes),
    ("404 and the like for what is there", Kind::FalseDenial),
    ("writes that were confirmed and lost", Kind::LostWrite),
    ("exits other than status 0", Kind::BadExit),
];

/// What was found to be wrong.
#[derive(Debug)]
pub(super) struct Complaint {
    pub(super) kind: Kind,
    text: String,
}

impl fmt::Display for Complaint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {}", self.kind, self.text)
    }
}

/// What has been confirmed, and what was wrong.
#[derive(Default)]
pub(super) struct Expected {
    /// Paths and their content as confirmed; `None` for what was confirmed as deleted.
    confirmed: Vec<(String, Option<String>)>,
    pub(super) complaints: Vec<Complaint>,
    /// Whether a call has failed that cannot, so that nothing here means anything.
    pub(super) is_void: bool,
}

/// The large file: sent by `sendfile`.
fn large() -> Vec<u8> {
    (0..400_000usize).map(|at| (at / 3 % 241) as u8).collect()
}

pub(super) fn fill(root: &Path) -> Result<()> {
    std::fs::create_dir(root.join("dir"))?;
    std::fs::write(root.join("dir/inside"), SMALL)?;
    std::fs::write(root.join("small"), SMALL)?;
    std::fs::write(root.join("large"), large())?;
    for name in ["replaced", "replaced-2", "deleted", "deleted-2"] {
        std::fs::write(root.join(name), OLD)?;
    }
    Ok(())
}

/// Asks for everything once, and for most of it twice.
pub(super) fn play(server: &Server, expected: &mut Expected) -> Result<()> {
    for round in ["", "-2"] {
        let mut talk = None;
        read_all(server, expected, &mut talk);
        for (path, status) in [(format!("/new{round}"), 201), (format!("/replaced{round}"), 204)] {
            let head = format!(
                "PUT {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {}\r\n\r\n",
                NEW.len()
            );
            if let Some(answer) = ask(server, expected, &mut talk, &head, NEW.as_bytes()) {
                match answer.status {
                    // Made anew for who could not tell that there was one.
                    201 | 204 => expected.confirmed.push((path, Some(NEW.to_owned()))),
                    other => expected.refused("PUT", &path, other, status),
                }
            }
        }
        form(server, expected, &mut talk, round);
        let path = format!("/deleted{round}");
        let head = format!("DELETE {path} HTTP/1.1\r\nHost: localhost\r\n\r\n");
        if let Some(answer) = ask(server, expected, &mut talk, &head, b"") {
            match answer.status {
                200 | 204 => expected.confirmed.push((path, None)),
                other => expected.refused("DELETE", &path, other, 204),
            }
        }
        // It may be gone, which is found later.
        let _ = server.signal(Signal::HUP);
    }
    Ok(())
}

/// After the fault: everything is as it was confirmed, and the server does what it is there for.
pub(super) fn judge_after(server: &mut Server, expected: &mut Expected) -> Result<()> {
    if let Some(status) = server.ended()? {
        expected.complain(Kind::Died, format!("it ended with status {status:?}"));
    }
    let root = server.root();
    for (path, content) in std::mem::take(&mut expected.confirmed) {
        let there = std::fs::read_to_string(root.join(&path[1..])).ok();
        if there != content {
            expected.complain(Kind::LostWrite, format!("{path} is {there:?}, not {content:?}"));
        }
    }
    for name in ["replaced", "replaced-2", "new", "new-2", "deleted", "deleted-2"] {
        let there = std::fs::read_to_string(root.join(name)).unwrap_or_default();
        let is_whole = there.is_empty() || there == OLD || there == NEW;
        if !is_whole || (name.starts_with("replaced") && there.is_empty()) {
            expected.complain(Kind::LostWrite, format!("{name} is neither old nor new"));
        }
    }
    if expected.complaints.iter().all(|complaint| complaint.kind != Kind::Died) {
        let before = expected.complaints.len();
        let mut talk = None;
        for (path, content) in [("/small", SMALL.as_bytes()), ("/large", &large())] {
            let head = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n");
            let answer = ask(server, expected, &mut talk, &head, b"");
            let right = answer.is_some_and(|one| one.status == 200 && one.content == content);
            if !right && expected.complaints.len() == before {
                expected.complain(Kind::Stuck, format!("{path} is not served later either"));
            }
        }
        let code = server.stop(STOP_MAX)?;
        if code != Some(0) {
            expected.complain(Kind::BadExit, format!("{code:?}"));
        }
    }
    Ok(())
}

fn read_all(server: &Server, expected: &mut Expected, talk: &mut Option<Talk>) {
    let large = large();
    let range = "Range: bytes=100000-100009\r\n";
    for (path, fields, status, content) in [
        ("/small", "", 200, SMALL.as_bytes()),
        ("/small", "", 200, SMALL.as_bytes()),
        ("/large", "", 200, &large[..]),
        ("/large", range, 206, &large[100_000..100_010]),
        ("/dir/inside", "Connection: close\r\n", 200, SMALL.as_bytes()),
        ("/none", "", 404, b""),
    ] {
        let head = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n{fields}\r\n");
        let Some(answer) = ask(server, expected, talk, &head, b"") else { continue };
        if answer.status != status {
            expected.refused("GET", path, answer.status, status);
        } else if status != 404 && answer.content != content {
            expected.complain(Kind::WrongBytes, format!("GET {path}"));
        }
    }
    let head = "GET /dir/ HTTP/1.1\r\nHost: localhost\r\n\r\n";
    if let Some(answer) = ask(server, expected, talk, head, b"") {
        let text = String::from_utf8_lossy(&answer.content);
        if answer.status != 200 {
            expected.refused("GET", "/dir/", answer.status, 200);
        } else if !text.contains("inside") {
            expected.complain(Kind::WrongBytes, "a list without the file".to_owned());
        }
    }
}

/// Two files in a form: both are there once it is confirmed.
fn form(server: &Server, expected: &mut Expected, talk: &mut Option<Talk>, round: &str) {
    let mut content = String::new();
    for name in ["a", "b"] {
        content += &format!(
            "--x\r\nContent-Disposition: form-data; name=f; filename={name}{round}\r\n\r\n\
             {NEW}\r\n"
        );
    }
    content += "--x--\r\n";
    let head = format!(
        "POST /dir/ HTTP/1.1\r\nHost: localhost\r\nContent-Length: {}\r\n\
         Content-Type: multipart/form-data; boundary=x\r\n\r\n",
        content.len()
    );
    if let Some(answer) = ask(server, expected, talk, &head, content.as_bytes()) {
        match answer.status {
            200..400 => {
                for name in ["a", "b"] {
                    let path = format!("/dir/{name}{round}");
                    expected.confirmed.push((path, Some(NEW.to_owned())));
                }
            }
            other => expected.refused("POST", "/dir/", other, 201),
        }
    }
}

/// Sends a request, on the connection if there is one; `None` when it was not answered whole.
fn ask(
    server: &Server,
    expected: &mut Expected,
    talk: &mut Option<Talk>,
    head: &str,
    content: &[u8],
) -> Option<Answer> {
    let line = head.lines().next().unwrap_or_default();
    if expected.is_void {
        return None;
    }
    let start = Instant::now();
    let opened = talk.take().map_or_else(|| Talk::open_for(server.addr, LOOK), Ok);
    let mut open = opened.ok()?;
    let mut looked = start;
    let mut outcome = open.exchange(head, content);
    while matches!(outcome, Outcome::Unanswered) && looked.elapsed() >= LOOK {
        expected.is_void = Log::of(server).impossible() > 0;
        if expected.is_void || start.elapsed() >= PATIENCE {
            break;
        }
        looked = Instant::now();
        outcome = open.answer();
    }
    let Outcome::Whole(answer) = outcome else {
        if start.elapsed() >= PATIENCE {
            expected.complain(Kind::Stuck, format!("{line}: {outcome:?}"));
        }
        return None;
    };
    if !answer.closes {
        *talk = Some(open);
    }
    Some(answer)
}

impl Expected {
    fn complain(&mut self, kind: Kind, text: String) {
        self.complaints.push(Complaint { kind, text });
    }

    /// Notes an answer other than what there is; a 5xx says that the server could not.
    fn refused(&mut self, method: &str, path: &str, status: u16, right: u16) {
        if !(500..600).contains(&status) {
            let text = format!("{method} {path} was answered {status} instead of {right}");
            self.complain(Kind::FalseDenial, text);
        }
    }
}
