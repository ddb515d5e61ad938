//! Paged lists: what is declared is kept, and a list that broke off is no list.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use serde_json::Value;
use trueup_core::facts::{Live, Tracking};
use trueup_core::object::ObjectId;

use crate::cluster::Cluster;
use crate::discovery::{Resource, Scope};
use crate::normal;
use crate::request::{Call, RequestError, ask, escaped};

/// How many objects one page holds.
pub const PAGE: u32 = 500;

/// From this many namespaces on, one list of the whole cluster is cheaper than one for each.
const NAMESPACES_LISTED_ALONE: usize = 3;

/// How often a list is begun again whose continuation has expired.
const RESTARTS: u32 = 3;

/// Where an object is inside its kind: its namespace, if it has one, and its name.
pub type Slot = (Option<String>, String);

/// What the lists of one kind gave.
#[derive(Debug, Default)]
pub struct Listing {
    /// The objects that were asked for and are there.
    pub found: BTreeMap<Slot, Live>,
    /// The namespaces (`None`: the whole cluster) that could not be listed.
    pub failed: Vec<(Option<String>, ListError)>,
}

/// Why a kind could not be listed.
#[derive(Debug, thiserror::Error)]
pub enum ListError {
    /// There is no right to.
    #[error("no right to list `{resource}` {}; grant the verb `list` on it to trueup's account", place(.namespace.as_deref()))]
    Forbidden {
        /// `deployments.apps`
        resource: String,
        /// Where; `None` for the whole cluster.
        namespace: Option<String>,
    },
    /// A request failed.
    #[error("`{resource}` cannot be listed {}: {source}", place(.namespace.as_deref()))]
    Broken {
        /// `deployments.apps`
        resource: String,
        /// Where; `None` for the whole cluster.
        namespace: Option<String>,
        /// What went wrong.
        source: RequestError,
    },
    /// The list changed faster than its pages could be read.
    #[error("the list of `{resource}` {} expired {RESTARTS} times before its last page; try again later", place(.namespace.as_deref()))]
    Expired {
        /// `deployments.apps`
        resource: String,
        /// Where; `None` for the whole cluster.
        namespace: Option<String>,
    },
    /// Two pages do not belong together.
    #[error("the pages of `{resource}` {} are of different versions (`{first}`, `{other}`)", place(.namespace.as_deref()))]
    Mixed {
        /// `deployments.apps`
        resource: String,
        /// Where; `None` for the whole cluster.
        namespace: Option<String>,
        /// The first page's resourceVersion.
        first: String,
        /// The other page's.
        other: String,
    },
}

fn place(namespace: Option<&str>) -> String {
    namespace.map_or_else(|| "in the whole cluster".to_owned(), |namespace| format!("in namespace `{namespace}`"))
}

impl Listing {
    /// Why the object in this slot was not seen, if it was not.
    #[must_use]
    pub fn blind_spot(&self, slot: &Slot) -> Option<&ListError> {
        let covers = |failed: &Option<String>| failed.is_none() || *failed == slot.0;
        self.failed.iter().find(|(failed, _)| covers(failed)).map(|(_, error)| error)
    }
}

/// Lists one kind wherever `wanted` objects of it may be, and keeps those.
pub async fn list(cluster: &Cluster, resource: &Resource, wanted: &BTreeSet<Slot>, page: u32) -> Listing {
    let mut listing = Listing::default();
    let namespaces: BTreeSet<Option<String>> = wanted.iter().map(|(namespace, _)| namespace.clone()).collect();
    if resource.scope == Scope::Cluster || namespaces.len() > NAMESPACES_LISTED_ALONE {
        match list_one(cluster, resource, None, page).await {
            Ok(objects) => return Listing { found: keep(objects, wanted), failed: Vec::new() },
            Err(ListError::Forbidden { .. }) if resource.scope == Scope::Namespaced => {}
            Err(error) => return Listing { found: BTreeMap::new(), failed: vec![(None, error)] },
        }
    }
    for namespace in namespaces {
        match list_one(cluster, resource, namespace.as_deref(), page).await {
            Ok(objects) => listing.found.extend(keep(objects, wanted)),
            Err(error) => listing.failed.push((namespace, error)),
        }
    }
    listing
}

