//! What is refused for its head is answered before the content has come, and the answer reaches
//! also a client that goes on sending.

use std::fs;
use std::time::{Duration, Instant};

use conformance::client::Client;
use conformance::response::Response;
use conformance::server::{Server, ServerOptions};

use super::{ask, assert_only, connect, head};

/// What clients go on to send although they have been refused.
const CONTENT: usize = 100_000;
/// In how many writes.
const WRITES: usize = 50;
/// For so long a server takes in what comes behind its last word; on a busy machine, a client may
/// need more for its writes.
const LINGER: Duration = Duration::from_secs(5);

/// A server with one flag, and what is refused by it.
struct Refused {
    flags: &'static [&'static str],
    path: &'static str,
    fields: &'static str,
    status: u16,
}

const REFUSED: [Refused; 8] = [
    Refused { flags: &[], path: "/file", fields: "", status: 405 },
    Refused { flags: &[], path: "/new", fields: "", status: 405 },
    Refused { flags: &["--writable", "--body-max", "50K"], path: "/new", fields: "", status: 413 },
    Refused { flags: &["--writable"], path: "/missing/new", fields: "", status: 409 },
    Refused { flags: &["--writable"], path: "/file/new", fields: "", status: 409 },
    Refused { flags: &["--writable"], path: "/", fields: "", status: 409 },
    Refused { flags: &["--writable"], path: "/file", fields: "If-None-Match: *\r\n", status: 412 },
    Refused { flags: &["--writable"], path: "/new", fields: "If-Match: *\r\n", status: 412 },
];

impl Refused {
    fn serve(&self) -> Server {
        let server = Server::start(ServerOptions::new().args(self.flags));
        fs::write(server.root().join("file"), "content").expect("a file can be written");
        server
    }

    fn head(&self, fields: &str) -> String {
        head("PUT", self.path, &format!("{}{fields}", self.fields))
    }

    #[track_caller]
    fn check(&self, response: &Response, what: &str) {
        assert_eq!(response.status, self.status, "{what}: {}", self.head(""));
    }
}

/// Behind the answer, the connection goes on, or ends if the answer said so.
#[track_caller]
fn assert_orderly(client: &mut Client, response: &Response, what: &str) {
    if response.lists("Connection", "close") {
        client.closed().unwrap_or_else(|why| panic!("{what}: {why}"));
    } else {
        let next = ask(client, "GET", "/file", "").unwrap_or_else(|why| panic!("{what}: {why}"));
        assert_eq!((next.status, next.text().as_str()), (200, "content"), "{what}");
    }
}

/// Framings of content too long for the limit, where that is what is refused.
fn framings(refused: &Refused) -> Vec<String> {
    let mut framings = vec![format!("Content-Length: {CONTENT}\r\n")];
    if refused.status != 413 {
        // Of chunks nobody knows how long they will be.
        framings.push("Transfer-Encoding: chunked\r\n".to_owned());
    }
    framings
}

#[test]
fn who_asks_first_is_refused_without_a_100() {
    for refused in &REFUSED {
        let server = refused.serve();
        for framing in framings(refused) {
            let mut client = connect(&server);
            let head = refused.head(&format!("{framing}Expect: 100-continue\r\n"));
            client.send(head.as_bytes()).unwrap();
            let response = client.response().unwrap_or_else(|why| panic!("{head}: {why}"));
            refused.check(&response, "the first answer");
            // Whether the content still comes is in doubt, so nothing can follow.
            assert!(response.lists("Connection", "close"), "{head}");
            client.closed().unwrap_or_else(|why| panic!("{head}: {why}"));
        }
        assert_only(server.root(), &["file"], &refused.head(""));
    }
}

#[test]
fn who_does_not_ask_is_refused_before_an_octet_of_the_content_has_come() {
    for refused in &REFUSED {
        let server = refused.serve();
        for framing in framings(refused) {
            let mut client = connect(&server);
            let head = refused.head(&framing);
            client.send(head.as_bytes()).unwrap();
            let response = client.response().unwrap_or_else(|why| panic!("{head}: {why}"));
            refused.check(&response, "with nothing sent");
            // The client has seen it and gives up.
            client.shut_sending().unwrap();
            let (rest, ended) = client.rest();
            assert!(ended, "{head}: still open");
            assert!(rest.is_empty(), "{head}: {}", rest.escape_ascii());
        }
        assert_only(server.root(), &["file"], &refused.head(""));
    }
}

/// Octets that reach a closed socket are answered with a reset, which drops what the client has
/// received but not yet read (RFC 9112 §9.6).
#[test]
fn who_sends_on_regardless_can_still_read_the_answer() {
    for refused in &REFUSED {
        let server = refused.serve();
        for framing in framings(refused) {
            let head = refused.head(&framing);
            let content = if framing.starts_with("Content") {
                vec![b'x'; CONTENT]
            } else {
                super::chunked(&vec![b'x'; CONTENT], 7_000)
            };
            let (mut client, sent) = (0..5)
                .map(|_| send_on(&server, &head, &content))
                .find(|(_, sent)| sent.is_ok() || sent.is_err_and(|took| took < LINGER))
                .unwrap_or_else(|| panic!("{head}: this machine is too busy"));
            assert!(sent.is_ok(), "{head}: cannot send on");
            let response = client.response().unwrap_or_else(|why| panic!("{head}: {why}"));
            refused.check(&response, "behind the content");
            assert_orderly(&mut client, &response, &head);
        }
        assert_only(server.root(), &["file"], &refused.head(""));
    }
}

/// Sends a head and then its content in many writes; where that fails, after how long.
fn send_on(server: &Server, head: &str, content: &[u8]) -> (Client, Result<(), Duration>) {
    let mut client = connect(server);
    client.send(head.as_bytes()).expect("nothing has been refused yet");
    let start = Instant::now();
    for part in content.chunks(content.len() / WRITES) {
        if client.send(part).is_err() {
            return (client, Err(start.elapsed()));
        }
        std::thread::sleep(Duration::from_millis(1)); // so that a reset has time to come
    }
    (client, Ok(()))
}

#[test]
fn who_sends_the_content_in_one_go_can_still_read_the_answer() {
    for refused in &REFUSED {
        let server = refused.serve();
        for length in [10_000, CONTENT] {
            if length < CONTENT && refused.status == 413 {
                continue;
            }
            let mut client = connect(&server);
            let head = refused.head(&format!("Content-Length: {length}\r\n"));
            client.send(&[head.as_bytes(), &vec![b'x'; length]].concat()).unwrap();
            let response = client.response().unwrap_or_else(|why| panic!("{head}: {why}"));
            refused.check(&response, "behind the content");
            assert_orderly(&mut client, &response, &head);
        }
        assert_only(server.root(), &["file"], &refused.head(""));
    }
}
