//! A disk that hangs, as over a network: those whose files are on it wait, and nobody else.

#![allow(clippy::unwrap_used, reason = "a test that fails should say where")]

mod support;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::Duration;

use fileserve::{CacheLimits, Files, Options};
use http_proto::server::{Answer, Exchange, Handler, Http, Request, Response};
use support::{OPTIONS, Site};
use tcp_core::{Limits, Server};

/// More than the pool has threads.
const WAITING: usize = 20;

/// Files of which those beneath `/slow/` take as long to open as it hangs.
struct Hanging {
    files: Files,
    hangs: Arc<(Mutex<bool>, Condvar)>,
}

impl Handler for Hanging {
    fn recall(&self, request: &Request<'_>) -> Option<Response> {
        // Where a disk may hang, nothing is opened by a worker (`root/linux.rs`).
        if is_slow(request) { None } else { self.files.recall(request) }
    }

    fn answer(&self, request: &Request<'_>) -> Answer {
        if is_slow(request) {
            let (hangs, changed) = &*self.hangs;
            let _woken = changed.wait_while(hangs.lock().unwrap(), |hangs| *hangs).unwrap();
        }
        self.files.answer(request)
    }

    fn may_take_long(&self, request: &Request<'_>) -> bool {
        self.files.may_take_long(request)
    }

    fn record(&self, exchange: &Exchange<'_>) {
        self.files.record(exchange);
    }
}

fn is_slow(request: &Request<'_>) -> bool {
    request.head.target.path().is_some_and(|path| path.starts_with("/slow/"))
}

fn ask(address: SocketAddr, path: &str) -> TcpStream {
    let mut client = TcpStream::connect(address).unwrap();
    client.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    write!(client, "GET {path} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n").unwrap();
    client
}

fn answer(mut client: TcpStream) -> String {
    let mut text = String::new();
    client.read_to_string(&mut text).unwrap();
    text
}

#[test]
fn what_is_kept_is_served_while_every_thread_of_the_pool_waits_for_a_disk() {
    let cache = CacheLimits { bytes: 1 << 20, paths: 100, files: 100 };
    let Site { home, files } = Site::new(Options { cache, ..OPTIONS });
    let root = home.path().join("root");
    std::fs::create_dir(root.join("slow")).unwrap();
    std::fs::write(root.join("slow/file"), "late").unwrap();
    std::fs::write(root.join("kept"), "soon").unwrap();

    let hangs = Arc::new((Mutex::new(true), Condvar::new()));
    let limits = Limits { workers: 1, pool: 4, ..Limits::default() };
    let server = Server::bind(([127, 0, 0, 1], 0).into(), limits).unwrap();
    let address = server.addresses()[0];
    let files = Hanging { files, hangs: Arc::clone(&hangs) };
    let running = server.start(Http::new(files)).unwrap();

    // Asked for more than once, so that it is kept.
    (0..5).for_each(|_| assert!(answer(ask(address, "/kept")).ends_with("\r\n\r\nsoon")));
    let slow: Vec<_> = (0..WAITING).map(|_| ask(address, "/slow/file")).collect();
    // None of these would be answered if it needed a thread of the pool.
    for _ in 0..100 {
        assert!(answer(ask(address, "/kept")).ends_with("\r\n\r\nsoon"));
        thread::sleep(Duration::from_millis(1));
    }
    for client in &slow {
        client.set_nonblocking(true).unwrap();
        let error = client.peek(&mut [0]).expect_err("nothing comes from a disk that hangs");
        assert_eq!(error.kind(), std::io::ErrorKind::WouldBlock);
        client.set_nonblocking(false).unwrap();
    }

    *hangs.0.lock().unwrap() = false;
    hangs.1.notify_all();
    for client in slow {
        assert!(answer(client).ends_with("\r\n\r\nlate"));
    }
    running.stopper().stop();
    running.join().unwrap();
}
