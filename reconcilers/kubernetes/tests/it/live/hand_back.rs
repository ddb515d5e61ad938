//! A field that a patch of ours took goes back to its server-side apply owner, whose next apply passes.

use serde_json::{Value, json};
use trueup_core::facts::Live;
use trueup_core::object::ObjectId;
use trueup_core::path::Path;
use trueup_kubernetes::ownership::sole_owner;
use trueup_kubernetes::patch::{PatchError, hand_back, read_whole, send};

use super::{World, world};

/// Applies as `team` does: server-side, without force. What kubectl says where it is refused.
fn team_applies(world: &World, object: &Value) -> Result<String, String> {
    world.kubectl.run(&["apply", "--server-side", "--field-manager=team", "-f", "-"], Some(&object.to_string()))
}

fn deployment(image: &str, args: &[&str]) -> Value {
    json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "d", "labels": {"tier": "web"}}, "spec": {"replicas": 0,
        "selector": {"matchLabels": {"app": "d"}}, "template": {"metadata": {"labels": {"app": "d"}},
        "spec": {"containers": [{"name": "app", "image": image, "args": args}, {"name": "side", "image": "y:1"}]}}}})
}

/// Each a place: what a person sets there, the patch that puts it right, and what the team writes next.
fn cases() -> [(&'static str, Value, Value, Value); 3] {
    let containers = |image: &str, args: &[&str]| deployment(image, args)["spec"]["template"]["spec"]["containers"].clone();
    let at = |containers: Value| json!({"spec": {"template": {"spec": {"containers": containers}}}});
    [
        (
            "metadata.labels.tier",
            json!({"metadata": {"labels": {"tier": "by-hand"}}}),
            json!({"metadata": {"labels": {"tier": "web"}}}),
            {
                let mut next = deployment("x:1", &["a"]);
                next["metadata"]["labels"]["tier"] = json!("edge");
                next
            },
        ),
        (
            "spec.template.spec.containers[name=app].image",
            at(json!([{"name": "app", "image": "x:hot", "args": ["a"]}, {"name": "side", "image": "y:1"}])),
            at(containers("x:1", &["a"])),
            deployment("x:2", &["a"]),
        ),
        (
            "spec.template.spec.containers[name=app].args",
            at(json!([{"name": "app", "image": "x:1", "args": ["hot"]}, {"name": "side", "image": "y:1"}])),
            at(containers("x:1", &["a"])),
            deployment("x:1", &["b"]),
        ),
    ]
}

#[tokio::test]
async fn a_field_that_was_handed_back_is_its_owners_at_the_next_apply() {
    let Some(world) = world("handback").await else { return };
    let object = deployment("x:1", &["a"]);
    let id = world.declare(object.clone()).id;
    for (path, by_hand, right, next) in cases() {
        let paths: [Path; 1] = [path.parse().expect("a path")];
        for handed in [true, false] {
            world.kubectl.run(&["delete", "deployment", "d", "--ignore-not-found"], None).expect("deleted");
            team_applies(&world, &object).expect("the first apply");
            let edit = ["patch", "deployment", "d", "--type=merge", "--field-manager=kubectl-edit", "-p", &by_hand.to_string()];
            world.kubectl.must(&edit);
            corrected(&world, &right).await;
            let whole = read_whole(&world.cluster, world.resource(&id), &id).await.expect("readable").expect("there");
            assert_eq!(sole_owner(&whole["metadata"]["managedFields"]), Some("team"), "{path}");
            if handed {
                let live = handed_back(&world, &id, &paths).await;
                assert!(live.owners.iter().all(|owner| owner.manager != "trueup"), "{path}: {:?}", live.owners);
                let again = read_whole(&world.cluster, world.resource(&id), &id).await.expect("readable").expect("there");
                assert_eq!(again["spec"], whole["spec"], "{path}: no value changes");
                let twice = hand_back(&world.cluster, world.resource(&id), (&id, &again), &paths, "team").await;
                assert!(matches!(twice, Ok(None)), "{path}: {twice:?}");
                team_applies(&world, &next).unwrap_or_else(|error| panic!("{path}: {error}"));
            } else {
                let refused = team_applies(&world, &next).expect_err("without it, the team meets a conflict");
                assert!(refused.contains("conflict") && refused.contains("\"trueup\""), "{path}: {refused}");
            }
        }
    }
}

async fn handed_back(world: &World, id: &ObjectId, paths: &[Path]) -> Live {
    for _ in 0..20 {
        let whole = read_whole(&world.cluster, world.resource(id), id).await.expect("readable").expect("there");
        match hand_back(&world.cluster, world.resource(id), (id, &whole), paths, "team").await {
            Err(PatchError::Conflict { .. }) => {}
            back => return back.expect("taken").expect("something was ours").live,
        }
    }
    panic!("the object never stood still");
}

async fn corrected(world: &World, patch: &Value) {
    let id = world.declare(deployment("x:1", &["a"])).id;
    // The controller writes its annotation and status meanwhile.
    for _ in 0..20 {
        let whole = read_whole(&world.cluster, world.resource(&id), &id).await.expect("readable").expect("there");
        let mut patch = patch.clone();
        patch["metadata"]["uid"] = whole["metadata"]["uid"].clone();
        patch["metadata"]["resourceVersion"] = whole["metadata"]["resourceVersion"].clone();
        if send(&world.cluster, world.resource(&id), &id, &patch).await.is_ok() {
            return;
        }
    }
    panic!("the object never stood still");
}
