//! A full server: who has been idle longest goes, and nobody else does.

mod support;

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use crossbeam_channel::unbounded;
use support::{LONG, Script, Serving, alone, entries, eventually, limits, many_descriptors};
use support::{pattern, read, read_all, read_exactly, read_until_reset, script, serve};
use tcp_core::{Accepted, Input, Limits, NoRoom, Now, Output, Pace, Service, Wait};

/// What is told to those for whom there is no room.
const TOLD: &[u8] = b"no room";

/// Echoes lines, and is idle between them. Counts those that have come to be.
fn lines(count: &Arc<AtomicUsize>) -> Script {
    let mut since = None;
    let mut newcomer = Some(Arc::clone(count));
    script(move |now: Now, input: &mut Input<'_>, output: &mut Output| {
        let end = input.bytes().iter().rposition(|&byte| byte == b'\n').map_or(0, |at| at + 1);
        if end > 0 {
            since = None;
        }
        output.tail().extend_from_slice(&input.bytes()[..end]);
        input.consume(end);
        if input.is_end() || now.stopping {
            return Wait::Close;
        }
        if !input.bytes().is_empty() {
            return read(now);
        }
        if let Some(count) = newcomer.take() {
            count.fetch_add(1, Ordering::Relaxed);
        }
        let since = *since.get_or_insert(now.instant);
        Wait::Idle { since, deadline: now.instant + 2 * LONG }
    })
}

/// A service of `lines` that tells who comes too many.
#[derive(Default)]
struct Lines {
    sessions: Arc<AtomicUsize>,
}

impl Service for Lines {
    type Session = Script;

    fn open(&self, _: &Accepted) -> Script {
        lines(&self.sessions)
    }

    fn refusal(&self, _: &Accepted, why: NoRoom, _: Now) -> Vec<u8> {
        assert_eq!(why, NoRoom::Server);
        TOLD.to_vec()
    }
}

/// For each number of workers.
fn with_room_for(connections: usize, test: impl Fn(Serving)) {
    for workers in [1, 2, 3] {
        test(serve(Limits { connections, workers, ..limits() }, Lines::default()));
    }
}

/// Asks, and is answered.
fn ask(client: &mut TcpStream) {
    client.write_all(b"x\n").expect("it is read");
    assert_eq!(read_exactly(client, 2), b"x\n");
}

fn asking(server: &Serving) -> TcpStream {
    let mut client = server.connect();
    ask(&mut client);
    client
}

#[test]
fn the_longest_idle_goes_first_whichever_worker_has_it() {
    with_room_for(4, |server| {
        let mut guests: Vec<TcpStream> = (0..4).map(|_| asking(&server)).collect();
        // The order in which they have asked last.
        for index in [2, 0, 3, 1] {
            ask(&mut guests[index]);
        }
        for index in [2, 0, 3] {
            let new = asking(&server);
            let mut old = std::mem::replace(&mut guests[index], new);
            assert_eq!(read_all(&mut old), b"", "a regular close");
            for guest in &mut guests {
                guest.set_nonblocking(true).unwrap();
                let error = guest.read(&mut [0]).expect_err("open, and nothing is sent");
                assert_eq!(error.kind(), std::io::ErrorKind::WouldBlock);
                guest.set_nonblocking(false).unwrap();
            }
        }
        for index in [1, 2, 0, 3] {
            ask(&mut guests[index]);
        }
    });
}

#[test]
fn who_has_begun_to_ask_keeps_the_place() {
    with_room_for(6, |server| {
        let mut guests: Vec<TcpStream> = (0..6).map(|_| asking(&server)).collect();
        for guest in &mut guests {
            guest.write_all(b"half a").unwrap();
        }
        // Who is told to leave again and again leaves no trace.
        for _ in 0..20 {
            let mut client = server.connect();
            client.write_all(b"x\n").unwrap();
            let told = read_until_end(&mut client);
            assert_eq!(told, TOLD);
        }
        for guest in &mut guests {
            guest.write_all(b" line\n").unwrap();
            assert_eq!(read_exactly(guest, 12), b"half a line\n");
        }
        let mut new = asking(&server);
        assert_eq!(read_all(&mut guests[0]), b"");
        ask(&mut new);
    });
}

