//! Why a request is refused before anybody looks at what it asks for.

use crate::Status;

macro_rules! rejects {
    ($($(#[$doc:meta])* $name:ident $status:ident $reason:literal)*) => {
        /// Why a request is refused. The variant names the rule that was broken, the log prints
        /// [`reason`](Reject::reason). After each of them the connection closes, since where the
        /// next request would begin is in doubt.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
        #[non_exhaustive]
        pub enum Reject {
            $($(#[$doc])* #[error($reason)] $name,)*
        }

        impl Reject {
            /// What the client is told.
            pub fn status(self) -> Status {
                match self {
                    $(Reject::$name => Status::$status,)*
                }
            }

            /// What the log says: one word of `[a-z0-9-]`, the same as the variant's name.
            pub fn reason(self) -> &'static str {
                match self {
                    $(Reject::$name => $reason,)*
                }
            }
        }
    };
}

rejects! {
    // --- the request line (RFC 9112 §3)
    /// Not `method SP request-target SP HTTP-version`, or two empty lines before it.
    BadRequestLine BAD_REQUEST "bad-request-line"
    /// The method holds an octet that no token holds (RFC 9110 §9.1). Also what a TLS
    /// client gets that speaks to a plain port.
    BadMethod BAD_REQUEST "bad-method"
    /// The target has none of the four forms, or one that is not for the method (RFC 9112 §3.2).
    BadTarget BAD_REQUEST "bad-target"
    /// An `https` target came over a connection without TLS (RFC 9110 §7.4).
    HttpsTarget MISDIRECTED_REQUEST "https-target"
    /// The last word is no `HTTP/DIGIT.DIGIT` (RFC 9112 §2.3).
    BadVersion BAD_REQUEST "bad-version"
    /// A major version other than 1.
    UnsupportedVersion VERSION_NOT_SUPPORTED "unsupported-version"
    /// The request line is over its limit (RFC 9112 §3).
    RequestLineTooLong URI_TOO_LONG "request-line-too-long"

    // --- lines and fields (RFC 9112 §2.2 and §5)
    /// LF without CR. A recipient may take it for a line end (RFC 9112 §2.2); one in front of us
    /// that does not would see another request than we do, so it is refused.
    BareLineFeed BAD_REQUEST "bare-line-feed"
    /// CR without LF (RFC 9112 §2.2).
    BareCarriageReturn BAD_REQUEST "bare-carriage-return"
    /// A field line without a name, with other octets than a token's in it, or without a colon.
    BadFieldName BAD_REQUEST "bad-field-name"
    /// `Content_Length` or `Transfer_Encoding`: harmless here, but whoever maps `_` to `-` behind
    /// us would frame another request.
    UnderscoredFraming BAD_REQUEST "underscored-framing"
    /// White space between a field's name and its colon (RFC 9112 §5.1).
    SpaceBeforeColon BAD_REQUEST "space-before-colon"
    /// A line that continues the one before, or white space before the first (RFC 9112 §5.2).
    ObsoleteFolding BAD_REQUEST "obsolete-folding"
    /// A control octet in a field value (RFC 9110 §5.5).
    BadFieldValue BAD_REQUEST "bad-field-value"
    /// The whole head is over its limit (RFC 9110 §5.4).
    HeadTooLarge FIELDS_TOO_LARGE "head-too-large"
    /// More field lines than the limit allows.
    TooManyFields FIELDS_TOO_LARGE "too-many-fields"
    /// No Host in an HTTP/1.1 request (RFC 9112 §3.2).
    MissingHost BAD_REQUEST "missing-host"
    /// More than one Host line.
    RepeatedHost BAD_REQUEST "repeated-host"
    /// A Host value that is no host with perhaps a port.
    BadHost BAD_REQUEST "bad-host"

    // --- the length of the content (RFC 9112 §6)
    /// A Content-Length that is no number.
    BadLength BAD_REQUEST "bad-length"
    /// Content-Length values that disagree.
    ConflictingLength BAD_REQUEST "conflicting-length"
    /// Both Content-Length and Transfer-Encoding (RFC 9112 §6.1: may be refused).
    LengthWithCoding BAD_REQUEST "length-with-coding"
    /// A transfer coding other than chunked (RFC 9112 §6.1).
    UnknownCoding NOT_IMPLEMENTED "unknown-coding"
    /// chunked is not the last coding, comes twice or with parameters (RFC 9112 §6.3, §7.1).
    BadCoding BAD_REQUEST "bad-coding"
    /// Transfer-Encoding in HTTP/1.0, which has none (RFC 9112 §6.1).
    CodingInHttp10 BAD_REQUEST "coding-in-http10"
    /// The content is over its limit.
    ContentTooLarge CONTENT_TOO_LARGE "content-too-large"

    // --- chunks (RFC 9112 §7.1)
    /// A chunk size that is no hexadecimal number, or too large to be one.
    BadChunkSize BAD_REQUEST "bad-chunk-size"
    /// A chunk's size line is over its limit, or all extensions together are over theirs.
    ChunkExtensionsTooLong BAD_REQUEST "chunk-extensions-too-long"
    /// A chunk extension that is no name, perhaps with a value.
    BadChunkExtension BAD_REQUEST "bad-chunk-extension"
    /// A chunk does not end where its size says.
    BadChunkEnd BAD_REQUEST "bad-chunk-end"
    /// A trailer line that is no field line.
    BadTrailer BAD_REQUEST "bad-trailer"
    /// A trailer field that frames, routes or authorises (RFC 9110 §6.5.1).
    ForbiddenTrailer BAD_REQUEST "forbidden-trailer"
    /// A trailer field that the Trailer field does not announce, although there is one (RFC 9110
    /// §6.6.2).
    UnannouncedTrailer BAD_REQUEST "unannounced-trailer"
    /// The trailers are over the limits of a head.
    TrailersTooLarge FIELDS_TOO_LARGE "trailers-too-large"

    // --- time
    /// The head did not come in time.
    HeadTimeout REQUEST_TIMEOUT "head-timeout"
    /// The content came too slowly.
    ContentTimeout REQUEST_TIMEOUT "content-timeout"
    /// The client closed its side before the head was complete.
    IncompleteHead BAD_REQUEST "incomplete-head"
    /// The client closed its side before the content was complete (RFC 9112 §8).
    IncompleteContent BAD_REQUEST "incomplete-content"
}

#[cfg(test)]
mod tests {
    use super::Reject;

    #[test]
    fn a_reason_is_one_word_and_a_status_is_an_error() {
        for reject in [Reject::BadRequestLine, Reject::CodingInHttp10, Reject::HeadTimeout] {
            assert!(
                reject.reason().bytes().all(|b| b.is_ascii_lowercase() || b"-0123".contains(&b))
            );
            assert!(reject.status().is_error());
        }
    }
}
