//! What `explain` says of the scenarios: it agrees with what is found, and it is right where nothing is.

use std::collections::BTreeSet;

use trueup::explain::pages::at_path;
use trueup::explain::rows::{Outcome, PathRow, rows};
use trueup::target::JudgedCase;
use trueup_core::diff::accounts;
use trueup_core::facts::Pair;
use trueup_core::finding::{Divergence, Finding};
use trueup_core::object::TargetName;
use trueup_core::path::Path;
use trueup_kubernetes::kinds::Kinds;
use trueup_kubernetes::snapshot;

use super::{Judged, compare, judge, key, name, root, scenarios};
use trueup_kubernetes::table::Table;

/// A scenario's objects as a round has them.
fn cases(judged: Judged) -> Vec<JudgedCase> {
    let table = Table::load();
    let case = |(pair, findings): (Pair, Vec<Finding>)| {
        let comparison = match &pair {
            Pair::Matched(matched) => compare(matched, table.types(), &table.root_shape(&matched.desired.id), &key()),
            _ => trueup_core::diff::Comparison::default(),
        };
        JudgedCase { pair: Some(pair), comparison, findings }
    };
    judged.pairs.into_iter().zip(judged.findings).map(case).collect()
}

#[test]
fn what_is_called_a_finding_is_what_is_found() {
    let table = Table::load();
    let mut objects = 0;
    for folder in scenarios() {
        for case in cases(judge(&folder)) {
            let ids: BTreeSet<String> = case.findings.iter().map(|finding| finding.id.to_string()).collect();
            let told = rows(&case, None, (&Kinds::built_in(), &key()));
            let called: Vec<String> = told.iter().filter_map(|row| Some(row.finding()?.id.to_string())).collect();
            assert_eq!(called.len(), ids.len(), "{}: each is told once", folder.display());
            assert_eq!(called.into_iter().collect::<BTreeSet<_>>(), ids, "{}", folder.display());
            assert!(!told.iter().any(|row| matches!(row.outcome, Outcome::LeftOut(_))), "{}", folder.display());

            let Some(Pair::Matched(matched)) = &case.pair else { continue };
            // Without the findings' help: the accounts alone name the same paths.
            let accounts = accounts(matched, table.types(), &table.root_shape(&matched.desired.id), &key());
            let differing = accounts.iter().filter(|account| matches!(account.verdict, trueup_core::diff::Verdict::Differs(_)));
            let found = case.findings.iter().filter_map(|finding| match &finding.difference.divergence {
                Divergence::Field(drift) => Some(drift.path.to_string()),
                Divergence::Object(_) | Divergence::Expectation(_) => None,
            });
            assert_eq!(
                differing.map(|account| account.path.to_string()).collect::<BTreeSet<_>>(),
                found.collect::<BTreeSet<_>>(),
                "{}",
                folder.display()
            );
            objects += 1;
        }
    }
    assert!(objects >= 60, "only {objects} objects");
}

/// What `explain KIND/NAME PATH` says in a scenario.
fn explained(scenario: &str, object: &str, path: &str) -> String {
    let folder = root().join(scenario);
    let path: Path = path.parse().expect("a path");
    for case in cases(judge(&folder)) {
        let pair = case.pair.as_ref().expect("objects only");
        let id = &pair.desired().id;
        if format!("{}/{}", id.kind, id.name) != object {
            continue;
        }
        let whole = snapshot::read_whole(&folder.join("live"), id).expect("a snapshot");
        let rows = rows(&case, whole.as_ref(), (&Kinds::built_in(), &key()));
        let concerned: Vec<&PathRow<'_>> = rows.iter().filter(|row| row.concerns(&path, pair)).collect();
        if let Some(finding) = concerned.iter().find_map(|row| row.finding()) {
            return format!("lane {}: {}", finding.lane, finding.reasons.join("; "));
        }
        return at_path(&TargetName(name(&folder)), pair, &path, &concerned);
    }
    panic!("{scenario} declares no {object}")
}

