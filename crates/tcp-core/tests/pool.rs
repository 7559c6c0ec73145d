//! Work that may block: it runs elsewhere, and everybody else goes on.

mod support;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use crossbeam_channel::{Receiver, unbounded};
use support::{LONG, Script, Serving, echo, eventually, limits, many_descriptors, pattern, read};
use support::{read_all, read_exactly, script, serve, with_longer_times};
use tcp_core::{Accepted, Input, Limits, Now, Output, Pace, Wait};

#[test]
fn block_runs_on_a_pool_thread_and_advance_on_the_worker() {
    let (sender, names) = unbounded();
    let server = serve(limits(), move |_: &Accepted| {
        let name = |what: &'static str, sender: &crossbeam_channel::Sender<String>| {
            let thread = thread::current().name().unwrap_or("nameless").to_owned();
            sender.send(format!("{what} on {thread}")).unwrap();
        };
        let (advance, block) = (sender.clone(), sender.clone());
        let mut calls = 0;
        script(move |_: Now, _: &mut Input<'_>, _: &mut Output| {
            name("advance", &advance);
            calls += 1;
            if calls == 1 { Wait::Pool } else { Wait::Close }
        })
        .on_block(move || name("block", &block))
    });
    assert_eq!(read_all(&mut server.connect()), b"");
    let names: Vec<String> = names.try_iter().collect();
    let pool = |name: &String| name == "block on pool-0" || name == "block on pool-1";
    assert_eq!(names.len(), 3);
    assert_eq!(names[0], "advance on worker-0");
    assert!(pool(&names[1]), "{}", names[1]);
    assert_eq!(names[2], "advance on worker-0");
}

/// Echoes, but a message that starts with `w` first waits on the pool for the gate to open.
fn gated(gate: Receiver<()>, waiting: Arc<AtomicUsize>) -> Script {
    let asked = Arc::clone(&waiting);
    let mut been = false;
    script(move |now: Now, input: &mut Input<'_>, output: &mut Output| {
        if input.bytes().starts_with(b"w") && !std::mem::replace(&mut been, true) {
            asked.fetch_add(1, Ordering::Relaxed);
            return Wait::Pool;
        }
        if !input.bytes().is_empty() {
            been = false;
        }
        echo(now, input, output)
    })
    .on_block(move || {
        // The gate opens when its other end is dropped.
        let _ = gate.recv();
    })
}

struct Gate {
    server: Serving,
    opener: crossbeam_channel::Sender<()>,
    asked: Arc<AtomicUsize>,
}

fn gate(limits: Limits) -> Gate {
    let (opener, gate) = unbounded();
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    let server = serve(limits, move |_: &Accepted| gated(gate.clone(), Arc::clone(&count)));
    Gate { server, opener, asked }
}

#[test]
fn the_worker_serves_others_while_every_pool_thread_is_blocked() {
    let Gate { server, opener, asked } = gate(limits());
    let mut blocked: Vec<TcpStream> = (0..6).map(|_| server.connect()).collect();
    for client in &mut blocked {
        client.write_all(b"wait").unwrap();
    }
    eventually("all are on their way to the pool", || asked.load(Ordering::Relaxed) == 6);
    let mut client = server.connect();
    for _ in 0..10 {
        client.write_all(b"quick").unwrap();
        assert_eq!(read_exactly(&mut client, 5), b"quick");
    }
    // What comes for a connection that is away is not lost.
    for client in &mut blocked {
        client.write_all(b" and more").unwrap();
    }
    drop(opener);
    for client in &mut blocked {
        assert_eq!(read_exactly(client, 13), b"wait and more");
    }
}

/// Whoever needs the pool for a moment gets a thread, whatever else takes long.
#[test]
fn work_that_takes_long_does_not_keep_short_work_waiting() {
    let (opener, gate) = unbounded::<()>();
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    let server = serve(limits(), move |_: &Accepted| {
        let (asked, gate) = (Arc::clone(&count), gate.clone());
        let long = Arc::new(AtomicBool::new(false));
        let is_long = Arc::clone(&long);
        let mut been = false;
        script(move |now: Now, input: &mut Input<'_>, output: &mut Output| {
            let first = input.bytes().first().copied();
            if first.is_none() || std::mem::replace(&mut been, true) {
                return echo(now, input, output);
            }
            long.store(first == Some(b'l'), Ordering::Relaxed);
            asked.fetch_add(1, Ordering::Relaxed);
            if first == Some(b'l') { Wait::LongPool } else { Wait::Pool }
        })
        .on_block(move || {
            if is_long.load(Ordering::Relaxed) {
                let _ = gate.recv();
            }
        })
    });
    let mut long: Vec<TcpStream> = (0..6).map(|_| server.connect()).collect();
    for client in &mut long {
        client.write_all(b"long").unwrap();
    }
    eventually("all are on their way to the pool", || asked.load(Ordering::Relaxed) == 6);
    for _ in 0..10 {
        let mut client = server.connect();
        client.write_all(b"short").unwrap();
        assert_eq!(read_exactly(&mut client, 5), b"short");
    }
    drop(opener);
    for client in &mut long {
        assert_eq!(read_exactly(client, 4), b"long");
    }
}

