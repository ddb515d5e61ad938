//! Step 5: differences become findings by policy.

use crate::facts::{Desired, Former, Live, Matched, Owner, Pair, Problem};
use crate::finding::{Cause, Change, Confidence, Difference, Divergence, Drift, Finding, Lane, ObjectChange, Stage, Subject};
use crate::leftover::Traces;
use crate::object::TargetName;
use crate::path::{Path, Segment};
use crate::pattern::PathPattern;
use crate::policy::{Class, Policy, Precedence};
use crate::risk::assess;
use crate::seen::DigestKey;

/// The annotation that, declared in Git, names paths to ignore.
pub const IGNORE_ANNOTATION: &str = "trueup.dev/ignore";

/// The differences of a declared object: it is missing, or these drifts are in it.
#[must_use]
pub fn differences(target: &TargetName, pair: &Pair, drifts: Vec<Drift>) -> Vec<Difference> {
    match pair {
        Pair::Missing(desired) => vec![Difference {
            target: target.clone(),
            subject: Subject::Object(desired.id.clone()),
            divergence: Divergence::Object(ObjectChange::Missing),
            cause: Cause::default(),
            evidence: None,
            origin: desired.origin.clone(),
            labels: labels(&desired.value),
            ignored_in_git: false,
        }],
        Pair::Matched(matched) => {
            let ignored = ignored_paths(&matched.desired.value);
            drifts.into_iter().map(|drift| field_difference(target, matched, &ignored, drift)).collect()
        }
        Pair::Unseen(..) | Pair::Skipped(..) => Vec::new(),
    }
}

/// The difference that an object is: Git declared it once, no longer does, and it is still there.
#[must_use]
pub fn extra(target: &TargetName, former: &Former, live: &Live) -> Difference {
    let Former { desired, until } = former;
    let last = live.owners.iter().max_by(|a, b| a.time.cmp(&b.time));
    let formerly = Some(format!("Git declared it at {} until {until}", desired.origin));
    Difference {
        target: target.clone(),
        subject: Subject::Object(live.id.clone()),
        divergence: Divergence::Object(ObjectChange::Extra),
        cause: Cause { formerly, ..last.map_or_else(Cause::default, written_by) },
        evidence: None,
        origin: desired.origin.clone(),
        labels: labels(&desired.value),
        ignored_in_git: false,
    }
}

fn field_difference(target: &TargetName, matched: &Matched, ignored: &[PathPattern], drift: Drift) -> Difference {
    Difference {
        target: target.clone(),
        subject: Subject::Object(matched.desired.id.clone()),
        cause: cause(matched, &drift),
        evidence: Some(matched.expected.evidence),
        origin: matched.desired.origin_of(&drift.path),
        labels: labels(&matched.desired.value),
        ignored_in_git: around(&drift.path).any(|path| ignored.iter().any(|pattern| pattern.matches(&path))),
        divergence: Divergence::Field(drift),
    }
}

/// Who wrote a path. What was removed is owned by nobody, so nothing tells who removed it.
fn cause(matched: &Matched, drift: &Drift) -> Cause {
    let formerly = match drift.change {
        Change::Leftover => Traces::of(matched).declared_once(&drift.path),
        Change::Changed | Change::Removed | Change::Undeclared | Change::MissingObject | Change::ExtraObject => None,
    };
    let written = match drift.change {
        Change::Removed | Change::MissingObject => Cause::default(),
        Change::Changed | Change::Undeclared | Change::Leftover | Change::ExtraObject => cause_at(&matched.live, &drift.path),
    };
    Cause { formerly, ..written }
}

/// Who wrote the value at a path last, by managedFields.
#[must_use]
pub fn cause_at(live: &Live, path: &Path) -> Cause {
    live.writer_of(path).map_or_else(Cause::default, written_by)
}

fn written_by(owner: &Owner) -> Cause {
    Cause {
        manager: Some(owner.manager.clone()),
        operation: Some(owner.operation),
        subresource: owner.subresource.clone(),
        time: owner.time.clone(),
        confidence: Confidence::Reported,
        formerly: None,
    }
}

fn labels(value: &serde_json::Value) -> std::collections::BTreeMap<String, String> {
    let labels = value.pointer("/metadata/labels").and_then(serde_json::Value::as_object);
    let text = |(key, value): (&String, &serde_json::Value)| Some((key.clone(), value.as_str()?.to_owned()));
    labels.map(|labels| labels.iter().filter_map(text).collect()).unwrap_or_default()
}

fn ignored_paths(desired: &serde_json::Value) -> Vec<PathPattern> {
    let text = ignore_annotation(desired).and_then(serde_json::Value::as_str).unwrap_or_default();
    patterns(text).filter_map(|pattern| pattern.trim().parse().ok()).collect()
}

fn ignore_annotation(desired: &serde_json::Value) -> Option<&serde_json::Value> {
    desired.get("metadata")?.get("annotations")?.get(IGNORE_ANNOTATION)
}

