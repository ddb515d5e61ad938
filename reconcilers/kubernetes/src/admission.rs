//! What the answer to a dry run depends on beside the words of Git: so that an answer is kept for as long as it holds, and so
//! that nothing is asked where even a question has side effects.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use serde_json::Value;
use trueup_core::object::{ObjectId, is_built_in};
use trueup_core::seen::DigestKey;

use crate::baseline::NoDryRun;
use crate::cluster::Cluster;
use crate::discovery::{Catalog, Lookup, Resource, Server};
use crate::request::{Call, ask, escaped};

const GROUP: &str = "/apis/admissionregistration.k8s.io";

/// Which lists of other objects built-in admission reads when it completes an object of a kind. Its answers hold for as long
/// as these stay as they are.
const ADMISSION_READS: [(&str, &str, &[&str]); 3] = [
    (
        "",
        "Pod",
        &[
            "/api/v1/namespaces/{namespace}/limitranges",
            "/api/v1/namespaces/{namespace}/serviceaccounts",
            "/apis/scheduling.k8s.io/v1/priorityclasses",
            "/apis/node.k8s.io/v1/runtimeclasses",
        ],
    ),
    ("", "PersistentVolumeClaim", &["/apis/storage.k8s.io/v1/storageclasses"]),
    ("networking.k8s.io", "Ingress", &["/apis/networking.k8s.io/v1/ingressclasses"]),
];

/// The admission of a cluster, and the parts of it that an answer depends on.
#[derive(Debug)]
pub(crate) struct Admission {
    /// Configured admission that may change objects; `None` where it cannot be read.
    mutating: Option<Vec<Configured>>,
    /// Webhooks, mutating and validating, that have side effects even on a dry run.
    with_effects: Vec<Configured>,
    /// In which state other objects are; `None` where that cannot be read.
    states: BTreeMap<Dependency, Option<String>>,
}

/// Other objects that an answer depends on, by their path.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Dependency {
    /// Admission may select by its labels, and built-in admission reads its annotations.
    Namespace(String),
    /// The kind's own definition.
    Definition(String),
    /// Every object of a list.
    List(String),
}

/// One webhook or one policy.
#[derive(Debug)]
struct Configured {
    name: String,
    rules: Vec<Rule>,
    /// All that it says.
    text: String,
    /// A policy's parameters are objects of their own, which are not followed: answers are not kept.
    has_parameters: bool,
}

/// Which requests come before it (`RuleWithOperations`).
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Rule {
    api_groups: Vec<String>,
    operations: Vec<String>,
    resources: Vec<String>,
}

impl Admission {
    /// Reads what the answers about these kinds and namespaces depend on.
    pub(crate) async fn read(cluster: &Cluster, catalog: &Catalog, asked: &BTreeSet<(&Resource, Option<&str>)>) -> Self {
        let list = async |version: &str, plural: &str| items(cluster, &format!("{GROUP}/{version}/{plural}")).await;
        let policies = async {
            match policy_version(catalog) {
                None => Some((Vec::new(), Vec::new())),
                Some(version) => {
                    let (policies, bindings) = futures::join!(
                        list(version, "mutatingadmissionpolicies"),
                        list(version, "mutatingadmissionpolicybindings")
                    );
                    Some((policies?, bindings?))
                }
            }
        };
        let others: BTreeSet<Dependency> =
            asked.iter().flat_map(|(resource, namespace)| depends_on(resource, *namespace)).collect();
        let states = futures::future::join_all(others.iter().map(|other| state(cluster, other)));
        let (mutating, validating, policies, states) = futures::join!(
            list("v1", "mutatingwebhookconfigurations"),
            list("v1", "validatingwebhookconfigurations"),
            policies,
            states
        );
        let configurations = mutating.iter().chain(&validating).flatten();
        let with_effects = configurations.flat_map(webhooks).filter(|(_, has_effects)| *has_effects).map(|(it, _)| it).collect();
        let mutating = mutating.zip(policies).map(|(configurations, (policies, bindings))| {
            let webhooks = configurations.iter().flat_map(webhooks).map(|(webhook, _)| webhook);
            webhooks.chain(policies.iter().map(|policy| Configured::policy(policy, &bindings))).collect()
        });
        Self { mutating, with_effects, states: others.iter().cloned().zip(states).collect() }
    }

