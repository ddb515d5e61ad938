//! What is edited keeps its style, and its file the line ends.

use super::*;

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
