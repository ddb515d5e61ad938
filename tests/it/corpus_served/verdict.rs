//! What had to be found after the edits of one batch, against what was found.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};
use trueup_core::path::{Path, Segment};

use super::judge::{changes, is_custom, is_said};
use super::live::is_tracked;
use super::objects::label;
use super::schema::Schemas;
use super::tally::Meaning;

/// One object: before the edits, when it was looked at, and what it would be by Git's words alone.
pub struct Case<'a> {
    pub declared: &'a Value,
    pub before: &'a Value,
    /// `None`: it is gone.
    pub now: Option<&'a Value>,
    /// `None`: the server does not say.
    pub words: Option<&'a Value>,
    /// `None`: nobody edited it.
    pub edit: Option<&'a Answer>,
}

/// The server's answer to an edit.
pub struct Answer {
    pub object: Value,
    /// Where it differs from the object before.
    pub changed: BTreeSet<Path>,
}

/// What has to be found of one object, and what kind of change that is.
pub struct Due {
    pub paths: BTreeSet<Path>,
    pub meaning: Meaning,
}

/// What of one object's findings is not as it should be.
#[derive(Default)]
pub struct Fault {
    pub missed: Vec<String>,
    pub wrong: Vec<String>,
}

impl Case<'_> {
    /// What has to be found: where it differs from before by the edit and not by a controller's hand. Custom resources have
    /// no controller here, and change with their definitions. An object that is gone differs as a whole.
    pub fn due(&self, schemas: &Schemas) -> Due {
        let Some(now) = self.now else { return Due { paths: BTreeSet::from([Path::root()]), meaning: Meaning::Changed } };
        let differing = changes(schemas, self.before, now).into_iter();
        let by_edit = |path: &Path| is_custom(self.before) || self.edit.is_some_and(|edit| edit.changed.contains(path));
        let (paths, returned): (BTreeSet<Path>, BTreeSet<Path>) = differing
            .filter(by_edit)
            .filter(|path| !self.goes_with_a_map(now, path))
            .partition(|path| !self.is_returned(now, path));
        let meaning = match self.edit {
            _ if !paths.is_empty() => Meaning::Changed,
            Some(edit) if edit.changed.is_empty() => Meaning::None,
            Some(_) if !returned.is_empty() => Meaning::Returned,
            Some(_) => Meaning::Undone,
            None => Meaning::None,
        };
        Due { paths, meaning }
    }

    /// Whether a default is gone with the map that it stands in, of which what Git declares has to be found.
    fn goes_with_a_map(&self, now: &Value, path: &Path) -> bool {
        let Some((_, map)) = path.0.split_last() else { return false };
        let map = Path(map.to_vec());
        !is_said(self.declared, path) && is_said(self.declared, &map) && !is_said(now, &map)
    }

    /// Whether neither Git nor the server's reading of Git says anything at a path where something is gone, so that the object
    /// says again what a new one would, or where a controller wrote since what the edit had left otherwise. So it is with what
    /// the volume binder writes into a `claimRef`: an edit of its uid lets it bind the volume anew.
    pub fn is_returned(&self, now: &Value, path: &Path) -> bool {
        let is_nobodys = !is_said(self.declared, path) && self.words.is_some_and(|words| !is_said(words, path));
        let is_written_since = || self.edit.is_some_and(|edit| path.find(&edit.object) != path.find(now));
        is_nobodys && (!is_said(now, path) || is_written_since())
    }

    pub fn fault(&self, due: &Due, seen: &BTreeSet<String>) -> Fault {
        let due: BTreeSet<String> = due.paths.iter().map(name).collect();
        // Of an object with a list entry that lacks its key, the server itself gives up every note of who wrote what.
        let is_lost = |path: &&String| *path == "metadata.managedFields" && self.now.is_some_and(|now| !is_tracked(now));
        Fault {
            missed: due.difference(seen).cloned().collect(),
            wrong: seen.difference(&due).filter(|path| !is_lost(path)).cloned().collect(),
        }
    }
}

impl Fault {
    pub fn is_none(&self) -> bool {
        self.missed.is_empty() && self.wrong.is_empty()
    }
}

/// Annotations that count changes of a template.
const COUNTS: [&str; 2] = ["deprecated.daemonset.template.generation", "deployment.kubernetes.io/revision"];

/// Fields of a Service that the server allocates when another one asks for it.
const ALLOCATED: [&str; 6] = ["healthCheckNodePort", "nodePort", "clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy"];

/// Where a call changed an object, by the server's answer. Left out is what the server and its controllers write then of
/// their own, as far as the call does not name it: counts, and what is allocated where nothing was.
pub fn edited(schemas: &Schemas, call: &str, (before, after): (&Value, &Value)) -> BTreeSet<Path> {
    let mut changed = changes(schemas, before, after);
    let is_count = |path: &Path| COUNTS.iter().any(|count| path.to_string().contains(count) && !call.contains(count));
    let is_allocated = |path: &Path| match path.0.last() {
        Some(Segment::Key(key)) => {
            ALLOCATED.contains(&key.as_str())
                && path.find(after).is_some()
                && !call.contains(&format!("{key}\""))
                && !call.contains(&format!("/{key}"))
        }
        _ => false,
    };
    changed.retain(|path| !is_count(path) && (before["kind"] != "Service" || !is_allocated(path)));
    changed
}

/// A path as findings name it.
pub fn name(path: &Path) -> String {
    if path.0.is_empty() { "missing".to_owned() } else { path.to_string() }
}

/// The paths of a report's findings, by object.
pub fn found(report: &Value) -> BTreeMap<String, BTreeSet<String>> {
    let mut found: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for finding in report["findings"].as_array().unwrap() {
        let object = &finding["object"];
        let named = json!({"apiVersion": object["apiVersion"], "kind": object["kind"],
            "metadata": {"namespace": object["namespace"], "name": object["name"]}});
        found.entry(label(&named)).or_default().insert(finding["path"].as_str().unwrap_or("missing").to_owned());
    }
    found
}

/// What a report tells of that is no object's fault: a manifest's own words, and what the server refuses of them, are there
/// before any edit.
pub fn problems(report: &Value) -> Vec<String> {
    let problems = report["problems"].as_array().unwrap().iter();
    let is_known = |problem: &&Value| problem["code"] == "no-baseline" || problem["code"] == "unknown-field";
    problems.filter(|problem| !is_known(problem)).map(|problem| format!("problem: {problem}")).collect()
}
