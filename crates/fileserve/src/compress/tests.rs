//! What is compressed is the file, and kept within bounds.

use std::io::Read;
use std::time::{Duration, UNIX_EPOCH};

use flate2::read::GzDecoder;

use super::*;
use crate::root::{FileId, Kind};

/// A text of `length` octets, the same each time, that can be compressed but not to nothing.
fn text(length: usize) -> Vec<u8> {
    (0..)
        .flat_map(|line: u32| {
            format!("line {line}, {:x}\n", line.wrapping_mul(0x9e37_79b9)).into_bytes()
        })
        .take(length)
        .collect()
}

fn opened(content: &[u8]) -> Opened {
    let mut file = tempfile::tempfile().expect("a temporary file");
    file.write_all(content).expect("room for it");
    let facts = Facts::of(&file).expect("facts");
    Opened { file, facts }
}

fn plain(compressed: &[u8]) -> Vec<u8> {
    let mut plain = Vec::new();
    GzDecoder::new(compressed).read_to_end(&mut plain).expect("gzip");
    plain
}

/// A moment at which a file made now can no longer change without showing it.
fn later() -> SystemTime {
    SystemTime::now() + Duration::from_secs(10)
}

fn compressor() -> Compressor {
    Compressor::new(true).expect("a thread")
}

/// The compressed text.
fn gzip(whole: Whole) -> Arc<[u8]> {
    match whole {
        Whole::Gzip(octets) => octets,
        Whole::AsItIs => panic!("it is not compressed"),
    }
}

#[test]
fn a_short_text_is_compressed_once() {
    let compressor = compressor();
    let opened = opened(&text(5000));
    let now = later();
    assert_eq!(compressor.recall(&opened.facts, now), None);
    let made = gzip(compressor.whole(&opened, now).expect("readable"));
    assert_eq!(plain(&made), text(5000));
    assert!(made.len() < 3000, "{}", made.len());
    let again = gzip(compressor.whole(&opened, now).expect("readable"));
    assert!(Arc::ptr_eq(&made, &again), "not compressed again");
    let recalled = gzip(compressor.recall(&opened.facts, now).expect("kept"));
    assert!(Arc::ptr_eq(&made, &recalled));
}

/// A program that writes to a file through its memory changes neither length nor times.
#[test]
fn what_is_kept_is_compared_with_the_file_now_and_then() {
    let compressor = compressor();
    let opened = opened(&text(5000));
    let now = later();
    gzip(compressor.whole(&opened, now).expect("readable"));
    let due = now + CHECK_AFTER;
    assert_eq!(compressor.recall(&opened.facts, due), None);
    gzip(compressor.whole(&opened, due).expect("readable"));
    assert!(compressor.recall(&opened.facts, due).is_some(), "compared and still good");
    // The clock set back tells nothing of when that was.
    assert_eq!(compressor.recall(&opened.facts, now - CHECK_AFTER), None);
    let other = "x".repeat(5000).into_bytes();
    opened.file.write_all_at(&other, 0).expect("room for it");
    // The same facts, as mmap would have left them.
    let facts = Facts::of(&opened.file).expect("facts");
    let unseen = Opened { file: opened.file, facts };
    let mut kept = compressor.kept();
    let text = kept.place(facts).expect("room");
    *text.lock().expect("nobody has it") =
        Some(Made { whole: Whole::AsItIs, hash: 1, checked: now });
    drop((kept, text));
    let made = gzip(compressor.whole(&unseen, due).expect("readable"));
    assert_eq!(plain(&made), other, "made anew, since its octets are others");
}

#[test]
fn what_may_change_unseen_is_not_kept() {
    let opened = opened(&text(5000));
    let now = opened.facts.ctime + Duration::from_millis(1);
    assert_eq!(compressor().whole(&opened, now).map_err(drop), Ok(Whole::AsItIs));
}

#[test]
fn a_text_that_has_changed_is_sent_as_it_is() {
    let compressor = compressor();
    let opened = opened(&text(5000));
    (&opened.file).write_all(b"more").expect("room for it");
    assert_eq!(compressor.whole(&opened, later()).map_err(drop), Ok(Whole::AsItIs));
    opened.file.set_len(100).expect("shorter");
    assert_eq!(compressor.whole(&opened, later()).map_err(drop), Ok(Whole::AsItIs));
    assert_eq!(compressor.recall(&opened.facts, later()), None);
}

/// Compressing a text that cannot be made shorter is tried once.
#[test]
fn what_does_not_get_shorter_is_sent_as_it_is() {
    let compressor = compressor();
    let mut state = 1_u64;
    let mut octet = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (state >> 56) as u8
    };
    let opened = opened(&(0..5000).map(|_| octet()).collect::<Vec<_>>());
    let now = later();
    assert_eq!(compressor.whole(&opened, now).map_err(drop), Ok(Whole::AsItIs));
    assert_eq!(compressor.recall(&opened.facts, now), Some(Whole::AsItIs));
}

/// The pool has other things to do.
#[test]
fn only_so_many_short_texts_are_compressed_at_once() {
    let compressor = compressor();
    let turn = || Turn::take(&compressor.wholes, compressor.wholes_max);
    let turns: Vec<_> = (0..compressor.wholes_max).map(|_| turn().expect("a turn")).collect();
    let opened = opened(&text(5000));
    assert_eq!(compressor.whole(&opened, later()).map_err(drop), Ok(Whole::AsItIs));
    drop(turns);
    gzip(compressor.whole(&opened, later()).expect("readable"));
}

