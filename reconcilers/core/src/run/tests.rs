//! The states against a second description of them: a grammar of letters, one for each event.

use super::*;

const LETTERS: &str = "arivuxpmdwcsfhnoU";

fn id(text: &str) -> RunId {
    text.parse().expect("a run id")
}

fn event(letter: char) -> Event {
    let other = id("01JD3M8Q4T7Z5V9K2W6XBCRYHN");
    match letter {
        'a' => Event::Outcome(Outcome::Applied { resource_version: Some("7".into()), warnings: Vec::new() }),
        'r' => Event::Outcome(Outcome::Refused { message: "denied by policy".into() }),
        'i' => Event::Outcome(Outcome::Inadmissible { message: "denied by policy".into() }),
        'v' => Event::Outcome(Outcome::Void { reason: "not sent".into() }),
        'u' => Event::Outcome(Outcome::Unknown { reason: "timeout".into() }),
        'x' => Event::Outcome(Outcome::Undetermined { reason: "the object moved on".into() }),
        'p' => Event::Proposed { url: "https://forge/1".into() },
        'm' => Event::Closed(Fate::Merged),
        'd' => Event::Closed(Fate::Denied),
        'w' => Event::Closed(Fate::Withdrawn { reason: "true again".into() }),
        'c' => Event::Closed(Fate::Replaced { by: other }),
        's' => Event::Looked(Outlook::Settled),
        'f' => Event::Looked(Outlook::Drifting),
        'h' => Event::Looked(Outlook::Unhealthy),
        'n' => Event::Looked(Outlook::Unseen),
        'o' => Event::Looked(Outlook::Pending),
        'U' => Event::Undone { by: other },
        other => panic!("no event {other}"),
    }
}

/// Whether a run may tell this story so far:
/// patch `u* (v | x | a look* seen? U?)`, `r` or `i`; proposal `u? (v | p+ (U | [dwc] | m look* seen? U?)?)` or `r`.
fn is_told(effect: EffectKind, story: &str) -> bool {
    if story == "r" || (story == "i" && effect == EffectKind::Patch) {
        return true;
    }
    let story = match effect {
        EffectKind::Patch => story.trim_start_matches('u'),
        EffectKind::PullRequest => story.strip_prefix('u').unwrap_or(story),
    };
    if story.is_empty() || story == "v" {
        return true;
    }
    match effect {
        EffectKind::Patch => story == "x" || story.strip_prefix('a').is_some_and(is_looked),
        EffectKind::PullRequest => {
            let rest = story.trim_start_matches('p');
            rest.len() < story.len()
                && (matches!(rest, "" | "U" | "d" | "w" | "c") || rest.strip_prefix('m').is_some_and(is_looked))
        }
    }
}

/// The state after a story, by its last letter: an answer is waited for, somebody is to look, or it is known what came of it.
fn state_told(effect: EffectKind, story: &str) -> State {
    match (effect, story.chars().last()) {
        (EffectKind::Patch | EffectKind::PullRequest, None | Some('u' | 'p')) => State::ExecuteRepair,
        (EffectKind::Patch, Some('a' | 'n' | 'o')) | (EffectKind::PullRequest, Some('m' | 'n' | 'o')) => State::Validate,
        (EffectKind::Patch | EffectKind::PullRequest, Some(_)) => State::ResumeOrRollback,
    }
}

fn is_looked(story: &str) -> bool {
    let rest = story.trim_start_matches(['n', 'o', 'h']);
    let rest = rest.strip_prefix(['s', 'f']).unwrap_or(rest);
    rest.is_empty() || rest == "U"
}

