//! What `httpd doctor` says of a directory, and how it ends.

use std::fs::{self, Permissions};
use std::net::TcpListener;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::Command;

use conformance::server::binary;
use tempfile::TempDir;

use crate::jail::{failing, is_root};
use crate::lifecycle::run_to_failure;
use crate::real_site::is_there;

/// Exit status, standard output and standard error.
fn doctor(args: &[&str], dir: &Path) -> (Option<i32>, String, String) {
    let mut command = Command::new(binary());
    let output = command.arg("doctor").args(args).current_dir(dir).output().expect("httpd runs");
    let text = |octets: &[u8]| String::from_utf8_lossy(octets).into_owned();
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

fn place() -> TempDir {
    let dir = TempDir::new().expect("a temporary directory");
    fs::create_dir(dir.path().join("root")).expect("a directory is made");
    fs::write(dir.path().join("root/index.html"), "a page").expect("a file is written");
    dir
}

/// The row with this label.
#[track_caller]
fn row<'a>(report: &'a str, label: &str) -> &'a str {
    let rows = report.lines().filter_map(|line| line.trim_start().strip_prefix(label));
    rows.map(str::trim).next().unwrap_or_else(|| panic!("there is no {label}: {report}"))
}

#[test]
fn a_directory_in_order_ends_with_0_and_nothing_is_left() {
    let dir = place();
    fs::write(dir.path().join("root/.env"), "PASSWORD=hunter2").unwrap();
    // Of its own port: whether another one is in use just now depends on who else tries it.
    let (code, report, said) = doctor(&["-b", "127.0.0.1:0", "root"], dir.path());
    assert_eq!((code, said.as_str()), (Some(0), ""), "{report}");
    assert!(report.contains("/.env  hidden (--hidden would serve it)"), "{report}");
    assert!(report.contains("nothing looks exposed; 2 names looked at"), "{report}");
    assert!(row(&report, "writing").starts_with("off"), "{report}");
    assert_eq!(doctor(&["-b", "127.0.0.1:0", "root"], dir.path()).1, report, "the same again");
    let names = fs::read_dir(dir.path()).unwrap().count();
    assert_eq!(names, 1, "there is no log, since nothing was served");
}

#[test]
fn what_is_exposed_is_named_without_its_secret_and_ends_with_1() {
    let dir = place();
    fs::write(dir.path().join("root/.env"), "PASSWORD=hunter2").unwrap();
    let key = "-----BEGIN PRIVATE KEY-----\nc2VjcmV0\n-----END PRIVATE KEY-----\n";
    fs::write(dir.path().join("root/notes"), key).unwrap();
    let (code, report, said) = doctor(&["--hidden", "root"], dir.path());
    assert_eq!((code, said.as_str()), (Some(1), ""), "{report}");
    assert!(report.contains("\nexposed\n  /.env  settings with passwords\n"), "{report}");
    assert!(report.contains("  /notes  a private key\n"), "{report}");
    assert!(!report.contains("hunter2") && !report.contains("c2Vj"), "{report}");
}

#[test]
fn the_options_are_those_of_the_server() {
    let dir = place();
    fs::write(dir.path().join("users"), "/ * read\n").unwrap();
    let line = "--writable --quota 3G --auth users --host a.example --head-max 9216 \
        --head-timeout 2.5 --max-connections 7 --max-per-address 8 --rate-per-address 9 \
        --uploads-max 5 --keep-free 1M --body-max 2M --idle-timeout 6 --stall-timeout 4 \
        --min-rate 0 --cache 0 --drain 3 --workers 1 --pool 2 --request-line-max 100 \
        --fields-max 50 -b 0.0.0.0:0 root";
    let args: Vec<_> = line.split_whitespace().collect();
    let (code, report, said) = doctor(&args, dir.path());
    assert_eq!((code, said.as_str()), (Some(0), ""), "{report}");
    for (label, expected) in [
        ("writing", "on, for whoever has the right"),
        ("rights", "0 users and 1 rule from users"),
        ("listening at", "0.0.0.0:0, for the network"),
        ("connections", "7"),
        ("from one address", "8 connections at once, 9 requests/s on average"),
        ("threads", "1 worker, 2 for disks"),
        ("transfer", "cut after 4 s of nothing; no least rate"),
        ("idle connection", "6 s"),
        ("to stop", "3 s"),
        ("request line", "100 bytes"),
        ("request head", "9K in 50 fields, within 2.5 s"),
        ("kept ", "0 bytes in memory, 0 files open, by all workers"),
        ("upload ", "2M"),
        ("uploads at once", "5"),
        ("all files", "3G"),
        ("disk kept free", "1M"),
    ] {
        assert_eq!(row(&report, label), expected, "{label}");
    }
    assert!(row(&report, "hosts").contains("a.example"), "{report}");
}

