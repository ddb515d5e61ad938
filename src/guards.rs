//! What stands against acting on a target, as the ledger and the target itself tell.

mod earlier;
pub mod head;
pub mod source;
pub mod state;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use trueup_core::decide::{Ground, Guards, Held, HeldPlace, Scope};
use trueup_core::facts::{Owner, Pair, Problem};
use trueup_core::object::ObjectId;
use trueup_core::policy::Policy;
use trueup_core::run::{Entry, FIELD_MANAGER, Histories, RunId, Standing};

use crate::config::TargetKind;
use crate::failure::{Failure, with_causes};
use crate::ledger::{Ledger, LedgerError};
use crate::session::Session;
use crate::source::Pinned;
use crate::target::{Judged, identity};

const HOUR: SignedDuration = SignedDuration::from_hours(1);
/// What a server did not admit is not asked for again for this long: its admission may have changed by then.
const DAY: SignedDuration = SignedDuration::from_hours(24);

/// What the ledger tells a round before it decides.
#[derive(Debug, Default)]
pub struct Past {
    /// How things stand.
    pub standing: Standing,
    /// What happened at each place.
    pub histories: Arc<Histories>,
}

/// What was by the ledger, and what of that is a problem. A ledger that cannot be read is one: what people decided is not known
/// then, and counts as not decided.
pub async fn past(session: &Session, pinned: &Pinned) -> (Past, Vec<Problem>) {
    let read = async {
        let Some(ledger) = Ledger::open_if_there(&session.ledger).await? else { return Ok(Past::default()) };
        let (standing, runs) = (ledger.standing().await?, ledger.runs().await?);
        Ok::<_, LedgerError>(Past { standing, histories: Arc::new(Histories::of(&runs, Timestamp::now())) })
    };
    match read.await {
        Ok(past) => {
            let problem = source::problem(&past.standing, pinned);
            (past, problem.into_iter().collect())
        }
        Err(error) => {
            let message = format!("{}; what people decided is not known", with_causes(&error));
            (Past::default(), vec![Problem::note("ledger-unreadable", message, None)])
        }
    }
}

/// The guards of a target. A cluster seen for the first time is remembered; another one under its name is frozen.
///
/// # Errors
/// When the ledger cannot be read or appended to, or the cluster is another one: exit code 2.
pub async fn of(
    session: &Session,
    ledger: &Ledger,
    (judged, policy, pinned): (&Judged, &Policy, &Pinned),
    now: Timestamp,
) -> Result<Guards, Failure> {
    let standing = ledger.standing().await.map_err(Failure::usage)?;
    let seen = seen_cluster(session, &standing, judged).await?;
    if let Cluster::New(uid) = &seen {
        let entry = Entry::Identity { target: judged.name.clone(), cluster_uid: uid.clone() };
        let ledger = ledger.of_cluster(Some(uid.clone()));
        ledger.append(&entry, now).await.map_err(Failure::usage)?;
    }
    let back = head::stopped(Some(ledger), &standing, judged).await?;
    Ok(guards(&standing, (judged, policy, pinned), (seen, back), now))
}

/// The guards of a target for a dry run: nothing is remembered.
///
/// # Errors
/// As [`of`].
pub async fn preview(
    session: &Session,
    ledger: Option<&Ledger>,
    (judged, policy, pinned): (&Judged, &Policy, &Pinned),
    now: Timestamp,
) -> Result<Guards, Failure> {
    let standing = match ledger {
        Some(ledger) => ledger.standing().await.map_err(Failure::usage)?,
        None => Standing::default(),
    };
    let seen = seen_cluster(session, &standing, judged).await?;
    let back = head::stopped(ledger, &standing, judged).await?;
    Ok(guards(&standing, (judged, policy, pinned), (seen, back), now))
}

/// The cluster that a target is known to be: what `trueup.toml` says, else what the ledger remembers.
///
/// # Errors
/// When the ledger cannot be read.
pub async fn cluster(session: &Session, ledger: &Ledger, judged: &Judged) -> Result<Option<String>, Failure> {
    if judged.ground != Ground::Cluster {
        return Ok(None);
    }
    if let Some(given) = given_cluster(session, judged) {
        return Ok(Some(given.to_owned()));
    }
    let standing = ledger.standing().await.map_err(Failure::usage)?;
    Ok(standing.cluster_of(&judged.name).map(str::to_owned))
}

fn given_cluster<'a>(session: &'a Session, judged: &Judged) -> Option<&'a str> {
    session.settings.targets.iter().find(|target| target.name == judged.name).and_then(|target| match &target.kind {
        TargetKind::Kubernetes { cluster_uid, .. } => cluster_uid.as_deref(),
        TargetKind::Snapshot { .. } | TargetKind::Terraform { .. } => None,
    })
}

/// Which cluster stands behind a target.
enum Cluster {
    /// None: the target is no cluster, or was not reached.
    None,
    /// The one that is known.
    Known,
    /// One that is seen for the first time.
    New(String),
    /// It cannot be told.
    Unseen(String),
}

