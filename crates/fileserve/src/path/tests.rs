//! Which path a target names, and which names are refused.

use super::*;

/// What `parse` makes of a target: the path for the OS, with a `/` behind it in directory form.
fn parsed(target: &str) -> Result<Vec<u8>, Refusal> {
    let path = RelPath::parse(target, false)?;
    let mut bytes = path.as_bytes().to_vec();
    if path.is_dir_form() {
        bytes.push(b'/');
    }
    Ok(bytes)
}

fn check(table: &[(&str, &[u8])]) {
    for &(target, expected) in table {
        assert_eq!(parsed(target).as_deref(), Ok(expected), "{target}");
    }
}

fn check_refused(refusal: Refusal, targets: &[&str]) {
    for target in targets {
        assert_eq!(parsed(target), Err(refusal), "{target}");
    }
}

fn path(target: &str) -> RelPath {
    RelPath::parse(target, true).expect(target)
}

#[test]
fn escapes_are_decoded_once_and_into_bytes() {
    check(&[
        ("/a%20b", b"a b"),
        ("/%61", b"a"),
        ("/%2541", b"%41"),
        ("/%25252e", b"%252e"),
        ("/100%25", b"100%"),
        ("/a+b", b"a+b"),
        ("/%c3%A9", "\u{e9}".as_bytes()),
        ("/%FF%fe.txt", b"\xff\xfe.txt"),
        ("/%0a", b"\n"),
        ("/a%5C..%5Cb", b"a\\..\\b"),
        ("/a%3Fb%23c", b"a?b#c"),
    ]);
}

#[test]
fn a_bad_escape_is_refused() {
    check_refused(
        Refusal::BadEscape,
        &["/%", "/a%", "/a%2", "/%zz", "/%2g", "/%g2", "/%%20", "/% 20", "/%+1", "/%2/f", "/a%/b"],
    );
}

#[test]
fn an_encoded_nul_is_refused() {
    check_refused(Refusal::BadEscape, &["/%00", "/a%00.txt", "/a/%00/b", "/..%00/"]);
}

#[test]
fn an_encoded_slash_never_separates() {
    check_refused(
        Refusal::EncodedSlash,
        &["/a%2fb", "/a%2Fb", "/%2f", "/..%2f..%2fetc", "/%2e%2e%2fetc", "/a%2f..%2f..%2f"],
    );
}

#[test]
fn empty_and_dot_segments_go_and_leave_the_form_of_a_directory() {
    check(&[
        ("/", b"./"),
        ("//", b"./"),
        ("/.", b"./"),
        ("/%2e", b"./"),
        ("/a", b"a"),
        ("/a/", b"a/"),
        ("//a///b", b"a/b"),
        ("/a/.", b"a/"),
        ("/a/./b", b"a/b"),
        ("/a/%2E/b/", b"a/b/"),
        ("", b"./"),
    ]);
}

#[test]
fn two_dots_pop_one_segment_however_they_are_written() {
    check(&[
        ("/a/..", b"./"),
        ("/a/../", b"./"),
        ("/a/../b", b"b"),
        ("/a/b/..", b"a/"),
        ("/a/b/%2e%2E/c", b"a/c"),
        ("/a/.%2e/b", b"b"),
        ("/a//../b", b"b"),
        ("/a/b/../../c", b"c"),
    ]);
    check_refused(
        Refusal::OutsideRoot,
        &["/..", "/../", "/%2e%2e", "/a/../..", "/./../a", "/%2e./etc/passwd", "//../a", ".."],
    );
}

#[test]
fn names_with_a_dot_in_front_are_hidden_unless_switched_on() {
    check_refused(
        Refusal::Hidden,
        &["/.git", "/.git/config", "/a/.env", "/%2eenv", "/...", "/.well-known2/x", "/.a/"],
    );
    check(&[
        ("/.well-known/acme-challenge/x", b".well-known/acme-challenge/x"),
        ("/a.", b"a."),
        ("/.git/../a", b"a"),
    ]);
    assert_eq!(path("/.git/config").as_bytes(), b".git/config");
    assert_eq!(path("/...").as_bytes(), b"...");
}

#[test]
fn upload_temporaries_are_never_reachable() {
    for target in
        ["/.httpd-upload-", "/a/.httpd-upload-1f", "/%2ehttpd-upload-x/y", "/.HTTPD-Upload-1"]
    {
        for serve_hidden in [false, true] {
            assert_eq!(RelPath::parse(target, serve_hidden), Err(Refusal::Hidden), "{target}");
        }
    }
    assert_eq!(RelPath::root().child(b".httpd-upload-1", true), Err(Refusal::Hidden));
    assert_eq!(path("/.httpd-uploads").as_bytes(), b".httpd-uploads");
}

