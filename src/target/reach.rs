//! How a target's objects are read again and written.

use std::path::PathBuf;

use serde_json::Value;
use trueup_core::decide::Correction;
use trueup_core::facts::{Live, Secrecy};
use trueup_core::health::Vitals;
use trueup_core::object::ObjectId;
use trueup_core::patch::{values_under, with_preconditions};
use trueup_core::path::Path;
use trueup_core::policy::Watched;
use trueup_core::run::{ExecuteRepair, RunId, Unanswered, Validate};
use trueup_kubernetes::cluster::Cluster;
use trueup_kubernetes::discovery::{Catalog, Lookup, Resource, Scope};
use trueup_kubernetes::health;
use trueup_kubernetes::ownership::handed_back;
use trueup_kubernetes::patch::{self, PatchError, Patched};
use trueup_kubernetes::snapshot;
use trueup_terraform::state::State;

/// An API server carries a request out within a minute (`--request-timeout`) from when it came; ours to it are as patient.
const IN_FLIGHT: jiff::SignedDuration = jiff::SignedDuration::from_secs(120);

/// Where a target's objects are.
#[derive(Clone)]
pub enum Reach {
    /// On an API server.
    Cluster(Box<Cluster>, Box<Catalog>),
    /// In a folder.
    Snapshot(PathBuf),
    /// In a Terraform state, which is never written.
    State(Box<State>),
    /// Nowhere that can be reached now.
    None,
}

/// Names the place, not what is there.
impl std::fmt::Debug for Reach {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Cluster(cluster, _) => write!(f, "Cluster({})", cluster.server()),
            Self::Snapshot(folder) => write!(f, "Snapshot({})", folder.display()),
            Self::State(state) => write!(f, "State({})", state.location),
            Self::None => f.write_str("None"),
        }
    }
}

/// What came of a write.
#[derive(Debug, Clone)]
pub enum Sent {
    /// The server took it.
    Applied(Box<Patched>),
    /// Nothing happened, and the object is to be read and judged again: it is no longer the one that was judged, or the
    /// server had too much to do.
    Void(String),
    /// The server said no: nothing happened.
    Refused(String),
    /// The server does not admit the object that would result: nothing happened.
    Inadmissible(String),
    /// No answer came: it may have happened.
    Unanswered(String),
}

impl Reach {
    /// The id under which an object that a manifest names is found here: its namespace where the manifest leaves it out, in a
    /// version that is served. `None` where its kind is not known.
    #[must_use]
    pub fn placed(&self, id: &ObjectId) -> Option<ObjectId> {
        let Self::Cluster(cluster, catalog) = self else { return Some(id.clone()) };
        let newest = |versions: Vec<&str>| {
            let version = versions.first()?;
            let api_version = if id.group().is_empty() { (*version).to_owned() } else { format!("{}/{version}", id.group()) };
            Some(ObjectId { api_version, ..id.clone() })
        };
        let id = match catalog.find(id) {
            Lookup::Served(_) => id.clone(),
            Lookup::NotServed(versions) => newest(versions)?,
            Lookup::Unavailable => return None,
        };
        let Lookup::Served(resource) = catalog.find(&id) else { return None };
        let namespace = match resource.scope {
            Scope::Namespaced => id.namespace.clone().or_else(|| Some(cluster.default_namespace().to_owned())),
            Scope::Cluster => None,
        };
        Some(ObjectId { namespace, ..id })
    }

    /// The object as it is now; `None` where there is none.
    ///
    /// # Errors
    /// For people: why it cannot be read.
    pub async fn read(&self, id: &ObjectId) -> Result<Option<Live>, String> {
        match self {
            Self::Cluster(cluster, catalog) => {
                let resource = resource(catalog, id)?;
                patch::read(cluster, resource, id).await.map_err(|error| error.to_string())
            }
            Self::Snapshot(folder) => snapshot::read(folder, id).map_err(|error| error.to_string()),
            Self::State(_) => Err("a Terraform state holds no objects of an API server".to_owned()),
            Self::None => Err("the target cannot be reached".to_owned()),
        }
    }

