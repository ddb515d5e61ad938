//! What the shipped rights let trueup do on a real API server, and what they do not.

use serde_json::{Value, json};

use super::Answer;
use super::install::{EXAMPLE, Install, eventually};

const FENCED: &str = "trueup creates by dry run alone, and deletes nothing";
const DRY_RUN: &str = "?dryRun=All&fieldManager=trueup";

fn is_forbidden(answer: &Answer) -> bool {
    !answer.ok && answer.stderr.contains("(Forbidden)") && answer.stderr.contains("cannot") && !answer.stderr.contains(FENCED)
}

fn is_fenced(answer: &Answer) -> bool {
    !answer.ok && answer.stderr.contains(FENCED)
}

fn is_good(answer: &Answer) -> bool {
    answer.ok
}

fn config_map() -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"generateName": "trueup-"}, "data": {"a": "b"}})
}

/// A create for each of some kinds: the collection and the body, under a generated name as trueup sends it.
fn creates(namespace: &str) -> Vec<(String, Value)> {
    let labels = json!({"app": "a"});
    let pod = json!({"metadata": {"labels": labels}, "spec": {"containers": [{"name": "a", "image": "a"}]}});
    let deployment = json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"generateName": "trueup-"},
        "spec": {"selector": {"matchLabels": labels}, "template": pod}});
    let service = json!({"apiVersion": "v1", "kind": "Service", "metadata": {"generateName": "trueup-"}, "spec": {"ports": [{"port": 80}]}});
    let policy = json!({"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": {"generateName": "trueup-"},
        "spec": {"podSelector": {}}});
    let namespace_object = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"generateName": "trueup-"}});
    let core = format!("/api/v1/namespaces/{namespace}");
    vec![
        (format!("{core}/configmaps"), config_map()),
        (format!("{core}/services"), service),
        (format!("/apis/apps/v1/namespaces/{namespace}/deployments"), deployment),
        (format!("/apis/networking.k8s.io/v1/namespaces/{namespace}/networkpolicies"), policy),
        ("/api/v1/namespaces".to_owned(), namespace_object),
    ]
}

/// The shipped namespace's own name in manifests; [`Install`] replaces it.
fn binding(role: &str, kind: &str) -> String {
    json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding",
        "metadata": {"name": role, "namespace": "trueup-system"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": role},
        "subjects": [{"kind": "ServiceAccount", "name": "trueup", "namespace": "trueup-system"}]})
    .to_string()
}

#[test]
fn base_sees_what_it_names_and_nothing_secret_and_writes_nothing() {
    let Some(mut install) = Install::new() else { return };
    install.apply("base");
    let namespace = install.namespace();
    eventually(|| install.ask(&["get", "configmaps", "-A", "-o", "name"]), is_good);
    let observe = install.administer(&["get", "clusterrole", &install.named("trueup-observe"), "-o", "json"]);
    let role: Value = serde_json::from_str(&observe.stdout).expect("kubectl prints JSON");
    assert!(!role["rules"].as_array().expect("rules, as a list was allowed").is_empty());
    for rule in role["rules"].as_array().into_iter().flatten() {
        for resource in rule["resources"].as_array().into_iter().flatten() {
            let name = format!("{}.{}", resource.as_str().unwrap_or_default(), rule["apiGroups"][0].as_str().unwrap_or_default());
            let answer = install.ask(&["get", name.trim_end_matches('.'), "-A", "-o", "name"]);
            assert!(answer.ok, "{name}: {}", answer.stderr);
        }
    }
    assert!(install.ask(&["get", "namespace", "kube-system", "-o", "jsonpath={.metadata.uid}"]).ok);
    assert!(is_forbidden(&install.ask(&["get", "secrets", "-n", &namespace])));
    assert!(is_forbidden(&install.ask(&["get", "secrets", "-A"])));
    for (collection, body) in creates(&namespace) {
        let answer = install.post(&format!("{collection}{DRY_RUN}"), &body);
        assert!(is_forbidden(&answer), "{collection}: {answer:?}");
    }
    let patch =
        ["patch", "serviceaccount", "trueup", "-n", &namespace, "--type=merge", "-p", r#"{"metadata":{"labels":{"a":"b"}}}"#];
    assert!(is_forbidden(&install.ask(&patch)));
}

#[test]
fn baseline_lets_dry_runs_pass_and_nothing_else() {
    let Some(mut install) = Install::new() else { return };
    install.apply("base");
    install.apply("baseline");
    let namespace = install.namespace();
    let maps = format!("/api/v1/namespaces/{namespace}/configmaps");
    eventually(|| install.post(&format!("{maps}{DRY_RUN}"), &config_map()), is_good);
    eventually(|| install.post(&maps, &config_map()), is_fenced);
    let before = install.administer(&["get", "configmaps,services,deployments,networkpolicies", "-n", &namespace, "-o", "name"]);
    for (collection, body) in creates(&namespace) {
        let dry = install.post(&format!("{collection}{DRY_RUN}"), &body);
        assert!(dry.ok, "{collection}: {}", dry.stderr);
        let real = install.post(&collection, &body);
        assert!(is_fenced(&real), "{collection}: {real:?}");
    }
    let after = install.administer(&["get", "configmaps,services,deployments,networkpolicies", "-n", &namespace, "-o", "name"]);
    assert_eq!(before.stdout, after.stdout);
    let role = json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": {"generateName": "trueup-"}, "rules": []});
    let roles = format!("/apis/rbac.authorization.k8s.io/v1/namespaces/{namespace}/roles{DRY_RUN}");
    assert!(is_forbidden(&install.post(&roles, &role)));
    // What `doctor` asks is a create too, and the fence does not stand in its way.
    let answer = install.ask(&["auth", "can-i", "create", "configmaps", "-n", &namespace]);
    assert_eq!(answer.stdout.trim(), "yes", "{}", answer.stderr);
}

#[test]
fn the_fence_holds_whatever_rights_are_given_by_mistake() {
    let Some(mut install) = Install::new() else { return };
    install.apply("base");
    install.apply("baseline");
    let namespace = install.namespace();
    let too_much = json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role",
        "metadata": {"name": "too-much", "namespace": "trueup-system"},
        "rules": [{"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}]});
    install.apply_text(&too_much.to_string());
    install.apply_text(&binding("too-much", "Role"));
    let map = install.administer(&["create", "configmap", "kept", "-n", &namespace]);
    assert!(map.ok, "{}", map.stderr);
    eventually(|| install.ask(&["delete", "configmap", "kept", "-n", &namespace, "--dry-run=server"]), is_fenced);
    assert!(is_fenced(&install.ask(&["delete", "configmap", "kept", "-n", &namespace])));
    assert!(is_fenced(&install.ask(&["delete", "configmaps", "--all", "-n", &namespace])));
    let applied = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "new", "namespace": "trueup-system"}});
    let file = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(&file, applied.to_string().replace("trueup-system", &namespace)).expect("written");
    let path = file.path().to_str().expect("a UTF-8 path");
    assert!(is_fenced(&install.ask(&["apply", "--server-side", "-f", path])), "a create by apply is a create");
    assert!(is_fenced(&install.ask(&["create", "token", "trueup", "-n", &namespace])), "a subresource");
    assert!(install.administer(&["get", "configmap", "kept", "-n", &namespace]).ok);
}