#[test]
fn lengths_are_bounded_after_decoding() {
    let long = |n: usize| format!("/{}", "%61".repeat(n));
    assert!(parsed(&long(255)).is_ok());
    check_refused(Refusal::NameTooLong, &[&long(256)]);
    // 16 segments of 255 bytes and their slashes make 4095.
    let deep = long(255).repeat(16);
    assert_eq!(parsed(&deep).map(|bytes| bytes.len()), Ok(4095));
    check_refused(Refusal::NameTooLong, &[&format!("{deep}/a"), &long(20_000)]);
    assert_eq!(path(&deep).child(b"a", true), Err(Refusal::NameTooLong));
}

#[test]
fn a_path_knows_its_parts() {
    // target, file name, extension, parent's URL; none where there is nothing
    let table: [(&str, &[u8], &[u8], &str); 8] = [
        ("/", b"", b"", ""),
        ("/a", b"a", b"", "/"),
        ("/a/b.txt", b"b.txt", b"txt", "/a/"),
        ("/a.d/b/c.tar.gz", b"c.tar.gz", b"gz", "/a.d/b/"),
        ("/a.d/b/", b"b", b"", "/a.d/"),
        ("/.bashrc", b".bashrc", b"", "/"),
        ("/a.", b"a.", b"", "/"),
        ("/%ff.%fe", b"\xff.\xfe", b"\xfe", "/"),
    ];
    for (target, name, extension, parent) in table {
        let path = path(target);
        assert_eq!(path.file_name().unwrap_or_default(), name, "{target}");
        assert_eq!(path.extension().unwrap_or_default(), extension, "{target}");
        assert_eq!(path.parent().map(|p| p.to_url_path()).unwrap_or_default(), parent, "{target}");
    }
    assert!(path("/a/b/c").segments().eq([b"a", b"b", b"c"]));
    assert_eq!(RelPath::root().segments().count(), 0);
}

#[test]
fn a_url_path_has_one_slash_in_front_and_nothing_that_needs_care() {
    let table = [
        ("/", "/"),
        ("//evil.example/", "/evil.example/"),
        ("/%2e/%2e/evil", "/evil"),
        ("///a", "/a"),
        ("/a/..//b/", "/b/"),
        ("/%5cevil", "/%5Cevil"),
        ("/%61%62", "/ab"),
        ("/a b%3Fc", "/a%20b%3Fc"),
        ("/x%0d%0aSet-Cookie:%20a", "/x%0D%0ASet-Cookie:%20a"),
        ("/%22%27%3C%3E&;", "/%22%27%3C%3E%26%3B"),
        ("/%ff/%c3%a9", "/%FF/%C3%A9"),
        ("/100%25", "/100%25"),
        ("/-._~!$()*+,=:@", "/-._~!$()*+,=:@"),
    ];
    for (target, url) in table {
        assert_eq!(path(target).to_url_path(), url, "{target}");
    }
}

#[test]
fn a_url_path_reads_back_as_the_same_path() {
    for byte in 1..=255u8 {
        let name = [b'n', byte];
        match RelPath::root().child(&name, true) {
            Ok(path) => assert_eq!(RelPath::parse(&path.to_url_path(), true), Ok(path)),
            Err(refusal) => assert_eq!((byte, refusal), (b'/', Refusal::EncodedSlash)),
        }
    }
    let dir = path("/a/b").into_dir_form();
    assert_eq!(dir.to_url_path(), "/a/b/");
    assert_eq!(RelPath::parse("/a/b/", true), Ok(dir));
}

#[test]
fn a_child_is_a_name_and_nothing_else() {
    let dir = path("/a/");
    assert_eq!(dir.child(b"b%41", false).map(|p| p.as_bytes().to_vec()), Ok(b"a/b%41".to_vec()));
    assert_eq!(
        RelPath::root().child(b"b", false).map(|p| p.as_bytes().to_vec()),
        Ok(b"b".to_vec())
    );
    let table: [(&[u8], Refusal); 7] = [
        (b"", Refusal::NotFound),
        (b".", Refusal::NotFound),
        (b"..", Refusal::NotFound),
        (b"a\0", Refusal::NotFound),
        (b"a/b", Refusal::EncodedSlash),
        (b".env", Refusal::Hidden),
        (&[b'a'; 256], Refusal::NameTooLong),
    ];
    for (name, refusal) in table {
        assert_eq!(dir.child(name, false), Err(refusal), "{}", name.escape_ascii());
    }
}

#[test]
fn an_entry_reference_cannot_be_taken_for_a_scheme_or_a_host() {
    let table: [(&[u8], &str); 5] = [
        (b"javascript:x", "./javascript:x"),
        (b"a:b", "./a:b"),
        (b"\\\\evil", "./%5C%5Cevil"),
        (b"a?b#c", "./a%3Fb%23c"),
        (b"\xff\"", "./%FF%22"),
    ];
    for (name, reference) in table {
        assert_eq!(entry_reference(name), reference);
    }
}
