//! What guards are told: writes, fights, failures, denials, holds.

use jiff::SignedDuration;

use super::*;

fn standing(entries: Vec<Entry>) -> Standing {
    let mut standing = Standing::default();
    for record in records(entries) {
        standing.apply(&record);
    }
    standing
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
fn what_made_something_worse_counts_once_and_under_its_policy() {
    let worse = Entry::Verification { run: id(FIRST), outlook: Outlook::Unhealthy, why: Some("x".into()) };
    let told = standing(vec![patch(FIRST), worse.clone(), worse]);
    let Entry::Intent(begun) = patch(FIRST) else { panic!("an intent") };
    let runs: Vec<_> = told.failures_under(&begun.policy_digest).map(|failure| (&failure.run, &failure.classes)).collect();
    assert_eq!(runs, [(&id(FIRST), &begun.classes)]);
    assert_eq!(told.failures_under("another policy").count(), 0);
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
