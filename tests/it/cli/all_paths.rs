//! `trueup diff --all-paths`: one object whole, and in agreement with `diff`.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::{SNAPSHOT, World, config_map, live_config_map};

fn json_of(world: &World, arguments: &[&str], code: i32) -> Value {
    let output = world.command(arguments).output().unwrap();
    assert_eq!(output.status.code(), Some(code), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn an_object_is_shown_whole_with_a_reason_at_each_path() {
    let world = World::small();
    let ran = world.run(&["diff", "--all-paths", "ConfigMap/checkout-config"]);
    assert_eq!((ran.code, ran.stderr.as_str()), (1, ""));
    insta::assert_snapshot!(ran.stdout, @r#"
    ConfigMap shop/checkout-config in prod-eu   11 paths, 1 finding, expected values by table
      apiVersion                                                        v1                                    as Git declares it   manifests/configmap.yaml:1
      data.DB_ENDPOINT                                                  db-a.internal                         as Git declares it   manifests/configmap.yaml:10
    ! data.LOG_LEVEL                                                    info → debug                          changed, lane auto: policies/drift.toml:5: class config-value   manifests/configmap.yaml:8
      data.PAYMENT_TIMEOUT                                              30s                                   as Git declares it   manifests/configmap.yaml:9
      kind                                                              ConfigMap                             as Git declares it   manifests/configmap.yaml:2
      metadata.name                                                     checkout-config                       as Git declares it   manifests/configmap.yaml:4
      metadata.namespace                                                shop                                  as Git declares it   manifests/configmap.yaml:5
    - …annotations["kubectl.kubernetes.io/last-applied-configuration"]  k1:[DIGEST]                   never compared: `kubectl apply`'s own copy of the manifest
    - metadata.creationTimestamp                                        2026-11-21T02:47:02Z                  never compared: only the server writes this metadata
    - metadata.resourceVersion                                          554                                   never compared: only the server writes this metadata
    - metadata.uid                                                      8d88347f-0c83-46e2-86b7-0d3322903e41  never compared: only the server writes this metadata
    "#);
    let whole = world.run(&["diff", "--all-paths", "Deployment/shop/checkout"]).stdout;
    for line in [
        r#"~ metadata.annotations["deployment.kubernetes.io/revision"]  2"#,
        "  spec.progressDeadlineSeconds  ",
        "! containers[name=app].image  ",
        "- status.replicas  ",
    ] {
        let squeezed = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(whole.lines().any(|shown| squeezed(shown).starts_with(&squeezed(line))), "{line}\n{whole}");
    }
}

#[test]
fn what_it_calls_a_finding_is_what_diff_finds() {
    let world = World::small();
    let found = json_of(&world, &["diff", "-o", "json"], 1);
    for (object, code) in
        [("Deployment/checkout", 1), ("ConfigMap/checkout-config", 1), ("NetworkPolicy/checkout", 1), ("Service/checkout", 0)]
    {
        let whole = json_of(&world, &["diff", "--all-paths", object, "-o", "json"], code);
        assert_eq!(whole["schema"], "trueup.paths/v1");
        let [of_object] = &whole["objects"].as_array().unwrap()[..] else { panic!("{whole:#}") };
        let paths = of_object["paths"].as_array().unwrap();
        let called: BTreeSet<_> =
            paths.iter().filter_map(|path| Some((path["finding"].as_str()?, path["path"].as_str()?))).collect();
        let findings = found["findings"].as_array().unwrap().iter().filter(|finding| finding["object"] == of_object["object"]);
        let findings: BTreeSet<_> =
            findings.map(|finding| (finding["id"].as_str().unwrap(), finding["path"].as_str().unwrap())).collect();
        assert_eq!(called, findings, "{object}");
        assert!(paths.iter().all(|path| !path["reason"].as_str().unwrap().is_empty()));
    }
}

#[test]
fn a_path_has_its_shape() {
    let whole = json_of(&World::small(), &["diff", "--all-paths", "Deployment/checkout", "-o", "json"], 1);
    let path = |text: &str| {
        whole["objects"][0]["paths"].as_array().unwrap().iter().find(|path| path["path"] == text).cloned().unwrap_or_default()
    };
    assert_eq!(
        path("spec.replicas"),
        json!({
            "path": "spec.replicas", "pointer": "/spec/replicas", "verdict": "as-declared",
            "declared": 3, "expected": 3, "live": 3,
            "origin": {"file": "manifests/deployment.yaml", "line": 9, "column": 13, "document": 1},
            "cause": {"manager": "kubectl-client-side-apply", "operation": "Update", "subresource": null,
                "time": "2026-11-21T02:47:02Z", "confidence": "reported"},
            "reason": "as Git declares it",
        })
    );
    assert_eq!(path("status.replicas")["verdict"], "not-compared");
    assert_eq!(path("spec.template.spec.dnsPolicy")["verdict"], "default");
    assert_eq!(path("spec.template.spec.dnsPolicy")["declared"], Value::Null);
}

#[test]
fn what_cannot_be_shown_is_said() {
    let world = World::of(&[("manifests/a.yaml", &config_map("a", "info")), ("live/b.yaml", &live_config_map("b", "info"))]);
    world
        .run(&["diff", "--all-paths", "ConfigMap/other"])
        .failed(2, "error: Git declares no `ConfigMap/other`: `trueup render` shows what it declares");
    world.run(&["diff", "--all-paths", "ConfigMap"]).failed(2, "error: `ConfigMap` is no KIND/NAME, as in Deployment/checkout");
    let missing = world.run(&["diff", "--all-paths", "ConfigMap/a"]);
    assert_eq!(missing.code, 1);
    insta::assert_snapshot!(missing.stdout, @r"
    ConfigMap shop/a in live   missing
    ! whole object  missing  missing-object, lane review: no class matches: reported only   manifests/a.yaml:1
    ");

    world.write("live/broken.yaml", "kind: [\n");
    let unseen = world.run(&["diff", "--all-paths", "ConfigMap/a"]);
    assert_eq!(unseen.code, 3, "{unseen:?}");
    let explained = world.run(&["explain", "ConfigMap/a", "data.level"]);
    assert!(explained.code == 3 && explained.stdout.contains("verdict    unknown: "), "{explained:?}");

    let world = World::of(&[("manifests/a.yaml", "apiVersion: v1\nkind: Secret\nmetadata: {name: a}\nstringData: {a: b}\n")]);
    let skipped = world.run(&["diff", "--all-paths", "Secret/a"]);
    assert_eq!((skipped.code, skipped.stdout.lines().next()), (0, Some("Secret a in live   skipped: secrets = \"off\"")));

    world.write("trueup.toml", SNAPSHOT.replace("live = \"live\"", "live = \"nowhere\""));
    let nothing = world.run(&["diff", "--all-paths", "Secret/a"]);
    assert_eq!(nothing.code, 0, "{nothing:?}");
}
