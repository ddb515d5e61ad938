//! The edits of a proposal: the files in which Git follows live, each value compared with live again.

use std::collections::BTreeMap;

use trueup_core::diff::compare;
use trueup_core::facts::{Desired, Matched, Pair};
use trueup_core::finding::{Bound, Change, Divergence, Drift, Expectation, Finding, OutputId, Predicate, Subject};
use trueup_core::path::Path;
use trueup_core::policy::Remedy;
use trueup_core::seen::Seen;
use trueup_core::shared::Shared;
use trueup_kubernetes::kinds::Kinds;
use trueup_kubernetes::manifest;

use super::{Wanted, restore};
use crate::act::Acting;
use crate::bindings;
use crate::config::{ManifestPath, TargetKind};
use crate::render;
use crate::review::rendered::{self, Subject as Rendered};
use crate::review::{self, Adopted, Adoption, Edit};
use crate::source;
use crate::target::{Judged, JudgedCase, Reach};

/// What a proposal can carry of what it is to carry.
pub(super) struct Drafted<'a> {
    /// The findings whose values Git then has.
    pub(super) placed: Vec<Wanted<'a>>,
    /// Those of which that cannot be made with certainty, and why.
    pub(super) refused: Vec<(Wanted<'a>, String)>,
    /// The files, each once.
    pub(super) edits: Vec<Edit>,
}

