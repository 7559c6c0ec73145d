//! The rotated logs: each answer that an honest client got has one line in one of them.

use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::path::Path;

use anyhow::{Context, Result};

use super::clients::Found;
use crate::trial::Verdicts;

/// Gives the log another name, as a program that rotates logs does.
pub(super) fn rotate(dir: &Path, number: usize) -> Result<()> {
    let from = dir.join("access.log");
    fs::rename(&from, dir.join(format!("access.log.{number}"))).context("rotating the log")
}

/// Whether there is a log, as there is again once the server has noticed.
pub(super) fn is_there(dir: &Path) -> bool {
    dir.join("access.log").exists()
}

/// Looks for the line of each answer.
pub(super) fn judge(verdicts: &mut Verdicts, dir: &Path, found: &[Found]) -> Result<()> {
    let mut seen: Vec<Vec<u8>> = found.iter().map(|one| vec![0; one.asked]).collect();
    let (mut lines, mut logs) = (0, 0);
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        if !entry.file_name().to_string_lossy().starts_with("access.log") {
            continue;
        }
        logs += 1;
        for line in BufReader::new(File::open(entry.path())?).split(b'\n') {
            lines += 1;
            let line = line?;
            let Some((client, number)) = numbers(&String::from_utf8_lossy(&line)) else { continue };
            if let Some(count) = seen.get_mut(client).and_then(|all| all.get_mut(number)) {
                *count = count.saturating_add(1);
            }
        }
    }
    let answered: usize = found.iter().map(|one| one.asked - one.failed.len()).sum();
    let (mut lost, mut twice) = (0, 0);
    for (one, counts) in found.iter().zip(&seen) {
        for (number, count) in counts.iter().enumerate() {
            twice += usize::from(*count > 1);
            lost += usize::from(*count == 0 && !one.failed.contains(&number));
        }
    }
    println!("  {lines} lines in {logs} logs");
    verdicts.none("answers without a line in the log", lost, answered);
    verdicts.none("answers with more than one line", twice, answered);
    Ok(())
}

/// The `c` and `n` in a line such as `... "GET /f-001?c=3&n=17& HTTP/1.1" 200 ...`.
fn numbers(line: &str) -> Option<(usize, usize)> {
    let (client, rest) = line.split_once("?c=")?.1.split_once("&n=")?;
    Some((client.parse().ok()?, rest.split_once('&')?.0.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_numbers_of_a_line() {
        let line = "127.0.0.1 - - [-] \"GET /f-001?c=3&n=17& HTTP/1.1\" 200 12";
        assert_eq!(numbers(line), Some((3, 17)));
        assert_eq!(numbers("127.0.0.1 - - [-] \"GET /f-001 HTTP/1.1\" 200 12"), None);
    }
}
