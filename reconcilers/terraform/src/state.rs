//! Terraform's state format, version 4: read as a stream, so that a state of any size costs no more memory than its outputs.
//!
//! It fails closed: whatever is not a whole, plain state of version 4 is an error with its own name, never an empty state.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::io::{self, BufRead, BufReader, Read};

use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Serialize};
use serde_json::error::Category;
use serde_json::value::RawValue;

use crate::secret::Secret;
use crate::value::{ExactValue, ValueError};

/// What trueup reads of a state.
#[derive(Debug, Clone, PartialEq)]
pub struct State {
    /// The state's path or URL as reports name it, without credentials.
    pub location: String,
    /// The program that wrote it.
    pub terraform_version: String,
    /// Counts the states of one lineage.
    pub serial: u64,
    /// Names the state through all its serials.
    pub lineage: String,
    /// The root module's outputs by name.
    pub outputs: BTreeMap<String, Output>,
}

/// One state of many: what is kept of it to know its successors by.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Edition {
    /// Its lineage.
    pub lineage: String,
    /// Its serial.
    pub serial: u64,
}

/// One output of the root module.
#[derive(Debug, Clone, PartialEq)]
pub struct Output {
    /// Its value.
    pub value: OutputValue,
    /// Its type as Terraform writes it: `"string"`, `["tuple", ["string"]]`.
    pub declared_type: serde_json::Value,
}

/// An output's value, or one that its author called sensitive.
#[derive(Debug, Clone, PartialEq)]
pub enum OutputValue {
    /// May be shown.
    Open(ExactValue),
    /// `sensitive = true`.
    Sensitive(Secret<ExactValue>),
}

impl State {
    /// What is kept of this state to know its successors by.
    #[must_use]
    pub fn edition(&self) -> Edition {
        Edition { lineage: self.lineage.clone(), serial: self.serial }
    }

    /// Refuses a state that cannot come after the one of the last look: its findings would be about the past.
    ///
    /// # Errors
    /// Where the lineage is another, or the serial went back.
    pub fn refuse_before(&self, last: &Edition) -> Result<(), StateError> {
        if self.lineage != last.lineage {
            return Err(StateError::OtherLineage { before: last.lineage.clone(), now: self.lineage.clone() });
        }
        if self.serial < last.serial {
            return Err(StateError::SerialWentBack { before: last.serial, now: self.serial });
        }
        Ok(())
    }
}

impl OutputValue {
    /// The value, to compare it; a sensitive one must not be shown.
    #[must_use]
    pub fn expose(&self) -> &ExactValue {
        match self {
            Self::Open(value) => value,
            Self::Sensitive(secret) => secret.expose(),
        }
    }
}

