//! Remembers of many paths one thing each, in little memory, and may forget any of them.

use std::hash::{BuildHasher, RandomState};

/// How many paths have a mark at most.
const MARKS: usize = 16 * 1024;

/// Remembers paths by their hashes, each with a number; the next with the same place takes it.
#[derive(Debug, Default)]
pub(super) struct Marks {
    /// Empty until it is needed.
    marks: Vec<(u32, u32)>,
    hasher: RandomState,
}

impl Marks {
    /// Remembers a path with a number; says whether it was remembered with that number already.
    pub(super) fn put(&mut self, path: &[u8], number: u32) -> bool {
        self.marks.resize(MARKS, (0, 0));
        let (place, mark) = self.place(path);
        std::mem::replace(&mut self.marks[place], (mark, number)) == (mark, number)
    }

    pub(super) fn holds(&self, path: &[u8], number: u32) -> bool {
        let (place, mark) = self.place(path);
        self.marks.get(place) == Some(&(mark, number))
    }

    fn place(&self, path: &[u8]) -> (usize, u32) {
        let hash = self.hasher.hash_one(path);
        // No path has the mark of an empty place.
        ((hash >> 32) as usize % MARKS, hash as u32 | 1)
    }
}
