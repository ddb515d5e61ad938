//! Health against kubectl: what `kubectl rollout status` calls rolled out is healthy, and nothing else is; other kinds
//! against `kubectl wait`. Pods wait for a scheduler that nobody runs, so no kubelet has them: the test says what their containers do,
//! controllers do the rest.

mod conditions;
mod rollouts;

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use trueup_core::health::Health;
use trueup_kubernetes::health::of;

use super::World;

/// Controllers of a busy machine take their time.
const PATIENCE: Duration = Duration::from_mins(2);

/// What kubectl says of an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Done,
    Waiting,
    Failed,
}

fn as_verdict(health: &Health) -> Verdict {
    match health {
        Health::Healthy => Verdict::Done,
        Health::Progressing(_) | Health::Unknown(_) => Verdict::Waiting,
        Health::Unhealthy(_) => Verdict::Failed,
    }
}

/// The cases that were compared.
struct Compared<'a> {
    world: &'a World,
    oracle: fn(&World, &str) -> Verdict,
    verdicts: Vec<Verdict>,
}

impl<'a> Compared<'a> {
    fn by(world: &'a World, oracle: fn(&World, &str) -> Verdict) -> Self {
        Self { world, oracle, verdicts: Vec::new() }
    }

    /// Waits until kubectl says so, and holds our verdict against kubectl's whenever the object stood still between.
    fn say(&mut self, object: &str, wanted: Verdict) {
        let end = Instant::now() + PATIENCE;
        loop {
            let (seen, verdict) = (get(self.world, object), (self.oracle)(self.world, object));
            if get(self.world, object)["metadata"]["resourceVersion"] == seen["metadata"]["resourceVersion"] {
                assert_eq!(as_verdict(&of(&seen, &[])), verdict, "{object}: {}: {seen:#}", of(&seen, &[]));
                if verdict == wanted {
                    self.verdicts.push(verdict);
                    return;
                }
            }
            assert!(Instant::now() < end, "{object} is still {verdict:?}, not {wanted:?}: {seen:#}");
            std::thread::sleep(Duration::from_millis(200));
        }
    }

    fn count(&self, verdict: Verdict) -> usize {
        self.verdicts.iter().filter(|said| **said == verdict).count()
    }
}

fn get(world: &World, object: &str) -> Value {
    serde_json::from_str(&world.kubectl.must(&["get", object, "-o", "json"])).expect("JSON")
}

fn patch(world: &World, object: &str, patch: &Value) {
    world.kubectl.must(&["patch", object, "--type=merge", "-p", &patch.to_string()]);
}

fn patch_status(world: &World, object: &str, status: &Value) {
    let status = json!({ "status": status }).to_string();
    world.kubectl.must(&["patch", object, "--subresource=status", "--type=merge", "-p", &status]);
}

fn pods(world: &World, app: &str) -> Vec<Value> {
    let list = world.kubectl.must(&["get", "pods", "-l", &format!("app={app}"), "-o", "json"]);
    let list: Value = serde_json::from_str(&list).expect("JSON");
    list["items"].as_array().expect("items").clone()
}

/// What a kubelet would say of the containers of some pods of an app: of the first so many, or of all of them until the
/// controllers have made as many as are wanted.
fn kubelet(world: &World, app: &str, most: usize, ready: bool) {
    let condition = json!([{"type": "Ready", "status": if ready { "True" } else { "False" }}]);
    for pod in pods(world, app).iter().take(most) {
        let name = pod["metadata"]["name"].as_str().expect("a name");
        let status = json!({"status": {"phase": "Running", "conditions": condition}}).to_string();
        // A pod that a rollout has replaced meanwhile is gone.
        world.kubectl.run(&["patch", "pod", name, "--subresource=status", "--type=merge", "-p", &status], None).ok();
    }
}
