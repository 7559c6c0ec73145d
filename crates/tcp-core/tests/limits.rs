//! What happens at the bounds: connections, descriptors, memory, threads.

mod support;

use std::fs::File;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::FileExt;
use std::thread;
use std::time::Duration;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use support::{STACK_BYTES, read, read_all, read_exactly, script, serve};
use support::{Script, alone, bind, connect, echo, entries, eventually, limits, many_descriptors};
use tcp_core::{Accepted, Input, Limits, NoRoom, Now, Output, Service, Wait};

/// Echoes; tells who comes too many.
struct Popular {
    refusal: fn(&Accepted, NoRoom) -> Vec<u8>,
}

impl Service for Popular {
    type Session = Script;

    fn open(&self, _: &Accepted) -> Script {
        script(echo)
    }

    fn refusal(&self, accepted: &Accepted, why: NoRoom, _: Now) -> Vec<u8> {
        (self.refusal)(accepted, why)
    }
}

/// Tries until the server has a place, and gives it back.
fn gets_a_place(address: SocketAddr) -> bool {
    let mut client = connect(address);
    let mut answer = [0; 2];
    client.write_all(b"hi").is_ok() && client.read_exact(&mut answer).is_ok() && answer == *b"hi"
}

#[test]
fn one_connection_too_many_is_told_why_and_a_place_is_free_again_later() {
    let limits = Limits { connections: 3, ..limits() };
    let refusal = |accepted: &Accepted, why: NoRoom| {
        // Time enough for the client's bytes to come: they will never be read.
        thread::sleep(Duration::from_millis(2));
        assert_eq!((accepted.worker, why), (0, NoRoom::Server));
        format!("full for {} at {}", accepted.peer, accepted.local).into_bytes()
    };
    let server = serve(limits, Popular { refusal });
    let mut guests: Vec<TcpStream> = (0..3).map(|_| server.connect()).collect();
    for guest in &mut guests {
        guest.write_all(b"x").unwrap();
        read_exactly(guest, 1);
    }
    for _ in 0..100 {
        let mut client = server.connect();
        let peer = client.local_addr().unwrap();
        let _ = client.write_all(&[0; 1000]);
        let told = String::from_utf8(read_all(&mut client)).unwrap();
        assert_eq!(told, format!("full for {peer} at {}", server.address));
    }
    drop(guests.pop());
    eventually("a place is free", || gets_a_place(server.address));
    for guest in &mut guests {
        guest.write_all(b"y").unwrap();
        assert_eq!(read_exactly(guest, 1), b"y");
    }
}

#[test]
fn a_panic_in_the_refusal_costs_only_the_one_refused() {
    let server = serve(
        Limits { connections: 1, ..limits() },
        Popular { refusal: |_, _| panic!("a panic on purpose") },
    );
    let mut guest = server.connect();
    guest.write_all(b"x").unwrap();
    read_exactly(&mut guest, 1);
    for _ in 0..3 {
        assert_eq!(read_all(&mut server.connect()), b"");
    }
    drop(guest);
    eventually("a place is free", || gets_a_place(server.address));
}

#[test]
fn an_address_has_as_many_connections_as_it_may_and_others_have_theirs() {
    let from = |address: [u8; 4], server: SocketAddr| {
        let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None);
        let socket = socket.unwrap();
        socket.bind(&SocketAddr::from((address, 0)).into()).unwrap();
        socket.connect(&server.into()).unwrap();
        socket.set_read_timeout(Some(support::LONG)).unwrap();
        TcpStream::from(socket)
    };
    let (here, there) = ([127, 0, 0, 1], [127, 0, 0, 2]);
    for workers in [1, 2] {
        let limits = Limits { per_address: Some(2), workers, ..limits() };
        let refusal = |_: &Accepted, why: NoRoom| format!("{why:?}").into_bytes();
        let server = serve(limits, Popular { refusal });
        let mut guests: Vec<TcpStream> =
            [here, here, there, there].map(|address| from(address, server.address)).into();
        for guest in &mut guests {
            guest.write_all(b"x").unwrap();
            assert_eq!(read_exactly(guest, 1), b"x");
        }
        for _ in 0..10 {
            assert_eq!(read_all(&mut from(here, server.address)), b"Address");
        }
        // Those refused count for nothing, and who leaves makes room.
        drop(guests.remove(0));
        eventually("a place is free", || gets_a_place(server.address));
        assert_eq!(read_all(&mut from(there, server.address)), b"Address");
    }
}

