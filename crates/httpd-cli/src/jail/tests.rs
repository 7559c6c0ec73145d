//! That a thread in the jail can do what a server does, and nothing besides.

use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::fs::symlink;
use std::os::unix::net::{SocketAddr, UnixDatagram, UnixListener, UnixStream};
use std::process::Command;
use std::thread;

use clap::Parser;
use rustix::fs::{
    AtFlags, CWD, FileType, MemfdFlags, Mode, OFlags, RenameFlags, linkat, mkdirat, mknodat,
    openat, renameat, renameat_with, symlinkat, unlinkat,
};
use rustix::io::Errno;
use tempfile::TempDir;

use super::*;

/// A root with files in it, and a secret beside it.
struct Place(TempDir);

impl Place {
    fn new() -> Place {
        let place = Place(tempfile::tempdir().unwrap());
        for dir in ["root/sub", "kept", "logs"] {
            fs::create_dir_all(place.at(dir)).unwrap();
        }
        for (file, content) in [("root/a", "a"), ("root/b", "b"), ("secret", "outside")] {
            fs::write(place.at(file), content).unwrap();
        }
        place
    }

    fn at(&self, name: &str) -> PathBuf {
        self.0.path().canonicalize().unwrap().join(name)
    }

    fn dir(&self, name: &str) -> OwnedFd {
        File::open(self.at(name)).unwrap().into()
    }

    /// What `httpd` was started with, each path of it beneath this place.
    fn args(&self, words: &[&str]) -> Args {
        let line = words.iter().map(|word| match word.strip_prefix('@') {
            Some(name) => self.at(name).into_os_string(),
            None => word.into(),
        });
        Args::try_parse_from([std::ffi::OsString::from("httpd")].into_iter().chain(line)).unwrap()
    }
}

/// Does `attempts` on a thread that has entered; they are told the ABI. Where there is no landlock,
/// nothing can be shown.
#[track_caller]
fn inside(rules: &Rules, attempts: impl FnOnce(u32) + Send) {
    behind(|| close(rules).files, attempts);
}

/// The same behind whatever `wall` makes.
#[track_caller]
fn behind<Extent>(
    wall: impl FnOnce() -> Jailed<Extent> + Send,
    attempts: impl FnOnce(Extent) + Send,
) where
    Extent: std::fmt::Debug,
{
    let tried = || match wall() {
        Jailed::Inside(extent) => attempts(extent),
        Jailed::Unavailable(why) => eprintln!("skipped: {why}"),
        other => panic!("{other:?}"),
    };
    thread::scope(|scope| scope.spawn(tried).join()).expect("every attempt ends as it should");
}

/// What a system call in vain has said.
trait Said {
    fn errno(self) -> Option<Errno>;
}

impl<T> Said for std::io::Result<T> {
    fn errno(self) -> Option<Errno> {
        self.err().and_then(|error| Errno::from_io_error(&error))
    }
}

impl<T> Said for Result<T, Errno> {
    fn errno(self) -> Option<Errno> {
        self.err()
    }
}

/// By landlock, as to a path.
const DENIED: Option<Errno> = Some(Errno::ACCESS);

/// By the list of calls, and by landlock's scopes.
const REFUSED: Option<Errno> = Some(Errno::PERM);

fn unnamed(dir: &OwnedFd) -> Result<OwnedFd, Errno> {
    openat(dir, c".", OFlags::TMPFILE | OFlags::WRONLY, Mode::RUSR | Mode::WUSR)
}

#[test]
fn a_place_that_cannot_be_opened_now_makes_no_jail_in_which_it_is_forbidden() {
    let place = Place::new();
    symlink("turn", place.at("turn")).unwrap();
    let entered = |name: &str| {
        let rules = Rules(vec![(place.at(name), Use::Read)]);
        let wall = move || {
            rustix::thread::set_no_new_privs(true).unwrap();
            linux::restrict(&rules)
        };
        thread::spawn(wall).join().unwrap()
    };
    if !matches!(entered("root"), Jailed::Inside(_)) {
        return;
    }
    assert!(matches!(entered("turn"), Jailed::Failed(_)), "a link that leads to itself");
    assert!(matches!(entered("none"), Jailed::Inside(_)), "whoever opens it tells of it");
}

