//! What people read, and that nothing in it acts.

use proptest::prelude::*;
use serde_json::{Value, json};
use trueup_core::facts::{Evidence, Operation, Origin};
use trueup_core::finding::{Cause, Divergence, Drift, Factor, Lane, Risk, Stage, Subject};
use trueup_core::object::{ObjectId, TargetName};
use trueup_core::path::Path;
use trueup_core::seen::DigestKey;

use super::*;

fn finding(path: Path, desired: Option<Seen>, live: Option<Seen>, word: &str) -> Finding {
    let id = ObjectId {
        api_version: "apps/v1".to_owned(),
        kind: "Deployment".to_owned(),
        namespace: Some("shop".to_owned()),
        name: "checkout".to_owned(),
    };
    let change = match (&desired, &live) {
        (Some(_), Some(_)) => Change::Changed,
        (Some(_), None) => Change::Removed,
        _ => Change::Undeclared,
    };
    let cause = Cause {
        manager: Some(word.to_owned()),
        operation: Some(Operation::Update),
        subresource: None,
        time: Some("2026-11-21T02:31:40Z".to_owned()),
        confidence: Confidence::Reported,
        formerly: None,
    };
    let difference = Difference {
        target: TargetName("prod-eu".to_owned()),
        subject: Subject::Object(id),
        divergence: Divergence::Field(Drift { path, pointer: String::new(), change, desired, live }),
        cause,
        evidence: Some(Evidence::Baseline),
        origin: Origin { file: "manifests/checkout.yaml".to_owned(), line: 21, column: 18, document: 1 },
        labels: std::collections::BTreeMap::new(),
        ignored_in_git: false,
        surroundings: trueup_core::finding::Surroundings::default(),
    };
    Finding {
        id: difference.id("acme/platform", &DigestKey::new(&[7; 32])),
        place: difference.place("acme/platform"),
        difference,
        class: Some("image-change".to_owned()),
        meant_by: Vec::new(),
        problems: Vec::new(),
        stage: Stage::Recommend,
        lane: Lane::Review,
        risk: Risk { score: 54, factors: vec![Factor { name: "restarts pods".to_owned(), points: 30 }] },
        barred: None,
        kept: None,
        reasons: vec![format!("policies/drift.toml:14: {word}")],
    }
}

fn image(live: &str, word: &str) -> Finding {
    let path: Path = "spec.template.spec.containers[name=app].image".parse().expect("a path");
    let plain = |text: &str| Some(Seen::Plain(Value::String(text.to_owned())));
    finding(path, plain("shop/web:1.4.2"), plain(live), word)
}

fn edit(before: &str, after: &str) -> Vec<Edit> {
    vec![Edit { file: "manifests/checkout.yaml".to_owned(), before: before.into(), after: after.into(), comments: Vec::new() }]
}

fn about<'a>(findings: &'a [&'a Finding], edits: &'a [Edit]) -> Content<'a> {
    Content { findings, remedy: Remedy::Adopt, edits, removed: &[] }
}

