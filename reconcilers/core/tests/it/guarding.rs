//! What stands against acting: limits, freezes, holds, leases, approvals; and that a decision depends on its inputs alone.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use proptest::prelude::*;
use serde_json::{Value, json};
use trueup_core::classify::classify;
use trueup_core::decide::{
    Case, Correction, Decision, DecisionRecord, Ground, Guards, Held, Inputs, Lease, Replayed, Request, Restore, Scope, Terms,
    Way, Weighed, What, decide,
};
use trueup_core::difference::differences;
use trueup_core::direction::Direction;
use trueup_core::facts::{Matched, Pair, Secrecy};
use trueup_core::finding::{Finding, Lane};
use trueup_core::object::{ObjectId, TargetName};
use trueup_core::policy::{Class, Policy, Remedy};
use trueup_core::security::{Category, may_weaken};
use trueup_core::shape::{Shape, Types};

use crate::comparing::{key, matched};
use crate::deciding::{AUTO, Round, about, decided, inputs, now, random_round};
use crate::generate::Dice;
use crate::policies::{policy, proven};

fn corrections(decisions: &[Decision]) -> Vec<&Correction> {
    let corrections = decisions.iter().filter_map(|decision| match decision {
        Decision::Correct(correction) => Some(correction.as_ref()),
        _ => None,
    });
    corrections.collect()
}

fn shuffled<T>(mut items: Vec<T>, dice: &mut Dice) -> Vec<T> {
    (0..items.len()).map(|_| items.swap_remove(dice.roll(items.len()))).collect()
}

/// Approvals of some findings: of these values or of others, in time or too late.
fn random_requests(round: &Round, dice: &mut Dice) -> Vec<Request> {
    let mut requests = Vec::new();
    for (finding, _) in round.all() {
        if dice.once_in(2) {
            continue;
        }
        let mut digests = finding.digests();
        if dice.once_in(4) {
            digests.live = "v1:other".to_owned().into();
        }
        let expires = if dice.once_in(4) { now() } else { now() + jiff::SignedDuration::from_secs(1) };
        requests.push(Request::Restore(Restore {
            place: finding.place.clone(),
            desired: digests.desired,
            live: digests.live,
            expires,
            by: "alice".to_owned(),
        }));
    }
    requests
}

