//! The character classes of RFC 9110 §5.6 and RFC 9112, each under its own rule.

const TCHAR: u8 = 1;
const FIELD: u8 = 2;
const TARGET: u8 = 4;

/// Which classes each octet belongs to; one load decides.
static CLASS: [u8; 256] = classes();

const fn classes() -> [u8; 256] {
    let mut class = [0u8; 256];
    let mut i = 0;
    while i < 256 {
        let b = i as u8;
        // tchar = "!" / "#" / "$" / "%" / "&" / "'" / "*" / "+" / "-" / "." / "^" / "_" / "`"
        //       / "|" / "~" / DIGIT / ALPHA                                    (RFC 9110 §5.6.2)
        if b.is_ascii_alphanumeric()
            || matches!(
                b,
                b'!' | b'#'
                    | b'$'
                    | b'%'
                    | b'&'
                    | b'\''
                    | b'*'
                    | b'+'
                    | b'-'
                    | b'.'
                    | b'^'
                    | b'_'
                    | b'`'
                    | b'|'
                    | b'~'
            )
        {
            class[i] |= TCHAR;
        }
        // field-content: VCHAR, obs-text, SP and HTAB                          (RFC 9110 §5.5)
        if b == b'\t' || (b >= b' ' && b != 0x7f) {
            class[i] |= FIELD;
        }
        // A request target holds no white space, no control octet and no fragment
        // (RFC 9112 §3.2). Octets above 0x7F are no URI characters either (RFC 3986 §2), nor
        // are `"`, `<`, `>`, `\`, `^`, `` ` ``, `{`, `|` and `}`; browsers do send some of the
        // last group raw, so those pass and only what is dangerous or meaningless stops here.
        if b > b' ' && b < 0x7f && !matches!(b, b'#' | b'"' | b'<' | b'>' | b'\\') {
            class[i] |= TARGET;
        }
        i += 1;
    }
    class
}

/// `tchar`: what a method or a field name is made of.
pub(crate) fn is_tchar(b: u8) -> bool {
    CLASS[b as usize] & TCHAR != 0
}

/// `token = 1*tchar`.
pub(crate) fn is_token(bytes: &[u8]) -> bool {
    !bytes.is_empty() && bytes.iter().all(|&b| is_tchar(b))
}

/// An octet that may stand in a field value: everything but control octets, HTAB excepted.
pub(crate) fn is_field_octet(b: u8) -> bool {
    CLASS[b as usize] & FIELD != 0
}

/// An octet that may stand in a request target.
pub(crate) fn is_target_octet(b: u8) -> bool {
    CLASS[b as usize] & TARGET != 0
}

/// `OWS = *( SP / HTAB )`.
pub(crate) fn is_ows(b: u8) -> bool {
    b == b' ' || b == b'\t'
}

/// `bytes` without optional white space at either end.
pub(crate) fn trim_ows(mut bytes: &[u8]) -> &[u8] {
    while let [first, rest @ ..] = bytes
        && is_ows(*first)
    {
        bytes = rest;
    }
    while let [rest @ .., last] = bytes
        && is_ows(*last)
    {
        bytes = rest;
    }
    bytes
}

/// `1*DIGIT` as a number; `None` when it is something else or does not fit.
pub(crate) fn digits(bytes: &[u8]) -> Option<u64> {
    if bytes.is_empty() {
        return None;
    }
    let mut value: u64 = 0;
    for &b in bytes {
        let digit = b.is_ascii_digit().then(|| u64::from(b - b'0'))?;
        value = value.checked_mul(10)?.checked_add(digit)?;
    }
    Some(value)
}
