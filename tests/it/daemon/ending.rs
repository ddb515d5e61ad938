//! A loop that ends in a storm of edits: asked to, or killed.

use std::fmt::Write;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::Loop;
use crate::cluster::proxy::{Fate, Moment, Proxy};
use crate::world::{Rights, World, within};

const OBJECTS: usize = 40;

/// Many small objects with this value.
fn objects(world: &World, value: &str) -> String {
    let mut text = String::new();
    for number in 0..OBJECTS {
        let namespace = &world.namespace;
        write!(
            text,
            "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: storm-{number}\n  namespace: {namespace}\ndata:\n  value: {value}\n---\n"
        )
        .unwrap();
    }
    text
}

fn write_all(world: &World, value: &str) {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), objects(world, value)).unwrap();
    world.kubectl(&["apply", "-f", file.path().to_str().unwrap()]);
}

/// Writes all objects, again and again, while `during` runs.
fn storm<T>(world: &World, during: impl FnOnce() -> T) -> T {
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for number in 0.. {
                if over.load(Ordering::SeqCst) {
                    break;
                }
                write_all(world, &format!("storm-{number}"));
            }
        });
        // Also where `during` panics, or the scope would never end.
        let ended = std::panic::catch_unwind(std::panic::AssertUnwindSafe(during));
        over.store(true, Ordering::SeqCst);
        ended.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

/// Runs of which it is not known whether they had an effect.
fn unfinished(world: &World) -> Vec<String> {
    let runs = world.json(&["runs"], 0);
    let statuses = runs.as_array().unwrap().iter().map(|run| run["status"].as_str().unwrap().to_owned());
    statuses.filter(|status| status.starts_with("intended") || status.starts_with("unknown")).collect()
}

#[test]
fn in_a_storm_of_edits_nothing_is_lost_by_sigterm_nor_by_sigkill() {
    let Some(world) = World::new(Rights::Baseline) else { return };
    world.repo.write("manifests/storm.yaml", objects(&world, "calm"));
    world.repo.commit("what we run");
    world.apply(&[]);

    let (status, took) = storm(&world, || {
        let mut running = Loop::start(&world);
        running.await_log("correcting", 10);
        running.terminate()
    });
    assert_eq!(status.code(), Some(0));
    assert!(took < Duration::from_secs(5), "{took:?}");
    assert_eq!(unfinished(&world), Vec::<String>::new());
    let recorded = world.records();

    storm(&world, || {
        let mut running = Loop::start(&world);
        running.await_log("correcting", 5);
        running.child.kill().unwrap();
        running.child.wait().unwrap();
    });
    assert!(world.records() > recorded);
    eprintln!("SIGTERM took {took:.1?}; SIGKILL left unfinished: {:?}", unfinished(&world));
    write_all(&world, "after");
    let next = world.trueup(&["sync"]);
    assert!(matches!(next.code, Some(0 | 1)), "{next:?}");
    assert_eq!(unfinished(&world), Vec::<String>::new());
    world.records();
}

/// One object with one drift that may be corrected, and the way to a server that takes this long for each write.
fn slow_world(seconds: u64) -> Option<(World, Proxy)> {
    let world = World::new(Rights::Baseline)?;
    world.repo.write("manifests/storm.yaml", objects(&world, "calm"));
    world.repo.commit("what we run");
    world.apply(&[]);
    world.kubectl(&["patch", "configmap/storm-7", "-p", r#"{"data": {"value": "by hand"}}"#]);
    let proxy = Proxy::start(&world, move |moment| {
        if moment == Moment::Before {
            std::thread::sleep(Duration::from_secs(seconds));
        }
        Fate::Pass
    });
    Some((world, proxy))
}

/// A loop that is asked to end with its write on the way.
fn terminated_at_write(world: &World, proxy: &Proxy) -> Duration {
    let mut running = Loop::start_by(world, &proxy.kubeconfig);
    running.await_log("correcting", 1);
    std::thread::sleep(Duration::from_millis(500));
    let (status, took) = running.terminate();
    assert_eq!(status.code(), Some(0), "{:?}", running.log);
    assert!(took < Duration::from_secs(5), "{took:?}");
    took
}

#[test]
fn the_write_in_hand_is_finished_and_recorded_before_the_loop_ends() {
    let Some((world, proxy)) = slow_world(2) else { return };
    let took = terminated_at_write(&world, &proxy);
    assert!(took > Duration::from_secs(1), "it did not wait: {took:?}");
    assert_eq!(unfinished(&world), Vec::<String>::new());
    assert_eq!(world.live("configmap/storm-7", "/data/value"), "calm");
    world.records();
}

#[test]
fn a_loop_ends_in_time_though_the_server_hangs_and_the_next_sync_finds_out() {
    let Some((world, proxy)) = slow_world(8) else { return };
    terminated_at_write(&world, &proxy);
    assert_eq!(unfinished(&world).len(), 1);
    world.kubectl(&["patch", "configmap/storm-7", "-p", r#"{"data": {"value": "by hand, later"}}"#]);
    world.json(&["sync"], 0);
    assert_eq!(unfinished(&world), Vec::<String>::new());
    assert_eq!(world.live("configmap/storm-7", "/data/value"), "calm");
    world.records();
}

#[test]
fn a_sync_that_is_interrupted_finishes_its_write_and_says_so() {
    let Some((world, proxy)) = slow_world(2) else { return };
    let sync = world.command_by(&proxy.kubeconfig, &["sync"]).spawn().unwrap();
    within(Duration::from_secs(20), || world.trueup(&["runs"]).stdout, |runs| runs.contains("intended"));
    assert!(Command::new("kill").args(["-INT", &sync.id().to_string()]).status().unwrap().success());
    let output = sync.wait_with_output().unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(3), "{stderr}");
    assert!(stderr.contains("stopped after 1 effects, all recorded"), "{stderr}");
    assert_eq!(unfinished(&world), Vec::<String>::new());
    assert_eq!(world.live("configmap/storm-7", "/data/value"), "calm");
}
