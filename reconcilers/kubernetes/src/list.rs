//! Paged lists: of each page, what is declared is taken apart and kept, the rest is passed over. A list that broke off is no
//! list.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use serde_json::value::RawValue;
use trueup_core::facts::{Live, Tracking};
use trueup_core::object::ObjectId;
use trueup_core::shared::Shared;

use crate::cluster::Cluster;
use crate::discovery::{Resource, Scope};
use crate::normal;
use crate::request::{Call, RequestError, ask, escaped};
use crate::rescan;

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
    pub found: BTreeMap<Slot, Shared<Live>>,
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
        match rescan::look(cluster, resource, None, (wanted, page)).await {
            Ok(found) => return Listing { found, failed: Vec::new() },
            Err(ListError::Forbidden { .. }) if resource.scope == Scope::Namespaced => {}
            Err(error) => return Listing { found: BTreeMap::new(), failed: vec![(None, error)] },
        }
    }
    for namespace in namespaces {
        match rescan::look(cluster, resource, namespace.as_deref(), (wanted, page)).await {
            Ok(found) => listing.found.extend(found),
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
    list_some(cluster, resource, namespace, page, &|_| true).await
}

/// As [`list_one`], but only what is wanted is taken apart.
pub(crate) async fn list_some(
    cluster: &Cluster,
    resource: &Resource,
    namespace: Option<&str>,
    page: u32,
    wanted: &(dyn Fn(&Slot) -> bool + Sync),
) -> Result<Vec<Live>, ListError> {
    let take = |item: Box<RawValue>| {
        // What has no such head is looked at whole.
        let head = serde_json::from_str::<Head>(item.get()).ok();
        if head.is_some_and(|head| !wanted(&head.metadata.slot())) {
            return Ok(None);
        }
        Ok(Some(decode(resource, serde_json::from_str(item.get())?)))
    };
    paged(cluster, (resource, namespace), &|path| Call::Get { path }, page, &take).await
}

/// What of an object's metadata tells which it is, and in which version.
#[derive(Deserialize)]
pub(crate) struct Head {
    pub(crate) metadata: HeadMetadata,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct HeadMetadata {
    name: String,
    namespace: Option<String>,
    pub(crate) uid: Option<String>,
    pub(crate) resource_version: Option<String>,
}

impl HeadMetadata {
    pub(crate) fn slot(&self) -> Slot {
        (self.namespace.clone(), self.name.clone())
    }
}

#[derive(Deserialize)]
struct Page<T> {
    metadata: PageMetadata,
    /// The server writes `null` for none.
    items: Option<Vec<T>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PageMetadata {
    #[serde(default)]
    resource_version: String,
    #[serde(default)]
    r#continue: String,
}

/// How a path is asked for.
pub(crate) type Asking<'a> = dyn for<'b> Fn(&'b str) -> Call<'b> + Sync + 'a;

/// What becomes of one item.
pub(crate) type Taking<'a, T, R> = dyn Fn(T) -> Result<Option<R>, serde_json::Error> + Sync + 'a;

/// All that is taken of all pages, begun again where the continuation expired on the way.
pub(crate) async fn paged<T: DeserializeOwned, R>(
    cluster: &Cluster,
    (resource, namespace): (&Resource, Option<&str>),
    asking: &Asking<'_>,
    page: u32,
    take: &Taking<'_, T, R>,
) -> Result<Vec<R>, ListError> {
    for _ in 0..RESTARTS {
        if let Some(taken) = pages(cluster, (resource, namespace), asking, page, take).await? {
            return Ok(taken);
        }
    }
    Err(ListError::Expired { resource: resource.to_string(), namespace: namespace.map(str::to_owned) })
}

/// All pages; `None` if the continuation expired on the way (410).
async fn pages<T: DeserializeOwned, R>(
    cluster: &Cluster,
    (resource, namespace): (&Resource, Option<&str>),
    asking: &Asking<'_>,
    limit: u32,
    take: &Taking<'_, T, R>,
) -> Result<Option<Vec<R>>, ListError> {
    let collection = resource.collection(namespace);
    let mut taken = Vec::new();
    let mut path = format!("{collection}?limit={limit}");
    let mut version: Option<String> = None;
    loop {
        let page: Page<T> = match ask(cluster, asking(&path)).await {
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
        for item in page.items.unwrap_or_default() {
            let unreadable = |source| RequestError::Unreadable { call: asking(&path).to_string(), source };
            taken.extend(take(item).map_err(|error| failure(resource, namespace, unreadable(error)))?);
        }
        if page.metadata.r#continue.is_empty() {
            return Ok(Some(taken));
        }
        path = format!("{collection}?limit={limit}&continue={}", escaped(&page.metadata.r#continue));
    }
}

pub(crate) fn failure(resource: &Resource, namespace: Option<&str>, source: RequestError) -> ListError {
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
