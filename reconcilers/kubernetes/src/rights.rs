//! Which rights are missing, as the API server itself says (`SelfSubjectAccessReview`).

use std::borrow::Borrow;
use std::collections::BTreeSet;
use std::fmt;

use futures::{StreamExt, TryStreamExt, stream};
use k8s_openapi::api::authorization::v1::{ResourceAttributes, SelfSubjectAccessReview, SelfSubjectAccessReviewSpec};
use kube::Api;
use kube::api::PostParams;
use trueup_core::facts::Desired;

use crate::cluster::Cluster;
use crate::discovery::{Catalog, Lookup, Scope};
use crate::own_config_map::OwnConfigMap;

/// What trueup asks of every declared kind: to see it, to correct it, to ask for its baseline.
const VERBS: [&str; 3] = ["list", "patch", "create"];

/// A right that is not there.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct MissingRight {
    /// `list`, `patch`, `create`.
    pub verb: &'static str,
    /// `deployments`
    pub resource: String,
    /// `apps`; empty for the core group.
    pub group: String,
    /// Where; absent for the whole cluster.
    pub namespace: Option<String>,
}

impl fmt::Display for MissingRight {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { verb, resource, group, namespace } = self;
        let dot = if group.is_empty() { "" } else { "." };
        write!(f, "may not {verb} {resource}{dot}{group}")?;
        if let Some(namespace) = namespace {
            write!(f, " in namespace {namespace}")?;
        }
        f.write_str(match *verb {
            "list" => ": its objects are unknown",
            "patch" => ": nothing of it is corrected",
            _ => ": it is judged by the table, and nothing of it is corrected",
        })
    }
}

/// The rights that are missing for these objects.
///
/// # Errors
/// When the API server does not answer.
pub async fn missing(
    cluster: &Cluster,
    catalog: &Catalog,
    desired: &[impl Borrow<Desired>],
) -> Result<Vec<MissingRight>, kube::Error> {
    let asked = wanted(cluster, catalog, desired).into_iter().map(|right| async move {
        let attributes = ResourceAttributes {
            verb: Some(right.verb.to_owned()),
            resource: Some(right.resource.clone()),
            group: Some(right.group.clone()),
            namespace: right.namespace.clone(),
            ..ResourceAttributes::default()
        };
        Ok::<_, kube::Error>((right, is_allowed(cluster, attributes).await?))
    });
    let answers: Vec<(MissingRight, bool)> = stream::iter(asked).buffer_unordered(8).try_collect().await?;
    let mut missing: Vec<MissingRight> = answers.into_iter().filter(|(_, allowed)| !allowed).map(|(right, _)| right).collect();
    missing.sort();
    Ok(missing)
}

/// Whether trueup may write the object that is its own.
///
/// # Errors
/// When the API server does not answer.
pub async fn may_write(cluster: &Cluster, own: &OwnConfigMap) -> Result<bool, kube::Error> {
    let attributes = ResourceAttributes {
        verb: Some("patch".to_owned()),
        resource: Some("configmaps".to_owned()),
        group: Some(String::new()),
        namespace: Some(own.namespace.clone()),
        name: Some(own.name.clone()),
        ..ResourceAttributes::default()
    };
    is_allowed(cluster, attributes).await
}

async fn is_allowed(cluster: &Cluster, attributes: ResourceAttributes) -> Result<bool, kube::Error> {
    let reviews: Api<SelfSubjectAccessReview> = Api::all(cluster.client.clone());
    let spec = SelfSubjectAccessReviewSpec { resource_attributes: Some(attributes), ..SelfSubjectAccessReviewSpec::default() };
    let review = SelfSubjectAccessReview { spec, ..SelfSubjectAccessReview::default() };
    let answer = reviews.create(&PostParams::default(), &review).await?;
    Ok(answer.status.is_some_and(|status| status.allowed))
}

fn wanted(cluster: &Cluster, catalog: &Catalog, desired: &[impl Borrow<Desired>]) -> BTreeSet<MissingRight> {
    let mut wanted = BTreeSet::new();
    for object in desired.iter().map(Borrow::borrow) {
        let Lookup::Served(resource) = catalog.find(&object.id) else { continue };
        let namespace = match resource.scope {
            Scope::Namespaced => Some(object.id.namespace.clone().unwrap_or_else(|| cluster.default_namespace().to_owned())),
            Scope::Cluster => None,
        };
        for verb in VERBS {
            let (resource, group) = (resource.plural.clone(), object.id.group().to_owned());
            wanted.insert(MissingRight { verb, resource, group, namespace: namespace.clone() });
        }
    }
    wanted
}
