//! Descriptors in hand for when there are no others.

use std::os::fd::OwnedFd;

use crate::sys;

/// Several, since one that is given up may be taken by a thread that opens a file at that moment.
const COUNT: usize = 4;

/// Given up when there is no other descriptor, and taken again as soon as there is one.
#[derive(Default)]
pub(crate) struct Spares(Vec<OwnedFd>);

impl Spares {
    /// Takes those that are missing again; says whether all are there.
    pub(crate) fn fill(&mut self) -> bool {
        while self.0.len() < COUNT {
            let Ok(spare) = sys::spare_descriptor() else { return false };
            self.0.push(spare);
        }
        true
    }

    /// Lets go of one, if there is one.
    pub(crate) fn give_up(&mut self) -> bool {
        self.0.pop().is_some()
    }
}
