//! Git follows live where a program renders the manifests: an edit of what an object is rendered from, proven by rendering
//! again.
//!
//! Where a value comes from is not guessed from what the program might do. Places that look like it are candidates, in the
//! order in which the program lets them speak; each is tried, and the first that renders to the live value and changes
//! nothing else is the edit.

mod kustomize;
mod values;

use std::fs;

use serde_json::Value;
use trueup_core::facts::Desired;
use trueup_core::finding::Drift;
use trueup_core::seen::Seen;
use trueup_core::shared::Shared;

use super::edit::{self, Target};
use super::{Adopted, plan};
use crate::config::{ManifestPath, Rendering};
use crate::render::{Bench, Rendered, covers};

/// No more edits are tried for one value.
const TRIES: usize = 24;

/// What is adopted, and what renders it.
pub struct Subject<'a> {
    /// The path that renders the object.
    pub path: &'a ManifestPath,
    /// All paths of the settings: what the others declare must stay.
    pub others: &'a [ManifestPath],
    /// The object as it is rendered.
    pub desired: &'a Desired,
    /// What differs.
    pub drift: &'a Drift,
    /// The whole live object.
    pub live: &'a Value,
}

/// An edit of a source file that renders to the live value.
#[derive(Debug, Clone, PartialEq)]
pub struct Found {
    /// The file.
    pub file: String,
    /// Its bytes before.
    pub before: Vec<u8>,
    /// Its bytes after, and the comments that went.
    pub adopted: Adopted,
    /// The object as it is then rendered.
    pub desired: Shared<Desired>,
}

/// An edit that may be the one.
#[derive(Debug, Clone, PartialEq)]
struct Candidate {
    file: String,
    target: Target,
    /// What the target says.
    said: Value,
    /// What it is to say.
    intended: Value,
    /// What is edited, for people: `replicas` of `overlays/prod/kustomization.yaml`.
    name: String,
}

/// How many of the candidates may do it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Choice {
    /// The first that does it is nearest to what is rendered.
    Nearest,
    /// None is nearer than another: exactly one may do it.
    Only,
}

/// Finds the edit. Blocks: programs run.
///
/// # Errors
/// Why there is none, in plain words.
pub fn adopt(bench: &Bench, subject: &Subject<'_>) -> Result<Found, String> {
    let Subject { path, desired, drift, live, .. } = *subject;
    if desired.id.is_secret() || [&drift.desired, &drift.live].into_iter().any(|seen| matches!(seen, Some(Seen::Masked(_)))) {
        return Err("secret values are never adopted".to_owned());
    }
    let intended = plan::intended(&desired.value, &drift.path, live)?;
    let before = bench.render().map_err(|problem| problem.message)?;
    let (candidates, choice) = match &path.rendering {
        Some(Rendering::Kustomize) => (kustomize::candidates(bench, subject)?, Choice::Nearest),
        Some(Rendering::Helm(chart)) => (values::candidates(bench, subject, chart)?, Choice::Only),
        None => return Err("nothing is rendered there".to_owned()),
    };
    if candidates.len() > TRIES {
        return Err(format!("{} places may set the value: too many to try", candidates.len()));
    }
    let others = neighbours(bench, subject);
    let (mut found, mut reasons) = (Vec::new(), Vec::new());
    for candidate in candidates {
        match attempt(bench, subject, (&before, &intended, &others), &candidate) {
            Ok(edit) => found.push(edit),
            Err(reason) => reasons.push(format!("{}: {reason}", candidate.name)),
        }
        if found.len() > usize::from(choice == Choice::Only) {
            break;
        }
    }
    match (found.len(), choice) {
        (1, _) | (_, Choice::Nearest) if !found.is_empty() => Ok(found.swap_remove(0)),
        (0, _) if reasons.is_empty() => {
            Err(format!("nothing in the source of `{}` sets `{}` in one place", path.path, drift.path))
        }
        (0, _) => Err(format!("no edit of the source of `{}` renders to the live value ({})", path.path, reasons.join("; "))),
        _ => Err(format!("`{}` and `{}` would both render to the live value", found[0].file, found[1].file)),
    }
}

/// One edit, proven; the files are then as before.
fn attempt(
    bench: &Bench,
    subject: &Subject<'_>,
    (before, intended, others): (&Rendered, &Value, &[(&ManifestPath, Rendered)]),
    candidate: &Candidate,
) -> Result<Found, String> {
    let reads_it = |other: &&ManifestPath| !is_kin(other, subject.path) && covers(&other.path, &candidate.file);
    if let Some(other) = subject.others.iter().find(reads_it) {
        return Err(format!("`{}` is read for the path `{}`, too", candidate.file, other.path));
    }
    let place = bench.tree().join(&candidate.file);
    let unreadable = |error: std::io::Error| format!("`{}` cannot be edited: {error}", candidate.file);
    let bytes = fs::read(&place).map_err(unreadable)?;
    let text = str::from_utf8(&bytes).map_err(|_| "the file is not UTF-8")?;
    let edited = edit::follow(text, candidate.target, &candidate.said, &candidate.intended)?;
    if edited.text == text {
        return Err("the source says it already".to_owned());
    }
    fs::write(&place, &edited.text).map_err(unreadable)?;
    let proven = prove(bench, subject, (before, intended), others);
    fs::write(&place, &bytes).map_err(unreadable)?;
    let adopted = Adopted { bytes: edited.text.into_bytes(), comments: edited.comments };
    Ok(Found { file: candidate.file.clone(), before: bytes, adopted, desired: proven? })
}

/// Whether one program renders both.
fn is_kin(one: &ManifestPath, other: &ManifestPath) -> bool {
    let program = |path: &ManifestPath| path.rendering.as_ref().map(Rendering::name);
    program(one).is_some_and(|name| program(other) == Some(name))
}

/// What the other paths render to by the same program; those that fail, fail with or without the edit.
fn neighbours<'a>(bench: &Bench, subject: &Subject<'a>) -> Vec<(&'a ManifestPath, Rendered)> {
    let others = subject.others.iter().filter(|other| *other != subject.path && is_kin(other, subject.path));
    others.filter_map(|other| Some((other, bench.render_path(other).ok()?))).collect()
}

/// Rendered again, all objects are as before but for the one, which is now as intended.
fn prove(
    bench: &Bench,
    subject: &Subject<'_>,
    (before, intended): (&Rendered, &Value),
    others: &[(&ManifestPath, Rendered)],
) -> Result<Shared<Desired>, String> {
    let after = bench.render().map_err(|problem| problem.message)?;
    if before.objects.len() != after.objects.len() || before.problems.len() != after.problems.len() {
        return Err("it would render to other objects".to_owned());
    }
    let mut proven = None;
    for (old, new) in before.objects.iter().zip(&after.objects) {
        let is_it = old.id == subject.desired.id && old.value == subject.desired.value;
        match (is_it, &new.value) {
            _ if old.id != new.id => return Err(format!("it would rename `{}` to `{}`", old.id, new.id)),
            (true, value) if value == intended => proven = Some(new.clone()),
            (true, _) => return Err("it would not render to the live value and nothing else".to_owned()),
            (false, value) if *value != old.value => return Err(format!("it would change `{}`, too", old.id)),
            (false, _) => {}
        }
    }
    for (other, old) in others {
        let same = |new: Rendered| new.objects == old.objects;
        if !bench.render_path(other).is_ok_and(same) {
            return Err(format!("it would change what `{}` renders to, too", other.path));
        }
    }
    proven.ok_or_else(|| format!("`{}` is no longer rendered", subject.desired.id))
}
