//! A connection by itself: what it makes of a file, and how its peer is judged.

use std::fs::File;
use std::io::{ErrorKind, Write};
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::time::Duration;

use mio::Poll;
use rustix::fs::{Advice, MemfdFlags, fadvise, memfd_create};

use super::*;
use crate::Pace;
use crate::limits::{FETCH_BYTES, FETCH_BYTES_WIDE, WARM_FOR};
use crate::output::{FilePart, Place, Segment};
use crate::sys::{Residence, residence};

const MIB: u64 = 1024 * 1024;

/// Waits for whatever it was made with.
struct Waits(Wait);

impl Session for Waits {
    fn advance(&mut self, _: Now, _: &mut Input<'_>, _: &mut Output) -> Wait {
        self.0
    }
}

/// A connection that owes `range` of `file` while its session waits for `wait`, with its peer.
fn owing(
    file: File,
    range: std::ops::Range<u64>,
    wait: Wait,
) -> (Connection<Waits>, std::net::TcpStream) {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("it is bound");
    let peer = std::net::TcpStream::connect(address).expect("it listens");
    let socket = listener.accept().expect("a client").0;
    socket.set_nonblocking(true).expect("a socket");
    let accepted = Accepted { peer: address, local: address, worker: 0 };
    let socket = TcpStream::from_std(socket);
    let mut connection = Connection::new(socket, accepted, None, Waits(wait), Now::read(false));
    connection.wait = wait;
    connection.output.file(Arc::new(file), range);
    (connection, peer)
}

/// Gives it a turn at `now`, in which it may send.
fn turn(connection: &mut Connection<Waits>, now: Instant) -> Turn {
    let poll = Poll::new().expect("a readiness queue");
    let (closer, _big, _distant) = Closer::new();
    let mut lent = Lent {
        limits: &Limits::default(),
        now: Now { instant: now, ..Now::read(false) },
        closer: &closer,
        registry: poll.registry(),
        token: Token(0),
        tick: &mut Tick::of_new_worker(),
        permits: &Permit::default(),
        scratch: &mut [0; 1024],
        output: &mut Output::default(),
    };
    let turn = connection.turn(&mut Ready { writable: true, ..Ready::default() }, &mut lent);
    let _ = poll.registry().deregister(&mut connection.socket);
    connection.watched = None;
    turn
}

#[test]
fn a_call_is_made_again_after_a_signal_and_after_nothing_else() {
    let mut answers = [Some(ErrorKind::Interrupted), Some(ErrorKind::Interrupted), None, None];
    let mut left = answers.iter_mut();
    let mut call = || match left.next().and_then(|answer| answer.take()) {
        Some(kind) => Err(kind.into()),
        None => Ok(7),
    };
    assert_eq!(retry(&mut call).expect("the third call is good"), 7);
    assert_eq!(left.len(), 1, "none is made after that");
    for kind in [ErrorKind::WouldBlock, ErrorKind::BrokenPipe, ErrorKind::ConnectionReset] {
        let mut calls = 0;
        let failed = retry(|| {
            calls += 1;
            Err(kind.into())
        });
        assert_eq!((failed.map_err(|error| error.kind()), calls), (Err(kind), 1));
    }
}

#[test]
fn what_was_in_memory_is_looked_up_again_for_who_has_taken_nothing_since() {
    let mut file = tempfile::tempfile().expect("a temporary file");
    for _ in 0..8 {
        file.write_all(&[7; MIB as usize]).expect("room on the disk");
    }
    file.sync_all().expect("written back");
    let drop_pages = || fadvise(&file, 0, None, Advice::DontNeed).expect("a hint");
    drop_pages();
    if residence(&file, 7 * MIB..8 * MIB, true) != Residence::Disk {
        return; // A file system that lives in memory.
    }
    // The kernel may keep pages that it is busy with, so it may take a few tries.
    let seen = (0..20).any(|_| {
        file.read_exact_at(&mut vec![0; 8 * MIB as usize], 0).expect("it is there");
        let sent = file.try_clone().expect("a descriptor");
        let (mut connection, mut peer) = owing(sent, 0..8 * MIB, Wait::Drain);
        let start = Instant::now();
        let first =
            (0..100).map(|_| turn(&mut connection, start)).find(|turn| *turn != Turn::Again);
        assert_eq!(first, Some(Turn::Parked), "it takes only so much at once");
        drop_pages();
        let later = start + 2 * WARM_FOR;
        if turn(&mut connection, later) != Turn::Pool(Lane::Short) {
            return false;
        }
        let left = connection.output.len();
        connection.block();
        peer.set_read_timeout(Some(Duration::from_secs(30))).expect("a socket");
        std::io::Read::read_exact(&mut peer, &mut vec![0; (8 * MIB - left) as usize])
            .expect("as much was sent");
        turn(&mut connection, later);
        assert!(connection.output.len() < left, "what was read in is sent");
        true
    });
    assert!(seen);
}

