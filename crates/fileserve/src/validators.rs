//! Decides what a file's version is recognised by: its entity tag and its date.
//!
//! Both come from the length and the modification time alone. The inode stays out of the tag, so
//! two machines that serve copies with the same times agree on it, and a resumed download can go
//! on at the other. The price: who changes a file in place and then sets its time back, keeping the
//! length, hides the change from every cache.

use std::borrow::Cow;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use http_proto::{Coding, EntityTag, HttpDate, Validators};

use crate::root::Facts;

/// How long after a change another one could still get the same time. The kernel stamps files with
/// a clock that ticks every 10 ms or faster; the rest is margin.
const TICK: Duration = Duration::from_millis(20);

/// The same where times have whole seconds only: 1 on most such file systems, 2 on FAT.
const COARSE_TICK: Duration = Duration::from_secs(2);

/// What the conditions of a request are compared with, for a file with `facts` that is sent in
/// `coding`.
///
/// The tag is strong whatever [`told_tag`] says of the file. Strong tags are handed out only for
/// versions that no other shares one with, so a client that holds one that fits means this version.
pub fn validators(facts: &Facts, coding: Coding) -> Validators {
    let etag = EntityTag::strong(opaque_tag(facts, coding).as_bytes());
    Validators { etag, modified: Some(facts.mtime) }
}

/// The tag that a client is told of a file with `facts`, as of `now`, when `known` is what its
/// conditions are compared with.
///
/// A strong tag has to differ for any two versions (RFC 9110 §8.8.1). While the last change is so
/// recent that another one with the same length could get the same time, the tag is weak and this
/// answer's alone: whoever holds it is sent the file again, rather than told that a second change
/// never was. (Last-Modified knows whole seconds only: who asks by date may miss such a change.)
///
/// A file that is dated further ahead has got its time from somebody who can set it again: its tag
/// is weak as well, but stays what it is.
pub fn told_tag<'t>(facts: &Facts, known: &'t EntityTag, now: SystemTime) -> Cow<'t, EntityTag> {
    match age(facts.mtime, now) {
        Age::Settled => Cow::Borrowed(known),
        Age::Young => {
            let moment = format!("-{:x}", from_epoch(now).1);
            let opaque = [known.to_ref().opaque(), moment.as_bytes()].concat();
            EntityTag::weak(&opaque).map_or(Cow::Borrowed(known), Cow::Owned)
        }
        Age::Ahead => Cow::Owned(known.clone().into_weak()),
    }
}

/// The value of Last-Modified: never later than `now`, which is to be the time in Date
/// (RFC 9110 §8.8.2.1).
pub fn last_modified(facts: &Facts, now: SystemTime) -> HttpDate {
    HttpDate::from(facts.mtime.min(now))
}

/// Whether a further change could get the time of the last one.
enum Age {
    /// No: the clock has gone on since.
    Settled,
    /// Yes.
    Young,
    /// Only if somebody set it: the clock is not there yet.
    Ahead,
}

fn age(mtime: SystemTime, now: SystemTime) -> Age {
    let whole = from_epoch(mtime).1.is_multiple_of(1_000_000_000);
    let tick = if whole { COARSE_TICK } else { TICK };
    match now.duration_since(mtime) {
        Ok(age) if age >= tick => Age::Settled,
        // Another machine's clock may be a little ahead.
        Err(ahead) if ahead.duration() > COARSE_TICK => Age::Ahead,
        _ => Age::Young,
    }
}

/// Whether what is told of a file with `facts` stays the same for as long as the file does.
pub(crate) fn is_lasting(facts: &Facts, now: SystemTime) -> bool {
    matches!(age(facts.mtime, now), Age::Settled)
}

/// Whether any further change of the file shows in its `ctime`.
pub(crate) fn is_settled(facts: &Facts, now: SystemTime) -> bool {
    matches!(age(facts.ctime, now), Age::Settled)
}

/// Length and time in hexadecimal, and the coding: a compressed copy must not share the tag of its
/// original, whatever its length and time (RFC 9110 §8.8.3.3). The sign of a time before 1970 is
/// written out.
fn opaque_tag(facts: &Facts, coding: Coding) -> String {
    let (sign, nanos) = from_epoch(facts.mtime);
    match coding {
        Coding::Identity => format!("{:x}-{sign}{nanos:x}", facts.len),
        coded => format!("{:x}-{sign}{nanos:x}-{}", facts.len, coded.as_str()),
    }
}

