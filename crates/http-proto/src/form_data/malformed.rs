//! Why a form is refused.

use crate::Status;

macro_rules! rules {
    ($($(#[$doc:meta])* $name:ident $status:ident $reason:literal)*) => {
        /// Why content is no form that is read here. The variant names the rule that was broken.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
        #[non_exhaustive]
        pub enum Malformed {
            $($(#[$doc])* #[error($reason)] $name,)*
        }

        impl Malformed {
            /// Every rule there is.
            #[cfg(test)]
            const ALL: &[Malformed] = &[$(Malformed::$name,)*];

            /// What the client is told: 413 for what is over a limit, else 400.
            pub fn status(self) -> Status {
                match self {
                    $(Malformed::$name => Status::$status,)*
                }
            }

            /// What the log says: one word of `[a-z0-9-]`, the same as the variant's name.
            pub fn reason(self) -> &'static str {
                match self {
                    $(Malformed::$name => $reason,)*
                }
            }
        }
    };
}

// Part heads are content: the fields that 431 is about are those of the request. So a part head
// that is too large is content that is, 413.
rules! {
    // --- the request's Content-Type
    /// The parameters are no `; name=value`, or the boundary comes twice.
    BadContentType BAD_REQUEST "bad-content-type"
    /// There is no boundary parameter (RFC 7578 §4.1).
    NoBoundary BAD_REQUEST "no-boundary"
    /// The boundary is empty, longer than 70 octets, ends with a space or holds an octet that may
    /// not stand in one (RFC 2046 §5.1.1).
    BadBoundary BAD_REQUEST "bad-boundary"

    // --- delimiters (RFC 2046 §5.1.1)
    /// A line begins with the boundary and goes on with something else than white space or the two
    /// hyphens of the end. Some take it for a delimiter and some for content.
    BadDelimiter BAD_REQUEST "bad-delimiter"
    /// More white space behind a boundary than any transport would add.
    PaddingTooLong BAD_REQUEST "padding-too-long"
    /// A boundary begins a part's content. By the grammar the line end before it may be that of
    /// the empty line, and some take it for a delimiter and some for content.
    DelimiterInHead BAD_REQUEST "delimiter-in-head"
    /// The content ended before its close delimiter: nobody can tell what is missing.
    Incomplete BAD_REQUEST "incomplete"
    /// More parts than the limit allows.
    TooManyParts CONTENT_TOO_LARGE "too-many-parts"

    // --- the head of a part
    /// The head of a part is over its limit.
    PartHeadTooLarge CONTENT_TOO_LARGE "part-head-too-large"
    /// A field line without a name, with other octets than a token's in it, or without a colon.
    BadFieldName BAD_REQUEST "bad-field-name"
    /// A line that continues the one before, or white space before the first.
    ObsoleteFolding BAD_REQUEST "obsolete-folding"
    /// A control octet in a part's head: a CR or an LF alone, a NUL.
    ControlOctet BAD_REQUEST "control-octet"
    /// Content-Disposition, Content-Type or Content-Transfer-Encoding comes twice in a part.
    RepeatedField BAD_REQUEST "repeated-field"
    /// A part without Content-Disposition (RFC 7578 §4.2).
    NoDisposition BAD_REQUEST "no-disposition"
    /// A Content-Disposition that is not `form-data`, or whose parameters are no `; name=value`.
    BadDisposition BAD_REQUEST "bad-disposition"
    /// The name or the filename comes twice in a Content-Disposition.
    RepeatedParameter BAD_REQUEST "repeated-parameter"
    /// A Content-Disposition without a name (RFC 7578 §4.2).
    NoName BAD_REQUEST "no-name"
    /// A name or a filename is over its limit.
    NameTooLong CONTENT_TOO_LARGE "name-too-long"
    /// The content of a part is encoded for a transport that is not HTTP (RFC 7578 §4.7).
    TransferEncoded BAD_REQUEST "transfer-encoded"
}

#[cfg(test)]
mod tests {
    use super::Malformed;

    #[test]
    fn a_reason_is_the_name_of_its_rule_and_a_status_is_the_clients_fault() {
        for &malformed in Malformed::ALL {
            let name = malformed.reason().replace('-', "");
            assert_eq!(name, format!("{malformed:?}").to_lowercase());
            assert!([400, 413].contains(&malformed.status().code()), "{malformed:?}");
        }
    }
}
