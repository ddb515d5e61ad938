//! What happened at a place before makes what is found there riskier.

use jiff::SignedDuration;

use super::*;

/// Corrections of this place on former days, each with what was seen after it.
async fn corrected(world: &World, place: &Place, days: &[(i64, Outlook)]) {
    let ledger = Ledger::open(&world.ledger_path()).await.unwrap();
    for (number, (days, outlook)) in days.iter().enumerate() {
        let id = format!("01JD00000000000000000000{number:02}");
        let (run, at) =
            (id.parse::<trueup_core::run::RunId>().unwrap(), Timestamp::now() - SignedDuration::from_hours(24 * days));
        let outcome = Outcome::Applied { resource_version: Some("6".to_owned()), warnings: Vec::new() };
        for entry in [
            intent(&id, Some("5"), place.clone()),
            Entry::Outcome { run: run.clone(), outcome },
            Entry::Verification { run, outlook: *outlook, why: None },
        ] {
            ledger.append(&entry, at).await.unwrap();
        }
    }
    ledger.close().await.unwrap();
}

fn factors(finding: &Value) -> Vec<&str> {
    finding["risk"]["factors"].as_array().unwrap().iter().map(|factor| factor["name"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn what_was_corrected_again_and_again_or_did_not_hold_is_riskier() {
    const AGAIN: &str = "corrected again and again";
    const FAILED: &str = "a correction did not hold before";
    use Outlook::{Drifting, Settled, Unhealthy};
    for (days, expected) in [
        (&[(3, Settled), (2, Settled)][..], &[][..]),
        (&[(3, Settled), (2, Settled), (1, Settled)], &[AGAIN]),
        (&[(31, Settled), (2, Settled), (1, Settled)], &[]),
        (&[(1, Drifting)], &[FAILED]),
        (&[(9, Unhealthy), (8, Settled), (7, Settled)], &[AGAIN, FAILED]),
    ] {
        // Another place of the same object has its own history: none.
        let world = World::of(&json!({"a": "1", "b": "1"}), &json!({"a": "2", "b": "2"}));
        let found = world.json(&["diff"])["findings"].clone();
        assert_eq!((&found[0]["path"], &found[1]["path"]), (&json!("data.a"), &json!("data.b")));
        let place: Place = serde_json::from_value(found[0]["place"].clone()).unwrap();
        corrected(&world, &place, days).await;
        let now = world.json(&["diff"])["findings"].clone();
        let more: Vec<&str> = factors(&now[0]).into_iter().filter(|name| !factors(&found[0]).contains(name)).collect();
        assert_eq!(more, expected, "{days:?}");
        assert_eq!(now[1], found[1], "{days:?}");
        assert_eq!(now[0]["id"], found[0]["id"], "the same finding");
        let points = |finding: &Value| finding["risk"]["score"].as_u64().unwrap();
        assert_eq!(points(&now[0]) > points(&found[0]), !expected.is_empty(), "{days:?}");
        let explained = world.run(&["explain", now[0]["id"].as_str().unwrap()]);
        let explained = String::from_utf8(explained.stdout).unwrap();
        assert!(expected.iter().all(|name| explained.contains(name)), "{explained}");
    }
}

#[tokio::test]
async fn by_what_happened_before_is_decided_again_to_the_byte() {
    let world = World::of(&json!({"a": "1"}), &json!({"a": "2"}));
    let place: Place = serde_json::from_value(world.json(&["diff"])["findings"][0]["place"].clone()).unwrap();
    corrected(&world, &place, &[(5, Outlook::Settled), (4, Outlook::Settled), (3, Outlook::Drifting)]).await;
    let run = world.json(&["sync"])["runs"][0]["id"].as_str().unwrap().to_owned();
    let replayed = world.json(&["replay", &run]);
    assert_eq!(replayed["same"], true, "{replayed:#}");
    let weighed = &replayed["inputs"]["objects"][0]["findings"][0];
    assert_eq!(weighed["grounds"]["history"], json!({"corrections": 3, "failures": 1}), "{replayed:#}");
    // Whoever undid it has said that it did not hold.
    world.json(&["undo", &run]);
    world.live(&json!({"a": "3"}), Some("90"));
    let next = world.json(&["sync"]);
    let run = next["runs"][0]["id"].as_str().unwrap_or_else(|| panic!("{next:#}")).to_owned();
    let history = world.json(&["replay", &run])["inputs"]["objects"][0]["findings"][0]["grounds"]["history"].clone();
    assert_eq!(history, json!({"corrections": 4, "failures": 2}));
}