/// A round in two namespaces, with limits on everything.
fn limited_round(dice: &mut Dice) -> Round {
    let mut round = random_round(dice);
    for pair in &mut round.pairs {
        let namespace = dice.pick(&["shop", "bank"]).to_owned();
        if let Pair::Matched(matched) = pair {
            matched.desired.id.namespace = Some(namespace.clone());
            matched.live.id.namespace = Some(namespace);
        }
    }
    let pick = |dice: &mut Dice| dice.pick(&[None, Some(0), Some(1), Some(2)]);
    round.policy.limits.writes_per_hour = pick(dice);
    round.policy.limits.namespace_writes_per_hour = pick(dice);
    round.policy.limits.objects_per_round = pick(dice);
    round.policy.limits.namespace_share = dice.pick(&[None, Some(0), Some(30), Some(50), Some(100)]);
    round.guards.target_writes = u32::try_from(dice.roll(3)).expect("small");
    for namespace in ["shop", "bank"] {
        round.guards.namespace_writes.insert(namespace.to_owned(), u32::try_from(dice.roll(2)).expect("small"));
    }
    // Findings know the object by the id that it had.
    for (pair, findings) in round.pairs.iter().zip(&mut round.findings) {
        for finding in findings {
            finding.difference.subject = trueup_core::finding::Subject::Object(pair.desired().id.clone());
        }
    }
    round
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn what_was_recorded_decides_again_to_the_byte(seed: u64) {
        let mut dice = Dice(seed);
        let round = limited_round(&mut dice);
        let requests = random_requests(&round, &mut dice);
        let inputs = inputs(&round.cases(), &requests, &round.guards, &round.policy);
        let (record, decisions) = DecisionRecord::of(&inputs);
        prop_assert_eq!(&decisions, &decide(&inputs));
        let bytes = record.to_bytes();
        let read = DecisionRecord::from_bytes(&bytes).expect("a record that was just written");
        prop_assert_eq!(&read, &record);
        prop_assert_eq!(read.to_bytes(), bytes);
        prop_assert_eq!(serde_json::to_vec(&decide(&read.inputs)).unwrap(), serde_json::to_vec(&decisions).unwrap());
        prop_assert_eq!(read.replay(), Replayed::Same);
    }

    /// What was recorded of a finding is all that a policy asks: the same one comes to the same inputs, and another one to
    /// those that it would have come to, but for what a correction would write where nobody had asked for one.
    #[test]
    fn what_was_recorded_is_judged_by_any_policy_as_when_it_was_seen(seed: u64) {
        let mut dice = Dice(seed);
        let round = random_round(&mut dice);
        let requests = random_requests(&round, &mut dice);
        let ours = inputs(&round.cases(), &requests, &round.guards, &round.policy);
        prop_assert_eq!(&ours.under(&round.policy), &ours);

        let other = random_round(&mut dice).policy;
        let again = |finding: &Finding| classify(finding.difference.clone(), &other, "source", &key());
        let judged: Vec<Vec<Finding>> = round.findings.iter().map(|findings| findings.iter().map(again).collect()).collect();
        let cases: Vec<Case<'_>> =
            round.pairs.iter().zip(&judged).map(|(pair, findings)| Case { pair: Some(pair), findings }).collect();
        let theirs = inputs(&cases, &requests, &round.guards, &other);
        let ours = ours.under(&other);
        prop_assert_eq!((&ours.classes, &ours.limits, &ours.freezes), (&theirs.classes, &theirs.limits, &theirs.freezes));
        for (ours, theirs) in ours.objects.iter().zip(&theirs.objects) {
            let terms = |weighed: &Weighed| {
                let Weighed { finding, class, lane, stage, reasons, barred, frozen, .. } = weighed.clone();
                (finding, class, lane, stage, reasons, barred, frozen)
            };
            prop_assert!(ours.findings.iter().map(terms).eq(theirs.findings.iter().map(terms)), "{ours:?} {theirs:?}");
        }
        let as_asked = |inputs: &Inputs| {
            let mut inputs = inputs.clone();
            for finding in inputs.objects.iter_mut().flat_map(|object| &mut object.findings) {
                if let What::Field { way, .. } = &mut finding.what {
                    *way = Way::Unasked;
                }
            }
            inputs.guards = Guards::none(Ground::Cluster);
            decide(&inputs)
        };
        prop_assert_eq!(as_asked(&ours), as_asked(&theirs));
    }

    #[test]
    fn no_order_of_what_comes_in_changes_a_decision(seed: u64) {
        let mut dice = Dice(seed);
        let mut round = limited_round(&mut dice);
        let requests = random_requests(&round, &mut dice);
        let first = inputs(&round.cases(), &requests, &round.guards, &round.policy);
        let mixed: Vec<_> = shuffled(round.pairs.drain(..).zip(round.findings.drain(..)).collect(), &mut dice);
        let mixed: Vec<(Pair, Vec<Finding>)> =
            mixed.into_iter().map(|(pair, findings)| (pair, shuffled(findings, &mut dice))).collect();
        let cases: Vec<Case<'_>> = mixed.iter().map(|(pair, findings)| Case { pair: Some(pair), findings }).collect();
        let second = inputs(&cases, &shuffled(requests, &mut dice), &round.guards, &round.policy);
        prop_assert_eq!(first.to_bytes(), second.to_bytes());
        prop_assert_eq!(first.digest(), second.digest());
    }

    /// Nobody is asked for consent that would not be acted on.
    #[test]
    fn a_restore_is_asked_for_only_where_an_approval_is_acted_on(seed: u64) {
        let mut dice = Dice(seed);
        let round = limited_round(&mut dice);
        let class = |class: &Class| Class { review: Some(Remedy::Restore), ..class.clone() };
        let restoring = Policy::of(round.policy.classes.iter().map(class).collect(), Vec::new());
        let asked: Vec<_> = decided(&round.cases(), &[], &round.guards, &restoring)
            .into_iter()
            .filter_map(|decision| match decision {
                Decision::Propose(proposal) => Some(proposal),
                _ => None,
            })
            .collect();
        for proposal in asked {
            let (finding, _) = round.all().find(|(finding, _)| finding.id == proposal.finding).expect("a finding");
            prop_assert_eq!(proposal.remedy, Remedy::Restore, "{:?}", proposal.reasons);
            let digests = finding.digests();
            let restore = Restore {
                place: finding.place.clone(),
                desired: digests.desired,
                live: digests.live,
                expires: now() + jiff::SignedDuration::from_secs(1),
                by: "alice".to_owned(),
            };
            let again = decided(&round.cases(), &[Request::Restore(restore)], &round.guards, &restoring);
            let is_acted_on = again.iter().any(|decision| match decision {
                Decision::Correct(correction) => correction.corrected.iter().any(|(id, _)| *id == finding.id),
                Decision::Hold(settled) => settled.finding == finding.id,
                _ => false,
            });
            prop_assert!(is_acted_on, "{:?}\n{:?}", proposal, again);
        }
    }

    #[test]
    fn no_limit_is_exceeded_in_any_order(seed: u64) {
        let mut dice = Dice(seed);
        let round = limited_round(&mut dice);
        let requests = random_requests(&round, &mut dice);
        let decisions = decided(&shuffled(round.cases(), &mut dice), &requests, &round.guards, &round.policy);
        let made = corrections(&decisions);
        let limits = round.policy.limits;
        let within = |limit: Option<u32>, before: u32, count: usize| {
            count == 0 || limit.is_none_or(|limit| before as usize + count <= limit as usize)
        };
        prop_assert!(within(limits.writes_per_hour, round.guards.target_writes, made.len()));
        prop_assert!(within(limits.objects_per_round, 0, made.len()));
        for namespace in ["shop", "bank"] {
            let is_in = |id: &ObjectId| id.namespace.as_deref() == Some(namespace);
            let count = made.iter().filter(|correction| is_in(&correction.object)).count();
            let declared = round.pairs.iter().filter(|pair| is_in(&pair.desired().id)).count();
            let before = round.guards.namespace_writes[namespace];
            prop_assert!(within(limits.namespace_writes_per_hour, before, count));
            let share = limits.namespace_share.map_or(usize::MAX, |percent| match percent as usize * declared / 100 {
                0 if percent > 0 => 1,
                share => share,
            });
            prop_assert!(count <= share, "{count} of {declared} in {namespace}, {:?} %", limits.namespace_share);
        }
    }

    #[test]
    fn nothing_is_corrected_in_a_freeze(seed: u64, scoped: bool) {
        let mut dice = Dice(seed);
        let mut round = random_round(&mut dice);
        let scope = if scoped { "match = { path = \"alpha.**\" }\n" } else { "" };
        let freeze = format!("[[freeze]]\nname = \"f\"\nfrom = \"2026-11-21T11:00Z\"\nuntil = \"2026-11-21T13:00Z\"\n{scope}");
        round.policy.freezes = policy(&freeze).freezes;
        let requests = random_requests(&round, &mut dice);
        let decisions = decided(&round.cases(), &requests, &round.guards, &round.policy);
        for correction in corrections(&decisions) {
            prop_assert!(scoped && correction.paths.iter().all(|path| !path.starts_with("alpha.")), "{correction:?}");
        }
        // Behind it, all is as if it had never been.
        let behind = |policy: &Policy| {
            let terms = Terms {
                target: &TargetName("t".to_owned()),
                requests: &requests,
                guards: &round.guards,
                policy,
                now: "2026-11-21T13:00:00Z".parse().expect("a time"),
            };
            decide(&Inputs::of(&round.cases(), terms))
        };
        let without = Policy { freezes: Vec::new(), ..round.policy.clone() };
        prop_assert_eq!(behind(&round.policy), behind(&without));
    }

    #[test]
    fn what_people_hold_is_neither_written_nor_proposed(seed: u64) {
        let mut dice = Dice(seed);
        let mut round = random_round(&mut dice);
        let requests = random_requests(&round, &mut dice);
        let id = round.pairs[0].desired().id.clone();
        let older = ObjectId { api_version: "v1beta1".to_owned(), ..id.clone() };
        let scope = dice.pick(&[Scope::Target, Scope::Object(older)]);
        let until = dice.pick(&[None, Some(now()), Some(now() + jiff::SignedDuration::from_secs(1))]);
        let free = decided(&round.cases(), &requests, &round.guards, &round.policy);
        round.guards.holds = vec![Held { scope: scope.clone(), reason: "by alice".to_owned(), until }];
        let held = decided(&round.cases(), &requests, &round.guards, &round.policy);
        if until == Some(now()) {
            prop_assert_eq!(held, free);
            return Ok(());
        }
        let of_object: BTreeSet<_> = round.findings[0].iter().map(|finding| &finding.id).collect();
        for decision in &held {
            let acts = matches!(decision, Decision::Correct(_) | Decision::Propose(_));
            let is_held = scope == Scope::Target || about(decision).iter().any(|finding| of_object.contains(finding));
            prop_assert!(!(acts && is_held), "{decision:?}");
        }
    }

    #[test]
    fn a_lease_settles_its_value_until_its_time_and_changes_nothing_else(seed: u64) {
        let mut dice = Dice(seed);
        let mut round = random_round(&mut dice);
        let free = decided(&round.cases(), &[], &round.guards, &round.policy);
        let Some((leased, _)) = round.all().next() else { return Ok(()) };
        let (id, lane) = (leased.id.clone(), leased.lane);
        let weakens = may_weaken(&leased.difference);
        let (place, digests) = (leased.place.clone(), leased.digests());
        let mut lease = |live: &str, until: Timestamp| {
            let live = if live.is_empty() { digests.live.clone() } else { live.to_owned().into() };
            round.guards.leases = vec![Lease { place: place.clone(), live, until, because: "a load test".to_owned() }];
            decided(&round.cases(), &[], &round.guards, &round.policy)
        };
        prop_assert_eq!(&lease("", now()), &free, "it ends at its time");
        prop_assert_eq!(&lease("v1:other", now() + jiff::SignedDuration::from_secs(1)), &free, "another value is no part of it");
        let settled = lease("", now() + jiff::SignedDuration::from_secs(1));
        if weakens {
            prop_assert_eq!(&settled, &free, "what loosens security stays under no lease");
            return Ok(());
        }
        let decision = settled.iter().find(|decision| about(decision).contains(&id)).expect("a decision");
        prop_assert!(matches!(decision, Decision::Leave(_)), "{decision:?}");
        if lane > Lane::Watch {
            let Decision::Leave(left) = decision else { return Ok(()) };
            prop_assert!(left.reasons.last().is_some_and(|reason| reason.contains("a load test")));
        }
    }

    #[test]
    fn an_approval_lifts_the_stage_and_no_guard(seed: u64) {
        let mut dice = Dice(seed);
        let round = random_round(&mut dice);
        let requests = random_requests(&round, &mut dice);
        let with = decided(&round.cases(), &requests, &round.guards, &round.policy);
        let without = decided(&round.cases(), &[], &round.guards, &round.policy);
        let corrected = |decisions: &[Decision]| -> BTreeSet<_> {
            corrections(decisions).iter().flat_map(|correction| correction.corrected.clone()).collect()
        };
        let restorable: BTreeSet<_> = requests.iter().filter_map(|request| match request {
            Request::Restore(restore) if restore.expires > now() => Some((restore.place.clone(), restore.live.clone())),
            _ => None,
        }).collect();
        let free = Guards::none(round.guards.ground);
        let unguarded = corrected(&decided(&round.cases(), &requests, &free, &round.policy));
        for (finding, _) in round.all() {
            let this = (finding.id.clone(), finding.place.clone());
            if !corrected(&with).contains(&this) || corrected(&without).contains(&this) {
                continue;
            }
            prop_assert!(restorable.contains(&(finding.place.clone(), finding.digests().live)));
            prop_assert!(matches!(finding.lane, Lane::Auto | Lane::Review) && finding.barred.is_none());
            prop_assert!(unguarded.contains(&this), "guards never make a correction");
        }
    }

    #[test]
    fn of_each_class_one_correction_goes_first(seed: u64) {
        let round = random_round(&mut Dice(seed));
        let decisions = round.decide(&round.guards);
        let mut firsts: BTreeMap<&String, usize> = BTreeMap::new();
        for correction in corrections(&decisions) {
            let batch = &correction.batch;
            let all: BTreeSet<_> = batch.first_of.iter().chain(&batch.follows).collect();
            prop_assert_eq!(all, correction.classes.iter().collect::<BTreeSet<_>>());
            prop_assert!(batch.follows.iter().all(|class| firsts.contains_key(class)), "what goes first stands first");
            prop_assert!(batch.first_of.iter().all(|class| !firsts.contains_key(class)));
            for class in &batch.first_of {
                *firsts.entry(class).or_default() += 1;
            }
        }
    }
}

