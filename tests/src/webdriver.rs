//! Drives a real browser as its user would: Chromium, without a screen, through the commands of
//! WebDriver (W3C) that chromedriver takes over HTTP.
//!
//! Every wait has an end. Whatever becomes of a test, no process and no file of the browser is
//! left: all of it runs in one process group and writes below one directory.
//!
//! # Example: what a page calls itself
//! ```no_run
//! use conformance::webdriver::Browser;
//!
//! if let Some(browser) = Browser::start() {
//!     browser.open("http://127.0.0.1:8080/");
//!     assert_eq!(browser.run("return document.title"), "Index of /");
//! }
//! ```

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group};
use serde_json::{Value, json};
use tempfile::TempDir;

/// The longest that chromedriver may take to start or to do one command. A browser starts in a
/// second or two, on a machine that is busy with other tests in many times that.
const COMMAND_MAX: Duration = Duration::from_secs(180);

/// The longest that a page may take to become what a test waits for.
const PAGE_MAX: Duration = Duration::from_secs(120);

/// How often a page is looked at while it is waited for.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// The most octets of an answer that are read. A picture of the page is the longest there is.
const ANSWER_BYTES_MAX: u64 = 64 << 20;

/// The name under which an element is known in JSON (WebDriver §11).
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";

/// Without a screen, and without asking anybody on the network for anything. As root, as which
/// tests often run in containers, Chromium does not start with its sandbox.
const ARGUMENTS: [&str; 9] = [
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-quic",
    "--no-proxy-server",
];

/// A browser with one empty page. It is ended when this is dropped.
#[derive(Debug)]
pub struct Browser {
    driver: Driver,
    session: String,
}

impl Browser {
    /// Starts one with a profile of its own, or says why there is none.
    ///
    /// # Panics
    /// When it is there and does not start; the message says what was answered instead.
    #[track_caller]
    pub fn start() -> Option<Browser> {
        let (chromium, chromedriver) = (find("chromium")?, find("chromedriver")?);
        let driver = Driver::start(chromedriver);
        let profile = driver.dir.path().join("profile");
        let mut arguments = ARGUMENTS.map(str::to_owned).to_vec();
        arguments.push(format!("--user-data-dir={}", profile.display()));
        let capabilities = json!({
            "browserName": "chrome",
            "goog:chromeOptions": { "binary": chromium, "args": arguments },
            "goog:loggingPrefs": { "browser": "ALL" },
        });
        let body = json!({ "capabilities": { "alwaysMatch": capabilities } });
        let begun = driver.command("/session", &body).expect("a browser can be started");
        let session = begun["sessionId"].as_str().expect("a session has a name").to_owned();
        Some(Browser { driver, session })
    }

    /// Goes to a page and waits until it is loaded.
    #[track_caller]
    pub fn open(&self, url: &str) {
        self.command("url", &json!({ "url": url }));
    }

    /// What a script returns that is run in the page; of a promise, what becomes of it.
    #[track_caller]
    pub fn run(&self, script: &str) -> Value {
        self.run_with(script, &json!([]))
    }

    /// The same for a script that takes `arguments[0]` and so on, an array.
    #[track_caller]
    pub fn run_with(&self, script: &str, arguments: &Value) -> Value {
        self.command("execute/sync", &json!({ "script": script, "args": arguments }))
    }

    /// Waits until a script returns what is true.
    ///
    /// # Panics
    /// After [`PAGE_MAX`]; the message shows what the page holds then.
    #[track_caller]
    pub fn wait_for(&self, script: &str) {
        let path = format!("/session/{}/execute/sync", self.session);
        let body = json!({ "script": script, "args": [] });
        let end = Instant::now() + PAGE_MAX;
        // An error may be the page's that is just being left.
        while self.driver.command(&path, &body) != Ok(Value::Bool(true)) {
            assert!(Instant::now() < end, "waited for `{script}`:\n{}", self.text());
            std::thread::sleep(LOOK_EVERY);
        }
    }

    /// Waits until an element that CSS selects is there, and clicks it.
    #[track_caller]
    pub fn click(&self, css: &str) {
        let element = self.element(css);
        self.command(&format!("element/{element}/click"), &json!({}));
    }

    /// Types into the first element that CSS selects; into a file's field, the paths of files, one
    /// a line.
    #[track_caller]
    pub fn type_into(&self, css: &str, text: &str) {
        let element = self.element(css);
        self.command(&format!("element/{element}/value"), &json!({ "text": text }));
    }

    /// The text of the page as its reader sees it. Works where scripts do not.
    #[track_caller]
    pub fn text(&self) -> String {
        let element = self.element("body");
        let path = format!("/session/{}/element/{element}/text", self.session);
        let text = self.driver.exchange("GET", &path, "").expect("a page has a text");
        text.as_str().unwrap_or_default().to_owned()
    }

    /// From now on the scripts of pages do not run, as if they were switched off in the browser.
    #[track_caller]
    pub fn forbid_scripts(&self) {
        let parameters = json!({ "value": true });
        let command = "Emulation.setScriptExecutionDisabled";
        self.command("goog/cdp/execute", &json!({ "cmd": command, "params": parameters }));
    }

