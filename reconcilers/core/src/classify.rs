//! Step 5: differences become findings by policy.

use crate::direction::Direction;
use crate::facts::Problem;
use crate::finding::{Change, Difference, Divergence, Finding, Inside, Lane, Stage, Subject};
use crate::ignore::IGNORE_ANNOTATION;
use crate::path::{Path, Segment};
use crate::policy::{Class, Facts, Holds, IgnoreRule, Policy, Precedence};
use crate::risk::assess;
use crate::security::Category;
use crate::seen::DigestKey;

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
