//! Standard error and output that nobody reads: no thread that serves waits for a reader, and what
//! is lost is counted.

use std::fs::OpenOptions;
use std::io::{PipeReader, PipeWriter, Read, Write, pipe};
use std::net::SocketAddr;
use std::os::fd::AsRawFd;
use std::os::unix::fs::OpenOptionsExt;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use conformance::client::Client;
use conformance::server::{Signal, binary};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::OFlags;
use rustix::process::{Pid, kill_process};

/// Longer than anything takes, as long as it comes at all.
const PATIENCE: Duration = Duration::from_secs(60);

/// Killed when the test is over.
struct Killed(Child);

impl Killed {
    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.0), signal).expect("a child can be signalled");
    }

    fn stops(&mut self) {
        self.signal(Signal::TERM);
        assert_eq!(self.status(), Some(0));
    }

    fn status(&mut self) -> Option<i32> {
        let end = Instant::now() + PATIENCE;
        loop {
            match self.0.try_wait().expect("a child can be waited for") {
                Some(status) => break status.code(),
                None => assert!(Instant::now() < end, "it does not end"),
            }
            thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Writes until nothing more goes in. Whoever else has the pipe waits as before.
fn fill(pipe: &PipeWriter) {
    let mut options = OpenOptions::new();
    options.write(true).custom_flags(OFlags::NONBLOCK.bits().cast_signed());
    let mut own =
        options.open(format!("/proc/self/fd/{}", pipe.as_raw_fd())).expect("the same pipe");
    while own.write(&[b'x'; 64]).is_ok() {}
}

/// Reads until `text` has come.
fn read_until(pipe: &mut PipeReader, text: &str) -> String {
    let (mut said, mut chunk) = (String::new(), vec![0; 1 << 20]);
    while !said.contains(text) {
        let wait = Timespec { tv_sec: PATIENCE.as_secs() as i64, tv_nsec: 0 };
        let ready = poll(&mut [PollFd::new(pipe, PollFlags::IN)], Some(&wait));
        assert_eq!(ready, Ok(1), "it says no more than: {said}");
        let count = pipe.read(&mut chunk).expect("a pipe can be read");
        assert!(count > 0, "it has ended, and said: {said}");
        said.push_str(&String::from_utf8_lossy(&chunk[..count]));
    }
    said
}

fn listening_at(said: &str) -> SocketAddr {
    let (_, address) = said.split_once("listening at http://").expect("it says so");
    address.split('/').next().and_then(|address| address.parse().ok()).expect("an address")
}

#[test]
fn a_full_pipe_for_standard_error_holds_up_neither_clients_nor_the_stop() {
    let (mut reader, writer) = pipe().unwrap();
    let root = tempfile::tempdir().unwrap();
    std::fs::write(root.path().join("a"), "content").unwrap();
    let mut command = Command::new("sh");
    // A lack of descriptors is something to complain of, on the thread that serves all.
    command.args(["-c", "ulimit -n 64 && exec \"$0\" \"$@\""]).arg(binary());
    command.args(["-b", "127.0.0.1:0", "--host", "*", "--access-log", "off", "--workers", "1"]);
    command.args(["--max-connections", "200"]).arg(root.path());
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(writer.try_clone().unwrap());
    let mut server = Killed(command.spawn().unwrap());
    let address = listening_at(&read_until(&mut reader, "access log"));

    fill(&writer);
    let crowd: Vec<_> = (0..300)
        .map(|_| {
            let mut client = Client::connect(address).unwrap();
            // Who has been told 503 is gone.
            let _ = client.send(b"GET /a HTTP/1.1\r\nHo");
            client
        })
        .collect();
    drop(crowd);
    let end = Instant::now() + PATIENCE;
    loop {
        let mut client = Client::connect(address).unwrap();
        client.give_up_after(PATIENCE);
        let _ = client.send(b"GET /a HTTP/1.1\r\nHost: test\r\n\r\n");
        match client.response() {
            Ok(response) if response.status == 200 => break,
            other => assert!(Instant::now() < end, "{other:?}"),
        }
    }
    // Said by the thread that waits for signals.
    server.signal(Signal::XFSZ);
    read_until(&mut reader, "xxx");
    server.signal(Signal::XFSZ);
    read_until(&mut reader, "httpd: lines lost here, as nobody read standard error: ");

    fill(&writer);
    server.signal(Signal::XFSZ);
    server.stops();
}

#[test]
fn a_server_starts_though_nobody_reads_what_it_says_and_tells_at_the_end_what_was_lost() {
    let (mut reader, writer) = pipe().unwrap();
    fill(&writer);
    let root = tempfile::tempdir().unwrap();
    let mut command = Command::new(binary());
    command.args(["-b", "127.0.0.1:0", "--access-log", "log"]).arg(root.path());
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(writer).current_dir(root.path());
    let mut server = Killed(command.spawn().unwrap());
    drop(command); // and with it the end that is written to
    let log = root.path().join("log");
    let appears = || {
        let end = Instant::now() + PATIENCE;
        while !log.exists() {
            assert!(Instant::now() < end, "it does not start");
            thread::sleep(Duration::from_millis(5));
        }
    };
    // Signals are caught before the log is made; acted on, after the announcement.
    appears();
    std::fs::remove_file(&log).unwrap();
    server.signal(Signal::HUP);
    appears();
    server.signal(Signal::TERM);
    let mut said = String::new();
    reader.read_to_string(&mut said).unwrap();
    assert_eq!(server.status(), Some(0));
    let told = said.trim_start_matches('x');
    let told = told.strip_prefix("httpd: lines lost here, as nobody read standard error: ");
    let lost: u32 = told.and_then(|told| told.trim_end().parse().ok()).expect(&said);
    assert!(lost >= 5, "all of the announcement: {lost}");
}

#[test]
fn why_a_start_failed_is_read_whole_by_who_comes_to_a_full_pipe_late() {
    // The longest is more than a pipe holds.
    for (length, end) in [
        (20, " - try: httpd . to serve the current one\n"),
        (6_000, "': file name too long\n"),
        (100_000, "': file name too long\n"),
    ] {
        let (mut reader, writer) = pipe().unwrap();
        fill(&writer);
        let name = "/".to_owned() + &"n".repeat(length);
        let mut command = Command::new(binary());
        command.arg(&name).stdin(Stdio::null()).stdout(Stdio::null()).stderr(writer);
        let mut server = Killed(command.spawn().unwrap());
        drop(command);
        let mut said = String::new();
        reader.read_to_string(&mut said).unwrap();
        assert_eq!(server.status(), Some(1));
        let why = said.trim_start_matches('x');
        assert!(why.starts_with("httpd: ") && why.contains(&name), "{length}: {why}");
        assert!(why.ends_with(end), "{length}: {why}");
    }
}

#[test]
fn a_start_that_failed_ends_though_nobody_ever_reads_why() {
    let (_reader, writer) = pipe().unwrap();
    fill(&writer);
    let mut command = Command::new(binary());
    command.arg("/does/not/exist").stdin(Stdio::null()).stdout(Stdio::null()).stderr(writer);
    assert_eq!(Killed(command.spawn().unwrap()).status(), Some(1));
}

#[test]
fn a_log_to_a_full_pipe_holds_up_neither_clients_nor_the_stop_and_what_it_drops_is_counted() {
    let (_reader, log) = pipe().unwrap();
    let (mut said, stderr) = pipe().unwrap();
    fill(&log);
    let root = tempfile::tempdir().unwrap();
    let mut command = Command::new(binary());
    command.args(["-b", "127.0.0.1:0", "--host", "*", "--access-log", "-", "--workers", "1"]);
    command.arg(root.path()).stdin(Stdio::null()).stdout(log).stderr(stderr);
    let mut server = Killed(command.spawn().unwrap());
    drop(command);
    let address = listening_at(&read_until(&mut said, "access log"));
    // In the log each of these octets is four. What the writer has in hand, what is kept for it
    // then, and more.
    let request = [b"GET /".as_slice(), &[0xff; 7900], b" HTTP/1.1\r\nHost: test\r\n\r\n"].concat();
    for _ in 0..400 {
        let mut client = Client::connect(address).unwrap();
        client.give_up_after(PATIENCE);
        client.send(&request).unwrap();
        assert_eq!(client.response().map(|response| response.status), Ok(400));
    }
    server.stops();
    let mut text = String::new();
    said.read_to_string(&mut text).unwrap();
    let (_, told) = text.split_once("could not be written in 5s; since the start ").expect(&text);
    let dropped: u32 = told.split(' ').next().unwrap().parse().expect("a number");
    assert!((100..=400).contains(&dropped), "{text}");
}
