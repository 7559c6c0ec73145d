//! `cargo xtask corpus`: plays raw requests that others have collected, and judges the answers.
//!
//! The file is JSON: `cases`, each with `id`, `raw` (octets as Latin-1 text) and `expect`, which is
//! a [`Verdict`] in lower case.

use std::net::{SocketAddr, ToSocketAddrs};
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Context, Result, bail};
use conformance::client::Client;
use conformance::response::Response;
use conformance::server::{Server, ServerOptions};
use serde_json::Value;

/// Requests under way at the same time.
const AT_ONCE: usize = 16;

/// Plays the file that the arguments name.
///
/// # Errors
/// When a verdict was violated, which has been printed then, or the file makes no sense.
pub(crate) fn run(args: &[String]) -> Result<()> {
    let (path, base) = match args {
        [path] => (path, None),
        [path, flag, base] if flag == "--base" => (path, Some(base)),
        _ => bail!("the arguments are PATH [--base HOST:PORT]"),
    };
    let cases = read(Path::new(path))?;
    match base {
        Some(base) => {
            let addr = base.to_socket_addrs().with_context(|| base.clone())?.next();
            play(&cases, addr.context("no such host")?)
        }
        None => {
            let server = Server::start(ServerOptions::new().arg("--writable"));
            std::fs::write(server.root().join("index.html"), "<h1>Corpus</h1>\n")?;
            let played = play(&cases, server.addr());
            if server.stderr().contains("panicked") {
                bail!("the server panicked:\n{}", server.stderr());
            }
            played
        }
    }
}

/// What must become of a case's octets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    /// An answer that finds nothing wrong with the syntax.
    Accept,
    /// An error or a close, and nothing after it.
    Reject,
    /// No success: the end has not come.
    Incomplete,
    /// Anything that is well-formed.
    Either,
}

struct Case {
    id: String,
    raw: Vec<u8>,
    verdict: Verdict,
}

fn read(path: &Path) -> Result<Vec<Case>> {
    let text = std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
    let corpus: Value = serde_json::from_str(&text)?;
    let cases = corpus["cases"].as_array().context("no array `cases`")?;
    cases.iter().map(|case| parse(case).with_context(|| format!("case {case}"))).collect()
}

fn parse(case: &Value) -> Result<Case> {
    let text = |key: &str| case[key].as_str().with_context(|| format!("no text `{key}`"));
    let octet = |c: char| u8::try_from(u32::from(c)).context("`raw` is no Latin-1");
    let verdict = match text("expect")? {
        "accept" => Verdict::Accept,
        "reject" => Verdict::Reject,
        "incomplete" => Verdict::Incomplete,
        "either" => Verdict::Either,
        other => bail!("no such verdict: {other}"),
    };
    let raw = text("raw")?.chars().map(octet).collect::<Result<_>>()?;
    Ok(Case { id: text("id")?.to_owned(), raw, verdict })
}

fn play(cases: &[Case], addr: SocketAddr) -> Result<()> {
    let next = AtomicUsize::new(0);
    let violations = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                while let Some(case) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
                    if let Err(why) = exchange(case, addr) {
                        let mut violations = violations.lock().expect("no thread panics here");
                        violations.push(format!("{}: {why}", case.id));
                    }
                }
            });
        }
    });
    let mut violations = violations.into_inner().expect("no thread panics here");
    violations.sort();
    for violation in &violations {
        println!("{violation}\n");
    }
    println!("corpus: {} cases, {} verdicts violated", cases.len(), violations.len());
    match violations.len() {
        0 => Ok(()),
        count => bail!("{count} verdicts violated"),
    }
}

/// Sends a case and says what is wrong with what came back.
fn exchange(case: &Case, addr: SocketAddr) -> Result<(), String> {
    let mut client = Client::connect(addr).map_err(|e| format!("connecting: {e}"))?;
    // The server may have refused and closed before all is sent. What it said is what counts.
    let _ = client.send(&case.raw);
    let _ = client.shut_sending();
    let (octets, ended) = client.rest();
    let answers = answers(&case.raw, octets);
    let judged = match &answers {
        _ if !ended => Err("still open, though nothing more can come".to_owned()),
        Ok(answers) => judge(case.verdict, answers),
        Err(why) => Err(why.clone()),
    };
    judged.map_err(|why| {
        let (sent, got) = (case.raw.escape_ascii(), octets.escape_ascii());
        format!("{:?}: {why}\n    sent: {sent:.600}\n    got:  {got:.300}", case.verdict)
    })
}