#[test]
fn what_people_read() {
    let finding = image("shop/web:1.4.3-hot", "kubectl-set");
    let edits = edit("a: 1\nimage: shop/web:1.4.2  # pinned\nb: 2\n", "a: 1\nimage: shop/web:1.4.3-hot  # pinned\nb: 2\n");
    let text = body(about(&[&finding], &edits), "4f2c9e1");
    assert_eq!(text, body(about(&[&finding], &edits), "4f2c9e1"), "the same finding and commit give the same text");
    insta::assert_snapshot!(format!("{}\n=====\n{}=====\n{text}", title(about(&[&finding], &[])), commit_message(about(&[&finding], &[]))), @r###"
adopt live spec.template.spec.containers[name=app].image of Deployment shop/checkout in prod-eu
=====
adopt live spec.template.spec.containers[name=app].image of Deployment shop/checkout in prod-eu

Live has been so since 2026-11-21T02:31:40Z, written by kubectl-set.

Trueup-Place: p-355527881290b45c
=====
Live has `"shop/web:1.4.3-hot"` at `spec.template.spec.containers[name=app].image` of `Deployment shop/checkout` in `prod-eu`. Git declares `"shop/web:1.4.2"`.

- **Merging** means: Git declares the value that is live; nothing is written to the target.
- **Closing without merging** means: no. trueup leaves this value alone until Git or live moves.

- **Where:** `manifests/checkout.yaml:21:18` at commit `4f2c9e1`
- **Writer:** `kubectl-set` at `2026-11-21T02:31:40Z` (confidence: reported; a program's own name for itself, no proof of a person)
- **Class:** `image-change`, stage recommend, lane review
- **Why:**
  - `policies/drift.toml:14: kubectl-set`
- **Risk:** 54 of 100
  - `restarts pods`: 30

```diff
--- a/manifests/checkout.yaml
+++ b/manifests/checkout.yaml
@@ -1,3 +1,3 @@
 a: 1
-image: shop/web:1.4.2  # pinned
+image: shop/web:1.4.3-hot  # pinned
 b: 2
```
"###);
}

#[test]
fn a_removed_value_and_a_secret_one() {
    let path = Path::of_keys(&["data", "LEVEL"]);
    let removed = finding(path.clone(), Some(Seen::Plain(json!("info"))), None, "kubectl-edit");
    let secret = Seen::Masked(DigestKey::new(&[7; 32]).mask(&json!("hunter2")));
    let masked = finding(path, Some(secret.clone()), Some(secret), "kubectl-edit");
    let text = body(about(&[&masked], &edit("LEVEL: hunter2\n", "LEVEL: hunter3\n")), "4f2c9e1");
    assert!(!text.contains("hunter"), "{text}");
    insta::assert_snapshot!(format!("{}\n=====\n{text}", body(about(&[&removed], &edit("LEVEL: info\n", "")), "4f2c9e1")), @r###"
Live no longer has `data.LEVEL` of `Deployment shop/checkout` in `prod-eu`. Git declares `"info"`.

- **Merging** means: Git stops declaring this value; nothing is written to the target.
- **Closing without merging** means: no. trueup leaves this value alone until Git or live moves.

- **Where:** `manifests/checkout.yaml:21:18` at commit `4f2c9e1`
- **Writer:** `kubectl-edit` at `2026-11-21T02:31:40Z` (confidence: reported; a program's own name for itself, no proof of a person)
- **Class:** `image-change`, stage recommend, lane review
- **Why:**
  - `policies/drift.toml:14: kubectl-edit`
- **Risk:** 54 of 100
  - `restarts pods`: 30

```diff
--- a/manifests/checkout.yaml
+++ b/manifests/checkout.yaml
@@ -1 +0,0 @@
-LEVEL: info
```

=====
Live has a secret value (`k1:b0b30fcc4af8bfee`) at `data.LEVEL` of `Deployment shop/checkout` in `prod-eu`. Git declares a secret value (`k1:b0b30fcc4af8bfee`).

- **Merging** means: Git declares the value that is live; nothing is written to the target.
- **Closing without merging** means: no. trueup leaves this value alone until Git or live moves.

- **Where:** `manifests/checkout.yaml:21:18` at commit `4f2c9e1`
- **Writer:** `kubectl-edit` at `2026-11-21T02:31:40Z` (confidence: reported; a program's own name for itself, no proof of a person)
- **Class:** `image-change`, stage recommend, lane review
- **Why:**
  - `policies/drift.toml:14: kubectl-edit`
- **Risk:** 54 of 100
  - `restarts pods`: 30

The difference is not shown: a secret value takes part in it.
"###);
}

const HOSTILE: [&str; 10] = [
    "@acme/team closes #1, fixes https://github.com/acme/platform/issues/2 and GH-3",
    "<img src=x onerror=alert(1)><script>alert(1)</script>",
    "[click](javascript:alert(1)) ![x](https://evil.example/p.png)",
    "```\n````\n~~~~\n</details>",
    "` `` ``` `",
    "\u{1b}[2J\u{1b}[31mred\u{7}",
    "\u{202e}gnp.exe\u{2066}\u{200f}\u{feff}\u{200b}",
    "a\r\nb\nc\0d\u{85}e\u{2028}f",
    "| a | b |\n|---|---|\n# head\n> quote\n- item",
    "&lt;b&gt; \\` \\* $(rm -rf /) $x^2$",
];

#[test]
fn hostile_text_is_inert() {
    for word in HOSTILE {
        let finding = image(word, word);
        assert_inert(&body(about(&[&finding], &edit("a\n", &format!("{word}\n"))), word), word);
        let plain = title(about(&[&finding], &[])) + &commit_message(about(&[&finding], &[]));
        assert!(!plain.contains(['@', '#', '<', '`', '\u{1b}', '\u{202e}', '\u{200b}']), "{plain}");
        assert!(!plain.contains("https://") && !plain.contains("GH-3"), "{plain}");
    }
}

/// The same for whatever else a finding carries: names of objects, keys, files, targets, classes, writers, factors.
#[test]
fn hostile_names_are_inert() {
    for word in HOSTILE {
        let mut finding =
            finding(Path::of_keys(&["data", word]), Some(Seen::Plain(json!({word: [word]}))), Some(Seen::Plain(json!(1))), word);
        let id = ObjectId {
            api_version: word.to_owned(),
            kind: word.to_owned(),
            namespace: Some(word.to_owned()),
            name: word.to_owned(),
        };
        let difference = &mut finding.difference;
        (difference.subject, difference.target) = (Subject::Object(id), TargetName(word.to_owned()));
        word.clone_into(&mut difference.origin.file);
        (difference.cause.subresource, difference.cause.time) = (Some(word.to_owned()), Some(word.to_owned()));
        (finding.class, finding.reasons) = (Some(word.to_owned()), vec![word.to_owned()]);
        finding.risk.factors = vec![Factor { name: word.to_owned(), points: 1 }];
        let edits = [Edit { file: word.to_owned(), before: word.into(), after: Vec::new(), comments: vec![word.to_owned()] }];
        assert_inert(&body(about(&[&finding], &edits), word), word);
        let plain = title(about(&[&finding], &[])) + &commit_message(about(&[&finding], &[]));
        assert!(!plain.contains(['@', '#', '<', '`', '\u{1b}', '\u{202e}', '\u{200b}']), "{plain}");
        assert!(!plain.contains("https://") && !plain.contains("GH-3"), "{plain}");
        assert!(title(about(&[&finding], &[])).chars().count() <= TITLE_LIMIT && !title(about(&[&finding], &[])).contains('\n'));
        let branch = crate::review::group::branch([&finding.place], |_| false);
        assert!(branch.strip_prefix("trueup/p-").is_some_and(|digest| digest.chars().all(|c| c.is_ascii_hexdigit())), "{branch}");
    }
}

/// Splits Markdown as `CommonMark` does into what a renderer takes as text and what it takes as code, and looks at the text.
fn assert_inert(markdown: &str, word: &str) {
    assert!(markdown.chars().count() <= LIMIT);
    assert!(markdown.chars().all(|c| c == '\n' || c == '\t' || !crate::visible::is_hidden(c)), "{word:?}: {markdown}");
    let mut text = String::new();
    let mut fence: Option<usize> = None;
    for line in markdown.lines() {
        let ticks = line.len() - line.trim_start_matches('`').len();
        match fence {
            Some(length) if ticks >= length && line.trim_start_matches('`').trim().is_empty() => fence = None,
            Some(_) => {}
            None if ticks >= 3 => fence = Some(ticks),
            None => text.push_str(&without_code_spans(line)),
        }
    }
    assert_eq!(fence, None, "{word:?}: an open fence");
    assert!(!text.contains(['@', '#', '<', '`', '[', '!', '\\', '$', '|']), "{word:?}: {text}");
}

fn without_code_spans(line: &str) -> String {
    let mut text = String::new();
    let mut rest = line;
    while let Some(start) = rest.find('`') {
        text.push_str(&rest[..start]);
        let ticks = rest[start..].len() - rest[start..].trim_start_matches('`').len();
        let behind = &rest[start + ticks..];
        let mut at = 0;
        let end = loop {
            let Some(next) = behind[at..].find('`').map(|next| at + next) else { break None };
            let run = behind[next..].len() - behind[next..].trim_start_matches('`').len();
            if run == ticks {
                break Some(next + run);
            }
            at = next + run;
        };
        let Some(end) = end else { return text + &rest[start..] };
        rest = &behind[end..];
    }
    text + rest
}

#[test]
fn an_overlong_difference_is_cut_with_a_note() {
    let long = "x`y\u{1b}ä\n".repeat(30_000);
    let text = body(about(&[&image("shop/web:2", "kubectl")], &edit("", &long)), "4f2c9e1");
    assert!(text.chars().count() <= LIMIT && text.chars().count() > LIMIT - 200, "{}", text.chars().count());
    assert!(text.contains("The rest of the difference is cut") && text.contains("**Merging** means"));
    assert_inert(&text, "long");
}

/// A finding in one of many applications.
fn one_of_many(number: usize) -> Finding {
    let path = Path::of_keys(&["data", &format!("key-{number}")]);
    let mut one = finding(path, Some(Seen::Plain(json!("info"))), Some(Seen::Plain(json!("debug"))), "kubectl-edit");
    one.difference.labels.insert("app.kubernetes.io/part-of".to_owned(), format!("app-{}", number % 40));
    one
}

#[test]
fn a_text_of_many_values_names_them_or_says_where() {
    for (count, remedy) in [(2, Remedy::Adopt), (2, Remedy::Restore), (500, Remedy::Adopt), (5_000, Remedy::Adopt)] {
        let findings: Vec<Finding> = (0..count).map(one_of_many).collect();
        let findings: Vec<&Finding> = findings.iter().collect();
        let edits = edit(&"level: info\n".repeat(count), &"level: debug\n".repeat(count));
        let content = Content { findings: &findings, remedy, edits: &edits, removed: &[] };
        let text = body(content, "4f2c9e1");
        assert_inert(&text, "many");
        let is_named = |finding: &&&Finding| text.contains(&format!("`{}`", finding.difference.path()));
        let named = findings.iter().filter(is_named).count();
        let left = format!("{} more: the message of this branch's commit names them all.", count - named);
        assert!(named == count || text.contains(&left), "{named} of {count}");
        assert!(count > 500 || named > count / 2, "{named} of {count}");
        let message = commit_message(content);
        for finding in &findings {
            let (path, place) = (finding.difference.path(), &finding.place);
            assert!(message.contains(&format!("- {path} of ")) && message.contains(&format!("Trueup-Place: {place}\n")));
        }
    }
}

#[test]
fn what_people_read_of_several_values() {
    let findings = [one_of_many(0), one_of_many(40)];
    let findings: Vec<&Finding> = findings.iter().collect();
    let removed = [".trueup/approvals/p-0123456789abcdef.toml".to_owned()];
    let content = Content { findings: &findings, remedy: Remedy::Restore, edits: &[], removed: &removed };
    insta::assert_snapshot!(format!("{}\n=====\n{}", title(content), body(content, "4f2c9e1")), @r###"
restore 2 values of shop/app-0 in prod-eu (class image-change)
=====
2 values in `prod-eu` are not what Git declares, in `shop/app-0`.

- **Merging** means: trueup puts what Git declares back into the target, once, and only while they are as shown here.
- **Closing without merging** means: no. trueup leaves these values alone until Git or live moves.
- One approval that counts no more is removed with it.

- `data.key-0` of `Deployment shop/checkout`: live `"debug"`, Git `"info"`
  - **Where:** `manifests/checkout.yaml:21:18`
  - **Writer:** `kubectl-edit` at `2026-11-21T02:31:40Z` (confidence: reported; a program's own name for itself, no proof of a person)
  - **Risk:** 54 of 100: `restarts pods` 30
- `data.key-40` of `Deployment shop/checkout`: live `"debug"`, Git `"info"`
  - **Where:** `manifests/checkout.yaml:21:18`
  - **Writer:** `kubectl-edit` at `2026-11-21T02:31:40Z` (confidence: reported; a program's own name for itself, no proof of a person)
  - **Risk:** 54 of 100: `restarts pods` 30

- **Commit:** `4f2c9e1`
- **Class:** `image-change`
- **Risk:** at most 54 of 100
- **Why:**
  - `policies/drift.toml:14: kubectl-edit`

The changed files hold the approval alone, and no value.
"###);
}

proptest! {
    #[test]
    fn any_text_is_inert(word in "(?s).{0,40}", live in "[`@#<\\[\\]!a\\r\\n~ ]{0,20}") {
        let finding = image(&live, &word);
        assert_inert(&body(about(&[&finding], &edit(&live, &word)), &word), &word);
        let plain = title(about(&[&finding], &[])) + &commit_message(about(&[&finding], &[]));
        prop_assert!(plain.chars().all(|c| c == '\n' || !crate::visible::is_hidden(c)) && !plain.contains(['@', '#', '<', '`']));
    }
}

#[test]
fn a_line_with_a_secret_is_not_shown_beside_a_change() {
    let manifest = |image: &str| {
        format!(
            "apiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: web}}\nspec:\n  template:\n    spec:\n      containers:\n      - name: app\n        \
             env:\n        - name: DB_PASSWORD\n          value: hunter2\n        image: shop/web:{image}\n"
        )
    };
    let finding = image("shop/web:1.4.3-hot", "kubectl-set");
    let text = body(about(&[&finding], &edit(&manifest("1.4.2"), &manifest("1.4.3-hot"))), "4f2c9e1");
    assert!(!text.contains("hunter2"), "{text}");
    for line in ["         - name: DB_PASSWORD", " (not shown: a secret value)", "+        image: shop/web:1.4.3-hot"] {
        assert!(text.lines().any(|shown| shown == line), "{line}\n{text}");
    }
}
