//! Facts that a round takes in: what Git declares, what is live, who wrote it, and what the server makes of Git's words.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::object::ObjectId;
use crate::path::{Path, Places};
use crate::positions::Positions;
use crate::shared::Shared;

/// A place in a source file. Lines, columns and documents count from 1; columns count characters.
///
/// What a program rendered from Git's files has no line and no column there: both are 0.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Origin {
    /// The file's path inside the repository, with `/`.
    pub file: String,
    /// The line; 0 where it is not known.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub line: u32,
    /// The column; 0 where it is not known.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub column: u32,
    /// Which document of a multi-document file.
    pub document: u32,
}

impl Origin {
    /// Where an object came from that a program rendered: this file, nobody knows which line.
    #[must_use]
    pub fn rendered(file: &str, document: u32) -> Self {
        Self { file: file.to_owned(), line: 0, column: 0, document }
    }

    /// Whether a program rendered it, so that it stands in no line of its file.
    #[must_use]
    pub fn is_rendered(&self) -> bool {
        self.line == 0
    }

    /// File and line: `manifests/web.yaml:21`.
    #[must_use]
    pub fn line_of_file(&self) -> String {
        if self.is_rendered() { format!("{} (rendered)", self.file) } else { format!("{}:{}", self.file, self.line) }
    }

    /// How a person puts a missing object in place.
    #[must_use]
    pub fn how_to_apply(&self) -> String {
        if self.is_rendered() {
            format!("`trueup render` prints what `{}` renders to, for `kubectl apply -f -`", self.file)
        } else {
            format!("`kubectl apply -f {}`", self.file)
        }
    }
}

/// `manifests/web.yaml:21:18`
impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_rendered() {
            return write!(f, "{} (rendered)", self.file);
        }
        write!(f, "{}:{}:{}", self.file, self.line, self.column)
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
fn is_zero(number: &u32) -> bool {
    *number == 0
}

/// One object as Git declares it.
#[derive(Debug, Clone, PartialEq)]
pub struct Desired {
    /// Which object.
    pub id: ObjectId,
    /// The object as Kubernetes reads the manifest, with nothing added.
    pub value: Value,
    /// Where the document (or the item of a `List`) starts.
    pub origin: Origin,
    /// Where each value stands, by its JSON pointer (RFC 6901) in `value`; keys that a merge key (`<<`) brought in point
    /// at the anchored value.
    pub positions: Positions,
}

impl Desired {
    /// Where the value at `path` is declared, or the nearest value around it.
    #[must_use]
    pub fn origin_of(&self, path: &Path) -> Origin {
        self.origin_among(&Places::of(&self.value), path)
    }

    /// The same for many paths: `places` are those of `value`.
    #[must_use]
    pub fn origin_among(&self, places: &Places<'_>, path: &Path) -> Origin {
        let mut nearest = Some(path.clone());
        while let Some(path) = nearest {
            let position = places.pointer(&path).and_then(|pointer| self.positions.get(&pointer));
            if let Some(position) = position {
                return Origin { line: position.line, column: position.column, ..self.origin.clone() };
            }
            nearest = path.parent();
        }
        self.origin.clone()
    }
}

/// How a field manager wrote (`metadata.managedFields[*].operation`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Operation {
    /// Server-side apply.
    Apply,
    /// Any other write.
    Update,
}

/// One entry of `metadata.managedFields`: a writer and the fields it owns (KEP-555).
#[derive(Debug, Clone, PartialEq)]
pub struct Owner {
    /// The field manager: a program's name as the program gave it, never proof of a person.
    pub manager: String,
    /// Apply or Update.
    pub operation: Operation,
    /// `status`, `scale`…; absent for the object itself.
    pub subresource: Option<String>,
    /// When this manager last wrote, RFC 3339.
    pub time: Option<String>,
    /// What it owns.
    pub fields: FieldSet,
}

/// The fields that one manager owns: every owned path, list entries by their keys.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct FieldSet {
    /// Owned leaves and owned containers (`.` in `FieldsV1`), sorted.
    pub paths: Vec<Path>,
}