/// What comes until the connection ends in whatever way.
fn read_until_end(client: &mut TcpStream) -> Vec<u8> {
    let mut bytes = Vec::new();
    let _ = client.read_to_end(&mut bytes);
    bytes
}

#[test]
fn who_says_nothing_is_idle_from_the_beginning() {
    for workers in [1, 2, 3] {
        let sessions = Arc::new(AtomicUsize::new(0));
        let service = Lines { sessions: Arc::clone(&sessions) };
        let server = serve(Limits { connections: 2, workers, ..limits() }, service);
        let mut silent: Vec<TcpStream> = Vec::new();
        for number in 1..20 {
            silent.push(server.connect());
            eventually("it is let in", || sessions.load(Ordering::Relaxed) == number);
            if number > 2 {
                assert_eq!(read_all(&mut silent.remove(0)), b"");
            }
        }
    }
}

#[test]
fn who_asks_now_and_then_stays_whoever_else_comes() {
    with_room_for(20, |server| {
        let mut active: Vec<TcpStream> = (0..5).map(|_| asking(&server)).collect();
        let mut others: Vec<TcpStream> = Vec::new();
        for number in 0..200 {
            others.push(asking(&server));
            ask(&mut active[number % 5]);
        }
        for client in &mut active {
            ask(client);
        }
        let gone = others.len() - 15;
        for client in &mut others[..gone] {
            assert_eq!(read_all(client), b"");
        }
        for client in &mut others[gone..] {
            ask(client);
        }
    });
}

/// A session that needs nothing more for its answer is not idle while the peer takes its time.
#[test]
fn who_has_not_got_the_whole_answer_keeps_the_place() {
    let answer: Arc<[u8]> = pattern(8 * 1024 * 1024).into();
    let shared = Arc::clone(&answer);
    let server = serve(Limits { connections: 2, ..limits() }, move |_: &Accepted| {
        let answer = Arc::clone(&shared);
        let mut lines = lines(&Arc::default());
        script(move |now: Now, input: &mut Input<'_>, output: &mut Output| {
            if input.bytes() == b"all\n" {
                output.share(Arc::clone(&answer));
                input.consume(4);
            }
            tcp_core::Session::advance(&mut lines, now, input, output)
        })
    });
    let mut slow = server.connect_narrow();
    slow.write_all(b"all\n").unwrap();
    let mut received = read_exactly(&mut slow, 1000);
    let others: Vec<TcpStream> = (0..5).map(|_| asking(&server)).collect();
    received.extend_from_slice(&read_exactly(&mut slow, answer.len() - received.len()));
    assert!(received == *answer, "other bytes");
    ask(&mut slow);
    drop(others);
}

#[test]
fn what_the_kernel_has_told_counts_though_the_session_has_not_seen_it() {
    let (opener, gate) = unbounded::<()>();
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    let server = serve(Limits { connections: 3, ..limits() }, move |_: &Accepted| {
        let (gate, asked) = (gate.clone(), Arc::clone(&count));
        let mut lines = lines(&Arc::default());
        script(move |now: Now, input: &mut Input<'_>, output: &mut Output| {
            if input.bytes().starts_with(b"wait") {
                asked.fetch_add(1, Ordering::Relaxed);
                // A worker must not wait, but this one is to.
                let _ = gate.recv();
            }
            tcp_core::Session::advance(&mut lines, now, input, output)
        })
    });
    let mut guests: Vec<TcpStream> = (0..3).map(|_| asking(&server)).collect();
    guests[2].write_all(b"wait\n").unwrap();
    eventually("the worker waits", || asked.load(Ordering::Relaxed) == 1);
    // The longest idle asks, and then somebody comes.
    guests[0].write_all(b"x\n").unwrap();
    let mut new = server.connect();
    new.write_all(b"x\n").unwrap();
    drop(opener);
    assert_eq!(read_exactly(&mut new, 2), b"x\n");
    assert_eq!(read_exactly(&mut guests[0], 2), b"x\n");
    assert_eq!(read_all(&mut guests[1]), b"");
    assert_eq!(read_exactly(&mut guests[2], 5), b"wait\n");
}

