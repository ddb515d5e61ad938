//! What cannot be read: the problem, its place, and that the neighbours are still read.

use std::fmt::Write;

use trueup_kubernetes::manifest;

use super::{read_one, read_text};

const HEAD: &str = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n";

/// Each text between two good documents: its problem as people see it, and both neighbours read.
fn problem_of(document: &str) -> String {
    let text = format!("{HEAD}---\n{document}\n---\n{HEAD}");
    let (objects, problems) = read_text(&text);
    assert_eq!(objects.len(), 2, "{document}");
    assert_eq!(problems.len(), 1, "{document}: {problems:?}");
    // What makes another object at each create is none that could be seen.
    assert_eq!(problems[0].blinds, problems[0].code != "generate-name", "{document}");
    assert_eq!(problems[0].origin.as_ref().map(|origin| origin.document), Some(2), "{document}");
    problems[0].to_string()
}

#[test]
fn each_names_its_place_and_what_to_do() {
    for (document, expected) in [
        ("kind: A\nkind: B", "m.yaml:6:1: duplicate-key: the key `kind` stands on line 5 and again on line 6; keep one of them"),
        ("a: {1: x, '1': y}", "m.yaml:5:11: duplicate-key: the key `1` stands on line 5 and again on line 5; keep one of them"),
        ("a: [", "m.yaml:5:4: yaml-syntax: the document is not YAML: unclosed bracket '['; correct it at this place"),
        (
            "a: *b",
            "m.yaml:5:4: yaml-syntax: the document is not YAML: while parsing node, found unknown anchor; correct it at this place",
        ),
        ("a: &b [*b]", "m.yaml:5:8: yaml-syntax: the anchor contains itself through this alias; break the circle"),
        ("a:\n- \tb: c", "m.yaml:6:3: yaml-syntax: Kubernetes' YAML reader takes no tab here; use spaces"),
        (
            "a: \"\\/\"",
            "m.yaml:5:4: yaml-syntax: Kubernetes' YAML reader does not know the escape `\\/`; write the character itself",
        ),
        (
            "a: \"x\\ud83d\\ude00\"",
            "m.yaml:5:4: yaml-syntax: Kubernetes' YAML reader does not know the escape `\\ud83d`; write the character itself",
        ),
        (
            "a: &b.c d",
            "m.yaml:5:4: yaml-syntax: Kubernetes' YAML reader takes only letters, digits, `-` and `_` in the anchor `b.c`; rename it",
        ),
        (
            "a: b\u{2028}",
            "m.yaml:5:5: yaml-syntax: U+2028 is no plain text for Kubernetes' YAML reader; remove it or escape it in double quotes",
        ),
        (
            "a: {<<: [1]}",
            "m.yaml:5:10: yaml-syntax: `<<` merges only mappings and lists of mappings; point it at an anchored mapping",
        ),
        (
            "a: b\n...\nc: d",
            "m.yaml:7:1: behind-document-end: Kubernetes drops what stands behind `...` without a word; begin a document with `---` instead",
        ),
        ("a: !!int x", "m.yaml:5:10: bad-tag: the value is not what its tag `!!int` says; remove the tag or correct the value"),
        ("a: !!binary x", "m.yaml:5:13: bad-tag: the text of `!!binary` is not base64; correct it or remove the tag"),
        (
            "a: -.inf",
            "m.yaml:5:4: not-json: the number has no form in JSON, so that no API server can take it; put it in quotes or remove it",
        ),
        ("~: a", "m.yaml:5:1: bad-key: `null` cannot be a key for Kubernetes; put it in quotes"),
        ("? [a]\n: b", "m.yaml:5:3: bad-key: a key is a list or a mapping, which Kubernetes does not take; write keys as text"),
        (
            "just text",
            "m.yaml:5:1: not-an-object: the document is no Kubernetes object: it is not a mapping; correct it, or leave the file out of `paths`",
        ),
        (
            "kind: A",
            "m.yaml:5:1: not-an-object: the document is no Kubernetes object: it has no `apiVersion`; correct it, or leave the file out of `paths`",
        ),
        (
            "apiVersion: v1\nkind: Y",
            "m.yaml:6:7: not-an-object: the document is no Kubernetes object: its `kind` is not text; correct it, or leave the file out of `paths`",
        ),
        (
            "apiVersion: a/b/v1\nkind: A",
            "m.yaml:5:1: not-an-object: the document is no Kubernetes object: its `apiVersion` `a/b/v1` is not `group/version`; correct it, or leave the file out of `paths`",
        ),
        ("apiVersion: v1\nkind: A", "m.yaml:5:1: no-name: A has no `metadata.name`; give it a name in text"),
        (
            "apiVersion: v1\nkind: A\nmetadata: {name: 0644}",
            "m.yaml:7:18: no-name: A has no `metadata.name` (it is not text); give it a name in text",
        ),
        (
            "apiVersion: v1\nkind: A\nmetadata: {name: a, namespace: 1}",
            "m.yaml:7:32: bad-namespace: A a has a `metadata.namespace` that is not text; put it in quotes",
        ),
        (
            "apiVersion: batch/v1\nkind: Job\nmetadata: {generateName: a-}",
            "m.yaml:5:1: generate-name: Job has only `metadata.generateName`, so that each create makes another object and none can be compared with Git; give it a `metadata.name`",
        ),
        (
            "kind: List\nitems: {}",
            "m.yaml:6:8: not-an-object: the document is no Kubernetes object: `items` is not a list; correct it, or leave the file out of `paths`",
        ),
    ] {
        assert_eq!(problem_of(document), expected, "{document}");
    }
}

