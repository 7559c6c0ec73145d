//! Slow, silent and strange: what must not hold up a worker, and when patience ends.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixListener;
use std::time::{Duration, Instant};

use conformance::client::Client;
use conformance::response::Response;
use conformance::server::{Server, ServerOptions};
use rustix::fs::{CWD, Mode, mkfifoat};
use rustix::process::Signal;

use crate::download::{Download, UNSENDABLE};

/// What a timeout of one second may at least take; timers may be a little early, not much.
const NEARLY_A_SECOND: Duration = Duration::from_millis(900);

#[test]
fn gets_are_answered_while_200_clients_drip() {
    let server = Server::start(ServerOptions::new().args(["--workers", "2"]));
    fs::write(server.root().join("file"), "content").unwrap();
    let mut drippers = connect_many(&server, 200);
    let request = b"GET /file HTTP/1.1\r\n";
    for octet in &request[..3] {
        for dripper in &mut drippers {
            dripper.send(&[*octet]).unwrap();
        }
        let next = Instant::now() + Duration::from_secs(1);
        for _ in 0..50 {
            let mut client = Client::connect(server.addr()).unwrap();
            assert_eq!(get(&mut client, "/file").unwrap().body, b"content");
        }
        std::thread::sleep(next.saturating_duration_since(Instant::now()));
    }
    // They were slow, not wrong: each is answered once its head is whole.
    for dripper in &mut drippers {
        dripper.send(&request[3..]).unwrap();
        dripper.send(b"Host: test\r\n\r\n").unwrap();
        assert_eq!(dripper.response().unwrap().status, 200);
    }
}

#[test]
fn dripping_does_not_extend_the_time_for_a_head() {
    let server = Server::start(ServerOptions::new().args(["--head-timeout", "2"]));
    let mut drippers = connect_many(&server, 20);
    for _ in 0..20 {
        for dripper in &mut drippers {
            let _ = dripper.send(b"G"); // fails once it has been cut off
        }
        std::thread::sleep(Duration::from_millis(200));
    }
    // Four seconds are over: a server that counts from the last octet would still be waiting.
    let start = Instant::now();
    for dripper in &mut drippers {
        let response = dripper.response().unwrap();
        assert_eq!(response.status, 408);
        assert!(response.lists("Connection", "close"), "{response:?}");
    }
    assert!(start.elapsed() < Duration::from_millis(1500), "{:?}", start.elapsed());
}

#[test]
fn half_a_head_and_silence_is_answered_408() {
    let server = Server::start(ServerOptions::new().args(["--head-timeout", "1"]));
    let start = Instant::now();
    let mut client = Client::connect(server.addr()).unwrap();
    client.send(b"GET / HTTP/1.1\r\nHo").unwrap();
    let response = client.response().unwrap();
    assert_eq!(response.status, 408);
    assert!(response.lists("Connection", "close"), "{response:?}");
    assert!(start.elapsed() >= NEARLY_A_SECOND, "{:?}", start.elapsed());
    client.closed().unwrap();
}

#[test]
fn a_connection_that_says_nothing_at_all_is_closed() {
    let server = Server::start(ServerOptions::new().args(["--head-timeout", "1"]));
    let mut client = Client::connect(server.addr()).unwrap();
    let (received, ended) = client.rest();
    assert!(ended, "open after five seconds; received {}", received.escape_ascii());
}

#[test]
fn an_idle_connection_is_closed_without_a_word() {
    let server = Server::start(ServerOptions::new().args(["--idle-timeout", "1"]));
    fs::write(server.root().join("file"), "content").unwrap();
    let mut client = Client::connect(server.addr()).unwrap();
    for _ in 0..3 {
        assert_eq!(get(&mut client, "/file").unwrap().status, 200);
        std::thread::sleep(Duration::from_millis(100));
    }
    let start = Instant::now();
    client.closed().unwrap();
    assert!(start.elapsed() >= Duration::from_millis(700), "{:?}", start.elapsed());
}

#[test]
fn who_asked_in_time_is_answered_however_late_the_server_sees_it() {
    let mut server = Server::start(ServerOptions::new().args(["--idle-timeout", "1"]));
    fs::write(server.root().join("file"), "content").unwrap();
    let mut clients = connect_many(&server, 20);
    for client in &mut clients {
        assert_eq!(get(client, "/file").unwrap().status, 200);
    }
    // A machine that is suspended, or busy with something else.
    server.signal(Signal::STOP);
    wait_until_stopped(server.pid());
    for client in &mut clients {
        client.send(b"GET /file HTTP/1.1\r\nHost: test\r\n\r\n").unwrap();
    }
    std::thread::sleep(Duration::from_millis(1500));
    // A wait for events that is so interrupted ends without telling of any.
    server.signal(Signal::CONT);
    for client in &mut clients {
        assert_eq!(client.response().unwrap().body, b"content");
    }
}

