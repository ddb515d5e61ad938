//! The table of defaults: what the API server adds to a manifest of a built-in kind, so that an object can be judged without
//! asking a server.
//!
//! `scripts/defaults` makes it from the answers of a real control plane without webhooks, one file for a minor version of
//! Kubernetes. Defaults are kept by type, so that a container's hold in every workload. What depends on one cluster is not
//! in it: webhooks, the default storage class, priority classes, limit ranges, allocated addresses and ports.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use serde::Deserialize;
use serde_json::Value;
use trueup_core::object::ObjectId;
use trueup_core::path::{Path, Segment};
use trueup_core::shape::{Merge, Shape, Types};

use crate::discovery::Scope;
use rule::Rule;

pub mod rule;
mod image;
mod place;
mod alias;
mod said;
mod completed;

/// The type of every object's metadata.
pub(crate) const METADATA: &str = "meta.v1.ObjectMeta";

/// What is known of the built-in kinds of one minor version of Kubernetes.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Table {
    /// `1.36`
    kubernetes: String,
    /// `apps/v1 Deployment` → its type and scope.
    kinds: BTreeMap<String, Kind>,
    types: Types,
    /// Type → the fields whose zero value (`""`, `0`, `false`, `{}`) the server does not tell from none.
    zeros: BTreeMap<String, BTreeSet<String>>,
    /// Type → its rules, in order.
    defaults: BTreeMap<String, Vec<Rule>>,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Kind {
    #[serde(rename = "type")]
    type_name: String,
    #[serde(with = "ScopeText")]
    scope: Scope,
}

/// How the table writes a scope.
#[derive(Deserialize)]
#[serde(remote = "Scope", rename_all = "kebab-case")]
enum ScopeText {
    Namespaced,
    Cluster,
}

/// The tables that are part of the program, the newest first.
static TABLES: [LazyLock<Table>; 3] = [
    LazyLock::new(|| Table::parse(include_str!("../data/1.36.json"))),
    LazyLock::new(|| Table::parse(include_str!("../data/1.35.json"))),
    LazyLock::new(|| Table::parse(include_str!("../data/1.34.json"))),
];

/// Their minor versions, in the same order, so that no other table is read than the one that is asked for.
const MINORS: [u32; 3] = [36, 35, 34];

/// Lists whose order the API keeps and nobody means: type and field.
const WITHOUT_ORDER: [(&str, &str); 5] = [
    ("autoscaling.v2.HorizontalPodAutoscalerSpec", "metrics"),
    ("core.v1.EndpointSubset", "addresses"),
    ("core.v1.EndpointSubset", "notReadyAddresses"),
    ("core.v1.EndpointSubset", "ports"),
    ("core.v1.Endpoints", "subsets"),
];

/// The table with lists as sets where OpenAPI does not say so.
fn without_order(mut table: Table) -> Table {
    for (name, field) in WITHOUT_ORDER {
        if let Some(Shape::List { merge, .. }) = table.types.0.get_mut(name).and_then(|fields| fields.get_mut(field)) {
            *merge = Merge::Set;
        }
    }
    table
}

impl Table {
    fn parse(text: &str) -> Self {
        without_order(serde_json::from_str(text).expect("the table is part of the program, and a test reads it"))
    }

