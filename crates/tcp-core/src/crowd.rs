//! Decides whose place a new connection gets when the server is full.
//!
//! That of the connection which has been idle longest, whichever worker has it. Workers do not tell
//! each other: each is asked only when there is need, and what is known of it is a time before
//! which none of its connections has been idle. The new connection goes to the worker of the
//! earliest such time, and takes a place there if that of no other worker is earlier still. If not
//! it comes back with the worker's true time, and goes on to the next. When no worker has anyone
//! who has been idle since before it came, it is refused.

use std::time::Instant;

/// A connection on its way to its worker.
pub(crate) struct Arrival<T> {
    pub(crate) newcomer: T,
    /// Set where there is no room for it.
    pub(crate) displaces: Option<Displaces>,
}

/// Whose place an arrival may take.
#[derive(Clone, Copy)]
pub(crate) struct Displaces {
    /// When it was accepted.
    pub(crate) came: Instant,
    /// Who is to go has been idle since this or before.
    pub(crate) idle_since_by: Instant,
}

/// An arrival for which a worker had no place.
pub(crate) struct Unplaced<T> {
    pub(crate) newcomer: T,
    /// When it was accepted.
    pub(crate) came: Instant,
    pub(crate) worker: usize,
    /// None of its connections has been idle since before.
    pub(crate) longest: Instant,
}

/// What is known of each worker: none of its connections has been idle since before.
pub(crate) struct Crowd {
    longest: Vec<Instant>,
}

impl Crowd {
    pub(crate) fn new(workers: usize, start: Instant) -> Crowd {
        Crowd { longest: vec![start; workers] }
    }

    /// Notes what a worker has said.
    pub(crate) fn note(&mut self, worker: usize, longest: Instant) {
        self.longest[worker] = longest;
    }

    /// The one of `workers` that may have a place for who `came`, and whose place it is; `None` if
    /// nobody has been idle since before.
    pub(crate) fn place(
        &self,
        workers: impl Iterator<Item = usize>,
        came: Instant,
    ) -> Option<(usize, Displaces)> {
        let mut first: Option<usize> = None;
        let mut idle_since_by = came;
        for worker in workers {
            let longest = self.longest[worker];
            let later = match first {
                Some(other) if self.longest[other] <= longest => longest,
                other => {
                    first = Some(worker);
                    other.map_or(came, |other| self.longest[other])
                }
            };
            idle_since_by = idle_since_by.min(later);
        }
        let worker = first.filter(|worker| self.longest[*worker] < came)?;
        Some((worker, Displaces { came, idle_since_by }))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn the_worker_of_the_longest_idle_is_asked_first_and_gives_up_nobody_who_is_not() {
        let start = Instant::now();
        let at = |seconds: u64| start + Duration::from_secs(seconds);
        for (longest, came, expected) in [
            (&[0, 0][..], 9, Some((0, 0))),
            (&[5, 0], 9, Some((1, 5))),
            (&[0, 5], 9, Some((0, 5))),
            (&[5, 7, 6], 9, Some((0, 6))),
            (&[7, 6, 5], 9, Some((2, 6))),
            (&[10, 3, 10], 9, Some((1, 9))),
            (&[3], 9, Some((0, 9))),
            (&[9, 10], 9, None),
            (&[], 9, None),
        ] {
            let mut crowd = Crowd::new(longest.len(), start);
            for (worker, longest) in longest.iter().enumerate() {
                crowd.note(worker, at(*longest));
            }
            let found = crowd.place(0..longest.len(), at(came));
            let found = found.map(|(worker, displaces)| (worker, displaces.idle_since_by));
            assert_eq!(found, expected.map(|(worker, by)| (worker, at(by))), "{longest:?}");
        }
    }
}