#[test]
fn a_bound_of_zero_does_not_stop_the_world() {
    let limits = Limits { workers: 0, pool: 0, input_bytes: 0, turn_bytes: 0, ..limits() };
    let server = serve(limits, |_: &Accepted| script(echo));
    let mut client = server.connect();
    for _ in 0..3 {
        client.write_all(b"anyone?").unwrap();
        assert_eq!(read_exactly(&mut client, 7), b"anyone?");
    }
}

#[test]
fn connections_that_come_and_go_leave_nothing_behind() {
    alone("connections_that_come_and_go_leave_nothing_behind", || {
        many_descriptors();
        let server = serve(Limits { workers: 2, ..limits() }, |_: &Accepted| script(echo));
        assert!(gets_a_place(server.address));
        let open = || entries("/proc/self/fd");
        let before = open();
        for round in 0..10 {
            let mut clients: Vec<TcpStream> = (0..100).map(|_| server.connect()).collect();
            for (number, client) in clients.iter_mut().enumerate() {
                // Some ask and read, some only ask, some do not even that.
                if number % 3 > 0 {
                    client.write_all(b"x").unwrap();
                }
                if number % 3 > 1 {
                    read_exactly(client, 1);
                }
                if (number + round) % 2 == 0 {
                    let now = Some(Duration::ZERO);
                    socket2::SockRef::from(&*client).set_linger(now).unwrap();
                }
            }
        }
        eventually("all descriptors are given back", || open() <= before);
    });
}

/// A line of this process's /proc/self/status, in octets.
fn memory(what: &str) -> usize {
    let status = std::fs::read_to_string("/proc/self/status").expect("proc");
    let line = status.lines().find(|line| line.starts_with(what)).expect("a size");
    let kib: usize = line.split_whitespace().nth(1).expect("a number").parse().expect("one");
    kib * 1024
}

#[test]
fn an_idle_connection_holds_no_buffer() {
    alone("an_idle_connection_holds_no_buffer", || {
        const LEN: usize = 200 * 1024;
        many_descriptors();
        // The answer takes several turns, the question too.
        let limits = Limits { turn_bytes: 16 * 1024, ..limits() };
        let server = serve(limits, |_: &Accepted| {
            script(|now: Now, input: &mut Input<'_>, output: &mut Output| {
                if input.bytes().len() < 60_000 {
                    return if now.stopping { Wait::Close } else { read(now) };
                }
                input.consume(input.bytes().len());
                output.tail().resize(LEN, 1);
                read(now)
            })
        });
        let ask = |client: &mut TcpStream| {
            client.write_all(&[0; 60_000]).unwrap();
            read_exactly(client, LEN);
        };
        ask(&mut server.connect());
        let before = memory("VmRSS:");
        let clients: Vec<TcpStream> = (0..300)
            .map(|_| {
                let mut client = server.connect();
                ask(&mut client);
                client
            })
            .collect();
        let grown = memory("VmRSS:").saturating_sub(before);
        assert!(grown < clients.len() * 50_000, "{} octets each", grown / clients.len());
    });
}

/// The processor time that this process has taken, in seconds, from its open /proc/self/stat.
fn processor_seconds(stat: &File) -> f64 {
    let mut bytes = [0; 1024];
    let count = stat.read_at(&mut bytes, 0).expect("proc");
    let stat = String::from_utf8_lossy(&bytes[..count]);
    let fields: Vec<&str> = stat.rsplit(')').next().expect("fields").split_whitespace().collect();
    let ticks = |index: usize| fields[index].parse::<f64>().expect("a number");
    // utime and stime are fields 14 and 15 of proc(5), in hundredths; the split took two.
    (ticks(11) + ticks(12)) / 100.0
}

