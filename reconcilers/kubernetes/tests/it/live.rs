//! On a real API server: the cluster that `KUBECONFIG` names, if `TRUEUP_TEST_CLUSTER=1` says that it is one for tests.

mod corpus;
mod evidence;
mod hand_back;
mod health;
mod lists;
mod merging;
mod quantities;
mod schemas;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use jiff::Timestamp;
use serde_json::{Value, json};
use trueup_core::diff::compare;
use trueup_core::facts::{Desired, Evidence, Observation, Origin, Pair};
use trueup_core::object::ObjectId;
use trueup_core::positions::Positions;
use trueup_core::seen::DigestKey;
use trueup_core::shape::{Merge, Shape, Types};
use trueup_kubernetes::allowances::Rules;
use trueup_kubernetes::baseline::Baselines;
use trueup_kubernetes::cluster::{Cluster, connect, connect_by, identity, version};
use trueup_kubernetes::discovery::{Catalog, Lookup, discover};
use trueup_kubernetes::expect::{DryRuns, Expecting, Moment};
use trueup_kubernetes::list::{PAGE, list_one};
use trueup_kubernetes::observe::{Look, SecretsMode, observe};
use trueup_kubernetes::patch::{PatchError, dry_run, read, send};

/// A place of one test's own on the test cluster.
struct World {
    cluster: Cluster,
    catalog: Catalog,
    namespace: String,
    kubectl: Kubectl,
}

#[derive(Clone)]
struct Kubectl {
    program: PathBuf,
    namespace: String,
}

impl Kubectl {
    fn run(&self, arguments: &[&str], input: Option<&str>) -> Result<String, String> {
        use std::io::Write;
        use std::process::{Command, Stdio};
        let mut command = Command::new(&self.program);
        command.args(["--namespace", &self.namespace]).args(arguments);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("kubectl starts; is TRUEUP_KUBECTL right?");
        let mut stdin = child.stdin.take().expect("a pipe");
        stdin.write_all(input.unwrap_or_default().as_bytes()).expect("kubectl reads");
        drop(stdin);
        let output = child.wait_with_output().expect("kubectl ends");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        if output.status.success() { Ok(text(&output.stdout)) } else { Err(text(&output.stderr)) }
    }

    fn must(&self, arguments: &[&str]) -> String {
        self.run(arguments, None).unwrap_or_else(|error| panic!("kubectl {arguments:?}: {error}"))
    }

    fn apply(&self, objects: &[Value]) {
        let list = json!({"apiVersion": "v1", "kind": "List", "items": objects}).to_string();
        let arguments = ["apply", "-f", "-"];
        self.run(&arguments, Some(&list)).unwrap_or_else(|error| panic!("kubectl apply: {error}"));
    }
}

/// Says why, where there is no test cluster; fails in CI, where there must be one.
fn is_available() -> bool {
    if std::env::var("TRUEUP_TEST_CLUSTER").is_ok_and(|value| value == "1") {
        return true;
    }
    assert!(std::env::var("CI").is_err(), "CI must run this on a real API server: set TRUEUP_TEST_CLUSTER=1 and KUBECONFIG");
    eprintln!("did not run: TRUEUP_TEST_CLUSTER is not 1");
    false
}

async fn world(test: &str) -> Option<World> {
    if !is_available() {
        return None;
    }
    let cluster = connect(None, &format!("trueup/test {test}")).await.expect("a usable kubeconfig");
    let catalog = discover(&cluster).await.expect("discovery");
    let namespace = format!("trueup-test-{test}-{}", std::process::id());
    let program = std::env::var_os("TRUEUP_KUBECTL").map_or_else(|| "kubectl".into(), PathBuf::from);
    let kubectl = Kubectl { program, namespace: namespace.clone() };
    kubectl.must(&["create", "namespace", &namespace]);
    kubectl.must(&["wait", "--for=create", "serviceaccount/default", "--timeout=60s"]);
    Some(World { cluster, catalog, namespace, kubectl })
}

