//! The request line (RFC 9112 §3), and what may stand before it (§2.2).

use crate::check::check;

/// A request line, in front of a head that is fine.
#[track_caller]
fn line(line: &str, expected: &str) {
    check(format!("{line}\r\nHost: a\r\n\r\n"), expected);
}

const BAD_LINE: &str = "reject bad-request-line 400";
const BAD_METHOD: &str = "reject bad-method 400";
const BAD_TARGET: &str = "reject bad-target 400";
const BAD_VERSION: &str = "reject bad-version 400";
const OTHER_VERSION: &str = "reject unsupported-version 505";

#[test]
fn a_line_is_three_words_between_single_spaces() {
    line("GET /a HTTP/1.1", "GET /a HTTP/1.1 keep | end");
    for bad in [
        "GET",
        "GET ",
        "GET /",
        "GET  / HTTP/1.1",
        "GET /  HTTP/1.1",
        "GET / HTTP/1.1 ",
        "GET /a b HTTP/1.1",
        "GET HTTP/1.1",
        "GET / HTTP/1.1 x",
    ] {
        line(bad, BAD_LINE);
    }
}

#[test]
fn a_method_is_a_token_in_its_own_case() {
    for method in ["GET", "HEAD", "POST", "PUT", "DELETE", "TRACE", "PATCH", "get", "M-SEARCH", "!"]
    {
        line(&format!("{method} / HTTP/1.1"), &format!("{method} / HTTP/1.1 keep | end"));
    }
    for bad in [
        " GET / HTTP/1.1",
        "G\tT / HTTP/1.1",
        "GET\t/ HTTP/1.1",
        "G(T / HTTP/1.1",
        "GET:/ HTTP/1.1",
        "\u{e9} / HTTP/1.1",
        "\0 / HTTP/1.1",
        "G\x7f / HTTP/1.1",
        "{} / HTTP/1.1",
    ] {
        line(bad, BAD_METHOD);
    }
}

