//! What a request must not have done, looked at from another connection; and what it must have.

use std::fs;
use std::os::unix::fs::symlink;
use std::time::{Duration, Instant};

use conformance::client::Client;
use conformance::server::{Server, ServerOptions};

use crate::lifecycle::SOON;

fn writable() -> Server {
    let server = Server::start(ServerOptions::new().arg("--writable"));
    fs::write(server.root().join("file"), "content").expect("a file can be written");
    server
}

/// Sends `octets` on a connection of its own and reads the answer, behind which it must close.
#[track_caller]
fn refused(server: &Server, octets: &[u8]) -> u16 {
    let mut client = Client::connect(server.addr()).expect("the server accepts");
    let _ = client.send(octets); // fails when it was refused before the end
    let response = client.response().expect("an answer");
    client.closed().expect("the end behind it");
    response.status
}

/// What a GET on another connection is answered, with the content of a 200.
#[track_caller]
fn get(server: &Server, path: &str) -> (u16, Option<String>) {
    let mut client = Client::connect(server.addr()).expect("the server accepts");
    let request = format!("GET {path} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n");
    client.send(request.as_bytes()).expect("a request can be sent");
    let response = client.response().expect("an answer");
    (response.status, (response.status == 200).then(|| response.text()))
}

/// That the root holds `/file` as it was and nothing else, not even what an upload began.
#[track_caller]
fn assert_untouched(server: &Server, after: &str) {
    assert_eq!(get(server, "/file"), (200, Some("content".to_owned())), "{after}");
    let names = || -> Vec<_> {
        let entries = fs::read_dir(server.root()).expect("the root can be read");
        entries.map(|entry| entry.expect("the root can be read").file_name()).collect()
    };
    // What an upload began is removed soon, and not before the answer.
    let end = Instant::now() + SOON;
    while names() != ["file"] {
        assert!(Instant::now() < end, "{after}: there is {:?}", names());
        std::thread::sleep(Duration::from_millis(5));
    }
}

const WRITES: &str = "PUT /file HTTP/1.1\r\nHost: test\r\nContent-Length: 2\r\n\r\nno\
                      PUT /new HTTP/1.1\r\nHost: test\r\nContent-Length: 2\r\n\r\nno\
                      DELETE /file HTTP/1.1\r\nHost: test\r\n\r\n";

#[test]
fn nothing_is_done_behind_a_close() {
    let server = writable();
    for first in [
        "GET /file HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n",
        "GET /file HTTP/1.0\r\n\r\n",
        "GET /gone HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n",
        "OPTIONS / HTTP/1.1\r\nHost: test\r\nConnection: x, CLOSE\r\nContent-Length: 2\r\n\r\nok",
    ] {
        refused(&server, format!("{first}{WRITES}").as_bytes());
        assert_untouched(&server, first);
    }
}

#[test]
fn nothing_is_done_behind_a_refusal() {
    let server = writable();
    for first in [
        "GET /file HTTP/1.1\r\n\r\n",
        "GET /file HTTP/1.1\r\nHost: test\r\nBad Field: x\r\n\r\n",
        "GET /file HTTP/2.0\r\nHost: test\r\n\r\n",
        "POST /x HTTP/1.1\r\nHost: test\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabc",
        "POST /x HTTP/1.1\r\nHost: test\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n\
         0\r\n\r\n",
        "POST /x HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: gzip\r\n\r\nabc",
        "PUT /x HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabcd\r\n0\r\n\r\n",
        "PUT /x HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nA : b\r\n\r\n",
    ] {
        let status = refused(&server, format!("{first}{WRITES}").as_bytes());
        assert!(status >= 400, "{first}: {status}");
        assert_untouched(&server, first);
    }
}

#[test]
fn what_is_refused_stores_nothing() {
    let server = writable();
    for (head, content, status) in [
        ("PUT https://test/file HTTP/1.1\r\nHost: test\r\nContent-Length: 2", "no", 421),
        ("PUT ftp://test/file HTTP/1.1\r\nHost: test\r\nContent-Length: 2", "no", 400),
        ("PUT /file HTTP/1.1\r\nHost: a b\r\nContent-Length: 2", "no", 400),
        (
            "PUT /file HTTP/1.1\r\nHost: test\r\nContent-Range: bytes 0-1/7\r\nContent-Length: 2",
            "no",
            400,
        ),
        (
            "PUT /file HTTP/1.1\r\nHost: test\r\nContent-Encoding: br\r\nContent-Length: 2",
            "no",
            415,
        ),
        ("PUT /file HTTP/1.1\r\nHost: test\r\nIf-Match: \"x\"\r\nContent-Length: 2", "no", 412),
        ("PUT /file HTTP/1.1\r\nHost: test\r\nExpect: magic\r\nContent-Length: 2", "no", 417),
        ("PUT /file HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked", "2\r\nno\r\nx\r\n", 400),
        ("PUT /file HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked", "2\r\nno\n", 400),
    ] {
        // Some of them do not cost the connection, so each asks for its end.
        let request = format!("{head}\r\nConnection: close\r\n\r\n{content}");
        assert_eq!(refused(&server, request.as_bytes()), status, "{head}");
        assert_untouched(&server, head);
    }
}

