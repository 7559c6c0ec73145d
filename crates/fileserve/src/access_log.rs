//! Keeps the access log: one line for every exchange, written by a thread of its own.
//!
//! A worker formats its line straight into a buffer that only it and the writer thread know, so no
//! worker waits for another one or for the disk. Every [`FLUSH_EVERY`], or sooner when a buffer
//! passes [`WAKE_BYTES`], the writer thread takes the full buffers away and writes them out.
//!
//! ```text
//! worker 0 --> shard 0 --\
//! worker 1 --> shard 1 ---+--> writer thread --> file or standard output
//! worker n --> shard n --/      (swaps each buffer for an empty one under its lock)
//! ```
//!
//! Trade-offs: the lines of one worker are in order; those of different workers are not sorted by
//! time within a flush, for readers sort by the time in the line if they care. A crash of the
//! process costs the lines of the last [`FLUSH_EVERY`], and who deletes the log those that come
//! until there is a new one, [two looks](LOOK_EVERY) later. While the disk is full or stuck, lines
//! wait in memory up to [`SHARD_BYTES_MAX`] per worker; those that come then are dropped, counted,
//! and the count is told through [`log::warn!`].

mod date;
mod destination;
mod escape;
mod format;
mod identity;
mod json;
mod lines;
mod names;
mod pending;
mod shard;
#[cfg(test)]
mod tests;
mod writer;

use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};
use http_proto::server::Exchange;

pub use self::format::{LogFormat, UnknownLogFormat};

pub(crate) use self::names::LogName;

use self::destination::Destination;
use self::identity::Identity;
use self::shard::Shard;
use self::writer::{Reopen, Writer};

/// What the file is called where nothing is said: `httpd` without arguments writes it.
pub const DEFAULT_NAME: &str = "access.log";

/// How long a line may wait before it is written: short enough for somebody who watches the log.
pub const FLUSH_EVERY: Duration = Duration::from_millis(500);

/// A shard that holds this much wakes the writer: a write of that size costs little per line.
pub const WAKE_BYTES: usize = 64 * 1024;

/// What a buffer of lines has room for before it grows: less than what glibc maps on its own.
const BUFFER_BYTES: usize = WAKE_BYTES + 48 * 1024;

/// A shard that holds this much takes no more lines: some 20,000 of them, while the disk is stuck.
/// The last line that is taken may pass the bound.
pub const SHARD_BYTES_MAX: usize = 4 * 1024 * 1024;

/// The most octets of a request line that are logged: the default limit on request lines.
pub const LINE_LOGGED_MAX: usize = 8 * 1024;

/// The most octets of any one field that are logged: no honest browser's User-Agent is longer.
pub const FIELD_LOGGED_MAX: usize = 1024;

/// How often trouble with the log is told at most, so that a full disk does not fill the terminal.
pub const TELL_EVERY: Duration = Duration::from_secs(10);

/// How often it is looked whether the log is still where its path leads. Renamed or deleted, it is
/// followed by a new one after two looks.
pub const LOOK_EVERY: Duration = Duration::from_secs(1);

/// How long a shutdown waits for a writer that is stuck, as on a pipe that nobody reads.
pub const SHUTDOWN_MAX: Duration = Duration::from_secs(5);

/// The access log, shared by all workers.
///
/// Dropping it writes what is left, as [`shutdown`](Self::shutdown) does.
pub struct AccessLog {
    format: LogFormat,
    names: Vec<LogName>,
    shared: Arc<Shared>,
    wake: Sender<()>,
    writer: Mutex<Option<Running>>,
}

/// What the workers and the writer thread both know.
struct Shared {
    /// One per worker; none when the log is off.
    shards: Box<[Shard]>,
    identity: Identity,
}

/// The writer thread, seen from outside.
struct Running {
    /// Dropped to make the thread finish.
    orders: Sender<Reopen>,
    /// Disconnected when the thread has finished; nothing is ever sent.
    finished: Receiver<()>,
    thread: JoinHandle<()>,
}

impl AccessLog {
    /// A log that keeps nothing and has no thread.
    pub fn off() -> AccessLog {
        AccessLog {
            format: LogFormat::Combined,
            names: Vec::new(),
            shared: Arc::new(Shared { shards: Box::default(), identity: Identity::new(None) }),
            wake: bounded(1).0,
            writer: Mutex::new(None),
        }
    }

