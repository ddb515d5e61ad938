//! Step 3: one look at a cluster.

use std::collections::{BTreeMap, BTreeSet};

use futures::{StreamExt, stream};
use trueup_core::facts::{Allowance, Desired, Extent, Matched, Observation, Origin, Pair, Problem, Rule};
use trueup_core::object::ObjectId;
use trueup_core::shared::Shared;

use crate::autoscaling::{self, Autoscaler};
use crate::baseline::Baselines;
use crate::cluster::Cluster;
use crate::discovery::{Catalog, Lookup, Resource, Scaling, Scope};
use crate::expect::{CONCURRENCY, DryRuns, Expecting, Found, Moment, expect};
use crate::list::{self, Listing, Slot};
use crate::rescan::Memory;
use crate::verdicts;

/// What is done about Secrets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SecretsMode {
    /// They are not read, and counted as skipped.
    Off,
    /// They are compared, and their values leave the comparison only as keyed digests.
    Digest,
}

/// Why a Secret is skipped.
pub(crate) const SECRETS_OFF: &str = "secrets = \"off\"";

/// A declared object that is not there. Hooks come and go with a release, and a Job with a time to live goes when it is
/// done: nothing tells whether those were there.
pub(crate) fn absent(desired: Shared<Desired>) -> Pair {
    const HOOKS: [&str; 2] = ["helm.sh/hook", "argocd.argoproj.io/hook"];
    let annotations = desired.value.get("metadata").and_then(|metadata| metadata.get("annotations"));
    let hook = HOOKS.iter().find(|hook| annotations.is_some_and(|annotations| annotations.get(*hook).is_some()));
    let is_job = desired.id.group() == "batch" && desired.id.kind == "Job";
    let lives = desired.value.pointer("/spec/ttlSecondsAfterFinished").filter(|seconds| seconds.is_number());
    match (hook, lives) {
        (Some(hook), _) => Pair::Skipped(desired, format!("a hook (`{hook}`), which comes and goes with a release")),
        (None, Some(_)) if is_job => {
            Pair::Skipped(desired, "a Job that is deleted when it has finished (`ttlSecondsAfterFinished`)".to_owned())
        }
        (None, _) => Pair::Missing(desired),
    }
}

/// How a look at a cluster is taken.
#[derive(Clone, Copy)]
pub struct Look<'a> {
    /// What is done about Secrets.
    pub secrets: SecretsMode,
    /// Whether the server is asked what it makes of Git's words.
    pub dry_runs: DryRuns,
    /// What is known without asking.
    pub expecting: &'a Expecting<'a>,
    /// When, and at which version.
    pub moment: Moment<'a>,
    /// Objects a page, usually [`list::PAGE`].
    pub page: u32,
}

/// Looks at every declared object. Total: each of them is in one pair of the answer.
pub async fn observe(
    cluster: &Cluster,
    catalog: &Catalog,
    desired: impl IntoIterator<Item: Into<Shared<Desired>>>,
    look: &Look<'_>,
    baselines: &mut Baselines,
) -> Observation {
    let mut seen = Observation::default();
    let desired: Vec<Shared<Desired>> = desired.into_iter().map(Into::into).collect();
    let placed = place((cluster, catalog), desired, look.secrets, &mut seen);
    let declared_autoscalers = declared_autoscalers(&placed);
    let listings = list_all(cluster, &placed, look.page).await;
    for listing in listings.values() {
        seen.problems.extend(listing.failed.iter().map(|(_, error)| Problem::blind("kind-not-visible", error.to_string(), None)));
    }
    let mut found = Vec::new();
    for (desired, resource) in placed {
        let slot = slot(&desired.id);
        let Some(listing) = listings.get(resource) else {
            seen.pairs.push(Pair::Unseen(desired, format!("`{resource}` was not listed")));
            continue;
        };
        match (listing.found.get(&slot).cloned(), listing.blind_spot(&slot)) {
            (Some(live), _) => found.push(Found { desired, live, resource }),
            (None, Some(error)) => seen.pairs.push(Pair::Unseen(desired, error.to_string())),
            (None, None) => seen.pairs.push(absent(desired)),
        }
    }
    let scalable = scalable(&found);
    let how = (look.expecting, look.dry_runs, look.moment);
    let mut matched = expect((cluster, catalog), found, how, baselines, &mut seen).await;
    allow_scaling(cluster, catalog, (&mut matched, &scalable), declared_autoscalers, &mut seen.problems).await;
    seen.problems.extend(matched.iter().filter_map(being_deleted));
    seen.pairs.extend(matched.into_iter().map(|matched| Pair::Matched(Box::new(matched))));
    seen
}

