//! Ranges of files as output: exact, in order with the rest, and never other bytes instead.

mod support;

use std::fs::File;
use std::io::Write;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use support::{LONG, Serving};
use support::{limits, pattern, read_all, read_exactly, read_until_reset, script, serve};
use tcp_core::{Accepted, Input, Limits, Now, Output, Pace, Wait};

const MIB: usize = 1024 * 1024;

/// A server that answers every connection with what `answer` puts out.
fn answering(
    limits: Limits,
    answer: impl Fn(&mut Output) + Clone + Send + Sync + 'static,
) -> Serving {
    serve(limits, move |_: &Accepted| {
        let answer = answer.clone();
        script(move |_: Now, _: &mut Input<'_>, output: &mut Output| {
            answer(output);
            Wait::Close
        })
    })
}

fn file_of(bytes: &[u8]) -> Arc<File> {
    let mut file = tempfile::tempfile().expect("a temporary file");
    file.write_all(bytes).expect("room on the disk");
    Arc::new(file)
}

#[test]
fn a_large_file_is_sent_exactly_and_in_order_with_what_is_in_memory() {
    let block = pattern(MIB);
    let mut file = tempfile::tempfile().unwrap();
    for _ in 0..64 {
        file.write_all(&block).unwrap();
    }
    let file = Arc::new(file);
    let server = answering(limits(), move |output| {
        output.tail().extend_from_slice(b"head ");
        output.file(Arc::clone(&file), 0..32 * MIB as u64);
        output.share(Arc::from(&b" middle "[..]));
        output.file(Arc::clone(&file), 5..5);
        output.tail().extend_from_slice(b"and ");
        output.file(Arc::clone(&file), 32 * MIB as u64..64 * MIB as u64);
        output.file(Arc::clone(&file), 1..3);
        output.tail().extend_from_slice(b" tail");
    });
    let mut client = server.connect();
    assert_eq!(read_exactly(&mut client, 5), b"head ");
    for half in 0..2 {
        for number in 0..32 {
            assert!(read_exactly(&mut client, MIB) == block, "half {half}, block {number}");
        }
        if half == 0 {
            assert_eq!(read_exactly(&mut client, 12), b" middle and ");
        }
    }
    assert_eq!(read_exactly(&mut client, 2), block[1..3]);
    assert_eq!(read_all(&mut client), b" tail");
}

#[test]
fn a_range_starts_and_ends_at_any_octet() {
    let bytes = pattern(2 * MIB);
    let file = file_of(&bytes);
    for (start, end) in [(0, 1), (4095, 4097), (1, 2 * MIB), (700_001, 1_900_003)] {
        let file = Arc::clone(&file);
        let server = answering(limits(), move |output| {
            output.file(Arc::clone(&file), start as u64..end as u64);
        });
        assert!(read_all(&mut server.connect()) == bytes[start..end], "{start}..{end}");
    }
}

#[test]
fn a_file_that_is_not_in_memory_is_sent_all_the_same() {
    let bytes = pattern(5 * MIB + 17);
    let file = file_of(&bytes);
    file.sync_all().unwrap();
    rustix::fs::fadvise(&*file, 0, None, rustix::fs::Advice::DontNeed).unwrap();
    let server = answering(limits(), move |output| {
        output.file(Arc::clone(&file), 0..(5 * MIB + 17) as u64);
    });
    assert!(read_all(&mut server.connect()) == bytes, "other bytes");
}

#[test]
fn a_hole_in_a_file_is_sent_as_zeros() {
    let file = Arc::new(tempfile::tempfile().unwrap());
    file.set_len(8 * MIB as u64).unwrap();
    let server = answering(limits(), move |output| {
        output.file(Arc::clone(&file), 0..8 * MIB as u64);
    });
    assert!(read_all(&mut server.connect()) == vec![0; 8 * MIB], "other bytes");
}

