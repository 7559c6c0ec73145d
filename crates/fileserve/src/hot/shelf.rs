//! What one worker keeps, and on which names and files each of it depends: a tree of watched
//! directories. A change takes out what depends on it, and nothing else.

use std::collections::HashMap;
use std::time::SystemTime;

use http_proto::server::Tick;

use super::gone::Gone;
use super::marks::Marks;
use super::page::Page;
use super::watch::{Change, Watch, WatchId};

/// How many kept pages are looked at for one that can give way.
const LOOKS_MAX: usize = 64;

/// What an entry takes beside its page: names, numbers, places in tables.
const ENTRY_BYTES: usize = 512;

/// How many directories are watched at most.
const DIRECTORIES_MAX: usize = 8192;

/// A place in `Shelf::entries`.
type Place = usize;

/// The pages that one worker keeps, by the path of the URL.
#[derive(Debug)]
pub(super) struct Shelf {
    pub(super) watch: Watch,
    limits: Limits,
    places: HashMap<Box<[u8]>, Place>,
    entries: Vec<Option<Entry>>,
    free: Vec<Place>,
    watched: HashMap<WatchId, Watched>,
    root: Option<WatchId>,
    directories: usize,
    bytes: usize,
    files: usize,
    /// What had changed by then has been taken out.
    caught_up: Option<Tick>,
    /// Where the search for one that gives way goes on.
    hand: Place,
    /// What was asked for and not kept at once.
    asked_for: Marks,
    /// What could not be kept, and in which tenth of a second.
    failed: Marks,
    /// What has been taken out, with open files.
    pub(super) gone: Gone,
}

/// Bounds of one shelf.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// Octets of content and heads.
    pub(super) bytes: usize,
    /// Pages.
    pub(super) pages: usize,
    /// Open files, with those that are not kept any more and not closed yet.
    pub(super) files: usize,
}

impl Limits {
    /// How many of the open files may only be such as are not kept any more, so that there is room
    /// for another one before they are closed.
    fn spare_files(&self) -> usize {
        self.files.div_ceil(4)
    }
}

#[derive(Debug)]
pub(super) struct Entry {
    path: Box<[u8]>,
    pub(super) page: Page,
    depends: Dependencies,
    bytes: usize,
    /// Asked for since the hand came by.
    used: bool,
    /// When it was last compared with what is on the disk.
    pub(super) checked: SystemTime,
}

/// What a page is made from.
#[derive(Clone, Debug, Default)]
pub(super) struct Dependencies {
    /// The directory that is read, and names in it, there or not.
    pub(super) dir: WatchId,
    pub(super) names: Vec<Box<[u8]>>,
    pub(super) files: Vec<WatchId>,
}

impl Dependencies {
    fn is_touched_by(&self, change: &Change) -> bool {
        match change {
            Change::Unknown => true,
            Change::Of(id) => *id == self.dir || self.files.contains(id),
            Change::In(dir, name) => *dir == self.dir && self.names.contains(name),
        }
    }
}

#[derive(Debug)]
enum Watched {
    Directory(Directory),
    /// The entries that depend on a file.
    File(Vec<Place>),
}

#[derive(Debug, Default)]
struct Directory {
    /// The directory that it is in, and its name there.
    parent: Option<(WatchId, Box<[u8]>)>,
    subdirectories: HashMap<Box<[u8]>, WatchId>,
    /// The entries that depend on a name.
    names: HashMap<Box<[u8]>, Vec<Place>>,
}

/// Which tenth of a second it is.
fn tenth(now: SystemTime) -> u32 {
    now.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |time| (time.as_millis() / 100) as u32)
}

impl Shelf {
    pub(super) fn new(watch: Watch, limits: Limits) -> Shelf {
        Shelf {
            watch,
            limits,
            places: HashMap::new(),
            entries: Vec::new(),
            free: Vec::new(),
            watched: HashMap::new(),
            root: None,
            directories: 0,
            bytes: 0,
            files: 0,
            caught_up: None,
            hand: 0,
            asked_for: Marks::default(),
            failed: Marks::default(),
            gone: Gone::default(),
        }
    }

