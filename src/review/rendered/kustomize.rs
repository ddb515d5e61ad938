//! Places of a kustomization that may set a value: the overlay's own first, then what it is made of.

use std::fs;

use serde_json::Value;
use trueup_core::path::Segment;
use trueup_kubernetes::manifest::outline::Outline;

use super::{Candidate, Subject, Target};
use crate::render::Bench;
use crate::render::uses::{Layer, Layers};
use crate::review::{edit, plan};

/// The fields whose files say parts of objects.
const PATCHES: [&str; 3] = ["patches", "patchesStrategicMerge", "patchesJson6902"];

/// The edits that may be the one. A file that several overlays are made of is named, and not edited.
pub(super) fn candidates(bench: &Bench, subject: &Subject<'_>) -> Result<Vec<Candidate>, String> {
    let layers = Layers::of(&bench.tree());
    let path = &subject.path.path;
    let below = layers.below(path);
    let mut found = Vec::new();
    for layer in &below {
        found.extend(in_kustomization(bench, subject, layer));
        for (field, file) in layer.files.iter().filter(|(field, _)| PATCHES.contains(field)) {
            found.extend(in_patch(bench, subject, field, file));
        }
    }
    let resources = below.iter().flat_map(|layer| layer.files.iter().filter(|(field, _)| *field == "resources"));
    for (_, file) in resources {
        found.extend(in_resource(bench, subject, file));
    }
    let (own, shared): (Vec<_>, Vec<_>) = found.into_iter().partition(|candidate| layers.users(&candidate.file, path).len() < 2);
    match (own.first(), shared.first()) {
        (None, Some(shared)) => {
            let users = layers.users(&shared.file, path).join("`, `");
            Err(format!("`{}` would have to change, and `{users}` are all made of it", shared.file))
        }
        _ => Ok(own),
    }
}

/// The documents of a file of the source.
fn documents(bench: &Bench, file: &str) -> Vec<Outline> {
    fs::read(bench.tree().join(file)).map(|bytes| Outline::of(&bytes)).unwrap_or_default()
}

/// `images`, `replicas`, inline patches and literals of the kustomization itself.
fn in_kustomization(bench: &Bench, subject: &Subject<'_>, layer: &Layer) -> Vec<Candidate> {
    let documents = documents(bench, &layer.file);
    let Some(outline) = documents.first() else { return Vec::new() };
    let target = Target { document: outline.number, item: None };
    let mut found = Vec::new();
    let mut add = |field: &str, index: usize, entry: Option<Value>| {
        let mut intended = outline.value.clone();
        if let (Some(entry), Some(place)) = (entry, intended.get_mut(field).and_then(|entries| entries.get_mut(index))) {
            *place = entry;
            let name = format!("`{field}` of `{}`", layer.file);
            found.push(Candidate { file: layer.file.clone(), target, said: outline.value.clone(), intended, name });
        }
    };
    let entries = |field: &str| outline.value.get(field).and_then(Value::as_array).cloned().unwrap_or_default();
    for (index, entry) in entries("images").iter().enumerate() {
        add("images", index, image(entry, subject));
    }
    for (index, entry) in entries("replicas").iter().enumerate() {
        add("replicas", index, replicas(entry, subject));
    }
    for (index, entry) in entries("configMapGenerator").iter().enumerate() {
        add("configMapGenerator", index, literal(entry, subject));
    }
    for (index, entry) in entries("patches").iter().enumerate() {
        let patch = entry.get("patch").and_then(Value::as_str).and_then(|patch| inline_patch(patch, subject));
        add("patches", index, patch.and_then(|patch| with(entry, "patch", patch.into())));
    }
    for (index, entry) in entries("patchesStrategicMerge").iter().enumerate() {
        add("patchesStrategicMerge", index, entry.as_str().and_then(|patch| inline_patch(patch, subject)).map(Value::from));
    }
    found
}

fn with(entry: &Value, key: &str, value: Value) -> Option<Value> {
    let mut entry = entry.clone();
    *entry.get_mut(key)? = value;
    Some(entry)
}

/// An image's name, tag and digest.
fn image_parts(image: &str) -> (&str, Option<&str>, Option<&str>) {
    let (rest, digest) = image.split_once('@').map_or((image, None), |(rest, digest)| (rest, Some(digest)));
    let slash = rest.rfind('/').map_or(0, |slash| slash + 1);
    match rest[slash..].split_once(':') {
        Some((name, tag)) => (&rest[..slash + name.len()], Some(tag), digest),
        None => (rest, None, digest),
    }
}

/// The entry of `images` that sets the declared image, changed so that it sets the live one.
fn image(entry: &Value, subject: &Subject<'_>) -> Option<Value> {
    let path = &subject.drift.path;
    if path.0.last() != Some(&Segment::Key("image".to_owned())) {
        return None;
    }
    let text = |key: &str| entry.get(key).and_then(Value::as_str);
    let (declared, _, _) = image_parts(path.find(&subject.desired.value)?.as_str()?);
    let (name, tag, digest) = image_parts(path.find(subject.live)?.as_str()?);
    if text("newName").or(text("name"))? != declared {
        return None;
    }
    let mut fields = entry.as_object()?.clone();
    if name != declared {
        fields.insert("newName".to_owned(), name.into());
    }
    for (key, value) in [("newTag", tag), ("digest", digest)] {
        match value {
            Some(value) => drop(fields.insert(key.to_owned(), value.into())),
            None => drop(fields.remove(key)),
        }
    }
    Some(Value::Object(fields))
}

