//! Listings as pages: what is escaped, how it is ordered, what is said of sizes and times.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::*;
use crate::root::{Facts, FileId};

fn entry(name: &[u8], kind: Kind, len: u64) -> Entry {
    let mtime = UNIX_EPOCH + Duration::from_secs(784_111_777);
    let id = FileId { device: 1, inode: 1 };
    Entry { name: name.to_vec(), facts: Facts { kind, len, mtime, ctime: mtime, mode: 0o644, id } }
}

fn page(dir: &str, entries: Vec<Entry>) -> String {
    let dir = RelPath::parse(dir, true).expect(dir);
    String::from_utf8(html(&dir, Listing { entries, truncated: false })).expect("UTF-8")
}

fn page_of(names: &[&[u8]]) -> String {
    page("/", names.iter().map(|name| entry(name, Kind::File, 1)).collect())
}

/// The targets of all links, in order.
fn links(page: &str) -> Vec<&str> {
    page.split("href=\"").skip(1).map(|rest| rest.split('"').next().unwrap()).collect()
}

#[test]
fn names_are_linked_byte_for_byte_and_relative_to_the_page() {
    let table: [(&[u8], &str); 12] = [
        (b"a.txt", "./a.txt"),
        (b"a b", "./a%20b"),
        (b"javascript:alert(1)", "./javascript:alert(1)"),
        (b"a:b", "./a:b"),
        (b"\\\\host", "./%5C%5Chost"),
        (b"50%", "./50%25"),
        (b"%41", "./%2541"),
        (b"a?b#c", "./a%3Fb%23c"),
        (b"\xff\xfe", "./%FF%FE"),
        (b"\"><script>", "./%22%3E%3Cscript%3E"),
        ("\u{e9}".as_bytes(), "./%C3%A9"),
        (b"a&b;c'd", "./a%26b%3Bc%27d"),
    ];
    for (name, expected) in table {
        assert_eq!(links(&page_of(&[name])), ["./", expected], "{}", name.escape_ascii());
    }
}

#[test]
fn names_are_shown_escaped() {
    let table: [(&[u8], &str); 6] = [
        (b"a.txt", "<bdi>a.txt</bdi>"),
        (b"<script>alert('&')", "<bdi>&lt;script&gt;alert(&#39;&amp;&#39;)</bdi>"),
        (b"\" onclick=\"x", "<bdi>&quot; onclick=&quot;x</bdi>"),
        (b"\xffa", "<bdi>\u{fffd}a</bdi>"),
        (b"a\nb\x1b\x7f", "<bdi>a\u{fffd}b\u{fffd}\u{fffd}</bdi>"),
        ("\u{202e}gnp.exe".as_bytes(), "<bdi>\u{202e}gnp.exe</bdi>"),
    ];
    for (name, expected) in table {
        let page = page_of(&[name]);
        assert!(page.contains(expected), "{}\n{page}", name.escape_ascii());
    }
}

#[test]
fn nothing_in_a_name_becomes_markup() {
    let names: Vec<Vec<u8>> = (1..=255u8).filter(|b| *b != b'/').map(|b| vec![b'n', b]).collect();
    let names: Vec<&[u8]> = names.iter().map(Vec::as_slice).collect();
    let plain = page_of(&vec![b"nn".as_slice(); names.len()]);
    let count = |page: &str, sign: char| page.matches(sign).count();
    let strange = page_of(&names);
    for sign in ['<', '>', '"', '\''] {
        assert_eq!(count(&strange, sign), count(&plain, sign), "{sign}");
    }
}

#[test]
fn a_path_is_escaped_in_title_and_breadcrumbs() {
    let page = page("/%3Cb%3E/a%26b/", Vec::new());
    assert!(page.contains("<title>Index of /&lt;b&gt;/a&amp;b/</title>"), "{page}");
    assert!(!page.contains("<b>"), "{page}");
    assert!(page.contains("<a href=\"../\"><bdi>&lt;b&gt;</bdi></a>"), "{page}");
}

#[test]
fn directories_come_first_and_numbers_count() {
    let entries = vec![
        entry(b"10.txt", Kind::File, 1),
        entry(b"b", Kind::Directory, 4096),
        entry(b"9.txt", Kind::File, 1),
        entry(b"B10", Kind::Directory, 4096),
        entry(b"B9", Kind::Directory, 4096),
    ];
    let page = page("/", entries);
    assert_eq!(links(&page)[1..], ["./b/", "./B9/", "./B10/", "./9.txt", "./10.txt"]);
}

#[test]
fn every_directory_above_has_a_link_and_the_root_has_none_to_its_parent() {
    assert_eq!(links(&page("/", Vec::new())), ["./"]);
    assert_eq!(links(&page("/a/", Vec::new())), ["../", "./", "../"]);
    assert_eq!(links(&page("/a/b/", Vec::new())), ["../../", "../", "./", "../"]);
}

#[test]
fn files_have_a_size_and_all_have_a_time() {
    let page = page("/", vec![entry(b"f", Kind::File, 1536), entry(b"d", Kind::Directory, 4096)]);
    assert_eq!(page.matches("<data value=\"1536\">1.5 KiB</data>").count(), 1, "{page}");
    assert_eq!(page.matches("<data").count(), 1, "{page}");
    let time = "<time datetime=\"1994-11-06T08:49:37Z\">1994-11-06 08:49:37</time>";
    assert_eq!(page.matches(time).count(), 2, "{page}");
}

#[test]
fn a_time_out_of_range_is_no_panic() {
    let mut old = entry(b"a", Kind::File, 0);
    old.facts.mtime = SystemTime::UNIX_EPOCH - Duration::from_secs(1 << 40);
    let mut new = entry(b"b", Kind::File, 0);
    new.facts.mtime = SystemTime::UNIX_EPOCH + Duration::from_secs(1 << 40);
    let page = page("/", vec![old, new]);
    assert!(page.contains("9999-12-31"), "{page}");
}

#[test]
fn sizes_are_short_and_grow() {
    let table = [
        (0, "0 B"),
        (1023, "1023 B"),
        (1024, "1.0 KiB"),
        (1536, "1.5 KiB"),
        (10_188, "9.9 KiB"),
        (10_189, "10 KiB"),
        (1_048_063, "1023 KiB"),
        (1_048_064, "1.0 MiB"),
        (5 << 30, "5.0 GiB"),
        (700 << 40, "700 TiB"),
        (u64::MAX, "16 EiB"),
    ];
    for (len, shown) in table {
        assert_eq!(Size(len).to_string(), shown, "{len}");
    }
}

#[test]
fn a_short_listing_says_so() {
    let notice = |truncated| {
        let listing = Listing { entries: Vec::new(), truncated };
        String::from_utf8(html(&RelPath::root(), listing)).unwrap().contains("role=\"note\"")
    };
    assert!(notice(true));
    assert!(!notice(false));
}

#[test]
fn the_page_runs_no_script_and_fetches_nothing() {
    let page = page("/a/", vec![entry(b"a.js", Kind::File, 1)]);
    for sign in ["<script", "src=", "url(", "@import", "<link", "onclick"] {
        assert!(!page.contains(sign), "{sign}");
    }
    assert!(page.contains("color-scheme:light dark") && page.contains("width=device-width"));
}
