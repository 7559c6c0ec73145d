//! The request target in its four forms (RFC 9112 §3.2), taken apart but not decoded.

use crate::Method;
use crate::grammar;
use crate::host;

/// What a request is aimed at.
///
/// Paths and queries are as they came: percent-escapes are left for whoever maps them to something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target<'a> {
    /// `origin-form`: an absolute path and perhaps a query. What clients send to servers.
    Origin {
        /// Starts with `/`.
        path: &'a str,
        /// What follows the first `?`.
        query: Option<&'a str>,
    },
    /// `absolute-form`: a whole URI, as sent to proxies; servers must accept it as well
    /// (RFC 9112 §3.2.2), and its authority replaces the Host field.
    Absolute {
        /// `http` or `https` in any case.
        scheme: &'a str,
        /// Host and perhaps a port.
        authority: &'a str,
        /// Starts with `/`; `/` when the URI has an empty path (RFC 9110 §4.2.3).
        path: &'a str,
        /// What follows the first `?`.
        query: Option<&'a str>,
    },
    /// `authority-form`: host and port of a CONNECT.
    Authority(&'a str),
    /// `asterisk-form`: the server as a whole, for OPTIONS.
    Asterisk,
}

impl<'a> Target<'a> {
    /// Reads the target of a request with `method`; `None` when it has none of the four forms or
    /// the form is not for that method.
    pub(crate) fn parse(method: Method<'_>, text: &'a str) -> Option<Target<'a>> {
        if text.is_empty() || !text.bytes().all(grammar::is_target_octet) {
            return None;
        }
        match (method, text) {
            // Only CONNECT takes the authority-form, and it takes no other (§3.2.3).
            (Method::Connect, _) => {
                let (_, port) = text.rsplit_once(':')?;
                let valid = host::is_valid(text.as_bytes())
                    && port.parse::<u16>().is_ok_and(|port| port > 0);
                valid.then_some(Target::Authority(text))
            }
            (Method::Options, "*") => Some(Target::Asterisk),
            _ if text.starts_with('/') => {
                let (path, query) = split_query(text);
                Some(Target::Origin { path, query })
            }
            _ => Target::parse_absolute(text),
        }
    }

    fn parse_absolute(text: &'a str) -> Option<Target<'a>> {
        let (scheme, rest) = text.split_once("://")?;
        if !scheme.eq_ignore_ascii_case("http") && !scheme.eq_ignore_ascii_case("https") {
            return None;
        }
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, rest) = rest.split_at(end);
        // An empty host is invalid (RFC 9110 §4.2.1); userinfo is an error (§4.2.4), and `@` is
        // no character of a host, so the check of the host refuses it.
        if authority.is_empty() || !host::is_valid(authority.as_bytes()) {
            return None;
        }
        let (path, query) = split_query(rest);
        let path = if path.is_empty() { "/" } else { path };
        Some(Target::Absolute { scheme, authority, path, query })
    }

    /// The path, when the form has one.
    pub fn path(&self) -> Option<&'a str> {
        match *self {
            Target::Origin { path, .. } | Target::Absolute { path, .. } => Some(path),
            Target::Authority(_) | Target::Asterisk => None,
        }
    }

    /// The query, when there is one.
    pub fn query(&self) -> Option<&'a str> {
        match *self {
            Target::Origin { query, .. } | Target::Absolute { query, .. } => query,
            Target::Authority(_) | Target::Asterisk => None,
        }
    }
}

fn split_query(text: &str) -> (&str, Option<&str>) {
    match text.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (text, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(method: Method<'_>, text: &str, expected: Option<Target<'_>>) {
        assert_eq!(Target::parse(method, text), expected, "{text}");
    }

    #[test]
    fn origin_form_is_a_path_and_a_query() {
        check(Method::Get, "/", Some(Target::Origin { path: "/", query: None }));
        check(Method::Get, "/a?b?c", Some(Target::Origin { path: "/a", query: Some("b?c") }));
        check(Method::Get, "//evil/a", Some(Target::Origin { path: "//evil/a", query: None }));
    }

    #[test]
    fn absolute_form_needs_a_host() {
        let target = |authority, path, query| {
            Some(Target::Absolute { scheme: "http", authority, path, query })
        };
        check(Method::Get, "http://a:80/b?c", target("a:80", "/b", Some("c")));
        check(Method::Get, "http://a", target("a", "/", None));
        check(Method::Get, "http://a?b", target("a", "/", Some("b")));
        for refused in ["http:///b", "http://:80/", "http://u@a/", "ftp://a/", "http:/a", "a/b"] {
            check(Method::Get, refused, None);
        }
    }

    #[test]
    fn the_other_forms_belong_to_one_method_each() {
        check(Method::Options, "*", Some(Target::Asterisk));
        check(Method::Get, "*", None);
        check(Method::Connect, "a:443", Some(Target::Authority("a:443")));
        for refused in ["a", "a:", "a:0", "a:65536", "/", "http://a/"] {
            check(Method::Connect, refused, None);
        }
        check(Method::Get, "a:443", None);
    }

    #[test]
    fn octets_that_no_uri_holds_are_refused() {
        for refused in ["/a b", "/a#b", "/\u{e9}", "/\x7f", "/a\"b", "/a<b", "/a\\b", ""] {
            check(Method::Get, refused, None);
        }
        check(
            Method::Get,
            "/a[1]{2}|^`",
            Some(Target::Origin { path: "/a[1]{2}|^`", query: None }),
        );
    }
}
