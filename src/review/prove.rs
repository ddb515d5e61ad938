//! No edit leaves without a proof: read again, the file says what it said and exactly the intended change.

use std::collections::BTreeMap;
use std::ops::Range;

use serde_json::Value;
use trueup_core::facts::{Desired, Problem};
use trueup_kubernetes::manifest::outline::{self, Outline};

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

/// Compares two readings of a file: the objects are the same but for those at the indices, which are now as intended.
///
/// # Errors
/// What the edit would have changed beside the intention, in plain words.
pub fn objects(before: &Reading, after: &Reading, intended: &BTreeMap<usize, Value>) -> Result<(), String> {
    if before.objects.len() != after.objects.len() || before.problems.len() != after.problems.len() {
        let (was, is) = (before.objects.len(), after.objects.len());
        return Err(format!("the edited file no longer reads as before ({was} objects before, {is} after)"));
    }
    for (index, (old, new)) in before.objects.iter().zip(&after.objects).enumerate() {
        match intended.get(&index) {
            Some(intended) if new.value != *intended => {
                return Err("the edited file would not read back as the live value and nothing else".to_owned());
            }
            None if old.value != new.value || old.id != new.id => {
                return Err(format!("the edit would change `{}`, too", old.id));
            }
            Some(_) | None => {}
        }
    }
    Ok(())
}

/// Compares what the documents of a file say: all the same but for the one of this number, which now says what is intended.
///
/// # Errors
/// What else would change, in plain words.
pub fn documents(before: &[Outline], after: &[Outline], number: u32, intended: &Value) -> Result<(), String> {
    if before.len() != after.len() {
        return Err("the edited file would no longer be read".to_owned());
    }
    for (old, new) in before.iter().zip(after) {
        if old.number != new.number || old.is_json != new.is_json {
            return Err(format!("document {} would be read in another way", old.number));
        }
        let expected = if old.number == number { intended } else { &old.value };
        if new.value != *expected {
            return Err("the edited file would not read back as the live value and nothing else".to_owned());
        }
    }
    Ok(())
}

/// Whether every comment that does not stand where bytes were replaced still stands where it has to. Returns those that were
/// replaced and are gone.
///
/// # Errors
/// The first comment that would be lost outside of what was replaced.
pub fn comments(before: &str, after: &str, (span, length): (&Range<usize>, usize)) -> Result<Vec<String>, String> {
    let moved = |comment: &Range<usize>| {
        let shift = |at: usize| if comment.start >= span.end { at - span.end + span.start + length } else { at };
        shift(comment.start)..shift(comment.end)
    };
    let kept = outline::comments(after.as_bytes());
    let mut gone: Vec<String> = Vec::new();
    for comment in outline::comments(before.as_bytes()) {
        let words = &before[comment.clone()];
        if comment.start < span.end && span.start < comment.end {
            gone.push(words.to_owned());
        } else if !kept.contains(&moved(&comment)) {
            return Err(format!("the comment `{}` would be lost", crate::visible::visible(words)));
        }
    }
    for kept in kept.iter().filter(|comment| (span.start..span.start + length).contains(&comment.start)) {
        if let Some(at) = gone.iter().position(|comment| *comment == after[kept.clone()]) {
            gone.remove(at);
        }
    }
    Ok(gone)
}
