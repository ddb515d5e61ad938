//! Our JSON merge patches (RFC 7386) against `kubectl patch --local --type merge`, which applies them as the API server does.

use std::process::Command;

use serde_json::{Map, Value, json};
use trueup_core::patch::{changes_nothing, merge_patch};

/// How many pairs of values; kubectl is asked about all of them at once, as the cases of one object.
const PAIRS: usize = 4000;

const KEYS: [&str; 8] = ["a", "b", "c", "a.b/c", "~1", "", "ключ", "with \"quotes\"\n"];

/// Random choices from a seed (splitmix64).
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((z ^ (z >> 31)) >> 33).expect("31 bits") % sides
    }

    fn value(&mut self, depth: usize) -> Value {
        match self.roll(if depth == 0 { 6 } else { 9 }) {
            0 => true.into(),
            1 => [0, -7, i64::MAX, 1 << 53][self.roll(4)].into(),
            2 => 0.5.into(),
            3 => ["", "null", "x", "\u{1F600}\u{7f}"][self.roll(4)].into(),
            4 => json!({}),
            5 => json!([]),
            // Inside a list, `null` is a value like any other.
            6 => (0..self.roll(3)).map(|_| if self.roll(5) == 0 { Value::Null } else { self.value(depth - 1) }).collect(),
            _ => self.object(depth - 1),
        }
    }

    fn object(&mut self, depth: usize) -> Value {
        let fields = (0..self.roll(5)).map(|_| (KEYS[self.roll(KEYS.len())].to_owned(), self.value(depth)));
        Value::Object(fields.collect::<Map<_, _>>())
    }

    /// The value with some of its fields changed, added and removed.
    fn edited(&mut self, value: &Value, depth: usize) -> Value {
        let Value::Object(fields) = value else { return self.value(depth) };
        let mut edited = Map::new();
        for (key, value) in fields {
            match self.roll(4) {
                0 => {}
                1 => drop(edited.insert(key.clone(), self.edited(value, depth.saturating_sub(1)))),
                _ => drop(edited.insert(key.clone(), value.clone())),
            }
        }
        if self.roll(2) == 0 {
            edited.insert(KEYS[self.roll(KEYS.len())].to_owned(), self.value(depth.saturating_sub(1)));
        }
        Value::Object(edited)
    }
}

/// What kubectl makes of these patches, each of its value.
fn patched(kubectl: &str, values: &[&Value], patches: &[&Value]) -> Vec<Value> {
    let named = |all: &[&Value]| -> Map<String, Value> {
        all.iter().enumerate().map(|(index, value)| (format!("{index:05}"), (*value).clone())).collect()
    };
    let folder = tempfile::tempdir().expect("a folder");
    let (object, patch) = (folder.path().join("object.json"), folder.path().join("patch.json"));
    let whole = json!({"apiVersion": "example.com/v1", "kind": "Cases", "metadata": {"name": "a"}, "cases": named(values)});
    std::fs::write(&object, whole.to_string()).expect("written");
    std::fs::write(&patch, json!({ "cases": named(patches) }).to_string()).expect("written");
    let output = Command::new(kubectl)
        .args(["patch", "--local", "--type", "merge", "-o", "json", "-f"])
        .arg(object)
        .arg("--patch-file")
        .arg(patch)
        .env_remove("KUBECONFIG")
        .output()
        .expect("kubectl starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let answer: Value = serde_json::from_slice(&output.stdout).expect("kubectl prints JSON");
    answer["cases"].as_object().expect("the cases").values().cloned().collect()
}

#[test]
fn our_merge_patches_do_what_kubectl_does_with_them() {
    let kubectl = std::env::var("TRUEUP_KUBECTL").unwrap_or_else(|_| "kubectl".to_owned());
    if Command::new(&kubectl).args(["version", "--client"]).output().is_err() {
        assert!(std::env::var_os("CI").is_none(), "CI must run this: set TRUEUP_KUBECTL");
        eprintln!("did not run: `{kubectl}` does not start");
        return;
    }
    let dice = &mut Dice(1);
    let pairs: Vec<(Value, Value)> = (0..PAIRS)
        .map(|_| {
            let from = dice.object(4);
            let to = dice.edited(&from, 4);
            (from, to)
        })
        .collect();
    let there: Vec<Value> = pairs.iter().map(|(from, to)| merge_patch(from, to)).collect();
    let back: Vec<Value> = pairs.iter().map(|(from, to)| merge_patch(to, from)).collect();
    let (from, to): (Vec<&Value>, Vec<&Value>) = pairs.iter().map(|(from, to)| (from, to)).unzip();
    let there: Vec<&Value> = there.iter().collect();
    assert_eq!(patched(&kubectl, &from, &there).iter().collect::<Vec<_>>(), to);
    assert_eq!(patched(&kubectl, &to, &back.iter().collect::<Vec<_>>()).iter().collect::<Vec<_>>(), from);

    // Whether a patch changes nothing, of patches that were made for another value, too.
    let mut foreign = there.clone();
    foreign.rotate_left(1);
    let mut nothing = [0, 0];
    for (values, patches) in [(&to, &there), (&from, &there), (&from, &foreign)] {
        for (answer, (value, patch)) in patched(&kubectl, values, patches).iter().zip(values.iter().zip(patches)) {
            assert_eq!(changes_nothing(value, patch), answer == *value, "{patch} on {value}");
            nothing[usize::from(answer == *value)] += 1;
        }
    }
    println!("{PAIRS} patches there and back; of {} more, {} change nothing", nothing[0] + nothing[1], nothing[1]);
    assert!(nothing.iter().all(|count| *count > PAIRS / 4), "{nothing:?}");
}
