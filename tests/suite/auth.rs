//! Who may: the command that makes users, and files of them that will not do.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use conformance::client::Client;
use conformance::server::{START_WITHIN, Server, ServerOptions, binary};
use rustix::pty::{OpenptFlags, openpt, ptsname, unlockpt};
use rustix::termios::{LocalModes, tcgetattr};
use tempfile::TempDir;

use crate::lifecycle::run_to_failure;

/// Runs `httpd hash-password` with some words behind it and some octets as standard input.
fn hash_password(words: &[&str], input: &[u8]) -> Output {
    let mut command = Command::new(binary());
    command.arg("hash-password").args(words);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("httpd can be started");
    let mut stdin = child.stdin.take().expect("a pipe");
    // It may end without having read anything.
    let _ = stdin.write_all(input);
    drop(stdin);
    child.wait_with_output().expect("it ends")
}

/// A line for a user, as the command makes it.
fn line(name: &str, password: &str) -> String {
    let output = hash_password(&[name], password.as_bytes());
    String::from_utf8(output.stdout).expect("ASCII")
}

fn text(octets: &[u8]) -> String {
    String::from_utf8_lossy(octets).into_owned()
}

#[test]
fn a_password_from_a_pipe_becomes_a_line() {
    for (words, start) in [(&["eve"][..], "eve:$argon2id$v=19$"), (&[], "$argon2id$v=19$")] {
        let output = hash_password(words, b"correct horse\nmore\n");
        let said = text(&output.stdout);
        assert!(output.status.success(), "{}", text(&output.stderr));
        assert!(said.starts_with(start) && said.ends_with('\n'), "{said}");
        assert_eq!((said.lines().count(), text(&output.stderr)), (1, String::new()));
    }
}

#[test]
fn what_is_wrong_is_told_in_one_sentence() {
    for (words, input, status, sentence) in [
        (&["a:b"][..], "x", 2, "httpd: the name holds a colon - choose another one\n"),
        (&["-p"], "x", 2, "httpd: there is no option -p - try: httpd hash-password NAME\n"),
        (&["eve"], "", 1, "httpd: the password is empty\n"),
        (&["eve"], "a\tb\n", 1, "httpd: the password holds a control character\n"),
        (&[], &"x".repeat(1025), 1, "httpd: the password is longer than 1024 bytes\n"),
    ] {
        let output = hash_password(words, input.as_bytes());
        assert_eq!((output.status.code(), text(&output.stderr).as_str()), (Some(status), sentence));
        assert_eq!(output.stdout, b"");
    }
    let in_arguments = hash_password(&["eve", "secret"], b"");
    let said = text(&in_arguments.stderr);
    assert_eq!(in_arguments.status.code(), Some(2));
    assert!(said.contains("others would see it") && !said.contains("secret"), "{said}");
}

#[test]
fn a_terminal_does_not_show_the_password() {
    let main = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).expect("a terminal");
    unlockpt(&main).expect("its other side can be opened");
    let name = ptsname(&main, Vec::new()).expect("it has a name");
    let side = File::options()
        .read(true)
        .write(true)
        .open(Path::new(std::str::from_utf8(name.as_bytes()).expect("ASCII")));
    let side = side.expect("the other side");
    let shows = || tcgetattr(&side).expect("modes").local_modes.contains(LocalModes::ECHO);
    for (second, status) in [("correct horse", 0), ("another one", 1)] {
        assert!(shows());
        let mut command = Command::new(binary());
        command.args(["hash-password", "eve"]).stdin(side.try_clone().expect("a descriptor"));
        let mut child =
            command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("started");
        let mut stderr = BufReader::new(child.stderr.take().expect("a pipe"));
        let mut typed = File::from(main.try_clone().expect("a descriptor"));
        for (prompt, password) in
            [("Password for eve: ", "correct horse"), ("The same again: ", second)]
        {
            let mut said = Vec::new();
            stderr.read_until(b':', &mut said).expect("a prompt");
            stderr.by_ref().take(1).read_to_end(&mut said).expect("a space");
            assert_eq!(text(&said), prompt);
            assert!(!shows(), "while it asks");
            writeln!(typed, "{password}").expect("it is typed");
        }
        let output = child.wait_with_output().expect("it ends");
        assert_eq!(output.status.code(), Some(status));
        assert_eq!(text(&output.stdout).starts_with("eve:$argon2id$"), status == 0);
        assert!(shows(), "as before");
    }
}

#[test]
fn a_file_that_will_not_do_is_named_with_its_line() {
    let dir = TempDir::new().expect("a directory can be made");
    let put = |name: &str, content: &str| {
        fs::write(dir.path().join(name), content).expect("a file can be written");
    };
    fs::create_dir(dir.path().join("site")).expect("a directory can be made");
    put("plain", "# mine\neve:sesame\n");
    put("vain", "/ * write\n/a eve read\n");
    put("site/users", "");
    std::os::unix::fs::symlink("site/users", dir.path().join("link")).expect("a link");
    for (file, sentence) in [
        (
            "plain",
            "httpd: plain: line 2: the password of \"eve\" is there as plain text, or hashed with \
             the old crypt, which is guessed too fast - make the line anew: httpd hash-password \
             NAME\n",
        ),
        (
            "vain",
            "httpd: vain: line 2: there is no user \"eve\" - add a line for them: httpd \
             hash-password NAME\n",
        ),
        (
            "no such file",
            "httpd: there is no file 'no such file' - try: httpd hash-password NAME > 'no such \
             file'\n",
        ),
        (
            "site/users",
            "httpd: 'site/users' with its passwords lies in the directory that is served - move \
             it elsewhere\n",
        ),
        (
            "link",
            "httpd: 'link' with its passwords lies in the directory that is served - move it \
             elsewhere\n",
        ),
        (".", "httpd: cannot read '.': is a directory\n"),
    ] {
        let args = ["--auth", file, "-b", "127.0.0.1:0", "site"];
        assert_eq!(run_to_failure(&args, dir.path(), 1), sentence, "{file}");
    }
}

