//! Decides which digests a Content-Digest or a Repr-Digest field states (RFC 9530 §2 and §3).
//!
//! What octets a digest is of, and whether it is theirs, is for who has the octets. Trailer fields
//! are discarded (RFC 9110 §6.5.1), so a digest that comes in one is not seen.
//!
//! Both fields are Dictionaries of Structured Fields (RFC 8941 §3.2). That grammar lets any item
//! and any parameters stand beside the two members that are looked for, and all of it must be
//! well-formed: a parser of that alone would be as long as one of everything, so a crate does it.

use sfv::visitor::{
    DictionaryVisitor, EntryVisitor, Ignored, InnerListVisitor, ItemVisitor, ParameterVisitor,
};
use sfv::{BareItemFromInput, KeyRef, Parser, Version};

use crate::Fields;

/// An algorithm whose digests are worth a look: those that RFC 9530 §7.2 calls "Active".
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Algorithm {
    /// SHA-256.
    Sha256,
    /// SHA-512.
    Sha512,
}

impl Algorithm {
    /// All of them, in the order in which digests are given.
    pub const ALL: [Algorithm; 2] = [Algorithm::Sha256, Algorithm::Sha512];

    /// Its key in the fields (RFC 9530 §7.2).
    pub fn key(self) -> &'static str {
        match self {
            Algorithm::Sha256 => "sha-256",
            Algorithm::Sha512 => "sha-512",
        }
    }

    /// Octets of a digest.
    pub fn digest_bytes(self) -> usize {
        match self {
            Algorithm::Sha256 => 32,
            Algorithm::Sha512 => 64,
        }
    }
}

/// Why a field states no digest that can be compared with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidDigest {
    /// The field is no Dictionary.
    #[error("bad-digest-field")]
    BadField,
    /// A digest is no Byte Sequence.
    #[error("digest-not-bytes")]
    NotBytes,
    /// A digest has not as many octets as its algorithm gives.
    #[error("bad-digest-length")]
    BadLength,
}

/// The digests that the field `name`, over all its lines, states with a known algorithm, in the
/// order of [`Algorithm::ALL`]; each has [`Algorithm::digest_bytes`] octets. None when there is no
/// such field.
///
/// Other algorithms are left out, also those that RFC 9530 §5 deprecates: a recipient may ignore
/// any digest (§2). Parameters are ignored, and of a key that comes twice all but the last
/// (RFC 8941 §3.1.2 and §3.2). Missing padding of the base64 text is forgiven (RFC 8941 §4.2.7).
///
/// # Errors
/// The field is malformed, or a known member has a value that is no digest. To take such a field
/// for none would be to take content unchecked that somebody wanted checked.
///
/// # Example: find what an upload should be
/// ```
/// use http_proto::digest_fields::{Algorithm, digests};
/// use http_proto::{Limits, RequestHead};
///
/// let octets = b"PUT /a HTTP/1.1\r\nHost: a\r\n\
///     Repr-Digest: sha-256=:X48E9qOokqqrvdts8nOJRJN3OWDUoyWxBf7kbu9DBPE=:\r\n\r\n";
/// let head = RequestHead::parse(octets, &Limits::default()).expect("a request");
/// let digests = digests(&head.fields, "repr-digest").expect("a digest");
/// assert_eq!((digests[0].0, digests[0].1[0]), (Algorithm::Sha256, 0x5f));
/// ```
pub fn digests(
    fields: &Fields<'_>,
    name: &str,
) -> Result<Vec<(Algorithm, Vec<u8>)>, InvalidDigest> {
    // RFC 8941 §4.2: the lines of a Dictionary are combined before they are read.
    let lines: Vec<&[u8]> = fields.all(name).collect();
    let value = lines.join(&b", "[..]);
    let members = Parser::new(&value)
        .with_version(Version::Rfc8941)
        .parse_dictionary_with_visitor(Members::default())
        .map_err(|_| InvalidDigest::BadField)?;
    let mut digests = Vec::new();
    for (algorithm, member) in Algorithm::ALL.into_iter().zip(members.0) {
        match member {
            Member::Absent => {}
            Member::Other => return Err(InvalidDigest::NotBytes),
            Member::Bytes(octets) if octets.len() != algorithm.digest_bytes() => {
                return Err(InvalidDigest::BadLength);
            }
            Member::Bytes(octets) => digests.push((algorithm, octets)),
        }
    }
    Ok(digests)
}

/// The members of the known algorithms, in the order of [`Algorithm::ALL`].
#[derive(Default)]
struct Members([Member; Algorithm::ALL.len()]);

#[derive(Default)]
enum Member {
    #[default]
    Absent,
    Bytes(Vec<u8>),
    /// Something that is no Byte Sequence.
    Other,
}

impl<'de> DictionaryVisitor<'de> for Members {
    type Out = Members;
    type Error = std::convert::Infallible;

    fn entry(&mut self, key: &'de KeyRef) -> Result<impl EntryVisitor<'de>, Self::Error> {
        let known = Algorithm::ALL.iter().position(|algorithm| algorithm.key() == key.as_str());
        Ok(known.map(|index| &mut self.0[index]))
    }

    fn finish(self) -> Result<Members, Self::Error> {
        Ok(self)
    }
}

impl<'de> EntryVisitor<'de> for &mut Member {
    type Error = std::convert::Infallible;

