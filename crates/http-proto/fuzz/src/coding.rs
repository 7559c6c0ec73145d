//! Accept-Encoding: what is chosen is on offer, not refused, and nothing on offer is liked better.

use http_proto::{AcceptEncoding, Coding, Fields, Limits, RequestHead};

use super::head::is_tchar;

/// `data` is the values of Accept-Encoding lines, one on each line; nothing is no line at all.
pub fn check(data: &[u8]) {
    let mut octets = b"GET / HTTP/1.1\r\nHost: a\r\n".to_vec();
    for value in data.split(|&b| b == b'\n').filter(|_| !data.is_empty()) {
        octets.extend_from_slice(&[b"Accept-Encoding: ", value, b"\r\n"].concat());
    }
    octets.extend_from_slice(b"\r\n");
    let Ok(head) = RequestHead::parse(&octets, &Limits::default()) else { return };

    use Coding::{Brotli, Gzip, Identity, Zstd};
    for available in [
        &[][..],
        &[Identity],
        &[Gzip],
        &[Gzip, Identity],
        &[Identity, Gzip],
        &[Brotli, Zstd, Gzip, Identity],
        &[Identity, Gzip, Zstd, Brotli],
    ] {
        let chosen = AcceptEncoding::of(&head.fields).choose(available);
        assert_eq!(chosen, expected(&head.fields, available), "{:?} {available:?}", head.fields);
    }
}

/// The first of those with the greatest weight, if that is not 0.
fn expected(fields: &Fields<'_>, available: &[Coding]) -> Option<Coding> {
    let weights: Vec<f64> = available.iter().map(|coding| weight(fields, *coding)).collect();
    let most = weights.iter().copied().fold(0.0, f64::max);
    let first = weights.iter().position(|weight| *weight == most)?;
    (most > 0.0).then_some(available[first])
}

/// How much the client likes a coding (RFC 9110 §12.5.3). Of a coding that is named more than once
/// the greatest weight counts.
fn weight(fields: &Fields<'_>, coding: Coding) -> f64 {
    let identity = coding == Coding::Identity;
    if fields.first("accept-encoding").is_none() {
        return if identity { 1.0 } else { 0.0 };
    }
    let asked: Vec<(String, f64)> =
        fields.elements("accept-encoding").filter_map(weighted).collect();
    let names: &[&str] = match coding {
        Coding::Identity => &["identity"],
        Coding::Gzip => &["gzip", "x-gzip"],
        Coding::Brotli => &["br"],
        Coding::Zstd => &["zstd"],
    };
    let most = |names: &[&str]| {
        let weights = asked.iter().filter(|(name, _)| names.contains(&name.as_str()));
        weights.map(|(_, weight)| *weight).reduce(f64::max)
    };
    // Not named and not excluded, identity comes after whatever was asked for.
    most(names).or(most(&["*"])).unwrap_or(if identity { 0.001 } else { 0.0 })
}

/// `token [ OWS ";" OWS "q=" qvalue ]`, the name in lower case.
fn weighted(element: &[u8]) -> Option<(String, f64)> {
    let text = std::str::from_utf8(element).ok()?;
    let (name, parameter) = match text.split_once(';') {
        Some((name, parameter)) => (name, Some(parameter.trim_matches([' ', '\t']))),
        None => (text, None),
    };
    let name = name.trim_matches([' ', '\t']).to_ascii_lowercase();
    if name.is_empty() || !name.bytes().all(is_tchar) {
        return None;
    }
    let Some(parameter) = parameter else { return Some((name, 1.0)) };
    let value = parameter.strip_prefix(['q', 'Q'])?.strip_prefix('=')?;
    let (whole, decimals) = value.split_once('.').unwrap_or((value, ""));
    let is_number = decimals.len() <= 3 && decimals.bytes().all(|b| b.is_ascii_digit());
    if !["0", "1"].contains(&whole) || !is_number {
        return None;
    }
    let weight: f64 = format!("{whole}.{decimals}0").parse().ok()?;
    (weight <= 1.0).then_some((name, weight))
}