/// All that a server says when it has started: what is said of the log comes last.
fn announced(server: &Server) -> String {
    let end = Instant::now() + START_WITHIN;
    loop {
        let said = server.stderr();
        if said.contains("access log: ") {
            return said;
        }
        assert!(Instant::now() < end, "no end: {said}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn what_passwords_can_be_overheard_is_told() {
    let dir = TempDir::new().expect("a directory can be made");
    let users = dir.path().join("users");
    fs::write(&users, format!("{}/ * read\n", line("eve", "x"))).expect("a file can be written");
    let options = ServerOptions::new().arg("--auth").arg(&users);
    let said = announced(&Server::start(options.clone()));
    let rights = format!("rights: 1 user and 1 rule from {}\n", users.display());
    assert!(said.contains(&rights) && !said.contains("warning"), "{said}");
    let everywhere = Server::start(options.args(["-b", "0.0.0.0:0"]));
    let port = everywhere.addr().port();
    let said = announced(&everywhere);
    let warning = format!("warning: passwords for 0.0.0.0:{port} travel unencrypted");
    assert!(said.contains(&warning), "{said}");
}

/// A line for a request, with its end.
fn basic(name: &str, password: &str) -> String {
    format!("Authorization: Basic {}\r\n", STANDARD.encode(format!("{name}:{password}")))
}

#[test]
fn rights_decide_before_any_file_is_looked_up() {
    let dir = TempDir::new().expect("a directory can be made");
    let users = dir.path().join("users");
    let rules = "/ * read\n/drop eve write\n/private * none\n/private eve read\n";
    let lines = [line("eve", "e"), line("bob", "b"), rules.to_owned()];
    fs::write(&users, lines.concat()).expect("a file can be written");
    let options = ServerOptions::new().args(["--writable", "--pool", "4", "--auth"]).arg(&users);
    let server = Server::start(options);
    for name in ["open.txt", "private/there.txt", "drop/there.txt"] {
        let path = server.root().join(name);
        fs::create_dir_all(path.parent().expect("a directory")).expect("it can be made");
        fs::write(path, "content").expect("a file can be written");
    }
    fs::hard_link(&users, server.root().join("linked")).expect("a link can be made");
    let (eve, bob, none) = (basic("eve", "e"), basic("bob", "b"), String::new());
    let mut client = Client::connect(server.addr()).expect("it listens");
    // Again, as what is asked for often is kept.
    for _ in 0..3 {
        for (line, user, status) in [
            ("GET /open.txt", &none, 200),
            ("GET /linked", &none, 404),
            ("GET /private/there.txt", &none, 401),
            ("GET /private/missing.txt", &none, 401),
            ("HEAD /private/there.txt", &none, 401),
            ("GET /PRIVATE/there.txt", &none, 401),
            ("GET /x/../private/there.txt", &none, 401),
            ("GET /private%2fthere.txt", &none, 404),
            ("GET /private/there.txt", &eve, 200),
            ("GET /private/missing.txt", &eve, 404),
            ("GET /private/there.txt", &bob, 403),
            ("GET /private/missing.txt", &bob, 403),
            ("DELETE /private/there.txt", &none, 401),
            ("DELETE /private/there.txt", &eve, 403),
            ("PUT /drop/new.txt", &none, 401),
            ("PUT /drop/new.txt", &bob, 403),
            ("PUT /drop/new.txt", &eve, 201),
            ("DELETE /drop/new.txt", &bob, 403),
            ("DELETE /drop/new.txt", &eve, 200),
            ("PUT /open.txt", &eve, 403),
        ] {
            let length =
                if line.starts_with("PUT") { "Content-Length: 1\r\n\r\nx" } else { "\r\n" };
            let request = format!("{line} HTTP/1.1\r\nHost: test\r\n{user}{length}");
            client.send(request.as_bytes()).expect("it is open");
            let response = client.response_to(line.starts_with("HEAD")).expect(line);
            assert_eq!(response.status, status, "{line} {user}");
            let challenge = response.field("WWW-Authenticate");
            assert_eq!(challenge.is_some(), status == 401, "{line}: {challenge:?}");
        }
    }
    let log = server.wait_access_log(|log| log.lines().count() >= 60);
    for part in ["- - [", "- eve [", "- bob ["] {
        assert!(log.contains(part), "{log}");
    }
    let wrong = basic("bob", "wrong");
    // Each failure doubles the pause, so that some request is too soon however slow all is.
    let last = (0..10).find_map(|_| {
        let request = format!("GET /private/ HTTP/1.1\r\nHost: test\r\n{wrong}\r\n");
        client.send(request.as_bytes()).expect("it is open");
        let response = client.response().expect("an answer");
        assert!(matches!(response.status, 401 | 429), "{response:?}");
        (response.status == 429).then_some(response)
    });
    let last = last.expect("too many failures");
    assert!(last.field("Retry-After").is_some(), "{last:?}");
}
