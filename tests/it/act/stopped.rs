//! What stops trueup, and how a person lets it go on: holds, lost ledgers, fights, rewritten histories.

use trueup_core::run::Ruled;

use super::taking_back::fought;
use super::*;

/// `data` goes to `auto`, labels to `review`: both effects that a hold has to stop.
fn both() -> String {
    let classes = "[[class]]\nname = \"data\"\nmatch = { kind = \"ConfigMap\", path = \"data.*\", change = [\"changed\", \"removed\"] }\n\
    lane = \"auto\"\nstage = \"auto\"\nverify = { window = \"6s\" }\n\n\
    [[class]]\nname = \"labels\"\nmatch = { path = \"metadata.labels.*\" }\nlane = \"review\"\nstage = \"recommend\"\n\n";
    format!("{classes}{}", value_by_hand("data"))
}

/// `one` and `two`, each with a drifted value and a drifted label.
fn two_objects() -> World {
    objects(&["one", "two"].map(str::to_owned))
}

fn objects(names: &[String]) -> World {
    let world = World::of(&json!({}), &json!({}));
    world.repo.write("policies/drift.toml", both());
    std::fs::remove_file(world.repo.path().join("live/app.json")).unwrap();
    for name in names {
        let object = |value: &str, version: Option<&str>| {
            let mut object = config_map(&json!({"a": value}), version);
            object["metadata"]["name"] = json!(name);
            // Each is an application of its own, and so has its own proposal.
            object["metadata"]["labels"] = json!({"x": value, "app": name});
            object
        };
        world.repo.write(&format!("manifests/{name}.json"), object("1", None).to_string());
        drift(&world, name);
    }
    std::fs::remove_file(world.repo.path().join("manifests/app.yaml")).unwrap();
    world.repo.commit("objects");
    world
}

fn drift(world: &World, name: &str) {
    drift_to(world, name, ("2", "2"));
}

/// Value and label of an object as somebody wrote them.
fn drift_to(world: &World, name: &str, (value, label): (&str, &str)) {
    let mut object = config_map(&json!({"a": value}), Some("7"));
    object["metadata"]["name"] = json!(name);
    object["metadata"]["labels"] = json!({"x": label, "app": name});
    world.repo.write(&format!("live/{name}.json"), object.to_string());
}

fn value_of(world: &World, name: &str) -> Value {
    let live = std::fs::read(world.repo.path().join(format!("live/{name}.json"))).unwrap();
    serde_json::from_slice::<Value>(&live).unwrap()["data"]["a"].clone()
}

pub(super) fn branches(world: &World) -> usize {
    world.repo.git(&["branch", "--list", "trueup/*"]).lines().count()
}

/// Runs a command that must end with this code; what it said.
pub(super) fn ended(world: &World, arguments: &[&str], code: i32) -> String {
    let output = world.run(arguments);
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.status.code(), Some(code), "{arguments:?}: {said}");
    said
}

pub(super) fn finding(world: &World, object: &str, path: &str) -> Value {
    let report = world.json(&["diff"]);
    let found = report["findings"].as_array().unwrap().iter();
    found.clone().find(|it| it["object"]["name"] == object && it["path"] == path).unwrap_or_else(|| panic!("{report:#}")).clone()
}

