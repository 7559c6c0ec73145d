//! Compresses texts for clients that accept gzip, where no compressed copy lies beside the file.
//!
//! A short text is compressed once, as a whole, and kept: whoever asks next costs a look-up. A long
//! one is compressed while it is sent, piece by piece as the client takes it. Either has a bound on
//! how many are being made and on what all of them hold; beyond it a file is sent as it is.

use std::fs::File;
use std::hash::{BuildHasher, RandomState};
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, SystemTime};

use crossbeam_channel::{Sender, bounded};
use flate2::Compression;
use flate2::write::GzEncoder;
use http_proto::server::{Produced, Source};

use crate::faults::{self, Asking};
use crate::refusal::Refusal;
use crate::root::{Facts, Opened};
use crate::validators;
use kept::{Kept, Made};

mod kept;

/// Texts up to this length are sent as they are: they fit into one packet with the head, and less
/// than one is never sent.
const PLAIN_BYTES_MAX: u64 = 1024;

/// Texts up to this length are compressed as a whole: some 20 ms of a pool thread, once.
const WHOLE_BYTES_MAX: u64 = 1024 * 1024;

/// How many long texts are compressed at once. Each holds some 300 KiB, which is what the algorithm
/// looks back on, and two pieces.
const STREAMS_MAX: usize = 32;

/// How long a kept text is good for before it is compared with the file: a program that writes to a
/// file through its memory (`mmap`) changes no time that would tell.
const CHECK_AFTER: Duration = Duration::from_secs(10);

/// What is read of a long text at a time: about a millisecond of a pool thread.
const PIECE_BYTES: usize = 64 * 1024;

/// How many pieces are read before the client is sent what has come of them, be it little.
const PIECES_MAX: usize = 4;

/// What is worth sending: the algorithm gives nothing for a while and then much.
const WORTH_SENDING: usize = 16 * 1024;

/// Of short texts, which are compressed once and sent often: the usual trade of time for size.
const WHOLE_LEVEL: u32 = 6;

/// Of long texts, which are compressed for each client.
const STREAM_LEVEL: u32 = 3;

/// The compressed texts that are kept, and those being made.
#[derive(Debug)]
pub(crate) struct Compressor {
    kept: Mutex<Kept>,
    hasher: RandomState,
    /// Short texts being compressed.
    wholes: Arc<AtomicUsize>,
    wholes_max: usize,
    /// Long ones.
    streams: Arc<AtomicUsize>,
    /// To a thread that closes files: the last to close a removed one waits for the disk, which a
    /// worker may not, and whoever closes one over a network for that. `None` where nothing is
    /// compressed.
    closing: Option<Sender<Closing>>,
}

/// A file to be closed. Its turn is over only then, so that no more of them can wait than
/// [`STREAMS_MAX`].
type Closing = (File, Turn);

/// How a text with `facts` is compressed, if it is.
pub(crate) fn way(facts: &Facts) -> Option<Way> {
    match facts.len {
        len if len <= PLAIN_BYTES_MAX => None,
        len if len <= WHOLE_BYTES_MAX => Some(Way::Whole),
        _ => Some(Way::Stream),
    }
}

/// Before it is sent, or while it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    Whole,
    Stream,
}

/// What is known of a short text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Whole {
    /// It is this, compressed.
    Gzip(Arc<[u8]>),
    /// It is best sent as it is.
    AsItIs,
}

impl Compressor {
    /// One that compresses, or has nothing to do.
    ///
    /// # Errors
    /// When no thread can be started.
    pub(crate) fn new(compresses: bool) -> io::Result<Compressor> {
        let mut closing = None;
        // With a plan, whoever is done with a file closes it.
        if compresses && !faults::is_planned() {
            let (files, waiting) = bounded::<Closing>(STREAMS_MAX);
            let close = move || waiting.into_iter().for_each(drop);
            thread::Builder::new().name("gzip-closer".into()).spawn(close)?;
            closing = Some(files);
        }
        Ok(Compressor {
            kept: Mutex::default(),
            hasher: RandomState::new(),
            wholes: Arc::default(),
            // Half of a pool's usual threads would still leave all cores with nothing else to do.
            wholes_max: thread::available_parallelism().map_or(1, usize::from),
            streams: Arc::default(),
            closing,
        })
    }

    /// What is known of a short text. `None` if it has to be looked at. Does not block.
    pub(crate) fn recall(&self, facts: &Facts, now: SystemTime) -> Option<Whole> {
        self.kept().get(facts, now)
    }

