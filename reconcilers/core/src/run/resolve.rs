//! What came of a write whose answer was lost, as its object tells that was read since. Such a write is never sent again.

use jiff::{SignedDuration, Timestamp};

use super::{Effect, PatchEffect, Run, RunStatus};
use crate::facts::{Live, Operation, Owner};
use crate::patch::changes_nothing;
use crate::path::Path;

/// The field manager that trueup's writes go by.
pub const FIELD_MANAGER: &str = "trueup";

/// What a reading tells about a write whose answer was lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resolution {
    /// Its values are there, and by the object's managers they are trueup's.
    Applied,
    /// The object is still the version that the write was for, and the write can no longer come to it.
    NoEffect,
    /// It may have happened, and nothing will ever tell; why.
    Undetermined(&'static str),
    /// The object is as it was, and the write may still be on its way.
    TooEarly,
}

/// Resolves a write to some paths by its object as it is now; `None` where that is gone.
///
/// Only the very same version proves that nothing happened: whoever wrote since may have overwritten it. And only the managers
/// prove that it did: its values may be somebody else's. Whoever writes another value takes the field from its manager, so a field
/// that has this write's value and is trueup's was written by it, as it had another value before.
#[must_use]
pub fn resolve(live: Option<&Live>, (effect, paths): (&PatchEffect, &[String]), may_still_land: bool) -> Resolution {
    let Some(live) = live else { return Resolution::Undetermined("the object is gone") };
    if live.uid != effect.uid {
        return Resolution::Undetermined("the object was replaced by another of the same name");
    }
    if effect.resource_version.is_some() && live.resource_version == effect.resource_version {
        return if may_still_land { Resolution::TooEarly } else { Resolution::NoEffect };
    }
    match (changes_nothing(&live.value, &effect.patch), is_ours(&live.owners, effect, paths)) {
        (true, true) => Resolution::Applied,
        (true, false) => Resolution::Undetermined("its values are there, and who wrote them cannot be told"),
        (false, _) => Resolution::Undetermined("the object moved on, and does not have its values"),
    }
}

/// Resolves a write of a run by its object as it is now, and by the runs before it.
///
/// A list may show what was there a while ago. A write that was decided by such a list is refused, and the values that it was to make
/// may be there all the same, and trueup's: by an earlier run.
#[must_use]
pub fn resolve_after(live: Option<&Live>, (run, effect): (&Run, &PatchEffect), runs: &[Run], may_still_land: bool) -> Resolution {
    let mut earlier = runs.iter().take_while(|earlier| earlier.intent.run != run.intent.run);
    match resolve(live, (effect, &run.intent.paths), may_still_land) {
        Resolution::Applied if earlier.any(|earlier| may_have_come_after(earlier, run, effect)) => {
            Resolution::Undetermined("its values are there, and an earlier run may have written them")
        }
        resolution => resolution,
    }
}

/// Whether an earlier run may have written to the version of a later one, or to one after it. Of one object they are decimal numbers
/// that grow: <https://kubernetes.io/docs/reference/using-api/api-concepts/#resource-versions>.
fn may_have_come_after(earlier: &Run, run: &Run, effect: &PatchEffect) -> bool {
    let Effect::Patch(wrote) = &earlier.intent.effect else { return false };
    let number = |effect: &PatchEffect| effect.resource_version.as_deref().and_then(|version| version.parse::<u64>().ok());
    let is_before = number(wrote).zip(number(effect)).is_some_and(|(earlier, later)| earlier < later);
    let is_there = match &earlier.status {
        RunStatus::Void { .. } | RunStatus::Refused { .. } | RunStatus::Inadmissible { .. } => false,
        RunStatus::Intended(_)
        | RunStatus::Unknown { .. }
        | RunStatus::Undetermined { .. }
        | RunStatus::Applied { .. }
        | RunStatus::Verified(_)
        | RunStatus::Undone { .. }
        | RunStatus::Proposed { .. }
        | RunStatus::Closed(_) => true,
    };
    let is_same = earlier.intent.target == run.intent.target && earlier.intent.subject == run.intent.subject;
    is_same && wrote.uid == effect.uid && is_there && !is_before
}

/// Whether trueup owns each value that the patch has written. What it has taken out leaves no trace.
fn is_ours(owners: &[Owner], effect: &PatchEffect, paths: &[String]) -> bool {
    let is_own =
        |owner: &&Owner| owner.manager == FIELD_MANAGER && owner.operation == Operation::Update && owner.subresource.is_none();
    let Some(own) = owners.iter().find(is_own) else { return false };
    let mut written = paths
        .iter()
        .filter_map(|path| path.parse::<Path>().ok())
        .filter(|path| path.find(&effect.patch).is_some_and(|value| !value.is_null()))
        .peekable();
    written.peek().is_some() && written.all(|path| own.fields.touches(&path) || own.fields.encloses(&path))
}

