//! The command line as it was typed, to be told with a change that makes it work.

use std::ffi::{OsStr, OsString};
use std::fmt;

use clap::parser::ValueSource;
use clap::{ArgMatches, CommandFactory};

use crate::args::Args;

/// A command that can be pasted into a shell: all that was said, with `-b` for `--bind` and so on,
/// the directory last.
#[derive(Clone, Debug)]
pub(crate) struct Typed {
    /// In the order of the command line.
    flags: Vec<Flag>,
    root: Option<OsString>,
}

#[derive(Clone, Debug)]
struct Flag {
    /// What clap calls it.
    id: String,
    /// As in `-b`.
    name: String,
    /// `None` for a flag that takes none.
    value: Option<OsString>,
}

impl Typed {
    /// What of `matches` was said, and not left to its default.
    pub(crate) fn new(matches: &ArgMatches) -> Typed {
        let mut found = Vec::new();
        let mut root = None;
        for arg in Args::command().get_arguments() {
            let id = arg.get_id().as_str();
            let is_said = matches.try_contains_id(id).unwrap_or(false)
                && matches.value_source(id) == Some(ValueSource::CommandLine);
            if !is_said {
                continue;
            }
            let mut values = matches.get_raw(id).into_iter().flatten().map(OsStr::to_owned);
            let Some(name) = flag_name(arg) else {
                root = values.next_back();
                continue;
            };
            let takes = arg.get_action().takes_values();
            for (index, value) in matches.indices_of(id).into_iter().flatten().zip(values) {
                let value = takes.then_some(value);
                found.push((index, Flag { id: id.to_owned(), name: name.clone(), value }));
            }
        }
        found.sort_by_key(|(index, _)| *index);
        Typed { flags: found.into_iter().map(|(_, flag)| flag).collect(), root }
    }

    /// With `value` for the flag `id`, instead of those of its values that `is_wrong` names by
    /// their place among them; added if the flag was not said.
    pub(crate) fn with(
        mut self,
        id: &str,
        is_wrong: impl Fn(usize) -> bool,
        value: impl Into<OsString>,
    ) -> Typed {
        let value = value.into();
        let mut place = 0;
        let mut is_said = false;
        self.flags.retain_mut(|flag| {
            if flag.id != id {
                return true;
            }
            place += 1;
            if !is_wrong(place - 1) {
                return true;
            }
            flag.value = Some(value.clone());
            // Once is enough for what was wrong twice.
            !std::mem::replace(&mut is_said, true)
        });
        if place == 0 {
            let command = Args::command();
            let arg = command.get_arguments().find(|arg| arg.get_id() == id);
            let name = arg.and_then(flag_name).expect("only flags that exist are suggested");
            self.flags.push(Flag { id: id.to_owned(), name, value: Some(value) });
        }
        self
    }

    /// With another directory to serve.
    pub(crate) fn with_root(self, root: impl Into<OsString>) -> Typed {
        Typed { root: Some(root.into()), ..self }
    }
}

fn flag_name(arg: &clap::Arg) -> Option<String> {
    let short = arg.get_short().map(|short| format!("-{short}"));
    short.or_else(|| arg.get_long().map(|long| format!("--{long}")))
}

impl fmt::Display for Typed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("httpd")?;
        for Flag { name, value, .. } in &self.flags {
            write!(f, " {name}")?;
            if let Some(value) = value {
                // A value like `-x` would be taken for a flag; only `-` alone is none.
                let bytes = value.as_encoded_bytes();
                let sign = if bytes.starts_with(b"-") && bytes.len() > 1 { "=" } else { " " };
                write!(f, "{sign}{}", Quoted(value))?;
            }
        }
        match &self.root {
            Some(root) if root.as_encoded_bytes().starts_with(b"-") => {
                write!(f, " -- {}", Quoted(root))
            }
            Some(root) => write!(f, " {}", Quoted(root)),
            None => Ok(()),
        }
    }
}

/// A word as a shell takes it. What is not UTF-8 cannot be shown, let alone pasted.
pub(crate) struct Quoted<'a>(pub(crate) &'a OsStr);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = self.0.to_string_lossy();
        let is_plain = |c: char| c.is_alphanumeric() || "/._-+:@%,".contains(c);
        match !word.is_empty() && word.chars().all(is_plain) {
            true => f.write_str(&word),
            false => write!(f, "'{}'", word.replace('\'', "'\\''")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn typed(words: &[&str]) -> Typed {
        let words = ["httpd"].iter().chain(words);
        Typed::new(&Args::command().try_get_matches_from(words).expect("a good line"))
    }

    #[test]
    fn all_that_was_said_is_said_again() {
        for (words, expected) in [
            (&[][..], "httpd"),
            (&["."], "httpd ."),
            (&["it's here", "-v"], r"httpd -v 'it'\''s here'"),
            (&["--", "-odd"], "httpd -- -odd"),
            (&["--access-log=-odd", "-v"], "httpd --access-log=-odd -v"),
            (&["-vb80", "--bind=[::1]:81", "a"], "httpd -v -b 80 -b '[::1]:81' a"),
            (&["--pool", "3", "--writable", "--access-log", "-"], {
                "httpd --pool 3 --writable --access-log -"
            }),
        ] {
            assert_eq!(typed(words).to_string(), expected, "{words:?}");
        }
    }

    #[test]
    fn only_what_is_wrong_is_replaced() {
        let line = ["-b", "localhost:80", "--writable", "-b", "81", "--access-log", "off"];
        for (words, wrong, expected) in [
            (&line[..], 0, "httpd -b NEW --writable -b 81 --access-log off"),
            (&line[..], 1, "httpd -b localhost:80 --writable -b NEW --access-log off"),
            (&["--writable", "dir"], 0, "httpd --writable -b NEW dir"),
        ] {
            let typed = typed(words).with("bind", |place| place == wrong, "NEW");
            assert_eq!(typed.to_string(), expected, "{words:?}");
        }
        let twice = typed(&["-b", "80", "-v", "-b", "80"]).with("bind", |_| true, "81");
        assert_eq!(twice.to_string(), "httpd -b 81 -v");
        let off = typed(&["--hidden", "file"]).with("access_log", |_| true, "off").with_root("a b");
        assert_eq!(off.to_string(), "httpd --hidden --access-log off 'a b'");
    }
}
