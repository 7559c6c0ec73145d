//! The files that a server under test serves, described in a few lines of text.
//!
//! One file a line: a path, what it is, and perhaps when it was modified.
//! ```text
//! hello.txt           text "Hello, world.\n"    modified Sun, 06 Nov 1994 08:49:37 GMT
//! big.bin             size 200000
//! docs/               directory
//! alias.txt           link hello.txt
//! pipe                fifo
//! caf\xe9.txt         text "escapes work in paths too"
//! gone-{way}.txt      text "one file for each way that a case is sent"
//! ../secret.txt       text "beside the root, so never to be served"
//! ```

use std::ffi::OsStr;
use std::fs::{self, File};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use rustix::fs::{CWD, Mode, mkfifoat};

use crate::escape::{Values, fill, quoted, unescape};
use crate::run::Way;

/// What is in the root of every case file; a `files` block adds to it.
pub const STANDARD: &str = r#"
index.html          text "<!DOCTYPE html>\n<title>Home</title>\n<h1>Home</h1>\n"
hello.txt           text "Hello, world.\n"     modified Sun, 06 Nov 1994 08:49:37 GMT
ten.txt             text "0123456789"          modified Sun, 06 Nov 1994 08:49:37 GMT
empty.txt           text ""                    modified Sun, 06 Nov 1994 08:49:37 GMT
big.bin             size 200000                modified Sun, 06 Nov 1994 08:49:37 GMT
docs/index.html     text "<h1>Docs</h1>\n"
docs/guide.html     text "<h1>Guide</h1>\n"
bare/a.txt          text "a\n"
bare/b.txt          text "b\n"
../secret.txt       text "secret\n"
"#;

/// Makes the files that `text` describes in `root`, which exists. Later lines replace earlier ones.
///
/// # Errors
/// A sentence that quotes the line at fault.
pub fn create(root: &Path, text: &str) -> Result<(), String> {
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
        for way in Way::ALL {
            create_one(
                root,
                &fill(line, &Values::from([("way".to_owned(), way.name().to_owned())])),
            )
            .map_err(|why| format!("files: `{line}`: {why}"))?;
            if !line.contains("{way}") {
                break;
            }
        }
    }
    Ok(())
}

fn create_one(root: &Path, line: &str) -> Result<(), String> {
    let (path, what) = line.split_once(char::is_whitespace).ok_or("a path and what it is")?;
    let path = unescape(path)?;
    let path = root.join(OsStr::from_bytes(&path));
    let parent = path.parent().ok_or("a path below the root")?;
    fs::create_dir_all(parent).map_err(|e| e.to_string())?;
    let (what, modified) = match what.rsplit_once(" modified ") {
        Some((what, date)) => (what.trim(), Some(date.trim())),
        None => (what.trim(), None),
    };
    let (kind, value) = what.split_once(' ').unwrap_or((what, ""));
    match kind {
        "text" => fs::write(&path, quoted(value)?).map_err(|e| e.to_string())?,
        "size" => {
            let size = value.parse().map_err(|_| "`size` needs a number of octets")?;
            fs::write(&path, pattern(size)).map_err(|e| e.to_string())?;
        }
        "directory" => fs::create_dir_all(&path).map_err(|e| e.to_string())?,
        "link" => std::os::unix::fs::symlink(value, &path).map_err(|e| e.to_string())?,
        "fifo" => mkfifoat(CWD, &path, Mode::RUSR | Mode::WUSR).map_err(|e| e.to_string())?,
        _ => return Err(format!("no such kind of file: `{kind}`")),
    }
    if let Some(date) = modified {
        let time = httpdate::parse_http_date(date).map_err(|_| "`modified` needs an HTTP date")?;
        let file = File::open(&path).map_err(|e| e.to_string())?;
        file.set_modified(time).map_err(|e| e.to_string())?;
    }
    Ok(())
}

/// Content in which every part looks different, so that a shifted range is noticed.
fn pattern(size: usize) -> Vec<u8> {
    let lines = (0..).flat_map(|n: usize| format!("{n:015}\n").into_bytes());
    lines.take(size).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::FileTypeExt;

    #[test]
    fn the_standard_files() {
        let dir = tempfile::TempDir::new().unwrap();
        let root = dir.path().join("root");
        fs::create_dir(&root).unwrap();
        create(&root, STANDARD).unwrap();
        assert_eq!(fs::read(root.join("hello.txt")).unwrap(), b"Hello, world.\n");
        assert_eq!(fs::metadata(root.join("big.bin")).unwrap().len(), 200_000);
        let modified = fs::metadata(root.join("ten.txt")).unwrap().modified().unwrap();
        assert_eq!(httpdate::fmt_http_date(modified), "Sun, 06 Nov 1994 08:49:37 GMT");
        assert!(dir.path().join("secret.txt").exists());
    }

    #[test]
    fn every_kind_of_file() {
        let dir = tempfile::TempDir::new().unwrap();
        let text = "d/ directory\nl link d\np fifo\n\\xff.txt text \"\\x00\"\nw-{way} size 17";
        create(dir.path(), text).unwrap();
        assert!(dir.path().join("l").is_dir());
        assert!(fs::metadata(dir.path().join("p")).unwrap().file_type().is_fifo());
        assert_eq!(fs::read(dir.path().join(OsStr::from_bytes(b"\xff.txt"))).unwrap(), b"\0");
        for way in Way::ALL {
            let content = fs::read(dir.path().join(format!("w-{}", way.name()))).unwrap();
            assert_eq!(content, b"000000000000000\n0");
        }
    }

    #[test]
    fn a_line_at_fault_is_quoted() {
        let dir = tempfile::TempDir::new().unwrap();
        for wrong in ["a", "a door", "a text b", "a size x", "a size 1 modified today", "\\q fifo"]
        {
            let why = create(dir.path(), wrong).unwrap_err();
            assert!(why.contains(wrong), "{why}");
        }
    }
}
