//! The page that goes with an error status.

use crate::Status;

/// The media type of [`html`].
pub const CONTENT_TYPE: &str = "text/html; charset=utf-8";

/// A small page that says `Error CODE PHRASE`, or just `CODE PHRASE` where nothing went wrong, and
/// what can be done about it where that helps (RFC 9110 §15.5, §15.6).
pub fn html(status: Status) -> Vec<u8> {
    let phrase = match status {
        Status::NOT_FOUND => "Page not found",
        other => other.reason(),
    };
    let error = if status.is_error() { "Error " } else { "" };
    render(&format!("{error}{} {phrase}", status.code()), hint(status))
}

/// A small page with a heading and a sentence below it, which may be empty. Both are ours: nothing
/// from outside belongs in them.
pub fn page(heading: &'static str, sentence: &'static str) -> Vec<u8> {
    render(heading, sentence)
}

/// What the status alone does not say. Empty where it says enough.
fn hint(status: Status) -> &'static str {
    match status {
        Status::BAD_REQUEST => "This server could not make sense of the request.",
        Status::METHOD_NOT_ALLOWED => "What is here cannot be changed, or not in this way.",
        Status::REQUEST_TIMEOUT => "The request did not come in time.",
        Status::SERVICE_UNAVAILABLE => "Too much is going on. Please try again in a moment.",
        // §15.6.6: what is supported is to be said.
        Status::VERSION_NOT_SUPPORTED => "This server speaks HTTP/1.1.",
        _ => "",
    }
}

fn render(heading: &str, sentence: &str) -> Vec<u8> {
    let (open, close) = if sentence.is_empty() { ("", "") } else { ("<p>", "</p>\n") };
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width\">\n\
         <style>:root{{color-scheme:light dark}}body{{font:1rem/1.5 system-ui,sans-serif;\
         max-width:40rem;margin:4rem auto;padding:0 1rem}}</style>\n\
         <title>{heading}</title>\n<h1>{heading}</h1>\n{open}{sentence}{close}</html>\n"
    )
    .into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_says_its_code_and_what_it_means() {
        let text = |status| String::from_utf8_lossy(&html(status)).into_owned();
        assert!(text(Status::NOT_FOUND).contains("<h1>Error 404 Page not found</h1>"));
        assert!(text(Status::FOUND).contains("<h1>302 Found</h1>"));
        assert!(text(Status::NOT_IMPLEMENTED).contains("<h1>Error 501 Not Implemented</h1>"));
    }
}
