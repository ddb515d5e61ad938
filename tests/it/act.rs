//! From decision to write and record: the real program on a real repository, a folder of live objects and a real ledger.

mod approved;
mod before;
mod state;
mod bound;
mod disk;
mod limits;
mod stopped;
pub mod taking_back;

use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};
use tempfile::TempDir;
use trueup::ledger::{Audit, Ledger};
use trueup_core::finding::{FindingId, Place, Subject};
use trueup_core::object::{ObjectId, TargetName};
use trueup_core::run::{Due, Effect, Entry, Intent, Outcome, Outlook, PatchEffect, Record, Run, RunStatus};

use crate::git::Repo;
use crate::world::{killed_at, value_by_hand};

const SETTINGS: &str = "[source]\nrepo = \".\"\nref = \"main\"\n\n[review]\nforge = \"local\"\n\n\
    [[target]]\nname = \"prod\"\nkind = \"snapshot\"\nlive = \"live\"\npaths = [\"manifests\"]\n";

fn policy() -> String {
    let classes = "[[class]]\nname = \"data\"\nmatch = { kind = \"ConfigMap\", path = \"data.*\", change = [\"changed\", \"removed\"] }\n\
    lane = \"auto\"\nstage = \"auto\"\n\n\
    [[class]]\nname = \"labels\"\nmatch = { path = \"metadata.labels.*\" }\nlane = \"escalate\"\nstage = \"recommend\"\n\n";
    format!("{classes}{}", value_by_hand("data"))
}

/// A repository with its configuration, its live objects (not in Git) and a state folder.
pub struct World {
    pub repo: Repo,
    state: TempDir,
}

impl World {
    /// One `ConfigMap` with these data, in Git and live.
    pub fn of(git: &Value, live: &Value) -> Self {
        let world = Self { repo: Repo::new(), state: TempDir::new().unwrap() };
        world.repo.write("trueup.toml", SETTINGS);
        world.repo.write("policies/drift.toml", policy());
        world.repo.write(".gitignore", "live/\n");
        world.declare(git);
        world.live(live, Some("7"));
        world
    }

    fn declare(&self, data: &Value) {
        self.repo.write("manifests/app.yaml", config_map(data, None).to_string());
        self.repo.commit("declared");
    }

    fn live(&self, data: &Value, version: Option<&str>) {
        self.repo.write("live/app.json", config_map(data, version).to_string());
    }

    /// The same as a server shows it: with its managers, who are somebody else yet.
    pub fn live_managed(&self, data: &Value, version: &str) {
        let mut object = config_map(data, Some(version));
        let fields: serde_json::Map<_, _> = data.as_object().unwrap().keys().map(|key| (format!("f:{key}"), json!({}))).collect();
        object["metadata"]["managedFields"] = json!([{"manager": "kubectl-edit", "operation": "Update", "apiVersion": "v1",
            "time": "2026-11-21T02:31:40Z", "fieldsType": "FieldsV1", "fieldsV1": {"f:data": fields}}]);
        self.repo.write("live/app.json", object.to_string());
    }

    pub fn read_live(&self) -> Value {
        serde_json::from_slice(&std::fs::read(self.repo.path().join("live/app.json")).unwrap()).unwrap()
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_trueup"));
        command.args(arguments).current_dir(self.repo.path()).env("TRUEUP_STATE_DIR", self.state.path());
        command.env("GIT_CONFIG_GLOBAL", "/dev/null").env("TRUEUP_LOG", "off").stdin(Stdio::null());
        command
    }

    pub fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    pub fn json(&self, arguments: &[&str]) -> Value {
        let output = self.run(&[arguments, &["-o", "json"]].concat());
        serde_json::from_slice(&output.stdout)
            .unwrap_or_else(|_| panic!("{arguments:?}: {}", String::from_utf8_lossy(&output.stderr)))
    }

    /// Kills a command as soon as it says that it came to a step; whether it did.
    pub fn kill_at(&self, arguments: &[&str], step: &str) -> bool {
        killed_at(self.command(arguments), step)
    }

    fn ledger_path(&self) -> PathBuf {
        self.state.path().join("ledger.sqlite")
    }

    /// All records; the chain holds.
    pub async fn records(&self) -> Vec<Record> {
        let ledger = Ledger::open_to_read(&self.ledger_path()).await.unwrap();
        assert!(matches!(ledger.verify().await.unwrap(), Audit::Whole { .. }));
        ledger.entries(0).await.unwrap()
    }

