//! Lists that others write to, too: an entry that was injected survives when its neighbour is put right, and does not
//! survive a merge patch of the list as Git has it.

use serde_json::{Value, json};
use trueup_core::diff::compare;
use trueup_core::facts::Pair;
use trueup_core::finding::Change;
use trueup_core::patch::{repair, with_preconditions};
use trueup_core::seen::DigestKey;
use trueup_kubernetes::expect::DryRuns;
use trueup_kubernetes::kinds::Kinds;
use trueup_kubernetes::patch::{read_whole, send};

use super::{World, world};

/// One case: a list, what Git says of it, what somebody injects, what a person changes beside it.
struct Case {
    name: &'static str,
    /// Where the list is in the object.
    list: &'static str,
    /// As Git has the object.
    declared: Value,
    /// A JSON patch: what is injected, and then what is changed by hand.
    writes: Value,
    /// Finds the injected entry in the list: a key and its value; a plain value where the key is empty.
    injected: (&'static str, Value),
}

fn pod_template(spec: Value) -> Value {
    let mut spec = spec;
    if spec.get("containers").is_none() {
        spec["containers"] = json!([{"name": "app", "image": "x:1"}]);
    }
    json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "d"}, "spec": {"replicas": 0,
        "selector": {"matchLabels": {"app": "d"}}, "template": {"metadata": {"labels": {"app": "d"}}, "spec": spec}}})
}

const POD: &str = "/spec/template/spec";

fn add(path: &str, value: &Value) -> Value {
    json!({"op": "add", "path": path, "value": value})
}

fn set(path: &str, value: &Value) -> Value {
    json!({"op": "replace", "path": path, "value": value})
}

fn of_containers() -> Vec<Case> {
    let one = |fields: Value| {
        let mut container = json!({"name": "app", "image": "x:1"});
        for (key, value) in fields.as_object().into_iter().flatten() {
            container[key] = value.clone();
        }
        pod_template(
            json!({"containers": [container], "volumes": [{"name": "a", "emptyDir": {}}, {"name": "b", "emptyDir": {}}]}),
        )
    };
    let first = format!("{POD}/containers/0");
    vec![
        Case {
            name: "a container behind",
            list: "/spec/template/spec/containers",
            declared: one(json!({})),
            writes: json!([
                add(&format!("{POD}/containers/-"), &json!({"name": "proxy", "image": "p:1"})),
                set(&format!("{first}/image"), &json!("x:hot"))
            ]),
            injected: ("name", json!("proxy")),
        },
        Case {
            name: "a container before",
            list: "/spec/template/spec/containers",
            declared: one(json!({})),
            writes: json!([
                add(&first, &json!({"name": "proxy", "image": "p:1"})),
                set(&format!("{POD}/containers/1/image"), &json!("x:hot"))
            ]),
            injected: ("name", json!("proxy")),
        },
        Case {
            name: "an environment variable",
            list: "/spec/template/spec/containers/0/env",
            declared: one(json!({"env": [{"name": "LEVEL", "value": "info"}]})),
            writes: json!([
                add(&format!("{first}/env/-"), &json!({"name": "AGENT", "value": "on"})),
                set(&format!("{first}/env/0/value"), &json!("debug"))
            ]),
            injected: ("name", json!("AGENT")),
        },
        Case {
            name: "a port",
            list: "/spec/template/spec/containers/0/ports",
            declared: one(json!({"ports": [{"containerPort": 80, "name": "http"}]})),
            writes: json!([
                add(&format!("{first}/ports/-"), &json!({"containerPort": 9090, "name": "metrics", "protocol": "TCP"})),
                set(&format!("{first}/ports/0/name"), &json!("web"))
            ]),
            injected: ("containerPort", json!(9090)),
        },
        Case {
            name: "a mount",
            list: "/spec/template/spec/containers/0/volumeMounts",
            declared: one(json!({"volumeMounts": [{"name": "a", "mountPath": "/a", "readOnly": true}]})),
            writes: json!([
                add(&format!("{first}/volumeMounts/-"), &json!({"name": "b", "mountPath": "/b"})),
                set(&format!("{first}/volumeMounts/0/readOnly"), &json!(false))
            ]),
            injected: ("mountPath", json!("/b")),
        },
    ]
}

fn of_pods() -> Vec<Case> {
    let inits = json!([{"name": "migrate", "image": "m:1"}]);
    let volumes = json!([{"name": "config", "configMap": {"name": "c", "defaultMode": 292}}]);
    let aliases = json!([{"ip": "10.0.0.1", "hostnames": ["a"]}]);
    vec![
        Case {
            name: "an init container",
            list: "/spec/template/spec/initContainers",
            declared: pod_template(json!({"initContainers": inits})),
            writes: json!([
                add(&format!("{POD}/initContainers/0"), &json!({"name": "mesh", "image": "p:1"})),
                set(&format!("{POD}/initContainers/1/image"), &json!("m:hot"))
            ]),
            injected: ("name", json!("mesh")),
        },
        Case {
            name: "a volume",
            list: "/spec/template/spec/volumes",
            declared: pod_template(json!({"volumes": volumes})),
            writes: json!([
                add(&format!("{POD}/volumes/-"), &json!({"name": "certs", "emptyDir": {}})),
                set(&format!("{POD}/volumes/0/configMap/defaultMode"), &json!(420))
            ]),
            injected: ("name", json!("certs")),
        },
        Case {
            name: "a host alias",
            list: "/spec/template/spec/hostAliases",
            declared: pod_template(json!({"hostAliases": aliases})),
            writes: json!([
                add(&format!("{POD}/hostAliases/-"), &json!({"ip": "10.0.0.9", "hostnames": ["z"]})),
                set(&format!("{POD}/hostAliases/0/hostnames"), &json!(["b"]))
            ]),
            injected: ("ip", json!("10.0.0.9")),
        },
        Case {
            name: "a spread constraint",
            list: "/spec/template/spec/topologySpreadConstraints",
            declared: pod_template(json!({"topologySpreadConstraints": [spread("topology.kubernetes.io/zone")]})),
            writes: json!([
                add(&format!("{POD}/topologySpreadConstraints/0"), &spread("kubernetes.io/hostname")),
                set(&format!("{POD}/topologySpreadConstraints/1/maxSkew"), &json!(5))
            ]),
            injected: ("topologyKey", json!("kubernetes.io/hostname")),
        },
    ]
}

