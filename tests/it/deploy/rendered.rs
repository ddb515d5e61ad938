//! What the manifests say, read from what kustomize makes of them.

use std::collections::BTreeSet;
use std::path::Path;

use serde::Deserialize;
use serde_json::Value;
use trueup::config::{Overrides, load};

use super::{kubectl, rendered};

const FOLDERS: [&str; 5] = ["base", "loop", "cron", "baseline", "example"];
/// Groups whose objects decide who may do what.
const POWER: [&str; 4] =
    ["admissionregistration.k8s.io", "apiextensions.k8s.io", "apiregistration.k8s.io", "rbac.authorization.k8s.io"];

pub(super) fn objects(text: &str) -> Vec<Value> {
    serde_yaml::Deserializer::from_str(text)
        .map(|document| Value::deserialize(document).expect("kustomize prints YAML"))
        .collect()
}

fn of_kind<'a>(objects: &'a [Value], kind: &'a str) -> impl Iterator<Item = &'a Value> {
    objects.iter().filter(move |object| object["kind"] == kind)
}

fn only<'a>(objects: &'a [Value], kind: &'a str) -> &'a Value {
    let found: Vec<_> = of_kind(objects, kind).collect();
    assert_eq!(found.len(), 1, "{kind}: {found:?}");
    found[0]
}

fn texts(value: &Value) -> Vec<&str> {
    value.as_array().into_iter().flatten().map(|item| item.as_str().expect("a list of texts")).collect()
}

/// Every rule of every role: the role, a group, a resource, a verb.
pub(super) fn grants(objects: &[Value]) -> Vec<(&Value, &str, &str, &str)> {
    let all = of_kind(objects, "ClusterRole").chain(of_kind(objects, "Role"));
    let rules = all.flat_map(|role| role["rules"].as_array().into_iter().flatten().map(move |rule| (role, rule)));
    let mut grants = Vec::new();
    for (role, rule) in rules {
        assert!(rule.get("nonResourceURLs").is_none(), "{rule}");
        for group in texts(&rule["apiGroups"]) {
            for resource in texts(&rule["resources"]) {
                grants.extend(texts(&rule["verbs"]).into_iter().map(|verb| (role, group, resource, verb)));
            }
        }
    }
    grants
}

/// To write the one object that is trueup's own, and nothing else.
fn is_own_head(role: &Value) -> bool {
    let own = serde_json::json!([{"apiGroups": [""], "resources": ["configmaps"], "resourceNames": ["trueup-head"], "verbs": ["patch"]}]);
    role["metadata"]["name"] == "trueup-head" && role["metadata"]["namespace"] == "trueup-system" && role["rules"] == own
}

#[test]
fn each_right_is_named_and_none_leads_to_more() {
    let Some(kubectl) = kubectl() else { return };
    for folder in FOLDERS {
        let objects = objects(&rendered(&kubectl, folder));
        let grants = grants(&objects);
        assert!(!grants.is_empty(), "{folder}");
        for (role, group, resource, verb) in grants {
            let right = format!("{folder}: {} may {verb} {resource} in `{group}`", role["metadata"]["name"]);
            let label = |name: &str| role["metadata"]["labels"][name] == "true";
            assert!(!group.contains('*') && !resource.contains(['*', '/']), "{right}");
            assert_ne!(resource, "secrets", "{right}");
            match verb {
                "get" | "list" => assert!(label("trueup.dev/observe"), "{right}"),
                "patch" if role["kind"] == "Role" => assert!(is_own_head(role), "{right}"),
                "patch" => assert!(role["metadata"]["name"] == "trueup-correct" && resource != "networkpolicies", "{right}"),
                "create" => assert!(label("trueup.dev/baseline"), "{right}"),
                _ => panic!("{right}"),
            }
            assert!(matches!(verb, "get" | "list") || !POWER.contains(&group), "{right}");
        }
    }
}

#[test]
fn a_dry_run_is_possible_for_what_is_seen_and_only_for_that() {
    let Some(kubectl) = kubectl() else { return };
    let objects = objects(&rendered(&kubectl, "example"));
    let with = |wanted: &str| -> BTreeSet<(String, String)> {
        let grants = grants(&objects).into_iter().filter(|(_, group, _, verb)| *verb == wanted && !POWER.contains(group));
        grants.map(|(_, group, resource, _)| (group.to_owned(), resource.to_owned())).collect()
    };
    assert_eq!(with("create"), with("list"));
    assert_eq!(with("get"), with("list"));
    assert!(with("patch").is_subset(&with("get")));
}

