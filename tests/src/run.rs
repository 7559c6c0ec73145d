//! Plays cases against a server, each in three ways, and writes down what was wrong.

use std::ffi::OsString;
use std::fmt::Write as _;
use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use crate::case::{Case, CaseFile};
use crate::client::Client;
use crate::escape::Values;
use crate::expect::{After, Expectation};
use crate::fixture;
use crate::server::{Server, ServerOptions};

/// How a case is sent. The answers must be the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// In one write, so that the server sees everything at once.
    Whole,
    /// In writes of one octet, so that it sees every prefix.
    ByteByByte,
    /// In one write behind a harmless GET, whose answer must come first.
    Behind,
}

impl Way {
    /// All of them.
    pub const ALL: [Way; 3] = [Way::Whole, Way::ByteByByte, Way::Behind];

    /// What `{way}` is replaced by: a word that goes well into a path.
    pub fn name(self) -> &'static str {
        match self {
            Way::Whole => "whole",
            Way::ByteByByte => "bytes",
            Way::Behind => "behind",
        }
    }
}

/// The harmless GET. Its host is answered to whatever `--host` a case file has.
const HARMLESS: &[u8] = b"GET /hello.txt HTTP/1.1\r\nHost: localhost\r\n\r\n";

/// The harmless GET that tries whether a connection is open, and ends it: if anything more than
/// its own answer comes before the end, the case had an answer too many.
const LAST: &[u8] = b"GET /hello.txt HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";

/// What both are answered: see [`fixture::STANDARD`].
const HARMLESS_BODY: &[u8] = b"Hello, world.\n";

/// Cases of one file that are played at the same time.
const AT_ONCE: usize = 8;

/// The longest that a case may take before what is still to come counts as missing: many times
/// what the longest needs, an octet at a time on a busy machine.
const CASE_MAX: Duration = Duration::from_secs(600);

/// How long another server may be silent, of which many do not answer everything.
const OTHERS_WAIT_MAX: Duration = Duration::from_secs(5);

/// Octets of what was sent or received that a failure shows.
const SHOWN_MAX: usize = 1500;

/// What a server is told unless its file says otherwise: hardly a case is about it, and a client
/// that sends an octet at a time on a busy machine may seem slow.
const PATIENT: [(&str, &str); 3] =
    [("--head-timeout", "600"), ("--stall-timeout", "600"), ("--min-rate", "0")];

/// For how long a file just made may be answered otherwise than one that has been there before: its
/// next version could have the same time.
const YOUNG: Duration = Duration::from_millis(40);

/// Starts a server for a case file and plays every case in every way.
///
/// # Panics
/// With a report of every failure, or when the file cannot be read or the server not be started.
pub fn run_file(path: &Path) {
    let file = CaseFile::read(path).unwrap_or_else(|why| panic!("{why}"));
    let files = format!("{}{}", fixture::STANDARD, file.files);
    let options = ServerOptions::new().args(&file.server_args).files(files);
    let is_given = |flag: &str| file.server_args.iter().any(|arg| arg.starts_with(flag));
    let patient = PATIENT.iter().filter(|(flag, _)| !is_given(flag));
    let options = options.args(patient.flat_map(|(flag, value)| [*flag, *value]));
    let server =
        Server::try_start(options).unwrap_or_else(|why| panic!("{}: {why}", path.display()));
    thread::sleep(YOUNG);
    let beside_before = beside(&server);
    let failures = run_cases(&file, server.addr(), server.root());
    let stderr = server.stderr();
    assert!(!stderr.contains("panicked"), "{}: the server panicked:\n{stderr}", path.display());
    assert!(failures.is_empty(), "{} failed:\n\n{}", failures.len(), failures.join("\n"));
    assert_eq!(beside(&server), beside_before, "{}: beside the root", path.display());
}

/// What lies beside the root, where no request may lead, whatever its path and its links: the
/// names, but for that of the log, and what [`fixture::STANDARD`] has in `secret.txt`.
fn beside(server: &Server) -> (Vec<OsString>, Vec<u8>) {
    let entries = fs::read_dir(server.dir()).expect("the server's directory can be read");
    let name = |entry: std::io::Result<fs::DirEntry>| entry.map(|entry| entry.file_name());
    let mut names: Vec<_> = entries.filter_map(|entry| name(entry).ok()).collect();
    names.retain(|name| name != "access.log");
    names.sort();
    (names, fs::read(server.dir().join("secret.txt")).unwrap_or_default())
}

