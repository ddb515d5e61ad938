//! Flux: `spec.driftDetection.ignore` of `HelmRelease`s, `spec.ignore` of Kustomizations, and annotations that exempt an object.
//! <https://fluxcd.io/flux/components/helm/helmreleases/#ignore-rules>

use serde_json::Value;
use trueup_core::facts::{Desired, Origin};

use super::rule::{Conditions, Found, Rule};
use super::{origin_of, texts};

/// The ignore rules of a release or a Kustomization.
pub(super) fn release(object: &Desired) -> Vec<Found> {
    let mut found = Vec::new();
    for list in ["/spec/driftDetection/ignore", "/spec/ignore"] {
        let entries = object.value.pointer(list).and_then(Value::as_array);
        for (at, entry) in entries.into_iter().flatten().enumerate() {
            found.extend(rules(object, &origin_of(object, &format!("{list}/{at}")), entry));
        }
    }
    found
}

fn rules(object: &Desired, origin: &Origin, entry: &Value) -> Vec<Found> {
    let from = format!("Flux: {} {}", object.id.kind, object.id.name);
    let refused =
        |what: &str, why: String| Found::Refused { origin: origin.clone(), from: from.clone(), what: what.to_owned(), why };
    let mut conditions = match target(entry.get("target")) {
        Ok(conditions) => conditions,
        Err((what, why)) => return vec![refused(&what, why)],
    };
    let note = scope(object, &mut conditions);
    let mut found = Vec::new();
    let mut paths = Vec::new();
    for pointer in texts(entry.get("paths")) {
        match pointer.parse::<trueup_core::pattern::PathPattern>() {
            // The empty pointer is the whole object.
            _ if pointer.is_empty() => found.push(rule(&object.id.name, origin, &from, conditions.clone(), &note)),
            Ok(_) if pointer.starts_with('/') => paths.push(pointer),
            Ok(_) => found.push(refused(&pointer, "a JSON pointer begins with `/`".to_owned())),
            Err(error) => found.push(refused(&pointer, error.to_string())),
        }
    }
    if !paths.is_empty() {
        found.insert(0, rule(&object.id.name, origin, &from, Conditions { paths, ..conditions }, &note));
    }
    let says_something = |found: &Found| !matches!(found, Found::Rule(rule) if rule.conditions.is_empty());
    let empty = found.iter().any(|found| !says_something(found));
    found.retain(says_something);
    if empty {
        found.push(refused("paths: [\"\"]", "it names every object as a whole: say which".to_owned()));
    }
    found
}

fn rule(name: &str, origin: &Origin, from: &str, conditions: Conditions, note: &str) -> Found {
    let notes = vec![note.to_owned()];
    Found::Rule(Rule { name: name.to_owned(), origin: origin.clone(), from: from.to_owned(), conditions, notes })
}

/// A release's rule holds for its own objects. Here it is narrowed to where they go, where that is said.
fn scope(object: &Desired, conditions: &mut Conditions) -> String {
    let target = object.value.pointer("/spec/targetNamespace").and_then(Value::as_str);
    // A HelmRelease without a targetNamespace installs into its own.
    let own = object.id.namespace.as_deref().filter(|_| object.id.kind == "HelmRelease");
    match target.or(own) {
        Some(namespace) if conditions.namespaces.is_empty() => {
            conditions.namespaces = vec![namespace.to_owned(), String::new()];
            format!("There it holds for the {}'s objects alone; here for those in its namespace or in none.", object.id.kind)
        }
        _ => format!(
            "There it holds for the {}'s objects alone; here for all that match: narrow it by name or labels.",
            object.id.kind
        ),
    }
}

