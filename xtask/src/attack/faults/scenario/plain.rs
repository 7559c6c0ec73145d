//! What nearly everybody asks for: files, a list, uploads, a form, a deletion.

use std::path::Path;

use anyhow::Result;
use rustix::process::Signal;

use super::{Asking, OLD, SMALL, Setting, large};

pub(super) const SETTING: Setting = Setting {
    args: &[],
    fields: "",
    calls: &[1, 2, 3, 4, 6, 9, 14, 30, 100],
    fill,
    play,
    replaced: &["replaced", "replaced-2"],
    made: &["new", "new-2", "deleted", "deleted-2", "dir/a", "dir/b", "dir/a-2", "dir/b-2"],
};

const FORMS: &[[&str; 2]] = &[["dir/a", "dir/b"], ["dir/a-2", "dir/b-2"]];

fn fill(root: &Path) -> Result<()> {
    std::fs::create_dir(root.join("dir"))?;
    std::fs::write(root.join("dir/inside"), SMALL)?;
    std::fs::write(root.join("small"), SMALL)?;
    std::fs::write(root.join("large"), large())?;
    for name in ["replaced", "replaced-2", "deleted", "deleted-2"] {
        std::fs::write(root.join(name), OLD)?;
    }
    Ok(())
}

/// Asks for everything twice.
fn play(asking: &mut Asking<'_>) {
    for (round, form) in ["", "-2"].iter().zip(FORMS) {
        asking.talk = None;
        read_all(asking);
        asking.put(&format!("/new{round}"));
        asking.put(&format!("/replaced{round}"));
        asking.form("/dir/", *form);
        asking.delete(&format!("/deleted{round}"));
        // It may be gone, which is found later.
        let _ = asking.server.signal(Signal::HUP);
    }
}

fn read_all(asking: &mut Asking<'_>) {
    let large = large();
    let range = "Range: bytes=100000-100009\r\n";
    for (path, fields, status, content) in [
        ("/small", "", 200, SMALL.as_bytes()),
        ("/small", "", 200, SMALL.as_bytes()),
        ("/large", "", 200, &large[..]),
        ("/large", range, 206, &large[100_000..100_010]),
        ("/dir/inside", "Connection: close\r\n", 200, SMALL.as_bytes()),
    ] {
        asking.get(path, fields, status, |answer| answer.content == content);
    }
    asking.get("/none", "", 404, |_| true);
    asking.get("/dir/", "", 200, |answer| {
        String::from_utf8_lossy(&answer.content).contains("inside")
    });
}
