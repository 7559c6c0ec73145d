//! Bounds that are off, or out of reach, unless a flag sets them: what a client sees at each.

use conformance::client::Client;
use conformance::server::{Server, ServerOptions};
use std::fs;

use crate::lifecycle::{SOON, wait_until};

const GET: &[u8] = b"GET /file HTTP/1.1\r\nHost: test\r\n\r\n";

fn server(flags: &[&str]) -> Server {
    let server = Server::start(ServerOptions::new().args(flags.iter().copied()));
    fs::write(server.root().join("file"), "content").expect("a file is written");
    server
}

/// A further connection, and the status of its first answer.
fn connected(server: &Server) -> (Client, u16) {
    let mut client = Client::connect(server.addr()).expect("the kernel accepts");
    client.send(GET).expect("a request can be sent");
    let status = client.response().expect("an answer").status;
    (client, status)
}

#[test]
fn an_address_has_as_many_connections_as_max_per_address_says() {
    let server = server(&["--max-per-address", "2"]);
    let (first, second) = (connected(&server), connected(&server));
    assert_eq!((first.1, second.1), (200, 200));
    let mut third = Client::connect(server.addr()).unwrap();
    third.send(GET).unwrap();
    let refused = third.response().unwrap();
    assert_eq!(refused.status, 503);
    assert!(refused.lists("Connection", "close"), "{refused:?}");
    third.closed().unwrap();
    // Those that are there go on, and one that leaves makes room.
    let mut second = second.0;
    second.send(GET).unwrap();
    assert_eq!(second.response().unwrap().status, 200);
    drop(first.0);
    assert!(wait_until(SOON, || connected(&server).1 == 200), "a place is free again");
}

/// Five seconds' worth may come at once. To take in all of these would be minutes' worth.
#[test]
fn an_address_asks_as_often_as_rate_per_address_says() {
    let server = server(&["--rate-per-address", "1"]);
    let mut client = Client::connect(server.addr()).unwrap();
    client.send(&GET.repeat(200)).unwrap();
    let mut answers = (0..200).map(|_| client.response().unwrap());
    assert!(answers.by_ref().take(5).all(|answer| answer.status == 200), "a burst is taken");
    let (mut refused, mut taken) = (0, 0);
    for answer in answers {
        match answer.status {
            429 => refused += 1,
            200 => taken += 1,
            _ => panic!("{answer:?}"),
        }
    }
    assert!(refused > taken, "{refused} refused, {taken} taken");
    // It is the request that is refused, and not the connection.
    let again = wait_until(SOON, || {
        client.send(GET).unwrap();
        client.response().unwrap().status == 200
    });
    assert!(again, "a second later one more is taken");
}

#[test]
fn as_many_uploads_are_taken_in_at_once_as_uploads_max_says() {
    let server = server(&["--writable", "--uploads-max", "1"]);
    let mut first = Client::connect(server.addr()).unwrap();
    let head = b"PUT /first HTTP/1.1\r\nHost: test\r\nContent-Length: 7\r\n";
    first.send(head).unwrap();
    first.send(b"Expect: 100-continue\r\n\r\n").unwrap();
    assert_eq!(first.response().unwrap().status, 100, "it has its turn");
    let mut second = Client::connect(server.addr()).unwrap();
    let put = b"PUT /second HTTP/1.1\r\nHost: test\r\nContent-Length: 6\r\n\r\nsecond";
    second.send(put).unwrap();
    assert_eq!(second.response().unwrap().status, 503);
    assert!(!server.root().join("second").exists());
    assert_eq!(connected(&server).1, 200, "who reads is not kept waiting");
    first.send(b"content").unwrap();
    assert_eq!(first.response().unwrap().status, 201);
    let taken = wait_until(SOON, || {
        let mut client = Client::connect(server.addr()).unwrap();
        client.send(put).unwrap();
        client.response().unwrap().status == 201
    });
    assert!(taken, "the turn is another's now");
}
