//! A log that may not grow any more: its last write is short, those after it fail. What that costs
//! is told, and nothing is lost once it may grow again.
//!
//! The limit is that on the size of files (`ulimit -f`), so that the short write is the kernel's
//! own.

use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use rustix::process::{Pid, Resource, Rlimit, prlimit};

use super::log;
use crate::trial::Verdicts;
use crate::trial::client::Client;
use crate::trial::server::Server;

const REQUESTS: usize = 40;
/// What the log may still grow by: a line and a part of one.
const ROOM: u64 = 150;
const STOP_MAX: Duration = Duration::from_secs(12);

pub(super) fn run(verdicts: &mut Verdicts) -> Result<()> {
    for (what, recovers) in
        [("a log that is full for a while", true), ("a log that is full at the end", false)]
    {
        let (found, told) = fill_up(recovers).with_context(|| what.to_owned())?;
        let holds = found.is_ok();
        let why = found.err().map_or("none lost or doubled".to_owned(), |why| why.to_string());
        verdicts.claim(what, holds, &why);
        verdicts.claim(&format!("{what} is told of"), told, "on standard error");
    }
    Ok(())
}

/// Returns what is to be said of the lines, and whether the server complained.
fn fill_up(recovers: bool) -> Result<(Result<()>, bool)> {
    let mut server = Server::start(&["--workers", "1"], |root| {
        Ok(std::fs::write(root.join("small"), b"small\n")?)
    })?;
    let path = server.dir().join("access.log");
    let length = || std::fs::metadata(&path).map_or(0, |metadata| metadata.len());
    let mut asked = 0;
    let mut ask = |server: &Server| -> Result<()> {
        for _ in 0..REQUESTS {
            Client::connect(server.addr)?.fetch(&format!("/small?n={asked}&"), b"small\n")?;
            asked += 1;
        }
        Ok(())
    };
    ask(&server)?;
    sleep(log::FLUSH_EVERY);
    let limit = length() + ROOM;
    bound_files(&server, Some(limit))?;
    ask(&server)?;
    let deadline = Instant::now() + Duration::from_secs(10);
    while length() < limit {
        ensure!(Instant::now() < deadline, "the log has not come to its limit");
        sleep(Duration::from_millis(20));
    }
    sleep(log::FLUSH_EVERY);
    if recovers {
        bound_files(&server, None)?;
        ask(&server)?;
        sleep(log::FLUSH_EVERY);
    }
    let code = server.stop(STOP_MAX)?;
    ensure!(code == Some(0), "exit status {code:?}");
    let told = server.complaints()?.iter().any(|line| line.contains("access log: "));
    if !recovers {
        // The part of a line that found room is none.
        let text = std::fs::read_to_string(&path)?;
        let whole = text.rfind('\n').map_or(0, |at| at + 1);
        ensure!(whole < text.len(), "the last write was not short");
        std::fs::write(&path, &text[..whole])?;
    }
    Ok((log::judge(&mut server, &vec![true; asked]), told))
}

fn bound_files(server: &Server, octets: Option<u64>) -> Result<()> {
    let pid = Pid::from_raw(server.pid().cast_signed()).context("a process id")?;
    prlimit(Some(pid), Resource::Fsize, Rlimit { current: octets, maximum: None })?;
    Ok(())
}
