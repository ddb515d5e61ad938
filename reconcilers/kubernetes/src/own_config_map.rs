//! The one object that trueup writes for itself: a `ConfigMap` that somebody made for it, with short texts by key. It is never
//! created here.

use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize;
use serde_json::{Value, json};

use crate::cluster::Cluster;
use crate::request::{Call, Effect, RequestError, ask, escaped};

/// Which `ConfigMap` is trueup's own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnConfigMap {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
}

/// The texts that the `ConfigMap` holds, by key.
pub type Texts = BTreeMap<String, String>;

#[derive(Deserialize)]
struct Object {
    #[serde(default)]
    data: Texts,
}

impl OwnConfigMap {
    /// Reads `NAMESPACE/NAME`; `None` where the text is no such name.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (namespace, name) = text.split_once('/')?;
        let is_name = |name: &str| {
            let is_known = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-' || byte == b'.';
            (1..=253).contains(&name.len()) && name.bytes().all(is_known) && !name.starts_with('.')
        };
        (is_name(namespace) && is_name(name)).then(|| Self { namespace: namespace.to_owned(), name: name.to_owned() })
    }

    fn path(&self) -> String {
        format!("/api/v1/namespaces/{}/configmaps/{}", escaped(&self.namespace), escaped(&self.name))
    }
}

impl fmt::Display for OwnConfigMap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

/// What it holds.
///
/// # Errors
/// If it cannot be read, or is not there.
pub async fn read(cluster: &Cluster, place: &OwnConfigMap) -> Result<Texts, RequestError> {
    let object: Object = ask(cluster, Call::Get { path: &place.path() }).await?;
    Ok(object.data)
}

/// Puts some texts into it, and takes others out.
///
/// # Errors
/// If the server refuses, or does not answer.
pub async fn write(
    cluster: &Cluster,
    place: &OwnConfigMap,
    texts: &BTreeMap<String, Option<String>>,
) -> Result<(), RequestError> {
    let body = json!({ "data": texts });
    let _written: Value = ask(cluster, Call::MergePatch { path: &place.path(), body: &body, effect: Effect::Real }).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_a_namespace_and_a_name() {
        let place = OwnConfigMap::parse("trueup-system/trueup-head").expect("a place");
        assert_eq!(place.path(), "/api/v1/namespaces/trueup-system/configmaps/trueup-head");
        assert_eq!(OwnConfigMap::parse(&place.to_string()), Some(place));
        for text in ["", "a", "/a", "a/", "a/b/c", "a/../b", "A/b", "a b/c", "a/b?dryRun=All"] {
            assert_eq!(OwnConfigMap::parse(text), None, "{text}");
        }
    }
}