/// The entry of `replicas` for the object.
fn replicas(entry: &Value, subject: &Subject<'_>) -> Option<Value> {
    let is_it = subject.drift.path.to_string() == "spec.replicas" && is_named(entry.get("name")?.as_str()?, subject);
    let count = subject.drift.path.find(subject.live).filter(|_| is_it)?;
    with(entry, "count", count.clone())
}

/// The literal of a generator for the key of the `ConfigMap`.
fn literal(entry: &Value, subject: &Subject<'_>) -> Option<Value> {
    let [Segment::Key(data), Segment::Key(key)] = subject.drift.path.0.as_slice() else { return None };
    let is_it = data == "data" && subject.desired.id.kind == "ConfigMap" && is_named(entry.get("name")?.as_str()?, subject);
    let live = subject.drift.path.find(subject.live).filter(|_| is_it)?.as_str()?;
    let literals = entry.get("literals")?.as_array()?;
    let index = literals
        .iter()
        .position(|literal| literal.as_str().and_then(|literal| literal.split_once('=')).is_some_and(|(name, _)| name == key))?;
    let mut entry = entry.clone();
    *entry.get_mut("literals")?.get_mut(index)? = format!("{key}={live}").into();
    Some(entry)
}

/// Whether a name in a source may be the object's: a rendered name may have a prefix, a suffix and a hash.
fn is_named(name: &str, subject: &Subject<'_>) -> bool {
    !name.is_empty() && subject.desired.id.name.contains(name)
}

/// Whether a document is a part of the object, or the whole of it.
fn is_of(document: &Value, subject: &Subject<'_>) -> bool {
    let text = |pointer: &str| document.pointer(pointer).and_then(Value::as_str);
    text("/kind") == Some(&subject.desired.id.kind) && text("/metadata/name").is_some_and(|name| is_named(name, subject))
}

/// A patch that sets the value, changed so that it sets the live one: a part of the object, or a list of operations (RFC 6902).
fn patched(document: &Value, subject: &Subject<'_>) -> Option<Value> {
    let Subject { drift, desired, live, .. } = *subject;
    if let Some(operations) = document.as_array() {
        let pointer = drift.path.pointer_in(&desired.value)?;
        let value = drift.path.find(live)?;
        let sets = |operation: &Value| {
            let text = |key: &str| operation.get(key).and_then(Value::as_str).unwrap_or_default();
            matches!(text("op"), "add" | "replace") && text("path") == pointer
        };
        let index = operations.iter().rposition(sets)?;
        let mut document = document.clone();
        *document.get_mut(index)?.get_mut("value")? = value.clone();
        return Some(document);
    }
    let is_set = is_of(document, subject) && drift.path.find(document).is_some();
    is_set.then(|| plan::intended(document, &drift.path, live).ok())?
}

fn inline_patch(patch: &str, subject: &Subject<'_>) -> Option<String> {
    Outline::of(patch.as_bytes()).iter().find_map(|outline| {
        let intended = patched(&outline.value, subject)?;
        let target = Target { document: outline.number, item: None };
        edit::follow(patch, target, &outline.value, &intended).ok().map(|edited| edited.text)
    })
}

fn in_patch(bench: &Bench, subject: &Subject<'_>, field: &str, file: &str) -> Vec<Candidate> {
    let candidate = |outline: &Outline| {
        let intended = patched(&outline.value, subject)?;
        let target = Target { document: outline.number, item: None };
        let (said, name) = (outline.value.clone(), format!("`{field}`: `{file}`"));
        Some(Candidate { file: file.to_owned(), target, said, intended, name })
    };
    documents(bench, file).iter().filter_map(candidate).collect()
}

/// The object itself, in a resource.
fn in_resource(bench: &Bench, subject: &Subject<'_>, file: &str) -> Vec<Candidate> {
    let mut found = Vec::new();
    for outline in documents(bench, file) {
        let items = outline.value.get("items").and_then(Value::as_array);
        let values: Vec<(Option<usize>, &Value)> = match items {
            Some(items) => items.iter().enumerate().map(|(index, item)| (Some(index), item)).collect(),
            None => vec![(None, &outline.value)],
        };
        for (item, value) in values.into_iter().filter(|(_, value)| is_of(value, subject)) {
            let Ok(intended) = plan::intended(value, &subject.drift.path, subject.live) else { continue };
            let target = Target { document: outline.number, item };
            let name = format!("`resources`: `{file}`");
            found.push(Candidate { file: file.to_owned(), target, said: value.clone(), intended, name });
        }
    }
    found
}
