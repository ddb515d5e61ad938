//! One call to the server that edits an object.

use serde_json::{Value, json};

pub const JSON: &str = "application/json-patch+json";
pub const MERGE: &str = "application/merge-patch+json";
pub const STRATEGIC: &str = "application/strategic-merge-patch+json";

/// One call to the server.
#[derive(Debug, Clone)]
pub enum Call {
    Patch(&'static str, Value),
    Put(Value),
    Kubectl(Vec<String>),
    /// `kubectl edit`, with a `sed` expression for an editor; it changes nothing a second time, as kubectl opens the editor
    /// again after what the server refuses.
    Editor(String),
}

/// The ways in which a body patches an object.
const PATCHES: [&str; 3] = [JSON, MERGE, STRATEGIC];

impl Call {
    /// As one line of `kept.jsonl` has it.
    pub fn to_json(&self) -> Value {
        match self {
            Self::Patch(content_type, body) => json!({"patch": content_type, "body": body}),
            Self::Put(object) => json!({ "put": object }),
            Self::Kubectl(arguments) => json!({ "kubectl": arguments }),
            Self::Editor(expression) => json!({ "sed": expression }),
        }
    }

    pub fn from_json(value: &Value) -> Option<Self> {
        if let Some(content_type) = value["patch"].as_str() {
            let content_type = PATCHES.into_iter().find(|known| *known == content_type)?;
            return Some(Self::Patch(content_type, value["body"].clone()));
        }
        if let Some(arguments) = value["kubectl"].as_array() {
            return Some(Self::Kubectl(arguments.iter().map(|argument| argument.as_str().unwrap().to_owned()).collect()));
        }
        if let Some(expression) = value["sed"].as_str() {
            return Some(Self::Editor(expression.to_owned()));
        }
        value.get("put").map(|object| Self::Put(object.clone()))
    }
}
