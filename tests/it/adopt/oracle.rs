//! kubectl reads a file before and after an edit: what it then says must be what it said, with the planted change and no other.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::Mutex;

use serde_json::{Value, json};

use super::{After, Source};

const LABEL: &str = "trueup.dev/read";

/// Files in one process of kubectl.
const BATCH: usize = 40;

/// Judges all files after their edits; returns how many kubectl read.
pub fn judge(kubectl: &str, sources: &[Source], afters: &[After]) -> u32 {
    let folder = tempfile::tempdir().unwrap();
    let batches = Mutex::new(afters.chunks(BATCH).enumerate());
    let judged = Mutex::new(0);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                loop {
                    let Some((number, batch)) = batches.lock().unwrap().next() else { break };
                    // kubectl reads nothing of a file with a broken document, before the edit or after it.
                    let whole: Vec<&After> = batch.iter().filter(|after| !sources[after.source].broken).collect();
                    judge_batch(kubectl, sources, &whole, &folder.path().join(number.to_string()));
                    *judged.lock().unwrap() += u32::try_from(whole.len()).unwrap();
                }
            });
        }
    });
    judged.into_inner().unwrap()
}

fn judge_batch(kubectl: &str, sources: &[Source], batch: &[&After], folder: &Path) {
    fs::create_dir(folder).unwrap();
    let files: Vec<_> = batch
        .iter()
        .enumerate()
        .map(|(index, after)| {
            let file = folder.join(format!("{index}.yaml"));
            fs::write(&file, &after.text).unwrap();
            file
        })
        .collect();
    let mut command = Command::new(kubectl);
    command.args(["label", "--local", "--dry-run=client", "-o", "json", &format!("{LABEL}=true")]).env_remove("KUBECONFIG");
    for file in &files {
        command.arg("-f").arg(file);
    }
    let output = command.output().unwrap();
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() || batch.is_empty(), "kubectl refuses an edited file: {complaint}");
    let mut read = serde_json::Deserializer::from_slice(&output.stdout).into_iter::<Value>().map(Result::unwrap);
    for after in batch {
        let source = &sources[after.source];
        for expected in &after.objects {
            let mut read = read.next().unwrap_or_else(|| panic!("{}: kubectl reads fewer objects", source.path.display()));
            let mut expected = expected.clone();
            for object in [&mut read, &mut expected] {
                labelled(object);
            }
            assert_eq!(read, expected, "{}:\n{}", source.path.display(), after.text);
        }
    }
    assert_eq!(read.next(), None, "kubectl reads more objects");
}

/// With kubectl's label, and an absent map of labels as one with nothing else in it.
fn labelled(object: &mut Value) {
    if let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) {
        let labels = metadata.entry("labels").or_insert(Value::Null);
        if !labels.is_object() {
            *labels = json!({});
        }
        labels[LABEL] = json!("true");
    }
}
