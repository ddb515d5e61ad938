//! What a round found, in the public form `trueup.report/v1` (INTERFACE) that text and JSON are printed from.

pub mod paths;
mod row;
pub mod text;

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;
use serde_json::Value;
use trueup_core::facts::{Origin, Pair, Problem};
use trueup_core::finding::{Cause, Divergence, Finding, Lane, Risk, Subject};
use trueup_core::seen::Seen;

use crate::exit::Exit;
use crate::people::{Known, OfPeople};
use crate::render;
use crate::round::{Round, SourceState};
use crate::target::Judged;

/// The report's schema.
pub const SCHEMA: &str = "trueup.report/v1";

/// A round's result.
#[derive(Debug, Serialize)]
pub struct Report {
    /// [`SCHEMA`].
    pub schema: &'static str,
    /// What Git said.
    pub source: SourceState,
    /// One verdict a target.
    pub targets: Vec<TargetReport>,
    /// Sorted by target, namespace, kind, name, path.
    pub findings: Vec<FindingReport>,
    /// What went wrong.
    pub problems: Vec<ProblemReport>,
    /// What was done; only after `sync`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub runs: Option<Vec<RunReport>>,
    /// What findings are about, by their ids, for people: also those that are gone after a `sync`.
    #[serde(skip)]
    pub subjects: BTreeMap<String, (String, String)>,
    /// How long it took.
    #[serde(skip)]
    pub took: Duration,
}

/// One target's verdict.
#[derive(Debug, Serialize)]
pub struct TargetReport {
    /// Its name.
    pub name: String,
    /// `kubernetes`, `snapshot`, `terraform`.
    pub kind: &'static str,
    /// What holds of it.
    pub verdict: Verdict,
    /// How many objects (for Terraform: outputs) are what.
    pub objects: Counts,
    /// The state's serial, for Terraform.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub serial: Option<u64>,
    /// What of its desired state a program rendered, and to which bytes.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub rendered: Vec<render::Record>,
}

/// What holds of a target.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// All that is declared is so.
    True,
    /// Something differs.
    Drift,
    /// Not enough could be seen.
    Unknown,
}

/// How many objects are what.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Counts {
    /// In Git.
    pub declared: usize,
    /// As declared.
    #[serde(rename = "true")]
    pub as_declared: usize,
    /// With findings outside `ignore`.
    pub drifted: usize,
    /// With findings outside `ignore` that may all stay for a while.
    #[serde(skip_serializing_if = "is_none")]
    pub leased: usize,
    /// Not seen.
    pub unknown: usize,
    /// Not judged: Secrets that are off, hooks and finished Jobs that are gone.
    pub skipped: usize,
    /// The Secrets among those.
    #[serde(skip)]
    pub skipped_secrets: usize,
    /// There, with findings outside `ignore`, and no longer in Git; no part of `declared`.
    #[serde(skip_serializing_if = "is_none")]
    pub extra: usize,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_none(count: &usize) -> bool {
    *count == 0
}

/// One finding.
#[derive(Debug, Serialize)]
pub struct FindingReport {
    /// Place and values under a key.
    pub id: String,
    /// `drift`: alerts and failed deployments come later.
    pub kind: &'static str,
    /// Place alone.
    pub place: String,
    /// The target's name.
    pub target: String,
    /// The object, or the Terraform output.
    pub object: Value,
    /// For people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// RFC 6901.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pointer: Option<String>,
    /// What happened.
    pub change: &'static str,
    /// The predicate that failed, for Terraform.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub predicate: Option<&'static str>,
    /// What should be.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub desired: Option<Seen>,
    /// What is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub live: Option<Seen>,
    /// Where Git says so.
    pub origin: Origin,
    /// What wrote it.
    pub cause: Cause,
    /// On what the desired value rests.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub evidence: Option<trueup_core::facts::Evidence>,
    /// The policy's class.
    pub class: Option<String>,
    /// How far it may be acted on.
    pub stage: trueup_core::finding::Stage,
    /// Where it goes.
    pub lane: Lane,
    /// How risky it is.
    pub risk: Risk,
    /// Why.
    pub reasons: Vec<String>,
    /// What people decided about it.
    #[serde(flatten)]
    pub people: OfPeople,
}

/// One problem.
#[derive(Debug, Serialize)]
pub struct ProblemReport {
    /// A stable name.
    pub code: &'static str,
    /// For people.
    pub message: String,
    /// The target, where it concerns one.
    pub target: Option<String>,
    /// Where, if in a file.
    pub origin: Option<Origin>,
}

/// One effect of a `sync`.
#[derive(Debug, Clone, Serialize)]
pub struct RunReport {
    /// The run's id; absent for what was only decided.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Which findings.
    pub finding: Vec<String>,
    /// What was done.
    pub action: ActionName,
    /// How it ended, or why nothing was done.
    pub status: String,
    /// For people: what and why.
    pub reasons: Vec<String>,
    /// The merge patch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub patch: Option<Value>,
    /// What takes it back.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub inverse: Option<Value>,
    /// The pull request or the local branch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// The ledger's records, by number.
    pub records: Vec<u64>,
}

/// What was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ActionName {
    /// A merge patch.
    Patch,
    /// A pull request.
    PullRequest,
    /// An escalation.
    Escalate,
    /// Nothing.
    None,
}

impl ActionName {
    /// As it stands in reports.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Patch => "patch",
            Self::PullRequest => "pull-request",
            Self::Escalate => "escalate",
            Self::None => "none",
        }
    }
}

