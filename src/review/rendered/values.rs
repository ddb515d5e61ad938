//! Values of a chart: scalars whose text is in the rendered value.

use std::fs;

use serde_json::Value;
use trueup_kubernetes::manifest::outline::Outline;

use super::{Candidate, Subject, Target};
use crate::config::Chart;
use crate::render::Bench;

/// The scalars of the values files that may be where a value comes from: replaced in the declared text, they give the live one.
pub(super) fn candidates(bench: &Bench, subject: &Subject<'_>, chart: &Chart) -> Result<Vec<Candidate>, String> {
    let declared = subject.drift.path.find(&subject.desired.value).and_then(scalar);
    let live = subject.drift.path.find(subject.live).and_then(scalar);
    let (Some(declared), Some(live)) = (declared, live) else {
        return Err(
            "only a single value that a chart's values set can be adopted, and this one comes or goes or is a whole".to_owned()
        );
    };
    let own = format!("{}/values.yaml", subject.path.path.trim_start_matches("./").trim_end_matches('/'));
    let files = chart.values.iter().rev().map(|file| file.trim_start_matches("./").to_owned()).chain([own]);
    let mut candidates = Vec::new();
    for file in files {
        let Ok(bytes) = fs::read(bench.tree().join(&file)) else { continue };
        for outline in Outline::of(&bytes) {
            let mut leaves = Vec::new();
            leaves_of(&outline.value, &mut Vec::new(), &mut leaves);
            for (pointer, leaf) in leaves {
                let Some(value) = followed(&leaf, &declared, &live) else { continue };
                let mut intended = outline.value.clone();
                if let Some(place) = intended.pointer_mut(&pointer) {
                    *place = value;
                    let name = format!("`{}` in `{file}`", pointer.trim_start_matches('/').replace('/', "."));
                    let target = Target { document: outline.number, item: None };
                    let said = outline.value.clone();
                    candidates.push(Candidate { file: file.clone(), target, said, intended, name });
                }
            }
        }
    }
    Ok(candidates)
}

/// The text of a value that is one.
fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Bool(_) | Value::Number(_) => Some(value.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

fn leaves_of(value: &Value, at: &mut Vec<String>, leaves: &mut Vec<(String, Value)>) {
    let mut inside = |token: String, value: &Value| {
        at.push(token);
        leaves_of(value, at, leaves);
        at.pop();
    };
    match value {
        Value::Object(fields) => {
            fields.iter().for_each(|(key, value)| inside(key.replace('~', "~0").replace('/', "~1"), value));
        }
        Value::Array(items) => items.iter().enumerate().for_each(|(index, value)| inside(index.to_string(), value)),
        Value::Null => {}
        leaf => leaves.push((at.iter().flat_map(|token| ["/", token.as_str()]).collect(), leaf.clone())),
    }
}

/// What a leaf has to be for the declared text to become the live one, where the leaf's text is a part of it.
fn followed(leaf: &Value, declared: &str, live: &str) -> Option<Value> {
    let text = scalar(leaf).filter(|text| !text.is_empty())?;
    let mut parts = declared.match_indices(&text).map(|(at, _)| (&declared[..at], &declared[at + text.len()..]));
    let middle = parts.find_map(|(before, behind)| live.strip_prefix(before)?.strip_suffix(behind))?;
    match leaf {
        Value::String(_) => Some(middle.into()),
        _ => serde_json::from_str(middle).ok().filter(|value: &Value| !value.is_array() && !value.is_object()),
    }
}