#[test]
fn a_separator_with_text_spoils_its_own_document() {
    let (objects, problems) = read_text(&format!("{HEAD}--- {{a: b}}\nkind: A\n---\n{HEAD}"));
    assert_eq!(objects.len(), 2);
    assert_eq!(problems.len(), 1);
    assert_eq!(
        problems[0].to_string(),
        "m.yaml:4:1: yaml-syntax: `---` with text behind it separates no documents for Kubernetes (only a comment may follow `---`); \
         move the rest to the next line"
    );
}

#[test]
fn a_bad_item_leaves_the_list_readable() {
    let text = "apiVersion: v1\nkind: List\nitems:\n- {apiVersion: v1, kind: A, metadata: {name: a}}\n- null\n\
                - {apiVersion: v1, kind: List, metadata: {name: l}, items: []}\n- {apiVersion: v1, kind: B, metadata: {name: b}}\n";
    let (objects, problems) = read_text(text);
    assert_eq!(objects.iter().map(|object| object.id.to_string()).collect::<Vec<_>>(), ["A a", "B b"]);
    assert_eq!(objects[1].origin.to_string(), "m.yaml:7:3");
    assert_eq!(problems.iter().map(|problem| problem.code).collect::<Vec<_>>(), ["not-an-object", "nested-list"]);
}

#[test]
fn templates_are_named_as_such() {
    for (document, place) in [
        ("apiVersion: v1\nkind: A\nmetadata:\n  name: {{ .Values.name }}", "m.yaml:8:9"),
        ("{{- if .Values.on }}\nkind: A\n{{- end }}", "m.yaml:5:1"),
        ("apiVersion: v1\nkind: A\nmetadata:\n  name: \"{{name}}\"", "m.yaml:8:9"),
        ("apiVersion: v1\nkind: A\nmetadata: {name: a}\nspec:\n  image: \"{{ .Values.image }}\"", "m.yaml:9:10"),
    ] {
        let problem = problem_of(document);
        assert!(problem.starts_with(&format!("{place}: unrendered-template: `{{{{ … }}}}` is template text")), "{problem}");
    }
}

#[test]
fn braces_that_belong_to_alerts_and_payloads_are_left_alone() {
    read_one(&format!("{HEAD}data:\n  chart: \"{{{{ .Values.image }}}}\"\n"));
    let rule = "apiVersion: v1\nkind: Rule\nmetadata: {name: a, annotations: {x: '{{ .Values.x }}'}}\n\
                spec:\n  summary: '{{ $labels.job }} is down, {{ $value }}'\n";
    read_one(rule);
}

#[test]
fn files_that_are_no_text_or_too_large() {
    let (objects, problems) = manifest::read("m.yaml", b"a: b\nc: \xff\n");
    assert_eq!(objects, []);
    assert_eq!(problems[0].to_string(), "m.yaml:2:4: not-utf8: byte 9 of the file is not UTF-8; save the file as UTF-8");
    let (objects, problems) = manifest::read("m.yaml", &vec![b' '; manifest::SIZE_LIMIT + 1]);
    assert_eq!((objects, problems[0].code), (vec![], "too-large"));
}

#[test]
fn bombs_are_refused_and_large_objects_are_not() {
    let mut bomb = format!("{HEAD}a0: &a0 [x]\n");
    for level in 1..40 {
        let alias = format!("*a{}", level - 1);
        writeln!(bomb, "a{level}: &a{level} [{}]", [alias.as_str(); 9].join(", ")).expect("a String");
    }
    for (text, code) in [
        (bomb, "too-many-aliases"),
        (format!("{HEAD}a: {}", "[".repeat(100_000)), "too-deep"),
        (format!("{HEAD}a: {}", "{a: ".repeat(100_000)), "too-deep"),
        (format!("{HEAD}a:\n{}", "- ".repeat(100_000)), "too-deep"),
    ] {
        let (objects, problems) = read_text(&text);
        assert_eq!((objects.len(), problems[0].code), (0, code));
    }
    let annotation = "x".repeat(1_500_000);
    let containers = "    - {name: c, image: i, env: [{name: A, value: b}]}\n".repeat(10_000);
    let large = read_one(&format!(
        "apiVersion: v1\nkind: Pod\nmetadata:\n  name: a\n  annotations:\n    a: {annotation}\nspec:\n  containers:\n{containers}"
    ));
    assert_eq!(large.value["spec"]["containers"].as_array().map(Vec::len), Some(10_000));
}

#[test]
fn nothing_declared_is_nothing_wrong() {
    for text in ["", "\n", "# only a comment\n", "---\n---\n# nothing\n", "\u{feff}", "null\n", "---\n~\n...\n"] {
        assert_eq!(read_text(text), (vec![], vec![]), "{text:?}");
    }
}