#[tokio::test]
async fn a_hold_stops_writes_and_proposals_there_and_nowhere_else_until_it_is_resumed() {
    for (what, one, two, proposals) in [
        ("everything", "2", "2", 0),
        ("target", "2", "2", 0),
        ("object", "2", "1", 1),
        ("value", "2", "1", 2),
        ("label", "1", "1", 1),
        ("another target", "1", "1", 2),
    ] {
        let world = two_objects();
        let id = |path: &str| finding(&world, "one", path)["id"].as_str().unwrap().to_owned();
        let area: Vec<String> = match what {
            "everything" => Vec::new(),
            "target" => vec!["--target".to_owned(), "prod".to_owned()],
            "object" => vec!["--object".to_owned(), "ConfigMap/shop/one".to_owned()],
            "value" => vec![id("data.a")],
            "label" => vec![id("metadata.labels.x")],
            _ => {
                let other = SETTINGS
                    .split_once("[[target]]")
                    .unwrap()
                    .1
                    .replace("\"prod\"", "\"copy\"")
                    .replace("\"live\"", "\"copied\"");
                world.repo.write("trueup.toml", format!("{SETTINGS}\n[[target]]{other}"));
                world.repo.write("copied/none.json", config_map(&json!({}), None).to_string());
                vec!["--target".to_owned(), "copy".to_owned()]
            }
        };
        let area: Vec<&str> = area.iter().map(String::as_str).collect();
        let said = ended(&world, &[&["hold", "--because", "a person looks"], &area[..]].concat(), 0);
        assert!(said.contains("because a person looks") && said.contains("ends it"), "{what}: {said}");
        let report = world.json(&["sync"]);
        assert_eq!((value_of(&world, "one"), value_of(&world, "two")), (json!(one), json!(two)), "{what}: {report:#}");
        assert_eq!(branches(&world), proposals, "{what}: {report:#}");
        let told = report["runs"].to_string().contains("is held: a person looks (");
        assert_eq!(told, what != "another target", "{what}: {report:#}");

        let said = ended(&world, &[&["resume", "--because", "looked"], &area[..]].concat(), 0);
        assert!(said.starts_with("resumed: "), "{what}: {said}");
        world.json(&["sync"]);
        assert_eq!((value_of(&world, "one"), value_of(&world, "two")), (json!("1"), json!("1")), "{what}");
        assert_eq!(branches(&world), 2, "{what}");
        let again = ended(&world, &[&["resume", "--because", "again"], &area[..]].concat(), 2);
        assert!(again.contains("nothing to resume") || again.contains("no finding"), "{what}: {again}");
    }
}

#[tokio::test]
async fn a_hold_ends_by_itself_at_its_time_and_its_record_says_who_and_why() {
    let world = World::of(&json!({"a": "1"}), &json!({"a": "2"}));
    let told = world.json(&["hold", "--until", "3s", "--because", "the auditors look"]);
    assert_eq!(told[0]["because"], "the auditors look");
    assert_eq!(told[0]["by"]["known_by"], "operating-system");
    let name = told[0]["by"]["name"].as_str().unwrap();
    assert!(!name.is_empty(), "{told:#}");
    world.json(&["sync"]);
    assert_eq!(world.read_live()["data"]["a"], "2");
    let until: Timestamp = told[0]["what"]["hold"]["until"].as_str().unwrap().parse().unwrap();
    while Timestamp::now() < until {
        std::thread::sleep(Duration::from_millis(50));
    }
    world.json(&["sync"]);
    assert_eq!(world.read_live()["data"]["a"], "1");
    let found = world.json(&["audit", "query", "--actor", name]);
    assert_eq!(found.as_array().unwrap().len(), 1, "{found:#}");
    assert_eq!(found[0]["kind"], "ruling");
    for (until, why) in [("2020-01-01T00:00:00Z", "is past already"), ("soon", "neither a time")] {
        assert!(ended(&world, &["hold", "--until", until, "--because", "x"], 2).contains(why), "{until}");
    }
    assert!(ended(&world, &["hold", "--because", " "], 2).contains("say why"));
    assert!(ended(&world, &["hold", "f-0000", "--because", "x"], 2).contains("no finding `f-0000`"));
    assert!(ended(&world, &["hold", "--object", "ConfigMap/none", "--because", "x"], 2).contains("Git declares no"));
}

