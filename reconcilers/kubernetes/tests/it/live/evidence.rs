//! On what verdicts rest: what the server is asked, what is kept, and what it says where nothing can be created.

use std::io::{BufRead, BufReader, Seek, SeekFrom};
use std::path::Path;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use trueup_core::diff::{Comparison, compare};
use trueup_core::facts::{Desired, Evidence, Matched, Observation, Pair};
use trueup_core::seen::DigestKey;
use trueup_kubernetes::allowances::Rules;
use trueup_kubernetes::baseline::Baselines;
use trueup_kubernetes::cluster::{Cluster, version};
use trueup_kubernetes::discovery::discover;
use trueup_kubernetes::expect::{DryRuns, Expecting, Moment};
use trueup_kubernetes::kinds::Kinds;
use trueup_kubernetes::list::PAGE;
use trueup_kubernetes::observe::{Look, SecretsMode, observe};
use trueup_kubernetes::patch::read;
use trueup_kubernetes::schema;
use trueup_kubernetes::table::Table;

use super::{World, world};

/// What the program itself knows of the kinds of these objects.
pub(super) async fn kinds(world: &World, desired: &[Desired]) -> Kinds {
    let table = Table::nearest(&version(&world.cluster).await.expect("a version"));
    let (schemas, problems) = schema::read(&world.cluster, &world.catalog, table, desired).await;
    assert_eq!(problems, []);
    Kinds::new(table, schemas)
}

/// A look as the program takes it.
pub(super) async fn look(
    (world, cluster, kinds): (&World, &Cluster, &Kinds),
    desired: Vec<Desired>,
    (dry_runs, now): (DryRuns, Timestamp),
    baselines: &mut Baselines,
) -> Observation {
    let (defaulted, shape) = (|id: &_, value: &_| kinds.defaulted(id, value), |id: &_| kinds.shape(id));
    let expecting = Expecting { defaulted: &defaulted, shape: &shape, types: kinds.types(), rules: Rules::load() };
    let server_version = version(cluster).await.expect("a version");
    let moment = Moment { server_version: &server_version, now };
    let look = Look { secrets: SecretsMode::Off, dry_runs, expecting: &expecting, moment, page: PAGE };
    observe(cluster, &world.catalog, desired, &look, baselines).await
}

pub(super) fn comparison(matched: &Matched, kinds: &Kinds) -> Comparison {
    compare(matched, kinds.types(), &kinds.shape(&matched.desired.id), &DigestKey::new(&[7; 32]))
}

/// Every difference, as `name path change`.
pub(super) fn differences(observation: &Observation, kinds: &Kinds) -> Vec<String> {
    let found = observation.pairs.iter().flat_map(|pair| match pair {
        Pair::Matched(matched) => {
            let drifts = comparison(matched, kinds).drifts.into_iter();
            drifts.map(|drift| format!("{} {} {:?}", matched.live.id.name, drift.path, drift.change)).collect()
        }
        Pair::Skipped(..) => Vec::new(),
        Pair::Missing(desired) | Pair::Unseen(desired, _) => vec![format!("{} was not seen", desired.id)],
    });
    let mut found: Vec<String> = found.collect();
    found.sort();
    found
}

fn evidence(observation: &Observation) -> Vec<Evidence> {
    let matched = observation.pairs.iter().filter_map(|pair| match pair {
        Pair::Matched(matched) => Some(matched.expected.evidence),
        Pair::Missing(_) | Pair::Unseen(..) | Pair::Skipped(..) => None,
    });
    matched.collect()
}

fn service(name: &str, node_port: Option<u16>) -> Value {
    let port = match node_port {
        Some(node_port) => json!({"port": 80, "targetPort": 8080, "nodePort": node_port}),
        None => json!({"port": 80, "targetPort": 8080}),
    };
    json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": name}, "spec": {"selector": {"app": name},
        "type": if node_port.is_some() { "NodePort" } else { "ClusterIP" }, "ports": [port]}})
}

