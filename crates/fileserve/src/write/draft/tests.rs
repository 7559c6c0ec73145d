//! What becomes of a draft, unnamed and named.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::time::Instant;

use tempfile::TempDir;

use super::*;
use crate::root::Root;

/// A directory with what it takes to write in it.
struct Desk {
    home: TempDir,
    dir: Arc<OwnedFd>,
    sweeper: Arc<Sweeper>,
}

impl Desk {
    fn new() -> Desk {
        let home = tempfile::tempdir().unwrap();
        let root = Arc::new(Root::open(home.path()).unwrap());
        let dir = Arc::new(OwnedFd::from(File::open(home.path()).unwrap()));
        Desk { home, dir, sweeper: Arc::new(Sweeper::start(root).unwrap()) }
    }

    fn draft(&self, unnamed: bool, content: &str) -> Draft {
        let draft = Draft::new(Arc::clone(&self.dir), unnamed, &self.sweeper).unwrap();
        draft.write(content.as_bytes()).unwrap();
        draft
    }

    fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(self.home.path()).unwrap();
        let mut names: Vec<_> =
            entries.map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    fn content(&self, name: &str) -> String {
        fs::read_to_string(self.home.path().join(name)).unwrap()
    }

    /// What is dropped goes on a thread of its own.
    #[track_caller]
    fn soon_has(&self, names: &[&str]) {
        let start = Instant::now();
        while self.names() != names {
            assert!(start.elapsed() < Duration::from_secs(60), "there is {:?}", self.names());
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

/// Both ways, where the file system has the one.
fn both() -> impl Iterator<Item = (Desk, bool)> {
    let unnamed = [true, false].into_iter().map(|unnamed| (Desk::new(), unnamed));
    unnamed.filter(|(desk, unnamed)| {
        let can = !unnamed || can_be_unnamed(&desk.dir);
        if !can {
            eprintln!("skipped: no unnamed files in {}", desk.home.path().display());
        }
        can
    })
}

#[test]
fn an_unnamed_draft_has_no_name_and_a_named_one_a_hidden_one() {
    for (desk, unnamed) in both() {
        assert_eq!(desk.names(), [""; 0], "nothing is left of the trial");
        let draft = desk.draft(unnamed, "half of");
        let names = desk.names();
        match unnamed {
            true => assert_eq!(names, [""; 0]),
            false => assert!(crate::path::is_upload(names[0].as_bytes()), "{names:?}"),
        }
        drop(draft);
        desk.soon_has(&[]);
    }
}

#[test]
fn a_draft_gets_a_name_only_if_nothing_has_it() {
    for (desk, unnamed) in both() {
        desk.draft(unnamed, "first").create(&desk.dir, b"a").unwrap();
        let mut second = desk.draft(unnamed, "second");
        assert_eq!(second.create(&desk.dir, b"a"), Err(Unplaced::Taken), "unnamed: {unnamed}");
        second.create(&desk.dir, b"b").unwrap();
        drop(second);
        assert_eq!(desk.names(), ["a", "b"]);
        assert_eq!((desk.content("a"), desk.content("b")), ("first".into(), "second".into()));
    }
}

#[test]
fn a_draft_that_replaces_a_file_leaves_nothing_else() {
    for (desk, unnamed) in both() {
        fs::write(desk.home.path().join("a"), "old").unwrap();
        fs::create_dir(desk.home.path().join("dir")).unwrap();
        desk.draft(unnamed, "new").replace(&desk.dir, b"a").unwrap();
        assert_eq!(
            (desk.content("a"), desk.names()),
            ("new".into(), vec!["a".into(), "dir".into()])
        );
        let mut other = desk.draft(unnamed, "other");
        let refused = other.replace(&desk.dir, b"dir");
        assert_eq!(refused, Err(Unplaced::Refused(Refusal::IsDirectory)), "unnamed: {unnamed}");
        drop(other);
        desk.soon_has(&["a", "dir"]);
    }
}

#[test]
fn what_was_swapped_can_be_put_back_and_goes_if_it_is_not() {
    for (desk, unnamed) in both() {
        fs::write(desk.home.path().join("a"), "old").unwrap();
        let mut draft = desk.draft(unnamed, "new");
        if !draft.swap(&desk.dir, b"a").unwrap() {
            return eprintln!("skipped: files cannot change places here");
        }
        assert_eq!(desk.content("a"), "new");
        draft.swap_back(&desk.dir, b"a");
        assert_eq!(desk.content("a"), "old");
        drop(draft);
        desk.soon_has(&["a"]);
        let mut draft = desk.draft(unnamed, "new");
        assert_eq!(draft.swap(&desk.dir, b"a"), Ok(true));
        drop(draft);
        desk.soon_has(&["a"]);
        assert_eq!(desk.content("a"), "new");
    }
}

#[test]
fn a_draft_is_as_private_as_what_it_replaces_from_the_beginning() {
    for (desk, unnamed) in both() {
        let mut draft = desk.draft(unnamed, "");
        draft.take_mode(0o4751).unwrap();
        assert_eq!(draft.file().metadata().unwrap().permissions().mode() & 0o7777, 0o751);
        draft.create(&desk.dir, b"a").unwrap();
        let mode = fs::metadata(desk.home.path().join("a")).unwrap().mode();
        assert_eq!(mode & 0o7777, 0o751);
    }
}

#[test]
fn a_hidden_name_that_is_left_over_is_passed_by() {
    // Without a sweeper, which would take them for what they are.
    let home = tempfile::tempdir().unwrap();
    let make = |name: &[u8]| {
        let path = home.path().join(String::from_utf8_lossy(name).into_owned());
        File::create_new(path).map_err(|error| Errno::from_io_error(&error).unwrap())
    };
    let names: Vec<_> = (0..3).map(|_| under_hidden_name(7, make).unwrap().1).collect();
    assert_eq!(fs::read_dir(home.path()).unwrap().count(), 3, "{names:?}");
}

/// It may have to be put back, whatever is swept meanwhile.
#[test]
fn what_was_swapped_is_not_taken_for_a_leftover() {
    let desk = Desk::new();
    fs::write(desk.home.path().join("a"), "old").unwrap();
    let mut draft = desk.draft(false, "new");
    if !draft.swap(&desk.dir, b"a").unwrap() {
        return eprintln!("skipped: files cannot change places here");
    }
    // So many that some are found after it, in whichever order they are.
    for n in 0..20 {
        fs::write(desk.home.path().join(format!("{UPLOAD_PREFIX}1-{n}")), "left").unwrap();
    }
    let root = Arc::new(Root::open(desk.home.path()).unwrap());
    let sweeper = Sweeper::start(root).unwrap();
    let start = Instant::now();
    while desk.names().len() > 2 {
        assert!(start.elapsed() < Duration::from_secs(60), "there is {:?}", desk.names());
        std::thread::sleep(Duration::from_millis(1));
    }
    drop(sweeper);
    draft.swap_back(&desk.dir, b"a");
    assert_eq!(desk.content("a"), "old");
}

/// As after a kill -9: names remain, locks do not.
#[test]
fn what_an_earlier_run_has_left_is_removed_at_the_start_and_nothing_else() {
    let home = tempfile::tempdir().unwrap();
    let at = |name: &str| home.path().join(name);
    fs::create_dir_all(at("dir/.git/deep")).unwrap();
    let left = format!("{UPLOAD_PREFIX}1-1");
    for name in ["a", ".hidden", "dir/.httpd-uploads", "dir/.git/deep/file"] {
        fs::write(at(name), name).unwrap();
    }
    for dir in ["", "dir", "dir/.git/deep"] {
        fs::write(at(dir).join(&left), "left").unwrap();
    }
    fs::create_dir(at("dir/.httpd-upload-dir")).unwrap();
    std::os::unix::fs::symlink("a", at("dir/.httpd-upload-link")).unwrap();
    // Of another server on the same tree, which is at work.
    let busy = File::create(at("dir/.httpd-upload-2-2")).unwrap();
    flock(&busy, FlockOperation::NonBlockingLockExclusive).unwrap();
    let root = Arc::new(Root::open(home.path()).unwrap());
    let sweeper = Sweeper::start(root).unwrap();
    let gone = |dir: &str| !at(dir).join(&left).exists();
    let start = Instant::now();
    while !["", "dir", "dir/.git/deep"].into_iter().all(gone) {
        assert!(start.elapsed() < Duration::from_secs(60), "it is still there");
        std::thread::sleep(Duration::from_millis(1));
    }
    drop(sweeper);
    for name in
        ["a", ".hidden", "dir/.httpd-uploads", "dir/.git/deep/file", "dir/.httpd-upload-2-2"]
    {
        assert!(at(name).exists(), "{name}");
    }
    assert!(at("dir/.httpd-upload-dir").is_dir() && at("dir/.httpd-upload-link").is_symlink());
}