/// Why a document is not a state that can be judged.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// The bytes did not come.
    #[error("reading the state broke off: {0}; read it again")]
    Read(#[source] io::Error),
    /// No bytes.
    #[error("the state is empty: no `terraform apply` has written it yet, or a write was lost")]
    Empty,
    /// The document stops in its midst.
    #[error("the state is cut off at line {line}, column {column}: read it again, or restore a backup")]
    Truncated {
        /// Where it stops.
        line: usize,
        /// Where it stops.
        column: usize,
    },
    /// Not JSON.
    #[error("the state is not JSON ({0}); give the state itself, as `terraform state pull` prints it")]
    NotJson(#[source] serde_json::Error),
    /// JSON, with a field of another type than Terraform's.
    #[error("a field is not as Terraform writes it ({0}); give the state itself, as `terraform state pull` prints it")]
    Malformed(#[source] serde_json::Error),
    /// Bytes behind the document.
    #[error("the state has bytes behind its end, at line {line}, column {column}: two writers met; restore a backup")]
    TrailingBytes {
        /// Where they begin.
        line: usize,
        /// Where they begin.
        column: usize,
    },
    /// By `OpenTofu`.
    #[error("the state is encrypted (`encrypted_data`): trueup holds no keys; give a state written without `encryption`")]
    Encrypted,
    /// `terraform plan -out`.
    #[error("this is a saved plan, not a state; give the state, as `terraform state pull` prints it")]
    PlanFile,
    /// `terraform show -json PLAN`.
    #[error("this is a plan as `terraform show -json` prints it; give the state, as `terraform state pull` prints it")]
    PlanJson,
    /// `terraform show -json`.
    #[error("this is a state as `terraform show -json` prints it, without serial; give what `terraform state pull` prints")]
    ShowJson,
    /// `terraform apply -json`.
    #[error("this is the log of a `terraform` command with `-json`; give the state, as `terraform state pull` prints it")]
    Log,
    /// Some other JSON document.
    #[error("this is not a state, it has no `version`; `terraform state pull` prints one, `terraform output -json` does not")]
    NotAState,
    /// Written by Terraform 0.11 or older.
    #[error("the state has version {0}, trueup reads version 4; `terraform apply` of a current Terraform upgrades it")]
    OlderVersion(u64),
    /// Written by a Terraform that is not yet.
    #[error("the state has version {0}, trueup reads version 4; install a trueup that knows it")]
    NewerVersion(u64),
    /// Which of the two counts is anybody's guess.
    #[error("`{0}` stands twice in the state; restore a backup")]
    DuplicateKey(String),
    /// One output twice.
    #[error("the output `{0}` stands twice in the state; restore a backup")]
    DuplicateOutput(String),
    /// A field without which a finding would mean nothing.
    #[error("the state has no `{0}`, which Terraform always writes; restore a backup")]
    Missing(&'static str),
    /// Another state in its place.
    #[error("the state's lineage was `{before}` and is `{now}`: another state took its place; rename the target, if it should")]
    OtherLineage {
        /// At the last look.
        before: String,
        /// At this one.
        now: String,
    },
    /// An old state put back.
    #[error("the state's serial went back from {before} to {now}: an old state was put back; apply, or push the newer one")]
    SerialWentBack {
        /// At the last look.
        before: u64,
        /// At this one.
        now: u64,
    },
    /// One output's value.
    #[error("the output `{output}` cannot be read: {source}")]
    Output {
        /// Its name.
        output: String,
        /// Why.
        source: ValueError,
    },
}

const VERSION: u64 = 4;
const BUFFER: usize = 64 * 1024;

/// Every zip archive, and so every saved plan, starts like this.
const ZIP: &[u8] = b"PK\x03\x04";

/// Reads a state of version 4 to its last byte.
///
/// # Errors
/// Whatever is not one, whole and plain.
pub fn read(location: &str, from: impl Read) -> Result<State, StateError> {
    let mut from = BufReader::with_capacity(BUFFER, from);
    let head = from.fill_buf().map_err(StateError::Read)?;
    if head.is_empty() {
        return Err(StateError::Empty);
    }
    if head.starts_with(ZIP) {
        return Err(StateError::PlanFile);
    }
    let mut stream = serde_json::Deserializer::from_reader(from);
    let document = Document::deserialize(&mut stream).map_err(broken)?;
    document.refuse_relatives()?;
    stream.end().map_err(trailing)?;
    document.into_state(location)
}

fn broken(error: serde_json::Error) -> StateError {
    match error.classify() {
        Category::Io => StateError::Read(error.into()),
        Category::Eof => StateError::Truncated { line: error.line(), column: error.column() },
        Category::Syntax => StateError::NotJson(error),
        Category::Data => StateError::Malformed(error),
    }
}

fn trailing(error: serde_json::Error) -> StateError {
    match error.classify() {
        Category::Io => StateError::Read(error.into()),
        Category::Eof | Category::Syntax | Category::Data => {
            StateError::TrailingBytes { line: error.line(), column: error.column() }
        }
    }
}

/// The document's facts, before anything is made of them: the order of its keys is not promised.
#[derive(Default)]
struct Document {
    version: Option<u64>,
    terraform_version: Option<String>,
    serial: Option<u64>,
    lineage: Option<String>,
    outputs: Option<Outputs>,
    keys: BTreeSet<String>,
    twin: Option<String>,
}

impl Document {
    /// Tells apart the documents that people take for a state.
    fn refuse_relatives(&self) -> Result<(), StateError> {
        let has = |key: &str| self.keys.contains(key);
        if has("encrypted_data") {
            return Err(StateError::Encrypted);
        }
        if has("@level") {
            return Err(StateError::Log);
        }
        if has("format_version") {
            // `values` is what a state has and a plan has not; a plan calls its own `planned_values`.
            return Err(if has("values") || self.keys.len() <= 2 { StateError::ShowJson } else { StateError::PlanJson });
        }
        match self.version {
            None => Err(StateError::NotAState),
            Some(version) if version < VERSION => Err(StateError::OlderVersion(version)),
            Some(version) if version > VERSION => Err(StateError::NewerVersion(version)),
            Some(_) => Ok(()),
        }
    }

    fn into_state(self, location: &str) -> Result<State, StateError> {
        if let Some(key) = self.twin {
            return Err(StateError::DuplicateKey(key));
        }
        let mut outputs = BTreeMap::new();
        for (name, raw) in self.outputs.ok_or(StateError::Missing("outputs"))?.0 {
            match outputs.entry(name) {
                Entry::Occupied(entry) => return Err(StateError::DuplicateOutput(entry.key().clone())),
                Entry::Vacant(entry) => {
                    let output = raw.judge().map_err(|source| StateError::Output { output: entry.key().clone(), source })?;
                    entry.insert(output);
                }
            }
        }
        Ok(State {
            location: location.to_owned(),
            terraform_version: self.terraform_version.ok_or(StateError::Missing("terraform_version"))?,
            serial: self.serial.ok_or(StateError::Missing("serial"))?,
            lineage: self.lineage.filter(|lineage| !lineage.is_empty()).ok_or(StateError::Missing("lineage"))?,
            outputs,
        })
    }
}

impl<'de> Deserialize<'de> for Document {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Keys;

        impl<'de> Visitor<'de> for Keys {
            type Value = Document;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Document, A::Error> {
                let mut document = Document::default();
                while let Some(key) = map.next_key::<String>()? {
                    match key.as_str() {
                        "version" => document.version = Some(map.next_value()?),
                        "terraform_version" => document.terraform_version = Some(map.next_value()?),
                        "serial" => document.serial = Some(map.next_value()?),
                        "lineage" => document.lineage = Some(map.next_value()?),
                        "outputs" => document.outputs = Some(map.next_value()?),
                        // `resources`, nearly all of a state, passes by unkept.
                        _ => _ = map.next_value::<IgnoredAny>()?,
                    }
                    if let Some(key) = document.keys.replace(key) {
                        document.twin = Some(key);
                    }
                }
                Ok(document)
            }
        }

        deserializer.deserialize_map(Keys)
    }
}

/// The outputs as they stand, twins included.
struct Outputs(Vec<(String, RawOutput)>);

#[derive(Deserialize)]
struct RawOutput {
    value: Box<RawValue>,
    #[serde(rename = "type")]
    declared_type: serde_json::Value,
    #[serde(default)]
    sensitive: bool,
}

impl RawOutput {
    fn judge(self) -> Result<Output, ValueError> {
        let value = ExactValue::of_json(&self.value)?;
        let value = if self.sensitive { OutputValue::Sensitive(Secret::new(value)) } else { OutputValue::Open(value) };
        Ok(Output { value, declared_type: self.declared_type })
    }
}

impl<'de> Deserialize<'de> for Outputs {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Named;

        impl<'de> Visitor<'de> for Named {
            type Value = Outputs;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("outputs by name")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Outputs, A::Error> {
                let mut outputs = Vec::new();
                while let Some(output) = map.next_entry()? {
                    outputs.push(output);
                }
                Ok(Outputs(outputs))
            }
        }

        deserializer.deserialize_map(Named)
    }
}
