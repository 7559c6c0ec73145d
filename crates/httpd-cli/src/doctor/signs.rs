//! Decides by its name and its first octets whether a file is one that nobody means to publish.

/// How much of a file is looked at: a key stands at the top, or behind a certificate or two.
pub(super) const HEAD_BYTES: usize = 8 * 1024;

/// Longer than `OPENSSH PRIVATE KEY` and all others that are in use.
const LABEL_BYTES_MAX: usize = 64;

/// Directories, by their whole name.
const DIRECTORIES: &[(&str, &str)] = &[
    (".git", "the history of all files, with what was removed from them"),
    (".svn", "the history of all files"),
    (".hg", "the history of all files"),
    (".bzr", "the history of all files"),
    ("CVS", "what a version control system keeps"),
    (".ssh", "keys for other machines"),
    (".gnupg", "private keys"),
    (".aws", "credentials"),
    (".azure", "credentials"),
    (".docker", "credentials"),
    (".kube", "credentials"),
    ("WEB-INF", "settings and programs of a web application"),
];

/// Programs for the web are kept in directories of this name, and nothing else is.
const PROGRAMS: &[u8] = b"cgi-bin";

/// Files, by their whole name.
const FILES: &[(&str, &str)] = &[
    (".git", "where a repository lies"),
    (".env", "settings with passwords"),
    (".htpasswd", "passwords"),
    ("htpasswd", "passwords"),
    ("shadow", "passwords"),
    (".htaccess", "the rules of another server, which are not followed here"),
    (".netrc", "passwords"),
    (".pgpass", "passwords"),
    (".my.cnf", "passwords"),
    (".git-credentials", "passwords"),
    (".npmrc", "credentials"),
    (".pypirc", "credentials"),
    (".bash_history", "what somebody has typed"),
    (".DS_Store", "the names of all files, also of removed ones"),
    ("id_rsa", PRIVATE_KEY),
    ("id_dsa", PRIVATE_KEY),
    ("id_ecdsa", PRIVATE_KEY),
    ("id_ed25519", PRIVATE_KEY),
    ("web.config", "the settings of another server, which are not followed here"),
    ("secrets.yml", "passwords"),
    ("secrets.yaml", "passwords"),
    ("core", CORE),
    // Else it would pass for a database.
    ("Thumbs.db", "small copies of pictures, also of removed ones"),
];

/// Files, by how their name ends, in any case.
const ENDINGS: &[(&str, &str)] = &[
    (".key", PRIVATE_KEY),
    (".ppk", PRIVATE_KEY),
    (".p12", PRIVATE_KEY),
    (".pfx", PRIVATE_KEY),
    (".jks", PRIVATE_KEY),
    (".keystore", PRIVATE_KEY),
    (".kdbx", "passwords"),
    (".sql", DUMP),
    (".sql.gz", DUMP),
    (".sql.bz2", DUMP),
    (".sql.xz", DUMP),
    (".sql.zst", DUMP),
    (".sql.zip", DUMP),
    (".dump", DUMP),
    (".sqlite", DATABASE),
    (".sqlite3", DATABASE),
    (".db", DATABASE),
    (".mdb", DATABASE),
    (".accdb", DATABASE),
    (".rdb", DATABASE),
    (".ibd", DATABASE),
    (".myd", DATABASE),
    (".sqlite-wal", DATABASE),
    (".sqlite3-wal", DATABASE),
    (".db-wal", DATABASE),
    (".bak", COPY),
    (".old", COPY),
    (".orig", COPY),
    (".save", COPY),
    (".swp", COPY),
    ("~", COPY),
    (".php", PROGRAM),
    (".php5", PROGRAM),
    (".php7", PROGRAM),
    (".php8", PROGRAM),
    (".phtml", PROGRAM),
    (".cgi", PROGRAM),
    (".fcgi", PROGRAM),
    (".asp", PROGRAM),
    (".aspx", PROGRAM),
    (".jsp", PROGRAM),
    (".cfm", PROGRAM),
    (".env", "settings with passwords"),
    (".tfstate", "settings with passwords"),
    (".tfstate.backup", "settings with passwords"),
];

