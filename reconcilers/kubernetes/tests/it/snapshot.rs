//! Folders of live objects, looked at and patched.

use std::fs;
use std::path::Path;

use jiff::Timestamp;
use serde_json::{Value, json};
use trueup_core::diff::compare;
use trueup_core::facts::{Desired, Observation, Pair};
use trueup_core::object::ObjectId;
use trueup_core::seen::DigestKey;
use trueup_core::shape::{Shape, Types};
use trueup_kubernetes::allowances::Rules;
use trueup_kubernetes::expect::Expecting;
use trueup_kubernetes::manifest;
use trueup_kubernetes::observe::SecretsMode;
use trueup_kubernetes::snapshot::{Contents, Preconditions, SnapshotError, observe, patch, read};

const LIVE: &str = r#"# kept
apiVersion: v1
kind: List
metadata: {resourceVersion: ""}
items:
- apiVersion: v1
  data:
    LOG_LEVEL: debug
    script: |
      #!/bin/sh
      echo "yes"
  kind: ConfigMap
  metadata:
    managedFields:
    - apiVersion: v1
      fieldsType: FieldsV1
      fieldsV1:
        f:data:
          f:LOG_LEVEL: {}
      manager: kubectl-edit
      operation: Update
      time: "2026-11-21T02:14:07Z"
    name: config
    namespace: shop
    resourceVersion: "41"
    uid: 5020f8d1-6c61-4277-85a6-9aec9d2aa438
- apiVersion: v1   # the neighbour's own comment
  data: {"yes": 'on'}
  kind: ConfigMap
  metadata: {name: other, namespace: shop, resourceVersion: "7", uid: u2}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: shop}
spec:
  replicas: 4
"#;

const AUTOSCALER: &str = r#"{"apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler",
  "metadata": {"name": "web", "namespace": "shop"},
  "spec": {"scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}, "minReplicas": 2, "maxReplicas": 5}}"#;

const GIT: &str = "\
apiVersion: v1
kind: ConfigMap
metadata: {name: config, namespace: shop}
data:
  LOG_LEVEL: info
  script: |
    #!/bin/sh
    echo \"yes\"
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: shop}
spec: {replicas: 1}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: gone, namespace: shop}
---
apiVersion: v1
kind: Secret
metadata: {name: token, namespace: shop}
";

fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    fs::create_dir(folder.path().join("more")).expect("a folder");
    fs::write(folder.path().join("live.yaml"), LIVE).expect("written");
    fs::write(folder.path().join("more/hpa.json"), AUTOSCALER).expect("written");
    fs::write(folder.path().join("README.md"), "no object").expect("written");
    folder
}

fn declared() -> Vec<Desired> {
    let (desired, problems) = manifest::read("git.yaml", GIT.as_bytes());
    assert_eq!(problems, []);
    desired
}

fn look(folder: &Path) -> Observation {
    let types = Types::default();
    let expecting = Expecting { defaulted: &|_, _| None, shape: &|_| Shape::Any, types: &types, rules: Rules::load() };
    observe(Contents::of(folder), declared(), SecretsMode::Off, &expecting)
}

fn told(observation: &Observation) -> Vec<String> {
    let key = DigestKey::new(&[7; 32]);
    let tell = |pair: &Pair| match pair {
        Pair::Matched(matched) => {
            let drifts = compare(matched, &Types::default(), &Shape::Any, &key).drifts;
            let paths: Vec<String> = drifts.iter().map(|drift| format!("{} {}", drift.path, drift.change)).collect();
            format!("{}: {}", matched.live.id, paths.join(", "))
        }
        Pair::Missing(desired) => format!("{}: missing", desired.id),
        Pair::Unseen(desired, reason) => format!("{}: unseen: {reason}", desired.id),
        Pair::Skipped(desired, _) => format!("{}: skipped", desired.id),
    };
    observation.pairs.iter().map(tell).collect()
}

fn config() -> ObjectId {
    ObjectId { api_version: "v1".into(), kind: "ConfigMap".into(), namespace: Some("shop".into()), name: "config".into() }
}

fn now() -> Timestamp {
    "2026-11-21T02:31:40Z".parse().expect("a time")
}

const UID: Option<&str> = Some("5020f8d1-6c61-4277-85a6-9aec9d2aa438");

#[test]
fn a_folder_is_seen_like_a_cluster() {
    let observation = look(folder().path());
    assert_eq!(
        told(&observation),
        [
            "ConfigMap shop/config: data.LOG_LEVEL changed",
            "Deployment shop/web: ",
            "ConfigMap shop/gone: missing",
            "Secret shop/token: skipped",
        ]
    );
    assert_eq!(observation.problems, []);
    let Pair::Matched(matched) = &observation.pairs[0] else { panic!("{:?}", observation.pairs[0]) };
    let writer = matched.live.writer_of(&"data.LOG_LEVEL".parse().expect("a path")).expect("a writer");
    assert_eq!((writer.manager.as_str(), writer.time.as_deref()), ("kubectl-edit", Some("2026-11-21T02:14:07Z")));
}

