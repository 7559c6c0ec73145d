//! Says what is wrong with a command line: one sentence, with a way out.

use std::error::Error as _;

use clap::error::{ContextKind, ContextValue, ErrorKind};

use crate::typed::Quoted;

/// What to print for a command line that clap refuses.
pub(crate) fn sentence(error: &clap::Error) -> String {
    let said = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => text.as_str(),
        _ => "",
    };
    // As in `--bind <ADDR:PORT>`: what it is called, and what it takes.
    let argument = said(ContextKind::InvalidArg);
    let (name, takes) = argument.split_once(' ').unwrap_or((argument, "a value"));
    let value = said(ContextKind::InvalidValue);
    match (error.kind(), error.source()) {
        (ErrorKind::UnknownArgument, _) if !argument.starts_with('-') => {
            format!(
                "'{argument}' is one directory too many - one is served: httpd {}",
                Quoted(argument.as_ref())
            )
        }
        (ErrorKind::UnknownArgument, _) if argument[1..].parse::<f64>().is_ok() => {
            format!("there is nothing here that {argument} could mean - try: httpd --help")
        }
        (ErrorKind::UnknownArgument, _) => match said(ContextKind::SuggestedArg) {
            "" => format!("there is no option {argument} - for those there are, try: httpd --help"),
            other => format!("there is no option {argument} - did you mean {other}?"),
        },
        (ErrorKind::InvalidValue, _) if value.is_empty() && name == "[ROOT]" => {
            "the directory has no name - try: httpd . to serve the current one".to_owned()
        }
        (ErrorKind::InvalidValue, _) if value.is_empty() => format!("{name} needs {takes}"),
        (ErrorKind::ValueValidation, Some(why)) => {
            let value = if value.is_empty() { "''" } else { value };
            format!("{name} {value}: {why}")
        }
        (ErrorKind::TooManyValues, _) => format!("{name} is there or not, it takes no value"),
        (ErrorKind::ArgumentConflict, _) => format!("{name} is given twice - once is enough"),
        // Whatever else there may be one day, in clap's words.
        _ => {
            let text = error.to_string();
            let line = text.lines().next().unwrap_or_default();
            format!("{} - try: httpd --help", line.trim_start_matches("error: "))
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::args::Args;

    fn check(rows: &[(&str, &str)]) {
        for (line, expected) in rows {
            let words = line.split(' ').map(|word| if word == "''" { "" } else { word });
            let error = Args::try_parse_from(words).expect_err(line);
            assert_eq!(sentence(&error), *expected, "{line}");
        }
    }

    #[test]
    fn a_mistake_is_told_in_one_sentence_with_a_way_out() {
        check(&[
            ("httpd --writeable", "there is no option --writeable - did you mean --writable?"),
            ("httpd -q", "there is no option -q - for those there are, try: httpd --help"),
            ("httpd a b", "'b' is one directory too many - one is served: httpd b"),
            ("httpd ''", "the directory has no name - try: httpd . to serve the current one"),
            ("httpd -b", "--bind needs <ADDR:PORT>"),
            ("httpd --access-log ''", "--access-log needs <PATH|-|off>"),
            ("httpd --auth", "--auth needs <FILE>"),
            ("httpd -b here", "--bind here: that is no address - try 127.0.0.1:8080 or [::1]:8080"),
            ("httpd --pool -1", "there is nothing here that -1 could mean - try: httpd --help"),
            ("httpd --pool 0", "--pool 0: that is no number from 1 to 4096"),
            ("httpd --head-max 1", "--head-max 1: that is no number from 128 to 61440"),
            ("httpd --body-max 1X", "--body-max 1X: that is no size - try 512K, 64M or 1G"),
            ("httpd --drain 0", "--drain 0: that is no number of seconds - try 10 or 0.5"),
            ("httpd --pool 1 --pool 2", "--pool is given twice - once is enough"),
        ]);
    }
}
