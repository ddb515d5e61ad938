//! The one kind of write to a cluster: a merge patch of one object, bound to the very version that was judged. With it goes
//! at most one more, which changes no value: the field's owner gets it back.

use std::time::Duration;

use serde_json::{Map, Value, json};
use trueup_core::facts::Live;
use trueup_core::object::ObjectId;
use trueup_core::path::Path;

use crate::cluster::Cluster;
use crate::discovery::Resource;
use crate::list::decode;
use crate::ownership::{HandBackError, handed_back};
use crate::request::{Answer, Call, Effect, Refusal, RequestError, WITHHELD, ask, send as send_once};

/// What of an object's metadata a patch may name; the first two are its preconditions.
const METADATA: [&str; 4] = ["uid", "resourceVersion", "labels", "annotations"];
/// What of an object no patch of ours names.
const FORBIDDEN: [&str; 3] = ["apiVersion", "kind", "status"];

/// The object as a patch left it.
#[derive(Debug, Clone)]
pub struct Patched {
    /// The object as it is now.
    pub live: Live,
    /// What the server warned of; nothing of a Secret.
    pub warnings: Vec<String>,
}

/// Why a patch was not carried out, or why that is not known.
#[derive(Debug, thiserror::Error)]
pub enum PatchError {
    /// The patch names no version to hold it to.
    #[error("a patch of `{id}` without `metadata.uid` and `metadata.resourceVersion` is never sent")]
    Unconditional {
        /// The object.
        id: Box<ObjectId>,
    },
    /// The patch would touch what is never written.
    #[error("a patch that writes `{field}` of `{id}` is never sent")]
    OutOfBounds {
        /// The object.
        id: Box<ObjectId>,
        /// What it would write: `metadata.finalizers`.
        field: String,
    },
    /// To whom a field belongs cannot be told.
    #[error("the fields of `{id}` are not handed back: {source}")]
    Ownerless {
        /// The object.
        id: Box<ObjectId>,
        /// Why.
        source: HandBackError,
    },
    /// The object changed since it was read (409): read it and decide again.
    #[error("`{id}` has changed since it was read; it will be read and judged again")]
    Conflict {
        /// The object.
        id: Box<ObjectId>,
    },
    /// The object was deleted and made anew since it was read.
    #[error("`{id}` was replaced by another object of that name since it was read; the decision is void")]
    Replaced {
        /// The object.
        id: Box<ObjectId>,
    },
    /// Admission refused: a webhook, a policy, a quota.
    #[error("admission denied the patch of `{id}`: {message}")]
    Denied {
        /// The object.
        id: Box<ObjectId>,
        /// The server's words.
        message: String,
    },
    /// A field that cannot change once it is set.
    #[error("`{id}` would have to be created anew, as a field in it cannot change: {message}")]
    Immutable {
        /// The object.
        id: Box<ObjectId>,
        /// The server's words.
        message: String,
    },
    /// What would result is no valid object.
    #[error("`{id}` would not be valid after the patch: {message}")]
    Invalid {
        /// The object.
        id: Box<ObjectId>,
        /// The server's words.
        message: String,
    },
    /// There is no right to.
    #[error("no right to patch `{id}`: {message}; grant the verb `patch` on `{resource}` to trueup's account")]
    Forbidden {
        /// The object.
        id: Box<ObjectId>,
        /// `deployments.apps`
        resource: String,
        /// The server's words.
        message: String,
    },
    /// The object is gone.
    #[error("`{id}` is not there any more")]
    NotFound {
        /// The object.
        id: Box<ObjectId>,
    },
    /// The server has too much to do; the patch was not carried out.
    #[error("the API server asks to wait before `{id}` is patched (429)")]
    Throttled {
        /// The object.
        id: Box<ObjectId>,
        /// How long.
        retry_after: Option<Duration>,
    },
    /// The server refused in another way; the patch was not carried out.
    #[error("the API server refused the patch of `{id}`: {message}")]
    Refused {
        /// The object.
        id: Box<ObjectId>,
        /// The server's words.
        message: String,
    },
    /// No usable answer: the patch may have been carried out. Read the object and compare; never send it again.
    #[error("whether `{id}` was patched is not known; it will be read")]
    Unknown {
        /// The object.
        id: Box<ObjectId>,
        /// What went wrong.
        source: RequestError,
    },
}