    /// The page kept for a path.
    pub(super) fn find(&mut self, path: &[u8]) -> Option<&mut Entry> {
        let entry = self.entries[*self.places.get(path)?].as_mut()?;
        entry.used = true;
        Some(entry)
    }

    /// Takes out what had changed before a request was sent, of which the first octet had come by
    /// `arrived`. Most that are met in one wake-up of the worker had come by its beginning, and the
    /// kernel is asked for the first of them alone.
    pub(super) fn catch_up_for(&mut self, arrived: Option<Tick>) {
        let is_known = self.caught_up.zip(arrived).is_some_and(|(known, arrived)| known >= arrived);
        if !is_known {
            self.catch_up();
            self.caught_up = arrived;
        }
    }

    /// Takes out what has changed since this was last called.
    pub(super) fn catch_up(&mut self) {
        // Where nothing is kept nothing can be out of date.
        if !self.watched.is_empty() {
            self.catch_up_with(&Dependencies::default());
        }
    }

    /// The same; says whether something that is not kept yet has changed as well, if it depends on
    /// these.
    pub(super) fn catch_up_with(&mut self, depends: &Dependencies) -> bool {
        let mut touched = false;
        for change in self.watch.changes() {
            touched |= depends.is_touched_by(&change);
            match change {
                Change::Unknown => self.clear(),
                Change::Of(id) => self.changed(id),
                Change::In(dir, name) => self.name_changed(dir, &name),
            }
        }
        touched
    }

    /// Octets, paths and open files that are kept.
    #[cfg(test)]
    pub(super) fn holdings(&self) -> (usize, usize, usize) {
        (self.bytes, self.places.len(), self.files)
    }

    /// What is watched, and whether it is a directory, after a look at whether all that is kept
    /// depends on what is.
    #[cfg(test)]
    pub(super) fn watches(&self) -> std::collections::BTreeSet<(WatchId, bool)> {
        for entry in self.entries.iter().flatten() {
            assert!(entry.depends.files.iter().all(|id| self.watched.contains_key(id)));
            let mut dir = entry.depends.dir;
            while let Some(Watched::Directory(directory)) = self.watched.get(&dir)
                && let Some((above, name)) = &directory.parent
            {
                assert_eq!(self.subdirectory(*above, name), Some(dir));
                dir = *above;
            }
            assert_eq!(Some(dir), self.root);
        }
        let is_directory = |watched: &Watched| matches!(watched, Watched::Directory(_));
        self.watched.iter().map(|(id, watched)| (*id, is_directory(watched))).collect()
    }

    /// Takes everything out, which is to leave nothing.
    #[cfg(test)]
    pub(super) fn empty(&mut self) {
        self.clear();
        assert_eq!(self.holdings(), (0, 0, 0));
        assert!(self.watched.is_empty() && self.root.is_none());
        assert!(self.entries.iter().all(Option::is_none));
        assert_eq!(self.free.len(), self.entries.len());
    }

    /// Takes everything out.
    pub(super) fn clear(&mut self) {
        if let Some(root) = self.root {
            self.forget_directory(root);
        }
    }

    fn changed(&mut self, id: WatchId) {
        match self.watched.get(&id) {
            Some(Watched::Directory(_)) => self.forget_directory(id),
            Some(Watched::File(places)) => places.clone().into_iter().for_each(|p| self.remove(p)),
            // Of something let go of meanwhile.
            None => {}
        }
    }

    fn name_changed(&mut self, dir: WatchId, name: &[u8]) {
        let Some(Watched::Directory(directory)) = self.watched.get(&dir) else { return };
        let places = directory.names.get(name).cloned().unwrap_or_default();
        if let Some(&subdirectory) = directory.subdirectories.get(name) {
            self.forget_directory(subdirectory);
        }
        places.into_iter().for_each(|place| self.remove(place));
    }

    /// The watch of the root, if there is one.
    pub(super) fn root(&self) -> Option<WatchId> {
        self.root
    }

    /// The watch of a directory in a watched one.
    pub(super) fn subdirectory(&self, dir: WatchId, name: &[u8]) -> Option<WatchId> {
        match self.watched.get(&dir)? {
            Watched::Directory(directory) => directory.subdirectories.get(name).copied(),
            Watched::File(_) => None,
        }
    }