    pub async fn runs(&self) -> Vec<Run> {
        Ledger::open_to_read(&self.ledger_path()).await.unwrap().runs().await.unwrap()
    }

    /// What an earlier process would have left in the ledger.
    async fn append(&self, entries: &[Entry]) {
        let ledger = Ledger::open(&self.ledger_path()).await.unwrap();
        for entry in entries {
            ledger.append(entry, Timestamp::now()).await.unwrap();
        }
        ledger.close().await.unwrap();
    }

    pub fn kinds(records: &[Record]) -> Vec<&'static str> {
        records.iter().map(|record| record.entry.kind()).collect()
    }
}

fn config_map(data: &Value, version: Option<&str>) -> Value {
    let mut object =
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "app", "namespace": "shop"}, "data": data});
    if let Some(version) = version {
        object["metadata"]["uid"] = json!("u-1");
        object["metadata"]["resourceVersion"] = json!(version);
    }
    object
}

#[tokio::test]
async fn only_one_of_an_objects_findings_is_corrected_where_only_it_is_asked_for() {
    let world = World::of(&json!({"a": "1", "b": "1"}), &json!({"a": "2", "b": "2"}));
    let report = world.json(&["diff"]);
    let id = report["findings"].as_array().unwrap().iter().find(|finding| finding["path"] == "data.a").unwrap()["id"].clone();
    let report = world.json(&["sync", "--only", id.as_str().unwrap()]);
    assert_eq!(report["runs"][0]["patch"], json!({"data": {"a": "1"}}), "{report:#}");
    assert_eq!(world.read_live()["data"], json!({"a": "1", "b": "2"}));
    let unknown = world.run(&["sync", "--only", "f-0000"]);
    assert_eq!(unknown.status.code(), Some(2), "an id that is no finding is a mistake");
    assert_eq!(world.read_live()["data"], json!({"a": "1", "b": "2"}));
}

#[tokio::test]
async fn what_is_seen_true_again_is_told_anew_and_held_no_more() {
    let git = json!({"a": "1"});
    let world = World::of(&git, &git);
    let labelled = |version: &str| {
        let mut object = config_map(&git, Some(version));
        object["metadata"]["labels"] = json!({"x": "y"});
        world.repo.write("live/app.json", object.to_string());
    };
    let escalations = async || World::kinds(&world.records().await).iter().filter(|kind| **kind == "escalation").count();
    labelled("8");
    world.json(&["sync"]);
    world.json(&["sync"]);
    assert_eq!(escalations().await, 1, "once an episode");
    world.live(&git, Some("9"));
    world.json(&["sync"]);
    world.json(&["sync"]);
    assert_eq!(World::kinds(&world.records().await), ["pin", "escalation", "episode-ended"]);
    labelled("10");
    world.json(&["sync"]);
    assert_eq!(escalations().await, 2);

    world.live(&json!({"a": "2"}), Some("11"));
    let report = world.json(&["sync"]);
    world.run(&["undo", report["runs"][0]["id"].as_str().unwrap()]);
    assert_eq!(world.read_live()["data"]["a"], "2", "{report:#}");
    world.json(&["sync"]);
    assert_eq!(world.read_live()["data"]["a"], "2", "held");
    world.live(&git, Some("20"));
    world.json(&["sync"]);
    world.live(&json!({"a": "2"}), Some("21"));
    world.json(&["sync"]);
    assert_eq!(world.read_live()["data"]["a"], "1", "a person had put it right: held no more");
}

#[tokio::test]
async fn an_object_that_is_declared_twice_is_not_written() {
    let world = World::of(&json!({"a": "1"}), &json!({"a": "3"}));
    let mut live = config_map(&json!({"a": "3"}), Some("7"));
    live["metadata"]["namespace"] = json!("default");
    world.repo.write("live/app.json", live.to_string());
    let mut first = config_map(&json!({"a": "1"}), None);
    first["metadata"]["namespace"] = json!("default");
    let mut second = config_map(&json!({"a": "2"}), None);
    second["metadata"].as_object_mut().unwrap().remove("namespace");
    world.repo.write("manifests/app.yaml", format!("{first}\n---\n{second}\n"));
    world.repo.commit("twice");
    let report = world.json(&["sync"]);
    assert_eq!(report["targets"][0]["verdict"], "unknown", "{report:#}");
    assert_eq!(world.read_live()["data"]["a"], "3");
}