/// Somebody wants Git's value back, for ever.
fn approval(finding: &Finding) -> Request {
    Request::Restore(Restore {
        place: finding.place.clone(),
        desired: finding.digests().desired,
        live: finding.digests().live,
        expires: Timestamp::MAX,
        by: "alice".to_owned(),
    })
}

/// What Git says and what is live at places that concern security, loosened, tightened and neither to be told.
fn security_samples() -> Vec<(&'static str, &'static str, Value, Value)> {
    let pod =
        |context: Value| json!({"spec": {"template": {"spec": {"containers": [{"name": "app", "securityContext": context}]}}}});
    let rule = |verbs: &[&str]| json!({"rules": [{"verbs": verbs, "apiGroups": [""], "resources": ["pods"]}]});
    let mut samples = Vec::new();
    for (git, live) in [
        (json!({"privileged": false}), json!({"privileged": true})),
        (json!({"runAsNonRoot": true}), json!({"runAsNonRoot": false})),
        (json!({"allowPrivilegeEscalation": false}), json!({})),
        (json!({"readOnlyRootFilesystem": true}), json!({"readOnlyRootFilesystem": false})),
        (json!({"runAsUser": 1000}), json!({"runAsUser": 0})),
        (json!({"capabilities": {"drop": ["ALL"]}}), json!({"capabilities": {"drop": []}})),
        (json!({"seccompProfile": {"type": "RuntimeDefault"}}), json!({"seccompProfile": {"type": "Unconfined"}})),
    ] {
        samples.push(("apps/v1", "Deployment", pod(git), pod(live)));
    }
    let spec = |fields: Value| json!({"spec": {"template": {"spec": fields}}});
    for field in ["hostNetwork", "hostPID", "hostIPC"] {
        samples.push(("apps/v1", "Deployment", spec(json!({(field): false})), spec(json!({(field): true}))));
    }
    samples.push(("apps/v1", "Deployment", spec(json!({"serviceAccountName": "a"})), spec(json!({"serviceAccountName": "b"}))));
    for kind in ["Role", "ClusterRole"] {
        samples.push(("rbac.authorization.k8s.io/v1", kind, rule(&["get"]), rule(&["get", "delete"])));
        samples.push(("rbac.authorization.k8s.io/v1", kind, rule(&["get"]), rule(&["*"])));
    }
    let egress = |rules: Value| json!({"spec": {"podSelector": {}, "egress": rules, "policyTypes": ["Egress"]}});
    samples.push(("networking.k8s.io/v1", "NetworkPolicy", egress(json!([])), egress(json!([{}]))));
    let hard = |cpu: &str| json!({"spec": {"hard": {"cpu": cpu}}});
    samples.push(("v1", "ResourceQuota", hard("2"), hard("20")));
    samples
}