#[test]
fn a_root_that_is_read_is_all_that_is_opened() {
    let place = Place::new();
    symlink("../secret", place.at("root/link")).unwrap();
    let (outer, root) = (place.dir("."), place.dir("root"));
    inside(&Rules::for_server(&place.args(&["@root"])), |_| {
        assert_eq!(fs::read_to_string(place.at("root/a")).unwrap(), "a");
        assert_eq!(fs::read_dir(place.at("root/sub")).unwrap().count(), 0);
        let name = place.at("secret").strip_prefix("/").unwrap().to_owned();
        for outside in [
            place.at("secret"),
            place.at("root/../secret"),
            place.at("root/link"),
            Path::new("/proc/self/root").join(name),
            "/etc/passwd".into(),
            "/proc/self/environ".into(),
            "/dev/null".into(),
        ] {
            assert_eq!(File::open(&outside).errno(), DENIED, "{}", outside.display());
        }
        // A directory that was open before is no way out either.
        let flags = OFlags::RDONLY | OFlags::CLOEXEC;
        assert_eq!(openat(&outer, "secret", flags, Mode::empty()).errno(), DENIED);
        assert_eq!(fs::read_dir(place.at(".")).errno(), DENIED);

        assert_eq!(OpenOptions::new().append(true).open(place.at("root/a")).errno(), DENIED);
        assert_eq!(File::create(place.at("root/new")).errno(), DENIED);
        assert_eq!(unnamed(&root).errno(), DENIED);
        assert_eq!(fs::remove_file(place.at("root/a")).errno(), DENIED);
        assert_eq!(fs::rename(place.at("root/a"), place.at("root/c")).errno(), DENIED);
        assert_eq!(fs::create_dir(place.at("root/dir")).errno(), DENIED);
        assert_eq!(fs::remove_dir(place.at("root/sub")).errno(), DENIED);
    });
    assert_eq!(fs::read_to_string(place.at("secret")).unwrap(), "outside", "others may as before");
}

#[test]
fn what_is_started_inside_is_inside() {
    let place = Place::new();
    inside(&Rules::for_server(&place.args(&["@root"])), |_| {
        let grandchild = || thread::spawn(|| File::open("/etc/passwd").errno()).join().unwrap();
        assert_eq!(thread::spawn(grandchild).join().unwrap(), DENIED);
        let status = fs::read_to_string("/proc/thread-self/status");
        assert_eq!(status.errno(), DENIED);
        assert!(rustix::thread::no_new_privs().unwrap());
    });
}

#[test]
fn uploads_take_all_the_steps_that_they_need() {
    let place = Place::new();
    let root = place.dir("root");
    inside(&Rules::for_server(&place.args(&["--writable", "@root"])), |_| {
        // Made without a name, which is then given by the link that /proc has to it.
        let mut file = File::from(unnamed(&root).unwrap());
        file.write_all(b"new").unwrap();
        file.sync_all().unwrap();
        let link = format!("/proc/self/fd/{}", file.as_raw_fd());
        linkat(CWD, link, &root, "new", AtFlags::SYMLINK_FOLLOW).unwrap();
        assert_eq!(fs::read_to_string(place.at("root/new")).unwrap(), "new");
        // Or by its descriptor, which older kernels let only root do.
        let other = unnamed(&root).unwrap();
        match linkat(other.as_fd(), c"", &root, "other", AtFlags::EMPTY_PATH) {
            Ok(()) | Err(Errno::NOENT) => {}
            Err(errno) => panic!("{errno}"),
        }
        renameat_with(&root, "new", &root, "a", RenameFlags::EXCHANGE).unwrap();
        symlinkat("sub", &root, "link").unwrap();
        renameat_with(&root, "new", &root, "link", RenameFlags::EXCHANGE).unwrap();
        renameat(&root, "link", &root, "b").unwrap();
        assert_eq!(fs::read_to_string(place.at("root/b")).unwrap(), "a");
        unlinkat(&root, "b", AtFlags::empty()).unwrap();
        rustix::fs::fsync(&root).unwrap();

        // Only what uploads need.
        let mode = Mode::RUSR | Mode::WUSR;
        assert_eq!(mkdirat(&root, "dir", mode).errno(), DENIED);
        assert_eq!(mknodat(&root, "fifo", FileType::Fifo, mode, 0).errno(), DENIED);
        let taken = linkat(CWD, place.at("secret"), &root, "taken", AtFlags::empty());
        assert_eq!(taken.errno(), Some(Errno::XDEV), "a name here would let it be read");
        assert_eq!(OpenOptions::new().append(true).open(place.at("secret")).errno(), DENIED);
        assert_eq!(File::create(place.at("beside")).errno(), DENIED);
    });
}

