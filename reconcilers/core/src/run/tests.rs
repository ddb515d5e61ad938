//! Runs, what their records tell of them, and what guards are told by them.

use jiff::Timestamp;
use serde_json::json;

use super::*;
use crate::finding::{FindingId, Place, Subject};
use crate::object::{ObjectId, TargetName};

mod histories;
mod standing;
mod steps;
mod stored;

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

fn id(text: &str) -> RunId {
    text.parse().expect("a run id")
}

const LETTERS: &str = "arivuxpmdwcsfhnoU";

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
