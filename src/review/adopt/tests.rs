//! Edits as people would make them, and the law that holds for every edit: proven or refused.

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use serde_json::json;
use trueup_core::path::{Path, Segment};

use super::super::edit::print;
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

/// The object with `value` (or nothing) at `path`; what is on the way there comes into being.
fn with(object: &Value, path: &Path, value: Option<&Value>) -> Option<Value> {
    let mut live = object.clone();
    let Some(value) = value else {
        let (parent, last) = (path.parent()?.find_mut(&mut live)?, path.0.last()?);
        match (parent, last) {
            (Value::Object(fields), Segment::Key(key)) => drop(fields.remove(key)?),
            (Value::Array(items), Segment::Index(index)) if *index < items.len() => drop(items.remove(*index)),
            (Value::Array(items), Segment::Entry(_)) => drop(items.remove(last.position_in(items)?)),
            _ => return None,
        }
        return Some(live);
    };
    let mut place = &mut live;
    for segment in &path.0 {
        place = step_into(place, segment)?;
    }
    *place = value.clone();
    Some(live)
}

fn step_into<'a>(place: &'a mut Value, segment: &Segment) -> Option<&'a mut Value> {
    match segment {
        Segment::Key(key) => {
            if place.is_null() {
                *place = json!({});
            }
            Some(place.as_object_mut()?.entry(key).or_insert(Value::Null))
        }
        Segment::Index(_) | Segment::Entry(_) => {
            if place.is_null() {
                *place = json!([]);
            }
            let items = place.as_array_mut()?;
            let (at, blank) = match segment {
                Segment::Index(index) => (*index, Value::Null),
                other => (other.position_in(items).unwrap_or(items.len()), merge_keys(other)),
            };
            if at == items.len() {
                items.push(blank);
            }
            items.get_mut(at)
        }
    }
}

fn merge_keys(segment: &Segment) -> Value {
    let Segment::Entry(keys) = segment else { return Value::Null };
    keys.iter()
        .map(|(key, text)| (key.clone(), serde_json::from_str(text).expect("JSON")))
        .collect::<serde_json::Map<_, _>>()
        .into()
}

/// Adopts `value` (or its absence) at `path` of the object named `name`.
fn adopt_at(text: &str, name: &str, path: &str, value: Option<&Value>) -> Result<String, String> {
    let (objects, _) = trueup_kubernetes::manifest::read(FILE, text.as_bytes());
    let desired = objects.iter().find(|object| object.id.name == name).expect("the object is declared");
    let path: Path = path.parse().expect("a path");
    let live = with(&desired.value, &path, value).unwrap_or_else(|| desired.value.clone());
    let adoption = Adoption { desired, drift: &drift(desired, &path, &live), live: &live };
    let edited = adopt(FILE, text.as_bytes(), &[adoption]);
    edited.map(|adopted| String::from_utf8(adopted.bytes).expect("UTF-8")).map_err(|refused| refused.reason)
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
-  nginx.conf: |  # kept short
-    user nginx;
-    worker_processes 1;
+  nginx.conf: |2-  # kept short
+      starts with spaces
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
refused: line 11 repeats the anchor on line 10, so that a change there is a change in both places
b one.a
refused: it stands in the anchor on line 10, which line 11 repeats
b three.a
refused: the merge key on line 13 brings values in from line 10, and `a` may be one of them
b three.a
refused: the merge key on line 13 brings values in from line 10, and `a` may be one of them
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
-    "A": "x"
+    "A": "x",
+    "B": "y"
a comment inside
-  a:
-    # why
-    b: 1
+  a: gone
"###);
}

const BLOCKS: &str = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: blocks}\ndata:\n  folded: >  # prose\n    the first line\n    goes on here\n\n    and \
    a second paragraph\n\n  stripped: >-\n    one\n    two\n  kept: |+  # all of it\n    one\n\n\n  indented: |2\n      code\n    end\n  \
    plain: goes on\n    here  # why\n  list: &unused\n  - |\n    text\n";