    /// The newest table.
    #[must_use]
    pub fn load() -> &'static Self {
        &TABLES[0]
    }

    /// The table for a server of this version (`v1.35.4`): that of its minor, else the nearest one.
    #[must_use]
    pub fn nearest(server_version: &str) -> &'static Self {
        let distance = |index: &usize| minor(server_version).unwrap_or(MINORS[0]).abs_diff(MINORS[*index]);
        &TABLES[(0..TABLES.len()).min_by_key(distance).unwrap_or_default()]
    }

    /// Whether the table was made from this very minor.
    #[must_use]
    pub fn is_of(&self, server_version: &str) -> bool {
        minor(server_version).is_some_and(|minor| self.kubernetes == format!("1.{minor}"))
    }

    /// The minor version of Kubernetes that the table was made from: `1.36`.
    #[must_use]
    pub fn kubernetes(&self) -> &str {
        &self.kubernetes
    }

    /// The types of all built-in kinds.
    #[must_use]
    pub fn types(&self) -> &Types {
        &self.types
    }

    /// Whether the object is of a built-in kind in a version that is served.
    #[must_use]
    pub fn knows(&self, id: &ObjectId) -> bool {
        self.kind(id).is_some()
    }

    /// The shape of a whole object; [`Shape::Any`] for a kind that is not built in.
    #[must_use]
    pub fn root_shape(&self, id: &ObjectId) -> Shape {
        self.kind(id).map_or(Shape::Any, |kind| Shape::Object(kind.type_name.clone()))
    }

    /// Whether objects of this kind live in namespaces; `None` for a kind that is not built in.
    #[must_use]
    pub fn scope(&self, id: &ObjectId) -> Option<Scope> {
        self.kind(id).map(|kind| kind.scope)
    }

    /// What the server makes of Git's words alone: unknown fields, nulls and meaningless zero values dropped, defaults
    /// added. An object of a kind that is not built in stays as it is.
    #[must_use]
    pub fn expected(&self, id: &ObjectId, desired: &Value) -> Value {
        let shape = self.root_shape(id);
        match self.said(&shape, desired) {
            Some(said) => self.completed(&shape, said, None, None),
            None => desired.clone(),
        }
    }

    /// The fields in a manifest that its kind does not have; none for a kind that is not built in.
    #[must_use]
    pub fn unknown_fields(&self, id: &ObjectId, desired: &Value) -> Vec<Path> {
        let mut unknown = Vec::new();
        self.collect_unknown(&self.root_shape(id), desired, &mut unknown);
        let path = |segments: Vec<Segment>| Path(segments.into_iter().rev().collect());
        unknown.into_iter().map(path).collect()
    }

    /// Their segments, the last one first: most objects have none, and then no path is made.
    fn collect_unknown(&self, shape: &Shape, value: &Value, unknown: &mut Vec<Vec<Segment>>) {
        match (shape, value) {
            (Shape::Object(name), Value::Object(fields)) => {
                let known = self.types.0.get(name);
                for (field, value) in fields {
                    match known.and_then(|known| known.get(field)) {
                        Some(shape) => self.unknown_below((shape, value), unknown, || Segment::Key(field.clone())),
                        None => unknown.push(vec![Segment::Key(field.clone())]),
                    }
                }
            }
            (Shape::Map(inner), Value::Object(entries)) => {
                for (key, value) in entries {
                    self.unknown_below((inner, value), unknown, || Segment::Key(key.clone()));
                }
            }
            (Shape::List { item, .. }, Value::Array(entries)) => {
                for (index, value) in entries.iter().enumerate() {
                    self.unknown_below((item, value), unknown, || Segment::Index(index));
                }
            }
            _ => {}
        }
    }

    fn unknown_below(&self, (shape, value): (&Shape, &Value), unknown: &mut Vec<Vec<Segment>>, segment: impl Fn() -> Segment) {
        let before = unknown.len();
        self.collect_unknown(shape, value, unknown);
        unknown[before..].iter_mut().for_each(|path| path.push(segment()));
    }

    /// An object's metadata as the server keeps it, of whatever kind the object is.
    pub(crate) fn metadata(&self, metadata: &Value) -> Option<Value> {
        self.said(&Shape::Object(METADATA.to_owned()), metadata).map(Cow::into_owned)
    }

    /// An object of which nothing but its metadata is known: the rest, and metadata of unknown names, stay as they are.
    pub(crate) fn with_metadata(&self, desired: &Value) -> Value {
        let mut value = desired.clone();
        if let Some(metadata) = value.get_mut("metadata").and_then(Value::as_object_mut)
            && let Some(Value::Object(said)) = desired.get("metadata").and_then(|metadata| self.metadata(metadata))
        {
            metadata.retain(|field, _| !self.types.0.get(METADATA).is_some_and(|known| known.contains_key(field)));
            metadata.extend(said);
        }
        value
    }

    fn kind(&self, id: &ObjectId) -> Option<&Kind> {
        self.kinds.get(&format!("{} {}", id.api_version, id.kind))
    }
}