fn security_findings(sample: &(&str, &str, Value, Value), policy: &Policy) -> (Pair, Vec<Finding>) {
    let (api_version, kind, git, live) = sample;
    let mut matched = matched(git, git, live);
    for id in [&mut matched.desired.id, &mut matched.live.id] {
        (id.api_version, id.kind) = ((*api_version).to_owned(), (*kind).to_owned());
    }
    let drifts = trueup_core::diff::compare(&matched, &Types::default(), &Shape::Any, &key()).drifts;
    let pair = Pair::Matched(Box::new(matched));
    let found = differences(&TargetName("t".to_owned()), &pair, drifts).into_iter();
    let findings = found.map(|difference| classify(difference, policy, "source", &key())).collect();
    (pair, findings)
}

/// Both ways: what live loosens is neither put into Git nor corrected unseen, and Git's looser value is not put back.
#[test]
fn a_weakening_is_neither_corrected_nor_adopted() {
    let change = "match = { change = [\"changed\", \"removed\", \"undeclared\"] }\n";
    let (mut weaker, mut stronger) = (0, 0);
    for lane in ["auto", "review", "watch", "escalate"] {
        for stage in ["auto", "recommend", "observe"] {
            let class =
                format!("[[class]]\nname = \"all\"\nlane = \"{lane}\"\nstage = \"{stage}\"\n{change}ownership = \"take\"\n");
            let policy = proven(policy(&class));
            for (api, kind, git, live) in security_samples() {
                for sample in [(api, kind, git.clone(), live.clone()), (api, kind, live, git)] {
                    let (pair, findings) = security_findings(&sample, &policy);
                    assert!(!findings.is_empty(), "{sample:?}");
                    let approvals: Vec<Request> = findings.iter().map(approval).collect();
                    for requests in [&[][..], &approvals[..]] {
                        let cases = [Case { pair: Some(&pair), findings: &findings }];
                        let decisions = decided(&cases, requests, &Guards::none(Ground::Cluster), &policy);
                        assert!(corrections(&decisions).is_empty(), "{sample:?} {lane} {stage}: {decisions:?}");
                        for decision in &decisions {
                            let finding =
                                findings.iter().find(|finding| about(decision).contains(&finding.id)).expect("a finding");
                            let direction = Direction::of(&finding.difference);
                            assert_eq!(Category::of(&finding.difference), Some(Category::Security), "{sample:?}");
                            if direction == Direction::Stronger {
                                stronger += 1;
                            } else {
                                weaker += 1;
                                assert!(!matches!(decision, Decision::Propose(_)), "{sample:?} {lane} {stage}");
                            }
                        }
                    }
                }
            }
        }
    }
    assert!(weaker > 200 && stronger > 100, "{weaker} weaker or unclear, {stronger} stronger");
}

