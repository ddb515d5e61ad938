//! What was decided, and by what: kept so that anybody can decide again and compare.

use aws_lc_rs::digest::{SHA256, digest};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Decision, Inputs, decide};

/// The version of the stored form. A reader refuses another one rather than guess.
const SCHEMA: &str = "trueup.decisions/v1";

/// One decision about a target, with all that it was made by.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DecisionRecord {
    schema: String,
    /// SHA-256 over the inputs' bytes, as hexadecimal digits.
    pub digest: String,
    /// By what was decided.
    pub inputs: Inputs,
    /// What was decided, as [`Decision`] is written: for comparing, never for acting.
    pub decisions: Value,
}

/// Why a record cannot be decided again.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// No record at all.
    #[error("not a record of decisions: read it with the version of trueup that wrote it")]
    Unreadable(#[source] serde_json::Error),
    /// Another form.
    #[error("a record in the form `{0}`, and this trueup reads `{SCHEMA}`: use the version that wrote it")]
    OtherForm(String),
    /// Its inputs are not those of which it has the digest.
    #[error("the inputs of the record have the digest `{found}`, and `{recorded}` was recorded: they were changed")]
    Changed {
        /// What was recorded.
        recorded: String,
        /// What they have.
        found: String,
    },
}

/// What deciding again gave.
#[derive(Debug, Clone, PartialEq)]
pub enum Replayed {
    /// The same bytes.
    Same,
    /// Other decisions: these.
    Other(Value),
}

impl DecisionRecord {
    /// Decides, and keeps by what.
    #[must_use]
    pub fn of(inputs: &Inputs) -> (Self, Vec<Decision>) {
        let decisions = decide(inputs);
        let record =
            Self { schema: SCHEMA.to_owned(), digest: inputs.digest(), inputs: inputs.clone(), decisions: written(&decisions) };
        (record, decisions)
    }

    /// The record as it is kept.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        bytes(self)
    }

    /// Reads a record.
    ///
    /// # Errors
    /// What is no record, is of another form, or was changed.
    pub fn from_bytes(kept: &[u8]) -> Result<Self, RecordError> {
        #[derive(Deserialize)]
        struct Form {
            schema: String,
        }
        let form: Form = serde_json::from_slice(kept).map_err(RecordError::Unreadable)?;
        if form.schema != SCHEMA {
            return Err(RecordError::OtherForm(form.schema));
        }
        let record: Self = serde_json::from_slice(kept).map_err(RecordError::Unreadable)?;
        let found = record.inputs.digest();
        if found != record.digest {
            return Err(RecordError::Changed { recorded: record.digest, found });
        }
        Ok(record)
    }

    /// Decides again by the recorded inputs, and compares byte for byte.
    #[must_use]
    pub fn replay(&self) -> Replayed {
        let again = written(&decide(&self.inputs));
        if bytes(&again) == bytes(&self.decisions) { Replayed::Same } else { Replayed::Other(again) }
    }
}

impl Inputs {
    /// The inputs as they are kept.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        bytes(self)
    }

    /// SHA-256 over [`Inputs::to_bytes`], as hexadecimal digits: equal exactly when the inputs are.
    #[must_use]
    pub fn digest(&self) -> String {
        crate::seen::hex(digest(&SHA256, &self.to_bytes()).as_ref())
    }
}

fn written(decisions: &[Decision]) -> Value {
    serde_json::to_value(decisions).expect("decisions have texts as keys")
}

fn bytes(value: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(value).expect("inputs and decisions have texts as keys")
}
