//! Decides in which form the outcome of a write is told: a page, data for a program, or not at all.

use http_proto::Fields;

/// What a client would like to hear.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// HTML, as browsers ask for.
    Page,
    /// JSON, which is named, and HTML is not.
    Json,
    /// Whatever there is.
    Anything,
    /// The outcome is enough.
    Nothing,
}

/// What the Accept field of a request comes to (RFC 9110 §12.5.1). Between the types that it names
/// its weights do not matter, unless they are 0. Who sends an empty one, or prefers a minimal
/// answer (RFC 7240 §4.2), wants nothing; who sends none takes anything.
pub(crate) fn wanted(fields: &Fields<'_>) -> Wanted {
    let is_minimal = |preference: &[u8]| {
        let preference = preference.split(|&b| b == b';').next().unwrap_or_default();
        preference.trim_ascii().eq_ignore_ascii_case(b"return=minimal")
    };
    let is_empty = fields.first("accept").is_some() && fields.elements("accept").next().is_none();
    if is_empty || fields.elements("prefer").any(is_minimal) {
        return Wanted::Nothing;
    }
    let names = |types: &[&[u8]]| {
        fields.elements("accept").any(|element| {
            let mut parts = element.split(|&b| b == b';').map(<[u8]>::trim_ascii);
            let named = parts.next().unwrap_or_default();
            types.iter().any(|t| t.eq_ignore_ascii_case(named)) && !parts.any(is_zero_weight)
        })
    };
    if names(&[b"text/html", b"application/xhtml+xml"]) {
        Wanted::Page
    } else if names(&[b"application/json"]) {
        Wanted::Json
    } else {
        Wanted::Anything
    }
}

/// `weight = OWS ";" OWS "q=" qvalue` (RFC 9110 §12.4.2) with nothing but zeros.
fn is_zero_weight(parameter: &[u8]) -> bool {
    match parameter {
        [b'q' | b'Q', b'=', value @ ..] => {
            value.first() == Some(&b'0') && value.iter().all(|b| matches!(b, b'0' | b'.'))
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use http_proto::{Limits, RequestHead};

    use super::*;

    #[test]
    fn a_page_goes_to_who_names_it_and_data_to_who_names_only_that() {
        for (lines, expected) in [
            ("", Wanted::Anything),
            ("Accept:\r\n", Wanted::Nothing),
            ("Accept: text/html\r\nPrefer: wait=5, Return=Minimal\r\n", Wanted::Nothing),
            ("Prefer: return=representation\r\n", Wanted::Anything),
            ("Accept: */*\r\n", Wanted::Anything),
            ("Accept: image/png\r\n", Wanted::Anything),
            ("Accept: text/html,application/xml;q=0.9,*/*;q=0.8\r\n", Wanted::Page),
            ("Accept: application/json\r\nAccept: TEXT/html;level=1\r\n", Wanted::Page),
            ("Accept: application/json, */*;q=0.1\r\n", Wanted::Json),
            ("Accept: application/json;q=0.5, text/html ; q=0.00\r\n", Wanted::Json),
            ("Accept: application/json;q=0\r\n", Wanted::Anything),
        ] {
            let head = format!("DELETE / HTTP/1.1\r\nHost: a\r\n{lines}\r\n");
            let head = RequestHead::parse(head.as_bytes(), &Limits::default()).expect(lines);
            assert_eq!(wanted(&head.fields), expected, "{lines}");
        }
    }
}
