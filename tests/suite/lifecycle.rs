//! Starting, stopping, and the access log in between.

use std::fs;
use std::io::{ErrorKind, Read};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use conformance::client::Client;
use conformance::server::{Server, ServerOptions, Signal, binary};
use tempfile::TempDir;

use crate::download::{Download, UNSENDABLE, assert_same, noise};

/// Long for anything that should happen at once, also on a machine that is busy with other things.
pub(crate) const SOON: Duration = Duration::from_secs(60);

/// A drain that [`SOON`] is much shorter than, for who must not wait for it or may take long.
const LONG_DRAIN: [&str; 2] = ["--drain", "600"];

#[test]
fn a_download_completes_after_sigterm_while_new_connections_are_refused() {
    let content = noise(1, UNSENDABLE);
    let mut server = Server::start(ServerOptions::new().args(LONG_DRAIN));
    fs::write(server.root().join("file"), &content).unwrap();
    let mut download = Download::start(server.addr(), "/file", "");
    let mut received = download.take(1 << 20);
    server.signal(Signal::TERM);
    wait_refused(server.addr());
    assert_eq!(server.wait_exit(Duration::ZERO), None, "the download is not over");
    for _ in 0..50 {
        received.extend(download.take(128 << 10));
        std::thread::sleep(Duration::from_millis(20));
    }
    received.extend(download.rest());
    assert_same(&received, &content);
    let status = server.wait_exit(SOON).expect("the last client has gone");
    assert_eq!(status.code(), Some(0), "{}", server.stderr());
}

#[test]
fn idle_connections_do_not_delay_the_stop() {
    let mut server = Server::start(ServerOptions::new().args(LONG_DRAIN));
    fs::write(server.root().join("file"), "content").unwrap();
    let mut clients: Vec<_> = (0..20).map(|_| Client::connect(server.addr()).unwrap()).collect();
    for client in &mut clients {
        assert_eq!(get(client, "/file"), 200);
    }
    server.signal(Signal::TERM);
    let status = server.wait_exit(SOON).expect("nobody is being sent anything");
    assert_eq!(status.code(), Some(0), "{}", server.stderr());
    for client in &mut clients {
        client.closed().unwrap();
    }
}

#[test]
fn a_second_sigterm_ends_it_at_once() {
    let options = ServerOptions::new().args(LONG_DRAIN).args(["--stall-timeout", "600"]);
    let mut server = Server::start(options);
    let stuck = stuck_client(&server);
    server.signal(Signal::TERM);
    wait_refused(server.addr());
    assert_eq!(server.wait_exit(Duration::from_millis(200)), None, "it drains");
    server.signal(Signal::TERM);
    server.wait_exit(SOON).expect("nothing is waited for after a second signal");
    drop(stuck);
}

#[test]
fn a_client_that_never_reads_cannot_hold_up_the_stop() {
    // Without the flag it takes ten seconds.
    once_within(Duration::from_secs(6), || {
        let mut server = Server::start(ServerOptions::new().args(["--drain", "1"]));
        let stuck = stuck_client(&server);
        server.signal(Signal::TERM);
        let status = server.wait_exit(SOON).expect("a drain of one second ends");
        assert_eq!(status.code(), Some(0), "{}", server.stderr());
        drop(stuck);
    });
}

#[test]
fn sigint_stops_it_too() {
    let mut server = Server::start(ServerOptions::new());
    server.signal(Signal::INT);
    let status = server.wait_exit(SOON).expect("it has nothing to do");
    assert_eq!(status.code(), Some(0), "{}", server.stderr());
}

#[test]
fn a_port_in_use_is_named_with_a_way_out() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = taken.local_addr().unwrap();
    let dir = TempDir::new().unwrap();
    let said = run_to_failure(&["-b", &addr.to_string(), "."], dir.path(), 1);
    assert!(said.contains(&addr.port().to_string()), "the address: {said}");
    assert!(said.contains("-b"), "a way out: {said}");
}

#[test]
fn a_root_that_is_not_there_is_named() {
    let dir = TempDir::new().unwrap();
    let said = run_to_failure(&["-b", "127.0.0.1:0", "no-such-place"], dir.path(), 1);
    assert!(said.contains("no-such-place"), "{said}");
}

#[test]
fn a_root_that_is_a_file_is_named() {
    let dir = TempDir::new().unwrap();
    fs::write(dir.path().join("some-file"), "").unwrap();
    let said = run_to_failure(&["-b", "127.0.0.1:0", "some-file"], dir.path(), 1);
    assert!(said.contains("some-file"), "{said}");
}

