//! How connections end: in time, politely, by a reset, by a panic - and what the peer sees of it.

mod support;

use std::io::Write;
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, unbounded};
use support::{LONG, echo, eventually, limits, pattern, read, read_all, read_exactly};
use support::{Serving, read_until_reset, script, serve};
use tcp_core::{Accepted, Input, Limits, Now, Output, Wait};

const SOON: Duration = Duration::from_millis(50);

fn ignore(now: Now, input: &mut Input<'_>, _: &mut Output) -> Wait {
    input.consume(input.bytes().len());
    read(now)
}

#[test]
fn a_deadline_that_passes_expires_once_and_its_output_is_sent() {
    let expired = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&expired);
    let server = serve(limits(), move |_: &Accepted| {
        let count = Arc::clone(&count);
        script(|now: Now, _: &mut Input<'_>, _: &mut Output| Wait::Read {
            deadline: now.instant + SOON,
        })
        .on_expire(move |_: Now, output: &mut Output| {
            count.fetch_add(1, Ordering::Relaxed);
            output.tail().extend_from_slice(b"too late");
            Wait::Linger
        })
    });
    let start = Instant::now();
    let mut client = server.connect();
    assert_eq!(read_all(&mut client), b"too late");
    assert!(start.elapsed() >= SOON);
    assert_eq!(expired.load(Ordering::Relaxed), 1);
}

#[test]
fn a_session_may_go_on_waiting_when_its_deadline_has_passed() {
    let server = serve(limits(), |_: &Accepted| {
        let mut first = true;
        script(move |now: Now, input: &mut Input<'_>, output: &mut Output| {
            if std::mem::take(&mut first) {
                return Wait::Read { deadline: now.instant + SOON };
            }
            echo(now, input, output)
        })
        .on_expire(|now: Now, output: &mut Output| {
            output.tail().extend_from_slice(b"still here: ");
            read(now)
        })
    });
    let mut client = server.connect();
    assert_eq!(read_exactly(&mut client, 12), b"still here: ");
    client.write_all(b"good").unwrap();
    assert_eq!(read_exactly(&mut client, 4), b"good");
}

#[test]
fn a_session_whose_deadline_is_always_past_does_not_hold_up_others() {
    let server = serve(limits(), |_: &Accepted| {
        let mut hasty = false;
        script(move |now: Now, input: &mut Input<'_>, output: &mut Output| {
            hasty |= input.bytes() == b"hasty";
            if hasty && !now.stopping {
                input.consume(input.bytes().len());
                output.tail().push(b'!');
                return Wait::Read { deadline: now.instant };
            }
            echo(now, input, output)
        })
        .on_expire(|now: Now, _: &mut Output| Wait::Read { deadline: now.instant })
    });
    let mut hasty = server.connect();
    hasty.write_all(b"hasty").unwrap();
    assert_eq!(read_exactly(&mut hasty, 1), b"!");
    let mut client = server.connect();
    client.write_all(b"and I?").unwrap();
    assert_eq!(read_exactly(&mut client, 6), b"and I?");
}

/// Writes without a pause from several threads until the server has had enough.
fn flood(client: &TcpStream, piece: usize) -> Vec<thread::JoinHandle<()>> {
    let writer = |mut client: TcpStream| move || while client.write_all(&vec![0; piece]).is_ok() {};
    (0..2).map(|_| thread::spawn(writer(client.try_clone().expect("a copy")))).collect()
}

#[test]
fn a_deadline_is_kept_though_the_peer_never_pauses() {
    let (sender, expired) = unbounded();
    let server = serve(limits(), move |_: &Accepted| {
        let sender = sender.clone();
        let mut deadline = None;
        script(move |now: Now, input: &mut Input<'_>, _: &mut Output| {
            input.consume(input.bytes().len());
            Wait::Read { deadline: *deadline.get_or_insert(now.instant + SOON) }
        })
        .on_expire(move |_: Now, _: &mut Output| {
            sender.send(()).unwrap();
            Wait::Abort
        })
    });
    for piece in [1, 1000] {
        let client = server.connect();
        let writers = flood(&client, piece);
        assert_eq!(expired.recv_timeout(LONG), Ok(()), "pieces of {piece}");
        for writer in writers {
            writer.join().unwrap();
        }
    }
}

