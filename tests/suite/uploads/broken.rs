//! Clients that break in the middle of an upload: the old file stays, and nothing else does.

use std::fs;
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::{Duration, SystemTime};

use conformance::client::WAIT_MAX;
use conformance::response::Response;
use conformance::server::{Server, ServerOptions};
use rustix::net::sockopt::set_socket_linger;

use super::{SOON, assert_only, connect, get, head, put, put_head, wait_until, writable};

/// How often each client breaks: far more often than [`KEPT_MAX`], so that one descriptor lost each
/// time is seen.
const TIMES: usize = 30;
/// Descriptors that the server may have come to keep for good, such as of files that it has served.
const KEPT_MAX: usize = 8;
/// What is uploaded, where it gets so far.
const LENGTH: usize = 200_000;

/// How a client ends its connection.
#[derive(Clone, Copy, Debug)]
enum End {
    /// With a reset, as a program that is killed with octets unread does.
    Reset,
    /// As a program that is killed: everything is closed.
    Close,
    /// It says that nothing more comes, and waits.
    Shut,
}

const ENDS: [End; 3] = [End::Reset, End::Close, End::Shut];

fn serve() -> Server {
    let server = writable();
    fs::write(server.root().join("file"), "content").expect("a file can be written");
    server
}

/// Sends `octets` and ends; what the server answered, if it was waited for.
fn break_off(addr: SocketAddr, octets: &[u8], end: End) -> Vec<u8> {
    let mut stream = TcpStream::connect_timeout(&addr, WAIT_MAX).expect("the server accepts");
    stream.set_read_timeout(Some(WAIT_MAX)).expect("that is a timeout");
    stream.write_all(octets).expect("nothing has been refused yet");
    let mut answer = Vec::new();
    match end {
        End::Reset => set_socket_linger(&stream, Some(Duration::ZERO)).expect("a plain option"),
        End::Close => {}
        End::Shut => {
            stream.shutdown(Shutdown::Write).expect("the server has not closed yet");
            stream.read_to_end(&mut answer).expect("an end in time");
        }
    }
    answer
}

/// Breaks off often, each time with `request`, in each way to end; then all is as it was.
#[track_caller]
fn assert_harmless(request: &[u8], what: &str) {
    let server = serve();
    put(&mut connect(&server), "/other", "", b"other").expect("an answer");
    assert_eq!(get(&server, "/file").as_deref(), Some(&b"content"[..]));
    let before = server.descriptors();
    for end in ENDS {
        for _ in 0..TIMES {
            let answer = break_off(server.addr(), request, end);
            let refused = answer.is_empty() || answer.starts_with(b"HTTP/1.1 4");
            assert!(refused, "{what}, {end:?}: {}", answer.escape_ascii());
        }
        let what = format!("{what}, {end:?}");
        assert_only(server.root(), &["file", "other"], &what);
        assert_eq!(get(&server, "/file").as_deref(), Some(&b"content"[..]), "{what}");
        let closed = || server.descriptors() <= before + KEPT_MAX;
        let closed = wait_until(SOON, closed);
        assert!(closed, "{what}: {before} descriptors before, {} after", server.descriptors());
    }
}

#[test]
fn a_client_that_dies_after_three_octets_of_the_content() {
    assert_harmless(&[put_head("/file", "", LENGTH).as_bytes(), b"new"].concat(), "3 octets");
}

#[test]
fn a_client_that_dies_before_the_last_octet_of_the_content() {
    let content = vec![b'x'; LENGTH - 1];
    let request = [put_head("/file", "", LENGTH).as_bytes(), &content].concat();
    assert_harmless(&request, "all but one octet");
}

