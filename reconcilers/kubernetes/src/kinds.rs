//! What is known of the kinds of one target without asking about single objects: the table of its minor version, and the
//! schemas of its custom resources.

use std::borrow::Cow;

use serde_json::Value;
use trueup_core::object::ObjectId;
use trueup_core::shape::{Shape, Types};

use crate::schema::Schemas;
use crate::table::Table;

/// The kinds of one target.
#[derive(Debug, Clone)]
pub struct Kinds {
    table: &'static Table,
    schemas: Schemas,
    types: Cow<'static, Types>,
}

/// Types follow from tables and schemas.
impl PartialEq for Kinds {
    fn eq(&self, other: &Self) -> bool {
        std::ptr::eq(self.table, other.table) && self.schemas == other.schemas
    }
}

impl Kinds {
    /// The built-in kinds of a table, and the custom ones of these schemas.
    #[must_use]
    pub fn new(table: &'static Table, schemas: Schemas) -> Self {
        let types = if schemas.is_empty() {
            Cow::Borrowed(table.types())
        } else {
            let mut types = table.types().clone();
            schemas.add_types(&mut types);
            Cow::Owned(types)
        };
        Self { table, schemas, types }
    }

    /// The built-in kinds of the newest table.
    #[must_use]
    pub fn built_in() -> Self {
        Self::new(Table::load(), Schemas::default())
    }

    /// The types that shapes name.
    #[must_use]
    pub fn types(&self) -> &Types {
        &self.types
    }

    /// The shape of a whole object; [`Shape::Any`] for a kind of which nothing is known.
    #[must_use]
    pub fn shape(&self, id: &ObjectId) -> Shape {
        if self.table.knows(id) { self.table.root_shape(id) } else { self.schemas.root_shape(id).unwrap_or_default() }
    }

    /// Git's words with the defaults of their kind; `None` for a kind of which nothing is known.
    #[must_use]
    pub fn defaulted(&self, id: &ObjectId, desired: &Value) -> Option<Value> {
        if self.table.knows(id) {
            return Some(self.table.expected(id, desired));
        }
        self.schemas.admitted(id, desired, self.table)
    }
}