#[test]
fn nobody_waits_for_a_text_that_another_compresses() {
    let compressor = compressor();
    let opened = opened(&text(5000));
    let place = compressor.kept().place(opened.facts).expect("room");
    let making = place.lock().expect("nobody has it");
    assert_eq!(compressor.whole(&opened, later()).map_err(drop), Ok(Whole::AsItIs));
    drop(making);
    gzip(compressor.whole(&opened, later()).expect("readable"));
}

#[test]
fn a_long_text_comes_in_pieces() {
    let content = text(3_000_000);
    let compressor = compressor();
    let Ok(mut source) = compressor.stream(opened(&content)) else { panic!("there is room") };
    let mut all = Vec::new();
    loop {
        let mut piece = Vec::new();
        let produced = source.produce(&mut piece).expect("readable");
        // Bounded, and no tiny one but perhaps the last.
        let ends = produced == Produced::All;
        assert!(ends || (WORTH_SENDING..PIECES_MAX * PIECE_BYTES).contains(&piece.len()));
        all.append(&mut piece);
        if produced == Produced::All {
            break;
        }
    }
    assert!(plain(&all) == content);
}

#[test]
fn a_long_text_that_ends_too_soon_is_an_error() {
    let opened = opened(&text(3_000_000));
    opened.file.set_len(1_000_000).expect("shorter");
    let Ok(mut source) = compressor().stream(opened) else { panic!("there is room") };
    let mut out = Vec::new();
    assert_eq!(source.produce(&mut out).map_err(drop), Ok(Produced::More));
    while let Ok(produced) = source.produce(&mut out) {
        assert_eq!(produced, Produced::More, "it never ends as if it were whole");
    }
}

#[test]
fn while_no_text_can_be_closed_no_more_of_them_are_opened_than_are_compressed_at_once() {
    let (closing, waiting) = bounded(STREAMS_MAX);
    let compressor = Compressor { closing: Some(closing), ..compressor() };
    let is_streamed = |_: &usize| compressor.stream(opened(&text(10))).is_ok();
    assert_eq!((0..2 * STREAMS_MAX).filter(is_streamed).count(), STREAMS_MAX);
    assert_eq!(waiting.len(), STREAMS_MAX, "and whoever drops one does not close it");
    drop(waiting.recv());
    assert_eq!((0..2).filter(is_streamed).count(), 1);
}

#[test]
fn only_so_many_long_texts_are_compressed_at_once() {
    // Whoever drops one closes it, at once.
    let compressor = Compressor { closing: None, ..compressor() };
    let stream = || compressor.stream(opened(&text(10)));
    let mut streams: Vec<_> = (0..STREAMS_MAX).map(|_| stream()).collect();
    assert!(streams.iter().all(Result::is_ok) && stream().is_err());
    streams.pop();
    assert!(stream().is_ok());
}

/// The facts of a file as long as a text may be, which is another one for each number.
fn facts(number: u64) -> Facts {
    Facts {
        kind: Kind::File,
        len: WHOLE_BYTES_MAX,
        mtime: UNIX_EPOCH,
        ctime: UNIX_EPOCH,
        mode: 0o644,
        id: FileId { device: 1, inode: number },
    }
}

/// Keeps a text that has come out at half of its length.
fn keep(kept: &mut Kept, number: u64) -> Option<Arc<[u8]>> {
    let place = kept.place(facts(number))?;
    let octets: Arc<[u8]> = vec![0; WHOLE_BYTES_MAX as usize / 2].into();
    let whole = Whole::Gzip(Arc::clone(&octets));
    *place.lock().expect("nobody has it") = Some(Made { whole, hash: 0, checked: UNIX_EPOCH });
    kept.count(&facts(number), octets.len());
    Some(octets)
}

#[test]
fn old_texts_give_way_but_not_while_they_are_sent() {
    let mut kept = Kept::default();
    // The last one needs room for all of its length while it is made.
    let room = 2 * (kept::BYTES_MAX as u64) / WHOLE_BYTES_MAX - 1;
    let mut sent: Vec<_> = (0..room).map(|number| keep(&mut kept, number).expect("room")).collect();
    assert!(kept.place(facts(room)).is_none(), "all are being sent");
    sent.drain(3..5);
    // Not all are looked at each time.
    assert!((0..3).any(|_| keep(&mut kept, room).is_some()), "two can go");
    assert!(kept.get(&facts(3), UNIX_EPOCH).is_none());
    assert!(kept.get(&facts(2), UNIX_EPOCH).is_some());
}

#[test]
fn a_text_does_not_give_way_while_it_is_made() {
    let mut kept = Kept::default();
    let place = kept.place(facts(0)).expect("room");
    for number in 1..2 * (kept::BYTES_MAX as u64) / WHOLE_BYTES_MAX {
        keep(&mut kept, number);
    }
    assert!(Arc::ptr_eq(&place, &kept.place(facts(0)).expect("it has its place")));
}

#[test]
fn there_are_only_so_many_texts() {
    let mut kept = Kept::default();
    let short = |number| Facts { len: 0, ..facts(number) };
    for number in 0..=kept::TEXTS_MAX as u64 {
        assert!(kept.place(short(number)).is_some());
    }
    assert_eq!(kept.len(), kept::TEXTS_MAX);
}
