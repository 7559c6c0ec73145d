//! Bytes in and bytes out: what a session is shown, and that what it answers arrives.

mod support;

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use crossbeam_channel::{Sender, unbounded};
use support::{
    LONG, Script, bind, connect, echo, limits, pattern, read, read_all, read_exactly, script,
};
use support::{eventually, read_until_reset, serve, start};
use tcp_core::{Accepted, Input, Limits, Now, Output, Service, Wait};

#[test]
fn what_is_sent_comes_back_also_after_the_client_has_closed_its_side() {
    let server = serve(limits(), |_: &Accepted| script(echo));
    let mut client = server.connect();
    for word in ["hello", "x", "once more"] {
        client.write_all(word.as_bytes()).unwrap();
        assert_eq!(read_exactly(&mut client, word.len()), word.as_bytes());
    }
    client.write_all(b"and good bye").unwrap();
    client.shutdown(Shutdown::Write).unwrap();
    assert_eq!(read_all(&mut client), b"and good bye");
}

#[test]
fn a_session_may_speak_first() {
    let server = serve(limits(), |_: &Accepted| {
        script(|_: Now, _: &mut Input<'_>, output: &mut Output| {
            output.tail().extend_from_slice(b"welcome");
            Wait::Close
        })
    });
    assert_eq!(read_all(&mut server.connect()), b"welcome");
}

#[test]
fn a_large_echo_is_exact_both_ways_though_the_reader_is_slow() {
    const LEN: usize = 8 * 1024 * 1024;
    let server = serve(limits(), |_: &Accepted| {
        script(|now: Now, input: &mut Input<'_>, output: &mut Output| {
            assert!(output.is_empty(), "shown more before the last answer was sent");
            output.tail().extend_from_slice(input.bytes());
            let shown = input.bytes().len();
            input.consume(shown);
            match (shown, input.is_end()) {
                (0, true) => Wait::Close,
                (0, false) => read(now),
                _ => Wait::Drain,
            }
        })
    });
    let sent = pattern(LEN);
    let mut reader = server.connect_narrow();
    let mut writer = reader.try_clone().unwrap();
    let expected = sent.clone();
    let writing = thread::spawn(move || {
        writer.write_all(&sent).unwrap();
        writer.shutdown(Shutdown::Write).unwrap();
    });
    // By then every buffer on the way is full, and the server waits for room.
    thread::sleep(Duration::from_millis(200));
    let mut received = Vec::new();
    for _ in 0..20 {
        received.extend_from_slice(&read_exactly(&mut reader, 10_000));
        thread::sleep(Duration::from_millis(5));
    }
    received.extend_from_slice(&read_all(&mut reader));
    writing.join().unwrap();
    assert!(received == expected, "the bytes that came back are others");
}

/// Answers each line with the line in brackets, one line for each call.
fn brackets(now: Now, input: &mut Input<'_>, output: &mut Output) -> Wait {
    let bytes = input.bytes();
    let Some(end) = bytes.iter().position(|&byte| byte == b'\n') else {
        return if input.is_end() { Wait::Close } else { read(now) };
    };
    let tail = output.tail();
    tail.push(b'[');
    tail.extend_from_slice(&bytes[..end]);
    tail.extend_from_slice(b"]\n");
    input.consume(end + 1);
    Wait::Drain
}

#[test]
fn pipelined_small_messages_are_answered_in_order_however_they_are_cut() {
    let server = serve(limits(), |_: &Accepted| script(brackets));
    let asked: String = (0..2000).map(|number| format!("{number}\n")).collect();
    let answered: String = (0..2000).map(|number| format!("[{number}]\n")).collect();
    for piece in [asked.len(), 4096, 1000, 7] {
        let mut client = server.connect();
        for part in asked.as_bytes().chunks(piece) {
            client.write_all(part).unwrap();
        }
        client.shutdown(Shutdown::Write).unwrap();
        assert!(read_all(&mut client) == answered.as_bytes(), "pieces of {piece}");
    }
}

