//! What people allow: approvals of these very values, denials, and leases that end.

use super::stopped::{branches, ended, finding};
use super::*;

/// `data` is only observed, labels go to review, annotations to people; what is ignored and watched stays so.
fn policy(approval: &str) -> String {
    let class =
        |name: &str, matches: &str, rest: &str| format!("[[class]]\nname = \"{name}\"\nmatch = {{ {matches} }}\n{rest}\n\n");
    [
        class("data", "kind = \"ConfigMap\", path = \"data.*\"", &format!("lane = \"auto\"\nstage = \"observe\"{approval}")),
        class("labels", "path = \"metadata.labels.*\"", "lane = \"review\"\nstage = \"recommend\""),
        class("told", "path = \"metadata.annotations.told\"", "lane = \"escalate\""),
        class("watched", "path = \"metadata.annotations.watched\"", "lane = \"watch\""),
    ]
    .concat()
}

fn world() -> World {
    let world = World::of(&json!({"a": "1", "b": "1"}), &json!({"a": "2", "b": "2"}));
    world.repo.write("policies/drift.toml", policy(""));
    world.repo.commit("nothing acts by itself");
    world
}

fn id(world: &World, path: &str) -> String {
    finding(world, "app", path)["id"].as_str().unwrap().to_owned()
}

fn data(world: &World) -> (Value, Value) {
    let live = world.read_live();
    (live["data"]["a"].clone(), live["data"]["b"].clone())
}

#[tokio::test]
async fn an_approval_corrects_these_very_values_once() {
    let world = world();
    world.json(&["sync"]);
    assert_eq!(data(&world), (json!("2"), json!("2")), "stage observe");
    let id = id(&world, "data.a");
    let said = ended(&world, &["approve", &id, "--because", "the old value was right"], 0);
    assert!(said.contains("approved until ") && said.contains("the next sync patches it: {\"data\":{\"a\":\"1\"}}"), "{said}");
    let approval = &finding(&world, "app", "data.a")["approval"];
    assert_eq!((&approval["because"], &approval["void"]), (&json!("the old value was right"), &Value::Null), "{approval:#}");
    let explained = ended(&world, &["explain", &id], 0);
    assert!(
        explained.contains("approval   Git's value is wanted back until ") && explained.contains("sync would patch it"),
        "{explained}"
    );
    let report = world.json(&["sync"]);
    assert_eq!(data(&world), (json!("1"), json!("2")), "{report:#}");
    let reasons = report["runs"].to_string();
    assert!(reasons.contains("approved: ") && reasons.contains("the old value was right"), "{report:#}");
    world.live(&json!({"a": "2", "b": "2"}), Some("8"));
    let report = world.json(&["sync"]);
    assert_eq!(data(&world), (json!("2"), json!("2")), "one write: {report:#}");
}

#[tokio::test]
async fn an_approval_of_other_values_or_another_class_or_from_long_ago_counts_nothing() {
    for (what, words) in [
        ("live moves", "it was given for other values"),
        ("git moves", "it was given for other values"),
        ("time passes", "its time has passed"),
        ("class", "it was given while the class was data"),
        ("policy", "wants another person than the one who wrote the live value"),
    ] {
        let world = world();
        let (moved, git) = (json!({"a": "3", "b": "2"}), json!({"a": "4", "b": "1"}));
        let told = world.json(&["approve", &id(&world, "data.a"), "--until", "3s", "--because", "x"]);
        match what {
            "live moves" => world.live(&moved, Some("8")),
            "git moves" => world.declare(&git),
            "time passes" => {
                let until: Timestamp = told[0]["what"]["approve"]["until"].as_str().unwrap().parse().unwrap();
                while Timestamp::now() < until {
                    std::thread::sleep(Duration::from_millis(50));
                }
            }
            "class" => world.repo.write("policies/drift.toml", policy("").replace("\"data\"", "\"other\"")),
            _ => world.repo.write("policies/drift.toml", policy("\napproval = \"other-person\"")),
        }
        world.repo.commit("what happened");
        let before = world.read_live();
        let report = world.json(&["sync"]);
        assert_eq!(world.read_live(), before, "{what}: {report:#}");
        let void = finding(&world, "app", "data.a")["approval"]["void"].clone();
        assert!(void.as_str().is_some_and(|void| void.contains(words)), "{what}: {void}");
    }
}

