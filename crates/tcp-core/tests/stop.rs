//! The stop: idle connections end at once, busy ones finish, stuck ones are reset, and it ends.

mod support;

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crossbeam_channel::unbounded;
use support::{LONG, alone, bind, echo, entries, eventually, limits, pattern, read, read_all};
use support::{read_exactly, read_until_reset, script, serve, start};
use tcp_core::{Accepted, Input, Limits, Now, Output, Wait};

/// A drain that no test waits for.
fn patient() -> Limits {
    Limits { workers: 2, drain: 4 * LONG, ..limits() }
}

/// A drain that is over soon.
fn hasty() -> Limits {
    Limits { drain: Duration::from_millis(300), ..limits() }
}

#[test]
fn idle_connections_are_closed_at_once_and_new_ones_refused() {
    let mut server = serve(patient(), |_: &Accepted| script(echo));
    let mut idle: Vec<TcpStream> = (0..10).map(|_| server.connect()).collect();
    for client in &mut idle {
        client.write_all(b"x").unwrap();
        read_exactly(client, 1);
    }
    let start = Instant::now();
    server.stopper().stop();
    server.stopper().stop();
    server.join();
    assert!(start.elapsed() < 2 * LONG, "waited for the drain");
    for client in &mut idle {
        assert_eq!(read_all(client), b"");
    }
    // Not at once where another test is just starting a process of its own, which has every socket
    // of this one for a moment.
    eventually("new connections are refused", || {
        let refused = TcpStream::connect(server.address).err();
        refused.is_some_and(|error| error.kind() == ErrorKind::ConnectionRefused)
    });
}

/// A session that answers `answer` to the first byte and closes; silent, it leaves at a stop.
fn answer_once(answer: &Arc<[u8]>) -> support::Script {
    let answer = Arc::clone(answer);
    script(move |now: Now, input: &mut Input<'_>, output: &mut Output| {
        if input.bytes().is_empty() {
            return if now.stopping { Wait::Close } else { read(now) };
        }
        input.consume(input.bytes().len());
        output.share(Arc::clone(&answer));
        Wait::Linger
    })
}

#[test]
fn a_busy_connection_finishes_before_the_server_ends() {
    let answer: Arc<[u8]> = pattern(16 * 1024 * 1024).into();
    let shared = Arc::clone(&answer);
    let mut server = serve(patient(), move |_: &Accepted| answer_once(&shared));
    let mut client = server.connect_narrow();
    client.write_all(b"x").unwrap();
    let mut received = read_exactly(&mut client, 1000);
    server.stopper().stop();
    eventually("new connections are refused", || TcpStream::connect(server.address).is_err());
    received.extend_from_slice(&read_exactly(&mut client, answer.len() - 1000));
    assert_eq!(client.read(&mut [0]).unwrap(), 0);
    drop(client);
    server.join();
    assert!(received == *answer, "other bytes");
}

#[test]
fn a_stuck_connection_is_reset_when_the_drain_is_over() {
    let answer: Arc<[u8]> = pattern(16 * 1024 * 1024).into();
    let (sender, endings) = unbounded();
    let mut server = serve(hasty(), move |_: &Accepted| {
        let sender = sender.clone();
        answer_once(&answer).on_closed(move |unsent| sender.send(unsent).unwrap())
    });
    let mut client = server.connect_narrow();
    client.write_all(b"x").unwrap();
    read_exactly(&mut client, 1000);
    server.stopper().stop();
    server.join();
    assert!(endings.try_recv().unwrap() > 0);
    assert!(endings.try_recv().is_err(), "told twice");
    read_until_reset(&mut client);
}

#[test]
fn a_session_that_ignores_the_stop_is_reset_when_the_drain_is_over() {
    let mut server = serve(hasty(), |_: &Accepted| {
        script(|now: Now, input: &mut Input<'_>, output: &mut Output| {
            output.tail().extend_from_slice(input.bytes());
            input.consume(input.bytes().len());
            read(now)
        })
    });
    let mut client = server.connect();
    client.write_all(b"half of an answer").unwrap();
    assert_eq!(read_exactly(&mut client, 17), b"half of an answer");
    server.stopper().stop();
    server.join();
    // A regular close would say that this was all.
    assert_eq!(read_until_reset(&mut client), 0);
}

#[test]
fn connections_that_wait_in_the_backlog_are_served_when_their_bytes_are_there() {
    let answer: Arc<[u8]> = pattern(1000).into();
    let shared = Arc::clone(&answer);
    let server = bind(patient());
    let address = server.addresses()[0];
    let mut clients: Vec<TcpStream> = (0..300).map(|_| support::connect(address)).collect();
    for client in &mut clients {
        client.write_all(b"x").unwrap();
    }
    let mut server = start(server, move |_: &Accepted| answer_once(&shared));
    server.stopper().stop();
    for client in &mut clients {
        assert!(read_all(client) == *answer, "other bytes");
    }
    drop(clients);
    server.join();
}

#[test]
fn who_has_connected_and_asked_before_the_stop_is_served() {
    let answer: Arc<[u8]> = pattern(1000).into();
    for _ in 0..300 {
        let shared = Arc::clone(&answer);
        let mut server = serve(patient(), move |_: &Accepted| answer_once(&shared));
        let mut client = server.connect();
        client.write_all(b"x").unwrap();
        server.stopper().stop();
        assert!(read_all(&mut client) == *answer, "other bytes");
        drop(client);
        server.join();
    }
}