    fn item(self) -> Result<impl ItemVisitor<'de>, Self::Error> {
        Ok(self)
    }

    fn inner_list(self) -> Result<impl InnerListVisitor<'de>, Self::Error> {
        *self = Member::Other;
        Ok(Ignored)
    }
}

impl<'de> ItemVisitor<'de> for &mut Member {
    type Out = ();
    type Error = std::convert::Infallible;

    fn bare_item(
        self,
        item: BareItemFromInput<'de>,
    ) -> Result<impl ParameterVisitor<'de, Out = ()>, Self::Error> {
        *self = match item {
            BareItemFromInput::ByteSequence(octets) => Member::Bytes(octets),
            _ => Member::Other,
        };
        Ok(Ignored)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Limits, RequestHead};

    /// Of `{"hello": "world"}` and a line feed (RFC 9530, Appendix D).
    const SHA_256: &str = ":X48E9qOokqqrvdts8nOJRJN3OWDUoyWxBf7kbu9DBPE=:";
    const SHA_512: &str = ":WZDPaVn/7XgHaAy8pmojAkGWoRx2UFChF41A2svX+TaPm+\
        AbwAgBWnrIiYllu7BNNyealdVLvRwEmTHWXvJwew==:";

    /// The field's lines, in which `$256` and `$512` stand for the digests, and what they state:
    /// the known algorithms with the first octet of each digest, or why it is no digest.
    fn check(lines: &[&str], expected: &str) {
        let mut head = String::from("PUT / HTTP/1.1\r\nHost: a\r\nContent-Digest: x=:AA\r\n");
        for line in lines {
            let line = line.replace("$256", SHA_256).replace("$512", SHA_512);
            head.push_str(&format!("Repr-Digest: {line}\r\n"));
        }
        head.push_str("\r\n");
        let head = RequestHead::parse(head.as_bytes(), &Limits::default()).unwrap();
        let stated = match digests(&head.fields, "Repr-Digest") {
            Ok(digests) => {
                let each = |(algorithm, octets): &(Algorithm, Vec<u8>)| {
                    assert_eq!(octets.len(), algorithm.digest_bytes());
                    format!("{} {:02x}", algorithm.key(), octets[0])
                };
                digests.iter().map(each).collect::<Vec<_>>().join(", ")
            }
            Err(why) => why.to_string(),
        };
        assert_eq!(stated, expected, "{lines:?}");
    }

    #[test]
    fn the_digests_of_known_algorithms_are_stated() {
        check(&["sha-256=$256"], "sha-256 5f");
        check(&["sha-512=$512"], "sha-512 59");
        check(&["sha-512=$512,\tsha-256=$256"], "sha-256 5f, sha-512 59");
        check(&["sha-512=$512", "sha-256=$256"], "sha-256 5f, sha-512 59");
        check(&["sha-256=$256;x=\"a,b\";y"], "sha-256 5f");
    }

    #[test]
    fn other_algorithms_are_left_out() {
        check(&[], "");
        check(&[""], "");
        check(&["md5=:Sd/dVLAcvNLSq16eXua5uQ==:, unixsum=:GQU=:"], "");
        check(&["x, y=(1 2);z, sha-256=$256, sha-2560=:AA==:, sha=\"a\""], "sha-256 5f");
    }

    #[test]
    fn of_a_key_that_comes_twice_the_last_counts() {
        check(&["sha-256=:AA==:, sha-256=$256"], "sha-256 5f");
        check(&["sha-256=1", "sha-256=$256"], "sha-256 5f");
        check(&["sha-256=$256, sha-256=:AA==:"], "bad-digest-length");
    }

    #[test]
    fn padding_may_be_missing() {
        check(&["sha-256=:X48E9qOokqqrvdts8nOJRJN3OWDUoyWxBf7kbu9DBPE:"], "sha-256 5f");
    }

    #[test]
    fn a_digest_has_the_length_that_its_algorithm_gives() {
        for value in ["::", ":AA==:", "$512", ":X48E9qOokqqrvdts8nOJRJN3OWDUoyWxBf7kbu9DBA==:"] {
            check(&[&format!("sha-256={value}")], "bad-digest-length");
        }
        check(&["sha-256=$256, sha-512=$256"], "bad-digest-length");
    }

    #[test]
    fn a_digest_is_a_byte_sequence() {
        for value in ["=1", "=abc", "=\"a\"", "", "=?1", "=($256)", "=()", "=1.5"] {
            check(&[&format!("sha-256{value}")], "digest-not-bytes");
        }
    }

    #[test]
    fn a_field_that_is_no_dictionary_states_nothing() {
        for line in [
            "sha-256=:X48E9q",
            "sha-256=:X 8E:",
            "sha-256=:X-_E:",
            "sha-256=$256,",
            ",sha-256=$256",
            "sha-256=$256 sha-512=$512",
            "SHA-256=$256",
            "sha-256 =$256",
            "sha-256= $256",
            "sha-256=$256;",
            "sha-256=$256, x=:AA",
            "sha-256=$256, x=@1",
            "\"sha-256\"",
            "=$256",
            "x=\u{e9}",
        ] {
            check(&[line], "bad-digest-field");
        }
        check(&["sha-256=$256", "", "sha-512=$512"], "bad-digest-field");
    }
}
