//! How fast a peer must take what it is owed, and that honest ones need not fear.

mod support;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, unbounded};
use support::{
    LONG, Serving, limits, pattern, read, read_until_reset, script, serve, with_longer_times,
};
use tcp_core::{Accepted, Input, Limits, Now, Output, Pace, Wait};

const OWED: usize = 8 * 1024 * 1024;

/// A server that owes every connection 8 MiB, and how many octets each had not been sent.
fn owing(limits: Limits) -> (Serving, Receiver<u64>) {
    answering(OWED, limits)
}

fn answering(octets: usize, limits: Limits) -> (Serving, Receiver<u64>) {
    let answer: Arc<[u8]> = pattern(octets).into();
    let (sender, endings) = unbounded();
    let server = serve(limits, move |_: &Accepted| {
        let (answer, sender) = (Arc::clone(&answer), sender.clone());
        script(move |_: Now, _: &mut Input<'_>, output: &mut Output| {
            output.share(Arc::clone(&answer));
            Wait::Close
        })
        .on_closed(move |unsent| sender.send(unsent).expect("the test still runs"))
    });
    (server, endings)
}

fn stall(stall: Duration) -> Limits {
    let pace = Pace { stall, rate: 0, grace: LONG };
    Limits { pace, ..limits() }
}

const SHORT: Duration = Duration::from_millis(300);

/// The next octets, so many; `None` if the connection has been cut.
fn read_some(client: &mut TcpStream, count: usize) -> Option<Vec<u8>> {
    let mut octets = vec![0; count];
    client.read_exact(&mut octets).ok()?;
    Some(octets)
}

#[test]
fn a_reader_that_takes_nothing_is_reset() {
    let (server, endings) = owing(stall(SHORT));
    let start = Instant::now();
    let mut client = server.connect_narrow();
    let unsent = endings.recv_timeout(LONG).unwrap();
    assert!(start.elapsed() >= Duration::from_millis(200), "cut early");
    assert!(unsent > 0);
    assert!(read_until_reset(&mut client) <= OWED - unsent as usize);
}

#[test]
fn a_reader_that_takes_nothing_is_reset_though_it_sends() {
    let (server, endings) = owing(stall(SHORT));
    let client = server.connect_narrow();
    let mut writer = client.try_clone().unwrap();
    let writing = thread::spawn(move || {
        while writer.write_all(b"x").is_ok() {
            thread::sleep(Duration::from_micros(100));
        }
    });
    assert!(endings.recv_timeout(LONG).unwrap() > 0);
    writing.join().unwrap();
}

#[test]
fn a_slow_reader_that_goes_on_reading_is_not_cut() {
    assert!(with_longer_times(|time| reads_slowly(time).is_some()), "cut");
}

/// Whether a reader gets all that it reads on for, slowly for the time of some stalls.
fn reads_slowly(time: Duration) -> Option<()> {
    // The kernel tells of room only once half of what it holds has gone, which takes this
    // reader longer than a stall: that it goes on reading must be found out all the same.
    let (server, endings) = owing(stall(time));
    let mut client = server.connect_narrow();
    let expected = pattern(OWED);
    let mut at = 0;
    let start = Instant::now();
    while start.elapsed() < time * 7 / 2 {
        let some = read_some(&mut client, 4096)?;
        assert!(some == expected[at..at + 4096], "other bytes at {at}");
        at += 4096;
        thread::sleep(time / 10);
    }
    while at < OWED {
        let some = read_some(&mut client, (64 * 1024).min(OWED - at))?;
        assert!(some == expected[at..at + some.len()], "other bytes at {at}");
        at += some.len();
    }
    assert_eq!(endings.recv_timeout(LONG), Ok(0));
    Some(())
}

#[test]
fn a_reader_below_the_average_is_reset_though_it_goes_on_reading() {
    let pace = Pace { stall: LONG, rate: 1_000_000_000, grace: Duration::from_millis(200) };
    let (server, endings) = owing(Limits { pace, ..limits() });
    let mut client = server.connect_narrow();
    while endings.is_empty() {
        let _ = client.read(&mut [0; 4096]);
        thread::sleep(Duration::from_millis(20));
    }
    assert!(endings.recv().unwrap() > 0);
}

#[test]
fn a_peer_that_is_owed_nothing_any_more_may_be_as_slow_as_it_likes() {
    assert!(with_longer_times(|time| reads_twice(time).is_some()), "cut");
}