#[test]
fn a_client_that_dies_in_the_middle_of_a_chunk_or_before_the_last_one() {
    let head = head("PUT", "/file", "Transfer-Encoding: chunked\r\n");
    let whole = super::chunked(&vec![b'x'; LENGTH], 30_000);
    for length in [whole.len() / 2, whole.len() - b"0\r\n\r\n".len(), whole.len() - 1] {
        let request = [head.as_bytes(), &whole[..length]].concat();
        assert_harmless(&request, &format!("{length} of {}", whole.len()));
    }
}

#[test]
fn a_bad_chunk_between_good_ones() {
    let head = head("PUT", "/file", "Transfer-Encoding: chunked\r\n");
    let good = format!("{LENGTH:x}\r\n{}\r\n", "x".repeat(LENGTH));
    for bad in ["xyz\r\n", "3\r\nabcd\r\n", "-1\r\n", "ffffffffffffffffff\r\n", "3\nabc\r\n"] {
        let request = format!("{head}{good}{bad}{good}0\r\n\r\n");
        let server = serve();
        let mut client = connect(&server);
        let _ = client.send(request.as_bytes()); // fails when it was refused before the end
        let response = client.response().unwrap_or_else(|why| panic!("{bad:?}: {why}"));
        assert_eq!(response.status, 400, "{bad:?}");
        client.closed().unwrap_or_else(|why| panic!("{bad:?}: {why}"));
        assert_only(server.root(), &["file"], bad);
        assert_eq!(get(&server, "/file").as_deref(), Some(&b"content"[..]), "{bad:?}");
    }
}

/// The content is complete, but nobody is there for the answer: what the file holds is one of the
/// versions that were sent. (Which one is open: nobody has waited for one before the next came.)
#[test]
fn a_client_that_dies_before_the_answer_leaves_an_old_file_or_the_new_one() {
    let server = serve();
    let versions = super::Versions::new(LENGTH..=LENGTH + 1_000);
    fs::write(server.root().join("file"), versions.content(0)).unwrap();
    for version in 1..=TIMES as u32 {
        let content = versions.content(version);
        let request = [put_head("/file", "", content.len()).as_bytes(), &content].concat();
        let end = if version % 2 == 0 { End::Reset } else { End::Close };
        break_off(server.addr(), &request, end);
        let found = get(&server, "/file").expect("it is never missing");
        let found = versions.read(&found).expect("it is whole");
        assert!(found <= version, "{found} after {version}");
    }
    assert_only(server.root(), &["file"], "in the end");
}

#[test]
fn an_upload_that_is_too_slow_is_answered_408_and_the_old_file_stays() {
    let options = ServerOptions::new().args(["--writable", "--min-rate", "10000"]);
    let server = Server::start(options.args(["--rate-grace", "1"]));
    fs::write(server.root().join("file"), "content").unwrap();
    let chunks = head("PUT", "/file", "Transfer-Encoding: chunked\r\n");
    for (head, drop) in [(put_head("/file", "", LENGTH), "x"), (chunks, "1\r\nx\r\n")] {
        let mut stream = TcpStream::connect(server.addr()).unwrap();
        stream.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
        stream.write_all(head.as_bytes()).unwrap();
        let asked = SystemTime::now();
        let mut received = Vec::new();
        let mut response = None;
        let answered = wait_until(SOON, || {
            let _ = stream.write_all(drop.as_bytes()); // fails once the server has closed
            let mut buffer = [0; 4096];
            if let Ok(count) = stream.read(&mut buffer) {
                received.extend_from_slice(&buffer[..count]);
            }
            let times = asked..=SystemTime::now();
            let parsed = Response::parse_between(&received, false, &times).expect("a sound answer");
            response = parsed.map(|(response, _)| response);
            response.is_some()
        });
        assert!(answered, "no answer: {head}");
        let response = response.expect("there is one");
        assert_eq!(response.status, 408, "{head}");
        assert!(response.lists("Connection", "close"), "{response:?}");
        assert_only(server.root(), &["file"], &head);
        assert_eq!(get(&server, "/file").as_deref(), Some(&b"content"[..]), "{head}");
    }
}
