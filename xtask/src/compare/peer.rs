//! Starts another server on a free port of this machine, and stops it; fills and empties its root.

use std::fs;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail};
use conformance::fixture;
use tempfile::TempDir;

use super::config;

/// How long a started server may take until it can be connected to.
const START_WITHIN: Duration = Duration::from_secs(10);

/// How old files are before they are asked for: of one that is just being written a server may say
/// less than of others, such as no strong tag.
const SETTLED: Duration = Duration::from_millis(50);

/// Directories that are looked in besides `PATH`, which leaves them out for many users.
const SYSTEM_DIRS: [&str; 2] = ["/usr/sbin", "/usr/local/sbin"];

/// A server that can be started here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    Nginx,
    Lighttpd,
}

impl Kind {
    /// The server of that name.
    pub(super) fn named(name: &str) -> Option<Kind> {
        [Kind::Nginx, Kind::Lighttpd].into_iter().find(|kind| kind.name() == name)
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Kind::Nginx => "nginx",
            Kind::Lighttpd => "lighttpd",
        }
    }
}

/// An installed server.
pub(super) struct Program {
    kind: Kind,
    path: PathBuf,
}

impl Program {
    /// Looks where programs are.
    ///
    /// # Errors
    /// When it is not installed.
    pub(super) fn find(kind: Kind) -> Result<Program> {
        let path = find_program(kind.name());
        let path = path.with_context(|| {
            format!("{0} is not installed: no program {0} in PATH or /usr/sbin", kind.name())
        })?;
        Ok(Program { kind, path })
    }

    /// Its name and version in its own words, or only its name.
    pub(super) fn version(&self) -> String {
        let said = Command::new(&self.path).arg("-v").output();
        let said = said.map(|output| [output.stdout, output.stderr].concat()).unwrap_or_default();
        let said = String::from_utf8_lossy(&said).into_owned();
        let mut words = said.split_whitespace();
        let version = words.find(|word| word.starts_with(&format!("{}/", self.kind.name())));
        version.unwrap_or(self.kind.name()).to_owned()
    }
}

/// Where the program `name` is: in `PATH` or where a system keeps its servers.
pub(crate) fn find_program(name: &str) -> Option<PathBuf> {
    let dirs = std::env::var_os("PATH").unwrap_or_default();
    let mut dirs = std::env::split_paths(&dirs).chain(SYSTEM_DIRS.map(PathBuf::from));
    dirs.find_map(|dir| Some(dir.join(name)).filter(|path| is_executable(path)))
}

/// Whether a file is there that somebody may execute.
pub(crate) fn is_executable(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|m| m.is_file() && m.permissions().mode() & 0o111 != 0)
}

/// A server that was started here. It is killed and its directory removed when this is dropped.
pub(super) struct Peer {
    child: Child,
    addr: SocketAddr,
    root: PathBuf,
    dir: TempDir,
}

impl Peer {
    /// Starts a server on a root with those `files`, and waits until it accepts connections.
    ///
    /// # Errors
    /// When it does not within [`START_WITHIN`]; what it said is told.
    pub(super) fn start(program: &Program, files: &str) -> Result<Peer> {
        let dir = tempfile::Builder::new().prefix("compare-").tempdir()?;
        let root = dir.path().join("root");
        fs::create_dir(&root)?;
        make(&root, files)?;
        // Nobody else is given the port meanwhile: the kernel hands them out in turn.
        let addr = TcpListener::bind(("127.0.0.1", 0))?.local_addr()?;
        let path = dir.path().join("server.conf");
        let mut command = Command::new(&program.path);
        match program.kind {
            Kind::Nginx => {
                fs::write(&path, config::nginx(dir.path(), &root, addr))?;
                command.arg("-p").arg(dir.path()).arg("-c").arg(&path);
            }
            Kind::Lighttpd => {
                fs::write(&path, config::lighttpd(dir.path(), &root, addr))?;
                command.arg("-D").arg("-f").arg(&path);
            }
        }
        let said = fs::File::create(dir.path().join("said"))?;
        command.current_dir(dir.path()).stdin(Stdio::null());
        command.stdout(said.try_clone()?).stderr(said);
        let child = command.spawn().with_context(|| program.path.display().to_string())?;
        let mut peer = Peer { child, addr, root, dir };
        peer.wait_listening()?;
        Ok(peer)
    }

