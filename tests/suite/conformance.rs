//! Plays the case files of `tests/cases/` against the real binary, one test for each file.

use std::path::{Path, PathBuf};

fn cases() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("cases")
}

/// A test for each file, `no_listing` for `no-listing.md`, and one that none is forgotten.
macro_rules! case_files {
    ($($name:ident)*) => {
        $(
            #[test]
            fn $name() {
                let file = concat!(stringify!($name), ".md").replace('_', "-");
                conformance::run::run_file(&cases().join(file));
            }
        )*

        #[test]
        fn every_case_file_is_played() {
            let mut played = [$(concat!(stringify!($name), ".md").replace('_', "-")),*];
            played.sort();
            let mut found: Vec<_> = std::fs::read_dir(cases())
                .unwrap()
                .map(|entry| entry.unwrap().file_name().into_string().unwrap())
                .filter(|name| name.ends_with(".md"))
                .collect();
            found.sort();
            assert_eq!(found, played, "add the file's name to the list of tests in {}", file!());
        }
    };
}

case_files! {
    caching
    caching_off
    caching_private
    caching_set
    chunked
    conditionals
    connection
    digests
    directories
    directories_made
    expectation
    fields
    foreign_pages
    forms
    forms_next
    forms_off
    forms_rate
    forms_refused
    framing
    gzip
    head
    hidden_shown
    host
    if_range
    limits
    limits_set
    media_types
    methods
    multirange
    names
    no_listing
    options
    precompressed
    precompressed_accept
    precompressed_conditions
    precompressed_ranges
    precompressed_siblings
    quota
    ranges
    read_only
    rebinding
    rebinding_named
    refused_paths
    request_line
    rfc9110_10_context
    rfc9110_12_negotiation
    rfc9110_13_conditions
    rfc9110_14_ranges
    rfc9110_15_status
    rfc9110_4_identifiers
    rfc9110_5_fields
    rfc9110_6_messages
    rfc9110_7_routing
    rfc9110_8_metadata
    rfc9110_9_methods
    rfc9111_origin
    rfc9112_connections
    rfc9112_messages
    targets
    untrusted
    untrusted_off
    uploads
    uploads_forms
    uploads_names
    uploads_reject
    uploads_replace
    versions
    writing
}

/// A typing error in a case is found without a server.
#[test]
fn every_case_file_can_be_read() {
    let mut cases_found = 0;
    for entry in std::fs::read_dir(cases()).unwrap() {
        let path = entry.unwrap().path();
        let file = conformance::case::CaseFile::read(&path).unwrap_or_else(|why| panic!("{why}"));
        cases_found += file.cases.len();
        let mut claims: Vec<_> = file.cases.iter().map(|case| &case.claim).collect();
        claims.sort();
        claims.dedup();
        assert_eq!(claims.len(), file.cases.len(), "{}: a claim made twice", path.display());
        let root = tempfile::TempDir::new().unwrap();
        let root = root.path().join("root");
        std::fs::create_dir(&root).unwrap();
        let files = format!("{}{}", conformance::fixture::STANDARD, file.files);
        conformance::fixture::create(&root, &files).unwrap_or_else(|why| panic!("{why}"));
    }
    assert!(cases_found >= 300, "only {cases_found} cases are left");
}
