//! The servers that are held against each other: where their programs are, how they are started.

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use tempfile::TempDir;

use super::config::{self, CONNECTIONS_MAX, IDLE_SECONDS, Site};
use super::process::Guarded;
use super::wrk::pinned;
use crate::compare::peer::{find_program, is_executable};
use crate::trial::server;

/// How long a started server may take until it can be connected to.
const START_WITHIN: Duration = Duration::from_secs(10);

/// A server that can be measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    Floor,
    Httpd,
    Nginx,
    NginxTuned,
    Lighttpd,
    H2o,
    StaticWebServer,
    Miniserve,
    Dufs,
}

impl Kind {
    pub(super) const ALL: [Kind; 9] = [
        Kind::Floor,
        Kind::Httpd,
        Kind::Nginx,
        Kind::NginxTuned,
        Kind::Lighttpd,
        Kind::H2o,
        Kind::StaticWebServer,
        Kind::Miniserve,
        Kind::Dufs,
    ];

    pub(super) fn name(self) -> &'static str {
        match self {
            Kind::Floor => "floor",
            Kind::Httpd => "httpd",
            Kind::Nginx => "nginx",
            Kind::NginxTuned => "nginx-tuned",
            Kind::Lighttpd => "lighttpd",
            Kind::H2o => "h2o",
            Kind::StaticWebServer => "static-web-server",
            Kind::Miniserve => "miniserve",
            Kind::Dufs => "dufs",
        }
    }

    /// Whether it is somebody else's.
    pub(super) fn is_peer(self) -> bool {
        !matches!(self, Kind::Floor | Kind::Httpd)
    }
}

/// A server that is installed.
#[derive(Debug)]
pub(super) struct Program {
    pub(super) kind: Kind,
    pub(super) path: PathBuf,
    pub(super) version: String,
}

impl Program {
    /// Looks for it in `$PEERS_BIN`, where programs are, and where cargo installs them.
    pub(super) fn find(kind: Kind) -> Result<Option<Program>> {
        let path = match kind {
            Kind::Floor => Some(server::target_dir()?.join("release/examples/floor")),
            Kind::Httpd => Some(server::binary()?),
            Kind::NginxTuned => peer("nginx"),
            _ => peer(kind.name()),
        };
        Ok(path.map(|path| Program { kind, version: version(kind, &path), path }))
    }

    /// What starts it at `site`.
    fn command(&self, site: &Site<'_>, workers: u32, cores: Option<&str>) -> Result<Command> {
        let mut command = pinned(&self.path, cores);
        let configured = |text: String| -> Result<PathBuf> {
            let path = site.dir.join("server.conf");
            fs::write(&path, text).with_context(|| path.display().to_string())?;
            Ok(path)
        };
        let (ip, port) = (site.addr.ip().to_string(), site.addr.port().to_string());
        match self.kind {
            Kind::Floor => drop(command.arg(site.addr.to_string())),
            Kind::Httpd => {
                command.arg("-b").arg(site.addr.to_string());
                command.arg("--access-log").arg(site.log.unwrap_or(Path::new("off")));
                command.arg("--workers").arg(workers.to_string());
                command.arg("--max-connections").arg(CONNECTIONS_MAX.to_string());
                command.arg("--idle-timeout").arg(IDLE_SECONDS.to_string()).arg(site.root);
            }
            Kind::Nginx | Kind::NginxTuned => {
                let text = config::nginx(site, self.kind == Kind::NginxTuned);
                command.arg("-p").arg(site.dir).arg("-c").arg(configured(text)?);
            }
            Kind::Lighttpd => {
                command.arg("-D").arg("-f").arg(configured(config::lighttpd(site))?);
            }
            Kind::H2o => drop(command.arg("-c").arg(configured(config::h2o(site))?)),
            Kind::StaticWebServer => {
                let level = if site.log.is_some() { "info" } else { "error" };
                command.args(["--host", &ip, "--port", &port, "--log-level", level]);
                command.args(["--compression-static", "true", "--threads-multiplier", "1"]);
                command.arg("--log-remote-address").arg(site.log.is_some().to_string());
                command.arg("--root").arg(site.root);
            }
            Kind::Miniserve => {
                command.args(["--interfaces", &ip, "--port", &port]).arg(site.root);
                if site.log.is_some() {
                    command.arg("--verbose");
                }
            }
            Kind::Dufs => {
                command.args(["--bind", &ip, "--port", &port]).arg(site.root);
                if site.log.is_none() {
                    command.args(["--log-format", ""]);
                }
            }
        }
        Ok(command)
    }
}

fn peer(name: &str) -> Option<PathBuf> {
    let home = std::env::home_dir().map(|home| home.join(".cargo/bin"));
    let named = std::env::var_os("PEERS_BIN").map(PathBuf::from);
    let inside = |dir: Option<PathBuf>| Some(dir?.join(name)).filter(|path| is_executable(path));
    inside(named).or_else(|| find_program(name)).or_else(|| inside(home))
}

