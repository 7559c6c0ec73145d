//! Compares what comes in with the digests that its sender has stated (RFC 9530).

use http_proto::Fields;
use http_proto::digest_fields::{self, Algorithm};
use sha2::{Digest, Sha256, Sha512};

use crate::refusal::Refusal;

/// The digests that a request states of its content, and those of what has come of it.
///
/// Content-Digest is of the content and Repr-Digest of the representation (RFC 9530 §2, §3). What
/// is stored here comes without a coding and whole, so both are of the same octets.
#[derive(Default)]
pub(crate) struct Checksum {
    stated: Vec<(Algorithm, Vec<u8>)>,
    sha256: Option<Sha256>,
    sha512: Option<Sha512>,
}

impl Checksum {
    /// The digests that `fields` state with an algorithm that is known here; others say nothing
    /// (RFC 9530 §2).
    ///
    /// # Errors
    /// `BadDigest` for a field that is malformed: who sends one wants the content checked.
    pub(crate) fn stated(fields: &Fields<'_>) -> Result<Checksum, Refusal> {
        let mut checksum = Checksum::default();
        for name in ["content-digest", "repr-digest"] {
            let digests = digest_fields::digests(fields, name).map_err(|_| Refusal::BadDigest)?;
            checksum.stated.extend(digests);
        }
        let is_stated = |algorithm| checksum.stated.iter().any(|(stated, _)| *stated == algorithm);
        let (sha256, sha512) = (is_stated(Algorithm::Sha256), is_stated(Algorithm::Sha512));
        checksum.sha256 = sha256.then(Sha256::default);
        checksum.sha512 = sha512.then(Sha512::default);
        Ok(checksum)
    }

    /// Takes in the next octets.
    pub(crate) fn update(&mut self, octets: &[u8]) {
        if let Some(sha256) = &mut self.sha256 {
            sha256.update(octets);
        }
        if let Some(sha512) = &mut self.sha512 {
            sha512.update(octets);
        }
    }

    /// # Errors
    /// `DigestMismatch` unless all that is stated is true.
    pub(crate) fn verify(self) -> Result<(), Refusal> {
        let sha256 = self.sha256.map(|hash| hash.finalize().to_vec());
        let sha512 = self.sha512.map(|hash| hash.finalize().to_vec());
        let is_true = |(algorithm, digest): &(Algorithm, Vec<u8>)| match algorithm {
            Algorithm::Sha256 => sha256.as_ref() == Some(digest),
            Algorithm::Sha512 => sha512.as_ref() == Some(digest),
        };
        match self.stated.iter().all(is_true) {
            true => Ok(()),
            false => Err(Refusal::DigestMismatch),
        }
    }
}