/// A selector: regular expressions over whole words, and Kubernetes' label selectors.
fn target(target: Option<&Value>) -> Result<Conditions, (String, String)> {
    let word = |key: &str| -> Result<Vec<String>, (String, String)> {
        match target.and_then(|target| target.get(key)).and_then(Value::as_str).filter(|text| !text.is_empty()) {
            None => Ok(Vec::new()),
            Some(text) => words(text).ok_or_else(|| {
                (text.to_owned(), format!("`{key}` is a regular expression that `*` and a list of words cannot say"))
            }),
        }
    };
    let text = |key: &str| target.and_then(|target| target.get(key)).and_then(Value::as_str).filter(|text| !text.is_empty());
    if let Some(selector) = text("annotationSelector") {
        return Err((selector.to_owned(), "a policy does not select by annotations: use `cel`".to_owned()));
    }
    let labels = text("labelSelector").map_or(Ok(Vec::new()), |selector| {
        labels(selector)
            .ok_or_else(|| (selector.to_owned(), "only labels that equal a text can be selected: use `cel`".to_owned()))
    })?;
    Ok(Conditions {
        groups: word("group")?,
        kinds: word("kind")?,
        names: word("name")?,
        namespaces: word("namespace")?,
        labels,
        ..Conditions::default()
    })
}

/// `(a|b)`, `a|b`, `web-.*`, `^web$`.
fn words(expression: &str) -> Option<Vec<String>> {
    let inner = expression.strip_prefix('^').unwrap_or(expression);
    let inner = inner.strip_suffix('$').unwrap_or(inner);
    let inner = inner.strip_prefix('(').and_then(|inner| inner.strip_suffix(')')).unwrap_or(inner);
    let word = |word: &str| {
        let pattern = word.replace(".*", "*").replace("\\.", ".");
        let is_plain = pattern.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '*' | ':'));
        is_plain.then_some(pattern)
    };
    inner.split('|').map(word).collect()
}

/// `app=web,tier==front`.
fn labels(selector: &str) -> Option<Vec<(String, String)>> {
    let pair = |part: &str| {
        let (key, value) = part.split_once('=')?;
        let value = value.strip_prefix('=').unwrap_or(value);
        let is_plain = |text: &str| !text.contains(['!', '(', ' ', '=']);
        (is_plain(key.trim()) && is_plain(value.trim())).then(|| (key.trim().to_owned(), value.trim().to_owned()))
    };
    selector.split(',').map(pair).collect()
}

/// Annotations by which Flux leaves an object alone, or what others added to it.
pub(super) fn annotations(object: &Desired) -> Vec<Found> {
    let annotations = object.value.pointer("/metadata/annotations");
    let get = |key: &str| annotations.and_then(|annotations| annotations.get(key)).and_then(Value::as_str);
    let whole = Conditions {
        groups: vec![object.id.group().to_owned()],
        kinds: vec![object.id.kind.clone()],
        names: vec![object.id.name.clone()],
        namespaces: object.id.namespace.clone().into_iter().collect(),
        ..Conditions::default()
    };
    let mut found = Vec::new();
    for key in
        ["kustomize.toolkit.fluxcd.io/reconcile", "kustomize.toolkit.fluxcd.io/ssa", "helm.toolkit.fluxcd.io/driftDetection"]
    {
        let Some(value) = get(key) else { continue };
        let (conditions, note) = match (key.rsplit('/').next(), value.to_lowercase().as_str()) {
            (Some("reconcile" | "driftDetection"), "disabled") | (Some("ssa"), "ignore") => (
                whole.clone(),
                "There the object is left alone; here it is still told when it is missing from the target, in lane `ignore`.",
            ),
            (Some("ssa"), "ifnotpresent") => (
                Conditions { changes: ["changed", "removed", "undeclared"].map(str::to_owned).to_vec(), ..whole.clone() },
                "There the object is made where it is missing and then left alone; here a missing one is a finding.",
            ),
            (Some("ssa"), "merge") => (
                Conditions { changes: vec!["undeclared".to_owned()], ..whole.clone() },
                "There what others added stays and what Git declares is put back; here it is the same.",
            ),
            _ => continue,
        };
        let pointer = format!("/metadata/annotations/{}", key.replace('~', "~0").replace('/', "~1"));
        let name = format!("{}-{}", object.id.kind.to_lowercase(), object.id.name);
        let from = format!("Flux: {key} on {}", object.id);
        found.push(rule(&name, &origin_of(object, &pointer), &from, conditions, note));
    }
    found
}
