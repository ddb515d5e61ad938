//! What is done about findings, and what never is.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use proptest::prelude::*;
use serde_json::{Value, json};
use trueup_core::classify::classify;
use trueup_core::decide::{Case, Decision, Ground, Guards, HOLD_ANNOTATION, HeldPlace, Inputs, Request, Terms, Undo, decide};
use trueup_core::difference::differences;
use trueup_core::facts::{Evidence, FieldSet, Matched, Operation, Owner, Pair, Secrecy};
use trueup_core::finding::{Change, Finding, FindingId, Lane, Stage};
use trueup_core::object::TargetName;
use trueup_core::patch::repair;
use trueup_core::policy::Policy;

use crate::comparing::{Sample, key, matched, sample};
use crate::generate::Dice;
use crate::policies::{policy, proven};

/// One round's objects, findings, policy and guards.
pub struct Round {
    pub pairs: Vec<Pair>,
    pub findings: Vec<Vec<Finding>>,
    pub policy: Policy,
    pub guards: Guards,
}

/// The time at which every test decides.
pub fn now() -> Timestamp {
    "2026-11-21T12:00:00Z".parse().expect("a time")
}

/// What is decided about cases of the target `t` now.
pub fn decided(cases: &[Case<'_>], requests: &[Request], guards: &Guards, policy: &Policy) -> Vec<Decision> {
    decide(&inputs(cases, requests, guards, policy))
}

pub fn inputs(cases: &[Case<'_>], requests: &[Request], guards: &Guards, policy: &Policy) -> Inputs {
    Inputs::of(cases, Terms { target: &TargetName("t".to_owned()), requests, guards, policy, now: now() })
}

impl Round {
    pub fn cases(&self) -> Vec<Case<'_>> {
        self.pairs.iter().zip(&self.findings).map(|(pair, findings)| Case { pair: Some(pair), findings }).collect()
    }

    pub fn decide(&self, guards: &Guards) -> Vec<Decision> {
        decided(&self.cases(), &[], guards, &self.policy)
    }

    pub fn all(&self) -> impl Iterator<Item = (&Finding, &Pair)> {
        self.findings.iter().zip(&self.pairs).flat_map(|(findings, pair)| findings.iter().map(move |finding| (finding, pair)))
    }
}

const PATHS: [&str; 6] = ["**", "alpha.**", "beta", "**[*].**", "gamma.**", "metadata.**"];

fn random_policy(dice: &mut Dice) -> Policy {
    let classes: Vec<String> = (0..dice.roll(4)).map(|at| random_class(at, dice)).collect();
    proven(policy(&classes.join("\n")))
}

fn random_class(at: usize, dice: &mut Dice) -> String {
    let lane = dice.pick(&["auto", "auto", "auto", "auto", "watch", "ignore", "review", "escalate"]);
    let mut lines = vec!["[[class]]".to_owned(), format!("name = \"c{at}\""), format!("lane = \"{lane}\"")];
    if !dice.once_in(4) {
        lines.push(format!("stage = \"{}\"", dice.pick(&["auto", "auto", "auto", "recommend", "observe"])));
    }
    let changes = dice.pick(&["", ", change = [\"changed\", \"removed\", \"undeclared\"]"]);
    lines.push(format!("match = {{ path = \"{}\"{changes} }}", dice.pick(&PATHS)));
    if dice.once_in(3) {
        lines.push(format!("limits = {{ writes_per_hour = {} }}", dice.roll(3)));
    }
    lines.push(dice.pick(&["", "ownership = \"take\"", "ownership = \"hand-back\"", "fallback = true"]).to_owned());
    lines.join("\n") + "\n"
}

pub fn random_pair(sample: &Sample, at: usize, dice: &mut Dice) -> Matched {
    let mut matched = matched(&sample.declared, &sample.expected, &sample.live);
    matched.desired.id.name = format!("a{at}");
    matched.live.id.name = format!("a{at}");
    matched.expected.evidence = dice.pick(&[Evidence::Baseline, Evidence::Baseline, Evidence::Baseline, Evidence::Table]);
    if dice.once_in(6) {
        matched.secrecy = Secrecy::Secret;
    }
    if dice.once_in(6) {
        matched.live.deleting_since = Some("2026-11-21T00:00:00Z".to_owned());
    }
    if dice.once_in(6) {
        matched.live.uid = None;
    }
    if dice.once_in(4) {
        let owner = |operation| Owner {
            manager: "team".to_owned(),
            operation,
            subresource: None,
            time: None,
            fields: FieldSet::default(),
        };
        matched.live.owners = vec![owner(dice.pick(&[Operation::Apply, Operation::Update]))];
    }
    if dice.once_in(6) {
        matched.live.value["metadata"] = json!({"annotations": {HOLD_ANNOTATION: "by hand"}});
        matched.expected.value["metadata"] = json!({"annotations": {HOLD_ANNOTATION: "by hand"}});
    }
    matched
}

pub fn random_round(dice: &mut Dice) -> Round {
    let policy = random_policy(dice);
    let target = TargetName("t".to_owned());
    let mut guards = Guards::none(dice.pick(&[Ground::Cluster, Ground::Cluster, Ground::Snapshot]));
    let (mut pairs, mut findings) = (Vec::new(), Vec::new());
    for at in 0..=dice.roll(3) {
        let edits = 1 + dice.roll(4);
        let sample = sample(dice, edits);
        let pair = random_pair(&sample, at, dice);
        let comparison = trueup_core::diff::compare(&pair, &sample.types, &sample.shape, &key());
        let pair = if dice.once_in(8) { Pair::Missing(pair.desired) } else { Pair::Matched(Box::new(pair)) };
        let differences = differences(&target, &pair, comparison.drifts).into_iter();
        findings.push(differences.map(|difference| classify(difference, &policy, "source", &key())).collect::<Vec<_>>());
        pairs.push(pair);
    }
    for finding in findings.iter().flatten() {
        match dice.roll(12) {
            0 => {
                let held = HeldPlace { reason: "an undo".to_owned(), findings: BTreeSet::from([finding.id.clone()]) };
                guards.held.insert(finding.place.clone(), held);
            }
            1 => drop(guards.recent_writes.insert(finding.place.clone(), u32::try_from(dice.roll(5)).expect("small"))),
            2 => drop(guards.denied.insert(finding.id.clone())),
            3 => drop(guards.inadmissible.insert(finding.id.clone(), "a policy says no".to_owned())),
            _ => {}
        }
    }
    if dice.once_in(10) {
        guards.frozen = Some("another cluster".to_owned());
    }
    if dice.once_in(4) {
        guards.class_writes.insert("c0".to_owned(), u32::try_from(dice.roll(3)).expect("small"));
    }
    Round { pairs, findings, policy, guards }
}

/// The findings that a decision is about.
pub fn about(decision: &Decision) -> Vec<FindingId> {
    match decision {
        Decision::Leave(settled) | Decision::Escalate(settled) | Decision::Hold(settled) => vec![settled.finding.clone()],
        Decision::Propose(proposal) => vec![proposal.finding.clone()],
        Decision::Correct(correction) => correction.corrected.iter().map(|(id, _)| id.clone()).collect(),
    }
}

fn reasons(decision: &Decision) -> &[String] {
    match decision {
        Decision::Leave(settled) | Decision::Escalate(settled) | Decision::Hold(settled) => &settled.reasons,
        Decision::Propose(proposal) => &proposal.reasons,
        Decision::Correct(correction) => &correction.reasons,
    }
}

pub fn by_finding(decisions: &[Decision]) -> BTreeMap<FindingId, &Decision> {
    decisions.iter().flat_map(|decision| about(decision).into_iter().map(move |id| (id, decision))).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn each_finding_is_decided_once_with_reasons_and_always_alike(seed: u64) {
        let round = random_round(&mut Dice(seed));
        let decisions = round.decide(&round.guards);
        let mut decided: Vec<FindingId> = decisions.iter().flat_map(about).collect();
        let mut found: Vec<FindingId> = round.all().map(|(finding, _)| finding.id.clone()).collect();
        decided.sort();
        found.sort();
        prop_assert_eq!(decided, found);
        prop_assert!(decisions.iter().all(|decision| !reasons(decision).is_empty()));
        prop_assert_eq!(round.decide(&round.guards), decisions);
    }

    #[test]
    fn nothing_is_corrected_that_must_not_be(seed: u64) {
        let round = random_round(&mut Dice(seed));
        let decisions = round.decide(&round.guards);
        let decisions = by_finding(&decisions);
        for (finding, pair) in round.all() {
            let Decision::Correct(correction) = decisions[&finding.id] else { continue };
            let Pair::Matched(matched) = pair else { return Err(TestCaseError::fail("corrects what is not there")) };
            let guards = &round.guards;
            let votes: Vec<_> = trueup_core::classify::votes(&finding.difference, &round.policy);
            prop_assert!(guards.frozen.is_none() && !guards.held.contains_key(&finding.place));
            prop_assert!(!guards.denied.contains(&finding.id) && !guards.inadmissible.contains_key(&finding.id));
            prop_assert!(guards.recent_writes.get(&finding.place).is_none_or(|writes| *writes < 3));
            prop_assert!(matched.live.deleting_since.is_none() && matched.live.value.pointer("/metadata/annotations").is_none());
            prop_assert!(!finding.difference.is_masked() && !finding.difference.ignored_in_git);
            prop_assert!(!votes.is_empty() && votes.iter().all(|class| class.lane <= Lane::Auto && class.stage == Stage::Auto));
            if finding.difference.change() == Change::Undeclared {
                prop_assert!(votes.iter().any(|class| class.matches.names(Change::Undeclared)));
            }
            if guards.ground == Ground::Cluster {
                prop_assert!(matched.live.uid.is_some() && matched.expected.evidence == Evidence::Baseline);
                prop_assert!(correction.uid.is_some() && correction.resource_version.is_some());
            }
            if matched.live.owners.iter().any(|owner| owner.operation == Operation::Apply) {
                prop_assert_ne!(votes[0].ownership, trueup_core::policy::Ownership::Review);
            }
            let limit = votes[0].writes_per_hour.unwrap_or(u32::MAX);
            prop_assert!(guards.class_writes.get(&votes[0].name).copied().unwrap_or_default() < limit);
        }
    }

    #[test]
    fn corrections_of_a_class_stay_within_its_limit(seed: u64) {
        let round = random_round(&mut Dice(seed));
        let decisions = round.decide(&round.guards);
        for class in round.policy.classes.iter().filter(|class| class.writes_per_hour.is_some()) {
            let ids: BTreeSet<_> = round.all().filter(|(finding, _)| finding.class.as_ref() == Some(&class.name)).map(|(finding, _)| finding.id.clone()).collect();
            let touches = |decision: &&Decision| matches!(decision, Decision::Correct(_)) && about(decision).iter().any(|id| ids.contains(id));
            let made = round.guards.class_writes.get(&class.name).copied().unwrap_or_default() as usize;
            let limit = class.writes_per_hour.unwrap_or_default() as usize;
            let writes = decisions.iter().filter(touches).count();
            prop_assert!(writes == 0 || made + writes <= limit, "{}: {made} made, {writes} more, limit {limit}", class.name);
        }
    }

    #[test]
    fn a_correction_is_the_repair_of_its_findings(seed: u64) {
        let round = random_round(&mut Dice(seed));
        for decision in round.decide(&round.guards) {
            let Decision::Correct(correction) = decision else { continue };
            let ids: BTreeSet<_> = correction.corrected.iter().map(|(id, _)| id).collect();
            let pair = round.pairs.iter().find(|pair| pair.desired().id == correction.object).expect("the object");
            let Pair::Matched(matched) = pair else { return Err(TestCaseError::fail("corrects what is not there")) };
            let drifts: Vec<_> = round.all().filter(|(finding, _)| ids.contains(&finding.id)).filter_map(|(finding, _)| match &finding.difference.divergence {
                trueup_core::finding::Divergence::Field(drift) => Some(drift),
                _ => None,
            }).collect();
            let repair = repair(&matched.live, &matched.expected.value, &drifts).expect("a repair");
            prop_assert_eq!(&correction.patch, &repair.patch);
            prop_assert_eq!(&correction.inverse, &repair.inverse);
            prop_assert_eq!(correction.paths.len(), ids.len());
        }
    }

    #[test]
    fn guards_only_move_findings_towards_people(seed: u64) {
        let round = random_round(&mut Dice(seed));
        let free = Guards::none(round.guards.ground);
        let (without, with) = (round.decide(&free), round.decide(&round.guards));
        let (without, with) = (by_finding(&without), by_finding(&with));
        for (id, after) in with {
            let is_fine = match (without[&id], after) {
                // What policy leaves alone, no guard brings up; a denial settles anything.
                (Decision::Leave(_), after) => matches!(after, Decision::Leave(_)),
                (_, Decision::Leave(_)) => round.guards.denied.contains(&id),
                (Decision::Correct(_), _) => true,
                // A guard that stops one correction leaves its share of the limit to another.
                (Decision::Hold(held), _) if held.reasons.iter().any(|reason| reason.ends_with("writes of this hour")) => true,
                (Decision::Hold(_) | Decision::Propose(_), after) => !matches!(after, Decision::Correct(_)),
                (Decision::Escalate(_), after) => matches!(after, Decision::Escalate(_)),
            };
            prop_assert!(is_fine, "{:?} became {:?}", without[&id], after);
        }
    }
}

/// One drift of a ConfigMap's key, classified.
pub fn one(policy: &Policy) -> (Pair, Vec<Finding>) {
    let (git, live) = (json!({"data": {"a": "1"}}), json!({"data": {"a": "2"}}));
    classified(matched(&git, &git, &live), policy)
}

fn classified(matched: Matched, policy: &Policy) -> (Pair, Vec<Finding>) {
    let comparison =
        trueup_core::diff::compare(&matched, &trueup_core::shape::Types::default(), &trueup_core::shape::Shape::Any, &key());
    let pair = Pair::Matched(Box::new(matched));
    let differences = differences(&TargetName("t".to_owned()), &pair, comparison.drifts).into_iter();
    let findings = differences.map(|difference| classify(difference, policy, "source", &key())).collect();
    (pair, findings)
}

pub const AUTO: &str = "[[class]]\nname = \"auto\"\nlane = \"auto\"\nstage = \"auto\"\nmatch = { path = \"data.*\" }\n";

#[test]
fn a_limit_of_nothing_allows_nothing() {
    let policy = proven(policy(&format!("{AUTO}limits = {{ writes_per_hour = 0 }}\n")));
    let (pair, findings) = one(&policy);
    let decisions = decided(&[Case { pair: Some(&pair), findings: &findings }], &[], &Guards::none(Ground::Cluster), &policy);
    assert!(matches!(&decisions[..], [Decision::Hold(_)]), "{decisions:?}");
}

#[test]
fn an_escalation_is_not_muted_by_a_class_that_only_watches() {
    let watch = "[[class]]\nname = \"all\"\nlane = \"watch\"\n";
    for (lane, expected) in [("escalate", Stage::Recommend), ("review", Stage::Recommend)] {
        let policy = policy(&format!("{watch}[[class]]\nname = \"strict\"\nlane = \"{lane}\"\n"));
        let (_, findings) = one(&policy);
        assert_eq!((findings[0].lane.name(), findings[0].stage), (lane, expected));
    }
    // A correction needs the consent of all.
    let policy = proven(policy(&format!("{watch}{AUTO}")));
    assert_eq!((one(&policy).1[0].lane, one(&policy).1[0].stage), (Lane::Auto, Stage::Observe));
}

#[test]
fn an_ignore_annotation_may_name_entries_of_two_keys_and_covers_what_is_below() {
    let ignore =
        |paths: &str| json!({"metadata": {"annotations": {"trueup.dev/ignore": paths}}, "data": {"a": {"b": "1"}, "x,y": "1"}});
    let ignored = |paths: &str| {
        let git = ignore(paths);
        let mut live = git.clone();
        live["data"] = json!({"a": {"b": "2"}, "x,y": "2"});
        let (_, findings) = classified(matched(&git, &git, &live), &policy(AUTO));
        findings
            .iter()
            .filter(|finding| finding.lane == Lane::Ignore)
            .map(|finding| finding.difference.path().to_string())
            .collect::<Vec<_>>()
    };
    assert_eq!(ignored("data.a.b"), ["data.a.b"]);
    assert_eq!(ignored("data.a"), ["data.a.b"]);
    assert_eq!(ignored(r#"spec.ports[port=1,protocol=TCP], data["x,y"]"#), ["data.x,y"]);
    assert_eq!(ignored("data..x, data.a.b"), ["data.a.b"]);
    assert!(ignored("metadata").is_empty() && ignored("dat").is_empty());
}

#[test]
fn an_ignore_annotation_that_cannot_be_read_is_told() {
    let problems = |value: Value| {
        let git = json!({"metadata": {"annotations": {"trueup.dev/ignore": value}}});
        let problems = trueup_core::ignore::ignore_problems(&matched(&git, &git, &git).desired);
        problems.into_iter().map(|problem| (problem.code, problem.message)).collect::<Vec<_>>()
    };
    assert_eq!(problems(json!("data.a, spec.ports[port=1,protocol=TCP]")), []);
    assert_eq!(problems(json!({})), problems(json!(["data.a"])));
    let found = problems(json!("data..x, data.a, spec[,"));
    assert_eq!(found.len(), 2, "{found:?}");
    assert!(found.iter().all(|(code, message)| *code == "bad-ignore" && message.contains("ignores nothing")), "{found:?}");
}

fn undo(live: &Value) -> Undo {
    let matched = matched(&json!({}), &json!({}), live);
    let (_, findings) = one(&policy(AUTO));
    Undo {
        target: TargetName("t".to_owned()),
        run: "r".to_owned(),
        uid: matched.live.uid.clone(),
        live: (*matched.live).clone(),
        patch: json!({"data": {"a": "1"}}),
        inverse: json!({"data": {"a": "2"}}),
        corrected: findings.iter().map(|finding| (finding.id.clone(), finding.place.clone())).collect(),
        paths: vec!["data.a".to_owned()],
    }
}

fn undone(undo: Undo, guards: &Guards) -> Decision {
    let mut decisions = decided(&[], &[Request::Undo(Box::new(undo))], guards, &Policy::default());
    assert_eq!(decisions.len(), 1);
    decisions.remove(0)
}

#[test]
fn an_undo_passes_the_same_guards() {
    let guards = Guards::none(Ground::Cluster);
    let as_left = || undo(&json!({"data": {"a": "1"}}));
    let Decision::Correct(correction) = undone(as_left(), &guards) else { panic!("an undo") };
    assert_eq!((&correction.patch, &correction.inverse), (&json!({"data": {"a": "2"}}), &json!({"data": {"a": "1"}})));
    assert_eq!(correction.pre_image, json!({"data": {"a": "1"}}));

    let is_held = |undo: Undo, guards: &Guards| matches!(undone(undo, guards), Decision::Hold(_));
    assert!(is_held(as_left(), &Guards { frozen: Some("another cluster".to_owned()), ..guards.clone() }), "frozen");
    assert!(is_held(undo(&json!({"data": {"a": "3"}})), &guards), "moved on");
    let hold = json!({"metadata": {"annotations": {HOLD_ANNOTATION: "by hand"}}, "data": {"a": "1"}});
    assert!(is_held(undo(&hold), &guards), "a hold on the live object");
    let mut other = as_left();
    other.uid = Some("another".to_owned());
    assert!(is_held(other, &guards), "another object");
    let mut nameless = as_left();
    (nameless.uid, nameless.live.uid) = (None, None);
    assert!(is_held(nameless.clone(), &guards), "no uid on a cluster");
    assert!(!is_held(nameless, &Guards::none(Ground::Snapshot)), "a snapshot has none");
    let mut deleting = as_left();
    deleting.live.deleting_since = Some("2026-11-21T00:00:00Z".to_owned());
    assert!(is_held(deleting, &guards), "deleting");
}

#[test]
fn ten_thousand_classes_all_vote() {
    let class = "[[class]]\nname = \"c#\"\nlane = \"auto\"\nstage = \"auto\"\nmatch = { path = \"**.**.**.data.**.**.*\" }\n";
    let classes = (0..10_000).map(|at| class.replace('#', &at.to_string())).collect::<Vec<_>>().concat();
    let policy = policy(&format!("{classes}[[class]]\nname = \"last\"\nlane = \"escalate\"\n"));
    let (_, findings) = one(&policy);
    assert_eq!((findings[0].lane, findings[0].reasons.len()), (Lane::Escalate, 10_001));
}
