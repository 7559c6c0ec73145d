//! Builds the release binary, and runs it over a directory that lasts as long as the server does.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail, ensure};
use rustix::process::{Pid, Signal, kill_process};

use crate::workspace;

/// How long a server may take to say where it listens.
const START_MAX: Duration = Duration::from_secs(10);
/// The most complaints of a server that are kept.
const COMPLAINTS_MAX: usize = 1000;

/// `$HTTPD`, or the release binary in the target directory that this program lies in.
pub(crate) fn binary() -> Result<PathBuf> {
    if let Some(path) = std::env::var_os("HTTPD") {
        return Ok(std::path::absolute(path)?);
    }
    Ok(target_dir()?.join("release").join("httpd"))
}

/// The target directory that this program lies in.
pub(crate) fn target_dir() -> Result<PathBuf> {
    let program = std::env::current_exe()?;
    let dir = program.ancestors().nth(2).context("xtask lies in a target directory")?;
    Ok(dir.to_owned())
}

/// Builds `httpd` in release, unless `$HTTPD` names one that is there.
pub(crate) fn build() -> Result<()> {
    if std::env::var_os("HTTPD").is_some() {
        return Ok(());
    }
    build_release(&["-p", "httpd-cli"])
}

/// Builds in release what the arguments of cargo say, in the target directory of this program.
pub(crate) fn build_release(args: &[&str]) -> Result<()> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.args(["build", "--release"]).args(args).arg("--target-dir").arg(target_dir()?);
    let status = command.current_dir(workspace()).status().context("cargo cannot be started")?;
    ensure!(status.success(), "cargo build --release {} failed", args.join(" "));
    Ok(())
}

/// A running server. It is killed, and its directory removed, when this is dropped.
pub(crate) struct Server {
    child: Child,
    pub(crate) addr: SocketAddr,
    dir: PathBuf,
    said: Said,
}

/// What a server has complained of since it listens, and the thread that listens for that.
struct Said {
    complaints: Arc<Mutex<Vec<String>>>,
    listener: Option<JoinHandle<()>>,
}

impl Server {
    /// Starts the server over a fresh directory that `fill` puts files into.
    pub(crate) fn start(args: &[&str], fill: impl FnOnce(&Path) -> Result<()>) -> Result<Server> {
        Server::start_as(Command::new(binary()?), args, fill)
    }

    /// Starts the server with no more than `descriptors` file descriptors.
    pub(crate) fn start_starved(
        descriptors: u32,
        args: &[&str],
        fill: impl FnOnce(&Path) -> Result<()>,
    ) -> Result<Server> {
        let mut shell = Command::new("sh");
        shell.args(["-c", &format!("ulimit -n {descriptors} && exec \"$@\""), "sh"]);
        shell.arg(binary()?);
        Server::start_as(shell, args, fill)
    }

    fn start_as(
        command: Command,
        args: &[&str],
        fill: impl FnOnce(&Path) -> Result<()>,
    ) -> Result<Server> {
        let dir = fresh_dir()?;
        let root = dir.join("root");
        let started = fs::create_dir(&root)
            .map_err(Into::into)
            .and_then(|()| fill(&root))
            .and_then(|()| spawn(command, args, &dir, &root));
        match started {
            Ok((child, addr, said)) => Ok(Server { child, addr, dir, said }),
            Err(error) => {
                remove(&dir);
                Err(error)
            }
        }
    }

    /// The directory that is served.
    pub(crate) fn root(&self) -> PathBuf {
        self.dir.join("root")
    }

    /// The directory in which the server runs, and writes its log as `access.log`.
    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    /// The process id.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Sends the server a signal.
    pub(crate) fn signal(&self, signal: Signal) -> Result<()> {
        Ok(kill_process(Pid::from_child(&self.child), signal)?)
    }

    /// The exit status, if the server has ended: its code, or `None` within for a signal's.
    pub(crate) fn ended(&mut self) -> Result<Option<Option<i32>>> {
        Ok(self.child.try_wait()?.map(|status| status.code()))
    }

