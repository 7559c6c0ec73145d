//! Few file descriptors and many clients: who cannot be served is told so or waits, and no file is
//! said not to be there.

use std::fs;
use std::time::{Duration, Instant};

use conformance::client::Client;
use conformance::server::{Server, ServerOptions};

/// More than there are descriptors, several times.
const CLIENTS: usize = 300;

/// Longer than anything takes, as long as it comes at all.
const PATIENCE: Duration = Duration::from_secs(60);

/// A server that may have 64 descriptors, and a file for each client. It cuts nobody who is slow,
/// as all are on a busy machine.
fn starved() -> Server {
    starved_with(&["--head-timeout", "600", "--stall-timeout", "600", "--min-rate", "0"])
}

fn starved_with(flags: &[&str]) -> Server {
    let few = ["sh", "-c", "ulimit -n 64 && exec \"$0\" \"$@\""];
    let server =
        Server::start(ServerOptions::new().through(few).args(["--workers", "2"]).args(flags));
    for number in 0..CLIENTS {
        fs::write(server.root().join(path(number)), content(number)).expect("a file");
    }
    server
}

fn path(number: usize) -> String {
    format!("file-{number}")
}

/// Long enough that it is not kept in memory but sent from the file.
fn content(number: usize) -> Vec<u8> {
    number.to_string().repeat(30_000).into_bytes()
}

fn ask(client: &mut Client, number: usize) -> bool {
    client.send(format!("GET /{} HTTP/1.1\r\nHost: test\r\n\r\n", path(number)).as_bytes()).is_ok()
}

/// Reads the answer: whether it is the file; if not, it must be 503.
fn is_served(client: &mut Client, number: usize) -> bool {
    let response = client.response().unwrap_or_else(|why| panic!("client {number}: {why}"));
    match response.status {
        200 => assert!(response.body == content(number), "client {number}: other bytes"),
        503 => assert!(response.field("Retry-After").is_some(), "client {number}: {response:?}"),
        _ => panic!("client {number}: {response:?}"),
    }
    response.status == 200
}

/// A client for each file, all at once; says how many were served.
fn crowd(server: &Server) -> usize {
    let mut clients: Vec<Client> = (0..CLIENTS)
        .map(|number| {
            let mut client = Client::connect(server.addr()).expect("the kernel accepts");
            client.give_up_after(PATIENCE);
            assert!(ask(&mut client, number));
            client
        })
        .collect();
    let answers = clients.iter_mut().enumerate();
    answers.map(|(number, client)| usize::from(is_served(client, number))).sum()
}

#[test]
fn three_hundred_clients_are_served_or_told_503() {
    let server = starved();
    let served = crowd(&server);
    assert!(served > 0, "nobody was served");
    recovers(&server);
}

/// Connections that are in the middle of a request make no room; those that come meanwhile are
/// told so or wait, and are served when there is room again.
#[test]
fn while_all_places_are_taken_others_are_told_or_wait() {
    let server = starved();
    let mut holders = Vec::new();
    for _ in 0..64 {
        let mut client = Client::connect(server.addr()).expect("the kernel accepts");
        client.send(b"GET /file-0 HTTP/1.1\r\nHo").expect("it is well");
        holders.push(client);
    }
    let mut waiting: Vec<Client> = Vec::new();
    for _ in 0..20 {
        let mut client = Client::connect(server.addr()).expect("the kernel accepts");
        client.give_up_after(PATIENCE);
        assert!(ask(&mut client, 0));
        waiting.push(client);
    }
    let mut first = waiting.remove(0);
    assert!(!is_served(&mut first, 0), "there was no room");
    drop(holders);
    for client in &mut waiting {
        is_served(client, 0);
    }
    recovers(&server);
}

/// More connections are allowed than there are descriptors for. One of those in hand brings each
/// newcomer in, to whom somebody idle gives up a place: in the jail, too, where hardly any file can
/// be opened. What they ask for takes no descriptor: there may be none for a file.
#[test]
fn the_idle_make_room_when_there_is_no_descriptor_left() {
    let server = starved_with(&["--max-connections", "1000"]);
    let mut idle = Vec::new();
    for number in 0..100 {
        let mut client = Client::connect(server.addr()).expect("the kernel accepts");
        client.give_up_after(PATIENCE);
        client.send(b"GET /nothing HTTP/1.1\r\nHost: test\r\n\r\n").expect("it is well");
        let response = client.response().unwrap_or_else(|why| panic!("client {number}: {why}"));
        assert_eq!(response.status, 404, "client {number}");
        idle.push(client);
    }
}

/// The file of one answer must not be held while the next one is made.
#[test]
fn one_client_asks_for_the_heads_of_more_files_than_there_are_descriptors() {
    let server = starved_with(&["--head-timeout", "600"]);
    let mut client = Client::connect(server.addr()).expect("the kernel accepts");
    client.give_up_after(PATIENCE);
    let heads: String = (0..CLIENTS)
        .map(|number| format!("HEAD /{} HTTP/1.1\r\nHost: test\r\n\r\n", path(number)))
        .collect();
    client.send(heads.as_bytes()).expect("it is read");
    for number in 0..CLIENTS {
        let response = client.response_to(true).unwrap_or_else(|why| panic!("{number}: {why}"));
        assert_eq!(response.status, 200, "{number}");
        let length = content(number).len().to_string();
        assert_eq!(response.field("Content-Length"), Some(length), "{number}");
    }
}

/// With nobody else there every file is served.
fn recovers(server: &Server) {
    let end = Instant::now() + PATIENCE;
    let mut client = loop {
        let mut client = Client::connect(server.addr()).expect("the kernel accepts");
        if ask(&mut client, 0) && is_served(&mut client, 0) {
            break client;
        }
        assert!(Instant::now() < end, "it does not recover: {}", server.stderr());
    };
    for number in 1..CLIENTS {
        assert!(ask(&mut client, number) && is_served(&mut client, number), "file {number}");
    }
}
