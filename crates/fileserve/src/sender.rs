//! What whoever has sent a request may do, as long as the request takes.

use std::sync::Arc;

use http_proto::server::Request;

use crate::access::{Access, Right};
use crate::files::Reach;
use crate::options::Options;
use crate::path::RelPath;
use crate::refusal::Refusal;
use crate::representation;

/// The sender of a request, and their rights.
#[derive(Clone)]
pub(crate) struct Sender {
    /// `None` where anyone may do all that is served.
    access: Option<Arc<Access>>,
    /// `None` for who is not known.
    user: Option<Box<str>>,
}

impl Sender {
    /// Who has sent `request`. With `reach` to the disk, what password it has is found out; else it
    /// must be known already.
    pub(crate) fn of(request: &Request<'_>, options: &Options, reach: Reach) -> Sender {
        let user = options.access.as_ref().and_then(|access| match reach {
            Reach::Memory => access.user_of(&request.head.fields),
            Reach::Disk => access.identify(&request.head.fields, request.peer.ip(), request.now),
        });
        Sender { user: user.map(Into::into), access: options.access.clone() }
    }

    /// The right on a path.
    pub(crate) fn right_on(&self, path: &RelPath) -> Right {
        match &self.access {
            Some(access) => access.right_of(self.user.as_deref(), path),
            None => Right::Write,
        }
    }

    /// # Errors
    /// `Unauthorized` or `NoRight` if a path must not be written, or that of a file which it would
    /// stand for.
    pub(crate) fn may_write(&self, path: &RelPath) -> Result<(), Refusal> {
        let may = |path: &RelPath| self.right_on(path) >= Right::Write;
        let original = representation::original_of(path);
        match (may(path) && original.as_ref().is_none_or(may), &self.user) {
            (true, _) => Ok(()),
            (false, None) => Err(Refusal::Unauthorized),
            (false, Some(_)) => Err(Refusal::NoRight),
        }
    }

    /// Whether they may write to a path, or whoever they turn out to be when they are asked.
    pub(crate) fn may_be_writer(&self, path: &RelPath) -> bool {
        let by_some = |access: &Arc<Access>| self.user.is_none() && access.is_writable(path);
        self.right_on(path) >= Right::Write || self.access.as_ref().is_some_and(by_some)
    }
}
