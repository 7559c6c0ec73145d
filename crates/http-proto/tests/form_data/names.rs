//! What a part is called.

use super::check;

/// What stands behind `form-data`, and how the part is called then: `name<filename>`.
#[track_caller]
fn names(parameters: &str, expected: &str) {
    refused(parameters, &format!("{expected}=, end"));
}

/// What stands behind `form-data`, and what becomes of it.
#[track_caller]
fn refused(parameters: &str, expected: &str) {
    check(&format!("--B\nContent-Disposition: form-data{parameters}\n\n\n--B--"), expected);
}

#[test]
fn a_name_is_a_token_or_a_quoted_string() {
    names("; name=a", "a");
    names(";name=\"a\"", "a");
    names("\t;\tname=\"a\"\t", "a");
    names("; name=\"\"", "");
    names("; name=\"a; b=c, d\"", "a; b=c, d");
    names("; name=a; filename=b", "a<b>");
    names("; filename=\"b\"; name=\"a\"", "a<b>");
    names("; name=a; filename=\"\"", "a<>");
    names("; name=\"\u{e9}\"", "\\xc3\\xa9");
    names("; NAME=a; FileName=b", "a<b>");
}

#[test]
fn what_browsers_escape_is_meant() {
    names("; name=\"a%22b%0D%0Ac\"", "a\\\"b\\r\\nc");
    names("; name=a; filename=\"%22%22.txt\"", "a<\\\"\\\".txt>");
    // They escape nothing else: all of this is meant as it is.
    names("; name=\"%0a%0d%00%20%2F%%2%\"", "%0a%0d%00%20%2F%%2%");
    names("; name=\"%2522\"", "%2522");
    // What is not quoted was not written by a browser.
    names("; name=a%22", "a%22");
}

#[test]
fn a_backslash_escapes_quotes_and_itself_and_nothing_else() {
    names("; name=\"a\\\"b\"", "a\\\"b");
    names("; name=\"a\\\\\"", "a\\\\");
    names("; name=\"\\\\\\\"\"", "\\\\\\\"");
    names("; name=a; filename=\"C:\\dir\\file\"", "a<C:\\\\dir\\\\file>");
    names("; name=\"\\%22\"", "\\\\\\\"");
    names("; name=\"a\\\"; filename=b\"", "a\\\"; filename=b");
}

#[test]
fn other_parameters_are_ignored() {
    names("; name=a; filename*=UTF-8''b%20c", "a");
    names("; filename*=UTF-8''b; name=a; filename=c; filename*=UTF-8''d", "a<c>");
    names("; x=\"name=b\"; name=a; name*=c; x=y", "a");
    names(";;name=a ; ;", "a");
}

#[test]
fn a_name_comes_once() {
    refused("; name=a; name=a", "repeated-parameter");
    refused("; name=a; NAME=\"a\"", "repeated-parameter");
    refused("; filename=a; name=a; filename=a", "repeated-parameter");
}

#[test]
fn what_is_no_parameter_is_refused() {
    for parameters in [
        "; name",
        "; name=",
        "; name=;",
        "; name =a",
        "; name= a",
        "; =a",
        ", name=a",
        " name=a",
        "; name=a b",
        "; name=a, b",
        "; name=\"a",
        "; name=\"a\\\"",
        "; name=\"a\"b",
        "; name=\"a\" b",
        "; name=a\"b\"",
        "; name=a/b",
        "; name='a b'",
        "; name=a; x",
        "; name=\u{e9}",
        "; \u{e9}=a; name=a",
        "x; name=a",
        "; name=a; filename=\"b\"\"c\"",
    ] {
        refused(parameters, "bad-disposition");
    }
}

#[test]
fn a_name_has_a_bound_that_is_about_what_is_meant() {
    let long = "x".repeat(1024);
    names(&format!("; name={long}"), &long);
    refused(&format!("; name={long}x"), "name-too-long");
    refused(&format!("; name=a; filename=\"{long}x\""), "name-too-long");
    let escaped = "%22".repeat(1024);
    names(&format!("; name=\"{escaped}\""), &"\\\"".repeat(1024));
}
