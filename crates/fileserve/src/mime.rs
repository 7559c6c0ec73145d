//! Decides the media type of a file by its name.
//!
//! The table is a crate's; only where it is dated, or where a web server knows better, a short one
//! of ours comes first. Every answer is a static string: nothing is allocated.

use crate::path;

/// What nobody knows (RFC 9110 §8.3).
const UNKNOWN: &str = "application/octet-stream";
const PLAIN: &str = "text/plain; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";
const JSON: &str = "application/json";

/// The longest extension that the tables know is shorter than this.
const EXTENSION_BYTES_MAX: usize = 24;

/// The media type for a file called `name`, as a value of Content-Type.
///
/// Text says `charset=utf-8`: browsers would else take it for windows-1252. JSON has no such
/// parameter (RFC 8259 §11). XML says its encoding itself, and a parameter would overrule it
/// (RFC 7303 §3.2).
pub fn media_type(name: &[u8]) -> &'static str {
    let Some(extension) = path::extension(name) else {
        return by_whole_name(name);
    };
    let mut lower = [0; EXTENSION_BYTES_MAX];
    let Some(lower) = lower.get_mut(..extension.len()) else {
        return UNKNOWN;
    };
    lower.copy_from_slice(extension);
    lower.make_ascii_lowercase();
    let Ok(extension) = str::from_utf8(lower) else {
        return UNKNOWN;
    };
    ours(extension)
        .or_else(|| new_mime_guess::from_ext(extension).first_raw().map(with_charset))
        .unwrap_or(UNKNOWN)
}

/// Whether content of this type is text in some form, so that compressing it pays; the others are
/// compressed already, as pictures, sound and archives are.
pub(crate) fn is_compressible(media_type: &str) -> bool {
    let essence = media_type.split(';').next().unwrap_or_default();
    essence.starts_with("text/")
        || essence.ends_with("+json")
        || essence.ends_with("+xml")
        || matches!(
            essence,
            "application/json"
                | "application/xml"
                | "application/wasm"
                | "application/yaml"
                | "application/x-ndjson"
                | "image/x-icon"
                | "font/otf"
                | "font/ttf"
        )
}

/// Whether a browser that shows content of this type runs the scripts in it. XML of any kind can
/// hold elements of XHTML.
pub(crate) fn can_hold_scripts(media_type: &str) -> bool {
    let essence = media_type.split(';').next().unwrap_or_default();
    essence.ends_with("+xml")
        || matches!(essence, "text/html" | "text/xml" | "application/xml" | "text/xsl")
}

/// Files that have names of their own instead of extensions.
fn by_whole_name(name: &[u8]) -> &'static str {
    const TEXTS: [&str; 22] = [
        "AUTHORS",
        "CHANGELOG",
        "CHANGES",
        "CODEOWNERS",
        "CONTRIBUTING",
        "CONTRIBUTORS",
        "COPYING",
        "Containerfile",
        "Dockerfile",
        "HISTORY",
        "INSTALL",
        "Justfile",
        "LICENCE",
        "LICENSE",
        "MD5SUMS",
        "Makefile",
        "NEWS",
        "NOTICE",
        "README",
        "SHA256SUMS",
        "SHA512SUMS",
        "TODO",
    ];
    match name {
        // Its readers insist on the type (RFC 8615 names live without extensions).
        b"apple-app-site-association" => JSON,
        _ if TEXTS.iter().any(|text| name.eq_ignore_ascii_case(text.as_bytes())) => PLAIN,
        _ => UNKNOWN,
    }
}

