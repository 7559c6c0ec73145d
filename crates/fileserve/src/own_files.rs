//! Knows the server's own files, which are never served, listed, written or removed: the access
//! log and its earlier parts, of which one learns of everybody else's requests, and the file that
//! says who may do what.

use std::sync::Arc;

use http_proto::server::Exchange;

use crate::access_log::{self, AccessLog, LogName};
use crate::path::RelPath;
use crate::root::FileId;

/// The access log of a server, one that a run without arguments has left in the root, and where
/// the rights of users are from.
pub(crate) struct OwnFiles {
    log: Arc<AccessLog>,
    left: LogName,
    rights: Option<FileId>,
}

impl OwnFiles {
    /// Those of a server whose root is the directory `root`; `rights` is the file with passwords.
    pub(crate) fn new(log: Arc<AccessLog>, root: FileId, rights: Option<FileId>) -> OwnFiles {
        let left = LogName::new(root, access_log::DEFAULT_NAME.as_bytes());
        OwnFiles { log, left, rights }
    }

    /// Whether a file is one of them, under whatever name.
    pub(crate) fn has(&self, id: FileId) -> bool {
        self.log.identity() == Some((id.device, id.inode)) || self.rights == Some(id)
    }

    /// Whether a file `name` in the directory `dir` would be the log or an earlier part of it.
    pub(crate) fn names(&self, dir: FileId, name: &[u8]) -> bool {
        self.all_names().any(|log| log.is_in(dir) && log.covers(name))
    }

    /// Whether the name alone could be that of the log or an earlier part of it.
    pub(crate) fn may_name(&self, path: &RelPath) -> bool {
        path.file_name().is_some_and(|name| self.all_names().any(|log| log.covers(name)))
    }

    /// Writes a line of the log. `user`: who has asked, if that is known.
    pub(crate) fn record(&self, exchange: &Exchange<'_>, user: Option<&str>) {
        self.log.record(exchange, user);
    }

    fn all_names(&self) -> impl Iterator<Item = &LogName> {
        self.log.names().iter().chain([&self.left])
    }
}
