//! A Terraform state goes forward only.

use super::stopped::{branches, ended};
use super::*;

const STATE: &str = "[source]\nrepo = \".\"\nref = \"main\"\n\n[review]\nforge = \"local\"\n\n\
    [[target]]\nname = \"data\"\nkind = \"terraform\"\nstate = \"live/terraform.tfstate\"\nexpect = [\"infra/data.expect.toml\"]\n";

fn put(world: &World, (lineage, serial): (&str, u64), tier: &str) {
    let state = json!({"version": 4, "terraform_version": "1.9.0", "serial": serial, "lineage": lineage, "resources": [],
        "outputs": {"tier": {"value": tier, "type": "string"}}});
    world.repo.write("live/terraform.tfstate", state.to_string());
}

fn expecting(tier: &str) -> World {
    let world = World::of(&json!({}), &json!({}));
    world.repo.write("trueup.toml", STATE);
    world.repo.write("infra/data.expect.toml", format!("[output.tier]\nequals = \"{tier}\"\n"));
    world.repo.write("policies/drift.toml", "[[class]]\nname = \"all\"\nlane = \"review\"\nstage = \"recommend\"\n");
    world.repo.commit("expected");
    world
}

#[tokio::test]
async fn an_older_state_or_another_one_in_its_place_is_unknown_and_proposes_nothing() {
    for (what, back, words) in [
        ("serial", ("l-1", 6), "the state's serial went back from 7 to 6"),
        ("lineage", ("l-2", 9), "the state's lineage was `l-1` and is `l-2`"),
    ] {
        let world = expecting("small");
        put(&world, ("l-1", 7), "small");
        assert_eq!(world.json(&["sync"])["targets"][0]["verdict"], "true", "{what}");
        put(&world, back, "large");
        for command in [&["sync"][..], &["diff"], &["sync", "--dry-run"]] {
            let report = world.json(command);
            assert_eq!(
                (&report["targets"][0]["verdict"], &report["findings"]),
                (&json!("unknown"), &json!([])),
                "{what}: {report:#}"
            );
            let problem = &report["problems"][0];
            assert_eq!(problem["code"], "state-went-back", "{what}: {report:#}");
            let message = problem["message"].as_str().unwrap();
            assert!(message.contains(words) && message.contains("`trueup resume --target data"), "{what}: {message}");
            assert_eq!(world.run(command).status.code(), Some(3), "{what}");
        }
        assert_eq!(branches(&world), 0, "{what}");

        let said = ended(&world, &["resume", "--target", "data", "--because", "restored on purpose"], 0);
        assert!(said.contains(&format!("goes on from serial {} of lineage {}", back.1, back.0)), "{said}");
        let report = world.json(&["sync"]);
        assert_eq!((report["findings"].as_array().unwrap().len(), branches(&world)), (1, 1), "{what}: {report:#}");
        put(&world, ("l-1", 6), "small");
        let report = world.json(&["diff"]);
        let verdict = if what == "serial" { "true" } else { "unknown" };
        assert_eq!(report["targets"][0]["verdict"], verdict, "{what}: what was accepted is what counts: {report:#}");
        assert!(ended(&world, &["resume", "--source", "--because", "x"], 2).contains("was not rewritten"));
    }
}

#[tokio::test]
async fn a_state_that_goes_forward_is_recorded_once_a_serial_and_another_state_of_the_target_begins_anew() {
    let world = expecting("small");
    for serial in [3, 3, 4, 90] {
        put(&world, ("l-1", serial), "small");
        assert_eq!(world.run(&["sync"]).status.code(), Some(0));
    }
    let serials = |records: &[Record]| -> Vec<u64> {
        let seen = records.iter().filter_map(|record| match &record.entry {
            Entry::State(seen) => Some(seen.serial),
            _ => None,
        });
        seen.collect()
    };
    assert_eq!(serials(&world.records().await), [3, 4, 90]);
    put(&world, ("l-2", 1), "small");
    std::fs::rename(world.repo.path().join("live/terraform.tfstate"), world.repo.path().join("live/other.tfstate")).unwrap();
    world.repo.write("trueup.toml", STATE.replace("terraform.tfstate", "other.tfstate"));
    world.repo.commit("another state");
    assert_eq!(world.run(&["sync"]).status.code(), Some(0), "the operator names another state");
    assert_eq!(serials(&world.records().await), [3, 4, 90, 1]);
}
