//! A folder of live objects as `kubectl get -o yaml --show-managed-fields` prints them, looked at and patched like a cluster.

mod ownership;
mod rewrite;

use std::borrow::Borrow;
use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write};
use std::mem;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde_json::Value;
use trueup_core::facts::{Desired, Live, Matched, Observation, Pair, Problem};
use trueup_core::object::ObjectId;
use trueup_core::positions::Positions;
use trueup_core::shared::Shared;

use crate::autoscaling::{self, Autoscaler};
use crate::conversion::converted;
use crate::expect::Expecting;
use crate::manifest;
use crate::normal;
use crate::observe::{SECRETS_OFF, SecretsMode, absent};
use crate::schema::{self, Schemas};

/// Why a snapshot cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotError {
    /// The folder or a file in it cannot be read.
    #[error("the snapshot's `{}` cannot be read: {source}", path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// What went wrong.
        source: io::Error,
    },
    /// A file is not what kubectl prints.
    #[error("a file of the snapshot cannot be read: {problem}")]
    Unreadable {
        /// Where and why.
        problem: Problem,
    },
    /// The object is in several places.
    #[error("the snapshot holds `{id}` twice, in `{}` and `{}`; keep one of the two", first.display(), second.display())]
    Twice {
        /// The object.
        id: Box<ObjectId>,
        /// One file.
        first: PathBuf,
        /// The other.
        second: PathBuf,
    },
    /// The object is not there.
    #[error("the snapshot holds no `{id}`")]
    NotFound {
        /// The object.
        id: Box<ObjectId>,
    },
    /// The object is another than the one that was judged.
    #[error("`{id}` has changed in the snapshot: its `{field}` is `{found}`, not `{wanted}`; it will be read and judged again")]
    Conflict {
        /// The object.
        id: Box<ObjectId>,
        /// `metadata.uid` or `metadata.resourceVersion`.
        field: &'static str,
        /// What is there.
        found: String,
        /// What was judged.
        wanted: String,
    },
    /// The object is being deleted.
    #[error("`{id}` is being deleted; nothing is written to it")]
    Deleting {
        /// The object.
        id: Box<ObjectId>,
    },
    /// The new text would not say what it should.
    #[error("`{id}` cannot be rewritten in `{}` without touching something else; nothing was changed", file.display())]
    Misplaced {
        /// The object.
        id: Box<ObjectId>,
        /// The file.
        file: PathBuf,
    },
    /// The file cannot be written.
    #[error("`{}` cannot be written: {source}; it is as it was", path.display())]
    Write {
        /// Which.
        path: PathBuf,
        /// What went wrong.
        source: io::Error,
    },
}

impl SnapshotError {
    /// Whether the object is to be read and judged again.
    #[must_use]
    pub fn is_conflict(&self) -> bool {
        matches!(self, Self::Conflict { .. })
    }
}

/// Which version of an object a patch is for.
#[derive(Debug, Clone, Copy, Default)]
pub struct Preconditions<'a> {
    /// Its `metadata.uid`.
    pub uid: Option<&'a str>,
    /// Its `metadata.resourceVersion`.
    pub resource_version: Option<&'a str>,
}

/// One object of a snapshot and the file that holds it.
#[derive(Debug, Clone)]
struct Held {
    file: PathBuf,
    object: Desired,
}

/// All that a folder holds.
#[derive(Debug, Default)]
pub struct Contents {
    held: Vec<Held>,
    problems: Vec<Problem>,
}

impl Contents {
    /// Reads the folder; why it cannot be read is a problem that blinds.
    #[must_use]
    pub fn of(folder: &Path) -> Self {
        read_folder(folder).unwrap_or_else(|error| Self::unread(error.to_string()))
    }

    /// Those of a folder that could not be read, for this reason.
    #[must_use]
    pub fn unread(reason: String) -> Self {
        Self { held: Vec::new(), problems: vec![Problem::blind("snapshot-unreadable", reason, None)] }
    }

    /// The schemas of custom resources that Git declares and, counting more, those that the folder holds.
    #[must_use]
    pub fn schemas(&self, desired: &[impl Borrow<Desired>]) -> Schemas {
        let objects = desired.iter().map(Borrow::borrow).chain(self.held.iter().map(|held| &held.object));
        schema::among(objects.map(|object| (&object.id, &object.value)))
    }
}

