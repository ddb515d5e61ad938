//! `NetworkPolicy`: each rule allows something more; a direction without rules is closed where `policyTypes` names it.
//! <https://kubernetes.io/docs/reference/kubernetes-api/policy-resources/network-policy-v1/>

use std::net::IpAddr;

use serde_json::Value;

use super::sets::{compare, entries, selects_all_of, texts};
use super::{Direction, Field};

pub(super) fn direction(field: &Field<'_>) -> Direction {
    match field.keys {
        ["spec", "ingress"] => rules(field, "Ingress", "from"),
        ["spec", "egress"] => rules(field, "Egress", "to"),
        ["spec", "policyTypes"] => types(field),
        // Pods that are no longer selected are open, or fall to other policies.
        _ => Direction::Unclear,
    }
}

fn rules(field: &Field<'_>, way: &str, peers: &str) -> Direction {
    let (desired, live) = (entries(field.desired), entries(field.live));
    let order = compare(desired, live, |whole, part| rule_includes(whole, part, peers));
    // Without a rule, the direction is closed only where the policy's types name it.
    let types = field.object.map(|object| texts(object.pointer("/spec/policyTypes")));
    let is_closed = types.is_some_and(|types| types.contains(&way));
    if is_closed { Direction::of_order(order, Direction::Weaker) } else { only_weaker(order) }
}

/// Where it is not known that fewer rules mean less.
fn only_weaker(order: Option<std::cmp::Ordering>) -> Direction {
    match Direction::of_order(order, Direction::Weaker) {
        Direction::Weaker => Direction::Weaker,
        Direction::Stronger | Direction::Unclear => Direction::Unclear,
    }
}

/// A direction that is no longer named is open. One that is named anew is closed but for its rules, and those may open
/// what another policy closes.
fn types(field: &Field<'_>) -> Direction {
    let (desired, live) = (texts(field.desired), texts(field.live));
    let gone = desired.iter().any(|way| !live.contains(way));
    let added: Vec<&&str> = live.iter().filter(|way| !desired.contains(way)).collect();
    let has_rules = |way: &str| {
        let pointer = format!("/spec/{}", way.to_lowercase());
        field.object.is_none_or(|object| !entries(object.pointer(&pointer)).is_empty())
    };
    match (gone, added.as_slice()) {
        (true, []) => Direction::Weaker,
        (false, added) if !added.is_empty() && added.iter().all(|way| !has_rules(way)) => Direction::Stronger,
        _ => Direction::Unclear,
    }
}

fn rule_includes(whole: &Value, part: &Value, peers: &str) -> bool {
    all_or_any(whole.get(peers), part.get(peers), peer_includes)
        && all_or_any(whole.get("ports"), part.get("ports"), port_includes)
}

/// A list that is absent or empty stands for everything.
fn all_or_any(whole: Option<&Value>, part: Option<&Value>, includes: fn(&Value, &Value) -> bool) -> bool {
    let (whole, part) = (entries(whole), entries(part));
    whole.is_empty() || (!part.is_empty() && part.iter().all(|part| whole.iter().any(|whole| includes(whole, part))))
}

fn peer_includes(whole: &Value, part: &Value) -> bool {
    if let (Some(whole), Some(part)) = (whole.get("ipBlock"), part.get("ipBlock")) {
        return block_includes(whole, part);
    }
    // Without a namespaceSelector a podSelector means this namespace; with an empty one, all of them.
    let namespaces = match (whole.get("namespaceSelector"), part.get("namespaceSelector")) {
        (None, None) => true,
        (Some(whole), Some(part)) => selects_all_of(Some(whole), Some(part)),
        (None, Some(_)) | (Some(_), None) => false,
    };
    let is_block = whole.get("ipBlock").is_some() || part.get("ipBlock").is_some();
    !is_block && namespaces && selects_all_of(whole.get("podSelector"), part.get("podSelector"))
}

fn block_includes(whole: &Value, part: &Value) -> bool {
    let (Some(block), Some(inside)) = (block(whole.get("cidr")), block(part.get("cidr"))) else { return whole == part };
    // What the wider block leaves out, the narrower one leaves out, too.
    let left_out = entries(part.get("except"));
    let excepted =
        |except: &Value| left_out.iter().any(|left_out| contains(self::block(Some(left_out)), self::block(Some(except))));
    contains(Some(block), Some(inside)) && entries(whole.get("except")).iter().all(excepted)
}

fn block(cidr: Option<&Value>) -> Option<(IpAddr, u32)> {
    let (address, bits) = cidr?.as_str()?.split_once('/')?;
    Some((address.parse().ok()?, bits.parse().ok()?))
}

fn contains(whole: Option<(IpAddr, u32)>, part: Option<(IpAddr, u32)>) -> bool {
    let (Some((whole, bits)), Some((part, inner))) = (whole, part) else { return false };
    let (whole, part, width) = match (whole, part) {
        (IpAddr::V4(whole), IpAddr::V4(part)) => (u128::from(u32::from(whole)), u128::from(u32::from(part)), 32),
        (IpAddr::V6(whole), IpAddr::V6(part)) => (u128::from(whole), u128::from(part), 128),
        (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => return false,
    };
    let network = |address: u128| address.checked_shr(width - bits.min(width)).unwrap_or(0);
    bits <= inner && inner <= width && network(whole) == network(part)
}

fn port_includes(whole: &Value, part: &Value) -> bool {
    let protocol = |port: &Value| port.get("protocol").and_then(Value::as_str).unwrap_or("TCP").to_owned();
    let range = |port: &Value| {
        let first = port.get("port")?.as_u64()?;
        Some((first, port.get("endPort").and_then(Value::as_u64).unwrap_or(first)))
    };
    let ports = match (whole.get("port"), range(whole), range(part)) {
        (None, _, _) => true,
        (Some(_), Some((from, to)), Some((first, last))) => from <= first && last <= to,
        (Some(name), _, _) => part.get("port") == Some(name),
    };
    protocol(whole) == protocol(part) && ports
}