/// Gives each object its kind and its namespace; what has no served kind is unseen.
fn place<'a>(
    (cluster, catalog): (&Cluster, &'a Catalog),
    desired: Vec<Shared<Desired>>,
    secrets: SecretsMode,
    seen: &mut Observation,
) -> Vec<(Shared<Desired>, &'a Resource)> {
    let verdicts = cluster.memory.as_ref().map(Memory::verdicts);
    let placed = |desired: Shared<Desired>, namespace: Option<&str>| match verdicts {
        Some(verdicts) => verdicts.placed(desired, namespace),
        None => verdicts::placed(desired, namespace),
    };
    let mut found = Vec::with_capacity(desired.len());
    let mut reasons = BTreeSet::new();
    let definitions = definitions(&desired);
    for desired in desired {
        let own = desired.id.namespace.clone();
        let own_or_default = own.as_deref().or(Some(cluster.default_namespace()));
        if secrets == SecretsMode::Off && desired.id.is_secret() {
            seen.pairs.push(Pair::Skipped(placed(desired, own_or_default), SECRETS_OFF.to_owned()));
            continue;
        }
        match catalog.find(&desired.id) {
            Lookup::Served(resource) => {
                let namespace = match resource.scope {
                    Scope::Namespaced => own_or_default,
                    Scope::Cluster => None,
                };
                found.push((placed(desired, namespace), resource));
            }
            lookup => {
                let kind = (desired.id.group().to_owned(), desired.id.kind.clone());
                let reason = match (&lookup, definitions.get(&kind)) {
                    (Lookup::NotServed(versions), Some(origin)) if versions.is_empty() => definition_first(&desired, origin),
                    _ => unseen_reason(&desired.id, &lookup),
                };
                reasons.insert(reason.clone());
                seen.pairs.push(Pair::Unseen(placed(desired, own.as_deref()), reason));
            }
        }
    }
    seen.problems.extend(reasons.into_iter().map(|reason| Problem::blind("kind-not-visible", reason, None)));
    found
}

/// The custom kinds that Git itself declares, by group and kind, and where.
fn definitions(desired: &[Shared<Desired>]) -> BTreeMap<(String, String), Origin> {
    let definitions = desired.iter().filter(|desired| desired.id.kind == "CustomResourceDefinition");
    let kinds = definitions.filter_map(|desired| {
        let spec = desired.value.get("spec")?;
        let kind = (spec.get("group")?.as_str()?.to_owned(), spec.pointer("/names/kind")?.as_str()?.to_owned());
        Some((kind, desired.origin.clone()))
    });
    kinds.collect()
}

/// In which order a custom resource and its definition come to be, where Git declares both.
fn definition_first(desired: &Desired, definition: &Origin) -> String {
    let ObjectId { api_version, kind, .. } = &desired.id;
    let first = definition.how_to_apply();
    let then = if definition.file == desired.origin.file {
        "and then once more".to_owned()
    } else {
        format!("then {}", desired.origin.how_to_apply())
    };
    format!(
        "the cluster serves no `{kind}` in `{api_version}` yet: first {first}, which declares its CustomResourceDefinition, {then}"
    )
}

fn unseen_reason(id: &ObjectId, lookup: &Lookup<'_>) -> String {
    let ObjectId { api_version, kind, .. } = id;
    match lookup {
        Lookup::NotServed(versions) if versions.is_empty() => {
            format!("the cluster serves no `{kind}` in `{api_version}`; is its CustomResourceDefinition installed?")
        }
        Lookup::NotServed(versions) => {
            format!("the cluster serves no `{kind}` in `{api_version}`, but in {}; change the manifest", versions.join(", "))
        }
        Lookup::Unavailable | Lookup::Served(_) => {
            format!("the API server behind `{api_version}` does not answer, so no `{kind}` can be seen")
        }
    }
}

fn slot(id: &ObjectId) -> Slot {
    (id.namespace.clone(), id.name.clone())
}

