//! Where a test may have a call to the operating system fail, or do something just before it.
//!
//! A hook in front of each call, and no trait with the calls as methods: such a trait would be a
//! file system interface of its own, to be kept in step with what is used of the real one, and
//! every file would be of one more type. A call that fails does nothing, so that to leave it out
//! and return its error is the same; and what happens between two calls happens in front of the
//! second. A read or a write may be told to take only so many octets. Everything else is done by
//! the real kernel.
//!
//! Without the feature `faults` nothing of this is left but empty functions and calls that are
//! passed on, inlined. With it, a thread on which no [plan is installed](install) runs as ever.
#![cfg_attr(not(feature = "faults"), allow(unreachable_pub, reason = "public with the feature"))]

use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::FileExt;

use rustix::io::Errno;

/// A kind of call that is about to be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Call {
    /// Opening what is at a path, the disk asked if need be.
    Open,
    /// The same in memory alone: `EAGAIN` says that the disk would have to be asked.
    OpenCached,
    /// What a descriptor or a name says of itself.
    Stat,
    /// Reading a file.
    Read,
    /// The same in memory alone: any error says that the disk would have to be asked.
    ReadCached,
    /// The names in a directory.
    List,
    /// Making a file, named or not.
    Make,
    /// Writing to it.
    Write,
    /// Changing its mode or times.
    Change,
    /// Having a file or a directory written to the disk.
    Sync,
    /// Giving a name, taken or not.
    Name,
    /// Removing a name.
    Remove,
    /// How much room is left.
    Space,
    /// Having changes told.
    Watch,
}

/// A file of which each read and each write is asked for: each anew that the standard library makes
/// after one that was short or interrupted.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asking<'f>(pub(crate) &'f File);

impl FileExt for Asking<'_> {
    #[inline(always)]
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let most = planned(Call::Read)?.min(buffer.len());
        self.0.read_at(&mut buffer[..most], offset)
    }

    #[inline(always)]
    fn write_at(&self, octets: &[u8], offset: u64) -> io::Result<usize> {
        let most = planned(Call::Write)?.min(octets.len());
        self.0.write_at(&octets[..most], offset)
    }
}

impl Write for Asking<'_> {
    #[inline(always)]
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        let most = planned(Call::Write)?.min(octets.len());
        self.0.write(&octets[..most])
    }

    #[inline(always)]
    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

/// To be asked before a call.
///
/// # Errors
/// That of the call, which is then not made.
#[inline(always)]
#[cfg_attr(feature = "faults", track_caller)]
pub(crate) fn before(call: Call) -> Result<(), Errno> {
    planned(call).map(drop)
}

#[cfg(feature = "faults")]
mod plan {
    use std::cell::RefCell;
    use std::panic::Location;

    use rustix::io::Errno;

    use super::Call;

    /// What a plan is asked.
    #[derive(Clone, Copy, Debug)]
    pub struct Asked {
        /// What is about to be done.
        pub call: Call,
        /// Where in this crate, but for reads and writes of what is to be whole.
        pub place: &'static Location<'static>,
    }

    type Plan = Box<dyn FnMut(Asked) -> Result<usize, Errno>>;

    thread_local! {
        static PLAN: RefCell<Option<Plan>> = const { RefCell::new(None) };
    }

    /// A plan that is in force until this is dropped.
    #[derive(Debug)]
    #[must_use]
    pub struct Installed(());

    /// Has `plan` asked before each call that this thread makes, of which an error becomes the
    /// call's; a read or a write takes no more than the octets that it says, which are not 0. What
    /// is made on this thread from now on starts no threads of its own: what those would do is done
    /// in place, or left out where nobody would miss it.
    ///
    /// # Panics
    /// When the thread has a plan already.
    pub fn install(plan: impl FnMut(Asked) -> Result<usize, Errno> + 'static) -> Installed {
        let before = PLAN.with(|installed| installed.replace(Some(Box::new(plan))));
        assert!(before.is_none(), "a thread has one plan");
        Installed(())
    }

    impl Drop for Installed {
        fn drop(&mut self) {
            PLAN.with(|installed| installed.take());
        }
    }

    #[track_caller]
    pub(crate) fn planned(call: Call) -> Result<usize, Errno> {
        // What the plan itself does is not planned.
        let taken = PLAN.with(|installed| installed.take());
        let Some(mut plan) = taken else { return Ok(usize::MAX) };
        let planned = plan(Asked { call, place: Location::caller() });
        PLAN.with(|installed| installed.replace(Some(plan)));
        planned
    }

    pub(crate) fn is_planned() -> bool {
        PLAN.with(|installed| installed.borrow().is_some())
    }
}

#[cfg(feature = "faults")]
pub use plan::{Asked, Installed, install};
#[cfg(feature = "faults")]
pub(crate) use plan::{is_planned, planned};

/// How many octets a read or a write may take.
#[cfg(not(feature = "faults"))]
#[inline(always)]
fn planned(_: Call) -> Result<usize, Errno> {
    Ok(usize::MAX)
}

/// Whether all is to be done on this thread.
#[cfg(not(feature = "faults"))]
#[inline(always)]
pub(crate) fn is_planned() -> bool {
    false
}