#[test]
fn corrections_reach_the_bound_namespace_and_the_named_kinds_alone() {
    let Some(mut install) = Install::new() else { return };
    install.apply("base");
    let namespace = install.namespace();
    install.apply_text(&binding("trueup-correct", "ClusterRole"));
    install.apply_text(r#"{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "trueup-system-other"}}"#);
    let other = format!("{namespace}-other");
    for namespace in [&namespace, &other] {
        let made = install.administer(&["create", "configmap", "settings", "-n", namespace, "--from-literal=a=drifted"]);
        assert!(made.ok, "{}", made.stderr);
    }
    let role = install.administer(&["create", "role", "reader", "-n", &namespace, "--verb=get", "--resource=pods"]);
    assert!(role.ok, "{}", role.stderr);
    let data = r#"{"data":{"a":"b"}}"#;
    let label = r#"{"metadata":{"labels":{"a":"b"}}}"#;
    let patch = |namespace: &str, kind: &str, name: &str, patch: &str| {
        install.ask(&["patch", kind, name, "-n", namespace, "--type=merge", "-p", patch])
    };
    eventually(|| patch(&namespace, "configmap", "settings", data), is_good);
    assert!(is_forbidden(&patch(&other, "configmap", "settings", data)));
    assert!(is_forbidden(&patch(&namespace, "networkpolicy", "trueup", label)));
    assert!(is_forbidden(&patch(&namespace, "role", "reader", label)));
    assert!(is_forbidden(&patch(&namespace, "serviceaccount", "trueup", label)));
    assert!(is_forbidden(&install.ask(&["delete", "configmap", "settings", "-n", &namespace])));
    let value = install.administer(&["get", "configmap", "settings", "-n", &namespace, "-o", "jsonpath={.data.a}"]);
    assert_eq!(value.stdout, "b");
}

#[test]
fn the_whole_example_is_accepted_without_a_warning() {
    let Some(mut install) = Install::new() else { return };
    install.apply_text(&json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": EXAMPLE}}).to_string());
    install.apply("loop");
    install.apply("cron");
    install.apply("example");
    // Nobody serves the kind here: what may be listed is not found, what may not is forbidden.
    let monitors = ["get", "--raw", "/apis/monitoring.coreos.com/v1/servicemonitors"];
    eventually(|| install.ask(&monitors), |answer| answer.stderr.contains("(NotFound)"));
    eventually(|| install.ask(&["auth", "can-i", "patch", "configmaps", "-n", &install.named(EXAMPLE)]), is_good);
}
