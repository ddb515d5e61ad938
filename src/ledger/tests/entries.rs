//! What is recorded.

use super::*;

pub(super) fn second(number: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + number).expect("in range")
}

pub(super) fn run_id(number: usize) -> RunId {
    format!("01JD3M8Q4T7Z5V9K2W6XB{number:05}").parse().expect("a run id")
}

pub(super) fn place<T: serde::de::DeserializeOwned>(number: usize) -> T {
    serde_json::from_value(json!(format!("p-{number}"))).expect("a place")
}

pub(super) fn intent(number: usize, effect: Effect, kind: &str, note: &str) -> Entry {
    Entry::Intent(Box::new(Intent {
        run: run_id(number),
        target: TargetName("prod".into()),
        subject: Subject::Object(ObjectId {
            api_version: "v1".into(),
            kind: kind.into(),
            namespace: Some("shop".into()),
            name: "checkout".into(),
        }),
        findings: vec![FindingId(format!("f-{number}"))],
        places: vec![place(number)],
        paths: vec!["data.LOG_LEVEL".into()],
        classes: vec!["config-value".into()],
        policy_digest: "d".into(),
        commit: "4f2c9e1".into(),
        decided: None,
        effect,
        reasons: vec![note.into()],
    }))
}

pub(super) fn patch(number: usize, note: &str) -> Entry {
    let effect = Effect::Patch(PatchEffect {
        uid: Some("u-1".into()),
        resource_version: Some("41".into()),
        patch: json!({"data": {"LOG_LEVEL": "info", "NOTE": note}}),
        pre_image: json!({"data": {"LOG_LEVEL": "debug"}}),
        inverse: json!({"data": {"LOG_LEVEL": "debug", "NOTE": null}}),
        ..PatchEffect::default()
    });
    intent(number, effect, "ConfigMap", note)
}

pub(super) fn escalation(note: &str) -> Entry {
    Entry::Escalation(Escalation {
        target: TargetName("prod-eu".into()),
        finding: FindingId("f-1".into()),
        place: place(1),
        reasons: vec![note.into()],
        episode: Episode("e-1".into()),
    })
}

/// Any entry about one of a few runs; many cannot follow what went before.
pub(super) fn any_entry() -> impl Strategy<Value = Entry> {
    (0_usize..4, 0_usize..10, ".{0,16}").prop_map(|(number, choice, note)| {
        let run = run_id(number);
        match choice {
            0 => patch(number, &note),
            1 => intent(number, Effect::PullRequest { branch: note.clone(), head_commit: note.clone() }, "Deployment", &note),
            2 => Entry::Outcome { run, outcome: Outcome::Applied { resource_version: Some(note), warnings: Vec::new() } },
            3 => Entry::Outcome { run, outcome: Outcome::Unknown { reason: note } },
            4 => Entry::Verification { run, outlook: Outlook::Unseen, why: None },
            5 => Entry::Proposal(Proposal {
                run,
                place: place(number),
                branch: note.clone(),
                base_commit: "a".into(),
                head_commit: "b".into(),
                url: note,
                number: 1,
                author: String::new(),
                fingerprint: FindingId(format!("f-{number}")),
                approval: None,
                subject: None,
            }),
            6 => Entry::ProposalClosed { run, fate: Fate::Denied },
            7 => Entry::Undone { run, by: run_id(9) },
            8 => escalation(&note),
            _ => Entry::Identity { target: TargetName(note.clone()), cluster_uid: note },
        }
    })
}
