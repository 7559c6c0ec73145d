//! Refuses what a browser sends on behalf of a foreign page: what that page could not do by itself
//! it must not have the browser do, which is on this machine or knows the passwords.

use std::net::{IpAddr, Ipv6Addr};

use http_proto::Method;
use http_proto::server::Request;

use crate::options::Hosts;
use crate::refusal::Refusal;

/// Knows which hosts are ours.
#[derive(Debug)]
pub(crate) struct Guard {
    hosts: Hosts,
}

impl Guard {
    pub(crate) fn new(hosts: Hosts) -> Guard {
        Guard { hosts }
    }

    /// # Errors
    /// `ForeignHost` for a host that is not ours, where that matters; `CrossSite` or
    /// `ForeignOrigin` for a write that another page asks for.
    pub(crate) fn check(&self, request: &Request<'_>) -> Result<(), Refusal> {
        let head = request.head;
        // Without a host there is no browser.
        let authority = head.authority().unwrap_or_default();
        if request.local.ip().is_loopback() && !self.may_be_named(host_of(authority)) {
            return Err(Refusal::ForeignHost);
        }
        match head.method {
            // RFC 9110 §9.2.1: these are safe, whoever asks.
            Method::Get | Method::Head | Method::Options | Method::Trace => return Ok(()),
            _ => {}
        }
        // What a browser says of its own accord, and no script can change.
        let is_from = |from: &str| {
            let mut sites = head.fields.all("sec-fetch-site");
            sites.any(|site| site.eq_ignore_ascii_case(from.as_bytes()))
        };
        // Another port or name of the same site is another program, as a rule; its origin tells.
        let has_origin = head.fields.all("origin").next().is_some();
        if is_from("cross-site") || (is_from("same-site") && !has_origin) {
            return Err(Refusal::CrossSite);
        }
        match head.fields.all("origin").all(|origin| self.is_ours(origin, authority)) {
            true => Ok(()),
            false => Err(Refusal::ForeignOrigin),
        }
    }

    /// Whether a request over a loopback address may be for `host`.
    fn may_be_named(&self, host: &str) -> bool {
        self.hosts.any || is_local(host) || is_among(&self.hosts.names, host)
    }

    /// Whether a page of `origin` is one of this server's, which the request calls `authority`.
    /// The scheme does not count: what speaks TLS for us may be in between, and who can alter a
    /// page that comes without it can as well send what they like.
    fn is_ours(&self, origin: &[u8], authority: &str) -> bool {
        let Ok(origin) = std::str::from_utf8(origin) else { return false };
        let Some((scheme, named)) = origin.split_once("://") else { return false };
        if named.is_empty() {
            return false;
        }
        let default_port = match scheme {
            "http" => ":80",
            "https" => ":443",
            _ => return false,
        };
        let [named, authority] =
            [named, authority].map(|each| each.strip_suffix(default_port).unwrap_or(each));
        let [(host, port), (_, our_port)] =
            [named, authority].map(|each| each.split_at(host_of(each).len()));
        // A proxy may have put its own name for us in the place of the one that the browser knows,
        // but not made another port of it, where another program may be.
        let is_port_ours = port.is_empty() || port == our_port;
        (is_port_ours && is_among(&self.hosts.names, host)) || named.eq_ignore_ascii_case(authority)
    }
}

/// The host of an authority, without its port.
fn host_of(authority: &str) -> &str {
    match authority.rsplit_once(':') {
        // Not within the brackets of an IPv6 address.
        Some((host, port)) if !port.contains(']') => host,
        _ => authority,
    }
}

/// Whether `host` leads to this machine whatever a resolver says: the empty one, a loopback
/// address, or `localhost` and names beneath it (RFC 6761 §6.3).
fn is_local(host: &str) -> bool {
    if let Some(literal) = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        return literal
            .parse::<Ipv6Addr>()
            .is_ok_and(|ip| IpAddr::from(ip).to_canonical().is_loopback());
    }
    let name = without_dot(host);
    let is_localhost =
        name.rsplit('.').next().is_some_and(|label| label.eq_ignore_ascii_case("localhost"));
    name.is_empty() || is_localhost || name.parse().is_ok_and(|ip: IpAddr| ip.is_loopback())
}

fn is_among(names: &[String], host: &str) -> bool {
    names.iter().any(|name| without_dot(name).eq_ignore_ascii_case(without_dot(host)))
}