impl FieldSet {
    /// Whether the manager owns this path or something below it.
    #[must_use]
    pub fn touches(&self, path: &Path) -> bool {
        let from = self.paths.partition_point(|owned| owned < path);
        self.paths.get(from).is_some_and(|owned| path.covers(owned))
    }

    /// Whether `path` lies inside a value that the manager owns as a whole (an atomic list or map).
    #[must_use]
    pub fn encloses(&self, path: &Path) -> bool {
        let nearest = std::iter::successors(path.parent(), Path::parent).find(|around| self.paths.binary_search(around).is_ok());
        nearest.is_some_and(|around| {
            let inside = self.paths.partition_point(|owned| *owned <= around);
            !self.paths.get(inside).is_some_and(|owned| around.covers(owned))
        })
    }
}

/// One object as it is now.
#[derive(Debug, Clone, PartialEq)]
pub struct Live {
    /// Which object, in the version it was read in.
    pub id: ObjectId,
    /// The object as the server gave it, without `metadata.managedFields`.
    pub value: Value,
    /// Who wrote what; empty where the server gave none.
    pub owners: Vec<Owner>,
    /// `metadata.uid`; absent in a snapshot that has none.
    pub uid: Option<String>,
    /// `metadata.resourceVersion`; absent in a snapshot that has none.
    pub resource_version: Option<String>,
    /// `metadata.deletionTimestamp`: when its deletion was asked for. Such an object is never written.
    pub deleting_since: Option<String>,
    /// `metadata.creationTimestamp`, RFC 3339.
    pub created: Option<String>,
    /// Whether it was read together with its managers.
    pub tracking: Tracking,
    /// `kubectl apply`'s copy of the manifest, as JSON text: what was applied last.
    pub last_applied: Option<String>,
}

/// Whether an object was read together with its managers, so that having none tells something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tracking {
    /// It was: `owners` is all that the server knows.
    Shown,
    /// It was not: a file that was saved without `--show-managed-fields`.
    NotShown,
}

impl Live {
    /// The last writer of `path`: of all managers that own it or something below it, the one that wrote last; where there
    /// is none, of those that own a value around it as a whole.
    #[must_use]
    pub fn writer_of(&self, path: &Path) -> Option<&Owner> {
        let last = |owns: fn(&FieldSet, &Path) -> bool| {
            self.owners.iter().filter(|owner| owns(&owner.fields, path)).max_by(|a, b| a.time.cmp(&b.time))
        };
        last(FieldSet::touches).or_else(|| last(FieldSet::encloses))
    }

    /// All managers that own `path` or something below it; where there is none, those that own a value around it as a
    /// whole.
    #[must_use]
    pub fn owners_of(&self, path: &Path) -> BTreeSet<String> {
        let all = |owns: fn(&FieldSet, &Path) -> bool| {
            let owners = self.owners.iter().filter(move |owner| owns(&owner.fields, path));
            owners.map(|owner| owner.manager.clone()).collect::<BTreeSet<String>>()
        };
        let inside = all(FieldSet::touches);
        if inside.is_empty() { all(FieldSet::encloses) } else { inside }
    }
}

/// On what an expected value rests, best first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Evidence {
    /// The server's answer to a dry run of creating the desired object.
    Baseline,
    /// The server's answer to a dry run of applying it to the live object.
    Apply,
    /// The committed table of defaults.
    Table,
    /// A Terraform state.
    State,
    /// A Terraform plan.
    Plan,
}

/// What the server makes of Git's words alone.
#[derive(Debug, Clone, PartialEq)]
pub struct Expected {
    /// The whole object, without status and the server's own metadata.
    pub value: Value,
    /// On what it rests.
    pub evidence: Evidence,
    /// Values that may differ from `value` by right.
    pub allowances: Vec<Allowance>,
    /// Keys of maps in `value` that Git does not declare and the API server itself fills in, at each write and each read:
    /// where live has the map and not the key, somebody took it away.
    pub filled: BTreeSet<Path>,
}

/// A path whose live value is somebody else's by right.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Allowance {
    /// Everything at and below this path.
    pub path: Path,
    /// Whether what Git declares gives way, too.
    pub extent: Extent,
    /// By which rule.
    pub rule: Rule,
    /// Why, for `explain`.
    pub reason: String,
}

