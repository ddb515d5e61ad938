//! `trueup doctor`: what can be reached, what may be done, and what is missing.

mod forge;

use std::fmt::Write;

use serde::Serialize;
use trueup_core::facts::Desired;
use trueup_core::finding::Lane;
use trueup_core::policy::Policy;
use trueup_core::shared::Shared;

use crate::cli::Output;
use crate::command::print;
use crate::config::{Secrets, TargetKind};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::ledger::{Audit, Ledger};
use crate::report::text::count;
use crate::session::{self, Session};
use crate::target::{Freshness, Judged, KeptHead, Reach, connect, declared, identity, judge};
use crate::visible::visible;

/// One thing that was looked at.
#[derive(Debug, Serialize)]
struct Check {
    what: String,
    state: State,
    detail: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum State {
    Good,
    Note,
    Missing,
}

/// Looks at Git, policy, ledger, forge and each target, and prints what it found.
///
/// # Errors
/// When the result cannot be printed.
pub async fn doctor(session: &Session, output: Output) -> Result<Exit, Failure> {
    let mut checks = vec![ledger(session).await];
    checks.extend(forge::checks(session).await);
    match session::pin(session).await {
        Ok(pinned) => {
            checks.push(good("source", format!("{} @ {} ({})", pinned.name, pinned.commit, pinned.reference)));
            checks.push(match session::policy(session, &pinned) {
                Ok(policy) => {
                    let auto = policy.classes.iter().filter(|class| class.lane == Lane::Auto).count();
                    good("policy", format!("{}, {auto} of them in lane auto", count(policy.classes.len(), "class")))
                }
                Err(failure) => missing("policy", failure.to_string()),
            });
            for target in &session.settings.targets {
                let name = format!("target {}", target.name);
                match connect(target).await {
                    Ok(_) if matches!(target.kind, TargetKind::Terraform { .. }) => {
                        let judged = judge(session, &pinned, &Policy::default(), target, Freshness::Cached).await;
                        checks.extend(state_checks(&name, &judged));
                    }
                    Ok(judged) => checks.extend(target_checks(session, (&name, &target.kind), &judged, &pinned).await),
                    Err(reason) => checks.push(missing(&name, reason)),
                }
            }
        }
        Err(failure) => checks.push(missing("source", failure.to_string())),
    }
    show(&checks, output)?;
    Ok(if checks.iter().any(|check| check.state == State::Missing) { Exit::Drift } else { Exit::True })
}

async fn ledger(session: &Session) -> Check {
    match Ledger::open_if_there(&session.ledger).await {
        Ok(None) => Check {
            what: "ledger".to_owned(),
            state: State::Note,
            detail: format!("none yet: `trueup sync` makes {}", session.ledger.name()),
        },
        Ok(Some(ledger)) => match ledger.verify().await {
            Ok(Audit::Whole { records, .. }) => {
                good("ledger", format!("{}, the chain holds", count(usize::try_from(records).unwrap_or(usize::MAX), "record")))
            }
            Ok(Audit::Broken { seq, why }) => missing("ledger", format!("broken at record {seq}: {why}")),
            Err(error) => missing("ledger", error.to_string()),
        },
        Err(error) => missing("ledger", error.to_string()),
    }
}

async fn target_checks(
    session: &Session,
    (name, kind): (&str, &TargetKind),
    judged: &Judged,
    pinned: &crate::source::Pinned,
) -> Vec<Check> {
    let mut checks = Vec::new();
    match (&judged.reach, kind) {
        (Reach::Cluster(cluster, catalog), TargetKind::Kubernetes { paths, secrets, .. }) => {
            checks.push(match identity(&judged.reach).await {
                Ok(uid) => good(name, format!("{}, kube-system {}", cluster.server(), uid.unwrap_or_default())),
                Err(error) => missing(name, format!("which cluster this is cannot be read (get on namespaces): {error}")),
            });
            match declared(session, pinned, paths).await {
                Ok(mut declared) => {
                    // What is not asked for needs no right.
                    declared.objects.retain(|object| *secrets == Secrets::Digest || !object.id.is_secret());
                    checks.extend(rights(name, cluster, catalog, &declared.objects).await);
                }
                Err(problems) => checks.extend(problems.iter().map(|problem| missing(name, problem.to_string()))),
            }
            if let Some(head) = &judged.head {
                checks.push(kept(name, cluster, head).await);
            }
        }
        (Reach::Snapshot(folder), _) if folder.is_dir() => checks.push(good(name, format!("folder {}", folder.display()))),
        (Reach::Snapshot(folder), _) => checks.push(missing(name, format!("no folder `{}`", folder.display()))),
        // A state is read as a round reads it (`state_checks`), and only clusters are reached as clusters.
        (Reach::State(_) | Reach::None | Reach::Cluster(..), _) => {}
    }
    checks
}

/// A Terraform state, as a round sees it.
fn state_checks(name: &str, judged: &Judged) -> Vec<Check> {
    if judged.problems.is_empty() {
        let serial = judged.serial.map_or_else(String::new, |serial| format!("serial {serial}, "));
        return vec![good(name, format!("{serial}{}", count(judged.cases.len(), "expected output")))];
    }
    judged.problems.iter().map(|problem| missing(name, problem.to_string())).collect()
}

/// Each verb on each declared kind, as the API server itself says.
async fn rights(
    name: &str,
    cluster: &trueup_kubernetes::cluster::Cluster,
    catalog: &trueup_kubernetes::discovery::Catalog,
    desired: &[Shared<Desired>],
) -> Vec<Check> {
    match trueup_kubernetes::rights::missing(cluster, catalog, desired).await {
        Ok(rights) => {
            let mut checks = Vec::new();
            for right in rights {
                let state = if right.verb == "list" { State::Missing } else { State::Note };
                checks.push(Check { what: name.to_owned(), state, detail: right.to_string() });
            }
            if checks.is_empty() {
                checks.push(good(name, "may list, patch and dry-run every declared kind".to_owned()));
            }
            checks
        }
        Err(error) => vec![missing(name, error.to_string())],
    }
}

/// Where the target's cluster keeps the ledger's end: without the right to read it nothing is written, without the right to
/// write it no later loss is seen.
async fn kept(name: &str, cluster: &trueup_kubernetes::cluster::Cluster, head: &KeptHead) -> Check {
    let place = &head.place;
    if let Err(why) = &head.texts {
        return missing(name, format!("head {place} cannot be read, so nothing is written: {why}"));
    }
    match trueup_kubernetes::rights::may_write(cluster, place).await {
        Ok(true) => good(name, format!("head {place} keeps the ledger's end")),
        Ok(false) => {
            let (namespace, map) = (&place.namespace, &place.name);
            missing(name, format!("may not patch configmaps {map} in namespace {namespace}: it does not keep the ledger's end"))
        }
        Err(error) => missing(name, error.to_string()),
    }
}

fn good(what: &str, detail: String) -> Check {
    Check { what: what.to_owned(), state: State::Good, detail }
}

fn missing(what: &str, detail: String) -> Check {
    Check { what: what.to_owned(), state: State::Missing, detail }
}

fn show(checks: &[Check], output: Output) -> Result<Exit, Failure> {
    if output == Output::Json {
        return print(&format!("{}\n", serde_json::to_string_pretty(checks).map_err(Failure::usage)?));
    }
    let width = checks.iter().map(|check| check.what.chars().count()).max().unwrap_or(0);
    let mut text = String::new();
    for check in checks {
        let mark = match check.state {
            State::Good => "ok     ",
            State::Note => "note   ",
            State::Missing => "missing",
        };
        writeln!(text, "{mark}  {:<width$}  {}", visible(&check.what), visible(&check.detail))
            .expect("writing to a String cannot fail");
    }
    print(&text)
}
