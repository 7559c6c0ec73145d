//! Keeps what is asked for often: short files in memory and longer ones open, each with the head of
//! its answer, and which names there are none of.
//!
//! Nothing kept is out of date: the kernel is asked to tell of every change to a file or a
//! directory on the way to it, and is listened to before an answer unless it has been since the
//! request came; for the few that it does not tell of see [`CHECK_AFTER`]. Where it cannot tell,
//! nothing is kept, and every request opens its file: on a network file system, behind a symbolic
//! link, beyond the number of watches that a user may have. Nor is anything kept of a file system
//! that cannot be read in memory alone, as tmpfs and overlayfs cannot.
//!
//! Each worker keeps for itself, so that none waits for another.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::thread;
use std::time::Duration;

use http_proto::server::{Body, Request, Response};
use http_proto::{FieldBlock, Method, Status, Target};

use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};

use crate::faults;
use crate::files::{self, Files};
use crate::path::RelPath;
use crate::refusal::Refusal;
use crate::representation::{self, Representation, SIBLINGS};
use crate::root::{Kind, Looked, Opened, Root};
use crate::{compress, get};
use page::{Answer, Form, Page};
use shelf::{Dependencies, Limits, Shelf};
use watch::Watch;

mod gone;
mod marks;
mod page;
mod shelf;
mod watch;

/// How long something is kept before it is looked at anew, whatever the kernel tells. Of what a
/// program writes to a file through its memory (`mmap`) or as asynchronous I/O (`io_submit`), and
/// of a file system mounted over a directory, it tells nothing, or not before the file is closed.
const CHECK_AFTER: Duration = Duration::from_secs(5);

/// What is kept at most, by all workers together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CacheLimits {
    /// Octets of content and heads. 0 to keep nothing.
    pub bytes: usize,
    /// Paths.
    pub paths: usize,
    /// Open files, with those that are let go of and not closed yet.
    pub files: usize,
}

impl Default for CacheLimits {
    /// 128 MiB, 64 Ki paths, 512 open files.
    fn default() -> CacheLimits {
        CacheLimits { bytes: 128 * 1024 * 1024, paths: 64 * 1024, files: 512 }
    }
}

/// How long the thread that looks after what is kept waits for a change; then it looks whether it
/// is still needed.
const IDLE: Timespec = Timespec { tv_sec: 5, tv_nsec: 0 };

/// After how many floods of changes, if there is no pause, directories are let go of in which
/// nothing is kept. Not at once: to watch one again costs the more the more names in it the kernel
/// has in memory, 15 ms for 300,000.
const FLOODS: u32 = 20;

/// How many directories deep a file may lie to be kept.
const DEPTH_MAX: usize = 32;

/// How long it lets further changes come.
const SETTLE: Duration = Duration::from_millis(500);

/// How many paths may wait to be looked at. One that has no room is asked for again.
const COLD_MAX: usize = 1024;

/// What all workers keep.
#[derive(Debug)]
pub(crate) struct Hot {
    shelves: Arc<Shelves>,
    helper: Arc<Helper>,
    missing: MissingPage,
}

/// The answer where there is nothing, ready to send.
#[derive(Debug)]
struct MissingPage {
    fields: FieldBlock,
    content: Arc<[u8]>,
}

impl MissingPage {
    fn new() -> MissingPage {
        let page = files::refusal_page(Refusal::NotFound);
        let content = match page.content() {
            Body::Bytes(bytes) => bytes.as_slice().into(),
            _ => Arc::default(),
        };
        MissingPage { fields: page.into_fields().into_shared(), content }
    }

    fn response(&self) -> Response {
        Response::new(Refusal::NotFound.status())
            .with_fields(self.fields.clone())
            .body(Body::Shared(Arc::clone(&self.content)))
            .reason(Refusal::NotFound.reason())
    }
}

/// One for each worker, which alone uses it but for a moment now and then.
#[derive(Debug)]
struct Shelves(Box<[Mutex<Shelf>]>);