#[tokio::test]
async fn what_no_approval_can_change_is_refused_with_the_reason() {
    let world = world();
    let mut live = config_map(&json!({"a": "2", "b": "1"}), Some("8"));
    live["metadata"]["annotations"] = json!({"told": "x", "watched": "x", "ignored": "x"});
    world.repo.write("live/app.json", live.to_string());
    let mut git = config_map(&json!({"a": "1", "b": "1"}), None);
    git["metadata"]["annotations"] =
        json!({"told": "y", "watched": "y", "ignored": "y", "trueup.dev/ignore": "metadata.annotations.ignored"});
    world.repo.write("manifests/app.yaml", git.to_string());
    let privileged = |yes: bool| {
        let container = json!({"name": "c", "image": "i", "securityContext": {"privileged": yes}});
        let (labels, name) = (json!({"app": "p"}), json!({"name": "p", "namespace": "shop"}));
        let template = json!({"metadata": {"labels": labels}, "spec": {"containers": [container]}});
        let spec = json!({"selector": {"matchLabels": labels}, "template": template});
        json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": name, "spec": spec})
    };
    world.repo.write("manifests/pod.json", privileged(false).to_string());
    world.repo.write("live/pod.json", privileged(true).to_string());
    let missing = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "missing", "namespace": "shop"}});
    world.repo.write("manifests/missing.json", missing.to_string());
    world.repo.commit("all kinds");
    let report = world.json(&["diff"]);
    let id = |name: &str, path: &str| {
        let found = report["findings"].as_array().unwrap().iter();
        let mut found =
            found.filter(|it| it["object"]["name"] == name && it["path"].as_str().unwrap_or_default().ends_with(path));
        found.next().unwrap_or_else(|| panic!("{name} {path}: {report:#}"))["id"].as_str().unwrap().to_owned()
    };
    for (name, path, words) in [
        ("app", "annotations.told", "lane escalate"),
        ("app", "annotations.watched", "watched: reported only"),
        ("app", "annotations.ignored", "ignored"),
        ("p", "privileged", "security"),
        ("missing", "", "creates and deletes nothing"),
    ] {
        let said = ended(&world, &["approve", &id(name, path), "--because", "x"], 2);
        assert!(said.contains("cannot be approved: ") && said.contains(words), "{name} {path}: {said}");
    }
    for (path, words) in [("annotations.watched", "in lane watch"), ("annotations.ignored", "in lane ignore")] {
        assert!(ended(&world, &["deny", &id("app", path), "--because", "x"], 2).contains(words), "{path}");
    }
    let weakening = id("p", "privileged");
    let said = ended(&world, &["lease", "grant", &weakening, "--until", "1h", "--because", "x"], 2);
    assert!(said.contains("loosens security, or may: no lease lets that stay"), "{said}");
    let said = ended(&world, &["lease", "grant", &id("app", "annotations.ignored"), "--until", "1h", "--because", "x"], 2);
    assert!(said.contains("is ignored already"), "{said}");
    for command in [&["approve"][..], &["deny"], &["lease", "grant"]] {
        let until = ["--until", "2h"];
        let until = if command[0] == "deny" { &[][..] } else { &until };
        for stale in ["f-0000000000000000", finding(&world, "app", "data.a")["place"].as_str().unwrap()] {
            let said = ended(&world, &[command, &[stale, "--because", "x"], until].concat(), 2);
            assert!(
                said.contains(&format!("no finding `{stale}` now")) && said.contains("an id changes with its values"),
                "{said}"
            );
        }
    }
    assert!(!world.ledger_path().exists() || world.records().await.is_empty(), "nothing was recorded");
}

#[tokio::test]
async fn who_wrote_it_must_be_certain_where_another_person_is_wanted() {
    let world = world();
    world.repo.write("policies/drift.toml", policy("\napproval = \"other-person\""));
    world.repo.commit("four eyes");
    let said = ended(&world, &["approve", &id(&world, "data.a"), "--because", "x"], 2);
    assert!(said.contains("name a program, never a person") && said.contains("a pull request is needed"), "{said}");
}

#[tokio::test]
async fn what_is_denied_is_left_until_live_or_git_moves_or_a_person_takes_it_back() {
    for end in ["live", "approve", "resume"] {
        let world = world();
        world.repo.write(
            "policies/drift.toml",
            policy("").replace("lane = \"auto\"\nstage = \"observe\"", "lane = \"review\"\nstage = \"recommend\""),
        );
        world.repo.commit("proposed");
        let id = id(&world, "data.a");
        let said = ended(&world, &["deny", &id, "--because", "it is meant so"], 0);
        assert!(said.contains("denied: `ConfigMap shop/app data.a` in target `prod` is left as it is"), "{said}");
        let report = world.json(&["sync"]);
        assert_eq!(branches(&world), 1, "the other one: {report:#}");
        assert_eq!(finding(&world, "app", "data.a")["denied"], true);
        match end {
            "live" => world.live(&json!({"a": "3", "b": "2"}), Some("8")),
            "approve" => drop(ended(&world, &["approve", &id, "--because", "it was not"], 0)),
            _ => drop(ended(&world, &["resume", &id, "--because", "it was not"], 0)),
        }
        let report = world.json(&["sync"]);
        // What comes up again joins the open proposal of its class and application.
        let branch = world.repo.git(&["branch", "--list", "--format=%(refname:short)", "trueup/*"]);
        let declared: Value = serde_json::from_str(&world.repo.git(&["show", &format!("{branch}:manifests/app.yaml")])).unwrap();
        let (written, proposed) = (data(&world).0 == "1", declared["data"]["a"] != "1");
        assert_eq!((written, proposed), (end == "approve", end != "approve"), "{end}: {report:#}");
    }
}

