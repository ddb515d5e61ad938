//! Binding files: an output of a Terraform state that must equal a field of a manifest, or an output of another state.
//!
//! ```toml
//! [[binding]]
//! output = "database"
//! pointer = "/host"        # a part of a structured output: a JSON pointer (RFC 6901)
//! field = { file = "manifests/checkout.yaml", object = "ConfigMap/shop/checkout", path = "data.DB_HOST" }
//!
//! [[binding]]
//! output = "vpc_id"
//! same_as = { target = "network", output = "vpc_id" }
//! ```

use std::ops::Range;

use jsonptr::PointerBuf;
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::to_raw_value;
use toml::Spanned;
use trueup_core::facts::{Origin, Problem};
use trueup_core::finding::Bound;
use trueup_core::object::TargetName;
use trueup_core::path::Path;
use trueup_core::policy::origin_at;

use crate::state::{Output, OutputValue};
use crate::value::ExactValue;

/// An output, or a part of it, and what it must equal.
#[derive(Debug, Clone, PartialEq)]
pub struct Binding {
    /// The output's name.
    pub output: String,
    /// Which part of it; the root for all of it.
    pub pointer: PointerBuf,
    /// Where the binding stands.
    pub origin: Origin,
    /// What it must equal.
    pub to: To,
}

/// What an output must equal.
#[derive(Debug, Clone, PartialEq)]
pub enum To {
    /// A field of a manifest.
    Field {
        /// The file in the source.
        file: String,
        /// `KIND/NAME` or `KIND/NAMESPACE/NAME`.
        object: String,
        /// Where in the object.
        path: Path,
    },
    /// An output of another state.
    Output {
        /// The target of that state.
        target: TargetName,
        /// The output's name.
        output: String,
        /// Which part of it.
        pointer: PointerBuf,
    },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    binding: Vec<Spanned<Entry>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    output: String,
    pointer: Option<Spanned<String>>,
    field: Option<FieldEntry>,
    same_as: Option<OutputEntry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FieldEntry {
    file: String,
    object: Spanned<String>,
    path: Spanned<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OutputEntry {
    target: String,
    output: String,
    pointer: Option<Spanned<String>>,
}

/// What is wrong, and where.
type Fault = (Range<usize>, String);

/// Reads a binding file. A binding with a mistake is a problem at its place, and its neighbours are read.
#[must_use]
pub fn read(file: &str, text: &str) -> (Vec<Binding>, Vec<Problem>) {
    let problem = |(span, message): Fault| Problem::blind("binding", message, Some(origin_at(file, text, span.start)));
    let parsed: File = match toml::from_str(text) {
        Ok(parsed) => parsed,
        Err(error) => {
            let message = error.message().lines().next().unwrap_or_default().to_owned();
            return (Vec::new(), vec![problem((error.span().unwrap_or(0..0), message))]);
        }
    };
    if parsed.binding.is_empty() {
        let message = "the file binds nothing; write a `[[binding]]`, or take the file out of the target's `bind`";
        return (Vec::new(), vec![problem((0..0, message.to_owned()))]);
    }
    let (mut bindings, mut problems) = (Vec::new(), Vec::new());
    for entry in parsed.binding {
        let at = entry.span();
        match binding(entry.into_inner(), &at) {
            Ok((output, pointer, to)) => {
                bindings.push(Binding { output, pointer, origin: origin_at(file, text, at.start), to });
            }
            Err(fault) => problems.push(problem(fault)),
        }
    }
    (bindings, problems)
}

fn binding(entry: Entry, at: &Range<usize>) -> Result<(String, PointerBuf, To), Fault> {
    let to = match (entry.field, entry.same_as) {
        (Some(field), None) => field_of(field)?,
        (None, Some(other)) => {
            To::Output { target: TargetName(other.target), output: other.output, pointer: pointer(other.pointer)? }
        }
        (Some(_), Some(_)) => return Err((at.clone(), "`field` beside `same_as`: one binding binds to one thing".to_owned())),
        (None, None) => {
            let message = "what does it equal? write `field = { file, object, path }` or `same_as = { target, output }`";
            return Err((at.clone(), message.to_owned()));
        }
    };
    Ok((entry.output, pointer(entry.pointer)?, to))
}

fn field_of(field: FieldEntry) -> Result<To, Fault> {
    let FieldEntry { file, object, path } = field;
    let parts = object.get_ref().split('/').count();
    if !(2..=3).contains(&parts) {
        let message = format!("`{}` is no KIND/NAMESPACE/NAME, as in ConfigMap/shop/checkout", object.get_ref());
        return Err((object.span(), message));
    }
    let span = path.span();
    let read: Result<Path, _> = path.get_ref().parse();
    let path = read.map_err(|error| (span.clone(), error.to_string()))?;
    if path.0.is_empty() {
        return Err((span, "the path is empty: name a field, as in data.DB_HOST".to_owned()));
    }
    Ok(To::Field { file, object: object.into_inner(), path })
}

fn pointer(text: Option<Spanned<String>>) -> Result<PointerBuf, Fault> {
    let Some(text) = text else { return Ok(PointerBuf::new()) };
    let span = text.span();
    let text = text.into_inner();
    PointerBuf::parse(text.clone())
        .map_err(|_| (span, format!("`{text}` is no JSON pointer: write one as in \"/host\" (RFC 6901)")))
}

impl Binding {
    /// What it must equal, for reports and places.
    #[must_use]
    pub fn bound(&self) -> Bound {
        match &self.to {
            To::Field { file, object, path } => Bound::Field {
                file: file.clone(),
                object: object.clone(),
                path: path.to_string(),
                part: self.pointer.to_string(),
            },
            To::Output { target, output, pointer } => Bound::Output {
                target: target.0.clone(),
                output: output.clone(),
                pointer: pointer.to_string(),
                part: self.pointer.to_string(),
            },
        }
    }
}

/// A part of an output's value; `None` where there is no such output or no such part.
#[must_use]
pub fn part<'a>(output: Option<&'a Output>, pointer: &PointerBuf) -> Option<&'a ExactValue> {
    let mut value = output?.value.expose();
    for token in pointer.tokens() {
        let name = token.decoded();
        value = match value {
            ExactValue::Object(members) => members.get(name.as_ref())?,
            ExactValue::List(members) => members.get(index(&name)?)?,
            ExactValue::Null | ExactValue::Bool(_) | ExactValue::Number(_) | ExactValue::String(_) => return None,
        };
    }
    Some(value)
}

