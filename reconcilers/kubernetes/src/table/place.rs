//! Where an object of a named type hangs inside the whole object.

use serde_json::{Map, Value};

/// An object's type, what Git declares in it, and what is around it.
pub struct Place<'a> {
    /// `TYPE.FIELD` of the object around; empty for the whole object.
    pub holder: &'a str,
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