/// Every story of up to `left` further events: walks on where a step was taken, and checks each step either way.
fn walk(effect: EffectKind, status: &RunStatus, story: &mut String, left: usize, steps: &mut usize) {
    let mut taken = 0;
    for letter in LETTERS.chars() {
        story.push(letter);
        *steps += 1;
        match next_status(status, &event(letter)) {
            Ok(next) => {
                taken += 1;
                assert!(is_told(effect, story), "{effect} {story} gave {next:?}");
                assert_eq!(next.name(), event(letter).name(), "{effect} {story}");
                assert_eq!(next.state(), state_told(effect, story), "{effect} {story}");
                // What made something worse is looked at again until it is taken back; nothing else goes back to a former state.
                let may_go_back = *status == RunStatus::Verified(Outlook::Unhealthy);
                assert!(next.state() >= status.state() || may_go_back, "{effect} {story}");
                if left > 1 {
                    walk(effect, &next, story, left - 1, steps);
                }
            }
            Err(refusal) => {
                assert!(!is_told(effect, story), "{effect} {story}: {refusal}");
                assert_eq!((refusal.status, refusal.event), (status.name(), event(letter).name()));
            }
        }
        story.pop();
    }
    if taken == 0 {
        assert_eq!(status.due(), Due::Nothing, "a run that has ended owes nothing: {effect} {story}");
    }
    if status.due() != Due::Nothing {
        assert!(taken > 0, "what is owed can be given: {effect} {story}");
    }
}

#[test]
fn every_sequence_of_events_is_a_story_or_is_refused() {
    for effect in [EffectKind::Patch, EffectKind::PullRequest] {
        let mut steps = 0;
        walk(effect, &RunStatus::Intended(effect), &mut String::new(), 8, &mut steps);
        assert!(steps > 10_000, "{effect}: only {steps} steps were tried");
    }
}

#[test]
fn an_intent_without_an_answer_is_owed_a_resolution() {
    let intended = RunStatus::Intended(EffectKind::Patch);
    assert_eq!(intended.due(), Due::Resolution);
    let unknown = next_status(&intended, &event('u')).expect("possible");
    assert_eq!(unknown.due(), Due::Resolution);
    let refusal = next_status(&unknown, &event('r')).expect_err("a refusal cannot be read from the object");
    assert_eq!(refusal.to_string(), "a run that is `unknown` cannot become `refused`");
    let applied = next_status(&unknown, &event('a')).expect("possible");
    assert_eq!(applied, RunStatus::Applied { resource_version: Some("7".into()) });
    assert_eq!(applied.due(), Due::Verification);
}

#[test]
fn run_ids_are_ulids_in_either_case() {
    assert_eq!(id("01jd3m8q4t7z5v9k2w6xbcryhn").as_str(), "01JD3M8Q4T7Z5V9K2W6XBCRYHN");
    for text in
        ["", "01JD3M8Q4T7Z5V9K2W6XBCRYH", "81JD3M8Q4T7Z5V9K2W6XBCRYHN", "01JD3M8Q4T7Z5V9K2W6XBCRYHI", "01JD3M8Q4T7Z5V9K2W6XBCRYé"]
    {
        assert!(text.parse::<RunId>().is_err(), "{text}");
    }
    assert!(serde_json::from_str::<RunId>("\"nonsense\"").is_err());
}

mod told {
    //! Runs and guards' answers from records.

    use jiff::{SignedDuration, Timestamp};
    use proptest::prelude::*;
    use serde_json::json;

    use super::super::*;
    use super::id;
    use crate::finding::{FindingId, Place, Subject};
    use crate::object::{ObjectId, TargetName};

    const FIRST: &str = "01JD3M8Q4T7Z5V9K2W6XBCRY00";
    const SECOND: &str = "01JD3M8Q4T7Z5V9K2W6XBCRY01";

    fn place(name: &str) -> Place {
        serde_json::from_value(json!(name)).expect("a place")
    }

    fn patch_of(patch: &serde_json::Value) -> Effect {
        Effect::Patch(PatchEffect {
            uid: Some("u-1".into()),
            resource_version: Some("41".into()),
            patch: patch.clone(),
            pre_image: json!({"data": {"LOG_LEVEL": "debug"}}),
            inverse: json!({"data": {"LOG_LEVEL": "debug"}}),
            ..PatchEffect::default()
        })
    }

