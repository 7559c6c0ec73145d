//! `cargo xtask invariants`: finds what the invariants forbid and a scan of the text can see.
//!
//! The numbers are those of `crates/README.md`. A rule is a line of [`RULES`]; what cannot be said
//! as "this word is not in those files" is a function below it.

mod code;
mod named;

use std::fmt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

/// Lines of a file, its tests apart, beyond which it has more than one idea in it.
const LINES_MAX: usize = 500;

/// Characters of a line that fit on half a screen.
const WIDTH_MAX: usize = 100;

/// Where Rust files are.
const ROOTS: [&str; 3] = ["crates", "tests", "xtask"];

/// Something that must not be written in some files.
struct Rule {
    /// The invariant's number; 0 for what is only good manners.
    number: u8,
    /// Paths that start with one of these are looked at,
    within: &'static [&'static str],
    /// unless they start with one of these.
    except: &'static [&'static str],
    look_at: LookAt,
    /// Words, or pieces of code that are compared as whole words.
    forbidden: &'static [&'static str],
    /// Completes "PATH:LINE: `WORD`: ...".
    sentence: &'static str,
}

enum LookAt {
    /// All of the text, comments too, in any case, words or parts of them.
    Text,
    /// Code without its comments and literals.
    Code,
    /// The same without tests.
    CodeNotTests,
}

const RULES: &[Rule] = &[
    Rule {
        number: 7,
        within: &ROOTS,
        except: &[],
        look_at: LookAt::Code,
        forbidden: &["unsafe"],
        sentence: "is forbidden in the workspace",
    },
    Rule {
        number: 2,
        within: &["crates/tcp-core/"],
        except: &[],
        look_at: LookAt::Text,
        forbidden: &["http"],
        sentence: "tcp-core carries octets and does not know of whom",
    },
    Rule {
        number: 3,
        within: &["crates/http-proto/src/"],
        except: &["crates/http-proto/src/server"],
        look_at: LookAt::CodeNotTests,
        forbidden: &[
            "std::fs",
            "std::net", // an address is in core::net, which can do no I/O
            "std::thread",
            "std::process",
            "std::env",
            "std::io::Read",
            "std::io::stdin",
            "std::io::stdout",
            "std::io::stderr",
            "print!",
            "println!",
            "eprint!",
            "eprintln!",
            "tcp_core",
        ],
        sentence: "http-proto's core does no I/O",
    },
    Rule {
        number: 3,
        within: &["crates/"],
        // Read once for a wake-up, and passed down from there.
        except: &[
            "crates/tcp-core/src/acceptor.rs",
            "crates/tcp-core/src/pool.rs",
            "crates/tcp-core/src/session.rs",
            "crates/tcp-core/src/stop.rs",
            "crates/tcp-core/src/worker.rs",
            "crates/fileserve/src/access_log/writer.rs",
            "crates/httpd-cli/",
        ],
        look_at: LookAt::CodeNotTests,
        forbidden: &["Instant::now", "SystemTime::now"],
        sentence: "the clock is read only where a wake-up begins; take the time as an argument",
    },
    Rule {
        number: 4,
        within: &["crates/fileserve/src/"],
        except: &[],
        look_at: LookAt::Code,
        forbidden: &["TcpStream", "TcpListener", "UdpSocket", "mio", "socket", "socket2"],
        sentence: "fileserve never sees a socket",
    },
    Rule {
        number: 0,
        within: &ROOTS,
        except: &[],
        look_at: LookAt::CodeNotTests,
        forbidden: &[".unwrap()"],
        sentence: "handle it, or `expect` with a sentence why it cannot fail",
    },
    Rule {
        number: 0,
        within: &ROOTS,
        except: &[],
        look_at: LookAt::Code,
        forbidden: &["todo!", "unimplemented!", "dbg!"],
        sentence: "is for work that is not finished",
    },
];

/// Scans the Rust files of the workspace in `dir`, and what the documents name in it.
///
/// # Errors
/// When something forbidden was found, which has been printed then, or a file cannot be read.
pub(crate) fn run(dir: &Path) -> Result<()> {
    let mut paths = Vec::new();
    for root in ROOTS {
        collect(&dir.join(root), &mut paths)?;
    }
    paths.sort();
    let mut found = named::missing(dir)?;
    for path in &paths {
        let text = std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
        let path = path.strip_prefix(dir).unwrap_or(path).to_string_lossy().into_owned();
        found.extend(check(&path, &text));
    }
    for violation in &found {
        eprintln!("{violation}");
    }
    if !found.is_empty() {
        bail!("invariants: {} violated", found.len());
    }
    eprintln!("none is broken in {} files", paths.len());
    Ok(())
}

