//! Edits as people would make them, and the law that holds for every edit: proven or refused.

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use serde_json::json;
use trueup_core::path::{Path, Segment};

use super::*;

const FILE: &str = "manifests/web.yaml";

/// The drift that `live` has at `path`, with nothing masked.
fn drift(desired: &Desired, path: &Path, live: &Value) -> Drift {
    let (old, new) = (path.find(&desired.value), path.find(live));
    let change = match (old, new) {
        (Some(_), Some(_)) => Change::Changed,
        (Some(_), None) => Change::Removed,
        _ => Change::Undeclared,
    };
    let plain = |value: Option<&Value>| value.cloned().map(Seen::Plain);
    Drift { path: path.clone(), pointer: String::new(), change, desired: plain(old), live: plain(new) }
}

/// Adopts `value` (or its absence) at `path` of the object named `name`.
fn adopt_at(text: &str, name: &str, path: &str, value: Option<&Value>) -> Result<String, String> {
    let (objects, _) = trueup_kubernetes::manifest::read(FILE, text.as_bytes());
    let desired = objects.iter().find(|object| object.id.name == name).expect("the object is declared");
    let path: Path = path.parse().expect("a path");
    let live = match value {
        Some(value) => plan::intended(&desired.value, &path, Some(value)).expect("a place in the live object"),
        None => plan::intended(&desired.value, &path, None).unwrap_or_else(|_| desired.value.clone()),
    };
    let edited = adopt(FILE, text.as_bytes(), desired, &drift(desired, &path, &live), &live);
    edited.map(|bytes| String::from_utf8(bytes).expect("UTF-8")).map_err(|refused| refused.reason)
}

/// The lines that an edit took and gave.
fn lines(text: &str, name: &str, path: &str, value: Option<&Value>) -> String {
    match adopt_at(text, name, path, value) {
        Ok(edited) => {
            let diff = similar::TextDiff::from_lines(text, &edited);
            let shown = diff.iter_all_changes().filter(|change| change.tag() != similar::ChangeTag::Equal);
            shown.map(|change| format!("{}{}", change.tag(), change.value().replace('\r', "␍"))).collect::<Vec<_>>().concat()
        }
        Err(reason) => format!("refused: {reason}\n"),
    }
}

const WEB: &str = r#"# licence
---
apiVersion: v1
kind: ConfigMap
metadata: {name: settings, labels: {app: web}}  # one line
data:
  LEVEL: info      # how much to say
  QUOTED: "yes"
  SINGLE: 'it''s'
  # what nginx reads
  nginx.conf: |  # kept short
    user nginx;
    worker_processes 1;

  LAST: x
---
apiVersion: apps/v1
kind: Deployment
metadata:
  name: web
  annotations:
    only: one
spec:
  replicas: 3   # enough
  paused:
  template:
    spec:
      containers:
      # the program itself
      - name: app
        image: shop/web:1.4.2  # pinned
        args: [serve, "--port=80"]
        ports:
        - containerPort: 80
        # for metrics
        - containerPort: 9090
      - name: sidecar
        image: shop/proxy:2
"#;

