//! Policies: what reads, what is refused and where, and that no policy makes a round slow.

use proptest::prelude::*;
use trueup_core::finding::{Lane, Stage};
use trueup_core::path::{Path, Segment};
use trueup_core::pattern::{NamePattern, PathPattern};
use trueup_core::policy::{Ownership, Policy, Precedence};

pub fn policy(text: &str) -> Policy {
    Policy::read(&[("policies/a.toml".to_owned(), text.to_owned())]).expect("a policy")
}

/// A policy each of whose classes may act as far as its stage says, as if it had cases that hold.
pub fn proven(mut policy: Policy) -> Policy {
    policy.classes.for_each_mut(|class| class.proof = trueup_core::policy::Proof::Held(1));
    policy
}

/// What is wrong with a policy, one line a problem.
pub fn refused(text: &str) -> String {
    let problems = Policy::read(&[("a.toml".to_owned(), text.to_owned())]).expect_err("a refused policy");
    problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

#[test]
fn every_key_reads_alone_and_as_a_list() {
    let read = policy(
        r#"
        [[class]]
        name = "a"
        match = { kind = "ConfigMap", group = ["", "apps"], namespace = "prod-*", name = ["a", "b"], labels = { app = "x*" }, path = "data.*", change = "changed", manager = "kubectl-*", category = "security", direction = "weaker" }
        lane = "auto"
        stage = "auto"
        ownership = "take"
        limits = { writes_per_hour = 20 }
        verify = { window = "5m" }
        runbook = "docs/a.md"

        [[class]]
        name = "b"
        match = { kind = ["ConfigMap", "Secret"], path = ["data.*", "spec.**"], change = ["undeclared", "leftover"] }
        fallback = true
        lane = "review"
        "#,
    );
    let (a, b) = (&read.classes[0], &read.classes[1]);
    assert_eq!((a.lane, a.stage, a.ownership, a.precedence), (Lane::Auto, Stage::Auto, Ownership::Take, Precedence::Regular));
    assert_eq!((a.writes_per_hour, a.window_seconds, a.runbook.as_deref()), (Some(20), 300, Some("docs/a.md")));
    assert_eq!((b.lane, b.stage, b.precedence, b.window_seconds), (Lane::Review, Stage::Recommend, Precedence::Fallback, 10));
    assert_eq!(a.to_string(), "policies/a.toml:2: class a");
}

#[test]
fn a_known_writer_is_read_or_refused_at_its_place() {
    let writer = |more: &str| format!("\n[[known-writer]]\nmanager = \"m\"\nreason = \"r\"\n{more}\n");
    let read = policy(&writer("kind = \"Service\"\npath = \"metadata.labels.x\"\nvalue = \"number\"\nsubresource = \"status\""));
    let [known] = &read.known_writers[..] else { panic!("one, not {:?}", read.known_writers) };
    assert_eq!((known.managers[0].as_str(), known.subresource.as_deref(), known.group.as_str()), ("m", Some("status"), ""));
    for (more, expected) in [
        (
            "kind = \"Pod\"\npath = \"spec.containers[name=app].image\"",
            "a.toml:2:1: policy: `spec.containers[name=app].image` of `Pod` is never excused: it decides what runs, with which rights, or who reaches it",
        ),
        (
            "kind = \"*\"\npath = \"data.x\"",
            "a.toml:2:1: policy: a known writer names one `kind` and each `manager` exactly: `*` does not",
        ),
        (
            "kind = \"ConfigMap\"\npath = \"data.*\"",
            "a.toml:2:1: policy: `data.*` leaves open which key is meant: a known writer names each key exactly; `*` is for list entries, as in `[name=*]`",
        ),
        (
            "kind = \"ConfigMap\"\npath = \"data..x\"",
            "a.toml:2:1: policy: `data..x` is not a path: an empty segment at character 6",
        ),
        (
            "kind = \"ConfigMap\"\npath = \"data.x\"\nsub = \"status\"",
            "a.toml:7:1: policy: unknown field `sub`, expected one of `manager`, `subresource`, `group`, `kind`, `path`, `value`, `reason`",
        ),
    ] {
        assert_eq!(refused(&writer(more)), expected);
    }
}

#[test]
fn mistakes_are_named_at_their_place() {
    let class = |more: &str| format!("[[class]]\nname = \"a\"\nlane = \"auto\"\n{more}\n");
    for (text, expected) in [
        (
            class("lanes = \"auto\""),
            "a.toml:4:1: policy: unknown field `lanes`, expected one of `name`, `match`, `fallback`, `lane`, `stage`, `ownership`, `review`, `approval`, `limits`, `verify`, `runbook`",
        ),
        (
            class("match = { kid = \"Pod\" }"),
            "a.toml:4:11: policy: unknown field `kid`, expected one of `kind`, `group`, `namespace`, `name`, `labels`, `path`, `change`, `manager`, `owned_by`, `category`, `direction`, `environment`, `tier`, `cel`",
        ),
        (
            class("match = { path = \"data.[x\" }"),
            "a.toml:4:18: policy: `data.[x` is not a path: a `]` is missing at character 6",
        ),
        (
            class("match = { path = [\"data.*\", \"a..b\"] }"),
            "a.toml:4:29: policy: `a..b` is not a path: an empty segment at character 3",
        ),
        (
            class("match = { change = \"altered\" }"),
            "a.toml:4:20: policy: unknown variant `altered`, expected one of `changed`, `removed`, `undeclared`, `leftover`, `missing-object`, `extra-object`",
        ),
        (class("match = { kind = 7 }"), "a.toml:4:18: policy: invalid type: integer `7`, expected a string or a list of strings"),
        (
            class("match = { kind = [] }"),
            "a.toml:4:18: policy: an empty list matches nothing: leave the key out, or name something",
        ),
        (class("stage = \"soon\""), "a.toml:4:9: policy: unknown variant `soon`, expected one of `observe`, `recommend`, `auto`"),
        (class("limits = { writes_per_hour = -1 }"), "a.toml:4:30: policy: invalid value: integer `-1`, expected u32"),
        (
            class("verify = { window = \"1h30\" }"),
            "a.toml:4:21: policy: `1h30` is no window: write seconds or minutes, as in \"30s\" or \"5m\"",
        ),
        (
            "[[class]]\nname = \"a\"\n".to_owned(),
            "a.toml:1:1: policy: missing field `lane`: say where it goes, as in lane = \"review\" (ignore, watch, auto, review or escalate)",
        ),
        (
            class("match = { path = \"/spec/a~b\" }"),
            "a.toml:4:18: policy: `/spec/a~b` is not a path: in a JSON pointer `~` is written `~0`, and `/` in a key `~1`: at character 8",
        ),
        (
            class("match = { cel = \"chang == 'removed'\" }"),
            "a.toml:4:18: policy: `cel`: there is no variable `chang`: there are target, group, kind, object_namespace, name, labels, path, pointer, change, desired, live, manager, owners, category, direction, environment, tier, object",
        ),
        (
            class("match = { cel = '''\nkind == \"Pod\" &&\n  lower(name) == \"a\"''' }"),
            "a.toml:6:8: policy: `cel`: there is no function `lower`: there are has, all, exists, exists_one, filter, map, size, contains, startsWith, endsWith, matches, int, double, string",
        ),
        (
            class("match = { cel = 'kind == ' }"),
            "a.toml:4:26: policy: `cel`: not an expression: Syntax error: mismatched input '<EOF>', as in `change == \"changed\" && path.startsWith(\"data.\")`",
        ),
        (
            class("match = { cel = 'namespace == \"a\"' }"),
            "a.toml:4:18: policy: `cel`: `namespace` is a word that CEL keeps for itself: the variable is `object_namespace`",
        ),
        (
            class("match = { cel = 'path.matches(\"[\")' }"),
            "a.toml:4:30: policy: `cel`: `[` is no regular expression, or too large a one",
        ),
        (
            "[[ignore]]\nname = \"a\"\nmatch = {}\n".to_owned(),
            "a.toml:3:9: policy: an ignore rule without any condition would hide everything: name a kind, a name or a path",
        ),
        (
            "[[ignore]]\nname = \"a\"\n".to_owned(),
            "a.toml:1:1: policy: missing field `match`: say what is ignored, as in match = { kind = \"Deployment\", path = \"spec.replicas\" }",
        ),
        ("[[class]\n".to_owned(), "a.toml:1:9: policy: unclosed array table, expected `]`"),
        ("class = 3\n".to_owned(), "a.toml:1:9: policy: invalid type: integer `3`, expected a sequence"),
        (
            format!("{}{}", class(""), class("")),
            "a.toml:5:1: policy: class `a` is defined twice: give each class, ignore rule and freeze its own name",
        ),
    ] {
        assert_eq!(refused(&text), expected, "{text}");
    }
}

#[test]
fn all_mistakes_of_all_files_are_named_together() {
    let class =
        |name: &str, path: &str| format!("[[class]]\nname = \"{name}\"\nlane = \"auto\"\nmatch = {{ path = \"{path}\" }}\n");
    let files = [("a.toml", class("a", "x..y")), ("b.toml", class("b", "ok") + &class("c", "") + &class("b", "ok"))];
    let files = files.map(|(file, text)| (file.to_owned(), text));
    let problems = Policy::read(&files).expect_err("a refused policy");
    let places: Vec<String> = problems.iter().filter_map(|problem| Some(problem.origin.as_ref()?.to_string())).collect();
    assert_eq!(places, ["a.toml:4:18", "b.toml:8:18", "b.toml:9:1"]);
    assert!(problems.iter().all(|problem| problem.blinds));
}

#[test]
fn the_digest_tells_texts_and_names_apart() {
    let digest = |files: &[(&str, &str)]| {
        let files: Vec<_> = files.iter().map(|(file, text)| ((*file).to_owned(), (*text).to_owned())).collect();
        Policy::read(&files).expect("a policy").digest
    };
    let digests =
        [digest(&[]), digest(&[("a", "")]), digest(&[("a", "#")]), digest(&[("a", ""), ("b", "")]), digest(&[("b", "")])];
    assert_eq!(digests.iter().collect::<std::collections::BTreeSet<_>>().len(), digests.len());
}

#[test]
fn a_quoted_star_is_a_key_and_no_pattern() {
    let pattern: PathPattern = r#"data["*"]"#.parse().expect("a pattern");
    let star = Path::of_keys(&["data", "*"]);
    assert!(pattern.matches(&star) && !pattern.matches(&Path::of_keys(&["data", "a"])));
    let itself: PathPattern = star.to_string().parse().expect("a pattern");
    assert!(!itself.matches(&Path::of_keys(&["data", "a"])), "a printed path means itself alone");
}

/// A pattern's step, in the tests' own words.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Step {
    Key(char),
    AnySegment,
    AnyDepth,
    AnyEntry,
    Named(char),
}

