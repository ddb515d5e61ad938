//! Objects too large to be kept in a folder.

use std::fs;
use std::time::{Duration, Instant};

use serde_json::{Map, Value, json};
use tempfile::TempDir;

use super::case::found;
use super::judge;

/// A `ConfigMap` of 700 KB.
fn large(changed: Option<&str>) -> Value {
    let value = |number: i32| format!("{number:04}").repeat(256);
    let mut data: Map<String, Value> = (0..700).map(|number| (format!("key-{number}"), Value::from(value(number)))).collect();
    data.extend(changed.map(|text| ("key-7".to_owned(), text.into())));
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "large", "namespace": "shop"}, "data": data})
}

#[test]
fn large_objects_with_stripped_or_broken_metadata_are_judged() {
    let last_applied = large(None).to_string();
    assert!(last_applied.len() > 700_000);
    let annotation = "kubectl.kubernetes.io/last-applied-configuration";
    for (managed_fields, annotations) in [
        (json!([]), json!({annotation: last_applied})),
        (json!([{}]), json!({annotation: &last_applied[..300_000]})),
        (json!("broken"), json!({annotation: 7})),
        (Value::Null, Value::Null),
    ] {
        let folder = TempDir::new().unwrap();
        for part in ["desired", "live"] {
            fs::create_dir(folder.path().join(part)).unwrap();
        }
        let mut live = large(Some("by hand"));
        live["metadata"]["managedFields"] = managed_fields.clone();
        live["metadata"]["annotations"] = annotations;
        fs::write(folder.path().join("desired/a.yaml"), large(None).to_string()).unwrap();
        fs::write(folder.path().join("live/a.yaml"), live.to_string()).unwrap();
        let begun = Instant::now();
        let judged = judge(folder.path());
        let wanted = ["ConfigMap shop/large data.key-7 changed", "ConfigMap shop/large metadata.managedFields removed"];
        assert_eq!(found(&judged), wanted, "{managed_fields}");
        assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    }
}
