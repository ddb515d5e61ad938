//! Lists that are slow, or break off: half of a list is none, wherever it ends, and a slow one is waited for.

use std::time::{Duration, Instant};

use serde_json::json;

use super::proxy::{Fate, Moment, Proxy};
use super::unknown::{diff_by, one_unknown};
use crate::world::{Rights, World, ended};

const CONFIG: &str = "blackboxExporter-configuration.yaml";
const SERVICE: &str = "grafana-service.yaml";

fn is_list(line: &str) -> bool {
    line.starts_with("GET ") && line.contains("/configmaps?limit=")
}

#[test]
fn a_list_that_ends_at_any_byte_is_no_list() {
    let Some(world) = World::new(Rights::Base) else { return };
    world.declare(&[CONFIG, SERVICE]);
    let mut sizes = 0;
    let mut blind_at = |fate: Fate| {
        let proxy =
            Proxy::of_all(&world, move |line, moment| if is_list(line) && moment == Moment::After { fate } else { Fate::Pass });
        let seen = ended(world.command_by(&proxy.kubeconfig, &["diff", "-o", "json"]));
        sizes += 1;
        if seen.code == Some(0) {
            return false;
        }
        let message = one_unknown(&seen.json(), 2);
        assert!(message.contains("`configmaps`"), "{message}");
        true
    };
    assert!(blind_at(Fate::AllButTheLast), "all but one byte is not all");
    // Status line, headers, body: until all of it passes.
    let whole = (0..12).map(|power| 4_usize.pow(power)).find(|bytes| !blind_at(Fate::First(*bytes))).unwrap();
    assert!(whole > 256 && sizes > 5, "{whole} bytes after {sizes} looks");
}

#[test]
fn a_list_that_takes_half_a_minute_is_waited_for_and_one_that_never_ends_is_not() {
    const SLOW: Duration = Duration::from_secs(30);
    let Some(world) = World::new(Rights::Base) else { return };
    world.declare(&[CONFIG, SERVICE]);
    let slow = |pause: Duration| {
        Proxy::of_all(&world, move |line, moment| {
            if is_list(line) && moment == Moment::Before {
                std::thread::sleep(pause);
            }
            Fate::Pass
        })
    };
    let (waited, endless) = (slow(SLOW), slow(Duration::from_mins(2)));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let begun = Instant::now();
            let seen = ended(world.command_by(&waited.kubeconfig, &["diff", "-o", "json"]));
            assert_eq!(seen.code, Some(0), "{seen:?}");
            assert_eq!(seen.json()["targets"][0]["objects"]["true"], json!(2), "{seen:?}");
            assert!(begun.elapsed() >= SLOW, "{:?}", begun.elapsed());
        });
        scope.spawn(|| {
            let message = one_unknown(&diff_by(&world, &endless), 2);
            assert!(message.contains("did not answer") && message.contains("within 60 s"), "{message}");
        });
    });
}
