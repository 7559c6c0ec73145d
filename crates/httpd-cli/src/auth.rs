//! Decides whether the file of `--auth` will do, and says what is to be said of it.

use std::fmt::Write;
use std::fs::File;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Result, anyhow};
use fileserve::Access;
use fileserve::access::Right;

use crate::args::Args;
use crate::checks::in_words;
use crate::typed::Quoted;

/// Reads the file of `--auth`, if there is one.
///
/// One that lies where it could be served is refused: whoever got it could guess at the passwords
/// without being slowed.
pub(crate) fn load(args: &Args) -> Result<Option<Arc<Access>>> {
    let Some(path) = &args.auth else { return Ok(None) };
    let shown = path.display();
    let quoted = Quoted(path.as_os_str());
    let unreadable = |error: std::io::Error| match error.kind() {
        ErrorKind::NotFound => {
            anyhow!("there is no file '{shown}' - try: httpd hash-password NAME > {quoted}")
        }
        ErrorKind::PermissionDenied => {
            anyhow!("this user may not read '{shown}' - try: chmod u+r {quoted}")
        }
        _ => anyhow!("cannot read '{shown}': {}", in_words(&error)),
    };
    let file = File::open(path).map_err(unreadable)?;
    if is_beneath(path, &args.root) {
        return Err(anyhow!(
            "'{shown}' with its passwords lies in the directory that is served - move it elsewhere"
        ));
    }
    let mode = file.metadata().map_err(unreadable)?.permissions().mode();
    let access = Access::load(&file).map_err(|error| match error {
        fileserve::access::AccessError::System(error) => unreadable(error),
        wrong => anyhow!("{shown}: {wrong}"),
    })?;
    // Many others read one, as a web server that runs for somebody else; it is all hashes.
    if access.identity().is_some() && mode & 0o002 != 0 {
        log::warn!("every user of this machine can change '{shown}' - try: chmod o-w {quoted}");
    }
    Ok(Some(Arc::new(access)))
}

/// Caches that many share keep nothing that took credentials, unless they are told to
/// (RFC 9111 §3.5); but some do, and then others would get it without.
pub(crate) fn check_caching(args: &Args, access: Option<&Access>) -> Result<()> {
    const KEPT: [&str; 4] = ["private", "no-cache", "no-store", "off"];
    let value = &args.cache_control;
    let mut directives = value.split(',').map(|directive| {
        directive.split('=').next().unwrap_or_default().trim().to_ascii_lowercase()
    });
    let is_kept = directives.any(|name| KEPT.contains(&name.as_str()));
    match access {
        Some(access) if access.everywhere() < Right::Read && !is_kept => Err(anyhow!(
            "--cache-control {value} would have shared caches hand out what --auth keeps from some \
             - try: --cache-control private,max-age=60"
        )),
        _ => Ok(()),
    }
}

/// Whether a file is in a directory or beneath it, links resolved. What has no path, as a pipe, is
/// not.
pub(crate) fn is_beneath(file: &Path, dir: &Path) -> bool {
    match (file.canonicalize(), dir.canonicalize()) {
        (Ok(file), Ok(dir)) => file.starts_with(dir),
        _ => false,
    }
}

/// Lines that tell whose rights there are, and at which addresses passwords could be overheard.
pub(crate) fn announcement(access: &Access, file: &Path, addresses: &[SocketAddr]) -> String {
    let counted = |count: usize, one: &str| match count {
        1 => format!("1 {one}"),
        _ => format!("{count} {one}s"),
    };
    let (users, rules) = (counted(access.users(), "user"), counted(access.rules(), "rule"));
    let mut text = format!("rights: {users} and {rules} from {}\n", file.display());
    for address in addresses.iter().filter(|address| !address.ip().to_canonical().is_loopback()) {
        // A string takes all.
        let _ = writeln!(
            text,
            "warning: passwords for {address} travel unencrypted - put a proxy in front that \
             speaks HTTPS"
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[test]
    fn what_is_announced() {
        let access = Access::parse(b"/ * read\n/a * none").expect("two rules");
        let addresses = ["127.0.0.1:80", "[::1]:80", "[::ffff:127.0.0.1]:80", "192.0.2.7:80"];
        let addresses = addresses.map(|address| address.parse().expect("an address"));
        assert_eq!(
            announcement(&access, Path::new("users"), &addresses),
            "rights: 0 users and 2 rules from users\nwarning: passwords for 192.0.2.7:80 travel \
             unencrypted - put a proxy in front that speaks HTTPS\n"
        );
        let none = Access::parse(b"/ * read").expect("a rule");
        let line = "rights: 0 users and 1 rule from users\n";
        assert_eq!(announcement(&none, Path::new("users"), &[]), line);
    }

    #[test]
    fn what_is_for_some_is_not_given_to_shared_caches() {
        for (rules, value, is_good) in [
            ("/ * read", "public, max-age=60", true),
            ("/ * read\n/a * none", "public, max-age=60", false),
            ("/ * none", "max-age=60,S-MaxAge=5", false),
            ("/ * none", "must-revalidate", false),
            ("/ * none", "max-age=60", false),
            ("/ * none", "no-cache", true),
            ("/ * none", "private,max-age=60", true),
            ("/ * none", "off", true),
        ] {
            let access = Access::parse(rules.as_bytes()).expect(rules);
            let args = Args::try_parse_from(["httpd", "--cache-control", value]).expect(value);
            assert_eq!(check_caching(&args, Some(&access)).is_ok(), is_good, "{rules}: {value}");
            assert!(check_caching(&args, None).is_ok());
        }
    }

    #[test]
    fn a_file_is_beneath_a_directory_however_it_is_written() {
        for (file, dir, expected) in [
            ("src/auth.rs", "src", true),
            ("src/auth.rs", ".", true),
            ("src/../src/auth.rs", "src/../src", true),
            ("Cargo.toml", "src", false),
            ("src", "src/auth.rs", false),
            ("missing", ".", false),
        ] {
            assert_eq!(is_beneath(Path::new(file), Path::new(dir)), expected, "{file} {dir}");
        }
    }
}