    fn intent(run: &str, kind: &str, effect: Effect) -> Entry {
        Entry::Intent(Box::new(Intent {
            run: id(run),
            target: TargetName("prod".into()),
            subject: Subject::Object(ObjectId {
                api_version: "v1".into(),
                kind: kind.into(),
                namespace: Some("shop".into()),
                name: "config".into(),
            }),
            findings: vec![FindingId("f-1".into())],
            places: vec![place("p-1")],
            paths: vec!["data.LOG_LEVEL".into()],
            classes: vec!["config-value".into()],
            policy_digest: "d".into(),
            commit: "c".into(),
            decided: None,
            effect,
            reasons: vec!["policies/drift.toml:3: class config-value".into()],
        }))
    }

    fn patch(run: &str) -> Entry {
        intent(run, "ConfigMap", patch_of(&json!({"data": {"LOG_LEVEL": "info"}})))
    }

    fn proposal(run: &str, fingerprint: &str) -> Entry {
        Entry::Proposal(Proposal {
            run: id(run),
            place: place("p-1"),
            branch: "trueup/p-1".into(),
            base_commit: "c".into(),
            head_commit: "h".into(),
            url: "https://forge/1".into(),
            number: 1,
            author: "trueup[bot]".into(),
            fingerprint: FindingId(fingerprint.into()),
            approval: None,
            subject: None,
        })
    }

    fn outcome(run: &str, outcome: Outcome) -> Entry {
        Entry::Outcome { run: id(run), outcome }
    }

    fn second(number: u64) -> Timestamp {
        Timestamp::from_second(i64::try_from(number).expect("small")).expect("in range")
    }

    /// One record a second.
    fn records(entries: Vec<Entry>) -> Vec<Record> {
        (1..).zip(entries).map(|(seq, entry)| Record { seq, at: second(seq), entry }).collect()
    }

    fn standing(entries: Vec<Entry>) -> Standing {
        let mut standing = Standing::default();
        for record in records(entries) {
            standing.apply(&record);
        }
        standing
    }

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
    fn writes_count_until_they_are_known_to_have_had_no_effect() {
        let unanswered = vec![patch(FIRST), patch(SECOND), outcome(SECOND, Outcome::Unknown { reason: "timeout".into() })];
        let counted = standing(unanswered.clone());
        assert_eq!(counted.writes_of_class("config-value", second(0)), 2);
        assert_eq!(counted.writes_of_class("config-value", second(2)), 1);
        assert_eq!(counted.writes_of_class("image-change", second(0)), 0);
        let void = [unanswered, vec![outcome(SECOND, Outcome::Void { reason: "read".into() })]].concat();
        assert_eq!(standing(void).writes_to_place(&place("p-1"), second(0)), 1);
    }

    /// A write of this value to `p-1`.
    fn write(number: u32, value: &str) -> Entry {
        intent(&format!("01JD00000000000000000000{number:02}"), "ConfigMap", patch_of(&json!({"data": {"LOG_LEVEL": value}})))
    }

    fn after(entries: &[(u64, Entry)]) -> Standing {
        let mut standing = Standing::default();
        for (seq, (minute, entry)) in (1..).zip(entries) {
            standing.apply(&Record { seq, at: second(minute * 60), entry: entry.clone() });
        }
        standing
    }

    fn fought(entries: &[(u64, Entry)]) -> Vec<Vec<Timestamp>> {
        after(entries).fights(3, SignedDuration::from_hours(1)).into_values().map(|fight| fight.times).collect()
    }

