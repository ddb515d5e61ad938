//! `ResourceQuota` and `LimitRange`: a higher bound is weaker, and so is none.
//! <https://kubernetes.io/docs/concepts/policy/resource-quotas/>, <https://kubernetes.io/docs/concepts/policy/limit-range/>

use std::cmp::Ordering;
use std::collections::BTreeSet;

use serde_json::Value;

use super::sets::{compare, entries, together};
use super::{Direction, Field};
use crate::quantity::Quantity;

pub(super) fn direction(field: &Field<'_>) -> Direction {
    match (field.kind, field.keys) {
        ("ResourceQuota", ["spec", "hard", _]) => Direction::of_order(ceilings(field.desired, field.live), Direction::Weaker),
        ("ResourceQuota", ["spec", "hard"]) => {
            Direction::of_order(bounds(field.desired, field.live, ceilings), Direction::Weaker)
        }
        // A quota with more scopes counts less.
        ("ResourceQuota", ["spec", "scopes"]) => {
            let order = compare(entries(field.desired), entries(field.live), |whole, part| whole == part);
            Direction::of_order(order, Direction::Weaker)
        }
        ("LimitRange", ["spec", "limits"]) => Direction::of_order(limits(field.desired, field.live), Direction::Weaker),
        _ => Direction::Unclear,
    }
}

/// How much more live allows by a highest value. None allows everything.
fn ceilings(desired: Option<&Value>, live: Option<&Value>) -> Option<Ordering> {
    match (desired, live) {
        (None, None) => Some(Ordering::Equal),
        (Some(_), None) => Some(Ordering::Greater),
        (None, Some(_)) => Some(Ordering::Less),
        (Some(desired), Some(live)) => Some(quantity(live)?.cmp(&quantity(desired)?)),
    }
}

/// How much more live allows by a lowest value.
fn floors(desired: Option<&Value>, live: Option<&Value>) -> Option<Ordering> {
    match (desired, live) {
        (Some(_), Some(_)) => ceilings(desired, live).map(Ordering::reverse),
        _ => ceilings(desired, live),
    }
}

fn quantity(value: &Value) -> Option<Quantity> {
    match value {
        Value::String(text) => Quantity::parse(text),
        Value::Number(number) => Quantity::parse(&number.to_string()),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    }
}

type Scale = fn(Option<&Value>, Option<&Value>) -> Option<Ordering>;

/// Maps from a resource to its bound.
fn bounds(desired: Option<&Value>, live: Option<&Value>, scale: Scale) -> Option<Ordering> {
    let keys = |value: Option<&Value>| {
        value.and_then(Value::as_object).into_iter().flat_map(|map| map.keys().cloned()).collect::<Vec<_>>()
    };
    let resources: BTreeSet<String> = keys(desired).into_iter().chain(keys(live)).collect();
    let at = |value: Option<&Value>, resource: &String| value.and_then(|map| map.get(resource)).cloned();
    together(resources.iter().map(|resource| scale(at(desired, resource).as_ref(), at(live, resource).as_ref())))
}

/// The limits of a `LimitRange`, one entry a type of thing. Defaults are no bounds: where they differ, nothing is plain.
fn limits(desired: Option<&Value>, live: Option<&Value>) -> Option<Ordering> {
    let (desired, live) = (entries(desired), entries(live));
    let of_type = |entries: &[Value], kind: &Value| {
        let mut found = entries.iter().filter(|entry| entry.get("type") == Some(kind));
        let one = found.next().cloned();
        if found.next().is_some() { None } else { Some(one) }
    };
    let types: Vec<&Value> = desired.iter().chain(live).filter_map(|entry| entry.get("type")).collect();
    together(types.into_iter().map(|kind| {
        let (desired, live) = (of_type(desired, kind)?, of_type(live, kind)?);
        let part = |key: &str, scale: Scale| {
            let get = |entry: &Option<Value>| entry.as_ref().and_then(|entry| entry.get(key)).cloned();
            bounds(get(&desired).as_ref(), get(&live).as_ref(), scale)
        };
        let same = |key: &str| {
            let get = |entry: &Option<Value>| entry.as_ref().and_then(|entry| entry.get(key)).cloned();
            if get(&desired) == get(&live) { Some(Ordering::Equal) } else { None }
        };
        let is_bound = desired.is_none() || live.is_none();
        let defaults = if is_bound { Some(Ordering::Equal) } else { together([same("default"), same("defaultRequest")]) };
        together([part("max", ceilings), part("maxLimitRequestRatio", ceilings), part("min", floors), defaults])
    }))
}
