//! What a condition sees of a difference.

use std::sync::{Arc, LazyLock};

use cel::common::traits::{Container, Indexer, Iterable, Iterator as CelIterator, Sizer};
use cel::common::types::{CelBool, CelDouble, CelInt, CelList, CelMap, CelMapKey, CelNull, CelString, CelUInt, MAP_TYPE, Type};
use cel::common::value::{BuiltinRef, Val};
use cel::{Context, Env};
use serde_json::{Map, Value};

use super::bound::Size;
use crate::direction::Direction;
use crate::finding::{Difference, Divergence};
use crate::security::Category;
use crate::seen::Seen;

/// Every variable, and what it holds.
pub const VARIABLES: [(&str, &str); 18] = [
    ("target", "the target's name"),
    ("group", "the object's API group, \"\" for core; \"terraform\" for an output"),
    ("kind", "the object's kind; \"Output\" for an output"),
    ("object_namespace", "the object's namespace, \"\" where it has none (`namespace` is a reserved word of CEL)"),
    ("name", "the object's or the output's name"),
    ("labels", "the labels that Git declares, a map"),
    ("path", "where the difference is, as in reports; \"\" for a whole object"),
    ("pointer", "the same place as a JSON pointer"),
    ("change", "changed, removed, undeclared, leftover, missing-object or extra-object"),
    ("desired", "the value that should be there, null where there should be none; a secret's digest"),
    ("live", "the value that is there, null where there is none; a secret's digest"),
    ("manager", "the field manager that wrote the live value, \"\" where nothing tells"),
    ("owners", "all field managers that own the live value, a list"),
    ("category", "\"security\", or \"\""),
    ("direction", "weaker, stronger or unclear"),
    ("environment", "the target's environment, \"\" where trueup.toml names none"),
    ("tier", "the target's tier, 0 where trueup.toml names none"),
    ("object", "the whole object: object.desired as Git declares it, object.live as it is; null where there is none"),
];

/// The standard functions and macros, the same for every policy.
static ENVIRONMENT: LazyLock<Arc<Env>> = LazyLock::new(|| Arc::new(Env::stdlib()));

type Boxed<'a> = Box<dyn Val + 'a>;

/// The variables of one difference.
pub(in crate::policy) struct Variables<'a> {
    context: Context<'a, 'a>,
    size: Size,
}

impl<'a> Variables<'a> {
    /// Of a difference, of which these two are known.
    pub(in crate::policy) fn of(difference: &'a Difference, category: Option<Category>, direction: Direction) -> Self {
        let mut variables = Self::none();
        let (kind, group, namespace, name) = difference.subject.names();
        let pointer = match &difference.divergence {
            Divergence::Field(drift) => drift.pointer.as_str(),
            Divergence::Object(_) | Divergence::Expectation(_) => "",
        };
        let texts = [
            ("target", difference.target.0.as_str()),
            ("group", group),
            ("kind", kind),
            ("object_namespace", namespace),
            ("name", name),
            ("pointer", pointer),
            ("change", difference.change().name()),
            ("manager", difference.cause.manager.as_deref().unwrap_or_default()),
            ("category", category.map_or("", Category::name)),
            ("direction", direction.name()),
            ("environment", difference.surroundings.standing.environment.as_deref().unwrap_or_default()),
        ];
        for (name, text) in texts {
            variables.add(name, string(text));
        }
        variables.add("path", owned(difference.path().to_string()));
        let (desired, live) = difference.values();
        variables.add("desired", seen(desired));
        variables.add("live", seen(live));
        let surroundings = &difference.surroundings;
        variables.add("owners", list(surroundings.owners.iter().map(|owner| string(owner))));
        variables.add("labels", Fields::of(difference.labels.iter().map(|(key, value)| (key.as_str(), string(value)))));
        variables.add("tier", Box::new(CelInt::from(i64::from(surroundings.standing.tier.unwrap_or_default()))));
        let whole = |object: &'a Option<Arc<Value>>| object.as_deref().map_or_else(null, value);
        let whole = [("desired", whole(&surroundings.desired)), ("live", whole(&surroundings.live))];
        variables.add("object", Fields::of(whole.into_iter()));
        variables.size = Size::of(difference);
        variables
    }

    /// No variable at all.
    pub(super) fn none() -> Self {
        Self { context: Context::with_env(Arc::clone(&ENVIRONMENT)), size: Size::default() }
    }