/// The first word that looks like a version in what the program says of itself.
fn version(kind: Kind, path: &Path) -> String {
    let flag = match kind {
        Kind::Floor => return String::new(),
        Kind::Nginx | Kind::NginxTuned | Kind::Lighttpd => "-v",
        _ => "--version",
    };
    let said = Command::new(path).arg(flag).output();
    let said = said.map(|output| [output.stdout, output.stderr].concat()).unwrap_or_default();
    version_in(&String::from_utf8_lossy(&said))
}

fn version_in(said: &str) -> String {
    let words = said.split(|c: char| c.is_whitespace() || c == '/');
    let mut versions = words
        .map(|word| word.trim_start_matches('v'))
        .filter(|word| word.starts_with(|c: char| c.is_ascii_digit()) && word.contains('.'));
    versions.next().unwrap_or("?").to_owned()
}

/// A server that was started here. It is killed and its directory removed when this is dropped.
pub(super) struct Running {
    pub(super) addr: SocketAddr,
    process: Guarded,
    dir: TempDir,
}

impl Running {
    /// Starts it on `root` and waits until it accepts connections.
    ///
    /// # Errors
    /// When it does not within [`START_WITHIN`]; what it said is told.
    pub(super) fn start(
        program: &Program,
        root: &Path,
        has_log: bool,
        workers: u32,
        cores: Option<&str>,
    ) -> Result<Running> {
        let mut running = Running::spawn(program, root, has_log, workers, cores)?;
        running.wait_listening()?;
        Ok(running)
    }

    /// Starts it on `root`, and waits for nothing.
    ///
    /// # Errors
    /// When it cannot be started.
    pub(super) fn spawn(
        program: &Program,
        root: &Path,
        has_log: bool,
        workers: u32,
        cores: Option<&str>,
    ) -> Result<Running> {
        let dir = tempfile::Builder::new().prefix("bench-").tempdir()?;
        // Nobody else is given the port meanwhile: the kernel hands them out in turn.
        let addr = TcpListener::bind(("127.0.0.1", 0))?.local_addr()?;
        let log = dir.path().join("access.log");
        let log = has_log.then_some(log.as_path());
        let site = Site { dir: dir.path(), root, addr, log };
        let mut command = program.command(&site, workers, cores)?;
        // Those that log to standard output log to this file.
        let said = fs::OpenOptions::new().append(true).create(true).open(said_path(&dir))?;
        command.current_dir(dir.path()).stdin(Stdio::null());
        command.stdout(said.try_clone()?).stderr(said);
        let process = Guarded::spawn(&mut command)?;
        Ok(Running { addr, process, dir })
    }

    pub(super) fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// Empties its logs, so that a long run does not fill the disk.
    pub(super) fn empty_logs(&self) {
        for path in [self.dir.path().join("access.log"), said_path(&self.dir)] {
            // Fails when there is none; all append, so none minds.
            let _ = fs::OpenOptions::new().write(true).open(path).and_then(|file| file.set_len(0));
        }
    }

    /// Whether its log, in its own file or on standard output, has a line.
    pub(super) fn has_logged(&self) -> bool {
        let names = [self.dir.path().join("access.log"), said_path(&self.dir)];
        names.iter().any(|path| fs::metadata(path).is_ok_and(|found| found.len() > 0))
    }

    /// How many answers its log tells of, when all its lines are as long as the first.
    ///
    /// # Errors
    /// When there is no log, or nothing in it.
    pub(super) fn answers_logged(&self) -> Result<u64> {
        let log = fs::File::open(self.dir.path().join("access.log"))?;
        let length = log.metadata()?.len();
        let mut first = String::new();
        BufReader::new(log).read_line(&mut first)?;
        length.checked_div(first.len() as u64).context("the log is empty")
    }

    fn wait_listening(&mut self) -> Result<()> {
        let end = Instant::now() + START_WITHIN;
        while TcpStream::connect_timeout(&self.addr, START_WITHIN).is_err() {
            if self.process.has_exited()? || Instant::now() >= end {
                let read = |path| fs::read_to_string(path).unwrap_or_default();
                let said = read(said_path(&self.dir)) + &read(self.dir.path().join("error.log"));
                bail!("it does not listen; it said:\n{said}");
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        Ok(())
    }
}

fn said_path(dir: &TempDir) -> PathBuf {
    dir.path().join("said")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_found_in_what_programs_say() {
        for (said, version) in [
            ("nginx version: nginx/1.22.1\n", "1.22.1"),
            ("lighttpd/1.4.69 (ssl) - a light server\n", "1.4.69"),
            ("h2o version 2.2.5\nOpenSSL: OpenSSL 3.0.19\n", "2.2.5"),
            ("dufs 0.43.0\n", "0.43.0"),
            ("tool v1.2\n", "1.2"),
            ("what?\n", "?"),
        ] {
            assert_eq!(version_in(said), version, "{said}");
        }
    }
}