impl Drop for World {
    fn drop(&mut self) {
        if let Err(error) = self.kubectl.run(&["delete", "namespace", &self.namespace, "--wait=false"], None) {
            eprintln!("namespace `{}` is left behind: {error}", self.namespace);
        }
    }
}

impl World {
    fn declare(&self, value: Value) -> Desired {
        declare(value, Some(&self.namespace))
    }

    async fn look(&self, cluster: &Cluster, desired: Vec<Desired>, dry_runs: DryRuns) -> Observation {
        let types = types();
        let expecting = Expecting { defaulted: &|_, _| None, shape: &shape, types: &types, rules: Rules::load() };
        let server_version = version(cluster).await.expect("a version");
        let moment = Moment { server_version: &server_version, now: Timestamp::now() };
        let look = Look { secrets: SecretsMode::Off, dry_runs, expecting: &expecting, moment, page: PAGE };
        observe(cluster, &self.catalog, desired, &look, &mut Baselines::default()).await
    }

    fn config_map(&self, name: &str) -> Desired {
        self.declare(json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": {"k": "v"}}))
    }

    fn resource(&self, id: &ObjectId) -> &trueup_kubernetes::discovery::Resource {
        match self.catalog.find(id) {
            Lookup::Served(resource) => resource,
            other => panic!("{id}: {other:?}"),
        }
    }

    /// A connection as a service account of this namespace with these rules.
    async fn restricted(&self, account: &str, rules: Value) -> Cluster {
        let named = |kind: &str, body: Value| {
            let mut object = json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": kind, "metadata": {"name": account}});
            object.as_object_mut().expect("an object").extend(body.as_object().expect("an object").clone());
            object
        };
        self.kubectl.apply(&[
            json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": account}}),
            named("Role", json!({"rules": rules})),
            named(
                "RoleBinding",
                json!({
                    "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": account},
                    "subjects": [{"kind": "ServiceAccount", "name": account, "namespace": self.namespace}]
                }),
            ),
        ]);
        let token = self.kubectl.must(&["create", "token", account]);
        with_token(&self.kubectl, account, token.trim()).await
    }
}

/// The same server under a token instead of the administrator's certificate.
async fn with_token(kubectl: &Kubectl, account: &str, token: &str) -> Cluster {
    let text = kubectl.must(&["config", "view", "--raw", "--minify", "-o", "json"]);
    let mut config: Value = serde_json::from_str(&text).expect("JSON");
    let file = tempfile::NamedTempFile::new().expect("a file");
    config["users"] = json!([{"name": account, "user": {"token": token}}]);
    config["contexts"][0]["context"]["user"] = account.into();
    std::fs::write(file.path(), config.to_string()).expect("written");
    connect_by(file.path(), None, "trueup/test restricted").await.expect("a usable kubeconfig")
}

fn declare(value: Value, namespace: Option<&str>) -> Desired {
    let text = |pointer: &str| value.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned();
    let declared = value.pointer("/metadata/namespace").and_then(Value::as_str).or(namespace).map(str::to_owned);
    let id =
        ObjectId { api_version: text("/apiVersion"), kind: text("/kind"), namespace: declared, name: text("/metadata/name") };
    let origin = Origin { file: "test.yaml".into(), line: 1, column: 1, document: 1 };
    Desired { id, value, origin, positions: Positions::default() }
}

/// As much of the shapes as these tests need: what each keyed list of the built-in kinds is keyed by.
fn types() -> Types {
    let keyed = |item: &str, keys: &[&str]| Shape::List {
        item: Box::new(Shape::Object(item.to_owned())),
        merge: Merge::Keyed(keys.iter().map(|key| (*key).to_owned()).collect()),
    };
    let object = |name: &str| Shape::Object(name.to_owned());
    let named = [
        ("Service", vec![("spec", object("ServiceSpec"))]),
        ("ServiceSpec", vec![("ports", keyed("Port", &["port", "protocol"]))]),
        ("Pod", vec![("spec", object("PodSpec"))]),
        ("PodSpec", vec![("containers", keyed("Container", &["name"])), ("volumes", keyed("Volume", &["name"]))]),
        ("Container", vec![("volumeMounts", keyed("Mount", &["mountPath"]))]),
    ];
    let fields = |fields: Vec<(&str, Shape)>| fields.into_iter().map(|(name, shape)| (name.to_owned(), shape)).collect();
    Types(named.into_iter().map(|(name, shapes)| (name.to_owned(), fields(shapes))).collect())
}

