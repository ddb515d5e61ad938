//! The stored form of what a record says.
//!
//! **No secret value may be in an entry.** Two places guard that: `decide` sends an action whose patch or pre-image would
//! hold a secret value to review, so that no patch of it is ever made; whoever writes texts (reasons, messages) takes them
//! from [`Seen`](crate::seen::Seen), whose masks cannot become values. [`Entry::secret_at`] is the last look before the
//! ledger, and it knows only what a Secret's fields are called, and what [`secret`] knows by its name.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Effect, Entry};
use crate::finding::Subject;
use crate::object::ObjectId;
use crate::secret;

/// The version of the stored form. A reader refuses a later one rather than guess.
pub const FORMAT: u32 = 1;

/// Why stored bytes are no entry.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    /// A later trueup wrote it.
    #[error("an entry of format `{0}`, and this trueup knows `{FORMAT}`: use the trueup that wrote it, or a later one")]
    Later(u32),
    /// The bytes do not read.
    #[error("bytes that do not read as an entry")]
    Malformed(#[source] serde_json::Error),
}

#[derive(Deserialize)]
struct Version {
    format: u32,
}

#[derive(Deserialize)]
struct Stored {
    entry: Entry,
}

#[derive(Serialize)]
struct ToStore<'a> {
    format: u32,
    entry: &'a Entry,
}

impl Entry {
    /// The stored form: JSON with the format's version.
    ///
    /// # Errors
    /// Where a value has no JSON form.
    pub fn encode(&self) -> Result<Vec<u8>, serde_json::Error> {
        serde_json::to_vec(&ToStore { format: FORMAT, entry: self })
    }

    /// Reads the stored form.
    ///
    /// # Errors
    /// [`DecodeError::Later`] for a later format, [`DecodeError::Malformed`] for anything else that is no entry.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let Version { format } = serde_json::from_slice(bytes).map_err(DecodeError::Malformed)?;
        if format != FORMAT {
            return Err(DecodeError::Later(format));
        }
        let Stored { entry } = serde_json::from_slice(bytes).map_err(DecodeError::Malformed)?;
        Ok(entry)
    }

    /// The field whose secret value this entry would keep, if there is one. Such an entry is a defect of its maker
    /// and is never recorded.
    #[must_use]
    pub fn secret_at(&self) -> Option<&'static str> {
        match self {
            Self::Decided(record) => record.inputs.kept().find_map(|(id, kept)| secret_in(id, &kept)),
            Self::Intent(intent) => {
                let (Subject::Object(id), Effect::Patch(effect)) = (&intent.subject, &intent.effect) else { return None };
                secret_in(id, &[&effect.patch, &effect.pre_image, &effect.inverse])
            }
            _ => None,
        }
    }
}

/// The field of this object whose secret value is in what is to be kept of it.
fn secret_in(id: &ObjectId, kept: &[&Value]) -> Option<&'static str> {
    if !id.is_secret() {
        return kept.iter().copied().any(secret::is_within).then_some("env");
    }
    ["data", "stringData"].into_iter().find(|field| kept.iter().any(|value| value.get(field).is_some()))
}
