//! Cases of a policy: what they show, and that a class without one corrects nothing.

use trueup_core::decide::{Case, Decision, Ground, Guards};
use trueup_core::finding::{Lane, Stage};
use trueup_core::policy::{Policy, Proof, unproven};
use trueup_core::proof::broken;

use crate::deciding::{AUTO, decided, one};

const CASE: &str = r#"
[[case]]
name = "a value by hand"
object = { apiVersion = "v1", kind = "ConfigMap", namespace = "shop", name = "settings" }
path = "data.a"
desired = "1"
live = "2"
class = "auto"
lane = "auto"
stage = "auto"
decision = "correct"
"#;

fn read(policy: &str, cases: &str) -> Result<Policy, String> {
    let files = [("a.toml", policy), ("a.cases.toml", cases)].map(|(file, text)| (file.to_owned(), text.to_owned()));
    Policy::read(&files).map_err(|problems| problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))
}

fn decision(policy: &Policy) -> Decision {
    let (pair, findings) = one(policy);
    decided(&[Case { pair: Some(&pair), findings: &findings }], &[], &Guards::none(Ground::Cluster), policy).remove(0)
}

#[test]
fn a_class_without_a_case_that_holds_corrects_nothing() {
    let shown = read(AUTO, CASE).expect("a policy");
    assert_eq!((&shown.classes[0].proof, shown.classes[0].stage_in_force()), (&Proof::Held(1), Stage::Auto));
    assert!(matches!(decision(&shown), Decision::Correct(_)) && unproven(&shown).is_empty());

    for (cases, proof, says) in [
        (String::new(), Proof::Missing, "no [[case]] expects it"),
        (CASE.replace("class = \"auto\"\n", ""), Proof::Missing, "no [[case]] expects it"),
        (CASE.replace("correct", "propose"), Proof::Broken("a value by hand".into()), "its case `a value by hand` does not hold"),
        (CASE.replace("data.a", "spec.a"), Proof::Broken("a value by hand".into()), "does not hold"),
        (format!("{CASE}{}", CASE.replace("correct", "hold")), Proof::Broken("a value by hand".into()), "does not hold"),
    ] {
        let policy = read(AUTO, &cases).expect("a policy");
        assert_eq!((&policy.classes[0].proof, policy.classes[0].stage_in_force()), (&proof, Stage::Recommend), "{cases}");
        let Decision::Propose(proposal) = decision(&policy) else { panic!("{:?}", decision(&policy)) };
        assert!(proposal.reasons.iter().any(|reason| reason.contains(says)), "{:?}", proposal.reasons);
        let [problem] = &unproven(&policy)[..] else { panic!("one problem") };
        assert!(problem.code == "auto-without-case" && problem.message.contains(says) && !problem.blinds, "{problem}");
    }
}

#[test]
fn a_case_that_does_not_hold_says_what_came_of_it() {
    let policy = read(AUTO, &CASE.replace("lane = \"auto\"", "lane = \"review\"")).expect("a policy");
    let [broken] = &broken(&policy)[..] else { panic!("one case") };
    assert_eq!(broken.case.expected.to_string(), "class auto, lane review, stage auto, decision correct");
    assert_eq!(broken.found.to_string(), "class auto, lane auto, stage auto, decision correct");
    assert_eq!(broken.case.origin.to_string(), "a.cases.toml:2:1");
}

