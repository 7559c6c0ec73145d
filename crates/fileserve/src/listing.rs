//! Writes the page that lists a directory: plain HTML for any screen, without a script where there
//! is nothing to do but read.
//!
//! Every link is relative, so the page also works behind a proxy that serves it under a prefix.

use std::cmp::Ordering;
use std::fmt::{self, Write};

use crate::path::{self, RelPath};
use crate::root::{Entry, Kind, LISTED_NAMES_MAX, Listing};

mod natural;
mod offer;
mod policy;
mod timestamp;

pub use offer::Offer;
pub use policy::content_security_policy;
pub(crate) use timestamp::Timestamp;

/// The media type of [`html`].
pub const CONTENT_TYPE: &str = "text/html; charset=utf-8";

const STYLE: &str = "\
:root{color-scheme:light dark}\
body{font:1rem/1.5 system-ui,sans-serif;max-width:60rem;margin:0 auto;padding:1rem}\
h1{font-size:1.25rem;overflow-wrap:anywhere}\
table{width:100%;border-collapse:collapse}\
th{text-align:left}\
th,td{padding:.25rem .5rem;border-bottom:1px solid #8884;vertical-align:top}\
td:first-child{overflow-wrap:anywhere}\
td+td,th+th{text-align:right;white-space:nowrap;font-variant-numeric:tabular-nums}\
tr:hover{background:#8882}\
a{text-decoration:none}a:hover{text-decoration:underline}\
@media(max-width:32rem){td+td+td,th+th+th{display:none}}";

/// The page for the directory `dir`, to be served at a path that ends in `/`.
///
/// What is listed is for [`Root::list`](crate::root::Root::list) to say; here directories come
/// first, each group sorted as people count: `2` before `10`. A name is shown as well as it can
/// be, but its link holds its very bytes. What is offered is shown to the reader; whether a write
/// goes ahead is decided when it comes.
pub fn html(dir: &RelPath, mut listing: Listing, offer: Offer) -> Vec<u8> {
    listing.entries.sort_unstable_by(order);
    let title = title(dir);
    let own_bytes = if offer.is_any() { offer::BYTES } else { 0 };
    let mut page = String::with_capacity(2048 + own_bytes + listing.entries.len() * 256);
    page.push_str("<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n");
    page.push_str("<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n");
    put(&mut page, format_args!("<title>Index of {title}</title>\n<style>{STYLE}</style>\n"));
    offer.style(&mut page);
    page.push_str("</head>\n<body>\n<h1>Index of ");
    breadcrumbs(&mut page, dir);
    page.push_str("</h1>\n");
    offer.form(&mut page);
    if listing.truncated {
        put(
            &mut page,
            format_args!(
                "<p role=\"note\">This directory has more than {LISTED_NAMES_MAX} entries. \
                 Not all of them are shown.</p>\n"
            ),
        );
    }
    page.push_str("<table>\n<thead><tr><th scope=\"col\">Name</th><th scope=\"col\">Size</th>");
    page.push_str("<th scope=\"col\">Modified (UTC)</th></tr></thead>\n<tbody>\n");
    if !dir.is_root() {
        page.push_str("<tr><td><a href=\"../\">../</a></td><td></td><td></td></tr>\n");
    }
    for entry in &listing.entries {
        row(&mut page, entry);
    }
    page.push_str("</tbody>\n</table>\n");
    offer.script(&mut page);
    page.push_str("</body>\n</html>\n");
    page.into_bytes()
}

fn order(a: &Entry, b: &Entry) -> Ordering {
    let is_file = |entry: &Entry| entry.facts.kind == Kind::File;
    is_file(a).cmp(&is_file(b)).then_with(|| natural::compare(&a.name, &b.name))
}

fn title(dir: &RelPath) -> String {
    let mut title = String::from("/");
    for segment in dir.segments() {
        put(&mut title, format_args!("{}/", Shown(segment)));
    }
    title
}

/// The path with a link on each directory above.
fn breadcrumbs(page: &mut String, dir: &RelPath) {
    let depth = dir.segments().count();
    let link = |page: &mut String, levels_up: usize, name: fmt::Arguments<'_>| {
        let up = if levels_up == 0 { "./".to_owned() } else { "../".repeat(levels_up) };
        put(page, format_args!("<a href=\"{up}\">{name}</a>"));
    };
    link(page, depth, format_args!("/"));
    for (index, segment) in dir.segments().enumerate() {
        link(page, depth - 1 - index, format_args!("<bdi>{}</bdi>", Shown(segment)));
        page.push('/');
    }
}

fn row(page: &mut String, entry: &Entry) {
    let reference = path::entry_reference(&entry.name);
    let slash = match entry.facts.kind {
        Kind::Directory => "/",
        Kind::File => "",
    };
    // `bdi`, because a name that turns the direction of writing must not turn the rest of the row.
    put(
        page,
        format_args!(
            "<tr><td><a href=\"{reference}{slash}\"><bdi>{}</bdi>{slash}</a></td><td>",
            Shown(&entry.name)
        ),
    );
    if entry.facts.kind == Kind::File {
        let len = entry.facts.len;
        put(page, format_args!("<data value=\"{len}\">{}</data>", Size(len)));
    }
    let time = Timestamp::new(entry.facts.mtime);
    put(page, format_args!("</td><td><time datetime=\"{time:#}\">{time}</time></td></tr>\n"));
}

fn put(page: &mut String, text: fmt::Arguments<'_>) {
    page.write_fmt(text).expect("a string takes any text");
}

/// A name as HTML text, also within quotes: what is not UTF-8 or cannot be seen becomes U+FFFD.
struct Shown<'a>(&'a [u8]);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for char in String::from_utf8_lossy(self.0).chars() {
            match char {
                '&' => f.write_str("&amp;")?,
                '<' => f.write_str("&lt;")?,
                '>' => f.write_str("&gt;")?,
                '"' => f.write_str("&quot;")?,
                '\'' => f.write_str("&#39;")?,
                c if c.is_control() => f.write_char(char::REPLACEMENT_CHARACTER)?,
                c => f.write_char(c)?,
            }
        }
        Ok(())
    }
}

/// A length for people: three digits or so, in powers of 1024.
struct Size(u64);

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const UNITS: [&str; 6] = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
        if self.0 < 1024 {
            return write!(f, "{} B", self.0);
        }
        let mut size = self.0 as f64 / 1024.0;
        let mut unit = 0;
        // What would be printed as 1024 is 1 of the next.
        while size >= 1023.5 && unit + 1 < UNITS.len() {
            size /= 1024.0;
            unit += 1;
        }
        let digits = usize::from(size < 9.95);
        write!(f, "{size:.digits$} {}", UNITS[unit])
    }
}

#[cfg(test)]
mod tests;
