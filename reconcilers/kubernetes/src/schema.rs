//! Custom resources without asking the server about each: what their definitions' structural schemas say of defaults, of
//! fields that are dropped, and of lists that are keyed (KEP-2332, "Specifying a structural schema").

use std::borrow::Borrow;
use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};
use trueup_core::facts::{Desired, Problem};
use trueup_core::object::ObjectId;
use trueup_core::shape::{Shape, Types};

use crate::cluster::Cluster;
use crate::discovery::{Catalog, Lookup, Server};
use crate::request::{Call, ask};
use crate::table::{METADATA, Table};
use structural::Structural;

mod structural;

/// The schemas of custom kinds: `monitoring.coreos.com/v1 Prometheus` → its schema.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Schemas(BTreeMap<String, Structural>);

impl Schemas {
    /// Whether no kind is known.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Takes all versions of a `CustomResourceDefinition`; one without a structural schema says nothing.
    pub fn add(&mut self, definition: &Value) {
        let spec = &definition["spec"];
        // As definitions of v1beta1 were: nothing is dropped, nothing added.
        if spec["preserveUnknownFields"] == true {
            return;
        }
        let (Some(group), Some(kind)) = (spec["group"].as_str(), spec["names"]["kind"].as_str()) else { return };
        for version in spec["versions"].as_array().into_iter().flatten() {
            let schema = version["schema"].get("openAPIV3Schema").and_then(Structural::read);
            if let (Some(name), Some(schema)) = (version["name"].as_str(), schema) {
                self.0.insert(format!("{group}/{name} {kind}"), schema);
            }
        }
    }

    /// Adds the types that these schemas name.
    pub(crate) fn add_types(&self, types: &mut Types) {
        for (kind, schema) in &self.0 {
            let fields = schema.add_fields(kind, types);
            let root = types.0.entry(kind.clone()).or_insert(fields);
            root.insert("metadata".to_owned(), Shape::Object(METADATA.to_owned()));
        }
    }

    /// The shape of a whole object, if its kind is known.
    pub(crate) fn root_shape(&self, id: &ObjectId) -> Option<Shape> {
        let kind = kind(id);
        self.0.contains_key(&kind).then_some(Shape::Object(kind))
    }

    /// What the server makes of Git's words by its schema: unknown fields dropped, defaults added.
    pub(crate) fn admitted(&self, id: &ObjectId, desired: &Value, table: &Table) -> Option<Value> {
        let mut admitted = self.0.get(&kind(id))?.admitted(desired);
        let object = admitted.as_object_mut()?;
        for field in ["apiVersion", "kind"] {
            object.extend(desired.get(field).map(|value| (field.to_owned(), value.clone())));
        }
        object.remove("metadata");
        object.extend(desired.get("metadata").and_then(|it| table.metadata(it)).map(|it| ("metadata".to_owned(), it)));
        Some(admitted)
    }
}

fn kind(id: &ObjectId) -> String {
    format!("{} {}", id.api_version, id.kind)
}

/// Reads the definitions of all custom kinds that Git declares. Where that cannot be done, the kind is judged as it is
/// written, and a note says so.
pub async fn read(
    cluster: &Cluster,
    catalog: &Catalog,
    table: &Table,
    desired: &[impl Borrow<Desired>],
) -> (Schemas, Vec<Problem>) {
    let custom = desired.iter().map(Borrow::borrow).filter(|desired| !table.knows(&desired.id));
    let names = custom.filter_map(|desired| match catalog.find(&desired.id) {
        // Every group that may be extended has a dot in its name.
        Lookup::Served(found) if found.server == Server::Local && found.group.contains('.') => Some(found.to_string()),
        Lookup::Served(_) | Lookup::NotServed(_) | Lookup::Unavailable => None,
    });
    let names: BTreeSet<String> = names.collect();
    let asked = names.iter().map(|name| async move {
        let path = format!("/apis/apiextensions.k8s.io/v1/customresourcedefinitions/{name}");
        ask::<Value>(cluster, Call::Get { path: &path }).await
    });
    let (mut schemas, mut problems) = (Schemas::default(), Vec::new());
    for (answer, name) in futures::future::join_all(asked).await.into_iter().zip(&names) {
        match answer {
            Ok(definition) => schemas.add(&definition),
            // A built-in kind of another minor than the table's.
            Err(error) if error.refusal().is_some_and(|refusal| refusal.code == 404) => {}
            Err(error) => {
                let message = format!("the schema of `{name}` cannot be read, so its defaults are not known: {error}");
                problems.push(Problem::note("no-schema", message, None));
            }
        }
    }
    (schemas, problems)
}