fn shape(id: &ObjectId) -> Shape {
    if ["Service", "Pod"].contains(&id.kind.as_str()) { Shape::Object(id.kind.clone()) } else { Shape::Any }
}

/// Every difference of an observation, as `object path`.
fn differences(observation: &Observation) -> Vec<String> {
    let mut found = Vec::new();
    for pair in &observation.pairs {
        match pair {
            Pair::Matched(matched) => {
                let key = DigestKey::new(&[7; 32]);
                for drift in compare(matched, &types(), &shape(&matched.desired.id), &key).drifts {
                    found.push(format!(
                        "{} {} {:?} {:?}→{:?}",
                        matched.live.id, drift.path, drift.change, drift.desired, drift.live
                    ));
                }
            }
            Pair::Missing(desired) => found.push(format!("{} missing", desired.id)),
            Pair::Unseen(desired, reason) => found.push(format!("{} unseen: {reason}", desired.id)),
            Pair::Skipped(..) => {}
        }
    }
    found.sort();
    found
}

#[tokio::test]
async fn the_cluster_is_known_and_answers() {
    let Some(world) = world("known").await else { return };
    assert_eq!(identity(&world.cluster).await.expect("an identity").len(), 36);
    assert!(version(&world.cluster).await.expect("a version").starts_with("v1."));
    let error = connect(Some("no-such-context"), "trueup/test").await.err().expect("an error").to_string();
    assert!(error.starts_with("there is no context `no-such-context` in the kubeconfig; there are: `"), "{error}");
}

#[tokio::test]
async fn untouched_objects_are_what_the_baseline_says() {
    let Some(world) = world("baseline").await else { return };
    let objects = [
        json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"}, "spec": {
            "selector": {"matchLabels": {"app": "web"}},
            "template": {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"name": "app", "image": "x:1",
                "ports": [{"containerPort": 80}], "resources": {"limits": {"cpu": "1000m"}}}]}}}}),
        json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web"}, "spec": {"type": "NodePort",
            "selector": {"app": "web"}, "ports": [{"port": 80}]}}),
        json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "web"}}),
        json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "once"}, "spec": {"containers": [{"name": "app", "image": "x:1"}]}}),
        json!({"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "job"}, "spec": {"template": {"spec": {
            "restartPolicy": "Never", "containers": [{"name": "app", "image": "x:1"}]}}}}),
        json!({"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "data"}, "spec": {
            "accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}}),
    ];
    world.kubectl.apply(&objects);
    let counted = "--for=jsonpath={.metadata.annotations.deployment\\.kubernetes\\.io/revision}=1";
    world.kubectl.must(&["wait", "deployment/web", counted, "--timeout=60s"]);
    let desired: Vec<Desired> = objects.into_iter().map(|value| world.declare(value)).collect();
    let before = world.kubectl.must(&["get", "all,pvc,serviceaccounts", "-o", "name"]);
    let observation = world.look(&world.cluster, desired, DryRuns::Fresh).await;
    assert_eq!(differences(&observation), [""; 0]);
    assert_eq!(observation.problems, []);
    let on_baseline = |pair: &&Pair| matches!(pair, Pair::Matched(matched) if matched.expected.evidence == Evidence::Baseline);
    // The ServiceAccount is what Git says without any default, so the server was not asked.
    assert_eq!(observation.pairs.iter().filter(on_baseline).count(), observation.pairs.len() - 1);
    assert_eq!(world.kubectl.must(&["get", "all,pvc,serviceaccounts", "-o", "name"]), before, "a dry run left something");
}

