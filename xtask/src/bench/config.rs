//! What nginx, lighttpd and h2o are told for a benchmark: one worker, the log or none, and timeouts
//! and limits of connections that no workload comes up to.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::Path;

use rustix::process::{Resource, geteuid, getrlimit};

use crate::compare::config::{lighttpd_types, nginx_temp_paths, nginx_types};

/// Where a server serves what, and what it may write to.
pub(super) struct Site<'a> {
    /// The server's own directory.
    pub(super) dir: &'a Path,
    pub(super) root: &'a Path,
    pub(super) addr: SocketAddr,
    /// The access log, if there is to be one.
    pub(super) log: Option<&'a Path>,
}

/// More than any workload opens.
pub(super) const CONNECTIONS_MAX: usize = 12_000;
/// Longer than any workload lets a connection idle, in seconds.
pub(super) const IDLE_SECONDS: u32 = 600;

/// nginx as Debian configures it, but for one process. `is_tuned` adds what its documentation
/// recommends for many requests: a cache of open files, a buffered log, longer connections.
pub(super) fn nginx(site: &Site<'_>, is_tuned: bool) -> String {
    let (dir, root) = (site.dir.display(), site.root.display());
    let buffer = if is_tuned { " combined buffer=64k flush=1s" } else { "" };
    let log = match site.log {
        Some(path) => format!("access_log {}{buffer};", path.display()),
        None => "access_log off;".to_owned(),
    };
    let tuning = match is_tuned {
        true => {
            "open_file_cache max=20000 inactive=60s;\n    open_file_cache_valid 60s;\n    \
             open_file_cache_errors on;\n    keepalive_requests 100000000;"
        }
        false => "",
    };
    format!(
        r#"daemon off;
master_process off;
pid {dir}/server.pid;
error_log {dir}/error.log crit;
worker_rlimit_nofile {files};
events {{ worker_connections {CONNECTIONS_MAX}; }}
http {{
    sendfile on;
    tcp_nopush on;
    types_hash_max_size 2048;
    {log}
    {tuning}
    gzip on;
    gzip_static on;
    keepalive_timeout {IDLE_SECONDS}s;
    client_header_timeout {IDLE_SECONDS}s;
{places}    types {{
{types}    }}
    default_type application/octet-stream;
    server {{
        listen {addr};
        root {root};
    }}
}}
"#,
        files = CONNECTIONS_MAX + 4_000,
        types = nginx_types(),
        places = nginx_temp_paths(&dir),
        addr = site.addr,
    )
}

/// lighttpd with the modules that files need, and connections as long as it has them at most.
pub(super) fn lighttpd(site: &Site<'_>) -> String {
    let (dir, root) = (site.dir.display(), site.root.display());
    // It takes half as many connections as it may have descriptors.
    let limit = getrlimit(Resource::Nofile).maximum.unwrap_or(u64::MAX);
    let (modules, log) = match site.log {
        Some(path) => {
            let log = format!("accesslog.filename = \"{}\"", path.display());
            ("\"mod_staticfile\", \"mod_accesslog\"", log)
        }
        None => ("\"mod_staticfile\"", String::new()),
    };
    format!(
        r#"server.document-root = "{root}"
server.bind = "{ip}"
server.port = {port}
server.errorlog = "{dir}/error.log"
server.upload-dirs = ( "{dir}" )
server.modules = ( {modules} )
server.max-fds = {files}
server.max-connections = {CONNECTIONS_MAX}
server.max-keep-alive-requests = 30000
server.max-keep-alive-idle = {IDLE_SECONDS}
server.max-read-idle = {IDLE_SECONDS}
{log}
mimetype.assign = (
{types}    "" => "application/octet-stream"
)
"#,
        ip = site.addr.ip(),
        port = site.addr.port(),
        files = (2 * CONNECTIONS_MAX as u64).min(limit),
        types = lighttpd_types(),
    )
}

/// h2o with one thread.
pub(super) fn h2o(site: &Site<'_>) -> String {
    let (dir, root) = (site.dir.display(), site.root.display());
    let mut text = format!(
        "listen:\n  host: {ip}\n  port: {port}\n\
         num-threads: 1\n\
         max-connections: {CONNECTIONS_MAX}\n\
         http1-request-timeout: {IDLE_SECONDS}\n\
         error-log: {dir}/error.log\n\
         hosts:\n  default:\n    paths:\n      /:\n        file.dir: {root}\n        \
         file.send-compressed: ON\n",
        ip = site.addr.ip(),
        port = site.addr.port(),
    );
    if geteuid().is_root() {
        text += "user: root\n"; // it would become nobody, who cannot look into the directories
    }
    if let Some(path) = site.log {
        let _ = writeln!(text, "access-log: {}", path.display());
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_log_is_on_or_off_and_only_the_tuned_nginx_is_tuned() {
        let addr = SocketAddr::from(([127, 0, 0, 1], 8081));
        let (dir, root, log) = (Path::new("/x"), Path::new("/x/root"), Path::new("/x/log"));
        let site = |log| Site { dir, root, addr, log };
        let (on, off) = (site(Some(log)), site(None));
        for make in [
            |site: &Site<'_>| nginx(site, false),
            |site: &Site<'_>| nginx(site, true),
            |site: &Site<'_>| lighttpd(site),
            |site: &Site<'_>| h2o(site),
        ] {
            let (on, off) = (make(&on), make(&off));
            assert!(on.contains("/x/log") && !off.contains("/x/log"), "{on}");
            assert!(on.contains("8081") && on.contains("/x/root"), "{on}");
            assert_eq!(on.matches('{').count(), on.matches('}').count(), "{on}");
        }
        assert!(nginx(&on, true).contains("open_file_cache max=20000"));
        assert!(!nginx(&on, false).contains("open_file_cache"));
    }
}
