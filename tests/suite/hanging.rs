//! A file system that hangs keeps nobody waiting but those who ask for its files.
//!
//! It is a real one (FUSE), which a script mounts for the server alone; where that cannot be, its
//! tests are skipped and say so. The server has one worker: if that waits, everybody does.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use conformance::client::Client;
use conformance::server::{Server, ServerOptions};

use crate::download::{Download, assert_same, noise};
use crate::real_site::is_there;

const DISK: &str = include_str!("hanging.py");

/// How long something may take that is sure to come.
const PATIENCE: Duration = Duration::from_secs(30);

/// Of each of the long files.
const LONG: usize = 8 << 20;

/// A server of one worker, with a near file and the distant ones that the script tells of.
struct Site {
    server: Server,
    near: Vec<u8>,
}

impl Site {
    /// `None` where there is no such file system.
    fn start() -> Option<Site> {
        if !is_there("python3") {
            skipped("there is no python3");
            return None;
        }
        let disk = ["python3", "-c", DISK];
        let options = ServerOptions::new().through(disk).args(["--workers", "1"]);
        let server = match Server::try_start(options) {
            Err(why) if why.contains("no file system of one's own") => {
                skipped(&why);
                return None;
            }
            started => started.unwrap_or_else(|why| panic!("{why}")),
        };
        // Longer than what is kept in memory.
        let near = noise(7, 100_000);
        fs::write(server.root().join("near"), &near).expect("a file can be written");
        let site = Site { server, near };
        site.serves_others();
        Some(site)
    }

    /// Whoever asks for what is not there is answered.
    #[track_caller]
    fn serves_others(&self) {
        for _ in 0..3 {
            let mut client = Client::connect(self.server.addr()).expect("the kernel accepts");
            client.send(b"GET /near HTTP/1.1\r\nHost: test\r\n\r\n").expect("it is well");
            let response = client.response().unwrap_or_else(|why| panic!("others wait: {why}"));
            assert_same(&response.body, &self.near);
        }
    }

    fn beside(&self, name: &str) -> PathBuf {
        self.server.dir().join(name)
    }

    fn hang(&self) {
        fs::write(self.beside("hang"), "").expect("a file can be written");
    }

    fn go_on(&self) {
        fs::remove_file(self.beside("hang")).expect("it is there");
    }

    fn is_hanging(&self) -> bool {
        self.beside("hanging").exists()
    }

    /// Waits until somebody waits for the file system.
    #[track_caller]
    fn wait_hanging(&self) {
        let end = Instant::now() + PATIENCE;
        while !self.is_hanging() {
            assert!(Instant::now() < end, "nobody waits for the file system");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Asks with `method` for `path`, and leaves the answer to come.
    fn ask(&self, method: &str, path: &str) -> TcpStream {
        let mut client = TcpStream::connect(self.server.addr()).expect("the kernel accepts");
        client.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        let request =
            format!("{method} {path} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n");
        client.write_all(request.as_bytes()).expect("it is well");
        client
    }
}

/// Says why a test is skipped; unlike with `println!`, that is seen although it passes.
fn skipped(why: &str) {
    let _ = std::io::stderr().write_all(format!("hanging: skipped: {why}\n").as_bytes());
}

/// What all distant files hold.
fn content(length: usize) -> Vec<u8> {
    (0..length).map(|at| (at % 251) as u8).collect()
}

/// A slow client, for whom the file system hangs after its first octets and after what `first`
/// does. Others are served; when it goes on, the rest comes.
fn hang_while_it_is_sent(site: &Site, path: &str, first: impl FnOnce()) {
    let mut download = Download::start(site.server.addr(), path, "");
    let mut received = download.take(10_000);
    first();
    site.hang();
    let end = Instant::now() + PATIENCE;
    while !site.is_hanging() {
        assert!(Instant::now() < end && received.len() < LONG, "it does not hang");
        received.extend(download.take_some());
    }
    site.serves_others();
    site.go_on();
    received.extend(download.take(LONG - received.len()));
    assert_same(&received, &content(LONG));
}

#[test]
fn nobody_else_waits_for_a_file_of_which_the_kernel_keeps_nothing() {
    let Some(site) = Site::start() else { return };
    hang_while_it_is_sent(&site, "/distant/direct", || {});
}

#[test]
fn nobody_else_waits_for_a_file_that_the_kernel_has_dropped() {
    let Some(site) = Site::start() else { return };
    // Whoever opens it has the kernel drop what it keeps of it.
    let open_it = || {
        let mut answer = String::new();
        let mut client = site.ask("HEAD", "/distant/cached");
        client.read_to_string(&mut answer).expect("it comes");
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    };
    hang_while_it_is_sent(&site, "/distant/cached", open_it);
}

#[test]
fn nobody_else_waits_for_a_file_that_cannot_be_closed() {
    for (method, reads) in [("GET", LONG), ("HEAD", 0), ("GET", 1)] {
        let Some(site) = Site::start() else { return };
        let mut client = site.ask(method, "/distant/close");
        // Whoever asks for the head waits as well, and who leaves the content unread resets the
        // connection.
        let mut answer = Vec::new();
        (&mut client).take(reads as u64).read_to_end(&mut answer).expect("so much comes");
        if reads == LONG {
            assert!(answer.starts_with(b"HTTP/1.1 200 "), "{method}");
            assert!(answer.ends_with(&content(500_000)), "{method}: other octets");
        }
        if reads > 0 {
            drop(client);
        }
        site.wait_hanging();
        site.serves_others();
    }
}
