//! Sends what a connection owes: memory in one call, files from the kernel's own.

use std::io::{self, IoSlice};

use super::{Connection, Lent, Owing, retry};
use crate::limits::{FILE_STEP, WARM_BYTES};
use crate::output::Segment;
use crate::slots::Ready;
use crate::sys::{self, Residence};
use crate::{Output, Session, Wait};

/// How an attempt to send what is owed ends.
pub(super) enum Flush {
    Done,
    Full,
    Spent,
    /// A file is to be sent that is not in memory: a pool thread reads it in first.
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
            if *budget == 0 {
                return Flush::Spent;
            }
            if !ready.writable {
                self.owing.get_or_insert_with(|| Owing::new(now, &self.socket));
                return Flush::Full;
            }
            let sent = match front {
                empty if empty.len() == 0 => {
                    if let Some((file, end)) = self.output.pop() {
                        lent.closer.let_go(file, end);
                    }
                    continue;
                }
                Segment::File { file, next, end, warm } => {
                    let most = (*end - *next).min(FILE_STEP).min(*budget as u64);
                    let is_stale = self.owing.as_ref().is_some_and(|owing| owing.is_stale(now));
                    // What is known to be in memory goes first, and is not looked at again, unless
                    // its peer has given the kernel time to drop it.
                    if *warm <= *next || is_stale {
                        let part = *next..*next + most;
                        let is_last = part.end == *end;
                        match sys::residence(file, part, is_last) {
                            Residence::Memory => {
                                *warm = *next + most;
                                if let Some(owing) = &mut self.owing {
                                    owing.fresh = now;
                                }
                            }
                            // What was read in passes for being there.
                            Residence::Unknown if *warm > *next => {}
                            Residence::Disk | Residence::Unknown => return Flush::Cold,
                        }
                    }
                    let step = most.min(*warm - *next);
                    let sent = retry(|| sys::send_file(&self.socket, file, *next, step as usize));
                    match &sent {
                        // The file has become shorter. The peer was promised more, and gets no
                        // other bytes in its place.
                        Ok(0) => return Flush::Broken,
                        Ok(count) => *next += *count as u64,
                        Err(_) => {}
                    }
                    let (permits, narrow) = (lent.permits, lent.limits.unsent_bytes);
                    sent.and_then(|count| {
                        self.room.note(&self.socket, count as u64, now, permits, narrow)?;
                        Ok(count)
                    })
                }
                _ => {
                    let sent = self.send_memory();
                    if let Ok(count) = sent {
                        self.output.consume_memory(count);
                    }
                    sent
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
                Segment::File { .. } => {
                    more = true;
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

/// Reads the next part of the file at the front of the queue, so that the kernel has it in memory.
/// That it ends too early shows when the part is sent.
///
/// # Errors
/// When it cannot be read.
pub(super) fn warm(output: &mut Output) -> io::Result<()> {
    use std::os::unix::fs::FileExt;
    let Some(Segment::File { file, next, end, warm }) = output.segments().front_mut() else {
        return Ok(());
    };
    let until = *next + WARM_BYTES.min(*end - *next);
    let mut buffer = vec![0; 64 * 1024];
    let mut at = *next;
    while at < until {
        let count = buffer.len().min((until - at) as usize);
        match retry(|| file.read_at(&mut buffer[..count], at))? {
            0 => break,
            count => at += count as u64,
        }
    }
    *warm = until;
    Ok(())
}