/// Plays every case in every way, several at once; a report for each that failed, in the file's
/// order.
pub fn run_cases(file: &CaseFile, addr: SocketAddr, root: &Path) -> Vec<String> {
    let jobs: Vec<_> = (file.cases.iter())
        .flat_map(|case| Way::ALL.map(|way| (case, way)))
        .filter(|(case, way)| !case.not_ways.contains(way))
        .collect();
    let report = |(at, failure): &(usize, Failure)| {
        let (case, way) = jobs[*at];
        failure.report(file, case, way)
    };
    let at_once = if file.one_at_a_time { 1 } else { AT_ONCE };
    play(&jobs, addr, at_once, |way| Run::new(root, way)).iter().map(report).collect()
}

/// Plays each case whole against another server at `addr`, which serves `root`. It may answer in
/// HTTP/1.0. What was wrong with those that failed, by their place in `cases`.
pub fn compare_cases(cases: &[&Case], addr: SocketAddr, root: &Path) -> Vec<(usize, Failure)> {
    let jobs: Vec<_> = cases.iter().map(|case| (*case, Way::Whole)).collect();
    play(&jobs, addr, AT_ONCE, |way| Run { is_ours: false, ..Run::new(root, way) })
}

/// Plays each case in its way, so many at once; those that failed, by their place in `jobs`.
fn play<'a>(
    jobs: &[(&Case, Way)],
    addr: SocketAddr,
    at_once: usize,
    run: impl Fn(Way) -> Run<'a> + Sync,
) -> Vec<(usize, Failure)> {
    let next = AtomicUsize::new(0);
    let failures = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..at_once {
            scope.spawn(|| {
                loop {
                    let at = next.fetch_add(1, Ordering::Relaxed);
                    let Some((case, way)) = jobs.get(at) else { break };
                    if let Err(failure) = run(*way).run(case, addr) {
                        failures.lock().expect("no thread panics here").push((at, failure));
                    }
                }
            });
        }
    });
    let mut failures = failures.into_inner().expect("no thread panics here");
    failures.sort_by_key(|(at, _)| *at);
    failures
}

/// A case being sent in one way.
struct Run<'a> {
    root: &'a Path,
    way: Way,
    values: Values,
    /// Whether the last response said `Connection: close`.
    said_close: bool,
    /// Whether it is `httpd` that answers, of which more is expected.
    is_ours: bool,
}

/// What was wrong, where it was expected otherwise, and all that went over the wire.
#[derive(Debug)]
pub struct Failure {
    line: usize,
    /// A sentence for each thing that was not as expected.
    pub wrong: Vec<String>,
    sent: Vec<u8>,
    received: Vec<u8>,
}

