//! A session that panics, wherever it does, costs its own connection and nothing else.

mod support;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use support::{Script, echo, limits, read, read_exactly, script, serve};
use tcp_core::{Accepted, Input, Limits, Now, Output, Service, Session, Wait};

/// Where a session goes wrong.
#[derive(Clone, Copy, Debug, PartialEq)]
enum At {
    Open,
    Advance,
    Block,
    Expire,
    Closed,
    Drop,
}

struct Clumsy {
    script: Script,
    falls: bool,
}

impl Drop for Clumsy {
    fn drop(&mut self) {
        assert!(!self.falls, "a panic on purpose");
    }
}

impl Session for Clumsy {
    fn advance(&mut self, now: Now, input: &mut Input<'_>, output: &mut Output) -> Wait {
        self.script.advance(now, input, output)
    }

    fn block(&mut self) {
        self.script.block();
    }

    fn expire(&mut self, now: Now, output: &mut Output) -> Wait {
        self.script.expire(now, output)
    }

    fn closed(&mut self, now: Now, unsent: u64) {
        self.script.closed(now, unsent);
    }
}

/// The sessions of the first `bad` connections panic at `at`; the others echo.
fn clumsy(at: At, bad: usize) -> impl Service {
    let opened = AtomicUsize::new(0);
    move |_: &Accepted| {
        let falls = opened.fetch_add(1, Ordering::Relaxed) < bad;
        assert!(!(falls && at == At::Open), "a panic on purpose");
        let fall = move |here| assert!(!(falls && at == here), "a panic on purpose");
        let script = script(move |now: Now, input: &mut Input<'_>, output: &mut Output| {
            if input.bytes().is_empty() {
                return read(now);
            }
            output.tail().extend_from_slice(b"half done");
            fall(At::Advance);
            match at {
                _ if !falls => output.tail().clear(),
                At::Block => return Wait::Pool,
                At::Expire => {
                    return Wait::Read { deadline: now.instant + Duration::from_millis(20) };
                }
                _ => return Wait::Close,
            }
            echo(now, input, output)
        })
        .on_block(move || fall(At::Block))
        .on_expire(move |_: Now, _: &mut Output| {
            fall(At::Expire);
            Wait::Close
        })
        .on_closed(move |_| fall(At::Closed));
        Clumsy { script, falls: falls && at == At::Drop }
    }
}

#[test]
fn a_panic_costs_its_own_connection_and_nothing_else() {
    for at in [At::Open, At::Advance, At::Block, At::Expire, At::Closed, At::Drop] {
        let bad = 5;
        let limits = Limits { pool: 1, connections: 4, ..limits() };
        let server = serve(limits, clumsy(at, bad));
        for _ in 0..bad {
            let mut client = server.connect();
            let _ = client.write_all(b"x");
            // However it ends, it ends.
            let _ = client.read_to_end(&mut Vec::new());
        }
        // Those that panicked gave their places back: more than there are have been here.
        let mut clients: Vec<TcpStream> = (0..3).map(|_| server.connect()).collect();
        for client in &mut clients {
            client.write_all(b"and we?").unwrap();
            assert_eq!(read_exactly(client, 7), b"and we?", "after a panic in {at:?}");
        }
    }
}

/// What a session panics with, and what panics in turn when it is let go of.
struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        // Not where it is made: a second panic there would end the process.
        assert!(std::thread::panicking(), "a panic on purpose");
    }
}

#[test]
fn a_worker_that_cannot_go_on_ends_the_server_and_it_says_so() {
    for workers in [1, 2] {
        let mut server = serve(Limits { workers, ..limits() }, |_: &Accepted| {
            script(|_, _, _| std::panic::panic_any(Bomb))
        });
        let mut client = server.connect();
        let _ = client.write_all(b"a");
        let error = server.ended().expect_err("a worker is lost");
        assert_eq!(error.to_string(), "a thread of the server panicked");
        assert_eq!(client.read(&mut [0; 1]).unwrap_or(0), 0, "its connection has ended");
    }
}
