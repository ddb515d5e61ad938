//! Argo CD: `spec.ignoreDifferences` of Applications, and `resource.customizations.ignoreDifferences.*` in argocd-cm.
//! <https://argo-cd.readthedocs.io/en/stable/user-guide/diffing/>

use serde_json::Value;
use trueup_core::facts::{Desired, Origin};

use super::rule::{Conditions, Found, Rule};
use super::{jq, origin_of, texts};

/// `spec.ignoreDifferences` of an Application, or of an `ApplicationSet`'s template.
pub(super) fn application(object: &Desired) -> Vec<Found> {
    let spec = if object.id.kind == "Application" { "/spec" } else { "/spec/template/spec" };
    let entries = object.value.pointer(&format!("{spec}/ignoreDifferences")).and_then(Value::as_array);
    let namespace = object.value.pointer(&format!("{spec}/destination/namespace")).and_then(Value::as_str);
    let mut found = Vec::new();
    for (at, entry) in entries.into_iter().flatten().enumerate() {
        let field = |key: &str| entry.get(key).and_then(Value::as_str).map(str::to_owned);
        let mut conditions = Conditions {
            groups: vec![field("group").unwrap_or_default()],
            kinds: field("kind").into_iter().collect(),
            names: field("name").into_iter().collect(),
            namespaces: field("namespace").into_iter().collect(),
            ..Conditions::default()
        };
        let source = Source {
            name: object.id.name.clone(),
            origin: origin_of(object, &format!("{spec}/ignoreDifferences/{at}")),
            from: format!("Argo CD: {} {}", object.id.kind, object.id.name),
            note: scope(&mut conditions, namespace),
        };
        found.extend(source.rules(&conditions, entry));
    }
    found
}

/// An Application's rule holds for its own objects. Here it is narrowed to where they go.
fn scope(conditions: &mut Conditions, destination: Option<&str>) -> String {
    match destination {
        Some(namespace) if conditions.namespaces.is_empty() && !namespace.contains("{{") => {
            conditions.namespaces = vec![namespace.to_owned(), String::new()];
            "There it holds for the Application's objects alone; here for those in its destination namespace or in none."
                .to_owned()
        }
        _ => {
            "There it holds for the Application's objects alone; here for all that match: narrow it by name or labels.".to_owned()
        }
    }
}

/// `resource.customizations.ignoreDifferences.GROUP_KIND` and `….all` of argocd-cm, which hold for all Applications.
pub(super) fn settings(object: &Desired) -> Vec<Found> {
    const PREFIX: &str = "resource.customizations.ignoreDifferences.";
    let data = object.value.get("data").and_then(Value::as_object);
    let mut found = Vec::new();
    for (key, value) in data.into_iter().flatten() {
        let Some(group_kind) = key.strip_prefix(PREFIX) else { continue };
        let conditions = match group_kind.split_once('_') {
            _ if group_kind == "all" => Conditions::default(),
            Some((group, kind)) => {
                Conditions { groups: vec![group.to_owned()], kinds: vec![kind.to_owned()], ..Conditions::default() }
            }
            None => Conditions { groups: vec![String::new()], kinds: vec![group_kind.to_owned()], ..Conditions::default() },
        };
        let source = Source {
            name: format!("argocd-cm-{}", group_kind.replace('*', "any")),
            origin: origin_of(object, &format!("/data/{key}")),
            from: format!("Argo CD: argocd-cm {key}"),
            note: String::new(),
        };
        match serde_yaml::from_str::<Value>(value.as_str().unwrap_or_default()) {
            Ok(entry) => found.extend(source.rules(&conditions, &entry)),
            Err(error) => found.push(source.refused(key, format!("its value is no YAML: {error}"))),
        }
    }
    found
}

/// Where rules come from.
struct Source {
    name: String,
    origin: Origin,
    from: String,
    note: String,
}

impl Source {
    /// One entry means three things, each of which is ignored: pointers, jq paths, and what managers own.
    fn rules(&self, conditions: &Conditions, entry: &Value) -> Vec<Found> {
        let words = [&conditions.groups, &conditions.kinds, &conditions.names, &conditions.namespaces];
        if let Some(word) = words.into_iter().flatten().find(|word| word.contains(['?', '[', '{', '\\'])) {
            return vec![self.refused(word, "only `*` stands for any text in a policy".to_owned())];
        }
        let mut found = Vec::new();
        let mut paths = Vec::new();
        for pointer in texts(entry.get("jsonPointers")) {
            match pointer.parse::<trueup_core::pattern::PathPattern>() {
                Ok(_) if pointer.starts_with('/') => paths.push(pointer),
                Ok(_) => found.push(self.refused(&pointer, "a JSON pointer begins with `/`".to_owned())),
                Err(error) => found.push(self.refused(&pointer, error.to_string())),
            }
        }
        for expression in texts(entry.get("jqPathExpressions")) {
            match jq::path(&expression) {
                Ok(path) => paths.push(path),
                Err(why) => found.push(self.refused(&expression, why)),
            }
        }
        let managers = texts(entry.get("managedFieldsManagers"));
        let parts = [Conditions { paths, ..conditions.clone() }, Conditions { owned_by: managers, ..conditions.clone() }];
        let given = parts.into_iter().filter(|part| !(part.paths.is_empty() && part.owned_by.is_empty()));
        let rules: Vec<Found> = given.map(|conditions| self.rule(conditions)).collect();
        rules.into_iter().chain(found).collect()
    }

    fn rule(&self, conditions: Conditions) -> Found {
        let notes = Some(self.note.clone()).filter(|note| !note.is_empty()).into_iter().collect();
        Found::Rule(Rule { name: self.name.clone(), origin: self.origin.clone(), from: self.from.clone(), conditions, notes })
    }

    fn refused(&self, what: &str, why: String) -> Found {
        Found::Refused { origin: self.origin.clone(), from: self.from.clone(), what: what.to_owned(), why }
    }
}
