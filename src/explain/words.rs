//! What is said of a path: why it is as it is, in one sentence, and what would change that.

use trueup_core::diff::{Silence, Spelling};
use trueup_core::facts::{Allowance, Evidence, Extent, Rule};
use trueup_core::finding::{Cause, Change, Confidence, Finding, Lane};
use trueup_core::ignore::IGNORE_ANNOTATION;
use trueup_core::seen::Seen;
use trueup_kubernetes::normal::Uncompared;

use super::rows::{Outcome, PathRow};

/// A stable name for programs.
#[must_use]
pub fn name(outcome: &Outcome<'_>) -> &'static str {
    match outcome {
        Outcome::Finding(finding) if finding.lane == Lane::Ignore => "ignored",
        Outcome::Finding(_) => "finding",
        Outcome::LeftOut(_) => "left-out",
        Outcome::Uncompared(_) => "not-compared",
        Outcome::ByRight(allowance) => match allowance.rule {
            Rule::Allocated => "allocated",
            Rule::KnownWriter { .. } => "known-writer",
            Rule::Autoscaler => "autoscaler",
        },
        Outcome::Silent(silence) => match silence {
            Silence::AsDeclared => "as-declared",
            Silence::Respelt(_) => "same-value",
            Silence::AsWritten => "as-written",
            Silence::AsAdmitted => "as-admitted",
            Silence::Default => "default",
            Silence::SameAsNone => "same-as-none",
            Silence::NotKept => "not-kept",
            Silence::NotAdmitted => "not-admitted",
        },
    }
}

/// Why, in one sentence.
#[must_use]
pub fn reason(row: &PathRow<'_>) -> String {
    match &row.outcome {
        Outcome::Finding(finding) => of_finding(finding),
        Outcome::LeftOut(change) => format!("{change}, and policy leaves it out"),
        Outcome::Uncompared(reason) => never_compared(*reason).to_owned(),
        Outcome::ByRight(allowance) => by_right(allowance, row),
        Outcome::Silent(silence) => of_silence(*silence, row),
    }
}

fn of_finding(finding: &Finding) -> String {
    let reason = finding.reasons.first().map(String::as_str).unwrap_or_default();
    match finding.lane {
        Lane::Ignore => format!("ignored: {reason}"),
        lane @ (Lane::Watch | Lane::Auto | Lane::Review | Lane::Escalate) => {
            format!("{}, lane {lane}: {reason}", finding.difference.change())
        }
    }
}

/// Why a value is never compared.
#[must_use]
pub fn never_compared(reason: Uncompared) -> &'static str {
    match reason {
        Uncompared::Status => "never compared: status is what controllers report",
        Uncompared::ServerMetadata => "never compared: only the server writes this metadata",
        Uncompared::LastApplied => "never compared: `kubectl apply`'s own copy of the manifest",
    }
}

fn by_right(allowance: &Allowance, row: &PathRow<'_>) -> String {
    let by = match &allowance.rule {
        Rule::Allocated => "allocated value".to_owned(),
        Rule::KnownWriter { manager, subresource: None } => format!("known writer {manager}"),
        Rule::KnownWriter { manager, subresource: Some(subresource) } => format!("known writer {manager} through {subresource}"),
        Rule::Autoscaler => "autoscaler".to_owned(),
    };
    let around = if allowance.path == row.path { String::new() } else { format!(", at `{}`", allowance.path) };
    format!("{by}{around}: {}", allowance.reason)
}

fn of_silence(silence: Silence, row: &PathRow<'_>) -> String {
    let git = || row.declared.as_ref().map_or_else(|| "nothing".to_owned(), |seen| format!("`{seen}`"));
    let today = || row.expected.as_ref().map_or_else(|| "nothing".to_owned(), |seen| format!("`{seen}`"));
    match silence {
        Silence::AsDeclared if row.declared_at.as_ref() != Some(&row.pointer) => {
            "as Git declares it: its entry stands elsewhere in Git's list, and is found by its keys".to_owned()
        }
        Silence::AsDeclared => "as Git declares it".to_owned(),
        Silence::Respelt(Spelling::Quantity) => format!("the same quantity as Git's {}", git()),
        Silence::Respelt(Spelling::Duration) => format!("the same duration as Git's {}", git()),
        Silence::Respelt(Spelling::Time) => format!("the same time as Git's {}", git()),
        Silence::Respelt(Spelling::Number) => format!("the same number as Git's {}", git()),
        Silence::Respelt(Spelling::Order) => "Git's entries in another order, which means nothing here".to_owned(),
        Silence::Respelt(Spelling::Inside) => "Git's entries, some of them in another spelling".to_owned(),
        Silence::AsWritten => format!("as Git declares it, though the server would make {} of it today", today()),
        Silence::AsAdmitted => format!("what the server makes of Git's {}", git()),
        Silence::Default => match row.evidence {
            Some(Evidence::Baseline | Evidence::Apply) => {
                "what the server makes of Git's words by itself: a default, or admission".to_owned()
            }
            Some(Evidence::Table | Evidence::State | Evidence::Plan) | None => "a default of the server".to_owned(),
        },
        Silence::SameAsNone => "empty or null, which to the server is none".to_owned(),
        Silence::NotKept => {
            "the server keeps none of what Git declares here: a zero value, or a field that it does not know".to_owned()
        }
        Silence::NotAdmitted => {
            format!("not yet admitted: the server would add {} to Git's words today, and live was made before", today())
        }
    }
}