    /// The object as it is now with all that it carries beside what is compared, as its status; `None` where there is none.
    ///
    /// # Errors
    /// For people: why it cannot be read.
    pub async fn read_whole(&self, id: &ObjectId) -> Result<Option<Value>, String> {
        match self {
            Self::Cluster(cluster, catalog) => {
                let resource = resource(catalog, id)?;
                patch::read_whole(cluster, resource, id).await.map_err(|error| error.to_string())
            }
            Self::Snapshot(folder) => snapshot::read_whole(folder, id).map_err(|error| error.to_string()),
            Self::State(_) | Self::None => Ok(None),
        }
    }

    /// How well an object does now; `None` where nothing runs that could tell: in files and states.
    pub async fn vitals(&self, id: &ObjectId) -> Option<Vitals> {
        match self {
            Self::Cluster(cluster, catalog) => Some(health::vitals(cluster, catalog, id).await),
            Self::Snapshot(_) | Self::State(_) | Self::None => None,
        }
    }

    /// The object that a policy names beside this one; `None` where the cluster serves no such kind.
    #[must_use]
    pub fn watched(&self, named: &Watched, beside: &ObjectId) -> Option<ObjectId> {
        let Self::Cluster(_, catalog) = self else { return None };
        let resource = catalog.named(&named.kind, named.group.as_deref())?;
        let namespace = match resource.scope {
            Scope::Namespaced => named.namespace.clone().or_else(|| beside.namespace.clone()),
            Scope::Cluster => None,
        };
        let (api_version, kind, name) = (resource.api_version(), resource.kind.clone(), named.name.clone());
        Some(ObjectId { api_version, kind, namespace, name })
    }

    /// Gives what an applied run made ours at these paths back to whoever applies the object server-side. Nothing but the
    /// object's managers changes; `Void` where nothing there is ours any more, or somebody was faster.
    pub async fn hand_back(&self, taken: &Validate, id: &ObjectId, paths: &[Path], owner: &str) -> Sent {
        let whole = match self.read_whole(id).await {
            Ok(Some(whole)) => whole,
            Ok(None) => return Sent::Void("the object is gone".to_owned()),
            Err(error) => return Sent::Refused(error),
        };
        let nothing = || Sent::Void("nothing there is trueup's any more".to_owned());
        match self {
            Self::Cluster(cluster, catalog) => {
                let (resource, named) = match (resource(catalog, id), named(cluster, taken.run())) {
                    (Ok(resource), Ok(named)) => (resource, named),
                    (Err(reason), _) | (_, Err(reason)) => return Sent::Refused(reason),
                };
                match patch::hand_back(&named, resource, (id, &whole), paths, owner).await {
                    Ok(Some(patched)) => Sent::Applied(Box::new(patched)),
                    Ok(None) => nothing(),
                    Err(error) => failed(&error),
                }
            }
            Self::Snapshot(folder) => match handed_back(&whole["metadata"]["managedFields"], paths, owner) {
                Ok(Some(managed)) => {
                    let text = |key: &str| whole["metadata"][key].as_str();
                    let preconditions = snapshot::Preconditions { uid: text("uid"), resource_version: text("resourceVersion") };
                    let body = serde_json::json!({"metadata": {"managedFields": managed}});
                    match snapshot::patch(folder, id, &body, preconditions, jiff::Timestamp::now()) {
                        Ok(live) => Sent::Applied(Box::new(Patched { live, warnings: Vec::new() })),
                        Err(error) if error.is_conflict() => Sent::Void(error.to_string()),
                        Err(error) => Sent::Refused(format!("{:#}", anyhow::Error::new(error))),
                    }
                }
                Ok(None) => nothing(),
                Err(error) => Sent::Refused(error.to_string()),
            },
            Self::State(_) | Self::None => Sent::Refused("the target cannot be written to".to_owned()),
        }
    }

