//! What the other options bring: directories that are made, files that change places, forms that
//! pages send, compressed answers, passwords, a list that is too long for memory.

use std::io::Read;
use std::path::Path;

use anyhow::Result;
use rustix::process::Signal;

use super::{Asking, OLD, SMALL, Setting, State, large};
use crate::attack::exchange::Answer;

pub(super) const SETTING: Setting = Setting {
    args: &["--directories", "--forms", "kept", "--gzip", "--auth", "users"],
    fields: "Authorization: Basic ZXZlOnNlY3JldA==\r\n",
    // Each run takes ten times as long as a plain one.
    calls: &[1, 3, 9],
    fill,
    play,
    replaced: &["dir/a", "dir/b", "dir/a-2", "dir/b-2"],
    made: &["made/deep/new", "made-2/deep/new"],
};

const FORMS: &[[&str; 2]] = &[["dir/a", "dir/b"], ["dir/a-2", "dir/b-2"]];
/// The user `eve` with the password `secret`, hashed with as little effort as is taken.
const USERS: &str = "eve:$argon2id$v=19$m=19456,t=2,p=1$e3NCzXPFuDuOMGM1XDfQqg\
                     $1XQgnyJStbexGvt9POO+nv3BZ4C3G979m17VODy779o\n";
/// Names in the long list: its page does not stay in memory.
const NAMES: usize = 1_100;
/// Lines of the texts: one is kept compressed, the other is compressed while it is sent.
const SHORT: usize = 200;
const LONG: usize = 20_000;

fn fill(root: &Path) -> Result<()> {
    let beside = root.join("..");
    std::fs::write(beside.join("users"), USERS)?;
    std::fs::create_dir(beside.join("kept"))?;
    for dir in ["dir", "many", "empty", "empty-2"] {
        std::fs::create_dir(root.join(dir))?;
    }
    std::fs::write(root.join("small"), SMALL)?;
    for number in 0..NAMES {
        // Names are quicker to make than files.
        std::fs::hard_link(root.join("small"), root.join(format!("many/{}", name(number))))?;
    }
    std::fs::write(root.join("large"), large())?;
    std::fs::write(root.join("page.html"), SMALL)?;
    std::fs::write(root.join("short.txt"), text(SHORT))?;
    std::fs::write(root.join("long.txt"), text(LONG))?;
    for name in FORMS.concat() {
        std::fs::write(root.join(name), OLD)?;
    }
    Ok(())
}

fn name(number: usize) -> String {
    format!("a-name-of-some-length-{number:04}-so-that-the-page-is-long")
}

fn text(lines: usize) -> String {
    (0..lines).map(|line| format!("line {line} of a text\n")).collect()
}

/// Asks for everything twice.
fn play(asking: &mut Asking<'_>) {
    for (round, form) in ["", "-2"].iter().zip(FORMS) {
        asking.talk = None;
        read_all(asking);
        if round.is_empty() {
            list(asking);
        }
        asking.put(&format!("/made{round}/deep/new"));
        let bare = format!("/bare{round}/");
        let comes_to = vec![(format!("root{bare}"), State::Directory)];
        asking.change("PUT", &bare, "", b"", comes_to);
        asking.form("/dir/", *form);
        asking.delete(&format!("/empty{round}/"));
        let message = format!("word{round}.");
        let comes_to = vec![("kept/page.html.jsonl".to_owned(), State::Holds(message.clone()))];
        let fields = "Content-Type: application/x-www-form-urlencoded\r\n";
        let content = format!("message={message}");
        asking.change("POST", "/page.html", fields, content.as_bytes(), comes_to);
        // It may be gone, which is found later.
        let _ = asking.server.signal(Signal::HUP);
    }
}

fn read_all(asking: &mut Asking<'_>) {
    let gzip = "Accept-Encoding: gzip\r\n";
    asking.get("/small", "", 200, |answer| answer.content == SMALL.as_bytes());
    asking.get("/short.txt", gzip, 200, |answer| is_text(answer, SHORT));
    asking.get("/long.txt", gzip, 200, |answer| is_text(answer, LONG));
    let large = large();
    let parts = "Range: bytes=0-9,100000-100009\r\n";
    asking.get("/large", parts, 206, |answer| {
        let has = |part: &[u8]| answer.content.windows(part.len()).any(|found| found == part);
        has(&large[..10]) && has(&large[100_000..100_010])
    });
}

/// Once, since it takes more calls than all else.
fn list(asking: &mut Asking<'_>) {
    asking.get("/many/", "", 200, |answer| {
        let page = String::from_utf8_lossy(&answer.content);
        (0..NAMES).all(|number| page.contains(&name(number)))
    });
}

/// Whether it is the text, compressed or not.
fn is_text(answer: &Answer, lines: usize) -> bool {
    let expected = text(lines);
    let mut found = String::new();
    let mut content = &answer.content[..];
    let read = match answer.field("Content-Encoding") {
        Some("gzip") => flate2::read::GzDecoder::new(content).read_to_string(&mut found),
        Some(_) => return false,
        None => content.read_to_string(&mut found),
    };
    read.is_ok() && found == expected
}
