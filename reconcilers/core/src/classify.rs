//! Step 5: differences become findings by policy.

use std::cell::OnceCell;
use std::sync::Arc;

use serde_json::{Value, json};

use crate::direction::Direction;
use crate::facts::{Desired, Former, Live, Matched, Owner, Pair, Problem, Secrecy};
use crate::finding::{
    Cause, Change, Confidence, Difference, Divergence, Drift, Finding, Inside, Lane, ObjectChange, Stage, Subject, Surroundings,
};
use crate::leftover::Traces;
use crate::object::TargetName;
use crate::path::{Path, Places, Segment};
use crate::pattern::PathPattern;
use crate::policy::{Class, Facts, Holds, IgnoreRule, Policy, Precedence};
use crate::risk::assess;
use crate::security::Category;
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
            surroundings: Surroundings { desired: Some(Arc::new(desired.value.clone())), ..Surroundings::default() },
        }],
        Pair::Matched(matched) => {
            if drifts.is_empty() {
                return Vec::new();
            }
            let ignored = ignored_paths(&matched.desired.value);
            let around = Around {
                target,
                matched,
                declared: Places::of(&matched.desired.value),
                traces: OnceCell::new(),
                ignored: &ignored,
                desired: shown(matched, &matched.desired.value),
                live: shown(matched, &matched.live.value),
            };
            drifts.into_iter().map(|drift| around.difference(drift)).collect()
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
        surroundings: Surroundings::default(),
    }
}

/// What all differences of one object share.
struct Around<'a> {
    target: &'a TargetName,
    matched: &'a Matched,
    declared: Places<'a>,
    /// Read at the first value that Git declared once.
    traces: OnceCell<Traces<'a>>,
    ignored: &'a [PathPattern],
    desired: Arc<Value>,
    live: Arc<Value>,
}

impl Around<'_> {
    fn difference(&self, drift: Drift) -> Difference {
        let matched = self.matched;
        Difference {
            target: self.target.clone(),
            subject: Subject::Object(matched.desired.id.clone()),
            cause: self.cause(&drift),
            evidence: Some(matched.expected.evidence),
            origin: matched.desired.origin_among(&self.declared, &drift.path),
            labels: labels(&matched.desired.value),
            ignored_in_git: self.ignored.iter().any(|pattern| pattern.covers_at(&drift.path, &drift.pointer)),
            surroundings: Surroundings {
                desired: Some(Arc::clone(&self.desired)),
                live: Some(Arc::clone(&self.live)),
                owners: matched.live.owners_of(&drift.path),
                inside: Inside::Nothing,
                ..Surroundings::default()
            },
            divergence: Divergence::Field(drift),
        }
    }

    /// Who wrote a path. What was removed is owned by nobody, so nothing tells who removed it.
    fn cause(&self, drift: &Drift) -> Cause {
        let formerly = match drift.change {
            Change::Leftover => self.traces.get_or_init(|| Traces::of(self.matched)).declared_once(&drift.path),
            Change::Changed | Change::Removed | Change::Undeclared | Change::MissingObject | Change::ExtraObject => None,
        };
        let written = match drift.change {
            Change::Removed | Change::MissingObject => Cause::default(),
            Change::Changed | Change::Undeclared | Change::Leftover | Change::ExtraObject => {
                cause_at(&self.matched.live, &drift.path)
            }
        };
        Cause { formerly, ..written }
    }
}