/// What the language of patterns says, word by word; exponential.
fn naive(pattern: &[Step], path: &[Segment]) -> bool {
    let Some((first, rest)) = pattern.split_first() else { return path.is_empty() };
    if *first == Step::AnyDepth {
        return (0..=path.len()).any(|depth| naive(rest, &path[depth..]));
    }
    let Some((segment, below)) = path.split_first() else { return false };
    let taken = match (first, segment) {
        (Step::AnySegment, _) | (Step::AnyEntry, Segment::Entry(_) | Segment::Index(_)) => true,
        (Step::Key(key), Segment::Key(name)) => *name == key.to_string(),
        (Step::Named(name), Segment::Entry(keys)) => {
            keys.iter().any(|(key, value)| key == "name" && *value == format!("\"{name}\""))
        }
        _ => false,
    };
    taken && naive(rest, below)
}

fn pattern_text(steps: &[Step]) -> String {
    let mut text = String::new();
    for step in steps {
        match step {
            Step::AnyEntry => text.push_str("[*]"),
            Step::Named(name) => text.extend(["[name=", &name.to_string(), "]"]),
            word => {
                if !text.is_empty() {
                    text.push('.');
                }
                text.push_str(&match word {
                    Step::Key(key) => key.to_string(),
                    Step::AnySegment => "*".to_owned(),
                    _ => "**".to_owned(),
                });
            }
        }
    }
    text
}

