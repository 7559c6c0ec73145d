//! A handler that panics, over real sockets: it costs the connection it panicked on.
#![cfg(feature = "server")]
// A test that fails should say where: unwrapping is how it does.
#![allow(clippy::unwrap_used)]

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use http_proto::Status;
use http_proto::server::{Answer, Handler, Http, Request, Response};
use tcp_core::{Limits, Server};

/// Panics where its path says so: on the worker's thread, or on a pool thread.
struct Trap;

impl Handler for Trap {
    fn recall(&self, request: &Request<'_>) -> Option<Response> {
        assert_ne!(request.head.target.path(), Some("/recall"), "a trap");
        None
    }

    fn answer(&self, request: &Request<'_>) -> Answer {
        assert_ne!(request.head.target.path(), Some("/answer"), "a trap");
        Response::text(Status::OK, "well").into()
    }
}

fn connect(address: SocketAddr) -> TcpStream {
    let client = TcpStream::connect(address).unwrap();
    client.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    client
}

fn ask(client: &mut TcpStream, path: &str) -> String {
    let request = format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n");
    client.write_all(request.as_bytes()).unwrap();
    let mut answer = Vec::new();
    let mut octets = [0; 1024];
    // Up to the end of the one answer there is, or of the connection.
    while !answer.ends_with(b"\r\n\r\nwell") {
        match client.read(&mut octets) {
            Ok(0) | Err(_) => break,
            Ok(count) => answer.extend_from_slice(&octets[..count]),
        }
    }
    String::from_utf8(answer).unwrap()
}

#[test]
fn a_panic_in_a_handler_costs_its_connection_and_nothing_else() {
    let limits = Limits { workers: 1, pool: 1, ..Limits::default() };
    let server = Server::bind(([127, 0, 0, 1], 0).into(), limits).unwrap();
    let address = server.addresses()[0];
    let running = server.start(Http::new(Trap)).unwrap();
    let mut other = connect(address);
    assert!(ask(&mut other, "/").starts_with("HTTP/1.1 200 OK\r\n"));
    for path in ["/recall", "/answer", "/recall", "/answer"] {
        assert_eq!(ask(&mut connect(address), path), "", "{path}");
        // The one worker and the one pool thread go on, for old connections and for new ones.
        assert!(ask(&mut other, "/").starts_with("HTTP/1.1 200 OK\r\n"), "after {path}");
        assert!(ask(&mut connect(address), "/").starts_with("HTTP/1.1 200 OK\r\n"), "after {path}");
    }
    running.stopper().stop();
    running.join().unwrap();
}
