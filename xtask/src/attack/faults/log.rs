//! The access log of a server of which a call fails: each answer has its line, once, unless the
//! server says how many it has lost.

use std::time::Duration;

use anyhow::{Result, ensure};

use crate::trial::server::Server;

/// What it takes at most until a line is written, and a bit.
pub(super) const FLUSH_EVERY: Duration = Duration::from_millis(700);

/// What is asked for before anything fails, and has a line that is not counted.
pub(super) const UNCOUNTED: &str = "/uncounted";

/// Looks for the line of each request that was answered, once the server has ended.
///
/// # Errors
/// When more lines are missing than it has told of, or one is there twice.
pub(super) fn judge(server: &mut Server, answered: &[bool]) -> Result<()> {
    let told: usize = server.complaints()?.iter().filter_map(|line| dropped(line)).sum();
    let text = std::fs::read_to_string(server.dir().join("access.log"))?;
    let mut lines = vec![0; answered.len()];
    for line in text.lines().filter(|line| !line.contains(UNCOUNTED)) {
        let number = number(line).filter(|number| *number < lines.len());
        ensure!(number.is_some(), "a line that is not one: {line:?}");
        lines[number.unwrap_or_default()] += 1;
    }
    let doubled = lines.iter().filter(|count| **count > 1).count();
    let lost = answered.iter().zip(&lines).filter(|(one, count)| **one && **count == 0).count();
    ensure!(doubled == 0, "{doubled} lines are there twice");
    ensure!(lost <= told, "{lost} lines are lost, it has told of {told}");
    Ok(())
}

/// The number in a line such as `... "GET /small?n=17& HTTP/1.1" 200 ...`.
fn number(line: &str) -> Option<usize> {
    line.split_once("?n=")?.1.split_once("& HTTP/1.1\" ")?.0.parse().ok()
}

/// The number in a complaint such as `... access log: ...; 3 more lines dropped`.
fn dropped(complaint: &str) -> Option<usize> {
    complaint.strip_suffix(" more lines dropped")?.rsplit(' ').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_found_in_whole_lines_only() {
        assert_eq!(number("127.0.0.1 - - [-] \"GET /a?n=17& HTTP/1.1\" 200 12"), Some(17));
        assert_eq!(number("127.0.0.1 - - [-] \"GET /a?n=17& HT"), None);
        let told =
            "[WARN] access log: x: No space left on device (os error 28); 3 more lines dropped";
        assert_eq!(dropped(told), Some(3));
        assert_eq!(dropped("[WARN] something else"), None);
    }
}
