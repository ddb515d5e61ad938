//! Taking back, handing back and giving up: the edges of undo, ownership and fights.

use jiff::SignedDuration;
use trueup_core::run::{Episode, EpisodeEnd, Escalation, RunId};

use super::*;

fn undo(world: &World, run: &Value) -> Value {
    world.json(&["undo", run.as_str().unwrap()])[0]["id"].clone()
}

fn value(world: &World) -> Value {
    world.read_live()["data"]["a"].clone()
}

#[tokio::test]
async fn each_undo_of_an_undo_turns_round_what_is_held() {
    let world = World::of(&json!({"a": "1"}), &json!({"a": "2"}));
    let mut last = world.json(&["sync"])["runs"][0]["id"].clone();
    for (depth, left) in [(1, "2"), (2, "1"), (3, "2"), (4, "1")] {
        let undone = last.clone();
        last = undo(&world, &undone);
        assert_eq!(value(&world), left, "undo {depth}");
        assert_eq!(world.json(&["runs", last.as_str().unwrap()])[0]["undoes"], undone, "undo {depth}");
        world.json(&["sync"]);
        assert_eq!(value(&world), left, "undo {depth}: what a person took back stays so");
    }
    // The last one put it right: drift after it is no longer held.
    world.live(&json!({"a": "2"}), Some("90"));
    world.json(&["sync"]);
    assert_eq!(value(&world), "1");
}

#[tokio::test]
async fn an_undo_takes_out_what_was_not_there() {
    let world = World::of(&json!({"a": "1", "b": "1"}), &json!({"a": "1"}));
    let run = world.json(&["sync"])["runs"][0]["id"].clone();
    assert_eq!(world.read_live()["data"], json!({"a": "1", "b": "1"}));
    undo(&world, &run);
    assert_eq!(world.read_live()["data"], json!({"a": "1"}), "absent, not null");
}

/// What an undo of the run says that is refused.
fn refused(world: &World, run: &str) -> String {
    let refused = world.run(&["undo", run]);
    assert_eq!(refused.status.code(), Some(2), "{refused:?}");
    String::from_utf8_lossy(&refused.stderr).into_owned()
}

#[tokio::test]
async fn an_undo_first_finds_out_what_an_earlier_process_left_open() {
    let unknown = || Entry::Outcome { run: RUN.parse().unwrap(), outcome: Outcome::Unknown { reason: "no answer".to_owned() } };
    for (version, told, status) in
        [("7", "it is void", "void"), ("6", "whether it wrote cannot be told any more", "undetermined")]
    {
        let world = World::of(&json!({"a": "1"}), &json!({"a": "2"}));
        world.live(&json!({"a": "2"}), Some("7"));
        let place = serde_json::from_value(world.json(&["diff"])["findings"][0]["place"].clone()).unwrap();
        world.append(&[intent(RUN, Some(version), place), unknown()]).await;
        let words = refused(&world, RUN);
        assert!(words.contains(told), "{words}");
        assert_eq!(world.runs().await[0].status.name(), status);
        assert_eq!(value(&world), "2");
    }
}

/// An undo of a run as a process left it that was cut off within it.
async fn undo_cut_off(world: &World, undone: &Run, version: &str) {
    let Effect::Patch(effect) = &undone.intent.effect else { panic!("a patch") };
    let effect = PatchEffect {
        resource_version: Some(version.to_owned()),
        patch: effect.inverse.clone(),
        inverse: effect.patch.clone(),
        takes_back: Some(undone.intent.run.clone()),
        ..effect.clone()
    };
    let undo = Intent { run: RUN.parse().unwrap(), effect: Effect::Patch(effect), ..undone.intent.clone() };
    world.append(&[Entry::Intent(Box::new(undo))]).await;
}

#[tokio::test]
async fn of_an_undo_without_an_answer_no_second_one_is_made_unless_it_never_happened() {
    for (happened, version, told) in [
        ("it did", "8", Some("it is undone")),
        ("it did not", "8", None),
        ("nobody can tell: its object is another version, as it was before", "5", Some("may have taken it back already")),
    ] {
        let world = World::of(&json!({"a": "1"}), &json!({"a": "2"}));
        world.live_managed(&json!({"a": "2"}), "7");
        let run = world.json(&["sync"])["runs"][0]["id"].as_str().unwrap().to_owned();
        assert_eq!(value(&world), "1", "{happened}");
        let undone = world.runs().await.remove(0);
        undo_cut_off(&world, &undone, version).await;
        if happened == "it did" {
            let mut object = world.read_live();
            object["data"]["a"] = json!("2");
            object["metadata"]["resourceVersion"] = json!("9");
            world.repo.write("live/app.json", object.to_string());
        }
        if let Some(told) = told {
            let words = refused(&world, &run);
            assert!(words.contains(told), "{happened}: {words}");
            assert_eq!(world.runs().await.len(), 2, "{happened}: no further undo");
        } else {
            undo(&world, &json!(run));
            assert_eq!(value(&world), "2", "{happened}");
        }
    }
}

pub(crate) fn hands_back() -> String {
    let classes = "[[class]]\nname = \"data\"\nmatch = { path = \"data.*\" }\nlane = \"auto\"\nstage = \"auto\"\nownership = \"hand-back\"\n\n";
    format!("{classes}{}", value_by_hand("data"))
}

