//! The names of a finding: its place, its id, and the digests of its values.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::object::TargetName;
use crate::seen::Seen;

/// Where a finding is: a digest of source, target, object and path, without values, the same everywhere.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Place(String);

impl Place {
    pub(super) fn of(source: &str, target: &TargetName, subject: &str, path: &str) -> Self {
        let text = serde_json::json!([source, target.0, subject, path]).to_string();
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, text.as_bytes());
        Self(format!("p-{}", &crate::seen::hex(digest.as_ref())[..16]))
    }

    /// Its text, as in `p-02ab…`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A finding's id: place and values under a key. It stays as long as object, path, desired and live value stay.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct FindingId(pub String);

impl fmt::Display for FindingId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A digest of one value at one place, the same everywhere: it tells values apart without telling them.
///
/// It carries no key, so that another machine comes to the same one; of a secret value only the mask goes into it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ValueDigest(String);

impl ValueDigest {
    pub(super) fn of(place: &Place, side: &str, value: Option<&Seen>) -> Self {
        let text = serde_json::json!([place.as_str(), side, value.map(|value| serde_json::json!([value]))]).to_string();
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, text.as_bytes());
        Self(format!("v1:{}", crate::seen::hex(digest.as_ref())))
    }

    /// Its text, as in `v1:9f2c…`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ValueDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// As it was printed: two digests are equal exactly when their texts are.
impl From<String> for ValueDigest {
    fn from(text: String) -> Self {
        Self(text)
    }
}

/// The digests of both of a finding's values: what an approval or a lease is bound to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Digests {
    /// Of what should be there.
    pub desired: ValueDigest,
    /// Of what is there.
    pub live: ValueDigest,
}
