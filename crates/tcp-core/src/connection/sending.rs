//! Sends what a connection owes: memory in one call, files from the kernel's own.

use std::fs::File;
use std::io::{self, IoSlice};

use super::{Connection, Lent, Owing, retry};
use crate::limits::{FETCH_BYTES, FETCH_BYTES_WIDE, FILE_STEP};
use crate::output::{FilePart, Place, Segment};
use crate::slots::Ready;
use crate::sys::{self, Residence};
use crate::{Output, Session, Wait};

/// How an attempt to send what is owed ends.
pub(super) enum Flush {
    Done,
    Full,
    Spent,
    /// A file is to be sent that is not in memory, or not to be touched: a pool thread reads it.
    Cold,
    Broken,
}

impl<S: Session> Connection<S> {
    /// Sends from the front of the queue until it is empty, the socket full or the budget spent.
    pub(super) fn flush(
        &mut self,
        ready: &mut Ready,
        budget: &mut usize,
        lent: &Lent<'_>,
    ) -> Flush {
        let now = lent.now.instant;
        loop {
            let segments = self.output.segments();
            let Some(front) = segments.front_mut() else {
                return match self.room.end(&self.socket, lent.limits.unsent_bytes) {
                    Ok(()) => Flush::Done,
                    Err(_) => Flush::Broken,
                };
            };
            if front.len() == 0 {
                if let Some(part) = self.output.pop() {
                    lent.closer.let_go(part);
                }
                continue;
            }
            if *budget == 0 {
                return Flush::Spent;
            }
            if !ready.writable {
                self.owing.get_or_insert_with(|| Owing::new(now, &self.socket));
                return Flush::Full;
            }
            let sent = match front {
                Segment::File(part) => {
                    let most = (part.end - part.next).min(FILE_STEP).min(*budget as u64);
                    let is_stale = self.owing.as_ref().is_some_and(|owing| owing.is_stale(now));
                    if !part.is_known_to_be_at_hand(is_stale) {
                        if !part.look(most) {
                            return Flush::Cold;
                        }
                        if let Some(owing) = &mut self.owing {
                            owing.fresh = now;
                        }
                    }
                    let FilePart { file, next, warm, .. } = part;
                    let step = most.min(*warm - *next);
                    let sent = retry(|| sys::send_file(&self.socket, file, *next, step as usize));
                    match &sent {
                        // The file has become shorter. The peer was promised more, and gets no
                        // other bytes in its place.
                        Ok(0) => return Flush::Broken,
                        Ok(count) => *next += *count as u64,
                        Err(_) => {}
                    }
                    sent.and_then(|count| self.note_room(count, lent))
                }
                _ => {
                    let sent = self.send_memory();
                    if let Ok(count) = sent {
                        self.output.consume_memory(count);
                    }
                    match self.output.segments().front() {
                        // Part of a long file, too.
                        Some(Segment::File(part)) if part.place == Place::Distant => {
                            sent.and_then(|count| self.note_room(count, lent))
                        }
                        _ => sent,
                    }
                }
            };
            match sent {
                Ok(count) => {
                    *budget = budget.saturating_sub(count);
                    self.sent += count as u64;
                    if let Some(owing) = &mut self.owing {
                        owing.took(count as u64, now);
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => ready.writable = false,
                Err(_) => return Flush::Broken,
            }
        }
    }

    /// The peer has made room for so many octets of a file.
    fn note_room(&mut self, count: usize, lent: &Lent<'_>) -> io::Result<usize> {
        let (permits, narrow) = (lent.permits, lent.limits.unsent_bytes);
        self.room.note(&self.socket, count as u64, lent.now.instant, permits, narrow)?;
        Ok(count)
    }

    /// Sends the memory segments at the front in one call.
    fn send_memory(&mut self) -> io::Result<usize> {
        // Sixteen is more than a run of pipelined small responses ever needs: they share a tail.
        const PARTS: usize = 16;
        let mut parts = [IoSlice::new(&[]); PARTS];
        let mut count = 0;
        // The end of the stream follows at once, and travels with the last octets: a packet less,
        // which is an eighth of what a connection for one short answer costs.
        let mut more = matches!(self.wait, Wait::Close | Wait::Linger);
        for segment in self.output.segments().iter() {
            let bytes: &[u8] = match segment {
                Segment::Bytes { bytes, sent } => &bytes[*sent..],
                Segment::Shared { bytes, sent } => &bytes[*sent..],
                Segment::File(part) => {
                    more |= part.next < part.end;
                    break;
                }
            };
            if count == PARTS {
                break;
            }
            parts[count] = IoSlice::new(bytes);
            count += 1;
        }
        retry(|| sys::send(&self.socket, &parts[..count], more))
    }
}

impl FilePart {
    /// Whether the next octets are in memory, without a look: what was found there passes for it,
    /// unless `is_stale`, since its peer has given the kernel time to drop it.
    fn is_known_to_be_at_hand(&self, is_stale: bool) -> bool {
        self.warm > self.next && !is_stale
    }

    /// Looks where the next `most` octets are; says whether any can be sent without waiting.
    fn look(&mut self, most: u64) -> bool {
        if self.place == Place::Distant {
            return false;
        }
        let part = self.next..self.next + most;
        let is_last = part.end == self.end;
        (self.place, self.warm) = match sys::residence(&self.file, part, is_last) {
            Residence::Memory => (Place::Disk, self.next + most),
            Residence::Disk => (Place::Disk, self.next),
            Residence::Unknown if sys::is_in_memory(&self.file) => (Place::Memory, self.end),
            Residence::Unknown => (Place::Distant, self.next),
        };
        self.warm > self.next
    }
}

/// Reads the next part of the file at the front of the queue, `most` octets at most: so that the
/// kernel has it in memory, or, where no worker may touch the file, into the queue: more of it for
/// a peer that is given room.
///
/// # Errors
/// When it cannot be read.
pub(super) fn bring(output: &mut Output, most: u64, is_wide: bool) -> io::Result<()> {
    match output.segments().front_mut() {
        Some(Segment::File(part)) if part.place == Place::Distant => {
            let bytes = part.fetch(if is_wide { FETCH_BYTES_WIDE } else { FETCH_BYTES })?;
            output.put_first(bytes);
            Ok(())
        }
        Some(Segment::File(part)) => part.warm(most),
        _ => Ok(()),
    }
}

impl FilePart {
    /// Reads in up to `most` octets. That the file ends too early shows when they are sent.
    fn warm(&mut self, most: u64) -> io::Result<()> {
        let until = self.next + most.min(self.end - self.next);
        let mut buffer = vec![0; 64 * 1024];
        let mut at = self.next;
        while at < until {
            let count = buffer.len().min((until - at) as usize);
            match read_at(&self.file, &mut buffer[..count], at)? {
                0 => break,
                count => at += count as u64,
            }
        }
        self.warm = until;
        Ok(())
    }

    /// Takes the next octets, `most` at most.
    fn fetch(&mut self, most: u64) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; most.min(self.end - self.next) as usize];
        let mut filled = 0;
        while filled < bytes.len() {
            match read_at(&self.file, &mut bytes[filled..], self.next + filled as u64)? {
                // The peer was promised more, and gets no other bytes in its place.
                0 => return Err(io::Error::other("it has become shorter")),
                count => filled += count,
            }
        }
        self.next += filled as u64;
        Ok(bytes)
    }
}

fn read_at(file: &File, buffer: &mut [u8], at: u64) -> io::Result<usize> {
    use std::os::unix::fs::FileExt;
    retry(|| file.read_at(buffer, at))
}
