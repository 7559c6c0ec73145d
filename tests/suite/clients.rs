//! Clients that are not ours: curl, wget, Python's http.client, and one that pipelines.
//!
//! They decide for themselves what to ask, and what to make of the answer; what is on their disk in
//! the end is what counts. A machine without one skips its tests and says so.

use std::fs;
use std::io::{Read, Write as _};
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime};

use conformance::client::Client;
use conformance::server::{Server, ServerOptions};

use crate::download::noise;

mod curl;
mod wget;

const PYTHON: &str = include_str!("clients/ask.py");

/// How long a client may run before it is ended: many times what any of them needs.
const RUN_MAX: Duration = Duration::from_secs(180);

/// More than goes out in one step, and no multiple of anything.
const LARGE: usize = 300_007;

/// A date on which no file is changed while a test runs.
const LONG_AGO: &str = "Sun, 06 Nov 1994 08:49:37 GMT";

/// A server with `/large`, and its content.
fn serve_large() -> (Server, Vec<u8>) {
    let server = Server::start(ServerOptions::new());
    let content = noise(6, LARGE);
    put(&server, "large", &content);
    (server, content)
}

/// Makes a file of long ago below the root.
fn put(server: &Server, path: &str, content: &[u8]) {
    let path = server.root().join(path);
    let parent = path.parent().expect("a file lies in a directory");
    fs::create_dir_all(parent).expect("a directory can be made");
    fs::write(&path, content).expect("a file can be written");
    let file = fs::File::open(&path).expect("a file can be opened");
    file.set_modified(long_ago()).expect("a file can be dated");
}

fn long_ago() -> SystemTime {
    httpdate::parse_http_date(LONG_AGO).expect("a date")
}

/// Replaces a file below the root as tools do that care: by renaming a new one.
fn replace(server: &Server, path: &str, content: &[u8]) {
    let new = server.dir().join("new");
    fs::write(&new, content).expect("a file can be written");
    fs::rename(&new, server.root().join(path)).expect("a file can be renamed");
}

/// What the server says of the file at `path`: its field `name`.
fn told(server: &Server, path: &str, name: &str) -> String {
    let mut client = Client::connect(server.addr()).expect("the server accepts");
    let request = format!("HEAD {path} HTTP/1.1\r\nHost: test\r\n\r\n");
    client.send(request.as_bytes()).expect("a request can be sent");
    let response = client.response_to(true).expect("a sound response");
    response.field(name).unwrap_or_else(|| panic!("no {name} in {response:?}"))
}

fn url(server: &Server, path: &str) -> String {
    format!("http://{}{path}", server.addr())
}

/// Whether there is such a program. If not, that is said, for its test is skipped then.
fn is_there(program: &str) -> bool {
    crate::real_site::is_there(program) || skipped(&format!("there is no {program}"))
}

/// Says why a test is skipped; unlike with `println!`, that is seen although it passes.
fn skipped(why: &str) -> bool {
    let _ = std::io::stderr().write_all(format!("clients: skipped: {why}\n").as_bytes());
    false
}

/// Runs a client to its end.
#[track_caller]
fn run(mut command: Command) -> Output {
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().to_ascii_lowercase().ends_with("_proxy") {
            command.env_remove(name);
        }
    }
    let mut child = command.env("LC_ALL", "C").spawn().expect("a client can be started");
    let stdout = read_all(child.stdout.take().expect("it is a pipe"));
    let stderr = read_all(child.stderr.take().expect("it is a pipe"));
    let end = Instant::now() + RUN_MAX;
    let status = loop {
        match child.try_wait().expect("a child can be waited for") {
            Some(status) => break Some(status),
            None if Instant::now() >= end => {
                child.kill().expect("a child can be killed");
                child.wait().expect("a child can be waited for");
                break None;
            }
            None => std::thread::sleep(Duration::from_millis(5)),
        }
    };
    let octets = |reader: JoinHandle<Vec<u8>>| reader.join().expect("reading does not panic");
    let (stdout, stderr) = (octets(stdout), octets(stderr));
    let said = String::from_utf8_lossy(&stderr);
    let status = status.unwrap_or_else(|| panic!("{command:?} did not end: {said}"));
    Output { status, stdout, stderr }
}

fn read_all(mut pipe: impl Read + Send + 'static) -> JoinHandle<Vec<u8>> {
    std::thread::spawn(move || {
        let mut octets = Vec::new();
        let _ = pipe.read_to_end(&mut octets); // what came until then is what there is to show
        octets
    })
}

/// What a client has said, on both its outputs.
fn said(output: &Output) -> String {
    let both = [&output.stderr[..], &output.stdout[..]].concat();
    String::from_utf8_lossy(&both).into_owned()
}

/// The only file in `dir`, by its name and content.
fn only_file(dir: &Path) -> (String, Vec<u8>) {
    let mut entries = fs::read_dir(dir).expect("a directory can be read");
    let entry = entries.next().expect("there is a file").expect("a directory can be read");
    assert!(entries.next().is_none(), "there is more than one file");
    let content = fs::read(entry.path()).expect("a file can be read");
    (entry.file_name().to_string_lossy().into_owned(), content)
}

/// One of the conversations in `clients/ask.py`, which ends well when all was as it should be.
#[track_caller]
fn ask_with_python(server: &Server, conversation: &str) {
    let mut command = Command::new("python3");
    command.args(["-c", PYTHON, conversation, &server.addr().port().to_string()]);
    command.arg(server.root()).stdin(Stdio::null());
    let output = run(command);
    assert!(output.status.success(), "{conversation}: {}", said(&output));
}

#[test]
fn python_asks_a_hundred_times_on_one_connection() {
    if is_there("python3") {
        let (server, _) = serve_large();
        put(&server, "small", b"Hello, world.\n");
        ask_with_python(&server, "keep_alive");
    }
}

#[test]
fn python_reads_fields_without_content_after_head() {
    if is_there("python3") {
        ask_with_python(&serve_large().0, "head");
    }
}

#[test]
fn python_puts_a_file_together_from_ranges() {
    if is_there("python3") {
        ask_with_python(&serve_large().0, "ranges");
    }
}

#[test]
fn python_uploads_in_chunks() {
    if is_there("python3") {
        let server = Server::start(ServerOptions::new().arg("--writable"));
        ask_with_python(&server, "upload");
    }
}

#[test]
fn a_thousand_pipelined_requests_are_answered_in_order() {
    let server = Server::start(ServerOptions::new());
    for number in 0..100 {
        put(&server, &format!("{number}.txt"), format!("content of {number}").as_bytes());
    }
    // Neighbours differ, and every seventh is not there.
    let asked = |place: usize| if place % 7 == 6 { 100 + place } else { place * 37 % 100 };
    let requests: String = (0..1000)
        .map(|place| format!("GET /{}.txt HTTP/1.1\r\nHost: test\r\n\r\n", asked(place)))
        .collect();
    let mut client = Client::connect(server.addr()).unwrap();
    client.send(requests.as_bytes()).unwrap();
    for place in 0..1000 {
        let response = client.response().unwrap();
        let number = asked(place);
        match number < 100 {
            true => assert_eq!(response.text(), format!("content of {number}"), "{place}"),
            false => assert_eq!(response.status, 404, "{place}"),
        }
    }
    client.send(b"GET /1.txt HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n").unwrap();
    assert_eq!(client.response().unwrap().text(), "content of 1");
    client.closed().unwrap();
}
