//! Each verb on each resource that the server serves: what the shipped roles name is allowed, and all else is refused. The
//! server's own authorizer is asked, by one review each.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::install::{EXAMPLE, Install, eventually};
use super::rendered::{grants, objects};

/// Group, resource, verb; and where only one object of a resource is meant, its name.
type Right = (String, String, String, Option<String>);

/// What every account may do: ask about itself.
const ABOUT_ITSELF: [(&str, &str); 3] = [
    ("authentication.k8s.io", "selfsubjectreviews"),
    ("authorization.k8s.io", "selfsubjectaccessreviews"),
    ("authorization.k8s.io", "selfsubjectrulesreviews"),
];

/// Beside those that discovery names: what leads to more rights.
const POWER: [(&str, &str, &str); 5] = [
    ("rbac.authorization.k8s.io", "roles", "bind"),
    ("rbac.authorization.k8s.io", "roles", "escalate"),
    ("rbac.authorization.k8s.io", "clusterroles", "bind"),
    ("rbac.authorization.k8s.io", "clusterroles", "escalate"),
    ("", "serviceaccounts", "impersonate"),
];

/// Each verb on each resource and subresource of the server's own groups.
fn served(install: &Install) -> BTreeSet<Right> {
    let read = |path: &str| -> Value {
        let answer = install.administer(&["get", "--raw", path]);
        serde_json::from_str(&answer.stdout).unwrap_or_else(|error| panic!("{path}: {error}: {answer:?}"))
    };
    let groups = read("/apis");
    let named =
        groups["groups"].as_array().unwrap().iter().filter_map(|group| group["preferredVersion"]["groupVersion"].as_str());
    // Other tests bring groups of their own, which come and go.
    let own: Vec<String> =
        named.filter(|version| !version.contains("shop-checkout")).map(|version| format!("/apis/{version}")).collect();
    let mut served = BTreeSet::new();
    for path in own.iter().map(String::as_str).chain(["/api/v1"]) {
        let group = path.strip_prefix("/apis/").map_or("", |version| version.split('/').next().unwrap());
        for resource in read(path)["resources"].as_array().unwrap() {
            for verb in resource["verbs"].as_array().unwrap().iter().chain([&json!("deletecollection")]) {
                let text = |value: &Value| value.as_str().unwrap().to_owned();
                served.insert((group.to_owned(), text(&resource["name"]), text(verb), None));
            }
        }
    }
    served.extend(POWER.map(|(group, resource, verb)| (group.to_owned(), resource.to_owned(), verb.to_owned(), None)));
    served
}

/// What the manifests say may be done in a namespace: everywhere what is observed, else what is bound there.
fn shipped(text: &str, bound: &[&str]) -> BTreeSet<Right> {
    let objects = objects(text);
    let mut rights = BTreeSet::new();
    for (role, group, resource, verb) in grants(&objects) {
        let is_observed = role["metadata"]["labels"]["trueup.dev/observe"] == "true";
        if is_observed || bound.iter().any(|name| role["metadata"]["name"] == *name) {
            let rules = role["rules"].as_array().unwrap().iter();
            let mut rules = rules.filter(|rule| rule["resources"].as_array().unwrap().contains(&json!(resource)));
            let name = rules.find_map(|rule| rule["resourceNames"][0].as_str()).map(str::to_owned);
            rights.insert((group.to_owned(), resource.to_owned(), verb.to_owned(), name));
        }
    }
    rights.extend(ABOUT_ITSELF.map(|(group, resource)| (group.to_owned(), resource.to_owned(), "create".to_owned(), None)));
    rights
}

/// Those that the server allows the account in a namespace.
fn allowed(install: &Install, namespace: &str, asked: &BTreeSet<Right>) -> BTreeSet<Right> {
    let review = |(group, resource, verb, name): &Right| {
        let (resource, subresource) = resource.split_once('/').unwrap_or((resource, ""));
        let attributes = json!({"namespace": namespace, "group": group, "resource": resource, "subresource": subresource,
            "verb": verb, "name": name.clone().unwrap_or_default()});
        json!({"apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview", "spec": {"resourceAttributes": attributes}})
    };
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("reviews.json");
    let items: Vec<Value> = asked.iter().map(review).collect();
    std::fs::write(&file, json!({"apiVersion": "v1", "kind": "List", "items": items}).to_string()).expect("written");
    let told = ["-o", "jsonpath={.status.allowed}{\"\\n\"}"];
    let answer = install.ask(&[&["create", "-f", file.to_str().expect("a UTF-8 path")], &told[..]].concat());
    let answers: Vec<&str> = answer.stdout.lines().collect();
    assert_eq!(answers.len(), asked.len(), "{}", answer.stderr);
    asked.iter().zip(answers).filter(|(_, answer)| *answer == "true").map(|(right, _)| right.clone()).collect()
}

#[test]
fn every_verb_that_no_shipped_role_names_is_refused() {
    let Some(mut install) = Install::new() else { return };
    install.apply_text(&json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": EXAMPLE}}).to_string());
    install.apply("base");
    install.apply_text(include_str!("../../../manifests/example/correct.yaml"));
    eventually(|| install.ask(&["get", "configmaps", "-A", "-o", "name"]), |answer| answer.ok);
    let (example, own) = (install.named(EXAMPLE), install.namespace());
    eventually(|| install.ask(&["auth", "can-i", "patch", "configmaps", "-n", &example]), |answer| answer.ok);
    let text = super::rendered(&super::kubectl().expect("there was one"), "base");
    let served = served(&install);
    assert!(served.len() > 500, "{}", served.len());
    for (namespace, bound) in [(&example, "trueup-correct"), (&own, "trueup-head")] {
        let shipped = shipped(&text, &[bound]);
        let asked: BTreeSet<Right> = served.union(&shipped).cloned().collect();
        let allowed = allowed(&install, namespace, &asked);
        let too_much: Vec<_> = allowed.difference(&shipped).collect();
        let lacking: Vec<_> = shipped.difference(&allowed).collect();
        println!("{bound}: {} asked, {} allowed", asked.len(), allowed.len());
        assert!(too_much.is_empty() && lacking.is_empty(), "{bound}: too much {too_much:#?}, lacking {lacking:#?}");
    }
}