    pub(super) fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// The directory that it serves.
    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    fn wait_listening(&mut self) -> Result<()> {
        let end = Instant::now() + START_WITHIN;
        loop {
            let exited = self.child.try_wait()?;
            if exited.is_some() || Instant::now() >= end {
                let read = |name: &str| fs::read_to_string(self.dir.path().join(name));
                let said = ["said", "error.log"].map(|name| read(name).unwrap_or_default());
                bail!("the server does not listen; it said:\n{}", said.concat());
            }
            if TcpStream::connect_timeout(&self.addr, START_WITHIN).is_ok() {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        // Both are told to have no other processes. Either call can fail only when it is gone.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Makes sure that nobody's files are lost when `root` is filled anew.
///
/// # Errors
/// When something is in it, or it is no directory.
pub(super) fn must_be_empty(root: &Path) -> Result<()> {
    let mut entries = fs::read_dir(root).with_context(|| root.display().to_string())?;
    match entries.next() {
        None => Ok(()),
        Some(_) => bail!("{} is not empty: its files would be removed", root.display()),
    }
}

/// Puts those `files` into `root`, and takes out what was there. The directory itself stays what it
/// is, for the server may hold it open.
///
/// # Errors
/// When the files cannot be made or removed.
pub(super) fn fill_only(root: &Path, files: &str) -> Result<()> {
    empty(root)?;
    // What lies beside somebody's directory is not ours to write.
    let inside = files.lines().filter(|line| !line.trim_start().starts_with("../"));
    let inside: String = inside.flat_map(|line| [line, "\n"]).collect();
    make(root, &inside)
}

fn make(root: &Path, files: &str) -> Result<()> {
    fixture::create(root, files).map_err(|why| anyhow!(why))?;
    std::thread::sleep(SETTLED);
    Ok(())
}

/// Removes what is in `root`.
///
/// # Errors
/// When something cannot be removed.
pub(super) fn empty(root: &Path) -> Result<()> {
    for entry in fs::read_dir(root).with_context(|| root.display().to_string())? {
        let entry = entry?;
        let path = entry.path();
        // A link to a directory is a link here, and its target stays.
        let removed = match entry.file_type()?.is_dir() {
            true => fs::remove_dir_all(&path),
            false => fs::remove_file(&path),
        };
        removed.with_context(|| path.display().to_string())?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_have_names() {
        assert_eq!(Kind::named("nginx"), Some(Kind::Nginx));
        assert_eq!(Kind::named("lighttpd"), Some(Kind::Lighttpd));
        assert_eq!(Kind::named("ranges"), None);
    }

    #[test]
    fn a_root_is_filled_anew_and_nothing_beside_it() {
        let dir = TempDir::new().unwrap();
        let root = dir.path().join("root");
        fs::create_dir(&root).unwrap();
        must_be_empty(&root).unwrap();
        fs::create_dir(dir.path().join("kept")).unwrap();
        fs::write(dir.path().join("kept/a"), "a").unwrap();
        let files = "a/b text \"b\"\nl link ../kept\n../beside text \"s\"";
        fill_only(&root, files).unwrap();
        assert!(root.join("a/b").exists() && root.join("l/a").exists());
        assert!(must_be_empty(&root).unwrap_err().to_string().contains("not empty"));
        fill_only(&root, "c text \"c\"").unwrap();
        assert!(root.join("c").exists() && !root.join("a").exists());
        empty(&root).unwrap();
        must_be_empty(&root).unwrap();
        assert!(dir.path().join("kept/a").exists() && !dir.path().join("beside").exists());
    }
}
