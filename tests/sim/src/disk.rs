//! Knows what every file has held and when, whoever wrote it, and plays the program beside the
//! server that writes in the same tree.

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tempfile::TempDir;

use crate::random::Random;
use crate::setup::Setup;

/// The files that there may be: the name beneath the root, and the longest content.
const NAMES: [(&str, usize); 11] = [
    ("a.txt", 2_000),
    ("b.bin", 150_000),
    ("d/index.html", 3_000),
    ("d/c.html", 17_000),
    ("d/e.bin", 80_000),
    ("d/f.txt", 300),
    ("up/x.bin", 90_000),
    ("up/y.txt", 1_000),
    ("up/z", 20_000),
    ("new/deep/g.bin", 6_000),
    ("d/long.html", 1_300_000),
];

/// The one of these for which directories have to be made.
pub(crate) const DEEP: usize = NAMES.len() - 2;

/// The text of these that is too long to be compressed at once. It costs more than all others, so
/// that few runs have it.
pub(crate) const LONG: usize = NAMES.len() - 1;

/// The directory that forms bring files for.
pub(crate) const UPLOADS: &str = "up";

/// The directory that has many names, where there is one.
pub(crate) const MANY: &str = "many";

/// How many it has. The list of them is longer than 64 KiB.
pub(crate) const MANY_NAMES: usize = 95;

/// How each of them begins.
pub(crate) const MANY_PREFIX: &str = "one-of-many-";

/// Where forms of pages are kept, beside the root.
const FORMS: &str = "forms";

/// How the names of unfinished uploads start.
const HIDDEN: &str = ".httpd-upload-";

/// One content that a file has had, or is to have. No two are the same.
pub(crate) type VersionId = usize;

/// A file that is there, or is not.
pub(crate) struct Tracked {
    pub(crate) name: String,
    length_max: usize,
    /// From the first event on; never empty.
    history: Vec<Span>,
    /// What the disk said of it when it was last looked at.
    seen: Option<Seen>,
}

/// What a file is, from an event until the next one.
#[derive(Clone, Copy)]
struct Span {
    since: u64,
    state: Option<VersionId>,
    /// The file is the same one as before, with other content.
    in_place: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
struct Seen {
    inode: u64,
    length: u64,
    modified: SystemTime,
    changed: (i64, i64),
}

/// What a write of the server's has come to.
pub(crate) struct Change {
    pub(crate) file: usize,
    pub(crate) state: Option<VersionId>,
}

/// A tree in a directory of its own.
pub(crate) struct Disk {
    home: TempDir,
    pub(crate) files: Vec<Tracked>,
    versions: Vec<Arc<[u8]>>,
    /// The files that most of it is about: the fewer, the more happens to each.
    focus: Vec<usize>,
    /// Counts what happens: the time of the model.
    pub(crate) event: u64,
    /// When the run began, by the clock of the file system.
    pub(crate) began: SystemTime,
    stamps: u64,
    pub(crate) has_long: bool,
    /// How many forms have been made up for pages.
    pub(crate) submissions: usize,
}

impl Disk {
    /// A tree in which about three in four of the files are whose directories are there.
    pub(crate) fn new(random: &mut Random, setup: &Setup) -> Disk {
        // In memory, where there is such a place: nothing here is about how a disk works.
        let memory = std::path::Path::new("/dev/shm");
        let home = match memory.is_dir() {
            true => tempfile::tempdir_in(memory),
            false => tempfile::tempdir(),
        };
        let home = home.expect("a place for temporary files");
        for dir in ["root/d", "root/up", "aside", FORMS] {
            fs::create_dir_all(home.path().join(dir)).expect("room in a new directory");
        }
        let files = NAMES.map(|(name, length_max)| Tracked::new(name, length_max));
        let mut disk = Disk {
            home,
            files: files.into(),
            versions: Vec::new(),
            focus: Vec::new(),
            event: 1,
            began: SystemTime::now(),
            stamps: 0,
            has_long: setup.has_long,
            submissions: 0,
        };
        for file in 0..NAMES.len() {
            let is_meant = file != LONG || setup.has_long;
            if is_meant && !random.once_in(4) && disk.has_place(file) {
                disk.replace(file, random, disk.began);
            }
        }
        if setup.has_many {
            let many = disk.root().join(MANY);
            fs::create_dir(&many).expect("room in a new directory");
            for number in 0..MANY_NAMES {
                let name = format!("{MANY_PREFIX}{number:0>230}");
                File::create(many.join(name)).expect("room in a new directory");
            }
        }
        if setup.has_long {
            disk.focus.push(LONG);
        }
        for _ in 0..random.pick(&[1, 2, 4, 16]) {
            let file = disk.pick_any(random);
            disk.focus.push(file);
        }
        disk
    }

