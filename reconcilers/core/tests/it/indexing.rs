//! Rules under what they name: to look few of them up is to ask all of them.

use proptest::prelude::*;
use trueup_core::classify::classify;
use trueup_core::finding::{Difference, Divergence};
use trueup_core::policy::{Facts, Holds, Policy, Precedence};
use trueup_core::seen::DigestKey;

use crate::policies::policy;
use crate::weighing::difference;

const NAMES: [&str; 8] = ["", "*", "a", "ab", "a*", "ab*", "*b", "abc"];

const PATTERNS: [&str; 22] = [
    "**",
    "*",
    "a",
    "a.b",
    "a.**",
    "**.b",
    "a.*.c",
    "a[*]",
    "a[0]",
    "a[1].b",
    "a[name=x]",
    "a[name=x].b",
    "**[name=x].**",
    "/a",
    "/a/0",
    "/a/1/b",
    "/a/b",
    "/",
    "[\"a/b\"]",
    "/a~1b",
    "ab",
    "**.a.**.b.**",
];

const PATHS: [&str; 14] =
    ["", "a", "a.b", "a.b.c", "b", "x.b", "a[0]", "a[1]", "a[1].b", "a[name=x]", "a[name=x].b", "ab", "[\"a/b\"]", "a.abc"];

/// A condition over names or paths: absent, of one pattern, or of several.
fn condition(key: &'static str, among: &'static [&'static str]) -> impl Strategy<Value = Option<String>> {
    let list = prop::collection::vec(prop::sample::select(among), 1..4);
    prop::option::weighted(0.5, list.prop_map(move |words| format!("{key} = {words:?}")))
}

fn rule() -> impl Strategy<Value = (Vec<String>, u8)> {
    let cel = prop::option::weighted(0.2, prop::sample::select(&["name == 'a'", "size(desired) > 0"][..]));
    let names =
        (condition("kind", &NAMES), condition("namespace", &NAMES), condition("name", &NAMES), condition("manager", &NAMES));
    (names, condition("path", &PATTERNS), cel, 0u8..4).prop_map(|((kind, namespace, name, manager), path, cel, form)| {
        let cel = cel.map(|text| format!("cel = {text:?}"));
        ([kind, namespace, name, manager, path, cel].into_iter().flatten().collect(), form)
    })
}

/// Classes, fallbacks and ignore rules in one file.
fn text(rules: &[(Vec<String>, u8)]) -> String {
    let written = rules.iter().enumerate().map(|(at, (conditions, form))| {
        let matches = conditions.join(", ");
        match form {
            0 if !conditions.is_empty() => format!("[[ignore]]\nname = \"r{at}\"\nmatch = {{ {matches} }}\n"),
            1 => format!("[[class]]\nname = \"r{at}\"\nlane = \"watch\"\nfallback = true\nmatch = {{ {matches} }}\n"),
            _ => format!("[[class]]\nname = \"r{at}\"\nlane = \"review\"\nmatch = {{ {matches} }}\n"),
        }
    });
    written.collect()
}

fn any_difference() -> impl Strategy<Value = Difference> {
    let name = || prop::sample::select(&["", "a", "ab", "abc", "b", "a\u{0}"][..]);
    let pointer = prop::sample::select(&["", "/a", "/a/0", "/a/1", "/a/1/b", "/a~1b"][..]);
    (name(), name(), name(), name(), prop::sample::select(&PATHS[..]), pointer).prop_map(
        |(kind, namespace, of, manager, path, pointer)| {
            let mut made = difference(kind, if path.is_empty() { "a" } else { path }, Some("x".into()), Some("y".into()));
            if let trueup_core::finding::Subject::Object(id) = &mut made.subject {
                id.namespace = (!namespace.is_empty()).then(|| namespace.to_owned());
                of.clone_into(&mut id.name);
            }
            made.cause.manager = (!manager.is_empty()).then(|| manager.to_owned());
            match &mut made.divergence {
                Divergence::Field(drift) if path.is_empty() => drift.path = trueup_core::path::Path::root(),
                Divergence::Field(drift) => pointer.clone_into(&mut drift.pointer),
                Divergence::Object(_) | Divergence::Expectation(_) => {}
            }
            made
        },
    )
}

/// What every single rule says, one after the other: the names that mean a difference, and of how many conditions it cannot be
/// told.
fn asked_one_by_one(difference: &Difference, policy: &Policy) -> (Vec<String>, usize) {
    let facts = Facts::of(difference);
    let ignores: Vec<_> = policy.ignores.iter().map(|rule| (rule.name.clone(), rule.matches.covers(&facts))).collect();
    let of = |precedence: Precedence| {
        let classes = policy.classes.iter().filter(move |class| class.precedence == precedence);
        let answers = classes.map(|class| (class.name.clone(), class.matches.holds(&facts)));
        answers.filter(|(_, holds)| *holds != Holds::No).collect::<Vec<_>>()
    };
    let regular = of(Precedence::Regular);
    let votes = if regular.is_empty() { of(Precedence::Fallback) } else { regular };
    let failed = ignores.iter().chain(&votes).filter(|(_, holds)| matches!(holds, Holds::Failed(_))).count();
    let ignoring = ignores.into_iter().filter(|(_, holds)| *holds == Holds::Yes);
    (ignoring.chain(votes).map(|(name, _)| name).collect(), failed)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    #[test]
    fn to_look_rules_up_is_to_ask_all(
        rules in prop::collection::vec(rule(), 0..14),
        differences in prop::collection::vec(any_difference(), 1..12),
    ) {
        let policy = policy(&text(&rules));
        for difference in differences {
            let expected = asked_one_by_one(&difference, &policy);
            let finding = classify(difference.clone(), &policy, "s", &DigestKey::new(&[1; 32]));
            prop_assert_eq!((finding.meant_by, finding.problems.len()), expected, "{:?}", difference);
        }
    }
}