/// The definitions among some objects, in the order in which they are to be believed: the last one counts.
#[must_use]
pub fn among<'a>(objects: impl Iterator<Item = (&'a ObjectId, &'a Value)>) -> Schemas {
    let mut schemas = Schemas::default();
    for (id, value) in objects {
        if id.kind == "CustomResourceDefinition" && id.api_version == "apiextensions.k8s.io/v1" {
            schemas.add(value);
        }
    }
    schemas
}

/// An object's fields that are not null, or null where that is a value of its own.
fn entries(fields: &Map<String, Value>, takes_null: impl Fn(&str) -> bool) -> impl Iterator<Item = (&String, &Value)> {
    fields.iter().filter(move |(key, value)| !value.is_null() || takes_null(key))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use trueup_core::equal::same;

    fn schemas(fields: &Value) -> (Schemas, ObjectId) {
        let schema = json!({"type": "object", "properties": {"spec": {"type": "object", "properties": fields}}});
        let definition = json!({"spec": {"group": "example.com", "names": {"kind": "Gadget"},
            "versions": [{"name": "v1", "schema": {"openAPIV3Schema": schema}}]}});
        let id = |api_version: &str, kind: &str| ObjectId {
            api_version: api_version.into(),
            kind: kind.into(),
            namespace: None,
            name: "a".into(),
        };
        let of_crd = id("apiextensions.k8s.io/v1", "CustomResourceDefinition");
        (among(std::iter::once((&of_crd, &definition))), id("example.com/v1", "Gadget"))
    }

    #[test]
    fn defaults_reach_into_what_is_there_and_into_defaults() {
        let mode = json!({"type": "string", "default": "fast"});
        let deep = json!({"type": "object", "default": {}, "properties": {"mode": mode, "other": {"type": "object", "properties": {"mode": mode}}}});
        let (schemas, id) = schemas(&json!({"deep": deep, "size": {"type": "integer"}}));
        let admitted = |spec: Value| {
            let desired =
                json!({"apiVersion": "example.com/v1", "kind": "Gadget", "metadata": {"name": "a", "labels": {}}, "spec": spec});
            schemas.admitted(&id, &desired, Table::load()).expect("known")
        };
        let whole = admitted(json!({"typo": 1, "size": null}));
        assert_eq!(whole["spec"], json!({"deep": {"mode": "fast"}}));
        assert_eq!(whole["metadata"], json!({"name": "a"}));
        assert_eq!(
            admitted(json!({"deep": {"mode": null, "other": {}}}))["spec"]["deep"],
            json!({"mode": "fast", "other": {"mode": "fast"}})
        );
        assert!(schemas.admitted(&ObjectId { kind: "Widget".into(), ..id.clone() }, &whole, Table::load()).is_none());
    }

    #[test]
    fn a_duration_is_what_its_definition_calls_one() {
        let text = |format: Option<&str>| json!({"type": "string", "format": format});
        let (schemas, id) = schemas(&json!({"every": text(Some("duration")), "note": text(None)}));
        let mut types = Types::default();
        schemas.add_types(&mut types);
        let shape = schemas.root_shape(&id).expect("known");
        let same = |field: &str, a: &str, b: &str| {
            same(&types, &shape, Some(&json!({"spec": {field: a}})), Some(&json!({"spec": {field: b}})))
        };
        assert!(same("every", "90s", "1m30s") && same("every", "1.5h", "90m"));
        assert!(!same("every", "90s", "91s") && !same("every", "1 day", "24h"));
        assert!(!same("note", "90s", "1m30s"), "only a text");
    }

    #[test]
    fn an_empty_list_of_a_custom_resource_is_not_none() {
        let item = json!({"type": "object", "properties": {"name": {"type": "string"}}});
        let list = |kind: &str| json!({"type": "array", "items": item, "x-kubernetes-list-type": kind, "x-kubernetes-list-map-keys": ["name"]});
        let (schemas, id) = schemas(&json!({"keyed": list("map"), "whole": list("atomic"), "any": {"type": "object",
            "additionalProperties": {"type": "string"}}}));
        let mut types = Types::default();
        schemas.add_types(&mut types);
        let shape = schemas.root_shape(&id).expect("known");
        let same = |a: Value, b: Value| same(&types, &shape, Some(&json!({"spec": a})), Some(&json!({"spec": b})));
        let pair = |a: &str, b: &str| json!([{"name": a}, {"name": b}]);
        assert!(same(json!({"keyed": pair("a", "b")}), json!({"keyed": pair("b", "a")})));
        assert!(!same(json!({"whole": pair("a", "b")}), json!({"whole": pair("b", "a")})));
        for field in ["keyed", "whole", "any"] {
            let empty = if field == "any" { json!({}) } else { json!([]) };
            assert!(!same(json!({field: empty}), json!({})), "{field}");
        }
    }
}
