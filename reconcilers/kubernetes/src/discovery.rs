//! What an API server serves: which kinds, under which paths, and which of them it does not serve itself.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use kube::core::discovery::v2::{APIGroupDiscoveryList, APIResourceDiscovery, APIVersionDiscovery};
use serde::Deserialize;
use trueup_core::object::{ObjectId, is_built_in};

use crate::cluster::Cluster;
use crate::request::{Call, RequestError, ask, escaped};

/// All kinds that a cluster serves.
#[derive(Debug, Clone, Default)]
pub struct Catalog {
    resources: BTreeMap<(String, String, String), Resource>,
    /// Group and version that could not be asked: what they serve is not known.
    stale: BTreeSet<(String, String)>,
}

/// One served kind.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Resource {
    /// Empty for the core group.
    pub group: String,
    /// `v1`
    pub version: String,
    /// `Deployment`
    pub kind: String,
    /// `deployments`
    pub plural: String,
    /// Whether objects live in namespaces.
    pub scope: Scope,
    /// What can be done with it.
    pub verbs: BTreeSet<String>,
    /// Whether it has the subresource `scale`.
    pub scaling: Scaling,
    /// Who answers for it.
    pub server: Server,
}

/// Whether a kind's objects live in namespaces.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scope {
    /// They do.
    Namespaced,
    /// They do not.
    Cluster,
}

/// Whether an autoscaler can set a kind's replicas.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scaling {
    /// It has the subresource `scale`.
    Scalable,
    /// It has none.
    Fixed,
}

/// Who answers for a group version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Server {
    /// The API server itself, custom resources among it: it honours `dryRun`.
    Local,
    /// An extension API server, or one cannot tell: it may ignore `dryRun` and persist.
    Aggregated,
}

/// What a catalog says about one kind.
#[derive(Debug, Clone, PartialEq)]
pub enum Lookup<'a> {
    /// It is served.
    Served(&'a Resource),
    /// It is not; the versions in which the same group serves this kind.
    NotServed(Vec<&'a str>),
    /// The group version did not answer when it was asked.
    Unavailable,
}

/// Why nothing is known of what a cluster serves.
#[derive(Debug, thiserror::Error)]
pub enum DiscoveryError {
    /// The server cannot be asked.
    #[error("what the cluster serves cannot be read")]
    Read(#[source] RequestError),
    /// The server is too old.
    #[error("the cluster offers no aggregated discovery; trueup needs Kubernetes 1.30 or newer")]
    TooOld(#[source] RequestError),
}

impl Catalog {
    /// The kind of this object.
    #[must_use]
    pub fn find(&self, id: &ObjectId) -> Lookup<'_> {
        let (group, version) = (id.group().to_owned(), id.version().to_owned());
        let stale = self.stale.contains(&(group.clone(), version.clone()));
        match self.resources.get(&(group, version, id.kind.clone())) {
            Some(resource) if !stale => Lookup::Served(resource),
            _ if stale => Lookup::Unavailable,
            _ => Lookup::NotServed(self.versions_of(id)),
        }
    }

    /// The kind of this name, in the group if one is given; where several groups have it, the one that every API server
    /// serves itself.
    #[must_use]
    pub fn named(&self, kind: &str, group: Option<&str>) -> Option<&Resource> {
        let of_group = |resource: &&Resource| group.is_none_or(|group| resource.group == group);
        let mut found: Vec<&Resource> =
            self.resources.values().filter(|resource| resource.kind == kind).filter(of_group).collect();
        // A sort keeps the order of what is alike: versions as the server lists them.
        found.sort_by_key(|resource| (!is_built_in(&resource.group), resource.group.as_str()));
        found.first().copied()
    }

    fn versions_of(&self, id: &ObjectId) -> Vec<&str> {
        let same_kind = self.resources.values().filter(|other| other.group == id.group() && other.kind == id.kind);
        same_kind.map(|other| other.version.as_str()).collect()
    }

    fn add(&mut self, list: APIGroupDiscoveryList, aggregated: &Aggregated) {
        for item in list.items {
            let group = item.metadata.and_then(|metadata| metadata.name).unwrap_or_default();
            for document in item.versions {
                self.add_version(&group, document, aggregated);
            }
        }
    }

    fn add_version(&mut self, group: &str, document: APIVersionDiscovery, aggregated: &Aggregated) {
        let version = document.version.unwrap_or_default();
        if document.freshness.as_deref() == Some("Stale") {
            self.stale.insert((group.to_owned(), version.clone()));
        }
        let server = aggregated.server(group, &version);
        for resource in document.resources {
            if let Some(resource) = Resource::read(group, &version, server, resource) {
                let key = (group.to_owned(), version.clone(), resource.kind.clone());
                self.resources.entry(key).or_insert(resource);
            }
        }
    }
}

impl Resource {
    fn read(group: &str, version: &str, server: Server, found: APIResourceDiscovery) -> Option<Self> {
        let scalable = found.subresources.iter().any(|subresource| subresource.subresource.as_deref() == Some("scale"));
        Some(Self {
            group: group.to_owned(),
            version: version.to_owned(),
            kind: found.response_kind?.kind?,
            plural: found.resource?,
            scope: if found.scope.as_deref() == Some("Namespaced") { Scope::Namespaced } else { Scope::Cluster },
            verbs: found.verbs.into_iter().collect(),
            scaling: if scalable { Scaling::Scalable } else { Scaling::Fixed },
            server,
        })
    }

    /// Group and version as manifests name them: `apps/v1`, and `v1` in the core group.
    #[must_use]
    pub fn api_version(&self) -> String {
        if self.group.is_empty() { self.version.clone() } else { format!("{}/{}", self.group, self.version) }
    }

    /// Where the kind's objects are, in one namespace or in all.
    #[must_use]
    pub fn collection(&self, namespace: Option<&str>) -> String {
        let root = if self.group.is_empty() { "/api".to_owned() } else { format!("/apis/{}", self.group) };
        match namespace {
            Some(namespace) => format!("{root}/{}/namespaces/{}/{}", self.version, escaped(namespace), self.plural),
            None => format!("{root}/{}/{}", self.version, self.plural),
        }
    }

    /// Whether what the server gives of an object changes only with its resourceVersion, as long as the server's own version
    /// stays. Custom resources also change with their definition, and with what converts them.
    #[must_use]
    pub fn is_settled_by_version(&self) -> bool {
        self.server == Server::Local && is_built_in(&self.group)
    }

    /// Where one object is.
    #[must_use]
    pub fn path(&self, id: &ObjectId) -> String {
        format!("{}/{}", self.collection(id.namespace.as_deref()), escaped(&id.name))
    }
}

/// `deployments.apps`, as in RBAC rules and in the API server's own messages.
impl fmt::Display for Resource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.group.is_empty() { f.write_str(&self.plural) } else { write!(f, "{}.{}", self.plural, self.group) }
    }
}

