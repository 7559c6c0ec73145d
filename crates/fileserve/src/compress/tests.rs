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

#[test]
fn a_short_text_is_compressed_once() {
    let compressor = Compressor::default();
    let opened = opened(&text(5000));
    assert_eq!(compressor.recall(&opened.facts), None);
    let made = compressor.whole(&opened, later()).expect("readable").expect("settled");
    assert_eq!(plain(&made), text(5000));
    assert!(made.len() < 3000, "{}", made.len());
    let again = compressor.whole(&opened, later()).expect("readable").expect("settled");
    assert!(Arc::ptr_eq(&made, &again), "not compressed again");
    assert!(Arc::ptr_eq(&made, &compressor.recall(&opened.facts).expect("kept")));
}

#[test]
fn what_may_change_unseen_is_not_kept() {
    let opened = opened(&text(5000));
    let now = opened.facts.ctime + Duration::from_millis(1);
    assert_eq!(Compressor::default().whole(&opened, now).map_err(drop), Ok(None));
}

#[test]
fn a_text_that_has_changed_is_sent_as_it_is() {
    let compressor = Compressor::default();
    let opened = opened(&text(5000));
    (&opened.file).write_all(b"more").expect("room for it");
    assert_eq!(compressor.whole(&opened, later()).map_err(drop), Ok(None));
    opened.file.set_len(100).expect("shorter");
    assert_eq!(compressor.whole(&opened, later()).map_err(drop), Ok(None));
}

#[test]
fn many_who_want_the_same_text_wait_for_one() {
    let compressor = Compressor::default();
    let opened = opened(&text(500_000));
    let texts: Vec<_> = std::thread::scope(|scope| {
        let ask = || compressor.whole(&opened, later()).expect("readable").expect("settled");
        let threads: Vec<_> = (0..8).map(|_| scope.spawn(ask)).collect();
        threads.into_iter().map(|thread| thread.join().expect("no panic")).collect()
    });
    assert!(texts.iter().all(|text| Arc::ptr_eq(text, &texts[0])));
}

#[test]
fn a_long_text_comes_in_pieces() {
    let content = text(3_000_000);
    let compressor = Compressor::default();
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
    let Ok(mut source) = Compressor::default().stream(opened) else { panic!("there is room") };
    let mut out = Vec::new();
    assert_eq!(source.produce(&mut out).map_err(drop), Ok(Produced::More));
    while let Ok(produced) = source.produce(&mut out) {
        assert_eq!(produced, Produced::More, "it never ends as if it were whole");
    }
}

#[test]
fn only_so_many_long_texts_are_compressed_at_once() {
    let compressor = Compressor::default();
    let stream = || compressor.stream(opened(&text(10)));
    let mut streams: Vec<_> = (0..STREAMS_MAX).map(|_| stream()).collect();
    assert!(streams.iter().all(Result::is_ok) && stream().is_err());
    streams.pop();
    assert!(stream().is_ok());
}

#[test]
fn old_texts_give_way_but_not_while_they_are_sent() {
    let facts = |number: u64| Facts {
        kind: Kind::File,
        len: WHOLE_BYTES_MAX,
        mtime: UNIX_EPOCH,
        ctime: UNIX_EPOCH,
        mode: 0o644,
        id: FileId { device: 1, inode: number },
    };
    let made = |kept: &mut Kept, number| {
        let place = kept.place(facts(number))?;
        let octets: Arc<[u8]> = vec![0; WHOLE_BYTES_MAX as usize].into();
        *lock(&place) = Some(Arc::clone(&octets));
        kept.count(&facts(number), octets.len());
        Some(octets)
    };
    let mut kept = Kept::default();
    let room = (kept::BYTES_MAX as u64) / WHOLE_BYTES_MAX;
    let mut sent: Vec<_> = (0..room).map(|number| made(&mut kept, number).expect("room")).collect();
    assert!(kept.place(facts(room)).is_none(), "all are being sent");
    sent.remove(3);
    assert!(made(&mut kept, room).is_some(), "one can go");
    assert!(kept.get(&facts(3)).is_none());
    assert!(kept.get(&facts(2)).is_some());
}
