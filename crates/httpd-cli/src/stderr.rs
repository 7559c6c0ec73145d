//! Decides what becomes of a line for standard error that nobody reads: it is dropped and counted.
//!
//! The threads that serve write here. One that waited for the reader of a full pipe, or of a
//! terminal that was stopped, would keep all its connections waiting, and with the first worker
//! everybody who comes. Only what is said last, when nobody is served any more, waits for a reader.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::fs::OpenOptionsExt;
use std::sync::{LazyLock, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{FileType, OFlags, fstat};
use rustix::io::{Errno, retry_on_intr, write};
use rustix::termios::isatty;

/// The most octets that are written at once, the end of the line included: what PIPE_BUF is on
/// Linux. Of a pipe that `poll` calls writable so many can be written without waiting, and in one
/// piece.
const PIECE_MAX: usize = 4096;

/// What a line that is longer ends with.
const CUT: &[u8] = b"...\n";

/// How long what is said last waits for a reader, in all. One that is only busy comes long before;
/// where there is none, the end is hardly later for it: with the five seconds that the access log
/// may take it is before the ten after which Docker, the least patient, kills what it stops.
const LAST_WAIT: Duration = Duration::from_secs(1);

static SINK: LazyLock<Mutex<Sink>> = LazyLock::new(|| Mutex::new(Sink::new(io::stderr())));

/// Writes whole lines to standard error and never waits. To be used first before the jail closes:
/// what standard error is may be opened once more.
pub(crate) struct Lines {
    /// The beginning of a line; what is longer than may be written is not kept.
    line: Vec<u8>,
    sink: &'static Mutex<Sink>,
}

impl Lines {
    pub(crate) fn new() -> Lines {
        Lines { line: Vec::new(), sink: &SINK }
    }
}

impl Write for Lines {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        for part in octets.split_inclusive(|&octet| octet == b'\n') {
            // One octet too many tells that it is to be cut.
            let room = (PIECE_MAX + 1).saturating_sub(self.line.len());
            self.line.extend_from_slice(&part[..part.len().min(room)]);
            if part.ends_with(b"\n") {
                lock(self.sink).put(&self.line);
                self.line.clear();
            }
        }
        Ok(octets.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Writes whole lines to standard error: all at once if that is possible, or none of them.
pub(crate) fn say(text: &str) {
    let mut sink = lock(&SINK);
    match text.len() <= PIECE_MAX {
        true => sink.put(text.as_bytes()),
        false => text.split_inclusive('\n').for_each(|line| sink.put(line.as_bytes())),
    }
}

/// Says the last there is to say, which may be nothing, after how many lines have been lost. All of
/// it, however long; waits for a reader, but no more than a second, nor after a signal.
///
/// Only for when nobody is served any more.
pub(crate) fn say_last(text: &str) {
    lock(&SINK).finish(text, LAST_WAIT);
}

fn lock(sink: &Mutex<Sink>) -> std::sync::MutexGuard<'_, Sink> {
    sink.lock().unwrap_or_else(PoisonError::into_inner)
}

/// One for all threads, so that no two of them are promised the same room.
struct Sink {
    out: Box<dyn AsFd + Send>,
    /// How many lines have been dropped since that was told.
    lost: u64,
    /// The last line was written in part.
    torn: bool,
}

impl Sink {
    fn new(out: impl AsFd + Send + 'static) -> Sink {
        let out: Box<dyn AsFd + Send> = match reopened(&out) {
            Some(own) => Box::new(own),
            None => Box::new(out),
        };
        Sink { out, lost: 0, torn: false }
    }

    /// Writes `lines`, or drops and counts them; before them how many have been lost.
    fn put(&mut self, lines: &[u8]) {
        if self.lost > 0 && self.written(told(self.lost).as_bytes()) {
            self.lost = 0;
        }
        if self.lost > 0 || !self.written(lines) {
            let count = lines.iter().filter(|&&octet| octet == b'\n').count();
            self.lost += count.max(1) as u64;
        }
    }

    /// Whether all of it could be written, but for what is cut off.
    fn written(&mut self, lines: &[u8]) -> bool {
        let mut piece = Vec::with_capacity(PIECE_MAX);
        if self.torn {
            piece.push(b'\n');
        }
        match piece.len() + lines.len() <= PIECE_MAX {
            true => piece.extend_from_slice(lines),
            false => {
                piece.extend_from_slice(beginning(lines, PIECE_MAX - CUT.len() - piece.len()));
                piece.extend_from_slice(CUT);
            }
        }
        let mut done = 0;
        while done < piece.len() && is_writable(&self.out, Duration::ZERO) {
            match retry_on_intr(|| write(&self.out, &piece[done..])) {
                Ok(count @ 1..) => done += count,
                Ok(0) | Err(_) => break,
            }
        }
        // Only a terminal takes a part.
        self.torn = if done > 0 { done < piece.len() } else { self.torn };
        done == piece.len()
    }

    /// Writes how many lines have been lost and then `text`; waits for room no longer than `most`.
    fn finish(&mut self, text: &str, most: Duration) {
        let end = Instant::now() + most;
        let lead = if self.torn { "\n" } else { "" };
        let lost = if self.lost > 0 { told(self.lost) } else { String::new() };
        let all = [lead, &lost, text].concat();
        let mut rest = all.as_bytes();
        while !rest.is_empty() {
            let left = end.saturating_duration_since(Instant::now());
            if !is_writable(&self.out, left) {
                break;
            }
            match write(&self.out, &rest[..rest.len().min(PIECE_MAX)]) {
                Ok(count @ 1..) => rest = &rest[count..],
                // `poll` has promised too much.
                Err(Errno::AGAIN) if !left.is_zero() => {}
                Ok(0) | Err(_) => break,
            }
        }
        (self.lost, self.torn) = (0, !rest.is_empty());
    }
}

fn told(lost: u64) -> String {
    format!("httpd: lines lost here, as nobody read standard error: {lost}\n")
}

/// The first octets, at most `most`, and no part of a character.
fn beginning(line: &[u8], most: usize) -> &[u8] {
    let is_inside = |&at: &usize| line.get(at).is_some_and(|octet| octet & 0xc0 == 0x80);
    let end = (most.saturating_sub(3)..=most).rev().find(|at| !is_inside(at)).unwrap_or(most);
    &line[..end.min(line.len())]
}

/// Whether a write would not wait, at the latest after `most` or before a signal comes. What has an
/// error is not waited for either.
fn is_writable(out: impl AsFd, most: Duration) -> bool {
    let mut asked = [PollFd::new(&out, PollFlags::OUT)];
    Timespec::try_from(most).is_ok_and(|most| poll(&mut asked, Some(&most)) == Ok(1))
}

/// The same pipe or terminal, opened anew: with `O_NONBLOCK`, which whoever else has the other one
/// would not expect there. It is needed where `poll` promises too much: a terminal takes less than
/// a line, and another program may be first at a pipe.
///
/// `None` for what else there is, and where it cannot be opened: `poll` is relied on there.
fn reopened(out: impl AsFd) -> Option<File> {
    let out = out.as_fd();
    let kind = FileType::from_raw_mode(fstat(out).ok()?.st_mode);
    if kind != FileType::Fifo && !isatty(out) {
        return None;
    }
    let flags = OFlags::NONBLOCK | OFlags::NOCTTY;
    let mut options = OpenOptions::new();
    options.write(true).custom_flags(flags.bits().cast_signed());
    options.open(format!("/proc/self/fd/{}", out.as_raw_fd())).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{PipeReader, PipeWriter, Read};
    use std::sync::mpsc::channel;
    use std::thread;
    use std::time::Duration;

    use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};

    /// A sink and who reads it; `polled` as if it could not be opened anew.
    fn piped(polled: bool) -> (Sink, PipeReader) {
        let (reader, writer): (_, PipeWriter) = io::pipe().unwrap();
        let sink = match polled {
            true => Sink { out: Box::new(writer), lost: 0, torn: false },
            false => Sink::new(writer),
        };
        (sink, reader)
    }

    /// As `run` on a thread that may wait for ever.
    fn without_waiting<T: Send + 'static>(run: impl FnOnce() -> T + Send + 'static) -> T {
        let (done, ended) = channel();
        thread::spawn(move || done.send(run()));
        ended.recv_timeout(Duration::from_secs(60)).expect("nothing is waited for")
    }

    fn read_to_end(sink: Sink, mut reader: PipeReader) -> String {
        drop(sink);
        let mut text = String::new();
        reader.read_to_string(&mut text).unwrap();
        text
    }

    #[test]
    fn what_a_full_pipe_does_not_take_is_counted_and_told_when_there_is_room() {
        for polled in [false, true] {
            for line in ["short\n".to_owned(), "l".repeat(5000) + "\n", "two\nlines\n".into()] {
                without_waiting(move || {
                    let (mut sink, mut reader) = piped(polled);
                    let lines = line.matches('\n').count() as u64;
                    while sink.lost == 0 {
                        sink.put(line.as_bytes());
                    }
                    (0..100).for_each(|_| sink.put(line.as_bytes()));
                    assert_eq!(sink.lost, 101 * lines, "{polled} {lines}");
                    let mut all = vec![0; 1 << 20];
                    let count = reader.read(&mut all).unwrap();
                    assert!(all[..count].ends_with(b"\n"), "no line is torn");
                    sink.put(b"heard\n");
                    sink.put(b"again\n");
                    let lost = 101 * lines;
                    assert_eq!(
                        read_to_end(sink, reader),
                        format!(
                            "httpd: lines lost here, as nobody read standard error: {lost}\n\
                             heard\nagain\n"
                        ),
                        "{polled}"
                    );
                });
            }
        }
    }

    #[test]
    fn what_is_said_last_comes_whole_from_a_full_pipe_after_the_number_of_lines_that_were_lost() {
        for polled in [false, true] {
            // More than a pipe holds.
            for last in ["".into(), "why\n".into(), "l".repeat(6000) + "\n", "l".repeat(200_000)] {
                let (mut sink, mut reader) = piped(polled);
                while sink.lost < 3 {
                    sink.put(b"line\n");
                }
                let text = last.clone();
                let ending = thread::spawn(move || sink.finish(&text, Duration::from_secs(60)));
                let mut all = String::new();
                reader.read_to_string(&mut all).unwrap();
                ending.join().unwrap();
                let expected =
                    format!("\nhttpd: lines lost here, as nobody read standard error: 3\n{last}");
                assert!(all.ends_with(&expected), "{polled} {} of {}", all.len(), last.len());
            }
        }
    }

    #[test]
    fn what_is_said_last_waits_for_a_reader_that_never_comes_as_long_as_it_may() {
        for (polled, fills) in [(false, false), (false, true), (true, false), (true, true)] {
            without_waiting(move || {
                let (mut sink, _reader) = piped(polled);
                while fills && sink.lost == 0 {
                    sink.put(b"line\n");
                }
                let (start, most) = (Instant::now(), Duration::from_millis(20));
                sink.finish(&"l".repeat(200_000), most);
                assert!(start.elapsed() >= most, "{polled} {fills}");
            });
        }
    }

    #[test]
    fn where_nothing_was_lost_and_nothing_is_left_to_say_the_end_is_silent() {
        let (mut sink, reader) = piped(false);
        sink.put(b"line\n");
        sink.finish("", Duration::from_secs(60));
        assert_eq!(read_to_end(sink, reader), "line\n");
    }

    /// Of what it takes, a terminal takes any number of octets.
    #[test]
    fn a_terminal_that_nobody_reads_is_not_waited_for() {
        for length in [60, 100, 117, 300, 1000, 4096] {
            let line = "x".repeat(length - 1) + "\n";
            let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
            grantpt(&master).unwrap();
            unlockpt(&master).unwrap();
            let name = ptsname(&master, Vec::new()).unwrap();
            let mut options = OpenOptions::new();
            options.write(true).custom_flags(OFlags::NOCTTY.bits().cast_signed());
            let out = options.open(name.to_str().unwrap()).unwrap();
            let lost = without_waiting(move || {
                let mut sink = Sink::new(out);
                (0..20_000).for_each(|_| sink.put(line.as_bytes()));
                let lost = sink.lost;
                sink.finish(&line, Duration::from_millis(1));
                lost
            });
            assert!(lost > 0, "{length}");
        }
    }

    #[test]
    fn after_a_part_of_a_line_the_next_one_is_on_its_own() {
        let (mut sink, reader) = piped(false);
        (sink.torn, sink.lost) = (true, 1);
        sink.put(b"whole\n");
        let expected = "\nhttpd: lines lost here, as nobody read standard error: 1\nwhole\n";
        assert_eq!(read_to_end(sink, reader), expected);
    }

    #[test]
    fn a_pipe_without_a_reader_costs_lines_and_nothing_else() {
        for polled in [false, true] {
            let (mut sink, reader) = piped(polled);
            drop(reader);
            (0..3).for_each(|_| sink.put(b"line\n"));
            assert_eq!(sink.lost, 3);
            without_waiting(move || sink.finish("last\n", Duration::from_secs(3600)));
        }
    }

    #[test]
    fn lines_come_out_whole_however_they_go_in_and_long_ones_are_cut_between_characters() {
        let long = |length: usize| "\u{e9}".repeat(length / 2) + &"x".repeat(length % 2);
        for (text, expected) in [
            ("a\nbc\n\nd".to_owned(), "a\nbc\n\n".to_owned()),
            (long(4095) + "\n", long(4095) + "\n"),
            (long(4096) + "\n", long(4092) + "...\n"),
            ("x".to_owned() + &long(9000) + "\nb\n", "x".to_owned() + &long(4090) + "...\nb\n"),
        ] {
            for step in [1, 7, 4096, text.len()] {
                let (sink, mut reader) = piped(false);
                let sink: &'static Mutex<Sink> = Box::leak(Box::new(Mutex::new(sink)));
                let mut lines = Lines { line: Vec::new(), sink };
                for part in text.as_bytes().chunks(step) {
                    assert_eq!(lines.write(part).unwrap(), part.len());
                    assert!(lines.line.len() <= PIECE_MAX + 1, "no more is kept");
                }
                let mut found = vec![0; 1 << 16];
                let count = reader.read(&mut found).unwrap();
                assert!(found[..count] == *expected.as_bytes(), "{step}");
            }
        }
    }
}