/// The minor of `v1.35.4-gke.100`.
fn minor(server_version: &str) -> Option<u32> {
    let text = server_version.strip_prefix("v1.")?;
    text[..text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len())].parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn id(api_version: &str, kind: &str) -> ObjectId {
        ObjectId { api_version: api_version.into(), kind: kind.into(), namespace: None, name: "a".into() }
    }

    /// The types that a shape names.
    fn named(shape: &Shape) -> Option<&str> {
        match shape {
            Shape::Object(name) => Some(name),
            Shape::Map(inner) | Shape::List { item: inner, .. } | Shape::Verbatim(inner) => named(inner),
            Shape::Any | Shape::Quantity | Shape::IntOrString | Shape::Duration | Shape::Time | Shape::MicroTime => None,
        }
    }

    #[test]
    fn each_server_has_the_nearest_table() {
        for (version, kubernetes) in [
            ("v1.36.3", "1.36"),
            ("v1.35.4-gke.100", "1.35"),
            ("v1.34.0+k3s1", "1.34"),
            ("v1.33.9", "1.34"),
            ("v1.30", "1.34"),
            ("v1.40.0", "1.36"),
            ("odd", "1.36"),
        ] {
            let table = Table::nearest(version);
            assert_eq!(table.kubernetes(), kubernetes, "{version}");
            assert_eq!(table.is_of(version), version.starts_with(&format!("v{kubernetes}.")), "{version}");
        }
    }

    #[test]
    fn every_name_leads_somewhere() {
        for table in &TABLES {
            leads_somewhere(table);
        }
    }

    fn leads_somewhere(table: &Table) {
        let shapes = table.types.0.values().flat_map(BTreeMap::values).filter_map(named);
        let kinds = table.kinds.values().map(|kind| kind.type_name.as_str());
        for name in shapes.chain(kinds) {
            assert!(table.types.0.contains_key(name), "{name}");
        }
        let ruled = table.defaults.iter().flat_map(|(name, rules)| rules.iter().map(move |rule| (name, &rule.field)));
        let zeros = table.zeros.iter().flat_map(|(name, fields)| fields.iter().map(move |field| (name, field)));
        for (name, field) in ruled.chain(zeros) {
            assert!(table.types.0[name].contains_key(field), "{name}.{field}");
        }
    }

    #[test]
    fn kinds_and_scopes() {
        let table = Table::load();
        assert_eq!(table.kubernetes(), "1.36");
        assert_eq!(table.scope(&id("apps/v1", "Deployment")), Some(Scope::Namespaced));
        assert_eq!(table.scope(&id("v1", "Namespace")), Some(Scope::Cluster));
        assert_eq!(table.root_shape(&id("v1", "Pod")), Shape::Object("core.v1.Pod".into()));
        assert!(!table.knows(&id("apps/v1beta1", "Deployment")));
        assert_eq!(table.root_shape(&id("example.com/v1", "Widget")), Shape::Any);
    }

    #[test]
    fn other_kinds_stay_as_they_are() {
        let widget = json!({"apiVersion": "example.com/v1", "kind": "Widget", "spec": {"empty": {}, "zero": 0}});
        assert_eq!(Table::load().expected(&id("example.com/v1", "Widget"), &widget), widget);
    }

    #[test]
    fn nulls_zeros_and_unknown_fields_are_no_words() {
        let service = json!({"spec": {"clusterIP": null, "externalName": "", "typo": 1, "selector": {}, "type": "ClusterIP",
            "ports": [{"port": 80, "nodePort": 0, "protocol": null}]}});
        let expected = Table::load().expected(&id("v1", "Service"), &service);
        assert_eq!(expected["spec"]["ports"], json!([{"port": 80, "targetPort": 80, "protocol": "TCP"}]));
        for absent in ["clusterIP", "externalName", "typo", "selector"] {
            assert_eq!(expected["spec"].get(absent), None, "{absent}");
        }
    }
}
