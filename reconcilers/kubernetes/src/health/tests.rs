use serde_json::json;

use super::*;

fn deployment(status: &Value) -> Value {
    json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"generation": 2}, "spec": {"replicas": 2}, "status": status})
}

fn pod(reason: &str, phase: &str) -> Value {
    json!({"metadata": {"name": "p", "uid": "u"}, "status": {"phase": phase, "containerStatuses":
        [{"name": "app", "restartCount": 3, "state": {"waiting": {"reason": reason}}}]}})
}

#[test]
fn a_status_of_an_earlier_generation_tells_nothing() {
    let done = json!({"observedGeneration": 1, "replicas": 2, "updatedReplicas": 2, "availableReplicas": 2});
    assert!(matches!(of(&deployment(&done), &[]), Health::Progressing(_)));
    let seen = json!({"observedGeneration": 2, "replicas": 2, "updatedReplicas": 2, "availableReplicas": 2});
    assert_eq!(of(&deployment(&seen), &[]), Health::Healthy);
    assert!(matches!(of(&deployment(&Value::Null), &[]), Health::Progressing(_)));
    let ready = json!([{"type": "Ready", "status": "True", "observedGeneration": 1}]);
    let resource =
        json!({"apiVersion": "example.com/v1", "kind": "Widget", "metadata": {"generation": 2}, "status": {"conditions": ready}});
    assert!(matches!(of(&resource, &[]), Health::Unknown(_)), "{:?}", of(&resource, &[]));
}

#[test]
fn pods_that_do_not_start_make_their_workload_unhealthy() {
    let done = json!({"observedGeneration": 2, "replicas": 2, "updatedReplicas": 2, "availableReplicas": 2});
    for reason in ["CrashLoopBackOff", "ImagePullBackOff"] {
        let health = of(&deployment(&done), &[pod(reason, "Running")]);
        assert_eq!(health, Health::Unhealthy(format!("{reason} in container app of pod p")));
        assert_eq!(of(&deployment(&done), &[pod(reason, "Failed")]), Health::Healthy, "a pod that has ended is replaced");
        let mut going = pod(reason, "Running");
        going["metadata"]["deletionTimestamp"] = json!("2026-11-21T02:31:40Z");
        assert_eq!(of(&deployment(&done), &[going]), Health::Healthy);
    }
    assert_eq!(of(&deployment(&done), &[pod("ContainerCreating", "Pending")]), Health::Healthy);
    assert_eq!(restarts(&[pod("", "Running"), pod("", "Failed")]), [("u".to_owned(), 3)].into());
}

#[test]
fn an_empty_selector_is_not_asked_after() {
    let selecting = |selector: Value| selector_of(&json!({"kind": "Deployment", "spec": {"selector": selector}}));
    assert_eq!(selecting(json!({})), None);
    assert_eq!(selecting(json!({"matchLabels": {"app": "a b"}})), Some("app%3Da%20b".to_owned()));
    let expressions = json!([{"key": "x", "operator": "In", "values": ["1", "2"]}, {"key": "y", "operator": "DoesNotExist"}]);
    assert_eq!(selecting(json!({"matchExpressions": expressions})), Some("x%20in%20%281%2C2%29%2C%21y".to_owned()));
    assert_eq!(selecting(json!({"matchExpressions": [{"key": "x", "operator": "Near"}]})), None, "unknown: not guessed");
}

fn selector_of(object: &Value) -> Option<String> {
    selector(object)
}

#[test]
fn conditions_of_custom_resources_are_read_as_the_conventions_say() {
    let with = |conditions: Value| {
        of(
            &json!({"apiVersion": "example.com/v1", "kind": "Widget", "metadata": {"generation": 1}, "status": {"conditions": conditions}}),
            &[],
        )
    };
    assert_eq!(with(json!([{"type": "Ready", "status": "True"}])), Health::Healthy);
    assert!(matches!(with(json!([{"type": "Ready", "status": "False", "reason": "Broken"}])), Health::Unhealthy(_)));
    assert!(matches!(with(json!([{"type": "Ready", "status": "Unknown"}])), Health::Progressing(_)));
    let reconciling = json!([{"type": "Ready", "status": "False"}, {"type": "Reconciling", "status": "True"}]);
    assert!(matches!(with(reconciling), Health::Progressing(_)));
    let stalled = json!([{"type": "Ready", "status": "True"}, {"type": "Stalled", "status": "True"}]);
    assert!(matches!(with(stalled), Health::Unhealthy(_)));
    assert!(matches!(with(json!([])), Health::Unknown(_)));
}