    /// Takes note of a directory that is watched now: the root, or one in a watched one. `false`
    /// when it is another path's already, so that its changes could not be told apart.
    pub(super) fn add_directory(&mut self, id: WatchId, parent: Option<(WatchId, &[u8])>) -> bool {
        if self.watched.contains_key(&id) {
            return false;
        }
        match parent {
            None => self.root = Some(id),
            Some((dir, name)) => match self.watched.get_mut(&dir) {
                Some(Watched::Directory(directory)) => {
                    directory.subdirectories.insert(name.into(), id);
                }
                _ => return false,
            },
        }
        let parent = parent.map(|(dir, name)| (dir, name.into()));
        self.watched.insert(id, Watched::Directory(Directory { parent, ..Directory::default() }));
        self.directories += 1;
        true
    }

    /// Keeps a page for a path. `false` when there is no room, or what it depends on is not
    /// watched.
    pub(super) fn insert(
        &mut self,
        path: &[u8],
        page: Page,
        depends: Dependencies,
        now: SystemTime,
    ) -> bool {
        if let Some(&old) = self.places.get(path) {
            self.remove(old);
        }
        let bytes = ENTRY_BYTES + path.len() + page.bytes();
        let files = page.files();
        let is_known = |shelf: &Shelf, id: &WatchId| shelf.watched.contains_key(id);
        let shared: Vec<_> =
            depends.files.iter().copied().filter(|id| is_known(self, id)).collect();
        // What makes room may have been the one that a file was watched for.
        if !self.make_room(bytes, files) || !shared.iter().all(|id| is_known(self, id)) {
            self.release(&depends);
            return false;
        }
        let Some(Watched::Directory(directory)) = self.watched.get_mut(&depends.dir) else {
            self.release(&depends);
            return false;
        };
        let place = self.free.pop().unwrap_or(self.entries.len());
        for name in &depends.names {
            directory.names.entry(name.clone()).or_default().push(place);
        }
        for id in &depends.files {
            match self.watched.entry(*id).or_insert_with(|| Watched::File(Vec::new())) {
                Watched::File(places) => places.push(place),
                Watched::Directory(_) => {}
            }
        }
        self.bytes += bytes;
        self.files += files;
        self.places.insert(path.into(), place);
        let entry = Entry { path: path.into(), page, depends, bytes, used: false, checked: now };
        match self.entries.get_mut(place) {
            Some(free) => *free = Some(entry),
            None => self.entries.push(Some(entry)),
        }
        true
    }

    /// Takes out the page for a path.
    pub(super) fn forget(&mut self, path: &[u8]) {
        if let Some(&place) = self.places.get(path) {
            self.remove(place);
        }
    }

    /// Whether a path that is not kept is to be: always while there is room. Then only if it was
    /// asked for before not long ago, so that whoever asks for everything once takes nobody's room.
    /// Not where it has just come to nothing, since trying costs more than to go without.
    pub(super) fn admits(&mut self, path: &[u8], now: SystemTime) -> bool {
        if self.failed.holds(path, tenth(now)) {
            return false;
        }
        let has_room =
            self.places.len() < self.limits.pages / 8 * 7 && self.bytes < self.limits.bytes / 8 * 7;
        has_room || self.was_asked_for(path)
    }

    /// Whether a path was asked for before, as far as is remembered; it is from now on.
    pub(super) fn was_asked_for(&mut self, path: &[u8]) -> bool {
        self.asked_for.put(path, 0)
    }

    /// Whether there is a page for a path.
    pub(super) fn holds(&self, path: &[u8]) -> bool {
        self.places.contains_key(path)
    }

    /// Takes note that a path could not be kept.
    pub(super) fn note_failure(&mut self, path: &[u8], now: SystemTime) {
        self.failed.put(path, tenth(now));
    }

