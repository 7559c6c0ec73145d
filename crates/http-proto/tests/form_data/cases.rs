//! Where parts begin and end, and what is no form.

use http_proto::form_data::{Boundary, Limits};

use super::form_play::Ending;
use super::{check, check_within, octets, play, replay};

/// The head of a part called `a`, with its empty line.
const HEAD: &str = "Content-Disposition: form-data; name=a\n\n";

/// A form in which `@` stands for [`HEAD`].
#[track_caller]
fn parts(form: &str, expected: &str) {
    check(&form.replace('@', HEAD), expected);
}

#[test]
fn parts_are_told_in_order() {
    parts("--B\n@hello\n--B--\n", "a=hello, end");
    parts("--B\n@1\n--B\n@2\n--B\n@3\n--B--\n", "a=1, a=2, a=3, end");
    parts("--B\n@\n--B--", "a=, end");
    parts("--B\n@␀␊\u{e9}\n--B--", "a=\\x00\\n\\xc3\\xa9, end");
}

#[test]
fn a_form_can_have_no_parts() {
    parts("--B--\n", "end");
    parts("--B--", "end");
    parts("\n--B--", "end");
}

#[test]
fn what_is_before_the_first_delimiter_and_behind_the_last_is_skipped() {
    parts("\n--B\n@x\n--B--", "a=x, end");
    parts("This is a form.\n\n--B\n@x\n--B--", "a=x, end");
    parts("-\n--\n--A\n␍\n--B\n@x\n--B--", "a=x, end");
    parts("x--B\n--B\n@x\n--B--", "a=x, end");
    parts("␊--B\n--B\n@x\n--B--", "a=x, end");
    parts("--B\n@x\n--B--\n--B\n@y\n--B--", "a=x, end");
    parts("--B\n@x\n--B--x␀", "a=x, end");
    parts("--B\n@x\n--B-- \t", "a=x, end");
}

#[test]
fn white_space_may_follow_a_boundary() {
    parts("--B \t \n@x\n--B\t\n@y\n--B--", "a=x, a=y, end");
    let padding = " ".repeat(80);
    parts(&format!("--B{padding}\n@x\n--B{padding}\n@y\n--B--"), "a=x, a=y, end");
    parts(&format!("--B{padding} \n@x\n--B--"), "padding-too-long");
    parts(&format!("--B\n@x\n--B{padding}\t\n@x\n--B--"), "a=x..., padding-too-long");
}

#[test]
fn content_may_hold_whatever_is_no_delimiter() {
    for content in [
        "-",
        "--",
        "-\n",
        "\n",
        "\n\n",
        "\n-",
        "\n--",
        "\n--A",
        "\n--b",
        "\n-B",
        "\n--\n--",
        "␍",
        "␍␍",
        "␍\n",
        "␍␍␊-␍␊--",
        "␊--B",
        "␍--B",
        "--b",
        "x--B",
        "--␀B",
        " --B",
        "\n --B",
        "\n--C--",
        "␊␍--B--",
        "\n-\n--\n--",
    ] {
        let escaped = octets(content).escape_ascii().to_string();
        parts(&format!("--B\n@{content}\n--B--"), &format!("a={escaped}, end"));
        parts(&format!("{content}\n--B\n@\n--B--"), "a=, end");
    }
}

#[test]
fn a_boundary_that_begins_a_line_is_a_delimiter_or_an_error() {
    for behind in ["x", "-", "-\n", "␊", "␍x", " x", " --", " ␊", "B", "␀"] {
        parts(&format!("--B{behind}x"), "bad-delimiter");
        parts(&format!("\n--B{behind}x"), "bad-delimiter");
        parts(&format!("--B\n@x\n--B{behind}x"), "a=x..., bad-delimiter");
    }
    parts("--B\n@--B\n@x\n--B--", "a=..., delimiter-in-head");
    parts("--B\n@--B--", "a=..., delimiter-in-head");
    parts("--B\n@--Bx\n--B--", "a=..., delimiter-in-head");
}

#[test]
fn a_form_cut_short_is_incomplete_wherever_it_is_cut() {
    let form = octets(&format!("x\n--B\n{HEAD}hello\n--B\n{HEAD}\n--\n--B--"));
    let boundary = Boundary::new(b"B").unwrap();
    for len in 0..form.len() {
        let transcript = replay(&boundary, &Limits::default(), &form[..len]);
        assert!(matches!(transcript.ending, Ending::NeedMore(_)), "{len}: {transcript:?}");
    }
    parts("", "incomplete");
    parts("hello", "incomplete");
    parts("--B", "incomplete");
    parts("--B\n@hello\n--", "a=hello..., incomplete");
    parts("--B\n@hello\n--B", "a=hello..., incomplete");
    parts("--B\n@hello\n--B\n", "a=hello, incomplete");
}

#[test]
fn the_end_comes_with_the_last_octet_of_the_close_delimiter() {
    let boundary = Boundary::new(b"B").unwrap();
    let form = octets(&format!("--B\n{HEAD}x\n--B--"));
    let tail = [&form, &b"\r\nepilogue"[..]].concat();
    let transcript = replay(&boundary, &Limits::default(), &tail);
    assert_eq!(transcript.ending, Ending::Complete(form.len()));
}