#[tokio::test]
async fn what_may_not_be_listed_is_unseen_and_named() {
    let Some(world) = world("forbidden").await else { return };
    let desired = || {
        let secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}, "stringData": {"k": "v"}});
        let service =
            json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web"}, "spec": {"ports": [{"port": 80}]}});
        let mut changed = world.config_map("c");
        changed.value["data"]["k"] = "other".into();
        vec![world.declare(secret), world.declare(service), changed, world.config_map("gone")]
    };
    world.kubectl.apply(&[world.config_map("c").value]);
    let rules = json!([{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["list", "get"]}]);
    let restricted = world.restricted("reader", rules).await;
    let observation = world.look(&restricted, desired(), DryRuns::Fresh).await;
    let namespace = &world.namespace;
    let reason =
        format!("no right to list `services` in namespace `{namespace}`; grant the verb `list` on it to trueup's account");
    assert_eq!(
        differences(&observation),
        [
            format!("ConfigMap {namespace}/c data.k Changed Some(Plain(String(\"other\")))→Some(Plain(String(\"v\")))"),
            format!("ConfigMap {namespace}/gone missing"),
            format!("Service {namespace}/web unseen: {reason}"),
        ]
    );
    assert!(observation.pairs.iter().any(|pair| matches!(pair, Pair::Skipped(desired, _) if desired.id.kind == "Secret")));
    let problems: BTreeSet<(&str, bool)> = observation.problems.iter().map(|problem| (problem.code, problem.blinds)).collect();
    assert_eq!(problems, BTreeSet::from([("kind-not-visible", true), ("no-baseline", false)]), "{:?}", observation.problems);
}