#[test]
fn lingering_ends_though_the_peer_never_pauses() {
    let (sender, endings) = unbounded();
    let server = serve(Limits { linger: SOON, ..limits() }, move |_: &Accepted| {
        let sender = sender.clone();
        script(|_: Now, _: &mut Input<'_>, _: &mut Output| Wait::Linger)
            .on_closed(move |unsent| sender.send(unsent).unwrap())
    });
    for piece in [1, 1000, 256 * 1024] {
        let client = server.connect();
        let writers = flood(&client, piece);
        assert_eq!(endings.recv_timeout(LONG), Ok(0), "pieces of {piece}");
        for writer in writers {
            writer.join().unwrap();
        }
    }
}

#[test]
fn lingering_ends_though_the_peer_stays() {
    let (sender, endings) = unbounded();
    let server = serve(Limits { linger: SOON, ..limits() }, move |_: &Accepted| {
        let sender = sender.clone();
        script(|_: Now, _: &mut Input<'_>, _: &mut Output| Wait::Linger)
            .on_closed(move |unsent| sender.send(unsent).unwrap())
    });
    let mut client = server.connect();
    assert_eq!(read_all(&mut client), b"");
    assert_eq!(endings.recv_timeout(LONG), Ok(0));
}

#[test]
fn close_comes_after_the_output() {
    let answer: Arc<[u8]> = pattern(4 * 1024 * 1024).into();
    let shared = Arc::clone(&answer);
    let server = serve(limits(), move |_: &Accepted| {
        let shared = Arc::clone(&shared);
        script(move |_: Now, _: &mut Input<'_>, output: &mut Output| {
            output.share(Arc::clone(&shared));
            Wait::Close
        })
    });
    let mut client = server.connect_narrow();
    thread::sleep(SOON);
    assert!(read_all(&mut client) == *answer, "other bytes");
}

#[test]
fn a_client_that_still_sends_can_read_why_it_is_refused() {
    let answer = pattern(300_000);
    let refusal = answer.clone();
    let server = serve(Limits { linger: LONG, ..limits() }, move |_: &Accepted| {
        let refusal = refusal.clone();
        script(move |now: Now, input: &mut Input<'_>, output: &mut Output| {
            if input.bytes().is_empty() {
                return read(now);
            }
            output.tail().extend_from_slice(&refusal);
            Wait::Linger
        })
    });
    let mut client = server.connect();
    let mut writer = client.try_clone().unwrap();
    let writing = thread::spawn(move || {
        for _ in 0..64 {
            writer.write_all(&[1; 16 * 1024]).unwrap();
            thread::sleep(Duration::from_millis(2));
        }
        writer.shutdown(Shutdown::Write).unwrap();
    });
    // Not read before all is sent: a reset would have thrown the answer away by then.
    writing.join().unwrap();
    assert!(read_all(&mut client) == answer, "other bytes");
}

#[test]
fn abort_resets_and_drops_the_output() {
    let (server, endings) = with_closed(limits(), |_: Now, _: &mut Input<'_>, output| {
        output.tail().extend_from_slice(&[0; 1000]);
        Wait::Abort
    });
    assert_eq!(read_until_reset(&mut server.connect()), 0);
    assert_eq!(endings.recv_timeout(LONG), Ok(1000));
}

/// A server of sessions that advance so, and what each was told when it was closed.
fn with_closed(
    limits: Limits,
    advance: impl FnMut(Now, &mut Input<'_>, &mut Output) -> Wait + Clone + Send + Sync + 'static,
) -> (Serving, Receiver<u64>) {
    let (sender, endings) = unbounded();
    let server = serve(limits, move |_: &Accepted| {
        let sender = sender.clone();
        script(advance.clone())
            .on_closed(move |unsent| sender.send(unsent).expect("the test still runs"))
    });
    (server, endings)
}

#[test]
fn every_session_is_told_once_that_it_is_closed() {
    let (mut server, endings) = with_closed(limits(), echo);
    for _ in 0..20 {
        let mut client = server.connect();
        client.write_all(b"hello").unwrap();
        client.shutdown(Shutdown::Write).unwrap();
        assert_eq!(read_all(&mut client), b"hello");
    }
    let waiting = server.connect();
    socket2::SockRef::from(&waiting).set_linger(Some(Duration::ZERO)).unwrap();
    // A reset, by the client.
    drop(waiting);
    let _idle = server.connect();
    eventually("the ended ones are told", || endings.len() >= 21);
    server.stopper().stop();
    server.join();
    assert_eq!(endings.iter().collect::<Vec<u64>>(), [0; 22]);
}

#[test]
fn what_was_never_sent_is_counted_at_the_end() {
    const OWED: usize = 16 * 1024 * 1024;
    let answer: Arc<[u8]> = vec![0; OWED].into();
    let (server, endings) = with_closed(limits(), move |_: Now, _: &mut Input<'_>, output| {
        output.share(Arc::clone(&answer));
        Wait::Close
    });
    let mut client = server.connect_narrow();
    read_exactly(&mut client, 100_000);
    drop(client);
    let unsent = endings.recv_timeout(LONG).unwrap();
    assert!((1..=OWED as u64 - 100_000).contains(&unsent), "{unsent}");
}

#[test]
fn a_peer_that_resets_costs_nothing() {
    let told = Arc::new(AtomicBool::new(false));
    let tell = Arc::clone(&told);
    let server = serve(limits(), move |_: &Accepted| {
        let tell = Arc::clone(&tell);
        script(ignore).on_closed(move |_| tell.store(true, Ordering::Relaxed))
    });
    let client = server.connect();
    (&client).write_all(b"x").unwrap();
    socket2::SockRef::from(&client).set_linger(Some(Duration::ZERO)).unwrap();
    drop(client);
    eventually("the session is closed", || told.load(Ordering::Relaxed));
}

#[test]
fn the_last_octets_arrive_although_the_peer_has_sent_more_than_was_read() {
    for wait in [Wait::Close, Wait::Linger] {
        let (held, is_held) = unbounded();
        let (opener, gate) = unbounded::<()>();
        let server = serve(limits(), move |_: &Accepted| {
            let (held, gate) = (held.clone(), gate.clone());
            script(move |now: Now, input: &mut Input<'_>, output: &mut Output| {
                if input.bytes().is_empty() {
                    return read(now);
                }
                input.consume(input.bytes().len());
                held.send(()).unwrap();
                gate.recv_timeout(LONG).unwrap();
                output.tail().extend_from_slice(b"good bye");
                wait
            })
        });
        let mut client = server.connect();
        client.write_all(b"last words").unwrap();
        is_held.recv_timeout(LONG).unwrap();
        client.write_all(b"and then some").unwrap();
        opener.send(()).unwrap();
        assert_eq!(read_exactly(&mut client, 8), b"good bye", "{wait:?}");
    }
}