    /// Whether this kind may be asked about.
    ///
    /// # Errors
    /// If a webhook that would be called has side effects even on a dry run.
    pub(crate) fn permits(&self, resource: &Resource) -> Result<(), NoDryRun> {
        match self.with_effects.iter().find(|webhook| webhook.concerns(resource)) {
            Some(webhook) => Err(NoDryRun::SideEffects(webhook.name.clone())),
            None => Ok(()),
        }
    }

    /// The webhooks and policies that may rewrite an object of this kind, by name; none where they cannot be read.
    pub(crate) fn rewriters(&self, resource: &Resource) -> Vec<String> {
        let concerned = self.mutating.iter().flatten().filter(|one| one.concerns(resource));
        let names: BTreeSet<&String> = concerned.map(|one| &one.name).collect();
        names.into_iter().cloned().collect()
    }

    /// A digest of everything beside the words that an answer about this kind in this namespace depends on; `None` where some
    /// of it cannot be seen, so that the answer holds for this moment only.
    pub(crate) fn digest(&self, resource: &Resource, namespace: Option<&str>) -> Option<String> {
        let concerned: Vec<&Configured> = self.mutating.as_ref()?.iter().filter(|one| one.concerns(resource)).collect();
        if concerned.iter().any(|one| one.has_parameters) {
            return None;
        }
        let states: Vec<&str> =
            depends_on(resource, namespace).iter().map(|other| self.states.get(other)?.as_deref()).collect::<Option<_>>()?;
        let parts: Vec<&str> = concerned.iter().map(|one| one.text.as_str()).chain(states).collect();
        Some(DigestKey::new(b"trueup.admission").hex(&parts))
    }
}

impl Configured {
    fn policy(policy: &Value, bindings: &[Value]) -> Self {
        let name = policy["metadata"]["name"].as_str().unwrap_or_default();
        let bound: Vec<String> =
            bindings.iter().map(|binding| &binding["spec"]).filter(|it| it["policyName"] == name).map(Value::to_string).collect();
        Self {
            name: name.to_owned(),
            rules: rules(&policy["spec"]["matchConstraints"]["resourceRules"]),
            text: format!("{}{}", policy["spec"], bound.concat()),
            has_parameters: policy["spec"].get("paramKind").is_some_and(|kind| !kind.is_null()),
        }
    }

    /// Whether a create or a change of this kind may come before it. Its versions and selectors are not looked at: rather too
    /// much is thought concerned than too little.
    fn concerns(&self, resource: &Resource) -> bool {
        let is_named = |name: &String| {
            let plural = name.split_once('/').map_or(name.as_str(), |(plural, _)| plural);
            plural == "*" || plural == resource.plural
        };
        let is_asked = |operation: &String| ["*", "CREATE", "UPDATE"].contains(&operation.as_str());
        self.rules.iter().any(|rule| {
            rule.api_groups.iter().any(|group| group == "*" || *group == resource.group)
                && rule.resources.iter().any(is_named)
                && rule.operations.iter().any(is_asked)
        })
    }
}

/// The webhooks of a configuration, and whether each has side effects even on a dry run.
fn webhooks(configuration: &Value) -> Vec<(Configured, bool)> {
    let webhooks = configuration["webhooks"].as_array().into_iter().flatten();
    let read = |webhook: &Value| {
        let configured = Configured {
            name: webhook["name"].as_str().unwrap_or_default().to_owned(),
            rules: rules(&webhook["rules"]),
            text: webhook.to_string(),
            has_parameters: false,
        };
        (configured, !matches!(webhook["sideEffects"].as_str(), Some("None" | "NoneOnDryRun")))
    };
    webhooks.map(read).collect()
}

/// Rules that cannot be read concern everything.
fn rules(value: &Value) -> Vec<Rule> {
    let all = || vec!["*".to_owned()];
    Vec::deserialize(value).unwrap_or_else(|_| vec![Rule { api_groups: all(), operations: all(), resources: all() }])
}