/// Where the crate's table is wrong, dated or silent. `extension` is in lower case.
fn ours(extension: &str) -> Option<&'static str> {
    Some(match extension {
        // RFC 9239: text/javascript for all of them. A browser runs no module under another type.
        "js" | "mjs" | "cjs" => SCRIPT,
        "json" | "map" => JSON,
        "wasm" => "application/wasm",
        "webmanifest" => "application/manifest+json",
        "jsonl" | "ndjson" => "application/x-ndjson",
        "topojson" => "application/geo+json",
        // RFC 9512.
        "yaml" | "yml" => "application/yaml",
        // RFC 7303 §9.2: text/xml is but another name.
        "xml" | "xsd" | "rng" => "application/xml",
        "xsl" | "xslt" => "application/xslt+xml",
        "woff" => "font/woff",
        "woff2" => "font/woff2",
        "otf" => "font/otf",
        "ttc" => "font/collection",
        "avif" => "image/avif",
        "jxl" => "image/jxl",
        "webp" => "image/webp",
        // What browsers and feeds know, registered or not.
        "ico" | "cur" => "image/x-icon",
        "m3u8" => "application/vnd.apple.mpegurl",
        // RFC 3555. Players refuse segments of another type, and camcorders write `mts`, while no
        // browser runs TypeScript: mistaken for video it merely downloads.
        "ts" | "mts" | "m2ts" => "video/mp2t",
        "cts" | "tsx" => PLAIN,
        "opus" | "ogg" | "oga" => "audio/ogg",
        "m4a" => "audio/mp4",
        "mka" => "audio/matroska",
        "mkv" => "video/matroska",
        "wav" => "audio/wav",
        "md" | "markdown" | "mkd" => "text/markdown; charset=utf-8",
        "vcf" => "text/vcard; charset=utf-8",
        // A text of no language that anyone has registered.
        "bat" | "bash" | "cfg" | "diff" | "dockerfile" | "fish" | "glsl" | "go" | "gradle"
        | "hs" | "jl" | "kt" | "lock" | "nix" | "nu" | "org" | "patch" | "php" | "pl" | "ps1"
        | "pyi" | "rb" | "rst" | "scala" | "sh" | "sha256" | "sha512" | "sql" | "srt"
        | "svelte" | "swift" | "tex" | "tf" | "vue" | "wat" | "wgsl" | "zig" | "zsh" => PLAIN,
        "toml" => "application/toml",
        "br" => UNKNOWN,
        "gz" | "tgz" | "svgz" => "application/gzip",
        "zst" | "tzst" => "application/zstd",
        "sqlite" | "sqlite3" => "application/vnd.sqlite3",
        _ => return None,
    })
}

