//! Limits of nothing, and policies that say two things about one value: the stricter word counts, and it is named.

use super::*;

/// One value that would be corrected, with more in its policy.
fn world(more_of_class: &str, more: &str) -> World {
    let world = World::of(&json!({"a": "1"}), &json!({"a": "2"}));
    let policy = policy().replacen("stage = \"auto\"\n", &format!("stage = \"auto\"\n{more_of_class}\n"), 1);
    world.repo.write("policies/drift.toml", format!("{policy}\n{more}\n"));
    world.repo.commit("limits");
    world
}

#[tokio::test]
async fn a_limit_of_zero_writes_nothing_and_is_named() {
    let limit = |key: &str| format!("[limits]\n{key} = 0");
    for (more_of_class, more, words) in [
        ("limits = { writes_per_hour = 0 }", String::new(), "class data has made its 0 writes of this hour"),
        ("", limit("target_writes_per_hour"), "this target has had its 0 writes of this hour"),
        ("", limit("namespace_writes_per_hour"), "namespace shop has had its 0 writes of this hour"),
        ("", limit("objects_per_round"), "one round corrects at most 0 objects of a target: the rest waits"),
        (
            "",
            limit("namespace_share"),
            "one round corrects at most 0 of the 1 declared objects of namespace shop (0 %): the rest waits",
        ),
    ] {
        let world = world(more_of_class, &more);
        let before = world.read_live();
        let report = world.json(&["sync"]);
        let run = &report["runs"][0];
        assert_eq!((&run["action"], &run["status"]), (&json!("none"), &json!("held")), "{report:#}");
        assert_eq!(run["reasons"].as_array().unwrap().last(), Some(&json!(words)));
        assert_eq!(world.read_live(), before, "{words}");
        assert!(!World::kinds(&world.records().await).contains(&"intent"), "{words}");
    }
    let world = world("limits = { writes_per_hour = 1 }", "[limits]\ntarget_writes_per_hour = 1\nobjects_per_round = 1");
    world.json(&["sync"]);
    assert_eq!(world.read_live()["data"]["a"], "1", "one is enough for one");
}

#[tokio::test]
async fn of_two_classes_that_contradict_each_other_the_stricter_one_counts() {
    for (lane, counts) in [("review", "review"), ("escalate", "escalate"), ("watch", "auto"), ("ignore", "auto")] {
        // In either order.
        for file in ["policies/a.toml", "policies/z.toml"] {
            let world = world("", "");
            let matches = "match = { path = \"data.a\" }";
            let other = format!("[[class]]\nname = \"other\"\n{matches}\nlane = \"{lane}\"\nstage = \"recommend\"\n");
            world.repo.write(file, other);
            world.repo.commit("two words about one value");
            let report = world.json(&["diff"]);
            assert_eq!(report["findings"][0]["lane"], counts, "{lane} in {file}: {report:#}");
            if counts != "auto" {
                world.json(&["sync"]);
                assert_eq!(world.read_live()["data"]["a"], "2", "{lane} in {file}");
            }
        }
    }
}

#[tokio::test]
async fn a_class_that_contradicts_itself_is_named_and_writes_nothing() {
    let world = World::of(&json!({"a": "1"}), &json!({"a": "2"}));
    let policy = policy().replacen("change = [\"changed\", \"removed\"]", "change = \"missing-object\"", 1);
    world.repo.write("policies/drift.toml", policy);
    world.repo.commit("a value inside of what is not there");
    let checked = world.run(&["check"]);
    let said = String::from_utf8_lossy(&checked.stdout).into_owned();
    assert_eq!(checked.status.code(), Some(2), "{said}");
    let why = "unreachable: class `data` never has an effect: a whole object that is missing or extra has no path";
    assert!(said.contains(why), "{said}");
    world.json(&["sync"]);
    assert_eq!(world.read_live()["data"]["a"], "2");
}