fn policy_version(catalog: &Catalog) -> Option<&'static str> {
    let is_served = |version: &&str| {
        let id = ObjectId {
            api_version: format!("admissionregistration.k8s.io/{version}"),
            kind: "MutatingAdmissionPolicy".to_owned(),
            namespace: None,
            name: String::new(),
        };
        matches!(catalog.find(&id), Lookup::Served(_))
    };
    ["v1", "v1beta1", "v1alpha1"].into_iter().find(is_served)
}

/// The objects that answers about this kind in this namespace depend on.
fn depends_on(resource: &Resource, namespace: Option<&str>) -> Vec<Dependency> {
    let namespace = namespace.map(escaped);
    let lists = ADMISSION_READS.iter().filter(|(group, kind, _)| resource.group == *group && resource.kind == *kind);
    let here = |path: &&str| Dependency::List(path.replace("{namespace}", namespace.as_deref().unwrap_or_default()));
    let mut all: Vec<Dependency> = lists.flat_map(|(_, _, paths)| paths.iter().map(here)).collect();
    all.extend(namespace.as_ref().map(|name| Dependency::Namespace(format!("/api/v1/namespaces/{name}"))));
    if resource.server == Server::Local && !is_built_in(&resource.group) {
        all.push(Dependency::Definition(format!("/apis/apiextensions.k8s.io/v1/customresourcedefinitions/{resource}")));
    }
    all
}

async fn state(cluster: &Cluster, dependency: &Dependency) -> Option<String> {
    let told = |object: &Value, keys: &[&str]| keys.iter().map(|key| object["metadata"][key].to_string()).collect::<String>();
    let one = async |path: &str| ask::<Value>(cluster, Call::Metadata { path }).await.ok();
    match dependency {
        Dependency::Namespace(path) => Some(told(&one(path).await?, &["uid", "labels", "annotations"])),
        Dependency::Definition(path) => Some(told(&one(path).await?, &["uid", "generation"])),
        Dependency::List(path) => {
            let list: Value = ask(cluster, Call::ListMetadata { path }).await.ok()?;
            Some(list["items"].as_array()?.iter().map(|item| told(item, &["uid", "resourceVersion"])).collect())
        }
    }
}

