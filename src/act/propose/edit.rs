//! The edit of a proposal: the file in which Git follows live, compared with live again.

use trueup_core::diff::compare;
use trueup_core::facts::{Desired, Matched, Pair};
use trueup_core::finding::{Bound, Change, Divergence, Drift, Expectation, Finding, OutputId, Predicate, Subject};
use trueup_core::path::Path;
use trueup_core::seen::Seen;
use trueup_kubernetes::kinds::Kinds;
use trueup_kubernetes::manifest;

use crate::act::Acting;
use crate::bindings;
use crate::config::{ManifestPath, TargetKind};
use crate::render;
use crate::review::rendered::{self, Subject as Rendered};
use crate::review::{self, Adopted, Adoption, Edit};
use crate::source;
use crate::target::{Judged, JudgedCase, Reach};

/// The edit that makes Git follow live at a finding's place.
///
/// # Errors
/// For people: why there is none.
pub(super) async fn of(acting: Acting<'_>, (case, judged): (&JudgedCase, &Judged), finding: &Finding) -> Result<Edit, String> {
    let file = finding.difference.origin.file.clone();
    let field = match (&finding.difference.divergence, &case.pair) {
        (Divergence::Field(drift), Some(Pair::Matched(matched))) => Some((drift, matched)),
        (Divergence::Field(_) | Divergence::Object(_) | Divergence::Expectation(_), _) => None,
    };
    if finding.difference.origin.is_rendered() {
        let (drift, matched) = field.ok_or("only a value can be adopted")?;
        return adopt_rendered((acting, &judged.kinds), finding, matched, drift).await;
    }
    let read = source::read(acting.pinned, &file).map_err(|error| error.to_string())?;
    let before = read.ok_or_else(|| format!("`{file}` is not in commit {}", acting.pinned.commit))?;
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
    Ok(Edit { file, before, after: after.bytes, comments: after.comments })
}

/// What the object is rendered from follows live; rendered and compared again, the path must be gone.
async fn adopt_rendered(
    (acting, kinds): (Acting<'_>, &Kinds),
    finding: &Finding,
    matched: &Matched,
    drift: &Drift,
) -> Result<Edit, String> {
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
    let (matched, sought) = (matched.clone(), drift.clone());
    let found = tokio::task::spawn_blocking(move || {
        let bench = readings.bench(&pinned, &path).map_err(|problem| problem.message)?;
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
    Ok(Edit { file: found.file, before: found.before, after: found.adopted.bytes, comments: found.adopted.comments })
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