#[tokio::test]
async fn what_cannot_be_created_is_judged_by_an_apply() {
    let Some(world) = world("apply").await else { return };
    let node_port = 30_000 + u16::try_from(std::process::id() % 2700).expect("small");
    let group = format!("{}.example.com", world.namespace);
    let definition = json!({"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": format!("gadgets.{group}")}, "spec": {"group": group, "scope": "Namespaced",
        "names": {"plural": "gadgets", "kind": "Gadget"}, "versions": [{"name": "v1", "served": true, "storage": true,
        "schema": {"openAPIV3Schema": {"type": "object", "properties": {"size": {"type": "integer", "default": 1.0}}}}}]}});
    let objects = [service("fixed", Some(node_port)), definition];
    world.kubectl.apply(&objects);
    let desired: Vec<Desired> = objects.iter().map(|value| world.declare(value.clone())).collect();
    let kinds = kinds(&world, &desired).await;
    let seen = async || {
        let moment = (DryRuns::Fresh, Timestamp::now());
        look((&world, &world.cluster, &kinds), desired.clone(), moment, &mut Baselines::default()).await
    };
    assert_eq!(differences(&seen().await, &kinds), [""; 0]);

    let affinity = r#"{"spec":{"sessionAffinity":"ClientIP","selector":{"track":"canary"}}}"#;
    world.kubectl.must(&["patch", "service", "fixed", "--type=merge", "-p", affinity]);
    let port = format!(r#"{{"spec":{{"ports":[{{"port":80,"targetPort":9090,"nodePort":{node_port}}}]}}}}"#);
    world.kubectl.must(&["patch", "service", "fixed", "--type=merge", "-p", &port]);
    let names = r#"{"spec":{"names":{"shortNames":["gd"]},"scope":"Namespaced"}}"#;
    world.kubectl.must(&["patch", "crd", &format!("gadgets.{group}"), "--type=merge", "-p", names]);
    let before = read(&world.cluster, world.resource(&desired[0].id), &desired[0].id).await.expect("readable").expect("there");
    let observation = seen().await;
    world.kubectl.must(&["delete", "crd", &format!("gadgets.{group}"), "--wait=false"]);
    let found = differences(&observation, &kinds);
    let gadgets = format!("gadgets.{group}");
    assert_eq!(
        found,
        [
            "fixed spec.ports[port=80,protocol=TCP].targetPort Changed".to_owned(),
            "fixed spec.selector.track Undeclared".to_owned(),
            "fixed spec.sessionAffinity Undeclared".to_owned(),
            "fixed spec.sessionAffinityConfig.clientIP.timeoutSeconds Undeclared".to_owned(),
            format!("{gadgets} spec.names.shortNames Undeclared"),
        ]
    );
    assert_eq!(evidence(&observation), [Evidence::Apply; 2], "{:?}", observation.problems);
    let after = read(&world.cluster, world.resource(&desired[0].id), &desired[0].id).await.expect("readable").expect("there");
    assert_eq!(after, before, "a dry run changed something");
}

/// How many dry runs of a create a program has asked for, by what the server's own log says from this byte on.
fn creates(log: &str, from: u64, agent: &str) -> usize {
    let mut file = std::fs::File::open(log).expect("the audit log");
    file.seek(SeekFrom::Start(from)).expect("a file");
    let lines = BufReader::new(file).lines().map_while(Result::ok).filter(|line| line.contains(agent));
    let events = lines.filter_map(|line| serde_json::from_str::<Value>(&line).ok());
    events.filter(|event| event["userAgent"] == agent && event["verb"] == "create").count()
}