/// Every kind of difference goes through the whole policy as one in a cluster would.
#[test]
fn cases_are_judged_as_differences_are() {
    let policy = r#"
[[class]]
name = "settings"
match = { kind = "ConfigMap", path = "data.*", change = ["changed", "removed", "undeclared", "leftover"], environment = "prod*", tier = [1, 2] }
lane = "auto"
stage = "auto"
[[class]]
name = "entries"
match = { path = "spec.template.spec.containers[name=app].image", manager = "kubectl-*", labels = { app = "web" } }
lane = "review"
[[class]]
name = "gone"
match = { change = "missing-object" }
lane = "escalate"
[[class]]
name = "extra"
match = { change = "extra-object" }
lane = "review"
[[class]]
name = "outputs"
match = { kind = "Output", cel = 'live == "b"' }
lane = "review"
[[class]]
name = "tokens"
match = { kind = "Secret" }
lane = "auto"
stage = "auto"
[[ignore]]
name = "noise"
match = { path = "metadata.annotations.noise" }
"#;
    let settings = "object = { apiVersion = \"v1\", kind = \"ConfigMap\", namespace = \"shop\", name = \"a\" }";
    let web = "object = { apiVersion = \"apps/v1\", kind = \"Deployment\", namespace = \"shop\", name = \"web\", labels = { app = \"web\" } }";
    let case = |object: &str, what: &str, class: &str, lane: &str, stage: &str, decision: &str| {
        let class = if class.is_empty() { String::new() } else { format!("class = \"{class}\"\n") };
        format!(
            "[[case]]\nname = \"n\"\n{object}\n{what}\n{class}lane = \"{lane}\"\nstage = \"{stage}\"\ndecision = \"{decision}\"\n"
        )
    };
    let prod = "environment = \"production\"\ntier = 1\n";
    let image = "path = \"spec.template.spec.containers[name=app].image\"\ndesired = \"a\"\nlive = \"b\"\n";
    let cases = [
        case(settings, &format!("{prod}path = \"data.a\"\ndesired = \"1\"\nlive = \"2\""), "settings", "auto", "auto", "correct"),
        case(settings, &format!("{prod}path = \"data.a\"\ndesired = \"1\""), "settings", "auto", "auto", "correct"),
        case(settings, &format!("{prod}path = \"data.a\"\nlive = \"1\""), "settings", "auto", "auto", "correct"),
        case(
            settings,
            &format!("{prod}path = \"data.a\"\nlive = \"1\"\nchange = \"leftover\""),
            "settings",
            "auto",
            "auto",
            "correct",
        ),
        case(settings, "path = \"data.a\"\ndesired = \"1\"\nlive = \"2\"", "", "review", "observe", "leave"),
        case(
            settings,
            "path = \"data.a\"\ndesired = \"1\"\nlive = \"2\"\nenvironment = \"production\"\ntier = 3",
            "",
            "review",
            "observe",
            "leave",
        ),
        case(web, &format!("{image}manager = \"kubectl-set\""), "entries", "review", "recommend", "propose"),
        case(web, image, "", "review", "observe", "leave"),
        case(web, "change = \"missing-object\"", "gone", "escalate", "recommend", "escalate"),
        case(web, "change = \"extra-object\"", "extra", "review", "recommend", "leave"),
        case(
            "object = { kind = \"Output\", name = \"db\" }",
            "desired = \"a\"\nlive = \"b\"",
            "outputs",
            "review",
            "recommend",
            "propose",
        ),
        case(web, "path = \"metadata.annotations.noise\"\nlive = \"1\"", "noise", "ignore", "observe", "leave"),
        case(
            "object = { apiVersion = \"v1\", kind = \"Secret\", namespace = \"shop\", name = \"t\" }",
            "path = \"data.a\"\ndesired = \"MQ==\"\nlive = \"Mg==\"",
            "tokens",
            "review",
            "auto",
            "leave",
        ),
        case(settings, "path = \"spec.replicas\"\ndesired = 1\nlive = 2", "", "review", "observe", "leave"),
    ];
    let policy = read(policy, &cases.concat()).expect("a policy");
    assert_eq!(policy.cases.len(), cases.len());
    let wrong: Vec<String> = broken(&policy)
        .iter()
        .map(|broken| format!("{}: {}, not {}", broken.case.origin, broken.found, broken.case.expected))
        .collect();
    assert_eq!(wrong, Vec::<String>::new());
    assert_eq!(policy.classes[0].proof, Proof::Held(4));
    assert!(policy.cases.iter().any(|case| case.expected.lane == Lane::Ignore));
}

#[test]
fn mistakes_in_cases_are_named_at_their_place() {
    for (was, is, says) in [
        ("live = \"2\"\n", "live = \"2\"\nlife = 1\n", "unknown field `life`"),
        ("path = \"data.a\"", "path = \"data..a\"", "is not a path"),
        ("path = \"data.a\"\n", "", "say where it differs: `path`"),
        ("desired = \"1\"\nlive = \"2\"\n", "", "say what differs"),
        ("desired = \"1\"\n", "change = \"changed\"\n", "are not those of change = \"changed\""),
        ("live = \"2\"\n", "change = \"missing-object\"\n", "a whole object or an output has no `path`"),
        ("apiVersion = \"v1\", ", "", "say which version its object has"),
        ("live = \"2\"\n", "live = \"2\"\ntier = 10\n", "a tier is a number from 1 to 9"),
        ("decision = \"correct\"\n", "", "missing field `decision`"),
        ("decision = \"correct\"", "decision = \"fix\"", "unknown variant `fix`"),
    ] {
        let text = CASE.replacen(was, is, 1);
        assert_ne!(text, CASE);
        let message = read(AUTO, &text).expect_err(says);
        assert!(message.starts_with("a.cases.toml:") && message.contains(says), "{message}");
    }
}