impl Hot {
    /// For so many workers. What cannot be watched is not kept, which costs time and nothing else.
    ///
    /// # Errors
    /// When no thread can be started, or there is no descriptor.
    pub(crate) fn new(root: Arc<Root>, limits: CacheLimits, workers: usize) -> io::Result<Hot> {
        let share = Limits {
            bytes: limits.bytes / workers.max(1),
            pages: limits.paths / workers.max(1),
            files: limits.files / workers.max(1),
        };
        let mut shelves = Vec::new();
        let mut descriptors = Vec::new();
        while limits.bytes > 0 && shelves.len() < workers {
            match Watch::new() {
                Ok(watch) => {
                    descriptors.push(watch.descriptor());
                    shelves.push(Mutex::new(Shelf::new(watch, share)));
                }
                Err(errno) => {
                    log::warn!("only {} of {workers} workers keep files: {errno}", shelves.len());
                    break;
                }
            }
        }
        let shelves = Arc::new(Shelves(shelves.into()));
        let bell = eventfd(0, EventfdFlags::NONBLOCK | EventfdFlags::CLOEXEC)?;
        let helper = Arc::new(Helper { cold: Mutex::default(), bell });
        // With a plan nobody looks after what is kept but those who ask for it.
        if !descriptors.is_empty() && !faults::is_planned() {
            let (helper, weak) = (Arc::clone(&helper), Arc::downgrade(&shelves));
            let run = move || helper.run(&root, &weak, &descriptors);
            thread::Builder::new().name("hot-files".into()).spawn(run)?;
        }
        Ok(Hot { shelves, helper, missing: MissingPage::new() })
    }

    /// The answer to a request, if it is at hand. Does not block.
    pub(crate) fn answer(&self, files: &Files, request: &Request<'_>) -> Option<Response> {
        let path = asked(request)?.as_bytes();
        let mut shelf = self.shelves.0.get(request.worker)?.try_lock().ok()?;
        shelf.catch_up_for(request.arrived);
        let entry = shelf.find(path)?;
        // Also when the clock has been set back.
        if !request.now.duration_since(entry.checked).is_ok_and(|age| age < CHECK_AFTER) {
            if !is_still_there(files, request, &entry.page) {
                shelf.forget(path);
                return None;
            }
            entry.checked = request.now;
        }
        match entry.page.answer(request) {
            Answer::Response(response) => Some(response),
            Answer::Missing => Some(self.missing.response()),
            Answer::Unknown => None,
        }
    }

    /// Keeps what has just been asked for, and was answered with `status` without a disk. Does not
    /// block.
    pub(crate) fn keep(&self, files: &Files, request: &Request<'_>, status: Status) {
        let (Some(asked), Ok(path)) = (asked(request), files.path(request)) else { return };
        // Of the ways to write a path only one is kept, lest one file be kept a thousand times.
        if path.to_url_path() != asked {
            return;
        }
        let Some(Ok(mut shelf)) = self.shelves.0.get(request.worker).map(Mutex::try_lock) else {
            return;
        };
        if shelf.holds(asked.as_bytes()) || !shelf.admits(asked.as_bytes(), request.now) {
            return;
        }
        // Of what is not there, most is asked for once.
        if status == Status::NOT_FOUND && !shelf.was_asked_for(asked.as_bytes()) {
            return;
        }
        let mut depends = Dependencies::default();
        let shelf = &mut *shelf;
        let mut keeping = Keeping { files, request, shelf, depends: &mut depends, cold: None };
        let page = keeping.page(&path);
        let cold = keeping.cold;
        // What has changed since it was watched is not kept as it was.
        let unchanged = !shelf.catch_up_with(&depends);
        match page {
            Some(page) if unchanged => {
                if !shelf.insert(asked.as_bytes(), page, depends, request.now) {
                    shelf.note_failure(asked.as_bytes(), request.now);
                }
            }
            _ => {
                shelf.release(&depends);
                shelf.note_failure(asked.as_bytes(), request.now);
            }
        }
        if faults::is_planned() {
            let closed = gone::close(shelf.gone.take());
            shelf.gone.note_closed(closed);
        } else if shelf.calls_for_closing() {
            self.helper.ring();
        }
        if let Some(cold) = cold {
            self.helper.warm(cold);
        }
    }
}