/// A file of 8 MiB in memory alone, of which nobody can tell where it is.
fn in_memory() -> File {
    let file = memfd_create(c"test", MemfdFlags::CLOEXEC).expect("every Linux has it");
    let mut file = File::from(file);
    file.write_all(&vec![7; 8 * MIB as usize]).expect("room");
    file
}

/// Gives it turns at `now`, and the pool's, until it waits for its peer or its session's work.
fn go_on(connection: &mut Connection<Waits>, now: Instant) -> Turn {
    loop {
        match turn(connection, now) {
            Turn::Again => {}
            Turn::Pool(Lane::Short) => connection.block(),
            turn => return turn,
        }
    }
}

#[test]
fn who_takes_nothing_is_cut_whatever_the_file_is_on() {
    let mut on_disk = tempfile::tempfile().expect("a temporary file");
    on_disk.write_all(&vec![7; 8 * MIB as usize]).expect("room on the disk");
    on_disk.sync_all().expect("written back");
    for file in [on_disk, in_memory()] {
        let pages = file.try_clone().expect("a descriptor");
        let (mut connection, _peer) = owing(file, 0..8 * MIB, Wait::Drain);
        let start = Instant::now();
        assert_eq!(go_on(&mut connection, start), Turn::Parked, "it takes only so much at once");
        fadvise(&pages, 0, None, Advice::DontNeed).expect("a hint");
        let Pace { stall, .. } = Pace::default();
        // The first look may find that something has been acknowledged since.
        let looks = [start + stall, start + 3 * stall].map(|now| {
            let looked = turn(&mut connection, now);
            if let Some(owing) = &mut connection.owing {
                // The pool would have taken no time.
                owing.away = None;
            }
            looked
        });
        assert!(looks.contains(&Turn::Closed), "{looks:?}");
    }
}

#[test]
fn the_time_on_the_pool_is_not_the_peers() {
    let (mut connection, _peer) = owing(in_memory(), 0..8 * MIB, Wait::LongPool);
    let start = Instant::now();
    let Pace { stall, .. } = Pace::default();
    assert_eq!(go_on(&mut connection, start), Turn::Pool(Lane::Long), "with what it owes");
    connection.block();
    let back = start + 10 * stall;
    assert_eq!(go_on(&mut connection, back), Turn::Parked);
    assert_eq!(turn(&mut connection, back + 3 * stall), Turn::Closed);
}

#[test]
fn a_file_in_memory_alone_is_sent_by_the_worker_however_slow_its_peer() {
    let (mut connection, mut peer) = owing(in_memory(), 0..8 * MIB, Wait::Drain);
    peer.set_read_timeout(Some(Duration::from_secs(30))).expect("a socket");
    let mut now = Instant::now();
    while !connection.output.is_empty() {
        now += 2 * WARM_FOR;
        match turn(&mut connection, now) {
            Turn::Pool(_) => panic!("it has nothing to do"),
            Turn::Parked => {
                let _ = std::io::Read::read(&mut peer, &mut [0; 32 * 1024]).expect("it was sent");
            }
            _ => {}
        }
    }
}

/// What is owed of the file at the front.
fn part(connection: &mut Connection<Waits>) -> &mut FilePart {
    match connection.output.segments().front_mut() {
        Some(Segment::File(part)) => part,
        other => panic!("{other:?} is no file"),
    }
}

/// Octets that are still owed of files.
fn in_files(connection: &mut Connection<Waits>) -> u64 {
    let segments = connection.output.segments().iter();
    segments.filter(|it| matches!(it, Segment::File(_))).map(Segment::len).sum()
}

/// For the next request.
fn idle() -> Wait {
    let since = Instant::now();
    Wait::Idle { since, deadline: since + Duration::from_secs(60) }
}

#[test]
fn where_somebody_else_may_be_waited_for_the_pool_alone_reads() {
    let mut file = tempfile::tempfile().expect("a temporary file");
    let octets: Vec<u8> = (0..FETCH_BYTES + 1000).map(|at| (at % 251) as u8).collect();
    file.write_all(&octets).expect("room on the disk");
    let (mut connection, mut peer) = owing(file, 0..octets.len() as u64, idle());
    connection.nudged = false;
    part(&mut connection).place = Place::Distant;
    let held = Arc::downgrade(&part(&mut connection).file);
    for left in [FETCH_BYTES + 1000, 1000] {
        assert_eq!(turn(&mut connection, Instant::now()), Turn::Pool(Lane::Short));
        assert_eq!(in_files(&mut connection), left, "the worker has sent nothing of it");
        let before = connection.output.len();
        connection.block();
        assert_eq!(connection.output.len(), before, "nor has the pool");
    }
    assert_eq!(in_files(&mut connection), 0);
    assert_eq!(held.strong_count(), 1, "nor does the pool close it, which may take long");
    assert_eq!(turn(&mut connection, Instant::now()), Turn::Parked);
    assert_eq!(held.strong_count(), 0);
    drop(connection);
    let mut received = Vec::new();
    std::io::Read::read_to_end(&mut peer, &mut received).expect("it comes");
    assert!(received == octets, "other octets");
}

