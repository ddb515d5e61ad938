//! The types of `metadata` (`ObjectMeta`), which are the same for every kind: `kubectl` and the API server take no object in
//! which they are others.

use serde_json::Value;

use super::compose::{Placed, Shape};
use super::fault::{Fault, Flaw};

/// What a field of `metadata` holds.
#[derive(Clone, Copy)]
enum Holds {
    Text,
    Number,
    Texts,
    TextByKey,
    Mappings,
}

const FIELDS: [(&str, Holds); 13] = [
    ("generateName", Holds::Text),
    ("selfLink", Holds::Text),
    ("uid", Holds::Text),
    ("resourceVersion", Holds::Text),
    ("creationTimestamp", Holds::Text),
    ("deletionTimestamp", Holds::Text),
    ("generation", Holds::Number),
    ("deletionGracePeriodSeconds", Holds::Number),
    ("finalizers", Holds::Texts),
    ("labels", Holds::TextByKey),
    ("annotations", Holds::TextByKey),
    ("ownerReferences", Holds::Mappings),
    ("managedFields", Holds::Mappings),
];

/// Refuses an object whose metadata has a value of another type. `null` is none.
pub(super) fn check(object: &str, metadata: Option<&Placed>) -> Result<(), Flaw> {
    let Some(metadata) = metadata else { return Ok(()) };
    for (field, holds) in FIELDS {
        let Some(value) = metadata.entry(field) else { continue };
        if let Some((inside, found)) = misplaced(value, holds) {
            let hint = holds.hint(inside.is_some());
            let field = inside.map_or_else(|| field.to_owned(), |key| format!("{field}.{key}"));
            let fault = Fault::MetadataType { object: object.to_owned(), field, hint };
            return Err(Flaw::at(found.position, fault));
        }
    }
    Ok(())
}

/// The first value of another type, and the key or index under which it stands; none for the field itself.
fn misplaced(value: &Placed, holds: Holds) -> Option<(Option<String>, &Placed)> {
    let is_text = |value: &Placed| value.is_null() || value.text().is_some();
    let is_mapping = |value: &Placed| value.is_null() || matches!(value.shape, Shape::Map(_));
    match (holds, &value.shape) {
        _ if value.is_null() => None,
        (Holds::Text, _) if is_text(value) => None,
        (Holds::Number, Shape::Leaf(Value::Number(number))) if number.is_i64() => None,
        (Holds::TextByKey, Shape::Map(entries)) => {
            entries.iter().find(|(_, value)| !is_text(value)).map(|(key, value)| (Some(key.to_owned()), value))
        }
        (Holds::Texts, Shape::List(items)) => first(items, is_text),
        (Holds::Mappings, Shape::List(items)) => first(items, is_mapping),
        (Holds::Text | Holds::Number | Holds::Texts | Holds::TextByKey | Holds::Mappings, _) => Some((None, value)),
    }
}

fn first(items: &[Placed], is_right: impl Fn(&Placed) -> bool) -> Option<(Option<String>, &Placed)> {
    items.iter().enumerate().find(|(_, item)| !is_right(item)).map(|(index, item)| (Some(index.to_string()), item))
}

impl Holds {
    fn hint(self, inside: bool) -> &'static str {
        match (self, inside) {
            (Self::Text, _) | (Self::Texts | Self::TextByKey, true) => "is not text; put it in quotes",
            (Self::Number, _) => "is not a number; write one without quotes",
            (Self::Texts, false) => "is not a list of texts; write it as one",
            (Self::TextByKey, false) => "is not a mapping of keys to texts; write it as one",
            (Self::Mappings, true) => "is not a mapping; write it as one",
            (Self::Mappings, false) => "is not a list; write it as one",
        }
    }
}