/// The rule that an allowance comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rule {
    /// The server or one of its controllers allocates or derives the value.
    Allocated,
    /// A known writer put it there.
    KnownWriter {
        /// Its field manager.
        manager: String,
        /// The subresource that it writes through; `None` for the object itself.
        subresource: Option<String>,
    },
    /// An autoscaler keeps it, or may.
    Autoscaler,
}

/// How far an allowance reaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extent {
    /// Only values that Git does not declare: the server allocated them, or a known writer put them there.
    Undeclared,
    /// Declared values, too: an autoscaler owns them.
    Declared,
}

/// One object that Git declares, and what the look at the target gave for it. Total: what could not be seen is
/// [`Pair::Unseen`], never missing.
#[derive(Debug, Clone, PartialEq)]
pub enum Pair {
    /// The target has no such object.
    Missing(Shared<Desired>),
    /// The target has it.
    Matched(Box<Matched>),
    /// It could not be seen.
    Unseen(Shared<Desired>, String),
    /// It is not judged, and why: Secrets with `secrets = "off"`, hooks and finished Jobs that are gone by right.
    Skipped(Shared<Desired>, String),
}

/// A declared object, its live one and what it is judged by.
#[derive(Debug, Clone, PartialEq)]
pub struct Matched {
    /// What Git declares.
    pub desired: Shared<Desired>,
    /// What is there.
    pub live: Shared<Live>,
    /// What the server makes of Git's words.
    pub expected: Shared<Expected>,
    /// Whether values are secret and only their keyed digests may leave the diff.
    pub secrecy: Secrecy,
    /// What Git declared of it before, the newest first; looked up only where live has more than Git declares.
    pub former: Vec<Former>,
}

/// An object as Git declared it once.
#[derive(Debug, Clone, PartialEq)]
pub struct Former {
    /// The object, with its place in the file as it stood then.
    pub desired: Desired,
    /// What changed or removed that file: `commit 4f2c9e1`.
    pub until: String,
}

/// Whether an object's values may be shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Secrecy {
    /// They may.
    Open,
    /// They may not: findings carry masks.
    Secret,
}

impl Pair {
    /// What Git declares.
    #[must_use]
    pub fn desired(&self) -> &Shared<Desired> {
        match self {
            Self::Missing(desired) | Self::Unseen(desired, _) | Self::Skipped(desired, _) => desired,
            Self::Matched(matched) => &matched.desired,
        }
    }
}

/// One look at a target.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Observation {
    /// One pair for each declared object.
    pub pairs: Vec<Pair>,
    /// What went wrong while looking.
    pub problems: Vec<Problem>,
    /// Admission whose rules name an object's kind, so that it may rewrite each write to it, by name; for the objects about
    /// which the server was asked. Which of it did, the server tells nobody but its audit log.
    pub rewriters: BTreeMap<ObjectId, Vec<String>>,
}

/// Something that people must know beside the findings: a bad manifest, a kind that cannot be seen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// A stable name for programs: `duplicate-key`, `kind-not-visible`.
    pub code: &'static str,
    /// What is wrong and what to do, for people.
    pub message: String,
    /// Where in Git or in a configuration file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub origin: Option<Origin>,
    /// Whether objects went unseen by it, so that the verdict is `unknown`.
    #[serde(skip)]
    pub blinds: bool,
}

impl Problem {
    /// A problem that leaves nothing unjudged.
    #[must_use]
    pub fn note(code: &'static str, message: impl Into<String>, origin: Option<Origin>) -> Self {
        Self { code, message: message.into(), origin, blinds: false }
    }

    /// A problem behind which objects could not be judged: the verdict is `unknown`.
    #[must_use]
    pub fn blind(code: &'static str, message: impl Into<String>, origin: Option<Origin>) -> Self {
        Self { code, message: message.into(), origin, blinds: true }
    }
}

/// `manifests/web.yaml:3:5: duplicate-key: …`
impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(origin) = &self.origin {
            write!(f, "{origin}: ")?;
        }
        write!(f, "{}: {}", self.code, self.message)
    }
}
