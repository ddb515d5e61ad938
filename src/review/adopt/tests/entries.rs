//! Keys and entries of lists that come and go.

use super::*;

#[test]
fn keys_and_entries_come_and_go() {
    let mut shown = Vec::new();
    for (name, path, value) in [
        ("settings", "data.NEW", Some(json!("on"))),
        ("settings", "data.LEVEL", None),
        ("settings", "data[\"nginx.conf\"]", None),
        ("settings", "metadata.labels.tier", Some(json!("front"))),
        ("settings", "metadata.labels.app", None),
        ("web", "metadata.annotations.only", None),
        ("web", "metadata.annotations[\"trueup.dev/note\"]", Some(json!("line one\nline two\n"))),
        ("web", "metadata.labels.team", Some(json!("shop"))),
        (
            "web",
            "spec.template.spec.containers[name=debug]",
            Some(json!({"name": "debug", "image": "busybox", "args": ["a", 1]})),
        ),
        ("web", "spec.template.spec.containers[name=sidecar]", None),
        ("web", "spec.template.spec.containers[name=app]", None),
        ("web", "spec.template.spec.containers[name=app].env[name=LEVEL].value", Some(json!("debug"))),
        ("web", "spec.template.spec.containers[name=app].ports[containerPort=9090]", None),
        ("web", "spec.template.spec.containers[name=app].ports[containerPort=9090].protocol", Some(json!("UDP"))),
        ("web", "spec.template.spec.nodeSelector", Some(json!({"disk": "ssd"}))),
    ] {
        shown.push(format!("{path}\n{}", lines(WEB, name, path, value.as_ref())));
    }
    insta::assert_snapshot!(shown.concat(), @r###"
data.NEW
+  NEW: "on"
data.LEVEL
-  LEVEL: info      # how much to say
data["nginx.conf"]
-  nginx.conf: |  # kept short
-    user nginx;
-    worker_processes 1;
metadata.labels.tier
-metadata: {name: settings, labels: {app: web}}  # one line
+metadata: {name: settings, labels: {app: web, tier: front}}  # one line
metadata.labels.app
-metadata: {name: settings, labels: {app: web}}  # one line
+metadata: {name: settings, labels: {}}  # one line
metadata.annotations.only
-  annotations:
-    only: one
+  annotations: {}
metadata.annotations["trueup.dev/note"]
+    trueup.dev/note: |
+      line one
+      line two
metadata.labels.team
+  labels:
+    team: shop
spec.template.spec.containers[name=debug]
+      - args:
+        - a
+        - 1
+        image: busybox
+        name: debug
spec.template.spec.containers[name=sidecar]
-      - name: sidecar
-        image: shop/proxy:2
spec.template.spec.containers[name=app]
-      - name: app
-        image: shop/web:1.4.2  # pinned
-        args: [serve, "--port=80"]
-        ports:
-        - containerPort: 80
-        # for metrics
-        - containerPort: 9090
spec.template.spec.containers[name=app].env[name=LEVEL].value
+        env:
+        - name: LEVEL
+          value: debug
spec.template.spec.containers[name=app].ports[containerPort=9090]
-        - containerPort: 9090
spec.template.spec.containers[name=app].ports[containerPort=9090].protocol
+          protocol: UDP
spec.template.spec.nodeSelector
+      nodeSelector:
+        disk: ssd
"###);
}

#[test]
fn a_new_entry_goes_where_live_has_it() {
    let (objects, _) = trueup_kubernetes::manifest::read(FILE, WEB.as_bytes());
    let desired = objects.iter().find(|object| object.id.name == "web").expect("declared");
    let path: Path = "spec.template.spec.containers[name=between]".parse().expect("a path");
    let mut shown = Vec::new();
    for at in 0..3 {
        let mut live = desired.value.clone();
        let containers = live.pointer_mut("/spec/template/spec/containers").and_then(Value::as_array_mut).expect("a list");
        containers.insert(at, json!({"name": "between", "image": "a"}));
        let adoption = Adoption { desired, drift: &drift(desired, &path, &live), live: &live };
        let adopted = adopt(FILE, WEB.as_bytes(), &[adoption]).expect("an edit");
        let (after, _) = trueup_kubernetes::manifest::read(FILE, &adopted.bytes);
        assert_eq!(after.iter().find(|object| object.id.name == "web").map(|object| &object.value), Some(&live));
        let text = String::from_utf8(adopted.bytes).expect("UTF-8");
        let at_line = text.lines().position(|line| line.contains("between")).expect("it is there");
        shown.push(text.lines().skip(at_line - 2).take(4).collect::<Vec<_>>().join("\n"));
    }
    insta::assert_snapshot!(format!("…\n{}", shown.join("\n…\n")), @r###"
…
      containers:
      - image: a
        name: between
      # the program itself
…
        - containerPort: 9090
      - image: a
        name: between
      - name: sidecar
…
        image: shop/proxy:2
      - image: a
        name: between
"###);
}

#[test]
fn several_values_of_a_file_follow_live_in_one_edit() {
    let (objects, _) = trueup_kubernetes::manifest::read(FILE, WEB.as_bytes());
    let live: Vec<Value> = objects
        .iter()
        .map(|object| {
            let mut live = object.value.clone();
            if object.id.name == "web" {
                live["spec"]["replicas"] = json!(5);
                let ports = live.pointer_mut("/spec/template/spec/containers/0/ports").and_then(Value::as_array_mut);
                ports.expect("ports").clear();
                live["metadata"]["labels"] = json!({"team": "shop"});
            } else {
                live["data"]["LEVEL"] = json!("debug");
            }
            live
        })
        .collect();
    let app = "spec.template.spec.containers[name=app]";
    let drifts: Vec<(usize, Drift)> = [
        (0, "data.LEVEL".to_owned()),
        (1, format!("{app}.ports[0]")),
        (1, "spec.replicas".to_owned()),
        (1, format!("{app}.ports[1]")),
        (1, "metadata.labels.team".to_owned()),
    ]
    .into_iter()
    .map(|(index, path)| (index, drift(&objects[index], &path.parse().expect("a path"), &live[index])))
    .collect();
    let adoptions: Vec<Adoption<'_>> =
        drifts.iter().map(|(index, drift)| Adoption { desired: &objects[*index], drift, live: &live[*index] }).collect();
    let adopted = adopt(FILE, WEB.as_bytes(), &adoptions).expect("an edit");
    let (after, _) = trueup_kubernetes::manifest::read(FILE, &adopted.bytes);
    assert_eq!(after.iter().map(|object| &object.value).collect::<Vec<_>>(), live.iter().collect::<Vec<_>>());
    // The comment stood above a port: it stays, though both ports went.
    assert!(adopted.comments.is_empty() && str::from_utf8(&adopted.bytes).is_ok_and(|text| text.contains("# for metrics")));
}