/// Archives, by how their name ends. Most are there to be had, so the rest of the name decides.
const ARCHIVES: &[&str] =
    &[".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz", ".tar.zst", ".zip", ".7z", ".rar"];

/// What an archive is called that nobody means to publish: one of these words among others...
const BACKUP_WORDS: &[&str] = &["backup", "backups", "bak", "htdocs", "wwwroot"];

/// ...or nothing but one of these.
const BACKUP_NAMES: &[&str] =
    &["www", "site", "website", "public_html", "db", "database", "dump", "sql"];

const PRIVATE_KEY: &str = "a private key, by its name";
const DUMP: &str = "a database's content";
const DATABASE: &str = "a database";
const COPY: &str = "an earlier copy of a file";
const CORE: &str = "a program's memory";
const PROGRAM: &str = "a program, which is sent and not run";
const BACKUP: &str = "a copy of all files, by its name";

/// What a directory of this name holds that is nobody's business.
pub(super) fn of_directory(name: &[u8]) -> Option<&'static str> {
    DIRECTORIES.iter().find(|(known, _)| known.as_bytes() == name).map(|(_, what)| *what)
}

/// What files in a directory of this name, or beneath it, are, whatever they are called.
pub(super) fn of_place(directory: &[u8]) -> Option<&'static str> {
    (directory == PROGRAMS).then_some(PROGRAM)
}

/// What a file of this name holds that is nobody's business.
pub(super) fn of_file(name: &[u8]) -> Option<&'static str> {
    let ends = |ending: &str| stem(name, ending).is_some();
    let is_core = |name: &[u8]| {
        let number = name.strip_prefix(b"core.".as_slice());
        number.is_some_and(|number| !number.is_empty() && number.iter().all(u8::is_ascii_digit))
    };
    let by_name = FILES.iter().find(|(known, _)| known.as_bytes() == name);
    let by_end = || ENDINGS.iter().find(|(ending, _)| ends(ending));
    match by_name.or_else(by_end) {
        Some((_, what)) => Some(what),
        None if name.starts_with(b".env.") => Some("settings with passwords"),
        None if is_core(name) => Some(CORE),
        None if is_backup(name) => Some(BACKUP),
        None => None,
    }
}

/// What stands before this ending, in any case.
fn stem<'a>(name: &'a [u8], ending: &str) -> Option<&'a [u8]> {
    let (stem, end) = name.split_at(name.len().checked_sub(ending.len())?);
    end.eq_ignore_ascii_case(ending.as_bytes()).then_some(stem)
}

fn is_backup(name: &[u8]) -> bool {
    let is_one_of = |known: &[&str], word: &[u8]| {
        known.iter().any(|known| word.eq_ignore_ascii_case(known.as_bytes()))
    };
    ARCHIVES.iter().filter_map(|ending| stem(name, ending)).any(|stem| {
        let mut words = stem.split(|octet| !octet.is_ascii_alphabetic());
        is_one_of(BACKUP_NAMES, stem) || words.any(|word| is_one_of(BACKUP_WORDS, word))
    })
}