#[test]
fn messages_that_come_a_byte_at_a_time_are_answered() {
    let server = serve(limits(), |_: &Accepted| script(brackets));
    let mut client = server.connect();
    for byte in b"a few words\nand a few more\n" {
        client.write_all(&[*byte]).unwrap();
        thread::sleep(Duration::from_millis(1));
    }
    client.shutdown(Shutdown::Write).unwrap();
    assert_eq!(read_all(&mut client), b"[a few words]\n[and a few more]\n");
}

#[test]
fn input_that_is_not_consumed_is_shown_again_with_more_behind_it() {
    // Takes three bytes of every ten, and only once it has seen all ten.
    let server = serve(limits(), |_: &Accepted| {
        let mut seen: Vec<u8> = Vec::new();
        script(move |now: Now, input: &mut Input<'_>, output: &mut Output| {
            assert!(input.bytes().starts_with(&seen), "what was shown before is shown first");
            seen = input.bytes().to_vec();
            if seen.len() >= 10 {
                output.tail().extend_from_slice(&seen[..3]);
                input.consume(3);
                seen.drain(..3);
                return Wait::Drain;
            }
            if input.is_end() {
                output.tail().extend_from_slice(&seen);
                return Wait::Close;
            }
            read(now)
        })
    });
    let sent = pattern(1000);
    for piece in [1, 3, 11, 1000] {
        let mut client = server.connect();
        for part in sent.chunks(piece) {
            client.write_all(part).unwrap();
        }
        client.shutdown(Shutdown::Write).unwrap();
        assert!(read_all(&mut client) == sent, "pieces of {piece}");
    }
}

#[test]
fn a_session_that_neither_consumes_nor_closes_is_reset_when_its_input_is_full() {
    let limits = Limits { input_bytes: 1000, ..limits() };
    let most = Arc::new(AtomicUsize::new(0));
    let shown = Arc::clone(&most);
    let server = serve(limits, move |_: &Accepted| {
        let shown = Arc::clone(&shown);
        script(move |now: Now, input: &mut Input<'_>, _: &mut Output| {
            shown.fetch_max(input.bytes().len(), Ordering::Relaxed);
            read(now)
        })
    });
    let mut client = server.connect();
    client.write_all(&[0; 1000]).unwrap();
    // Who is told of the reset here is told nothing more by a read.
    match client.write_all(&[0; 1000]) {
        Ok(()) => assert_eq!(read_until_reset(&mut client), 0),
        Err(error) => assert_eq!(error.kind(), ErrorKind::ConnectionReset),
    }
    assert_eq!(most.load(Ordering::Relaxed), 1000);
}

#[test]
fn every_address_that_was_bound_is_served() {
    let mut server = bind(Limits { workers: 2, ..limits() });
    server.listen(([127, 0, 0, 1], 0).into()).unwrap();
    // Not every machine has IPv6.
    let six = server.listen(([0, 0, 0, 0, 0, 0, 0, 1], 0).into()).is_ok();
    let addresses = server.addresses().to_vec();
    assert_eq!(addresses.len(), if six { 3 } else { 2 });
    let _server = start(server, |accepted: &Accepted| {
        let local = accepted.local;
        script(move |_: Now, _: &mut Input<'_>, output: &mut Output| {
            output.tail().extend_from_slice(local.to_string().as_bytes());
            Wait::Close
        })
    });
    for address in addresses.iter().chain(&addresses) {
        assert_eq!(read_all(&mut connect(*address)), address.to_string().as_bytes());
    }
}

#[test]
fn a_connection_is_dealt_to_the_worker_that_has_the_fewest() {
    let server = serve(Limits { workers: 3, ..limits() }, |accepted: &Accepted| {
        let worker = accepted.worker;
        let mut has_told = false;
        script(move |now: Now, input: &mut Input<'_>, output: &mut Output| {
            assert_eq!(thread::current().name(), Some(format!("worker-{worker}").as_str()));
            if !std::mem::replace(&mut has_told, true) {
                output.tail().push(b'0' + worker as u8);
            }
            if input.is_end() || now.stopping { Wait::Close } else { read(now) }
        })
    });
    let join = |clients: &mut Vec<TcpStream>| {
        let mut client = server.connect();
        let worker = read_exactly(&mut client, 1)[0];
        clients.push(client);
        worker
    };
    let mut clients = Vec::new();
    let order: Vec<u8> = (0..6).map(|_| join(&mut clients)).collect();
    assert_eq!(order, b"012012");
    // Both of worker 1's leave. It takes note of that at its leisure.
    clients.remove(4);
    clients.remove(1);
    eventually("the next two go there", || {
        let before = clients.len();
        let joined = [join(&mut clients), join(&mut clients)];
        clients.truncate(before);
        joined == *b"11"
    });
}