#[test]
fn a_stop_ends_though_new_connections_keep_coming() {
    let mut server = serve(hasty(), |_: &Accepted| script(echo));
    let address = server.address;
    let clients: Vec<_> = (0..3)
        .map(|_| thread::spawn(move || while TcpStream::connect(address).is_ok() {}))
        .collect();
    thread::sleep(Duration::from_millis(100));
    server.stopper().stop();
    server.join();
    for client in clients {
        client.join().unwrap();
    }
}

#[test]
fn work_on_the_pool_that_ends_within_the_drain_is_answered() {
    let (opener, gate) = unbounded::<()>();
    let (sender, away) = unbounded();
    let mut server = serve(patient(), move |_: &Accepted| {
        let (gate, sender) = (gate.clone(), sender.clone());
        let mut calls = 0;
        script(move |_: Now, _: &mut Input<'_>, output: &mut Output| {
            calls += 1;
            if calls == 1 {
                return Wait::Pool;
            }
            output.tail().extend_from_slice(b"done");
            Wait::Close
        })
        .on_block(move || {
            sender.send(()).unwrap();
            let _ = gate.recv();
        })
    });
    let mut client = server.connect();
    away.recv_timeout(LONG).unwrap();
    server.stopper().stop();
    eventually("new connections are refused", || TcpStream::connect(server.address).is_err());
    drop(opener);
    assert_eq!(read_all(&mut client), b"done");
    server.join();
}

#[test]
fn connections_on_the_pool_are_closed_too_when_the_drain_is_over() {
    const MANY: usize = 20;
    let (opener, gate) = unbounded::<()>();
    let (sender, endings) = unbounded();
    let (asked, blocked) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (asks, blocks) = (Arc::clone(&asked), Arc::clone(&blocked));
    let mut server = serve(hasty(), move |_: &Accepted| {
        let (gate, sender) = (gate.clone(), sender.clone());
        let (asks, blocks) = (Arc::clone(&asks), Arc::clone(&blocks));
        script(move |now: Now, input: &mut Input<'_>, _: &mut Output| {
            if input.bytes().is_empty() {
                return read(now);
            }
            asks.fetch_add(1, Ordering::Relaxed);
            Wait::Pool
        })
        .on_block(move || {
            blocks.fetch_add(1, Ordering::Relaxed);
            let _ = gate.recv();
        })
        .on_closed(move |unsent| sender.send(unsent).unwrap())
    });
    let mut clients: Vec<TcpStream> = (0..MANY).map(|_| server.connect()).collect();
    for client in &mut clients {
        client.write_all(b"x").unwrap();
    }
    eventually("all are away", || {
        asked.load(Ordering::Relaxed) == MANY && blocked.load(Ordering::Relaxed) == 2
    });
    server.stopper().stop();
    // Two threads of the pool are blocked, and the stop ends all the same.
    server.join();
    drop(opener);
    for client in &mut clients {
        assert_eq!(read_until_reset(client), 0);
    }
    assert_eq!(endings.iter().collect::<Vec<u64>>(), [0; MANY]);
    assert_eq!(blocked.load(Ordering::Relaxed), 2, "work was begun for those who were cut");
}

#[test]
fn a_worker_that_is_blocked_does_not_keep_the_server_from_ending() {
    let (release, released) = unbounded::<()>();
    let (blocks, blocked) = unbounded();
    let mut server = serve(hasty(), move |_: &Accepted| {
        let (released, blocks) = (released.clone(), blocks.clone());
        script(move |_: Now, _: &mut Input<'_>, _: &mut Output| {
            blocks.send(()).unwrap();
            let _ = released.recv();
            Wait::Close
        })
    });
    let _client = server.connect();
    blocked.recv_timeout(LONG).expect("a connection is opened");
    server.stopper().stop();
    server.join();
    drop(release);
}

#[test]
fn a_drain_or_any_other_time_may_be_endless() {
    let endless = Duration::MAX;
    let pace = tcp_core::Pace { stall: endless, rate: 1, grace: endless };
    let answer: Arc<[u8]> = pattern(16 * 1024 * 1024).into();
    let shared = Arc::clone(&answer);
    let limits = Limits { drain: endless, linger: endless, pace, ..limits() };
    let mut server = serve(limits, move |_: &Accepted| answer_once(&shared));
    let mut client = server.connect_narrow();
    client.write_all(b"x").unwrap();
    let mut received = read_exactly(&mut client, 1000);
    thread::sleep(Duration::from_millis(50));
    server.stopper().stop();
    received.extend_from_slice(&read_all(&mut client));
    assert!(received == *answer, "other bytes");
    client.shutdown(Shutdown::Write).unwrap();
    server.join();
}

#[test]
fn no_thread_is_left_behind() {
    alone("no_thread_is_left_behind", || {
        let before = entries("/proc/self/task");
        let limits = Limits { workers: 3, pool: 5, ..limits() };
        let mut server = serve(limits, |_: &Accepted| script(echo));
        let mut client = server.connect();
        client.write_all(b"x").unwrap();
        read_exactly(&mut client, 1);
        assert_eq!(entries("/proc/self/task"), before + 10);
        server.stopper().stop();
        server.join();
        eventually("the threads end", || entries("/proc/self/task") == before);
    });
}