#[test]
fn directories_are_made_and_removed_where_the_flag_says_so() {
    let place = Place::new();
    let root = place.dir("root");
    let args = place.args(&["--writable", "--directories", "@root"]);
    inside(&Rules::for_server(&args), |_| {
        // As a PUT does it: the file first, beside where its directory is going to be.
        let file = unnamed(&root).unwrap();
        mkdirat(&root, "dir", Mode::RWXU).unwrap();
        let dir = File::open(place.at("root/dir")).unwrap();
        let link = format!("/proc/self/fd/{}", file.as_raw_fd());
        linkat(CWD, link, &dir, "file", AtFlags::SYMLINK_FOLLOW).unwrap();
        renameat_with(&dir, "file", &root, "a", RenameFlags::EXCHANGE).unwrap();
        unlinkat(&dir, "file", AtFlags::empty()).unwrap();
        unlinkat(&root, "dir", AtFlags::REMOVEDIR).unwrap();
    });
}

#[test]
fn the_log_is_rotated_and_nothing_else_is_done() {
    let place = Place::new();
    let log = place.at("logs/access.log");
    fs::write(&log, "old\n").unwrap();
    let args = place.args(&["--access-log", "@logs/access.log", "--writable", "@root"]);
    inside(&Rules::for_log(&args), |_| {
        let open = || OpenOptions::new().append(true).create(true).open(&log);
        open().unwrap().write_all(b"more\n").unwrap();
        assert_eq!(fs::remove_file(&log).errno(), DENIED);
        assert_eq!(File::open(place.at("root/a")).errno(), DENIED);
        assert_eq!(File::create(place.at("root/a")).errno(), DENIED);
        assert_eq!(File::open(place.at("secret")).errno(), DENIED);
        assert_eq!(File::create(place.at("beside")).errno(), DENIED);
    });
    fs::rename(&log, place.at("logs/access.log.1")).unwrap();
    inside(&Rules::for_log(&args), |_| {
        let mut new = OpenOptions::new().append(true).create(true).open(&log).unwrap();
        new.write_all(b"new\n").unwrap();
        assert_eq!(fs::read_to_string(&log).unwrap(), "new\n");
    });
}

#[test]
fn the_log_may_be_a_link_or_no_file_at_all() {
    let place = Place::new();
    fs::write(place.at("logs/real"), "").unwrap();
    symlink("logs/real", place.at("link")).unwrap();
    symlink("kept/other", place.at("dangling")).unwrap();
    symlink("../dangling", place.at("logs/twice")).unwrap();
    symlink("round", place.at("round")).unwrap();
    let real = File::open(place.at("logs/real")).unwrap();
    let open = format!("/proc/self/fd/{}", real.as_raw_fd());
    mknodat(CWD, place.at("fifo"), FileType::Fifo, Mode::RWXU, 0).unwrap();
    for (log, dirs) in [
        ("@link", vec![(place.at(""), Use::Keep), (place.at("logs"), Use::Keep)]),
        ("@new", vec![(place.at(""), Use::Keep)]),
        ("@dangling", vec![(place.at(""), Use::Keep), (place.at("kept"), Use::Keep)]),
        ("@logs/twice", vec![(place.at("logs"), Use::Keep), (place.at("kept"), Use::Keep)]),
        ("@round", vec![(place.at(""), Use::Keep)]),
        ("@fifo", vec![(place.at("fifo"), Use::KeepOne)]),
        ("/dev/null", vec![("/dev/null".into(), Use::KeepOne)]),
        (&open, vec![(place.at("logs"), Use::Keep)]),
        ("-", vec![]),
        ("off", vec![]),
    ] {
        let rules = Rules::for_log(&place.args(&["--access-log", log]));
        assert_eq!(rules, Rules(dirs), "{log}");
    }
    inside(&Rules::for_log(&place.args(&["--access-log", "/dev/null"])), |_| {
        OpenOptions::new().append(true).create(true).open("/dev/null").unwrap();
        assert_eq!(File::open("/dev/zero").errno(), DENIED);
        assert_eq!(File::create("/dev/shm/httpd-new").errno(), DENIED);
    });
    let dangling = place.args(&["--access-log", "@dangling"]);
    inside(&Rules::for_log(&dangling), |_| {
        OpenOptions::new().append(true).create(true).open(place.at("dangling")).unwrap();
    });
    assert!(place.at("kept/other").exists(), "it is made where the link leads");
    let standard_output = Rules::for_log(&place.args(&["--access-log", "-"]));
    inside(&standard_output, |_| assert_eq!(File::open(place.at("root/a")).errno(), DENIED));
}