/// `a` was the team's until somebody edited it; `b` still is.
pub(crate) fn applied(world: &World, others: &[Value]) {
    let entry = |manager: &str, operation: &str, fields: Value| {
        json!({"manager": manager, "operation": operation, "apiVersion": "v1", "time": "2026-11-21T02:31:40Z", "fieldsType": "FieldsV1",
            "fieldsV1": {"f:data": fields}})
    };
    let mut object = config_map(&json!({"a": "2", "b": "1"}), Some("7"));
    let mut managers = vec![entry("team", "Apply", json!({"f:b": {}})), entry("kubectl-edit", "Update", json!({"f:a": {}}))];
    managers.extend(others.iter().cloned());
    object["metadata"]["managedFields"] = json!(managers);
    world.repo.write("live/app.json", object.to_string());
}

#[tokio::test]
async fn a_field_goes_back_to_its_owner_and_an_undo_of_that_is_an_undo_like_any_other() {
    let git = json!({"a": "1", "b": "1"});
    let world = World::of(&git, &git);
    world.repo.write("policies/drift.toml", hands_back());
    world.repo.commit("handing back");
    applied(&world, &[]);
    let report = world.json(&["sync"]);
    assert_eq!(report["runs"][0]["status"], "settled", "{report:#}");
    let live = world.read_live();
    assert_eq!(live["data"], git);
    let managers: Vec<&Value> = live["metadata"]["managedFields"].as_array().unwrap().iter().collect();
    let [team] = managers[..] else { panic!("{managers:#?}") };
    assert_eq!((&team["manager"], &team["fieldsV1"]), (&json!("team"), &json!({"f:data": {"f:a": {}, "f:b": {}}})));
    let run = report["runs"][0]["id"].clone();
    assert_eq!(world.json(&["runs", run.as_str().unwrap()])[0]["hand_back"], "handed back to team");
    undo(&world, &run);
    assert_eq!(world.read_live()["data"], json!({"a": "2", "b": "1"}));
    world.json(&["sync"]);
    assert_eq!(world.read_live()["data"]["a"], "2", "held");
}

#[tokio::test]
async fn of_two_owners_nobody_can_tell_to_whom_a_field_goes_back() {
    let git = json!({"a": "1", "b": "1"});
    let world = World::of(&git, &git);
    world.repo.write("policies/drift.toml", hands_back());
    world.repo.commit("handing back");
    applied(
        &world,
        &[
            json!({"manager": "flux", "operation": "Apply", "apiVersion": "v1", "fieldsType": "FieldsV1", "fieldsV1": {"f:x": {}}}),
        ],
    );
    let report = world.json(&["sync"]);
    assert_eq!(report["runs"][0]["status"], "held", "{report:#}");
    assert!(report["runs"].to_string().contains("`team`, `flux` all apply this object"), "{report:#}");
    assert_eq!(value(&world), "2");
}

/// Three writes of one value in twenty minutes, long ago, each written back; and that people were told then.
pub(super) async fn fought(world: &World, place: &Place) {
    let ledger = Ledger::open(&world.ledger_path()).await.unwrap();
    let begun = Timestamp::now() - SignedDuration::from_hours(24 * 40);
    for (number, minutes) in [(1, 0), (2, 10), (3, 20)] {
        let id = format!("01JD00000000000000000000{number:02}");
        let run: RunId = id.parse().unwrap();
        let outcome = Outcome::Applied { resource_version: Some("6".to_owned()), warnings: Vec::new() };
        for entry in [
            intent(&id, Some("5"), place.clone()),
            Entry::Outcome { run: run.clone(), outcome },
            Entry::Verification { run, outlook: Outlook::Settled, why: None },
        ] {
            ledger.append(&entry, begun + SignedDuration::from_mins(minutes)).await.unwrap();
        }
    }
    let told = Entry::Escalation(Escalation {
        target: TargetName("prod".to_owned()),
        finding: FindingId("f-1".to_owned()),
        place: place.clone(),
        reasons: vec!["a fight".to_owned()],
        episode: Episode("c".to_owned()),
    });
    ledger.append(&told, begun + SignedDuration::from_mins(30)).await.unwrap();
    ledger.close().await.unwrap();
}

#[tokio::test]
async fn a_fight_is_not_taken_up_again_because_time_has_passed() {
    for end in ["nothing", "git", "a person"] {
        let world = World::of(&json!({"a": "1"}), &json!({"a": "2"}));
        let place: Place = serde_json::from_value(world.json(&["diff"])["findings"][0]["place"].clone()).unwrap();
        fought(&world, &place).await;
        world.json(&["sync"]);
        assert_eq!(value(&world), "2", "{end}: forty days later it is still left to people");
        let (left, right) = match end {
            "git" => {
                world.declare(&json!({"a": "3"}));
                ("3", "Git wants another value")
            }
            "a person" => {
                world.append(&[Entry::EpisodeEnded { places: vec![place], end: EpisodeEnd::SeenTrue }]).await;
                ("1", "it was seen true in between")
            }
            _ => ("2", "whatever live has"),
        };
        if end == "nothing" {
            world.live(&json!({"a": "2"}), Some("8"));
        }
        world.json(&["sync"]);
        assert_eq!(value(&world), left, "{end}: {right}");
    }
}
