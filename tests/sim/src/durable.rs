//! Judges whether what a request was told to have changed is safe on the disk, as far as the calls
//! for it show: a power cut is not played.

use fileserve::faults::Call;

/// A call that changes something, or has it written to the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Done {
    pub(crate) call: Call,
    pub(crate) is_good: bool,
}

impl Done {
    /// Whether it matters here.
    pub(crate) fn is_kept(call: Call) -> bool {
        matches!(call, Call::Make | Call::Write | Call::Name | Call::Remove | Call::Sync)
    }
}

/// Judges the calls that were made for a request which was told that all is done.
///
/// # Errors
/// What a power cut could undo.
pub(crate) fn check(calls: &[Done]) -> Result<(), String> {
    // Nobody knows what a sync that has failed has written, and the next one may claim that all is.
    if calls.contains(&Done { call: Call::Sync, is_good: false }) {
        return Err("a sync had failed".to_owned());
    }
    let good: Vec<Call> = calls.iter().filter(|done| done.is_good).map(|done| done.call).collect();
    let last = |calls: &[Call], wanted: &[Call]| calls.iter().rposition(|c| wanted.contains(c));
    let is_synced = |calls: &[Call], wanted: &[Call]| {
        last(calls, wanted).is_none_or(|at| calls[at..].contains(&Call::Sync))
    };
    if let Some(named) = last(&good, &[Call::Name])
        && !is_synced(&good[..named], &[Call::Write])
    {
        return Err("it had its name before it was synced".to_owned());
    }
    match is_synced(&good, &[Call::Make, Call::Write, Call::Name, Call::Remove]) {
        true => Ok(()),
        false => Err("nothing was synced".to_owned()),
    }
}
