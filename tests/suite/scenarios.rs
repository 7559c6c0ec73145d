//! What no list of requests and answers can say: signals, deadlines, floods, big files, a real
//! site, clients that are not ours, a browser, what must not have happened, what must not be lost.
//!
//! Run one file of it with `cargo test -p conformance --test scenarios lifecycle::`.

mod auth;
mod clients;
mod doctor;
mod download;
mod effects;
mod flags;
mod forging;
mod freshness;
mod hanging;
mod jail;
mod large;
mod lifecycle;
mod patience;
mod real_site;
mod starved;
mod unread;
mod upload_page;
mod uploads;
