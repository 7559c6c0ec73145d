//! Where another parser differs: there is a form for every difference that is listed.

use http_proto::form_data::{Boundary, Limits, Malformed};

use super::form_peer::{self, Agreement, STRICTER};
use super::form_play::{Ending, play};
use super::octets;

/// A form with the boundary `B`, written for [`octets`].
fn check(form: &str, expected: Agreement) -> Ending {
    let octets = octets(form);
    let boundary = Boundary::new(b"B").unwrap();
    assert_eq!(form_peer::check(&boundary, &octets), expected, "{form}");
    play(&boundary, &Limits::default(), &octets, []).ending
}

/// A form of one part with that head.
fn form(head: &str) -> String {
    format!("--B\n{head}\n\nx\n--B--\n")
}

const DISPOSITION: &str = "Content-Disposition: form-data; name=a";

#[test]
fn there_is_a_form_for_each_rule_that_only_one_has() {
    let part = format!("--B\n{DISPOSITION}\n\n\n");
    let padding = " ".repeat(81);
    let long = "x".repeat(8192);
    for (rule, _) in STRICTER {
        let form = match rule {
            Malformed::BadDisposition => form("Content-Disposition: form-data; name = a"),
            Malformed::ControlOctet => form(&format!("X: y␊{DISPOSITION}")),
            Malformed::DelimiterInHead => format!("--B\n{DISPOSITION}\n\n--Bx\n--B--"),
            Malformed::NameTooLong => form(&format!("{DISPOSITION}{}", &long[..1024])),
            Malformed::NoDisposition => form("Content-Type: text/plain"),
            Malformed::NoName => form("Content-Disposition: form-data; filename=a"),
            Malformed::PaddingTooLong => format!("--B{padding}\n{DISPOSITION}\n\n\n--B--"),
            Malformed::PartHeadTooLarge => form(&format!("{DISPOSITION}\nX: {long}")),
            Malformed::RepeatedField => form(&format!("{DISPOSITION}\n{DISPOSITION}")),
            Malformed::RepeatedParameter => form(&format!("{DISPOSITION}; name=b")),
            Malformed::TooManyParts => format!("{}--B--", part.repeat(1001)),
            Malformed::TransferEncoded => {
                form(&format!("{DISPOSITION}\nContent-Transfer-Encoding: base64"))
            }
            rule => panic!("{rule} has no form"),
        };
        assert_eq!(check(&form, Agreement::OneOnly), Ending::Refused(rule));
    }
}

#[test]
fn some_is_read_here_that_another_refuses_or_reads_otherwise() {
    let many = form(&format!("{DISPOSITION}{}", "\nX: y".repeat(32)));
    assert!(matches!(check(&many, Agreement::OneOnly), Ending::Complete(_)));
    let preamble = format!("x--B\n{}", form(DISPOSITION));
    assert!(matches!(check(&preamble, Agreement::OneOnly), Ending::Complete(_)));
}

#[test]
fn neither_takes_a_form_that_is_cut_short_or_goes_on_behind_a_boundary() {
    let whole = form(DISPOSITION);
    let end = whole.len() - "-\n".len();
    for len in 0..end {
        let ending = check(&whole[..len], Agreement::Neither);
        assert!(matches!(ending, Ending::NeedMore(_)), "{len}");
    }
    let broken = whole.replace("\n--B--", "\n--Bx\n--B--");
    assert_eq!(check(&broken, Agreement::Neither), Ending::Refused(Malformed::BadDelimiter));
}
