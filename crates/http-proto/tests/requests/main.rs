//! What a connection makes of octets, through the public API: cases are data, and each of them is
//! replayed at every split, behind another request and in front of octets that are none of its
//! business.

mod check;
mod chunked;
mod connection;
mod fields;
mod framing;
mod fuzz;
mod host;
mod limits;
mod request_line;
