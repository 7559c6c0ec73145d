//! Listings as pages: what is escaped, how it is ordered, what is said of sizes and times.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};

use super::*;
use crate::root::{Facts, FileId};

fn entry(name: &[u8], kind: Kind, len: u64) -> Entry {
    let mtime = UNIX_EPOCH + Duration::from_secs(784_111_777);
    let id = FileId { device: 1, inode: 1 };
    Entry { name: name.to_vec(), facts: Facts { kind, len, mtime, ctime: mtime, mode: 0o644, id } }
}

const EVERYTHING: Offer = Offer { upload: true, delete: true };

fn page(dir: &str, entries: Vec<Entry>) -> String {
    page_that_offers(Offer::default(), dir, entries)
}

fn page_that_offers(offer: Offer, dir: &str, entries: Vec<Entry>) -> String {
    let dir = RelPath::parse(dir, true).expect(dir);
    String::from_utf8(html(&dir, Listing { entries, truncated: false }, offer)).expect("UTF-8")
}

/// Nothing, one of the two, and both.
fn offers() -> [Offer; 4] {
    [(false, false), (true, false), (false, true), (true, true)]
        .map(|(upload, delete)| Offer { upload, delete })
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
    let count = |page: &str, sign: char| page.matches(sign).count();
    for offer in [Offer::default(), EVERYTHING] {
        let entries = |of: fn(&Vec<u8>) -> &[u8]| {
            names.iter().map(|name| entry(of(name), Kind::File, 1)).collect()
        };
        let plain = page_that_offers(offer, "/", entries(|_| b"nn"));
        let strange = page_that_offers(offer, "/", entries(|name| name));
        for sign in ['<', '>', '"', '\''] {
            assert_eq!(count(&strange, sign), count(&plain, sign), "{sign}");
        }
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
        String::from_utf8(html(&RelPath::root(), listing, EVERYTHING))
            .unwrap()
            .contains("role=\"note\"")
    };
    assert!(notice(true));
    assert!(!notice(false));
}

#[test]
fn the_page_runs_no_script_and_fetches_nothing() {
    let page = page("/a/", vec![entry(b"a.js", Kind::File, 1)]);
    for sign in ["<script", "<form", "src=", "url(", "@import", "<link", "onclick"] {
        assert!(!page.contains(sign), "{sign}");
    }
    assert!(page.contains("color-scheme:light dark") && page.contains("width=device-width"));
}

#[test]
fn what_is_offered_is_there_and_the_list_stays_as_it_is() {
    let entries = || vec![entry(b"d", Kind::Directory, 0), entry(b"f", Kind::File, 1)];
    let table = |page: &str| {
        let (_, rest) = page.split_once("<table>").unwrap();
        rest.split_once("</table>").unwrap().0.to_owned()
    };
    let plain = page("/a/", entries());
    for offer in offers() {
        let page = page_that_offers(offer, "/a/", entries());
        let form = "<form id=\"upload\" method=\"post\" enctype=\"multipart/form-data\"";
        assert_eq!(page.matches(form).count(), usize::from(offer.upload), "{offer:?}");
        assert_eq!(page.matches("<dialog").count(), usize::from(offer.delete), "{offer:?}");
        let any = usize::from(offer != Offer::default());
        assert_eq!(page.matches("<script").count(), any, "{offer:?}");
        assert_eq!(page == plain, any == 0, "{offer:?}");
        assert_eq!(table(&page), table(&plain), "{offer:?}");
    }
}

#[test]
fn what_is_embedded_is_whole_and_fetches_nothing() {
    for text in [STYLE, offer::STYLE, offer::SCRIPT] {
        // A browser makes a line feed of a carriage return, which has another hash.
        for sign in ["\r", "</", "<!--", "url(", "@import", "http:", "https:", "innerHTML", "eval"]
        {
            assert!(!text.contains(sign), "{sign}");
        }
        assert!(text.is_ascii());
    }
    let page = page_that_offers(EVERYTHING, "/", Vec::new());
    for sign in [" src=", " style=", " onclick=", "<link", "<base"] {
        assert!(!page.contains(sign), "{sign}");
    }
}

#[test]
fn the_policy_allows_what_stands_between_the_tags_and_nothing_else() {
    for offer in offers() {
        let page = page_that_offers(offer, "/", vec![entry(b"f", Kind::File, 1)]);
        let policy = content_security_policy(offer);
        for (element, directive) in [("style", "style-src"), ("script", "script-src")] {
            let (open, close) = (format!("<{element}>"), format!("</{element}>"));
            let inside = page.split(&open).skip(1).map(|rest| rest.split(&close).next().unwrap());
            let expected: Vec<_> = inside
                .map(|text| format!("'sha256-{}'", STANDARD.encode(Sha256::digest(text))))
                .collect();
            let directives = policy.split("; ").filter_map(|one| one.split_once(' '));
            let allowed: Vec<_> = directives
                .filter(|(name, _)| *name == directive)
                .flat_map(|(_, sources)| sources.split(' '))
                .collect();
            assert_eq!(allowed, expected, "{offer:?}: {policy}");
        }
        assert!(policy.starts_with("default-src 'none'; style-src 'sha256-"), "{policy}");
        assert_eq!(policy.contains("form-action 'self'"), offer != Offer::default(), "{policy}");
        assert_eq!(policy.contains("frame-ancestors 'none'"), offer != Offer::default());
        assert!(policy.contains("base-uri 'none'") && !policy.contains("unsafe"), "{policy}");
    }
}
