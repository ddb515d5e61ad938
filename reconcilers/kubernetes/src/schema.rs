//! Custom resources without asking the server about each: what their definitions' structural schemas say of defaults, of
//! fields that are dropped, and of lists that are keyed (KEP-2332, "Specifying a structural schema").

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
#[derive(Debug, Clone, Default)]
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
pub async fn read(cluster: &Cluster, catalog: &Catalog, table: &Table, desired: &[Desired]) -> (Schemas, Vec<Problem>) {
    let custom = desired.iter().filter(|desired| !table.knows(&desired.id));
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