fn collect(dir: &Path, paths: &mut Vec<PathBuf>) -> Result<()> {
    for entry in std::fs::read_dir(dir).with_context(|| dir.display().to_string())? {
        let entry = entry?;
        let path = entry.path();
        if entry.file_type()?.is_dir() {
            collect(&path, paths)?;
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            paths.push(path);
        }
    }
    Ok(())
}

/// Something found where it must not be.
#[derive(Debug, PartialEq, Eq)]
struct Violation {
    path: String,
    line: usize,
    number: u8,
    message: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.path, self.line, self.message)?;
        match self.number {
            0 => Ok(()),
            number => write!(f, " (invariant {number})"),
        }
    }
}

/// What is wrong with the file at `path`, relative to the workspace and with `/` in it.
fn check(path: &str, text: &str) -> Vec<Violation> {
    let code = code::only(text);
    let tests_from = tests_from(path, text);
    let mut found = check_shape(path, text, tests_from);
    for rule in RULES {
        let starts = |prefixes: &[&str]| prefixes.iter().any(|prefix| path.starts_with(prefix));
        if !starts(rule.within) || starts(rule.except) {
            continue;
        }
        let (lines, last) = match rule.look_at {
            LookAt::Text => (text, usize::MAX),
            LookAt::Code => (code.as_str(), usize::MAX),
            LookAt::CodeNotTests => (code.as_str(), tests_from),
        };
        for (line, number) in lines.lines().zip(1..last) {
            for word in rule.forbidden {
                let holds = match rule.look_at {
                    LookAt::Text => line.to_lowercase().contains(word),
                    LookAt::Code | LookAt::CodeNotTests => code::has_word(line, word),
                };
                if holds {
                    let message = format!("`{word}`: {}", rule.sentence);
                    let path = path.to_owned();
                    found.push(Violation { path, line: number, number: rule.number, message });
                }
            }
        }
    }
    found
}

/// What every file looks like: says what it decides, is not too long, not too wide.
fn check_shape(path: &str, text: &str, tests_from: usize) -> Vec<Violation> {
    let violation = |line, message| Violation { path: path.to_owned(), line, number: 0, message };
    let mut found = Vec::new();
    if !text.starts_with("//!") {
        let message = "the first line says what the file decides: `//! ...`";
        found.push(violation(1, message.to_owned()));
    }
    let lines = text.lines().count().min(tests_from.saturating_sub(1));
    if lines > LINES_MAX {
        let message = format!("{lines} lines before the tests, {LINES_MAX} are the most");
        found.push(violation(LINES_MAX + 1, message));
    }
    for (line, number) in text.lines().zip(1..) {
        let width = line.chars().count();
        if width > WIDTH_MAX {
            let message = format!("{width} characters wide, {WIDTH_MAX} are the most");
            found.push(violation(number, message));
        }
    }
    found
}

