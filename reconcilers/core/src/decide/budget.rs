//! What may still be written in this hour and in this round.

use std::collections::{BTreeMap, BTreeSet};

use super::inputs::{Considered, Inputs, Weighed};

/// What the corrections decided so far leave of the limits. Nothing is ever given back.
pub(super) struct Budget<'a> {
    inputs: &'a Inputs,
    class_writes: BTreeMap<&'a str, u32>,
    /// The objects of each namespace that this round corrects.
    corrected: BTreeMap<&'a str, u32>,
}

impl<'a> Budget<'a> {
    pub(super) fn of(inputs: &'a Inputs) -> Self {
        Self { inputs, class_writes: BTreeMap::new(), corrected: BTreeMap::new() }
    }

    /// Why one correction more, of this finding, would be too much.
    pub(super) fn objection(&self, finding: &Weighed, object: &Considered) -> Option<String> {
        self.of_class(finding).or_else(|| self.of_namespace(object.namespace())).or_else(|| self.of_target())
    }

    fn of_class(&self, finding: &Weighed) -> Option<String> {
        let (name, class) = self.inputs.class_of(finding)?;
        let limit = class.writes_per_hour?;
        let before = self.inputs.guards.class_writes.get(name).copied().unwrap_or_default();
        let now = self.class_writes.get(name.as_str()).copied().unwrap_or_default();
        (before.saturating_add(now) >= limit).then(|| format!("class {name} has made its {limit} writes of this hour"))
    }

    fn of_namespace(&self, namespace: &str) -> Option<String> {
        let now = self.corrected.get(namespace).copied().unwrap_or_default();
        let before = self.inputs.guards.namespace_writes.get(namespace).copied().unwrap_or_default();
        let name = if namespace.is_empty() { "what is in no namespace".to_owned() } else { format!("namespace {namespace}") };
        if let Some(limit) = self.inputs.limits.namespace_writes_per_hour
            && before.saturating_add(now) >= limit
        {
            return Some(format!("{name} has had its {limit} writes of this hour"));
        }
        let percent = self.inputs.limits.namespace_share?;
        let declared = self.inputs.declared.get(namespace).copied().unwrap_or_default();
        let most = share(declared, percent);
        (now >= most).then(|| {
            format!(
                "one round corrects at most {most} of the {declared} declared objects of {name} ({percent} %): the rest waits"
            )
        })
    }

    fn of_target(&self) -> Option<String> {
        let now = self.corrected.values().copied().fold(0, u32::saturating_add);
        if let Some(limit) = self.inputs.limits.writes_per_hour
            && self.inputs.guards.target_writes.saturating_add(now) >= limit
        {
            return Some(format!("this target has had its {limit} writes of this hour"));
        }
        let most = self.inputs.limits.objects_per_round?;
        (now >= most).then(|| format!("one round corrects at most {most} objects of a target: the rest waits"))
    }

    /// Counts one correction: one write, and one of each class that takes part.
    pub(super) fn spend(&mut self, object: &'a Considered, classes: &BTreeSet<&'a str>) {
        for class in classes {
            *self.class_writes.entry(class).or_default() += 1;
        }
        *self.corrected.entry(object.namespace()).or_default() += 1;
    }
}

/// A share of some objects, rounded down; any share but none is at least one object, so that a small namespace is not
/// left out for ever.
fn share(declared: u32, percent: u32) -> u32 {
    if percent == 0 {
        return 0;
    }
    let share = u64::from(declared) * u64::from(percent) / 100;
    u32::try_from(share).unwrap_or(u32::MAX).max(1)
}
