//! Which of two lists allows more.

use std::cmp::Ordering;

use serde_json::Value;

/// How much live allows against Git, where each entry of a list allows something more: `Greater` where it allows all that
/// Git does and more. `includes(a, b)` says whether `a` allows all that `b` does.
pub(super) fn compare<T>(desired: &[T], live: &[T], includes: impl Fn(&T, &T) -> bool) -> Option<Ordering> {
    let covered = |parts: &[T], by: &[T]| parts.iter().all(|part| by.iter().any(|whole| includes(whole, part)));
    order(covered(desired, live), covered(live, desired))
}

/// The order of two sets, of which it is known which includes which.
pub(super) fn order(live_includes_desired: bool, desired_includes_live: bool) -> Option<Ordering> {
    match (live_includes_desired, desired_includes_live) {
        (true, true) => Some(Ordering::Equal),
        (true, false) => Some(Ordering::Greater),
        (false, true) => Some(Ordering::Less),
        (false, false) => None,
    }
}

/// Several orders at once: they must agree.
pub(super) fn together(orders: impl IntoIterator<Item = Option<Ordering>>) -> Option<Ordering> {
    orders.into_iter().try_fold(Ordering::Equal, |sum, order| match (sum, order?) {
        (Ordering::Equal, other) | (other, Ordering::Equal) => Some(other),
        (Ordering::Less, Ordering::Less) => Some(Ordering::Less),
        (Ordering::Greater, Ordering::Greater) => Some(Ordering::Greater),
        (Ordering::Less, Ordering::Greater) | (Ordering::Greater, Ordering::Less) => None,
    })
}

/// A list's entries; none where there is no list.
pub(super) fn entries(value: Option<&Value>) -> &[Value] {
    value.and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// The texts in a list.
pub(super) fn texts(value: Option<&Value>) -> Vec<&str> {
    entries(value).iter().filter_map(Value::as_str).collect()
}

/// Lists of texts of which one may stand for all: `*`, `ALL`.
pub(super) fn compare_texts(desired: Option<&Value>, live: Option<&Value>, all: &str) -> Option<Ordering> {
    compare(&texts(desired), &texts(live), |whole, part| *whole == all || whole == part)
}

/// Whether a label selector (or a part of one) selects all that another one does: with fewer conditions it selects more.
pub(super) fn selects_all_of(wider: Option<&Value>, narrower: Option<&Value>) -> bool {
    let Some(wider) = wider.and_then(Value::as_object) else { return true };
    wider.iter().all(|(key, conditions)| {
        let theirs = narrower.and_then(|narrower| narrower.get(key));
        match (key.as_str(), conditions) {
            ("matchLabels", Value::Object(labels)) => {
                labels.iter().all(|(label, value)| theirs.and_then(|theirs| theirs.get(label)) == Some(value))
            }
            ("matchExpressions", Value::Array(expressions)) => {
                expressions.iter().all(|expression| entries(theirs).contains(expression))
            }
            _ => theirs == Some(conditions),
        }
    })
}

/// How much a selector selects in live against Git, whichever part of it differs: `Greater` where it selects more. `keys`
/// are those from the selector's own on.
pub(super) fn compare_selectors(keys: &[&str], desired: Option<&Value>, live: Option<&Value>) -> Option<Ordering> {
    let within = |value: Option<&Value>| {
        let value = value.cloned()?;
        Some(keys.iter().skip(1).rev().fold(value, |value, key| serde_json::json!({ *key: value })))
    };
    let (desired, live) = (within(desired), within(live));
    order(selects_all_of(live.as_ref(), desired.as_ref()), selects_all_of(desired.as_ref(), live.as_ref()))
}
