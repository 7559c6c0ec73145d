//! Under which limits inputs are tried: the usual ones, and such as short inputs run into.

use http_proto::Limits;

/// The defaults, bounds so narrow that a line or two is over them, and the widest there are.
pub(crate) fn sets() -> [Limits; 4] {
    let narrow =
        Limits { request_line_bytes: 24, head_bytes: 96, field_lines: 3, content_bytes: 16 };
    // A head that may not even hold the longest line allowed in it.
    let crossed =
        Limits { request_line_bytes: 64, head_bytes: 48, field_lines: 0, content_bytes: 0 };
    let wide = Limits {
        request_line_bytes: u16::MAX,
        head_bytes: u16::MAX,
        field_lines: u8::MAX,
        content_bytes: u64::MAX,
    };
    [Limits::default(), narrow, crossed, wide]
}
