//! Runs as their records tell them.

use proptest::prelude::*;

use super::*;

#[test]
fn a_run_is_what_its_records_tell() {
    let mut runs = Runs::default();
    let told = records(vec![
        patch(FIRST),
        outcome(FIRST, Outcome::Unknown { reason: "timeout".into() }),
        outcome(FIRST, Outcome::Applied { resource_version: Some("42".into()), warnings: Vec::new() }),
        Entry::Verification { run: id(FIRST), outlook: Outlook::Settled, why: None },
        patch(SECOND),
        Entry::Undone { run: id(FIRST), by: id(SECOND) },
    ]);
    for record in told {
        runs.apply(&record).expect("possible");
    }
    let run = runs.get(&id(FIRST)).expect("a run");
    assert_eq!((run.begun, run.changed, &run.records[..]), (second(1), second(6), &[1, 2, 3, 4, 6][..]));
    assert_eq!(run.undone_by(), Some(&id(SECOND)));
    assert_eq!(runs.all().iter().map(Run::due).collect::<Vec<_>>(), [Due::Nothing, Due::Resolution]);
}

#[test]
fn what_cannot_follow_is_refused_and_changes_nothing() {
    let mut runs = Runs::default();
    let begun = records(vec![patch(FIRST)]);
    runs.apply(&begun[0]).expect("possible");
    let before = runs.get(&id(FIRST)).cloned();
    let refused =
        [patch(FIRST), Entry::Verification { run: id(FIRST), outlook: Outlook::Settled, why: None }, proposal(FIRST, "f-1")];
    for record in records(refused.to_vec()) {
        runs.apply(&record).expect_err("impossible");
    }
    let stranger = Record { seq: 9, at: second(9), entry: outcome(SECOND, Outcome::Void { reason: "?".into() }) };
    assert_eq!(runs.apply(&stranger), Err(HistoryError::NoIntent(id(SECOND))));
    assert_eq!(runs.get(&id(FIRST)).cloned(), before);
}

#[test]
fn what_an_undo_may_have_done_is_known_until_it_is_known_not_to_have() {
    let back = |run: &str| {
        let Effect::Patch(effect) = patch_of(&json!({"data": {"LOG_LEVEL": "debug"}})) else { panic!("a patch") };
        let effect = PatchEffect { takes_back: Some(id(FIRST)), ..effect };
        intent(run, "ConfigMap", Effect::Patch(effect))
    };
    let perhaps = |outcomes: Vec<Outcome>| {
        let mut runs = Runs::default();
        let ends = outcomes.into_iter().map(|end| outcome(SECOND, end));
        for record in records([patch(FIRST), back(SECOND)].into_iter().chain(ends).collect()) {
            runs.apply(&record).expect("possible");
        }
        perhaps_undone_by(runs.all(), &id(FIRST)).is_some()
    };
    let reason = || "read".to_owned();
    assert!(perhaps(vec![]));
    assert!(perhaps(vec![Outcome::Unknown { reason: reason() }]));
    assert!(perhaps(vec![Outcome::Unknown { reason: reason() }, Outcome::Undetermined { reason: reason() }]));
    assert!(!perhaps(vec![Outcome::Void { reason: reason() }]));
    assert!(!perhaps(vec![Outcome::Applied { resource_version: None, warnings: Vec::new() }]));
}

#[test]
fn what_goes_back_to_its_owner_is_told_with_its_run_and_changes_no_status() {
    let back = |run: &str| {
        Entry::HandBack(HandBack {
            run: id(run),
            to: "team".into(),
            outcome: Outcome::Applied { resource_version: None, warnings: Vec::new() },
        })
    };
    let mut runs = Runs::default();
    let entries =
        vec![patch(FIRST), outcome(FIRST, Outcome::Applied { resource_version: None, warnings: Vec::new() }), back(FIRST)];
    for record in records(entries) {
        runs.apply(&record).expect("possible");
    }
    let run = runs.get(&id(FIRST)).expect("a run");
    assert_eq!((run.status.name(), &run.records[..]), ("applied", &[1, 2, 3][..]));
    assert_eq!(run.hand_back.as_ref().map(|back| back.to.as_str()), Some("team"));
    let stranger = Record { seq: 9, at: second(9), entry: back(SECOND) };
    assert_eq!(runs.apply(&stranger), Err(HistoryError::NoIntent(id(SECOND))));
}

/// All that can be recorded of a run of this id.
fn of_run(run: &'static str) -> impl Strategy<Value = Entry> {
    let propose = || Effect::PullRequest { branch: "trueup/p-1".into(), head_commit: "c0ffee".into() };
    let events =
        prop::sample::select(super::LETTERS.chars().collect::<Vec<_>>()).prop_map(move |letter| match super::event(letter) {
            Event::Outcome(outcome) => Entry::Outcome { run: id(run), outcome },
            Event::Looked(outlook) => Entry::Verification { run: id(run), outlook, why: None },
            Event::Proposed { .. } => proposal(run, "f-1"),
            Event::Closed(fate) => Entry::ProposalClosed { run: id(run), fate },
            Event::Undone { by } => Entry::Undone { run: id(run), by },
        });
    let void = || Outcome::Void { reason: "nothing there".into() };
    let beside = prop_oneof![
        Just(Entry::Withdrawal { run: id(run), reason: "true again".into() }),
        Just(Entry::HandBack(HandBack { run: id(run), to: "team".into(), outcome: void() })),
    ];
    prop_oneof![2 => Just(patch(run)), 1 => Just(intent(run, "ConfigMap", propose())), 12 => events, 1 => beside]
}

proptest! {
    #[test]
    fn whatever_is_recorded_each_run_is_in_one_state_and_has_its_moves(
        entries in prop::collection::vec(prop_oneof![of_run(FIRST), of_run(SECOND)], 0..24)
    ) {
        let mut runs = Runs::default();
        for record in records(entries) {
            let stored = record.entry.encode().expect("JSON");
            let record = Record { entry: Entry::decode(&stored).expect("an entry"), ..record };
            let _refused = runs.apply(&record);
            for run in runs.all() {
                let is_patch = run.intent.effect.kind() == EffectKind::Patch;
                let (state, worse) = (run.status.state(), run.status == RunStatus::Verified(Outlook::Unhealthy));
                prop_assert!(state >= State::ExecuteRepair, "its intent is recorded");
                prop_assert_eq!(Unanswered::of(run).is_some(), is_patch && state == State::ExecuteRepair);
                prop_assert_eq!(Validate::of(run).is_some(), is_patch && (state == State::Validate || worse));
                prop_assert_eq!(run.due() == Due::Nothing, state == State::ResumeOrRollback && !worse);
            }
        }
    }
}
