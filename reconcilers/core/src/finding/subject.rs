//! What a difference is about: an object, or an output of a Terraform state.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::object::ObjectId;

/// What a difference is about.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Subject {
    /// An object of an API server or a snapshot.
    Object(ObjectId),
    /// An output of a Terraform state.
    Output(OutputId),
}

/// One output of one Terraform state at one serial.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct OutputId {
    /// The state's path or URL, without credentials.
    pub state: String,
    /// The state's serial.
    pub serial: u64,
    /// The state's lineage.
    pub lineage: String,
    /// The output's name.
    pub output: String,
    /// What a binding wants it to equal, where it is about a binding.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bound: Option<Bound>,
}

/// What an output is bound to.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Bound {
    /// A field of a manifest.
    Field {
        /// The file in the source.
        file: String,
        /// `KIND/NAMESPACE/NAME`.
        object: String,
        /// Where in the object.
        path: String,
        /// Which part of the output (RFC 6901); empty for all of it.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        part: String,
    },
    /// An output of another state.
    Output {
        /// The target of that state.
        target: String,
        /// The output's name.
        output: String,
        /// Which part of that output (RFC 6901); empty for all of it.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        pointer: String,
        /// Which part of this output (RFC 6901); empty for all of it.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        part: String,
    },
}

/// `ConfigMap/shop/checkout data.DB_HOST`, `output vpc_id of network`.
impl fmt::Display for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Field { object, path, .. } => write!(f, "{object} {path}"),
            Self::Output { target, output, pointer, .. } => write!(f, "output {output}{pointer} of {target}"),
        }
    }
}

impl Bound {
    /// Which part of the output is bound; empty for all of it.
    #[must_use]
    pub fn part(&self) -> &str {
        match self {
            Self::Field { part, .. } | Self::Output { part, .. } => part,
        }
    }
}

impl Subject {
    /// Kind, group, namespace and name as policies name them; empty where there is none.
    #[must_use]
    pub fn names(&self) -> (&str, &str, &str, &str) {
        match self {
            Self::Object(id) => (&id.kind, id.group(), id.namespace.as_deref().unwrap_or_default(), &id.name),
            Self::Output(id) => ("Output", "terraform", "", &id.output),
        }
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Object(id) => id.fmt(f),
            Self::Output(OutputId { output, bound: None, .. }) => write!(f, "output {output}"),
            Self::Output(OutputId { output, bound: Some(bound), .. }) => write!(f, "output {output}{} → {bound}", bound.part()),
        }
    }
}
