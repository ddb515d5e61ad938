//! What `kubectl` answers, and what we print for the same file.

use std::ffi::{OsStr, OsString};
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};
use trueup_core::facts::Desired;
use trueup_kubernetes::manifest;

use super::fixture;

/// The label that makes `kubectl label` print an object; no manifest has it.
const LABEL: &str = "trueup.dev/read";

const FIXTURES: [&str; 5] = ["scalars.yaml", "structure.yaml", "list.yaml", "stream.json", "windows.yaml"];

/// `kubectl`'s answer: what it printed, and its complaint where it failed.
pub struct Answer {
    pub printed: String,
    pub refusal: Option<String>,
}

/// Asks `TRUEUP_KUBECTL` (default: `kubectl`) what it reads in these files, one after the other.
pub fn ask(files: &[&Path]) -> Answer {
    let kubectl = std::env::var_os("TRUEUP_KUBECTL").unwrap_or_else(|| OsString::from("kubectl"));
    let output = Command::new(&kubectl)
        .args(["label", "--local", "--dry-run=client", "-o", "json"])
        .args(files.iter().flat_map(|file| [OsStr::new("-f"), file.as_os_str()]))
        .arg(format!("{LABEL}=true"))
        .env_remove("KUBECONFIG")
        .output()
        .expect("`kubectl` (or what `TRUEUP_KUBECTL` names) starts");
    Answer {
        printed: String::from_utf8(output.stdout).expect("kubectl prints UTF-8"),
        refusal: (!output.status.success()).then(|| String::from_utf8_lossy(&output.stderr).into_owned()),
    }
}

/// The same objects as `kubectl label` prints them.
pub fn print_labelled(objects: &[Desired]) -> String {
    objects
        .iter()
        .map(|object| {
            let mut value = object.value.clone();
            if value["metadata"]["labels"].is_null() {
                value["metadata"]["labels"] = json!({});
            }
            as_the_command_does(&mut value["metadata"]);
            value["metadata"]["labels"][LABEL] = json!("true");
            manifest::to_kubectl_json(&[value])
        })
        .collect()
}

/// `kubectl label` writes labels and namespace anew: what is `null` among labels is empty, and an empty namespace is gone.
fn as_the_command_does(metadata: &mut Value) {
    let labels = metadata["labels"].as_object_mut().expect("labels");
    labels.values_mut().filter(|value| value.is_null()).for_each(|value| *value = json!(""));
    if metadata.get("namespace").is_some_and(|namespace| namespace.is_null() || namespace == "") {
        metadata.as_object_mut().expect("metadata").remove("namespace");
    }
}

#[test]
fn our_fixtures_read_as_kubectl_read_them() {
    for name in FIXTURES {
        let bytes = std::fs::read(fixture(name)).expect(name);
        let (objects, problems) = manifest::read(name, &bytes);
        assert_eq!(problems, [], "{name}");
        let answer = std::fs::read_to_string(fixture(&format!("{name}.kubectl"))).expect(name);
        assert_eq!(print_labelled(&objects), answer, "{name}");
    }
}

#[test]
fn the_committed_answers_are_still_those_of_kubectl() {
    if super::corpus::folder().is_none() {
        return;
    }
    for name in FIXTURES {
        let committed = std::fs::read_to_string(fixture(&format!("{name}.kubectl"))).expect(name);
        let answer = ask(&[&fixture(name)]);
        assert_eq!((answer.refusal, answer.printed), (None, committed), "{name}");
    }
}