async fn list_all<'a>(
    cluster: &Cluster,
    placed: &[(Shared<Desired>, &'a Resource)],
    page: u32,
) -> BTreeMap<&'a Resource, Listing> {
    let mut wanted: BTreeMap<&'a Resource, BTreeSet<Slot>> = BTreeMap::new();
    for (desired, resource) in placed {
        wanted.entry(*resource).or_default().insert(slot(&desired.id));
    }
    let lists = wanted.into_iter().map(|(resource, slots)| async move {
        let listing = list::list(cluster, resource, &slots, page).await;
        (resource, listing)
    });
    stream::iter(lists).buffer_unordered(CONCURRENCY).collect().await
}

fn being_deleted(matched: &Matched) -> Option<Problem> {
    let since = matched.live.deleting_since.as_ref()?;
    let message = format!("`{}` is being deleted since {since}; nothing is written to it", matched.live.id);
    Some(Problem::note("being-deleted", message, Some(matched.desired.origin.clone())))
}

fn declared_autoscalers(placed: &[(Shared<Desired>, &Resource)]) -> Vec<Autoscaler> {
    let autoscalers = placed.iter().filter(|(desired, _)| Autoscaler::is_one(&desired.id));
    autoscalers.filter_map(|(desired, _)| Autoscaler::read(&desired.id, &desired.value)).collect()
}

fn scalable(found: &[Found<'_>]) -> BTreeSet<ObjectId> {
    let scalable = found.iter().filter(|found| found.resource.scaling == Scaling::Scalable);
    scalable.map(|found| found.desired.id.clone()).collect()
}

/// Allows the replicas that an autoscaler keeps. Live autoscalers are only asked for where replicas differ.
async fn allow_scaling(
    cluster: &Cluster,
    catalog: &Catalog,
    (matched, scalable): (&mut [Matched], &BTreeSet<ObjectId>),
    declared: Vec<Autoscaler>,
    problems: &mut Vec<Problem>,
) {
    let mut live: BTreeMap<String, Result<Vec<Autoscaler>, String>> = BTreeMap::new();
    for matched in matched.iter_mut().filter(|matched| scalable.contains(&matched.desired.id) && autoscaling::is_scaled(matched))
    {
        if let Some(allowance) = autoscaling::allowance(&matched.live, &declared) {
            matched.expected.allowances.push(allowance);
            continue;
        }
        let Some(namespace) = matched.desired.id.namespace.clone() else { continue };
        if !live.contains_key(&namespace) {
            let read = live_autoscalers(cluster, catalog, &namespace).await;
            live.insert(namespace.clone(), read);
        }
        match &live[&namespace] {
            Ok(autoscalers) => {
                // What Git declares of an autoscaler counts before what is live of it.
                let known: Vec<_> = declared.iter().chain(autoscalers).cloned().collect();
                matched.expected.allowances.extend(autoscaling::allowance(&matched.live, &known));
            }
            Err(reason) if autoscaling::is_written_by_autoscaler(&matched.live) => {
                let message =
                    format!("whether an autoscaler keeps the replicas of `{}` cannot be seen: {reason}", matched.live.id);
                problems.push(Problem::blind("autoscalers-not-visible", message, Some(matched.desired.origin.clone())));
                let reason = "an autoscaler may keep it, and autoscalers cannot be seen".to_owned();
                let (path, extent, rule) = (autoscaling::replicas(), Extent::Declared, Rule::Autoscaler);
                matched.expected.allowances.push(Allowance { path, extent, rule, reason });
            }
            Err(_) => {}
        }
    }
}

async fn live_autoscalers(cluster: &Cluster, catalog: &Catalog, namespace: &str) -> Result<Vec<Autoscaler>, String> {
    let id = |version: &str| ObjectId {
        api_version: format!("autoscaling/{version}"),
        kind: "HorizontalPodAutoscaler".to_owned(),
        namespace: Some(namespace.to_owned()),
        name: String::new(),
    };
    let (second, first) = (id("v2"), id("v1"));
    let ((Lookup::Served(resource), _) | (_, Lookup::Served(resource))) = (catalog.find(&second), catalog.find(&first)) else {
        return Ok(Vec::new());
    };
    let objects = list::list_one(cluster, resource, Some(namespace), list::PAGE).await.map_err(|error| error.to_string())?;
    Ok(objects.iter().filter_map(|live| Autoscaler::read(&live.id, &live.value)).collect())
}