/// A pipe is on no file system, and a rule for it would be refused.
#[test]
fn the_log_may_be_a_pipe_that_somebody_holds() {
    let place = Place::new();
    let (mut reader, writer) = std::io::pipe().unwrap();
    let path = format!("/proc/self/fd/{}", writer.as_raw_fd());
    let rules = Rules::for_log(&place.args(&["--access-log", &path]));
    assert_eq!(rules, Rules(vec![(path.clone().into(), Use::KeepOne)]));
    inside(&rules, |_| {
        OpenOptions::new().append(true).open(&path).unwrap().write_all(b"line").unwrap();
        let mut line = [0; 4];
        reader.read_exact(&mut line).unwrap();
        assert_eq!(&line, b"line");
    });
}

#[test]
fn forms_are_kept_and_stay() {
    let place = Place::new();
    let rules = Rules::for_server(&place.args(&["--forms", "@kept", "@root"]));
    inside(&rules, |_| {
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let dir = File::open(place.at("kept")).unwrap();
        let mut file = File::from(openat(&dir, "page.jsonl", flags, Mode::RWXU).unwrap());
        file.write_all(b"line").unwrap();
        file.set_len(2).unwrap();
        dir.sync_all().unwrap();
        assert_eq!(fs::remove_file(place.at("kept/page.jsonl")).errno(), DENIED);
        assert_eq!(File::create(place.at("root/new")).errno(), DENIED);
        // Neither is what has been kept moved to where it would be served.
        let moved = fs::rename(place.at("kept/page.jsonl"), place.at("root/new"));
        assert!(moved.is_err_and(|error| error.kind() != ErrorKind::NotFound));
    });
}

/// What the rules alone keep from, where there are no filters of calls.
#[test]
fn landlock_alone_keeps_from_programs_tcp_and_abstract_names() {
    let place = Place::new();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let name = format!("httpd-jail-{}", std::process::id());
    let name = SocketAddr::from_abstract_name(name).unwrap();
    let _abstract = UnixListener::bind_addr(&name).unwrap();
    let other = TcpStream::connect(address).unwrap();
    let rules = Rules::for_server(&place.args(&["@root"]));
    let wall = || {
        rustix::thread::set_no_new_privs(true).unwrap();
        linux::restrict(&rules)
    };
    behind(wall, |abi| {
        // Those that come are taken.
        listener.accept().unwrap();
        assert_eq!(Command::new("/bin/true").status().errno(), DENIED, "nothing is run");
        if abi >= 4 {
            assert_eq!(TcpStream::connect(address).errno(), DENIED);
            assert_eq!(TcpListener::bind("127.0.0.1:0").errno(), DENIED);
        }
        if abi >= 6 {
            assert_eq!(UnixStream::connect_addr(&name).errno(), REFUSED);
            let parent = rustix::process::getppid().unwrap();
            assert_eq!(rustix::process::test_kill_process(parent).errno(), REFUSED);
        }
    });
    drop(other);
}