#[tokio::test]
async fn an_answer_is_kept_for_as_long_as_what_it_depends_on() {
    let Some(world) = world("cache").await else { return };
    let Some(log) = std::env::var("TRUEUP_AUDIT_LOG").ok().filter(|log| !log.is_empty()) else {
        eprintln!("did not run: this cluster gives no audit log (TRUEUP_AUDIT_LOG)");
        return;
    };
    let agent = format!("trueup/test cache/{}", std::process::id());
    let cluster = world.cluster.named(&agent).expect("a name");
    world.kubectl.apply(&[service("web", None)]);
    world.kubectl.must(&["patch", "service", "web", "--type=merge", "-p", r#"{"spec":{"sessionAffinity":"ClientIP"}}"#]);
    let desired = vec![world.declare(service("web", None))];
    let kinds = kinds(&world, &desired).await;
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("baselines.json");
    let start = Timestamp::now();
    let look_at = async |hours: i64, dry_runs: DryRuns| {
        let from = std::fs::metadata(&log).expect("the audit log").len();
        let mut baselines = Baselines::load(&file);
        let now = start + SignedDuration::from_hours(hours);
        let observation = look((&world, &cluster, &kinds), desired.clone(), (dry_runs, now), &mut baselines).await;
        assert_eq!(evidence(&observation), [Evidence::Baseline], "{:?}", observation.problems);
        baselines.save(now).expect("saved");
        // The log is written behind the answer.
        tokio::time::sleep(std::time::Duration::from_millis(300)).await;
        creates(&log, from, &agent)
    };
    assert_eq!(look_at(0, DryRuns::Cached).await, 1, "nothing is known yet");
    assert_eq!(look_at(0, DryRuns::Cached).await, 0, "what is known is not asked again");
    assert_eq!(look_at(23, DryRuns::Cached).await, 0, "and holds for a day");
    assert_eq!(look_at(0, DryRuns::Fresh).await, 1, "before a correction everything is asked anew");
    world.kubectl.must(&["label", "namespace", &world.namespace, "tier=gold"]);
    assert_eq!(look_at(0, DryRuns::Cached).await, 1, "admission may select by a namespace's labels");
    assert_eq!(look_at(0, DryRuns::Cached).await, 0);
    let hook = webhook(&world);
    world.kubectl.apply(std::slice::from_ref(&hook));
    assert_eq!(look_at(0, DryRuns::Cached).await, 1, "a webhook came");
    assert_eq!(look_at(0, DryRuns::Cached).await, 0);
    world.kubectl.must(&["delete", "mutatingwebhookconfiguration", &world.namespace]);
    assert_eq!(look_at(0, DryRuns::Cached).await, 0, "and went: the earlier answer holds again");
    assert_eq!(look_at(25, DryRuns::Cached).await, 1, "a day is over");
    for corrupt in [&b"{"[..], b"", b"\xff\xfe", br#"{"schema":"trueup.baselines/v2","answers":[]}"#] {
        std::fs::write(&file, corrupt).expect("written");
        assert_eq!(look_at(0, DryRuns::Cached).await, 1, "a broken file is none");
        assert_eq!(look_at(0, DryRuns::Cached).await, 0, "and is written anew");
        is_whole(&file);
    }
}

fn is_whole(file: &Path) {
    let read: Value = serde_json::from_slice(&std::fs::read(file).expect("a file")).expect("JSON");
    assert_eq!(read["answers"].as_object().map(serde_json::Map::len), Some(1));
}

/// A webhook for Services of this test alone. Nobody answers it, and its failure is ignored.
fn webhook(world: &World) -> Value {
    json!({"apiVersion": "admissionregistration.k8s.io/v1", "kind": "MutatingWebhookConfiguration",
        "metadata": {"name": world.namespace}, "webhooks": [{"name": "nobody.example.com", "sideEffects": "None",
        "admissionReviewVersions": ["v1"], "failurePolicy": "Ignore", "timeoutSeconds": 1,
        "clientConfig": {"url": "https://127.0.0.1:1/"},
        "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": world.namespace}},
        "rules": [{"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["services"]}]}]})
}

#[tokio::test]
async fn a_webhook_with_side_effects_cannot_be_registered() {
    let Some(world) = world("effects").await else { return };
    let mut hook = webhook(&world);
    hook["webhooks"][0]["sideEffects"] = "Some".into();
    let refused = world.kubectl.run(&["create", "-f", "-"], Some(&hook.to_string())).expect_err("a refusal");
    assert!(refused.contains(r#"webhooks[0].sideEffects: Unsupported value: "Some""#), "{refused}");
}

#[tokio::test]
async fn what_admission_would_add_today_is_no_finding() {
    let Some(mut world) = world("admitted").await else { return };
    let map = |value: &str| json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}, "data": {"k": value}});
    world.kubectl.apply(&[map("live")]);
    let name = &world.namespace;
    let version =
        if world.kubectl.must(&["api-resources"]).contains("admissionregistration.k8s.io/v1 ") { "v1" } else { "v1beta1" };
    let api_version = format!("admissionregistration.k8s.io/{version}");
    let applied = world.kubectl.run(
        &["apply", "-f", "-"],
        Some(
            &json!({"apiVersion": "v1", "kind": "List", "items": [
        {"apiVersion": api_version, "kind": "MutatingAdmissionPolicy", "metadata": {"name": name}, "spec": {
            "matchConstraints": {"resourceRules": [{"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"],
                "resources": ["configmaps"]}], "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": name}}},
            "reinvocationPolicy": "Never", "mutations": [{"patchType": "ApplyConfiguration", "applyConfiguration":
                {"expression": "Object{metadata: Object.metadata{labels: {\"injected\": \"yes\"}}}"}}]}},
        {"apiVersion": api_version, "kind": "MutatingAdmissionPolicyBinding", "metadata": {"name": name},
            "spec": {"policyName": name}}]})
            .to_string(),
        ),
    );
    if let Err(error) = applied {
        assert!(error.contains("no matches for kind"), "{error}");
        eprintln!("did not run: this server has no MutatingAdmissionPolicy");
        return;
    }
    world.catalog = discover(&world.cluster).await.expect("discovery");
    let desired = vec![world.declare(map("git"))];
    let kinds = kinds(&world, &desired).await;
    let mut observation = Observation::default();
    // A policy takes a moment until it is enforced.
    for _ in 0..100 {
        let moment = (DryRuns::Fresh, Timestamp::now());
        observation = look((&world, &world.cluster, &kinds), desired.clone(), moment, &mut Baselines::default()).await;
        let [Pair::Matched(matched)] = &observation.pairs[..] else { panic!("{:?}", observation.pairs) };
        if matched.expected.value["metadata"]["labels"]["injected"] == "yes" {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    world.kubectl.must(&["delete", "mutatingadmissionpolicy,mutatingadmissionpolicybinding", name]);
    assert_eq!(differences(&observation, &kinds), ["c data.k Changed"]);
    assert_eq!(evidence(&observation), [Evidence::Baseline]);
    let [Pair::Matched(matched)] = &observation.pairs[..] else { panic!("{:?}", observation.pairs) };
    let lacking: Vec<String> = comparison(matched, &kinds).not_admitted.iter().map(ToString::to_string).collect();
    assert_eq!(lacking, ["metadata.labels.injected"]);
}