#[test]
fn an_endless_answer_does_not_hold_up_others_on_the_same_worker() {
    let file = tempfile::tempfile().unwrap();
    (&file).write_all(&vec![7; 4 * 1024 * 1024]).unwrap();
    let file = Arc::new(file);
    let server = serve(limits(), move |_: &Accepted| {
        let file = Arc::clone(&file);
        let mut endless = false;
        script(move |now: Now, input: &mut Input<'_>, output: &mut Output| {
            endless |= input.bytes().starts_with(b"endless");
            if !endless {
                return echo(now, input, output);
            }
            output.file(Arc::clone(&file), 0..4 * 1024 * 1024);
            if now.stopping { Wait::Abort } else { Wait::Drain }
        })
    });
    let enough = Arc::new(AtomicBool::new(false));
    let greedy = {
        let mut client = server.connect();
        let enough = Arc::clone(&enough);
        client.write_all(b"endless").unwrap();
        read_exactly(&mut client, 1);
        thread::spawn(move || {
            let mut buffer = vec![0; 256 * 1024];
            let mut count = 0;
            // At least once, however late this thread begins.
            while count == 0 || !enough.load(Ordering::Relaxed) {
                match client.read(&mut buffer).unwrap() {
                    0 => break,
                    more => count += more,
                }
            }
            count
        })
    };
    let mut client = server.connect();
    for _ in 0..200 {
        client.write_all(b"still there?").unwrap();
        assert_eq!(read_exactly(&mut client, 12), b"still there?");
    }
    enough.store(true, Ordering::Relaxed);
    assert!(greedy.join().unwrap() > 0);
}

#[test]
fn many_connections_at_once_get_each_their_own() {
    let server = serve(Limits { workers: 2, ..limits() }, |_: &Accepted| script(echo));
    thread::scope(|scope| {
        for number in 0..8 {
            let server = &server;
            scope.spawn(move || {
                for round in 0..20 {
                    let mut client = server.connect();
                    let message = pattern(1 + number * 3000 + round * 511);
                    for _ in 0..5 {
                        client.write_all(&message).unwrap();
                        assert!(read_exactly(&mut client, message.len()) == message);
                    }
                }
            });
        }
    });
}

/// Waits for its clients to begin; tells of each that it is accepted.
struct Patient(Sender<SocketAddr>);

impl Service for Patient {
    type Session = Script;

    fn open(&self, accepted: &Accepted) -> Script {
        self.0.send(accepted.peer).expect("the test waits");
        script(echo)
    }

    fn is_spoken_to_first(&self) -> bool {
        true
    }
}

#[test]
fn who_is_to_begin_is_accepted_with_the_first_bytes_or_later_without() {
    // It is a second until the kernel hands over who says nothing, which may pass unseen.
    let is_later = (0..5).any(|_| {
        let (sender, opened) = unbounded();
        let server = serve(limits(), Patient(sender));
        let silent = server.connect();
        // In this time the kernel asks nobody anything.
        let is_early = opened.recv_timeout(Duration::from_millis(200)).is_ok();
        let mut client = server.connect();
        client.write_all(b"hello").unwrap();
        assert_eq!(read_exactly(&mut client, 5), b"hello");
        if is_early {
            return false;
        }
        let order = [(); 2].map(|()| opened.recv_timeout(LONG).unwrap());
        order == [&client, &silent].map(|stream| stream.local_addr().unwrap())
    });
    assert!(is_later);
}