    /// For how long a write that was never answered may still be carried out: an API server works on a request for up to a minute,
    /// also when nobody waits for it any more. `None` where it ends with whoever sends it.
    #[must_use]
    pub fn in_flight(&self) -> Option<jiff::SignedDuration> {
        match self {
            Self::Cluster(..) => Some(IN_FLIGHT),
            Self::Snapshot(_) | Self::State(_) | Self::None => None,
        }
    }

    /// Writes the correction of a run whose intent is recorded, once: on a cluster first as a dry run, so that admission is
    /// heard before anything changes. `objection` says what speaks against the object as the dry run shows it; then nothing is
    /// written.
    pub async fn send(&self, repair: ExecuteRepair<'_>, objection: impl Fn(Live) -> Option<String>) -> (Unanswered, Sent) {
        let sent = self.write(&repair, objection).await;
        (repair.go_out(), sent)
    }

    async fn write(&self, repair: &ExecuteRepair<'_>, objection: impl Fn(Live) -> Option<String>) -> Sent {
        let (run, correction) = (repair.run(), repair.correction());
        match self {
            Self::Cluster(cluster, catalog) => {
                let (uid, version) = (correction.uid.as_deref(), correction.resource_version.as_deref());
                let (Some(uid), Some(version)) = (uid, version) else {
                    return Sent::Refused("the object was read without uid or resourceVersion".to_owned());
                };
                let patch = with_preconditions(&correction.patch, uid, version);
                send_to_cluster((cluster, catalog), run, (correction, &patch), objection).await
            }
            Self::Snapshot(folder) => {
                // Files may carry no version: then the values that were judged are the precondition.
                if let Ok(Some(live)) = snapshot::read(folder, &correction.object)
                    && values_under(&live.value, &correction.patch) != correction.pre_image
                {
                    return Sent::Void(format!("`{}` has changed since it was read", correction.object));
                }
                let preconditions = snapshot::Preconditions {
                    uid: correction.uid.as_deref(),
                    resource_version: correction.resource_version.as_deref(),
                };
                match snapshot::patch(folder, &correction.object, &correction.patch, preconditions, jiff::Timestamp::now()) {
                    Ok(live) => Sent::Applied(Box::new(Patched { live, warnings: Vec::new() })),
                    Err(error) if error.is_conflict() => Sent::Void(error.to_string()),
                    Err(error) => Sent::Refused(format!("{:#}", anyhow::Error::new(error))),
                }
            }
            Self::State(_) => Sent::Refused("a Terraform state is never written".to_owned()),
            Self::None => Sent::Refused("the target cannot be reached".to_owned()),
        }
    }
}

async fn send_to_cluster(
    (cluster, catalog): (&Cluster, &Catalog),
    run: &RunId,
    (Correction { object: id, secrecy, .. }, patch): (&Correction, &Value),
    objection: impl Fn(Live) -> Option<String>,
) -> Sent {
    let told = |error: PatchError| match secrecy {
        Secrecy::Secret => error.without_words(),
        Secrecy::Open => error,
    };
    let resource = match resource(catalog, id) {
        Ok(resource) => resource,
        Err(reason) => return Sent::Refused(reason),
    };
    let named = match named(cluster, run) {
        Ok(named) => named,
        Err(reason) => return Sent::Refused(reason),
    };
    match patch::dry_run(&named, resource, id, patch).await {
        Ok(after) => {
            if let Some(reason) = objection(after) {
                return Sent::Inadmissible(reason);
            }
        }
        Err(error) => {
            return match failed(&told(error)) {
                // Nothing was to change, so nothing did.
                Sent::Unanswered(reason) => Sent::Refused(format!("its dry run was not answered: {reason}")),
                other => other,
            };
        }
    }
    match patch::send(&named, resource, id, patch).await {
        Ok(patched) => Sent::Applied(Box::new(patched)),
        Err(error) => failed(&told(error)),
    }
}

/// The same connection under the run's name, which the server's audit log shows.
fn named(cluster: &Cluster, run: &RunId) -> Result<Cluster, String> {
    cluster.named(&format!("trueup/{} run/{run}", env!("CARGO_PKG_VERSION"))).map_err(|error| error.to_string())
}