/// Edits one value after the other, each in the files as the ones before have left them.
pub(super) async fn drafted<'a>(acting: Acting<'_>, judged: &Judged, wanted: &[Wanted<'a>]) -> Drafted<'a> {
    let mut files = Files::default();
    let (mut placed, mut refused) = (Vec::new(), Vec::new());
    for wanted in wanted {
        let edited = match wanted.remedy {
            Remedy::Adopt => adopt_one(acting, (wanted.case, judged), wanted.finding, &mut files).await,
            Remedy::Restore => restore::ask(acting, wanted.finding).map(|edit| files.add(edit)),
        };
        match edited {
            Ok(()) => placed.push(*wanted),
            Err(reason) => refused.push((*wanted, reason)),
        }
    }
    Drafted { placed, refused, edits: files.edits.into_values().collect() }
}

/// The files of a proposal as its edits have left them by now.
#[derive(Default)]
struct Files {
    edits: BTreeMap<String, Edit>,
    /// Objects as they are rendered by now.
    rendered: Vec<Shared<Desired>>,
}

impl Files {
    fn read(&self, acting: Acting<'_>, file: &str) -> Result<Vec<u8>, String> {
        if let Some(edit) = self.edits.get(file) {
            return Ok(edit.after.clone());
        }
        let read = source::read(acting.pinned, file).map_err(|error| error.to_string())?;
        read.ok_or_else(|| format!("`{file}` is not in commit {}", acting.pinned.commit))
    }

    fn add(&mut self, edit: Edit) {
        self.edits.insert(edit.file.clone(), edit);
    }

    fn put(&mut self, file: &str, before: Vec<u8>, adopted: Adopted) {
        let fresh = Edit { file: file.to_owned(), before, after: Vec::new(), comments: Vec::new() };
        let edit = self.edits.entry(file.to_owned()).or_insert(fresh);
        edit.after = adopted.bytes;
        edit.comments.extend(adopted.comments);
    }
}

/// Makes Git follow live at a finding's place.
async fn adopt_one(
    acting: Acting<'_>,
    (case, judged): (&JudgedCase, &Judged),
    finding: &Finding,
    files: &mut Files,
) -> Result<(), String> {
    let file = finding.difference.origin.file.clone();
    let field = match (&finding.difference.divergence, &case.pair) {
        (Divergence::Field(drift), Some(Pair::Matched(matched))) => Some((drift, matched)),
        (Divergence::Field(_) | Divergence::Object(_) | Divergence::Expectation(_), _) => None,
    };
    if finding.difference.origin.is_rendered() {
        let (drift, matched) = field.ok_or("only a value can be adopted")?;
        return adopt_rendered((acting, &judged.kinds), finding, (matched, drift), files).await;
    }
    let before = files.read(acting, &file)?;
    let after = match (field, &finding.difference.divergence) {
        (Some((drift, matched)), _) => adopt((acting, &judged.kinds), &file, &before, matched, drift)?,
        (None, Divergence::Expectation(Expectation { predicate: Predicate::Bound, live, .. })) => {
            adopt_output(&file, &before, finding, live.as_ref())?
        }
        (None, Divergence::Expectation(_)) => {
            let bytes = adopt_expectation(&file, &before, finding, &judged.reach)?;
            Adopted { bytes, comments: Vec::new() }
        }
        (None, Divergence::Field(_) | Divergence::Object(_)) => return Err("only a value can be adopted".to_owned()),
    };
    files.put(&file, before, after);
    Ok(())
}

/// What the object is rendered from follows live; rendered and compared again, the path must be gone.
async fn adopt_rendered(
    (acting, kinds): (Acting<'_>, &Kinds),
    finding: &Finding,
    (matched, drift): (&Matched, &Drift),
    files: &mut Files,
) -> Result<(), String> {
    let target = &finding.difference.target;
    let mut paths: Vec<ManifestPath> = Vec::new();
    let mut own = None;
    for of in &acting.session.settings.targets {
        let (TargetKind::Kubernetes { paths: under, .. } | TargetKind::Snapshot { paths: under, .. }) = &of.kind else {
            continue;
        };
        if of.name == *target {
            let mut rendered = under.iter().filter(|path| path.rendering.is_some());
            own = rendered.find(|path| render::covers(&path.path, &finding.difference.origin.file)).cloned();
        }
        paths.extend(under.iter().cloned());
    }
    let path = own.ok_or("nothing in the settings renders it")?;
    let (readings, pinned) = (acting.session.readings.clone(), acting.pinned.clone());
    let by_now = files.rendered.iter().rev().find(|desired| desired.id == matched.desired.id);
    let desired = by_now.unwrap_or(&matched.desired).clone();
    let (matched, sought) = (Matched { desired, ..matched.clone() }, drift.clone());
    let edited: Vec<(String, Vec<u8>)> = files.edits.iter().map(|(file, edit)| (file.clone(), edit.after.clone())).collect();
    let found = tokio::task::spawn_blocking(move || {
        let bench = readings.bench(&pinned, &path).map_err(|problem| problem.message)?;
        for (file, bytes) in edited {
            std::fs::write(bench.tree().join(&file), bytes).map_err(|error| format!("`{file}` cannot be edited: {error}"))?;
        }
        let Matched { desired, live, .. } = &matched;
        let subject = Rendered { path: &path, others: &paths, desired, drift: &sought, live: &live.value };
        rendered::adopt(&bench, &subject).map(|found| (found, matched))
    });
    let (found, matched) = found.await.map_err(|error| error.to_string())?.map_err(|reason| {
        format!(
            "cannot adopt `{}` of `{}`: {reason}; edit what it is rendered from by hand",
            drift.path, finding.difference.subject
        )
    })?;
    let edited = Matched { desired: found.desired, ..matched };
    still_differs((acting, kinds), &edited, drift)?;
    files.rendered.push(edited.desired);
    files.put(&found.file, found.before, found.adopted);
    Ok(())
}

/// Git follows live at one path; read again and compared again, that path must be gone.
fn adopt(
    (acting, kinds): (Acting<'_>, &Kinds),
    file: &str,
    before: &[u8],
    matched: &Matched,
    drift: &Drift,
) -> Result<Adopted, String> {
    let declared = declared_as_read(file, before, &matched.desired)?;
    let adoption = Adoption { desired: &declared, drift, live: &matched.live.value };
    let after = review::adopt(file, before, &[adoption]).map_err(|refused| refused.to_string())?;
    let edited = Matched { desired: declared_as_read(file, &after.bytes, &matched.desired)?.into(), ..matched.clone() };
    still_differs((acting, kinds), &edited, drift)?;
    Ok(after)
}

/// Compared again, nothing may differ at the drift's path.
fn still_differs((acting, kinds): (Acting<'_>, &Kinds), edited: &Matched, drift: &Drift) -> Result<(), String> {
    let drifts = compare(edited, kinds.types(), &kinds.shape(&edited.desired.id), &acting.session.key).drifts;
    match drifts.iter().find(|left| drift.path.covers(&left.path) || left.path.covers(&drift.path)) {
        Some(left) => Err(format!("with this edit, `{}` would still differ", left.path)),
        None => Ok(()),
    }
}

/// The object with its positions in this very text.
fn declared_as_read(file: &str, text: &[u8], desired: &Desired) -> Result<Desired, String> {
    let (objects, _) = manifest::read(file, text);
    let same_place = |object: &&Desired| {
        object.id.kind == desired.id.kind
            && object.id.name == desired.id.name
            && object.origin.document == desired.origin.document
    };
    objects.iter().find(same_place).cloned().ok_or_else(|| format!("`{}` is no longer found in `{file}`", desired.id))
}

/// The bound field follows the output.
fn adopt_output(file: &str, before: &[u8], finding: &Finding, live: Option<&Seen>) -> Result<Adopted, String> {
    let Subject::Output(OutputId { output, bound: Some(Bound::Field { object, path, .. }), .. }) = &finding.difference.subject
    else {
        return Err("only a field of a manifest can follow an output".to_owned());
    };
    let Some(Seen::Plain(value)) = live else {
        return Err(format!("the state has no such part of the output `{output}`: nothing to adopt"));
    };
    let desired = bindings::declared(file, before, object).map_err(|(_, message)| message)?;
    let path: Path = path.parse().map_err(|error| format!("`{path}`: {error}"))?;
    let pointer = path.pointer_in(&desired.value).ok_or_else(|| format!("`{object}` in `{file}` has no `{path}` any more"))?;
    let mut followed = desired.value.clone();
    *followed.pointer_mut(&pointer).ok_or_else(|| format!("`{object}` has no `{pointer}`"))? = value.clone();
    let drift = Drift { path, pointer, change: Change::Changed, desired: None, live: Some(Seen::Plain(value.clone())) };
    let adoption = Adoption { desired: &desired, drift: &drift, live: &followed };
    review::adopt(file, before, &[adoption]).map_err(|refused| refused.to_string())
}

/// The expected value follows the state.
fn adopt_expectation(file: &str, before: &[u8], finding: &Finding, reach: &Reach) -> Result<Vec<u8>, String> {
    let (Subject::Output(id), Reach::State(state)) = (&finding.difference.subject, reach) else {
        return Err("the state cannot be reached".to_owned());
    };
    let output =
        state.outputs.get(&id.output).ok_or_else(|| format!("the state has no output `{}`: nothing to adopt", id.output))?;
    let text = std::str::from_utf8(before).map_err(|_| format!("`{file}` is not UTF-8"))?;
    let after = trueup_terraform::adopt::adopt(file, text, &id.output, &output.value).map_err(|error| error.to_string())?;
    Ok(after.into_bytes())
}
