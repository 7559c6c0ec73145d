//! Decides what caches are told of a file: by its name, since only a name can say that its content
//! will never change.

use std::time::{Duration, SystemTime};

use crate::root::Facts;

/// For a name that goes with its content (RFC 9111 §5.2.2.1, RFC 8246): for a year, which stands
/// for ever, and without asking again even when the page is reloaded.
const IMMUTABLE: &str = "max-age=31536000, immutable";

/// The same where somebody may not have it: for the caches of those who got it (RFC 9111
/// §5.2.2.7). A shared cache that knows the RFC keeps nothing anyway that took a password (§3.5),
/// but many can be told to.
const PRIVATE_IMMUTABLE: &str = "private, max-age=31536000, immutable";

/// For how long a file must have been left alone to be called immutable: one that is just being
/// written has its name already, and not yet its content.
const UNTOUCHED: Duration = Duration::from_secs(60);

/// Shortest hexadecimal fingerprint: what bundlers give when they are asked for a short one.
const HEX_MIN: usize = 8;

/// Length of the fingerprints that are made of letters of both cases and digits.
const MIXED_LEN: usize = 8;

/// Lengths of the parts of a UUID, which names a thing and not its content.
const UUID: [usize; 5] = [8, 4, 4, 4, 12];

/// What bundlers put fingerprints on and nobody else names by chance: programs, styles, fonts. Not
/// pictures, whose names are often those of things, and never pages, which people know by name.
const ASSETS: [&str; 10] =
    ["js", "mjs", "cjs", "css", "map", "wasm", "woff", "woff2", "ttf", "otf"];

/// What caches are told of a file called `name`, where `usual` is said of those that may change;
/// `private` where some may not read what others may.
pub(crate) fn told<'v>(
    usual: Option<&'v str>,
    private: bool,
    name: &[u8],
    facts: &Facts,
    now: SystemTime,
) -> Option<&'v str> {
    let Some(usual) = usual else { return private.then_some("private") };
    let is_untouched = || now.duration_since(facts.mtime).is_ok_and(|age| age >= UNTOUCHED);
    // Whoever wants nothing stored, or not by everybody, means these files too.
    let is_free = || !["no-store", "private"].iter().any(|word| usual.contains(word));
    let immutable = is_fingerprinted(name) && is_untouched() && is_free();
    Some(match (immutable, private) {
        (true, true) => PRIVATE_IMMUTABLE,
        (true, false) => IMMUTABLE,
        (false, _) => usual,
    })
}

/// Whether a file's name carries a fingerprint of its content, so that other content would have
/// another name: `app.3f9a1c2b.js`, `index-B4f7xQ2z.css`, `rustdoc-5bc39a1768837dd0.woff2`.
///
/// To take a name for one wrongly would keep a file stale for a year, to overlook one costs a
/// question per visit: so words, dates and the names of things are not taken for one, and of short
/// fingerprints some are overlooked.
pub fn is_fingerprinted(name: &[u8]) -> bool {
    let extension = name.rsplit(|&b| b == b'.').next().unwrap_or_default();
    if !ASSETS.iter().any(|asset| extension.eq_ignore_ascii_case(asset.as_bytes())) {
        return false;
    }
    let parts: Vec<_> = name.split(|b| matches!(b, b'.' | b'-' | b'_')).collect();
    let is_hex = |part: &&[u8]| part.iter().all(u8::is_ascii_hexdigit);
    let is_uuid =
        |five: &[&[u8]]| five.iter().map(|part| part.len()).eq(UUID) && five.iter().all(is_hex);
    let is_inside = |at: usize| at > 0 && !parts[at - 1].is_empty() && at + 1 < parts.len();
    let mut inside = parts.iter().enumerate().filter(|(at, _)| is_inside(*at));
    inside.any(|(_, part)| is_fingerprint(part)) && !parts.windows(UUID.len()).any(is_uuid)
}

/// Whether a part of a name looks as if it had been drawn by lot.
fn is_fingerprint(part: &[u8]) -> bool {
    let is_hex = part.iter().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    // `cafe2024` and `decade2020` are hexadecimal too.
    let is_hex = is_hex && part.len() >= HEX_MIN && changes(part) >= 2;
    // People put digits behind a name (`iPadPro3`), not into it.
    let is_mixed = part.len() == MIXED_LEN
        && part.iter().all(u8::is_ascii_alphanumeric)
        && part[..MIXED_LEN - 1].iter().any(u8::is_ascii_digit)
        && part.iter().any(u8::is_ascii_lowercase)
        && part.iter().any(u8::is_ascii_uppercase);
    is_hex || (is_mixed && changes(part) >= 5)
}