#[test]
fn all_who_come_at_once_are_served_or_told() {
    alone("all_who_come_at_once_are_served_or_told", || {
        many_descriptors();
        let server = serve(Limits { connections: 50, workers: 2, ..limits() }, Lines::default());
        let open = || entries("/proc/self/fd");
        drop(asking(&server));
        let before = open();
        let (served, told) = (AtomicUsize::new(0), AtomicUsize::new(0));
        thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    for _ in 0..40 {
                        let clients: Vec<TcpStream> = (0..25)
                            .map(|_| {
                                let mut client = server.connect();
                                let _ = client.write_all(b"x\n");
                                let _ = client.shutdown(Shutdown::Write);
                                client
                            })
                            .collect();
                        for mut client in clients {
                            match read_until_end(&mut client).as_slice() {
                                b"x\n" => served.fetch_add(1, Ordering::Relaxed),
                                // Or the reset was faster.
                                TOLD | b"" => told.fetch_add(1, Ordering::Relaxed),
                                other => panic!("{}", other.escape_ascii()),
                            };
                        }
                    }
                });
            }
        });
        assert_eq!(served.into_inner() + told.into_inner(), 8 * 40 * 25);
        ask(&mut server.connect());
        eventually("all descriptors are given back", || open() <= before);
    });
}

#[test]
fn a_stop_ends_in_the_middle_of_it() {
    for _ in 0..10 {
        let limits = Limits { drain: Duration::from_millis(50), ..limits() };
        let limits = Limits { connections: 8, workers: 3, ..limits };
        let mut server = serve(limits, Lines::default());
        let address = server.address;
        let come = || {
            let mut kept = Vec::new();
            while let Ok(mut client) = TcpStream::connect(address) {
                let _ = client.write_all(b"x\n");
                kept.push(client);
                if kept.len() > 20 {
                    kept.clear();
                }
            }
        };
        thread::scope(|scope| {
            let clients = [(); 3].map(|()| scope.spawn(come));
            thread::sleep(Duration::from_millis(20));
            server.stopper().stop();
            server.join();
            clients.into_iter().for_each(|client| client.join().unwrap());
        });
    }
}

/// A full server of one connection that has been handed over so many octets, and who has yet to
/// take them.
fn with_much_to_take(octets: usize, pace: Pace) -> (Serving, TcpStream) {
    let answer: Arc<[u8]> = pattern(octets).into();
    let linger = Duration::from_millis(100);
    let limits = Limits { connections: 1, pace, linger, ..limits() };
    let server = serve(limits, move |_: &Accepted| {
        let mut answer = Some(Arc::clone(&answer));
        script(move |now: Now, _: &mut Input<'_>, output: &mut Output| {
            if now.stopping {
                return Wait::Close;
            }
            answer.take().into_iter().for_each(|answer| output.share(answer));
            Wait::Idle { since: now.instant, deadline: now.instant + 4 * LONG }
        })
    });
    let first = server.connect_tiny();
    first.peek(&mut [0]).expect("it is answered, and idle");
    (server, first)
}

#[test]
fn who_has_much_to_take_makes_no_room_and_gets_all() {
    const HANDED_OVER: usize = 60_000;
    let pace = Pace { stall: 4 * LONG, rate: 0, grace: LONG };
    let (server, mut first) = with_much_to_take(HANDED_OVER, pace);
    for _ in 0..3 {
        assert_eq!(server.connect().read(&mut [0]).unwrap_or(0), 0, "there is no room");
    }
    // It does not know that nothing follows.
    first.write_all(b"more").unwrap();
    let mut taken = read_exactly(&mut first, HANDED_OVER - 8_000);
    // Little enough is left for the connection to be closed, though not taken.
    thread::sleep(Duration::from_millis(500));
    taken.extend(read_all(&mut first));
    assert_eq!(taken, pattern(HANDED_OVER));
    // Nothing followed, and so there is room.
    eventually("there is room", || server.connect().read(&mut [0]).is_ok_and(|count| count == 1));
}

#[test]
fn who_has_much_to_take_and_takes_nothing_makes_room_in_the_end() {
    const HANDED_OVER: usize = 60_000;
    let pace = Pace { stall: Duration::from_millis(300), rate: 0, grace: LONG };
    let (server, mut first) = with_much_to_take(HANDED_OVER, pace);
    eventually("there is room", || server.connect().read(&mut [0]).is_ok_and(|count| count == 1));
    assert!(read_until_reset(&mut first) < HANDED_OVER);
}
