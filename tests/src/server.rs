//! Starts the real `httpd` in a directory of its own and lets a test look at it from outside.
//!
//! Everything here is what any parent process could see: the command line, standard error, exit
//! status, signals, the files it writes. Nothing of the workspace's own crates is used.
//!
//! # Example: start, ask, stop
//! ```no_run
//! use conformance::server::{Server, ServerOptions, Signal};
//! use std::{io::Write, net::TcpStream, time::Duration};
//!
//! let mut server = Server::start(ServerOptions::new().arg("--writable"));
//! std::fs::write(server.root().join("a.txt"), "hello").unwrap();
//! let mut client = TcpStream::connect(server.addr()).unwrap();
//! client.write_all(b"GET /a.txt HTTP/1.1\r\nHost: test\r\n\r\n").unwrap();
//! server.signal(Signal::TERM);
//! let status = server.wait_exit(Duration::from_secs(11)).expect("httpd drains, then exits");
//! assert_eq!(status.code(), Some(0), "{}", server.stderr());
//! ```

use std::ffi::OsString;
use std::io::Read;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, Command, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::fixture;

/// A signal for [`Server::signal`], under its usual names: `Signal::TERM`, `Signal::HUP`.
pub use rustix::process::Signal;

/// How long a started server may take until it has said where it listens: through strace and on a
/// busy machine, many times what it takes alone.
pub const START_WITHIN: Duration = Duration::from_secs(60);

/// How long a line may take into the access log, where it is within a second on an idle machine.
const LOGGED_WITHIN: Duration = Duration::from_secs(30);

/// What a server is started with. The default: no extra argument, a fresh empty root.
#[derive(Clone, Debug, Default)]
pub struct ServerOptions {
    args: Vec<OsString>,
    env: Vec<(OsString, OsString)>,
    root: Option<PathBuf>,
    files: String,
    wrapper: Vec<OsString>,
    usual_hosts: bool,
}

impl ServerOptions {
    /// The default: `httpd -b 127.0.0.1:0 --host '*' ROOT`, with `ROOT` fresh and empty. With a
    /// `--host` of your own only those are answered, and with `--host localhost` none but the
    /// usual.
    pub fn new() -> Self {
        Self::default()
    }

    /// Without `--host`, as most people start it.
    pub fn usual_hosts(mut self) -> Self {
        self.usual_hosts = true;
        self
    }

    /// Adds one argument. With a `-b` or `--bind` of your own, the usual `-b 127.0.0.1:0` is left
    /// out, and as many `listening at` lines are waited for as you gave.
    pub fn arg(mut self, arg: impl Into<OsString>) -> Self {
        self.args.push(arg.into());
        self
    }

    /// Adds several arguments; see [`arg`](Self::arg).
    pub fn args<A: Into<OsString>>(mut self, args: impl IntoIterator<Item = A>) -> Self {
        self.args.extend(args.into_iter().map(Into::into));
        self
    }

    /// Sets one environment variable for the server.
    pub fn env(mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        self.env.push((name.into(), value.into()));
        self
    }

    /// Serves this existing directory, which the caller keeps, instead of a fresh empty one.
    pub fn root(mut self, root: impl Into<PathBuf>) -> Self {
        self.root = Some(root.into());
        self
    }

    /// Makes these files in the root before the server starts; see [`fixture`] for how they are
    /// described. So the server can be told of one beside the root, too.
    pub fn files(mut self, files: impl Into<String>) -> Self {
        self.files = files.into();
        self
    }

    /// Starts the server through a command, to which the server's own command line is appended and
    /// which must end by executing that, so that the process is the server's.
    pub fn through<A: Into<OsString>>(mut self, wrapper: impl IntoIterator<Item = A>) -> Self {
        self.wrapper.extend(wrapper.into_iter().map(Into::into));
        self
    }

    /// How many addresses the server is told to bind itself; 0 means the harness adds one.
    fn binds(&self) -> usize {
        let is_bind = |arg: &&OsString| {
            let arg = arg.to_string_lossy();
            arg == "-b" || arg == "--bind" || arg.starts_with("--bind=") || is_short_bind(&arg)
        };
        self.args.iter().filter(is_bind).count()
    }
}

/// `-b127.0.0.1:0`, the short option with its value attached.
fn is_short_bind(arg: &str) -> bool {
    arg.strip_prefix("-b").is_some_and(|value| value.contains(':'))
}