/// What `trueup.dev/ignore` in Git says and cannot mean: such a path is not ignored.
#[must_use]
pub fn ignore_problems(desired: &Desired) -> Vec<Problem> {
    let Some(value) = ignore_annotation(&desired.value) else { return Vec::new() };
    let origin = || desired.origin_of(&Path::root().key("metadata").key("annotations").key(IGNORE_ANNOTATION));
    let problem = |message: String| Problem::note("bad-ignore", message, Some(origin()));
    let Some(text) = value.as_str() else {
        return vec![problem(format!("`{IGNORE_ANNOTATION}` is no text: nothing is ignored by it; give paths in quotes"))];
    };
    let mistake = |pattern: &str| {
        let error = pattern.trim().parse::<PathPattern>().err()?;
        let shown = pattern.trim();
        Some(problem(format!("`{IGNORE_ANNOTATION}` names `{shown}`, which is no path and ignores nothing: {error}")))
    };
    patterns(text).filter_map(mistake).collect()
}

/// Splits at the commas that stand outside brackets; in quotes, a bracket is a letter.
fn patterns(text: &str) -> impl Iterator<Item = &str> {
    let (mut bracketed, mut quoted, mut escaped) = (false, false, false);
    text.split(move |letter| {
        match letter {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' if bracketed => quoted = !quoted,
            '[' if !quoted => bracketed = true,
            ']' if !quoted => bracketed = false,
            _ => {}
        }
        letter == ',' && !bracketed
    })
}

/// A path and every path around it: to ignore a value is to ignore what is inside it.
fn around(path: &Path) -> impl Iterator<Item = Path> + use<> {
    std::iter::successors(Some(path.clone()), Path::parent)
}

/// What policy makes of a difference. All matching classes vote and the strictest lane wins; the name comes from the first.
///
/// `source` names the repository, for the finding's place.
#[must_use]
pub fn classify(difference: Difference, policy: &Policy, source: &str, key: &DigestKey) -> Finding {
    let votes = votes(&difference, policy);
    let mut verdict = verdict(&difference, &votes);
    verdict.reasons.extend(difference.cause.formerly.clone());
    Finding {
        id: difference.id(source, key),
        place: difference.place(source),
        class: votes.first().map(|class| class.name.clone()),
        stage: verdict.stage,
        lane: verdict.lane,
        risk: assess(&difference),
        reasons: verdict.reasons,
        difference,
    }
}

/// The classes that count for a difference, in policy order.
#[must_use]
pub fn votes<'a>(difference: &Difference, policy: &'a Policy) -> Vec<&'a Class> {
    let matching = |precedence| {
        let classes = policy.classes.iter().filter(move |class| class.precedence == precedence);
        classes.filter(|class| class.matches.matches(difference)).collect::<Vec<_>>()
    };
    let regular = matching(Precedence::Regular);
    if regular.is_empty() { matching(Precedence::Fallback) } else { regular }
}

fn is_of_secret(difference: &Difference) -> bool {
    matches!(&difference.subject, Subject::Object(id) if id.is_secret())
}

struct Verdict {
    lane: Lane,
    stage: Stage,
    reasons: Vec<String>,
}

fn verdict(difference: &Difference, votes: &[&Class]) -> Verdict {
    if difference.ignored_in_git {
        let reason = format!("`{IGNORE_ANNOTATION}` in {} names this path", difference.origin.file);
        return Verdict { lane: Lane::Ignore, stage: Stage::Observe, reasons: vec![reason] };
    }
    let Some(lane) = votes.iter().map(|class| class.lane).max() else {
        let reason = "no class matches: reported only".to_owned();
        return Verdict { lane: Lane::Review, stage: Stage::Observe, reasons: vec![reason] };
    };
    // A correction needs the consent of every class; to be told or to propose is for those that ask for it.
    let asking = votes.iter().filter(|class| lane == Lane::Auto || class.lane == lane);
    let stage = asking.map(|class| class.stage).min().unwrap_or(Stage::Observe);
    let reasons = votes.iter().map(ToString::to_string).collect();
    tighten(difference, votes, Verdict { lane, stage, reasons })
}

/// The mark that `kubectl rollout restart` leaves in a pod template.
fn is_restart(path: &Path) -> bool {
    matches!(path.0.last(), Some(Segment::Key(key)) if key == "kubectl.kubernetes.io/restartedAt")
}

/// What no class can loosen: some differences are never corrected by themselves.
fn tighten(difference: &Difference, votes: &[&Class], mut verdict: Verdict) -> Verdict {
    if verdict.lane != Lane::Auto {
        return verdict;
    }
    let change = difference.change();
    let unnamed =
        matches!(change, Change::Undeclared | Change::Leftover) && !votes.iter().any(|class| class.matches.names(change));
    let reason = match &difference.divergence {
        Divergence::Expectation(_) => Some("infrastructure is never corrected by itself".to_owned()),
        Divergence::Object(_) => Some("trueup neither creates nor deletes objects".to_owned()),
        Divergence::Field(_) if difference.is_masked() => Some("a secret value takes part".to_owned()),
        Divergence::Field(_) if is_of_secret(difference) => Some("Secrets are never corrected by themselves".to_owned()),
        Divergence::Field(drift) if is_restart(&drift.path) => {
            Some("to remove the mark of a restart is to restart once more".to_owned())
        }
        Divergence::Field(_) if unnamed => Some(format!("removed only where a class names `change = \"{change}\"`")),
        Divergence::Field(_) => None,
    };
    if let Some(reason) = reason {
        verdict.lane = Lane::Review;
        verdict.reasons.push(reason);
    }
    verdict
}