/// The first correction of a class has its window alone; somebody writes it back all that time, and a person holds everything.
/// Many are decided at once; those whose turn has not come when a person says stop are not written.
#[tokio::test]
async fn a_hold_stops_what_was_decided_before_it() {
    /// How many corrections may be under way at once.
    const UNDER_WAY: usize = 8;
    let names: Vec<String> = (0..80).map(|number| format!("n{number:02}")).collect();
    let world = objects(&names);
    let child = world.command(&["sync", "-o", "json"]).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let begun = std::time::Instant::now();
    while !names.iter().any(|name| value_of(&world, name) == "1") {
        assert!(begun.elapsed() < Duration::from_mins(1), "nothing was written");
        std::thread::sleep(Duration::from_millis(2));
    }
    ended(&world, &["hold", "--because", "stop"], 0);
    let output = child.wait_with_output().unwrap();
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let records = world.records().await;
    let held = records.iter().position(|record| matches!(record.entry, Entry::Ruling(_))).unwrap();
    let later = records[held..].iter().filter(|record| matches!(record.entry, Entry::Intent(_))).count();
    assert!(later <= UNDER_WAY, "{later} were begun after the hold");
    let left: Vec<&String> = names.iter().filter(|name| value_of(&world, name) == "2").collect();
    assert!(!left.is_empty(), "all were written before anybody could hold them");
    let told =
        report["runs"].as_array().unwrap().iter().filter(|run| run.to_string().contains("this target is held: stop (")).count();
    assert!(told >= left.len(), "{told} of {}", left.len());
}

#[tokio::test]
async fn a_person_may_accept_that_the_ledger_of_earlier_writes_is_lost() {
    let world = World::of(&json!({"a": "1"}), &json!({"a": "2"}));
    let mut live = config_map(&json!({"a": "2"}), Some("7"));
    live["metadata"]["managedFields"] = json!([{"manager": "trueup", "operation": "Update", "apiVersion": "v1",
        "fieldsType": "FieldsV1", "fieldsV1": {"f:data": {"f:a": {}}}, "time": "2026-11-20T00:00:00Z"}]);
    world.repo.write("live/app.json", live.to_string());
    let held = world.json(&["sync"])["runs"][0].clone();
    assert_eq!(held["status"], "held");
    let command = "trueup resume --target prod --because";
    assert!(held["reasons"].to_string().contains(command), "{held:#}");
    let everything = ended(&world, &["resume", "--because", "x"], 2);
    assert!(everything.contains("not everything is held"), "{everything}");
    let said = ended(&world, &["resume", "--target", "prod", "--because", "the disk broke; nothing was held"], 0);
    assert!(said.contains("accepted: what trueup wrote to target `prod`"), "{said}");
    let last = world.records().await.pop().unwrap().entry;
    let Entry::Ruling(ruling) = &last else { panic!("{last:?}") };
    assert!(matches!(&ruling.what, Ruled::EarlierWrites { target, .. } if target.0 == "prod"), "{ruling:?}");
    let said = ended(&world, &["resume", "--target", "prod", "--because", "again"], 2);
    assert!(said.contains("nothing stops target `prod`"), "{said}");
    assert_eq!(world.json(&["sync"])["runs"][0]["status"], "settled");
    assert_eq!(world.read_live()["data"]["a"], "1");
}

#[tokio::test]
async fn what_an_undo_holds_is_corrected_again_once_a_person_says_so() {
    let world = World::of(&json!({"a": "1"}), &json!({"a": "2"}));
    let run = world.json(&["sync"])["runs"][0]["id"].clone();
    world.json(&["undo", run.as_str().unwrap()]);
    world.json(&["sync"]);
    assert_eq!(world.read_live()["data"]["a"], "2", "held by the undo");
    let id = finding(&world, "app", "data.a")["id"].clone();
    let said = ended(&world, &["resume", id.as_str().unwrap(), "--because", "it was the right value"], 0);
    assert!(said.contains("resumed: `ConfigMap shop/app data.a` in target `prod`"), "{said}");
    world.json(&["sync"]);
    assert_eq!(world.read_live()["data"]["a"], "1");
}

