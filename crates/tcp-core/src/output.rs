//! What is owed to the peer: a queue of bytes, shared bytes and file ranges, sent in order.

use std::collections::VecDeque;
use std::fs::File;
use std::ops::Range;
use std::sync::Arc;

/// Bytes to send, in order. Grows at the end by what a session adds, shrinks at the front as
/// the kernel takes it. Files are hardly ever read into memory: see [`Output::file`].
///
/// The queue has no bound of its own: a session that answers [`Wait::Drain`](crate::Wait::Drain)
/// after a bounded amount keeps it bounded.
#[derive(Debug, Default)]
pub struct Output {
    segments: VecDeque<Segment>,
    /// An empty buffer kept for the next `tail`, so that a response needs no allocation.
    spare: Vec<u8>,
}

#[derive(Debug)]
pub(crate) enum Segment {
    /// Bytes of this connection; the first `sent` are gone.
    Bytes {
        bytes: Vec<u8>,
        sent: usize,
    },
    /// Bytes shared with other connections.
    Shared {
        bytes: Arc<[u8]>,
        sent: usize,
    },
    File(FilePart),
}

/// What is still to be sent of a file.
#[derive(Debug)]
pub(crate) struct FilePart {
    pub(crate) file: Arc<File>,
    pub(crate) next: u64,
    pub(crate) end: u64,
    /// Up to here it is known to be in memory.
    pub(crate) warm: u64,
    pub(crate) place: Place,
}

/// Where a file lies, as far as anybody has looked: who may be kept waiting by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// Nobody has looked, so it may be anywhere.
    Unknown,
    /// On a disk of this machine, or another whose file system tells what of it is in memory.
    Disk,
    /// In memory alone.
    Memory,
    /// Where any call may wait for somebody else: over a network, with another process. No worker
    /// touches such a file: the pool reads it, and the closer closes it.
    Distant,
}

/// A buffer that grew beyond this is not kept for reuse.
const SPARE_BYTES_MAX: usize = 256 * 1024;

impl Output {
    /// The buffer at the end of the queue: what is appended to it is sent after all before it.
    /// Append only; what it holds already may be somebody else's.
    pub fn tail(&mut self) -> &mut Vec<u8> {
        if !matches!(self.segments.back(), Some(Segment::Bytes { .. })) {
            let bytes = std::mem::take(&mut self.spare);
            self.segments.push_back(Segment::Bytes { bytes, sent: 0 });
        }
        match self.segments.back_mut() {
            Some(Segment::Bytes { bytes, .. }) => bytes,
            _ => unreachable!("a segment of bytes was just put there"),
        }
    }

    /// Appends bytes that are shared, without a copy.
    pub fn share(&mut self, bytes: Arc<[u8]>) {
        if !bytes.is_empty() {
            self.segments.push_back(Segment::Shared { bytes, sent: 0 });
        }
    }

    /// Appends a range of a file, in octets from its start. It is sent from the kernel's page
    /// cache when its turn comes; what is not there is first read in on a pool thread, as far as
    /// one look at every 64 KiB shows it. Where the file system cannot be looked at so, as over a
    /// network, the pool reads the file into memory, 64 to 256 KiB at a time. A file that has
    /// meanwhile become shorter than `range` resets the connection: the peer must not take other
    /// bytes for the missing ones.
    pub fn file(&mut self, file: Arc<File>, range: Range<u64>) {
        if range.start < range.end {
            let Range { start, end } = range;
            let part = FilePart { file, next: start, end, warm: start, place: Place::Unknown };
            self.segments.push_back(Segment::File(part));
        }
    }

    /// Octets not yet handed to the kernel.
    pub fn len(&self) -> u64 {
        self.segments.iter().map(Segment::len).sum()
    }

    /// Whether everything has been handed to the kernel.
    pub fn is_empty(&self) -> bool {
        self.segments.iter().all(|segment| segment.len() == 0)
    }