fn exit(world: &World, arguments: &[&str]) -> i32 {
    world.run(arguments).status.code().unwrap()
}

#[tokio::test]
async fn a_leased_value_may_stay_until_its_time_and_no_other_value() {
    let world = World::of(&json!({"a": "1"}), &json!({"a": "2"}));
    let id = id(&world, "data.a");
    assert!(
        ended(&world, &["lease", "grant", &id, "--until", "2020-01-01T00:00:00Z", "--because", "x"], 2).contains("past already")
    );
    let told = world.json(&["lease", "grant", &id, "--until", "8s", "--because", "a load test"]);
    let until: Timestamp = told[0]["what"]["lease"]["until"].as_str().unwrap().parse().unwrap();
    let report = world.json(&["diff"]);
    assert_eq!(report["findings"][0]["lease"]["because"], "a load test", "{report:#}");
    assert_eq!(
        report["targets"][0]["objects"],
        json!({"declared": 1, "true": 0, "drifted": 0, "leased": 1, "unknown": 0, "skipped": 0})
    );
    assert_eq!(exit(&world, &["diff"]), 0, "the only finding is under a lease");
    let text = ended(&world, &["diff"], 0);
    assert!(text.contains("lease: it may stay until ") && text.contains("1 leased"), "{text}");
    assert!(ended(&world, &["explain", &id], 0).contains("leased until"));
    let report = world.json(&["sync"]);
    assert_eq!(world.read_live()["data"]["a"], "2", "{report:#}");

    world.live(&json!({"a": "3"}), Some("8"));
    assert_eq!(exit(&world, &["diff"]), 1, "another value");
    let listed = world.json(&["lease", "list"]);
    assert_eq!((&listed[0]["counts"], &listed[0]["name"]), (&json!(false), &json!("ConfigMap shop/app data.a")), "{listed:#}");
    world.live(&json!({"a": "2"}), Some("9"));
    assert_eq!(world.json(&["lease", "list"])[0]["counts"], true);

    while Timestamp::now() < until {
        std::thread::sleep(Duration::from_millis(50));
    }
    assert_eq!(exit(&world, &["diff"]), 1, "its time has passed");
    assert_eq!(ended(&world, &["lease", "list"], 0), "no leases\n");
    world.json(&["sync"]);
    assert_eq!(world.read_live()["data"]["a"], "1", "decided again");
}

#[tokio::test]
async fn a_lease_ends_when_a_person_says_so() {
    let world = World::of(&json!({"a": "1"}), &json!({"a": "2"}));
    let found = finding(&world, "app", "data.a");
    let (id, place) = (found["id"].as_str().unwrap(), found["place"].as_str().unwrap());
    for by in [id, place] {
        ended(&world, &["lease", "grant", id, "--until", "2d", "--because", "x"], 0);
        assert_eq!(exit(&world, &["diff"]), 0);
        let said = ended(&world, &["lease", "end", by, "--because", "no longer"], 0);
        assert!(said.starts_with("ended: the lease of `ConfigMap shop/app data.a`"), "{said}");
        assert_eq!(exit(&world, &["diff"]), 1);
        assert!(ended(&world, &["lease", "end", by, "--because", "x"], 2).contains("no lease of"), "{by}");
    }
}

#[tokio::test]
async fn a_lease_of_a_secret_value_is_bound_to_its_digest_and_tells_nothing() {
    let world = World::of(&json!({"a": "1"}), &json!({"a": "1"}));
    world.repo.write("trueup.toml", SETTINGS.replace("live = \"live\"", "live = \"live\"\nsecrets = \"digest\""));
    let secret = |word: &str| json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s", "namespace": "shop"}, "stringData": {"password": word}});
    let live = |word: &str| {
        let mut secret = secret(word);
        let data = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, word);
        secret.as_object_mut().unwrap().remove("stringData");
        secret["data"] = json!({"password": data});
        world.repo.write("live/secret.json", secret.to_string());
        data
    };
    world.repo.write("manifests/secret.json", secret("correct-horse").to_string());
    let bytes = live("battery-staple");
    world.repo.commit("a secret");
    let report = world.json(&["diff"]);
    let id = report["findings"][0]["id"].as_str().unwrap_or_else(|| panic!("{report:#}"));
    let said = ended(&world, &["lease", "grant", id, "--until", "1h", "--because", "rotated by hand"], 0);
    assert!(said.contains("only its keyed digest is recorded"), "{said}");
    assert_eq!(exit(&world, &["diff"]), 0);
    live("another-one");
    assert_eq!(exit(&world, &["diff"]), 1, "another value");
    let ledger = String::from_utf8_lossy(&std::fs::read(world.ledger_path()).unwrap()).into_owned();
    assert!(!ledger.contains("battery-staple") && !ledger.contains(&bytes) && ledger.contains("rotated by hand"));
}
