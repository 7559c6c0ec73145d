//! The arguments of `cargo xtask bench`: which workloads, which servers, how often and how long.

use anyhow::{Context, Result, bail, ensure};

use super::scale;
use super::servers::Kind;
use super::workloads::WORKLOADS;

/// What a run without `--quick` does.
const ROUNDS: u32 = 5;
const SECONDS: u32 = 2;
/// More rounds or longer ones do not end in an hour.
const ROUNDS_MAX: u32 = 50;
const SECONDS_MAX: u32 = 60;
/// What `--quick` tries.
const QUICK: [&str; 4] = ["1k", "404", "304-tag", "range"];

/// What is measured, and how.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Arguments {
    pub(super) rounds: u32,
    pub(super) seconds: u32,
    pub(super) servers: Vec<Kind>,
    /// Whether the access log is on, for each pass.
    pub(super) logs: Vec<bool>,
    pub(super) workloads: Vec<String>,
}

impl Arguments {
    /// Reads the words behind `bench`.
    ///
    /// # Errors
    /// When one of them makes no sense.
    pub(super) fn parse(args: &[String]) -> Result<Arguments> {
        let is_quick = args.iter().any(|arg| arg == "--quick");
        let mut arguments = Arguments {
            rounds: if is_quick { 1 } else { ROUNDS },
            seconds: if is_quick { 1 } else { SECONDS },
            servers: Kind::ALL.to_vec(),
            logs: vec![true, false],
            workloads: Vec::new(),
        };
        let mut args = args.iter();
        while let Some(arg) = args.next() {
            let mut value = || args.next().with_context(|| format!("{arg} what?"));
            match arg.as_str() {
                "--quick" => {}
                "--rounds" => arguments.rounds = number(arg, value()?, ROUNDS_MAX)?,
                "--seconds" => arguments.seconds = number(arg, value()?, SECONDS_MAX)?,
                "--servers" => arguments.servers = servers(value()?)?,
                "--log" => arguments.logs = logs(value()?)?,
                flag if flag.starts_with('-') => bail!(
                    "no such flag: {flag}; there are --quick, --rounds N, --seconds S, \
                     --servers A,B,... and --log on|off|both"
                ),
                word if names().any(|name| name == word) => {
                    arguments.workloads.push(word.to_owned());
                }
                word => {
                    let known: Vec<_> = names().collect();
                    bail!("no such workload: {word}; there are {}", known.join(", "));
                }
            }
        }
        if arguments.workloads.is_empty() {
            let wanted = |name: &&str| !is_quick || QUICK.contains(name);
            arguments.workloads = names().filter(wanted).map(str::to_owned).collect();
        }
        Ok(arguments)
    }
}

fn names() -> impl Iterator<Item = &'static str> {
    WORKLOADS.iter().map(|workload| workload.name).chain([scale::NAME])
}

fn number(flag: &str, value: &str, most: u32) -> Result<u32> {
    let number = value.parse().with_context(|| format!("{flag}: {value} is no number"))?;
    ensure!((1..=most).contains(&number), "{flag}: 1 to {most}");
    Ok(number)
}

/// The servers in `list`, and always ours and the floor, which all others are held against.
fn servers(list: &str) -> Result<Vec<Kind>> {
    let mut wanted = vec![Kind::Floor, Kind::Httpd];
    for name in list.split(',').filter(|name| !name.is_empty()) {
        let kind = Kind::ALL.into_iter().find(|kind| kind.name() == name);
        let known = || Kind::ALL.map(Kind::name).join(", ");
        wanted.push(kind.with_context(|| format!("no such server: {name}; I know {}", known()))?);
    }
    Ok(Kind::ALL.into_iter().filter(|kind| wanted.contains(kind)).collect())
}

fn logs(value: &str) -> Result<Vec<bool>> {
    match value {
        "on" => Ok(vec![true]),
        "off" => Ok(vec![false]),
        "both" => Ok(vec![true, false]),
        _ => bail!("--log is on, off or both"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Arguments> {
        let args: Vec<_> = line.split_whitespace().map(str::to_owned).collect();
        Arguments::parse(&args)
    }

    #[test]
    fn without_any_everything_is_measured() {
        let arguments = parse("").unwrap();
        assert_eq!((arguments.rounds, arguments.seconds), (ROUNDS, SECONDS));
        assert_eq!(arguments.servers, Kind::ALL);
        assert_eq!(arguments.logs, [true, false]);
        assert_eq!(arguments.workloads.len(), WORKLOADS.len() + 1);
    }

    #[test]
    fn quick_is_a_default_that_other_flags_change() {
        let arguments = parse("--rounds 3 --quick --servers dufs --log on").unwrap();
        assert_eq!((arguments.rounds, arguments.seconds), (3, 1));
        assert_eq!(arguments.servers, [Kind::Floor, Kind::Httpd, Kind::Dufs]);
        assert_eq!(arguments.logs, [true]);
        assert_eq!(arguments.workloads, QUICK);
        assert_eq!(parse("--quick close 1k").unwrap().workloads, ["close", "1k"]);
    }

    #[test]
    fn what_makes_no_sense_is_refused_with_a_sentence() {
        for (line, why) in [
            ("--fast", "no such flag: --fast"),
            ("--rounds", "--rounds what?"),
            ("--rounds 0", "1 to 50"),
            ("--seconds x", "x is no number"),
            ("--servers apache", "no such server: apache"),
            ("--log maybe", "on, off or both"),
            ("2k", "no such workload: 2k"),
        ] {
            let said = parse(line).unwrap_err().to_string();
            assert!(said.contains(why), "{line}: {said}");
        }
    }
}