#[test]
fn an_upload_that_breaks_off_stores_nothing_and_ends_the_connection() {
    let server = writable();
    for (framing, content) in [
        ("Content-Length: 9", "new"),
        ("Content-Length: 4", "new"),
        ("Transfer-Encoding: chunked", "3\r\nnew\r\n"),
        ("Transfer-Encoding: chunked", "3\r\nnew\r\n0\r\n"),
        ("Transfer-Encoding: chunked", "3\r\nnew\r\n0\r\nX: y\r\n"),
        ("Transfer-Encoding: chunked", "9\r\nnew"),
        ("Transfer-Encoding: chunked", "3"),
    ] {
        for path in ["/file", "/new"] {
            let mut client = Client::connect(server.addr()).unwrap();
            let head = format!("PUT {path} HTTP/1.1\r\nHost: test\r\n{framing}\r\n\r\n");
            client.send(format!("{head}{content}").as_bytes()).unwrap();
            client.shut_sending().unwrap();
            let (rest, ended) = client.rest();
            assert!(ended, "{head}{content}: the connection is still open");
            let ok = rest.is_empty() || rest.starts_with(b"HTTP/1.1 4");
            assert!(ok, "{head}{content}: {}", rest.escape_ascii());
            assert_untouched(&server, &format!("{head}{content}"));
        }
    }
}

#[test]
fn a_client_that_has_closed_its_side_gets_its_answers() {
    let server = writable();
    fs::write(server.root().join("large"), vec![b'x'; 1 << 20]).unwrap();
    let mut client = Client::connect(server.addr()).unwrap();
    let get = |path: &str| format!("GET {path} HTTP/1.1\r\nHost: test\r\n\r\n");
    let put = "PUT /put HTTP/1.1\r\nHost: test\r\nContent-Length: 3\r\n\r\nnew";
    let requests = [&get("/file"), &get("/large"), put, &get("/put"), &get("/gone")].concat();
    client.send(requests.as_bytes()).unwrap();
    client.shut_sending().unwrap();
    assert_eq!(client.response().unwrap().text(), "content");
    assert_eq!(client.response().unwrap().body.len(), 1 << 20);
    assert_eq!(client.response().unwrap().status, 201);
    assert_eq!(client.response().unwrap().text(), "new");
    assert_eq!(client.response().unwrap().status, 404);
    client.closed().unwrap();
}

#[test]
fn nothing_outside_is_changed_through_a_link() {
    let server = writable();
    let outside = server.dir().join("outside");
    fs::create_dir(&outside).unwrap();
    fs::write(outside.join("secret"), "secret").unwrap();
    symlink("../outside/secret", server.root().join("to-file")).unwrap();
    symlink("../outside", server.root().join("to-dir")).unwrap();
    symlink(&outside, server.root().join("absolute")).unwrap();
    let ask = |method: &str, path: &str| {
        let mut client = Client::connect(server.addr()).unwrap();
        let head = format!("{method} {path} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n");
        client.send(format!("{head}Content-Length: 2\r\n\r\nno").as_bytes()).unwrap();
        client.response().unwrap().status
    };
    for method in ["PUT", "POST", "DELETE"] {
        for path in ["/to-dir/secret", "/to-dir/new", "/absolute/secret", "/to-dir/", "/to-file"] {
            let status = ask(method, path);
            let own = path == "/to-file"; // which is a name in the root that may change
            assert!(own || status >= 400, "{method} {path}: {status}");
            let names: Vec<_> =
                fs::read_dir(&outside).unwrap().map(|entry| entry.unwrap().file_name()).collect();
            assert_eq!(names, ["secret"], "{method} {path}");
            let content = fs::read_to_string(outside.join("secret")).unwrap();
            assert_eq!(content, "secret", "{method} {path}");
        }
    }
}

/// As most people start it: with no flag for it, and whatever else it listens at.
#[test]
fn no_foreign_host_is_answered_over_a_loopback_address() {
    for binds in [&[][..], &["-b", "127.0.0.1:0", "-b", "0.0.0.0:0"], &["-b", "[::1]:0"]] {
        let options = ServerOptions::new().usual_hosts().arg("--writable").args(binds);
        let Ok(server) = Server::try_start(options) else {
            eprintln!("skipped: no IPv6 here");
            continue;
        };
        fs::write(server.root().join("file"), "content").unwrap();
        for addr in server.addrs() {
            let addr = match addr.ip().is_unspecified() {
                true => ([127, 0, 0, 1], addr.port()).into(),
                false => *addr,
            };
            let ask = |method: &str, host: &str| {
                let mut client = Client::connect(addr).expect("the server accepts");
                let head = format!("{method} /file HTTP/1.1\r\nHost: {host}\r\n");
                let rest = "Connection: close\r\nContent-Length: 0\r\n\r\n";
                client.send(format!("{head}{rest}").as_bytes()).expect("a request can be sent");
                client.response().expect("an answer").status
            };
            for method in ["GET", "PUT", "DELETE"] {
                assert_eq!(ask(method, "evil.example"), 421, "{binds:?} {addr} {method}");
            }
            assert_eq!(ask("GET", &addr.to_string()), 200, "{binds:?} {addr}");
            assert_eq!(ask("GET", "localhost"), 200, "{binds:?} {addr}");
        }
        assert_eq!(fs::read_to_string(server.root().join("file")).unwrap(), "content");
    }
}