#[tokio::test]
async fn a_fight_is_taken_up_again_once_a_person_says_so_and_people_are_told_if_it_goes_on() {
    let world = World::of(&json!({"a": "1"}), &json!({"a": "2"}));
    let found = finding(&world, "app", "data.a");
    fought(&world, &serde_json::from_value(found["place"].clone()).unwrap()).await;
    world.json(&["sync"]);
    assert_eq!(world.read_live()["data"]["a"], "2", "left to people");
    let id = found["id"].as_str().unwrap();
    ended(&world, &["resume", id, "--because", "its operator was switched off"], 0);
    for version in ["8", "9", "10"] {
        world.json(&["sync"]);
        assert_eq!(world.read_live()["data"]["a"], "1", "counted anew");
        world.live(&json!({"a": "2"}), Some(version));
    }
    let report = world.json(&["sync"]);
    assert_eq!(world.read_live()["data"]["a"], "2", "{report:#}");
    assert_eq!(report["runs"][0]["status"], "escalated", "told again: {report:#}");
}

#[tokio::test]
async fn a_rewritten_history_stops_every_effect_until_a_person_accepts_it() {
    let world = two_objects();
    let first = world.repo.git(&["rev-parse", "HEAD"]);
    world.json(&["sync", "--target", "prod"]);
    let before = branches(&world);
    assert!(ended(&world, &["resume", "--source", "--because", "x"], 2).contains("was not rewritten"));
    world.repo.commit("goes on");
    drift(&world, "one");
    world.json(&["sync"]);
    assert_eq!(value_of(&world, "one"), "1", "a descendant");

    // Another history with the same files: its first commit has no parent.
    let tree = world.repo.git(&["rev-parse", "HEAD^{tree}"]);
    let other = world.repo.git(&["commit-tree", "-m", "another beginning", &tree]);
    world.repo.git(&["update-ref", "refs/heads/main", &other]);
    drift(&world, "one");
    drift_to(&world, "two", ("1", "3"));
    let heads = || world.repo.git(&["for-each-ref", "refs/heads/trueup/"]);
    let proposed = heads();
    for command in [&["sync"][..], &["sync", "--dry-run"], &["diff"], &["diff", "--commit", &other]] {
        let report = world.json(command);
        let told = report["problems"].as_array().unwrap().iter().find(|problem| problem["code"] == "source-rewritten");
        assert!(told.is_some_and(|told| told["message"].as_str().unwrap().contains(&other)), "{command:?}: {report:#}");
    }
    assert_eq!((value_of(&world, "one"), heads()), (json!("2"), proposed.clone()), "nothing is written or proposed");
    assert!(World::kinds(&world.records().await).iter().filter(|kind| **kind == "pin").count() == 2, "it is not taken for known");

    let said = ended(&world, &["resume", "--source", "--because", "the secret was taken out of the history"], 0);
    assert!(said.contains(&format!("goes on from {other}")) && !said.contains(&first), "{said}");
    let report = world.json(&["sync"]);
    assert_eq!((value_of(&world, "one"), branches(&world)), (json!("1"), before), "{report:#}");
    assert_ne!(heads(), proposed, "the proposal follows live again");
    assert!(!report["problems"].to_string().contains("source-rewritten"), "{report:#}");
}

#[tokio::test]
async fn a_history_that_cannot_be_seen_to_go_forward_stops_every_effect() {
    let world = World::of(&json!({"a": "1"}), &json!({"a": "1"}));
    world.json(&["sync"]);
    world.repo.commit("second");
    world.repo.commit("third");
    // As a clone that was cut off behind its last commit.
    let head = world.repo.git(&["rev-parse", "HEAD"]);
    world.repo.write(".git/shallow", format!("{head}\n"));
    world.live(&json!({"a": "2"}), Some("8"));
    let report = world.json(&["sync"]);
    assert_eq!(world.read_live()["data"]["a"], "2", "{report:#}");
    assert!(report["problems"].to_string().contains("cannot be told"), "{report:#}");
    std::fs::remove_file(world.repo.path().join(".git/shallow")).unwrap();
    world.json(&["sync"]);
    assert_eq!(world.read_live()["data"]["a"], "1", "seen whole again");
}