    #[test]
    fn three_writes_of_one_value_within_the_window_are_a_fight_for_as_long_as_nobody_changes_anything() {
        let three = [(0, write(1, "info")), (20, write(2, "info")), (40, write(3, "info"))];
        assert_eq!(fought(&three[..2]), Vec::<Vec<Timestamp>>::new());
        assert_eq!(fought(&three), [[0, 20, 40].map(|minute| second(minute * 60)).to_vec()]);
        let slow = [(0, write(1, "info")), (40, write(2, "info")), (80, write(3, "info"))];
        assert_eq!(fought(&slow), Vec::<Vec<Timestamp>>::new());
        let other_value = [&three[..2], &[(40, write(3, "warn"))]].concat();
        assert_eq!(fought(&other_value), Vec::<Vec<Timestamp>>::new(), "Git has changed in between");
        let places = vec![place("p-1")];
        let ended = Entry::EpisodeEnded { places: places.clone(), end: EpisodeEnd::SeenTrue };
        let resumed = Entry::Resume { places, reason: "a person".into() };
        for end in [ended, resumed] {
            let over = [&three[..], &[(50, end)]].concat();
            assert_eq!(fought(&over), Vec::<Vec<Timestamp>>::new());
            let again = [&over[..], &[(60, write(4, "info"))]].concat();
            assert_eq!(fought(&again), Vec::<Vec<Timestamp>>::new(), "it begins anew");
        }
        let years = [&three[..], &[(60 * 24 * 365, proposal(FIRST, "f-9"))]].concat();
        assert_eq!(fought(&years).len(), 1, "time alone ends nothing");
        let without_effect = [
            &three[..],
            &[(41, Entry::Outcome { run: id("01JD0000000000000000000003"), outcome: Outcome::Void { reason: "read".into() } })],
        ]
        .concat();
        assert_eq!(fought(&without_effect), Vec::<Vec<Timestamp>>::new());
    }

    #[test]
    fn a_clock_that_goes_back_lets_no_further_write_through() {
        let ended = Entry::EpisodeEnded { places: vec![place("p-1")], end: EpisodeEnd::SeenTrue };
        // By the clock, the writes are older than the end of the episode before them.
        let anew = [(200, ended.clone()), (140, write(1, "info")), (150, write(2, "info")), (160, write(3, "info"))];
        assert_eq!(fought(&anew).len(), 1, "they came after it, whatever the clock says");
        let over = [(140, write(1, "info")), (150, write(2, "info")), (160, write(3, "info")), (90, ended)];
        assert_eq!(fought(&over), Vec::<Vec<Timestamp>>::new(), "the end came after them");
        let back = [(0, write(1, "info")), (50, write(2, "info")), (5, write(3, "info"))];
        assert_eq!(fought(&back).len(), 1, "where the clock went back in between, they are within the window");
    }

