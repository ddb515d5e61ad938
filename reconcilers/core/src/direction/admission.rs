//! Webhooks and admission policies: what is checked less is weaker, and what is let through when the check fails.
//! <https://kubernetes.io/docs/reference/access-authn-authz/extensible-admission-controllers/>

use std::cmp::Ordering;

use serde_json::Value;

use super::sets::{compare, compare_selectors, compare_texts, entries, texts};
use super::{Direction, Field};

pub(super) fn direction(field: &Field<'_>) -> Direction {
    let selector = field.keys.iter().position(|key| matches!(*key, "namespaceSelector" | "objectSelector"));
    match (field.last(), field.is_entry) {
        // A webhook that is gone checks nothing. A new one sees what it is sent, and may be anybody's.
        ("webhooks", true) if field.live.is_none() => Direction::Weaker,
        ("failurePolicy", _) => of_word(field, "Fail"),
        ("matchPolicy", _) => of_word(field, "Equivalent"),
        // Without any rule a webhook meets nothing, and a binding everything that its policy meets.
        ("resourceRules", false) if entries(field.desired).is_empty() || entries(field.live).is_empty() => Direction::Unclear,
        ("rules" | "resourceRules", false) => checked(field, compare(entries(field.desired), entries(field.live), rule_includes)),
        ("excludeResourceRules", false) => {
            checked(field, compare(entries(field.desired), entries(field.live), rule_includes).map(Ordering::reverse))
        }
        ("matchConditions", true) => checked(field, Some(if field.live.is_none() { Ordering::Greater } else { Ordering::Less })),
        ("validations", false) => {
            checked(field, compare(entries(field.desired), entries(field.live), |whole, part| whole == part))
        }
        ("validationActions", false) => actions(field),
        _ => match selector {
            Some(at) => checked(field, compare_selectors(&field.keys[at..], field.desired, field.live)),
            None => Direction::Unclear,
        },
    }
}

/// More is checked, or less. What changes more objects is not for that reason the stricter.
fn checked(field: &Field<'_>, order: Option<Ordering>) -> Direction {
    match Direction::of_order(order, Direction::Stronger) {
        Direction::Stronger if field.kind.starts_with("Mutating") => Direction::Unclear,
        direction => direction,
    }
}

/// A field with two words, of which one is the strict one and the default.
fn of_word(field: &Field<'_>, strict: &str) -> Direction {
    let is_strict = |value: Option<&Value>| value.is_none_or(|value| value.as_str() == Some(strict));
    Direction::of_order(Some(is_strict(field.live).cmp(&is_strict(field.desired))), Direction::Stronger)
}

fn actions(field: &Field<'_>) -> Direction {
    let denies = |value: Option<&Value>| texts(value).contains(&"Deny");
    Direction::of_order(Some(denies(field.live).cmp(&denies(field.desired))), Direction::Stronger)
}

/// Whether a rule meets all requests that another one meets.
fn rule_includes(whole: &Value, part: &Value) -> bool {
    let list = |key: &str| {
        let order = compare_texts(part.get(key), whole.get(key), "*");
        matches!(order, Some(Ordering::Equal | Ordering::Greater))
    };
    let scope = |rule: &Value| rule.get("scope").and_then(Value::as_str).unwrap_or("*").to_owned();
    let scopes = scope(whole) == "*" || scope(whole) == scope(part);
    // No names are all names.
    let names = entries(whole.get("resourceNames")).is_empty()
        || (!entries(part.get("resourceNames")).is_empty() && list("resourceNames"));
    ["operations", "apiGroups", "apiVersions", "resources"].into_iter().all(list) && scopes && names
}