#[test]
fn a_wrong_command_line_exits_with_2() {
    let dir = TempDir::new().unwrap();
    for wrong in [
        "--workers=many",
        "--head-timeout=-1",
        "--idle-timeout=NaN",
        "--body-max=1X",
        "--bind=nowhere",
        "--log-format=poem",
        "--no-such-flag",
    ] {
        let (code, said) = run_to_end(&[wrong, "."], dir.path());
        let flag = wrong.split('=').next().unwrap();
        assert_eq!(code, Some(2), "{wrong}: {said}");
        assert!(said.contains(flag), "{wrong} is not named: {said}");
    }
}

#[test]
fn sighup_after_a_rename_loses_no_line() {
    let mut server = Server::start(ServerOptions::new());
    let rotated = server.dir().join("access.log.1");
    let mut client = Client::connect(server.addr()).unwrap();
    ask_for(&mut client, "before", 50);
    server.wait_access_log(|text| !text.is_empty());
    fs::rename(server.access_log(), &rotated).unwrap();
    ask_for(&mut client, "between", 50);

    let (addr, go_on) = (server.addr(), AtomicBool::new(true));
    let during = std::thread::scope(|scope| {
        let busy = scope.spawn(|| {
            let mut client = Client::connect(addr).unwrap();
            let mut count = 0;
            while go_on.load(Ordering::Relaxed) {
                get(&mut client, &format!("/during-{count}-"));
                count += 1;
            }
            count
        });
        server.signal(Signal::HUP);
        let reopened = wait_until(SOON, || server.access_log().exists());
        go_on.store(false, Ordering::Relaxed);
        assert!(reopened, "there is no new log after SIGHUP: {}", server.stderr());
        busy.join().unwrap()
    });
    ask_for(&mut client, "after", 50);
    server.signal(Signal::TERM);
    server.wait_exit(SOON).expect("it has nothing to do");

    let new = fs::read_to_string(server.access_log()).unwrap();
    let all = fs::read_to_string(rotated).unwrap() + &new;
    let phases = [("before", 50), ("between", 50), ("during", during), ("after", 50)];
    for (phase, count) in phases {
        for number in 0..count {
            let lines = all.matches(&format!("/{phase}-{number}-")).count();
            assert_eq!(lines, 1, "lines of /{phase}-{number}- of {count}");
        }
    }
    assert_eq!(new.matches("/after-").count(), 50, "new lines are in the new file");
    assert_eq!(all.lines().count(), 150 + during, "one line for each answer");
}

#[test]
fn a_log_that_is_renamed_or_deleted_is_noticed_in_the_jail() {
    let server = Server::start(ServerOptions::new());
    let mut client = Client::connect(server.addr()).unwrap();
    get(&mut client, "/first");
    server.wait_access_log(|text| text.contains("/first"));
    fs::rename(server.access_log(), server.dir().join("access.log.1")).unwrap();
    assert!(wait_until(SOON, || server.access_log().exists()), "renamed: {}", server.stderr());
    get(&mut client, "/second");
    let log = server.wait_access_log(|text| text.contains("/second"));
    assert!(log.contains("/second"), "{log}");
    assert!(!log.contains("/first"), "{log}");
    fs::remove_file(server.access_log()).unwrap();
    assert!(wait_until(SOON, || server.access_log().exists()), "deleted: {}", server.stderr());
    get(&mut client, "/third");
    let log = server.wait_access_log(|text| text.contains("/third"));
    assert!(log.contains("/third"), "{log}");
}

#[test]
fn a_line_reaches_the_log_within_a_second_or_so() {
    let server = Server::start(ServerOptions::new());
    get(&mut Client::connect(server.addr()).unwrap(), "/seen-soon");
    let log = server.wait_access_log(|text| text.contains("/seen-soon"));
    assert_eq!(log.matches("/seen-soon").count(), 1, "{log}");
}

#[test]
fn a_line_reaches_the_log_before_the_exit() {
    let mut server = Server::start(ServerOptions::new());
    get(&mut Client::connect(server.addr()).unwrap(), "/last-words");
    server.signal(Signal::TERM);
    server.wait_exit(SOON).expect("it has nothing to do");
    let log = fs::read_to_string(server.access_log()).unwrap();
    assert_eq!(log.matches("/last-words").count(), 1, "{log}");
}

#[test]
fn the_log_is_not_served_even_from_inside_the_root() {
    let dir = TempDir::new().unwrap();
    let log = dir.path().join("served.log");
    let options = ServerOptions::new().root(dir.path()).arg("--access-log").arg(&log);
    let mut server = Server::start(options);
    std::os::unix::fs::symlink("served.log", dir.path().join("alias")).unwrap();
    fs::write(dir.path().join("file"), "content").unwrap();
    let mut client = Client::connect(server.addr()).unwrap();
    assert_eq!(get(&mut client, "/file"), 200);
    assert!(wait_until(SOON, || fs::metadata(&log).is_ok_and(|log| log.len() > 0)));
    for path in ["/served.log", "/%73erved.log", "/alias"] {
        assert_eq!(get(&mut client, path), 404, "{path}");
    }
    fs::rename(&log, dir.path().join("old.log")).unwrap();
    server.signal(Signal::HUP);
    assert!(wait_until(SOON, || log.exists()), "{}", server.stderr());
    assert_eq!(get(&mut client, "/served.log"), 404, "after SIGHUP");
}

