//! What Git declared of a target before: what is left of it in live objects, and objects that are still there.

use std::cell::OnceCell;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use trueup_core::diff::Comparison;
use trueup_core::difference;
use trueup_core::facts::{Desired, Former, Pair, Problem};
use trueup_core::finding::Change;
use trueup_core::object::{ObjectId, TargetName};
use trueup_kubernetes::extra::{is_left, may_be_same};
use trueup_kubernetes::kinds::Kinds;
use trueup_kubernetes::{manifest, normal};

use super::{Judged, JudgedCase, Judging};
use crate::config::{Secrets, Target, TargetKind};
use crate::session::Session;
use crate::source::error::SourceError;
use crate::source::former::{self, FormerFile};
use crate::source::{self, Pinned, SourceFile};

/// How many objects that Git declared before are looked for in one round. One that was seen gone is not looked for again.
const ASKED: usize = 100;

/// The version of the cache file's form.
const FORM: &str = "trueup.former/v1";

/// What Git's history says of a target.
struct History<'a> {
    pinned: &'a Pinned,
    known: Known,
    cache: PathBuf,
}

/// What is known of a commit's history. It stays true, so it is kept on disk.
#[derive(Serialize, Deserialize, Default)]
struct Known {
    form: String,
    commit: String,
    paths: Vec<String>,
    files: Vec<Earlier>,
    /// Objects that were seen gone: whatever comes by their names later is not what Git declared.
    absent: BTreeSet<String>,
}

/// An earlier form of a file and what it declared.
#[derive(Serialize, Deserialize, Clone)]
struct Earlier {
    file: FormerFile,
    objects: Vec<ObjectId>,
}

/// Marks what is left over of what Git declared before, and adds the objects that are still there.
pub(super) async fn look(
    session: &Session,
    pinned: &Pinned,
    target: &Target,
    mut judged: Judged,
    judging: Judging<'_>,
) -> Judged {
    let (TargetKind::Kubernetes { paths, secrets, .. } | TargetKind::Snapshot { paths, secrets, .. }) = &target.kind else {
        return judged;
    };
    // What is rendered stands in no file of Git's history.
    let plain = paths.iter().filter(|path| path.rendering.is_none());
    let paths: Vec<String> = plain.map(|path| path.path.clone()).collect();
    if paths.is_empty() {
        return judged;
    }
    let cache = session.state.path().join("cache").join(format!("former-{}.json", target.name));
    let mut history = match History::of(pinned, &paths, cache) {
        Ok(history) => history,
        Err(error) => {
            let message = format!("what Git declared before cannot be read, so nothing is known to be left over: {error}");
            judged.problems.push(Problem::note("no-history", message, None));
            return judged;
        }
    };
    let cases = std::mem::take(&mut judged.cases);
    judged.cases = cases.into_iter().map(|case| history.retraced(case, (&target.name, &judged.kinds), judging)).collect();
    // Where not all declarations could be read, none of them can be said to be gone.
    let is_whole = !judged.cases.is_empty() && !judged.problems.iter().any(|problem| problem.blinds);
    if is_whole && former::is_of_commit(pinned) {
        history.extras(&mut judged, *secrets, judging).await;
    }
    if let Err(error) = history.save() {
        judged.problems.push(Problem::note("cache", format!("`{}` cannot be written: {error}", history.cache.display()), None));
    }
    judged
}

impl<'a> History<'a> {
    fn of(pinned: &'a Pinned, paths: &[String], cache: PathBuf) -> Result<Self, SourceError> {
        let mut known = Known::read(&cache);
        let commit = pinned.commit.to_string();
        if !former::is_of_commit(pinned) || known.commit != commit || known.paths != paths {
            let last = std::mem::take(&mut known.files).into_iter().map(|earlier| (earlier.file.blob, earlier.objects));
            let last: BTreeMap<String, Vec<ObjectId>> = last.collect();
            let files = former::files(pinned, paths)?.into_iter().map(|file| Earlier {
                objects: last
                    .get(&file.blob)
                    .cloned()
                    .unwrap_or_else(|| read(pinned, &file).into_iter().map(|object| object.id).collect()),
                file,
            });
            known = Known { form: FORM.to_owned(), commit, paths: paths.to_vec(), files: files.collect(), absent: known.absent };
        }
        Ok(Self { pinned, known, cache })
    }

    /// What Git declared of an object before, the newest first.
    fn of_object(&self, id: &ObjectId) -> Vec<Former> {
        let files = self.known.files.iter().filter(|earlier| earlier.objects.iter().any(|other| may_be_same(other, id)));
        let former = files.flat_map(|earlier| {
            let same = read(self.pinned, &earlier.file).into_iter().filter(|object| may_be_same(&object.id, id));
            same.map(|desired| Former { desired: normal::desired(desired), until: earlier.file.until.clone() })
        });
        former.collect()
    }

