//! What an edit would change elsewhere, too, is refused; what stands beside it is not in the way.

use super::*;

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
