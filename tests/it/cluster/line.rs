//! The whole line: see, correct, propose, take back.

use serde_json::Value;

use crate::world::{Rights, World};

/// Objects of kube-prometheus, as they are but for their namespace.
const OBJECTS: [&str; 20] = [
    "blackboxExporter-configuration.yaml",
    "blackboxExporter-deployment.yaml",
    "blackboxExporter-networkPolicy.yaml",
    "blackboxExporter-service.yaml",
    "blackboxExporter-serviceAccount.yaml",
    "grafana-dashboardSources.yaml",
    "grafana-deployment.yaml",
    "grafana-networkPolicy.yaml",
    "grafana-service.yaml",
    "kubeStateMetrics-deployment.yaml",
    "kubeStateMetrics-service.yaml",
    "nodeExporter-daemonset.yaml",
    "nodeExporter-networkPolicy.yaml",
    "prometheus-podDisruptionBudget.yaml",
    "prometheus-roleBindingConfig.yaml",
    "prometheus-roleConfig.yaml",
    "prometheus-service.yaml",
    "prometheusAdapter-configMap.yaml",
    "prometheusAdapter-deployment.yaml",
    "prometheusAdapter-podDisruptionBudget.yaml",
];

/// One edit of each kind that people make.
fn edit_by_hand(world: &World) {
    let image = "blackbox-exporter=quay.io/prometheus/blackbox-exporter:v0.28.0-hot";
    world.kubectl(&["set", "image", "deployment/blackbox-exporter", image]);
    world.kubectl(&["set", "env", "deployment/grafana", "-c", "grafana", "GF_LOG_LEVEL=debug"]);
    world.kubectl(&["label", "service/kube-state-metrics", "team=night"]);
    world.kubectl(&["scale", "deployment/prometheus-adapter", "--replicas=5"]);
    world.kubectl(&["annotate", "networkpolicy/grafana", "note=opened by hand"]);
    world.kubectl_with(&["edit", "configmap/blackbox-exporter-configuration"], &[("KUBE_EDITOR", "sed -i s/ip4/ip6/")]);
}

#[test]
fn drift_is_seen_corrected_proposed_and_taken_back() {
    let Some(world) = World::new(Rights::Baseline) else { return };
    world.declare(&OBJECTS);
    let report = world.json(&["diff"], 0);
    assert_eq!(report["findings"], Value::Array(Vec::new()));
    edit_by_hand(&world);
    println!("{:?}", world.trueup(&["diff"]));
    println!("{}", world.trueup(&["diff", "-o", "json"]).stdout);
    let sync = world.trueup(&["sync", "-o", "json"]);
    println!("{}\n{}", sync.stdout, sync.stderr);
    println!("{:#?}", world.writes());
    panic!("look");
}
