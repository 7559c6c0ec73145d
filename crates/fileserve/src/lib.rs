//! Serves the files beneath one directory over HTTP: GET, HEAD, PUT, POST, DELETE, an access log.
//!
//! [`Files`] is a handler for the session of http-proto: a request goes in, a response comes out,
//! and no socket is ever seen here. [`AccessLog`] keeps one line for every exchange.
//!
//! ```text
//! request -> host and origin (is it ours?) -> rights on the path
//!         -> RelPath -> Root (opens beneath, judges what is open)
//!                         reading: preconditions -> ranges -> content
//!                         writing: room -> an unnamed file -> preconditions, again -> its name
//! ```
//!
//! In scope: what a path names, what is told of it, how its content is versioned, who may read and
//! change it.
//! Out of scope: parsing, framing, sockets, threads.
//!
//! # Example: a directory on the web in ten lines
//! ```
//! use std::sync::Arc;
//! use fileserve::{AccessLog, Files, Options};
//! use http_proto::server::Http;
//! use tcp_core::{Limits, Server};
//!
//! # fn main() -> std::io::Result<()> {
//! let log = Arc::new(AccessLog::off());
//! let files = Files::new(".", Options::default(), log)?;
//! let server = Server::bind(([127, 0, 0, 1], 0).into(), Limits::default())?;
//! println!("listening at http://{}/", server.addresses()[0]);
//! let running = server.start(Http::new(files))?;
//! # running.stopper().stop();
//! running.join()?;
//! # Ok(())
//! # }
//! ```
//!
//! # Trade-offs
//! What is asked for often is kept, and before an answer is given the kernel is asked to tell of
//! every change to it. That costs a system call per request, where a server that believes its cache
//! for a while pays nothing and is sometimes wrong. What the kernel cannot tell of is opened for
//! each request and judged by its own descriptor.

mod accept;
pub mod access;
pub mod access_log;
mod cache_control;
mod compress;
#[cfg(feature = "faults")]
pub mod faults;
#[cfg(not(feature = "faults"))]
mod faults;
mod files;
mod forms;
mod get;
mod guard;
mod hot;
pub mod listing;
mod mime;
mod options;
mod own_files;
mod pages;
mod path;
mod post;
mod refusal;
mod representation;
mod root;
mod selected;
mod sender;
mod source;
mod submission;
mod validators;
mod write;

pub use access::Access;
pub use access_log::{AccessLog, LogFormat, UnknownLogFormat};
pub use cache_control::is_fingerprinted;
pub use files::Files;
pub use hot::CacheLimits;
pub use mime::media_type;
pub use options::{Forms, Hosts, OnConflict, Options, Uploads};
pub use pages::LONG_LISTS_MAX;
pub use path::RelPath;
pub use refusal::Refusal;
pub use root::{Entry, Facts, FileId, Kind, LISTED_NAMES_MAX, Listing, Opened, Root, SHORT_NAMES};
pub use selected::RANGES_MAX;
pub use validators::{last_modified, told_tag, validators};

/// The examples of the project's README, so that they compile.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
struct ReadMe;