#[test]
fn blocks_of_text_keep_their_style() {
    let mut shown = Vec::new();
    for (key, value) in [
        ("folded", "the first line goes on here\nand another paragraph that is longer than what was there\n"),
        ("folded", "  code\n"),
        ("stripped", "one two three"),
        ("stripped", "one\n\n\n"),
        ("kept", "one\n\n\n\n"),
        ("kept", "two"),
        ("indented", "    deeper\nend\n"),
        ("indented", ""),
        ("indented", "bell\u{7}\n"),
        ("plain", "two\nlines\n"),
    ] {
        shown.push(format!("{key} {value:?}\n{}", lines(BLOCKS, "blocks", &format!("data.{key}"), Some(&json!(value)))));
    }
    shown.push(lines(BLOCKS, "blocks", "data.list[0]", Some(&json!("other\ntext"))));
    shown.push(lines(BLOCKS, "blocks", "data.list", Some(&json!({"a": "b"}))));
    shown.push(lines(BLOCKS, "blocks", "data.kept", None));
    shown.push(lines(BLOCKS, "blocks", "data.added", Some(&json!("x"))));
    insta::assert_snapshot!(shown.concat(), @r###"
folded "the first line goes on here\nand another paragraph that is longer than what was there\n"
-    and a second paragraph
+    and another paragraph
+    that is longer than
+    what was there
folded "  code\n"
-  folded: >  # prose
-    the first line
-    goes on here
-
-    and a second paragraph
+  folded: "  code\n"  # prose
stripped "one two three"
-    one
-    two
+    one two three
stripped "one\n\n\n"
-  stripped: >-
+  stripped: >+
-    two
+
+
kept "one\n\n\n\n"
+
kept "two"
-  kept: |+  # all of it
-    one
-
-
+  kept: |-  # all of it
+    two
indented "    deeper\nend\n"
-      code
+        deeper
indented ""
-  indented: |2
-      code
-    end
+  indented: ""
indented "bell\u{7}\n"
-  indented: |2
-      code
-    end
+  indented: "bell\u0007\n"
plain "two\nlines\n"
-  plain: goes on
-    here  # why
+  plain: |  # why
+    two
+    lines
-  - |
+  - |-
+    other
refused: an anchor or a tag stands before the value
-  kept: |+  # all of it
-    one
-
-
+  added: x
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

/// JSON is as its printer would print the live object: the printer is not ours.
#[test]
fn json_stays_as_it_is_printed() {
    let print = |value: &Value, indent: Option<&[u8]>| -> String {
        let Some(indent) = indent else { return value.to_string() };
        let mut bytes = Vec::new();
        let formatter = serde_json::ser::PrettyFormatter::with_indent(indent);
        serde::Serialize::serialize(value, &mut serde_json::Serializer::with_formatter(&mut bytes, formatter)).expect("JSON");
        String::from_utf8(bytes).expect("UTF-8")
    };
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let indents: [Option<&[u8]>; 4] = [None, Some(b"  "), Some(b"    "), Some(b"\t")];
    let mut tried = 0;
    for round in 0..300 {
        let case = (json_value(), any::<prop::sample::Index>(), prop_oneof![2 => json_value().prop_map(Some), 1 => Just(None)]);
        let (spec, choice, value) = case.new_tree(&mut runner).expect("a case").current();
        let whole =
            json!({"apiVersion": "v1", "kind": "Foo", "metadata": {"name": "a"}, "spec": {"a": spec, "b": [1, {"c": "d"}]}});
        let printable = |value: &Value| value.to_string().chars().all(print::is_visible);
        if !printable(&whole) || value.as_ref().is_some_and(|value| !printable(value)) {
            continue;
        }
        let (indent, end) = (indents[round % 4], if round % 3 == 0 { "" } else { "\n" });
        let text = print(&whole, indent) + end;
        let (objects, problems) = trueup_kubernetes::manifest::read("a.json", text.as_bytes());
        assert_eq!(problems, []);
        let mut places = Vec::new();
        paths(&objects[0].value["spec"], &Path::of_keys(&["spec"]), &mut places);
        let path = choice.get(&places);
        let Some(live) = with(&objects[0].value, path, value.as_ref()) else { continue };
        if live == objects[0].value || path.find(&live) != value.as_ref() {
            continue;
        }
        let adoption = Adoption { desired: &objects[0], drift: &drift(&objects[0], path, &live), live: &live };
        let adopted = adopt("a.json", text.as_bytes(), &[adoption]).unwrap_or_else(|error| panic!("{error}\n{text}"));
        let edited = String::from_utf8(adopted.bytes).expect("UTF-8");
        assert_eq!(edited, print(&live, indent) + end, "{path} := {value:?}\n{text}");
        tried += 1;
    }
    assert!(tried > 100, "{tried}");
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
        let Some(live) = with(&objects[index].value, path, value) else { return };
        // A change of an entry's own key moves it elsewhere: another finding.
        if live == objects[index].value || path.find(&live) != value {
            return;
        }
        self.tried += 1;
        let desired = &objects[index];
        let adoption = Adoption { desired, drift: &drift(desired, path, &live), live: &live };
        match adopt(&desired.origin.file, text.as_bytes(), &[adoption]) {
            Ok(adopted) => assert_lawful(text, &adopted, objects, index, &live),
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

fn assert_lawful(text: &str, adopted: &Adopted, objects: &[Desired], index: usize, live: &Value) {
    let (after, problems) = trueup_kubernetes::manifest::read(&objects[index].origin.file, &adopted.bytes);
    assert_eq!((after.len(), problems.len()), (objects.len(), 0), "{text}");
    for (position, (old, new)) in objects.iter().zip(&after).enumerate() {
        assert_eq!(&new.value, if position == index { live } else { &old.value }, "{text}");
    }
    let edited = str::from_utf8(&adopted.bytes).expect("UTF-8");
    assert_eq!(text.contains("\r\n"), edited.contains("\r\n"));
    assert_eq!(text.ends_with('\n'), edited.ends_with('\n'), "{text}\n→\n{edited}");
    // Comments that are lines: a reader of comments that is not the one under test.
    let comments =
        |text: &str| text.lines().map(str::trim).filter(|line| line.starts_with("# ")).map(str::to_owned).collect::<Vec<_>>();
    let mut left = comments(edited);
    left.extend(adopted.comments.iter().map(|comment| comment.trim().to_owned()));
    for comment in comments(text) {
        let at = left.iter().position(|left| *left == comment);
        if !text.contains(": |") && !text.contains(": >") {
            assert!(at.is_some(), "the comment `{comment}` is gone in silence:\n{text}\n→\n{edited}");
        }
        at.map(|at| left.remove(at));
    }
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
