//! A server that is full, over real sockets: it says so, and takes note.
#![cfg(feature = "server")]
// A test that fails should say where: unwrapping is how it does.
#![allow(clippy::unwrap_used)]

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use http_proto::Status;
use http_proto::server::{Answer, Exchange, Handler, Http, Request, Response};
use tcp_core::{Limits, Server};

/// The status and the reason of every exchange.
type Notes = Arc<Mutex<Vec<(u16, Option<&'static str>)>>>;

struct Noting(Notes);

impl Handler for Noting {
    fn answer(&self, _: &Request<'_>) -> Answer {
        Response::text(Status::OK, "well").into()
    }

    fn record(&self, exchange: &Exchange<'_>) {
        self.0.lock().unwrap().push((exchange.status.code(), exchange.reason));
    }
}

#[test]
fn a_connection_too_many_is_told_503_and_recorded() {
    let notes = Notes::default();
    let limits = Limits { workers: 1, connections: 1, ..Limits::default() };
    let server = Server::bind(([127, 0, 0, 1], 0).into(), limits).unwrap();
    let address = server.addresses()[0];
    let running = server.start(Http::new(Noting(Arc::clone(&notes)))).unwrap();

    let connect = || {
        let client = TcpStream::connect(address).unwrap();
        client.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        client
    };
    let mut first = connect();
    first.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
    assert!(first.read(&mut [0; 1024]).unwrap() > 0, "the one there is room for");
    let mut told = String::new();
    connect().read_to_string(&mut told).unwrap();
    assert!(told.starts_with("HTTP/1.1 503 Service Unavailable\r\n"), "{told}");
    assert!(told.contains("\r\nRetry-After: 1\r\n") && told.contains("\r\nConnection: close\r\n"));
    assert_eq!(*notes.lock().unwrap(), [(200, None), (503, Some("full"))]);
    drop(first);
    running.stopper().stop();
    running.join();
}
