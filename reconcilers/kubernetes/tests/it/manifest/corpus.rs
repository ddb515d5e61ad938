//! Real manifests, each compared byte for byte with what `kubectl` makes of the same file now.

use std::path::{Path, PathBuf};
use std::sync::Mutex;

use serde_json::Value;
use trueup_core::facts::Problem;
use trueup_kubernetes::manifest;

use super::oracle::{ask, print_labelled};

/// Files that `kubectl` reads and we refuse, with the code of our problem and why refusing is right.
const REFUSED_BY_US_ALONE: [(&str, &str, &str); 6] = [
    ("volumes/scaleio/sc-pvc.yaml", "duplicate-key", "`storageClassName` twice: kubectl silently takes the last"),
    ("quobyte/quobyte-admin-secret.yaml", "duplicate-key", "`type` twice: kubectl silently takes the last"),
    ("openshift-origin/openshift-controller.yaml", "duplicate-key", "`selector` twice: kubectl silently takes the last"),
    ("openshift-origin/etcd-discovery-controller.yaml", "duplicate-key", "`selector` twice: kubectl silently takes the last"),
    ("openshift-origin/etcd-controller.yaml", "duplicate-key", "`selector` twice: kubectl silently takes the last"),
    ("vitess/vttablet-pod-template.yaml", "unrendered-template", "its name is `vttablet-{{uid}}`, which no server takes"),
];

/// The folder of `TRUEUP_CORPUS`. Without it the tests concerned say that they did not run; in CI that is a failure.
pub fn folder() -> Option<PathBuf> {
    let folder = std::env::var_os("TRUEUP_CORPUS").map(PathBuf::from);
    if folder.is_none() {
        assert_ne!(std::env::var("CI").as_deref(), Ok("true"), "`TRUEUP_CORPUS` is not set, but CI must run this test");
        eprintln!("not run: set `TRUEUP_CORPUS` to the folder of real manifests");
    }
    folder
}

#[test]
fn every_key_of_the_probe_reads_as_kubectl_reads_it() {
    let Some(corpus) = folder() else { return };
    let bytes = std::fs::read(corpus.join("yaml/probe.yaml")).expect("the probe");
    let answer = std::fs::read_to_string(corpus.join("yaml/probe.kubectl.json")).expect("its answer");
    let answer: Value = serde_json::from_str(&answer).expect("JSON");
    let (objects, problems) = manifest::read("probe.yaml", &bytes);
    assert_eq!(problems, []);
    let [probe] = &objects[..] else { panic!("one object, not {}", objects.len()) };
    let expected = answer["spec"].as_object().expect("keys");
    assert_eq!(expected.len(), 50);
    for (key, value) in expected {
        assert_eq!(print(&probe.value["spec"][key]), print(value), "{key}");
    }
    assert_eq!(probe.value["spec"].as_object().map(serde_json::Map::len), Some(50));
}

fn print(value: &Value) -> String {
    manifest::to_kubectl_json(std::slice::from_ref(value))
}

#[test]
fn real_manifests_read_byte_for_byte_as_kubectl_reads_them() {
    let Some(corpus) = folder() else { return };
    let mut files = Vec::new();
    collect(&corpus.join("manifests"), &mut files);
    files.sort();
    let files: Vec<Read> = files.into_iter().map(read).collect();
    let (clean, problematic): (Vec<&Read>, Vec<&Read>) = files.iter().partition(|file| file.problems.is_empty());
    let batches = clean.chunks(30).map(<[&Read]>::to_vec).chain(problematic.into_iter().map(|file| vec![file]));
    let verdicts = judge_all(batches.collect());
    let count = |verdict: &Verdict| verdicts.iter().filter(|found| *found == verdict).count();
    let wrong: Vec<&Verdict> = verdicts.iter().filter(|verdict| matches!(verdict, Verdict::Wrong(_))).collect();
    eprintln!(
        "{} files: {} equal, {} refused by both, {} by us alone (duplicate keys, templates)",
        files.len(),
        count(&Verdict::Equal),
        count(&Verdict::RefusedByBoth),
        count(&Verdict::RefusedByUs)
    );
    assert_eq!(wrong, Vec::<&Verdict>::new());
    assert_eq!(count(&Verdict::RefusedByUs), REFUSED_BY_US_ALONE.len(), "a listed file is gone");
    assert!(count(&Verdict::Equal) > 300, "the corpus has 340 files");
}

/// One file as we read it.
struct Read {
    path: PathBuf,
    printed: String,
    problems: Vec<Problem>,
}

fn read(path: PathBuf) -> Read {
    let bytes = std::fs::read(&path).expect("a file of the corpus");
    let (objects, problems) = manifest::read(&path.display().to_string(), &bytes);
    Read { path, printed: print_labelled(&objects), problems }
}

/// Two processes at a time.
fn judge_all(batches: Vec<Vec<&Read>>) -> Vec<Verdict> {
    let queue = Mutex::new(batches.into_iter());
    let verdicts = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                loop {
                    let Some(batch) = queue.lock().expect("no panic holds it").next() else { break };
                    let judged = judge_batch(&batch);
                    verdicts.lock().expect("no panic holds it").extend(judged);
                }
            });
        }
    });
    verdicts.into_inner().expect("no panic holds it")
}

/// Many files in one process; each alone only where the answer is not ours.
fn judge_batch(batch: &[&Read]) -> Vec<Verdict> {
    if let [file] = batch {
        return vec![judge(file)];
    }
    let answer = ask(&batch.iter().map(|file| file.path.as_path()).collect::<Vec<_>>());
    let ours: String = batch.iter().map(|file| file.printed.as_str()).collect();
    if answer.refusal.is_none() && answer.printed == ours {
        return batch.iter().map(|_| Verdict::Equal).collect();
    }
    batch.iter().map(|file| judge(file)).collect()
}

#[derive(Debug, PartialEq)]
enum Verdict {
    Equal,
    RefusedByBoth,
    RefusedByUs,
    Wrong(String),
}

fn judge(file: &Read) -> Verdict {
    let Read { path, printed, problems } = file;
    let name = path.display();
    let answer = ask(&[path]);
    let listed = REFUSED_BY_US_ALONE.iter().find(|(suffix, _, _)| path.ends_with(suffix));
    match (answer.refusal, listed) {
        (Some(_), None) if !problems.is_empty() => Verdict::RefusedByBoth,
        (Some(refusal), None) => Verdict::Wrong(format!("{name}: we read what kubectl refuses: {refusal}")),
        (Some(_), Some(_)) => Verdict::Wrong(format!("{name}: kubectl refuses it, too: take it off the list")),
        (None, Some((_, code, _))) if problems.iter().any(|problem| problem.code == *code && problem.blinds) => {
            Verdict::RefusedByUs
        }
        (None, Some((_, code, why))) => Verdict::Wrong(format!("{name}: no problem `{code}` though {why}")),
        (None, None) if !problems.is_empty() => Verdict::Wrong(format!("{name}: kubectl reads it, but {}", problems[0])),
        (None, None) if *printed != answer.printed => Verdict::Wrong(format!("{name}: other bytes")),
        (None, None) => Verdict::Equal,
    }
}

pub fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).expect("a folder of the corpus") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            collect(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "yaml" || extension == "yml" || extension == "json") {
            files.push(path);
        }
    }
}