/// Looks at every declared object in the folder. Total: each of them is in one pair of the answer.
///
/// What is not in the folder is missing only if all of the folder could be read.
#[must_use]
pub fn observe(
    contents: Contents,
    desired: impl IntoIterator<Item: Into<Shared<Desired>>>,
    secrets: SecretsMode,
    expecting: &Expecting<'_>,
) -> Observation {
    let desired: Vec<Shared<Desired>> = desired.into_iter().map(Into::into).collect();
    let blind = contents.problems.first().map(ToString::to_string);
    let autoscalers = autoscalers(&desired, &contents.held);
    let mut seen = Observation { problems: contents.problems, ..Observation::default() };
    let mut by_key: BTreeMap<Key, Vec<Held>> = BTreeMap::new();
    for mut held in contents.held {
        let id = &held.object.id;
        // Where something is declared is asked of Git's words alone.
        held.object.positions = Positions::default();
        by_key.entry(key(id, id.namespace.as_deref())).or_default().push(held);
    }
    let mut wanted: BTreeMap<Key, usize> = BTreeMap::new();
    for desired in &desired {
        *wanted.entry(place(&by_key, &desired.id)).or_default() += 1;
    }
    for desired in desired {
        let desired = normal::shared(desired);
        if secrets == SecretsMode::Off && desired.id.is_secret() {
            seen.pairs.push(Pair::Skipped(desired, SECRETS_OFF.to_owned()));
            continue;
        }
        let place = place(&by_key, &desired.id);
        let found = by_key.get_mut(&place).map_or(&mut [][..], Vec::as_mut_slice);
        seen.pairs.push(match (found, &blind) {
            ([held], _) => {
                // A large one is not copied for the only one that asks for it.
                let is_only = wanted.get(&place) == Some(&1);
                let value = if is_only { mem::take(&mut held.object.value) } else { held.object.value.clone() };
                judge(desired, (&held.object.id, value), expecting, &autoscalers)
            }
            ([], None) => absent(desired),
            ([], Some(reason)) => Pair::Unseen(desired, format!("a part of the snapshot cannot be read: {reason}")),
            ([first, second, ..], _) => {
                let error = twice(first, second);
                seen.problems.push(Problem::blind("snapshot-ambiguous", error.to_string(), None));
                Pair::Unseen(desired, error.to_string())
            }
        });
    }
    seen
}

/// The object as the folder holds it; `None` if there is none.
///
/// # Errors
/// If the folder cannot be read as a whole: then nothing is known to be missing.
pub fn read(folder: &Path, id: &ObjectId) -> Result<Option<Live>, SnapshotError> {
    Ok(locate(folder, id)?.map(|held| live(&held)))
}

/// The object with all that stands in the folder of it, as its status; `None` if there is none.
///
/// # Errors
/// If the folder cannot be read as a whole.
pub fn read_whole(folder: &Path, id: &ObjectId) -> Result<Option<Value>, SnapshotError> {
    Ok(locate(folder, id)?.map(|held| held.object.value))
}

/// Applies a merge patch (RFC 7386) to one object, as an API server would: preconditions, resourceVersion, managedFields. The
/// file is replaced as a whole; the bytes of the other objects in it stay.
///
/// # Errors
/// With each of them, nothing was changed.
pub fn patch(
    folder: &Path,
    id: &ObjectId,
    patch: &Value,
    preconditions: Preconditions<'_>,
    now: Timestamp,
) -> Result<Live, SnapshotError> {
    let held = locate(folder, id)?.ok_or_else(|| SnapshotError::NotFound { id: Box::new(id.clone()) })?;
    check(&held, preconditions)?;
    let mut value = held.object.value.clone();
    json_patch::merge(&mut value, patch);
    ownership::record(&mut value, &held.object.value, now);
    let read = |source| SnapshotError::Read { path: held.file.clone(), source };
    let bytes = fs::read(&held.file).map_err(read)?;
    let misplaced = || SnapshotError::Misplaced { id: Box::new(id.clone()), file: held.file.clone() };
    let rewritten = rewrite::replace(&bytes, &held.object, &value).ok_or_else(misplaced)?;
    replace_file(&held.file, &rewritten).map_err(|source| SnapshotError::Write { path: held.file.clone(), source })?;
    Ok(live(&Held { file: held.file, object: Desired { value, ..held.object } }))
}

fn check(held: &Held, preconditions: Preconditions<'_>) -> Result<(), SnapshotError> {
    let id = Box::new(held.object.id.clone());
    let text = |key: &str| held.object.value["metadata"][key].as_str();
    if text("deletionTimestamp").is_some() {
        return Err(SnapshotError::Deleting { id });
    }
    let wanted = [
        ("metadata.uid", preconditions.uid, text("uid")),
        ("metadata.resourceVersion", preconditions.resource_version, text("resourceVersion")),
    ];
    match wanted.into_iter().find(|(_, wanted, found)| wanted != found) {
        None => Ok(()),
        Some((field, wanted, found)) => {
            let shown = |text: Option<&str>| text.unwrap_or("none").to_owned();
            Err(SnapshotError::Conflict { id, field, found: shown(found), wanted: shown(wanted) })
        }
    }
}

