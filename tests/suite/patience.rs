//! Slow, silent and strange: what must not hold up a worker, and when patience ends.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixListener;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime};

use conformance::client::{Client, WAIT_MAX};
use conformance::response::Response;
use conformance::server::{Server, ServerOptions};
use rustix::fs::{CWD, Mode, mkfifoat};
use rustix::process::Signal;

use crate::download::{Download, UNSENDABLE};
use crate::lifecycle::{SOON, once_within};

/// What a timeout of one second may at least take; timers may be a little early, not much.
const NEARLY_A_SECOND: Duration = Duration::from_millis(900);

/// What a timeout of one second takes less than, and the ten seconds of a head otherwise more.
const NOT_TEN_SECONDS: Duration = Duration::from_secs(8);

#[test]
fn gets_are_answered_while_200_clients_drip() {
    // No dripper is cut off before its turn has come, however busy the machine is.
    let options = ServerOptions::new().args(["--workers", "2", "--head-timeout", "600"]);
    let server = Server::start(options);
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
    let asked = SystemTime::now();
    let connect = |_| TcpStream::connect(server.addr()).expect("the server accepts");
    let drippers: Vec<TcpStream> = (0..20).map(connect).collect();
    let over = AtomicBool::new(false);
    let drip = || {
        while !over.load(Ordering::Relaxed) {
            for mut dripper in &drippers {
                let _ = dripper.write_all(b"G"); // fails once it has been cut off
            }
            std::thread::sleep(Duration::from_millis(200));
        }
    };
    // To a server that counts from the last octet they would drip without end.
    let answers: Vec<_> = std::thread::scope(|scope| {
        scope.spawn(drip);
        // One that gets none is enough to fail.
        let answers = drippers.iter().map(answer).take_while(|it| !it.is_empty()).collect();
        over.store(true, Ordering::Relaxed);
        answers
    });
    assert_eq!(answers.len(), drippers.len(), "answered");
    for answer in answers {
        let parsed = Response::parse_between(&answer, false, &(asked..=SystemTime::now()));
        let (response, _) = parsed.unwrap().expect("an answer");
        assert_eq!(response.status, 408);
        assert!(response.lists("Connection", "close"), "{response:?}");
    }
}

/// What comes on a connection until it ends, or nothing has come for long.
fn answer(mut stream: &TcpStream) -> Vec<u8> {
    let mut answer = Vec::new();
    let _ = stream.set_read_timeout(Some(WAIT_MAX)).and_then(|()| stream.read_to_end(&mut answer));
    answer
}

#[test]
fn half_a_head_and_silence_is_answered_408() {
    let server = Server::start(ServerOptions::new().args(["--head-timeout", "1"]));
    once_within(NOT_TEN_SECONDS, || {
        let start = Instant::now();
        let mut client = Client::connect(server.addr()).unwrap();
        client.send(b"GET / HTTP/1.1\r\nHo").unwrap();
        let response = client.response().unwrap();
        assert_eq!(response.status, 408);
        assert!(response.lists("Connection", "close"), "{response:?}");
        assert!(start.elapsed() >= NEARLY_A_SECOND, "{:?}", start.elapsed());
        client.closed().unwrap();
    });
}

#[test]
fn a_connection_that_says_nothing_at_all_is_closed() {
    let server = Server::start(ServerOptions::new().args(["--head-timeout", "1"]));
    once_within(NOT_TEN_SECONDS, || {
        let mut client = Client::connect(server.addr()).unwrap();
        let (received, ended) = client.rest();
        assert!(ended, "still open; received {}", received.escape_ascii());
    });
}

#[test]
fn an_idle_connection_is_closed_without_a_word() {
    let server = Server::start(ServerOptions::new().args(["--idle-timeout", "1"]));
    fs::write(server.root().join("file"), "content").unwrap();
    let mut client = Client::connect(server.addr()).unwrap();
    // The time counts from the answer, not from here.
    std::thread::sleep(Duration::from_millis(300));
    let start = Instant::now();
    assert_eq!(get(&mut client, "/file").unwrap().status, 200);
    client.closed().unwrap();
    assert!(start.elapsed() >= NEARLY_A_SECOND, "{:?}", start.elapsed());
}

#[test]
fn who_asked_in_time_is_answered_however_late_the_server_sees_it() {
    // On a busy machine it may take a while until all are idle and the server is stopped.
    let in_time = [1, 2, 4, 8, 16].into_iter().any(asked_in_time);
    assert!(in_time, "this machine is too busy");
}

/// Asks while the server is stopped, which is longer than it lets clients be idle. `false` if one
/// of them was idle for that long before.
fn asked_in_time(idle_seconds: u32) -> bool {
    let idle = Duration::from_secs(idle_seconds.into());
    let flags = ["--head-timeout", "600", "--idle-timeout", &idle_seconds.to_string()];
    let mut server = Server::start(ServerOptions::new().args(flags));
    fs::write(server.root().join("file"), "content").expect("written");
    let mut clients = connect_many(&server, 20);
    let start = Instant::now();
    if !clients.iter_mut().all(|client| get(client, "/file").is_ok_and(|it| it.status == 200)) {
        assert!(start.elapsed() > idle.mul_f64(0.9), "{:?}", start.elapsed());
        return false;
    }
    // A machine that is suspended, or busy with something else.
    server.signal(Signal::STOP);
    wait_until_stopped(server.pid());
    if start.elapsed() > idle.mul_f64(0.9) {
        return false;
    }
    for client in &mut clients {
        client.send(b"GET /file HTTP/1.1\r\nHost: test\r\n\r\n").expect("sent");
    }
    std::thread::sleep(idle + Duration::from_millis(500));
    // A wait for events that is so interrupted ends without telling of any.
    server.signal(Signal::CONT);
    for client in &mut clients {
        assert_eq!(client.response().expect("an answer").body, b"content");
    }
    true
}

#[test]
fn a_reader_that_takes_nothing_is_reset() {
    let server = Server::start(ServerOptions::new().args(["--stall-timeout", "1"]));
    let file = File::create(server.root().join("file")).unwrap();
    file.set_len(UNSENDABLE as u64).unwrap();
    let start = Instant::now();
    let download = Download::start(server.addr(), "/file", "");
    while !download.is_reset() {
        // Without the flag it takes thirty seconds.
        assert!(start.elapsed() < Duration::from_secs(25), "not reset after 25 seconds");
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
    let head = b"PUT /upload HTTP/1.1\r\nHost: test\r\nContent-Length: 9999999\r\n\r\n";
    stream.write_all(head).unwrap();
    let (start, asked, mut received) = (Instant::now(), SystemTime::now(), Vec::new());
    let response = loop {
        assert!(start.elapsed() < SOON, "no answer");
        // Fails once the server has closed. Without the flags it is fast enough.
        let _ = stream.write_all(&[b'x'; 100]);
        let mut buffer = [0; 4096];
        match stream.read(&mut buffer) {
            Ok(count) => received.extend_from_slice(&buffer[..count]),
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
            Err(error) => panic!("instead of an answer: {error}"),
        }
        let times = asked..=SystemTime::now();
        if let Some((response, _)) = Response::parse_between(&received, false, &times).unwrap() {
            break response;
        }
    };
    assert_eq!(response.status, 408);
    assert!(response.lists("Connection", "close"), "{response:?}");
    let end = Instant::now() + SOON;
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
        assert!(start.elapsed() < SOON, "not stopped");
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
