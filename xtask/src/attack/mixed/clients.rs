//! The honest clients: they read and write, check every octet, and count what they were answered.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::Result;

use super::tree::{FILES, Tree, Verdict, name};
use crate::attack::exchange::{Answer, Outcome, Talk};

/// How long each rests after a request: for some 400 lines of the log per second in all.
const REST: Duration = Duration::from_millis(8);
/// How long who replaces files rests.
const WRITE_REST: Duration = Duration::from_millis(25);
/// Requests on a connection before it is left for another.
const REQUESTS: usize = 50;
/// Complaints that are told of each client.
const COMPLAINTS_MAX: usize = 5;

/// What a client was answered.
#[derive(Default)]
pub(super) struct Found {
    /// Its number: the `c` of its requests. Their `n` counts from 0 to `asked`.
    pub(super) client: usize,
    pub(super) asked: usize,
    /// Those `n` that were not answered whole.
    pub(super) failed: Vec<usize>,
    pub(super) wrong: usize,
    pub(super) stale: usize,
    pub(super) denied: usize,
    pub(super) complaints: Vec<String>,
}

/// Reads the files in turn.
pub(super) fn read_on(addr: SocketAddr, tree: &Tree, client: usize, over: &AtomicBool) -> Found {
    let mut found = Found { client, ..Found::default() };
    let mut talk = None;
    while !over.load(Ordering::Relaxed) {
        let file = (found.asked * 5 + client) % FILES;
        let before = tree.before(file);
        let answer = found.ask(addr, &mut talk, "GET", file, None);
        match answer {
            Some(answer) if answer.status == 200 => {
                match tree.judge(file, &before, &answer.content) {
                    Verdict::Right => {}
                    Verdict::Stale => {
                        found.stale += 1;
                        found.complain(format!("GET {} was old", name(file)));
                    }
                    Verdict::WrongBytes => {
                        found.wrong += 1;
                        let length = answer.content.len();
                        found.complain(format!("GET {}: {length} wrong octets", name(file)));
                    }
                }
            }
            Some(answer) if answer.status == 404 => {
                let denied = !tree.may_have_been_missing(file, &before);
                found.denied += usize::from(denied);
                if denied {
                    found.complain(format!("GET {} was answered 404", name(file)));
                }
            }
            Some(answer) => found.refused("GET", file, answer.status),
            None => {}
        }
        std::thread::sleep(REST);
    }
    found
}

/// Replaces the second half of the files by PUT, and removes some by DELETE before.
pub(super) fn write_on(addr: SocketAddr, tree: &Tree, client: usize, over: &AtomicBool) -> Found {
    let mut found = Found { client, ..Found::default() };
    let mut talk = None;
    for file in (FILES / 2..FILES).cycle() {
        if over.load(Ordering::Relaxed) {
            break;
        }
        let goes = Tree::comes_and_goes(file);
        if goes {
            tree.note_absence(file);
            match found.ask(addr, &mut talk, "DELETE", file, None) {
                Some(answer) if answer.status >= 300 => {
                    found.refused("DELETE", file, answer.status);
                }
                _ => {}
            }
        }
        let (version, content) = tree.begin(file);
        match found.ask(addr, &mut talk, "PUT", file, Some(&content)) {
            Some(Answer { status: 201 | 204, .. }) => {
                tree.done(file, version);
                if goes {
                    tree.note_absence(file);
                }
            }
            Some(answer) => found.refused("PUT", file, answer.status),
            None => {}
        }
        std::thread::sleep(WRITE_REST);
    }
    found
}

/// Replaces the first half of the files as other programs do, by a rename.
pub(super) fn rename_on(root: &Path, tree: &Tree, over: &AtomicBool) -> Result<()> {
    let beside = root.with_file_name("beside");
    for file in (0..FILES / 2).cycle() {
        if over.load(Ordering::Relaxed) {
            return Ok(());
        }
        let path = root.join(name(file));
        let goes = Tree::comes_and_goes(file);
        if goes {
            tree.note_absence(file);
            std::fs::remove_file(&path)?;
            std::thread::sleep(WRITE_REST);
        }
        let (version, content) = tree.begin(file);
        std::fs::write(&beside, content)?;
        std::fs::rename(&beside, &path)?;
        tree.done(file, version);
        if goes {
            tree.note_absence(file);
        }
        std::thread::sleep(WRITE_REST);
    }
    Ok(())
}

impl Found {
    /// Sends a request with a number of its own; `None` when it was not answered whole.
    fn ask(
        &mut self,
        addr: SocketAddr,
        talk: &mut Option<Talk>,
        method: &str,
        file: usize,
        content: Option<&[u8]>,
    ) -> Option<Answer> {
        let number = self.asked;
        self.asked += 1;
        let last = number % REQUESTS == REQUESTS - 1;
        let mut head =
            format!("{method} /{}?c={}&n={number}& HTTP/1.1\r\n", name(file), self.client);
        head += "Host: localhost\r\n";
        if last {
            head += "Connection: close\r\n";
        }
        if let Some(content) = content {
            head += &format!("Content-Length: {}\r\n", content.len());
        }
        head += "\r\n";
        let opened = talk.take().map_or_else(|| Talk::open(addr), Ok);
        let outcome = opened.map(|mut open| {
            let outcome = open.exchange(&head, content.unwrap_or_default());
            (open, outcome)
        });
        match outcome {
            Ok((open, Outcome::Whole(answer))) => {
                *talk = (!answer.closes && !last).then_some(open);
                Some(answer)
            }
            other => {
                let why = other.map(|(_, outcome)| outcome);
                self.failed.push(number);
                self.complain(format!("{method} {} (n={number}): {why:?}", name(file)));
                None
            }
        }
    }

    /// Notes an answer that no honest client should get.
    fn refused(&mut self, method: &str, file: usize, status: u16) {
        self.wrong += 1;
        self.complain(format!("{method} {} was answered {status}", name(file)));
    }

    fn complain(&mut self, what: String) {
        if self.complaints.len() < COMPLAINTS_MAX {
            self.complaints.push(what);
        }
    }
}