/// An object as conditions of policy may see it: of a secret one, what it is called and labelled.
fn shown(matched: &Matched, value: &Value) -> Arc<Value> {
    let at = |pointer: &str| value.pointer(pointer).cloned().unwrap_or_default();
    Arc::new(match matched.secrecy {
        // Values that are secret by their names are masked; conditions tell nobody what they see, so any key will do.
        Secrecy::Open => crate::secret::shown(matched.secrecy, value, &DigestKey::new(b"what conditions may see")),
        Secrecy::Secret => json!({
            "apiVersion": at("/apiVersion"),
            "kind": at("/kind"),
            "metadata": {"name": at("/metadata/name"), "namespace": at("/metadata/namespace"), "labels": at("/metadata/labels")},
        }),
    })
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

fn labels(value: &Value) -> std::collections::BTreeMap<String, String> {
    let labels = value.pointer("/metadata/labels").and_then(Value::as_object);
    let text = |(key, value): (&String, &Value)| Some((key.clone(), value.as_str()?.to_owned()));
    labels.map(|labels| labels.iter().filter_map(text).collect()).unwrap_or_default()
}

pub(crate) fn ignored_paths(desired: &Value) -> Vec<PathPattern> {
    let text = ignore_annotation(desired).and_then(Value::as_str).unwrap_or_default();
    patterns(text).filter_map(|pattern| pattern.trim().parse().ok()).collect()
}

fn ignore_annotation(desired: &Value) -> Option<&Value> {
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

/// What policy makes of a difference. An ignore rule settles it; else all matching classes vote and the strictest lane
/// wins, and the name comes from the first.
///
/// `source` names the repository, for the finding's place.
#[must_use]
pub fn classify(difference: Difference, policy: &Policy, source: &str, key: &DigestKey) -> Finding {
    let Judged { class, lane, stage, reasons, barred, meant_by, problems } = judged(&Facts::of(&difference), policy);
    Finding {
        id: difference.id(source, key),
        place: difference.place(source),
        class,
        meant_by,
        problems,
        stage,
        lane,
        risk: assess(&difference),
        barred,
        kept: None,
        reasons,
        difference,
    }
}

/// What a policy makes of a difference.
pub(crate) struct Judged {
    pub(crate) class: Option<String>,
    pub(crate) lane: Lane,
    pub(crate) stage: Stage,
    pub(crate) reasons: Vec<String>,
    pub(crate) barred: Option<String>,
    meant_by: Vec<String>,
    problems: Vec<Problem>,
}

pub(crate) fn judged(facts: &Facts<'_>, policy: &Policy) -> Judged {
    let Judgement { verdict: Verdict { lane, stage, mut reasons }, meant_by, problems } = judge(facts, policy);
    reasons.extend(facts.difference.cause.formerly.clone());
    Judged {
        class: meant_by.first().cloned(),
        lane,
        stage,
        reasons,
        barred: barred(facts, policy, &meant_by),
        meant_by,
        problems,
    }
}

struct Judgement {
    verdict: Verdict,
    meant_by: Vec<String>,
    problems: Vec<Problem>,
}

fn judge(facts: &Facts<'_>, policy: &Policy) -> Judgement {
    let (ignores, mut problems) = ignoring(facts, policy);
    let votes = ballot(facts, policy);
    problems.extend(votes.iter().filter_map(Vote::problem));
    let rules = ignores.iter().map(|rule| &rule.name);
    let meant_by = rules.chain(votes.iter().map(|vote| &vote.class.name)).cloned().collect();
    Judgement { verdict: ignored(facts.difference, &ignores).unwrap_or_else(|| verdict(facts, &votes)), meant_by, problems }
}

/// The classes that count for a difference, in policy order.
#[must_use]
pub fn votes<'a>(difference: &Difference, policy: &'a Policy) -> Vec<&'a Class> {
    ballot(&Facts::of(difference), policy).into_iter().map(|vote| vote.class).collect()
}

/// A class that counts; where its condition could not be evaluated, why.
struct Vote<'a> {
    class: &'a Class,
    failure: Option<String>,
}

impl Vote<'_> {
    /// What cannot be judged is not corrected: people look at it.
    fn lane(&self) -> Lane {
        if self.failure.is_some() { self.class.lane.max(Lane::Review) } else { self.class.lane }
    }

    fn reason(&self) -> String {
        match &self.failure {
            None => self.class.to_string(),
            Some(failure) => format!("{}: its condition could not be evaluated ({failure}), so it counts as strict", self.class),
        }
    }

    fn problem(&self) -> Option<Problem> {
        let failure = self.failure.as_ref()?;
        let message = format!("class `{}` could not be evaluated and counts as strict: {failure}", self.class.name);
        Some(Problem::note("condition-failed", message, Some(self.class.origin.clone())))
    }
}

fn ballot<'a>(facts: &Facts<'_>, policy: &'a Policy) -> Vec<Vote<'a>> {
    let asked: Vec<&Class> = policy.classes.for_facts(facts).collect();
    let counting = |precedence| {
        let classes = asked.iter().copied().filter(move |class| class.precedence == precedence);
        let vote = |class: &'a Class| match class.matches.holds(facts) {
            Holds::Yes => Some(Vote { class, failure: None }),
            Holds::Failed(failure) => Some(Vote { class, failure: Some(failure) }),
            Holds::No => None,
        };
        classes.filter_map(vote).collect::<Vec<_>>()
    };
    let regular = counting(Precedence::Regular);
    if regular.is_empty() { counting(Precedence::Fallback) } else { regular }
}

/// The ignore rules that cover a difference. One that could not be evaluated covers nothing.
fn ignoring<'a>(facts: &Facts<'_>, policy: &'a Policy) -> (Vec<&'a IgnoreRule>, Vec<Problem>) {
    let mut problems = Vec::new();
    let mut covers = |rule: &&IgnoreRule| match rule.matches.covers(facts) {
        Holds::Yes => true,
        Holds::No => false,
        Holds::Failed(failure) => {
            let message = format!("ignore rule `{}` could not be evaluated and covers nothing: {failure}", rule.name);
            problems.push(Problem::note("condition-failed", message, Some(rule.origin.clone())));
            false
        }
    };
    let rules = policy.ignores.for_facts(facts).filter(&mut covers).collect();
    (rules, problems)
}

fn is_of_secret(difference: &Difference) -> bool {
    matches!(&difference.subject, Subject::Object(id) if id.is_secret())
}

