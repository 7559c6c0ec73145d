//! The page that goes with an error status.

use crate::Status;

/// The media type of [`html`].
pub const CONTENT_TYPE: &str = "text/html; charset=utf-8";

/// A small page that says `Error CODE PHRASE`.
pub fn html(status: Status) -> Vec<u8> {
    let phrase = match status {
        Status::NOT_FOUND => "Page not found",
        other => other.reason(),
    };
    let code = status.code();
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width\">\n\
         <title>Error {code} {phrase}</title>\n<h1>Error {code} {phrase}</h1>\n</html>\n"
    )
    .into_bytes()
}