    #[test]
    fn a_write_of_which_nobody_can_tell_counts_and_is_consent_used_up() {
        let undetermined = |run: &str| outcome(run, Outcome::Undetermined { reason: "the object moved on".into() });
        let told = [(0, write(1, "info")), (1, undetermined("01JD0000000000000000000001"))];
        assert_eq!(after(&told).writes_of_class("config-value", second(0)), 1);
        let three = [&told[..], &[(2, write(2, "info")), (3, write(3, "info"))]].concat();
        assert_eq!(fought(&three).len(), 1);
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
    fn what_made_something_worse_counts_once_and_under_its_policy() {
        let worse = Entry::Verification { run: id(FIRST), outlook: Outlook::Unhealthy, why: Some("x".into()) };
        let told = standing(vec![patch(FIRST), worse.clone(), worse]);
        let Entry::Intent(begun) = patch(FIRST) else { panic!("an intent") };
        let runs: Vec<_> = told.failures_under(&begun.policy_digest).map(|failure| (&failure.run, &failure.classes)).collect();
        assert_eq!(runs, [(&id(FIRST), &begun.classes)]);
        assert_eq!(told.failures_under("another policy").count(), 0);
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

    #[test]
    fn a_denial_lasts_for_its_fingerprint_until_the_episode_ends() {
        let propose = Effect::PullRequest { branch: "trueup/p-1".into(), head_commit: "c0ffee".into() };
        let closed = vec![
            intent(FIRST, "Deployment", propose),
            proposal(FIRST, "f-1"),
            Entry::ProposalClosed { run: id(FIRST), fate: Fate::Denied },
        ];
        let denied = standing(closed.clone());
        assert!(denied.proposals().is_empty());
        assert!(denied.is_denied(&place("p-1"), &FindingId("f-1".into())));
        assert!(!denied.is_denied(&place("p-1"), &FindingId("f-2".into())));
        let target = standing(closed.clone());
        assert_eq!(target.episodes_of(&TargetName("prod".into())).collect::<Vec<_>>(), [&place("p-1")]);
        assert_eq!(target.episodes_of(&TargetName("another".into())).count(), 0);
        let end = Entry::EpisodeEnded { places: vec![place("p-1")], end: EpisodeEnd::GitMoved };
        assert!(standing([closed, vec![end]].concat()).denied().is_empty());
    }

    #[test]
    fn a_replaced_proposal_leaves_its_place_to_the_later_run() {
        let taken_over = standing(vec![
            proposal(FIRST, "f-1"),
            proposal(SECOND, "f-2"),
            Entry::ProposalClosed { run: id(FIRST), fate: Fate::Replaced { by: id(SECOND) } },
        ]);
        assert_eq!(taken_over.proposals()[&place("p-1")].run, id(SECOND));
        assert!(taken_over.denied().is_empty());
    }

    #[test]
    fn holds_last_until_resumed_and_the_first_identity_stays() {
        let hold = Hold { places: vec![place("p-1"), place("p-2")], reason: "undone".into(), findings: Vec::new() };
        let target = TargetName("prod".into());
        let first = Entry::Identity { target: target.clone(), cluster_uid: "a".into() };
        let another = Entry::Identity { target: target.clone(), cluster_uid: "b".into() };
        let resume = Entry::Resume { places: vec![place("p-1")], reason: "Git moved".into() };
        let after = standing(vec![Entry::Hold(hold), first, resume, another]);
        assert_eq!(after.holds().keys().collect::<Vec<_>>(), [&place("p-2")]);
        assert_eq!(after.cluster_of(&target), Some("a"));
    }

    #[test]
    fn a_secrets_values_are_found_before_they_are_recorded() {
        assert_eq!(intent(FIRST, "Secret", patch_of(&json!({}))).secret_at(), Some("data"));
        assert_eq!(patch(FIRST).secret_at(), None);
    }

    #[test]
    fn the_stored_form_is_versioned() {
        let entry = Entry::Verification { run: id(FIRST), outlook: Outlook::Settled, why: None };
        let stored = entry.encode().expect("JSON");
        let text = r#"{"format":1,"entry":{"verification":{"run":"01JD3M8Q4T7Z5V9K2W6XBCRY00","outlook":"settled"}}}"#;
        assert_eq!(String::from_utf8_lossy(&stored), text);
        assert!(matches!(Entry::decode(br#"{"format":2,"entry":{"dream":{}}}"#), Err(DecodeError::Later(2))));
        assert!(matches!(Entry::decode(b"\x00\xff"), Err(DecodeError::Malformed(_))));
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

        #[test]
        fn what_is_encoded_reads_back(texts in prop::collection::vec(".{0,12}", 4), number in any::<i64>()) {
            let entry = intent(FIRST, &texts[0], Effect::Patch(PatchEffect {
                uid: Some(texts[1].clone()),
                resource_version: None,
                patch: json!({&texts[2]: number, "gone": null}),
                pre_image: json!({&texts[2]: &texts[3]}),
                inverse: json!([number, texts[3]]),
                ..PatchEffect::default()
            }));
            let stored = entry.encode().expect("JSON");
            prop_assert_eq!(Entry::decode(&stored).expect("an entry"), entry);
        }
    }
}