    /// Lets what has not been asked for lately go, until there is room for a page that takes so
    /// much.
    fn make_room(&mut self, bytes: usize, files: usize) -> bool {
        let files_max = self.limits.files - self.limits.spare_files();
        // To let go of one closes nothing yet.
        let has_descriptors = self.files + self.gone.files() + files <= self.limits.files;
        if files > files_max || files > 0 && !has_descriptors {
            return false;
        }
        for _ in 0..LOOKS_MAX {
            let has_files = self.files + files <= files_max;
            let has_room =
                self.bytes + bytes <= self.limits.bytes && self.places.len() < self.limits.pages;
            if has_files && has_room {
                return true;
            }
            if self.entries.is_empty() {
                return false;
            }
            self.hand = (self.hand + 1) % self.entries.len();
            match &mut self.entries[self.hand] {
                // It would be of no help.
                Some(entry) if has_room && entry.page.files() == 0 => {}
                Some(entry) if entry.used => entry.used = false,
                Some(_) => self.remove(self.hand),
                None => {}
            }
        }
        false
    }

    fn remove(&mut self, place: Place) {
        let Some(entry) = self.entries.get_mut(place).and_then(Option::take) else { return };
        self.places.remove(&entry.path);
        self.free.push(place);
        self.bytes -= entry.bytes;
        self.release_for(&entry.depends, Some(place));
        self.files -= entry.page.files();
        if entry.page.files() > 0 {
            self.gone.put(entry.page);
        }
    }

    /// Whether there is so much to close that there may soon be no room for more; once, until it is
    /// taken.
    pub(super) fn calls_for_closing(&mut self) -> bool {
        self.gone.calls_for_closing(self.limits.spare_files() / 2)
    }

    /// Stops watching what a page that is not kept after all would have depended on.
    pub(super) fn release(&mut self, depends: &Dependencies) {
        self.release_for(depends, None);
    }

    /// Lets go of what nobody depends on any more, but for the entry at `place`.
    fn release_for(&mut self, depends: &Dependencies, place: Option<Place>) {
        for id in &depends.files {
            let places = match self.watched.get_mut(id) {
                Some(Watched::File(places)) => places,
                Some(Watched::Directory(_)) => continue,
                None => {
                    self.watch.remove(*id);
                    continue;
                }
            };
            places.retain(|other| Some(*other) != place);
            if places.is_empty() {
                self.watched.remove(id);
                self.watch.remove(*id);
            }
        }
        if let Some(Watched::Directory(directory)) = self.watched.get_mut(&depends.dir) {
            for name in &depends.names {
                if let Some(places) = directory.names.get_mut(name) {
                    places.retain(|other| Some(*other) != place);
                    if places.is_empty() {
                        directory.names.remove(name);
                    }
                }
            }
        }
    }

    /// Lets go of the directories in which nothing is kept.
    pub(super) fn sweep(&mut self) {
        loop {
            let is_empty = |(id, watched): (&WatchId, &Watched)| match watched {
                Watched::Directory(directory)
                    if directory.names.is_empty() && directory.subdirectories.is_empty() =>
                {
                    Some(*id)
                }
                _ => None,
            };
            let empty: Vec<_> = self.watched.iter().filter_map(is_empty).collect();
            if empty.is_empty() {
                return;
            }
            // The directory above may be empty without it.
            empty.into_iter().for_each(|id| self.detach(id));
        }
    }

    /// Whether no more directories are to be watched, until some have been let go of.
    pub(super) fn has_too_many_directories(&self) -> bool {
        self.directories >= DIRECTORIES_MAX
    }

    /// Takes out all that is kept beneath a directory, and stops watching it.
    fn forget_directory(&mut self, id: WatchId) {
        let Some(Watched::Directory(directory)) = self.watched.get(&id) else { return };
        let subdirectories: Vec<_> = directory.subdirectories.values().copied().collect();
        let places: Vec<_> = directory.names.values().flatten().copied().collect();
        for subdirectory in subdirectories {
            self.forget_directory(subdirectory);
        }
        for place in places {
            self.remove(place);
        }
        self.detach(id);
    }

    fn detach(&mut self, id: WatchId) {
        let Some(Watched::Directory(directory)) = self.watched.remove(&id) else { return };
        self.directories -= 1;
        self.watch.remove(id);
        match directory.parent {
            None => self.root = None,
            Some((parent, name)) => {
                if let Some(Watched::Directory(parent)) = self.watched.get_mut(&parent) {
                    parent.subdirectories.remove(&name);
                }
            }
        }
    }
}
