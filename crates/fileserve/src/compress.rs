//! Compresses texts for clients that accept gzip, where no compressed copy lies beside the file.
//!
//! A short text is compressed once, as a whole, and kept: whoever asks next costs a look-up. A long
//! one is compressed while it is sent, piece by piece as the client takes it. Either has a bound on
//! what all of them hold together; beyond it a file is sent as it is.

use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use flate2::Compression;
use flate2::write::GzEncoder;
use http_proto::server::{Produced, Source};

use crate::refusal::Refusal;
use crate::root::{Facts, Opened};
use crate::validators;
use kept::Kept;

mod kept;

/// Texts up to this length are sent as they are: they fit into one packet with the head, and less
/// than one is never sent.
const PLAIN_BYTES_MAX: u64 = 1024;

/// Texts up to this length are compressed as a whole: some 20 ms of a pool thread, once.
const WHOLE_BYTES_MAX: u64 = 1024 * 1024;

/// How many long texts are compressed at once. Each holds some 300 KiB, which is what the algorithm
/// looks back on, and two pieces.
const STREAMS_MAX: usize = 64;

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

/// The compressed texts that are kept, and how many are being streamed.
#[derive(Debug, Default)]
pub(crate) struct Compressor {
    kept: Mutex<Kept>,
    streams: Arc<AtomicUsize>,
}

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

impl Compressor {
    /// A short text, if it is kept. Does not block.
    pub(crate) fn recall(&self, facts: &Facts) -> Option<Arc<[u8]>> {
        self.kept().get(facts)
    }

    /// A short text, compressed now if it is not kept. `None` when it is to be sent as it is: there
    /// is no room for it, or it changes.
    pub(crate) fn whole(
        &self,
        opened: &Opened,
        now: SystemTime,
    ) -> Result<Option<Arc<[u8]>>, Refusal> {
        let facts = opened.facts;
        // A later version could have the same facts, so nothing of this one may be kept.
        if !validators::is_settled(&facts, now) {
            return Ok(None);
        }
        let Some(text) = self.kept().place(facts) else { return Ok(None) };
        // Whoever wants the same text waits here, rather than compress it as well.
        let mut text = lock(&text);
        if text.is_none() {
            let made = compressed(opened);
            *text = made.as_ref().ok().cloned().flatten();
            self.kept().count(&facts, text.as_ref().map_or(0, |octets| octets.len()));
            made?;
        }
        Ok(text.clone())
    }

    /// A long text. The file comes back when as many as may be are being compressed already.
    pub(crate) fn stream(&self, opened: Opened) -> Result<Gzip, Opened> {
        let more = |streams| (streams < STREAMS_MAX).then_some(streams + 1);
        if self.streams.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).is_err() {
            return Err(opened);
        }
        Ok(Gzip {
            end: opened.facts.len,
            file: opened.file,
            next: 0,
            encoder: encoder(STREAM_LEVEL),
            _turn: Turn(Arc::clone(&self.streams)),
        })
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        lock(&self.kept)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// All of a file, compressed; `None` when it is changed meanwhile.
fn compressed(opened: &Opened) -> Result<Option<Arc<[u8]>>, Refusal> {
    let mut text = vec![0; opened.facts.len as usize];
    match opened.file.read_exact_at(&mut text, 0) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        Err(error) => return Err(Refusal::from_io(&error)),
    }
    // Invariant 10: head and content come from one version of the file.
    if Facts::of(&opened.file)? != opened.facts {
        return Ok(None);
    }
    let mut encoder = encoder(WHOLE_LEVEL);
    let all = encoder.write_all(&text).and_then(|()| encoder.finish());
    all.map(|octets| Some(Arc::from(octets))).map_err(|error| Refusal::from_io(&error))
}

/// Neither name nor time of the file go into its header: equal texts are equal compressed.
fn encoder(level: u32) -> GzEncoder<Vec<u8>> {
    GzEncoder::new(Vec::new(), Compression::new(level))
}

/// A long text, compressed as it is sent.
pub(crate) struct Gzip {
    file: File,
    next: u64,
    end: u64,
    encoder: GzEncoder<Vec<u8>>,
    _turn: Turn,
}

/// The right to compress one long text; dropped, it is another's.
struct Turn(Arc<AtomicUsize>);

impl Drop for Turn {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Source for Gzip {
    fn produce(&mut self, out: &mut Vec<u8>) -> io::Result<Produced> {
        for _ in 0..PIECES_MAX {
            let mut piece = vec![0; (self.end - self.next).min(PIECE_BYTES as u64) as usize];
            // A file that has become shorter is an error: the client must not take it for whole.
            self.file.read_exact_at(&mut piece, self.next)?;
            self.next += piece.len() as u64;
            self.encoder.write_all(&piece)?;
            if self.next == self.end {
                self.encoder.try_finish()?;
                out.append(self.encoder.get_mut());
                return Ok(Produced::All);
            }
            if self.encoder.get_ref().len() >= WORTH_SENDING {
                break;
            }
        }
        out.append(self.encoder.get_mut());
        Ok(Produced::More)
    }
}

#[cfg(test)]
mod tests;
