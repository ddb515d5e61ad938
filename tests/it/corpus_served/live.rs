//! The objects on the server: read, edited and put back by plain calls.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::api::{Api, Kinds, list, path_of, text};
use super::call::Call;
use super::ground::Ground;
use super::judge::changes;
use super::objects::{Object, label};
use super::schema::Schemas;

/// The server and what it serves.
pub struct Live<'a> {
    pub api: &'a Api,
    pub ground: &'a Ground,
    pub kinds: Kinds,
}

/// The live form of all these objects, by label.
pub fn snapshot(live: &Live<'_>, objects: &[Object]) -> BTreeMap<String, Value> {
    let wanted: BTreeSet<String> = objects.iter().map(|object| label(&object.value)).collect();
    let kinds: BTreeSet<(String, String)> =
        objects.iter().map(|object| (text(&object.value["apiVersion"]), text(&object.value["kind"]))).collect();
    let mut found = BTreeMap::new();
    for (api_version, kind) in kinds {
        let root = if api_version.contains('/') { "/apis" } else { "/api" };
        let plural = &live.kinds[&(api_version.clone(), kind.clone())].plural;
        for mut item in list(&live.api.get(&format!("{root}/{api_version}/{plural}")).body["items"]) {
            item["apiVersion"] = api_version.clone().into();
            item["kind"] = kind.clone().into();
            found.insert(label(&item), item);
        }
    }
    found.retain(|key, _| wanted.contains(key));
    found
}

impl Live<'_> {
    /// An object as it is now.
    pub fn read(&self, object: &Value) -> Option<Value> {
        let reply = self.api.get(&path_of(&self.kinds, object)?);
        reply.is_ok().then_some(reply.body)
    }

    /// Makes an edit; returns the object as admitted, or `None` where the server refuses it.
    pub fn perform(&self, call: &Call, object: &Value) -> Option<Value> {
        let path = path_of(&self.kinds, object)?;
        let reply = match call {
            Call::Patch(content_type, body) => self.api.call("PATCH", &path, content_type, Some(body)),
            Call::Put(body) => self.api.call("PUT", &path, "application/json", Some(body)),
            Call::Kubectl(arguments) => {
                let named = self.named(object);
                let arguments: Vec<&str> =
                    arguments.iter().map(|argument| if argument == "OBJECT" { &named } else { argument.as_str() }).collect();
                if !self.kubectl(object, &arguments, "true") {
                    return None;
                }
                self.api.get(&path)
            }
            Call::Editor(expression) => {
                if !self.kubectl(object, &["edit", &self.named(object)], &format!("sed -i {expression}")) {
                    return None;
                }
                self.api.get(&path)
            }
        };
        reply.is_ok().then_some(reply.body)
    }

    /// `deployments.v1.apps/web`
    fn named(&self, object: &Value) -> String {
        let api_version = text(&object["apiVersion"]);
        let plural = &self.kinds[&(api_version.clone(), text(&object["kind"]))].plural;
        let name = text(&object["metadata"]["name"]);
        match api_version.split_once('/') {
            Some((group, version)) => format!("{plural}.{version}.{group}/{name}"),
            None => format!("{plural}/{name}"),
        }
    }

    fn kubectl(&self, object: &Value, arguments: &[&str], editor: &str) -> bool {
        let mut command = Command::new(self.ground.accounts[0].1.kubectl_program());
        command.args(arguments).env("KUBE_EDITOR", editor);
        if let Some(namespace) = object["metadata"]["namespace"].as_str() {
            command.args(["-n", namespace]);
        }
        command.output().unwrap().status.success()
    }

    /// Makes an object again what it was; where the server does not take that, anew from Git's words.
    pub fn put_back(&self, schemas: &Schemas, before: &Value, now: Option<&Value>, declared: &Value) {
        let path = path_of(&self.kinds, before).unwrap();
        if let Some(now) = now {
            if changes(schemas, before, now).is_empty() {
                return;
            }
            // A PUT would take from the volume binder what it has written, own what the server has allocated, and bring no
            // owners back: these are made anew.
            let kind = text(&before["kind"]);
            let is_allocated = kind == "Service" || kind == "Pod" || kind.starts_with("PersistentVolume");
            let mut wanted = before.clone();
            wanted["metadata"]["resourceVersion"] = self.api.get(&path).body["metadata"]["resourceVersion"].clone();
            let put = self.api.call("PUT", &path, "application/json", Some(&wanted));
            if !is_allocated && is_tracked(now) && put.is_ok() && changes(schemas, before, &put.body).is_empty() {
                return;
            }
            assert_ne!(before["kind"], "CustomResourceDefinition", "{path} is not put back: {}", put.body);
        }
        let free = json!({"metadata": {"finalizers": null}});
        let at_once = json!({"gracePeriodSeconds": 0, "propagationPolicy": "Background"});
        let end = Instant::now() + Duration::from_secs(30);
        while self.api.get(&path).status != 404 {
            // In this order: nothing that is being deleted gets a finalizer back.
            self.api.call("DELETE", &path, "application/json", Some(&at_once));
            self.api.call("PATCH", &path, "application/merge-patch+json", Some(&free));
            assert!(Instant::now() < end, "{path} is not deleted");
        }
        let collection = path.rsplit_once('/').unwrap().0;
        let made = self.api.call("POST", collection, "application/json", Some(declared));
        assert!(made.is_ok(), "{path}: {}", made.body);
    }
}

/// Whether the server notes who wrote what of an object.
pub fn is_tracked(object: &Value) -> bool {
    object["metadata"]["managedFields"].as_array().is_some_and(|entries| !entries.is_empty())
}