/// The path that is asked for, where an answer could be kept for it.
fn asked<'r>(request: &Request<'r>) -> Option<&'r str> {
    match (request.head.method, request.head.target) {
        (Method::Get | Method::Head, Target::Origin { path, .. }) => Some(path),
        (Method::Get | Method::Head, Target::Absolute { path, .. }) => Some(path),
        _ => None,
    }
}

/// Whether a page is what would be found if its file were opened now. Costs a fourth of making it
/// anew. A page with copies, or of nothing, is made anew.
fn is_still_there(files: &Files, request: &Request<'_>, page: &Page) -> bool {
    let Ok(path) = files.path(request) else { return false };
    let path = match path.is_dir_form() {
        true => path.child(get::INDEX, files.options.hidden),
        false => Ok(path),
    };
    let Ok(path) = path else { return false };
    let Looked::There(opened) = files.root.open_plain(&path) else { return false };
    let name = path.file_name().unwrap_or_default();
    page.is_of(&opened, files.itself(name, &opened.facts, request.now).cache_control)
}

/// The making of a page. Everything is watched before it is looked at.
struct Keeping<'k> {
    files: &'k Files,
    /// A file of which, or of its copies, the kernel has to ask the disk first.
    cold: Option<RelPath>,
    request: &'k Request<'k>,
    shelf: &'k mut Shelf,
    depends: &'k mut Dependencies,
}

impl Keeping<'_> {
    /// The page for a path; `None` when it is none that can be kept.
    fn page(&mut self, path: &RelPath) -> Option<Page> {
        let hidden = self.files.options.hidden;
        let path = match path.is_dir_form() {
            true => &path.child(get::INDEX, hidden).ok()?,
            false => path,
        };
        let (parent, name) = (path.parent()?, path.file_name()?);
        if let Some(missing) = self.watch_way(&parent)? {
            self.depends.names.push(missing);
            return Some(Page::Missing);
        }
        let Some(opened) = self.open(path, name, path)? else {
            // A directory without an index is a list, which is made anew each time.
            return (name != get::INDEX).then_some(Page::Missing);
        };
        let itself = self.files.itself(name, &opened.facts, self.request.now);
        let mut forms = Vec::new();
        if itself.negotiated && self.files.options.precompressed {
            for (coding, ending) in SIBLINGS {
                let name = [name, ending].concat();
                let sibling = parent.child(&name, hidden).ok()?;
                if !self.files.may_stand_for(&sibling) {
                    continue;
                }
                if let Some(found) = self.open(&sibling, &name, path)?
                    && representation::is_copy(&found.facts, &opened.facts)
                {
                    forms.push(Form::new(
                        found,
                        Representation { coding, ..itself },
                        self.request,
                    )?);
                }
            }
        }
        let makes_gzip = self.files.options.gzip && compress::way(&opened.facts).is_some();
        forms.push(Form::new(opened, itself, self.request)?);
        Some(Page::File { forms, makes_gzip })
    }

    /// Watches the directories from the root to `dir`. Gives the name of the first that is missing;
    /// the last one that is there is then what the page depends on.
    fn watch_way(&mut self, dir: &RelPath) -> Option<Option<Box<[u8]>>> {
        let root = &self.files.root;
        self.depends.dir = match self.shelf.root() {
            Some(id) => id,
            None => {
                let id = self.shelf.watch.directory(root).ok()?;
                self.shelf.add_directory(id, None).then_some(id)?
            }
        };
        // Each step is a way from the root.
        if dir.segments().count() > DEPTH_MAX {
            return None;
        }
        let mut way = RelPath::root();
        for name in dir.segments() {
            way = way.child(name, true).ok()?;
            let above = self.depends.dir;
            if let Some(known) = self.shelf.subdirectory(above, name) {
                self.depends.dir = known;
                continue;
            }
            let opened = match root.open_plain_dir(&way) {
                Looked::There(opened) => opened,
                Looked::Missing => return Some(Some(name.into())),
                Looked::Cold | Looked::Unknown => return None,
            };
            if self.shelf.has_too_many_directories() {
                return None;
            }
            let id = self.shelf.watch.directory(&opened).ok()?;
            self.depends.dir = self.shelf.add_directory(id, Some((above, name))).then_some(id)?;
        }
        Some(None)
    }

    /// Opens what `path` names, which is `file` or a copy of it, with `name` the last part of it;
    /// watched before its facts are taken. `Some(None)` when there is nothing.
    fn open(&mut self, path: &RelPath, name: &[u8], file: &RelPath) -> Option<Option<Opened>> {
        self.depends.names.push(name.into());
        let opened = match self.files.root.open_plain(path) {
            Looked::There(opened) => opened,
            Looked::Missing => return Some(None),
            Looked::Cold => {
                self.cold = Some(file.clone());
                return None;
            }
            Looked::Unknown => return None,
        };
        // A directory is watched for other things, which a watch for these would replace.
        let is_file = opened.facts.kind == Kind::File;
        if !is_file
            || self.files.own_files.may_name(path)
            || self.files.own_files.has(opened.facts.id)
        {
            return None;
        }
        let id = self.shelf.watch.file(&opened.file).ok()?;
        self.depends.files.push(id);
        opened.look_again().ok().map(Some)
    }
}