/// Nanoseconds between 1970 and `time`, and the sign.
fn from_epoch(time: SystemTime) -> (&'static str, u128) {
    match time.duration_since(UNIX_EPOCH) {
        Ok(after) => ("", after.as_nanos()),
        Err(before) => ("-", before.duration().as_nanos()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::root::{FileId, Kind};

    const MTIME: Duration = Duration::new(1_700_000_000, 123_456_789);

    fn facts(len: u64, mtime: SystemTime) -> Facts {
        let id = FileId { device: 1, inode: 2 };
        Facts { kind: Kind::File, len, mtime, ctime: mtime, mode: 0o644, id }
    }

    fn known(facts: &Facts) -> EntityTag {
        validators(facts, Coding::Identity).etag.expect("every file has a tag")
    }

    fn told(facts: &Facts, now: SystemTime) -> EntityTag {
        told_tag(facts, &known(facts), now).into_owned()
    }

    fn tag(len: u64, mtime: SystemTime, now: SystemTime) -> String {
        told(&facts(len, mtime), now).to_string()
    }

    #[test]
    fn the_tag_is_length_and_time() {
        let mtime = UNIX_EPOCH + MTIME;
        let later = mtime + Duration::from_secs(60);
        assert_eq!(tag(0x1f, mtime, later), format!("\"1f-{:x}\"", MTIME.as_nanos()));
        assert_ne!(tag(1, mtime, later), tag(2, mtime, later));
        assert_ne!(tag(1, mtime, later), tag(1, mtime + Duration::from_nanos(1), later));
        let (before, after) = (UNIX_EPOCH - MTIME, UNIX_EPOCH + MTIME);
        assert_ne!(tag(1, before, later), tag(1, after, later), "before and after 1970 differ");
    }

    #[test]
    fn a_coded_representation_has_a_tag_of_its_own() {
        let facts = facts(1, UNIX_EPOCH + MTIME);
        let tag = |coding| validators(&facts, coding).etag.unwrap().to_string();
        assert_eq!(tag(Coding::Gzip), format!("\"1-{:x}-gzip\"", MTIME.as_nanos()));
        assert_ne!(tag(Coding::Gzip), tag(Coding::Brotli));
        assert_ne!(tag(Coding::Gzip), tag(Coding::Identity));
    }

    #[test]
    fn replicas_agree_on_the_tag() {
        let mtime = UNIX_EPOCH + MTIME;
        let mut other = facts(5, mtime);
        other.id = FileId { device: 3, inode: 4 };
        other.mode = 0o600;
        let now = mtime + Duration::from_secs(60);
        assert_eq!(told(&other, now), told(&facts(5, mtime), now));
        assert_eq!(
            validators(&other, Coding::Identity),
            validators(&facts(5, mtime), Coding::Identity)
        );
    }

    #[test]
    fn the_tag_is_strong_once_no_other_change_can_share_the_time() {
        let fine = UNIX_EPOCH + MTIME;
        let whole = UNIX_EPOCH + Duration::from_secs(MTIME.as_secs());
        let table = [
            (fine, 0, true),
            (fine, 19, true),
            (fine, 20, false),
            (fine, 1_000, false),
            (fine, -1, true),
            (fine, -86_400_000, true),
            (whole, 20, true),
            (whole, 1_999, true),
            (whole, 2_000, false),
            (whole, -1, true),
            (UNIX_EPOCH - MTIME, 20, false),
            (UNIX_EPOCH, 5_000, false),
        ];
        for (mtime, age_ms, weak) in table {
            let age = Duration::from_millis(i64::unsigned_abs(age_ms));
            let now = if age_ms < 0 { mtime - age } else { mtime + age };
            assert_eq!(tag(1, mtime, now).starts_with("W/"), weak, "{mtime:?} {age_ms} ms old");
        }
    }

    /// A second change could share length and time with the first: who has seen the first must not
    /// be told that nothing has changed.
    #[test]
    fn the_tag_of_a_young_file_never_fits_again() {
        let mtime = UNIX_EPOCH + MTIME;
        let known = known(&facts(1, mtime));
        let told = |now| told(&facts(1, mtime), now);
        assert!(!told(mtime).to_ref().equals_weakly(known.to_ref()));
        assert!(!told(mtime).to_ref().equals_weakly(told(mtime + TICK / 2).to_ref()));
        assert_eq!(told(mtime + COARSE_TICK), known);
    }

    #[test]
    fn the_tag_of_a_file_dated_ahead_is_weak_and_fits() {
        let mtime = UNIX_EPOCH + MTIME;
        let told = told(&facts(1, mtime), mtime - 2 * COARSE_TICK);
        let known = known(&facts(1, mtime));
        assert!(told.to_ref().equals_weakly(known.to_ref()));
        assert!(!told.to_ref().equals_strongly(known.to_ref()));
    }

    #[test]
    fn last_modified_is_not_later_than_the_date() {
        let now = UNIX_EPOCH + MTIME;
        let ahead = facts(1, now + Duration::from_secs(86_400));
        assert_eq!(last_modified(&ahead, now), HttpDate::from(now));
        let behind = facts(1, now - Duration::from_secs(86_400));
        assert_eq!(last_modified(&behind, now), HttpDate::from(behind.mtime));
        assert_eq!(last_modified(&facts(1, UNIX_EPOCH - MTIME), now), HttpDate::MIN);
    }
}