/// Asks what the cluster serves: two aggregated discovery documents and the list of `APIService`s.
///
/// # Errors
/// If the discovery documents cannot be read. Group versions that did not answer are no error: see [`Lookup::Unavailable`].
pub async fn discover(cluster: &Cluster) -> Result<Catalog, DiscoveryError> {
    let (core, groups, aggregated) = futures::join!(
        ask(cluster, Call::Discover { path: "/api" }),
        ask(cluster, Call::Discover { path: "/apis" }),
        aggregated(cluster)
    );
    let mut catalog = Catalog::default();
    for document in [core, groups] {
        catalog.add(document.map_err(unread)?, &aggregated);
    }
    catalog.stale.extend(aggregated.unavailable());
    Ok(catalog)
}

fn unread(error: RequestError) -> DiscoveryError {
    match error.refusal() {
        Some(refusal) if refusal.code == 406 => DiscoveryError::TooOld(error),
        _ => DiscoveryError::Read(error),
    }
}

/// Which group versions extension API servers answer for.
enum Aggregated {
    /// As the `APIService`s say.
    Known(Vec<ApiService>),
    /// They may not be read.
    Unknown,
}

#[derive(Deserialize)]
struct ApiServices {
    items: Vec<ApiService>,
}

#[derive(Deserialize)]
struct ApiService {
    spec: ApiServiceSpec,
    #[serde(default)]
    status: ApiServiceStatus,
}

#[derive(Deserialize)]
struct ApiServiceSpec {
    #[serde(default)]
    group: String,
    version: String,
    service: Option<serde_json::Value>,
}

#[derive(Deserialize, Default)]
struct ApiServiceStatus {
    #[serde(default)]
    conditions: Vec<Condition>,
}

#[derive(Deserialize)]
struct Condition {
    r#type: String,
    status: String,
}

impl Aggregated {
    fn server(&self, group: &str, version: &str) -> Server {
        let is_local = match self {
            Self::Known(services) => services
                .iter()
                .any(|service| service.spec.group == group && service.spec.version == version && service.spec.service.is_none()),
            Self::Unknown => is_built_in(group),
        };
        if is_local { Server::Local } else { Server::Aggregated }
    }

    /// Group versions whose extension API server does not answer.
    fn unavailable(&self) -> Vec<(String, String)> {
        let Self::Known(services) = self else { return Vec::new() };
        let is_down = |service: &&ApiService| {
            let down = |condition: &Condition| condition.r#type == "Available" && condition.status == "False";
            service.spec.service.is_some() && service.status.conditions.iter().any(down)
        };
        services.iter().filter(is_down).map(|service| (service.spec.group.clone(), service.spec.version.clone())).collect()
    }
}

async fn aggregated(cluster: &Cluster) -> Aggregated {
    match ask::<ApiServices>(cluster, Call::Get { path: "/apis/apiregistration.k8s.io/v1/apiservices" }).await {
        Ok(services) => Aggregated::Known(services.items),
        Err(error) => {
            tracing::debug!(%error, "which groups extension API servers answer for is not known");
            Aggregated::Unknown
        }
    }
}
