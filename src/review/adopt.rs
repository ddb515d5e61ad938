//! Git follows live: the source of one drifted value is edited, and everything else in the file stays byte for byte.

use serde_json::Value;
use trueup_core::facts::Desired;
use trueup_core::finding::{Change, Drift};
use trueup_core::seen::Seen;

use super::plan::{self, Operation, Write};
use super::print::{self, Strings};
use super::prove::{self, Reading};
use super::splice;
use super::tree::{self, Place};

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

/// Edits the source of one drifted value so that Git declares what `live` (the whole live object) holds there.
///
/// Several values of one file are adopted one by one, the file being read again in between.
///
/// The edit is proven: read again, the file declares the same objects with exactly this one change, and no comment is lost
/// but those on lines that went.
///
/// # Errors
/// [`Refused`] where the value has no simple place in the file, or where the edit would change anything else.
pub fn adopt(file: &str, bytes: &[u8], desired: &Desired, drift: &Drift, live: &Value) -> Result<Vec<u8>, Refused> {
    edited(file, bytes, desired, drift, live).map_err(|reason| Refused {
        file: file.to_owned(),
        place: format!("{} of {}", drift.path, desired.id),
        reason,
    })
}

fn edited(file: &str, bytes: &[u8], desired: &Desired, drift: &Drift, live: &Value) -> Result<Vec<u8>, String> {
    let text = admitted(file, bytes, desired, drift)?;
    let value = drift.path.find(live);
    if value.is_some() == (drift.change == Change::Removed) {
        return Err("the live object is not as the finding says".to_owned());
    }
    let intended = plan::intended(&desired.value, &drift.path, value)?;
    let before = Reading::of(file, bytes);
    let is_it = |object: &Desired| object.origin == desired.origin && object.value == desired.value;
    let index = before.objects.iter().position(is_it).ok_or("the file does not declare the object where it was read")?;
    let place = locate(text, desired)?;
    let operations = plan::operations(&desired.value, &intended);
    let mut reason = "Git already declares the live value".to_owned();
    for strings in [Strings::Readable, Strings::Quoted] {
        let proven = performed(text, &place, &operations, strings).and_then(|edited| {
            prove::objects(&before, &Reading::of(file, edited.as_bytes()), index, &intended)?;
            prove::still_json(text, &edited)?;
            Ok(edited)
        });
        match proven {
            Ok(edited) if edited != text => return Ok(edited.into_bytes()),
            Ok(_) => break,
            Err(error) => reason = error,
        }
    }
    Err(reason)
}

/// The file's text, where a value in it may be adopted at all.
fn admitted<'a>(file: &str, bytes: &'a [u8], desired: &Desired, drift: &Drift) -> Result<&'a str, String> {
    if desired.id.is_secret() {
        return Err("values of Secrets are never adopted".to_owned());
    }
    if [&drift.desired, &drift.live].into_iter().any(|seen| matches!(seen, Some(Seen::Masked(_)))) {
        return Err("secret values are never adopted".to_owned());
    }
    if desired.origin.file != file {
        return Err(format!("Git declares the object in `{}`", desired.origin.file));
    }
    std::str::from_utf8(bytes).map_err(|_| "the file is not UTF-8".to_owned())
}

/// Where the object stands: its document between the lines that start with `---`, as `kubectl` splits a file.
fn locate(text: &str, desired: &Desired) -> Result<Place, String> {
    let at = desired.positions.get("").ok_or("the object has no place in its file")?.start;
    let (before, behind) = text.split_at_checked(at).ok_or("the object has no place in its file")?;
    let line = before.rfind('\n').map_or(0, |newline| newline + 1);
    let start = match text[..line].rfind("\n---").map(|newline| newline + 1) {
        Some(separator) => after_line(text, separator),
        None if text.starts_with("---") && line > 0 => after_line(text, 0),
        None => 0,
    };
    let end = behind.find("\n---").map_or(text.len(), |newline| at + newline + 1);
    Ok(Place { document: start..end, object: at - start })
}

fn after_line(text: &str, at: usize) -> usize {
    text[at..].find('\n').map_or(text.len(), |newline| at + newline + 1)
}

/// All operations, one after the other, each shown to lose no comment and to touch no other lines.
fn performed(text: &str, place: &Place, operations: &[Operation], strings: Strings) -> Result<String, String> {
    let layout = print::Layout { strings, ..print::layout_of(text) };
    let document = operations.iter().try_fold(text[place.document.clone()].to_owned(), |document, operation| {
        let edited = tree::perform(&document, place.object, operation, layout)?;
        prove::comments(&tree::parse(&document)?, &tree::parse(&edited.text)?, &edited.gone)?;
        match operation.write {
            Write::Insert(_) => prove::only_adds(&document, &edited.text)?,
            Write::Remove => prove::only_adds(&edited.text, &document)?,
            Write::Replace(_) => {}
        }
        Ok::<_, String>(edited.text)
    })?;
    Ok(splice::replaced(text, place.document.start, place.document.end, &document))
}

#[cfg(test)]
mod tests;
