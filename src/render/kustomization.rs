//! What a kustomization may name: what is in the source. A remote base is never fetched.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use serde_yaml::Value;
use trueup_core::facts::Origin;

use crate::source::export::LeftOut;
use crate::source::name::shown;

/// The names that kustomize itself looks for.
pub(super) const FILES: [&str; 3] = ["kustomization.yaml", "kustomization.yml", "Kustomization"];

/// Fields whose entries are files or folders, each of which must be in the source.
pub(super) const PLACES: [&str; 3] = ["resources", "components", "bases"];

/// Fields whose entries may be text, but never an address.
pub(super) const TEXTS: [&str; 6] =
    ["configurations", "crds", "generators", "patchesStrategicMerge", "transformers", "validators"];

/// Fields with files in them: which keys of their entries name some.
pub(super) const FILED: [(&str, &[&str]); 6] = [
    ("patches", &["path"]),
    ("patchesJson6902", &["path"]),
    ("replacements", &["path"]),
    ("configMapGenerator", &["files", "envs", "env"]),
    ("secretGenerator", &["files", "envs", "env"]),
    ("openapi", &["path"]),
];

/// Why a kustomization is not built.
#[derive(Debug)]
pub(super) struct Refused {
    pub(super) message: String,
    pub(super) origin: Origin,
}

/// Checks the kustomization at `path` and all that it is made of; returns its file.
///
/// # Errors
/// The first thing that is not in the source.
pub(super) fn check(tree: &Path, path: &str, left_out: &[LeftOut]) -> Result<String, Refused> {
    let mut walk = Walk { tree, left_out, seen: BTreeSet::new() };
    let folder = resolve("", path).ok_or_else(|| refused(path, 0, format!("`{path}` leads out of the source")))?;
    walk.enter(&folder)?.ok_or_else(|| {
        let message =
            format!("`{path}` is no kustomization: there is no `{}` in it{}", FILES.join("`, `"), why_not(left_out, &folder));
        refused(path, 0, message)
    })
}

struct Walk<'a> {
    tree: &'a Path,
    left_out: &'a [LeftOut],
    seen: BTreeSet<String>,
}

impl Walk<'_> {
    /// The kustomization's file; `None` where the folder is none.
    fn enter(&mut self, folder: &str) -> Result<Option<String>, Refused> {
        let Some(file) = FILES.iter().map(|name| join(folder, name)).find(|file| self.tree.join(file).is_file()) else {
            return Ok(None);
        };
        if !self.seen.insert(folder.to_owned()) {
            return Ok(Some(file));
        }
        let unreadable = |why: String| refused(&file, 1, format!("the kustomization cannot be read: {why}"));
        let bytes = fs::read(self.tree.join(&file)).map_err(|error| unreadable(error.to_string()))?;
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let value: Value = serde_yaml::from_str(&text).map_err(|error| unreadable(shown(error.to_string().as_bytes())))?;
        for field in PLACES {
            for entry in texts(value.get(field)) {
                self.place(folder, (&file, &text), field, entry)?;
            }
        }
        let filed = FILED.iter().flat_map(|(field, keys)| {
            let entries = value.get(*field).into_iter().flat_map(entries);
            entries.flat_map(|entry| keys.iter().flat_map(move |key| texts(entry.get(*key)))).map(move |entry| (*field, entry))
        });
        let plain = TEXTS.iter().flat_map(|field| texts(value.get(*field)).map(move |entry| (*field, entry)));
        for (field, entry) in filed.chain(plain) {
            self.file(folder, (&file, &text), field, entry)?;
        }
        Ok(Some(file))
    }

    /// A resource: a file of the source, or a folder with a kustomization, which is checked in turn.
    fn place(&mut self, folder: &str, (file, text): (&str, &str), field: &str, entry: &str) -> Result<(), Refused> {
        let there = resolve(folder, entry).filter(|path| self.tree.join(path).exists());
        match there {
            Some(path) if self.tree.join(&path).is_dir() => self.enter(&path).map(drop),
            Some(_) => Ok(()),
            None => {
                let entry = shown(entry.as_bytes());
                let why = resolve(folder, &entry).map(|path| why_not(self.left_out, &path)).unwrap_or_default();
                let message = format!(
                    "`{field}` names `{entry}`, which is not in the source{why}: nothing is fetched, so put a copy into the repository"
                );
                Err(refused(file, line_of(text, &entry), message))
            }
        }
    }

    /// Text that may name a file: only what kustomize would fetch is refused. A folder may be a kustomization.
    fn file(&mut self, folder: &str, (file, text): (&str, &str), field: &str, entry: &str) -> Result<(), Refused> {
        let path = entry.rsplit_once('=').map_or(entry, |(_, path)| path);
        let is_address = |path: &str| !path.contains('\n') && path.contains("://");
        if is_address(path) || is_address(entry) {
            let entry = shown(entry.as_bytes());
            let message = format!("`{field}` names `{entry}`: nothing is fetched, so put a copy into the repository");
            return Err(refused(file, line_of(text, &entry), message));
        }
        match resolve(folder, path).filter(|path| self.tree.join(path).is_dir()) {
            Some(path) => self.enter(&path).map(drop),
            None => Ok(()),
        }
    }
}

fn refused(file: &str, line: u32, message: String) -> Refused {
    let column = u32::from(line > 0);
    Refused { message, origin: Origin { file: file.to_owned(), line, column, document: 1 } }
}

/// Why a path is not in the folder, where that is known.
fn why_not(left_out: &[LeftOut], path: &str) -> String {
    let is_it = |left: &&LeftOut| path == left.path || path.starts_with(&format!("{}/", left.path));
    left_out.iter().find(is_it).map(|left| format!(" (`{}`: {})", left.path, left.why)).unwrap_or_default()
}

/// The entries of a list, or the one value.
pub(super) fn entries(value: &Value) -> Vec<&Value> {
    value.as_sequence().map_or_else(|| vec![value], |entries| entries.iter().collect())
}

pub(super) fn texts(value: Option<&Value>) -> impl Iterator<Item = &str> {
    value.into_iter().flat_map(entries).filter_map(Value::as_str)
}

pub(super) fn join(folder: &str, name: &str) -> String {
    if folder.is_empty() { name.to_owned() } else { format!("{folder}/{name}") }
}

/// A path of the source, from one of its folders; `None` where it leads out.
pub(super) fn resolve(folder: &str, path: &str) -> Option<String> {
    if path.starts_with('/') {
        return None;
    }
    let mut parts: Vec<&str> = folder.split('/').filter(|part| !part.is_empty()).collect();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()?),
            name => parts.push(name),
        }
    }
    Some(parts.join("/"))
}

/// The first line that has this text, from 1.
fn line_of(text: &str, entry: &str) -> u32 {
    let at = text.lines().position(|line| line.contains(entry)).unwrap_or_default();
    u32::try_from(at + 1).unwrap_or(u32::MAX)
}
