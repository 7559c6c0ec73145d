//! What is not kept any more and still open: to close the last descriptor of a removed file can
//! take long, so that it is left to a thread that may wait.

use super::page::Page;

/// Pages with open files that one worker does not keep any more.
#[derive(Debug, Default)]
pub(super) struct Gone {
    pages: Vec<Page>,
    /// Files that are not closed yet, of these pages and of those that have been taken.
    files: usize,
    /// Somebody has been told that there are many.
    told: bool,
}

impl Gone {
    pub(super) fn put(&mut self, page: Page) {
        self.files += page.files();
        self.pages.push(page);
    }

    /// How many files are not closed yet.
    pub(super) fn files(&self) -> usize {
        self.files
    }

    /// Whether more than so many files are to be closed; once, until they are taken.
    pub(super) fn calls_for_closing(&mut self, enough: usize) -> bool {
        self.files > enough && !std::mem::replace(&mut self.told, true)
    }

    /// The pages, for [`close`]. Their files count until [`Gone::note_closed`].
    pub(super) fn take(&mut self) -> Vec<Page> {
        self.told = false;
        std::mem::take(&mut self.pages)
    }

    /// Takes note that so many files are closed.
    pub(super) fn note_closed(&mut self, files: usize) {
        self.files = self.files.saturating_sub(files);
    }
}

/// Closes the files of pages, which can take long; gives how many.
pub(super) fn close(pages: Vec<Page>) -> usize {
    pages.iter().map(Page::files).sum()
}
