//! One structural schema: what the server drops, and what it adds.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Map, Value};
use trueup_core::shape::{Merge, Shape, Types};

use super::entries;
use crate::table::METADATA;

/// As much of `JSONSchemaProps` as decides how a value is kept and compared.
#[derive(Debug, Clone, PartialEq, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[expect(clippy::struct_excessive_bools, reason = "they are those of the schema")]
pub(super) struct Structural {
    properties: BTreeMap<String, Structural>,
    additional_properties: Option<Additional>,
    items: Option<Box<Structural>>,
    default: Option<Value>,
    nullable: bool,
    #[serde(rename = "type")]
    kind: Option<String>,
    format: Option<String>,
    #[serde(rename = "x-kubernetes-preserve-unknown-fields")]
    preserves_unknown_fields: bool,
    #[serde(rename = "x-kubernetes-embedded-resource")]
    is_embedded_resource: bool,
    #[serde(rename = "x-kubernetes-int-or-string")]
    is_int_or_string: bool,
    #[serde(rename = "x-kubernetes-list-type")]
    list_type: Option<String>,
    #[serde(rename = "x-kubernetes-list-map-keys")]
    list_map_keys: Vec<String>,
}

/// What may stand beside the properties.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(untagged)]
enum Additional {
    Any(bool),
    Each(Box<Structural>),
}

impl Structural {
    /// Reads an `openAPIV3Schema`; `None` for what is none.
    pub(super) fn read(schema: &Value) -> Option<Self> {
        Self::deserialize(schema).ok()
    }

    /// The value as the server keeps it (`apiextensions-apiserver/pkg/apiserver/schema`: pruning, then defaulting).
    pub(super) fn admitted(&self, value: &Value) -> Value {
        match value {
            Value::Object(fields) => Value::Object(self.admitted_fields(fields)),
            Value::Array(items) => match &self.items {
                Some(schema) => items.iter().map(|item| schema.admitted_or_default(item)).collect(),
                None => value.clone(),
            },
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value.clone(),
        }
    }

    fn admitted_or_default(&self, value: &Value) -> Value {
        match (value, &self.default) {
            (Value::Null, Some(default)) if !self.nullable => self.admitted(default),
            _ => self.admitted(value),
        }
    }

    fn admitted_fields(&self, fields: &Map<String, Value>) -> Map<String, Value> {
        let takes_null = |key: &str| match (self.properties.get(key), &self.additional_properties) {
            (Some(schema), _) => schema.nullable,
            (None, Some(Additional::Each(schema))) => schema.nullable || schema.default.is_some(),
            (None, Some(Additional::Any(_)) | None) => true,
        };
        let mut kept = Map::new();
        for (key, value) in entries(fields, takes_null) {
            let value = match (self.properties.get(key), &self.additional_properties) {
                _ if self.is_embedded_resource && ["apiVersion", "kind", "metadata"].contains(&key.as_str()) => value.clone(),
                (Some(schema), _) => schema.admitted(value),
                (None, Some(Additional::Each(schema))) => schema.admitted_or_default(value),
                (None, Some(Additional::Any(true))) => value.clone(),
                (None, Some(Additional::Any(false)) | None) if self.preserves_unknown_fields => value.clone(),
                (None, Some(Additional::Any(false)) | None) => continue,
            };
            kept.insert(key.clone(), value);
        }
        for (key, schema) in &self.properties {
            if let (Some(default), None) = (&schema.default, kept.get(key)) {
                kept.insert(key.clone(), schema.admitted(default));
            }
        }
        kept
    }

    /// The shape of a value of this schema; the types that it names are added under `name`.
    fn shape(&self, name: &str, types: &mut Types) -> Shape {
        if self.is_int_or_string {
            return Shape::IntOrString;
        }
        if self.is_duration() {
            return Shape::Duration;
        }
        if let Some(items) = &self.items {
            let merge = match self.list_type.as_deref() {
                Some("map") => Merge::Keyed(self.list_map_keys.clone()),
                Some("set") => Merge::Set,
                _ => Merge::Atomic,
            };
            let item = Box::new(items.shape(&format!("{name}[]"), types));
            return Shape::Verbatim(Box::new(Shape::List { item, merge }));
        }
        if let Some(Additional::Each(schema)) = &self.additional_properties {
            let values = schema.shape(&format!("{name}{{}}"), types);
            return Shape::Verbatim(Box::new(Shape::Map(Box::new(values))));
        }
        if self.properties.is_empty() && !self.is_embedded_resource {
            return Shape::Any;
        }
        let mut fields = self.add_fields(name, types);
        if self.is_embedded_resource {
            fields.insert("metadata".to_owned(), Shape::Object(METADATA.to_owned()));
        }
        types.0.insert(name.to_owned(), fields);
        Shape::Object(name.to_owned())
    }

    /// The server refuses what `time.ParseDuration` does not read, but for words as `1 day`, which are compared by letter.
    fn is_duration(&self) -> bool {
        self.kind.as_deref() == Some("string") && self.format.as_deref() == Some("duration")
    }

    /// The shapes of an object's fields.
    pub(super) fn add_fields(&self, name: &str, types: &mut Types) -> BTreeMap<String, Shape> {
        let shape = |(key, schema): (&String, &Self)| (key.clone(), schema.shape(&format!("{name}.{key}"), types));
        self.properties.iter().map(shape).collect()
    }
}
