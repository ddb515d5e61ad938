//! How far a change reaches, against counts by hand.

use serde_json::{Value, json};
use trueup_core::finding::Reach;
use trueup_core::object::ObjectId;
use trueup_core::reach::Topology;

fn id(api_version: &str, kind: &str, namespace: &str, name: &str) -> ObjectId {
    let namespace = Some(namespace.to_owned()).filter(|namespace| !namespace.is_empty());
    ObjectId { api_version: api_version.to_owned(), kind: kind.to_owned(), namespace, name: name.to_owned() }
}

fn workload(kind: &str, app: &str, replicas: u32, spec: &Value) -> (ObjectId, Value) {
    let template = json!({"metadata": {"labels": {"app": app, "tier": "web"}}, "spec": spec});
    let value = json!({
        "spec": {"replicas": replicas, "template": template},
        "status": {"desiredNumberScheduled": replicas}
    });
    (id("apps/v1", kind, "shop", app), value)
}

/// Three workloads of a shop, and what hangs on them.
fn shop() -> Vec<(ObjectId, Value)> {
    let web = json!({
        "serviceAccountName": "web",
        "containers": [{
            "name": "app",
            "env": [{"name": "LEVEL", "valueFrom": {"configMapKeyRef": {"name": "settings", "key": "level"}}}],
            "envFrom": [{"secretRef": {"name": "tokens"}}]
        }],
        "volumes": [{"name": "data", "persistentVolumeClaim": {"claimName": "data"}}]
    });
    let worker = json!({
        "serviceAccountName": "worker",
        "containers": [{"name": "app"}],
        "volumes": [
            {"name": "settings", "configMap": {"name": "settings"}},
            {"name": "all", "projected": {"sources": [{"secret": {"name": "tokens"}}]}}
        ]
    });
    let agent = json!({"containers": [{"name": "app"}]});
    let cron = json!({"spec": {"jobTemplate": {"spec": {"parallelism": 2, "template": {"spec": {"containers": []}}}}}});
    vec![
        workload("Deployment", "web", 12, &web),
        workload("StatefulSet", "worker", 3, &worker),
        workload("DaemonSet", "agent", 5, &agent),
        (id("batch/v1", "CronJob", "shop", "report"), cron),
        workload_elsewhere(),
        (id("v1", "Service", "shop", "web"), json!({"spec": {"selector": {"app": "web"}}})),
        (id("v1", "Service", "shop", "headless"), json!({"spec": {"selector": {}}})),
        (id("networking.k8s.io/v1", "NetworkPolicy", "shop", "all"), json!({"spec": {"podSelector": {}}})),
        (
            id("networking.k8s.io/v1", "NetworkPolicy", "shop", "some"),
            json!({"spec": {"podSelector": {"matchExpressions": [
                {"key": "app", "operator": "In", "values": ["web", "worker"]},
                {"key": "batch", "operator": "DoesNotExist"}
            ]}}}),
        ),
        (
            id("rbac.authorization.k8s.io/v1", "RoleBinding", "shop", "readers"),
            json!({"roleRef": {"kind": "Role", "name": "reader"}, "subjects": [
                {"kind": "ServiceAccount", "namespace": "shop", "name": "web"},
                {"kind": "ServiceAccount", "namespace": "shop", "name": "worker"},
                {"kind": "User", "name": "alice"}
            ]}),
        ),
        (
            id("rbac.authorization.k8s.io/v1", "ClusterRoleBinding", "", "watchers"),
            json!({"roleRef": {"kind": "ClusterRole", "name": "watcher"}, "subjects": [
                {"kind": "ServiceAccount", "namespace": "shop", "name": "default"}
            ]}),
        ),
    ]
}

/// The same names in another namespace count nowhere.
fn workload_elsewhere() -> (ObjectId, Value) {
    let spec = json!({"serviceAccountName": "web", "volumes": [{"name": "a", "configMap": {"name": "settings"}}]});
    let (mut id, value) = workload("Deployment", "web", 100, &spec);
    id.namespace = Some("bank".to_owned());
    (id, value)
}

#[test]
fn the_reach_is_what_a_count_by_hand_says() {
    let shop = shop();
    let topology = Topology::of(shop.iter().map(|(id, value)| (id, value)));
    let rbac = "rbac.authorization.k8s.io/v1";
    let target = json!({"spec": {"scaleTargetRef": {"kind": "Deployment", "name": "web"}}});
    for (object, value, pods, objects) in [
        // Its own pods; the Service, and both policies select them.
        (id("apps/v1", "Deployment", "shop", "web"), Value::Null, 12, 3),
        (id("apps/v1", "DaemonSet", "shop", "agent"), Value::Null, 5, 1),
        (id("batch/v1", "CronJob", "shop", "report"), Value::Null, 2, 1),
        (id("v1", "Service", "shop", "web"), json!({"spec": {"selector": {"app": "web"}}}), 12, 1),
        (id("v1", "Service", "shop", "headless"), json!({"spec": {"selector": {}}}), 0, 0),
        (id("networking.k8s.io/v1", "NetworkPolicy", "shop", "all"), json!({"spec": {"podSelector": {}}}), 22, 4),
        (
            id("networking.k8s.io/v1", "NetworkPolicy", "shop", "some"),
            json!({"spec": {"podSelector": {"matchExpressions": [{"key": "app", "operator": "NotIn", "values": ["web"]}]}}}),
            10,
            3,
        ),
        (id("v1", "ConfigMap", "shop", "settings"), Value::Null, 15, 2),
        (id("v1", "Secret", "shop", "tokens"), Value::Null, 15, 2),
        (id("v1", "PersistentVolumeClaim", "shop", "data"), Value::Null, 12, 1),
        (id("v1", "ServiceAccount", "shop", "default"), Value::Null, 7, 2),
        // One binding, and two workloads that run as its accounts.
        (id(rbac, "Role", "shop", "reader"), Value::Null, 15, 3),
        (id(rbac, "Role", "bank", "reader"), Value::Null, 0, 0),
        (id(rbac, "ClusterRole", "", "watcher"), Value::Null, 7, 3),
        (id("autoscaling/v2", "HorizontalPodAutoscaler", "shop", "web"), target, 12, 1),
        (id("v1", "ResourceQuota", "shop", "all"), Value::Null, 22, 4),
        (id("v1", "Namespace", "", "shop"), Value::Null, 22, 4),
        (id("v1", "ConfigMap", "shop", "unused"), Value::Null, 0, 0),
        (id("example.com/v1", "Widget", "shop", "a"), Value::Null, 0, 0),
    ] {
        assert_eq!(topology.reach(&object, &value), Reach { pods, objects }, "{object}");
    }
}