#[test]
fn a_part_that_cannot_be_read_hides_what_is_not_found() {
    let folder = folder();
    fs::write(folder.path().join("broken.yaml"), "apiVersion: v1\nkind: [\n").expect("written");
    let observation = look(folder.path());
    assert!(
        told(&observation)[2].starts_with("ConfigMap shop/gone: unseen: a part of the snapshot cannot be read: broken.yaml:")
    );
    assert!(observation.problems.iter().all(|problem| problem.blinds) && !observation.problems.is_empty());
    assert!(matches!(read(folder.path(), &ObjectId { name: "gone".into(), ..config() }), Err(SnapshotError::Unreadable { .. })));
    let nowhere = look(&folder.path().join("nowhere"));
    assert!(told(&nowhere).iter().all(|line| line.contains("unseen: ") || line.contains("skipped")), "{:?}", told(&nowhere));
}

#[test]
fn another_version_and_a_second_copy_are_not_judged() {
    let folder = folder();
    let more = "apiVersion: apps/v1beta1\nkind: Deployment\nmetadata: {name: web, namespace: shop}\n";
    fs::write(folder.path().join("twice.yaml"), more).expect("written");
    assert!(
        told(&look(folder.path()))[1].starts_with("Deployment shop/web: unseen: the snapshot holds `Deployment shop/web` twice")
    );
    fs::write(folder.path().join("live.yaml"), "").expect("written");
    assert_eq!(
        told(&look(folder.path()))[1],
        "Deployment shop/web: unseen: the snapshot holds `Deployment shop/web` as `apps/v1beta1`, which is not converted"
    );
}

#[test]
fn a_patch_changes_its_object_and_no_byte_beside_it() {
    let folder = folder();
    let change = json!({"data": {"LOG_LEVEL": "info", "new": "0644"}, "metadata": {"uid": UID, "resourceVersion": "41"}});
    let preconditions = Preconditions { uid: UID, resource_version: Some("41") };
    let live = patch(folder.path(), &config(), &change, preconditions, now()).expect("patched");
    assert_eq!(live.resource_version.as_deref(), Some("42"));
    assert_eq!(Some(live.clone()), read(folder.path(), &config()).expect("readable"));
    let owner = live.writer_of(&"data.LOG_LEVEL".parse().expect("a path")).expect("a writer");
    assert_eq!((owner.manager.as_str(), owner.time.as_deref()), ("trueup", Some("2026-11-21T02:31:40Z")));
    assert!(!live.owners.iter().any(|owner| owner.manager == "kubectl-edit"));
    assert_eq!(live.value["data"], json!({"LOG_LEVEL": "info", "new": "0644", "script": "#!/bin/sh\necho \"yes\"\n"}));

    let text = fs::read_to_string(folder.path().join("live.yaml")).expect("readable");
    let neighbours = LIVE.split_once("- apiVersion: v1   # the").expect("there").1;
    assert!(
        text.starts_with("# kept\napiVersion: v1\nkind: List\nmetadata: {resourceVersion: \"\"}\nitems:\n- apiVersion: v1\n"),
        "{text}"
    );
    assert!(text.ends_with(neighbours), "{text}");
    assert_eq!(fs::read_dir(folder.path()).expect("readable").count(), 3, "a temporary file is left");

    // The inverse gives the former value back.
    let inverse = json!({"data": {"LOG_LEVEL": "debug", "new": null}});
    let preconditions = Preconditions { uid: UID, resource_version: Some("42") };
    let live = patch(folder.path(), &config(), &inverse, preconditions, now()).expect("patched");
    assert_eq!(live.value["data"], json!({"LOG_LEVEL": "debug", "script": "#!/bin/sh\necho \"yes\"\n"}));
}

#[test]
fn a_json_file_stays_json() {
    let folder = folder();
    let id =
        ObjectId { api_version: "autoscaling/v2".into(), kind: "HorizontalPodAutoscaler".into(), name: "web".into(), ..config() };
    patch(folder.path(), &id, &json!({"spec": {"maxReplicas": 9}}), Preconditions::default(), now()).expect("patched");
    let text = fs::read_to_string(folder.path().join("more/hpa.json")).expect("readable");
    let value: Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!(value["spec"]["maxReplicas"], 9);
}

#[test]
fn a_patch_holds_to_the_version_that_was_judged() {
    let folder = folder();
    let try_with = |uid, resource_version| {
        patch(folder.path(), &config(), &json!({"data": {"LOG_LEVEL": "info"}}), Preconditions { uid, resource_version }, now())
    };
    for (uid, version) in [(UID, Some("40")), (Some("else"), Some("41")), (None, Some("41")), (UID, None)] {
        let error = try_with(uid, version).expect_err("a conflict");
        assert!(error.is_conflict(), "{error}");
    }
    let gone = patch(folder.path(), &ObjectId { name: "gone".into(), ..config() }, &json!({}), Preconditions::default(), now());
    assert!(matches!(gone, Err(SnapshotError::NotFound { .. })), "{gone:?}");
    assert_eq!(fs::read_to_string(folder.path().join("live.yaml")).expect("readable"), LIVE);
}