/// The first line that belongs to tests, `usize::MAX` without any. Tests are last in a file.
fn tests_from(path: &str, text: &str) -> usize {
    // The member `tests` is a library of its own; only its suite is made of tests.
    let inner = path.strip_prefix("tests/src/").unwrap_or(path);
    let only_tests = inner.ends_with("/tests.rs")
        || inner.starts_with("tests/suite/")
        || inner.split('/').skip(1).any(|dir| dir == "tests");
    if only_tests {
        return 1;
    }
    let lines: Vec<_> = text.lines().map(str::trim).collect();
    let begins = |pair: &[&str]| pair[0] == "#[cfg(test)]" && pair[1].starts_with("mod ");
    lines.windows(2).position(begins).map_or(usize::MAX, |index| index + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What `check` says of a file with a good first line in front of `text`.
    fn says(path: &str, text: &str) -> Vec<String> {
        let text = format!("//! Decides.\n{text}");
        check(path, &text).iter().map(ToString::to_string).collect()
    }

    #[track_caller]
    fn caught(path: &str, text: &str, start: &str) {
        let said = says(path, text);
        assert_eq!(said.len(), 1, "{path}: {text}: {said:?}");
        assert!(said[0].starts_with(start), "{}", said[0]);
        assert!(!said[0].contains("(invariant 0)"), "{}", said[0]);
    }

    #[track_caller]
    fn clean(path: &str, text: &str) {
        assert_eq!(says(path, text), Vec::<String>::new(), "{path}: {text}");
    }

    #[test]
    fn planted_violations_are_caught() {
        let (core, proto, files) =
            ("crates/tcp-core/src/a.rs", "crates/http-proto/src/a.rs", "crates/fileserve/src/a.rs");
        let one = "crates/x/src/a.rs";
        caught(one, "\nunsafe { x() }", "crates/x/src/a.rs:3: `unsafe`: is forbidden");
        caught("xtask/src/a.rs", "unsafe fn x() {}", "xtask/src/a.rs:2: `unsafe`");
        caught("tests/suite/a.rs", "unsafe fn x() {}", "tests/suite/a.rs:2: `unsafe`");
        caught(core, "// as in HTTP", "crates/tcp-core/src/a.rs:2: `http`: tcp-core carries");
        caught(core, "let http_port = 80;", "crates/tcp-core/src/a.rs:2: `http`");
        caught(proto, "use std::net::TcpStream;", "crates/http-proto/src/a.rs:2: `std::net`");
        caught(proto, "use std::fs;", "crates/http-proto/src/a.rs:2: `std::fs`");
        caught(proto, "std::thread::sleep(d);", "crates/http-proto/src/a.rs:2: `std::thread`");
        caught(proto, "let t = Instant::now();", "crates/http-proto/src/a.rs:2: `Instant::now`");
        caught(files, "fn a(s: &TcpStream) {}", "crates/fileserve/src/a.rs:2: `TcpStream`");
        caught(files, "use mio::Token;", "crates/fileserve/src/a.rs:2: `mio`");
        caught(files, "SystemTime::now()", "crates/fileserve/src/a.rs:2: `SystemTime::now`");
        caught(one, "a.unwrap();", "crates/x/src/a.rs:2: `.unwrap()`");
        caught(one, "todo!()", "crates/x/src/a.rs:2: `todo!`");
        caught(
            one,
            "#[cfg(test)]\nmod tests { fn a() { dbg!(1); } }",
            "crates/x/src/a.rs:3: `dbg!`",
        );
        caught(one, &"\n".repeat(501), "crates/x/src/a.rs:501: 502 lines");
        caught(one, &format!("// {}", "é".repeat(98)), "crates/x/src/a.rs:2: 101 characters");
        assert_eq!(check(one, "use a;")[0].to_string().find("the first line"), Some(21));
    }

    #[test]
    fn what_only_looks_like_a_violation_is_not() {
        let one = "crates/x/src/a.rs";
        clean(one, "#![forbid(unsafe_code)] // unsafe\n/* unsafe */ let a = \"unsafe\";");
        clean(one, "#[cfg(test)]\nmod tests { fn a() { b.unwrap(); Instant::now(); } }");
        clean(one, &format!("#[cfg(test)]\nmod tests {{}}{}", "\n".repeat(600)));
        clean(one, "a.unwrap_or(1); my_todo!();");
        clean(one, &format!("// {}", "é".repeat(97)));
        clean("crates/http-proto/src/server/a.rs", "use std::net::SocketAddr;");
        clean("crates/http-proto/src/a.rs", "use core::net::Ipv6Addr; use std::io::Write;");
        clean("crates/tcp-core/src/worker.rs", "let now = Instant::now();");
        clean("crates/fileserve/src/a.rs", "// a socket\nif kind.is_socket() {}");
        clean("crates/fileserve/src/a/tests.rs", "a.unwrap(); Instant::now();");
        clean("tests/suite/a.rs", "a.unwrap();");
        clean("crates/tcp-core/tests/a.rs", "a.unwrap(); Instant::now();");
        caught("tests/src/a.rs", "a.unwrap();", "tests/src/a.rs:2: `.unwrap()`");
    }

    #[test]
    fn this_workspace_is_looked_at() {
        let mut paths = Vec::new();
        collect(&crate::workspace().join("xtask"), &mut paths).unwrap();
        assert!(paths.iter().any(|path| path.ends_with("xtask/src/invariants.rs")), "{paths:?}");
    }
}
