//! The real manifests of kube-prometheus, below the folder that `TRUEUP_CORPUS` names.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde_json::{Value, json};
use trueup_core::facts::{Desired, Evidence, Pair};
use trueup_core::object::ObjectId;
use trueup_kubernetes::baseline::Baselines;
use trueup_kubernetes::discovery::{Lookup, Scope, discover};
use trueup_kubernetes::expect::DryRuns;
use trueup_kubernetes::manifest;

use super::evidence::{self, kinds, look};
use super::{World, differences, world};

#[tokio::test]
async fn kube_prometheus_as_applied_has_no_difference() {
    let Some(corpus) = std::env::var_os("TRUEUP_CORPUS").map(PathBuf::from) else {
        assert!(std::env::var("CI").is_err(), "CI must give the folder of real manifests as TRUEUP_CORPUS");
        eprintln!("did not run: no TRUEUP_CORPUS");
        return;
    };
    let Some(mut world) = world("corpus").await else { return };
    let setup = corpus.join("manifests/kube-prometheus/setup");
    let definitions = setup.to_str().expect("a path of text");
    world.kubectl.must(&["apply", "--server-side", "--force-conflicts", "-f", definitions]);
    world.kubectl.must(&[
        "wait",
        r#"--for=jsonpath={.status.conditions[?(@.type=="Established")].status}=True"#,
        "crd",
        "--all",
        "--timeout=60s",
    ]);
    world.catalog = discover(&world.cluster).await.expect("discovery");

    let desired = relocated(&world, declared(&corpus.join("manifests/kube-prometheus")));
    let list = json!({"apiVersion": "v1", "kind": "List", "items": desired.iter().map(|one| &one.value).collect::<Vec<_>>()});
    let applied = world.kubectl.run(&["apply", "--server-side", "-f", "-"], Some(&list.to_string()));
    let generated = |names: &str| names.lines().filter(|name| name.contains("/trueup-")).map(str::to_owned).collect::<Vec<_>>();
    let observation = world.look(&world.cluster, desired.clone(), DryRuns::Fresh).await;
    let known = kinds(&world, &desired).await;
    let moment = (DryRuns::Off, jiff::Timestamp::now());
    let by_table = look((&world, &world.cluster, &known), desired.clone(), moment, &mut Baselines::default()).await;
    let kinds = "all,configmaps,secrets,serviceaccounts,networkpolicies,pdb,servicemonitors,prometheusrules,roles,rolebindings";
    let names = world.kubectl.must(&["get", kinds, "-o", "name"]);
    let cluster_wide: Vec<&Desired> = desired.iter().filter(|one| one.id.namespace.is_none()).collect();
    for object in cluster_wide {
        world.kubectl.must(&["delete", &object.id.kind, &object.id.name]);
    }
    applied.unwrap_or_else(|error| panic!("kubectl apply: {error}"));
    assert!(desired.len() >= 80, "{}", desired.len());
    assert_eq!(differences(&observation), [""; 0]);
    assert_eq!(observation.problems, []);
    assert_eq!(evidence::differences(&by_table, &known), [""; 0], "by the table and the schemas alone");
    assert_eq!(generated(&names), [""; 0], "a dry run left something");
    let mut evidence: BTreeMap<&str, usize> = BTreeMap::new();
    for pair in &observation.pairs {
        let name = match pair {
            Pair::Matched(matched) if matched.expected.evidence == Evidence::Baseline => "baseline",
            Pair::Matched(_) => "as declared",
            Pair::Skipped(..) => "skipped",
            Pair::Missing(_) | Pair::Unseen(..) => "not seen",
        };
        *evidence.entry(name).or_default() += 1;
    }
    eprintln!("{} objects: {evidence:?}", desired.len());
    assert!(evidence["baseline"] > 0 && !evidence.contains_key("not seen"));
}

fn declared(folder: &std::path::Path) -> Vec<Desired> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).expect("the corpus") {
        let path = entry.expect("an entry").path();
        if path.extension().is_some_and(|extension| extension == "yaml") {
            let (desired, problems) = manifest::read("corpus.yaml", &std::fs::read(&path).expect("readable"));
            assert_eq!(problems, [], "{}", path.display());
            found.extend(desired);
        }
    }
    found
}

/// In the test's own namespace, and under its own names where there is none.
fn relocated(world: &World, desired: Vec<Desired>) -> Vec<Desired> {
    const ONCE_A_CLUSTER: [&str; 3] = ["Namespace", "APIService", "CustomResourceDefinition"];
    let mut by_id: BTreeMap<ObjectId, Desired> = BTreeMap::new();
    for mut one in desired.into_iter().filter(|one| !ONCE_A_CLUSTER.contains(&one.id.kind.as_str())) {
        let Lookup::Served(resource) = world.catalog.find(&one.id) else { panic!("{} is not served", one.id) };
        match resource.scope {
            Scope::Namespaced => {
                one.id.namespace = Some(world.namespace.clone());
                one.value["metadata"]["namespace"] = world.namespace.clone().into();
            }
            Scope::Cluster => {
                one.id.name = format!("{}:{}", world.namespace, one.id.name);
                one.value["metadata"]["name"] = one.id.name.clone().into();
            }
        }
        subjects_here(&mut one.value, &world.namespace);
        by_id.insert(one.id.clone(), one);
    }
    by_id.into_values().collect()
}

fn subjects_here(value: &mut Value, namespace: &str) {
    for subject in value.get_mut("subjects").and_then(Value::as_array_mut).into_iter().flatten() {
        if subject.get("namespace").is_some() {
            subject["namespace"] = namespace.into();
        }
    }
}