#[test]
fn nobody_is_called_from_inside_by_whatever_kind_of_socket() {
    let place = Place::new();
    let (listener, other) = (TcpListener::bind("[::1]:0"), TcpListener::bind("127.0.0.1:0"));
    let (listener, other) = (listener.unwrap(), other.unwrap());
    let (address, beside) = (listener.local_addr().unwrap(), other.local_addr().unwrap());
    let path = place.at("socket");
    let _local = UnixListener::bind(&path).unwrap();
    // As if one had been left over from the start.
    let left = UdpSocket::bind("127.0.0.1:0").unwrap();
    let mut client = TcpStream::connect(address).unwrap();
    behind(calls::refuse, |()| {
        let (mut accepted, _) = listener.accept().unwrap();
        accepted.write_all(b"served").unwrap();
        for (attempt, errno) in [
            ("TCP", TcpStream::connect(beside).errno()),
            ("a further TCP address", TcpListener::bind("127.0.0.1:0").errno()),
            ("UDP", UdpSocket::bind("127.0.0.1:0").errno()),
            ("a path", UnixStream::connect(&path).errno()),
            ("a further path", UnixListener::bind(place.at("further")).errno()),
            ("datagrams", UnixDatagram::unbound().errno()),
            ("a pair", UnixStream::pair().errno()),
            ("one that is left", left.connect(beside).errno()),
            ("one that listens", rustix::net::listen(&other, 1).errno()),
        ] {
            assert_eq!(errno, REFUSED, "{attempt}");
        }
        // Listened at no more, it could be connected by what is sent.
        rustix::net::shutdown(&listener, rustix::net::Shutdown::Both).unwrap();
        let fast = rustix::net::SendFlags::from_bits_retain(0x2000_0000);
        let sent = rustix::net::sendto(&listener, b"fast open", fast, &address);
        assert_eq!(sent.errno(), REFUSED);
    });
    let mut text = [0; 6];
    client.read_exact(&mut text).unwrap();
    assert_eq!(&text, b"served");
}

#[test]
fn no_program_is_run_from_inside() {
    behind(calls::refuse, |()| {
        assert_eq!(Command::new("/bin/true").status().errno(), REFUSED);
        // Neither is one that is on no file system, of which landlock knows nothing.
        let memory = rustix::fs::memfd_create("program", MemfdFlags::empty()).unwrap();
        let mut memory = File::from(memory);
        memory.write_all(&fs::read("/bin/true").unwrap()).unwrap();
        let path = format!("/proc/self/fd/{}", memory.as_raw_fd());
        assert_eq!(Command::new(path).status().errno(), REFUSED);
        let started = thread::spawn(|| Command::new("/bin/true").status().errno()).join();
        assert_eq!(started.unwrap(), REFUSED, "what is started inside is inside");
    });
}

#[test]
fn what_became_of_it_is_told_in_a_line_each() {
    let rules = Rules(vec![("/srv".into(), Use::Read), ("/no/forms".into(), Use::Keep)]);
    for (files, line) in [
        (
            Jailed::Inside(6),
            "jail: only /srv and /no/forms can be opened by what serves clients (landlock ABI 6)\n",
        ),
        (
            Jailed::Unavailable("this kernel has none"),
            "jail: not available: this kernel has none\n",
        ),
        (
            Jailed::Failed("too deep".into()),
            "warning: there is no jail, though this kernel has landlock: too deep\n",
        ),
    ] {
        let jail = Jail { files, calls: Jailed::Off };
        assert_eq!(jail.line(&rules), line);
    }
    for (calls, line) in [
        (Jailed::Inside(()), "no socket is made, and no program run (seccomp)\n"),
        (Jailed::Unavailable("no filters"), "sockets and programs are not refused: no filters\n"),
        (
            Jailed::Failed("too long".into()),
            "warning: sockets and programs are not refused: too long\n",
        ),
    ] {
        let jail = Jail { files: Jailed::Unavailable("none"), calls };
        assert_eq!(jail.line(&rules), format!("jail: not available: none\n{line}"));
    }
    let free = enter(&Args::parse_from(["httpd", "--no-jail"]), &rules);
    assert_eq!(free, Jail { files: Jailed::Off, calls: Jailed::Off });
    assert_eq!(free.line(&rules), "no jail: all that this user may open can be opened\n");
}