struct Verdict {
    lane: Lane,
    stage: Stage,
    reasons: Vec<String>,
}

fn ignored(difference: &Difference, rules: &[&IgnoreRule]) -> Option<Verdict> {
    let mut reasons: Vec<String> = rules.iter().map(ToString::to_string).collect();
    if difference.ignored_in_git {
        reasons.push(format!("`{IGNORE_ANNOTATION}` in {} names this path", difference.origin.file));
    }
    if let Inside::All(rules) = &difference.surroundings.inside {
        reasons.extend(rules.iter().map(|rule| format!("{rule}: nothing differs but what it names")));
    }
    if reasons.is_empty() { None } else { Some(Verdict { lane: Lane::Ignore, stage: Stage::Observe, reasons }) }
}

fn verdict(facts: &Facts<'_>, votes: &[Vote<'_>]) -> Verdict {
    let Some(lane) = votes.iter().map(Vote::lane).max() else {
        let reason = "no class matches: reported only".to_owned();
        return Verdict { lane: Lane::Review, stage: Stage::Observe, reasons: vec![reason] };
    };
    // A correction needs the consent of every class; to be told or to propose is for those that ask for it.
    // A class that only counts as strict because it could not be evaluated asks for nothing.
    let asking = votes.iter().filter(|vote| lane == Lane::Auto || vote.class.lane == lane);
    let stage = asking.clone().map(|vote| vote.class.stage_in_force()).min().unwrap_or(Stage::Observe);
    let mut reasons: Vec<String> = votes.iter().map(Vote::reason).collect();
    reasons.extend(asking.filter_map(|vote| vote.class.unproven()));
    let asks = votes.iter().any(|vote| vote.class.matches.asks_direction());
    if asks && facts.category() == Some(Category::Security) && facts.direction() == Direction::Unclear {
        reasons.push("whether it weakens or tightens security cannot be told: it counts as weaker".to_owned());
    }
    tighten(facts, votes, Verdict { lane, stage, reasons })
}

/// The mark that `kubectl rollout restart` leaves in a pod template.
fn is_restart(path: &Path) -> bool {
    matches!(path.0.last(), Some(Segment::Key(key)) if key == "kubectl.kubernetes.io/restartedAt")
}

/// What no class can loosen: some differences are never corrected by themselves.
fn tighten(facts: &Facts<'_>, votes: &[Vote<'_>], mut verdict: Verdict) -> Verdict {
    if verdict.lane != Lane::Auto {
        return verdict;
    }
    let named = votes.iter().any(|vote| vote.class.matches.names(facts.difference.change()));
    let weakens = facts.category() == Some(Category::Security) && facts.direction().may_be(Direction::Weaker);
    if weakens {
        verdict.lane = Lane::Escalate;
        verdict.reasons.push("what loosens security, or may, is never corrected by itself: people are told".to_owned());
    } else if let Some(reason) = bar(facts, named) {
        verdict.lane = Lane::Review;
        verdict.reasons.push(reason);
    }
    verdict
}

/// Why no correction is ever made of a difference that these rules mean, not even one that a person approved.
fn barred(facts: &Facts<'_>, policy: &Policy, meant_by: &[String]) -> Option<String> {
    let change = facts.difference.change();
    let named = policy.classes.iter().any(|class| meant_by.contains(&class.name) && class.matches.names(change));
    bar(facts, named)
}

/// What stands against correcting a difference whatever the policy says; `named` says whether a class names its change.
fn bar(facts: &Facts<'_>, named: bool) -> Option<String> {
    let difference = facts.difference;
    let change = difference.change();
    let unnamed = matches!(change, Change::Undeclared | Change::Leftover) && !named;
    let tightened = facts.category() == Some(Category::Security) && facts.direction() == Direction::Stronger;
    match (&difference.divergence, &difference.surroundings.inside) {
        (Divergence::Expectation(_), _) => Some("infrastructure is never corrected by itself".to_owned()),
        (Divergence::Object(_), _) => Some("trueup neither creates nor deletes objects".to_owned()),
        (Divergence::Field(_), _) if difference.is_masked() => Some("a secret value takes part".to_owned()),
        (Divergence::Field(_), _) if is_of_secret(difference) => Some("Secrets are never corrected by themselves".to_owned()),
        (Divergence::Field(drift), _) if is_restart(&drift.path) => {
            Some("to remove the mark of a restart is to restart once more".to_owned())
        }
        (Divergence::Field(_), _) if tightened => Some("to put Git's value back is to loosen security".to_owned()),
        (Divergence::Field(_), _) if unnamed => Some(format!("removed only where a class names `change = \"{change}\"`")),
        (Divergence::Field(_), Inside::Part(rules)) => {
            Some(format!("a correction would write over what is ignored inside it: {}", rules.join("; ")))
        }
        (Divergence::Field(_), Inside::Nothing | Inside::All(_)) => None,
    }
}
