//! What the server itself says about its kinds: its `OpenAPI` document, read here once more and independently of trueup.

use std::collections::BTreeMap;

use serde_json::Value;

use super::api::{Api, list, text};

/// The server's definitions.
pub struct Schemas {
    definitions: Value,
    roots: BTreeMap<(String, String), String>,
}

/// How the entries of two lists find each other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Keys {
    /// Not at all: the list is one value.
    Whole,
    /// By value; the order means nothing.
    Set,
    /// By these fields.
    By(Vec<String>),
}

impl Schemas {
    pub fn read(api: &Api) -> Self {
        let definitions = api.get("/openapi/v2").body["definitions"].take();
        let mut roots = BTreeMap::new();
        for (name, schema) in definitions.as_object().unwrap() {
            for kind in list(&schema["x-kubernetes-group-version-kind"]) {
                let (group, version) = (text(&kind["group"]), text(&kind["version"]));
                let api_version = if group.is_empty() { version } else { format!("{group}/{version}") };
                roots.insert((api_version, text(&kind["kind"])), name.clone());
            }
        }
        Self { definitions, roots }
    }

    /// The schema of an object's kind.
    pub fn root(&self, object: &Value) -> Option<&Value> {
        self.definitions.get(self.roots.get(&(text(&object["apiVersion"]), text(&object["kind"])))?)
    }

    pub fn field<'a>(&'a self, schema: Option<&'a Value>, key: &str) -> Option<&'a Value> {
        let schema = self.resolved(schema?);
        schema["properties"].get(key).or_else(|| schema.get("additionalProperties").filter(|inner| inner.is_object()))
    }

    pub fn item<'a>(&'a self, schema: Option<&'a Value>) -> Option<&'a Value> {
        self.resolved(schema?).get("items")
    }

    /// The named fields of an object, each with its schema.
    pub fn fields<'a>(&'a self, schema: Option<&'a Value>) -> Vec<(&'a String, &'a Value)> {
        let fields = schema.and_then(|schema| self.resolved(schema)["properties"].as_object());
        fields.map(|fields| fields.iter().collect()).unwrap_or_default()
    }

    pub fn resolved<'a>(&'a self, schema: &'a Value) -> &'a Value {
        match schema["$ref"].as_str().and_then(|reference| reference.strip_prefix("#/definitions/")) {
            Some(name) => &self.definitions[name],
            None => schema,
        }
    }
}

/// `x-kubernetes-list-type` and `-map-keys`; older types have a merge key for patches alone.
pub fn keys(schema: Option<&Value>) -> Keys {
    let Some(schema) = schema else { return Keys::Whole };
    let names = list(&schema["x-kubernetes-list-map-keys"]).iter().map(text).collect::<Vec<_>>();
    match schema["x-kubernetes-patch-merge-key"].as_str() {
        _ if !names.is_empty() => Keys::By(names),
        _ if schema["x-kubernetes-list-type"] == "set" => Keys::Set,
        Some(_) if schema["x-kubernetes-list-type"] == "atomic" => Keys::Whole,
        Some(name) => Keys::By(vec![name.to_owned()]),
        None => Keys::Whole,
    }
}

/// Whether a value is a `resource.Quantity`.
pub fn is_quantity(schema: Option<&Value>) -> bool {
    schema.and_then(|schema| schema["$ref"].as_str()).is_some_and(|name| name.ends_with(".Quantity"))
}