#[tokio::test]
async fn an_object_of_two_targets_in_one_place_is_judged_and_not_written() {
    let world = World::of(&json!({"a": "1"}), &json!({"a": "3"}));
    let other = SETTINGS.split_once("[[target]]").unwrap().1.replace("\"prod\"", "\"copy\"").replace("manifests", "copies");
    world.repo.write("trueup.toml", format!("{SETTINGS}\n[[target]]{other}"));
    world.repo.write("copies/app.yaml", config_map(&json!({"a": "2"}), None).to_string());
    world.repo.commit("declared by two targets");
    let report = world.json(&["sync"]);
    let findings: Vec<_> = report["findings"].as_array().unwrap().iter().map(|it| (&it["target"], &it["desired"])).collect();
    assert_eq!(findings, [(&json!("copy"), &json!("2")), (&json!("prod"), &json!("1"))], "{report:#}");
    let runs = report["runs"].as_array().unwrap();
    assert!(runs.len() == 2 && runs.iter().all(|run| run["status"] == "held"), "{report:#}");
    for (target, file) in [("prod", "copies/app.yaml"), ("copy", "manifests/app.yaml")] {
        let problem = report["problems"].as_array().unwrap().iter().find(|it| it["target"] == *target).unwrap();
        assert_eq!(problem["code"], "declared-by-two-targets");
        assert!(problem["message"].as_str().unwrap().contains(file), "{problem:#}");
    }
    assert_eq!(world.read_live()["data"]["a"], "3");
    std::fs::remove_file(world.repo.path().join("copies/app.yaml")).unwrap();
    world.repo.write("copies/other.yaml", config_map(&json!({"a": "2"}), None).to_string().replace("\"app\"", "\"other\""));
    world.repo.commit("each its own");
    world.json(&["sync"]);
    assert_eq!(world.read_live()["data"]["a"], "1");
}

#[tokio::test]
async fn what_has_to_be_there_first_is_said_with_its_command() {
    let world = World::of(&json!({"a": "1"}), &json!({"a": "1"}));
    let other = config_map(&json!({"a": "1"}), None).to_string().replace("\"shop\"", "\"none\"");
    world.repo.write("manifests/other.yaml", other);
    let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "none"}});
    world.repo.write("manifests/z-namespace.yaml", namespace.to_string());
    world.repo.commit("not there yet");
    let report = world.json(&["diff"]);
    let findings = report["findings"].as_array().unwrap();
    let of = |kind: &str| findings.iter().find(|it| it["object"]["kind"] == kind).unwrap()["reasons"].to_string();
    let order = "its namespace `none` is missing, too: first `kubectl apply -f manifests/z-namespace.yaml`, \
                 then `kubectl apply -f manifests/other.yaml`";
    assert!(of("ConfigMap").contains(order), "{report:#}");
    assert!(!of("Namespace").contains("is missing, too"), "{report:#}");
}

#[tokio::test]
async fn writes_that_the_ledger_does_not_know_freeze_the_target() {
    let world = World::of(&json!({"a": "1"}), &json!({"a": "2"}));
    let ours = json!([{"manager": "trueup", "operation": "Update", "apiVersion": "v1", "fieldsType": "FieldsV1",
        "fieldsV1": {"f:data": {"f:a": {}}}, "time": "2026-11-20T00:00:00Z"}]);
    let write = |managers: &Value| {
        let mut live = config_map(&json!({"a": "2"}), Some("7"));
        live["metadata"]["managedFields"] = managers.clone();
        world.repo.write("live/app.json", live.to_string());
    };
    write(&ours);
    let report = world.json(&["sync"]);
    assert_eq!(report["runs"][0]["status"], "held", "{report:#}");
    assert!(report["runs"][0]["reasons"].to_string().contains("before this ledger's first record"), "{report:#}");
    assert_eq!(world.read_live()["data"]["a"], "2");
    let mut others = ours.clone();
    others[0]["manager"] = json!("kubectl-edit");
    write(&others);
    assert_eq!(world.json(&["sync"])["runs"][0]["status"], "settled", "somebody else's entries");
    write(&ours);
    assert_eq!(world.json(&["sync"])["runs"][0]["status"], "settled", "a write of this ledger");
    assert_eq!(world.read_live()["data"]["a"], "1");

    world.repo.write("trueup.toml", SETTINGS.replace("\"prod\"", "\"renamed\""));
    world.repo.commit("the same target under another name");
    write(&ours);
    assert_eq!(world.json(&["sync"])["runs"][0]["status"], "held", "from before the ledger");
    let mut since = ours.clone();
    since[0]["time"] = json!(Timestamp::now().to_string());
    write(&since);
    assert_eq!(world.json(&["sync"])["runs"][0]["status"], "settled", "from the time of this ledger");
}

