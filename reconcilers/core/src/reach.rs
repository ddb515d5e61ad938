//! How far a change of an object reaches: the pods and objects that it owns, selects, configures or grants rights to, counted
//! among the objects that Git declares.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use crate::finding::Reach;
use crate::object::ObjectId;

/// The declared objects of a target, as far as they hang together.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Topology {
    workloads: BTreeMap<String, Vec<Workload>>,
    selectors: BTreeMap<String, Vec<(String, Value)>>,
    bindings: Vec<Binding>,
}

/// What starts pods.
#[derive(Debug, Clone, PartialEq)]
struct Workload {
    group: String,
    kind: String,
    name: String,
    pods: u32,
    labels: Map<String, Value>,
    /// Kind and name of what its pods are given.
    uses: BTreeSet<(&'static str, String)>,
}

/// Who gets the rights of a role.
#[derive(Debug, Clone, PartialEq)]
struct Binding {
    namespace: String,
    role: (String, String),
    /// Namespaces and names of service accounts.
    accounts: Vec<(String, String)>,
}

impl Topology {
    /// Of objects, each as it is, or as Git declares it where it is not seen.
    #[must_use]
    pub fn of<'a>(objects: impl Iterator<Item = (&'a ObjectId, &'a Value)>) -> Self {
        let mut topology = Self::default();
        for (id, value) in objects {
            // Most objects are neither, and there may be very many.
            let namespace = || id.namespace.clone().unwrap_or_default();
            match id.kind.as_str() {
                "Service" | "NetworkPolicy" | "PodDisruptionBudget" => {
                    let selectors = topology.selectors.entry(namespace()).or_default();
                    selectors.push((id.kind.clone(), selector(&id.kind, value)));
                }
                "RoleBinding" | "ClusterRoleBinding" => topology.bindings.push(binding(id, value)),
                _ => {
                    if let Some(workload) = workload(id, value) {
                        topology.workloads.entry(namespace()).or_default().push(workload);
                    }
                }
            }
        }
        topology
    }

    /// What a change of this object reaches.
    #[must_use]
    pub fn reach(&self, id: &ObjectId, value: &Value) -> Reach {
        let namespace = id.namespace.as_deref().unwrap_or_default();
        match (id.group(), id.kind.as_str()) {
            ("", "Service") | ("networking.k8s.io", "NetworkPolicy") | ("policy", "PodDisruptionBudget") => {
                let selector = selector(&id.kind, value);
                counted(self.in_namespace(namespace).filter(|workload| selects(&id.kind, &selector, &workload.labels)))
            }
            ("", kind @ ("ConfigMap" | "Secret" | "PersistentVolumeClaim" | "ServiceAccount")) => {
                counted(self.in_namespace(namespace).filter(|workload| workload.uses_object(kind, &id.name)))
            }
            ("", "ResourceQuota" | "LimitRange") => counted(self.in_namespace(namespace)),
            ("", "Namespace") => counted(self.in_namespace(&id.name)),
            ("rbac.authorization.k8s.io", "Role" | "ClusterRole") => {
                let role = (id.kind.clone(), id.name.clone());
                let is_its =
                    |binding: &&Binding| binding.role == role && (id.kind == "ClusterRole" || binding.namespace == namespace);
                let bindings: Vec<&Binding> = self.bindings.iter().filter(is_its).collect();
                let Reach { pods, objects } = self.granted(&bindings);
                Reach { pods, objects: objects + number(bindings.len()) }
            }
            ("rbac.authorization.k8s.io", "RoleBinding" | "ClusterRoleBinding") => self.granted(&[&binding(id, value)]),
            ("autoscaling", "HorizontalPodAutoscaler") => {
                let text = |pointer: &str| value.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
                let (kind, name) = (text("/spec/scaleTargetRef/kind"), text("/spec/scaleTargetRef/name"));
                counted(self.in_namespace(namespace).filter(|workload| workload.kind == kind && workload.name == name))
            }
            (group, kind) => self.of_workload(namespace, (group, kind, &id.name)),
        }
    }

    /// A workload reaches its own pods, and what selects these.
    fn of_workload(&self, namespace: &str, (group, kind, name): (&str, &str, &str)) -> Reach {
        let is_it = |workload: &&Workload| workload.group == group && workload.kind == kind && workload.name == name;
        let Some(workload) = self.in_namespace(namespace).find(is_it) else { return Reach::default() };
        let selectors = self.selectors.get(namespace).map_or(&[][..], Vec::as_slice);
        let selecting = selectors.iter().filter(|(kind, selector)| selects(kind, selector, &workload.labels));
        Reach { pods: workload.pods, objects: number(selecting.count()) }
    }

    fn in_namespace(&self, namespace: &str) -> impl Iterator<Item = &Workload> {
        self.workloads.get(namespace).into_iter().flatten()
    }

    /// The workloads that run as an account to which one of these gives rights.
    fn granted(&self, bindings: &[&Binding]) -> Reach {
        let accounts: BTreeSet<_> = bindings.iter().flat_map(|binding| &binding.accounts).collect();
        counted(accounts.into_iter().flat_map(|(namespace, name)| {
            self.in_namespace(namespace).filter(move |workload| workload.uses_object("ServiceAccount", name))
        }))
    }
}

