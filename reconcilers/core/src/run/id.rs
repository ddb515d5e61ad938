//! Names of runs.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Names one run: a ULID, so that ids sort by the time at which runs began.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct RunId(String);

/// Why a text is not a run's id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a run id: one is 26 characters long, like `01JD3M8Q4T7Z5V9K2W6XBCRYHN`; `trueup runs` lists them")]
pub struct RunIdError(String);

impl RunId {
    /// The ULID's text, in upper case.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Reads a ULID in either case (the alphabet is Crockford's base 32, and 128 bits leave a first digit of at most 7).
impl FromStr for RunId {
    type Err = RunIdError;

    fn from_str(text: &str) -> Result<Self, RunIdError> {
        let id = text.to_ascii_uppercase();
        let is_digit = |c: char| c.is_ascii_digit() || (c.is_ascii_uppercase() && !matches!(c, 'I' | 'L' | 'O' | 'U'));
        if id.len() == 26 && id.starts_with(|c: char| ('0'..='7').contains(&c)) && id.chars().all(is_digit) {
            Ok(Self(id))
        } else {
            Err(RunIdError(text.to_owned()))
        }
    }
}

impl TryFrom<String> for RunId {
    type Error = RunIdError;

    fn try_from(text: String) -> Result<Self, RunIdError> {
        text.parse()
    }
}

impl From<RunId> for String {
    fn from(id: RunId) -> Self {
        id.0
    }
}

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}
