//! An API server: objects with uid and version, merge patches under preconditions, admission, requests under way.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};
use trueup_core::object::ObjectId;
use trueup_core::run::RunId;

use super::actor::schemas;
use super::mutations::Mutation;
use super::world::{Objects, Weather, expected};
use crate::judge::leaves;

#[derive(Debug, Clone, PartialEq)]
pub struct Object {
    pub id: ObjectId,
    pub value: Value,
    pub uid: String,
    pub version: u64,
    pub deleting: bool,
    /// The paths whose values are the program's by `metadata.managedFields`: nobody else has changed them since.
    pub ours: BTreeSet<String>,
}

/// A merge patch as it is sent, with the run that sends it: of that the server knows nothing.
#[derive(Debug, Clone)]
pub struct Write {
    pub run: RunId,
    pub object: ObjectId,
    pub body: Value,
    /// How many records were durable when it was sent.
    pub durable: u64,
}

/// A write that the server took.
#[derive(Debug, Clone)]
pub struct Accepted {
    pub write: Write,
    pub before: Object,
    pub after: Object,
}

#[derive(Debug, Clone)]
pub enum Reply {
    Taken(Object),
    /// 409, or 422 on the uid, or 404.
    Conflict(String),
    /// 422 of admission.
    Denied(String),
    /// 429
    TooMany,
    /// None came.
    Lost,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admission {
    None,
    /// No patch that touches the level is admitted.
    DeniesLevel,
    /// Each patch makes the level this.
    RewritesLevel(i64),
}

/// What a list gave.
#[derive(Debug, Clone)]
pub struct Listed {
    pub objects: Vec<Object>,
    /// The kinds that could not be listed.
    pub unlisted: BTreeSet<String>,
}

#[derive(Debug, Clone)]
pub struct Server {
    pub objects: BTreeMap<ObjectId, Object>,
    pub admission: Admission,
    /// When they land, in true seconds.
    pub under_way: Vec<(i64, Write)>,
    pub accepted: Vec<Accepted>,
    /// Deletes and creates that were asked for by the actor.
    pub deleted: Vec<ObjectId>,
    earlier: Vec<Object>,
    versions: u64,
}

impl Server {
    pub fn with(desired: &Objects) -> Self {
        let mut server = Self {
            objects: BTreeMap::new(),
            admission: Admission::None,
            under_way: Vec::new(),
            accepted: Vec::new(),
            deleted: Vec::new(),
            earlier: Vec::new(),
            versions: 0,
        };
        for (id, value) in desired {
            server.create(id, expected(value));
        }
        server.remember();
        server
    }

    /// Somebody creates an object: a uid that was never there.
    pub fn create(&mut self, id: &ObjectId, value: Value) {
        self.versions += 1;
        let object = Object {
            id: id.clone(),
            value,
            uid: format!("u{}", self.versions),
            version: self.versions,
            deleting: false,
            ours: BTreeSet::new(),
        };
        self.objects.insert(id.clone(), object);
    }

    /// Somebody else writes.
    pub fn edit(&mut self, id: &ObjectId, change: impl FnOnce(&mut Object)) {
        if let Some(object) = self.objects.get_mut(id) {
            let before = object.clone();
            change(object);
            if *object != before {
                self.versions += 1;
                object.version = self.versions;
                let changed = changed(&before.value, &object.value);
                object.ours.retain(|path| !changed.contains_key(path));
            }
        }
    }

    /// What a stale list will show.
    pub fn remember(&mut self) {
        self.earlier = self.objects.values().cloned().collect();
    }

    pub fn list(&self, weather: &Weather) -> Listed {
        let mut objects = if weather.stale_lists { self.earlier.clone() } else { self.objects.values().cloned().collect() };
        objects.retain(|object| weather.unlisted != Some(object.id.kind.as_str()));
        Listed { objects, unlisted: weather.unlisted.iter().map(|kind| (*kind).to_owned()).collect() }
    }

    /// What would come of a write now.
    pub fn judge(&self, write: &Write, broken: Option<Mutation>) -> Reply {
        let Some(object) = self.objects.get(&write.object) else { return Reply::Conflict("not found".to_owned()) };
        let given = |key: &str| write.body["metadata"].get(key).and_then(Value::as_str);
        let checks = broken != Some(Mutation::ServerIgnoresVersions);
        if checks && given("uid").is_some_and(|uid| uid != object.uid) {
            return Reply::Conflict("another uid".to_owned());
        }
        if checks && given("resourceVersion").is_some_and(|version| version != object.version.to_string()) {
            return Reply::Conflict("another version".to_owned());
        }
        let mut body = write.body.clone();
        if let Some(fields) = body.as_object_mut() {
            fields.remove("metadata");
        }
        let mut after = object.clone();
        json_patch::merge(&mut after.value, &body);
        match self.admission {
            Admission::DeniesLevel if body.pointer("/spec/level").is_some() => {
                return Reply::Denied("the level is not to be changed".to_owned());
            }
            Admission::RewritesLevel(level) if after.value.get("spec").is_some() => after.value["spec"]["level"] = json!(level),
            Admission::None | Admission::DeniesLevel | Admission::RewritesLevel(_) => {}
        }
        after.version = self.versions + u64::from(after.value != object.value);
        for (path, is_there) in changed(&object.value, &after.value) {
            if is_there {
                after.ours.insert(path)
            } else {
                after.ours.remove(&path)
            };
        }
        Reply::Taken(after)
    }

    /// Carries a write out.
    pub fn take(&mut self, write: &Write, broken: Option<Mutation>) -> Reply {
        let reply = self.judge(write, broken);
        if let (Reply::Taken(after), Some(before)) = (&reply, self.objects.get(&write.object)) {
            self.accepted.push(Accepted { write: write.clone(), before: before.clone(), after: after.clone() });
            self.versions = self.versions.max(after.version);
            self.objects.insert(write.object.clone(), after.clone());
        }
        reply
    }

    /// Carries out what was under way until then.
    pub fn land(&mut self, until: i64, broken: Option<Mutation>) {
        let (due, later) = std::mem::take(&mut self.under_way).into_iter().partition(|(due, _)| *due <= until);
        self.under_way = later;
        let mut due: Vec<(i64, Write)> = due;
        due.sort_by_key(|(at, _)| *at);
        for (_, write) in due {
            self.take(&write, broken);
        }
    }
}

/// The paths at which two values differ, each with whether the second one has a value there.
fn changed(before: &Value, after: &Value) -> BTreeMap<String, bool> {
    let [spec, data] = schemas();
    let schema = if after.get("data").is_some() { data } else { spec };
    let (old, new) = (leaves(&schema, before).leaves, leaves(&schema, after).leaves);
    let all: BTreeSet<_> = old.keys().chain(new.keys()).collect();
    let differ = all.into_iter().filter(|leaf| old.get(*leaf) != new.get(*leaf));
    let is_value = |leaf: &Vec<String>| new.get(leaf).is_some_and(|value| value != "{}");
    differ.map(|leaf| (leaf.concat(), is_value(leaf))).collect()
}