#[test]
fn every_role_that_is_bound_is_bound_to_trueup_alone() {
    let Some(kubectl) = kubectl() else { return };
    let objects = objects(&rendered(&kubectl, "example"));
    let user = "system:serviceaccount:trueup-system:trueup";
    let mut bound = BTreeSet::new();
    for binding in of_kind(&objects, "ClusterRoleBinding").chain(of_kind(&objects, "RoleBinding")) {
        let role = &binding["roleRef"]["name"];
        let kind = binding["roleRef"]["kind"].as_str().unwrap_or_default();
        assert!(of_kind(&objects, kind).any(|found| found["metadata"]["name"] == *role), "{binding}");
        let subject = &binding["subjects"][0];
        match subject["kind"].as_str() {
            Some("User") => assert_eq!(subject["name"], user, "{binding}"),
            _ => assert_eq!((&subject["name"], &subject["namespace"]), (&"trueup".into(), &"trueup-system".into()), "{binding}"),
        }
        assert_eq!(binding["subjects"].as_array().map(Vec::len), Some(1), "{binding}");
        bound.insert((binding["kind"].as_str().unwrap_or_default(), role.as_str().unwrap_or_default()));
    }
    let (cluster, namespace) = ("ClusterRoleBinding", "RoleBinding");
    let in_namespaces = [(namespace, "trueup-correct"), (namespace, "trueup-head")];
    assert_eq!(bound, [(cluster, "trueup-baseline"), (cluster, "trueup-observe")].into_iter().chain(in_namespaces).collect());
}

#[test]
fn the_fence_is_around_the_very_account_that_has_the_right() {
    let Some(kubectl) = kubectl() else { return };
    let objects = objects(&rendered(&kubectl, "baseline"));
    let policy = &only(&objects, "ValidatingAdmissionPolicy")["spec"];
    let user = &only(&objects, "ClusterRoleBinding")["subjects"][0]["name"];
    assert_eq!(policy["matchConditions"][0]["expression"], format!("request.userInfo.username == {user}"));
    assert_eq!(policy["failurePolicy"], "Fail");
    assert_eq!(only(&objects, "ValidatingAdmissionPolicyBinding")["spec"]["validationActions"], serde_json::json!(["Deny"]));
}

#[test]
fn the_pod_is_confined() {
    let Some(kubectl) = kubectl() else { return };
    let (forever, timed) = (objects(&rendered(&kubectl, "loop")), objects(&rendered(&kubectl, "cron")));
    let (deployment, cron_job) = (&only(&forever, "Deployment")["spec"], &only(&timed, "CronJob")["spec"]);
    assert_eq!(deployment["strategy"]["type"], "Recreate");
    assert_eq!(deployment["replicas"], 1);
    assert_eq!(cron_job["concurrencyPolicy"], "Forbid");
    for pod in [&deployment["template"]["spec"], &cron_job["jobTemplate"]["spec"]["template"]["spec"]] {
        let (whole, container) = (&pod["securityContext"], &pod["containers"][0]["securityContext"]);
        assert_eq!(pod["serviceAccountName"], "trueup");
        assert_eq!(whole["runAsNonRoot"], true);
        assert_eq!(whole["fsGroupChangePolicy"], "OnRootMismatch", "else the digest key is 0660 after a second mount");
        assert_eq!(whole["seccompProfile"]["type"], "RuntimeDefault");
        assert_eq!(container["readOnlyRootFilesystem"], true);
        assert_eq!(container["allowPrivilegeEscalation"], false);
        assert_eq!(container["capabilities"]["drop"], serde_json::json!(["ALL"]));
        let claim = pod["volumes"]
            .as_array()
            .into_iter()
            .flatten()
            .find_map(|volume| volume["persistentVolumeClaim"]["claimName"].as_str());
        assert_eq!(claim, Some("trueup-state"));
    }
}

#[test]
fn each_shipped_configuration_is_valid() {
    for folder in ["base", "example"] {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("manifests").join(folder).join("trueup.toml");
        let overrides = Overrides { file: Some(file), ..Overrides::default() };
        let settings = load(&overrides, Path::new("/"), &|_| None).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(settings.targets.len(), 1);
    }
}