fn spread(over: &str) -> Value {
    let selector = json!({"matchLabels": {"app": "d"}});
    json!({"topologyKey": over, "maxSkew": 1, "whenUnsatisfiable": "ScheduleAnyway", "labelSelector": selector})
}

fn of_others() -> [Case; 1] {
    let service = json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "s"}, "spec": {"selector": {"app": "d"},
        "ports": [{"name": "http", "port": 80, "protocol": "TCP", "targetPort": 8080}]}});
    [Case {
        name: "a service's port",
        list: "/spec/ports",
        declared: service,
        writes: json!([
            add("/spec/ports/-", &json!({"name": "mesh", "port": 15090, "protocol": "TCP", "targetPort": 15090})),
            set("/spec/ports/0/targetPort", &json!(9999))
        ]),
        injected: ("name", json!("mesh")),
    }]
}

#[tokio::test]
async fn an_injected_entry_survives_when_its_neighbour_is_put_right() {
    let Some(world) = world("lists").await else { return };
    let cases: Vec<Case> = of_containers().into_iter().chain(of_pods()).chain(of_others()).collect();
    assert_eq!(cases.len(), 10);
    for case in &cases {
        let object = named(&case.declared);
        drifted(&world, case);
        let right = put_right(&world, case).await;
        assert!(holds(&right, case), "{}: the entry is gone: {right:#}", case.name);
        drifted(&world, case);
        let whole_list = as_git_has_it(case).to_string();
        world.kubectl.must(&["patch", &object, "--type=merge", "-p", &whole_list]);
        assert!(!holds(&live(&world, &object), case), "{}: a merge patch of the list keeps it?", case.name);
    }
}

fn named(object: &Value) -> String {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_lowercase();
    format!("{}/{}", text(&object["kind"]), text(&object["metadata"]["name"]))
}

/// The object as declared, then injected into and changed by hand.
fn drifted(world: &World, case: &Case) {
    let object = named(&case.declared);
    world.kubectl.must(&["delete", &object, "--ignore-not-found"]);
    world.kubectl.apply(std::slice::from_ref(&case.declared));
    world.kubectl.must(&["patch", &object, "--type=json", "-p", &case.writes.to_string()]);
    assert!(holds(&live(world, &object), case), "{}", case.name);
}

fn live(world: &World, object: &str) -> Value {
    serde_json::from_str(&world.kubectl.must(&["get", object, "-o", "json"])).expect("JSON")
}

fn holds(object: &Value, case: &Case) -> bool {
    let (key, value) = &case.injected;
    // A container before the others moves them one place on.
    let list = object.pointer(case.list).and_then(Value::as_array);
    list.is_some_and(|list| list.iter().any(|entry| entry[*key] == *value))
}

/// A merge patch of nothing but the list, as Git declares it.
fn as_git_has_it(case: &Case) -> Value {
    // Through an array, a merge patch can only go by replacing it whole.
    let keys: Vec<&str> = case.list.split('/').skip(1).take_while(|key| key.parse::<usize>().is_err()).collect();
    let list = case.declared.pointer(&format!("/{}", keys.join("/"))).expect("declared").clone();
    keys.iter().rev().fold(list, |inside, key| json!({*key: inside}))
}

/// The drifts of what Git declares are put right as a correction does it; what it does not declare is left.
async fn put_right(world: &World, case: &Case) -> Value {
    let desired = world.declare(case.declared.clone());
    let kinds = Kinds::built_in();
    for _ in 0..20 {
        let observation = world.look(&world.cluster, vec![desired.clone()], DryRuns::Fresh).await;
        let [Pair::Matched(matched)] = &observation.pairs[..] else { panic!("{}: {:?}", case.name, observation.pairs) };
        let drifts = compare(matched, kinds.types(), &kinds.shape(&desired.id), &DigestKey::new(b"key")).drifts;
        let is_declared = |change: Change| matches!(change, Change::Changed | Change::Removed);
        let declared: Vec<_> = drifts.iter().filter(|drift| is_declared(drift.change)).collect();
        assert_eq!(declared.len(), 1, "{}: {drifts:#?}", case.name);
        let repaired = repair(&matched.live, &matched.expected.value, &declared).expect("a repair");
        let (uid, version) = (matched.live.uid.as_deref().expect("a uid"), matched.live.resource_version.as_deref());
        let patch = with_preconditions(&repaired.patch, uid, version.expect("a version"));
        // A controller may have written meanwhile.
        if send(&world.cluster, world.resource(&desired.id), &desired.id, &patch).await.is_ok() {
            let whole = read_whole(&world.cluster, world.resource(&desired.id), &desired.id).await;
            return whole.expect("readable").expect("there");
        }
    }
    panic!("{}: the object never stood still", case.name);
}