    /// A file that something is about to be done with.
    pub(crate) fn pick(&self, random: &mut Random) -> usize {
        match random.once_in(8) {
            true => self.pick_any(random),
            false => random.pick(&self.focus),
        }
    }

    fn pick_any(&self, random: &mut Random) -> usize {
        match random.below(self.files.len()) {
            LONG if !self.has_long => 0,
            file => file,
        }
    }

    /// Whether the directory of a file is there.
    fn has_place(&self, file: usize) -> bool {
        self.path(file).parent().is_some_and(|dir| dir.is_dir())
    }

    pub(crate) fn root(&self) -> PathBuf {
        self.home.path().join("root")
    }

    pub(crate) fn forms(&self) -> PathBuf {
        self.home.path().join(FORMS)
    }

    /// In how many lines of the forms that are kept a text stands.
    ///
    /// # Errors
    /// When some line is none.
    pub(crate) fn lines_with(&self, text: &str) -> Result<usize, String> {
        let mut count = 0;
        for entry in fs::read_dir(self.forms()).map_err(|e| e.to_string())? {
            let path = entry.map_err(|e| e.to_string())?.path();
            let all = fs::read_to_string(path).map_err(|e| e.to_string())?;
            for line in all.split_inclusive('\n') {
                if !line.starts_with('{') || !line.ends_with("}\n") {
                    return Err(format!("half a form is kept: {line}"));
                }
                count += usize::from(line.contains(text));
            }
        }
        Ok(count)
    }

    pub(crate) fn content(&self, version: VersionId) -> &Arc<[u8]> {
        &self.versions[version]
    }

    /// A new content for a file, which says at every place what it is.
    pub(crate) fn plan(&mut self, file: usize, random: &mut Random) -> VersionId {
        let most = self.files[file].length_max;
        let length = match random.below(16) {
            0 => 0,
            1 => 1,
            2 => most,
            3 => most.min(16 * 1024) + random.below(2),
            4 => most.min(64 * 1024) + random.below(2),
            _ if file == LONG => most - random.below(most / 6),
            _ => random.below(most),
        };
        self.version(file, length)
    }

    fn version(&mut self, file: usize, length: usize) -> VersionId {
        let number = self.versions.len();
        let lines = length.div_ceil(LINE);
        let mut octets = Vec::with_capacity(lines * LINE);
        for line in 0..lines {
            put_line(&mut octets, file, number, line);
        }
        octets.truncate(length);
        self.versions.push(octets.into());
        number
    }

    fn path(&self, file: usize) -> PathBuf {
        self.root().join(&self.files[file].name)
    }

    /// What a file may be found to be by whoever looks from event `from` to event `to`.
    pub(crate) fn states(&self, file: usize, from: u64, to: u64) -> Vec<Option<VersionId>> {
        let history = &self.files[file].history;
        let first = history.partition_point(|span| span.since <= from).saturating_sub(1);
        let spans = history[first..].iter().take_while(|span| span.since <= to);
        let mut states: Vec<_> = spans.map(|span| span.state).collect();
        states.dedup();
        states
    }

    /// Whether the content of a file was changed in place between the two.
    pub(crate) fn is_changed_in_place(&self, file: usize, from: u64, to: u64) -> bool {
        let history = self.files[file].history.iter();
        history.filter(|span| span.since > from && span.since <= to).any(|span| span.in_place)
    }

    /// Whether one of these states is certainly one of these versions.
    pub(crate) fn is_one_of(&self, states: &[Option<VersionId>], versions: &[VersionId]) -> bool {
        let mut certain = states.iter().flatten().filter(|&&v| self.versions[v].len() >= TOLD_BY);
        certain.any(|version| versions.contains(version))
    }

