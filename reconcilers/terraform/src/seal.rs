//! Digests of secret values, so that Git can expect a secret without holding it.
//!
//! `pbkdf2-sha256:ROUNDS:SALT:DIGEST`, salt and digest in base64 with padding: PBKDF2-HMAC-SHA256 (RFC 8018) with a
//! digest of 32 bytes, at least [`ROUNDS`] rounds and 16 bytes of salt. What is digested are the bytes of a string, and
//! the canonical JSON ([`ExactValue`]'s `Display`) of any other value; so `"3"` and `3` have one digest.

use std::fmt;
use std::num::NonZeroU32;
use std::str::FromStr;

use aws_lc_rs::pbkdf2;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::value::ExactValue;

/// The rounds that [`seal`] takes, and the fewest that are accepted (OWASP password storage, 2023).
pub const ROUNDS: NonZeroU32 = NonZeroU32::new(600_000).expect("600,000 is not 0");

/// More would let one line in Git hold up a round for minutes.
const MAX_ROUNDS: u32 = 10_000_000;
const MIN_SALT: usize = 16;
const DIGEST: usize = 32;

/// A salted, slow digest of a secret value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seal {
    rounds: NonZeroU32,
    salt: Vec<u8>,
    digest: [u8; DIGEST],
}

/// Why a text or a salt makes no seal.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// Not four parts, or another scheme.
    #[error("a digest is `pbkdf2-sha256:ROUNDS:SALT:DIGEST`, with salt and digest in base64")]
    Form,
    /// Not a number.
    #[error("the rounds `{0}` are no whole number; write `{ROUNDS}`")]
    NotRounds(String),
    /// Too fast to guess.
    #[error("{0} rounds are too few: a guess must be slow; make the digest again with at least {ROUNDS}")]
    TooFewRounds(u32),
    /// Too slow to check.
    #[error("{0} rounds would hold up every round of checks; make the digest again with at most {MAX_ROUNDS}")]
    TooManyRounds(u32),
    /// Not base64.
    #[error("the {0} is not base64 with padding")]
    NotBase64(&'static str),
    /// Equal secrets must not have equal digests.
    #[error("a salt of {0} bytes is too short; take at least {MIN_SALT} random ones")]
    ShortSalt(usize),
    /// Not SHA-256.
    #[error("a digest has {DIGEST} bytes, this one has {0}; copy it whole")]
    DigestLength(usize),
}

/// Makes the digest of a value with a salt of at least 16 random bytes, another one for each secret.
///
/// # Errors
/// Where the salt is too short.
pub fn seal(value: &ExactValue, salt: &[u8]) -> Result<Seal, SealError> {
    check_salt(salt)?;
    let mut digest = [0; DIGEST];
    pbkdf2::derive(pbkdf2::PBKDF2_HMAC_SHA256, ROUNDS, salt, &bytes(value), &mut digest);
    Ok(Seal { rounds: ROUNDS, salt: salt.to_owned(), digest })
}

impl Seal {
    /// Whether this is the digest of `value`; takes a good part of a second, as it must.
    #[must_use]
    pub fn fits(&self, value: &ExactValue) -> bool {
        pbkdf2::verify(pbkdf2::PBKDF2_HMAC_SHA256, self.rounds, &self.salt, &bytes(value), &self.digest).is_ok()
    }
}

impl FromStr for Seal {
    type Err = SealError;

    fn from_str(text: &str) -> Result<Self, SealError> {
        let parts: Vec<&str> = text.split(':').collect();
        let ["pbkdf2-sha256", rounds, salt, digest] = parts[..] else {
            return Err(SealError::Form);
        };
        let rounds: u32 = rounds.parse().map_err(|_| SealError::NotRounds(rounds.to_owned()))?;
        let rounds = NonZeroU32::new(rounds).filter(|rounds| *rounds >= ROUNDS).ok_or(SealError::TooFewRounds(rounds))?;
        if rounds.get() > MAX_ROUNDS {
            return Err(SealError::TooManyRounds(rounds.get()));
        }
        let salt = STANDARD.decode(salt).map_err(|_| SealError::NotBase64("salt"))?;
        check_salt(&salt)?;
        let digest = STANDARD.decode(digest).map_err(|_| SealError::NotBase64("digest"))?;
        let digest = digest.try_into().map_err(|digest: Vec<u8>| SealError::DigestLength(digest.len()))?;
        Ok(Self { rounds, salt, digest })
    }
}

/// As it stands in an expectation file.
impl fmt::Display for Seal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "pbkdf2-sha256:{}:{}:{}", self.rounds, STANDARD.encode(&self.salt), STANDARD.encode(self.digest))
    }
}

fn check_salt(salt: &[u8]) -> Result<(), SealError> {
    if salt.len() < MIN_SALT { Err(SealError::ShortSalt(salt.len())) } else { Ok(()) }
}

fn bytes(value: &ExactValue) -> Vec<u8> {
    match value {
        ExactValue::String(text) => text.clone().into_bytes(),
        other => other.to_string().into_bytes(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SALT: &[u8] = b"0123456789abcdef";

    fn text(text: &str) -> ExactValue {
        ExactValue::String(text.to_owned())
    }

    /// The expected digest is what Python prints for
    /// `base64.b64encode(hashlib.pbkdf2_hmac("sha256", b"hunter2", b"0123456789abcdef", 600000))`.
    #[test]
    fn a_seal_is_plain_pbkdf2_of_the_string() {
        let sealed = seal(&text("hunter2"), SALT).unwrap();
        assert_eq!(
            sealed.to_string(),
            "pbkdf2-sha256:600000:MDEyMzQ1Njc4OWFiY2RlZg==:UuYdjzflKURYrCIlEmAIyh4yx4R7IoIh1XTcMF9A+M4="
        );
        let read: Seal = sealed.to_string().parse().unwrap();
        assert_eq!(read, sealed);
        assert!(read.fits(&text("hunter2")));
        assert!(!read.fits(&text("hunter3")));
    }

    #[test]
    fn what_is_no_seal_is_refused() {
        let error = |text: &str| text.parse::<Seal>().unwrap_err();
        let salt = STANDARD.encode(SALT);
        let digest = STANDARD.encode([0; 32]);
        assert_eq!(error("sha256:abc"), SealError::Form);
        assert_eq!(error(&format!("pbkdf2-sha1:600000:{salt}:{digest}")), SealError::Form);
        assert_eq!(error(&format!("pbkdf2-sha256:many:{salt}:{digest}")), SealError::NotRounds("many".into()));
        assert_eq!(error(&format!("pbkdf2-sha256:0:{salt}:{digest}")), SealError::TooFewRounds(0));
        assert_eq!(error(&format!("pbkdf2-sha256:599999:{salt}:{digest}")), SealError::TooFewRounds(599_999));
        assert_eq!(error(&format!("pbkdf2-sha256:4000000000:{salt}:{digest}")), SealError::TooManyRounds(4_000_000_000));
        assert_eq!(error(&format!("pbkdf2-sha256:600000:?:{digest}")), SealError::NotBase64("salt"));
        assert_eq!(error(&format!("pbkdf2-sha256:600000:c2FsdA==:{digest}")), SealError::ShortSalt(4));
        assert_eq!(error(&format!("pbkdf2-sha256:600000:{salt}:c2FsdA==")), SealError::DigestLength(4));
        assert_eq!(seal(&text("x"), b"short"), Err(SealError::ShortSalt(5)));
    }
}