/// A running `httpd`. It is killed and its directory removed when this is dropped.
#[derive(Debug)]
pub struct Server {
    child: Child,
    exited: Option<ExitStatus>,
    addrs: Vec<SocketAddr>,
    stderr: Arc<Stderr>,
    dir: TempDir,
    root: PathBuf,
}

impl Server {
    /// Starts the binary and returns once it listens on every address.
    ///
    /// # Panics
    /// When there is no binary, or it exits, or says nothing within [`START_WITHIN`]; the message
    /// shows its standard error.
    #[track_caller]
    pub fn start(options: ServerOptions) -> Server {
        match Server::try_start(options) {
            Ok(server) => server,
            Err(why) => panic!("{why}"),
        }
    }

    /// As [`start`](Self::start), but hands the reason back.
    pub fn try_start(options: ServerOptions) -> Result<Server, String> {
        Server::spawn(binary(), options)
    }

    /// Starts `program`, which need only print `listening at http://ADDR:PORT/` lines.
    pub(crate) fn spawn(program: &Path, options: ServerOptions) -> Result<Server, String> {
        let dir = tempfile::Builder::new().prefix("httpd-test-").tempdir();
        let dir = dir.map_err(|e| format!("no temporary directory for the server: {e}"))?;
        let root = options.root.clone().unwrap_or_else(|| dir.path().join("root"));
        if options.root.is_none() {
            std::fs::create_dir(&root).map_err(|e| format!("{}: {e}", root.display()))?;
        }
        fixture::create(&root, &options.files)?;
        let mut command = match options.wrapper.split_first() {
            None => Command::new(program),
            Some((first, rest)) => {
                let mut command = Command::new(first);
                command.args(rest).arg(program);
                command
            }
        };
        if options.binds() == 0 {
            command.args(["-b", "127.0.0.1:0"]);
        }
        if !options.usual_hosts && !options.args.iter().any(|arg| arg == "--host") {
            command.args(["--host", "*"]);
        }
        command.args(&options.args).arg(&root).current_dir(dir.path());
        command.envs(options.env.iter().map(|(name, value)| (name, value)));
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().map_err(|e| format!("{}: {e}", program.display()))?;
        let pipe = child.stderr.take().expect("standard error was asked to be a pipe");
        let stderr = Stderr::follow(pipe);
        let mut server = Server {
            child,
            exited: None,
            addrs: Vec::new(),
            stderr: Arc::clone(&stderr),
            dir,
            root,
        };
        server.addrs = stderr
            .wait_listening(options.binds().max(1))
            .map_err(|why| format!("{} {why}\n{}", program.display(), server.stderr()))?;
        Ok(server)
    }

    /// The first bound address.
    pub fn addr(&self) -> SocketAddr {
        self.addrs[0]
    }

    /// Every bound address, in the order of the `listening at` lines.
    pub fn addrs(&self) -> &[SocketAddr] {
        &self.addrs
    }

    /// The server's process id, for `/proc/PID` and the like.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// How many file descriptors the server has open.
    ///
    /// # Panics
    /// When it has exited.
    #[track_caller]
    pub fn descriptors(&self) -> usize {
        let open = std::fs::read_dir(format!("/proc/{}/fd", self.pid()));
        open.expect("a running child's descriptors can be listed").count()
    }

    /// The directory that is served.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The server's working directory. A fresh root lies in it as `root`.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// Where the access log is unless `--access-log` says otherwise. It is written within a second
    /// or at exit, so wait for what is to be seen: [`wait_access_log`](Self::wait_access_log).
    pub fn access_log(&self) -> PathBuf {
        self.dir.path().join("access.log")
    }

