//! What a client can see of `httpd`, written as cases that run against the real binary.
//!
//! A case is prose that runs: a claim, a sentence that says why, the octets, the answer. The cases
//! are the Markdown files in `tests/cases/`; `tests/README.md` is their grammar. Each is sent
//! [whole, an octet at a time, and behind a harmless GET](run::Way).
//!
//! [`server`] starts the binary and [`client`] talks to it; scenarios that are no list of requests
//! and answers - signals, deadlines, floods - are ordinary tests in `tests/suite/` on top of them.

pub mod case;
pub mod client;
pub mod escape;
pub mod expect;
pub mod fixture;
pub mod response;
pub mod run;
pub mod server;
pub mod webdriver;