#[tokio::test]
async fn an_undo_holds_before_it_writes_and_an_undone_undo_holds_no_more() {
    let world = World::of(&json!({"a": "1"}), &json!({"a": "2"}));
    let first = world.json(&["sync"])["runs"][0]["id"].clone();
    let before = world.records().await.len();
    let undo = world.json(&["undo", first.as_str().unwrap()])[0]["id"].clone();
    let kinds = World::kinds(&world.records().await)[before..].to_vec();
    assert_eq!(kinds, ["decided", "hold", "intent", "outcome", "verification", "undone"]);
    assert_eq!(world.read_live()["data"]["a"], "2");
    world.json(&["undo", undo.as_str().unwrap()]);
    assert_eq!(world.read_live()["data"]["a"], "1");
    world.live(&json!({"a": "2"}), Some("30"));
    let report = world.json(&["sync"]);
    assert!(!report.to_string().contains("held until"), "{report:#}");
}

#[tokio::test]
async fn what_is_refused_again_and_again_goes_to_people_and_the_ledger_rests() {
    let world = World::of(&json!({"a": "1"}), &json!({"a": "2"}));
    // The file's folder takes no file: every write is refused.
    let part = world.repo.path().join("live/.app.json.trueup");
    std::fs::create_dir(&part).unwrap();
    for _ in 0..3 {
        assert_eq!(world.json(&["sync"])["runs"][0]["status"], "refused");
    }
    assert_eq!(world.json(&["sync"])["runs"][0]["status"], "escalated");
    let records = world.records().await.len();
    world.json(&["sync"]);
    assert_eq!(world.records().await.len(), records);
}

/// An intent to put `data.a` back to 1, as a process left it that was cut off there.
fn intent(run: &str, version: Option<&str>, place: Place) -> Entry {
    Entry::Intent(Box::new(Intent {
        run: run.parse().unwrap(),
        target: TargetName("prod".to_owned()),
        subject: Subject::Object(ObjectId {
            api_version: "v1".to_owned(),
            kind: "ConfigMap".to_owned(),
            namespace: Some("shop".to_owned()),
            name: "app".to_owned(),
        }),
        findings: vec![FindingId("f-1".to_owned())],
        places: vec![place],
        paths: vec!["data.a".to_owned()],
        classes: vec!["data".to_owned()],
        policy_digest: "d".to_owned(),
        commit: "c".to_owned(),
        decided: None,
        effect: Effect::Patch(PatchEffect {
            uid: version.map(|_| "u-1".to_owned()),
            resource_version: version.map(str::to_owned),
            patch: json!({"data": {"a": "1"}}),
            pre_image: json!({"data": {"a": "2"}}),
            inverse: json!({"data": {"a": "2"}}),
            ..PatchEffect::default()
        }),
        reasons: vec!["a test".to_owned()],
    }))
}

const RUN: &str = "01JD0000000000000000000000";

fn applied() -> Entry {
    let outcome = Outcome::Applied { resource_version: Some("7".to_owned()), warnings: Vec::new() };
    Entry::Outcome { run: RUN.parse().unwrap(), outcome }
}

fn looked(outlook: Outlook) -> Entry {
    Entry::Verification { run: RUN.parse().unwrap(), outlook, why: None }
}

#[tokio::test]
async fn a_run_that_was_cut_off_is_resolved_by_what_is_there() {
    let (right, wrong) = (json!({"a": "1"}), json!({"a": "2"}));
    for (what, version, live, left, status) in [
        ("its values are there, without a version", None, &right, vec![], "undetermined"),
        ("its values are not there, without a version", None, &wrong, vec![], "undetermined"),
        ("its values are there, by whomever", Some("6"), &right, vec![], "undetermined"),
        ("overwritten, or never sent", Some("6"), &wrong, vec![], "undetermined"),
        ("not sent", Some("7"), &wrong, vec![], "void"),
        ("nobody looked", Some("6"), &right, vec![applied()], "settled"),
        ("nobody waited", Some("6"), &right, vec![applied(), looked(Outlook::Pending)], "settled"),
        ("written back meanwhile", Some("6"), &wrong, vec![applied(), looked(Outlook::Unseen)], "drifting"),
    ] {
        let world = World::of(&right, live);
        world.live(live, version.map(|_| "7"));
        let place = world.json(&["diff"])["findings"][0]["place"].clone();
        let place = if place.is_null() { json!("p-1") } else { place };
        world.append(&[vec![intent(RUN, version, serde_json::from_value(place).unwrap())], left].concat()).await;
        world.json(&["sync"]);
        let runs = world.runs().await;
        assert_eq!(runs[0].status.name(), status, "{what}");
        assert!(runs.iter().all(|run| run.due() == Due::Nothing), "{what}");
        assert_eq!(world.read_live()["data"], right, "{what}");
        let records = world.records().await.len();
        world.json(&["sync"]);
        assert_eq!(world.records().await.len(), records, "{what}: nothing new, nothing recorded");
    }
}

