//! A browser uploads and deletes on the page that lists a directory, with its script and without.

use std::fs;
use std::path::Path;

use conformance::client::Client;
use conformance::server::{Server, ServerOptions, Signal};
use conformance::webdriver::Browser;
use serde_json::json;

use crate::lifecycle::SOON;

/// A name in which every character that could be taken for something else is.
const STRANGE: &str = "50% <i>a&b;'c' #1? \u{fc}.txt";

fn serve() -> (Server, String) {
    let server = Server::start(ServerOptions::new().arg("--writable"));
    fs::create_dir(server.root().join("sub")).expect("a directory can be made");
    let url = format!("http://{}/", server.addr());
    (server, url)
}

/// Makes a file for the browser to upload, outside of what is served; its path.
fn local(server: &Server, name: &str, content: &[u8]) -> String {
    let dir = server.dir().join("local");
    fs::create_dir_all(&dir).expect("a directory can be made");
    fs::write(dir.join(name), content).expect("a file can be written");
    dir.join(name).to_str().expect("it is UTF-8").to_owned()
}

/// The names that the page lists, without the link upwards.
fn listed(browser: &Browser) -> Vec<String> {
    let names = browser.run(
        "return [...document.querySelectorAll('tbody a')].map((a) => a.textContent)\
         .filter((name) => name !== '../')",
    );
    serde_json::from_value(names).expect("they are strings")
}