/// What a file holds that begins with `head`, at most [`HEAD_BYTES`] of it.
pub(super) fn of_content(head: &[u8]) -> Option<&'static str> {
    const BEGINNINGS: &[(&[u8], &str)] = &[
        (b"PuTTY-User-Key-File-", "a private key"),
        (b"SQLite format 3\0", DATABASE),
        (b"REDIS0", DATABASE),
        (b"<?php", PROGRAM),
        (b"-- MySQL dump", DUMP),
        (b"-- MariaDB dump", DUMP),
        (b"PGDMP", DUMP),
        (b"--\n-- PostgreSQL database dump", DUMP),
    ];
    if let Some((_, what)) = BEGINNINGS.iter().find(|(begin, _)| head.starts_with(begin)) {
        return Some(what);
    }
    // System V ABI, ELF header: `e_type` is 4 for a core file.
    if head.starts_with(b"\x7fELF") && matches!(head.get(16..18), Some([4, 0] | [0, 4])) {
        return Some(CORE);
    }
    // RFC 7468 §2 and its likes; on a line of its own, so that a page about keys is none, and
    // neither is a program that reads them.
    let is_key = |line: &[u8]| {
        let label = line.trim_ascii_end().strip_prefix(b"-----BEGIN ".as_slice());
        label.and_then(|label| label.strip_suffix(b"-----")).is_some_and(|label| {
            label.len() <= LABEL_BYTES_MAX && label.windows(11).any(|part| part == b"PRIVATE KEY")
        })
    };
    head.split(|octet| *octet == b'\n').any(is_key).then_some("a private key")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_tell_of_files_that_nobody_means_to_publish() {
        for name in [
            ".env",
            ".env.local",
            "prod.env",
            ".htpasswd",
            "id_ed25519",
            "site.key",
            "a.KEY",
            "dump.sql",
            "DUMP.SQL.GZ",
            "users.sqlite3",
            "index.html.bak",
            "index.html~",
            "config.php.old",
            "core",
            "core.4711",
            "index.php",
            "form.CGI",
            "page.aspx",
            ".git",
            "dump.rdb",
            "app.sqlite3-wal",
            "terraform.tfstate",
            "terraform.tfstate.backup",
            "web.config",
            "Thumbs.db",
            "backup.zip",
            "site-backup-2026-01-02.tar.gz",
            "2026_Backup.tgz",
            "www.tar",
            "DB.7z",
            "public_html.zip",
        ] {
            assert!(of_file(name.as_bytes()).is_some(), "{name}");
        }
        for name in [
            "index.html",
            "id_rsa.pub",
            "keys.html",
            "core.js",
            "core.",
            "sql",
            "key",
            "~a",
            "env",
            "database",
            "bold",
            "",
            "certificate.pem",
            "install.sh",
            "example.py",
            "app-1.2.tar.gz",
            "python-html.zip",
            "backupper.zip",
            "backup.html",
            "site.css",
            "dump",
            ".zip",
            "www.example.zip",
            "page.aspx.html",
        ] {
            assert_eq!(of_file(name.as_bytes()), None, "{name}");
        }
        assert!(of_directory(b".git").is_some() && of_directory(b"CVS").is_some());
        assert!(of_place(b"cgi-bin").is_some() && of_place(b"cgi").is_none());
        assert!(of_directory(b"git").is_none() && of_directory(b"core").is_none());
    }

    #[test]
    fn the_first_octets_tell_of_keys_and_databases() {
        let core = [&b"\x7fELF\x02\x01\x01"[..], &[0; 9], &[4, 0]].concat();
        let program = [&b"\x7fELF\x02\x01\x01"[..], &[0; 9], &[2, 0]].concat();
        for head in [
            &b"-----BEGIN PRIVATE KEY-----\nMIG"[..],
            b"-----BEGIN RSA PRIVATE KEY-----\r\n",
            b"-----BEGIN OPENSSH PRIVATE KEY-----\n",
            b"-----BEGIN PGP PRIVATE KEY BLOCK-----\n",
            b"-----BEGIN CERTIFICATE-----\nMII=\n-----END CERTIFICATE-----\n\
              -----BEGIN PRIVATE KEY-----\n",
            b"PuTTY-User-Key-File-3: ssh-ed25519\n",
            b"SQLite format 3\0\x10",
            b"-- MySQL dump 10.13",
            b"REDIS0009\xfa",
            b"<?php\n$password = 1;",
            &core,
        ] {
            assert!(of_content(head).is_some(), "{}", head.escape_ascii());
        }
        for head in [
            &b""[..],
            b"-----BEGIN",
            b"-----BEGIN CERTIFICATE-----\n",
            b"-----BEGIN PUBLIC KEY-----\n",
            b"A file with -----BEGIN PRIVATE KEY----- in it is a key.\n",
            b"Write <?php first",
            b"-----BEGIN of a table ----- PRIVATE KEY",
            b"\0-----BEGIN PRIVATE KEY-----\n",
            b"-----BEGIN RSA PRIVATE KEY----------END RSA PRIVATE KEY-----expected\n",
            &program,
        ] {
            assert_eq!(of_content(head), None, "{}", head.escape_ascii());
        }
    }
}
