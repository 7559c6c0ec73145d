//! The arguments of `cargo xtask compare`: which servers, and which cases.

use std::net::{SocketAddr, ToSocketAddrs};
use std::path::PathBuf;

use anyhow::{Context, Result, bail};

use super::peer::Kind;
use super::select::Wanted;

const USAGE: &str = "the arguments are nginx, lighttpd or --base http://HOST:PORT --root DIR, \
                     and perhaps names of case files or parts of headings";

/// Which servers are compared, and in which cases.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Arguments {
    pub(super) targets: Vec<Target>,
    /// Empty for all that can be compared.
    pub(super) wanted: Vec<Wanted>,
}

/// A server to compare with.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Target {
    /// Started here, with a configuration that is known to be fair.
    Named(Kind),
    /// Runs already, at `addr`, and serves the directory `root`, which is empty.
    Running { base: String, addr: SocketAddr, root: PathBuf },
}

impl Arguments {
    /// Reads the words behind `compare`.
    ///
    /// # Errors
    /// When they name no server, or something that makes no sense.
    pub(super) fn parse(args: &[String]) -> Result<Arguments> {
        let mut arguments = Arguments { targets: Vec::new(), wanted: Vec::new() };
        let (mut base, mut root) = (None, None);
        let mut args = args.iter();
        while let Some(arg) = args.next() {
            let mut value = || args.next().cloned().with_context(|| format!("{arg} what?"));
            match arg.as_str() {
                "--base" => base = Some(value()?),
                "--root" => root = Some(PathBuf::from(value()?)),
                flag if flag.starts_with('-') => bail!("no such flag: {flag}; {USAGE}"),
                word => match Kind::named(word) {
                    Some(kind) => arguments.targets.push(Target::Named(kind)),
                    None => arguments.wanted.push(Wanted::new(word)),
                },
            }
        }
        match (base, root) {
            (Some(base), Some(root)) => {
                let addr = address(&base)?;
                arguments.targets.push(Target::Running { base, addr, root });
            }
            (Some(_), None) => bail!(
                "--base needs --root DIR: the directory that the server there serves, empty now, \
                 which is filled with what each case file wants, and emptied in the end"
            ),
            (None, Some(_)) => bail!("--root belongs to --base; {USAGE}"),
            (None, None) => {}
        }
        if arguments.targets.is_empty() {
            bail!("{USAGE}");
        }
        Ok(arguments)
    }
}

/// The address in `http://HOST:PORT`, with or without a slash behind it.
fn address(base: &str) -> Result<SocketAddr> {
    let host = base.strip_prefix("http://").context("--base begins with http://")?;
    let host = host.strip_suffix('/').unwrap_or(host);
    let addr = host.to_socket_addrs().with_context(|| base.to_owned())?.next();
    addr.with_context(|| format!("{base}: no such host"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Arguments> {
        let args: Vec<_> = line.split_whitespace().map(str::to_owned).collect();
        Arguments::parse(&args)
    }

    #[test]
    fn servers_and_cases_are_told_apart() {
        let arguments = parse("nginx ranges lighttpd tests/cases/host.md").unwrap();
        assert_eq!(arguments.targets, [Kind::Nginx, Kind::Lighttpd].map(Target::Named));
        assert_eq!(arguments.wanted, ["ranges", "tests/cases/host.md"].map(Wanted::new));
    }

    #[test]
    fn a_running_server_has_an_address_and_a_root() {
        for base in ["http://127.0.0.1:81", "http://127.0.0.1:81/"] {
            let arguments = parse(&format!("--root www --base {base} host")).unwrap();
            let [Target::Running { addr, root, .. }] = &arguments.targets[..] else { panic!() };
            assert_eq!((addr.port(), root.to_str()), (81, Some("www")));
            assert_eq!(arguments.wanted.len(), 1);
        }
    }

    #[test]
    fn what_makes_no_sense_is_refused_with_a_sentence() {
        for (line, why) in [
            ("", "the arguments are"),
            ("ranges", "the arguments are"),
            ("--fast nginx", "no such flag: --fast"),
            ("nginx --root www", "belongs to --base"),
            ("--base http://127.0.0.1:81", "needs --root"),
            ("--base", "--base what?"),
            ("--root www --base 127.0.0.1:81", "begins with http://"),
            ("--root www --base http://127.0.0.1", "http://127.0.0.1"),
        ] {
            let said = parse(line).unwrap_err().to_string();
            assert!(said.contains(why), "{line}: {said}");
        }
    }
}