/// A name with a dot behind it is the same, written out.
fn without_dot(host: &str) -> &str {
    host.strip_suffix('.').unwrap_or(host)
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use http_proto::{Limits, RequestHead};

    use super::*;

    /// The word of the refusal; nothing when there is none.
    fn judge(hosts: &[&str], local: &str, lines: &str) -> &'static str {
        let names = hosts.iter().filter(|name| **name != "*").map(|&name| name.to_owned());
        let hosts = Hosts { any: hosts.contains(&"*"), names: names.collect() };
        let head = format!("{}\r\n\r\n", lines.replace('\n', "\r\n"));
        let head = RequestHead::parse(head.as_bytes(), &Limits::default()).expect(lines);
        let local = local.parse().expect("an address");
        let request = Request {
            head: &head,
            peer: local,
            local,
            worker: 0,
            now: SystemTime::UNIX_EPOCH,
            arrived: None,
        };
        Guard::new(hosts).check(&request).map_or_else(Refusal::reason, |()| "")
    }

    const HERE: &str = "127.0.0.1:8080";

    #[test]
    fn over_a_loopback_address_only_hosts_of_this_machine_are_answered() {
        for (host, expected) in [
            ("localhost:8080", ""),
            ("LocalHost", ""),
            ("app.localhost", ""),
            ("localhost.", ""),
            ("127.0.0.1:8080", ""),
            ("127.1.2.3", ""),
            ("[::1]:8080", ""),
            ("[::ffff:127.0.0.1]", ""),
            ("", ""),
            ("evil.example", "foreign-host"),
            ("localhost.evil.example", "foreign-host"),
            ("notlocalhost", "foreign-host"),
            ("127.0.0.1.evil.example:8080", "foreign-host"),
            ("0.0.0.0:8080", "foreign-host"),
            ("192.168.0.1", "foreign-host"),
            ("[::2]", "foreign-host"),
        ] {
            for method in ["GET", "HEAD", "OPTIONS", "PUT", "FROB"] {
                let lines = format!("{method} / HTTP/1.1\nHost: {host}");
                assert_eq!(judge(&[], HERE, &lines), expected, "{lines}");
                assert_eq!(judge(&["*"], HERE, &lines), "", "{lines}");
                assert_eq!(judge(&[], "[::1]:80", &lines), expected, "{lines}");
                assert_eq!(judge(&[], "192.168.0.1:80", &lines), "", "{lines}");
            }
        }
        let absolute = "GET http://evil.example/ HTTP/1.1\nHost: localhost";
        assert_eq!(judge(&[], HERE, absolute), "foreign-host", "RFC 9112 §3.2.2");
        assert_eq!(judge(&[], HERE, "GET / HTTP/1.0"), "");
    }

    #[test]
    fn a_name_can_be_added() {
        let get = "GET / HTTP/1.1\nHost: Files.Example:8080";
        assert_eq!(judge(&["other", "files.example"], HERE, get), "");
        assert_eq!(judge(&["example"], HERE, get), "foreign-host");
    }

    #[test]
    fn no_foreign_page_can_have_a_browser_write() {
        let host = "Host: localhost:8080";
        for (fields, expected) in [
            ("", ""),
            ("Sec-Fetch-Site: same-origin\nOrigin: http://localhost:8080", ""),
            ("Sec-Fetch-Site: none", ""),
            ("Sec-Fetch-Site: Cross-Site", "cross-site"),
            ("Sec-Fetch-Site: same-origin\nSec-Fetch-Site: cross-site", "cross-site"),
            ("Sec-Fetch-Site: same-site\nOrigin: http://localhost:3000", "foreign-origin"),
            ("Sec-Fetch-Site: same-site", "cross-site"),
            ("Sec-Fetch-Site: same-site\nOrigin: http://localhost:8080", ""),
            ("Origin: https://LOCALHOST:8080", ""),
            ("Origin: http://localhost:8081", "foreign-origin"),
            ("Origin: http://localhost", "foreign-origin"),
            ("Origin: http://localhost:8080.evil.example", "foreign-origin"),
            ("Origin: http://evil.example", "foreign-origin"),
            ("Origin: http://localhost:8080\nOrigin: http://evil.example", "foreign-origin"),
            ("Origin: null", "foreign-origin"),
            ("Origin:", "foreign-origin"),
            ("Origin: file://", "foreign-origin"),
            ("Origin: ftp://localhost:8080", "foreign-origin"),
            ("Origin: http://\u{e9}", "foreign-origin"),
        ] {
            for method in ["PUT", "POST", "DELETE", "PATCH"] {
                let lines = format!("{method} / HTTP/1.1\n{host}\n{fields}");
                let lines = lines.trim_end_matches('\n');
                assert_eq!(judge(&[], HERE, lines), expected, "{lines}");
            }
            let lines = format!("GET / HTTP/1.1\n{host}\n{fields}");
            assert_eq!(judge(&[], HERE, lines.trim_end_matches('\n')), "", "{lines}");
        }
    }

    /// As where TLS is spoken by a proxy.
    #[test]
    fn an_origin_may_differ_in_scheme_and_by_the_usual_port_and_have_a_name_of_ours() {
        let put =
            |host: &str, origin: &str| format!("PUT / HTTP/1.1\nHost: {host}\nOrigin: {origin}");
        let lan = "192.168.0.1:80";
        assert_eq!(judge(&[], lan, &put("files.example", "https://files.example")), "");
        assert_eq!(judge(&[], lan, &put("files.example:443", "https://files.example")), "");
        assert_eq!(judge(&[], lan, &put("files.example:80", "http://files.example")), "");
        assert_eq!(
            judge(&[], lan, &put("files.example", "http://files.example:81")),
            "foreign-origin"
        );
        let behind = put("127.0.0.1:8080", "https://files.example");
        assert_eq!(judge(&[], HERE, &behind), "foreign-origin");
        assert_eq!(judge(&["files.example"], HERE, &behind), "");
        assert_eq!(judge(&["*"], HERE, &behind), "foreign-origin", "any host is nobody's origin");
        assert_eq!(judge(&["*", "files.example"], HERE, &behind), "");
        for (origin, expected) in [
            ("http://files.example", ""),
            ("http://files.example:80", ""),
            ("http://files.example:8080", ""),
            ("http://files.example:3000", "foreign-origin"),
            ("http://other.example", "foreign-origin"),
        ] {
            let put = put("127.0.0.1:8080", origin);
            assert_eq!(judge(&["files.example"], HERE, &put), expected, "{origin}");
        }
    }
}
