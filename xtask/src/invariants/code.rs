//! Tells code from comments and literals, well enough for a scan.

/// The text with each comment and the inside of each literal made blank, line for line.
pub(super) fn only(text: &str) -> String {
    let mut code = String::with_capacity(text.len());
    let mut rest = text;
    let mut previous = ' ';
    while let Some(first) = rest.chars().next() {
        let length = literal_or_comment(rest, is_word(previous));
        let (piece, tail) = rest.split_at(length.unwrap_or(first.len_utf8()));
        match length {
            Some(_) => code.extend(piece.chars().map(|c| if c == '\n' { c } else { ' ' })),
            None => code.push(first),
        }
        previous = first;
        rest = tail;
    }
    code
}

/// Whether `line` holds `word`, and not as a part of a longer word.
pub(super) fn has_word(line: &str, word: &str) -> bool {
    let bounded = |at: usize| {
        let before = line[..at].chars().next_back().unwrap_or(' ');
        let after = line[at + word.len()..].chars().next().unwrap_or(' ');
        let longer = (is_word(before) && word.starts_with(is_word))
            || (is_word(after) && word.ends_with(is_word));
        !longer
    };
    line.match_indices(word).any(|(at, _)| bounded(at))
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// The length of the comment or literal that `rest` starts with.
fn literal_or_comment(rest: &str, in_word: bool) -> Option<usize> {
    if rest.starts_with("//") {
        return Some(rest.find('\n').unwrap_or(rest.len()));
    }
    if rest.starts_with("/*") {
        return Some(block_comment(rest));
    }
    if rest.starts_with('"') {
        return Some(quoted(rest, '"'));
    }
    if let Some(inner) = rest.strip_prefix('\'') {
        // A lifetime has no quote behind its first character.
        let second = inner.chars().next().map_or(0, char::len_utf8);
        let literal = inner.starts_with('\\') || inner[second..].starts_with('\'');
        return literal.then(|| quoted(rest, '\''));
    }
    let raw = rest.strip_prefix("br").or_else(|| rest.strip_prefix('r')).filter(|_| !in_word)?;
    let hashes = raw.len() - raw.trim_start_matches('#').len();
    let inner = raw[hashes..].strip_prefix('"')?;
    let end = format!("\"{}", "#".repeat(hashes));
    let length = inner.find(&end).map_or(inner.len(), |at| at + end.len());
    Some(rest.len() - inner.len() + length)
}

/// Block comments nest.
fn block_comment(rest: &str) -> usize {
    let mut depth = 0;
    let mut at = 0;
    while at < rest.len() {
        if rest[at..].starts_with("/*") {
            depth += 1;
            at += 2;
        } else if rest[at..].starts_with("*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += rest[at..].chars().next().map_or(1, char::len_utf8);
        }
    }
    rest.len()
}

fn quoted(rest: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, c) in rest.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            _ if c == quote => return at + 1,
            _ => {}
        }
    }
    rest.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, code: &str) {
        let words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
        assert_eq!(words(&only(text)), code, "{text}");
        assert_eq!(only(text).lines().count(), text.lines().count(), "{text}");
    }

    #[test]
    fn comments_and_literals_are_blank() {
        check("a // b \"c\nd", "a d");
        check("a /* b /* c\n */ d */ e", "a e");
        check(r#"a("b \" c") d"#, "a( ) d");
        check("a \"b\nc\" d", "a d");
        check(r##"a r#"b "c" d"# e br"\" f"##, "a e f");
        check(r"a('b', '\'', '\\') c", "a( , , ) c");
        check("fn a<'b>(c: &'b str) -> 'é'", "fn a<'b>(c: &'b str) ->");
        check("for_r\"x\" y", "for_r y");
        check("a // é\n'", "a '");
    }

    #[test]
    fn words_are_whole() {
        assert!(has_word("a.b();", ".b()"));
        assert!(has_word("use mio;", "mio"));
        assert!(!has_word("use mio_x;", "mio"));
        assert!(!has_word("use amio;", "mio"));
        assert!(has_word("amio, mio", "mio"));
    }
}