/// A correction beside a secret: the list that holds both is sent whole, so neither the patch nor the record may be.
#[test]
fn no_secret_is_recorded() {
    let container = |image: &str, password: Value| {
        let env = json!([{"name": "PASSWORD", "value": password}]);
        json!({"spec": {"containers": [{"name": "app", "image": image, "env": env}]}, "data": {"a": image}})
    };
    let git = container("a", json!("git-s3cret"));
    let all = AUTO.replace("data.*", "**");
    let policy = proven(policy(&all));
    for live in [container("b", json!("live-s3cret")), container("b", json!("git-s3cret")), container("b", Value::Null)] {
        for secrecy in [Secrecy::Open, Secrecy::Secret] {
            let matched = Matched { secrecy, ..matched(&git, &git, &live) };
            let drifts = trueup_core::diff::compare(&matched, &Types::default(), &Shape::Any, &key()).drifts;
            let pair = Pair::Matched(Box::new(matched));
            let found = differences(&TargetName("t".to_owned()), &pair, drifts).into_iter();
            let findings: Vec<Finding> = found.map(|difference| classify(difference, &policy, "source", &key())).collect();
            let requests: Vec<Request> = findings.iter().map(approval).collect();
            let cases = [Case { pair: Some(&pair), findings: &findings }];
            let inputs = inputs(&cases, &requests, &Guards::none(Ground::Cluster), &policy);
            let (record, decisions) = DecisionRecord::of(&inputs);
            let text = String::from_utf8(record.to_bytes()).expect("UTF-8");
            assert!(!text.contains("s3cret"), "{text}");
            // What is open is corrected all the same.
            assert_eq!(corrections(&decisions).len(), usize::from(secrecy == Secrecy::Open), "{decisions:?}");
        }
    }
}

