//! That nothing which is served is lost by the jail and by `--user`, and that all threads are in
//! it. What the jail keeps from whom is shown where it is made; here the real process is looked at.

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use conformance::client::Client;
use conformance::server::{Server, ServerOptions, Signal, binary};
use tempfile::TempDir;

use crate::lifecycle::{SOON, run_to_failure, wait_until};
use crate::real_site::is_there;

/// Who is called `nobody` on most systems; the number is nobody's on the others.
const NOBODY: u32 = 65534;

/// A place that `owner` may enter and write to: `root`, `logs` and `kept`.
struct Place(TempDir);

impl Place {
    fn of(owner: u32) -> Place {
        let place = Place(TempDir::new().expect("a temporary directory"));
        let all = Permissions::from_mode(0o755);
        fs::set_permissions(place.0.path(), all).expect("a directory of ours");
        for dir in ["root", "logs", "kept"] {
            fs::create_dir(place.at(dir)).expect("a directory is made");
            if is_root() {
                chown(place.at(dir), Some(owner), Some(owner)).expect("root may");
            }
        }
        fs::write(place.at("root/page.html"), "<form method=post>").expect("a file is written");
        place
    }

    fn at(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Everything that can be written is.
    fn options(&self) -> ServerOptions {
        let flags = ["--writable", "--directories", "--on-conflict", "replace", "--keep-free", "0"];
        let options = ServerOptions::new().root(self.at("root")).args(flags);
        let options = options.arg("--forms").arg(self.at("kept"));
        options.arg("--access-log").arg(self.at("logs/access.log"))
    }
}

/// A command that has a system call fail in what it starts; `None`, said, where there is no strace
/// that can.
pub(crate) fn failing(call: &str, how: &str) -> Option<Vec<String>> {
    let (trace, inject) = (format!("trace={call}"), format!("inject={call}:{how}"));
    let words = ["strace", "-D", "-f", "-o", "/dev/null", "-e", &trace, "-e", &inject];
    let can = is_run_by(&words);
    if !can {
        eprintln!("skipped: {call} cannot be made to fail");
    }
    can.then(|| words.map(str::to_owned).to_vec())
}

/// Whether a program can be started through a command.
fn is_run_by(words: &[&str]) -> bool {
    let mut probe = Command::new(words[0]);
    probe.args(&words[1..]).arg("true").stdout(Stdio::null()).stderr(Stdio::null());
    probe.status().is_ok_and(|status| status.success())
}

pub(crate) fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// Sends a request and returns the status and the content.
#[track_caller]
fn ask(server: &Server, head: &str, content: &str) -> (u16, String) {
    let mut client = Client::connect(server.addr()).expect("the server accepts");
    let length = content.len();
    let request = format!("{head}\r\nHost: test\r\nContent-Length: {length}\r\n\r\n{content}");
    client.send(request.as_bytes()).expect("a request can be sent");
    let response = client.response().unwrap_or_else(|why| panic!("{head}: {why}"));
    (response.status, response.text())
}

/// A form with a file `name` in it.
fn form(name: &str, content: &str) -> String {
    format!(
        "--x\r\nContent-Disposition: form-data; name=file; filename={name}\r\n\r\n{content}\r\n\
         --x--\r\n"
    )
}

/// Does all that a server does.
#[track_caller]
fn use_it(server: &mut Server, place: &Place) {
    let status = |server: &Server, head: &str, content: &str| ask(server, head, content).0;
    assert_eq!(status(server, "PUT /a HTTP/1.1", "one"), 201);
    assert_eq!(status(server, "PUT /a HTTP/1.1", "two"), 204);
    assert_eq!(ask(server, "GET /a HTTP/1.1", ""), (200, "two".to_owned()));
    assert_eq!(status(server, "PUT /dir/below/b HTTP/1.1", "b"), 201);
    let post = "POST /dir/ HTTP/1.1\r\nContent-Type: multipart/form-data; boundary=x";
    for content in ["first", "second"] {
        let answer = ask(server, post, &form("c", content));
        assert!(matches!(answer.0, 200 | 201 | 303), "{answer:?}");
        assert_eq!(read(&place.at("root/dir/c")), content);
    }
    let (list, text) = ask(server, "GET /dir/ HTTP/1.1", "");
    assert!(list == 200 && text.contains("below/"), "{text}");
    for path in ["/dir/below/b", "/dir/below/", "/a"] {
        assert!(matches!(status(server, &format!("DELETE {path} HTTP/1.1"), ""), 200 | 204));
    }
    assert_eq!(status(server, "GET /a HTTP/1.1", ""), 404);
    let post = "POST /page.html HTTP/1.1\r\nContent-Type: application/x-www-form-urlencoded";
    for _ in 0..2 {
        let answer = ask(server, post, "name=value");
        assert!(matches!(answer.0, 200 | 303), "{answer:?}");
    }
    let kept = read(&place.at("kept/page.html.jsonl"));
    assert_eq!(kept.lines().count(), 2, "{kept}");
    rotate(server, place);
}

#[track_caller]
fn rotate(server: &mut Server, place: &Place) {
    let (log, rotated) = (place.at("logs/access.log"), place.at("logs/access.log.1"));
    assert!(wait_until(SOON, || contains(&log, "DELETE /a ")), "lines are written");
    fs::rename(&log, &rotated).expect("the log is there");
    server.signal(Signal::HUP);
    assert!(wait_until(SOON, || log.exists()), "{}", server.stderr());
    ask(server, "GET /after HTTP/1.1", "");
    assert!(wait_until(SOON, || contains(&log, "/after")), "{}", server.stderr());
    assert!(!contains(&rotated, "/after"));
}

#[track_caller]
fn read(file: &Path) -> String {
    fs::read_to_string(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
}

fn contains(file: &Path, text: &str) -> bool {
    fs::read_to_string(file).is_ok_and(|content| content.contains(text))
}

/// What `status` says of each of the server's threads, of which some end by and by.
fn threads(server: &Server) -> Vec<String> {
    let tasks = fs::read_dir(format!("/proc/{}/task", server.pid())).expect("a running server");
    let read = tasks.flatten().map(|task| fs::read_to_string(task.path().join("status")));
    read.flatten().collect()
}

/// The values of a line of `status` of each of the server's threads.
fn of_threads(server: &Server, line: &str) -> Vec<String> {
    threads(server).iter().filter_map(|status| of_status(status, line)).collect()
}

fn of_status(status: &str, line: &str) -> Option<String> {
    let value = status.lines().find_map(|found| found.strip_prefix(line));
    value.map(|value| value.trim().to_owned())
}

/// Whether the server is in a jail; says so if it is not, for the kernel may have none.
fn is_jailed(server: &Server) -> bool {
    let said = server.stderr();
    let line = said.lines().find(|line| line.starts_with("jail: ")).unwrap_or_else(|| {
        panic!("there is no line for the jail: {said}");
    });
    let is_jailed = line.contains("(landlock ABI");
    if !is_jailed {
        eprintln!("skipped: {line}");
    }
    is_jailed
}

#[test]
fn nothing_that_is_served_is_lost_by_the_jail() {
    let place = Place::of(0);
    let mut server = Server::start(place.options());
    use_it(&mut server, &place);
    is_jailed(&server);
    assert!(!server.stderr().contains("cannot"), "{}", server.stderr());
}

/// A file without a name is then given one by the link that `/proc` has to it, on kernels before
/// 6.10.
#[test]
fn uploads_need_no_right_of_root() {
    let less = ["setpriv", "--bounding-set", "-dac_read_search,-dac_override"];
    if !is_root() || !is_run_by(&less) {
        return eprintln!("skipped: it takes root, and setpriv");
    }
    let place = Place::of(0);
    let mut server = Server::start(place.options().through(less));
    use_it(&mut server, &place);
}

#[test]
fn the_link_in_proc_is_enough_for_uploads() {
    // The first way of each upload fails, as it does before Linux 6.10.
    let Some(quiet) = failing("linkat", "error=ENOENT:when=1+2") else { return };
    let place = Place::of(0);
    let server = Server::start(place.options().through(quiet));
    for number in 0..3 {
        assert_eq!(ask(&server, &format!("PUT /{number} HTTP/1.1"), "content").0, 201);
    }
}

/// As far as `/proc` tells; it does not tell of landlock.
#[test]
fn every_thread_has_given_up_its_rights() {
    let place = Place::of(0);
    let server = Server::start(place.options());
    ask(&server, "PUT /a HTTP/1.1", "one");
    let threads = threads(&server);
    let all = |line: &str, value: &str| {
        threads.iter().all(|status| of_status(status, line).as_deref() == Some(value))
    };
    assert!(threads.len() > 5 && all("NoNewPrivs:", "1"), "{threads:?}");
    if server.stderr().contains("(seccomp)\n") {
        assert!(all("Seccomp:", "2"), "{threads:?}");
    } else {
        eprintln!("skipped: there are no filters of system calls");
    }
    let free = Server::start(place.options().arg("--no-jail"));
    assert!(free.stderr().contains("no jail: "), "{}", free.stderr());
    for line in ["NoNewPrivs:", "Seccomp:"] {
        // What this program was started with.
        let own = of_status(&read(Path::new("/proc/self/status")), line);
        assert!(of_threads(&free, line).into_iter().all(|value| Some(value) == own), "{line}");
    }
}

#[test]
fn a_log_behind_a_link_is_made_where_the_link_leads() {
    let place = Place::of(0);
    std::os::unix::fs::symlink("../kept/new.log", place.at("logs/access.log")).unwrap();
    let server = Server::start(place.options());
    ask(&server, "GET /page.html HTTP/1.1", "");
    let log = place.at("kept/new.log");
    assert!(wait_until(SOON, || contains(&log, "/page.html")), "{}", server.stderr());
}

/// What nothing but the jail forbids: the directory that the log was in is another one now.
#[test]
fn a_log_is_made_anew_only_where_it_was() {
    let place = Place::of(0);
    let mut server = Server::start(place.options());
    if !is_jailed(&server) {
        return;
    }
    fs::rename(place.at("logs"), place.at("moved")).unwrap();
    fs::create_dir(place.at("logs")).unwrap();
    server.signal(Signal::HUP);
    let refused = || server.stderr().contains("not opened anew, the old file stays");
    assert!(wait_until(SOON, refused), "{}", server.stderr());
    assert!(!place.at("logs/access.log").exists());
    ask(&server, "GET /still-logged HTTP/1.1", "");
    assert!(wait_until(SOON, || contains(&place.at("moved/access.log"), "/still-logged")));
}

#[test]
fn a_kernel_without_landlock_or_a_container_that_forbids_it_is_told_of_and_served_on() {
    let none = "jail: not available: this kernel has no landlock, or a container forbids it\n";
    for (error, line) in [
        ("ENOSYS", none),
        // A container's filter.
        ("EPERM", none),
        ("EOPNOTSUPP", "jail: not available: landlock is turned off in this kernel\n"),
    ] {
        let error = format!("error={error}");
        let Some(wrapper) = failing("landlock_create_ruleset", &error) else { return };
        let place = Place::of(0);
        let mut server = Server::start(place.options().through(wrapper));
        use_it(&mut server, &place);
        assert!(server.stderr().contains(line), "{error}: {}", server.stderr());
    }
}

#[test]
fn a_kernel_without_filters_is_told_of_and_served_on() {
    let line = "sockets and programs are not refused: this kernel has no seccomp filters\n";
    for error in ["error=ENOSYS", "error=EINVAL"] {
        let Some(wrapper) = failing("seccomp", error) else { return };
        let place = Place::of(0);
        let mut server = Server::start(place.options().through(wrapper));
        use_it(&mut server, &place);
        assert!(server.stderr().contains(line), "{error}: {}", server.stderr());
        assert!(of_threads(&server, "NoNewPrivs:").iter().all(|value| value == "1"));
    }
}

#[test]
fn a_jail_that_fails_is_told_of_and_served_without() {
    let Some(wrapper) = failing("landlock_restrict_self", "error=E2BIG") else { return };
    let place = Place::of(0);
    let server = Server::start(place.options().through(wrapper));
    if server.stderr().contains("jail: not available") {
        return eprintln!("skipped: there is no landlock");
    }
    assert_eq!(ask(&server, "PUT /a HTTP/1.1", "one").0, 201);
    let said = server.stderr();
    assert!(
        said.contains("warning: there is no jail, though this kernel has landlock: "),
        "{said}"
    );
}

#[test]
fn root_is_given_up_and_files_are_the_users() {
    if !is_root() {
        return eprintln!("skipped: it takes root");
    }
    let place = Place::of(NOBODY);
    let user = format!("{NOBODY}:{NOBODY}");
    let mut server = Server::start(place.options().args(["--user", &user]));
    use_it(&mut server, &place);
    for (line, expected) in [
        ("Uid:", [NOBODY; 4].map(|id| id.to_string()).join("\t")),
        ("Gid:", [NOBODY; 4].map(|id| id.to_string()).join("\t")),
        ("Groups:", NOBODY.to_string()),
        ("CapPrm:", "0".repeat(16)),
        ("CapEff:", "0".repeat(16)),
    ] {
        let threads = of_threads(&server, line);
        assert!(!threads.is_empty() && threads.iter().all(|it| *it == expected), "{threads:?}");
    }
    for made in ["root/dir", "root/dir/c", "kept/page.html.jsonl", "logs/access.log"] {
        assert_eq!(fs::metadata(place.at(made)).unwrap().uid(), NOBODY, "{made}");
    }
    assert!(server.stderr().contains("user: 65534:65534 (uid 65534, gid 65534)\n"));
}

#[test]
fn what_the_user_cannot_do_is_told_at_the_start() {
    let dir = TempDir::new().unwrap();
    let said = run_to_failure(&["-b", "0", "--user", "no-such-user", "."], dir.path(), 1);
    assert!(said.contains("no user 'no-such-user'"), "{said}");
    if !is_root() {
        let said = run_to_failure(&["-b", "0", "--user", "4242:4242", "."], dir.path(), 1);
        return assert!(said.contains("only root can"), "{said}");
    }
    fs::set_permissions(dir.path(), Permissions::from_mode(0o700)).unwrap();
    let said = run_to_failure(&["-b", "0", "--user", "4242:4242", "."], dir.path(), 1);
    assert!(said.contains("access log") && said.contains("permission denied"), "{said}");
    let off = ["-b", "0", "--access-log", "off", "--user", "4242:4242", "."];
    let said = run_to_failure(&off, dir.path(), 1);
    assert!(said.contains("may not enter the directory"), "{said}");
    let place = Place::of(0);
    let (kept, root) = (place.at("kept"), place.at("root"));
    let paths = [kept.to_str(), root.to_str()].map(|path| path.expect("plain names"));
    let forms = ["-b", "0", "--access-log", "off", "--user", "4242:4242", "--forms"];
    let said = run_to_failure(&[&forms[..], &paths].concat(), dir.path(), 1);
    assert!(said.contains("forms cannot be written to"), "{said}");
}

#[test]
fn the_group_of_root_is_warned_of() {
    let dir = TempDir::new().unwrap();
    let line = ["doctor", "--user", "4242:0", "--access-log", "off", "-b", "127.0.0.1:0", "."];
    let output = Command::new(binary()).args(line).current_dir(dir.path()).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("files of root's group are open to this server"), "{said}");
}

#[test]
fn only_root_becomes_somebody_else() {
    if !is_root() || !is_there("setpriv") {
        return eprintln!("skipped: it takes root, and setpriv");
    }
    let mut command = Command::new("setpriv");
    command.args(["--reuid", "65534", "--clear-groups"]).arg(binary());
    command.args(["-b", "0", "--user", "4242:4242", "--access-log", "off", "/"]);
    let output = command.current_dir("/").stdin(Stdio::null()).output().expect("setpriv runs");
    let said = String::from_utf8_lossy(&output.stderr);
    if said.starts_with("setpriv:") {
        return eprintln!("skipped: this user may not run the binary: {said}");
    }
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.starts_with("httpd: only root can run as another user"), "{said}");
}