    /// Reads the access log until `enough` is satisfied by its text, and returns the text as it is
    /// then, or after [`LOGGED_WITHIN`] as it is at all.
    pub fn wait_access_log(&self, enough: impl Fn(&str) -> bool) -> String {
        let end = Instant::now() + LOGGED_WITHIN;
        loop {
            let octets = std::fs::read(self.access_log()).unwrap_or_default();
            let text = String::from_utf8_lossy(&octets).into_owned();
            if enough(&text) || Instant::now() >= end {
                return text;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// What the server has written to standard error so far.
    pub fn stderr(&self) -> String {
        self.stderr.lock().text.clone()
    }

    /// Sends a signal. A server that has exited already is left in peace.
    pub fn signal(&mut self, signal: Signal) {
        if self.wait_exit(Duration::ZERO).is_some() {
            return; // its process id may by now be another's
        }
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, signal).expect("a child can be signalled");
    }

    /// Waits at most `timeout` for the server to exit; `None` says it is still running.
    pub fn wait_exit(&mut self, timeout: Duration) -> Option<ExitStatus> {
        let end = Instant::now() + timeout;
        while self.exited.is_none() {
            self.exited = self.child.try_wait().expect("a child can be waited for");
            if self.exited.is_some() {
                self.stderr.wait_end();
            } else if Instant::now() >= end {
                break;
            } else {
                std::thread::sleep(Duration::from_millis(5));
            }
        }
        self.exited
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if self.exited.is_none() {
            // Either can fail only when the child is gone, which is what is wanted.
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

/// The path of the `httpd` under test: `$HTTPD` if set, or else the one that
/// `cargo build -p httpd-cli` leaves in the target directory of the running program, built once.
/// For runs that are expected to end at once (`--help`, a busy port) use `Command::new(binary())`.
///
/// # Panics
/// When it cannot be built.
pub fn binary() -> &'static Path {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    BINARY.get_or_init(|| match std::env::var_os("HTTPD") {
        Some(path) => std::path::absolute(path).expect("HTTPD holds a path"),
        None => build(),
    })
}

/// Builds `httpd` with the profile and into the target directory that this program came from.
fn build() -> PathBuf {
    let program = std::env::current_exe().expect("a program knows its own path");
    let mut profile_dir = program.parent().expect("a program lies in a directory");
    while profile_dir.ends_with("deps") || profile_dir.ends_with("examples") {
        profile_dir = profile_dir.parent().expect("deps lies in a profile's directory");
    }
    let target_dir = profile_dir.parent().expect("a profile's directory lies in target");
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.args(["build", "--quiet", "-p", "httpd-cli", "--target-dir"]).arg(target_dir);
    if profile_dir.ends_with("release") {
        command.arg("--release");
    }
    let status = command.current_dir(workspace()).status().expect("cargo can be started");
    assert!(status.success(), "cargo build -p httpd-cli failed: {status}");
    profile_dir.join("httpd")
}

/// The workspace's directory, as it was when this was compiled.
pub fn workspace() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("tests/ lies in the workspace")
}

/// What a server has said on standard error, followed by a thread until its end.
#[derive(Debug, Default)]
struct Stderr {
    said: Mutex<Said>,
    news: Condvar,
}

#[derive(Debug, Default)]
struct Said {
    text: String,
    listening: Vec<SocketAddr>,
    ended: bool,
}

impl Stderr {
    fn follow(pipe: ChildStderr) -> Arc<Stderr> {
        let shared = Arc::new(Stderr::default());
        let writer = Arc::clone(&shared);
        std::thread::spawn(move || {
            let mut pipe = pipe;
            let mut chunk = vec![0; 64 * 1024];
            let mut rest = Vec::new();
            while let Ok(length @ 1..) = pipe.read(&mut chunk) {
                rest.extend_from_slice(&chunk[..length]);
                let whole = rest.iter().rposition(|&octet| octet == b'\n').map_or(0, |at| at + 1);
                writer.note(&rest.drain(..whole).collect::<Vec<_>>());
            }
            writer.note(&rest);
            writer.lock().ended = true;
            writer.news.notify_all();
        });
        shared
    }