#[test]
fn forms_are_kept_only_where_they_are_not_served() {
    let dir = TempDir::new().unwrap();
    fs::create_dir_all(dir.path().join("root/kept")).unwrap();
    std::os::unix::fs::symlink("root/kept", dir.path().join("link")).unwrap();
    for kept in ["root", "root/kept", "./root/../root/kept", "link"] {
        let said = run_to_failure(&["-b", "0", "--forms", kept, "root"], dir.path(), 1);
        assert!(said.contains("would be served"), "{kept}: {said}");
    }
    let said = run_to_failure(&["-b", "0", "--forms", "none", "root"], dir.path(), 1);
    assert!(said.contains("try: mkdir none"), "{said}");
    assert!(!dir.path().join("access.log").exists());
}

/// A client that has been sent all that the kernel takes, and reads none of it.
fn stuck_client(server: &Server) -> Download {
    fs::write(server.root().join("file"), vec![b'x'; UNSENDABLE]).expect("a file can be written");
    Download::start(server.addr(), "/file", "")
}

/// Asks for `path` on a kept connection and returns the status.
#[track_caller]
fn get(client: &mut Client, path: &str) -> u16 {
    let request = format!("GET {path} HTTP/1.1\r\nHost: test\r\n\r\n");
    client.send(request.as_bytes()).expect("a kept connection takes a request");
    client.response().unwrap_or_else(|why| panic!("GET {path}: {why}")).status
}

/// Asks for `/phase-0-`, `/phase-1-` and so on; none of them is there, each is logged.
fn ask_for(client: &mut Client, phase: &str, count: usize) {
    for number in 0..count {
        assert_eq!(get(client, &format!("/{phase}-{number}-")), 404);
    }
}

/// Waits until nobody listens at `addr` any more.
#[track_caller]
fn wait_refused(addr: SocketAddr) {
    let refused = || match TcpStream::connect_timeout(&addr, Duration::from_secs(1)) {
        Ok(_) => false,
        Err(error) => error.kind() == ErrorKind::ConnectionRefused,
    };
    assert!(wait_until(SOON, refused), "new connections are still accepted");
}

/// Whether `done` becomes true within `patience`.
pub(crate) fn wait_until(patience: Duration, mut done: impl FnMut() -> bool) -> bool {
    let end = Instant::now() + patience;
    while Instant::now() < end {
        if done() {
            return true;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    done()
}

/// That `attempt` takes no longer than `within`, at least once in a few times: what waits for too
/// long does so each time, and what a busy machine delays is not delayed each time.
#[track_caller]
pub(crate) fn once_within(within: Duration, mut attempt: impl FnMut()) {
    let mut took = || {
        let start = Instant::now();
        attempt();
        start.elapsed()
    };
    assert!((0..5).any(|_| took() < within), "never within {within:?}");
}

/// Runs `httpd` where it has to fail: exit status `code`, one sentence, no trace of its insides.
#[track_caller]
pub(crate) fn run_to_failure(args: &[&str], dir: &Path, code: i32) -> String {
    let (found, said) = run_to_end(args, dir);
    assert_eq!(found, Some(code), "{said}");
    assert_eq!(said.lines().count(), 1, "one sentence: {said}");
    for inside in ["backtrace", "panicked", ".rs:", "os error"] {
        assert!(!said.contains(inside), "{inside}: {said}");
    }
    said
}

/// Exit status and standard error of `httpd`, which has to end by itself.
#[track_caller]
fn run_to_end(args: &[&str], dir: &Path) -> (Option<i32>, String) {
    let mut command = Command::new(binary());
    command.args(args).current_dir(dir).env("RUST_BACKTRACE", "1");
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("httpd can be started");
    let mut status = None;
    let ended = wait_until(SOON, || {
        status = child.try_wait().expect("a child can be waited for");
        status.is_some()
    });
    if !ended {
        child.kill().expect("a child can be killed");
        status = Some(child.wait().expect("a killed child ends"));
    }
    let mut said = String::new();
    let stderr = child.stderr.as_mut().expect("standard error is a pipe");
    stderr.read_to_string(&mut said).expect("standard error is text");
    assert!(ended, "httpd {args:?} goes on instead of failing: {said}");
    (status.and_then(|status| status.code()), said)
}
