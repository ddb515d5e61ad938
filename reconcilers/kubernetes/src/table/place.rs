//! Where an object of a named type hangs inside the whole object, and what is known of its fields.

use std::borrow::Cow;

use serde_json::{Map, Value};

/// The type and the field of the object around; `None` for the whole object.
pub type Holder<'a> = Option<(&'a str, &'a str)>;

/// An object's type, what Git declares in it, and what is around it.
pub struct Place<'a> {
    /// At what it hangs.
    pub holder: Holder<'a>,
    /// The object's type.
    pub type_name: &'a str,
    /// What Git declares in it.
    pub declared: &'a Map<String, Value>,
    /// The place of the object around it; `None` for the whole object.
    pub around: Option<&'a Place<'a>>,
}

impl Place<'_> {
    /// The type of the whole object.
    pub fn root(&self) -> &str {
        self.around.map_or(self.type_name, Place::root)
    }

    /// What Git declares in the nearest object of this type around this one.
    pub fn enclosing(&self, type_name: &str) -> Option<&Map<String, Value>> {
        let around = self.around?;
        if around.type_name == type_name { Some(around.declared) } else { around.enclosing(type_name) }
    }
}

/// An object's fields: those that Git declares, and those that were added by now. Nothing declared is copied for that.
pub struct Fields<'a> {
    declared: &'a Map<String, Value>,
    added: Map<String, Value>,
}

impl<'a> Fields<'a> {
    /// Those that Git declares.
    pub fn of(declared: &'a Map<String, Value>) -> Self {
        Self { declared, added: Map::new() }
    }

    /// A field's value by now.
    pub fn get(&self, field: &str) -> Option<&Value> {
        self.added.get(field).or_else(|| self.declared.get(field))
    }

    /// Adds a field, or puts another value into it.
    pub fn add(&mut self, field: &str, value: Value) {
        self.added.insert(field.to_owned(), value);
    }

    /// All fields.
    pub fn into_all(self) -> impl Iterator<Item = (Cow<'a, str>, Cow<'a, Value>)> {
        let Self { declared, added } = self;
        let rest: Vec<_> = declared.iter().filter(|(field, _)| !added.contains_key(*field)).collect();
        let declared = rest.into_iter().map(|(field, value)| (Cow::Borrowed(field.as_str()), Cow::Borrowed(value)));
        declared.chain(added.into_iter().map(|(field, value)| (Cow::Owned(field), Cow::Owned(value))))
    }
}
