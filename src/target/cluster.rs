//! A cluster: connect, discover, list, expect.

use std::time::Instant;

use trueup_core::facts::{Desired, Problem};
use trueup_core::shared::Shared;
use trueup_kubernetes::allowances::Rules;
use trueup_kubernetes::baseline::Baselines;
use trueup_kubernetes::cluster::{self, Cluster, ClusterError};
use trueup_kubernetes::discovery::{Catalog, discover};
use trueup_kubernetes::expect::{DryRuns, Expecting, Moment};
use trueup_kubernetes::kinds::Kinds;
use trueup_kubernetes::list::PAGE;
use trueup_kubernetes::observe::{Look, SecretsMode, observe};
use trueup_kubernetes::own_config_map;
use trueup_kubernetes::rescan::Memory;
use trueup_kubernetes::schema;
use trueup_kubernetes::table::Table;
use trueup_kubernetes::verdicts::Ground;

use super::judging::judged;
use super::{Freshness, Judged, Judging, KeptHead, Reach};
use crate::config::{Secrets, Target, TargetKind};
use crate::failure::with_causes;
use crate::session::Session;

const AGENT: &str = concat!("trueup/", env!("CARGO_PKG_VERSION"));

/// Steps 3 to 5 for a cluster.
pub(super) async fn judge(
    session: &Session,
    target: &Target,
    (desired, mut problems): (Vec<Shared<Desired>>, Vec<Problem>),
    judging: Judging<'_>,
    freshness: Freshness,
) -> Judged {
    let TargetKind::Kubernetes { context, .. } = &target.kind else { return Judged::unseen(target, problems) };
    match reach(context.as_deref()).await {
        Ok(reached) => judge_reached(session, target, reached, (desired, problems), (judging, freshness)).await,
        Err(message) => {
            problems.push(Problem::blind("cluster-unreachable", message, None));
            Judged::unseen(target, problems)
        }
    }
}

/// Steps 3 to 5 for a cluster that answers. In a session that goes on, what was seen and judged before is remembered.
pub async fn judge_reached(
    session: &Session,
    target: &Target,
    (cluster, catalog, version): (Cluster, Catalog, String),
    (desired, mut problems): (Vec<Shared<Desired>>, Vec<Problem>),
    (judging, freshness): (Judging<'_>, Freshness),
) -> Judged {
    let TargetKind::Kubernetes { secrets, .. } = &target.kind else { return Judged::unseen(target, problems) };
    let memory = session.memories.get(&target.name);
    let cluster = match memory {
        Some(memory) => {
            memory.hold_to(&version);
            cluster.remembering(memory.clone())
        }
        None => cluster,
    };
    let table = Table::nearest(&version);
    if !table.is_of(&version) {
        problems.push(Problem::note("other-minor", other_minor(&version, table), None));
    }
    let (schemas, unread) = schema::read(&cluster, &catalog, table, &desired).await;
    problems.extend(unread);
    let kinds = Kinds::new(table, schemas);
    let (defaulted, shape) = (|id: &_, value: &_| kinds.defaulted(id, value), |id: &_| kinds.shape(id));
    let rules = Rules::load().with(&judging.policy.known_writers);
    let verdicts = memory.map(Memory::verdicts);
    if let Some(verdicts) = verdicts {
        verdicts.begin(Ground::new(&kinds, &judging.policy.known_writers, judging.key));
    }
    let expecting = Expecting { defaulted: &defaulted, shape: &shape, types: kinds.types(), rules: &rules };
    let look = Look {
        secrets: secrets_mode(*secrets),
        dry_runs: match freshness {
            Freshness::Cached => DryRuns::Cached,
            Freshness::Fresh => DryRuns::Fresh,
        },
        expecting: &expecting,
        moment: Moment { server_version: &version, now: jiff::Timestamp::now() },
        page: PAGE,
    };
    let mut baselines = Baselines::load(&session.state.path().join("cache").join(format!("baselines-{}.json", target.name)));
    let begun = Instant::now();
    let observation = observe(&cluster, &catalog, desired, &look, &mut baselines).await;
    let (looked_us, begun) = (micros(begun), Instant::now());
    if let Err(error) = baselines.save(jiff::Timestamp::now()) {
        problems.push(Problem::note("cache", error.to_string(), None));
    }
    let reach = Reach::Cluster(Box::new(cluster), Box::new(catalog));
    let head = kept_head(target, &reach).await;
    let judged = Judged { head, ..judged(target, observation, problems, (judging, verdicts), (reach, kinds)) };
    tracing::debug!(objects = judged.cases.len(), looked_us, judged_us = micros(begun), "target judged");
    judged
}

/// What is kept of the ledger in the target's cluster, where its configuration says so.
pub(super) async fn kept_head(target: &Target, reach: &Reach) -> Option<KeptHead> {
    let TargetKind::Kubernetes { head: Some(place), .. } = &target.kind else { return None };
    let Reach::Cluster(cluster, _) = reach else { return None };
    let texts = own_config_map::read(cluster, place).await.map_err(|error| with_causes(&error));
    Some(KeptHead { place: place.clone(), texts })
}

fn micros(since: Instant) -> u64 {
    u64::try_from(since.elapsed().as_micros()).unwrap_or(u64::MAX)
}

async fn reach(context: Option<&str>) -> Result<(Cluster, Catalog, String), String> {
    let text = |error: ClusterError| with_causes(&error);
    let cluster = cluster::connect(context, AGENT).await.map_err(text)?;
    let (version, catalog) = futures::join!(cluster::version(&cluster), discover(&cluster));
    let version = version.map_err(text)?;
    Ok((cluster, catalog.map_err(|error| with_causes(&error))?, version))
}

fn other_minor(version: &str, table: &Table) -> String {
    let kubernetes = table.kubernetes();
    format!(
        "there is no table of defaults for a server of version {version}: that of Kubernetes {kubernetes} says what to ask about"
    )
}

pub(super) fn secrets_mode(secrets: Secrets) -> SecretsMode {
    match secrets {
        Secrets::Off => SecretsMode::Off,
        Secrets::Digest => SecretsMode::Digest,
    }
}

/// The UID of the kube-system namespace: which cluster this is.
///
/// # Errors
/// For people: why it cannot be read.
pub async fn identity(reach: &Reach) -> Result<Option<String>, String> {
    match reach {
        Reach::Cluster(cluster, _) => cluster::identity(cluster).await.map(Some).map_err(|error| error.to_string()),
        Reach::Snapshot(_) | Reach::State(_) | Reach::None => Ok(None),
    }
}

/// Who we are to a cluster.
///
/// # Errors
/// For people: why it does not say so.
pub async fn who(context: Option<&str>) -> Result<String, String> {
    let cluster = cluster::connect(context, AGENT).await.map_err(|error| with_causes(&error))?;
    cluster::who(&cluster).await.map_err(|error| with_causes(&error))
}

/// The cluster, with nothing judged.
pub(super) async fn connect(context: Option<&str>) -> Result<Reach, String> {
    let (cluster, catalog, _) = reach(context).await?;
    Ok(Reach::Cluster(Box::new(cluster), Box::new(catalog)))
}
