//! What a session answers, records and waits for, driven with slices: no socket, no thread, no
//! clock.

#![cfg(feature = "server")]

mod answers;
mod content;
mod desk;
mod endings;
mod expectations;
mod fuzz;
mod streams;
mod talk;
mod timeouts;
