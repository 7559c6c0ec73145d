//! What is served, and what may be done to it: all that an embedder or a command line decides.

use std::borrow::Cow;
use std::path::PathBuf;
use std::sync::Arc;

use crate::access::Access;
use crate::hot::CacheLimits;

/// What is served, and what may be done to it.
#[derive(Clone, Debug)]
pub struct Options {
    /// Who may read and write what. `None`, the default: anyone may do all that is served.
    pub access: Option<Arc<Access>>,
    /// PUT, POST and DELETE are served. Default: no.
    pub writable: bool,
    /// What bounds them, where they are.
    pub uploads: Uploads,
    /// Where forms of pages are kept that are sent with POST. `None`, the default: they are
    /// refused.
    pub forms: Option<Forms>,
    /// Which hosts a request may name.
    pub hosts: Hosts,
    /// A directory without an `index.html` is listed. Default: yes.
    pub listing: bool,
    /// Names that start with a dot are served and listed. Default: no.
    pub hidden: bool,
    /// A text `page.html` with a `page.html.br`, `.zst` or `.gz` beside it, not older than itself,
    /// is sent as that to clients that accept it. Default: yes.
    pub precompressed: bool,
    /// A text of more than 1 KiB is compressed with gzip for clients that accept it, unless a
    /// compressed copy is at hand. Default: no.
    pub gzip: bool,
    /// What caches are told of a file, unless [its name](crate::is_fingerprinted) says that it
    /// will never change: the value of Cache-Control (RFC 9111 §5.2). `None` to say nothing of any
    /// file. Default: `no-cache`, so that whoever has a copy asks whether it is still good, which
    /// costs a 304, and no page is ever stale.
    pub cache_control: Option<Cow<'static, str>>,
    /// What is kept of files that are asked for often. Default: see [`CacheLimits`].
    pub cache: CacheLimits,
    /// How many workers there are
    /// ([`Request::worker`](http_proto::server::Request::worker) goes up to this): each keeps for
    /// itself. Default: one per core, as for tcp-core.
    pub workers: usize,
}

/// What bounds PUT, POST and DELETE where [they are served](Options::writable).
#[derive(Clone, Debug)]
pub struct Uploads {
    /// What is done with an uploaded file of a form whose name is taken. Default: it is renamed.
    pub on_conflict: OnConflict,
    /// A PUT makes the directories that its path needs, or, where its path ends in a slash, a
    /// directory; DELETE removes one that is empty. Default: no.
    pub directories: bool,
    /// HTML and SVG files may run scripts with the rights of this origin. Default: no, since
    /// anybody who may write here could use those of whoever looks at them.
    pub trusted: bool,
    /// Octets that all files beneath the root may take together, each counted in whole blocks of
    /// 4 KiB. `None`, the default: as many as fit. Counted at the start, and again when it seems
    /// full and every ten minutes, since others may write there as well.
    pub quota: Option<u64>,
    /// Octets of the disk that stay free. `None`, the default: a hundredth of it, at most 64 MiB.
    pub keep_free: Option<u64>,
    /// How many files may be coming in at once; each holds two or three descriptors, and its
    /// request 64 KiB. Default: 256.
    pub at_once: usize,
}

/// What is done with a file of a form whose name is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnConflict {
    /// `name.txt` becomes `name (1).txt`, and so on.
    Rename,
    /// None of the form's files is stored: 409.
    Reject,
    /// The new one takes the place of the old one.
    Replace,
}

/// Where forms are kept.
#[derive(Clone, Debug)]
pub struct Forms {
    /// The directory that holds a file for each page that forms come from. Must not lie beneath
    /// the root.
    pub dir: PathBuf,
    /// The client's address is kept with what it has sent. Default: no.
    pub address: bool,
}

/// Which hosts a request that comes over a loopback address may name. A page from elsewhere can
/// have its own name resolve to 127.0.0.1, and then read and write here as if it were ours (DNS
/// rebinding); its requests name that host.
///
/// Loopback addresses, `localhost` and names beneath it are always answered.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hosts {
    /// Any may be named. Default: no.
    pub any: bool,
    /// Further names, in any case and without a port. They are ours also when a browser tells the
    /// origin of a write, as behind a proxy that calls us something else.
    pub names: Vec<String>,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            access: None,
            writable: false,
            uploads: Uploads::default(),
            forms: None,
            hosts: Hosts::default(),
            listing: true,
            hidden: false,
            precompressed: true,
            gzip: false,
            cache_control: Some(Cow::Borrowed("no-cache")),
            cache: CacheLimits::default(),
            workers: std::thread::available_parallelism().map_or(1, usize::from),
        }
    }
}

impl Uploads {
    /// The defaults.
    pub const DEFAULT: Uploads = Uploads {
        on_conflict: OnConflict::Rename,
        directories: false,
        trusted: false,
        quota: None,
        keep_free: None,
        at_once: 256,
    };
}

impl Default for Uploads {
    fn default() -> Uploads {
        Uploads::DEFAULT
    }
}
