//! By when a request had come, as a handler is told: what makes an answer from memory as fresh as
//! one from the disk, without a look at the disk for each.
#![cfg(feature = "server")]
// A test that fails should say where: unwrapping is how it does.
#![allow(clippy::unwrap_used)]

use std::collections::HashMap;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use http_proto::Status;
use http_proto::server::{Answer, Handler, Http, Request, Response, Tick};
use tcp_core::{Limits, Server};

const LONG: Duration = Duration::from_secs(30);

type Ticks = Arc<Mutex<HashMap<String, Tick>>>;

/// Notes the tick of every request, by its path. `/hold` keeps the worker until the gate opens.
struct Holding {
    ticks: Ticks,
    held: Sender<()>,
    gate: Mutex<Receiver<()>>,
}

impl Handler for Holding {
    fn recall(&self, request: &Request<'_>) -> Option<Response> {
        let path = request.head.target.path().unwrap();
        self.ticks.lock().unwrap().insert(path.to_owned(), request.arrived.unwrap());
        if path == "/hold" {
            self.held.send(()).unwrap();
            self.gate.lock().unwrap().recv_timeout(LONG).unwrap();
        }
        Some(Response::text(Status::OK, "."))
    }

    fn answer(&self, _: &Request<'_>) -> Answer {
        unreachable!("all is recalled")
    }
}

/// Sends `octets`, and reads as many answers as there are requests in them.
fn ask(client: &mut TcpStream, octets: &str) {
    client.write_all(octets.as_bytes()).unwrap();
    answers(client, octets.matches("GET").count());
}

fn answers(client: &mut TcpStream, count: usize) {
    let mut seen = String::new();
    let mut buffer = [0; 4096];
    while seen.matches("\r\n\r\n.").count() < count {
        let read = client.read(&mut buffer).unwrap();
        assert!(read > 0, "closed after {seen}");
        seen += std::str::from_utf8(&buffer[..read]).unwrap();
    }
}

fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n")
}

/// On a busy machine the kernel may take a while to deliver what was sent.
const TRIES: usize = 20;

#[test]
fn a_request_is_known_to_have_come_by_its_wake_up_only_where_that_is_certain() {
    assert!((0..TRIES).any(|_| is_known()), "one look at the changes is enough for all");
}

/// Whether it is known of all that had come when the worker woke up. That it is known of nothing
/// else must hold each time.
fn is_known() -> bool {
    let ticks = Ticks::default();
    let ((held, is_held), (opener, gate)) = (channel(), channel());
    let handler = Holding { ticks: Arc::clone(&ticks), held, gate: Mutex::new(gate) };
    let limits = Limits { workers: 1, ..Limits::default() };
    let server = Server::bind(([127, 0, 0, 1], 0).into(), limits).unwrap();
    let address = server.addresses()[0];
    let running = server.start(Http::new(handler)).unwrap();
    let connect = || {
        let mut client = TcpStream::connect(address).unwrap();
        client.set_read_timeout(Some(LONG)).unwrap();
        ask(&mut client, &get("/greeting"));
        client
    };
    let [mut holder, mut one, mut two, mut many, mut late, mut split] = [(); 6].map(|()| connect());
    // Half a request that the worker has seen, to be completed later.
    let (half, rest) = ("GET /split HTTP/1.1\r\nHo", "st: a\r\n\r\n");
    split.write_all(half.as_bytes()).unwrap();
    ask(&mut holder, &get("/before"));

    holder.write_all(get("/hold").as_bytes()).unwrap();
    is_held.recv_timeout(LONG).unwrap();
    // All of it is in the kernel when the worker looks next.
    one.write_all(get("/one").as_bytes()).unwrap();
    two.write_all(get("/two").as_bytes()).unwrap();
    many.write_all([get("/first"), get("/second")].concat().as_bytes()).unwrap();
    late.write_all(["\r\n", &get("/late")].concat().as_bytes()).unwrap();
    split.write_all(rest.as_bytes()).unwrap();
    let mut newcomer = TcpStream::connect(address).unwrap();
    newcomer.write_all(get("/newcomer").as_bytes()).unwrap();
    opener.send(()).unwrap();
    for (client, count) in [(&mut holder, 1), (&mut one, 1), (&mut two, 1), (&mut many, 2)] {
        answers(client, count);
    }
    for client in [&mut late, &mut split, &mut newcomer] {
        answers(client, 1);
    }

    let tick = |path: &str| ticks.lock().unwrap()[path];
    assert!(tick("/hold") > tick("/before"));
    let woken = tick("/one");
    assert!(woken > tick("/hold"), "a wake-up is later than what was done before it");
    // Of these, each could have been sent after the worker woke up, as far as it knows.
    for path in ["/second", "/late", "/split", "/newcomer"] {
        assert!(tick(path) > woken, "{path}");
    }
    let is_known = tick("/two") == woken && tick("/first") == woken;
    drop((holder, one, two, many, late, split, newcomer));
    running.stopper().stop();
    running.join().unwrap();
    is_known
}
