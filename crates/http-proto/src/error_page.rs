//! The page that goes with an error status.

use crate::Status;

/// The media type of [`html`].
pub const CONTENT_TYPE: &str = "text/html; charset=utf-8";

/// A small page that says `Error CODE PHRASE`, or just `CODE PHRASE` where nothing went wrong.
pub fn html(status: Status) -> Vec<u8> {
    let phrase = match status {
        Status::NOT_FOUND => "Page not found",
        other => other.reason(),
    };
    let error = if status.is_error() { "Error " } else { "" };
    render(&format!("{error}{} {phrase}", status.code()))
}

/// A small page that says `text`, which is ours: nothing from outside belongs in it.
pub fn page(text: &'static str) -> Vec<u8> {
    render(text)
}

fn render(text: &str) -> Vec<u8> {
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width\">\n\
         <style>:root{{color-scheme:light dark}}body{{font:1rem/1.5 system-ui,sans-serif;\
         max-width:40rem;margin:4rem auto;padding:0 1rem}}</style>\n\
         <title>{text}</title>\n<h1>{text}</h1>\n</html>\n"
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
