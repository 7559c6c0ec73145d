//! Judges whether what a request was told to have changed is safe on the disk, as far as the calls
//! for it show: a power cut is not played.
//!
//! A call does not say which file it is for, but where in the server's code it is made, which comes
//! to the same: the files of a form come one after the other, and get their names in the end.

use std::panic::Location;

use fileserve::faults::Call;

/// The code that makes the files whose content comes in, and has them written to the disk.
const DRAFTS: &str = "write/draft.rs";

/// The code that adds to the files of forms, and has these and then their directory written.
const FORMS: &str = "src/forms.rs";

/// A call that changes something, or has it written to the disk.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Done {
    pub(crate) call: Call,
    /// Where in the server's code.
    pub(crate) place: &'static Location<'static>,
    pub(crate) is_good: bool,
}

impl Done {
    /// Whether it matters here.
    pub(crate) fn is_kept(call: Call) -> bool {
        matches!(
            call,
            Call::Make | Call::Write | Call::Change | Call::Name | Call::Remove | Call::Sync
        )
    }

    /// Whether it has a file with new content written to the disk, that has yet to get its name.
    pub(crate) fn syncs_draft(&self) -> bool {
        self.call == Call::Sync && self.is_of_draft()
    }

    /// Whether it begins such a file.
    pub(crate) fn makes_draft(&self) -> bool {
        self.call == Call::Make && self.is_of_draft()
    }

    fn is_of_draft(&self) -> bool {
        self.place.file().ends_with(DRAFTS)
    }
}

/// Judges the calls that were made for a request which was told that all is done.
///
/// # Errors
/// What a power cut could undo.
pub(crate) fn check(calls: &[Done]) -> Result<(), String> {
    // Nobody knows what a sync that has failed has written, and the next one may claim that all is.
    if calls.iter().any(|done| done.call == Call::Sync && !done.is_good) {
        return Err("a sync had failed".to_owned());
    }
    // What is not on the disk yet: of the file that came last, and of the directory.
    let (mut content, mut names) = (false, false);
    // Where the file of a page's forms was synced: there it is not its directory that is. Whichever
    // of these two is left out, the one that is made counts as the file's.
    let mut synced_at = None;
    for done in calls.iter().filter(|done| done.is_good) {
        match done.call {
            Call::Make if done.makes_draft() => {
                if content {
                    return Err("the next file was begun before one was synced".to_owned());
                }
                content = true;
            }
            Call::Write | Call::Change => content = true,
            Call::Name if content => {
                return Err("it had its name before it was synced".to_owned());
            }
            Call::Make | Call::Name | Call::Remove => names = true,
            Call::Sync if done.syncs_draft() => content = false,
            Call::Sync if done.place.file().ends_with(FORMS) && content => {
                (content, synced_at) = (false, Some(done.place));
            }
            // All that is left are directories. Only names given before it are safe.
            Call::Sync if synced_at != Some(done.place) => names = false,
            _ => {}
        }
    }
    match (content, names) {
        (true, _) => Err("its content was not synced".to_owned()),
        (_, true) => Err("its directory was not synced".to_owned()),
        _ => Ok(()),
    }
}