#[test]
fn who_takes_a_distant_file_fast_gets_it_in_larger_pieces() {
    let (mut connection, mut peer) = owing(in_memory(), 0..8 * MIB, idle());
    part(&mut connection).place = Place::Distant;
    let reader = std::thread::spawn(move || {
        std::io::copy(&mut peer, &mut std::io::sink()).expect("it comes")
    });
    let (now, mut largest) = (Instant::now(), 0);
    // As if no time passed: whoever takes so much in it is fast.
    loop {
        match turn(&mut connection, now) {
            Turn::Pool(_) => {
                let left = in_files(&mut connection);
                connection.block();
                largest = largest.max(left - in_files(&mut connection));
            }
            Turn::Parked if connection.output.is_empty() => break,
            _ => std::thread::yield_now(),
        }
    }
    drop(connection);
    assert_eq!(reader.join().expect("it ends"), 8 * MIB);
    assert_eq!(largest, FETCH_BYTES_WIDE);
}

#[test]
fn what_a_distant_file_lacks_is_not_made_up() {
    let (mut connection, _peer) = owing(in_memory(), 8 * MIB - 1..8 * MIB + 1, Wait::Drain);
    part(&mut connection).place = Place::Distant;
    assert_eq!(go_on(&mut connection, Instant::now()), Turn::Closed);
}

#[test]
fn a_file_system_that_cannot_tell_is_distant() {
    // Every Linux has it, and it is on no disk.
    let file = File::open("/proc/version").expect("it is there");
    let (mut connection, _peer) = owing(file, 0..1, Wait::Drain);
    assert_eq!(turn(&mut connection, Instant::now()), Turn::Pool(Lane::Short));
    assert_eq!(part(&mut connection).place, Place::Distant);
}

#[test]
fn little_is_read_in_for_who_is_slow() {
    // The system never finds it in memory.
    let directory = || File::open("/").expect("it is there");
    let start = Instant::now();
    let little = 2 * u64::from(Limits::default().unsent_bytes);
    for (passed, expected) in [(WARM_FOR, MIB), (2 * WARM_FOR, little)] {
        let (mut connection, _peer) = owing(directory(), 0..8 * MIB, Wait::Drain);
        connection.owing = Some(Owing::new(start, &connection.socket));
        assert_eq!(turn(&mut connection, start + passed), Turn::Pool(Lane::Short));
        assert_eq!(connection.cold, Some(expected), "{passed:?}");
    }
    let (mut connection, _peer) = owing(directory(), 0..8 * MIB, Wait::Drain);
    assert_eq!(turn(&mut connection, start), Turn::Pool(Lane::Short));
    assert_eq!(connection.cold, Some(MIB), "who has not been slow yet");
}

#[test]
fn a_file_that_cannot_be_read_is_not_tried_again_by_a_worker() {
    let directory = File::open("/").expect("it is there");
    let (mut connection, _peer) = owing(directory, 0..100, Wait::Drain);
    assert_eq!(turn(&mut connection, Instant::now()), Turn::Pool(Lane::Short));
    connection.block();
    assert_eq!(connection.wait, Wait::Abort);
}

#[test]
fn the_file_is_read_in_before_the_session_does_what_may_take_long() {
    let mut file = tempfile::tempfile().expect("a temporary file");
    file.write_all(&[7; 100]).expect("room on the disk");
    let (mut connection, _peer) = owing(file, 0..100, Wait::LongPool);
    connection.cold = Some(MIB);
    connection.block();
    assert_eq!(connection.wait, Wait::LongPool, "its session has not been asked");
    assert_eq!(turn(&mut connection, Instant::now()), Turn::Pool(Lane::Long));
    assert!(connection.output.is_empty(), "sent by then");
    connection.block();
    assert_eq!(connection.wait, Wait::Drain);
}

#[test]
fn what_the_peer_has_acknowledged_counts_as_taken_and_nothing_does_twice() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("it is bound");
    let _client = std::net::TcpStream::connect(address).expect("it listens");
    let mut socket = TcpStream::from_std(listener.accept().expect("a client").0);
    let start = Instant::now();
    let mut owing = Owing::new(start, &socket);
    let segment = owing.known.segment_bytes;
    assert!(segment >= 536, "{segment}");
    let soon = start + Duration::from_secs(1);
    owing.look(soon, &socket);
    assert_eq!((owing.taken(), owing.last), (segment, start), "nothing has been sent");
    socket.write_all(&[0; 1000]).expect("the peer's kernel takes it");
    while owing.last == start {
        owing.look(soon, &socket);
        assert!(start.elapsed() < Duration::from_secs(30), "nothing is acknowledged");
    }
    // The longest segment grows with the peer's window.
    let segment = owing.known.segment_bytes;
    assert_eq!((owing.taken(), owing.last), (segment + 1000, soon));
    owing.look(soon + Duration::from_secs(1), &socket);
    assert_eq!((owing.taken(), owing.last), (segment + 1000, soon), "nothing more");
    // The room that this has made is used.
    owing.octets += 900;
    assert_eq!(owing.taken(), segment + 1000);
    owing.octets += 900;
    assert_eq!(owing.taken(), segment + 1800);
}