impl<'a> Run<'a> {
    fn new(root: &'a Path, way: Way) -> Run<'a> {
        let values = Values::from([("way".to_owned(), way.name().to_owned())]);
        Run { root, way, values, said_close: false, is_ours: true }
    }

    fn run(mut self, case: &Case, addr: SocketAddr) -> Result<(), Failure> {
        let mut client = match Client::connect(addr) {
            Ok(client) => client,
            Err(e) => {
                let wrong = vec![format!("connecting: {e}")];
                return Err(Failure { line: case.line, wrong, sent: vec![], received: vec![] });
            }
        };
        client.give_up_after(CASE_MAX);
        if !self.is_ours {
            client.take_old_version();
            let _ = client.be_impatient(OTHERS_WAIT_MAX); // or else it takes longer
        }
        self.exchange(case, &mut client).map_err(|(line, wrong)| Failure {
            line,
            wrong,
            sent: client.sent().to_vec(),
            received: client.received().to_vec(),
        })
    }

    fn exchange(&mut self, case: &Case, client: &mut Client) -> Result<(), (usize, Vec<String>)> {
        let mut harmless_due = self.way == Way::Behind;
        for exchange in &case.exchanges {
            let mut octets = exchange.octets(&self.values);
            if harmless_due {
                octets.splice(0..0, HARMLESS.iter().copied());
            }
            // A server that has refused already may have closed, so that sending fails; what it
            // answered is what counts.
            let _ = match self.way {
                Way::ByteByByte => client.send_by_octets(&octets),
                Way::Whole | Way::Behind => client.send(&octets),
            };
            if std::mem::take(&mut harmless_due) {
                harmless(client).map_err(|why| (case.line, vec![why]))?;
            }
            for expected in &exchange.expects {
                self.respond(client, expected).map_err(|wrong| (expected.line, wrong))?;
            }
        }
        let last = case.exchanges.last().and_then(|exchange| exchange.expects.last());
        let last = last.expect("every case ends in an expect block");
        // Unless the block says what follows, the response does; either way it is tried, so that
        // no second response can hide.
        let said = if self.said_close { After::Closed } else { After::Open };
        match last.after.unwrap_or(said) {
            After::Closed => client.closed(),
            After::Open => match client.send(LAST) {
                Ok(()) => harmless(client).and_then(|()| client.closed()),
                Err(e) => Err(format!("the connection should be open: {e}")),
            },
        }
        .map_err(|why| (last.line, vec![why]))
    }

    fn respond(&mut self, client: &mut Client, expected: &Expectation) -> Result<(), Vec<String>> {
        let response = client.response_to(expected.to_head).map_err(|why| vec![why])?;
        self.said_close = response.lists("Connection", "close");
        expected.check(&response, self.root, &mut self.values)
    }
}

/// Reads the answer to the harmless GET.
fn harmless(client: &mut Client) -> Result<(), String> {
    let response = client.response().map_err(|why| format!("to a harmless GET: {why}"))?;
    match (response.status, response.body == HARMLESS_BODY) {
        (200, true) => Ok(()),
        (status, _) => Err(format!("a harmless GET was answered {status}: {}", response.text())),
    }
}

impl Failure {
    /// The status of the last response that came, however disorderly.
    pub fn last_status(&self) -> Option<u16> {
        let text = String::from_utf8_lossy(&self.received);
        let mut statuses = text.lines().filter_map(|line| line.strip_prefix("HTTP/1."));
        statuses.next_back()?.get(2..5)?.parse().ok()
    }