#[test]
fn a_reader_that_takes_nothing_is_reset() {
    let server = Server::start(ServerOptions::new().args(["--stall-timeout", "1"]));
    let file = File::create(server.root().join("file")).unwrap();
    file.set_len(UNSENDABLE as u64).unwrap();
    let start = Instant::now();
    let download = Download::start(server.addr(), "/file", "");
    while !download.is_reset() {
        assert!(start.elapsed() < Duration::from_secs(10), "not reset after ten seconds");
        std::thread::sleep(Duration::from_millis(10));
    }
    assert!(start.elapsed() >= NEARLY_A_SECOND, "{:?}", start.elapsed());
}

#[test]
fn an_upload_that_is_too_slow_is_answered_408_and_leaves_nothing() {
    let options = ServerOptions::new().args(["--writable", "--min-rate", "10000"]);
    let server = Server::start(options.args(["--rate-grace", "1"]));
    let mut stream = TcpStream::connect(server.addr()).unwrap();
    stream.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
    let head = b"PUT /upload HTTP/1.1\r\nHost: test\r\nContent-Length: 99999\r\n\r\n";
    stream.write_all(head).unwrap();
    let (start, mut received) = (Instant::now(), Vec::new());
    let response = loop {
        assert!(start.elapsed() < Duration::from_secs(10), "no answer after ten seconds");
        let _ = stream.write_all(b"0123456789"); // fails once the server has closed
        let mut buffer = [0; 4096];
        match stream.read(&mut buffer) {
            Ok(count) => received.extend_from_slice(&buffer[..count]),
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
            Err(error) => panic!("instead of an answer: {error}"),
        }
        if let Some((response, _)) = Response::parse(&received, false).unwrap() {
            break response;
        }
    };
    assert_eq!(response.status, 408);
    assert!(response.lists("Connection", "close"), "{response:?}");
    let end = Instant::now() + Duration::from_secs(3);
    let files = || fs::read_dir(server.root()).unwrap().map(|f| f.unwrap().path());
    while files().count() > 0 {
        assert!(Instant::now() < end, "left behind: {:?}", files().collect::<Vec<_>>());
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn what_is_no_file_is_not_found_and_holds_no_worker() {
    let options = ServerOptions::new().args(["--workers", "1", "--pool", "1"]);
    let server = Server::start(options);
    fs::write(server.root().join("file"), "content").unwrap();
    mkfifoat(CWD, server.root().join("fifo"), Mode::RUSR | Mode::WUSR).unwrap();
    let _socket = UnixListener::bind(server.root().join("socket")).unwrap();
    std::os::unix::fs::symlink("/dev/zero", server.root().join("device")).unwrap();
    for path in ["/fifo", "/socket", "/device"] {
        let mut asking = connect_many(&server, 8);
        for client in &mut asking {
            client.send(format!("GET {path} HTTP/1.1\r\nHost: test\r\n\r\n").as_bytes()).unwrap();
        }
        let mut other = Client::connect(server.addr()).unwrap();
        assert_eq!(get(&mut other, "/file").unwrap().status, 200, "beside {path}");
        for client in &mut asking {
            let response = client.response().unwrap_or_else(|why| panic!("GET {path}: {why}"));
            assert_eq!(response.status, 404, "{path}");
            assert_eq!(get(client, "/file").unwrap().status, 200, "after {path}");
        }
    }
}

/// Until no thread of a process that has been told to stop runs any more.
fn wait_until_stopped(pid: u32) {
    let start = Instant::now();
    let tasks = || fs::read_dir(format!("/proc/{pid}/task")).expect("it is there");
    let is_stopped = |task: io::Result<fs::DirEntry>| {
        let status = fs::read_to_string(task.expect("a thread").path().join("status"));
        status.expect("it cannot end").lines().any(|line| line.starts_with("State:\tT"))
    };
    while !tasks().all(is_stopped) {
        assert!(start.elapsed() < Duration::from_secs(10), "not stopped after ten seconds");
        std::thread::sleep(Duration::from_millis(1));
    }
}

fn connect_many(server: &Server, count: usize) -> Vec<Client> {
    let connect = |_| Client::connect(server.addr()).expect("the server accepts");
    (0..count).map(connect).collect()
}

fn get(client: &mut Client, path: &str) -> Result<Response, String> {
    let request = format!("GET {path} HTTP/1.1\r\nHost: test\r\n\r\n");
    client.send(request.as_bytes()).map_err(|e| e.to_string())?;
    client.response()
}