/// All items of a list; `None` where it cannot be read.
async fn items(cluster: &Cluster, path: &str) -> Option<Vec<Value>> {
    #[derive(Deserialize)]
    struct List {
        items: Option<Vec<Value>>,
    }
    match ask::<List>(cluster, Call::Get { path }).await {
        Ok(list) => Some(list.items.unwrap_or_default()),
        Err(error) => {
            tracing::debug!(%error, "what the answers to dry runs depend on is not known");
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::discovery::{Scaling, Scope};
    use serde_json::json;

    fn resource(group: &str, kind: &str, plural: &str) -> Resource {
        Resource {
            group: group.into(),
            version: "v1".into(),
            kind: kind.into(),
            plural: plural.into(),
            scope: Scope::Namespaced,
            verbs: BTreeSet::new(),
            scaling: Scaling::Fixed,
            server: Server::Local,
        }
    }

    fn configuration(side_effects: &Value, groups: &[&str], resources: &[&str], operations: &[&str]) -> Value {
        json!({"webhooks": [{"name": "hook.example.com", "sideEffects": side_effects,
            "rules": [{"apiGroups": groups, "apiVersions": ["*"], "resources": resources, "operations": operations}]}]})
    }

    fn admission(configuration: &Value) -> Admission {
        let with_effects =
            webhooks(configuration).into_iter().filter(|(_, has_effects)| *has_effects).map(|(it, _)| it).collect();
        let mutating = Some(webhooks(configuration).into_iter().map(|(webhook, _)| webhook).collect());
        Admission { mutating, with_effects, states: namespace(Some("labels")) }
    }

    fn namespace(state: Option<&str>) -> BTreeMap<Dependency, Option<String>> {
        BTreeMap::from([(Dependency::Namespace("/api/v1/namespaces/n".to_owned()), state.map(str::to_owned))])
    }

    #[test]
    fn nothing_is_asked_where_a_webhook_has_side_effects() {
        let widgets = resource("example.com", "Widget", "widgets");
        let permits = |side_effects: Value, groups: &[&str], resources: &[&str], operations: &[&str]| {
            admission(&configuration(&side_effects, groups, resources, operations)).permits(&widgets).is_ok()
        };
        for harmless in ["None", "NoneOnDryRun"] {
            assert!(permits(harmless.into(), &["example.com"], &["widgets"], &["CREATE"]), "{harmless}");
        }
        for harmful in [json!("Some"), json!("Unknown"), Value::Null] {
            assert!(!permits(harmful.clone(), &["example.com"], &["widgets"], &["CREATE"]), "{harmful}");
            assert!(!permits(harmful.clone(), &["*"], &["*/*"], &["*"]), "{harmful}");
            assert!(!permits(harmful.clone(), &["*"], &["widgets/*"], &["UPDATE"]), "an apply is an update");
            assert!(permits(harmful.clone(), &["other.com"], &["*"], &["*"]), "another group");
            assert!(permits(harmful.clone(), &["*"], &["gadgets"], &["*"]), "another kind");
            assert!(permits(harmful, &["*"], &["*"], &["DELETE"]), "another operation");
        }
        let odd = json!({"webhooks": [{"name": "h", "rules": "none"}]});
        assert!(admission(&odd).permits(&widgets).is_err(), "rules that cannot be read concern everything");
    }

    #[test]
    fn an_answer_holds_for_as_long_as_its_admission() {
        let maps = resource("", "ConfigMap", "configmaps");
        let digest = |admission: &Admission| admission.digest(&maps, Some("n"));
        let none = admission(&json!({"webhooks": []}));
        let elsewhere = admission(&configuration(&json!("None"), &["apps"], &["*"], &["CREATE"]));
        let here = admission(&configuration(&json!("None"), &[""], &["*"], &["CREATE"]));
        let otherwise = admission(&configuration(&json!("NoneOnDryRun"), &[""], &["*"], &["CREATE"]));
        assert!(digest(&none).is_some());
        assert_eq!(digest(&none), digest(&elsewhere));
        assert_ne!(digest(&none), digest(&here));
        assert_ne!(digest(&here), digest(&otherwise));
        let relabelled = Admission { states: namespace(Some("x")), ..none };
        assert_ne!(digest(&relabelled), digest(&elsewhere));
        let unseen = Admission { mutating: None, ..elsewhere };
        assert_eq!(digest(&unseen), None);
        let no_namespace = Admission { states: namespace(None), ..here };
        assert_eq!(digest(&no_namespace), None);
    }

    #[test]
    fn what_may_rewrite_an_object_is_named_by_its_rules() {
        let maps = resource("", "ConfigMap", "configmaps");
        let of = |groups: &[&str], operations: &[&str]| {
            admission(&configuration(&json!("None"), groups, &["configmaps"], operations)).rewriters(&maps)
        };
        assert_eq!(of(&[""], &["UPDATE"]), ["hook.example.com"]);
        assert!(of(&["apps"], &["UPDATE"]).is_empty(), "another group");
        assert!(of(&[""], &["DELETE"]).is_empty(), "another operation");
    }

    #[test]
    fn answers_that_depend_on_a_policys_parameters_are_not_kept() {
        let policy = |spec: Value| {
            let rule = json!({"apiGroups": [""], "resources": ["configmaps"], "operations": ["CREATE"]});
            let mut policy = json!({"metadata": {"name": "p"}, "spec": {"matchConstraints": {"resourceRules": [rule]}}});
            policy["spec"].as_object_mut().expect("an object").extend(spec.as_object().expect("an object").clone());
            Configured::policy(&policy, &[json!({"spec": {"policyName": "p"}})])
        };
        let of = |configured| Admission { mutating: Some(vec![configured]), ..admission(&json!({"webhooks": []})) };
        let maps = resource("", "ConfigMap", "configmaps");
        assert!(of(policy(json!({"mutations": []}))).digest(&maps, Some("n")).is_some());
        assert_eq!(of(policy(json!({"paramKind": {"kind": "ConfigMap"}}))).digest(&maps, Some("n")), None);
    }
}
