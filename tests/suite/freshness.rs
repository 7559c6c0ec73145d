//! A request that is sent after a change was completed sees the change, also on a worker that is
//! busy with other requests for the same file.

use std::fs::{self, File};
use std::os::unix::fs::symlink;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, UNIX_EPOCH};

use conformance::client::Client;
use conformance::server::{Server, ServerOptions};

const ROUNDS: usize = 1_000;
/// Clients that keep the worker busy, each with so many requests under way.
const BUSY: usize = 6;
const UNDER_WAY: usize = 8;

fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: test\r\n\r\n")
}

/// The content of the next answer; its status, where that is not 200.
fn answer(client: &mut Client) -> String {
    let response = client.response().expect("an answer");
    match response.status {
        200 => response.text(),
        status => status.to_string(),
    }
}

/// Sets it when this is dropped.
struct SetAtEnd<'a>(&'a AtomicBool);

impl Drop for SetAtEnd<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[test]
fn a_change_is_seen_by_the_next_request_of_any_connection_however_busy_the_worker() {
    let server = Server::start(ServerOptions::new().args(["--workers", "1"]));
    let path = |name: &str| server.root().join(name);
    for dir in ["one", "two"] {
        fs::create_dir(path(dir)).expect("a directory");
        fs::write(path(dir).join("file"), dir).expect("written");
    }
    let connect = || Client::connect(server.addr()).expect("the server accepts");
    let enough = AtomicBool::new(false);
    thread::scope(|scope| {
        // Also when the test fails: the scope ends with its threads.
        let _enough = SetAtEnd(&enough);
        for _ in 0..BUSY {
            scope.spawn(|| {
                let (mut client, requests) = (connect(), get("/file").repeat(UNDER_WAY));
                while !enough.load(Ordering::Relaxed) {
                    client.send(requests.as_bytes()).expect("sent");
                    for _ in 0..UNDER_WAY {
                        client.response().expect("an answer");
                    }
                }
            });
        }
        let mut clients: Vec<Client> = (0..4).map(|_| connect()).collect();
        for round in 0..ROUNDS {
            let new = format!("version {round}");
            // What has just been changed is not kept, so the changes are dated back.
            let write = |name: &str| {
                fs::write(path(name), &new).expect("written");
                let long_ago = UNIX_EPOCH + Duration::from_secs(1_000_000_000 + round as u64);
                let file = File::options().write(true).open(path(name)).expect("there");
                file.set_modified(long_ago).expect("dated back");
            };
            let expected = match round % 5 {
                0 | 1 => {
                    write("new");
                    fs::rename(path("new"), path("file")).expect("renamed");
                    new
                }
                2 => {
                    write("file");
                    new
                }
                3 => {
                    fs::remove_file(path("file")).expect("removed");
                    "404".to_owned()
                }
                _ => {
                    let target = if round % 2 == 0 { "one" } else { "two" };
                    symlink(format!("{target}/file"), path("new")).expect("a link");
                    fs::rename(path("new"), path("file")).expect("renamed");
                    target.to_owned()
                }
            };
            let client = &mut clients[round % 4];
            client.send(get("/file").as_bytes()).expect("sent");
            assert_eq!(answer(client), expected, "round {round}");
        }
    });
}