/// The status of each final response.
fn answers(raw: &[u8], mut octets: &[u8]) -> Result<Vec<u16>, String> {
    let has_head = raw.windows(5).any(|window| window == b"HEAD ");
    let mut statuses = Vec::new();
    while !octets.is_empty() {
        let mut parsed = Response::parse(octets, false);
        if has_head && !matches!(parsed, Ok(Some(_))) {
            parsed = Response::parse(octets, true);
        }
        let (response, length) = parsed?.ok_or("a response broke off")?;
        if response.status >= 200 {
            statuses.push(response.status);
        }
        octets = &octets[length..];
    }
    Ok(statuses)
}

/// Statuses that find fault with the syntax, after which nothing may be answered.
const SYNTAX: [u16; 4] = [400, 414, 431, 505];

/// Compares the final responses with the verdict. It is on the case's first request: what comes
/// behind a refused one must not be answered at all.
fn judge(verdict: Verdict, statuses: &[u16]) -> Result<(), String> {
    let before_last = statuses.split_last().map_or(&[][..], |(_, before)| before);
    if before_last.iter().any(|status| SYNTAX.contains(status)) {
        return Err(format!("answers after a refusal: {statuses:?}"));
    }
    let wrong = match (verdict, statuses) {
        (Verdict::Either, _) => return Ok(()),
        (Verdict::Accept, []) => "no answer",
        (Verdict::Accept, [first, ..]) if !SYNTAX.contains(first) => return Ok(()),
        (Verdict::Accept, _) => "refused",
        (Verdict::Reject, [] | [400..=599]) => return Ok(()),
        (Verdict::Reject, [400..=599, ..]) => "answers after a refusal",
        (Verdict::Reject, _) => "accepted",
        (Verdict::Incomplete, _) if statuses.iter().all(|status| *status >= 300) => return Ok(()),
        (Verdict::Incomplete, _) => "a success before the end",
    };
    Err(format!("{wrong}: {statuses:?}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_case_is_read_octet_for_octet() {
        let json = serde_json::json!({"id": "a", "raw": "GET \u{ff}\r\n", "expect": "reject"});
        let case = parse(&json).unwrap();
        assert_eq!(case.raw, b"GET \xff\r\n");
        assert_eq!(case.verdict, Verdict::Reject);
        for wrong in [
            serde_json::json!({"id": "a", "raw": "\u{100}", "expect": "reject"}),
            serde_json::json!({"id": "a", "raw": "", "expect": "perhaps"}),
            serde_json::json!({"id": "a", "expect": "either"}),
        ] {
            assert!(parse(&wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn verdicts() {
        let holds = |verdict, statuses: &[u16]| judge(verdict, statuses).is_ok();
        assert!(holds(Verdict::Accept, &[404]));
        assert!(holds(Verdict::Accept, &[200, 400]));
        assert!(!holds(Verdict::Accept, &[400]));
        assert!(!holds(Verdict::Accept, &[]));
        assert!(holds(Verdict::Reject, &[]));
        assert!(holds(Verdict::Reject, &[501]));
        assert!(!holds(Verdict::Reject, &[200]));
        assert!(!holds(Verdict::Reject, &[404, 404]));
        assert!(!holds(Verdict::Reject, &[200, 400]));
        assert!(holds(Verdict::Incomplete, &[]));
        assert!(holds(Verdict::Incomplete, &[408]));
        assert!(!holds(Verdict::Incomplete, &[200]));
        assert!(holds(Verdict::Either, &[200]));
        assert!(holds(Verdict::Either, &[200, 400]));
        assert!(!holds(Verdict::Either, &[400, 200]));
    }

    #[test]
    fn responses_are_taken_apart() {
        let date = "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n";
        assert_eq!(answers(b"GET", b"HTTP/1.1 100 Continue\r\n\r\n"), Ok(vec![]));
        let old = format!("HTTP/1.1 204 No Content\r\n{date}\r\n");
        assert!(answers(b"GET", old.as_bytes()).unwrap_err().contains("not now"));
        assert!(answers(b"GET", b"HTTP/1.1 2").unwrap_err().contains("broke off"));
    }
}
