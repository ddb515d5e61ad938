//! How contained a pod is, wherever one is described.
//! <https://kubernetes.io/docs/reference/kubernetes-api/workload-resources/pod-v1/>

use std::cmp::Ordering;

use serde_json::Value;

use super::sets::{compare, compare_texts, entries};
use super::{Direction, Field};

pub(super) fn direction(field: &Field<'_>) -> Direction {
    let in_context = field.has("securityContext");
    match field.last() {
        "volumes" if field.is_entry => volume(field),
        "path" if field.has("hostPath") => host_path(field),
        "hostPort" => of_presence(field, Direction::Weaker),
        "privileged" | "hostNetwork" | "hostPID" | "hostIPC" | "shareProcessNamespace" | "hostProcess" => switch(field, false),
        // Where nobody says otherwise, a process may gain more rights than its parent, a pod gets its account's token, and
        // a container's users are the host's.
        "allowPrivilegeEscalation" | "automountServiceAccountToken" | "hostUsers" => switch(field, true),
        "runAsNonRoot" | "readOnlyRootFilesystem" => switch(field, false).opposite(),
        "runAsUser" | "runAsGroup" if in_context => user(field),
        "supplementalGroups" if in_context => {
            let order = compare(entries(field.desired), entries(field.live), |whole, part| whole == part);
            Direction::of_order(order, Direction::Weaker)
        }
        "add" if field.has("capabilities") => {
            Direction::of_order(compare_texts(field.desired, field.live, "ALL"), Direction::Weaker)
        }
        "drop" if field.has("capabilities") => {
            Direction::of_order(compare_texts(field.desired, field.live, "ALL"), Direction::Stronger)
        }
        "procMount" if in_context => of_ranks(field, &["Default", "Unmasked"], "Default"),
        // A container's own profile takes the place of its pod's, which may be the stricter one.
        "type" if is_containers(field) && field.desired.is_none() => Direction::Unclear,
        "type" if field.has("seccompProfile") => of_ranks(field, &["RuntimeDefault", "Unconfined"], "Unconfined"),
        "type" if field.has("appArmorProfile") => of_ranks(field, &["RuntimeDefault", "Unconfined"], ""),
        _ => Direction::Unclear,
    }
}

fn is_containers(field: &Field<'_>) -> bool {
    ["containers", "initContainers", "ephemeralContainers"].into_iter().any(|list| field.has(list))
}

/// A field whose `true` is weaker; what it is where it is absent.
fn switch(field: &Field<'_>, default: bool) -> Direction {
    let is_on = |value: Option<&Value>| value.map_or(Some(default), Value::as_bool);
    let order = is_on(field.live).zip(is_on(field.desired)).map(|(live, desired)| live.cmp(&desired));
    Direction::of_order(order, Direction::Weaker)
}

/// Whether there is one at all.
fn of_presence(field: &Field<'_>, when_there: Direction) -> Direction {
    Direction::of_order(Some(field.live.is_some().cmp(&field.desired.is_some())), when_there)
}

/// Root, or not. Where neither says, the image does.
fn user(field: &Field<'_>) -> Direction {
    let is_root = |value: Option<&Value>| value.and_then(Value::as_u64).map(|id| id == 0);
    match (is_root(field.desired), is_root(field.live)) {
        (Some(false) | None, Some(true)) => Direction::Weaker,
        (Some(true), Some(false) | None) => Direction::Stronger,
        (Some(_) | None, Some(_) | None) => Direction::Unclear,
    }
}

/// A word on a scale from strict to loose; which one holds where there is none.
fn of_ranks(field: &Field<'_>, ranks: &[&str], default: &str) -> Direction {
    let rank = |value: Option<&Value>| {
        let word = value.map_or(Some(default), Value::as_str)?;
        ranks.iter().position(|known| *known == word)
    };
    let order = rank(field.live).zip(rank(field.desired)).map(|(live, desired)| live.cmp(&desired));
    Direction::of_order(order, Direction::Weaker)
}

/// A volume that came or went, with or without the host's files in it.
fn volume(field: &Field<'_>) -> Direction {
    let of_host = |value: Option<&Value>| value.is_some_and(|volume| volume.get("hostPath").is_some());
    match (field.desired, field.live) {
        (None, Some(_)) | (Some(_), None) => {
            Direction::of_order(Some(of_host(field.live).cmp(&of_host(field.desired))), Direction::Weaker)
        }
        (None, None) | (Some(_), Some(_)) => Direction::Unclear,
    }
}

/// A folder around another one shows more of the host.
fn host_path(field: &Field<'_>) -> Direction {
    let text = |value: Option<&Value>| value.and_then(Value::as_str).map(|path| path.trim_end_matches('/').to_owned());
    let (Some(desired), Some(live)) = (text(field.desired), text(field.live)) else {
        return of_presence(field, Direction::Weaker);
    };
    let is_within = |inner: &str, outer: &str| inner.strip_prefix(outer).is_some_and(|rest| rest.starts_with('/'));
    let has_steps_back = [&desired, &live].iter().any(|path| path.split('/').any(|part| part == ".."));
    match (is_within(&desired, &live), is_within(&live, &desired)) {
        _ if has_steps_back => Direction::Unclear,
        (true, _) => Direction::of_order(Some(Ordering::Greater), Direction::Weaker),
        (_, true) => Direction::Stronger,
        (false, false) => Direction::Unclear,
    }
}
