//! Template text that nobody rendered. `{{ … }}` alone proves nothing (alerts, dashboards and workflows carry it by right), so
//! only what belongs to a Helm chart counts inside values; in a document that does not parse, any braces explain it.

use trueup_core::positions::Position;

use super::compose::{Placed, Shape};
use super::document::{Document, number};
use super::fault::{Fault, Flaw};

/// What only a chart's templates say.
const CHART_WORDS: [&str; 8] =
    [".Values.", ".Values ", ".Release.", ".Chart.", ".Capabilities.", "include \"", "toYaml ", ".Files."];

/// The place of the first value of an object that is a chart's template text. Payloads are left alone: the data of a ConfigMap
/// or Secret, annotations, and texts of several lines.
pub(super) fn find_in_values(kind: &str, object: &Placed) -> Option<Position> {
    let Shape::Map(entries) = &object.shape else { return None };
    let is_payload = |key: &str| matches!(kind, "ConfigMap" | "Secret") && matches!(key, "data" | "stringData" | "binaryData");
    entries.iter().filter(|(key, _)| !is_payload(key)).find_map(|(_, value)| find(value))
}

fn find(value: &Placed) -> Option<Position> {
    match &value.shape {
        Shape::Leaf(leaf) => leaf.as_str().filter(|text| is_chart_text(text)).map(|_| value.position),
        Shape::List(items) => items.iter().find_map(find),
        Shape::Map(entries) => entries.iter().filter(|(key, _)| *key != "annotations").find_map(|(_, value)| find(value)),
    }
}

fn is_chart_text(text: &str) -> bool {
    text.split_once("{{").is_some_and(|(_, behind)| !text.contains('\n') && CHART_WORDS.iter().any(|word| behind.contains(word)))
}

/// The braces outside quotes of a document that does not parse: its line and column.
pub(super) fn find_bare_braces(document: Document<'_>) -> Option<(u32, u32)> {
    let (index, line) = document.text.lines().enumerate().find(|(_, line)| has_bare_braces(line))?;
    let column = line.find("{{").map_or(0, |at| line[..at].chars().count());
    let shift = if index == 0 { document.column } else { 0 };
    Some((document.line + number(index), number(column) + 1 + shift))
}

/// Says that a document which does not parse is a template, where it has such braces.
pub(super) fn explain(braces: Option<(u32, u32)>, flaw: Flaw) -> Flaw {
    let explainable = matches!(flaw.fault, Fault::Syntax { .. } | Fault::KeyIsCollection | Fault::DuplicateKey { .. });
    let Some((line, column)) = braces.filter(|_| explainable) else { return flaw };
    Flaw { line, column, fault: Fault::UnrenderedTemplate { detail: format!("line {}: {}", flaw.line, flaw.fault) } }
}

/// Braces where a value, a key or a line begins: there they are YAML, so a template has to be rendered first.
fn has_bare_braces(line: &str) -> bool {
    line.match_indices("{{").any(|(at, _)| {
        let before = line[..at].trim_end();
        let code = before.trim_start();
        !code.starts_with('#') && (code.is_empty() || before.ends_with([':', '-', '[', ',', '{', '}']))
    })
}