/// A TLS client waits for an answer to its first flight: nobody gains by waiting for a line end.
#[test]
fn what_is_no_http_is_refused_at_its_first_octet() {
    check(b"\x16", BAD_METHOD);
    check(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", BAD_METHOD);
    check(b"\x80\x2e\x01\x03\x01", BAD_METHOD);
    check(b"\0", BAD_METHOD);
    check(b"{", BAD_METHOD);
    check(b"GE\0", BAD_METHOD);
}

#[test]
fn a_version_is_spelt_in_one_way() {
    line("GET / HTTP/1.0", "GET / HTTP/1.0 close | end");
    // RFC 9110 §6.2: a higher minor version is treated as the highest one known.
    line("GET / HTTP/1.2", "GET / HTTP/1.1 keep | end");
    line("GET / HTTP/1.9", "GET / HTTP/1.1 keep | end");
    for other in ["HTTP/0.9", "HTTP/2.0", "HTTP/2.1", "HTTP/3.0", "HTTP/9.9"] {
        line(&format!("GET / {other}"), OTHER_VERSION);
    }
    for bad in [
        "",
        "http/1.1",
        "Http/1.1",
        "HTTP/1",
        "HTTP/1.",
        "HTTP/.1",
        "HTTP/11",
        "HTTP/1.10",
        "HTTP/01.1",
        "HTTP/1,1",
        "HTTP/a.b",
        "HTTP/+1.1",
        "HTTP1.1",
        "HTTPS/1.1",
        "x",
        "HTTP/1.1\t",
        "HTTP/1.\0",
        "ICY/1.1",
        "HTTP/\u{661}.1",
    ] {
        line(&format!("GET / {bad}"), BAD_VERSION);
    }
    // The preface of HTTP/2 (RFC 9113 §3.4) looks like this on purpose.
    check("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", OTHER_VERSION);
    // Whatever the target of another version looks like, it is the version that is answered.
    line("GET \u{e9} HTTP/3.0", OTHER_VERSION);
}

#[test]
fn targets_in_origin_form() {
    for target in ["/", "/a/b;c=d", "/a?b", "/?", "/a?b?c/d", "//a", "/..", "/%00", "/%zz", "/*"] {
        line(&format!("GET {target} HTTP/1.1"), &format!("GET {target} HTTP/1.1 keep | end"));
    }
    for bad in [
        "a", "*", "?a", "/#", "/a#b", "/\u{e9}", "/\0", "/\t", "/\x7f", "/\"", "/<", "\\", "/a\\b",
        "a:80", "%2f",
    ] {
        line(&format!("GET {bad} HTTP/1.1"), BAD_TARGET);
    }
    check(b"GET /\xff HTTP/1.1\r\nHost: a\r\n\r\n", BAD_TARGET);
}

/// RFC 9112 §3.2.2: a server must accept it, also from a client that is no proxy.
#[test]
fn targets_in_absolute_form() {
    line("GET http://a/b?c HTTP/1.1", "GET (http)(a)/b?c HTTP/1.1 keep | end");
    line("GET HTTP://a:80 HTTP/1.1", "GET (HTTP)(a:80)/ HTTP/1.1 keep | end");
    line("GET http://[::1]?q HTTP/1.1", "GET (http)([::1])/?q HTTP/1.1 keep | end");
    line("OPTIONS http://a HTTP/1.1", "OPTIONS (http)(a)/ HTTP/1.1 keep | end");
    for bad in [
        "http:///",
        "http://",
        "http://:80/",
        "http://u@a/",
        "http://u:p@a/",
        "ftp://a/",
        "http:a",
        "http:/a",
        "://a/",
        "http://a,b/",
        "http://a:99999/",
        "http://[a]/",
    ] {
        line(&format!("GET {bad} HTTP/1.1"), BAD_TARGET);
    }
    // RFC 9110 §7.4: not over a connection without TLS.
    line("GET https://a/ HTTP/1.1", "reject https-target 421");
    line("GET HTTPS://a/ HTTP/1.1", "reject https-target 421");
}

#[test]
fn the_forms_that_belong_to_one_method() {
    line("CONNECT a:443 HTTP/1.1", "CONNECT a:443 HTTP/1.1 keep | end");
    line("CONNECT [::1]:443 HTTP/1.1", "CONNECT [::1]:443 HTTP/1.1 keep | end");
    // RFC 9110 §9.3.6: an empty or invalid port must be refused.
    for bad in ["a", "a:", "a:0", "a:65536", "a:+80", "/", "*", "http://a:80/", "u@a:80"] {
        line(&format!("CONNECT {bad} HTTP/1.1"), BAD_TARGET);
    }
    line("OPTIONS * HTTP/1.1", "OPTIONS * HTTP/1.1 keep | end");
    line("OPTIONS /a HTTP/1.1", "OPTIONS /a HTTP/1.1 keep | end");
    line("options * HTTP/1.1", BAD_TARGET);
    line("OPTIONS ** HTTP/1.1", BAD_TARGET);
}

/// RFC 9112 §2.2: old clients put a CRLF behind their content. One is ignored, and no more.
#[test]
fn one_empty_line_may_come_first() {
    check("\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", "GET / HTTP/1.1 keep | end");
    check("\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", BAD_LINE);
    check("\n", "reject bare-line-feed 400");
    check("\r\n\n", "reject bare-line-feed 400");
    check("\r\n GET / HTTP/1.1\r\n", BAD_METHOD);
    check("\r\n\x16", BAD_METHOD);
    check("\r\n", "more");
    check(
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi\r\nGET / HTTP/1.1\r\n\
         Host: a\r\n\r\n",
        "POST / HTTP/1.1 keep length 2 | \"hi\" | end | GET / HTTP/1.1 keep | end",
    );
}

#[test]
fn a_line_ends_in_cr_and_lf() {
    check("GET / HTTP/1.1\nHost: a\n\n", "reject bare-line-feed 400");
    check("GET / HTTP/1.1\nHost: a\r\n\r\n", "reject bare-line-feed 400");
    check("GET\n", "reject bare-line-feed 400");
    check("GET / HTTP/1.1\r\r\nHost: a\r\n\r\n", "reject bare-carriage-return 400");
    check("GET / HTTP/1.1\rHost: a\r\n\r\n", "reject bare-carriage-return 400");
    check("GET /\r HTTP/1.1\r\nHost: a\r\n\r\n", "reject bare-carriage-return 400");
    check("\rGET / HTTP/1.1\r\nHost: a\r\n\r\n", "reject bare-carriage-return 400");
    check("GET / HTTP/1.1\r\n", "more");
    check("GET / HTTP/1.1\r", "more");
    check("GET /", "more");
}
