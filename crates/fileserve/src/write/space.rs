//! Decides whether there is room for an upload: among those under way, within the quota of the
//! tree, and on the disk, some of which stays free.

use std::os::fd::AsFd;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use rustix::fs::{AtFlags, FileType, fstatvfs, statat};

use super::tree;
use crate::faults::{self, Call};
use crate::options::Uploads;
use crate::path;
use crate::refusal::Refusal;
use crate::root::Root;

/// What a file takes is counted in steps of this many octets, as disks do; an empty file takes one,
/// so that no number of them is free.
const BLOCK_BYTES: u64 = 4096;

/// What stays free of a disk unless somebody says otherwise: a hundredth, up to this. It is for
/// the logs and whoever has to make room.
const KEPT_FREE_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// How often the tree may be counted anew because it seems full: others remove files, too.
const RECOUNT_FULL: Duration = Duration::from_secs(10);

/// How long a count is believed: others also add files.
const RECOUNT: Duration = Duration::from_secs(600);

/// The bounds on all uploads together.
pub(super) struct Space {
    root: Arc<Root>,
    limits: Uploads,
    under_way: AtomicUsize,
    usage: Mutex<Usage>,
    /// Held by whoever counts.
    counting: Mutex<()>,
}

/// What the tree takes. Not kept where there is no quota.
struct Usage {
    /// Of files that are there: as counted, with what has been stored and removed since.
    stored: u64,
    /// Of files that are coming in.
    coming: u64,
    /// Of files that have been stored since the last count began. It may have seen them, or not;
    /// they are taken for not seen, and the next count puts that right.
    added: u64,
    /// When the last count began; for the one at the start, when the first upload asks.
    counted: Option<SystemTime>,
}

/// The right of one file to come in.
pub(super) struct Turn(Arc<Space>);

/// The room of one file that is coming in; dropped, it is free again.
pub(super) struct Claim {
    space: Arc<Space>,
    octets: u64,
}

impl Space {
    /// With a quota, all that lies beneath `root` is counted first.
    pub(super) fn new(root: Arc<Root>, limits: Uploads) -> Space {
        let stored = limits.quota.map_or(0, |_| count(&root));
        let usage = Mutex::new(Usage { stored, coming: 0, added: 0, counted: None });
        let (under_way, counting) = (AtomicUsize::new(0), Mutex::new(()));
        Space { root, limits, under_way, usage, counting }
    }

    /// The right to take in a file.
    ///
    /// # Errors
    /// `Busy` when as many others have it as may.
    pub(super) fn turn(self: &Arc<Self>) -> Result<Turn, Refusal> {
        let more = |count| (count < self.limits.at_once).then_some(count + 1);
        match self.under_way.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more) {
            Ok(_) => Ok(Turn(Arc::clone(self))),
            Err(_) => Err(Refusal::Busy),
        }
    }

    /// Room for an empty file in the file system of `dir`, as of `now`, if `announced` octets of
    /// content would fit as well. They are not set aside: whoever announces much and sends little
    /// would keep others out.
    ///
    /// # Errors
    /// `StorageFull` or `QuotaReached` when there is no room.
    pub(super) fn claim(
        self: &Arc<Self>,
        dir: impl AsFd,
        announced: u64,
        now: SystemTime,
    ) -> Result<Claim, Refusal> {
        leaves_some_free(dir, self.limits.keep_free, announced)?;
        if self.is_outdated(taken_by(announced), now) {
            self.recount(now);
        }
        self.admit(taken_by(announced), taken_by(0))?;
        Ok(Claim { space: Arc::clone(self), octets: 0 })
    }

    /// Takes note that a file of `octets` is there no more.
    pub(super) fn release(&self, octets: u64) {
        let mut usage = self.usage();
        usage.stored = usage.stored.saturating_sub(taken_by(octets));
    }

    /// Claims `claimed` octets, if the quota has room for `needed`.
    fn admit(&self, needed: u64, claimed: u64) -> Result<(), Refusal> {
        let Some(quota) = self.limits.quota else { return Ok(()) };
        let mut usage = self.usage();
        if !usage.has_room(needed, quota) {
            return Err(Refusal::QuotaReached);
        }
        usage.coming += claimed;
        Ok(())
    }

    /// Whether the tree should be counted before anybody is refused, or because it has not been for
    /// long.
    fn is_outdated(&self, needed: u64, now: SystemTime) -> bool {
        let Some(quota) = self.limits.quota else { return false };
        let mut usage = self.usage();
        match now.duration_since(*usage.counted.get_or_insert(now)) {
            Ok(age) => age > RECOUNT || (age > RECOUNT_FULL && !usage.has_room(needed, quota)),
            // The clock has been set back. By less, it is a request that has waited.
            Err(ahead) => ahead.duration() > RECOUNT_FULL,
        }
    }

    /// Counts anew, unless somebody else does. Nobody waits for it but the one upload.
    fn recount(&self, now: SystemTime) {
        let Ok(_counting) = self.counting.try_lock() else { return };
        {
            let mut usage = self.usage();
            (usage.added, usage.counted) = (0, Some(now));
        }
        let counted = count(&self.root);
        let mut usage = self.usage();
        usage.stored = counted.saturating_add(usage.added);
    }

    fn usage(&self) -> MutexGuard<'_, Usage> {
        self.usage.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Usage {
    fn has_room(&self, octets: u64, quota: u64) -> bool {
        self.stored.saturating_add(self.coming).saturating_add(octets) <= quota
    }
}

