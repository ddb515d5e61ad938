//! Approvals as they are written, read and judged.

use std::collections::BTreeMap;

use proptest::prelude::*;
use serde_json::{Value, json};
use trueup_core::finding::{Cause, Change, Difference, Divergence, Drift, FindingId, Lane, Risk, Stage, Surroundings};
use trueup_core::run::{Effect, Entry, Intent, Proposal, Record, Runs};
use trueup_core::seen::{DigestKey, Seen as Value_};

use super::*;

fn object(name: &str) -> ObjectId {
    ObjectId {
        api_version: "v1".to_owned(),
        kind: "ConfigMap".to_owned(),
        namespace: Some("shop".to_owned()),
        name: name.to_owned(),
    }
}

fn finding(name: &str, path: &str, desired: Option<Value>, live: Option<Value>) -> Finding {
    seen(name, path, desired.map(Value_::Plain), live.map(Value_::Plain))
}

fn seen(name: &str, path: &str, desired: Option<Value_>, live: Option<Value_>) -> Finding {
    let drift = Drift { path: path.parse().expect("a path"), pointer: String::new(), change: Change::Changed, desired, live };
    let difference = Difference {
        target: TargetName("prod-eu".to_owned()),
        subject: Subject::Object(object(name)),
        divergence: Divergence::Field(drift),
        cause: Cause::default(),
        evidence: None,
        origin: Origin { file: "a.yaml".to_owned(), line: 1, column: 1, document: 1 },
        labels: BTreeMap::new(),
        ignored_in_git: false,
        surroundings: Surroundings::default(),
    };
    Finding {
        id: difference.id("shop/platform", &DigestKey::new(b"k")),
        place: difference.place("shop/platform"),
        difference,
        class: None,
        meant_by: Vec::new(),
        problems: Vec::new(),
        stage: Stage::Recommend,
        lane: Lane::Review,
        risk: Risk::default(),
        barred: None,
        kept: None,
        reasons: vec!["a test".to_owned()],
    }
}

fn time(text: &str) -> Timestamp {
    text.parse().expect("a time")
}

fn asked(finding: &Finding) -> Approval {
    Approval::asked(finding, time("2026-12-03T00:00:00Z")).expect("an approval")
}

fn merged(approval: &Approval) -> Merged {
    let (file, text) = write(approval).expect("TOML");
    Merged { approval: approval.clone(), digest: digest(text.as_bytes()), file }
}

/// The ledger after this approval was proposed.
fn proposed(approval: &Approval) -> Vec<Run> {
    let (run, merged) = ("01JD0000000000000000000000".parse::<trueup_core::run::RunId>().expect("an id"), merged(approval));
    let fingerprint = FindingId("f-1".to_owned());
    let intent = Intent {
        run: run.clone(),
        target: approval.target.clone(),
        subject: Subject::Object(approval.object.clone()),
        findings: vec![fingerprint.clone()],
        places: vec![approval.place.clone()],
        paths: vec![approval.path.clone()],
        classes: Vec::new(),
        policy_digest: String::new(),
        commit: String::new(),
        decided: None,
        effect: Effect::PullRequest { branch: "trueup/x".to_owned(), head_commit: "h".to_owned() },
        reasons: vec!["a test".to_owned()],
    };
    let record = Proposal {
        run,
        place: approval.place.clone(),
        branch: "trueup/x".to_owned(),
        base_commit: String::new(),
        head_commit: "h".to_owned(),
        url: "https://forge.example/1".to_owned(),
        number: 1,
        author: "trueup-bot".to_owned(),
        fingerprint,
        approval: Some(merged.digest),
        subject: None,
    };
    let mut runs = Runs::default();
    for (seq, entry) in (1..).zip([Entry::Intent(Box::new(intent)), Entry::Proposal(record)]) {
        runs.apply(&Record { seq, at: time("2026-11-20T00:00:00Z"), entry }).expect("legal");
    }
    runs.into_all()
}

fn judged(approval: &Approval, seen: Seen<'_>) -> Worth {
    worth(&merged(approval), seen, &proposed(approval), time("2026-11-21T00:00:00Z"))
}

fn code_of(worth: &Worth) -> &'static str {
    match worth {
        Worth::Asks(_) => "asks",
        Worth::Used => "used",
        Worth::Unseen => "unseen",
        Worth::Void { code, .. } => code,
    }
}

