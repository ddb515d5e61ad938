//! A server that has too much to do, an object that is replaced, one that is going: what the wire and other writers do to a
//! write, and that nothing wrong comes of it.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::json;

use super::proxy::{Fate, Moment, Proxy};
use crate::world::{Ended, Rights, World, ended};

const CONFIG: &str = "configmap/blackbox-exporter-configuration";

fn world() -> Option<World> {
    let world = World::new(Rights::Baseline)?;
    world.declare(&["blackboxExporter-configuration.yaml"]);
    edit(&world);
    Some(world)
}

fn edit(world: &World) {
    world.kubectl(&["patch", CONFIG, "-p", &json!({"data": {"config.yml": "by hand"}}).to_string()]);
}

fn is_right(world: &World) -> bool {
    world.live(CONFIG, "/data/config.yml").as_str().unwrap().starts_with("\"modules\"")
}

fn sync_by(world: &World, proxy: &Proxy) -> Ended {
    ended(world.command_by(&proxy.kubeconfig, &["sync", "-o", "json"]))
}

fn statuses(ended: &Ended) -> Vec<String> {
    let report = ended.json();
    report["runs"].as_array().unwrap().iter().map(|run| run["status"].as_str().unwrap().to_owned()).collect()
}

/// When each request came, by its first line.
type Seen = Arc<Mutex<Vec<(Instant, String)>>>;

#[test]
fn where_the_server_asks_to_wait_nothing_goes_to_it_before_and_the_write_is_decided_again() {
    const ASKED: u64 = 3;
    let Some(world) = world() else { return };
    let (seen, writes) = (Seen::default(), AtomicUsize::new(0));
    let log = Arc::clone(&seen);
    let proxy = Proxy::of_all(&world, move |line, moment| {
        if moment != Moment::Before {
            return Fate::Pass;
        }
        log.lock().unwrap().push((Instant::now(), line.to_owned()));
        let is_write = line.starts_with("PATCH ") && !line.contains("dryRun=All");
        if is_write && writes.fetch_add(1, Ordering::SeqCst) == 0 { Fate::Wait(ASKED) } else { Fate::Pass }
    });
    let synced = sync_by(&world, &proxy);
    assert_eq!((synced.code, statuses(&synced)), (Some(0), vec!["void".to_owned(), "settled".to_owned()]), "{synced:?}");
    assert!(is_right(&world));
    let seen = seen.lock().unwrap();
    let refused = seen.iter().position(|(_, line)| line.starts_with("PATCH ") && !line.contains("dryRun=All")).unwrap();
    let pause = seen[refused + 1].0.duration_since(seen[refused].0);
    assert!(pause >= Duration::from_secs(ASKED), "only {pause:?} until {}", seen[refused + 1].1);
    assert!(world.patch_codes().is_none_or(|codes| codes == [200]), "{:?}", world.patch_codes());
}

#[test]
fn reads_that_fail_are_asked_again_with_growing_pauses_and_a_server_that_stays_broken_is_not_written_to() {
    let Some(world) = world() else { return };
    let (seen, failures) = (Seen::default(), AtomicUsize::new(0));
    let log = Arc::clone(&seen);
    let is_list = |line: &str| line.contains("/configmaps?limit=");
    let proxy = Proxy::of_all(&world, move |line, moment| {
        if moment != Moment::Before || !is_list(line) {
            return Fate::Pass;
        }
        log.lock().unwrap().push((Instant::now(), line.to_owned()));
        if failures.fetch_add(1, Ordering::SeqCst) < 3 { Fate::Answer(503, "not today") } else { Fate::Pass }
    });
    let synced = sync_by(&world, &proxy);
    assert_eq!((synced.code, statuses(&synced)), (Some(0), vec!["settled".to_owned()]), "{synced:?}");
    let times: Vec<Instant> = seen.lock().unwrap().iter().map(|(at, _)| *at).collect();
    let pauses: Vec<Duration> = times.windows(2).map(|pair| pair[1].duration_since(pair[0])).take(3).collect();
    assert!(pauses.len() == 3 && pauses[0] < pauses[1] && pauses[1] < pauses[2], "{pauses:?}");
    assert!(pauses[2] < Duration::from_secs(5), "{pauses:?}");

    edit(&world);
    let broken = Proxy::of_all(&world, move |line, _| if is_list(line) { Fate::Answer(500, "not today") } else { Fate::Pass });
    let blind = sync_by(&world, &broken);
    assert_eq!((blind.code, statuses(&blind)), (Some(3), Vec::new()), "{blind:?}");
    assert!(!is_right(&world));
    assert!(world.patch_codes().is_none_or(|codes| codes == [200]), "{:?}", world.patch_codes());
}

#[test]
fn an_object_that_was_replaced_is_judged_again_and_one_that_is_going_is_left_alone() {
    let Some(world) = world() else { return };
    let (kubectl, namespace) = (world.kubectl_program().to_owned(), world.namespace.clone());
    let other = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "blackbox-exporter-configuration",
        "finalizers": ["example.com/wait"]}, "data": {"config.yml": "another object"}});
    let file = world.repo.path().join(".git/other.json");
    std::fs::write(&file, other.to_string()).unwrap();
    let file = file.to_str().unwrap().to_owned();
    let writes = AtomicUsize::new(0);
    let proxy = Proxy::start(&world, move |moment| {
        if moment == Moment::Before && writes.fetch_add(1, Ordering::SeqCst) == 0 {
            for arguments in [&["delete", CONFIG][..], &["create", "-f", &file]] {
                let mut command = std::process::Command::new(&kubectl);
                command.args(["--namespace", &namespace]).args(arguments).stdout(std::process::Stdio::null());
                assert!(command.status().unwrap().success());
            }
        }
        Fate::Pass
    });
    let synced = sync_by(&world, &proxy);
    assert_eq!(statuses(&synced), ["void", "left"], "the new object's value is another one: {synced:?}");
    assert!(!is_right(&world));
    assert!(statuses(&world.trueup(&["sync", "-o", "json"])).contains(&"settled".to_owned()), "judged for itself");
    assert!(is_right(&world));
    // By its version or by its uid: the server refuses it either way.
    let refused_once = |codes: Vec<u64>| matches!(codes[..], [409 | 422, 200]);
    assert!(world.patch_codes().is_none_or(refused_once), "{:?}", world.patch_codes());

    edit(&world);
    world.kubectl(&["delete", CONFIG, "--wait=false"]);
    let left = world.trueup(&["sync", "-o", "json"]);
    assert!(left.json()["runs"].to_string().contains("being deleted since"), "{left:?}");
    assert!(!is_right(&world));
    assert!(world.patch_codes().is_none_or(refused_once), "{:?}", world.patch_codes());
    world.kubectl(&["patch", CONFIG, "--type=merge", "-p", r#"{"metadata": {"finalizers": null}}"#]);
}