impl Claim {
    /// Makes room for `more` octets, in the file system of `dir`.
    ///
    /// # Errors
    /// `StorageFull` or `QuotaReached` when there is none.
    pub(super) fn grow(&mut self, dir: impl AsFd, more: u64) -> Result<(), Refusal> {
        leaves_some_free(dir, self.space.limits.keep_free, more)?;
        let further = taken_by(self.octets + more) - taken_by(self.octets);
        self.space.admit(further, further)?;
        self.octets += more;
        Ok(())
    }

    /// The file is stored, in the place of one of `replaced` octets if there was one.
    pub(super) fn settle(self, replaced: Option<u64>) {
        let mut usage = self.space.usage();
        let taken = taken_by(self.octets);
        usage.added = usage.added.saturating_add(taken);
        let stored = usage.stored.saturating_add(taken);
        usage.stored = stored.saturating_sub(replaced.map_or(0, taken_by));
        // What was claimed for it is free once this is dropped.
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        let mut usage = self.space.usage();
        usage.coming = usage.coming.saturating_sub(taken_by(self.octets));
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.0.under_way.fetch_sub(1, Ordering::Relaxed);
    }
}

/// # Errors
/// `StorageFull` unless `more` octets leave `keep_free` of the disk of `dir` free, or as much as
/// usual.
pub(crate) fn leaves_some_free(
    dir: impl AsFd,
    keep_free: Option<u64>,
    more: u64,
) -> Result<(), Refusal> {
    // Where nobody knows how much is free, the disk itself will say when it is full.
    let disk = faults::before(Call::Space).and_then(|()| fstatvfs(dir));
    let Ok(disk) = disk else { return Ok(()) };
    let octets = |blocks: u64| blocks.saturating_mul(disk.f_frsize);
    let usual = || (octets(disk.f_blocks) / 100).min(KEPT_FREE_BYTES_MAX);
    match octets(disk.f_bavail) >= keep_free.unwrap_or_else(usual).saturating_add(more) {
        true => Ok(()),
        false => Err(Refusal::StorageFull),
    }
}

/// What a file of `octets` is counted as.
fn taken_by(octets: u64) -> u64 {
    octets.max(1).checked_next_multiple_of(BLOCK_BYTES).unwrap_or(u64::MAX)
}

