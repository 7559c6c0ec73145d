//! What is found in small trees.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::process::Command;

use tempfile::TempDir;

use super::*;

/// What is found in a root with these entries: `dir/`, `link -> target`, `fifo|`, and files, with a
/// mode behind a space or without. A letter tells what is exposed from what is not served.
fn found(entries: &[&str], hidden: bool, reader: Reader) -> String {
    let dir = TempDir::new().unwrap();
    let root = dir.path().canonicalize().unwrap().join("root");
    fs::create_dir(&root).unwrap();
    for entry in entries {
        if let Some((name, target)) = entry.split_once(" -> ") {
            let place = root.join(name);
            fs::create_dir_all(place.parent().unwrap()).unwrap();
            symlink(target.replace("ROOT", root.to_str().unwrap()), place).unwrap();
            continue;
        }
        let (name, mode) = entry.split_once(' ').unwrap_or((entry, ""));
        let place = root.join(name.trim_end_matches('|'));
        fs::create_dir_all(place.parent().unwrap()).unwrap();
        match name.as_bytes().last() {
            Some(b'/') => fs::create_dir_all(&place).unwrap(),
            Some(b'|') => assert!(Command::new("mkfifo").arg(&place).status().unwrap().success()),
            _ => fs::write(&place, "content").unwrap(),
        }
        if let Ok(mode) = u32::from_str_radix(mode, 8) {
            fs::set_permissions(&place, fs::Permissions::from_mode(mode)).unwrap();
        }
    }
    let log = root.join("logs/httpd.log");
    text(&look(&Site { root: &root, hidden, log: Some(&log), reader }))
}

fn text(found: &Findings) -> String {
    let kinds = [("-", &found.kept), ("!", &found.exposed)];
    let lines = kinds.into_iter().flat_map(|(sign, findings)| {
        findings.iter().map(move |it| format!("{sign} {} {}\n", it.path.display(), it.what))
    });
    lines.collect()
}

#[test]
fn an_ordinary_site_has_nothing_to_be_told_of() {
    let site = ["index.html 644", "a/b/c.css 644", "a/link -> ../index.html", ".well-known/x 644"];
    assert_eq!(found(&site, false, Reader::Me), "");
}

#[test]
fn what_nobody_means_to_publish_is_found_wherever_it_is() {
    let site = [
        "b/dump.sql 644",
        "a.bak 644",
        "CVS/Root 644",
        "b/c/id_rsa 600",
        "cgi-bin/lib/form 755",
        "empty/cgi-bin/",
    ];
    assert_eq!(
        found(&site, false, Reader::Me),
        "! /CVS/ what a version control system keeps\n\
         ! /a.bak an earlier copy of a file\n\
         ! /b/c/id_rsa a private key, by its name\n\
         ! /b/dump.sql a database's content\n\
         ! /cgi-bin/lib/form a program, which is sent and not run\n"
    );
}

#[test]
fn a_key_is_known_by_what_is_in_it() {
    let dir = TempDir::new().unwrap();
    let root = dir.path().canonicalize().unwrap();
    fs::write(root.join("notes.txt"), "-----BEGIN PRIVATE KEY-----\nSECRET\n").unwrap();
    let site = Site { root: &root, hidden: false, log: None, reader: Reader::Me };
    assert_eq!(text(&look(&site)), "! /notes.txt a private key\n");
}

#[test]
fn hidden_names_are_exposed_only_where_they_are_served() {
    let site = [".git/config 644", ".env 644", "a/.notes 644"];
    assert_eq!(
        found(&site, false, Reader::Me),
        "- /.env hidden (--hidden would serve it)\n\
         - /.git/ hidden (--hidden would serve it)\n\
         - /a/.notes hidden (--hidden would serve it)\n"
    );
    assert_eq!(
        found(&site, true, Reader::Me),
        "! /.env settings with passwords\n\
         ! /.git/ the history of all files, with what was removed from them\n"
    );
}

#[test]
fn links_are_judged_by_where_they_lead() {
    let site = [
        "file 644",
        ".git/config 644",
        "out -> ../..",
        "absolute -> ROOT/file",
        "nowhere -> missing",
        "round -> round",
        "hidden -> .git/config",
        "good -> file",
        "back -> ../root/.git/config",
        "dir/up -> ../file",
    ];
    assert_eq!(
        found(&site, false, Reader::Me),
        "- /.git/ hidden (--hidden would serve it)\n\
         - /absolute a link with an absolute path: refused\n\
         - /back a link that leads out of the directory on its way: refused\n\
         - /nowhere a link that leads nowhere\n\
         - /out a link that leads out of the directory: refused\n\
         - /round a link that leads nowhere\n\
         ! /hidden a link that leads to a hidden name, which is so served\n"
    );
}

#[test]
fn modes_tell_who_else_may_change_files() {
    let site = ["open 666", "shared/ 777", "shared/file 644", "run 4755", "fifo|", "closed 644"];
    assert_eq!(
        found(&site, false, Reader::Me),
        "- /fifo a FIFO or socket: refused\n\
         ! /open every user of this machine can change it\n\
         ! /run runs with the rights of its owner (set-uid or set-gid)\n\
         ! /shared/ every user of this machine can change it\n"
    );
}

#[test]
fn what_the_server_may_not_read_is_not_exposed() {
    let site = ["dump.sql 600", "seen.sql 644"];
    let nobody = Reader::User { uid: 4242, gid: 4242 };
    assert_eq!(
        found(&site, false, nobody),
        "- /dump.sql the server may not read it\n! /seen.sql a database's content\n"
    );
}

#[test]
fn the_log_and_its_parts_are_not_served() {
    let site = ["access.log 644", "access.log.1 644", "logs/httpd.log-2026.gz 644", "logs/x 644"];
    assert_eq!(
        found(&site, false, Reader::Me),
        "- /access.log the access log: never served\n\
         - /access.log.1 the access log: never served\n\
         - /logs/httpd.log-2026.gz the access log: never served\n"
    );
}

#[test]
fn a_tree_without_an_end_is_cut() {
    let deep = "d/".repeat(DEPTH_MAX + 2);
    let dir = TempDir::new().unwrap();
    fs::create_dir_all(dir.path().join(deep)).unwrap();
    let root = dir.path().canonicalize().unwrap();
    let cut = look(&Site { root: &root, hidden: false, log: None, reader: Reader::Me });
    assert!(cut.cut);
    assert_eq!(cut.names, DEPTH_MAX + 1);
}