/// What would change the outcome; `file` is where Git declares the object.
#[must_use]
pub fn change(row: &PathRow<'_>, file: &str) -> String {
    let place = row.origin.as_ref().map_or_else(|| file.to_owned(), trueup_core::facts::Origin::line_of_file);
    match &row.outcome {
        Outcome::Finding(finding) => of_change(finding),
        Outcome::LeftOut(_) => "the rule in policies/ that leaves it out".to_owned(),
        Outcome::Uncompared(_) => "nothing: no value of it is ever a finding".to_owned(),
        Outcome::ByRight(allowance) => match (&allowance.rule, allowance.extent) {
            (Rule::Autoscaler, _) => {
                "a finding without the autoscaler, outside its range, or when somebody else wrote it last".to_owned()
            }
            (Rule::Allocated, Extent::Declared) => "a finding with any other entry in it".to_owned(),
            (Rule::Allocated, Extent::Undeclared) => format!("declare it in {place}: then live has to agree"),
            (Rule::KnownWriter { .. }, _) => {
                format!("declare it in {place}: then live has to agree; or another writer of the live value")
            }
        },
        Outcome::Silent(silence) => match silence {
            Silence::AsDeclared | Silence::Respelt(_) | Silence::AsWritten | Silence::AsAdmitted => {
                format!("another value in {place}, or in live, would be a finding")
            }
            Silence::Default => format!("another live value would be a finding (undeclared); or declare one in {place}"),
            Silence::SameAsNone => "a value in Git or in live".to_owned(),
            Silence::NotKept => format!("take it out of {place}, or declare what the server keeps"),
            Silence::NotAdmitted => format!("apply {file} again, or declare it there: then live has to have it"),
        },
    }
}

/// What would make a finding go away, or change its lane.
#[must_use]
pub fn of_change(finding: &Finding) -> String {
    let origin = &finding.difference.origin;
    match finding.difference.change() {
        Change::MissingObject => format!("{}, or remove it from Git", origin.how_to_apply()),
        Change::Undeclared => {
            format!("declare it in {}, take it out of live, or name it in `{IGNORE_ANNOTATION}`", origin.file)
        }
        Change::Changed | Change::Removed | Change::Leftover | Change::ExtraObject => {
            format!("change {}, or live; a class in policies/ decides lane and stage", origin.line_of_file())
        }
    }
}

/// On what an expected value rests.
#[must_use]
pub fn evidence(evidence: Evidence) -> &'static str {
    match evidence {
        Evidence::Baseline => "baseline (the server's own answer to a dry run)",
        Evidence::Apply => "apply (a dry run of applying it)",
        Evidence::Table => "table (the defaults of Kubernetes, without asking the server)",
        Evidence::State => "the Terraform state",
        Evidence::Plan => "a Terraform plan",
    }
}

/// Who wrote a value, how, and how sure that is.
#[must_use]
pub fn writer(cause: &Cause) -> String {
    let Some(manager) = &cause.manager else { return "unknown: managedFields names nobody".to_owned() };
    let operation = cause.operation.map(|operation| format!(" {operation:?}")).unwrap_or_default();
    let through = cause.subresource.as_ref().map(|subresource| format!(" through {subresource}")).unwrap_or_default();
    let time = cause.time.as_ref().map(|time| format!(" {time}")).unwrap_or_default();
    let sure = match cause.confidence {
        Confidence::Reported => "as managedFields reports it",
        Confidence::Certain => "certain, by the audit log",
        Confidence::Unknown => "nothing confirms it",
    };
    format!("{manager}{operation}{through}{time} ({sure})")
}

/// A value for people.
#[must_use]
pub fn shown(seen: Option<&Seen>) -> String {
    seen.map_or_else(|| "(none)".to_owned(), ToString::to_string)
}
