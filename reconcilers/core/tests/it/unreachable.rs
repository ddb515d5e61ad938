//! Classes without effect: what is said is proven, and what is proven is said.

use proptest::prelude::*;
use trueup_core::classify::{classify, votes};
use trueup_core::finding::{Change, Difference};
use trueup_core::policy::{Policy, unreachable};
use trueup_core::seen::DigestKey;

use crate::policies::policy;
use crate::weighing::difference;

fn found(text: &str) -> Vec<String> {
    let problems = unreachable(&policy(text));
    problems.iter().map(|problem| problem.message.clone()).collect()
}

fn class(name: &str, rest: &str) -> String {
    format!("[[class]]\nname = \"{name}\"\n{rest}\n\n")
}

#[test]
fn what_never_counts_is_named_with_the_reason() {
    let strict = class("strict", "lane = \"escalate\"\nmatch = { kind = [\"Role*\", \"ConfigMap\"], path = \"rules.**\" }");
    for (policy, name, why) in [
        (
            strict.clone()
                + &class(
                    "late",
                    "lane = \"review\"\nmatch = { kind = \"RoleBinding\", path = \"rules[*].verbs\", namespace = \"a\" }",
                ),
            "class `late`",
            "policies/a.toml:1: class strict matches wherever it does, comes first and is as strict",
        ),
        (
            class("all", "lane = \"watch\"") + &class("rest", "lane = \"review\"\nfallback = true\nmatch = { kind = \"Pod\" }"),
            "class `rest`",
            "it is a fallback, and policies/a.toml:1: class all matches wherever it does",
        ),
        (
            "[[ignore]]\nname = \"hpa\"\nmatch = { path = \"spec.replicas\" }\n\n".to_owned()
                + &class("scaled", "lane = \"auto\"\nmatch = { kind = \"Deployment\", path = \"spec.replicas\" }"),
            "class `scaled`",
            "policies/a.toml:1: ignore rule hpa covers all that it means",
        ),
        (
            class("a", "lane = \"auto\"\nmatch = { change = \"missing-object\", path = \"data.*\" }"),
            "class `a`",
            "a whole object that is missing or extra has no path",
        ),
        (
            class("a", "lane = \"auto\"\nmatch = { change = \"removed\", manager = \"kubectl*\" }"),
            "class `a`",
            "nothing tells who removed something, so no manager matches",
        ),
        (
            class("a", "lane = \"auto\"\nmatch = { kind = \"Output\", labels = { a = \"b\" } }"),
            "class `a`",
            "a Terraform output has no `labels` that matches",
        ),
        (class("a", "lane = \"auto\"\nmatch = { cel = \"1 > 2\" }"), "class `a`", "its condition in CEL is always false"),
    ] {
        assert_eq!(
            found(&policy),
            [format!("{name} never has an effect: {why}; remove it, or change what it matches")],
            "{policy}"
        );
    }
}

#[test]
fn what_may_count_is_not_named() {
    for policy in [
        // A looser class leaves the stricter one its effect, and below review each has a say about the stage.
        class("a", "lane = \"watch\"") + &class("b", "lane = \"review\"\nmatch = { kind = \"Pod\" }"),
        class("a", "lane = \"auto\"\nstage = \"auto\"")
            + &class("b", "lane = \"auto\"\nstage = \"observe\"\nmatch = { kind = \"Pod\" }"),
        class("a", "lane = \"auto\"") + &class("b", "lane = \"watch\"\nmatch = { kind = \"Pod\" }"),
        // Later, it does not give the name.
        class("b", "lane = \"review\"\nmatch = { kind = \"Pod\" }") + &class("a", "lane = \"escalate\""),
        // A stricter stage.
        class("a", "lane = \"review\"\nstage = \"recommend\"")
            + &class("b", "lane = \"review\"\nstage = \"observe\"\nmatch = { kind = \"Pod\" }"),
        class("a", "lane = \"escalate\"\nfallback = true") + &class("b", "lane = \"review\"\nmatch = { kind = \"Pod\" }"),
        // Not all of it.
        class("a", "lane = \"escalate\"\nmatch = { kind = \"Pod\" }")
            + &class("b", "lane = \"review\"\nmatch = { kind = [\"Pod\", \"Job\"] }"),
        class("a", "lane = \"escalate\"\nmatch = { path = \"spec.*\" }")
            + &class("b", "lane = \"review\"\nmatch = { path = \"spec.**\" }"),
        class("a", "lane = \"escalate\"\nmatch = { cel = \"kind == 'Pod'\" }")
            + &class("b", "lane = \"review\"\nmatch = { kind = \"Pod\" }"),
        "[[ignore]]\nname = \"i\"\nmatch = { owned_by = \"robot\" }\n\n".to_owned()
            + &class("b", "lane = \"review\"\nmatch = { owned_by = \"robot\" }"),
        class("a", "lane = \"auto\"\nmatch = { change = [\"missing-object\", \"changed\"], path = \"data.*\" }"),
        class("a", "lane = \"auto\"\nmatch = { kind = [\"Output\", \"Pod\"], path = \"data.*\" }"),
    ] {
        assert_eq!(found(&policy), [""; 0], "{policy}");
    }
}