#[test]
fn the_limits_that_nobody_has_set_are_told_as_well() {
    let dir = place();
    let (_, report, _) = doctor(&["--writable", "root"], dir.path());
    let any = "any number of connections (--max-per-address), of requests (--rate-per-address)";
    for (label, expected) in [
        ("from one address", any),
        ("transfer", "cut after 30 s of nothing; 500 bytes/s on average after 15 s"),
        ("closing", "what still comes is thrown away, for 5 s"),
        ("chunks", "lines of 256 bytes, 16K of extensions in all"),
        ("ranges", "16 in a request"),
        ("a directory's list", "20000 names; 2 lists of more than 1000 at once"),
        ("unsent in kernel", "64K a client"),
        ("uploads at once", "256"),
        ("all files", "no bound (--quota)"),
    ] {
        assert_eq!(row(&report, label), expected, "{label}");
    }
    assert!(row(&report, "kept ").starts_with("128M in memory, "), "{report}");
}

#[test]
fn what_the_jail_keeps_from_is_told_as_far_as_the_kernel_does() {
    let dir = place();
    let (_, report, _) = doctor(&["root"], dir.path());
    let everything = "no connection is made, no further address listened at";
    match row(&report, "system calls") {
        "seccomp, tried: no socket is made" => assert_eq!(row(&report, "network"), everything),
        other => assert!(other.starts_with("all can be made: "), "{report}"),
    }
    let (_, report, _) = doctor(&["--no-jail", "root"], dir.path());
    assert_eq!(row(&report, "jail"), "none (--no-jail)");
    assert_eq!(row(&report, "system calls"), "all can be made (--no-jail)");
    assert_eq!(row(&report, "network"), "not kept from connections");
    assert_eq!(row(&report, "programs"), "run as usual");
    let Some(wrapper) = failing("seccomp", "error=EINVAL") else { return };
    let mut command = Command::new(&wrapper[0]);
    command.args(&wrapper[1..]).arg(binary());
    let output = command.args(["doctor", "root"]).current_dir(dir.path()).output().unwrap();
    let report = String::from_utf8_lossy(&output.stdout);
    assert!(row(&report, "system calls").starts_with("all can be made: this kernel has no"));
    assert_ne!(row(&report, "network"), everything, "{report}");
}

#[test]
fn what_would_not_start_is_told_as_at_the_start() {
    let dir = place();
    symlink("none/log", dir.path().join("link")).unwrap();
    for (args, code, expected) in [
        (&["none"][..], 1, "there is no directory 'none'"),
        (&["--auth", "users", "root"], 1, "there is no file 'users'"),
        (&["--user", "no-such-user", "root"], 1, "there is no user 'no-such-user'"),
        (&["--forms", "root", "root"], 1, "would be served to everyone"),
        (&["--access-log", "none/log", "root"], 1, "its directory does not exist"),
        (&["--access-log", "link", "root"], 1, "its directory does not exist"),
        (&["--access-log", "root", "root"], 1, "it is a directory"),
        (&["-b", "192.0.2.1:8080", "root"], 1, "192.0.2.1 is no address of this machine"),
        (&["--bla"], 2, "there is no option --bla"),
        (&["a", "b"], 2, "one directory too many"),
    ] {
        let (found, report, said) = doctor(args, dir.path());
        assert_eq!((found, report.as_str()), (Some(code), ""), "{args:?}");
        assert!(said.starts_with("httpd: ") && said.contains(expected), "{said}");
        assert_eq!(said.lines().count(), 1, "one sentence: {said}");
    }
    // A port that is free now; taken by another meanwhile, it is in use all the same.
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let twice = [format!("0.0.0.0:{port}"), format!("127.0.0.1:{port}")];
    let (code, _, said) = doctor(&["-b", &twice[0], "-b", &twice[1], "root"], dir.path());
    assert!(code == Some(1) && said.contains(&format!("port {port} is in use")), "{said}");
    let (code, help, _) = doctor(&["--help"], dir.path());
    assert!(code == Some(0) && help.contains("Usage: httpd doctor [OPTIONS] [ROOT]"), "{help}");
}