#[test]
fn a_part_belongs_to_a_field_of_the_form() {
    for (head, expected) in [
        ("", "no-disposition"),
        ("Content-Type: text/plain\n", "no-disposition"),
        ("Content-Disposition:\n", "bad-disposition"),
        ("Content-Disposition: attachment; name=a\n", "bad-disposition"),
        ("Content-Disposition: form-data\n", "no-name"),
        ("Content-Disposition: form-data;\n", "no-name"),
        ("Content-Disposition: form-data; filename=a\n", "no-name"),
        ("Content-Disposition: form-data; xname=a\n", "no-name"),
    ] {
        check(&format!("--B\n{head}\nx\n--B--"), expected);
    }
}

#[test]
fn field_names_have_no_case_and_other_fields_are_ignored() {
    check("--B\nCONTENT-DISPOSITION:form-data;name=a\n\nx\n--B--", "a=x, end");
    let type_first = "content-type:\ttext/html; charset=utf-8 \nX: y\nX:\n";
    check(
        &format!("--B\n{type_first}content-disposition:\tFORM-DATA ;NAME=a\t\n\nx\n--B--"),
        "a(text/html; charset=utf-8)=x, end",
    );
    check(&format!("--B\nContent-Type:\n{HEAD}x\n--B--"), "a()=x, end");
}

#[test]
fn content_is_not_encoded_for_another_transport() {
    for encoding in ["7bit", "8bit", "binary", "Binary"] {
        check(&format!("--B\nContent-Transfer-Encoding: {encoding}\n{HEAD}x\n--B--"), "a=x, end");
    }
    for encoding in ["base64", "quoted-printable", "", "8bit, base64", "x"] {
        let form = format!("--B\nContent-Transfer-Encoding: {encoding}\n{HEAD}x\n--B--");
        check(&form, "transfer-encoded");
    }
}

#[test]
fn a_field_comes_once() {
    for line in [
        "content-disposition: form-data; name=a\n",
        "content-type: a/b\nContent-Type: a/b\n",
        "content-transfer-encoding: 8bit\nContent-Transfer-Encoding: 8bit\n",
    ] {
        check(&format!("--B\n{line}{HEAD}x\n--B--"), "repeated-field");
    }
}

#[test]
fn a_line_of_a_head_is_a_name_a_colon_and_a_value() {
    for (line, expected) in [
        (" X: y\n", "obsolete-folding"),
        ("X: y\n\tz\n", "obsolete-folding"),
        ("X\n", "bad-field-name"),
        (": y\n", "bad-field-name"),
        ("X : y\n", "bad-field-name"),
        ("X y: z\n", "bad-field-name"),
        ("\u{e9}: z\n", "bad-field-name"),
        ("X: ␀\n", "control-octet"),
        ("X: \u{7f}\n", "control-octet"),
        ("X: y␍z\n", "control-octet"),
        ("X: y␍\n", "control-octet"),
        ("X: y␊", "control-octet"),
        ("␊", "control-octet"),
    ] {
        check(&format!("--B\n{line}{HEAD}x\n--B--"), expected);
    }
    check(&format!("--B\nX: \u{e9}\t\n{HEAD}x\n--B--"), "a=x, end");
}

#[test]
fn limits_hold_to_the_octet() {
    let head = format!("X: y\n{HEAD}");
    let head_bytes = octets(&head).len() as u16;
    let form = format!("--B\n{head}x\n--B\n{head}y\n--B--");
    let limits = Limits { part_head_bytes: head_bytes, parts: 2, name_bytes: 1 };
    check_within(&limits, &form, "a=x, a=y, end");
    let short = Limits { part_head_bytes: head_bytes - 1, ..limits };
    check_within(&short, &form, "part-head-too-large");
    let few = Limits { parts: 1, ..limits };
    check_within(&few, &form, "a=x..., too-many-parts");
    check_within(&Limits { name_bytes: 0, ..limits }, &form, "name-too-long");
    check_within(&Limits { parts: 0, ..limits }, &form, "too-many-parts");
    check_within(&Limits { parts: 0, ..limits }, "--B--", "end");
    for part_head_bytes in [0, 1] {
        let none = Limits { part_head_bytes, ..limits };
        check_within(&none, "--B\n\nx\n--B--", "part-head-too-large");
    }
    // What cannot become a head in time is refused before it is complete.
    check_within(
        &limits,
        &format!("--B\n{}", "x".repeat(head_bytes.into())),
        "part-head-too-large",
    );
    check_within(&limits, &format!("--B\n{}", "x".repeat(head_bytes as usize - 1)), "incomplete");
}

#[test]
fn hostile_content_is_never_held_back() {
    // What the player asserts of each octet is what is claimed: less than a delimiter is left.
    for boundary in [
        "B",
        "-",
        "--",
        "----------------------------------------------------------",
        "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb",
    ] {
        let delimiter = format!("\r\n--{boundary}");
        let begins: String = (1..delimiter.len()).map(|len| &delimiter[..len]).collect();
        let content = format!("x{}", begins.repeat(20));
        let head = HEAD.replace('\n', "\r\n");
        let form = format!("--{boundary}\r\n{head}{content}{delimiter}--");
        let boundary = Boundary::new(boundary.as_bytes()).unwrap();
        let whole = play(&boundary, &Limits::default(), form.as_bytes(), []);
        assert_eq!(whole.parts[0].content, content.as_bytes());
        assert_eq!(whole.ending, Ending::Complete(form.len()));
        for step in [1, 2, 3, 5, 7, 64, delimiter.len(), delimiter.len() + 1] {
            let cuts = (step..form.len()).step_by(step);
            let pieces = play(&boundary, &Limits::default(), form.as_bytes(), cuts);
            assert_eq!(whole, pieces, "in pieces of {step}");
        }
    }
}