    pub(super) fn context(&self) -> &Context<'a, 'a> {
        &self.context
    }

    pub(super) fn size(&self) -> Size {
        self.size
    }

    fn add(&mut self, name: &str, value: Boxed<'a>) {
        self.context.add_variable_as_val(name, value);
    }
}

fn string(text: &str) -> Boxed<'_> {
    Box::new(CelString::from(text))
}

fn owned<'a>(text: String) -> Boxed<'a> {
    Box::new(CelString::from(text))
}

fn null<'a>() -> Boxed<'a> {
    Box::new(CelNull)
}

fn list<'a>(entries: impl Iterator<Item = Boxed<'a>>) -> Boxed<'a> {
    Box::new(CelList::from(entries.collect::<Vec<_>>()))
}

/// A secret's value is its mask: two of them can be compared, and nothing else.
fn seen(seen: Option<&Seen>) -> Boxed<'_> {
    match seen {
        None => null(),
        Some(Seen::Plain(plain)) => value(plain),
        Some(Seen::Masked(mask)) => owned(mask.to_string()),
    }
}

fn value(json: &Value) -> Boxed<'_> {
    match json {
        Value::Null => null(),
        Value::Bool(truth) => Box::new(CelBool::from(*truth)),
        Value::Number(number) => match (number.as_i64(), number.as_u64()) {
            (Some(number), _) => Box::new(CelInt::from(number)),
            (None, Some(number)) => Box::new(CelUInt::from(number)),
            (None, None) => Box::new(CelDouble::from(number.as_f64().unwrap_or(f64::NAN))),
        },
        Value::String(text) => string(text),
        Value::Array(entries) => list(entries.iter().map(value)),
        Value::Object(fields) => object(fields),
    }
}

fn object(fields: &Map<String, Value>) -> Boxed<'_> {
    Fields::of(fields.iter().map(|(key, inner)| (key.as_str(), value(inner))))
}

/// A map whose keys come in one order, whatever the process: the library's own come in any.
#[derive(Debug, Clone)]
struct Fields<'a>(Arc<(CelMap<'a>, Vec<CelString<'a>>)>);

impl<'a> Fields<'a> {
    fn of(fields: impl Iterator<Item = (&'a str, Boxed<'a>)>) -> Boxed<'a> {
        let mut keys = Vec::new();
        let entries = fields.map(|(key, value)| {
            keys.push(CelString::from(key));
            (CelMapKey::String(CelString::from(key)), value)
        });
        let map = CelMap::from(entries.collect::<std::collections::HashMap<_, _>>());
        keys.sort_unstable();
        Box::new(Self(Arc::new((map, keys))))
    }
}

impl Val for Fields<'_> {
    fn get_type(&self) -> &Type {
        &MAP_TYPE
    }

    fn cel_type() -> &'static Type {
        &MAP_TYPE
    }

    fn as_container(&self) -> Option<&dyn Container> {
        Some(&self.0.0)
    }

    fn as_indexer<'b, 'v>(&'b self) -> Option<&'b (dyn Indexer + 'v)>
    where
        Self: 'v,
    {
        Some(&self.0.0)
    }

    fn as_iterable<'b, 'v>(&'b self) -> Option<&'b (dyn Iterable + 'v)>
    where
        Self: 'v,
    {
        Some(self)
    }

    fn as_sizer(&self) -> Option<&dyn Sizer> {
        Some(&self.0.0)
    }

    fn equals(&self, other: &dyn Val) -> bool {
        self.0.0.equals(other)
    }

    fn clone_as_boxed<'v>(&self) -> Box<dyn Val + 'v>
    where
        Self: 'v,
    {
        Box::new(self.clone())
    }

    fn as_builtin<'b, 'v>(&'b self) -> BuiltinRef<'b, 'v>
    where
        Self: 'v,
    {
        self.0.0.as_builtin()
    }
}

impl Iterable for Fields<'_> {
    fn iter<'b, 'v>(&'b self) -> Box<dyn CelIterator<'b, 'v> + 'b>
    where
        Self: 'v,
    {
        Box::new(Keys(self.0.1.iter()))
    }
}

struct Keys<'b, 'a>(std::slice::Iter<'b, CelString<'a>>);

impl<'b, 'v, 'a: 'v> CelIterator<'b, 'v> for Keys<'b, 'a> {
    fn next(&mut self) -> Option<&'b (dyn Val + 'v)> {
        self.0.next().map(|key| key as &(dyn Val + 'v))
    }
}