    fn report(&self, file: &CaseFile, case: &Case, way: Way) -> String {
        let place = format!("{}:{}", file.path.display(), self.line);
        let mut report = format!("{place}: {} [{}]\n", case.claim, way.name());
        for wrong in &self.wrong {
            let _ = writeln!(report, "    wrong: {wrong}");
        }
        let _ = writeln!(report, "    sent:  {}", shown(&self.sent));
        let _ = writeln!(report, "    got:   {}", shown(&self.received));
        report
    }
}

/// Octets as text with escapes, a line for a line, cut in the middle.
fn shown(octets: &[u8]) -> String {
    let escape = |part: &[u8]| part.escape_ascii().to_string().replace("\\n", "\\n\n           ");
    match octets.len() {
        0 => "nothing".to_owned(),
        length if length <= SHOWN_MAX => escape(octets),
        length => {
            let half = SHOWN_MAX / 2;
            let (start, end) = (&octets[..half], &octets[length - half..]);
            format!("{} ... {length} octets in all ... {}", escape(start), escape(end))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};
    use std::net::TcpListener;

    /// A server that answers `GET /hello.txt` well, `GET /late` with a second response that nobody
    /// asked for, `GET /old` in HTTP/1.0 and with a close, and anything else with 404 and a close.
    fn stub() -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let addr = listener.local_addr().unwrap();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                std::thread::spawn(move || serve(stream.unwrap()));
            }
        });
        addr
    }

    fn serve(mut stream: std::net::TcpStream) {
        let date = httpdate::fmt_http_date(std::time::SystemTime::now());
        let answer = |status: &str, fields: &str, body: &str| {
            let length = body.len();
            format!(
                "HTTP/1.1 {status}\r\nDate: {date}\r\nContent-Type: text/plain\r\n{fields}\
                 Content-Length: {length}\r\n\r\n{body}"
            )
        };
        let hello = answer("200 OK", "ETag: \"1\"\r\n", "Hello, world.\n");
        let (mut head, mut octet) = (Vec::new(), [0]);
        while stream.read(&mut octet).is_ok_and(|n| n == 1) {
            head.push(octet[0]);
            if !head.ends_with(b"\r\n\r\n") {
                continue;
            }
            let head = String::from_utf8(std::mem::take(&mut head)).unwrap();
            let known = head.starts_with("GET /hello") || head.starts_with("GET /late");
            let response = match known {
                false if head.starts_with("GET /old") => {
                    answer("200 OK", "Connection: close\r\n", "old").replace("1.1", "1.0")
                }
                false => {
                    answer("404 Not Found", "Connection: close\r\n", "Error 404 Page not found")
                }
                true if head.starts_with("GET /late") => format!("{hello}{hello}"),
                true => hello.clone(),
            };
            let _ = stream.write_all(response.as_bytes());
            if !known || head.contains("close") {
                break;
            }
        }
    }

    fn play(cases: &str) -> Vec<String> {
        let dir = tempfile::TempDir::new().unwrap();
        let path = dir.path().join("x.md");
        std::fs::write(&path, cases).unwrap();
        run_cases(&CaseFile::read(&path).unwrap(), stub(), dir.path())
    }

    fn case(path: &str, expect: &str) -> String {
        format!("## {path}\nWhy.\n```http\nGET {path} HTTP/1.1\n```\n```expect\n{expect}\n```\n")
    }

    #[test]
    fn cases_that_hold() {
        let gone = case("/gone", "404\n<body> has \"Error 404\"");
        let twice = case("/hello.txt", "200\nETag: {tag}")
            + "```http\nGET /hello.txt HTTP/1.1\nIf-None-Match: {tag}\n```\n\
               ```expect\n200\nETag: {tag}\n```\n";
        for cases in [gone, case("/hello.txt", "200\n<open>"), twice] {
            assert_eq!(play(&cases), Vec::<String>::new(), "{cases}");
        }
    }

    #[test]
    fn a_failure_names_claim_place_and_octets() {
        let failures = play(&case("/gone", "404\nAllow: GET\n<body> empty"));
        assert_eq!(failures.len(), 3, "one for each way");
        assert!(failures[0].contains("x.md:7: /gone [whole]"), "{}", failures[0]);
        assert!(failures[0].contains("wrong: there is no Allow, it should be `GET`"));
        assert!(failures[0].contains("wrong: body of 24 octets should be 0 octets"));
        assert!(failures[0].contains("GET /gone HTTP/1.1\\r\\n"));
        assert!(failures[0].contains("Error 404 Page not found"));
        assert!(failures[2].contains("[behind]"));
    }

    #[test]
    fn another_server_is_asked_once_and_may_answer_in_http_1_0() {
        let dir = tempfile::TempDir::new().unwrap();
        let path = dir.path().join("x.md");
        std::fs::write(&path, case("/old", "200\n<body> is \"old\"") + &case("/gone", "200"))
            .unwrap();
        let file = CaseFile::read(&path).unwrap();
        let cases: Vec<_> = file.cases.iter().collect();
        let failures = compare_cases(&cases, stub(), dir.path());
        let [(1, failure)] = &failures[..] else { panic!("{failures:?}") };
        assert_eq!(failure.wrong, ["expected 200, got 404"]);
        assert_eq!(failure.last_status(), Some(404));
        let ours = run_cases(&file, stub(), dir.path());
        assert_eq!(ours.len(), 6, "{ours:?}");
        assert!(ours[0].contains("bad status line: HTTP/1.0"), "{}", ours[0]);
    }

    #[test]
    fn what_follows_an_answer_is_tried() {
        let more = ["more was sent before the close"; 2];
        // A server that closes before it has read what it was sent resets the connection.
        let closed = ["closed before a response", "reset by peer"];
        for (case, why) in [
            (case("/late", "200\n<closed>"), more),
            (case("/late", "200"), more),
            (case("/gone", "404\n<open>"), closed),
        ] {
            let failures = play(&case);
            assert_eq!(failures.len(), 3, "{failures:?}");
            assert!(why.iter().any(|why| failures[0].contains(why)), "{}", failures[0]);
        }
    }
}
