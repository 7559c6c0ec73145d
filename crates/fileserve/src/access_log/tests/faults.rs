//! Disks that are full, pipes that nobody reads, lines that somebody tore.

use std::fs::{self, File, OpenOptions};
use std::io::Read;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::{Duration, Instant};

use http_proto::Status;
use http_proto::server::Exchange;
use rustix::fs::{CWD, FileType, Mode, OFlags, mknodat};

use super::super::shard::Shard;
use super::super::{AccessLog, LINE_LOGGED_MAX, LogFormat, SHARD_BYTES_MAX};
use super::{answered, refused};

/// A line of about 32 KiB, to fill buffers quickly.
fn long_line() -> Vec<u8> {
    [b"GET /".as_slice(), &[0xff; LINE_LOGGED_MAX]].concat()
}

#[test]
fn a_shard_takes_no_more_than_its_bound() {
    let (shard, long) = (Shard::new(), long_line());
    let exchange = refused(&long, Status::BAD_REQUEST, "bad-octet");
    let wakes = (0..500).filter(|_| shard.append(LogFormat::Common, &exchange, None)).count();
    assert_eq!(wakes, 1, "the writer is woken once per filling");
    let dropped = shard.dropped();
    let lines = shard.take(Vec::new());
    assert!((SHARD_BYTES_MAX..SHARD_BYTES_MAX + 5 * LINE_LOGGED_MAX).contains(&lines.len()));
    assert_eq!(lines.iter().filter(|&&b| b == b'\n').count() as u64 + dropped, 500);
    assert!(dropped > 0);
    assert_eq!(lines.last(), Some(&b'\n'));
}

#[test]
fn a_full_disk_costs_lines_and_nothing_else() {
    let log = AccessLog::to_file("/dev/full", LogFormat::Common, 2).expect("/dev/full opens");
    assert_eq!(log.identity(), None);
    let long = long_line();
    let begin = Instant::now();
    for worker in 0..1000 {
        let exchange = refused(&long, Status::BAD_REQUEST, "bad-octet");
        log.record(&Exchange { worker, ..exchange }, None);
    }
    let before = log.dropped();
    log.reopen();
    log.shutdown();
    assert!(before > 0, "no more than the bounds is kept");
    assert_eq!(log.dropped(), 1000, "all are lost, and all are counted");
    assert!(begin.elapsed() < Duration::from_secs(60), "{:?}", begin.elapsed());
}

#[test]
fn a_line_torn_by_an_earlier_run_is_closed_first() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("access.log");
    for (before, expected) in [("", ""), ("whole\n", "whole\n"), ("whole\nto", "whole\nto\n")] {
        fs::write(&path, before).expect("written");
        let log = AccessLog::to_file(&path, LogFormat::Plain, 1).expect("the log opens");
        log.record(&answered(b"GET /a HTTP/1.1"), None);
        log.shutdown();
        let text = fs::read_to_string(&path).expect("read");
        let ours = text.strip_prefix(expected).expect("what was there, ended");
        assert!(ours.starts_with("2026-11-22 ") && ours.lines().count() == 1, "{text}");
    }
}

/// A FIFO and its reader, which is open and has read nothing.
fn fifo(path: &Path) -> File {
    mknodat(CWD, path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).expect("a FIFO");
    let mut options = OpenOptions::new();
    options.read(true).custom_flags(OFlags::NONBLOCK.bits().cast_signed());
    options.open(path).expect("a reader does not wait for a writer")
}

#[test]
fn a_pipe_that_nobody_reads_does_not_hold_up_the_stop() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("pipe");
    let mut reader = fifo(&path);
    let log = AccessLog::to_file(&path, LogFormat::Common, 1).expect("the FIFO opens");
    let long = long_line();
    let begin = Instant::now();
    for _ in 0..100 {
        log.record(&refused(&long, Status::BAD_REQUEST, "bad-octet"), None);
    }
    log.shutdown_within(Duration::from_millis(100));
    assert!(begin.elapsed() < Duration::from_secs(60), "{:?}", begin.elapsed());
    let mut first = [0; 10];
    reader.read_exact(&mut first).expect("what was written before it got stuck");
    assert_eq!(&first, b"192.0.2.7 ");
}

#[test]
fn a_pipe_without_a_reader_is_refused_at_the_start() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("pipe");
    drop(fifo(&path));
    assert!(AccessLog::to_file(&path, LogFormat::Common, 1).is_err());
}
