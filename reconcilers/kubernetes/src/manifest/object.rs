//! From a document's value to the objects that it declares: lists expanded, each object named.

use trueup_core::facts::{Desired, Origin};
use trueup_core::object::ObjectId;

use super::compose::{Placed, Shape};
use super::fault::{Fault, Flaw};
use super::{PATHS_LIMIT, metadata, template};

/// The objects of one document. What hides one object leaves the others of a list readable.
pub(super) fn objects(file: &str, document: u32, value: Placed) -> (Vec<Desired>, Vec<Flaw>) {
    let mut objects = Vec::new();
    let mut flaws = Vec::new();
    match items(value) {
        Ok(items) => {
            for item in items {
                match object(file, document, item) {
                    Ok(object) => objects.push(object),
                    Err(flaw) => flaws.push(flaw),
                }
            }
        }
        Err(flaw) => flaws.push(flaw),
    }
    (objects, flaws)
}

/// The items of a list, or the one object. For `kubectl` everything with `items` is a list, whatever its kind.
fn items(value: Placed) -> Result<Vec<Placed>, Flaw> {
    let is_list = value.entry("items").is_some();
    if !is_list {
        return Ok(vec![value]);
    }
    let kind = required(&value, "kind")?;
    let version = value.entry("apiVersion").cloned();
    let Shape::Map(mut entries) = value.shape else { return Ok(Vec::new()) };
    let Some(list) = entries.remove("items") else { return Ok(Vec::new()) };
    match list.shape {
        Shape::List(items) => Ok(items.into_iter().map(|item| with_list_type(item, &kind, version.as_ref())).collect()),
        _ if list.is_null() => Ok(Vec::new()),
        _ => Err(Flaw::at(list.position, Fault::NotAnObject { reason: "`items` is not a list".to_owned() })),
    }
}

/// The items of a typed list (`ConfigMapList`) may leave out what the list's type says; `kubectl` fills it in.
fn with_list_type(mut item: Placed, list_kind: &str, version: Option<&Placed>) -> Placed {
    let position = item.position;
    let kind = list_kind.strip_suffix("List").unwrap_or(list_kind);
    if let Shape::Map(entries) = &mut item.shape
        && !kind.is_empty()
        && entries.get("kind").is_none()
        && entries.get("apiVersion").is_none()
    {
        entries.insert("kind", Placed { position, shape: Shape::Leaf(kind.into()) });
        if let Some(version) = version {
            entries.insert("apiVersion", version.clone());
        }
    }
    item
}

fn object(file: &str, document: u32, value: Placed) -> Result<Desired, Flaw> {
    let id = identify(&value)?;
    if value.entry("items").is_some_and(|items| matches!(items.shape, Shape::List(_))) {
        return Err(Flaw::at(value.position, Fault::NestedList));
    }
    if let Some(position) = template::find_in_values(&id.kind, &value) {
        return Err(Flaw::at(position, Fault::UnrenderedTemplate { detail: id.to_string() }));
    }
    metadata::check(&id.to_string(), value.entry("metadata"))?;
    let Placed { position, .. } = value;
    if value.paths_length(0) > PATHS_LIMIT {
        return Err(Flaw::at(position, Fault::LongPaths { object: id.to_string(), limit: PATHS_LIMIT }));
    }
    let origin = Origin { file: file.to_owned(), line: position.line, column: position.column, document };
    let (value, positions) = value.into_value();
    Ok(Desired { id, value, origin, positions })
}

fn identify(value: &Placed) -> Result<ObjectId, Flaw> {
    if !matches!(value.shape, Shape::Map(_)) {
        return Err(Flaw::at(value.position, Fault::NotAnObject { reason: "it is not a mapping".to_owned() }));
    }
    let api_version = required(value, "apiVersion")?;
    if api_version.matches('/').count() > 1 {
        let reason = format!("its `apiVersion` `{api_version}` is not `group/version`");
        return Err(Flaw::at(value.position, Fault::NotAnObject { reason }));
    }
    let kind = required(value, "kind")?;
    let metadata = value.entry("metadata");
    let name = name(value, &kind, metadata)?;
    let namespace = match metadata.and_then(|metadata| metadata.entry("namespace")) {
        Some(namespace) if !namespace.is_null() => match namespace.text() {
            Some("") => None,
            Some(text) => Some(rendered(text, namespace)?),
            None => {
                return Err(Flaw::at(namespace.position, Fault::NamespaceIsNotText { object: format!("{kind} {name}") }));
            }
        },
        _ => None,
    };
    Ok(ObjectId { api_version, kind, namespace, name })
}

fn name(value: &Placed, kind: &str, metadata: Option<&Placed>) -> Result<String, Flaw> {
    let object = kind.to_owned();
    let found = metadata.and_then(|metadata| metadata.entry("name"));
    let generated = metadata.and_then(|metadata| metadata.entry("generateName")).and_then(Placed::text);
    match found {
        Some(name) => match name.text() {
            Some("") => Err(Flaw::at(name.position, Fault::NoName { object, detail: "it is empty".to_owned() })),
            Some(text) => rendered(text, name),
            None => Err(Flaw::at(name.position, Fault::NoName { object, detail: "it is not text".to_owned() })),
        },
        None if generated.is_some_and(|prefix| !prefix.is_empty()) => {
            Err(Flaw::at(value.position, Fault::GenerateName { object }))
        }
        None => Err(Flaw::at(value.position, Fault::NoName { object, detail: String::new() })),
    }
}

fn required(value: &Placed, key: &str) -> Result<String, Flaw> {
    let not_an_object = |position, reason| Flaw::at(position, Fault::NotAnObject { reason });
    match value.entry(key) {
        None => Err(not_an_object(value.position, format!("it has no `{key}`"))),
        Some(found) => match found.text() {
            Some("") => Err(not_an_object(found.position, format!("its `{key}` is empty"))),
            Some(text) => rendered(text, found),
            None => Err(not_an_object(found.position, format!("its `{key}` is not text"))),
        },
    }
}

/// No name of Kubernetes contains braces.
fn rendered(text: &str, place: &Placed) -> Result<String, Flaw> {
    if text.contains("{{") {
        return Err(Flaw::at(place.position, Fault::UnrenderedTemplate { detail: String::new() }));
    }
    Ok(text.to_owned())
}
