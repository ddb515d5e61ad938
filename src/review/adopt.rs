//! Git follows live: the sources of drifted values are edited, and everything else in the file stays byte for byte.

use std::collections::BTreeMap;

use serde_json::Value;
use trueup_core::facts::Desired;
use trueup_core::finding::{Change, Drift};
use trueup_core::seen::Seen;
use trueup_kubernetes::manifest::outline::Outline;

use super::edit::{self, Target};
use super::plan;
use super::prove::{self, Reading};

/// One drifted value that Git is to take over.
#[derive(Debug, Clone, Copy)]
pub struct Adoption<'a> {
    /// The object as the file declares it.
    pub desired: &'a Desired,
    /// What differs.
    pub drift: &'a Drift,
    /// The whole live object.
    pub live: &'a Value,
}

/// A file in which Git follows live.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Adopted {
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// The comments that went, as what they stood in or behind went.
    pub comments: Vec<String>,
}

/// Why a value cannot be adopted; a person has to edit the file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("cannot adopt `{place}` in `{file}`: {reason}; edit the file by hand")]
pub struct Refused {
    /// The file.
    pub file: String,
    /// What was to be adopted.
    pub place: String,
    /// Why it is refused, in plain words.
    pub reason: String,
}

/// Edits one file so that Git declares what is live at the place of each drift. All of them, or none.
///
/// The edit is proven: read again, the file declares the same objects with exactly these changes, and every comment is there
/// but those that are named.
///
/// # Errors
/// [`Refused`] for the first value that has no simple place in the file, or whose edit would change anything else.
pub fn adopt(file: &str, bytes: &[u8], adoptions: &[Adoption<'_>]) -> Result<Adopted, Refused> {
    let refused = |place: String| move |reason: String| Refused { file: file.to_owned(), place, reason };
    let whole = || refused(adoptions.iter().map(name).collect::<Vec<_>>().join("`, `"));
    let text = str::from_utf8(bytes).map_err(|_| "the file is not UTF-8".to_owned()).map_err(whole())?;
    let before = Reading::of(file, bytes);
    let mut intended = BTreeMap::new();
    let mut edited = (text.to_owned(), Vec::new());
    for adoption in in_order(adoptions) {
        let step = one(&before, edited, &mut intended, (file, adoption));
        edited = step.map_err(refused(name(adoption)))?;
    }
    let (after, comments) = edited;
    prove::objects(&before, &Reading::of(file, after.as_bytes()), &intended).map_err(whole())?;
    if after == text {
        return Err(whole()("Git already declares the live value".to_owned()));
    }
    Ok(Adopted { bytes: after.into_bytes(), comments })
}

fn name(adoption: &Adoption<'_>) -> String {
    format!("{} of {}", adoption.drift.path, adoption.desired.id)
}

/// What goes comes last, and from behind: no place moves before its turn.
fn in_order<'a>(adoptions: &'a [Adoption<'a>]) -> Vec<&'a Adoption<'a>> {
    let is_gone = |adoption: &&Adoption<'_>| adoption.drift.change == Change::Removed;
    let (mut gone, mut kept): (Vec<&Adoption<'_>>, Vec<&Adoption<'_>>) = adoptions.iter().partition(is_gone);
    kept.sort_by(|one, other| one.drift.path.cmp(&other.drift.path));
    gone.sort_by(|one, other| other.drift.path.cmp(&one.drift.path));
    kept.into_iter().chain(gone).collect()
}

/// One value more: the text after it, and what its object is then to be.
fn one(
    before: &Reading,
    (text, mut comments): (String, Vec<String>),
    intended: &mut BTreeMap<usize, Value>,
    (file, adoption): (&str, &Adoption<'_>),
) -> Result<(String, Vec<String>), String> {
    let Adoption { desired, drift, live } = *adoption;
    admit(file, desired, drift)?;
    if drift.path.find(live).is_some() == (drift.change == Change::Removed) {
        return Err("the live object is not as the finding says".to_owned());
    }
    let is_it = |object: &Desired| object.origin == desired.origin && object.value == desired.value;
    let index = before.objects.iter().position(is_it).ok_or("the file does not declare the object where it was read")?;
    let object = intended.entry(index).or_insert_with(|| desired.value.clone());
    *object = plan::intended(object, &drift.path, live)?;
    // The text moves with each edit; what comes before the object's own document or item does not.
    let (target, said) = locate(&text, desired, &before.objects, index)?;
    let edited = edit::follow(&text, target, &said, &plan::intended(&said, &drift.path, live)?)?;
    comments.extend(edited.comments);
    Ok((edited.text, comments))
}

/// Whether a value may be adopted at all.
fn admit(file: &str, desired: &Desired, drift: &Drift) -> Result<(), String> {
    if desired.id.is_secret() {
        return Err("values of Secrets are never adopted".to_owned());
    }
    if [&drift.desired, &drift.live].into_iter().any(|seen| matches!(seen, Some(Seen::Masked(_)))) {
        return Err("secret values are never adopted".to_owned());
    }
    if desired.origin.file != file {
        return Err(format!("Git declares the object in `{}`", desired.origin.file));
    }
    Ok(())
}

/// The object's document, or its item in the document's `items`, and what that says: the objects of one document are its items
/// in order.
fn locate(text: &str, desired: &Desired, objects: &[Desired], index: usize) -> Result<(Target, Value), String> {
    let document = desired.origin.document;
    let outlines = Outline::of(text.as_bytes());
    let outline = outlines.iter().find(|outline| outline.number == document).ok_or("the document cannot be read on its own")?;
    let Some(Value::Array(items)) = outline.value.get("items") else {
        return Ok((Target { document, item: None }, outline.value.clone()));
    };
    let is_item = |item: &Value| item.pointer("/metadata/name").and_then(Value::as_str).is_some();
    let first = objects.iter().position(|object| object.origin.document == document).unwrap_or(index);
    let item = items.iter().enumerate().filter(|(_, item)| is_item(item)).nth(index - first);
    let (item, said) = item.ok_or("the list's item is not written out there")?;
    Ok((Target { document, item: Some(item) }, said.clone()))
}

#[cfg(test)]
mod tests;
