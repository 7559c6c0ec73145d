//! What no list of requests and answers can say: signals, deadlines, floods, big files, a real
//! site.
//!
//! Run one file of it with `cargo test -p conformance --test scenarios lifecycle::`.

mod download;
mod large;
mod lifecycle;
mod patience;
mod real_site;