    /// Asks the server to stop, and returns its exit status code once it has, `None` when it was
    /// killed or did not stop within `patience`.
    pub(crate) fn stop(&mut self, patience: Duration) -> Result<Option<i32>> {
        let deadline = Instant::now() + patience;
        kill_process(Pid::from_child(&self.child), Signal::TERM)?;
        while Instant::now() < deadline {
            if let Some(status) = self.child.try_wait()? {
                return Ok(status.code());
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        Ok(None)
    }

    /// What it has complained of since it listens; all of that once it has ended.
    pub(crate) fn complaints(&mut self) -> Result<Vec<String>> {
        if self.ended()?.is_some()
            && let Some(listener) = self.said.listener.take()
        {
            listener.join().map_err(|_| anyhow!("the listener panicked"))?;
        }
        Ok(self.said.complaints.lock().unwrap_or_else(PoisonError::into_inner).clone())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Both fail only when the child is gone already.
        let _ = self.child.kill();
        let _ = self.child.wait();
        remove(&self.dir);
    }
}

fn remove(dir: &Path) {
    if let Err(error) = fs::remove_dir_all(dir) {
        eprintln!("{} is left behind: {error}", dir.display());
    }
}

/// A new directory that only this user can look into.
pub(crate) fn fresh_dir() -> Result<PathBuf> {
    use std::os::unix::fs::DirBuilderExt;
    for number in 0..100 {
        let dir = std::env::temp_dir().join(format!("httpd-trial-{}-{number}", std::process::id()));
        match fs::DirBuilder::new().mode(0o700).create(&dir) {
            Ok(()) => return Ok(dir),
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error).context(dir.display().to_string()),
        }
    }
    bail!("no name is left for a temporary directory")
}

fn spawn(
    mut command: Command,
    args: &[&str],
    dir: &Path,
    root: &Path,
) -> Result<(Child, SocketAddr, Said)> {
    command.args(["-b", "127.0.0.1:0"]).args(args).arg(root).current_dir(dir);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut child = command.spawn().with_context(|| format!("{command:?}"))?;
    let stderr = child.stderr.take().context("standard error was asked to be a pipe")?;
    match listening_at(stderr) {
        Ok((addr, said)) => Ok((child, addr, said)),
        Err(error) => {
            let _ = child.kill();
            let _ = child.wait();
            Err(error)
        }
    }
}

/// Waits for the line that names the address; a thread goes on to read, and notes and prints later
/// complaints.
fn listening_at(stderr: impl Read + Send + 'static) -> Result<(SocketAddr, Said)> {
    let (said, heard) = mpsc::channel();
    let complaints = Arc::new(Mutex::new(Vec::new()));
    let noted = Arc::clone(&complaints);
    let listener = std::thread::spawn(move || {
        let mut addr_said = false;
        for line in BufReader::new(stderr).lines().map_while(Result::ok) {
            let complains = ["panic", "ERROR", "WARN"].iter().any(|word| line.contains(word));
            if addr_said && complains {
                eprintln!("  httpd: {line}");
                let mut noted = noted.lock().unwrap_or_else(PoisonError::into_inner);
                if noted.len() < COMPLAINTS_MAX {
                    noted.push(line.clone());
                }
            }
            if let Some(addr) = address_in(&line) {
                addr_said = true;
                let _ = said.send(Ok(addr));
            } else if !addr_said {
                let _ = said.send(Err(line));
            }
        }
    });
    let deadline = Instant::now() + START_MAX;
    let mut lines = String::new();
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        match heard.recv_timeout(left) {
            Ok(Ok(addr)) => return Ok((addr, Said { complaints, listener: Some(listener) })),
            Ok(Err(line)) => lines = lines + &line + "\n",
            Err(_) => bail!("httpd did not say where it listens; it said:\n{lines}"),
        }
    }
}

/// The address in the line that a server says once it listens.
pub(crate) fn address_in(line: &str) -> Option<SocketAddr> {
    line.split_once("listening at http://")?.1.split('/').next()?.parse().ok()
}