fn judge(
    mut desired: Shared<Desired>,
    (held, value): (&ObjectId, Value),
    expecting: &Expecting<'_>,
    autoscalers: &[Autoscaler],
) -> Pair {
    let value = if held.api_version == desired.id.api_version { Some(value) } else { converted(&value, &desired.id) };
    let Some(value) = value else {
        let reason = format!("the snapshot holds `{}` as `{}`, which is not converted", desired.id, held.api_version);
        return Pair::Unseen(desired, reason);
    };
    if desired.id.namespace != held.namespace {
        desired.id.namespace.clone_from(&held.namespace);
    }
    let id = ObjectId { api_version: desired.id.api_version.clone(), ..held.clone() };
    let mut matched: Matched = expecting.by_table(desired, normal::live(id, value));
    if autoscaling::is_scaled(&matched) {
        matched.expected.allowances.extend(autoscaling::allowance(&matched.live, autoscalers));
    }
    Pair::Matched(Box::new(matched))
}

/// Those that Git declares first.
fn autoscalers(desired: &[Shared<Desired>], held: &[Held]) -> Vec<Autoscaler> {
    let all = desired.iter().map(|desired| &**desired).chain(held.iter().map(|held| &held.object));
    let autoscalers = all.filter(|object| Autoscaler::is_one(&object.id));
    autoscalers.filter_map(|object| Autoscaler::read(&object.id, &object.value)).collect()
}

fn live(held: &Held) -> Live {
    normal::live(held.object.id.clone(), held.object.value.clone())
}

/// Group, kind, namespace and name.
type Key = (String, String, Option<String>, String);

fn key(id: &ObjectId, namespace: Option<&str>) -> Key {
    (id.group().to_owned(), id.kind.clone(), namespace.map(str::to_owned), id.name.clone())
}

/// Where the object of this id is held. There is no discovery here: an id without a namespace may be cluster-scoped or in
/// `default`, and one with a namespace may be cluster-scoped all the same.
fn place(by_key: &BTreeMap<Key, Vec<Held>>, id: &ObjectId) -> Key {
    let other = if id.namespace.is_some() { None } else { Some("default") };
    let (own, other) = (key(id, id.namespace.as_deref()), key(id, other));
    if !by_key.contains_key(&own) && by_key.contains_key(&other) { other } else { own }
}

fn locate(folder: &Path, id: &ObjectId) -> Result<Option<Held>, SnapshotError> {
    let contents = read_folder(folder)?;
    let mut found = contents.held.into_iter().filter(|held| held.object.id.same_object(id));
    match (found.next(), found.next()) {
        (Some(first), Some(second)) => Err(twice(&first, &second)),
        (Some(held), None) => Ok(Some(held)),
        (None, _) => match contents.problems.into_iter().next() {
            Some(problem) => Err(SnapshotError::Unreadable { problem }),
            None => Ok(None),
        },
    }
}

fn twice(first: &Held, second: &Held) -> SnapshotError {
    SnapshotError::Twice { id: Box::new(first.object.id.clone()), first: first.file.clone(), second: second.file.clone() }
}

fn read_folder(folder: &Path) -> Result<Contents, SnapshotError> {
    let mut contents = Contents::default();
    for file in files(folder)? {
        let bytes = fs::read(&file).map_err(|source| SnapshotError::Read { path: file.clone(), source })?;
        let name = file.strip_prefix(folder).unwrap_or(&file).to_string_lossy().into_owned();
        let (objects, problems) = manifest::read(&name, &bytes);
        contents.held.extend(objects.into_iter().map(|object| Held { file: file.clone(), object }));
        let blind = problems.into_iter().map(|problem| Problem { blinds: true, ..problem });
        contents.problems.extend(blind);
    }
    Ok(contents)
}

/// All YAML and JSON files below, in order; hidden ones are none.
fn files(folder: &Path) -> Result<Vec<PathBuf>, SnapshotError> {
    let unread = |source| SnapshotError::Read { path: folder.to_owned(), source };
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).map_err(unread)? {
        let entry = entry.map_err(unread)?;
        let path = entry.path();
        if entry.file_name().to_string_lossy().starts_with('.') {
            continue;
        }
        // A link to a folder is not followed: it may lead around in a circle.
        if entry.file_type().map_err(unread)?.is_dir() {
            found.extend(files(&path)?);
        } else if path.extension().is_some_and(|extension| ["yaml", "yml", "json"].iter().any(|known| extension == *known)) {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

/// Replaces the file in one step: a reader sees the old or the new text, also after a power cut.
fn replace_file(file: &Path, bytes: &[u8]) -> io::Result<()> {
    let folder = file.parent().unwrap_or(Path::new("."));
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    let part = folder.join(format!(".{name}.trueup"));
    let mut output = fs::File::create(&part)?;
    output.write_all(bytes)?;
    output.set_permissions(fs::metadata(file)?.permissions())?;
    output.sync_all()?;
    fs::rename(&part, file)?;
    fs::File::open(folder)?.sync_all()
}
