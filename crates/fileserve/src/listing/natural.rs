//! Orders names as people do: numbers by value, letters whatever their case.

use std::cmp::Ordering;

/// Compares two names. Equal only if they are the same bytes.
pub(super) fn compare(a: &[u8], b: &[u8]) -> Ordering {
    let (mut rest_a, mut rest_b) = (a, b);
    loop {
        match (rest_a, rest_b) {
            ([], []) => return a.cmp(b),
            ([], _) => return Ordering::Less,
            (_, []) => return Ordering::Greater,
            ([x, ..], [y, ..]) if x.is_ascii_digit() && y.is_ascii_digit() => {
                let (number_a, number_b);
                (number_a, rest_a) = split_number(rest_a);
                (number_b, rest_b) = split_number(rest_b);
                // Without zeros in front the longer one is the greater, however long they are.
                let by_value = number_a.len().cmp(&number_b.len()).then(number_a.cmp(number_b));
                if by_value.is_ne() {
                    return by_value;
                }
            }
            ([x, tail_a @ ..], [y, tail_b @ ..]) => {
                let by_letter = x.to_ascii_lowercase().cmp(&y.to_ascii_lowercase());
                if by_letter.is_ne() {
                    return by_letter;
                }
                (rest_a, rest_b) = (tail_a, tail_b);
            }
        }
    }
}

/// The digits in front, without leading zeros, and what follows them.
fn split_number(text: &[u8]) -> (&[u8], &[u8]) {
    let end = text.iter().position(|b| !b.is_ascii_digit()).unwrap_or(text.len());
    let (number, rest) = text.split_at(end);
    let start = number.iter().position(|&b| b != b'0').unwrap_or(end);
    (&number[start..], rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_go_by_value_and_letters_without_case() {
        let ordered: [&[u8]; 20] = [
            b"",
            b".x",
            b"0",
            b"1",
            b"01b",
            b"1c",
            b"2",
            b"10",
            b"99999999999999999999999999999999999999998",
            b"99999999999999999999999999999999999999999",
            b"A",
            b"a",
            b"a-1",
            b"a1",
            b"A2",
            b"a2.5",
            b"a10",
            b"B",
            b"c",
            b"\xff",
        ];
        for (i, a) in ordered.iter().enumerate() {
            for (j, b) in ordered.iter().enumerate() {
                let names = (a.escape_ascii().to_string(), b.escape_ascii().to_string());
                assert_eq!(compare(a, b), i.cmp(&j), "{names:?}");
            }
        }
    }

    #[test]
    fn only_the_same_bytes_are_equal() {
        for (a, b) in [("a", "A"), ("a1", "a01"), ("0", "00"), ("a0b", "A00B")] {
            assert_ne!(compare(a.as_bytes(), b.as_bytes()), Ordering::Equal, "{a} {b}");
        }
    }
}
