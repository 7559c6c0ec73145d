//! What nginx and lighttpd are told, so that they serve a directory as we do where they can: the
//! listing, the types and their charset, names with a dot, how long an upload may be.

use std::fmt::{Display, Write as _};
use std::net::SocketAddr;
use std::path::Path;

/// Media types by the end of a name; anything else is `application/octet-stream`.
const TYPES: [(&str, &str); 20] = [
    ("html", "text/html"),
    ("htm", "text/html"),
    ("css", "text/css"),
    ("csv", "text/csv"),
    ("js", "text/javascript"),
    ("mjs", "text/javascript"),
    ("md", "text/markdown"),
    ("txt", "text/plain"),
    ("json", "application/json"),
    ("pdf", "application/pdf"),
    ("wasm", "application/wasm"),
    ("zip", "application/zip"),
    ("gz", "application/gzip"),
    ("svg", "image/svg+xml"),
    ("png", "image/png"),
    ("jpg", "image/jpeg"),
    ("gif", "image/gif"),
    ("webp", "image/webp"),
    ("ico", "image/x-icon"),
    ("mp4", "video/mp4"),
];

/// The lines inside of nginx's `types { ... }`.
pub(crate) fn nginx_types() -> String {
    let mut types = String::new();
    for (end, media) in TYPES {
        let _ = writeln!(types, "        {media} {end};");
    }
    types + "        font/woff2 woff2;\n"
}

/// The lines inside of nginx's `http { ... }` that keep its own files in `dir`.
pub(crate) fn nginx_temp_paths(dir: impl Display) -> String {
    let mut lines = String::new();
    for kind in ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"] {
        let _ = writeln!(lines, "    {kind}_temp_path {dir}/{kind};");
    }
    lines
}

/// The lines inside of lighttpd's `mimetype.assign = ( ... )`, without the one for all others.
pub(crate) fn lighttpd_types() -> String {
    let mut types = String::new();
    for (end, media) in TYPES {
        let charset = if media.starts_with("text/") { "; charset=utf-8" } else { "" };
        let _ = writeln!(types, r#"    ".{end}" => "{media}{charset}","#);
    }
    types + "    \".woff2\" => \"font/woff2\",\n"
}

/// The configuration of an nginx that serves `root` at `addr` and keeps its own files in `dir`.
pub(super) fn nginx(dir: &Path, root: &Path, addr: SocketAddr) -> String {
    let (dir, root) = (dir.display(), root.display());
    let (types, places) = (nginx_types(), nginx_temp_paths(&dir));
    let mut texts = String::new();
    for (_, media) in TYPES {
        // text/html always has the charset, and is complained about when it is said.
        let is_new = !texts.split(' ').any(|text| text == media);
        if media.starts_with("text/") && media != "text/html" && is_new {
            let _ = write!(texts, " {media}");
        }
    }
    format!(
        r#"daemon off;
master_process off;
pid {dir}/server.pid;
error_log {dir}/error.log;
events {{ worker_connections 512; }}
http {{
    access_log off;
{places}    types {{
{types}    }}
    default_type application/octet-stream;
    charset utf-8;
    charset_types{texts};
    client_max_body_size 1g;
    client_header_timeout 10s;
    keepalive_timeout 60s;
    gzip_static on;
    gzip_vary on;
    etag on;
    if_modified_since before;
    max_ranges 16;
    server_tokens off;
    absolute_redirect off;
    server {{
        listen {addr};
        root {root};
        index index.html;
        autoindex on;
        location ~ "/\.(?!well-known(/|$))" {{ return 404; }}
    }}
}}
"#
    )
}

/// The configuration of a lighttpd that serves `root` at `addr` and keeps its own files in `dir`.
pub(super) fn lighttpd(dir: &Path, root: &Path, addr: SocketAddr) -> String {
    let (dir, root) = (dir.display(), root.display());
    let types = lighttpd_types();
    let (ip, port) = (addr.ip(), addr.port());
    format!(
        r#"server.document-root = "{root}"
server.bind = "{ip}"
server.port = {port}
server.errorlog = "{dir}/error.log"
server.upload-dirs = ( "{dir}" )
server.modules = ( "mod_access", "mod_indexfile", "mod_dirlisting", "mod_staticfile" )
server.tag = "lighttpd"
server.feature-flags = ( "server.h2proto" => "disable" )
server.http-parseopts = ( "method-get-body" => "enable" )
server.max-request-size = 1048576
server.max-request-field-size = 16384
static-file.disable-pathinfo = "enable"
server.max-keep-alive-idle = 60
index-file.names = ( "index.html" )
dir-listing.activate = "enable"
dir-listing.hide-dotfiles = "enable"
dir-listing.encoding = "utf-8"
mimetype.assign = (
{types}    "" => "application/octet-stream"
)
$HTTP["url"] =~ "/\.(?!well-known(/|$))" {{ url.access-deny = ( "" ) }}
"#
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_are_told_where_what_and_how() {
        let addr = SocketAddr::from(([127, 0, 0, 1], 8081));
        let (dir, root) = (Path::new("/x"), Path::new("/x/root"));
        for (config, listens) in [
            (nginx(dir, root, addr), "listen 127.0.0.1:8081;"),
            (lighttpd(dir, root, addr), "= 8081"),
        ] {
            assert!(config.contains(listens), "{config}");
            for part in ["/x/root", "/x/error.log", "text/css", "index.html", "woff2", "utf-8"] {
                assert!(config.contains(part), "{part}: {config}");
            }
            assert_eq!(config.matches('{').count(), config.matches('}').count(), "{config}");
        }
        assert_eq!(nginx(dir, root, addr).matches(" text/javascript").count(), 3);
    }
}