#[tokio::test]
async fn a_run_that_was_cut_off_is_applied_where_the_managers_say_that_it_was() {
    for (manager, status) in [("trueup", "settled"), ("kubectl-edit", "undetermined")] {
        let right = json!({"a": "1"});
        let world = World::of(&right, &right);
        let mut object = config_map(&right, Some("7"));
        object["metadata"]["managedFields"] = json!([{"manager": manager, "operation": "Update", "apiVersion": "v1",
            "time": Timestamp::now().to_string(), "fieldsType": "FieldsV1", "fieldsV1": {"f:data": {"f:a": {}}}}]);
        world.repo.write("live/app.json", object.to_string());
        world.append(&[intent(RUN, Some("6"), serde_json::from_value(json!("p-1")).unwrap())]).await;
        world.json(&["sync"]);
        assert_eq!(world.runs().await[0].status.name(), status, "{manager}");
    }
}

#[tokio::test]
async fn writes_of_which_nobody_can_tell_count_towards_a_fight() {
    let world = World::of(&json!({"a": "1"}), &json!({"a": "2"}));
    let place: Place = serde_json::from_value(world.json(&["diff"])["findings"][0]["place"].clone()).unwrap();
    // Each of them may have been carried out and overwritten.
    let runs = (0..3).map(|number| intent(&format!("01JD000000000000000000000{number}"), Some("6"), place.clone()));
    world.append(&runs.collect::<Vec<_>>()).await;
    let report = world.json(&["sync"]);
    assert_eq!(report["runs"][0]["status"], "escalated", "{report:#}");
    assert_eq!(world.read_live()["data"]["a"], "2");
    assert!(world.runs().await.iter().all(|run| run.status.name() == "undetermined"));
}

#[tokio::test]
async fn killed_at_any_moment_there_is_one_effect_and_no_doubt() {
    const ROUNDS: u64 = 100;
    let data = |drifted: Option<u64>| -> Value {
        let value = |round| if Some(round) == drifted { "2" } else { "1" };
        (0..ROUNDS).map(|round| (format!("k{round}"), json!(value(round)))).collect::<serde_json::Map<_, _>>().into()
    };
    let world = World::of(&data(None), &data(None));
    world.json(&["sync"]);
    let mut cut_off = 0;
    for round in 0..ROUNDS {
        // As on a server, no version comes twice.
        let version = 7 + 2 * round;
        world.live_managed(&data(Some(round)), &version.to_string());
        let before = world.runs().await.len();
        let mut child = world.command(&["sync"]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        std::thread::sleep(Duration::from_micros(5_000 + round * 9973 % 70_000));
        child.kill().unwrap();
        child.wait().unwrap();
        let live = world.read_live()["data"].clone();
        assert!(live == data(Some(round)) || live == data(None), "half a write: {live}");
        cut_off += world.runs().await.iter().filter(|run| run.due() != Due::Nothing).count();
        world.json(&["sync"]);
        world.records().await;
        let runs = world.runs().await;
        assert!(runs.iter().all(|run| run.due() == Due::Nothing), "round {round}: {:?}", runs.last());
        let effects = runs[before..].iter().filter(|run| matches!(run.status, RunStatus::Verified(Outlook::Settled))).count();
        assert_eq!(effects, 1, "round {round}: {:?}", &runs[before..]);
        assert_eq!(world.read_live()["data"], data(None), "round {round}");
        assert_eq!(world.read_live()["metadata"]["resourceVersion"], (version + 1).to_string(), "round {round}");
    }
    println!("{cut_off} of {ROUNDS} were cut off within a run");
}
