//! `trueup explain` and `trueup diff --all-paths`: why something is a finding, or why it is not. What is said rests on the
//! comparison's own account of each path, so that it cannot differ from what is found.

pub mod pages;
pub mod rows;
mod words;

use trueup_core::decide::{Case, Decision, Guards, Inputs, Request, Terms, decide};
use trueup_core::facts::Pair;
use trueup_core::finding::Finding;
use trueup_core::object::ObjectId;
use trueup_core::path::Path;
use trueup_core::policy::Policy;

use self::pages::{Page, declared, path_or_all};
use self::rows::{PathRow, rows};
use self::words::{evidence, of_change, shown, writer};
use crate::command::print;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::guards;
use crate::ledger::Ledger;
use crate::people::{self, OfPeople};
use crate::report::paths::{ObjectPaths, ObjectState, PathReport, PathsReport, SCHEMA};
use crate::report::{ProblemReport, problem_report};
use crate::round::{Round, look};
use crate::session::Session;
use crate::target::{Freshness, Judged, JudgedCase};

/// Where a path may begin that people write short: at the object, or at its pods' spec.
const POD_PATHS: [&[&str]; 3] = [&[], &["spec", "template", "spec"], &["spec", "jobTemplate", "spec", "template", "spec"]];

/// Explains a finding by its id, or an object's path, or all of an object's findings.
///
/// # Errors
/// When there is no such finding or object, or nothing can be judged.
pub async fn explain(session: &Session, what: &str, path: Option<&str>) -> Result<Exit, Failure> {
    let round = look(session, Freshness::Cached).await?;
    match (what.split_once('/'), path) {
        (None, None) => print(&by_id(session, &round, what).await?),
        (None, Some(_)) => Err(no_name(what)),
        (Some(_), path) => {
            let path = path.map(str::parse::<Path>).transpose().map_err(Failure::usage)?;
            print(&by_object(session, &round, what, path.as_ref()).await?)?;
            let unseen = named(&round, what)?.iter().any(|(_, _, pair)| matches!(pair, Pair::Unseen(..)));
            Ok(if unseen { Exit::Unseen } else { Exit::True })
        }
    }
}

/// Each path of an object and why it is a finding or none.
///
/// # Errors
/// When Git declares no such object, or nothing can be judged.
pub async fn all_paths(session: &Session, what: &str) -> Result<PathsReport, Failure> {
    let round = look(session, Freshness::Cached).await?;
    let mut problems = problems(&round);
    let mut objects = Vec::new();
    for (judged, case, pair) in named(&round, what)? {
        let whole = match whole_object(judged, pair).await {
            Ok(whole) => whole,
            Err(message) => {
                let message = format!("what is never compared is not shown: {message}");
                problems.push(ProblemReport { code: "not-read", message, target: Some(judged.name.0.clone()), origin: None });
                None
            }
        };
        let paths = rows(case, whole.as_ref(), (&judged.kinds, &session.key)).iter().map(pages::report).collect();
        objects.push(object_paths(judged, pair, paths));
    }
    Ok(PathsReport { schema: SCHEMA, source: round.source.clone(), objects, problems })
}

/// The live object with what is never compared. What was not looked at, as a Secret that is skipped, is not read here either.
async fn whole_object(judged: &Judged, pair: &Pair) -> Result<Option<serde_json::Value>, String> {
    match pair {
        Pair::Matched(matched) => judged.reach.read_whole(&matched.desired.id).await,
        Pair::Missing(_) | Pair::Unseen(..) | Pair::Skipped(..) => Ok(None),
    }
}

fn problems(round: &Round) -> Vec<ProblemReport> {
    let of_target = |judged: &Judged| {
        let name = Some(judged.name.0.clone());
        judged.problems.iter().map(|problem| problem_report(problem, name.clone())).collect::<Vec<_>>()
    };
    let own = round.problems.iter().map(|problem| problem_report(problem, None));
    own.chain(round.targets.iter().flat_map(of_target)).collect()
}

fn object_paths(judged: &Judged, pair: &Pair, paths: Vec<PathReport>) -> ObjectPaths {
    let (state, reason) = match pair {
        Pair::Matched(_) => (ObjectState::Compared, None),
        Pair::Missing(_) => (ObjectState::Missing, None),
        Pair::Unseen(_, reason) => (ObjectState::Unseen, Some(reason.clone())),
        Pair::Skipped(_, reason) => (ObjectState::Skipped, Some(reason.clone())),
    };
    let id = &pair.desired().id;
    let evidence = match pair {
        Pair::Matched(matched) => Some(matched.expected.evidence),
        Pair::Missing(_) | Pair::Unseen(..) | Pair::Skipped(..) => None,
    };
    let object = serde_json::json!(id);
    ObjectPaths { target: judged.name.0.clone(), object, name: id.to_string(), state, reason, evidence, paths }
}