fn word(choices: &'static [&'static str]) -> impl Strategy<Value = String> {
    prop_oneof![2 => Just(String::new()), 3 => prop::sample::select(choices).prop_map(str::to_owned)]
}

fn random_class(at: usize) -> impl Strategy<Value = String> {
    let lane = prop::sample::select(&["ignore", "watch", "auto", "review", "escalate"][..]);
    let stage = prop::sample::select(&["observe", "recommend", "auto"][..]);
    let kind = word(&["kind = 'Pod'", "kind = '*'", "kind = ['Pod', 'Job']", "kind = 'P*'"]);
    let path =
        word(&["path = 'a.b'", "path = 'a.*'", "path = '**'", "path = 'a.**'", "path = '**.b'", "path = '*.b'", "path = '/a/b'"]);
    let more = word(&["change = 'changed'", "change = ['changed', 'undeclared']", "manager = 'x*'", "namespace = 'shop'"]);
    (lane, stage, kind, path, more, any::<bool>(), prop::bool::weighted(0.2)).prop_map(move |(lane, stage, kind, path, more, fallback, ignore)| {
        let conditions: Vec<String> = [kind, path, more].into_iter().filter(|part| !part.is_empty()).collect();
        let conditions = conditions.join(", ");
        if ignore && !conditions.is_empty() {
            return format!("[[ignore]]\nname = 'n{at}'\nmatch = {{ {conditions} }}\n");
        }
        format!("[[class]]\nname = 'n{at}'\nlane = '{lane}'\nstage = '{stage}'\nfallback = {fallback}\nmatch = {{ {conditions} }}\n")
    })
}

/// Differences of every kind that the random classes tell apart.
fn all_differences() -> Vec<Difference> {
    let mut all = Vec::new();
    for kind in ["Pod", "Job", "ConfigMap"] {
        for path in ["a", "a.b", "a.c", "b", "x.b", "a.x.b", "x.y.z"] {
            for change in [Change::Changed, Change::Undeclared, Change::Removed] {
                for manager in [None, Some("x1"), Some("y")] {
                    let value = |there: bool| there.then(|| serde_json::json!(1));
                    let mut difference =
                        difference(kind, path, value(change != Change::Undeclared), value(change != Change::Removed));
                    difference.cause.manager = manager.map(str::to_owned);
                    all.push(difference);
                }
            }
        }
    }
    all
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// To take out what is named changes nothing for any difference: neither lane, stage nor class.
    #[test]
    fn what_is_named_can_be_removed(classes in (1usize..6).prop_flat_map(|count| (0..count).map(random_class).collect::<Vec<_>>())) {
        let whole = policy(&classes.join("\n"));
        let named: Vec<u32> = unreachable(&whole).iter().filter_map(|problem| Some(problem.origin.as_ref()?.line)).collect();
        let mut rest = whole.clone();
        // One at a time: of two that cover each other, one is needed.
        for line in named {
            let before = rest.clone();
            let classes = before.classes.iter().filter(|class| class.origin.line != line).cloned();
            let ignores = before.ignores.iter().filter(|rule| rule.origin.line != line).cloned();
            rest = Policy::of(classes.collect(), ignores.collect());
            for difference in all_differences() {
                let judge = |policy: &Policy| {
                    let finding = classify(difference.clone(), policy, "s", &DigestKey::new(&[1; 32]));
                    let first = votes(&difference, policy).first().map(|class| class.name.clone());
                    (finding.lane, finding.stage, if finding.lane == trueup_core::finding::Lane::Ignore { None } else { first })
                };
                let same = judge(&before) == judge(&rest);
                prop_assert!(same, "line {}: {:?} and {:?}", line, judge(&before), judge(&rest));
            }
        }
    }
}