    /// How often a file was changed between the two.
    pub(crate) fn changes(&self, file: usize, from: u64, to: u64) -> usize {
        let history = self.files[file].history.iter();
        history.filter(|span| span.since > from && span.since <= to).count()
    }

    /// What a file is now.
    pub(crate) fn state(&self, file: usize) -> Option<VersionId> {
        self.files[file].history.last().and_then(|span| span.state)
    }

    fn note(&mut self, file: usize, state: Option<VersionId>, in_place: bool) {
        self.event += 1;
        let seen = look(&self.path(file));
        let file = &mut self.files[file];
        file.seen = seen;
        file.history.push(Span { since: self.event, state, in_place });
    }

    /// The other program does something to some file. Says what, for people.
    pub(crate) fn disturb(&mut self, random: &mut Random, now: SystemTime) -> String {
        let file = self.pick(random);
        let Some(current) = self.state(file) else {
            if !self.has_place(file) {
                return format!("no place for {}", self.shown(file));
            }
            self.replace(file, random, now);
            return format!("{} made", self.shown(file));
        };
        let did = match random.below(8) {
            0 => {
                fs::remove_file(self.path(file)).expect("it is there");
                self.note(file, None, false);
                "removed"
            }
            1 => {
                let length = random.below(self.versions[current].len() + 1);
                let octets = self.versions[current][..length].into();
                self.rewrite(file, octets, random, now, |file, octets| {
                    file.set_len(octets.len() as u64)
                });
                "cut short"
            }
            2 => {
                let more = self.version(file, 1 + random.below(500));
                let octets = [&*self.versions[current], &*self.versions[more]].concat().into();
                let at = self.versions[current].len();
                self.rewrite(file, octets, random, now, |file, octets| {
                    file.write_all_at(&octets[at..], at as u64)
                });
                "appended to"
            }
            3 | 4 => {
                let other = match random.once_in(2) {
                    true => self.version(file, self.versions[current].len()),
                    false => self.plan(file, random),
                };
                let octets = Arc::clone(&self.versions[other]);
                self.rewrite(file, octets, random, now, |file, octets| {
                    file.set_len(octets.len() as u64)?;
                    file.write_all_at(octets, 0)
                });
                "rewritten"
            }
            5 => {
                let octets = Arc::clone(&self.versions[current]);
                self.rewrite(file, octets, random, now, |_, _| Ok(()));
                "dated anew"
            }
            _ => {
                self.replace(file, random, now);
                "replaced"
            }
        };
        format!("{} {did}", self.shown(file))
    }

    fn shown(&self, file: usize) -> String {
        let state = match self.state(file) {
            Some(version) => format!("v{version}, {} octets", self.versions[version].len()),
            None => "none".to_owned(),
        };
        format!("{} ({state})", self.files[file].name)
    }

    /// Puts a new file in the place of another, or of none, in one step.
    fn replace(&mut self, file: usize, random: &mut Random, now: SystemTime) {
        let version = self.plan(file, random);
        let aside = self.home.path().join("aside/file");
        let mut made = File::create(&aside).expect("room on the disk");
        made.write_all(&self.versions[version]).expect("room on the disk");
        made.set_modified(self.stamp(random, now)).expect("it is ours");
        fs::rename(&aside, self.path(file)).expect("the directory is there");
        self.note(file, Some(version), false);
    }

    /// Changes what is in a file, and when that was. `octets` is what it then holds.
    fn rewrite(
        &mut self,
        file: usize,
        octets: Arc<[u8]>,
        random: &mut Random,
        now: SystemTime,
        write: impl FnOnce(&File, &[u8]) -> std::io::Result<()>,
    ) {
        let opened = File::options().write(true).open(self.path(file)).expect("it is there");
        write(&opened, &octets).expect("room on the disk");
        opened.set_modified(self.stamp(random, now)).expect("it is ours");
        drop(opened);
        self.versions.push(octets);
        self.note(file, Some(self.versions.len() - 1), true);
    }