/// Digits without a sign or a leading zero.
fn index(name: &str) -> Option<usize> {
    let is_plain = name == "0" || (!name.starts_with('0') && name.bytes().all(|byte| byte.is_ascii_digit()));
    is_plain.then(|| name.parse().ok())?
}

/// Whether the output is one that its author calls sensitive.
#[must_use]
pub fn is_sensitive(output: Option<&Output>) -> bool {
    matches!(output, Some(Output { value: OutputValue::Sensitive(_), .. }))
}

/// What a field would hold if it followed the output. A text field holds a number or a boolean as its text; `None` where it
/// cannot hold the value.
#[must_use]
pub fn in_field(value: &ExactValue, field: &Value) -> Option<Value> {
    match (field, value) {
        (Value::String(_), ExactValue::Number(_) | ExactValue::Bool(_)) => Some(Value::String(value.to_string())),
        (Value::String(_), ExactValue::Null | ExactValue::List(_) | ExactValue::Object(_)) => None,
        (_, value) => {
            let shown = value.shown();
            // A number that JSON readers would round is shown as a text, and a text is another thing.
            is_same(value, &shown).then_some(shown)
        }
    }
}

/// Whether a field holds the very value.
#[must_use]
pub fn is_same(value: &ExactValue, field: &Value) -> bool {
    let field = to_raw_value(field).ok().and_then(|raw| ExactValue::of_json(&raw).ok());
    field.as_ref() == Some(value)
}