#[test]
fn a_file_that_is_cut_short_while_it_is_sent_resets_the_connection() {
    let file = file_of(&pattern(16 * MIB));
    let sent = Arc::clone(&file);
    let server = answering(limits(), move |output| {
        output.file(Arc::clone(&sent), 0..16 * MIB as u64);
        output.tail().extend_from_slice(b"not these instead");
    });
    let mut client = server.connect_narrow();
    read_exactly(&mut client, 1000);
    file.set_len(8 * MIB as u64).unwrap();
    assert!(read_until_reset(&mut client) <= 8 * MIB);
    // Not only while it is sent: what was never there is not made up either.
    assert_eq!(read_until_reset(&mut server.connect()).min(1), 1);
}

#[test]
fn a_range_behind_the_end_of_a_file_resets_the_connection() {
    for range in [10..11, 4096..8192, u64::MAX - 1..u64::MAX] {
        let file = file_of(b"0123456789");
        let server = answering(limits(), move |output| {
            output.file(Arc::clone(&file), range.clone());
        });
        assert_eq!(read_until_reset(&mut server.connect()), 0);
    }
}

#[test]
fn a_file_that_cannot_be_sent_resets_the_connection() {
    let directory = Arc::new(File::open("/").unwrap());
    let server = answering(limits(), move |output| output.file(Arc::clone(&directory), 0..100));
    assert_eq!(read_until_reset(&mut server.connect()), 0);
}

#[test]
fn a_file_that_is_replaced_while_it_is_sent_stays_the_old_one() {
    let directory = tempfile::tempdir().unwrap();
    let (path, newer) = (directory.path().join("file"), directory.path().join("newer"));
    let old = pattern(16 * MIB);
    std::fs::write(&path, &old).unwrap();
    let served = path.clone();
    let server = answering(limits(), move |output| {
        output.file(Arc::new(File::open(&served).unwrap()), 0..16 * MIB as u64);
    });
    let mut client = server.connect_narrow();
    let mut received = read_exactly(&mut client, 1000);
    std::fs::write(&newer, vec![0; 16 * MIB]).unwrap();
    std::fs::rename(&newer, &path).unwrap();
    received.extend_from_slice(&read_all(&mut client));
    assert!(received == old, "other bytes");
}

#[test]
fn a_file_that_grows_while_it_is_sent_ends_where_it_was_to_end() {
    let bytes = pattern(MIB);
    let file = file_of(&bytes);
    let sent = Arc::clone(&file);
    let server = answering(limits(), move |output| output.file(Arc::clone(&sent), 0..MIB as u64));
    let mut client = server.connect_narrow();
    file.write_all_at(b"more", MIB as u64).unwrap();
    assert!(read_all(&mut client) == bytes, "other bytes");
}

#[test]
fn many_small_parts_arrive_in_order() {
    let file = file_of(b"0123456789");
    let server = answering(limits(), move |output| {
        for number in 0..1000 {
            output.tail().extend_from_slice(format!("<{number}:").as_bytes());
            for _ in 0..number % 20 {
                output.share(Arc::from(&b"s"[..]));
                output.tail().push(b't');
            }
            output.file(Arc::clone(&file), number % 10..10);
            output.tail().push(b'>');
        }
    });
    let expected: String = (0..1000)
        .map(|n| format!("<{n}:{}{}>", "st".repeat(n % 20), &"0123456789"[n % 10..]))
        .collect();
    assert!(read_all(&mut server.connect()) == expected.as_bytes(), "other bytes");
}

#[test]
fn a_peer_that_takes_nothing_of_a_file_is_cut() {
    let file = file_of(&pattern(16 * MIB));
    let pace = Pace { stall: LONG / 100, ..Pace::default() };
    let server = answering(Limits { pace, ..limits() }, move |output| {
        output.file(Arc::clone(&file), 0..16 * MIB as u64);
    });
    let client = server.connect_narrow();
    support::eventually("the server has given up", || {
        client
            .take_error()
            .expect("a socket")
            .is_some_and(|error| error.kind() == std::io::ErrorKind::ConnectionReset)
    });
}