/// All objects of one kind in one namespace or in the whole cluster, at one version.
///
/// # Errors
/// If any page is missing: half a list would make objects look as if they were gone.
pub async fn list_one(
    cluster: &Cluster,
    resource: &Resource,
    namespace: Option<&str>,
    page: u32,
) -> Result<Vec<Live>, ListError> {
    for _ in 0..RESTARTS {
        if let Some(items) = pages(cluster, resource, namespace, page).await? {
            return Ok(items.into_iter().map(|item| decode(resource, item)).collect());
        }
    }
    Err(ListError::Expired { resource: resource.to_string(), namespace: namespace.map(str::to_owned) })
}

#[derive(Deserialize)]
struct Page {
    metadata: PageMetadata,
    /// The server writes `null` for none.
    items: Option<Vec<Value>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PageMetadata {
    #[serde(default)]
    resource_version: String,
    #[serde(default)]
    r#continue: String,
}

/// All pages; `None` if the continuation expired on the way (410).
async fn pages(
    cluster: &Cluster,
    resource: &Resource,
    namespace: Option<&str>,
    limit: u32,
) -> Result<Option<Vec<Value>>, ListError> {
    let collection = resource.collection(namespace);
    let mut items = Vec::new();
    let mut path = format!("{collection}?limit={limit}");
    let mut version: Option<String> = None;
    loop {
        let page: Page = match ask(cluster, Call::Get { path: &path }).await {
            Ok(page) => page,
            Err(error) if version.is_some() && error.refusal().is_some_and(|refusal| refusal.code == 410) => return Ok(None),
            Err(error) => return Err(failure(resource, namespace, error)),
        };
        let first = version.get_or_insert_with(|| page.metadata.resource_version.clone());
        if *first != page.metadata.resource_version {
            let (first, other) = (first.clone(), page.metadata.resource_version);
            let namespace = namespace.map(str::to_owned);
            return Err(ListError::Mixed { resource: resource.to_string(), namespace, first, other });
        }
        items.extend(page.items.unwrap_or_default());
        if page.metadata.r#continue.is_empty() {
            return Ok(Some(items));
        }
        path = format!("{collection}?limit={limit}&continue={}", escaped(&page.metadata.r#continue));
    }
}

fn failure(resource: &Resource, namespace: Option<&str>, source: RequestError) -> ListError {
    let (resource, namespace) = (resource.to_string(), namespace.map(str::to_owned));
    match source.refusal() {
        Some(refusal) if refusal.code == 403 => ListError::Forbidden { resource, namespace },
        _ => ListError::Broken { resource, namespace, source },
    }
}

/// An object as it came, under the id that its own metadata gives it.
pub(crate) fn decode(resource: &Resource, value: Value) -> Live {
    let text = |key: &str| value.pointer(&format!("/metadata/{key}")).and_then(Value::as_str).map(str::to_owned);
    let id = ObjectId {
        api_version: resource.api_version(),
        kind: resource.kind.clone(),
        namespace: text("namespace"),
        name: text("name").unwrap_or_default(),
    };
    // A server that shows no managers has none: they were stripped.
    Live { tracking: Tracking::Shown, ..normal::live(id, value) }
}

fn keep(objects: Vec<Live>, wanted: &BTreeSet<Slot>) -> BTreeMap<Slot, Live> {
    let slots = objects.into_iter().map(|live| ((live.id.namespace.clone(), live.id.name.clone()), live));
    slots.filter(|(slot, _)| wanted.contains(slot)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_namespace_blinds_only_its_own() {
        let error = ListError::Expired { resource: "pods".into(), namespace: Some("a".into()) };
        let listing = Listing { found: BTreeMap::new(), failed: vec![(Some("a".into()), error)] };
        assert!(listing.blind_spot(&(Some("a".into()), "x".into())).is_some());
        assert!(listing.blind_spot(&(Some("b".into()), "x".into())).is_none());
    }
}
