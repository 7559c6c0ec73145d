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

const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";

/// A server with room for one, and what it notes.
fn with_room_for_one(limits: Limits, test: impl Fn(&dyn Fn() -> TcpStream, &Notes)) {
    let notes = Notes::default();
    let limits = Limits { workers: 1, connections: 1, ..limits };
    let server = Server::bind(([127, 0, 0, 1], 0).into(), limits).unwrap();
    let address = server.addresses()[0];
    let running = server.start(Http::new(Noting(Arc::clone(&notes)))).unwrap();
    let connect = || {
        let client = TcpStream::connect(address).unwrap();
        client.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        client
    };
    test(&connect, &notes);
    running.stopper().stop();
    running.join().unwrap();
}

fn told_503(client: &mut TcpStream) {
    let mut told = String::new();
    client.read_to_string(&mut told).unwrap();
    assert!(told.starts_with("HTTP/1.1 503 Service Unavailable\r\n"), "{told}");
    assert!(told.contains("\r\nRetry-After: 1\r\n") && told.contains("\r\nConnection: close\r\n"));
}

#[test]
fn who_waits_between_requests_makes_room_and_who_asks_does_not() {
    with_room_for_one(Limits::default(), |connect, notes| {
        let mut first = connect();
        first.write_all(REQUEST).unwrap();
        assert!(first.read(&mut [0; 1024]).unwrap() > 0, "the one there is room for");
        let mut second = connect();
        second.write_all(&[REQUEST, b"GET /ha"].concat()).unwrap();
        assert!(second.read(&mut [0; 1024]).unwrap() > 0, "it has the other one's place");
        assert_eq!(first.read(&mut [0; 1024]).unwrap(), 0, "who is not told anything");
        told_503(&mut connect());
        second.write_all(b"lf HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
        assert!(second.read(&mut [0; 1024]).unwrap() > 0);
        assert_eq!(
            *notes.lock().unwrap(),
            [(200, None), (200, None), (503, Some("full")), (200, None)]
        );
    });
}

#[test]
fn who_has_too_many_connections_is_told_503_and_it_is_recorded() {
    let limits = Limits { per_address: Some(1), ..Limits::default() };
    with_room_for_one(limits, |connect, notes| {
        let mut first = connect();
        first.write_all(REQUEST).unwrap();
        assert!(first.read(&mut [0; 1024]).unwrap() > 0, "the first one");
        told_503(&mut connect());
        assert_eq!(*notes.lock().unwrap(), [(200, None), (503, Some("address-full"))]);
    });
}
