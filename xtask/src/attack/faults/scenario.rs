//! What is asked of a server of which a call fails, and what it may say to that.
//!
//! It may refuse with a 5xx, or break the connection. It may not die, hang, send wrong bytes, deny
//! what is there, confirm what is not kept, or lose a line of its log without a word.

mod plain;
mod rich;

use std::fmt;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

use super::log;
use super::tracer::Log;
use crate::attack::exchange::{Answer, Outcome, Talk};
use crate::trial::server::Server;

/// How every such server is started: few threads, so that each gets far in its count of calls.
const ARGS: &[&str] = &["--writable", "--workers", "1", "--pool", "2", "--on-conflict", "replace"];
/// Who has no answer by then is stuck: more than a busy disk takes for a sync.
const PATIENCE: Duration = Duration::from_secs(15);
/// After this long it is looked whether there is anything to wait for.
const LOOK: Duration = Duration::from_secs(2);
/// How long a server may take to stop: its drain limit and a bit.
const STOP_MAX: Duration = Duration::from_secs(12);
const SMALL: &str = "the small file\n";
const OLD: &str = "what was there\n";
const NEW: &str = "what is there now\n";

/// A server that is tried, and what is asked of it.
pub(super) struct Setting {
    /// Beside [`ARGS`].
    pub(super) args: &'static [&'static str],
    /// What every request has among its fields.
    fields: &'static str,
    /// Of each thread's calls of a name, those that fail, in turn; and the last.
    pub(super) calls: &'static [usize],
    fill: fn(&Path) -> Result<()>,
    play: fn(&mut Asking<'_>),
    /// Names beneath the root that are old or new, whole, and never gone.
    replaced: &'static [&'static str],
    /// Names that are as they were, new and whole, or not there.
    made: &'static [&'static str],
}

pub(super) const SETTINGS: [Setting; 3] = [
    Setting { args: &[], ..plain::SETTING },
    Setting { args: &["--cache", "0"], ..plain::SETTING },
    rich::SETTING,
];

/// What must not be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Died,
    Stuck,
    WrongBytes,
    FalseDenial,
    LostWrite,
    HalfForm,
    LostLine,
    BadExit,
}

