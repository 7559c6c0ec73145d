//! Which methods are taken, and what the others are told.

mod support;

use support::{OPTIONS, Site, WRITABLE};

const READ: &str = "GET, HEAD, OPTIONS";
const WRITE: &str = "GET, HEAD, OPTIONS, PUT, POST, DELETE";

#[test]
fn options_says_what_is_allowed() {
    for (options, allow) in [(OPTIONS, READ), (WRITABLE, WRITE)] {
        let site = Site::new(options);
        let allowed = format!("Allow: {allow}");
        // Parts can be had of what lies somewhere, not of the server.
        site.check_full("OPTIONS *", &["204 No Content", &allowed, ""]);
        let of_a_path = ["204 No Content", &allowed, "Accept-Ranges: bytes", ""];
        site.check_full("OPTIONS /", &of_a_path);
        for request in ["OPTIONS *", "OPTIONS /", "OPTIONS /none", "OPTIONS /\nIf-Match: \"x\""] {
            assert_eq!(site.brief(request), format!("204 {allow} \"\""), "{request}");
            assert!(site.ask(request).recalled, "{request}");
        }
    }
}

#[test]
fn a_known_method_that_is_not_taken_is_405_with_allow() {
    let site = Site::new(OPTIONS);
    site.file("a.txt", "a");
    for method in ["PUT", "POST", "DELETE"] {
        for target in ["/a.txt", "/none", "/", "/../x", "/.hidden"] {
            let answer = site.brief(&format!("{method} {target}"));
            assert_eq!(answer, format!("405 {READ} read-only"), "{method} {target}");
        }
    }
    assert_eq!(site.content("a.txt").as_deref(), Some("a"));
    let writable = Site::new(WRITABLE);
    for (site, allow) in [(&site, READ), (&writable, WRITE)] {
        for request in ["PATCH /a.txt", "TRACE /a.txt", "CONNECT test:80"] {
            let expected = format!("405 {allow} method-not-allowed");
            assert_eq!(site.brief(request), expected, "{request}");
        }
    }
}

#[test]
fn a_method_that_nobody_knows_is_501() {
    let site = Site::new(WRITABLE);
    // Methods have a case (RFC 9110 §9.1).
    for request in ["BREW /pot", "get /", "Put /x", "PROPFIND /", "delete /a"] {
        assert_eq!(site.brief(request), "501 unknown-method", "{request}");
        assert!(site.ask(request).recalled, "{request}");
    }
    assert!(site.full("BREW /pot").ends_with("<Error 501 Not Implemented>"));
}