/// Whether a reader gets all that it asks for, with pauses that are longer than a stall.
fn reads_twice(time: Duration) -> Option<()> {
    let answer: Arc<[u8]> = pattern(OWED).into();
    let server = serve(stall(time), move |_: &Accepted| {
        let answer = Arc::clone(&answer);
        script(move |now: Now, input: &mut Input<'_>, output: &mut Output| {
            if !input.bytes().is_empty() {
                input.consume(1);
                output.share(Arc::clone(&answer));
            }
            if now.stopping { Wait::Close } else { read(now) }
        })
    });
    let mut client = server.connect_narrow();
    for _ in 0..2 {
        client.write_all(b"x").ok()?;
        read_some(&mut client, 1000)?;
        // By then the server waits for room, and the clock runs.
        thread::sleep(Duration::from_millis(50));
        read_some(&mut client, OWED - 1000)?;
        thread::sleep(time * 6 / 5);
    }
    Some(())
}

/// Octets that the kernel takes for a peer at once, and a tiny one does not take in.
const HANDED_OVER: usize = 60_000;

/// A server that hands an answer over to the kernel and is done, and how many octets of each had
/// not been sent.
fn handing_over(octets: usize, time: Duration) -> (Serving, Receiver<u64>) {
    let linger = Duration::from_millis(100);
    answering(octets, Limits { linger, ..stall(time) })
}

#[test]
fn what_nobody_takes_from_the_kernel_is_the_servers_until_it_is_reset() {
    let (server, endings) = handing_over(HANDED_OVER, Duration::from_millis(300));
    for half_closed in [false, true] {
        let mut client = server.connect_tiny();
        if half_closed {
            client.shutdown(std::net::Shutdown::Write).unwrap();
        }
        assert_eq!(endings.recv_timeout(LONG), Ok(0));
        server.forgets(&client);
        assert!(read_until_reset(&mut client) < HANDED_OVER);
    }
}

#[test]
fn who_takes_it_slowly_from_the_kernel_gets_all() {
    let (server, endings) = handing_over(HANDED_OVER, LONG);
    let mut client = server.connect_tiny();
    thread::sleep(Duration::from_millis(300));
    assert!(endings.is_empty(), "left to the kernel");
    assert_eq!(support::read_all(&mut client), pattern(HANDED_OVER));
    drop(client);
    assert_eq!(endings.recv_timeout(LONG), Ok(0));
}

#[test]
fn who_has_taken_all_is_let_go_though_it_stays() {
    let (server, endings) = handing_over(HANDED_OVER, LONG);
    let mut client = server.connect();
    assert_eq!(support::read_all(&mut client), pattern(HANDED_OVER));
    assert_eq!(endings.recv_timeout(LONG), Ok(0));
}

#[test]
fn who_has_ended_is_told_of_the_end_behind_the_last_octet() {
    let is_told = || {
        let (server, endings) = handing_over(HANDED_OVER, 10 * LONG);
        let mut client = server.connect_tiny();
        client.shutdown(std::net::Shutdown::Write).unwrap();
        // By then the next look is some way off, and would be what tells.
        thread::sleep(Duration::from_millis(200));
        assert_eq!(support::read_all(&mut client), pattern(HANDED_OVER));
        endings.is_empty()
    };
    assert!((0..10).any(|_| is_told()), "only the close tells of it");
}

#[test]
fn who_resets_the_connection_is_let_go() {
    let (server, endings) = handing_over(HANDED_OVER, 10 * LONG);
    for sooner in [false, true] {
        let client = server.connect_tiny();
        if !sooner {
            client.peek(&mut [0]).expect("some of it");
        }
        socket2::SockRef::from(&client).set_linger(Some(Duration::ZERO)).unwrap();
        drop(client);
        endings.recv_timeout(LONG).expect("nobody is waited for");
    }
}

#[test]
fn the_little_that_is_left_to_the_kernel_is_forgotten_when_nobody_takes_it() {
    const LITTLE: usize = 16 * 1024;
    let (server, endings) = handing_over(LITTLE, Duration::from_millis(100));
    let mut client = server.connect_tiny();
    assert_eq!(endings.recv_timeout(LONG), Ok(0));
    server.forgets(&client);
    assert!(read_until_reset(&mut client) < LITTLE, "it has taken all");
}