async fn by_id(session: &Session, round: &Round, id: &str) -> Result<String, Failure> {
    let found = round.targets.iter().flat_map(|judged| judged.cases.iter().map(move |case| (judged, case)));
    let mut found = found.flat_map(|(judged, case)| case.findings.iter().map(move |finding| (judged, case, finding)));
    match found.find(|(_, _, finding)| finding.id.0 == id) {
        Some((judged, case, finding)) => whole(session, round, judged, case, finding).await,
        None => {
            Err(Failure::usage(anyhow::anyhow!("no finding `{id}` now: `trueup diff` lists them; an id changes with its values")))
        }
    }
}

/// The objects of this name, each with its target and case.
pub(crate) fn named<'a>(round: &'a Round, what: &str) -> Result<Vec<(&'a Judged, &'a JudgedCase, &'a Pair)>, Failure> {
    if !what.contains('/') {
        return Err(no_name(what));
    }
    let cases = round.targets.iter().flat_map(|judged| judged.cases.iter().map(move |case| (judged, case)));
    let cases = cases.filter_map(|(judged, case)| Some((judged, case, case.pair.as_ref()?)));
    let found: Vec<_> = cases.filter(|(_, _, pair)| is_named(&pair.desired().id, what)).collect();
    let blind = || round.targets.iter().flat_map(|judged| &judged.problems).find(|problem| problem.blinds);
    match (found.is_empty(), blind()) {
        (false, _) => Ok(found),
        (true, Some(problem)) => Err(Failure::unseen(anyhow::anyhow!("no `{what}` can be seen: {problem}"))),
        (true, None) => Err(Failure::usage(anyhow::anyhow!("Git declares no `{what}`: `trueup render` shows what it declares"))),
    }
}

/// Whether an object is what `KIND/NAME` or `KIND/NAMESPACE/NAME` names.
pub(crate) fn is_named(id: &ObjectId, what: &str) -> bool {
    let parts: Vec<&str> = what.split('/').collect();
    let (kind, namespace, name) = match parts[..] {
        [kind, name] => (kind, None, name),
        [kind, namespace, name] => (kind, Some(namespace), name),
        _ => return false,
    };
    let in_namespace = namespace.is_none_or(|wanted| id.namespace.as_deref() == Some(wanted));
    id.kind.eq_ignore_ascii_case(kind) && id.name == name && in_namespace
}

fn no_name(what: &str) -> Failure {
    Failure::usage(anyhow::anyhow!("`{what}` is no KIND/NAME, as in Deployment/checkout"))
}

async fn by_object(session: &Session, round: &Round, what: &str, path: Option<&Path>) -> Result<String, Failure> {
    let mut text = String::new();
    for (judged, case, pair) in named(round, what)? {
        let path = path.map(|path| as_written_whole(path, pair));
        let whole_object = match &path {
            Some(_) => whole_object(judged, pair).await.ok().flatten(),
            None => None,
        };
        let rows = rows(case, whole_object.as_ref(), (&judged.kinds, &session.key));
        let concerned: Vec<&PathRow<'_>> =
            rows.iter().filter(|row| path.as_ref().is_none_or(|path| row.concerns(path, pair))).collect();
        let findings: Vec<&Finding> = concerned.iter().filter_map(|row| row.finding()).collect();
        for finding in &findings {
            text.push_str(&whole(session, round, judged, case, finding).await?);
        }
        match (pair, &path) {
            (Pair::Matched(_), Some(path)) => {
                text.push_str(&pages::at_path(&judged.name, pair, path, &concerned));
            }
            (Pair::Matched(_) | Pair::Missing(_) | Pair::Unseen(..) | Pair::Skipped(..), _) if findings.is_empty() => {
                text.push_str(&pages::no_finding(&judged.name, case, pair, path.as_ref()));
            }
            (Pair::Matched(_) | Pair::Missing(_) | Pair::Unseen(..) | Pair::Skipped(..), _) => {}
        }
    }
    Ok(text)
}