#[tokio::test]
async fn a_second_look_with_memory_sees_what_a_first_one_sees() {
    let Some(world) = world("rescan").await else { return };
    let maps: Vec<Desired> = ["a", "b", "c", "d", "e"].map(|name| world.config_map(name)).into();
    let apply = |names: &[usize]| {
        let values: Vec<Value> = names.iter().map(|index| maps[*index].value.clone()).collect();
        world.kubectl.apply(&values);
    };
    let remembering = world.cluster.clone().remembering(trueup_kubernetes::rescan::Memory::default());
    let both = async || {
        let fresh = world.look(&world.cluster, maps.clone(), DryRuns::Off).await;
        let again = world.look(&remembering, maps.clone(), DryRuns::Off).await;
        assert_eq!(again, fresh);
        differences(&again).len()
    };
    apply(&[0, 1, 2, 3]);
    assert_eq!(both().await, 1, "one is missing");
    assert_eq!(both().await, 1);
    let namespace = &world.namespace;
    world.kubectl.must(&["patch", "configmap", "a", "-n", namespace, "-p", r#"{"data": {"by": "hand"}}"#]);
    world.kubectl.must(&["delete", "configmap", "b", "c", "-n", namespace]);
    apply(&[2, 4]);
    assert_eq!(both().await, 2, "one was edited, one deleted, one made anew, and one came");
    assert_eq!(both().await, 2);
}

#[tokio::test]
async fn lists_of_one_object_a_page_are_the_same_list() {
    let Some(world) = world("paging").await else { return };
    let names: Vec<String> = (0..7).map(|index| format!("c{index}")).collect();
    world.kubectl.apply(&names.iter().map(|name| world.config_map(name).value).collect::<Vec<_>>());
    let resource = world.resource(&world.config_map("c0").id);
    let list = async |page| list_one(&world.cluster, resource, Some(&world.namespace), page).await.expect("a list");
    let (single, whole) = (list(1).await, list(PAGE).await);
    assert!(single.len() >= 7);
    assert_eq!(single, whole);
}

#[tokio::test]
async fn a_patch_holds_to_the_version_that_was_judged() {
    let Some(world) = world("patch").await else { return };
    let desired = world.config_map("c");
    world.kubectl.apply(std::slice::from_ref(&desired.value));
    let (cluster, resource, id) = (&world.cluster, world.resource(&desired.id), &desired.id);
    let live = read(cluster, resource, id).await.expect("readable").expect("there");
    let (uid, version) = (live.uid.clone().expect("a uid"), live.resource_version.clone().expect("a version"));
    let patch = |uid: &str, version: &str| json!({"metadata": {"uid": uid, "resourceVersion": version}, "data": {"k": "w"}});

    let tried = dry_run(cluster, resource, id, &patch(&uid, &version)).await.expect("allowed");
    assert_eq!(tried.value["data"]["k"], "w");
    assert_eq!(read(cluster, resource, id).await.expect("readable"), Some(live.clone()), "a dry run changed something");
    assert!(matches!(send(cluster, resource, id, &json!({"data": {"k": "w"}})).await, Err(PatchError::Unconditional { .. })));
    let replaced = send(cluster, resource, id, &patch("00000000-0000-0000-0000-000000000000", &version)).await;
    assert!(matches!(replaced, Err(PatchError::Replaced { .. })), "{replaced:?}");
    let sent = send(cluster, resource, id, &patch(&uid, &version)).await.expect("allowed").live;
    assert_eq!(sent.value["data"]["k"], "w");
    assert!(sent.owners.iter().any(|owner| owner.manager == "trueup"), "{:?}", sent.owners);
    let conflict = send(cluster, resource, id, &patch(&uid, &version)).await;
    assert!(matches!(conflict, Err(PatchError::Conflict { .. })), "{conflict:?}");
    let version = sent.resource_version.clone().expect("a version");
    let invalid =
        send(cluster, resource, id, &json!({"metadata": {"uid": uid, "resourceVersion": version}, "data": {"k/": "v"}})).await;
    assert!(matches!(invalid, Err(PatchError::Invalid { .. })), "{invalid:?}");
    let frozen = json!({"metadata": {"uid": uid, "resourceVersion": version}, "immutable": true});
    let frozen = send(cluster, resource, id, &frozen).await.expect("allowed").live.resource_version.expect("a version");
    let immutable = send(cluster, resource, id, &patch(&uid, &frozen)).await;
    assert!(immutable.is_ok(), "the same words change nothing: {immutable:?}");
    let other = json!({"metadata": {"uid": uid, "resourceVersion": frozen}, "data": {"k": "x"}});
    let immutable = send(cluster, resource, id, &other).await;
    assert!(matches!(immutable, Err(PatchError::Immutable { .. })), "{immutable:?}");

    let rules = json!([{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get"]}]);
    let forbidden = send(&world.restricted("reader", rules).await, resource, id, &other).await;
    assert!(matches!(forbidden, Err(PatchError::Forbidden { .. })), "{forbidden:?}");
    world.kubectl.must(&["delete", "configmap", "c"]);
    let gone = send(cluster, resource, id, &other).await;
    assert!(matches!(gone, Err(PatchError::NotFound { .. })), "{gone:?}");
    assert_eq!(read(cluster, resource, id).await.expect("readable"), None);
}

#[tokio::test]
async fn admission_says_why_it_denies() {
    let Some(world) = world("admission").await else { return };
    let desired = world.config_map("c");
    world.kubectl.apply(std::slice::from_ref(&desired.value));
    let name = &world.namespace;
    let metadata = json!({"name": name});
    world.kubectl.apply(&[
        json!({"apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingAdmissionPolicy", "metadata": metadata, "spec": {
            "matchConstraints": {"resourceRules": [{"apiGroups": [""], "apiVersions": ["v1"], "operations": ["UPDATE"],
                "resources": ["configmaps"]}], "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": name}}},
            "validations": [{"expression": "!('forbidden' in object.data)", "message": "not that key"}]}}),
        json!({"apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingAdmissionPolicyBinding", "metadata": metadata,
            "spec": {"policyName": name, "validationActions": ["Deny"]}}),
    ]);
    let resource = world.resource(&desired.id);
    let live = read(&world.cluster, resource, &desired.id).await.expect("readable").expect("there");
    let patch = json!({"metadata": {"uid": live.uid, "resourceVersion": live.resource_version}, "data": {"forbidden": "x"}});
    let mut denied = dry_run(&world.cluster, resource, &desired.id, &patch).await;
    // A policy takes a moment until it is enforced.
    for _ in 0..100 {
        if denied.is_err() {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        denied = dry_run(&world.cluster, resource, &desired.id, &patch).await;
    }
    world.kubectl.must(&["delete", "validatingadmissionpolicy,validatingadmissionpolicybinding", name]);
    let Err(PatchError::Denied { message, .. }) = denied else { panic!("{denied:?}") };
    assert!(message.contains("not that key"), "{message}");
}

#[tokio::test]
async fn a_dead_extension_server_blinds_only_its_group() {
    let Some(mut world) = world("dead").await else { return };
    let group = format!("{}.example.com", world.namespace);
    let service = json!({"name": "nowhere", "namespace": world.namespace});
    let registered = format!("v1.{group}");
    world.kubectl.apply(&[
        world.config_map("c").value,
        json!({"apiVersion": "apiregistration.k8s.io/v1", "kind": "APIService", "metadata": {"name": registered}, "spec": {
            "group": group, "version": "v1", "groupPriorityMinimum": 100, "versionPriority": 100, "insecureSkipTLSVerify": true,
            "service": service}}),
    ]);
    world.kubectl.must(&["wait", "apiservice", &registered, "--for=condition=Available=False", "--timeout=60s"]);
    world.catalog = discover(&world.cluster).await.expect("discovery");
    let widget = json!({"apiVersion": format!("{group}/v1"), "kind": "Widget", "metadata": {"name": "w"}});
    let unknown = json!({"apiVersion": "example.com/v9", "kind": "Gadget", "metadata": {"name": "g"}});
    let desired = vec![world.declare(widget), world.declare(unknown), world.config_map("c")];
    let observation = world.look(&world.cluster, desired, DryRuns::Fresh).await;
    world.kubectl.must(&["delete", "apiservice", &registered]);
    let namespace = &world.namespace;
    assert_eq!(
        differences(&observation),
        [
            format!(
                "Gadget {namespace}/g unseen: the cluster serves no `Gadget` in `example.com/v9`; is its CustomResourceDefinition installed?"
            ),
            format!(
                "Widget {namespace}/w unseen: the API server behind `{group}/v1` does not answer, so no `Widget` can be seen"
            ),
        ]
    );
}

#[tokio::test]
async fn replicas_of_an_autoscaler_are_no_difference() {
    let Some(world) = world("scaling").await else { return };
    let deployment = |name: &str| {
        json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name}, "spec": {"replicas": 2,
            "selector": {"matchLabels": {"app": name}}, "template": {"metadata": {"labels": {"app": name}},
            "spec": {"containers": [{"name": "app", "image": "x:1"}]}}}})
    };
    let target = json!({"apiVersion": "apps/v1", "kind": "Deployment", "name": "scaled"});
    let autoscaler = json!({"apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", "metadata": {"name": "scaled"},
        "spec": {"scaleTargetRef": target, "minReplicas": 2, "maxReplicas": 5}});
    world.kubectl.apply(&[deployment("scaled"), deployment("by-hand"), autoscaler]);
    let as_controller =
        ["--subresource=scale", "--field-manager=kube-controller-manager", "--type=merge", "-p", r#"{"spec":{"replicas":4}}"#];
    for name in ["scaled", "by-hand"] {
        world.kubectl.must(&[&["patch", "deployment", name][..], &as_controller].concat());
    }
    let desired = || vec![world.declare(deployment("scaled")), world.declare(deployment("by-hand"))];
    let found = differences(&world.look(&world.cluster, desired(), DryRuns::Fresh).await);
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].contains("/by-hand spec.replicas Changed"), "{found:?}");
    world.kubectl.must(&["scale", "deployment/scaled", "--replicas=3"]);
    let found = differences(&world.look(&world.cluster, desired(), DryRuns::Fresh).await);
    assert_eq!(found.len(), 2, "scaled by hand: {found:?}");
}