    /// A short text, compressed now if it is not kept. It is to be sent as it is where it changes,
    /// where there is no room, and while as many as may be are being compressed.
    pub(crate) fn whole(&self, opened: &Opened, now: SystemTime) -> Result<Whole, Refusal> {
        let facts = opened.facts;
        // A later version could have the same facts, so nothing of this one may be kept.
        if !validators::is_settled(&facts, now) {
            return Ok(Whole::AsItIs);
        }
        let Some(_turn) = Turn::take(&self.wholes, self.wholes_max) else {
            return Ok(Whole::AsItIs);
        };
        let Some(text) = self.kept().place(facts) else { return Ok(Whole::AsItIs) };
        // Who wants what another is just making does not wait for it.
        let Ok(mut text) = text.try_lock() else { return Ok(Whole::AsItIs) };
        let plain = read(opened)?;
        let Some(plain) = plain else {
            self.kept().count(&facts, 0);
            return Ok(Whole::AsItIs);
        };
        let hash = self.hasher.hash_one(&plain);
        let whole = match &*text {
            Some(known) if known.hash == hash => known.whole.clone(),
            _ => compressed(&plain)?,
        };
        let bytes = if let Whole::Gzip(octets) = &whole { octets.len() } else { 0 };
        *text = Some(Made { whole: whole.clone(), hash, checked: now });
        self.kept().count(&facts, bytes);
        Ok(whole)
    }

    /// A long text. The file comes back when as many as may be are being compressed already.
    pub(crate) fn stream(&self, opened: Opened) -> Result<Gzip, Opened> {
        let Some(turn) = Turn::take(&self.streams, STREAMS_MAX) else { return Err(opened) };
        Ok(Gzip {
            end: opened.facts.len,
            file: Some(opened.file),
            next: 0,
            encoder: None,
            closing: self.closing.clone(),
            turn: Some(turn),
        })
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The octets of a file; `None` when it is changed meanwhile.
fn read(opened: &Opened) -> Result<Option<Vec<u8>>, Refusal> {
    let mut text = vec![0; opened.facts.len as usize];
    match Asking(&opened.file).read_exact_at(&mut text, 0) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        Err(error) => return Err(Refusal::from_io(&error)),
    }
    // Invariant 10: head and content come from one version of the file.
    Ok((Facts::of(&opened.file)? == opened.facts).then_some(text))
}

fn compressed(text: &[u8]) -> Result<Whole, Refusal> {
    let mut encoder = encoder(WHOLE_LEVEL);
    let all = encoder.write_all(text).and_then(|()| encoder.finish());
    let all = all.map_err(|error| Refusal::from_io(&error))?;
    Ok(if all.len() < text.len() { Whole::Gzip(Arc::from(all)) } else { Whole::AsItIs })
}

/// Neither name nor time of the file go into its header: equal texts are equal compressed.
fn encoder(level: u32) -> GzEncoder<Vec<u8>> {
    GzEncoder::new(Vec::new(), Compression::new(level))
}

/// A long text, compressed as it is sent.
pub(crate) struct Gzip {
    /// `None` when all of it has been read.
    file: Option<File>,
    next: u64,
    end: u64,
    /// Made with the first piece, on the pool: it is large, and HEAD needs none.
    encoder: Option<GzEncoder<Vec<u8>>>,
    closing: Option<Sender<Closing>>,
    turn: Option<Turn>,
}

/// The right to compress a text; dropped, it is another's.
#[derive(Debug)]
struct Turn(Arc<AtomicUsize>);

impl Turn {
    /// One of `max`, if not all are taken.
    fn take(turns: &Arc<AtomicUsize>, max: usize) -> Option<Turn> {
        let more = |taken| (taken < max).then_some(taken + 1);
        turns.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).ok()?;
        Some(Turn(Arc::clone(turns)))
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Source for Gzip {
    fn produce(&mut self, out: &mut Vec<u8>) -> io::Result<Produced> {
        let Some(file) = &self.file else { return Ok(Produced::All) };
        let encoder = self.encoder.get_or_insert_with(|| encoder(STREAM_LEVEL));
        for _ in 0..PIECES_MAX {
            let mut piece = vec![0; (self.end - self.next).min(PIECE_BYTES as u64) as usize];
            match Asking(file).read_exact_at(&mut piece, self.next) {
                Ok(()) => {}
                // The client must not take it for whole.
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                    return Err(io::Error::new(error.kind(), "the file has become shorter"));
                }
                Err(error) => return Err(error),
            }
            self.next += piece.len() as u64;
            encoder.write_all(&piece)?;
            if self.next == self.end {
                encoder.try_finish()?;
                out.append(encoder.get_mut());
                // Here, where it may take its time.
                self.file = None;
                return Ok(Produced::All);
            }
            if encoder.get_ref().len() >= WORTH_SENDING {
                break;
            }
        }
        out.append(encoder.get_mut());
        Ok(Produced::More)
    }
}

impl Drop for Gzip {
    fn drop(&mut self) {
        let waiting = self.file.take().zip(self.turn.take());
        if let (Some(waiting), Some(closing)) = (waiting, &self.closing) {
            // There is room for as many as there are turns.
            let _ = closing.try_send(waiting);
        }
    }
}

#[cfg(test)]
mod tests;
