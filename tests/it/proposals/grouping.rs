//! Many drifts are few proposals, and every one of them is in the text.

use std::collections::BTreeSet;
use std::fmt::Write;

use super::world::World;

/// `apps` applications with `keys` values each, all of them drifted; the settings get one more line.
fn world(apps: usize, keys: usize, setting: &str) -> World {
    let world = World::empty();
    let settings = std::fs::read_to_string(world.repo.path().join("trueup.toml")).unwrap();
    world.repo.write("trueup.toml", settings.replace("forge = \"local\"\n", &format!("forge = \"local\"\n{setting}\n")));
    for app in 0..apps {
        for (folder, value) in [("manifests", "declared"), ("live", "drifted")] {
            let mut text = format!(
                "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: m{app}\n  namespace: shop\n  labels:\n    \
                 app.kubernetes.io/part-of: app-{app}\ndata:\n"
            );
            for key in 0..keys {
                writeln!(text, "  key-{key}: {value}").unwrap();
            }
            world.repo.write(&format!("{folder}/m{app}.yaml"), text);
        }
    }
    world.repo.commit("declared");
    world
}

#[tokio::test]
async fn one_proposal_for_each_class_and_application() {
    let world = world(3, 4, "");
    assert_eq!(world.proposals(), ["opened"; 3]);
    for (branch, _) in world.branches() {
        let files = world.repo.git(&["diff", "--name-only", &format!("main..{branch}")]);
        assert_eq!(files.lines().count(), 1, "{files}");
        let changed = world.repo.git(&["diff", "--numstat", &format!("main..{branch}")]);
        assert!(changed.starts_with("4\t4\t"), "all four values in one: {changed}");
    }
    assert_eq!(world.proposals(), ["unchanged"; 3]);
    // One value is put right: its proposal goes on without it, and one that comes up joins its own application's.
    let live = world.repo.path().join("live/m1.yaml");
    let text = std::fs::read_to_string(&live).unwrap();
    world.repo.write("live/m1.yaml", text.replace("key-2: drifted", "key-2: declared"));
    let mut told = world.proposals();
    told.sort();
    assert_eq!((told, world.branches().len()), (vec!["unchanged".to_owned(), "unchanged".into(), "updated".into()], 3));
    assert_eq!(world.open().await.len(), 11);
    world.repo.write("live/m1.yaml", text);
    let mut told = world.proposals();
    told.sort();
    assert_eq!((told, world.branches().len()), (vec!["unchanged".to_owned(), "unchanged".into(), "updated".into()], 3));
    assert_eq!(world.open().await.len(), 12);
}

#[tokio::test]
async fn five_hundred_drifts_are_no_more_proposals_than_allowed_and_all_are_named() {
    let world = world(100, 5, "max_open = 7");
    let told = world.proposals();
    assert!(told.iter().all(|status| status == "opened") && told.len() <= 7, "{told:?}");
    assert_eq!(world.open().await.len(), 500, "each of them is in one");
    let named: BTreeSet<String> = world
        .branches()
        .iter()
        .flat_map(|(branch, _)| {
            let message = world.repo.git(&["log", "-1", "--format=%B", branch]);
            message.lines().filter(|line| line.starts_with("- data.key-")).map(str::to_owned).collect::<Vec<_>>()
        })
        .collect();
    assert_eq!(named.len(), 500);
    assert_eq!(world.proposals(), vec!["unchanged"; told.len()]);
}

#[tokio::test]
async fn what_there_is_no_room_for_waits_and_comes_later() {
    let world = world(2, 1, "max_open = 1");
    assert_eq!(world.proposals(), ["opened"], "both in one");
    let branch = world.branches().remove(0).0;
    world.repo.git(&["branch", "-q", "-D", &branch]);
    assert_eq!(world.proposals(), ["denied"]);
    let live = world.repo.path().join("live/m0.yaml");
    let text = std::fs::read_to_string(&live).unwrap();
    world.repo.write("live/m0.yaml", text.replace("drifted", "odd"));
    assert_eq!(world.proposals(), ["opened"]);
    let text = std::fs::read_to_string(world.repo.path().join("live/m1.yaml")).unwrap();
    world.repo.write("live/m1.yaml", text.replace("drifted", "odd"));
    let mut told = world.proposals();
    told.sort();
    assert_eq!(told, ["unchanged", "waits"]);
    world.repo.git(&["merge", "-q", "--no-ff", "-m", "merged", &world.branches()[0].0]);
    let mut told = world.proposals();
    told.sort();
    assert_eq!(told, ["merged", "opened"], "there is room now");
}
