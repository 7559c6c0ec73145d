//! HTTP/1.1 for servers, without I/O: octets in, events out; responses assembled.
//!
//! [`Connection`] reads the requests of one connection: it is shown octets and says what they
//! are, a [`RequestHead`], content, an end. [`ResponseHead`] writes what goes back. In between
//! stand the judgements an origin server has to make: [`precondition`], [`range`], [`EntityTag`],
//! [`HttpDate`]. None of it reads a socket, a file or a clock, so that all of it can be tested
//! with slices.
//!
//! Of what a request brings, [`form_data`] takes a form apart, and [`digest_fields`] reads what the
//! content should be.
//!
//! In scope: RFC 9112 for servers, and of RFC 9110 what does not depend on where representations
//! come from; the forms of RFC 7578 and the digest fields of RFC 9530. Out of scope: HTTP/2 and
//! later, clients, compression, hashing.
//!
//! The feature `server` (on by default) adds [`server`]: the session that runs a handler over the
//! crate tcp-core. Without it there is no I/O and no dependency on tcp-core.
//!
//! # Trade-offs
//! Where the RFCs leave a choice between lenient and strict, this parser is strict: a request that
//! another implementation could read differently is refused. Old or hand-written clients that
//! end lines with a bare LF are turned away for it.

mod assembly;
mod byteranges;
mod chunk_extension;
mod chunked;
mod coding;
mod connection;
mod date;
pub mod digest_fields;
pub mod error_page;
mod etag;
mod field_block;
mod fields;
pub mod form_data;
mod framing;
mod grammar;
mod head;
mod host;
mod limits;
mod method;
pub mod precondition;
pub mod range;
mod reject;
mod scan;
#[cfg(feature = "server")]
pub mod server;
mod status;
mod target;

pub use assembly::{CONTINUE, LAST_CHUNK, Persistence, ResponseFraming, ResponseHead, write_chunk};
pub use byteranges::{Byteranges, Part};
pub use coding::{AcceptEncoding, Coding};
pub use connection::{Connection, Event};
pub use date::HttpDate;
pub use etag::{EntityTag, EntityTagRef};
pub use field_block::FieldBlock;
pub use fields::{FIELD_LINES_CAP, Fields};
pub use framing::{Expectation, Framing};
pub use head::{RequestHead, Version};
pub use limits::{CHUNK_EXTENSION_BYTES_MAX, CHUNK_LINE_BYTES_MAX, Limits};
pub use method::Method;
pub use precondition::Validators;
pub use range::RangeRequest;
pub use reject::Reject;
pub use status::Status;
pub use target::Target;