/// Does what need not be done at once, nor on a worker's thread.
#[derive(Debug)]
struct Helper {
    /// Paths to look at, so that the kernel has them in memory.
    cold: Mutex<Vec<RelPath>>,
    /// Rung when there is one, or much to close.
    bell: OwnedFd,
}

impl Helper {
    /// Has the disk asked what is at a path and beside it.
    fn warm(&self, path: RelPath) {
        let Ok(mut cold) = self.cold.try_lock() else { return };
        if cold.len() < COLD_MAX {
            cold.push(path);
            self.ring();
        }
    }

    /// Wakes the thread.
    fn ring(&self) {
        // A full counter is a bell that rings already.
        let _ = rustix::io::write(&self.bell, &1_u64.to_ne_bytes());
    }

    /// The thread. After a change it takes out what is out of date although nobody asks, so that a
    /// file that is removed is let go of.
    fn run(&self, root: &Root, shelves: &Weak<Shelves>, watches: &[Arc<OwnedFd>]) {
        let mut floods = 0;
        loop {
            let mut fds: Vec<_> = watches.iter().map(|fd| PollFd::new(fd, PollFlags::IN)).collect();
            fds.push(PollFd::new(&self.bell, PollFlags::IN));
            let _ = poll(&mut fds, Some(&IDLE));
            let rings = fds.last().is_some_and(|bell| !bell.revents().is_empty());
            let changes = fds
                .split_last()
                .is_some_and(|(_, fds)| fds.iter().any(|fd| !fd.revents().is_empty()));
            if rings {
                let _ = rustix::io::read(&self.bell, &mut [0; 8]);
                let cold = self.cold.lock().map(|mut cold| std::mem::take(&mut *cold));
                for path in cold.unwrap_or_default() {
                    look_around(root, &path);
                }
            }
            if changes {
                // What comes in a flood is seen to together.
                thread::sleep(SETTLE);
            }
            let Some(shelves) = shelves.upgrade() else { return };
            floods += u32::from(changes);
            let sweeps = floods == FLOODS || !(changes || rings);
            for shared in &*shelves.0 {
                // After a panic nothing in it can be relied upon.
                let mut shelf = shared.lock().unwrap_or_else(|poisoned| {
                    shared.clear_poison();
                    let mut shelf = poisoned.into_inner();
                    shelf.clear();
                    shelf
                });
                shelf.catch_up();
                if sweeps {
                    shelf.sweep();
                }
                let pages = shelf.gone.take();
                drop(shelf);
                let closed = gone::close(pages);
                let mut shelf = shared.lock().unwrap_or_else(PoisonError::into_inner);
                shelf.gone.note_closed(closed);
            }
            if sweeps {
                floods = 0;
            }
        }
    }
}

/// Asks the disk for a file and for the copies that could lie beside it. Whatever comes of it, the
/// kernel has looked and remembers, and be it that there is nothing.
fn look_around(root: &Root, path: &RelPath) {
    let _ = root.look_at(path);
    let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else { return };
    for (_, ending) in SIBLINGS {
        if let Ok(sibling) = parent.child(&[name, ending].concat(), true) {
            let _ = root.look_at(&sibling);
        }
    }
}

#[cfg(test)]
mod tests;