impl PatchError {
    /// The same without the server's words, which may repeat a secret value of the object.
    #[must_use]
    pub fn without_words(mut self) -> Self {
        match &mut self {
            Self::Denied { message, .. }
            | Self::Immutable { message, .. }
            | Self::Invalid { message, .. }
            | Self::Forbidden { message, .. }
            | Self::Refused { message, .. } => WITHHELD.clone_into(message),
            Self::Unknown { source: RequestError::Refused { refusal, .. }, .. } => {
                **refusal = refusal.as_ref().clone().without_words();
            }
            Self::Unconditional { .. }
            | Self::OutOfBounds { .. }
            | Self::Ownerless { .. }
            | Self::Conflict { .. }
            | Self::Replaced { .. }
            | Self::NotFound { .. }
            | Self::Throttled { .. }
            | Self::Unknown { .. } => {}
        }
        self
    }
}

/// The object as it is now; `None` if there is none.
///
/// # Errors
/// If it cannot be read.
pub async fn read(cluster: &Cluster, resource: &Resource, id: &ObjectId) -> Result<Option<Live>, RequestError> {
    Ok(read_whole(cluster, resource, id).await?.map(|value| decode(resource, value)))
}

/// The object as the server gives it, with status and the server's own metadata; `None` if there is none.
///
/// # Errors
/// If it cannot be read.
pub async fn read_whole(cluster: &Cluster, resource: &Resource, id: &ObjectId) -> Result<Option<Value>, RequestError> {
    match ask(cluster, Call::Get { path: &resource.path(id) }).await {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.refusal().is_some_and(|refusal| refusal.code == 404) => Ok(None),
        Err(error) => Err(error),
    }
}

/// What the object would be after the patch, as admission and validation have it. Changes nothing.
///
/// # Errors
/// As [`send`]; here, `Unknown` means only that there was no answer.
pub async fn dry_run(cluster: &Cluster, resource: &Resource, id: &ObjectId, patch: &Value) -> Result<Live, PatchError> {
    guard(id, patch)?;
    let call = Call::MergePatch { path: &resource.path(id), body: patch, effect: Effect::DryRun };
    ask(cluster, call).await.map(|value| decode(resource, value)).map_err(|error| failure(resource, id, error))
}

/// Patches the object (RFC 7386), exactly once, and gives what it is now.
///
/// `patch` carries `metadata.uid` and `metadata.resourceVersion` of the version that was judged.
///
/// # Errors
/// With all but `Unknown`, nothing was changed.
pub async fn send(cluster: &Cluster, resource: &Resource, id: &ObjectId, patch: &Value) -> Result<Patched, PatchError> {
    guard(id, patch)?;
    send_real(cluster, resource, id, patch).await
}

/// Gives what is ours at `paths` of the object as it is in `whole` ([`read_whole`]) back to `owner`, who applies it
/// server-side. `None` where nothing there is ours any more; then nothing is sent.
///
/// # Errors
/// As [`send`]; [`PatchError::Ownerless`] where it cannot be told to whom the fields go.
pub async fn hand_back(
    cluster: &Cluster,
    resource: &Resource,
    (id, whole): (&ObjectId, &Value),
    paths: &[Path],
    owner: &str,
) -> Result<Option<Patched>, PatchError> {
    let metadata = &whole["metadata"];
    let returned = handed_back(&metadata["managedFields"], paths, owner);
    let Some(managed) = returned.map_err(|source| PatchError::Ownerless { id: Box::new(id.clone()), source })? else {
        return Ok(None);
    };
    // The preconditions of this very reading, and nothing beside the managers: with a value in it, they would not be taken.
    let (uid, version) = (metadata["uid"].clone(), metadata["resourceVersion"].clone());
    conditional(id, &json!({"metadata": {"uid": uid, "resourceVersion": version}}))?;
    let body = json!({"metadata": {"uid": uid, "resourceVersion": version, "managedFields": managed}});
    send_real(cluster, resource, id, &body).await.map(Some)
}

async fn send_real(cluster: &Cluster, resource: &Resource, id: &ObjectId, body: &Value) -> Result<Patched, PatchError> {
    let call = Call::MergePatch { path: &resource.path(id), body, effect: Effect::Real };
    let Answer { value, warnings } = send_once(cluster, call).await.map_err(|error| failure(resource, id, error))?;
    let warnings = if id.is_secret() { Vec::new() } else { warnings };
    Ok(Patched { live: decode(resource, value), warnings })
}

/// A patch is bound to one version of one object and writes nothing that is never written, or it is not sent.
pub(crate) fn guard(id: &ObjectId, patch: &Value) -> Result<(), PatchError> {
    conditional(id, patch)?;
    let out_of_bounds = |field: String| Err(PatchError::OutOfBounds { id: Box::new(id.clone()), field });
    if let Some(field) = keys(Some(patch)).into_iter().find(|key| FORBIDDEN.contains(key)) {
        return out_of_bounds(field.to_owned());
    }
    match keys(patch.get("metadata")).into_iter().find(|key| !METADATA.contains(key)) {
        Some(field) => out_of_bounds(format!("metadata.{field}")),
        None => Ok(()),
    }
}

