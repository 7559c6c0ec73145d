//! Decides what a browser may do for a list: nothing but what was written into the page here.
//! Should a name ever slip through the escaping, it still could not run.
//!
//! Styles and scripts are told by their SHA-256 (CSP Level 3, §2.3.1), which is computed over the
//! very text that is embedded, so that the two cannot drift apart.

use std::sync::LazyLock;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};

use super::{Offer, STYLE, offer};

static READ: LazyLock<String> = LazyLock::new(|| {
    let style = source(STYLE);
    format!("default-src 'none'; style-src {style}; base-uri 'none'; form-action 'none'")
});

/// No frame may hold such a page, or the page around could make people click on what they do not
/// see.
static WRITE: LazyLock<String> = LazyLock::new(|| {
    let (list, offer, script) = (source(STYLE), source(offer::STYLE), source(offer::SCRIPT));
    format!(
        "default-src 'none'; style-src {list} {offer}; script-src {script}; connect-src 'self'; \
         form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    )
});

/// What the page of [`html`](super::html) needs and no more, as a value of
/// Content-Security-Policy.
pub fn content_security_policy(offer: Offer) -> &'static str {
    if offer.is_any() { &WRITE } else { &READ }
}

/// A `hash-source` for what stands between the tags of an element.
fn source(text: &str) -> String {
    format!("'sha256-{}'", STANDARD.encode(Sha256::digest(text)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_of_nothing_is_the_one_that_browsers_know() {
        assert_eq!(source(""), "'sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU='");
    }
}