/// What all files and directories beneath `root` take; one with several names counts for each.
fn count(root: &Root) -> u64 {
    let mut sum: u64 = 0;
    tree::walk(root, &AtomicBool::new(false), |found| {
        let octets = match found.kind {
            FileType::Directory => 0,
            // What is coming in is counted already.
            FileType::RegularFile if !path::is_upload(found.name) => {
                let stat = statat(found.dir, found.name, AtFlags::SYMLINK_NOFOLLOW);
                stat.ok().and_then(|stat| u64::try_from(stat.st_size).ok()).unwrap_or(0)
            }
            _ => return,
        };
        sum = sum.saturating_add(taken_by(octets));
    });
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: SystemTime = SystemTime::UNIX_EPOCH;

    fn home() -> (tempfile::TempDir, Arc<Root>) {
        let home = tempfile::tempdir().expect("a directory");
        let root = Arc::new(Root::open(home.path()).expect("a root"));
        (home, root)
    }

    fn space(root: Arc<Root>, limits: Uploads) -> Arc<Space> {
        Arc::new(Space::new(root, limits))
    }

    fn blocks(count: u64) -> u64 {
        count * BLOCK_BYTES
    }

    #[test]
    fn only_so_many_requests_may_store_something_at_once() {
        let (_home, root) = home();
        let space = space(root, Uploads { at_once: 2, ..Uploads::default() });
        let turns = [space.turn().expect("the first"), space.turn().expect("the second")];
        assert_eq!(space.turn().map(drop), Err(Refusal::Busy));
        drop(turns);
        assert!(space.turn().is_ok());
    }

    #[test]
    fn what_is_there_and_what_is_coming_share_the_quota() {
        let (home, root) = home();
        std::fs::create_dir(home.path().join("dir")).expect("a directory");
        std::fs::write(home.path().join("dir/a"), vec![0; blocks(2) as usize]).expect("two");
        std::fs::write(home.path().join("empty"), "").expect("takes a block");
        let limits = Uploads { quota: Some(blocks(11)), keep_free: Some(0), ..Uploads::default() };
        let space = space(root, limits);
        let dir = std::fs::File::open(home.path()).expect("a directory");
        let claim = |announced| space.claim(&dir, announced, NOW);
        assert_eq!(claim(blocks(8)).map(drop), Err(Refusal::QuotaReached));
        let mut first = claim(blocks(7)).expect("just fits");
        first.grow(&dir, blocks(5)).expect("there is room for five of seven");
        let mut second = claim(1).expect("there is room for two more");
        assert_eq!(second.grow(&dir, blocks(2) + 1), Err(Refusal::QuotaReached));
        second.grow(&dir, blocks(1) + 1).expect("up to the last block");
        assert_eq!(claim(0).map(drop), Err(Refusal::QuotaReached));
        drop(second);
        first.settle(Some(blocks(2)));
        let rest = claim(blocks(4)).expect("one of two has been replaced");
        space.release(blocks(1));
        drop(rest);
        assert!(claim(blocks(5)).is_ok(), "and one has gone");
        assert_eq!(claim(blocks(6)).map(drop), Err(Refusal::QuotaReached));
    }

    /// Others write and remove files as well: what is there is counted, but not for every upload.
    #[test]
    fn a_tree_that_seems_full_is_counted_again_after_a_while() {
        let (home, root) = home();
        let file = home.path().join("theirs");
        std::fs::write(&file, vec![0; blocks(4) as usize]).expect("four");
        let limits = Uploads { quota: Some(blocks(5)), keep_free: Some(0), ..Uploads::default() };
        let space = space(root, limits);
        let dir = std::fs::File::open(home.path()).expect("a directory");
        let fits = |octets, now| space.claim(&dir, octets, now).is_ok();
        std::fs::remove_file(&file).expect("it is there");
        assert!(!fits(blocks(2), NOW));
        assert!(!fits(blocks(2), NOW + RECOUNT_FULL), "not at once");
        assert!(fits(blocks(2), NOW + RECOUNT_FULL * 2));
        std::fs::write(&file, vec![0; blocks(4) as usize]).expect("four");
        assert!(fits(blocks(2), NOW + RECOUNT), "it does not seem full");
        assert!(!fits(blocks(2), NOW + RECOUNT * 2));
        assert!(!fits(blocks(2), NOW), "nor when the clock is set back");
    }

    #[test]
    fn some_of_the_disk_stays_free() {
        let (home, root) = home();
        let space = space(root, Uploads { keep_free: Some(u64::MAX), ..Uploads::default() });
        let dir = std::fs::File::open(home.path()).expect("a directory");
        assert_eq!(space.claim(&dir, 0, NOW).map(drop), Err(Refusal::StorageFull));
    }

    /// An upload that began before the last count does not have the tree counted for each piece.
    #[test]
    fn a_count_is_not_outdated_by_an_older_upload() {
        let (home, root) = home();
        let limits = Uploads { quota: Some(blocks(9)), keep_free: Some(0), ..Uploads::default() };
        let space = space(root, limits);
        let dir = std::fs::File::open(home.path()).expect("a directory");
        let mut old = space.claim(&dir, 0, NOW).expect("an upload that takes long");
        let later = NOW + RECOUNT * 2;
        let _new = space.claim(&dir, 0, later).expect("has the tree counted");
        assert_eq!(space.usage().counted, Some(later));
        old.grow(&dir, 1).expect("there is room");
        assert_eq!(space.usage().counted, Some(later), "counted again, and as of long ago");
    }

    /// What lies deep is in the quota like everything else.
    #[test]
    fn a_count_goes_as_deep_as_files_do() {
        let (home, root) = home();
        let deep = home.path().join("d/".repeat(70));
        std::fs::create_dir_all(&deep).expect("directories");
        std::fs::write(deep.join("a"), vec![0; blocks(2) as usize]).expect("two");
        assert_eq!(count(&root), blocks(70 + 2));
    }
}