async fn seen_cluster(session: &Session, standing: &Standing, judged: &Judged) -> Result<Cluster, Failure> {
    if judged.ground != Ground::Cluster {
        return Ok(Cluster::None);
    }
    let uid = match identity(&judged.reach).await {
        Ok(Some(uid)) => uid,
        Ok(None) => return Ok(Cluster::None),
        Err(error) => return Ok(Cluster::Unseen(error)),
    };
    match given_cluster(session, judged).or(standing.cluster_of(&judged.name)) {
        Some(known) if known == uid => Ok(Cluster::Known),
        Some(known) => Err(Failure::usage(anyhow::anyhow!(
            "target `{}` is another cluster now: its kube-system namespace has uid {uid}, and {known} is known; \
             correct the context, or set cluster_uid in trueup.toml",
            judged.name
        ))),
        None => Ok(Cluster::New(uid)),
    }
}

/// Holds every finding of the objects on which an earlier run's effect is not known yet.
pub fn hold_unresolved(guards: &mut Guards, judged: &Judged, unresolved: &BTreeMap<ObjectId, RunId>) {
    for (object, run) in unresolved {
        let reason = format!("whether run {run} has changed this object is not known yet: nothing is done before it is");
        hold_object(guards, judged, object, &reason);
    }
}

fn hold_object(guards: &mut Guards, judged: &Judged, object: &ObjectId, reason: &str) {
    for finding in judged.case_of(object).iter().flat_map(|case| &case.findings) {
        let held = HeldPlace { reason: reason.to_owned(), findings: BTreeSet::from([finding.id.clone()]) };
        guards.held.insert(finding.place.clone(), held);
    }
}

/// Without the ledger of earlier writes nothing counts fights, limits and holds. That there was one is told by objects that
/// carry trueup's own entries from before this ledger's first record.
///
/// A person may accept that.
#[must_use]
pub fn lost_ledger(standing: &Standing, judged: &Judged) -> Option<String> {
    if standing.has_written_to(&judged.name) || standing.people().know_earlier_writes_of(&judged.name) {
        return None;
    }
    let is_earlier = |owner: &Owner| {
        let at = owner.time.as_deref().and_then(|time| time.parse::<Timestamp>().ok());
        match (at, standing.begun()) {
            (Some(at), Some(begun)) => at < begun,
            (None, _) | (_, None) => true,
        }
    };
    let is_ours = |owner: &Owner| owner.manager == FIELD_MANAGER && owner.subresource.is_none();
    let written = |pair: &Pair| match pair {
        Pair::Matched(matched) if matched.live.owners.iter().any(|owner| is_ours(owner) && is_earlier(owner)) => {
            Some(matched.live.id.clone())
        }
        Pair::Matched(_) | Pair::Missing(_) | Pair::Skipped(..) | Pair::Unseen(..) => None,
    };
    let object = judged.cases.iter().filter_map(|case| case.pair.as_ref()).find_map(written)?;
    Some(format!(
        "trueup wrote to `{object}` before this ledger's first record, as managedFields say: without the earlier ledger fights, \
         limits and holds of target `{0}` cannot be counted; bring it back (`TRUEUP_STATE_DIR`), or accept that with \
         `trueup resume --target {0} --because \"…\"`",
        judged.name
    ))
}

fn guards(
    standing: &Standing,
    (judged, policy, pinned): (&Judged, &Policy, &Pinned),
    (seen, back): (Cluster, Option<String>),
    now: Timestamp,
) -> Guards {
    let mut guards = Guards::none(judged.ground);
    let source = source::stopped(standing, pinned).map(|reason| Held { scope: Scope::Target, reason, until: None });
    guards.leases = standing.people().granted();
    guards.holds = source.into_iter().chain(standing.people().holds_in(&judged.name)).collect();
    if let Cluster::Unseen(error) = seen {
        guards.frozen = Some(format!("which cluster this is cannot be read: {error}"));
    }
    guards.frozen = guards.frozen.or(back).or_else(|| lost_ledger(standing, judged));
    for (object, reason) in &judged.contested {
        hold_object(&mut guards, judged, object, reason);
    }
    for (place, hold) in standing.holds() {
        let findings = hold.findings.iter().cloned().collect();
        guards.held.insert(place.clone(), HeldPlace { reason: hold.reason.clone(), findings });
    }
    guards.recent_writes = earlier::fights(standing, judged);
    earlier::hold_failed(&mut guards, standing, (judged, policy));
    for write in standing.writes_since(now - HOUR) {
        for class in &write.classes {
            *guards.class_writes.entry(class.clone()).or_default() += 1;
        }
        if write.target == judged.name {
            guards.target_writes += 1;
            *guards.namespace_writes.entry(write.namespace.clone()).or_default() += 1;
        }
    }
    for refusal in standing.inadmissible_since(now - DAY) {
        guards.inadmissible.extend(refusal.findings.iter().map(|finding| (finding.clone(), refusal.message.clone())));
    }
    guards.denied = standing.denied().values().flatten().cloned().collect();
    guards
}