fn allow_descriptors(most: u64) -> Rlimit {
    let before = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: Some(most), ..before }).expect("a lower limit");
    before
}

/// What is as long as the question of the next test.
fn told(port: u16) -> Vec<u8> {
    format!("no, {port:05}").into_bytes()
}

#[test]
fn out_of_descriptors_the_acceptor_neither_spins_nor_dies() {
    alone("out_of_descriptors_the_acceptor_neither_spins_nor_dies", || {
        let refusal = |accepted: &Accepted, _: NoRoom| told(accepted.peer.port());
        let server = serve(limits(), Popular { refusal });
        assert!(gets_a_place(server.address));
        // The clients' descriptors must be taken before the limit falls.
        let sockets: Vec<socket2::Socket> = (0..40)
            .map(|_| {
                let (domain, kind) = (socket2::Domain::IPV4, socket2::Type::STREAM);
                socket2::Socket::new(domain, kind, None).unwrap()
            })
            .collect();
        let stat = File::open("/proc/self/stat").unwrap();
        let used = entries("/proc/self/fd") as u64;
        let before = allow_descriptors(used);
        let mut clients: Vec<TcpStream> = sockets
            .into_iter()
            .map(|socket| {
                socket.connect(&server.address.into()).unwrap();
                socket.set_read_timeout(Some(support::LONG)).unwrap();
                TcpStream::from(socket)
            })
            .collect();
        let start = processor_seconds(&stat);
        thread::sleep(Duration::from_millis(1500));
        let spent = processor_seconds(&stat) - start;
        assert!(spent < 0.5, "{spent} s of processor time while nothing can be done");
        // Some were refused meanwhile; who was not is served once there is room.
        setrlimit(Resource::Nofile, before).unwrap();
        let (mut served, mut refused) = (0, 0);
        for client in &mut clients {
            let port = client.local_addr().unwrap().port();
            let _ = client.write_all(b"hello ye?");
            let mut answer = [0; 9];
            match client.read_exact(&mut answer) {
                Ok(()) if answer == *b"hello ye?" => served += 1,
                Ok(()) => {
                    assert_eq!(answer[..], told(port));
                    refused += 1;
                }
                Err(_) => refused += 1,
            }
        }
        assert!(served > 0 && refused > 0, "{served} served, {refused} refused");
        assert!(gets_a_place(server.address));
    });
}

#[test]
fn out_of_descriptors_a_stop_still_ends() {
    alone("out_of_descriptors_a_stop_still_ends", || {
        let mut server = serve(limits(), |_: &Accepted| script(echo));
        let client = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None);
        let client = client.unwrap();
        allow_descriptors(3);
        client.connect(&server.address.into()).unwrap();
        thread::sleep(Duration::from_millis(50));
        server.stopper().stop();
        server.join();
    });
}

#[test]
fn a_server_that_cannot_start_leaves_no_thread_behind() {
    alone("a_server_that_cannot_start_leaves_no_thread_behind", || {
        many_descriptors();
        let before = entries("/proc/self/task");
        let server = bind(Limits { workers: 50, pool: 1, ..limits() });
        // Address space for eight of the threads, and half a stack for all else.
        let little = memory("VmSize:") + 8 * STACK_BYTES + STACK_BYTES / 2;
        let most = getrlimit(Resource::As);
        setrlimit(Resource::As, Rlimit { current: Some(little as u64), ..most }).unwrap();
        let started = server.start(|_: &Accepted| script(echo));
        setrlimit(Resource::As, most).unwrap();
        assert!(started.is_err(), "the memory was enough");
        eventually("the threads that had begun end", || entries("/proc/self/task") == before);
    });
}