fn keys(value: Option<&Value>) -> Vec<&str> {
    value.and_then(Value::as_object).into_iter().flat_map(Map::keys).map(String::as_str).collect()
}

fn conditional(id: &ObjectId, patch: &Value) -> Result<(), PatchError> {
    let given = |key: &str| patch.pointer(key).and_then(Value::as_str).is_some_and(|text| !text.is_empty());
    if given("/metadata/uid") && given("/metadata/resourceVersion") {
        Ok(())
    } else {
        Err(PatchError::Unconditional { id: Box::new(id.clone()) })
    }
}

fn failure(resource: &Resource, id: &ObjectId, source: RequestError) -> PatchError {
    match source {
        RequestError::Refused { refusal, .. } if refusal.code < 500 => {
            let error = refused(resource, id, *refusal);
            if id.is_secret() { error.without_words() } else { error }
        }
        RequestError::AskedToWait { left, .. } => PatchError::Throttled { id: Box::new(id.clone()), retry_after: Some(left) },
        source => PatchError::Unknown { id: Box::new(id.clone()), source },
    }
}

fn refused(resource: &Resource, id: &ObjectId, refusal: Refusal) -> PatchError {
    let id = Box::new(id.clone());
    let by_admission = refusal.message.contains("denied the request") || refusal.message.contains("denied request");
    let message = refusal.message;
    match refusal.code {
        _ if by_admission => PatchError::Denied { id, message },
        404 => PatchError::NotFound { id },
        409 => PatchError::Conflict { id },
        422 if refusal.causes.iter().any(|cause| cause.field == "metadata.uid") => PatchError::Replaced { id },
        422 if refusal.causes.iter().any(|cause| cause.message.contains("immutable")) || is_forbidden_update(&message) => {
            PatchError::Immutable { id, message }
        }
        422 => PatchError::Invalid { id, message },
        // Without the right, the server names the verb; all other 403 come from admission: quota, limits, Pod security.
        403 if message.contains(" cannot patch resource ") => {
            PatchError::Forbidden { id, resource: resource.to_string(), message }
        }
        403 => PatchError::Denied { id, message },
        401 => PatchError::Forbidden { id, resource: resource.to_string(), message },
        429 => PatchError::Throttled { id, retry_after: refusal.retry_after },
        _ => PatchError::Refused { id, message },
    }
}

/// Pods and `StatefulSet`s say it in other words.
fn is_forbidden_update(message: &str) -> bool {
    message.contains("updates to statefulset spec for fields other than")
        || message.contains("pod updates may not change fields other than")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_patch_without_preconditions_is_never_sent() {
        let id = ObjectId { api_version: "v1".into(), kind: "ConfigMap".into(), namespace: None, name: "a".into() };
        for patch in [
            json!({"data": {}}),
            json!({"metadata": {"uid": "u"}}),
            json!({"metadata": {"resourceVersion": "1"}}),
            json!({"metadata": {"uid": "", "resourceVersion": "1"}}),
            json!({"metadata": {"uid": "u", "resourceVersion": 1}}),
        ] {
            assert!(matches!(guard(&id, &patch), Err(PatchError::Unconditional { .. })), "{patch}");
        }
        assert!(guard(&id, &json!({"metadata": {"uid": "u", "resourceVersion": "1"}})).is_ok());
    }

    #[test]
    fn a_patch_of_what_is_never_written_is_never_sent() {
        let id = ObjectId { api_version: "v1".into(), kind: "ConfigMap".into(), namespace: None, name: "a".into() };
        let with = |mut patch: Value| {
            patch["metadata"]["uid"] = json!("u");
            patch["metadata"]["resourceVersion"] = json!("1");
            guard(&id, &patch)
        };
        for key in ["finalizers", "ownerReferences", "managedFields", "deletionTimestamp", "name", "namespace", "generation"] {
            let refused = with(json!({"metadata": {key: null}}));
            assert!(matches!(refused, Err(PatchError::OutOfBounds { .. })), "{key}: {refused:?}");
        }
        for key in ["status", "kind", "apiVersion"] {
            assert!(matches!(with(json!({key: null})), Err(PatchError::OutOfBounds { .. })), "{key}");
        }
        assert!(with(json!({"metadata": {"labels": {"a": null}, "annotations": null}, "data": {"status": "x"}})).is_ok());
    }
}