    /// A time of its own for each change: mostly of old, or else of just now, or ahead of the
    /// clock. Set rather than taken from the kernel, since a run must not depend on how fast it is.
    fn stamp(&mut self, random: &mut Random, now: SystemTime) -> SystemTime {
        self.stamps += 1;
        let own = Duration::from_micros(self.stamps) + Duration::from_nanos(1);
        match random.below(16) {
            0 | 1 => now + own,
            2 => self.began + Duration::from_secs(100 * 24 * 3600) + own,
            _ => self.began - Duration::from_secs(24 * 3600) + own,
        }
    }

    /// Looks what the server has changed since event `from`. It may only have put `planned`
    /// contents there, whole, or removed a file, or put back what was there in the meantime.
    pub(crate) fn observe(
        &mut self,
        planned: &[VersionId],
        from: u64,
    ) -> Result<Vec<Change>, String> {
        let mut changes = Vec::new();
        self.track_new_names()?;
        for file in 0..self.files.len() {
            let path = self.path(file);
            let seen = look(&path);
            let before = self.files[file].seen;
            if seen == before {
                continue;
            }
            // The same file, which has had another name or one more meanwhile.
            if let (Some(now), Some(before)) = (seen, before)
                && (Seen { changed: before.changed, ..now }) == before
            {
                self.files[file].seen = seen;
                continue;
            }
            let state = match seen {
                None => None,
                Some(_) => {
                    let octets = fs::read(&path).map_err(|error| error.to_string())?;
                    let earlier = self.states(file, from, self.event).into_iter().flatten();
                    let mut known = planned.iter().copied().chain(earlier);
                    let found = known.find(|&version| *self.versions[version] == octets[..]);
                    Some(found.ok_or_else(|| {
                        let name = &self.files[file].name;
                        let start = octets[..octets.len().min(16)].escape_ascii();
                        format!("{name} holds what nobody sent: {} of \"{start}\"", octets.len())
                    })?)
                }
            };
            self.note(file, state, false);
            changes.push(Change { file, state });
        }
        Ok(changes)
    }

    /// A form may bring files of any name.
    fn track_new_names(&mut self) -> Result<(), String> {
        let entries = fs::read_dir(self.root().join(UPLOADS)).map_err(|e| e.to_string())?;
        for entry in entries {
            let name = entry.map_err(|e| e.to_string())?.file_name();
            let name = format!("{UPLOADS}/{}", name.to_string_lossy());
            let is_known = self.files.iter().any(|file| file.name == name);
            if !is_known && !name.contains(HIDDEN) {
                self.files.push(Tracked::new(&name, 1_000));
            }
        }
        Ok(())
    }

    /// Names of unfinished uploads that are still there.
    pub(crate) fn leftovers(&self) -> Vec<String> {
        let dirs = ["", "d", UPLOADS, "new", "new/deep"].map(|dir| self.root().join(dir));
        let names = dirs.iter().filter_map(|dir| fs::read_dir(dir).ok()).flatten().flatten();
        let names = names.map(|entry| entry.file_name().to_string_lossy().into_owned());
        names.filter(|name| name.starts_with(HIDDEN)).collect()
    }
}

impl Tracked {
    fn new(name: &str, length_max: usize) -> Tracked {
        let none = Span { since: 0, state: None, in_place: false };
        Tracked { name: name.to_owned(), length_max, history: vec![none], seen: None }
    }
}

fn look(path: &std::path::Path) -> Option<Seen> {
    let found = fs::symlink_metadata(path).ok()?;
    Some(Seen {
        inode: found.ino(),
        length: found.len(),
        modified: found.modified().ok()?,
        changed: (found.ctime(), found.ctime_nsec()),
    })
}

/// Octets of content that tell a version from others of its file; shorter ones may be the same.
const TOLD_BY: usize = 7;

/// Octets of a line of content.
const LINE: usize = 16;

/// `FFVVVVVIIIIIIII\n`: which file, which version, which line of it, in hexadecimal.
fn put_line(octets: &mut Vec<u8>, file: usize, version: usize, line: usize) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    for (number, digits) in [(file, 2), (version, 5), (line, 8)] {
        for digit in (0..digits).rev() {
            octets.push(DIGITS[number >> (4 * digit) & 15]);
        }
    }
    octets.push(b'\n');
}
