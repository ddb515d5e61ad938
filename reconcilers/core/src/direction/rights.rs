//! RBAC: each rule and each subject allows something more. Rules are taken apart into single rights, as the API server
//! does when it decides whether one may grant them (`k8s.io/component-helpers/auth/rbac/validation`).

use serde_json::Value;

use super::sets::{compare, entries, texts};
use super::{Direction, Field};

/// More single rights than this are not taken apart.
const MOST_RIGHTS: usize = 2000;

pub(super) fn direction(field: &Field<'_>) -> Direction {
    match (field.kind, field.keys) {
        ("Role" | "ClusterRole", ["rules"]) => {
            let (desired, live) = (entries(field.desired), entries(field.live));
            if [desired, live].iter().any(|rules| rules.iter().map(rights).sum::<usize>() > MOST_RIGHTS) {
                return Direction::Unclear;
            }
            let (desired, live) = (all_rights(desired), all_rights(live));
            Direction::of_order(compare(&desired, &live, Right::includes), Direction::Weaker)
        }
        ("RoleBinding" | "ClusterRoleBinding", ["subjects"]) => {
            let order = compare(entries(field.desired), entries(field.live), |whole, part| whole == part);
            Direction::of_order(order, Direction::Weaker)
        }
        _ => Direction::Unclear,
    }
}

/// How many single rights a rule has.
fn rights(rule: &Value) -> usize {
    let count = |key: &str| entries(rule.get(key)).len().max(1);
    let resources = count("apiGroups").saturating_mul(count("resources")).saturating_mul(count("resourceNames"));
    count("verbs").saturating_mul(resources.saturating_add(count("nonResourceURLs")))
}

/// One verb on one resource (of one name, or of all), or on one URL.
enum Right<'a> {
    Resource { verb: &'a str, group: &'a str, resource: &'a str, name: Option<&'a str> },
    Url { verb: &'a str, url: &'a str },
}

fn all_rights(rules: &[Value]) -> Vec<Right<'_>> {
    let mut rights = Vec::new();
    for rule in rules {
        let names = texts(rule.get("resourceNames"));
        let names: Vec<Option<&str>> = if names.is_empty() { vec![None] } else { names.into_iter().map(Some).collect() };
        for verb in texts(rule.get("verbs")) {
            rights.extend(texts(rule.get("nonResourceURLs")).into_iter().map(|url| Right::Url { verb, url }));
            for group in texts(rule.get("apiGroups")) {
                for resource in texts(rule.get("resources")) {
                    rights.extend(names.iter().map(|name| Right::Resource { verb, group, resource, name: *name }));
                }
            }
        }
    }
    rights
}

impl Right<'_> {
    fn includes(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Resource { verb, group, resource, name }, Self::Resource { verb: v, group: g, resource: r, name: n }) => {
                is(verb, v) && is(group, g) && is_resource(resource, r) && (name.is_none() || name == n)
            }
            (Self::Url { verb, url }, Self::Url { verb: v, url: u }) => {
                is(verb, v) && (url == u || url.strip_suffix('*').is_some_and(|start| u.starts_with(start)))
            }
            (Self::Resource { .. }, Self::Url { .. }) | (Self::Url { .. }, Self::Resource { .. }) => false,
        }
    }
}

fn is(whole: &str, part: &str) -> bool {
    whole == "*" || whole == part
}

/// `*` is every resource, and `*/scale` that subresource of every one.
fn is_resource(whole: &str, part: &str) -> bool {
    let subresource = |text: &str| text.split_once('/').map(|(_, subresource)| subresource.to_owned());
    is(whole, part) || whole.strip_prefix("*/").is_some_and(|every| subresource(part).as_deref() == Some(every))
}