impl Report {
    /// The public form of a round.
    #[must_use]
    pub fn of(round: &Round) -> Self {
        let mut findings: Vec<&Finding> = round.targets.iter().flat_map(Judged::findings).collect();
        findings.sort_by_cached_key(|finding| order(finding));
        let own = round.problems.iter().map(|problem| problem_report(problem, None));
        let targets = round
            .targets
            .iter()
            .flat_map(|judged| judged.problems.iter().map(|problem| problem_report(problem, Some(judged.name.0.clone()))));
        let findings: Vec<FindingReport> = findings.into_iter().map(|finding| finding_report(finding, round.known())).collect();
        Self {
            schema: SCHEMA,
            subjects: findings.iter().map(|finding| (finding.id.clone(), row::place_of(finding))).collect(),
            source: round.source.clone(),
            targets: round.targets.iter().map(|judged| target_report(judged, round.known())).collect(),
            findings,
            problems: own.chain(targets).collect(),
            runs: None,
            took: round.took,
        }
    }

    /// What the report means for a pipeline.
    #[must_use]
    pub fn exit(&self) -> Exit {
        if self.targets.iter().any(|target| target.verdict == Verdict::Unknown) {
            Exit::Unseen
        } else if self.findings.iter().any(|finding| finding.lane > Lane::Ignore && finding.people.lease.is_none()) {
            Exit::Drift
        } else {
            Exit::True
        }
    }

    /// The report as JSON, for programs.
    ///
    /// # Errors
    /// None in practice: every part has a JSON form.
    pub fn to_json(&self) -> Result<String, serde_json::Error> {
        serde_json::to_string_pretty(self)
    }
}

/// By target, namespace, kind, name, path; outputs behind objects.
fn order(finding: &Finding) -> (String, u8, String, String, String, String) {
    let target = finding.difference.target.0.clone();
    let path = finding.difference.path().to_string();
    match &finding.difference.subject {
        Subject::Object(id) => (target, 0, id.namespace.clone().unwrap_or_default(), id.kind.clone(), id.name.clone(), path),
        Subject::Output(id) => (target, 1, String::new(), String::new(), id.output.clone(), path),
    }
}

fn target_report(judged: &Judged, known: Known<'_>) -> TargetReport {
    let objects = counts(judged, known);
    let verdict = if objects.unknown > 0 || judged.problems.iter().any(|problem| problem.blinds) {
        Verdict::Unknown
    } else if objects.drifted + objects.extra > 0 {
        Verdict::Drift
    } else {
        Verdict::True
    };
    let (name, rendered) = (judged.name.0.clone(), judged.rendered.clone());
    TargetReport { name, kind: judged.kind, verdict, objects, serial: judged.serial, rendered }
}

fn counts(judged: &Judged, known: Known<'_>) -> Counts {
    let mut counts = Counts::default();
    let is_leased = |finding: &Finding| known.standing.people().lease_of(finding, known.now).is_some();
    for case in &judged.cases {
        let told: Vec<&Finding> = case.findings.iter().filter(|finding| finding.lane > Lane::Ignore).collect();
        let (is_told, is_leased) = (!told.is_empty(), told.iter().all(|finding| is_leased(finding)));
        if case.is_extra() {
            counts.extra += usize::from(is_told && !is_leased);
            continue;
        }
        counts.declared += 1;
        match &case.pair {
            Some(Pair::Unseen(..)) => counts.unknown += 1,
            Some(Pair::Skipped(desired, _)) => {
                counts.skipped += 1;
                counts.skipped_secrets += usize::from(desired.id.kind == "Secret");
            }
            Some(Pair::Missing(_) | Pair::Matched(_)) | None => {
                let count = match (is_told, is_leased) {
                    (false, _) => &mut counts.as_declared,
                    (true, true) => &mut counts.leased,
                    (true, false) => &mut counts.drifted,
                };
                *count += 1;
            }
        }
    }
    counts
}

fn finding_report(finding: &Finding, known: Known<'_>) -> FindingReport {
    let difference = &finding.difference;
    let (desired, live) = difference.values();
    let (path, pointer, predicate) = match &difference.divergence {
        Divergence::Field(drift) => (Some(drift.path.to_string()), Some(drift.pointer.clone()), None),
        Divergence::Object(_) => (None, None, None),
        Divergence::Expectation(expectation) => (None, None, Some(expectation.predicate.name())),
    };
    let object = match &difference.subject {
        Subject::Object(id) => serde_json::json!(id),
        Subject::Output(id) => serde_json::json!(id),
    };
    FindingReport {
        id: finding.id.to_string(),
        kind: "drift",
        place: finding.place.to_string(),
        target: difference.target.0.clone(),
        object,
        path,
        pointer,
        change: difference.change().name(),
        predicate,
        desired: desired.cloned(),
        live: live.cloned(),
        origin: difference.origin.clone(),
        cause: difference.cause.clone(),
        evidence: difference.evidence,
        class: finding.class.clone(),
        stage: finding.stage,
        lane: finding.lane,
        risk: finding.risk.clone(),
        reasons: finding.reasons.clone(),
        people: OfPeople::of(finding, known),
    }
}

/// One problem in the public form.
#[must_use]
pub fn problem_report(problem: &Problem, target: Option<String>) -> ProblemReport {
    ProblemReport { code: problem.code, message: problem.message.clone(), target, origin: problem.origin.clone() }
}

impl std::ops::Add for Counts {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            declared: self.declared + other.declared,
            as_declared: self.as_declared + other.as_declared,
            drifted: self.drifted + other.drifted,
            leased: self.leased + other.leased,
            unknown: self.unknown + other.unknown,
            skipped: self.skipped + other.skipped,
            skipped_secrets: self.skipped_secrets + other.skipped_secrets,
            extra: self.extra + other.extra,
        }
    }
}
