//! A look at objects that were looked at before. What has kept its uid and its resourceVersion is as it was; the server says
//! of all of them, at one consistent version, which have. Only what has changed is read again.
//!
//! This holds for built-in kinds alone, and while the server's own version stays: a custom resource changes with its
//! definition and with what converts it, too, without a new resourceVersion.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use futures::{StreamExt, stream};
use serde_json::Value;
use trueup_core::facts::Live;
use trueup_core::object::ObjectId;
use trueup_core::shared::Shared;

use crate::cluster::Cluster;
use crate::discovery::Resource;
use crate::expect::CONCURRENCY;
use crate::list::{Head, ListError, Slot, decode, failure, list_some, paged};
use crate::request::{Call, RequestError, ask};
use crate::verdicts::Verdicts;

/// After this long, all of a kind is read anew, whatever the versions say.
const LIFETIME: Duration = Duration::from_hours(1);

/// More changes than this are read faster by a list.
const SINGLY: usize = 32;

/// What was seen of one cluster, and what was judged true of it. Clones share it.
#[derive(Clone, Default)]
pub struct Memory {
    seen: Arc<Mutex<Seen>>,
    verdicts: Verdicts,
}

#[derive(Default)]
struct Seen {
    server_version: String,
    lists: BTreeMap<(Resource, Option<String>), List>,
}

struct List {
    since: Instant,
    objects: BTreeMap<Slot, Shared<Live>>,
}

impl std::fmt::Debug for Memory {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Secrets may be in it.
        f.write_str("Memory")
    }
}

impl Memory {
    /// Forgets all that was seen under another version of the server.
    pub fn hold_to(&self, server_version: &str) {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.server_version != server_version {
            *seen = Seen { server_version: server_version.to_owned(), lists: BTreeMap::new() };
        }
    }

    /// Which objects were judged true, and stay so while nothing about them changes.
    #[must_use]
    pub fn verdicts(&self) -> &Verdicts {
        &self.verdicts
    }

    /// Takes a list out: a look that fails leaves nothing behind.
    fn take(&self, place: &(Resource, Option<String>)) -> Option<List> {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.lists.remove(place).filter(|list| list.since.elapsed() < LIFETIME)
    }

    fn put(&self, place: (Resource, Option<String>), list: List) {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).lists.insert(place, list);
    }
}

/// The wanted objects of one kind in one namespace or in the whole cluster, as they are now.
///
/// # Errors
/// As [`crate::list::list_one`].
pub(crate) async fn look(
    cluster: &Cluster,
    resource: &Resource,
    namespace: Option<&str>,
    (wanted, page): (&BTreeSet<Slot>, u32),
) -> Result<BTreeMap<Slot, Shared<Live>>, ListError> {
    let Some(memory) = cluster.memory.as_ref().filter(|_| resource.is_settled_by_version()) else {
        return first(cluster, resource, namespace, (wanted, page)).await;
    };
    let place = (resource.clone(), namespace.map(str::to_owned));
    let list = match memory.take(&place) {
        Some(List { since, objects }) => match again(cluster, resource, namespace, (wanted, page), objects).await? {
            Some(objects) => List { since, objects },
            None => List { since: Instant::now(), objects: first(cluster, resource, namespace, (wanted, page)).await? },
        },
        None => List { since: Instant::now(), objects: first(cluster, resource, namespace, (wanted, page)).await? },
    };
    let objects = list.objects.clone();
    memory.put(place, list);
    Ok(objects)
}

async fn first(
    cluster: &Cluster,
    resource: &Resource,
    namespace: Option<&str>,
    (wanted, page): (&BTreeSet<Slot>, u32),
) -> Result<BTreeMap<Slot, Shared<Live>>, ListError> {
    let objects = list_some(cluster, resource, namespace, page, &|slot| wanted.contains(slot)).await?;
    Ok(objects.into_iter().map(|live| (slot(&live.id), live.into())).collect())
}

/// What has changed, read again; `None` where a list is the better way.
async fn again(
    cluster: &Cluster,
    resource: &Resource,
    namespace: Option<&str>,
    (wanted, page): (&BTreeSet<Slot>, u32),
    mut known: BTreeMap<Slot, Shared<Live>>,
) -> Result<Option<BTreeMap<Slot, Shared<Live>>>, ListError> {
    let take = |head: Head| Ok(Some(head.metadata).filter(|head| wanted.contains(&head.slot())));
    let heads = match paged(cluster, (resource, namespace), &|path| Call::ListMetadata { path }, page, &take).await {
        Ok(heads) => heads,
        Err(ListError::Broken { source, .. }) if source.refusal().is_some_and(|refusal| refusal.code == 406) => return Ok(None),
        Err(error) => return Err(error),
    };
    let mut found = BTreeMap::new();
    let mut changed = Vec::new();
    for head in heads {
        let slot = head.slot();
        match known.remove(&slot).filter(|live| live.uid == head.uid && live.resource_version == head.resource_version) {
            Some(live) if live.resource_version.is_some() => drop(found.insert(slot, live)),
            _ => changed.push(slot),
        }
    }
    if changed.len() > SINGLY {
        return Ok(None);
    }
    let reads = changed.into_iter().map(|slot| async move {
        let read = read(cluster, resource, &slot).await;
        (slot, read)
    });
    for (slot, read) in stream::iter(reads).buffer_unordered(CONCURRENCY).collect::<Vec<_>>().await {
        match read {
            Ok(live) => drop(found.insert(slot, live.into())),
            Err(error) => match error.refusal().map(|refusal| refusal.code) {
                // Gone since the list was made.
                Some(404) => {}
                // The right to list is enough.
                Some(403) => return Ok(None),
                _ => return Err(failure(resource, namespace, error)),
            },
        }
    }
    Ok(Some(found))
}

async fn read(cluster: &Cluster, resource: &Resource, (namespace, name): &Slot) -> Result<Live, RequestError> {
    let id = ObjectId {
        api_version: resource.api_version(),
        kind: resource.kind.clone(),
        namespace: namespace.clone(),
        name: name.clone(),
    };
    let value: Value = ask(cluster, Call::Get { path: &resource.path(&id) }).await?;
    Ok(decode(resource, value))
}

fn slot(id: &ObjectId) -> Slot {
    (id.namespace.clone(), id.name.clone())
}
