//! Decides what a list holds beside the names, where its reader may upload or delete: a form that
//! works without a script, and a script that makes more of it.

use super::put;

/// What the reader of a list may do in its directory. The default: nothing but read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Offer {
    /// New files may be sent as `multipart/form-data` in a POST to the directory.
    pub upload: bool,
    /// Each file may be removed by a DELETE.
    pub delete: bool,
}

/// Comes after the style of the plain list.
pub(super) const STYLE: &str = include_str!("page.css");

/// Asks the server for nothing but the list itself, uploads to it and deletions from it.
pub(super) const SCRIPT: &str = include_str!("page.js");

/// About as much as all of it makes a page longer.
pub(super) const BYTES: usize = STYLE.len() + SCRIPT.len() + 1024;

/// What a deletion is confirmed in. Only the script opens it.
const DIALOG: &str = "\
<dialog id=\"sure\" aria-labelledby=\"what\"><form method=\"dialog\">\n\
<p id=\"what\">Delete <bdi></bdi>? It cannot be brought back.</p>\n\
<p class=\"buttons\"><button value=\"\">Keep</button>\n\
<button value=\"delete\">Delete</button></p>\n\
</form></dialog>\n";

/// The form is sent to the directory by itself, without the query that the list was asked for
/// with. The hidden words are true where the script runs, which shows them.
const FORM: &str = "\
<form id=\"upload\" method=\"post\" enctype=\"multipart/form-data\" action=\"./\">\n\
<label for=\"file\">Choose files to upload</label>\n\
<input type=\"file\" id=\"file\" name=\"file\" multiple required>\n\
<button>Upload</button>\n\
<span hidden>or drop them anywhere on this page</span>\n\
</form>\n\
<ul id=\"transfers\" aria-label=\"Uploads\"></ul>\n";

impl Offer {
    /// Whether there is anything to be done.
    pub(super) fn is_any(self) -> bool {
        self.upload || self.delete
    }

    /// What stands in the page's head.
    pub(super) fn style(self, page: &mut String) {
        if self.is_any() {
            put(page, format_args!("<style>{STYLE}</style>\n"));
        }
    }

    /// What stands above the list.
    pub(super) fn form(self, page: &mut String) {
        if self.upload {
            page.push_str(FORM);
        }
    }

    /// What stands below the list: the line that says what has come of it, and the script.
    pub(super) fn script(self, page: &mut String) {
        if self.delete {
            page.push_str(DIALOG);
        }
        if self.is_any() {
            page.push_str("<p id=\"said\" role=\"status\"></p>\n");
            put(page, format_args!("<script>{SCRIPT}</script>\n"));
        }
    }
}