#[test]
fn a_scalar_changes_in_its_own_style() {
    let mut shown = Vec::new();
    for (name, path, value) in [
        ("settings", "data.LEVEL", json!("debug")),
        ("settings", "data.LEVEL", json!("0644")),
        ("settings", "data.LEVEL", json!("a: b #c")),
        ("settings", "data.QUOTED", json!("no \"way\"\t\u{202e}")),
        ("settings", "data.SINGLE", json!("that's it")),
        ("settings", "data[\"nginx.conf\"]", json!("user web;\n\n  indented 2;\n")),
        ("settings", "data[\"nginx.conf\"]", json!("no end")),
        ("settings", "data[\"nginx.conf\"]", json!("  starts with spaces")),
        ("settings", "metadata.labels.app", json!("a,b")),
        ("web", "spec.replicas", json!(5)),
        ("web", "spec.paused", json!(true)),
        ("web", "spec.template.spec.containers[name=app].image", json!("shop/web:1.4.3-hot")),
        ("web", "spec.template.spec.containers[name=app].args", json!(["serve", "--port=8080"])),
        ("web", "spec.template.spec.containers[name=app].ports[0].containerPort", json!(81)),
    ] {
        shown.push(format!("{path}\n{}", lines(WEB, name, path, Some(&value))));
    }
    insta::assert_snapshot!(shown.concat(), @r###"
data.LEVEL
-  LEVEL: info      # how much to say
+  LEVEL: debug      # how much to say
data.LEVEL
-  LEVEL: info      # how much to say
+  LEVEL: "0644"      # how much to say
data.LEVEL
-  LEVEL: info      # how much to say
+  LEVEL: "a: b #c"      # how much to say
data.QUOTED
-  QUOTED: "yes"
+  QUOTED: "no \"way\"\t\u202e"
data.SINGLE
-  SINGLE: 'it''s'
+  SINGLE: 'that''s it'
data["nginx.conf"]
-    user nginx;
-    worker_processes 1;
+    user web;
+
+      indented 2;
data["nginx.conf"]
-  nginx.conf: |  # kept short
-    user nginx;
-    worker_processes 1;
+  nginx.conf: |-  # kept short
+    no end
data["nginx.conf"]
refused: the block of text cannot hold the live value in its style
metadata.labels.app
-metadata: {name: settings, labels: {app: web}}  # one line
+metadata: {name: settings, labels: {app: "a,b"}}  # one line
spec.replicas
-  replicas: 3   # enough
+  replicas: 5   # enough
spec.paused
-  paused:
+  paused: true
spec.template.spec.containers[name=app].image
-        image: shop/web:1.4.2  # pinned
+        image: shop/web:1.4.3-hot  # pinned
spec.template.spec.containers[name=app].args
-        args: [serve, "--port=80"]
+        args: [serve, "--port=8080"]
spec.template.spec.containers[name=app].ports[0].containerPort
-        - containerPort: 80
+        - containerPort: 81
"###);
}

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
-
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
fn line_ends_and_a_missing_last_one_stay() {
    let crlf = WEB.replace('\n', "\r\n");
    let edited = adopt_at(&crlf, "settings", "data.NEW", Some(&json!("x"))).expect("an edit");
    assert_eq!(edited, crlf.replace("  LAST: x\r\n", "  LAST: x\r\n  NEW: x\r\n"));
    let edited = adopt_at(&crlf, "web", "spec.replicas", Some(&json!(4))).expect("an edit");
    assert_eq!(edited, crlf.replace("replicas: 3", "replicas: 4"));
    let open = WEB.trim_end();
    let edited = adopt_at(open, "web", "spec.template.spec.containers[name=sidecar].tty", Some(&json!(true))).expect("an edit");
    assert!(edited.starts_with(open) && edited[open.len()..].trim_end() == "\n        tty: true", "{edited}");
}

#[test]
fn what_is_shared_hidden_or_not_yaml_is_refused() {
    let anchored = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata: &d\n  A: x\n---\napiVersion: v1\nkind: Foo\nmetadata: {name: b}\none: &one {a: x}\ntwo: *one\nthree:\n  <<: *one\n  b: y\n";
    let mut shown = Vec::new();
    for (name, path, value) in [
        ("a", "data.A", Some(json!("y"))),
        ("b", "two.a", Some(json!("y"))),
        ("b", "one.a", Some(json!("y"))),
        ("b", "three.a", None),
        ("b", "three.a", Some(json!("y"))),
        ("b", "three.b", Some(json!("z"))),
    ] {
        shown.push(format!("{name} {path}\n{}", lines(anchored, name, path, value.as_ref())));
    }
    let secret = "apiVersion: v1\nkind: Secret\nmetadata: {name: s}\nstringData: {a: b}\n";
    shown.push(format!("Secret\n{}", lines(secret, "s", "stringData.a", Some(&json!("c")))));
    let list = "apiVersion: v1\nkind: List\nitems:\n- apiVersion: v1\n  kind: ConfigMap\n  metadata: {name: one}\n  data:\n    A: x # a\n- apiVersion: v1\n  kind: ConfigMap\n  metadata: {name: two}\n  data:\n    A: x # b\n";
    shown.push(format!("List\n{}", lines(list, "two", "data.A", Some(&json!("y")))));
    shown.push(format!("List\n{}", lines(list, "one", "data.B", Some(&json!("y")))));
    let templated = format!("apiVersion: {{{{ .version }}}}\n---\n{anchored}");
    shown.push(format!("beside a template\n{}", lines(&templated, "a", "data.A", Some(&json!("y")))));
    let json_file = "{\n  \"apiVersion\": \"v1\",\n  \"kind\": \"ConfigMap\",\n  \"metadata\": {\"name\": \"j\"},\n  \"data\": {\n    \"A\": \"x\"\n  }\n}\n";
    shown.push(format!("JSON\n{}", lines(json_file, "j", "data.A", Some(&json!("y")))));
    shown.push(format!("JSON\n{}", lines(json_file, "j", "data.B", Some(&json!("y")))));
    let commented = "apiVersion: v1\nkind: Foo\nmetadata: {name: c}\nspec:\n  a:\n    # why\n    b: 1\n";
    shown.push(format!("a comment inside\n{}", lines(commented, "c", "spec.a", Some(&json!("gone")))));
    insta::assert_snapshot!(shown.concat(), @r###"
a data.A
-  A: x
+  A: "y"
b two.a
refused: the value around it is an alias, shared with other places
b one.a
refused: the edited file would not read back as the live value and nothing else
b three.a
refused: `a` is not written out there (an alias or a merge key brings it in)
b three.a
+  a: "y"
b three.b
-  b: y
+  b: z
Secret
refused: values of Secrets are never adopted
List
-    A: x # b
+    A: "y" # b
List
+    B: "y"
beside a template
-  A: x
+  A: "y"
JSON
-    "A": "x"
+    "A": "y"
JSON
refused: the file would no longer be JSON
a comment inside
refused: the comment `# why` would be lost
"###);
}

/// A scalar's text in some style, with some comment behind it.
fn scalar_source() -> impl Strategy<Value = String> {
    let styles = prop_oneof![
        "[a-z][a-z0-9-]{0,6}",
        "[0-9]{1,3}",
        "\"[a-z #:]{0,5}\"",
        "'[a-z #:]{0,5}'",
        Just("true".to_owned()),
        Just("0644".to_owned()),
        Just("\"yes\"".to_owned()),
        Just("{}".to_owned()),
        Just("[]".to_owned()),
        Just("~".to_owned()),
        Just("[a, \"b\", 3]".to_owned()),
        Just("{p: q, r: [s]}".to_owned()),
    ];
    (styles, prop_oneof![3 => Just(String::new()), 1 => "[a-z ]{0,6}".prop_map(|text| format!("  # {text}"))])
        .prop_map(|(text, comment)| text + &comment)
}

/// A block of a mapping, indented, with comments, lists, block scalars and blank lines.
fn block(depth: u32) -> BoxedStrategy<Vec<String>> {
    let leaf = scalar_source().prop_map(|text| vec![format!(" {text}")]);
    let literal = Just(vec![" |".to_owned(), "  line one".to_owned(), "  line # two".to_owned()]);
    let items = (prop::collection::vec(scalar_source(), 1..4), prop_oneof![Just(""), Just("  ")]).prop_map(|(items, indent)| {
        [String::new()].into_iter().chain(items.into_iter().map(|item| format!("{indent}- {item}"))).collect()
    });
    let value = if depth == 0 {
        prop_oneof![6 => leaf, 1 => literal, 2 => items].boxed()
    } else {
        let nested = block(depth - 1).prop_map(|lines| {
            [String::new()].into_iter().chain(lines.into_iter().map(|line| format!("  {line}"))).collect::<Vec<_>>()
        });
        let entries = prop::collection::vec(block(depth - 1), 1..3).prop_map(|entries| {
            let mut lines = vec![String::new()];
            for (index, entry) in entries.into_iter().enumerate() {
                lines.push(format!("- name: n{index}"));
                lines.extend(entry.into_iter().map(|line| format!("  {line}")));
            }
            lines
        });
        prop_oneof![5 => leaf, 1 => literal, 2 => items, 3 => nested, 2 => entries].boxed()
    };
    let around = prop_oneof![5 => Just(None), 1 => "[a-z]{0,6}".prop_map(|text| Some(format!("# {text}"))), 1 => Just(Some(String::new()))];
    prop::collection::btree_map("k[a-f]{1,2}", (around, value), 1..5)
        .prop_map(|entries| {
            let mut lines = Vec::new();
            for (key, (around, value)) in entries {
                lines.extend(around);
                let mut value = value.into_iter();
                lines.push(format!("{key}:{}", value.next().unwrap_or_default()));
                lines.extend(value);
            }
            lines
        })
        .boxed()
}

fn document() -> impl Strategy<Value = String> {
    (block(2), any::<bool>()).prop_map(|(lines, crlf)| {
        let spec: String = lines.iter().map(|line| if line.is_empty() { "\n".to_owned() } else { format!("  {line}\n") }).collect();
        let text = format!("# top\napiVersion: v1\nkind: Foo\nmetadata:\n  name: a\nspec:\n{spec}# end\n---\napiVersion: v1\nkind: Foo\nmetadata: {{name: b}}\n");
        if crlf { text.replace('\n', "\r\n") } else { text }
    })
}

fn json_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(json!(null)),
        any::<bool>().prop_map(Value::from),
        (-5i64..5000).prop_map(Value::from),
        Just(json!(1.5)),
        "[ -~]{0,8}".prop_map(Value::from),
        "\\PC{0,4}".prop_map(Value::from),
        "(?s).{0,4}".prop_map(Value::from),
        Just(json!("a\nb\n")),
        Just(json!("a\n\nb")),
        Just(json!("0o17")),
        Just(json!("12:30")),
        Just(json!("yes")),
        Just(json!("1e3")),
    ];
    leaf.prop_recursive(2, 8, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
            prop::collection::btree_map("[a-z]{1,3}", inner, 0..3).prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

/// Every path in `value` at and below `at`.
fn paths(value: &Value, at: &Path, found: &mut Vec<Path>) {
    match value {
        Value::Object(fields) => {
            for (key, value) in fields {
                let inside = at.key(key);
                found.push(inside.clone());
                paths(value, &inside, found);
            }
            found.push(at.key("zz-added"));
        }
        Value::Array(items) => {
            for (index, value) in items.iter().enumerate() {
                let segment = match value.get("name") {
                    Some(name) => Segment::entry(&[("name", name)]),
                    None => Segment::Index(index),
                };
                let inside = at.child(segment);
                found.push(inside.clone());
                paths(value, &inside, found);
            }
            found.push(at.child(Segment::Index(items.len())));
        }
        _ => {}
    }
}

/// How many edits were tried, and the refused ones by reason with the first of each.
#[derive(Default)]
struct Tally {
    tried: u32,
    refused: u32,
    reasons: std::collections::BTreeMap<String, (u32, String)>,
}

impl Tally {
    /// Adopts `value` at `path` of the object; what comes out must be the law's.
    fn attempt(&mut self, text: &str, objects: &[Desired], index: usize, path: &Path, value: Option<&Value>) {
        let Ok(live) = plan::intended(&objects[index].value, path, value) else { return };
        // A change of an entry's own key moves it elsewhere: another finding.
        if live == objects[index].value || path.find(&live) != value {
            return;
        }
        self.tried += 1;
        let desired = &objects[index];
        match adopt(&desired.origin.file, text.as_bytes(), desired, &drift(desired, path, &live), &live) {
            Ok(bytes) => assert_lawful(text, &bytes, objects, index, &live),
            Err(refused) => {
                self.refused += 1;
                let reason = refused.reason.split('`').step_by(2).collect::<Vec<_>>().join("…");
                let first = format!("{} {path} := {value:?}\n{text:.1500}", desired.origin);
                self.reasons.entry(reason).or_insert((0, first)).0 += 1;
            }
        }
    }

    /// Prints the refusals; not more than one edit in `part` may be one.
    fn conclude(&self, part: u32) {
        println!(
            "{} edits, {} refused ({:.1} %)",
            self.tried,
            self.refused,
            100.0 * f64::from(self.refused) / f64::from(self.tried)
        );
        for (reason, (count, first)) in &self.reasons {
            println!("{count} × {reason}; first: {first}");
        }
        assert!(self.refused * part < self.tried, "too many simple edits are refused");
    }
}

fn assert_lawful(text: &str, edited: &[u8], objects: &[Desired], index: usize, live: &Value) {
    let (after, problems) = trueup_kubernetes::manifest::read(&objects[index].origin.file, edited);
    assert_eq!((after.len(), problems.len()), (objects.len(), 0), "{text}");
    for (position, (old, new)) in objects.iter().zip(&after).enumerate() {
        assert_eq!(&new.value, if position == index { live } else { &old.value }, "{text}");
    }
    let edited = std::str::from_utf8(edited).expect("UTF-8");
    assert_eq!(text.contains("\r\n"), edited.contains("\r\n"));
    let is_alone = |line: &&str| line.trim_start().starts_with('#') && !line.starts_with(' ');
    let comments = |text: &str| text.lines().filter(is_alone).map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(comments(text), comments(edited), "a comment at the margin is gone");
}

/// The law over many random documents and changes.
#[test]
fn every_edit_is_proven_or_refused() {
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let mut tally = Tally::default();
    for _ in 0..400 {
        let case = (document(), any::<prop::sample::Index>(), prop_oneof![2 => json_value().prop_map(Some), 1 => Just(None)]);
        let (text, choice, value) = case.new_tree(&mut runner).expect("a case").current();
        let (objects, problems) = trueup_kubernetes::manifest::read(FILE, text.as_bytes());
        assert!(problems.is_empty() && objects.len() == 2, "a bad document was generated: {problems:?}\n{text}");
        let mut places = Vec::new();
        paths(&objects[0].value["spec"], &Path::of_keys(&["spec"]), &mut places);
        tally.attempt(&text, &objects, 0, choice.get(&places), value.as_ref());
    }
    tally.conclude(10);
}

/// The law over real manifests (`TRUEUP_CORPUS`): a change, a removal and an addition in each object.
#[test]
fn every_edit_of_a_real_manifest_is_proven_or_refused() {
    let Some(corpus) = std::env::var_os("TRUEUP_CORPUS") else {
        assert!(std::env::var("CI").as_deref() != Ok("true"), "CI needs TRUEUP_CORPUS");
        println!("did not run, as TRUEUP_CORPUS names no folder of manifests");
        return;
    };
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let mut tally = Tally::default();
    for file in files(&std::path::Path::new(&corpus).join("manifests")) {
        let Ok(text) = std::fs::read_to_string(&file) else { continue };
        let (objects, problems) = trueup_kubernetes::manifest::read(&file.to_string_lossy(), text.as_bytes());
        let few = objects.len().min(3);
        if !problems.is_empty() || text.len() > 60_000 {
            continue;
        }
        for index in 0..few {
            let mut places = Vec::new();
            paths(&objects[index].value, &Path::root(), &mut places);
            places.retain(|path| path.0.len() > 1 && !path.to_string().starts_with("metadata.name"));
            let choices = (any::<prop::sample::Index>(), any::<prop::sample::Index>(), json_value());
            let (one, other, value) = choices.new_tree(&mut runner).expect("a case").current();
            if !places.is_empty() {
                tally.attempt(&text, &objects, index, one.get(&places), Some(&value));
                tally.attempt(&text, &objects, index, other.get(&places), None);
                tally.attempt(&text, &objects, index, &Path::of_keys(&["metadata", "labels", "trueup"]), Some(&json!("yes")));
            }
        }
    }
    assert!(tally.tried > 0, "the corpus holds no manifests");
    tally.conclude(10);
}

fn files(folder: &std::path::Path) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            found.extend(files(&path));
        } else if path.extension().is_some_and(|extension| extension == "yaml" || extension == "yml") {
            found.push(path);
        }
    }
    found.sort();
    found
}
