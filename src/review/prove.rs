//! No edit leaves without a proof: read again, the file says what it said and exactly the intended change.

use std::collections::BTreeMap;

use serde_json::Value;
use trueup_core::facts::{Desired, Problem};
use yaml_edit::YamlFile;

/// What a file declares, as Kubernetes reads it.
#[derive(Debug, Clone, PartialEq)]
pub struct Reading {
    /// The objects in the file's order.
    pub objects: Vec<Desired>,
    /// What could not be read.
    pub problems: Vec<Problem>,
}

impl Reading {
    /// Reads a file as the diff does.
    #[must_use]
    pub fn of(file: &str, bytes: &[u8]) -> Self {
        let (objects, problems) = trueup_kubernetes::manifest::read(file, bytes);
        Self { objects, problems }
    }
}

/// Compares two readings of a file: the objects are the same but for the one at `index`, which is now `intended`.
///
/// # Errors
/// What the edit would have changed beside the intention, in plain words.
pub fn objects(before: &Reading, after: &Reading, index: usize, intended: &Value) -> Result<(), String> {
    if before.objects.len() != after.objects.len() || before.problems.len() != after.problems.len() {
        let (was, is) = (before.objects.len(), after.objects.len());
        return Err(format!("the edited file no longer reads as before ({was} objects before, {is} after)"));
    }
    for (position, (old, new)) in before.objects.iter().zip(&after.objects).enumerate() {
        if position != index && (old.value != new.value || old.id != new.id) {
            return Err(format!("the edit would change `{}`, too", old.id));
        }
    }
    match after.objects.get(index) {
        Some(edited) if edited.value == *intended => Ok(()),
        Some(_) => Err("the edited file would not read back as the live value and nothing else".to_owned()),
        None => Err("the edited file no longer holds the object".to_owned()),
    }
}

/// Whether every comment of `before` that does not stand in `gone` (a range of bytes that is meant to go) is still there.
///
/// # Errors
/// The first comment that the edit would lose.
pub fn comments(before: &YamlFile, after: &YamlFile, gone: &std::ops::Range<usize>) -> Result<(), String> {
    let mut left: BTreeMap<String, usize> = BTreeMap::new();
    for comment in after.comments() {
        *left.entry(comment.text().to_owned()).or_default() += 1;
    }
    for comment in before.comments() {
        let start = comment.byte_range().start as usize;
        if gone.contains(&start) {
            continue;
        }
        match left.get_mut(comment.text()) {
            Some(count) if *count > 0 => *count -= 1,
            _ => return Err(format!("the comment `{}` would be lost", crate::visible::visible(comment.text()))),
        }
    }
    Ok(())
}

/// Whether `longer` is `shorter` with lines added in one place; a line next to them may change (`{}` opens up).
///
/// # Errors
/// In plain words, where more changed.
pub fn only_adds(shorter: &str, longer: &str) -> Result<(), String> {
    let (few, many): (Vec<&str>, Vec<&str>) = (shorter.lines().collect(), longer.lines().collect());
    let head = few.iter().zip(&many).take_while(|(a, b)| a == b).count();
    let tail = few[head..].iter().rev().zip(many[head..].iter().rev()).take_while(|(a, b)| a == b).count();
    if few.len() - head - tail <= 1 { Ok(()) } else { Err("the edit would touch lines beside the value's own".to_owned()) }
}

/// A file that was JSON stays JSON.
///
/// # Errors
/// Where it would not.
pub fn still_json(before: &str, after: &str) -> Result<(), String> {
    let is_json = |text: &str| serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok();
    if is_json(before) && !is_json(after) { Err("the file would no longer be JSON".to_owned()) } else { Ok(()) }
}
