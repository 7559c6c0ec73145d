//! Where a test may have a call to the operating system fail, or do something just before it.
//!
//! A hook in front of each call, and no trait with the calls as methods: such a trait would be a
//! file system interface of its own, to be kept in step with what is used of the real one, and
//! every file would be of one more type. A call that fails does nothing, so that to leave it out
//! and return its error is the same; and what happens between two calls happens in front of the
//! second. Everything else is done by the real kernel.
//!
//! Without the feature `faults` nothing of this is left but empty functions, inlined. With it, a
//! thread on which no [plan is installed](install) runs as ever.
#![cfg_attr(not(feature = "faults"), allow(unreachable_pub, reason = "public with the feature"))]

#[cfg(not(feature = "faults"))]
use rustix::io::Errno;

/// A kind of call that is about to be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
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

#[cfg(feature = "faults")]
mod planned {
    use std::cell::RefCell;

    use rustix::io::Errno;

    use super::Call;

    type Plan = Box<dyn FnMut(Call) -> Result<(), Errno>>;

    thread_local! {
        static PLAN: RefCell<Option<Plan>> = const { RefCell::new(None) };
    }

    /// A plan that is in force until this is dropped.
    #[derive(Debug)]
    #[must_use]
    pub struct Installed(());

    /// Has `plan` asked before each call that this thread makes, of which an error becomes the
    /// call's. What is made on this thread from now on starts no threads of its own: what those
    /// would do is done in place, or left out where nobody would miss it.
    ///
    /// # Panics
    /// When the thread has a plan already.
    pub fn install(plan: impl FnMut(Call) -> Result<(), Errno> + 'static) -> Installed {
        let before = PLAN.with(|installed| installed.replace(Some(Box::new(plan))));
        assert!(before.is_none(), "a thread has one plan");
        Installed(())
    }

    impl Drop for Installed {
        fn drop(&mut self) {
            PLAN.with(|installed| installed.take());
        }
    }

    pub(crate) fn before(call: Call) -> Result<(), Errno> {
        // What the plan itself does is not planned.
        let Some(mut plan) = PLAN.with(|installed| installed.take()) else { return Ok(()) };
        let planned = plan(call);
        PLAN.with(|installed| installed.replace(Some(plan)));
        planned
    }

    pub(crate) fn is_planned() -> bool {
        PLAN.with(|installed| installed.borrow().is_some())
    }
}

#[cfg(feature = "faults")]
pub use planned::{Installed, install};
#[cfg(feature = "faults")]
pub(crate) use planned::{before, is_planned};

/// To be asked before a call.
///
/// # Errors
/// That of the call, which is then not made.
#[cfg(not(feature = "faults"))]
#[inline(always)]
pub(crate) fn before(_: Call) -> Result<(), Errno> {
    Ok(())
}

/// Whether all is to be done on this thread.
#[cfg(not(feature = "faults"))]
#[inline(always)]
pub(crate) fn is_planned() -> bool {
    false
}