/// Whether the write of an unfinished run may still be carried out, where a server works on a request for `bound` at most.
///
/// No clock but the one on the wall outlasts a process, and that one may jump. So it has to say twice that the bound has passed:
/// since the run began, and since that was recorded. One jump passes over one of the two alone.
#[must_use]
pub fn may_still_land(run: &Run, now: Timestamp, bound: SignedDuration) -> bool {
    is_within_bound(run, now, bound) || sighting(run, bound).is_none_or(|seen| now.duration_since(seen) < bound)
}

/// Whether it is to be recorded now that the bound has passed since the run began, and nothing is to be seen of its write.
#[must_use]
pub fn is_to_be_sighted(run: &Run, now: Timestamp, bound: SignedDuration) -> bool {
    !is_within_bound(run, now, bound) && sighting(run, bound).is_none()
}

fn is_within_bound(run: &Run, now: Timestamp, bound: SignedDuration) -> bool {
    now.duration_since(run.begun) < bound
}

/// When it was first recorded of the run, after the bound had passed, that its answer is not known.
fn sighting(run: &Run, bound: SignedDuration) -> Option<Timestamp> {
    run.unanswered.iter().copied().find(|at| at.duration_since(run.begun) >= bound)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::facts::{FieldSet, Tracking};
    use crate::object::ObjectId;
    use crate::run::{EffectKind, Intent, Outlook};

    const PATHS: [&str; 2] = ["data.a", "data.gone"];

    fn live(version: &str, a: &str, entries: &[(&str, Operation, &str)]) -> Live {
        let owner = |(manager, operation, path): &(&str, Operation, &str)| Owner {
            manager: (*manager).to_owned(),
            operation: *operation,
            subresource: None,
            time: None,
            fields: FieldSet { paths: vec![path.parse().expect("a path")] },
        };
        Live {
            id: ObjectId { api_version: "v1".into(), kind: "ConfigMap".into(), namespace: None, name: "m".into() },
            value: json!({"data": {"a": a}}),
            owners: entries.iter().map(owner).collect(),
            uid: Some("u".to_owned()),
            resource_version: Some(version.to_owned()),
            deleting_since: None,
            created: None,
            tracking: Tracking::Shown,
            last_applied: None,
        }
    }

    fn effect(patch: Value) -> PatchEffect {
        PatchEffect { uid: Some("u".to_owned()), resource_version: Some("6".to_owned()), patch, ..PatchEffect::default() }
    }

    fn resolved(live: Option<&Live>, patch: Value, may_still_land: bool) -> Resolution {
        resolve(live, (&effect(patch), &PATHS.map(str::to_owned)), may_still_land)
    }

    #[test]
    fn only_the_very_version_proves_that_nothing_happened_and_only_the_managers_that_it_did() {
        let wrote = || json!({"data": {"a": "1", "gone": null}});
        let ours = [("trueup", Operation::Update, "data.a")];
        let same = live("6", "2", &ours);
        assert_eq!(resolved(Some(&same), wrote(), false), Resolution::NoEffect);
        assert_eq!(resolved(Some(&same), wrote(), true), Resolution::TooEarly);
        for may_still_land in [false, true] {
            let resolved = |live: Option<&Live>| resolved(live, wrote(), may_still_land);
            assert_eq!(resolved(Some(&live("7", "1", &ours))), Resolution::Applied);
            let theirs = [
                &[][..],
                &[("kubectl", Operation::Update, "data.a")],
                &[("trueup", Operation::Apply, "data.a")],
                &[("trueup", Operation::Update, "data.b")],
            ];
            for owned in theirs {
                assert!(matches!(resolved(Some(&live("7", "1", owned))), Resolution::Undetermined(_)), "{owned:?}");
            }
            assert!(matches!(resolved(Some(&live("7", "2", &ours))), Resolution::Undetermined(_)), "overwritten");
            assert!(matches!(resolved(None), Resolution::Undetermined(_)), "gone");
            let other = Live { uid: Some("v".to_owned()), ..live("6", "1", &ours) };
            assert!(matches!(resolved(Some(&other)), Resolution::Undetermined(_)), "another object");
        }
        let took = json!({"data": {"gone": null}});
        assert!(matches!(resolved(Some(&live("7", "1", &ours)), took, false), Resolution::Undetermined(_)), "no trace is left");
        let unversioned = Live { resource_version: None, ..live("", "2", &ours) };
        let unconditional = PatchEffect { resource_version: None, ..effect(wrote()) };
        let paths = PATHS.map(str::to_owned);
        assert!(matches!(resolve(Some(&unversioned), (&unconditional, &paths), false), Resolution::Undetermined(_)));
    }

    fn run(unanswered: &[i64]) -> Run {
        let intent: Intent = serde_json::from_value(json!({
            "run": "01JD0000000000000000000000", "target": "t", "findings": [], "places": [], "paths": [], "policy_digest": "d",
            "subject": {"object": {"apiVersion": "v1", "kind": "ConfigMap", "name": "m"}}, "commit": "c", "reasons": ["r"],
            "effect": {"pull-request": {"branch": "b", "head_commit": "h"}},
        }))
        .expect("an intent");
        Run {
            intent,
            begun: at(0),
            status: RunStatus::Intended(EffectKind::Patch),
            changed: at(0),
            proposals: std::collections::BTreeMap::new(),
            withdrawal: None,
            hand_back: None,
            unanswered: unanswered.iter().copied().map(at).collect(),
            records: Vec::new(),
        }
    }

    const FIRST: &str = "01JD0000000000000000000001";
    const SECOND: &str = "01JD0000000000000000000002";

    #[test]
    fn what_an_earlier_run_may_have_written_is_not_taken_for_this_ones() {
        let patched = |id: &str, version: &str, status: RunStatus| {
            let mut run = run(&[]);
            run.intent.run = id.parse().expect("an id");
            run.intent.paths = PATHS.map(str::to_owned).to_vec();
            let version = Some(version.to_owned());
            let effect = PatchEffect { resource_version: version, ..effect(json!({"data": {"a": "1", "gone": null}})) };
            run.intent.effect = Effect::Patch(effect);
            Run { status, ..run }
        };
        let settled = || RunStatus::Verified(Outlook::Settled);
        let void = || RunStatus::Void { reason: "r".to_owned() };
        let undetermined = || RunStatus::Undetermined { reason: "r".to_owned() };
        let now = live("9", "1", &[("trueup", Operation::Update, "data.a")]);
        for (version, status, is_told) in [
            ("5", settled(), true),
            ("6", settled(), false),
            ("7", settled(), false),
            ("10", settled(), false),
            ("opaque", settled(), false),
            ("7", undetermined(), false),
            ("7", void(), true),
        ] {
            let cut_off = patched(SECOND, "6", RunStatus::Intended(EffectKind::Patch));
            let Effect::Patch(effect) = &cut_off.intent.effect else { panic!("a patch") };
            let runs = [patched(FIRST, version, status), cut_off.clone()];
            let resolution = resolve_after(Some(&now), (&cut_off, effect), &runs, false);
            assert_eq!(resolution == Resolution::Applied, is_told, "{:?}: {resolution:?}", runs[0]);
            let later = [cut_off.clone(), patched(FIRST, version, settled())];
            assert_eq!(
                resolve_after(Some(&now), (&cut_off, effect), &later, false),
                Resolution::Applied,
                "only what came before"
            );
        }
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_763_690_000 + second).expect("a time")
    }

    #[test]
    fn no_single_jump_of_the_clock_makes_a_write_one_that_cannot_land_any_more() {
        const BOUND: i64 = 120;
        let bound = SignedDuration::from_secs(BOUND);
        // True seconds since the write was sent, at which it was looked for; the clock jumps by an hour before one of them.
        let looks = [1, 40, 60, 90, 119];
        for jump in 0..=looks.len() {
            for sent_unknown in [None, Some(0)] {
                let mut run = run(&[]);
                run.unanswered.extend(sent_unknown.map(at));
                for (number, look) in looks.into_iter().enumerate() {
                    let now = at(look + if number >= jump { 3_600 } else { 0 });
                    assert!(may_still_land(&run, now, bound), "jump before look {jump}, at look {number}");
                    if is_to_be_sighted(&run, now, bound) {
                        run.unanswered.push(now);
                    }
                }
                let mut now = at(look_after(jump));
                for _ in 0..3 {
                    if is_to_be_sighted(&run, now, bound) {
                        run.unanswered.push(now);
                    }
                    now += SignedDuration::from_secs(BOUND);
                }
                assert!(!may_still_land(&run, now, bound), "it ends: jump {jump}");
            }
        }
        let back = run(&[130]);
        assert!(may_still_land(&back, at(60), bound), "a clock that went back tells nothing");
    }

    fn look_after(jump: usize) -> i64 {
        if jump < 5 { 3_600 + 120 } else { 120 }
    }
}
