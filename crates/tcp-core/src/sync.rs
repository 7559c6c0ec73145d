//! What the threads of a server share is made of this, so that a model of it can take its place.

#[cfg(not(feature = "model"))]
mod real {
    pub(crate) use std::sync::atomic::AtomicUsize;
    pub(crate) use std::thread::Builder;

    pub(crate) use crossbeam_channel::{Receiver, Sender, bounded};
    pub(crate) use mio::Waker;

    /// What comes first over one of two channels; an error when nothing can come over one of them
    /// any more.
    pub(crate) fn recv_either<T>(
        one: &Receiver<T>,
        other: &Receiver<T>,
    ) -> Result<T, crossbeam_channel::RecvError> {
        crossbeam_channel::select! { recv(one) -> found => found, recv(other) -> found => found }
    }
}

#[cfg(feature = "model")]
mod model;
#[cfg(all(test, feature = "model"))]
mod tests;

#[cfg(feature = "model")]
pub(crate) use model::*;
#[cfg(not(feature = "model"))]
pub(crate) use real::*;
