//! Plays the real session, protocol and file handler of the server over simulated sockets and
//! clock, with disk faults, in one thread, as a seed says; and judges all that clients are told.
//!
//! ```text
//!  seed -> Run -> Client: asks, drips, pipelines, resets      Stage: another program on the disk,
//!                   |  ^                                        |    calls that fail
//!              octets  octets -> Judge <- history of each file  |
//!                   v  |                                        v
//!                  Line (tcp-core's part) -> HttpSession -> Files -> the kernel, a directory
//! ```
//!
//! What one seed leads to is the same each time, so a seed is a test case. What is not simulated:
//! tcp-core's own loop, threads (all that runs beside the requests is done in place), the writer of
//! the access log, and power cuts.

mod ask;
mod client;
mod disk;
mod durable;
mod ends;
mod judge;
mod line;
mod random;
mod run;
mod setup;
mod stage;
mod witness;

pub use run::{Report, play};
pub use stage::Failed;
pub use witness::Planted;