#[test]
fn a_record_that_was_changed_or_is_of_another_form_is_refused() {
    let policy = proven(policy(AUTO));
    let (pair, findings) = crate::deciding::one(&policy);
    let inputs = inputs(&[Case { pair: Some(&pair), findings: &findings }], &[], &Guards::none(Ground::Cluster), &policy);
    let (record, decisions) = DecisionRecord::of(&inputs);
    assert_eq!(corrections(&decisions).len(), 1);
    let text = String::from_utf8(record.to_bytes()).expect("UTF-8");
    for (was, is, says) in [
        ("\"risk\":", "\"risk\":1", "they were changed"),
        ("trueup.decisions/v1", "trueup.decisions/v2", "in the form `trueup.decisions/v2`"),
        ("\"now\"", "\"then\"", "not a record"),
    ] {
        let changed = text.replacen(was, is, 1);
        assert_ne!(changed, text);
        let error = DecisionRecord::from_bytes(changed.as_bytes()).expect_err(says);
        assert!(error.to_string().contains(says), "{error}");
    }
    // Other decisions beside the same inputs are told.
    let other = text.replacen("\"decisions\":[{\"correct\"", "\"decisions\":[{\"corrected\"", 1);
    assert_ne!(other, text);
    let read = DecisionRecord::from_bytes(other.as_bytes()).expect("a record");
    assert!(matches!(read.replay(), Replayed::Other(_)));
}