#[tokio::test]
async fn what_is_being_deleted_is_told() {
    let Some(world) = world("deleting").await else { return };
    let mut desired = world.config_map("c");
    desired.value["metadata"]["finalizers"] = json!(["example.com/hold"]);
    world.kubectl.apply(std::slice::from_ref(&desired.value));
    world.kubectl.must(&["delete", "configmap", "c", "--wait=false"]);
    let observation = world.look(&world.cluster, vec![desired], DryRuns::Fresh).await;
    world.kubectl.must(&["patch", "configmap", "c", "--type=merge", "-p", r#"{"metadata":{"finalizers":null}}"#]);
    let [Pair::Matched(matched)] = &observation.pairs[..] else { panic!("{:?}", observation.pairs) };
    assert!(matched.live.deleting_since.is_some());
    assert_eq!(observation.problems.iter().map(|problem| problem.code).collect::<Vec<_>>(), ["being-deleted"]);
}

#[tokio::test]
async fn one_dry_run_for_each_distinct_words() {
    let Some(world) = world("requests").await else { return };
    let Ok(log) = std::env::var("TRUEUP_AUDIT_LOG") else {
        assert!(std::env::var("CI").is_err(), "CI must give the API server's audit log as TRUEUP_AUDIT_LOG");
        eprintln!("did not run: no TRUEUP_AUDIT_LOG");
        return;
    };
    if log.is_empty() {
        eprintln!("did not run: this cluster gives no audit log (TRUEUP_AUDIT_LOG is empty)");
        return;
    }
    let service = |index: usize| {
        json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": format!("s{index}")}, "spec": {
            "selector": {"app": if index < 15 { "one" } else { "two" }}, "ports": [{"port": 80}]}})
    };
    let objects: Vec<Value> = (0..20).map(service).collect();
    world.kubectl.apply(&objects);
    let agent = format!("trueup/test requests/{}", std::process::id());
    let cluster = world.cluster.named(&agent).expect("a name");
    discover(&cluster).await.expect("discovery");
    let desired: Vec<Desired> = objects.into_iter().map(|value| world.declare(value)).collect();
    assert_eq!(differences(&world.look(&cluster, desired, DryRuns::Fresh).await), [""; 0]);

    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for _ in 0..50 {
        let text = std::fs::read_to_string(&log).expect("the audit log");
        let events = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let ours = events.filter(|event| event["userAgent"] == agent.as_str() && event["stage"] == "ResponseComplete");
        counts = ours.fold(BTreeMap::new(), |mut counts, event| {
            let uri = event["requestURI"].as_str().unwrap_or_default();
            let verb = event["verb"].as_str().unwrap_or_default();
            *counts.entry(format!("{verb} {}", uri.replace(&world.namespace, "N"))).or_default() += 1;
            counts
        });
        if counts.values().sum::<usize>() >= 12 {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    let expected = [
        ("create /api/v1/namespaces/N/services?dryRun=All&fieldManager=trueup", 2),
        ("get /api", 1),
        ("get /apis", 1),
        // What the answers depend on beside the words.
        ("get /api/v1/namespaces/N", 1),
        ("get /version", 1),
        ("list /api/v1/namespaces/N/services?limit=500", 1),
        ("list /apis/admissionregistration.k8s.io/v1/mutatingadmissionpolicies", 1),
        ("list /apis/admissionregistration.k8s.io/v1/mutatingadmissionpolicybindings", 1),
        ("list /apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations", 1),
        ("list /apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations", 1),
        ("list /apis/apiregistration.k8s.io/v1/apiservices", 1),
    ];
    assert_eq!(counts, expected.map(|(request, count)| (request.to_owned(), count)).into());
}