    /// The case again with what Git declared before, where live has more than Git declares.
    fn retraced(&self, case: JudgedCase, known: (&TargetName, &Kinds), judging: Judging<'_>) -> JudgedCase {
        let has_more = case.comparison.drifts.iter().any(|drift| matches!(drift.change, Change::Undeclared | Change::Leftover));
        match case.pair {
            Some(Pair::Matched(mut matched)) if has_more => {
                matched.former = self.of_object(&matched.desired.id);
                JudgedCase::of(Pair::Matched(matched), known, judging)
            }
            pair => JudgedCase { pair, ..case },
        }
    }

    /// Adds a case for each object that Git declared before, that nothing declares now, and that is still there.
    async fn extras(&mut self, judged: &mut Judged, secrets: Secrets, judging: Judging<'_>) {
        let all_files = OnceCell::new();
        for (id, file) in self.candidates(judged, secrets) {
            match judged.reach.read(&id).await {
                Ok(None) => drop(self.known.absent.insert(absence(&judged.reach, &id, &file))),
                Ok(Some(live)) => {
                    let Some(former) = self.of_object(&id).into_iter().next() else { continue };
                    let until = Timestamp::from_second(file.until_seconds).unwrap_or(Timestamp::MAX);
                    let files = || all_files.get_or_init(|| source::files(self.pinned, &[".".to_owned()]).0);
                    if is_left(&former.desired, until, &live) && !is_declared(files(), &id) {
                        let difference = difference::extra(&judged.name, &former, &live);
                        let findings = vec![judging.classify(difference)];
                        judged.cases.push(JudgedCase { pair: None, comparison: Comparison::default(), findings });
                    }
                }
                Err(error) => {
                    let until = &file.until;
                    let message =
                        format!("whether `{id}`, which Git declared until {until}, is still there cannot be seen: {error}");
                    judged.problems.push(Problem::note("former-not-visible", message, None));
                }
            }
        }
    }

    /// Each object that was declared before, is not now and was not seen gone, with the file in which it stood last.
    fn candidates(&self, judged: &Judged, secrets: Secrets) -> Vec<(ObjectId, FormerFile)> {
        let declared = judged.cases.iter().filter_map(|case| Some(&case.pair.as_ref()?.desired().id));
        let mut by_name: BTreeMap<(&str, &str), Vec<&ObjectId>> = BTreeMap::new();
        for id in declared {
            by_name.entry((&id.kind, &id.name)).or_default().push(id);
        }
        let is_declared = |id: &ObjectId| {
            by_name.get(&(id.kind.as_str(), id.name.as_str())).is_some_and(|ids| ids.iter().any(|other| may_be_same(other, id)))
        };
        let is_left_out =
            |id: &ObjectId| id.name.is_empty() || (secrets == Secrets::Off && id.kind == "Secret" && id.group().is_empty());
        let mut seen = BTreeSet::new();
        let mut candidates = Vec::new();
        for Earlier { file, objects } in &self.known.files {
            for id in objects.iter().filter(|id| !is_left_out(id) && !is_declared(id)) {
                let Some(placed) = judged.reach.placed(id) else { continue };
                let key = (placed.group().to_owned(), placed.kind.clone(), placed.namespace.clone(), placed.name.clone());
                if seen.insert(key) && !self.known.absent.contains(&absence(&judged.reach, &placed, file)) {
                    candidates.push((placed, file.clone()));
                }
            }
        }
        candidates.truncate(ASKED);
        candidates
    }

    fn save(&self) -> std::io::Result<()> {
        let text = serde_json::to_vec(&self.known)?;
        if !former::is_of_commit(self.pinned) || std::fs::read(&self.cache).is_ok_and(|old| old == text) {
            return Ok(());
        }
        std::fs::create_dir_all(self.cache.parent().unwrap_or(Path::new(".")))?;
        let part = self.cache.with_extension("part");
        std::fs::write(&part, text)?;
        std::fs::rename(&part, &self.cache)
    }
}

impl Known {
    /// What the file holds; nothing where it cannot be read, as all of it can be found again.
    fn read(cache: &Path) -> Self {
        let text = std::fs::read(cache).unwrap_or_default();
        serde_json::from_slice(&text).ok().filter(|known: &Self| known.form == FORM).unwrap_or_default()
    }
}

/// What an earlier file declared; what cannot be read of it declares nothing.
fn read(pinned: &Pinned, file: &FormerFile) -> Vec<Desired> {
    let bytes = former::content(pinned, file).unwrap_or_default();
    manifest::read(&file.path, &bytes).0
}

/// Whether some manifest of this commit declares the object: it has moved out of this target's paths.
fn is_declared(files: &[SourceFile], id: &ObjectId) -> bool {
    let names = |file: &&SourceFile| file.bytes.windows(id.name.len()).any(|window| window == id.name.as_bytes());
    let mut objects = files.iter().filter(names).flat_map(|file| manifest::read(&file.path, &file.bytes).0);
    objects.any(|object| may_be_same(&object.id, id))
}

/// An object that is gone from a place: where, which, and since which commit Git has not declared it.
fn absence(reach: &super::Reach, id: &ObjectId, file: &FormerFile) -> String {
    format!("{reach:?}\n{}\n{id}\n{}", id.group(), file.until)
}
