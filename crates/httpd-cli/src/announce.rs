//! Says at the start what is served, where, and what may be done to it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use fileserve::Access;

use crate::args::Args;
use crate::auth;
use crate::stderr;
use crate::user::Identity;

/// Says what is served, where, and what may be done to it. On standard error, since standard output
/// may be the access log.
pub(crate) fn announce(
    args: &Args,
    access: Option<&Access>,
    addresses: &[SocketAddr],
    user: Option<&Identity>,
    jail: &str,
) {
    let root = args.root.canonicalize().unwrap_or_else(|_| args.root.clone());
    let mut text = format!("httpd {} serves {}\n", env!("CARGO_PKG_VERSION"), root.display());
    for address in addresses {
        let (shown, note) = clickable(*address);
        text.push_str(&format!("listening at http://{shown}/{note}\n"));
    }
    text.push_str(match (args.writable, access) {
        (true, None) => "writable: anyone who can reach it may PUT, POST and DELETE\n",
        (true, Some(_)) => "writable: whoever has the right may PUT, POST and DELETE\n",
        (false, _) => "read-only\n",
    });
    if args.writable && !args.writing.trust_uploads {
        let forms = if args.writing.forms.is_some() { " and send no forms" } else { "" };
        text.push_str(&format!("HTML files run no scripts{forms} (--trust-uploads lets them)\n"));
    }
    if let (Some(access), Some(file)) = (access, &args.auth) {
        text.push_str(&auth::announcement(access, file, addresses));
    }
    if let Some(dir) = &args.writing.forms {
        text.push_str(&format!("forms: kept in {}\n", dir.display()));
    }
    text.push_str(&match args.access_log.to_str() {
        Some("off") => "no access log\n".to_owned(),
        Some("-") => format!("access log: standard output ({})\n", args.log_format),
        _ => format!("access log: {} ({})\n", args.access_log.display(), args.log_format),
    });
    if let Some(user) = user {
        text.push_str(&format!("user: {user}\n"));
    }
    text.push_str(jail);
    // Nobody may be listening; that is no reason not to serve.
    stderr::say(&text);
}

/// An address that a browser can open, and what else is to be said of it.
fn clickable(address: SocketAddr) -> (SocketAddr, &'static str) {
    let port = address.port();
    let everywhere = " and at every other address of this machine";
    match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => {
            (SocketAddr::new(Ipv4Addr::LOCALHOST.into(), port), everywhere)
        }
        IpAddr::V6(ip) if ip.is_unspecified() => {
            (SocketAddr::new(Ipv6Addr::LOCALHOST.into(), port), everywhere)
        }
        _ => (address, ""),
    }
}