/// The path as the object has it: reports leave out `spec.template.spec.`, and so may people.
fn as_written_whole(path: &Path, pair: &Pair) -> Path {
    let roots: Vec<&serde_json::Value> = match pair {
        Pair::Matched(matched) => vec![&matched.desired.value, &matched.expected.value, &matched.live.value],
        Pair::Missing(desired) | Pair::Skipped(desired, _) | Pair::Unseen(desired, _) => vec![&desired.value],
    };
    let below = |prefix: &&[&str]| Path(Path::of_keys(prefix).0.into_iter().chain(path.0.iter().cloned()).collect());
    let candidates = POD_PATHS.iter().map(below);
    candidates.into_iter().find(|path| roots.iter().any(|root| path.find(root).is_some())).unwrap_or_else(|| path.clone())
}

/// A finding with everything that decided it.
async fn whole(
    session: &Session,
    round: &Round,
    judged: &Judged,
    case: &JudgedCase,
    finding: &Finding,
) -> Result<String, Failure> {
    let difference = &finding.difference;
    let (desired, live) = difference.values();
    let mut page = Page::titled(&format!(
        "{} in {}: {} ({})",
        difference.subject,
        difference.target,
        path_or_all(&difference.path()),
        finding.id
    ));
    let row = rows(case, None, (&judged.kinds, &session.key))
        .into_iter()
        .find(|row| row.finding().is_some_and(|told| told.id == finding.id));
    page.line("change", difference.change().name());
    match &row {
        Some(row) => {
            page.line("Git", &declared(row, &difference.origin));
            page.value("expected", row.expected.as_ref().filter(|_| row.expected != row.declared).map(ToString::to_string));
        }
        None => page.line("Git", &format!("{}   {}", shown(desired), difference.origin)),
    }
    page.line("live", &shown(live));
    page.line("writer", &writer(&difference.cause));
    page.line("judged by", difference.evidence.map_or("Git alone", evidence));
    page.value("admission", admission(judged, case));
    page.line("class", finding.class.as_deref().unwrap_or("none matches"));
    page.line("lane", &format!("{} at stage {}", finding.lane, finding.stage.name()));
    let factors: Vec<String> = finding.risk.factors.iter().map(|factor| format!("{} {}", factor.name, factor.points)).collect();
    page.line("risk", &format!("{} = {}", finding.risk.score, factors.join(" + ")));
    for reason in &finding.reasons {
        page.line("because", reason);
    }
    for (name, said) in OfPeople::of(finding, round.known()).lines() {
        page.line(name, &said);
    }
    page.line("next", &next(session, round, judged, finding).await?);
    page.line("change it", &of_change(finding));
    Ok(page.text)
}

/// What is decided about one finding alone.
pub(crate) fn decided_about(
    judged: &Judged,
    finding: &Finding,
    (guards, policy): (&Guards, &Policy),
    requests: &[Request],
) -> Option<Decision> {
    let case = judged.cases.iter().find(|case| case.findings.iter().any(|other| other.id == finding.id))?;
    let one = [finding.clone()];
    let cases = [Case { pair: case.pair.as_ref(), findings: &one }];
    let terms = Terms { target: &judged.name, requests, guards, policy, now: jiff::Timestamp::now() };
    decide(&Inputs::of(&cases, terms)).into_iter().next()
}

/// Who may rewrite each write to the object; which of them did, the server does not say.
fn admission(judged: &Judged, case: &JudgedCase) -> Option<String> {
    let Some(Pair::Matched(matched)) = &case.pair else { return None };
    let names = judged.rewriters.get(&matched.live.id)?;
    Some(format!("by their rules these may rewrite each write to it: `{}`", names.join("`, `")))
}

/// What `sync` would do about it now.
async fn next(session: &Session, round: &Round, judged: &Judged, finding: &Finding) -> Result<String, Failure> {
    let ledger = Ledger::open_if_there(&session.ledger).await.map_err(Failure::usage)?;
    let guards =
        guards::preview(session, ledger.as_ref(), (judged, &round.policy, &round.pinned), jiff::Timestamp::now()).await?;
    let requests = people::requests(judged, round.known());
    let text = decided_about(judged, finding, (&guards, &round.policy), &requests).map(|decision| match decision {
        Decision::Correct(correction) => format!("sync would patch it: {}", correction.patch),
        Decision::Propose(proposal) => format!("sync would propose it on branch trueup/{}", proposal.place),
        Decision::Escalate(settled) => format!("sync would tell people: {}", settled.reasons.last().cloned().unwrap_or_default()),
        Decision::Hold(settled) => format!("held: {}", settled.reasons.last().cloned().unwrap_or_default()),
        Decision::Leave(settled) => format!("left: {}", settled.reasons.last().cloned().unwrap_or_default()),
    });
    Ok(text.unwrap_or_default())
}