/// How often a digit follows a letter, a capital a small letter, or the other way round.
fn changes(part: &[u8]) -> usize {
    let class = |b: u8| (b.is_ascii_digit(), b.is_ascii_uppercase());
    part.windows(2).filter(|two| class(two[0]) != class(two[1])).count()
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use super::*;
    use crate::root::{FileId, Kind};

    #[test]
    fn what_is_told_depends_on_the_name_the_age_and_what_is_usual() {
        let (old, young) = (UNTOUCHED, UNTOUCHED / 2);
        for (usual, name, age, expected) in [
            (Some("no-cache"), "app.3f9a1c2b.js", old, Some(IMMUTABLE)),
            (Some("max-age=60"), "app.3f9a1c2b.js", old, Some(IMMUTABLE)),
            (Some("no-cache"), "app.3f9a1c2b.js", young, Some("no-cache")),
            (Some("no-cache"), "app.js", old, Some("no-cache")),
            (Some("no-store"), "app.3f9a1c2b.js", old, Some("no-store")),
            (Some("max-age=60, private"), "app.3f9a1c2b.js", old, Some("max-age=60, private")),
            (None, "app.3f9a1c2b.js", old, None),
        ] {
            let mtime = UNIX_EPOCH + Duration::from_secs(1_000_000);
            let id = FileId { device: 1, inode: 2 };
            let facts = Facts { kind: Kind::File, len: 1, mtime, ctime: mtime, mode: 0o644, id };
            let said = told(usual, false, name.as_bytes(), &facts, mtime + age);
            assert_eq!(said, expected, "{usual:?} {name} {age:?}");
            let said = told(usual, true, name.as_bytes(), &facts, mtime + age);
            let is_kept_from_others = ["private", "no-cache", "no-store"]
                .iter()
                .any(|word| said.is_some_and(|said| said.contains(word)));
            assert!(is_kept_from_others, "{usual:?} {name} {age:?}: {said:?}");
        }
    }

    #[test]
    fn names_that_bundlers_give_are_known() {
        for name in [
            "main.8a2b3c4d.js",
            "main.8a2b3c4d.chunk.js",
            "main.8a2b3c4d.js.map",
            "rustdoc-5bc39a1768837dd0.css",
            "SourceSerif4-Regular-6b053e98.ttf.woff2",
            "base.27e20196a850.css",
            "app-1a2b3c4d5e6f7a8b_bg.wasm",
            "index-B4f7xQ2z.js",
            "logo.5bc39a1768837dd0.min.css",
            "application-9c3f8e5b4f7a6d1e2c0b9a8f7e6d5c4b3a29180f7e6d5c4b3a2918f7e6d5c4b3.css",
        ] {
            assert!(is_fingerprinted(name.as_bytes()), "{name}");
        }
    }

    #[test]
    fn names_that_people_give_are_not() {
        for name in [
            "index.html",
            "app.js",
            "menu-cafe2024.pdf",
            "notes-decade2020.txt",
            "report-2026-11-22.pdf",
            "backup-20261122.tar.gz",
            "jquery-3.7.1.min.js",
            "model-McLaren7.css",
            "case-iPhone14.css",
            "plan-June2024.pdf",
            "build-deadbeef.js",
            "build-12345678.js",
            "case-iPadPro3.css",
            "user-3f2b8c1d-e29b-41d4-a716-446655440000.js",
            // Names of things that are not code.
            "user-3f2b8c1d.json",
            "avatar-507f1f77bcf86cd799439011.png",
            "worker-4f5a6b7c8d9e.log",
            "snom-000413a1b2c3.cfg",
            "show-S01E02P1.srt",
            "logo-5bc39a1768837dd0.svg",
            // A name that is nothing else may be that of a thing.
            "8a2b3c4d.js",
            "550e8400-e29b-41d4-a716-4466554400a1.js",
            // No type, or a page.
            "main-8a2b3c4d",
            "post-8a2b3c4d.html",
            "post.8a2b3c4d.HTM",
            "",
            ".",
            "-.-",
        ] {
            assert!(!is_fingerprinted(name.as_bytes()), "{name}");
        }
    }
}