/// What lies in a directory, files and all that an upload may have left.
fn on_disk(dir: &Path) -> Vec<String> {
    let entries = fs::read_dir(dir).expect("a directory can be read");
    let name = |entry: std::io::Result<fs::DirEntry>| entry.expect("an entry").file_name();
    let mut names: Vec<_> =
        entries.map(|entry| name(entry).to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

/// Waits until the page's line on what has come of it says `text`.
#[track_caller]
fn wait_until_said(browser: &Browser, text: &str) {
    let text = json!(text);
    browser.wait_for(&format!("return document.getElementById('said').textContent === {text}"));
}

#[track_caller]
fn assert_quiet(browser: &Browser) {
    assert_eq!(browser.console(), Vec::<String>::new());
}

#[test]
fn files_are_chosen_uploaded_listed_fetched_and_deleted() {
    let Some(browser) = Browser::start() else { return };
    let (server, url) = serve();
    let noise = crate::download::noise(11, 3 << 20);
    let paths = [local(&server, STRANGE, b"strange"), local(&server, "large.bin", &noise)];
    browser.open(&url);
    assert_eq!(listed(&browser), ["sub/"]);

    browser.type_into("input[type=file]", &paths.join("\n"));
    wait_until_said(&browser, "2 uploaded.");
    assert_eq!(listed(&browser), ["sub/", STRANGE, "large.bin"]);
    assert_eq!(on_disk(server.root()), [STRANGE, "large.bin", "sub"]);
    assert!(fs::read(server.root().join("large.bin")).unwrap() == noise);
    let link = "[...document.querySelectorAll('tbody a')].find((a) => a.textContent === ";
    let fetched = browser.run(&format!(
        "return fetch({link}{}).href).then((answer) => answer.text())",
        json!(STRANGE)
    ));
    assert_eq!(fetched, "strange");
    assert_eq!(browser.run("return document.querySelectorAll('#transfers li').length"), 0);
    // Only files can be deleted here.
    assert_eq!(browser.run("return document.querySelectorAll('td.act button').length"), 2);

    let delete = format!("button[aria-label={}]", json!(format!("Delete {STRANGE}")));
    browser.click(&delete);
    browser.click("dialog[open] button[value='']");
    browser.wait_for("return !document.querySelector('dialog').open");
    assert_eq!(on_disk(server.root()), [STRANGE, "large.bin", "sub"]);
    browser.click(&delete);
    let asked = browser.run("return document.querySelector('dialog bdi').textContent");
    assert_eq!(asked, STRANGE);
    browser.click("dialog[open] button[value=delete]");
    wait_until_said(&browser, &format!("{STRANGE} was deleted."));
    assert_eq!(listed(&browser), ["sub/", "large.bin"]);
    assert_eq!(on_disk(server.root()), ["large.bin", "sub"]);
    assert_quiet(&browser);
}

/// Drops a file with each of the names in `arguments[0]` on the page, and returns whether the page
/// showed that it takes them. Then it cancels those in `arguments[1]`, before any can have gone.
const DROP: &str = "
    const dataTransfer = new DataTransfer();
    for (const name of arguments[0]) dataTransfer.items.add(new File(['in ' + name], name));
    const drag = (type) => document.body.dispatchEvent(
        new DragEvent(type, { dataTransfer, bubbles: true, cancelable: true }));
    const isShown = () => document.body.classList.contains('dropping');
    const taken = !drag('dragover') && isShown() && !drag('drop') && !isShown();
    for (const row of document.querySelectorAll('#transfers li')) {
        const name = row.querySelector('bdi').textContent;
        if (arguments[1].includes(name)) row.querySelector('button').click();
    }
    return taken;";

#[test]
fn files_are_dropped_anywhere_and_those_that_wait_can_be_cancelled() {
    let Some(browser) = Browser::start() else { return };
    let (server, url) = serve();
    browser.open(&format!("{url}sub/"));
    assert_eq!(browser.run_with(DROP, &json!([["a", "b", "c"], ["b"]])), true);
    wait_until_said(&browser, "2 uploaded.");
    assert_eq!(listed(&browser), ["a", "c"]);
    assert_eq!(fs::read(server.root().join("sub/a")).unwrap(), b"in a");
    assert_eq!(on_disk(&server.root().join("sub")), ["a", "c"]);
    assert_eq!(browser.run("return document.querySelectorAll('#transfers li').length"), 0);
    assert_quiet(&browser);
}

#[test]
fn what_fails_is_told_and_can_be_tried_again() {
    let Some(browser) = Browser::start() else { return };
    let (mut server, url) = serve();
    browser.open(&format!("{url}sub/"));
    let retry = "#transfers li.failed button";
    fs::remove_dir(server.root().join("sub")).expect("a directory can be removed");
    assert_eq!(browser.run_with(DROP, &json!([["a"], []])), true);
    browser.wait_for("return document.querySelector('#transfers .failed .state') !== null");
    fs::create_dir(server.root().join("sub")).expect("a directory can be made");
    browser.click(retry);
    wait_until_said(&browser, "1 uploaded.");
    assert_eq!(listed(&browser), ["a"]);

    server.signal(Signal::KILL);
    server.wait_exit(SOON).expect("a server that is killed ends");
    assert_eq!(browser.run_with(DROP, &json!([["b"], []])), true);
    wait_until_said(&browser, "b: The connection was lost.");
    browser.click(&format!("{retry} + button"));
    browser.wait_for("return document.querySelector('#transfers li') === null");
    browser.click("button[aria-label='Delete a']");
    browser.click("dialog[open] button[value=delete]");
    wait_until_said(&browser, "a: The connection was lost.");
    assert_eq!(listed(&browser), ["a"]);
}

#[test]
fn the_form_uploads_without_its_script() {
    let Some(browser) = Browser::start() else { return };
    let (server, url) = serve();
    browser.forbid_scripts();
    browser.open(&url);
    assert!(browser.text().contains("Choose files to upload"), "{}", browser.text());
    browser.type_into("input[type=file]", &local(&server, "plain.txt", b"without a script"));
    browser.click("#upload button");
    browser.wait_for("return document.querySelector(\"a[href='./plain.txt']\") !== null");
    assert_eq!(browser.run("return location.href"), url);
    assert_eq!(listed(&browser), ["sub/", "plain.txt"]);
    assert_eq!(browser.run("return document.querySelectorAll('td button').length"), 0);
    assert_eq!(fs::read(server.root().join("plain.txt")).unwrap(), b"without a script");
    assert_eq!(on_disk(server.root()), ["plain.txt", "sub"]);
    assert_quiet(&browser);
}

#[test]
fn the_page_of_a_server_that_only_reads_offers_nothing() {
    let server = Server::start(ServerOptions::new());
    let mut client = Client::connect(server.addr()).expect("the server accepts");
    client.send(b"GET / HTTP/1.1\r\nHost: test\r\n\r\n").expect("a request can be sent");
    let page = client.response().expect("a sound response").text();
    for sign in ["<form", "<script", "<button"] {
        assert!(!page.contains(sign), "{sign}: {page}");
    }
}