/// The doctor is asked about a server that runs, as a rule.
#[test]
fn a_port_in_use_is_told_and_nothing_to_fail_for() {
    let dir = place();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let (code, report, _) = doctor(&["-b", &address, "root"], dir.path());
    assert_eq!(code, Some(0), "{report}");
    let expected = "for this machine only; in use now, perhaps by a server that runs already";
    assert_eq!(row(&report, "listening at"), format!("{address}, {expected}"));
}

#[test]
fn what_the_user_of_the_server_could_not_do_is_tried_as_that_user() {
    if !is_root() {
        return eprintln!("skipped: it takes root");
    }
    let dir = place();
    let (open, closed) = (Permissions::from_mode(0o755), Permissions::from_mode(0o700));
    fs::set_permissions(dir.path(), open).unwrap();
    fs::create_dir(dir.path().join("kept")).unwrap();
    fs::create_dir_all(dir.path().join("root/closed/in")).unwrap();
    fs::write(dir.path().join("root/closed/in/dump.sql"), "").unwrap();
    fs::set_permissions(dir.path().join("root/closed"), closed.clone()).unwrap();
    let off = ["--user", "4242:4242", "--access-log", "off", "-b", "127.0.0.1:0"];
    let forms = [&off[..], &["--forms", "kept", "root"]].concat();
    let log = ["--user", "4242:4242", "-b", "127.0.0.1:0", "root"];
    for (args, expected) in [
        (&log[..], "cannot write the access log 'access.log': permission denied"),
        (&forms, "forms cannot be written to"),
    ] {
        let (code, report, said) = doctor(args, dir.path());
        assert_eq!((code, report.as_str()), (Some(1), ""), "{args:?}");
        assert!(said.contains(expected), "{said}");
        assert_eq!(run_to_failure(args, dir.path(), 1), said, "as at the start");
    }
    let (code, report, _) = doctor(&[&off[..], &["root"]].concat(), dir.path());
    assert_eq!(code, Some(0), "{report}");
    assert!(report.contains("/closed/  cannot be looked into"), "{report}");
    assert!(row(&report, "user").ends_with(", tried"), "{report}");
    fs::set_permissions(dir.path().join("root"), closed).unwrap();
    let (code, _, said) = doctor(&[&off[..], &["root"]].concat(), dir.path());
    assert!(code == Some(1) && said.contains("may not enter the directory"), "{said}");
}

#[test]
fn what_only_root_could_try_is_said() {
    if is_root() && !is_there("setpriv") {
        return eprintln!("skipped: there is no setpriv");
    }
    let dir = place();
    fs::set_permissions(dir.path(), Permissions::from_mode(0o755)).unwrap();
    let mut command = Command::new(if is_root() { "setpriv" } else { "env" });
    if is_root() {
        command.args(["--reuid", "65534", "--regid", "65534", "--clear-groups"]);
    }
    command.arg(binary()).args(["doctor", "--user", "4242:4242", "-b", "127.0.0.1:1", "root"]);
    let output = command.current_dir(dir.path()).output().unwrap();
    let (report, said) = (output.stdout, String::from_utf8_lossy(&output.stderr));
    if said.starts_with("setpriv:") {
        return eprintln!("skipped: this user may not run the binary: {said}");
    }
    let report = String::from_utf8_lossy(&report);
    assert_eq!(output.status.code(), Some(0), "{said}{report}");
    assert!(row(&report, "not tried").starts_with("the addresses, the log and the forms"));
    assert!(row(&report, "user").ends_with("if root starts it"), "{report}");
}