    /// A log appended to the file at `path`, which is created with mode 0644 when it is missing.
    ///
    /// `workers` is how many workers there are, one buffer each.
    ///
    /// # Errors
    /// When the file cannot be opened (the error names the path) or the thread not be started.
    pub fn to_file(
        path: impl AsRef<Path>,
        format: LogFormat,
        workers: usize,
    ) -> io::Result<AccessLog> {
        AccessLog::start(Destination::open(path.as_ref())?, format, workers)
    }

    /// A log written to standard output.
    ///
    /// # Errors
    /// When standard output is closed or the thread cannot be started.
    pub fn to_stdout(format: LogFormat, workers: usize) -> io::Result<AccessLog> {
        AccessLog::start(Destination::stdout()?, format, workers)
    }

    fn start(destination: Destination, format: LogFormat, workers: usize) -> io::Result<AccessLog> {
        let names = destination.names();
        let shared = Arc::new(Shared {
            shards: (0..workers.max(1)).map(|_| Shard::new()).collect(),
            identity: Identity::new(destination.identity()),
        });
        let (wake, woken) = bounded(1);
        let (orders, ordered) = bounded(1);
        let (finishing, finished) = bounded(1);
        let writer = Writer::new(destination, Arc::clone(&shared), woken, ordered);
        let thread = thread::Builder::new().name("access-log".into()).spawn(move || {
            let _finishing = finishing;
            writer.run();
        })?;
        let writer = Mutex::new(Some(Running { orders, finished, thread }));
        Ok(AccessLog { format, names, shared, wake, writer })
    }

    /// Adds the line of `exchange` to its worker's buffer; a worker beyond the count shares one.
    /// `user` is who has shown by a password to be so called, if anybody has.
    ///
    /// Never waits for the disk. The line is in the log within [`FLUSH_EVERY`] and the time of a
    /// write; after [`shutdown`](Self::shutdown) it is dropped.
    pub fn record(&self, exchange: &Exchange<'_>, user: Option<&str>) {
        let shards = &self.shared.shards;
        let Some(at) = exchange.worker.checked_rem(shards.len()) else { return };
        if shards[at].append(self.format, exchange, user) {
            // Full means that the writer is about to wake anyway.
            let _ = self.wake.try_send(());
        }
    }

    /// Has the writer write everything to the old file and then open the path anew, as after a
    /// rotation. Returns at once; [`identity`](Self::identity) changes when it is done. When the
    /// path cannot be opened the old file stays, and [`log::error!`] tells why.
    ///
    /// Does nothing but flush when the log goes to standard output, and nothing when it is off.
    pub fn reopen(&self) {
        if let Some(running) = &*shard::lock(&self.writer) {
            // Full means that the same was asked before and has not been begun.
            let _ = running.orders.try_send(Reopen);
        }
    }

    /// Writes everything recorded before the call and ends the thread. Later calls do nothing.
    ///
    /// Waits at most [`SHUTDOWN_MAX`] for a writer that is stuck, which is told, with the number of
    /// lines dropped until then. What a full disk does not take at this last try is lost, counted
    /// and told.
    pub fn shutdown(&self) {
        self.shutdown_within(SHUTDOWN_MAX);
    }

    fn shutdown_within(&self, patience: Duration) {
        // The lock is held throughout, so that a second caller returns no sooner than the first.
        let mut writer = shard::lock(&self.writer);
        let Some(Running { orders, finished, thread }) = writer.take() else { return };
        drop(orders);
        if finished.recv_timeout(patience) == Err(RecvTimeoutError::Timeout) {
            let dropped = self.dropped();
            log::warn!(
                "access log: the last lines could not be written in {patience:?}; \
                 since the start {dropped} lines dropped before them"
            );
        } else if thread.join().is_err() {
            log::error!("access log: the writer thread has panicked");
        }
    }

    /// Device and inode of the file that is being written, so that a server can refuse to serve
    /// it; `None` when the log is off or goes to something that is no regular file.
    pub fn identity(&self) -> Option<(u64, u64)> {
        self.shared.identity.load()
    }

    /// What the log is called, and where; empty when it is off or goes to standard output.
    pub(crate) fn names(&self) -> &[LogName] {
        &self.names
    }

    /// How many lines have been dropped since the start.
    pub fn dropped(&self) -> u64 {
        self.shared.dropped()
    }
}

impl Drop for AccessLog {
    fn drop(&mut self) {
        self.shutdown();
    }
}

impl Shared {
    fn dropped(&self) -> u64 {
        self.shards.iter().map(Shard::dropped).sum()
    }
}
