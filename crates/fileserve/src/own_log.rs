//! Knows the access log and its earlier parts, which are never served, listed, written or removed:
//! whoever reads them learns of everybody else's requests.

use std::sync::Arc;

use http_proto::server::Exchange;

use crate::access_log::{self, AccessLog, LogName};
use crate::path::RelPath;
use crate::root::FileId;

/// The access log of a server, and one that a run without arguments has left in the root.
pub(crate) struct OwnLog {
    log: Arc<AccessLog>,
    left: LogName,
}

impl OwnLog {
    /// The log, of a server whose root is the directory `root`.
    pub(crate) fn new(log: Arc<AccessLog>, root: FileId) -> OwnLog {
        OwnLog { log, left: LogName::new(root, access_log::DEFAULT_NAME.as_bytes()) }
    }

    /// Whether a file is the log.
    pub(crate) fn is(&self, id: FileId) -> bool {
        self.log.identity() == Some((id.device, id.inode))
    }

    /// Whether a file `name` in the directory `dir` would be the log or an earlier part of it.
    pub(crate) fn names(&self, dir: FileId, name: &[u8]) -> bool {
        self.all_names().any(|log| log.is_in(dir) && log.covers(name))
    }

    /// Whether the name alone could be that of the log or an earlier part of it.
    pub(crate) fn may_name(&self, path: &RelPath) -> bool {
        path.file_name().is_some_and(|name| self.all_names().any(|log| log.covers(name)))
    }

    /// Writes a line of it.
    pub(crate) fn record(&self, exchange: &Exchange<'_>) {
        self.log.record(exchange, None);
    }

    fn all_names(&self) -> impl Iterator<Item = &LogName> {
        self.log.names().iter().chain([&self.left])
    }
}
