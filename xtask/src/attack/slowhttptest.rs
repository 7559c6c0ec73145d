//! The four modes of `slowhttptest`, a tool of others: by its own account the service stays
//! available.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use super::crowds::{FILE, affordable};
use crate::trial::beside::beside;
use crate::trial::server::Server;
use crate::trial::{Terms, Verdicts};

/// What each mode is called with. The connections per second are those of its manual's examples.
const MODES: [(&str, &str); 4] = [
    ("slow heads", "-H -c 1000 -r 200 -i 1 -x 24 -t GET -u URL/file"),
    ("slow bodies", "-B -c 1000 -r 200 -i 1 -x 10 -s 8192 -t PUT -u URL/up"),
    // As many overlapping ranges as find room in a head: 12 KB of them.
    ("ranges", "-R -c 1000 -r 500 -a 10 -b 1600 -t GET -u URL/large"),
    ("slow reads", "-X -c 1000 -r 200 -w 512 -y 1024 -n 5 -z 32 -k 3 -u URL/large"),
];
/// After which a probe of its own that has no answer counts as "not available", in seconds.
const PROBE: &str = "3";
/// How long it may take to end by itself.
const END_MAX: Duration = Duration::from_secs(30);

pub(super) fn run(verdicts: &mut Verdicts, terms: &Terms) -> Result<()> {
    if Command::new("slowhttptest").arg("-h").output().is_err() {
        println!("  skipped: slowhttptest is not installed (it is a package of Debian)");
        return Ok(());
    }
    affordable()?;
    let seconds = terms.pick(10, 30);
    for (what, flags) in MODES {
        terms.check_time()?;
        let args = ["--workers", "2", "--writable", "--max-connections", "2000"];
        let mut server = Server::start(&args, fill)?;
        let (said, found) = beside(server.addr, "/file", &FILE, || play(&server, flags, seconds))?;
        found.judge(verdicts, what);
        let (yes, no) = verdict(&said);
        let told = format!("YES {yes} times, NO {no} times");
        verdicts.claim(&format!("{what}: service available"), yes > 0 && no == 0, &told);
        let code = server.stop(Duration::from_secs(12))?;
        verdicts.claim(&format!("{what}: SIGTERM"), code == Some(0), &format!("{code:?}"));
        if flags.starts_with("-R") {
            let log = std::fs::read_to_string(server.dir().join("access.log"))?;
            let (served, others) = statuses(&log);
            let found = format!("{served}; answered otherwise: {others}");
            verdicts.claim(&format!("{what}: requests served"), served > 0 && others == 0, &found);
        }
    }
    Ok(())
}

fn fill(root: &Path) -> Result<()> {
    std::fs::write(root.join("large"), vec![b'x'; 1 << 20])?;
    Ok(std::fs::write(root.join("file"), FILE)?)
}

/// Runs the tool for `seconds`, and returns what it has said.
fn play(server: &Server, flags: &str, seconds: u64) -> Result<String> {
    let url = format!("http://{}", server.addr);
    let mut command = Command::new("slowhttptest");
    command.args(flags.split(' ').map(|flag| flag.replace("URL", &url)));
    command.args(["-p", PROBE, "-l", &seconds.to_string()]);
    // A file, since nobody would empty a pipe meanwhile.
    let path = server.dir().join("slowhttptest");
    let output = std::fs::File::create(&path)?;
    command.stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output);
    let child = command.current_dir(server.dir()).spawn().context("slowhttptest")?;
    wait(child, Duration::from_secs(seconds) + END_MAX)?;
    Ok(String::from_utf8_lossy(&std::fs::read(path)?).into_owned())
}

fn wait(mut child: Child, patience: Duration) -> Result<()> {
    let deadline = Instant::now() + patience;
    while child.try_wait()?.is_none() {
        if Instant::now() > deadline {
            let _ = child.kill();
            let _ = child.wait();
            bail!("slowhttptest did not end");
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    Ok(())
}

/// How often the tool has found the service available, and how often not.
fn verdict(said: &str) -> (usize, usize) {
    let plain = without_colours(said);
    let answers = plain.lines().filter_map(|line| line.split_once("service available:"));
    let answers: Vec<&str> = answers.map(|(_, answer)| answer.trim()).collect();
    let count = |word: &str| answers.iter().filter(|answer| answer.starts_with(word)).count();
    (count("YES"), count("NO"))
}

/// How many lines of a log say that the large file was served, and how many that it was not, or
/// that a head was too long to be read.
fn statuses(log: &str) -> (usize, usize) {
    let ours = |line: &&str| line.contains("\"GET /large ") || line.contains("\" 431 ");
    let (mut served, mut others) = (0, 0);
    for line in log.lines().filter(ours) {
        match line.contains("\" 200 ") || line.contains("\" 206 ") {
            true => served += 1,
            false => others += 1,
        }
    }
    (served, others)
}

/// The text without what steers a terminal (`ESC [ ... letter`).
fn without_colours(text: &str) -> String {
    let mut plain = String::new();
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            '\u{1b}' => drop(chars.by_ref().find(char::is_ascii_alphabetic)),
            c => plain.push(c),
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn its_verdict_is_found_behind_the_colours() {
        let said = "\u{1b}[1;32mclosed:   \u{1b}[1;32m        0\n\
                    \u{1b}[1;32mservice available:\u{1b}[1;32m   \u{1b}[1;32mYES\u{1b}[0m\n\
                    \u{1b}[1;32mservice available:\u{1b}[1;31m   \u{1b}[1;31mNO\u{1b}[0m\n";
        assert_eq!(verdict(said), (1, 1));
        assert_eq!(verdict(""), (0, 0));
    }

    #[test]
    fn statuses_are_those_of_the_large_file_and_of_heads_that_were_too_long() {
        let log = "127.0.0.1 - - [-] \"GET /large HTTP/1.1\" 200 1048576 \"-\" \"-\"\n\
                   127.0.0.1 - - [-] \"GET /large HTTP/1.1\" 416 - \"-\" \"-\"\n\
                   127.0.0.1 - - [-] \"GET /large HTTP/1.1\" 431 - \"-\" \"-\"\n\
                   127.0.0.1 - - [-] \"-\" 431 - \"-\" \"-\"\n\
                   127.0.0.1 - - [-] \"GET /file HTTP/1.1\" 404 - \"-\" \"-\"\n";
        assert_eq!(statuses(log), (1, 3));
    }
}