/// The crate's types with the parameter that texts need.
fn with_charset(media_type: &'static str) -> &'static str {
    match media_type {
        "text/html" => "text/html; charset=utf-8",
        "text/css" => "text/css; charset=utf-8",
        "text/csv" => "text/csv; charset=utf-8",
        "text/tab-separated-values" => "text/tab-separated-values; charset=utf-8",
        "text/calendar" => "text/calendar; charset=utf-8",
        "text/vcard" => "text/vcard; charset=utf-8",
        "text/vtt" => "text/vtt; charset=utf-8",
        "text/javascript" => SCRIPT,
        "text/turtle" => "text/turtle; charset=utf-8",
        "text/n3" => "text/n3; charset=utf-8",
        "text/uri-list" => "text/uri-list; charset=utf-8",
        "text/vnd.graphviz" => "text/vnd.graphviz; charset=utf-8",
        "text/cache-manifest" => "text/cache-manifest; charset=utf-8",
        "text/xml" => "application/xml",
        // Says its encoding itself.
        "text/rtf" => "application/rtf",
        // Some ninety more, most of them for source code and hardly any registered. As plain text
        // a browser shows them instead of offering a download.
        text if text.starts_with("text/") => PLAIN,
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(table: &[(&str, &[&str])]) {
        for (expected, names) in table {
            for name in *names {
                assert_eq!(media_type(name.as_bytes()), *expected, "{name}");
            }
        }
    }

    #[test]
    fn what_the_web_is_made_of_has_its_registered_type() {
        check(&[
            ("text/html; charset=utf-8", &["index.html", "a.htm", "A.HTML"]),
            ("text/css; charset=utf-8", &["a.css"]),
            ("text/javascript; charset=utf-8", &["a.js", "a.mjs", "a.cjs", "a.min.JS"]),
            ("application/json", &["a.json", "a.js.map", "apple-app-site-association"]),
            ("application/ld+json", &["a.jsonld"]),
            ("application/manifest+json", &["app.webmanifest"]),
            ("application/wasm", &["a.wasm"]),
            ("application/xml", &["a.xml"]),
            ("application/xhtml+xml", &["a.xhtml"]),
            ("image/svg+xml", &["a.svg"]),
            ("application/atom+xml", &["a.atom"]),
            ("application/rss+xml", &["a.rss"]),
            ("image/png", &["a.png"]),
            ("image/jpeg", &["a.jpg", "a.JPEG"]),
            ("image/gif", &["a.gif"]),
            ("image/webp", &["a.webp"]),
            ("image/avif", &["a.avif"]),
            ("image/jxl", &["a.jxl"]),
            ("image/x-icon", &["favicon.ico"]),
            ("font/woff", &["a.woff"]),
            ("font/woff2", &["a.woff2"]),
            ("font/ttf", &["a.ttf"]),
            ("font/otf", &["a.otf"]),
            ("application/pdf", &["a.pdf"]),
            ("text/vtt; charset=utf-8", &["a.vtt"]),
        ]);
    }

    #[test]
    fn media_and_archives_keep_players_and_browsers_content() {
        check(&[
            ("video/mp4", &["a.mp4"]),
            ("video/webm", &["a.webm"]),
            ("video/mp2t", &["segment1.ts", "00001.MTS"]),
            ("application/vnd.apple.mpegurl", &["a.m3u8"]),
            ("audio/mpeg", &["a.mp3"]),
            ("audio/ogg", &["a.ogg", "a.opus"]),
            ("audio/mp4", &["a.m4a"]),
            ("audio/flac", &["a.flac"]),
            ("application/zip", &["a.zip"]),
            ("application/gzip", &["a.gz", "a.tar.gz", "a.tgz", "a.svgz"]),
            ("application/zstd", &["a.tar.zst"]),
            (
                "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
                &["a.docx"],
            ),
        ]);
    }

    #[test]
    fn text_of_any_kind_is_shown_as_text() {
        check(&[
            (
                "text/plain; charset=utf-8",
                &[
                    "a.txt",
                    "a.log",
                    "a.rs",
                    "a.c",
                    "a.h",
                    "a.py",
                    "a.go",
                    "a.java",
                    "a.sh",
                    "a.tsx",
                    "a.diff",
                    "a.ini",
                    "a.scss",
                    "LICENSE",
                    "README",
                    "Makefile",
                    "makefile",
                    "SHA256SUMS",
                ],
            ),
            ("text/markdown; charset=utf-8", &["README.md"]),
            ("text/csv; charset=utf-8", &["a.csv"]),
            ("text/calendar; charset=utf-8", &["a.ics"]),
        ]);
    }

    #[test]
    fn what_nobody_knows_is_octets() {
        check(&[(
            "application/octet-stream",
            &["a", "", ".html", "a.", "a.nosuchthing", "html", "a.b c", "a.htm\0l", "a.b;c"],
        )]);
        assert_eq!(media_type(b"a.\xff"), UNKNOWN);
        assert_eq!(media_type(&[b'.'; 255]), UNKNOWN);
        assert_eq!(media_type(format!("a.{}", "x".repeat(250)).as_bytes()), UNKNOWN);
    }

    #[test]
    fn every_answer_is_a_field_value() {
        let letters = || (b'0'..=b'9').chain(b'a'..=b'z');
        for extension in
            letters().flat_map(|a| letters().flat_map(move |b| letters().map(move |c| [a, b, c])))
        {
            let name = [b"a.".as_slice(), &extension].concat();
            let answer = media_type(&name);
            let (kind, rest) = answer.split_once('/').expect(answer);
            assert!(!kind.is_empty() && !rest.is_empty(), "{answer}");
            assert!(answer.bytes().all(|b| b.is_ascii_graphic() || b == b' '), "{answer}");
            assert_eq!(kind == "text", answer.ends_with("; charset=utf-8"), "{answer}");
        }
    }
}
