//! Which methods this crate knows by name; a method is a case-sensitive token.

/// A request method (RFC 9110 §9.1): a case-sensitive token.
///
/// The variants are the methods of RFC 9110 §9.3 and PATCH (RFC 5789), the ones for which "known
/// but not allowed here" (405) and "never heard of" (501) differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method<'a> {
    /// Transfer the selected representation.
    Get,
    /// As GET, without the content.
    Head,
    /// Have the resource process the content.
    Post,
    /// Replace the resource's state with the content.
    Put,
    /// Remove the resource.
    Delete,
    /// Turn the connection into a tunnel.
    Connect,
    /// Describe what the resource allows.
    Options,
    /// Echo the request.
    Trace,
    /// Change part of the resource.
    Patch,
    /// Any other token, as it was sent.
    Other(&'a str),
}

impl<'a> Method<'a> {
    /// The method that `token` names. The caller has checked that it is a token.
    pub(crate) fn from_token(token: &'a str) -> Method<'a> {
        match token {
            "GET" => Method::Get,
            "HEAD" => Method::Head,
            "POST" => Method::Post,
            "PUT" => Method::Put,
            "DELETE" => Method::Delete,
            "CONNECT" => Method::Connect,
            "OPTIONS" => Method::Options,
            "TRACE" => Method::Trace,
            "PATCH" => Method::Patch,
            other => Method::Other(other),
        }
    }

    /// The token as it stands on the wire.
    pub fn as_str(&self) -> &'a str {
        match *self {
            Method::Get => "GET",
            Method::Head => "HEAD",
            Method::Post => "POST",
            Method::Put => "PUT",
            Method::Delete => "DELETE",
            Method::Connect => "CONNECT",
            Method::Options => "OPTIONS",
            Method::Trace => "TRACE",
            Method::Patch => "PATCH",
            Method::Other(token) => token,
        }
    }
}
