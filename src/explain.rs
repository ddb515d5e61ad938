//! `trueup explain`: why something is a finding, or why it is not.

use std::fmt::Write;

use trueup_core::decide::{Case, Decision, decide};
use trueup_core::facts::{Matched, Pair, Secrecy};
use trueup_core::finding::{Change, Finding};
use trueup_core::path::Path;
use trueup_core::seen::Seen;

use crate::command::print;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::guards;
use crate::ledger::Ledger;
use crate::round::{Round, look};
use crate::session::Session;
use crate::target::{Freshness, Judged, JudgedCase};
use crate::visible::visible;

/// Where a path may begin that people write short: at the object, or at its pods' spec.
const POD_PATHS: [&[&str]; 3] = [&[], &["spec", "template", "spec"], &["spec", "jobTemplate", "spec", "template", "spec"]];

/// Explains a finding by its id, or an object's path, or all of an object's findings.
///
/// # Errors
/// When there is no such finding or object, or nothing can be judged.
pub async fn explain(session: &Session, what: &str, path: Option<&str>) -> Result<Exit, Failure> {
    let round = look(session, Freshness::Cached).await?;
    let text = match (what.split_once('/'), path) {
        (None, None) => by_id(session, &round, what).await?,
        (None, Some(_)) => return Err(Failure::usage(anyhow::anyhow!("`{what}` is no KIND/NAME, as in Deployment/checkout"))),
        (Some((kind, name)), path) => {
            let path = path.map(str::parse::<Path>).transpose().map_err(Failure::usage)?;
            by_object(session, &round, (kind, name), path.as_ref()).await?
        }
    };
    print(&text)
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

async fn by_object(session: &Session, round: &Round, (kind, name): (&str, &str), path: Option<&Path>) -> Result<String, Failure> {
    let (namespace, name) = match name.split_once('/') {
        Some((namespace, name)) => (Some(namespace), name),
        None => (None, name),
    };
    let mut text = String::new();
    for judged in &round.targets {
        for case in &judged.cases {
            let Some(pair) = &case.pair else { continue };
            let id = &pair.desired().id;
            let in_namespace = namespace.is_none_or(|wanted| id.namespace.as_deref() == Some(wanted));
            if !(id.kind.eq_ignore_ascii_case(kind) && id.name == name && in_namespace) {
                continue;
            }
            let path = path.map(|path| as_written_whole(path, pair));
            let touches = |other: &Path| path.as_ref().is_none_or(|path| path.covers(other) || other.covers(path));
            let concerned: Vec<&Finding> = case.findings.iter().filter(|finding| touches(&finding.difference.path())).collect();
            for finding in &concerned {
                text.push_str(&whole(session, round, judged, case, finding).await?);
            }
            if concerned.is_empty() {
                text.push_str(&no_finding(judged, pair, case, path.as_ref()));
            }
        }
    }
    if text.is_empty() {
        return Err(Failure::usage(anyhow::anyhow!("Git declares no `{kind}/{name}`: `trueup render` shows what it declares")));
    }
    Ok(text)
}

/// The path as the object has it: reports leave out `spec.template.spec.`, and so may people.
fn as_written_whole(path: &Path, pair: &Pair) -> Path {
    let roots: Vec<&serde_json::Value> = match pair {
        Pair::Matched(matched) => vec![&matched.desired.value, &matched.expected.value, &matched.live.value],
        Pair::Missing(desired) | Pair::Skipped(desired) | Pair::Unseen(desired, _) => vec![&desired.value],
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
    page.line("change", difference.change().name());
    page.line("Git", &format!("{}   {}", shown(desired), difference.origin));
    page.line("live", &shown(live));
    page.line("writer", &writer(finding));
    page.line("judged by", &difference.evidence.map_or_else(|| "Git alone".to_owned(), evidence_text));
    page.line("class", finding.class.as_deref().unwrap_or("none matches"));
    page.line("lane", &format!("{} at stage {}", finding.lane, finding.stage.name()));
    let factors: Vec<String> = finding.risk.factors.iter().map(|factor| format!("{} {}", factor.name, factor.points)).collect();
    page.line("risk", &format!("{} = {}", finding.risk.score, factors.join(" + ")));
    for reason in &finding.reasons {
        page.line("because", reason);
    }
    page.line("next", &next(session, round, judged, case, finding).await?);
    page.line("change it", &what_would_change(finding));
    Ok(page.text)
}

/// What `sync` would do about it now.
async fn next(
    session: &Session,
    round: &Round,
    judged: &Judged,
    case: &JudgedCase,
    finding: &Finding,
) -> Result<String, Failure> {
    let path = session.state.ledger();
    let ledger = if path.exists() { Some(Ledger::open_to_read(&path).await.map_err(Failure::usage)?) } else { None };
    let guards = guards::preview(session, ledger.as_ref(), judged, jiff::Timestamp::now()).await?;
    let one = [finding.clone()];
    let cases = [Case { pair: case.pair.as_ref(), findings: &one }];
    let text = decide(&cases, &[], &guards, &round.policy).into_iter().next().map(|decision| match decision {
        Decision::Correct(correction) => format!("sync would patch it: {}", correction.patch),
        Decision::Propose(proposal) => format!("sync would propose it on branch trueup/{}", proposal.place),
        Decision::Escalate(settled) => format!("sync would tell people: {}", settled.reasons.last().cloned().unwrap_or_default()),
        Decision::Hold(settled) => format!("held: {}", settled.reasons.last().cloned().unwrap_or_default()),
        Decision::Leave(settled) => format!("left: {}", settled.reasons.last().cloned().unwrap_or_default()),
    });
    Ok(text.unwrap_or_default())
}

fn what_would_change(finding: &Finding) -> String {
    let origin = &finding.difference.origin;
    match finding.difference.change() {
        Change::MissingObject => format!("`kubectl apply -f {}`, or remove it from Git", origin.file),
        Change::Undeclared => format!(
            "declare it in {}, take it out of live, or name it in `{}`",
            origin.file,
            trueup_core::classify::IGNORE_ANNOTATION
        ),
        Change::Leftover => "take it out of live, or declare it again; where a class in policies/ has lane auto and \
             `change = \"leftover\"`, sync does it"
            .to_owned(),
        Change::ExtraObject => "delete it, or declare it again".to_owned(),
        Change::Changed | Change::Removed => {
            format!("change {}:{}, or live; a class in policies/ decides lane and stage", origin.file, origin.line)
        }
    }
}

/// Why a path (or an object) is no finding.
fn no_finding(judged: &Judged, pair: &Pair, case: &JudgedCase, path: Option<&Path>) -> String {
    let mut page = Page::titled(&format!(
        "{} in {}: {}",
        pair.desired().id,
        judged.name,
        path.map_or_else(|| "no finding".to_owned(), Path::to_string)
    ));
    match pair {
        Pair::Matched(matched) => {
            if let Some(path) = path {
                at_path(&mut page, matched, case, path);
            } else {
                page.line("verdict", "as Git declares");
                for (drift, reason) in &case.comparison.allowed {
                    page.line("by right", &format!("{}: {reason}", drift.path));
                }
            }
        }
        Pair::Missing(_) => page.line("verdict", "missing, and an ignore rule names it"),
        Pair::Unseen(_, reason) => page.line("verdict", &format!("unknown: {reason}")),
        Pair::Skipped(_) => page.line("verdict", "skipped: secrets = \"off\""),
    }
    page.text
}

fn at_path(page: &mut Page, matched: &Matched, case: &JudgedCase, path: &Path) {
    let value = |root: &serde_json::Value| match (path.find(root), matched.secrecy) {
        (None, _) => "(none)".to_owned(),
        (Some(_), Secrecy::Secret) => "(secret)".to_owned(),
        (Some(value), Secrecy::Open) => shown(Some(&Seen::Plain(value.clone()))),
    };
    page.line("Git", &format!("{}   {}", value(&matched.desired.value), matched.desired.origin_of(path)));
    page.line("expected", &format!("{}   by {}", value(&matched.expected.value), evidence_text(matched.expected.evidence)));
    page.line("live", &value(&matched.live.value));
    if let Some(owner) = matched.live.writer_of(path) {
        page.line("writer", &format!("{} {}", owner.manager, owner.time.as_deref().unwrap_or_default()));
    }
    let allowed = case.comparison.allowed.iter().find(|(drift, _)| drift.path.covers(path) || path.covers(&drift.path));
    let nowhere =
        [&matched.desired.value, &matched.expected.value, &matched.live.value].iter().all(|root| path.find(root).is_none());
    let reason = match allowed {
        Some((_, reason)) => format!("differs by right: {reason}"),
        None if nowhere => "no finding: neither Git nor live has this path".to_owned(),
        None if case.comparison.not_admitted.iter().any(|pending| pending.covers(path)) => {
            "not yet admitted: the server would add it to Git's words today, and live was made before".to_owned()
        }
        None => "true: live is what the server makes of Git's words".to_owned(),
    };
    page.line("verdict", &reason);
}

fn evidence_text(evidence: trueup_core::facts::Evidence) -> String {
    use trueup_core::facts::Evidence;
    match evidence {
        Evidence::Baseline => "baseline (the server's own answer to a dry run)",
        Evidence::Apply => "apply (a dry run of applying it)",
        Evidence::Table => "table (the defaults of Kubernetes, without asking the server)",
        Evidence::State => "the Terraform state",
        Evidence::Plan => "a Terraform plan",
    }
    .to_owned()
}

fn writer(finding: &Finding) -> String {
    let cause = &finding.difference.cause;
    let Some(manager) = &cause.manager else { return "unknown".to_owned() };
    let through = cause.subresource.as_ref().map(|subresource| format!(" through {subresource}")).unwrap_or_default();
    let time = cause.time.as_ref().map(|time| format!(" {time}")).unwrap_or_default();
    format!("{manager}{through}{time} (as managedFields reports it)")
}

fn shown(seen: Option<&Seen>) -> String {
    seen.map_or_else(|| "(none)".to_owned(), ToString::to_string)
}

fn path_or_all(path: &Path) -> String {
    if path.0.is_empty() { "the whole object".to_owned() } else { path.to_string() }
}

/// A title, and lines of a name and a text.
struct Page {
    text: String,
}

impl Page {
    fn titled(title: &str) -> Self {
        Self { text: format!("{}\n", visible(title)) }
    }

    fn line(&mut self, name: &str, text: &str) {
        writeln!(self.text, "  {name:<10} {}", visible(text)).expect("writing to a String cannot fail");
    }
}