#[test]
fn more_connections_than_the_way_to_the_pool_holds_all_come_back() {
    const MANY: usize = 1200;
    many_descriptors();
    let Gate { server, opener, asked } = gate(Limits { connections: 2 * MANY, ..limits() });
    let mut blocked: Vec<TcpStream> = (0..MANY).map(|_| server.connect()).collect();
    for client in &mut blocked {
        client.write_all(b"wait").unwrap();
    }
    eventually("all are on their way to the pool", || asked.load(Ordering::Relaxed) == MANY);
    // A peer that leaves while its connection stands in line.
    drop(blocked.pop());
    let mut client = server.connect();
    client.write_all(b"quick").unwrap();
    assert_eq!(read_exactly(&mut client, 5), b"quick");
    drop(opener);
    for client in &mut blocked {
        assert_eq!(read_exactly(client, 4), b"wait");
    }
    // And again, now that the pool keeps nobody.
    for client in &mut blocked {
        client.write_all(b"w").unwrap();
    }
    for client in &mut blocked {
        assert_eq!(read_exactly(client, 1), b"w");
    }
}

#[test]
fn a_peer_that_leaves_while_its_connection_is_away_costs_nothing() {
    let (closed, endings) = unbounded();
    let (opener, gate) = unbounded::<()>();
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    let server = serve(Limits { connections: 2, ..limits() }, move |_: &Accepted| {
        let closed = closed.clone();
        gated(gate.clone(), Arc::clone(&count)).on_closed(move |_| closed.send(()).unwrap())
    });
    for _ in 0..2 {
        server.connect().write_all(b"w").unwrap();
    }
    eventually("both are away", || asked.load(Ordering::Relaxed) == 2);
    drop(opener);
    for _ in 0..2 {
        endings.recv_timeout(LONG).unwrap();
    }
    let mut client = server.connect();
    client.write_all(b"next").unwrap();
    assert_eq!(read_exactly(&mut client, 4), b"next");
}

/// Owes `answer`, and goes to the pool before the peer can have taken it.
fn owing_and_away(answer: &Arc<[u8]>, block: impl FnMut() + Send + 'static) -> Script {
    let answer = Arc::clone(answer);
    let mut calls = 0;
    script(move |_: Now, _: &mut Input<'_>, output: &mut Output| {
        calls += 1;
        if calls == 1 {
            output.share(Arc::clone(&answer));
            return Wait::Pool;
        }
        output.tail().extend_from_slice(b"and the end");
        Wait::Close
    })
    .on_block(block)
}

#[test]
fn what_the_pool_does_need_not_wait_for_the_peer_to_read() {
    let answer: Arc<[u8]> = pattern(8 * 1024 * 1024).into();
    let (sender, blocks) = unbounded();
    let shared = Arc::clone(&answer);
    let server = serve(limits(), move |_: &Accepted| {
        let sender = sender.clone();
        owing_and_away(&shared, move || sender.send(()).unwrap())
    });
    let mut client = server.connect_narrow();
    blocks.recv_timeout(LONG).unwrap();
    assert!(read_exactly(&mut client, answer.len()) == *answer, "other bytes");
    assert_eq!(read_all(&mut client), b"and the end");
}

#[test]
fn a_reader_is_not_blamed_for_the_time_that_the_pool_took() {
    let answer: Arc<[u8]> = pattern(16 * 1024 * 1024).into();
    let is_served = with_longer_times(|time| {
        // The reader takes all it is given, much faster than this.
        let pace = Pace { stall: LONG, rate: 1_000_000, grace: time / 4 };
        let shared = Arc::clone(&answer);
        let server = serve(Limits { pace, ..limits() }, move |_: &Accepted| {
            owing_and_away(&shared, move || thread::sleep(time))
        });
        let mut received = Vec::new();
        let ended = server.connect().read_to_end(&mut received);
        ended.is_ok() && received == [&answer[..], b"and the end"].concat()
    });
    assert!(is_served, "cut");
}

#[test]
fn a_session_may_go_to_the_pool_again_and_again() {
    let server = serve(limits(), |_: &Accepted| {
        let mut left = 100;
        script(move |now: Now, input: &mut Input<'_>, output: &mut Output| {
            if input.bytes().is_empty() {
                return read(now);
            }
            if left > 0 {
                left -= 1;
                output.tail().push(b'.');
                return Wait::Pool;
            }
            Wait::Close
        })
    });
    let mut clients: Vec<TcpStream> = (0..8).map(|_| server.connect()).collect();
    for client in &mut clients {
        client.write_all(b"go").unwrap();
    }
    for client in &mut clients {
        assert_eq!(read_exactly(client, 100), [b'.'; 100]);
    }
}