fn step() -> impl Strategy<Value = Step> {
    let letter = prop::char::range('a', 'c');
    prop_oneof![
        3 => letter.clone().prop_map(Step::Key),
        1 => Just(Step::AnySegment),
        1 => Just(Step::AnyDepth),
        1 => Just(Step::AnyEntry),
        1 => letter.prop_map(Step::Named),
    ]
}

fn segment() -> impl Strategy<Value = Segment> {
    let letter = prop::char::range('a', 'c');
    let quoted = |letter: char| format!("\"{letter}\"");
    prop_oneof![
        3 => letter.clone().prop_map(|key| Segment::Key(key.to_string())),
        1 => letter.clone().prop_map(move |name| Segment::Entry(vec![("name".to_owned(), quoted(name))])),
        1 => letter.prop_map(move |name| Segment::Entry(vec![("name".to_owned(), quoted(name)), ("port".to_owned(), "80".to_owned())])),
        1 => (0usize..3).prop_map(Segment::Index),
    ]
}

/// `*` in a text, letter by letter; exponential.
fn naive_name(pattern: &[char], name: &[char]) -> bool {
    match pattern.split_first() {
        None => name.is_empty(),
        Some(('*', rest)) => (0..=name.len()).any(|at| naive_name(rest, &name[at..])),
        Some((letter, rest)) => name.first() == Some(letter) && naive_name(rest, &name[1..]),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn path_patterns_mean_what_the_words_say(steps in prop::collection::vec(step(), 1..6), path in prop::collection::vec(segment(), 0..6)) {
        let pattern: PathPattern = pattern_text(&steps).parse().expect("a pattern");
        prop_assert_eq!(pattern.matches(&Path(path.clone())), naive(&steps, &path), "{} on {}", pattern, Path(path));
    }

    #[test]
    fn name_patterns_mean_what_the_words_say(pattern in "[ab*]{0,7}", name in "[ab]{0,8}") {
        let letters = |text: &str| text.chars().collect::<Vec<_>>();
        prop_assert_eq!(NamePattern::new(&pattern).matches(&name), naive_name(&letters(&pattern), &letters(&name)));
    }

    #[test]
    fn a_printed_path_is_a_pattern_of_itself(path in prop::collection::vec(segment(), 1..6)) {
        let path = Path(path);
        let pattern: PathPattern = path.to_string().parse().expect("a pattern");
        prop_assert!(pattern.matches(&path));
    }

    #[test]
    fn no_text_panics(text in ".{0,60}") {
        let _ = text.parse::<PathPattern>();
        let _ = Policy::read(&[("a".to_owned(), text)]);
    }
}

/// Trying every way would take 2⁶⁰ steps and more: this test ends only if matching does not.
#[test]
fn chains_of_any_depth_do_not_multiply() {
    let chain: PathPattern = format!("{}z", "**.*.**.a.".repeat(30)).parse().expect("a pattern");
    let path = Path::of_keys(&["a"; 120]);
    assert!(!chain.matches(&path));
    assert!(chain.matches(&path.key("z")));
    assert!(!NamePattern::new(&"*a".repeat(60)).matches(&"b".repeat(4000)));
    assert!(!NamePattern::new(&format!("{}c", "*a".repeat(60))).matches(&"a".repeat(4000)));
}

/// Ten thousand rules of each kind, all of which have to be asked: this test ends only if reading and matching are about
/// linear, and the search for classes without effect is cut off.
#[test]
fn ten_thousand_rules_of_each_kind() {
    let both = (0..10_000).map(|at| {
        let class = format!(
            "[[class]]\nname = \"c{at}\"\nlane = \"review\"\nmatch = {{ path = \"**.a{at}.**.*.**.z\", name = \"*a*b*c{at}\" }}\n"
        );
        class + &format!("[[ignore]]\nname = \"i{at}\"\nmatch = {{ path = \"/spec/a/{at}\", kind = \"*x*{at}\" }}\n")
    });
    let conditions = (300..500)
        .map(|at| format!("[[class]]\nname = \"d{at}\"\nlane = \"escalate\"\nmatch = {{ cel = 'path.size() == {at}' }}\n"));
    let text = both.chain(conditions).collect::<Vec<_>>().concat();
    let policy = policy(&text);
    assert_eq!((policy.classes.len(), policy.ignores.len()), (10_200, 10_000));
    assert_eq!(policy.classes[10_199].origin.line, 70_800 - 3);
    let long = Path::of_keys(&["a"; 200]).to_string();
    let difference = crate::weighing::difference("ConfigMap", &long, None, Some(serde_json::json!("x")));
    let finding = trueup_core::classify::classify(difference, &policy, "s", &trueup_core::seen::DigestKey::new(&[1; 32]));
    assert_eq!(finding.class.as_deref(), Some("d399"));
    let problems = trueup_core::policy::unreachable(&policy);
    assert_eq!(problems.iter().map(|problem| problem.code).collect::<Vec<_>>(), ["policy-large"]);
}
