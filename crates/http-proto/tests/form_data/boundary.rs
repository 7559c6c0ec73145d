//! Which content is a form, and with which boundary.

use http_proto::form_data::{Boundary, Malformed, boundary};

/// The boundary as text, the reason of an error, or `none`.
#[track_caller]
fn check(content_type: &str, expected: &str) {
    let found = match boundary(content_type.as_bytes()) {
        None => "none".to_owned(),
        Some(Err(malformed)) => malformed.to_string(),
        Some(Ok(boundary)) => String::from_utf8(boundary.as_bytes().to_vec()).unwrap(),
    };
    assert_eq!(found, expected, "{content_type}");
}

#[test]
fn the_boundary_is_a_parameter() {
    check("multipart/form-data; boundary=abc", "abc");
    check("multipart/form-data;boundary=abc", "abc");
    check(" multipart/form-data ;\tboundary=abc ", "abc");
    check("Multipart/Form-Data; Boundary=aBc", "aBc");
    check("multipart/form-data; charset=utf-8; boundary=abc; x=\"y;z\"", "abc");
    check("multipart/form-data;; boundary=abc;", "abc");
    check("multipart/form-data; x=\"boundary=no\"; boundary=abc", "abc");
    check("multipart/form-data; boundary=----WebKitFormBoundaryX", "----WebKitFormBoundaryX");
}

#[test]
fn a_boundary_can_be_quoted_and_must_be_for_what_no_token_holds() {
    check("multipart/form-data; boundary=\"abc\"", "abc");
    check("multipart/form-data; boundary=\"'()+_,-./:=? x\"", "'()+_,-./:=? x");
    check("multipart/form-data; boundary=a=b", "bad-content-type");
    check("multipart/form-data; boundary=a/b", "bad-content-type");
    check("multipart/form-data; boundary=\"abc", "bad-content-type");
    check("multipart/form-data; boundary=\"a\\b\"", "bad-boundary");
}

#[test]
fn other_media_types_are_no_forms() {
    for content_type in [
        "",
        ";",
        "text/plain",
        "multipart/form-data-x; boundary=a",
        "multipart/mixed; boundary=a",
        "multipart/form-data boundary=a",
        "multipart / form-data; boundary=a",
        "form-data; boundary=a",
        "application/x-www-form-urlencoded",
        "multipart/form-data, multipart/form-data; boundary=a",
    ] {
        check(content_type, "none");
    }
}

#[test]
fn a_form_without_a_sane_boundary_is_refused() {
    check("multipart/form-data", "no-boundary");
    check("multipart/form-data;", "no-boundary");
    check("multipart/form-data; x=y", "no-boundary");
    check("multipart/form-data; boundary*=a", "no-boundary");
    check("multipart/form-data; boundary=a; boundary=a", "bad-content-type");
    check("multipart/form-data; boundary=a; BOUNDARY=b", "bad-content-type");
    check("multipart/form-data; boundary", "bad-content-type");
    check("multipart/form-data; boundary=", "bad-content-type");
    check("multipart/form-data; boundary =a", "bad-content-type");
    check("multipart/form-data; boundary=a b", "bad-content-type");
    check("multipart/form-data; boundary=a, multipart/form-data", "bad-content-type");
    for text in ["", " ", "a ", "a!", "a\"", "a\\", "a\tb", "\u{e9}", "a\r\n", "a\0", "a;b", "a*"] {
        assert_eq!(Boundary::new(text.as_bytes()), Err(Malformed::BadBoundary), "{text:?}");
    }
    check("multipart/form-data; boundary=\"\"", "bad-boundary");
    check("multipart/form-data; boundary=\"a \"", "bad-boundary");
    check("multipart/form-data; boundary=a!b", "bad-boundary");
}

#[test]
fn a_boundary_has_70_octets_at_most() {
    let longest = "b".repeat(70);
    check(&format!("multipart/form-data; boundary={longest}"), &longest);
    check(&format!("multipart/form-data; boundary={longest}b"), "bad-boundary");
}