    /// What has been written to the browser's console since this was asked last: errors of
    /// scripts, violations of a policy, requests that failed.
    #[track_caller]
    pub fn console(&self) -> Vec<String> {
        let entries = self.command("se/log", &json!({ "type": "browser" }));
        let entries = entries.as_array().expect("a log is a list");
        entries.iter().map(|entry| format!("{}: {}", entry["level"], entry["message"])).collect()
    }

    /// The first element that CSS selects, waited for.
    #[track_caller]
    fn element(&self, css: &str) -> String {
        let path = format!("/session/{}/element", self.session);
        let body = json!({ "using": "css selector", "value": css });
        let end = Instant::now() + PAGE_MAX;
        loop {
            match self.driver.command(&path, &body) {
                Ok(found) => return found[ELEMENT].as_str().expect("it has a name").to_owned(),
                Err(why) => assert!(Instant::now() < end, "{css}: {why}"),
            }
            std::thread::sleep(LOOK_EVERY);
        }
    }

    #[track_caller]
    fn command(&self, name: &str, body: &Value) -> Value {
        let path = format!("/session/{}/{name}", self.session);
        self.driver.command(&path, body).unwrap_or_else(|why| panic!("{name}: {why}"))
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // So that it can end in its own way; what does not is killed with the driver.
        let _ = self.driver.exchange("DELETE", &format!("/session/{}", self.session), "");
    }
}

/// A running chromedriver, the first of a process group to which its browsers belong.
#[derive(Debug)]
struct Driver {
    child: Child,
    port: u16,
    dir: TempDir,
}

impl Driver {
    #[track_caller]
    fn start(program: PathBuf) -> Driver {
        let dir = tempfile::Builder::new().prefix("httpd-test-").tempdir();
        let dir = dir.expect("a temporary directory can be made");
        let mut command = Command::new(program);
        command.arg("--port=0").process_group(0);
        command.env("TMPDIR", dir.path()).env("HOME", dir.path());
        // Names of files are UTF-8 here, whatever they are elsewhere.
        command.env("LC_ALL", "C.UTF-8");
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().expect("chromedriver can be started");
        let stdout = child.stdout.take().expect("standard output was asked to be a pipe");
        let mut driver = Driver { child, port: 0, dir };
        driver.port = port(stdout).expect("chromedriver says where it listens");
        driver
    }

    /// Has one command done.
    ///
    /// # Errors
    /// What went wrong instead, in the driver's own words.
    fn command(&self, path: &str, body: &Value) -> Result<Value, String> {
        self.exchange("POST", path, &body.to_string())
    }

    fn exchange(&self, method: &str, path: &str, body: &str) -> Result<Value, String> {
        let answer = self.ask(method, path, body).map_err(|e| format!("{method} {path}: {e}"))?;
        let mut answer: Value = serde_json::from_slice(&answer)
            .map_err(|e| format!("{method} {path}: {e} in {}", answer.escape_ascii()))?;
        let value = answer["value"].take();
        match value.get("error") {
            Some(error) => Err(format!("{error}: {}", value["message"])),
            None => Ok(value),
        }
    }

    /// The content of the answer to a request on a connection of its own.
    fn ask(&self, method: &str, path: &str, body: &str) -> io::Result<Vec<u8>> {
        let addr = (Ipv4Addr::LOCALHOST, self.port).into();
        let mut stream = TcpStream::connect_timeout(&addr, COMMAND_MAX)?;
        stream.set_read_timeout(Some(COMMAND_MAX))?;
        stream.set_write_timeout(Some(COMMAND_MAX))?;
        let length = body.len();
        let head = format!("{method} {path} HTTP/1.1\r\nHost: {addr}\r\nConnection: close\r\n");
        let fields = format!("Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n");
        stream.write_all([&head, &fields, body].concat().as_bytes())?;
        let mut answer = BufReader::new(stream).take(ANSWER_BYTES_MAX);
        let mut length = 0;
        let mut line = String::new();
        while answer.read_line(&mut line)? > 2 {
            let (name, value) = line.split_once(':').unwrap_or_default();
            if name.eq_ignore_ascii_case("content-length") {
                length = value.trim().parse().map_err(io::Error::other)?;
            }
            line.clear();
        }
        let mut content = Vec::new();
        answer.take(length).read_to_end(&mut content)?;
        Ok(content)
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        // Each can fail only when it is gone already, which is what is wanted.
        let _ = kill_process_group(Pid::from_child(&self.child), Signal::KILL);
        let _ = self.child.wait();
    }
}

/// The port that chromedriver has chosen, of which it tells on its standard output.
fn port(stdout: ChildStdout) -> Result<u16, RecvTimeoutError> {
    let (tell, told) = mpsc::channel();
    std::thread::spawn(move || {
        // To the end, so that the driver never waits for a reader.
        for line in BufReader::new(stdout).lines().map_while(Result::ok) {
            if let Some((_, port)) = line.split_once("started successfully on port ") {
                let _ = tell.send(port.trim_end_matches('.').parse().unwrap_or_default());
            }
        }
    });
    told.recv_timeout(COMMAND_MAX)
}

/// Where a program is. That there is none is said although a test that does without it passes.
fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path).map(|dir| dir.join(program)).find(|at| at.is_file());
    if found.is_none() {
        let said = format!("browser: skipped: there is no {program}\n");
        let _ = std::io::stderr().write_all(said.as_bytes());
    }
    found
}
