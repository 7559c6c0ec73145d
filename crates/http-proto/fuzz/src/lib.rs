//! What holds of http-proto for every input: the bodies of the fuzz targets, one file each.
//!
//! Each `check` takes any octets and panics when what it claims does not hold of them. Where it
//! can, it compares with a second implementation that is slow and obvious, or with another parser.
//!
//! The same functions run in two places: under a fuzzer, which looks for new inputs
//! (`cargo xtask fuzz`), and as an ordinary test over the inputs in `corpus/`
//! (`crates/http-proto/tests/fuzz_corpus.rs`). An input that broke something once goes to
//! `corpus/TARGET/`, so that it is tried forever after; a file is called by the SHA-1 of its
//! content.
//!
//! A new target is a file here, one in `fuzz_targets/`, a `[[bin]]` in `Cargo.toml`, a directory
//! in `corpus/` and a line in [`TARGETS`].

#![forbid(unsafe_code)]

pub mod chunked;
pub mod coding;
pub mod conversation;
pub mod date;
pub mod differential;
pub mod etag;
pub mod form_data;
mod form_peer;
mod form_play;
pub mod head;
mod limits;
pub mod multipart;
mod play;
pub mod preconditions;
pub mod range;
pub mod target;

/// Panics when what a target claims does not hold of the octets.
pub type Check = fn(&[u8]);

/// Every target: its name, which is also that of its directory in `corpus/`, and what it checks.
pub const TARGETS: [(&str, Check); 12] = [
    ("head", head::check),
    ("chunked", chunked::check),
    ("conversation", conversation::check),
    ("target", target::check),
    ("range", range::check),
    ("multipart", multipart::check),
    ("form_data", form_data::check),
    ("preconditions", preconditions::check),
    ("coding", coding::check),
    ("etag", etag::check),
    ("date", date::check),
    ("differential", differential::check),
];