    /// Takes the lines that were read together all at once: what a server writes after the address
    /// in one piece is there for who has waited for the address.
    fn note(&self, lines: &[u8]) {
        let text = String::from_utf8_lossy(lines);
        let mut said = self.lock();
        said.listening.extend(text.lines().filter_map(listening_at));
        said.text.push_str(&text);
        drop(said);
        self.news.notify_all();
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Said> {
        self.said.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait_until(&self, within: Duration, done: impl Fn(&Said) -> bool) {
        let waited = self.news.wait_timeout_while(self.lock(), within, |said| !done(said));
        drop(waited.unwrap_or_else(PoisonError::into_inner));
    }

    fn wait_listening(&self, count: usize) -> Result<Vec<SocketAddr>, &'static str> {
        self.wait_until(START_WITHIN, |said| said.ended || said.listening.len() >= count);
        let said = self.lock();
        match said.listening.len() >= count {
            true => Ok(said.listening.clone()),
            false if said.ended => Err("exited before it listened; it said:"),
            false => Err("did not say `listening at` in time; it said:"),
        }
    }

    /// The last lines may still be in the pipe when the process is gone already.
    fn wait_end(&self) {
        self.wait_until(START_WITHIN, |said| said.ended);
    }
}

/// The address in a line such as `listening at http://127.0.0.1:8080/`.
fn listening_at(line: &str) -> Option<SocketAddr> {
    let (_, url) = line.split_once("listening at http://")?;
    url.split(['/', ' ', '\n']).next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A script that plays the server's part of the contract.
    ///
    /// Another process writes it: what this one has open for writing may be so for a moment in a
    /// child that another test is just starting, and cannot be executed then.
    fn script(text: &str) -> (TempDir, PathBuf) {
        let dir = TempDir::new().unwrap();
        let path = dir.path().join("stub");
        let write = "printf '#!/bin/sh\\n%s\\n' \"$1\" >\"$2\" && chmod 755 \"$2\"";
        let status = Command::new("sh").args(["-c", write, "sh", text]).arg(&path).status();
        assert!(status.unwrap().success());
        (dir, path)
    }

    #[test]
    fn an_address_is_read_out_of_the_line_that_people_read() {
        let read = |line: &str| listening_at(line).map(|addr| addr.to_string());
        assert_eq!(read("listening at http://127.0.0.1:80/\n").as_deref(), Some("127.0.0.1:80"));
        assert_eq!(read("[INFO] listening at http://[::1]:81/").as_deref(), Some("[::1]:81"));
        assert_eq!(read("serving /srv/www"), None);
    }

    #[test]
    fn a_server_is_started_signalled_and_waited_for() {
        let (_dir, stub) = script(
            "trap 'echo bye >&2; exit 7' TERM\n\
             echo \"args $*\" >&2; echo 'listening at http://127.0.0.1:9/' >&2\n\
             while :; do sleep 0.01; done",
        );
        let mut server = Server::spawn(&stub, ServerOptions::new().arg("--writable")).unwrap();
        assert_eq!(server.addr().port(), 9);
        assert!(
            server.stderr().contains("args -b 127.0.0.1:0 --host * --writable /"),
            "{}",
            server.stderr()
        );
        assert_eq!(server.wait_exit(Duration::from_millis(20)), None);
        server.signal(Signal::TERM);
        let status = server.wait_exit(Duration::from_secs(60)).unwrap();
        assert_eq!(status.code(), Some(7));
        assert!(server.stderr().ends_with("bye\n"));
        server.signal(Signal::TERM);
    }

    #[test]
    fn what_is_said_together_with_the_address_is_there_at_once() {
        let (_dir, stub) = script(
            "printf 'listening at http://127.0.0.1:9/\\none\\ntwo' >&2; sleep 0.1\n\
             printf ' three\\n' >&2; exec sleep 600",
        );
        for _ in 0..20 {
            let server = Server::spawn(&stub, ServerOptions::new()).unwrap();
            let said = server.stderr();
            let rest = said.strip_prefix("listening at http://127.0.0.1:9/\none\n");
            // A line is there whole, whether it is before this looks or after.
            assert!(matches!(rest, Some("" | "two three\n")), "{said}");
        }
    }

    #[test]
    fn a_server_is_started_through_another_command() {
        let (_dir, stub) = script("echo \"listening at http://127.0.0.1:$N/\" >&2; exec sleep 600");
        let options = ServerOptions::new().through(["sh", "-c", "N=7 exec \"$@\"", "sh"]);
        let server = Server::spawn(&stub, options).unwrap();
        assert_eq!(server.addr().port(), 7);
        assert!(server.descriptors() >= 3);
    }

    #[test]
    fn a_server_that_fails_to_start_is_quoted() {
        let (_dir, stub) = script("echo 'port 80 is in use' >&2; exit 1");
        let why = Server::spawn(&stub, ServerOptions::new()).unwrap_err();
        assert!(why.contains("exited before it listened"), "{why}");
        assert!(why.contains("port 80 is in use"), "{why}");
    }

    #[test]
    fn each_bind_of_the_callers_own_is_waited_for() {
        let (_dir, stub) = script(
            "for n in 1 2; do echo \"listening at http://127.0.0.1:$n/\" >&2; done\nexec sleep 600",
        );
        let options = ServerOptions::new().args(["-b", "127.0.0.1:1", "--bind=127.0.0.1:2"]);
        let server = Server::spawn(&stub, options).unwrap();
        assert_eq!(server.addrs().len(), 2);
    }
}