#[test]
fn an_approval_is_a_file_without_values() {
    let finding = finding("checkout", "data[\"log.level\"]", Some(json!("info")), Some(json!("debug")));
    let (file, text) = write(&asked(&finding)).expect("TOML");
    insta::assert_snapshot!(format!("{file}\n{text}"), @r###"
.trueup/approvals/p-dcf6b1199726e99f.toml
# Merged, this lets trueup put live back to what Git declares at this path, as long as neither value changes.
schema = "trueup.approval/v1"
place = "p-dcf6b1199726e99f"
target = "prod-eu"
path = 'data["log.level"]'
desired = "v1:7c49d5642bb18907af63b31ee8bcb448b5309d253b25261a440df827660b4972"
live = "v1:21a3c31036ca044ba7ff5f87c7f767a6b50da3317a971dab809dbd2c05fcf2a7"
expires = "2026-12-03T00:00:00Z"

[object]
apiVersion = "v1"
kind = "ConfigMap"
namespace = "shop"
name = "checkout"
"###);
    assert_eq!(read(&file, text.as_bytes()).expect("an approval"), asked(&finding));
}

#[test]
fn a_file_that_is_not_as_it_was_written_approves_nothing() {
    let finding = finding("checkout", "data.level", Some(json!("info")), None);
    let (file, text) = write(&asked(&finding)).expect("TOML");
    let place = place_of(&file).expect("a place");
    let mut shown = Vec::new();
    for (name, edited) in [
        (file.clone(), text.replace("schema =", "until = 1\nschema =")),
        (file.clone(), text.replace("approval/v1", "approval/v2")),
        (file.clone(), text.replace(place, "p-0123456789abcdef")),
        (format!("{FOLDER}/p-0123456789abcdef.toml"), text.clone()),
        (format!("{FOLDER}/../{place}.toml"), text.clone()),
        (file.clone(), text.replace("2026-12-03T00:00:00Z", "2026-12-03")),
        (file.clone(), text.replace("2026-12-03T00:00:00Z", "2026-13-03T00:00:00Z")),
        (file.clone(), text.replace("data.level", "data..level")),
        (file.clone(), text.replace("\"data.level\"", "'data[\"level\"]'")),
        (file.clone(), text.replace("data.level", "")),
        (file.clone(), text.replace("v1:", "sha256:")),
        (file.clone(), text.replace("name = \"checkout\"", "name = \"\"")),
        (file.clone(), text.lines().filter(|line| !line.starts_with("live")).collect::<Vec<_>>().join("\n")),
    ] {
        let error = read(&name, edited.as_bytes()).expect_err("no approval");
        shown.push(format!("{}: {error}", error.line()).replace(place, "PLACE"));
    }
    insta::assert_snapshot!(shown.join("\n"), @r###"
2: `.trueup/approvals/PLACE.toml` is no approval: unknown field `until`, expected one of `schema`, `place`, `target`, `path`, `desired`, `live`, `expires`, `object`; do not write approvals by hand, merge the ones that are proposed
2: `.trueup/approvals/PLACE.toml` is no approval: its schema is `trueup.approval/v2`, and this program reads `trueup.approval/v1`; do not write approvals by hand, merge the ones that are proposed
3: `.trueup/approvals/PLACE.toml` is no approval: it is about the place `p-0123456789abcdef`; do not write approvals by hand, merge the ones that are proposed
3: `.trueup/approvals/p-0123456789abcdef.toml` is no approval: it is about the place `PLACE`; do not write approvals by hand, merge the ones that are proposed
1: `.trueup/approvals/../PLACE.toml` is no name of an approval; it is `.trueup/approvals/<place>.toml` with the place of the finding, as `trueup diff -o json` prints it
8: `.trueup/approvals/PLACE.toml` is no approval: `expires` is `2026-12-03` and not a time as in RFC 3339 (`2027-01-31T12:00:00Z`); do not write approvals by hand, merge the ones that are proposed
8: `.trueup/approvals/PLACE.toml` is no approval: `expires` is `2026-13-03T00:00:00Z` and not a time as in RFC 3339 (`2027-01-31T12:00:00Z`); do not write approvals by hand, merge the ones that are proposed
5: `.trueup/approvals/PLACE.toml` is no approval: `data..level` is not a path: an empty segment at character 6; do not write approvals by hand, merge the ones that are proposed
5: `.trueup/approvals/PLACE.toml` is no approval: the path `data["level"]` is written `data.level`; do not write approvals by hand, merge the ones that are proposed
5: `.trueup/approvals/PLACE.toml` is no approval: `` is not a path: it is empty at character 1; do not write approvals by hand, merge the ones that are proposed
6: `.trueup/approvals/PLACE.toml` is no approval: `sha256:2fd045f5e7d9c6dff9d39d2e4d1746426c5df2b863f0bb0efd06c55e27e39856` is no digest (`v1:` and 64 hexadecimal digits); do not write approvals by hand, merge the ones that are proposed
14: `.trueup/approvals/PLACE.toml` is no approval: the object's `name` is empty; do not write approvals by hand, merge the ones that are proposed
1: `.trueup/approvals/PLACE.toml` is no approval: missing field `live`; do not write approvals by hand, merge the ones that are proposed
"###);
}

#[test]
fn an_approval_asks_for_these_very_values_alone() {
    let level = |desired: &str, live: &str| finding("checkout", "data.level", Some(json!(desired)), Some(json!(live)));
    let approval = asked(&level("info", "debug"));
    let Worth::Asks(restore) = judged(&approval, Seen::Drifts(&level("info", "debug"))) else { panic!("it asks") };
    let digests = level("info", "debug").digests();
    assert_eq!((&restore.place, restore.expires), (&approval.place, approval.expires));
    assert_eq!((restore.desired, restore.live), (digests.desired, digests.live));
    assert_eq!(code_of(&judged(&approval, Seen::Drifts(&level("warn", "debug")))), "approval-stale", "Git moved");
    assert_eq!(code_of(&judged(&approval, Seen::Drifts(&level("info", "trace")))), "approval-stale", "live moved");
    assert_eq!(code_of(&judged(&approval, Seen::True)), "used");
    assert_eq!(code_of(&judged(&approval, Seen::Unseen)), "unseen");
    let same = level("info", "debug");
    let at = |now: &str| code_of(&worth(&merged(&approval), Seen::Drifts(&same), &proposed(&approval), time(now)));
    assert_eq!((at("2026-12-02T23:59:59Z"), at("2026-12-03T00:00:00Z")), ("asks", "approval-expired"));
    let unknown = worth(&merged(&approval), Seen::Drifts(&same), &[], time("2026-11-21T00:00:00Z"));
    assert_eq!(code_of(&unknown), "approval-forged");
    let longer = Approval { expires: time("2027-12-03T00:00:00Z"), ..approval.clone() };
    let changed = worth(&merged(&longer), Seen::Drifts(&same), &proposed(&approval), time("2026-11-21T00:00:00Z"));
    assert_eq!(code_of(&changed), "approval-forged");
}

#[test]
fn what_is_asked_in_one_week_is_one_file_and_good_for_a_week() {
    let week = 7 * 24 * 3600;
    for second in [0, 1, week - 1, week, 3 * week / 2, 1_795_000_000] {
        let now = Timestamp::from_second(second).expect("a time");
        let left = expiry(now).as_second() - second;
        assert!(left > week && left <= 2 * week, "{second}: {left}");
        let later = Timestamp::from_second(second - second % week + week - 1).expect("a time");
        assert_eq!(expiry(now), expiry(later));
    }
}

proptest! {
    /// Whatever is asked for is read back as it is, and asks.
    #[test]
    fn what_is_written_is_read_back(
        name in "[a-z][a-z0-9.-]{0,20}",
        key in "\\PC{1,12}",
        desired in any::<Option<i64>>(),
        live in any::<Option<bool>>(),
    ) {
        let path = trueup_core::path::Path::of_keys(&["data", &key]).to_string();
        let finding = finding(&name, &path, desired.map(Value::from), live.map(Value::from));
        let approval = asked(&finding);
        let (file, text) = write(&approval).expect("TOML");
        let back = read(&file, text.as_bytes()).expect("an approval");
        prop_assert_eq!(&back, &approval);
        prop_assert_eq!(code_of(&judged(&back, Seen::Drifts(&finding))), "asks");
    }

    /// No bytes make the reader panic.
    #[test]
    fn whatever_the_bytes_there_is_an_answer(text in "(?s).{0,200}") {
        let _answer = read(".trueup/approvals/p-0123456789abcdef.toml", text.as_bytes()).is_ok();
    }
}