impl Workload {
    fn uses_object(&self, kind: &str, name: &str) -> bool {
        self.uses.iter().any(|(used, named)| *used == kind && named == name)
    }
}

fn counted<'a>(workloads: impl Iterator<Item = &'a Workload>) -> Reach {
    workloads.fold(Reach::default(), |reach, workload| Reach {
        pods: reach.pods.saturating_add(workload.pods),
        objects: reach.objects.saturating_add(1),
    })
}

fn number(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

fn workload(id: &ObjectId, value: &Value) -> Option<Workload> {
    let count = |pointer: &str| value.pointer(pointer).and_then(Value::as_u64).and_then(|count| u32::try_from(count).ok());
    let (pod, pods) = match (id.group(), id.kind.as_str()) {
        ("apps", "Deployment" | "StatefulSet" | "ReplicaSet") | ("", "ReplicationController") => {
            ("/spec/template", count("/spec/replicas").unwrap_or(1))
        }
        ("apps", "DaemonSet") => ("/spec/template", count("/status/desiredNumberScheduled").unwrap_or(1)),
        ("batch", "Job") => ("/spec/template", count("/spec/parallelism").unwrap_or(1)),
        ("batch", "CronJob") => ("/spec/jobTemplate/spec/template", count("/spec/jobTemplate/spec/parallelism").unwrap_or(1)),
        ("", "Pod") => ("", 1),
        _ => return None,
    };
    let pod = value.pointer(pod)?;
    let labels = pod.pointer("/metadata/labels").and_then(Value::as_object).cloned().unwrap_or_default();
    let uses = uses(pod.get("spec")?);
    Some(Workload { group: id.group().to_owned(), kind: id.kind.clone(), name: id.name.clone(), pods, labels, uses })
}

/// What a pod is given: by volumes, by variables, and the account that it runs as.
fn uses(spec: &Value) -> BTreeSet<(&'static str, String)> {
    const NAMED: [(&str, &str, &str); 7] = [
        ("configMap", "name", "ConfigMap"),
        ("configMapRef", "name", "ConfigMap"),
        ("configMapKeyRef", "name", "ConfigMap"),
        ("secret", "secretName", "Secret"),
        ("secretRef", "name", "Secret"),
        ("secretKeyRef", "name", "Secret"),
        ("persistentVolumeClaim", "claimName", "PersistentVolumeClaim"),
    ];
    fn collect(value: &Value, found: &mut BTreeSet<(&'static str, String)>) {
        match value {
            Value::Object(fields) => {
                for (key, inner) in fields {
                    let named = NAMED.iter().filter(|(by, ..)| by == key);
                    found.extend(named.filter_map(|(_, name, kind)| Some((*kind, inner.get(*name)?.as_str()?.to_owned()))));
                    // A projected volume calls a Secret by `name`.
                    let projected = (key == "secret").then(|| inner.get("name")?.as_str()).flatten();
                    found.extend(projected.map(|name| ("Secret", name.to_owned())));
                    collect(inner, found);
                }
            }
            Value::Array(entries) => entries.iter().for_each(|entry| collect(entry, found)),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }
    let mut found = BTreeSet::new();
    collect(spec, &mut found);
    let account = spec.get("serviceAccountName").and_then(Value::as_str).unwrap_or("default");
    found.insert(("ServiceAccount", account.to_owned()));
    found
}

fn selector(kind: &str, value: &Value) -> Value {
    let at = match kind {
        "NetworkPolicy" => "/spec/podSelector",
        _ => "/spec/selector",
    };
    value.pointer(at).cloned().unwrap_or_default()
}

/// Whether a selector means a pod. A Service's is a plain map, and means nothing where it is empty; any other is a
/// `LabelSelector`, which means everything then.
fn selects(kind: &str, selector: &Value, labels: &Map<String, Value>) -> bool {
    let has = |(key, value): (&String, &Value)| labels.get(key) == Some(value);
    let Some(fields) = selector.as_object() else { return false };
    if kind == "Service" {
        return !fields.is_empty() && fields.iter().all(has);
    }
    let labels_match = fields.get("matchLabels").and_then(Value::as_object).is_none_or(|wanted| wanted.iter().all(has));
    let expressions = fields.get("matchExpressions").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    labels_match && expressions.iter().all(|expression| meets(expression, labels))
}

fn meets(expression: &Value, labels: &Map<String, Value>) -> bool {
    let text = |key: &str| expression.get(key).and_then(Value::as_str).unwrap_or_default();
    let values = expression.get("values").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let label = labels.get(text("key"));
    match text("operator") {
        "In" => label.is_some_and(|label| values.contains(label)),
        "NotIn" => !label.is_some_and(|label| values.contains(label)),
        "Exists" => label.is_some(),
        "DoesNotExist" => label.is_none(),
        _ => true,
    }
}

fn binding(id: &ObjectId, value: &Value) -> Binding {
    let text = |value: &Value, key: &str| value.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    let role = value.get("roleRef").map(|role| (text(role, "kind"), text(role, "name"))).unwrap_or_default();
    let subjects = value.get("subjects").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let accounts = subjects.iter().filter(|subject| text(subject, "kind") == "ServiceAccount");
    Binding {
        namespace: id.namespace.clone().unwrap_or_default(),
        role,
        accounts: accounts.map(|subject| (text(subject, "namespace"), text(subject, "name"))).collect(),
    }
}
