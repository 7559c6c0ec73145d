//! The thread that writes the log, and what it does when the disk will not take it.

use std::io;
use std::sync::Arc;
use std::time::Instant;

use crossbeam_channel::{Receiver, Select, TryRecvError};

use super::destination::Destination;
use super::pending::Pending;
use super::{FLUSH_EVERY, LOOK_EVERY, Shared, TELL_EVERY};

/// The order to open the log's path anew.
pub(super) struct Reopen;

/// Everything that the writer thread owns.
pub(super) struct Writer {
    destination: Destination,
    shared: Arc<Shared>,
    pending: Pending,
    woken: Receiver<()>,
    ordered: Receiver<Reopen>,
    trouble: Trouble,
    looked: Looked,
}

/// What was found when it was last looked whether the log is still where its path leads.
struct Looked {
    at: Instant,
    was_gone: bool,
    /// That there is no other one has been told.
    told: bool,
}

/// What is wrong, and what has been told of it.
#[derive(Default)]
struct Trouble {
    /// The last write failed.
    failing: bool,
    told_at: Option<Instant>,
    told_dropped: u64,
}

enum Event {
    Flush,
    Reopen,
    Stop,
}

impl Writer {
    pub(super) fn new(
        destination: Destination,
        shared: Arc<Shared>,
        woken: Receiver<()>,
        ordered: Receiver<Reopen>,
    ) -> Writer {
        let (pending, trouble) = (Pending::new(), Trouble::default());
        let looked = Looked { at: Instant::now(), was_gone: false, told: false };
        Writer { destination, shared, pending, woken, ordered, trouble, looked }
    }

    /// Writes until `ordered` is disconnected, and then what is left.
    pub(super) fn run(mut self) {
        loop {
            match self.wait() {
                Event::Flush => {
                    self.flush();
                    self.look();
                }
                Event::Reopen => {
                    if let Err(error) = self.reopen() {
                        log::error!("access log: not opened anew, the old file stays: {error}");
                    }
                }
                Event::Stop => return self.stop(),
            }
        }
    }

    /// Waits for an order, a full shard or the end of [`FLUSH_EVERY`].
    fn wait(&self) -> Event {
        let mut select = Select::new();
        select.recv(&self.ordered);
        // A full disk is tried again at leisure, however many lines come.
        if !self.trouble.failing {
            select.recv(&self.woken);
        }
        // Which of them is ready does not matter: both are asked.
        let _ = select.ready_timeout(FLUSH_EVERY);
        let _ = self.woken.try_recv();
        match self.ordered.try_recv() {
            Ok(Reopen) => Event::Reopen,
            Err(TryRecvError::Empty) => Event::Flush,
            Err(TryRecvError::Disconnected) => Event::Stop,
        }
    }

    fn flush(&mut self) {
        let result = self.write_all();
        self.tell(result, false);
    }

    /// Writes what is left from the last time, then what the shards hold.
    fn write_all(&mut self) -> io::Result<()> {
        self.destination.close_torn_line()?;
        self.pending.write_to(self.destination.file())?;
        for shard in &self.shared.shards {
            self.pending.refill(|empty| shard.take(empty));
            self.pending.write_to(self.destination.file())?;
        }
        Ok(())
    }

    /// Writes what there is to the old file, and opens the path anew.
    fn reopen(&mut self) -> io::Result<()> {
        self.flush();
        if self.destination.reopen()? {
            self.shared.identity.store(self.destination.identity());
            // When the old file would not take everything, the new one gets whole lines.
            self.pending.rewind_to_line();
            self.flush();
            self.looked.was_gone = false;
        }
        Ok(())
    }

    /// Opens the path anew when the log has been renamed or deleted and nobody has told of it.
    ///
    /// Only when it is gone at two looks in a row: who rotates logs may make the new file right
    /// after the rename, and would find ours in its place.
    fn look(&mut self) {
        let now = Instant::now();
        if now - self.looked.at < LOOK_EVERY {
            return;
        }
        let is_gone = self.destination.is_gone();
        let (was_gone, was_told) = (self.looked.was_gone, self.looked.told);
        self.looked = Looked { at: now, was_gone: is_gone, told: is_gone && was_told };
        if !(is_gone && was_gone) {
            return;
        }
        match self.reopen() {
            Ok(()) => {
                log::info!("access log: {} was renamed or deleted: a new one", self.destination);
            }
            Err(error) if !was_told => {
                self.looked.told = true;
                log::error!("access log: renamed or deleted, and not to be opened anew: {error}");
            }
            Err(_) => {}
        }
    }

    /// The last flush: what cannot be written now never will be.
    fn stop(mut self) {
        for shard in &self.shared.shards {
            shard.close();
        }
        let result = self.write_all();
        for shard in &self.shared.shards {
            // After a write that succeeded both are empty.
            let lost = self.pending.give_up();
            self.pending.refill(|empty| shard.take(empty));
            shard.count_dropped(lost + self.pending.give_up());
        }
        self.tell(result, true);
    }

    /// Tells of trouble, at most every [`TELL_EVERY`] unless it is the `last` chance, and of its
    /// end.
    fn tell(&mut self, result: io::Result<()>, last: bool) {
        let recovered = self.trouble.failing && result.is_ok();
        self.trouble.failing = result.is_err();
        let dropped = self.shared.dropped() - self.trouble.told_dropped;
        let now = Instant::now();
        let due = self.trouble.told_at.is_none_or(|told| now - told >= TELL_EVERY);
        let to = &self.destination;
        match result {
            Err(error) if due || last => {
                log::warn!("access log: {to}: {error}; {dropped} more lines dropped");
            }
            Ok(()) if recovered => {
                log::warn!("access log: {to} can be written again; {dropped} more lines dropped");
            }
            Ok(()) if dropped > 0 && (due || last) => {
                log::warn!("access log: {to} is too slow; {dropped} more lines dropped");
            }
            _ => return,
        }
        self.trouble.told_at = Some(now);
        self.trouble.told_dropped += dropped;
    }
}