fn failed(error: &PatchError) -> Sent {
    let message = format!("{error}");
    match error {
        PatchError::Conflict { .. } | PatchError::Replaced { .. } | PatchError::Throttled { .. } => Sent::Void(message),
        PatchError::Unknown { .. } => Sent::Unanswered(message),
        PatchError::Denied { .. } | PatchError::Immutable { .. } | PatchError::Invalid { .. } => Sent::Inadmissible(message),
        PatchError::Unconditional { .. }
        | PatchError::OutOfBounds { .. }
        | PatchError::Ownerless { .. }
        | PatchError::Forbidden { .. }
        | PatchError::NotFound { .. }
        | PatchError::Refused { .. } => Sent::Refused(message),
    }
}

fn resource<'a>(catalog: &'a Catalog, id: &ObjectId) -> Result<&'a Resource, String> {
    match catalog.find(id) {
        Lookup::Served(resource) => Ok(resource),
        Lookup::NotServed(_) | Lookup::Unavailable => Err(format!("`{}` is not served any more", id.kind)),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use trueup_core::decide::{Decision, Ground, Guards, Inputs, Request, Terms, Undo, decide};
    use trueup_core::finding::FindingId;
    use trueup_core::object::TargetName;
    use trueup_core::policy::Policy;
    use trueup_core::run::{Circumstances, PlanRemediation};

    use super::*;
    use crate::ledger::Ledger;

    #[tokio::test]
    async fn a_file_that_was_edited_since_it_was_judged_is_left_alone_though_it_carries_no_version() {
        let folder = tempfile::tempdir().expect("a folder");
        let write = |data: Value| {
            let object =
                json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a", "namespace": "n"}, "data": data});
            std::fs::write(folder.path().join("a.json"), object.to_string()).expect("written");
        };
        let id = ObjectId { api_version: "v1".into(), kind: "ConfigMap".into(), namespace: Some("n".into()), name: "a".into() };
        write(json!({"a": "1", "b": "1"}));
        let reach = Reach::Snapshot(folder.path().to_owned());
        let undo = Undo {
            target: TargetName("t".to_owned()),
            run: "01JD00000000000000000000ZZ".to_owned(),
            live: reach.read(&id).await.expect("read").expect("there"),
            uid: None,
            patch: json!({"data": {"a": "1"}}),
            inverse: json!({"data": {"a": "2"}}),
            corrected: vec![(FindingId("f-1".to_owned()), serde_json::from_value(json!("p-1")).expect("a place"))],
            paths: vec!["data.a".to_owned()],
        };
        let (target, guards, policy) = (undo.target.clone(), Guards::none(Ground::Snapshot), Policy::default());
        let requests = [Request::Undo(Box::new(undo))];
        let now = "2026-11-21T12:00:00Z".parse().expect("a time");
        let terms = Terms { target: &target, requests: &requests, guards: &guards, policy: &policy, now };
        let decided = decide(&Inputs::of(&[], terms));
        let [Decision::Correct(correction)] = &decided[..] else { panic!("{decided:?}") };
        let kept = tempfile::tempdir().expect("a folder");
        let ledger = Ledger::open(&kept.path().join("ledger.sqlite")).await.expect("a ledger");
        let send = async |run: &str| {
            let circumstances = Circumstances {
                policy_digest: String::new(),
                commit: String::new(),
                decided: 1,
                health: Vec::new(),
                hand_back: None,
            };
            let plan = PlanRemediation::of(run.parse().expect("an id"), correction, circumstances);
            let (repair, _) = ledger.make(plan.intend(), now).await.expect("recorded");
            reach.send(repair, |_| None).await.1
        };

        write(json!({"a": "3", "b": "1"}));
        assert!(matches!(send("01JD0000000000000000000000").await, Sent::Void(_)));
        write(json!({"a": "1", "b": "2"}));
        let Sent::Applied(patched) = send("01JD0000000000000000000001").await else { panic!("another value is no reason") };
        assert_eq!(patched.live.value["data"], json!({"a": "2", "b": "2"}));
    }
}