    /// Everything in the queue as one run of bytes, files read from disk: for tests of a session.
    ///
    /// # Errors
    /// When a file cannot be read.
    pub fn into_bytes(self) -> std::io::Result<Vec<u8>> {
        use std::os::unix::fs::FileExt;
        let mut all = Vec::new();
        for segment in self.segments {
            match segment {
                Segment::Bytes { bytes, sent } => all.extend_from_slice(&bytes[sent..]),
                Segment::Shared { bytes, sent } => all.extend_from_slice(&bytes[sent..]),
                Segment::File(FilePart { file, next, end, .. }) => {
                    let at = all.len();
                    let len = usize::try_from(end - next).map_err(std::io::Error::other)?;
                    all.resize(at + len, 0);
                    file.read_exact_at(&mut all[at..], next)?;
                }
            }
        }
        Ok(all)
    }

    /// The segments from the front, for sending.
    pub(crate) fn segments(&mut self) -> &mut VecDeque<Segment> {
        &mut self.segments
    }

    /// Takes `count` sent octets off the front, which are all in memory segments.
    pub(crate) fn consume_memory(&mut self, mut count: usize) {
        while count > 0 {
            let front = self.segments.front_mut().expect("sent no more than there was");
            let (len, sent) = match front {
                Segment::Bytes { bytes, sent } => (bytes.len(), sent),
                Segment::Shared { bytes, sent } => (bytes.len(), sent),
                Segment::File(_) => unreachable!("only memory was sent"),
            };
            let step = count.min(len - *sent);
            *sent += step;
            count -= step;
            if *sent == len {
                self.pop();
            }
        }
    }

    /// Puts octets in front of all that is owed.
    pub(crate) fn put_first(&mut self, bytes: Vec<u8>) {
        self.segments.push_front(Segment::Bytes { bytes, sent: 0 });
    }

    /// Drops the front segment and keeps its buffer for reuse. A file is given back, since closing
    /// it may take long.
    pub(crate) fn pop(&mut self) -> Option<FilePart> {
        match self.segments.pop_front()? {
            Segment::Bytes { mut bytes, .. }
                if bytes.capacity() <= SPARE_BYTES_MAX
                    && bytes.capacity() > self.spare.capacity() =>
            {
                bytes.clear();
                self.spare = bytes;
                None
            }
            segment => segment.into_file(),
        }
    }

    /// The files in the queue.
    pub(crate) fn into_files(self) -> impl Iterator<Item = FilePart> {
        self.segments.into_iter().filter_map(Segment::into_file)
    }
}

impl Segment {
    fn into_file(self) -> Option<FilePart> {
        match self {
            Segment::File(part) => Some(part),
            Segment::Bytes { .. } | Segment::Shared { .. } => None,
        }
    }

    pub(crate) fn len(&self) -> u64 {
        match self {
            Segment::Bytes { bytes, sent } => (bytes.len() - sent) as u64,
            Segment::Shared { bytes, sent } => (bytes.len() - sent) as u64,
            Segment::File(FilePart { next, end, .. }) => end - next,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sent_leaves_the_front_whatever_the_split() {
        for step in 1..12 {
            let mut output = Output::default();
            output.tail().extend_from_slice(b"abc");
            output.share(Arc::from(&b"defg"[..]));
            output.tail().extend_from_slice(b"hij");
            assert_eq!(output.len(), 10);
            let mut left = 10;
            while left > 0 {
                output.consume_memory(step.min(left));
                left -= step.min(left);
                assert_eq!(output.len(), left as u64);
            }
            assert!(output.is_empty());
        }
    }

    #[test]
    fn a_sent_buffer_serves_the_next_tail() {
        let mut output = Output::default();
        output.tail().extend_from_slice(&[0; 100]);
        let address = output.tail().as_ptr();
        output.consume_memory(100);
        assert_eq!(output.tail().as_ptr(), address);
    }

    #[test]
    fn empty_parts_leave_no_segment() {
        let mut output = Output::default();
        output.share(Arc::from(&b""[..]));
        assert!(output.is_empty());
        assert_eq!(output.segments.len(), 0);
    }
}