#[test]
fn a_default() {
    insta::assert_snapshot!(explained("c23-defaults", "Deployment/web", "spec.progressDeadlineSeconds"), @r"
    Deployment shop/web in c23-defaults: spec.progressDeadlineSeconds
      verdict    no finding
      Git        not declared; around it: desired/a.yaml:7:3
      expected   600   by table (the defaults of Kubernetes, without asking the server)
      live       600
      writer     kubectl-client-side-apply Update 2026-11-21T03:32:54Z (as managedFields reports it)
      rule       a default of the server
      change it  another live value would be a finding (undeclared); or declare one in desired/a.yaml
    ");
}

#[test]
fn an_allocated_address() {
    insta::assert_snapshot!(explained("c36-allocated-service", "Service/dns", "spec.clusterIP"), @r"
    Service shop/dns in c36-allocated-service: spec.clusterIP
      verdict    no finding
      Git        not declared; around it: desired/a.yaml:7:3
      expected   (none)   by table (the defaults of Kubernetes, without asking the server)
      live       10.96.253.231
      writer     unknown: managedFields names nobody
      rule       allocated value: the API server allocates it
      change it  declare it in desired/a.yaml: then live has to agree
    ");
}

#[test]
fn a_revision_that_the_controller_counts() {
    let path = r#"metadata.annotations["deployment.kubernetes.io/revision"]"#;
    insta::assert_snapshot!(explained("c40-revision", "Deployment/web", path), @r#"
    Deployment shop/web in c40-revision: metadata.annotations["deployment.kubernetes.io/revision"]
      verdict    no finding
      Git        not declared; around it: desired/a.yaml:4:3
      expected   (none)   by table (the defaults of Kubernetes, without asking the server)
      live       1
      writer     kube-controller-manager Update through status 2026-11-21T03:32:59Z (as managedFields reports it)
      rule       known writer kube-controller-manager through status: the deployment controller counts rollouts
      change it  declare it in desired/a.yaml: then live has to agree; or another writer of the live value
    "#);
}

#[test]
fn replicas_that_an_autoscaler_keeps() {
    insta::assert_snapshot!(explained("c45-hpa-in-range", "Deployment/web", "spec.replicas"), @r"
    Deployment shop/web in c45-hpa-in-range: spec.replicas
      verdict    no finding
      Git        3   desired/a.yaml:7:13
      expected   3   by table (the defaults of Kubernetes, without asking the server)
      live       5
      writer     kube-controller-manager Update through scale (as managedFields reports it)
      rule       autoscaler: HorizontalPodAutoscaler web keeps it between 2 and 5
      change it  a finding without the autoscaler, outside its range, or when somebody else wrote it last
    ");
}

#[test]
fn a_sidecar_that_admission_injects() {
    let path = "spec.template.spec.containers[name=mesh].image";
    insta::assert_snapshot!(explained("c21-injected-sidecar", "Deployment/web", path), @r"
    Deployment shop/web in c21-injected-sidecar: spec.template.spec.containers[name=mesh].image
      verdict    no finding
      Git        not declared; around it: desired/a.yaml:19:9
      expected   registry.example/mesh:2   by baseline (the server's own answer to a dry run)
      live       registry.example/mesh:2
      writer     kubectl-client-side-apply Update 2026-11-21T03:33:10Z (as managedFields reports it)
      rule       what the server makes of Git's words by itself: a default, or admission
      change it  another live value would be a finding (undeclared); or declare one in desired/a.yaml
    ");
}

#[test]
fn a_quantity_in_another_spelling() {
    let path = "spec.template.spec.containers[name=app].resources.limits.cpu";
    insta::assert_snapshot!(explained("c01-quantity-spelling", "Deployment/web", path), @r"
    Deployment shop/web in c01-quantity-spelling: spec.template.spec.containers[name=app].resources.limits.cpu
      verdict    no finding
      Git        1000m   desired/a.yaml:20:20
      expected   1000m   by table (the defaults of Kubernetes, without asking the server)
      live       1
      writer     kubectl-client-side-apply Update 2026-11-21T03:32:45Z (as managedFields reports it)
      rule       the same quantity as Git's `1000m`
      change it  another value in desired/a.yaml:20, or in live, would be a finding
    ");
}

#[test]
fn an_ignored_path() {
    insta::assert_snapshot!(explained("c59-ignored-path", "ConfigMap/settings", "data.a"), @"lane ignore: `trueup.dev/ignore` in desired/a.yaml names this path");
}

#[test]
fn status() {
    insta::assert_snapshot!(explained("c49-status", "Deployment/web", "status.replicas"), @r"
    Deployment shop/web in c49-status: status.replicas
      verdict    no finding
      Git        declared at desired/a.yaml:19:13, to no effect
      live       1
      writer     kube-controller-manager Update through status 2026-11-21T03:33:02Z (as managedFields reports it)
      rule       never compared: status is what controllers report
      change it  nothing: no value of it is ever a finding
    ");
}

#[test]
fn a_path_that_is_nowhere() {
    insta::assert_snapshot!(explained("c23-defaults", "Deployment/web", "spec.colour"), @r"
    Deployment shop/web in c23-defaults: spec.colour
      verdict    no finding
      rule       neither Git nor live has this path, nor would the server add it
      change it  a value in desired/a.yaml, or one in live
    ");
}

#[test]
fn an_entry_that_stands_elsewhere_in_its_list() {
    let path = "spec.template.spec.containers[name=app].env[name=B].value";
    insta::assert_snapshot!(explained("c15-env-reordered", "Deployment/web", path), @r"
    Deployment shop/web in c15-env-reordered: spec.template.spec.containers[name=app].env[name=B].value
      verdict    no finding
      Git        2   desired/a.yaml:22:22
      expected   2   by table (the defaults of Kubernetes, without asking the server)
      live       2
      writer     kubectl-client-side-apply Update 2026-11-21T03:32:49Z (as managedFields reports it)
      rule       as Git declares it: its entry stands elsewhere in Git's list, and is found by its keys
      change it  another value in desired/a.yaml:22, or in live, would be a finding
    ");
}

#[test]
fn an_entry_by_its_place_is_the_same_entry() {
    let by_key = explained("c23-defaults", "Service/dns", "spec.ports[port=53,protocol=TCP].protocol");
    assert_eq!(explained("c23-defaults", "Service/dns", "spec.ports[1].protocol"), by_key);
    insta::assert_snapshot!(by_key, @r"
    Service shop/dns in c23-defaults: spec.ports[port=53,protocol=TCP].protocol
      verdict    no finding
      Git        not declared; around it: desired/b.yaml:9:5
      expected   TCP   by table (the defaults of Kubernetes, without asking the server)
      live       TCP
      writer     kubectl-client-side-apply Update 2026-11-21T03:32:54Z (as managedFields reports it)
      rule       a default of the server
      change it  another live value would be a finding (undeclared); or declare one in desired/b.yaml
    ");
}