pub(super) const CLAIMS: [(&str, Kind); 8] = [
    ("runs in which the server died", Kind::Died),
    ("requests that nobody answered or refused", Kind::Stuck),
    ("answers with wrong bytes", Kind::WrongBytes),
    ("404 and the like for what is there", Kind::FalseDenial),
    ("writes that were confirmed and lost, or not synced", Kind::LostWrite),
    ("forms that were refused and half kept", Kind::HalfForm),
    ("lines of the log lost without a word, or doubled", Kind::LostLine),
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

/// What a confirmed write has come to.
#[derive(Debug)]
enum State {
    File(&'static str),
    Directory,
    Gone,
    /// A file in which this text stands once.
    Holds(String),
}

/// What has been confirmed, and what was wrong.
#[derive(Default)]
pub(super) struct Expected {
    /// Paths beneath the server's own directory.
    confirmed: Vec<(String, State)>,
    /// Names in forms that were refused: none of a form is there then, or all.
    refused_forms: Vec<[&'static str; 2]>,
    /// Of each request, whether it was answered whole.
    pub(super) answered: Vec<bool>,
    pub(super) complaints: Vec<Complaint>,
    /// Whether calls that fail are syncs that are lost, so that no write may be confirmed.
    pub(super) syncs_fail: bool,
    /// Whether a call has failed that cannot, so that nothing here means anything.
    pub(super) is_void: bool,
    /// Whether calls have ceased to fail, so that every answer is waited for.
    untraced: bool,
}

/// The large file: sent by `sendfile`.
fn large() -> Vec<u8> {
    (0..400_000usize).map(|at| (at / 3 % 241) as u8).collect()
}

impl Setting {
    /// A server of which every thread that answers has begun to.
    pub(super) fn start(&self) -> Result<Server> {
        let server = Server::start(&[ARGS, self.args].concat(), self.fill)?;
        let request = format!("GET {} HTTP/1.1\r\nHost: localhost\r\n\r\n", log::UNCOUNTED);
        let outcome = Talk::open(server.addr)?.exchange(&request, b"");
        ensure!(matches!(outcome, Outcome::Whole(_)), "without a fault: {outcome:?}");
        Ok(server)
    }

    /// Asks for everything.
    pub(super) fn play(&self, server: &Server, expected: &mut Expected) {
        let fields = self.fields;
        (self.play)(&mut Asking { server, expected, talk: None, fields });
    }

    /// After the fault: everything is as it was confirmed, and the server does what it is there
    /// for.
    pub(super) fn judge_after(&self, server: &mut Server, expected: &mut Expected) -> Result<()> {
        if is_dead(server, expected)? {
            return Ok(());
        }
        self.judge_disk(server, expected);
        self.judge_serving(server, expected);
        let code = server.stop(STOP_MAX)?;
        if code != Some(0) {
            expected.complain(Kind::BadExit, format!("{code:?}"));
            return Ok(());
        }
        if let Err(why) = log::judge(server, &expected.answered) {
            expected.complain(Kind::LostLine, why.to_string());
        }
        Ok(())
    }

    /// Of a run that is not judged otherwise: the server has not died, and serves.
    pub(super) fn judge_alive(&self, server: &mut Server, expected: &mut Expected) -> Result<()> {
        expected.untraced = true;
        if !is_dead(server, expected)? {
            self.judge_serving(server, expected);
        }
        Ok(())
    }

    fn judge_serving(&self, server: &Server, expected: &mut Expected) {
        let before = expected.complaints.len();
        let fields = self.fields;
        let mut asking = Asking { server, expected, talk: None, fields };
        for (path, content) in [("/small", SMALL.as_bytes()), ("/large", &large())] {
            let answer = asking.ask("GET", path, "", b"");
            let right = answer.is_some_and(|one| one.status == 200 && one.content == content);
            if !right && asking.expected.complaints.len() == before {
                let text = format!("{path} is not served later either");
                asking.expected.complain(Kind::Stuck, text);
            }
        }
    }

    fn judge_disk(&self, server: &Server, expected: &mut Expected) {
        let there = |path: &str| std::fs::read_to_string(server.dir().join(path)).ok();
        for (path, state) in std::mem::take(&mut expected.confirmed) {
            let found = there(&path);
            let is_right = match &state {
                State::File(content) => found.as_deref() == Some(*content),
                State::Directory => server.dir().join(&path).is_dir(),
                State::Gone => std::fs::symlink_metadata(server.dir().join(&path)).is_err(),
                State::Holds(text) => {
                    found.as_ref().is_some_and(|found| found.matches(text.as_str()).count() == 1)
                }
            };
            if !is_right {
                expected.complain(Kind::LostWrite, format!("{path} is {found:?}, not {state:?}"));
            }
        }
        let in_root = |name: &str| there(&format!("root/{name}"));
        for name in self.replaced {
            let found = in_root(name);
            if !matches!(found.as_deref(), Some(OLD | NEW)) {
                expected.complain(Kind::LostWrite, format!("{name} is neither old nor new"));
            }
        }
        for name in self.made {
            let found = in_root(name);
            if !matches!(found.as_deref(), None | Some(OLD | NEW)) {
                expected.complain(Kind::LostWrite, format!("{name} is not whole"));
            }
        }
        for names in std::mem::take(&mut expected.refused_forms) {
            let [first, second] = names.map(in_root);
            if first != second {
                let text = format!("{} is {first:?}, {} is {second:?}", names[0], names[1]);
                expected.complain(Kind::HalfForm, text);
            }
        }
    }
}

/// Whether the server has ended, which is complained of.
fn is_dead(server: &mut Server, expected: &mut Expected) -> Result<bool> {
    let ended = server.ended()?;
    if let Some(status) = ended {
        expected.complain(Kind::Died, format!("it ended with status {status:?}"));
    }
    Ok(ended.is_some())
}

/// Who asks, on one connection as long as that goes.
struct Asking<'a> {
    server: &'a Server,
    expected: &'a mut Expected,
    talk: Option<Talk>,
    fields: &'static str,
}

impl Asking<'_> {
    /// Sends a request, on the connection if there is one; `None` when it was not answered whole.
    /// Each has a number of its own, by which its line in the log is known.
    fn ask(&mut self, method: &str, path: &str, fields: &str, content: &[u8]) -> Option<Answer> {
        if self.expected.is_void {
            return None;
        }
        let number = self.expected.answered.len();
        self.expected.answered.push(false);
        let length = match method {
            "GET" | "DELETE" => String::new(),
            _ => format!("Content-Length: {}\r\n", content.len()),
        };
        let head = format!(
            "{method} {path}?n={number}& HTTP/1.1\r\nHost: localhost\r\n{}{length}{fields}\r\n",
            self.fields
        );
        let lost_before = self.lost_syncs();
        let start = Instant::now();
        let opened = self.talk.take().map_or_else(|| Talk::open_for(self.server.addr, LOOK), Ok);
        let mut open = opened.ok()?;
        let mut looked = start;
        let mut outcome = open.exchange(&head, content);
        while matches!(outcome, Outcome::Unanswered) && looked.elapsed() >= LOOK {
            let traced = !self.expected.untraced;
            self.expected.is_void = traced && Log::of(self.server).impossible() > 0;
            if self.expected.is_void || start.elapsed() >= PATIENCE {
                break;
            }
            looked = Instant::now();
            outcome = open.answer();
        }
        let Outcome::Whole(answer) = outcome else {
            if start.elapsed() >= PATIENCE {
                self.expected.complain(Kind::Stuck, format!("{method} {path}: {outcome:?}"));
            }
            return None;
        };
        self.expected.answered[number] = true;
        if method != "GET" && answer.status < 400 && self.lost_syncs() > lost_before {
            let text = format!("{method} {path}: {}, and a sync has failed", answer.status);
            self.expected.complain(Kind::LostWrite, text);
        }
        if !answer.closes {
            self.talk = Some(open);
        }
        Some(answer)
    }

    /// Asks for what is there, and judges the answer's content.
    fn get(&mut self, path: &str, fields: &str, status: u16, is_right: impl Fn(&Answer) -> bool) {
        let Some(answer) = self.ask("GET", path, fields, b"") else { return };
        if answer.status != status {
            self.expected.refused("GET", path, answer.status, status);
        } else if !is_right(&answer) {
            self.expected.complain(Kind::WrongBytes, format!("GET {path}"));
        }
    }

    /// Asks for a change, and notes what is there now if it was confirmed; says whether it was.
    fn change(
        &mut self,
        method: &str,
        path: &str,
        fields: &str,
        content: &[u8],
        comes_to: Vec<(String, State)>,
    ) -> bool {
        let Some(answer) = self.ask(method, path, fields, content) else { return true };
        let confirmed = answer.status < 400;
        match confirmed {
            true => self.expected.confirmed.extend(comes_to),
            false => self.expected.refused(method, path, answer.status, 200),
        }
        confirmed
    }

    fn put(&mut self, path: &str) {
        let comes_to = vec![(format!("root{path}"), State::File(NEW))];
        self.change("PUT", path, "", NEW.as_bytes(), comes_to);
    }

    fn delete(&mut self, path: &str) {
        self.change("DELETE", path, "", b"", vec![(format!("root{path}"), State::Gone)]);
    }

    /// Two files in a form: both are there once it is confirmed.
    fn form(&mut self, path: &str, names: [&'static str; 2]) {
        let mut content = String::new();
        for name in names {
            let name = name.rsplit('/').next().unwrap_or(name);
            content += &format!(
                "--x\r\nContent-Disposition: form-data; name=f; filename={name}\r\n\r\n{NEW}\r\n"
            );
        }
        content += "--x--\r\n";
        let fields = "Content-Type: multipart/form-data; boundary=x\r\n";
        let comes_to = names.map(|name| (format!("root/{name}"), State::File(NEW))).into();
        if !self.change("POST", path, fields, content.as_bytes(), comes_to) {
            self.expected.refused_forms.push(names);
        }
    }

    /// How many syncs have failed so far, and not only been interrupted.
    fn lost_syncs(&self) -> usize {
        match self.expected.syncs_fail {
            true => Log::of(self.server).injected(),
            false => 0,
        }
    }
}

impl Expected {
    pub(super) fn complain(&mut self, kind: Kind, text: String) {
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
