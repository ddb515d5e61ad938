//! What the server makes of Git's words where it refuses a create: the answer to a dry run of applying them to the live
//! object.
//!
//! A server-side apply keeps what others wrote and Git does not declare, so its answer proves what is declared and nothing
//! else. The rest of the expected value is the table's, as it would be without the answer.

use serde_json::{Map, Value};
use trueup_core::equal::entry_names;
use trueup_core::facts::{Desired, Live};
use trueup_core::secret;
use trueup_core::shape::{Merge, Shape, Types};

use crate::baseline::NoDryRun;
use crate::cluster::Cluster;
use crate::discovery::{Resource, Server};
use crate::normal;
use crate::request::{Call, RequestError, ask};
use crate::table::Table;

/// An apply that the server is to answer and not to carry out. There is no other kind of apply in trueup.
#[derive(Debug, Clone)]
pub(crate) struct DryRunApply {
    path: String,
    body: Value,
    is_secret: bool,
}

impl DryRunApply {
    /// The apply of a declared object (its id resolved) to the live one.
    ///
    /// # Errors
    /// If that is never tried for this kind.
    pub(crate) fn of(resource: &Resource, desired: &Desired, live: &Live) -> Result<Self, NoDryRun> {
        match resource.group.as_str() {
            _ if resource.server == Server::Aggregated => return Err(NoDryRun::Aggregated),
            _ if !resource.verbs.contains("patch") => return Err(NoDryRun::NoPatch),
            "rbac.authorization.k8s.io" => return Err(NoDryRun::Rbac),
            _ => {}
        }
        let body = without_nulls(normal::expected(&desired.id, desired.value.clone()));
        // Of the one name alone the server would say what somebody wrote at the other.
        let table = Table::load();
        let mut body = table.with_both_names(&table.root_shape(&desired.id), body);
        // Of an object that was replaced meanwhile, and of one that is gone, nothing is asked.
        if let (Some(metadata), Some(uid)) = (body.get_mut("metadata").and_then(Value::as_object_mut), &live.uid) {
            metadata.insert("uid".to_owned(), uid.clone().into());
        }
        let is_secret = desired.id.is_secret() || secret::is_within(&body);
        Ok(Self { path: resource.path(&desired.id), body, is_secret })
    }
}

/// Asks the server; nothing is applied.
///
/// # Errors
/// If the server refuses, or does not answer.
pub(crate) async fn ask_to_apply(cluster: &Cluster, apply: &DryRunApply) -> Result<Value, RequestError> {
    let answer = ask(cluster, Call::DryRunApply { path: &apply.path, body: &apply.body }).await;
    answer.map_err(|error: RequestError| if apply.is_secret { error.without_words() } else { error })
}

/// What is expected: of what Git declares the server's answer, else the table's word.
pub(crate) fn expected(types: &Types, shape: &Shape, (declared, answer, table): (&Value, &Value, &Value)) -> Value {
    match (declared, answer, table) {
        (Value::Object(declared), Value::Object(answer), Value::Object(table)) => {
            Value::Object(expected_fields(types, shape, (declared, answer, table)))
        }
        (Value::Array(declared), Value::Array(answer), Value::Array(table)) => {
            expected_entries(types, shape, (declared, answer, table))
        }
        (_, answer, _) => answer.clone(),
    }
}

type Fields = Map<String, Value>;

fn expected_fields(types: &Types, shape: &Shape, (declared, answer, table): (&Fields, &Fields, &Fields)) -> Fields {
    let mut fields = table.clone();
    for (key, value) in declared.iter().filter(|(_, value)| !value.is_null()) {
        let field = types.field(shape, key);
        match (answer.get(key), table.get(key)) {
            (Some(answer), Some(table)) => drop(fields.insert(key.clone(), expected(types, field, (value, answer, table)))),
            // The table drops a zero that the server keeps.
            (Some(answer), None) => drop(fields.insert(key.clone(), expected(types, field, (value, answer, value)))),
            (None, _) => drop(fields.remove(key)),
        }
    }
    fields
}

/// Others' entries stay in a keyed list and in a set, so only entries that Git declares are taken from the answer. The table's
/// entries are the declared ones in their order, with what it appends behind them.
fn expected_entries(types: &Types, shape: &Shape, (declared, answer, table): (&[Value], &[Value], &[Value])) -> Value {
    let (item, merge) = shape.entries();
    match merge {
        Merge::Keyed(keys) => {
            let (Some(names), Some(answered)) = (entry_names(table, keys), entry_names(answer, keys)) else {
                return table.into();
            };
            let entry = |(index, entry): (usize, &Value)| {
                let found = answered.iter().position(|name| *name == names[index]);
                match (found, declared.get(index)) {
                    (Some(at), Some(declared)) => expected(types, item, (declared, &answer[at], entry)),
                    _ => entry.clone(),
                }
            };
            table.iter().enumerate().map(entry).collect()
        }
        // One value, replaced as a whole: unless the list is keyed after all and somebody's entries stayed in it.
        Merge::Atomic if answer.len() == declared.len() => answer.into(),
        Merge::Set | Merge::Atomic => table.into(),
    }
}

/// To apply a null is to claim the field.
fn without_nulls(value: Value) -> Value {
    match value {
        Value::Object(fields) => {
            let kept = fields.into_iter().filter(|(_, value)| !value.is_null());
            kept.map(|(key, value)| (key, without_nulls(value))).collect()
        }
        Value::Array(entries) => entries.into_iter().map(without_nulls).collect(),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use trueup_core::object::ObjectId;

    fn service(declared: &Value, answer: &Value) -> Value {
        let id = ObjectId { api_version: "v1".into(), kind: "Service".into(), namespace: None, name: "a".into() };
        let table = Table::load();
        expected(table.types(), &table.root_shape(&id), (declared, answer, &table.expected(&id, declared)))
    }

    #[test]
    fn what_is_declared_is_the_servers_word_and_the_rest_the_tables() {
        let declared = json!({"spec": {"ports": [{"port": 80, "nodePort": 30080}], "type": "NodePort", "typo": 1}});
        let answer = json!({"spec": {"type": "NodePort", "sessionAffinity": "ClientIP", "externalIPs": ["1.2.3.4"], "ports": [
            {"port": 80, "protocol": "TCP", "targetPort": 9999, "nodePort": 30080},
            {"port": 81, "protocol": "TCP", "targetPort": 81}]}});
        let expected = service(&declared, &answer);
        // What others set and Git does not declare: their port, their affinity, their target port.
        assert_eq!(expected["spec"]["ports"], json!([{"port": 80, "protocol": "TCP", "targetPort": 80, "nodePort": 30080}]));
        assert_eq!(expected["spec"]["sessionAffinity"], "None");
        for absent in ["externalIPs", "typo"] {
            assert_eq!(expected["spec"].get(absent), None, "{absent}");
        }
    }

    #[test]
    fn a_declared_value_is_as_the_server_writes_it() {
        let declared =
            json!({"metadata": {"finalizers": ["a/b"]}, "spec": {"clusterIP": "fd00:0::1", "externalIPs": ["10.0.0.1"]}});
        let answer =
            json!({"metadata": {"finalizers": ["a/b", "c/d"]}, "spec": {"clusterIP": "fd00::1", "externalIPs": ["10.0.0.1"]}});
        let expected = service(&declared, &answer);
        assert_eq!(expected["spec"]["clusterIP"], "fd00::1");
        assert_eq!(expected["metadata"]["finalizers"], json!(["a/b"]), "another's entry in a set");
    }
}
