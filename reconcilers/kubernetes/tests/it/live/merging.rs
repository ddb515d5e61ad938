//! How lists merge: our shapes against the server, which is asked by dry runs to apply a list of one entry in another
//! writer's name, and to take the same list as a strategic merge patch. Of a keyed list and of a set, all entries stay; an
//! atomic list is that one entry then.

use std::collections::BTreeMap;
use std::path::Path as FilePath;

use http::Request;
use serde_json::{Map, Value, json};
use trueup_core::equal::same;
use trueup_core::facts::Desired;
use trueup_core::path::{Path, Segment};
use trueup_core::shape::{Merge, Shape, Types};
use trueup_kubernetes::discovery::{Lookup, Scope};
use trueup_kubernetes::manifest;
use trueup_kubernetes::table::Table;

use super::world;

/// How often a list of one type is tried.
const TRIES: usize = 20;

/// Lists that the server takes as one value and whose order nobody means: to us, they are sets. And one that admission
/// fills up again behind each write.
const LEFT_OUT: [&str; 3] = ["HorizontalPodAutoscaler spec.metrics", "Endpoints subsets", "Pod spec.tolerations"];

const JSON: &str = "application/json";

/// The two ways of merging that know lists. A strategic merge patch knows no sets but of old fields, and an apply all.
const WAYS: [(&str, &str); 2] = [
    ("application/apply-patch+yaml", "force=true&fieldManager=another"),
    ("application/strategic-merge-patch+json", "fieldManager=another"),
];

/// One list of an object.
struct Found<'a> {
    path: Path,
    entries: &'a [Value],
    shape: &'a Shape,
    /// What names the list's place in an apply, with the list itself left open.
    around: Vec<Segment>,
}

#[derive(Default)]
struct Outcome {
    tried: BTreeMap<String, usize>,
    agreed: BTreeMap<&'static str, usize>,
    refused: usize,
    different: Vec<String>,
}

#[tokio::test]
async fn lists_merge_as_the_server_merges_them() {
    let Some(corpus) = std::env::var_os("TRUEUP_CORPUS") else {
        assert!(std::env::var("CI").is_err(), "CI must give the folder of real manifests as TRUEUP_CORPUS");
        return eprintln!("did not run: no TRUEUP_CORPUS");
    };
    let Some(world) = world("merging").await else { return };
    let (table, client) = (Table::load(), kube::Client::try_default().await.expect("a client"));
    let mut manifests = Vec::new();
    read(&FilePath::new(&corpus).join("manifests"), &mut manifests);
    let mut outcome = Outcome::default();
    for (index, mut one) in manifests.into_iter().enumerate() {
        one.value["metadata"]["name"] = format!("m{index}").into();
        one.value["metadata"]["namespace"] = world.namespace.clone().into();
        let Lookup::Served(resource) = world.catalog.find(&one.id) else { continue };
        if !table.knows(&one.id) || resource.scope == Scope::Cluster {
            continue;
        }
        let collection = resource.collection(Some(&world.namespace));
        let Ok(live) = call(&client, ("POST", JSON), &collection, &one.value).await else { continue };
        let path = format!("{collection}/m{index}");
        judge(&client, (&path, &live), (table.types(), &table.root_shape(&one.id)), &mut outcome).await;
        call(&client, ("DELETE", JSON), &path, &json!({"gracePeriodSeconds": 0})).await.ok();
    }
    println!("{} lists: {:?}; {} refused", outcome.tried.values().sum::<usize>(), outcome.agreed, outcome.refused);
    assert_eq!(outcome.different, [""; 0]);
    assert!(outcome.agreed["keyed"] > 100 && outcome.agreed["atomic"] > 30, "{:?}", outcome.agreed);
}

fn read(folder: &FilePath, found: &mut Vec<Desired>) {
    let mut paths: Vec<_> = std::fs::read_dir(folder).expect("the corpus").map(|entry| entry.expect("an entry").path()).collect();
    paths.sort();
    for path in paths {
        if path.is_dir() {
            read(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "yaml") {
            found.extend(manifest::read("corpus.yaml", &std::fs::read(&path).expect("readable")).0);
        }
    }
}

async fn call(client: &kube::Client, (method, content): (&str, &str), path: &str, body: &Value) -> Result<Value, String> {
    let request = Request::builder().method(method).uri(path).header("Content-Type", content);
    let request = request.body(body.to_string().into_bytes()).expect("a request");
    client.request(request).await.map_err(|error| error.to_string())
}

async fn judge(client: &kube::Client, (path, live): (&str, &Value), (types, root): (&Types, &Shape), outcome: &mut Outcome) {
    let mut lists = Vec::new();
    for key in live.as_object().expect("an object").keys().filter(|key| !["metadata", "status"].contains(&key.as_str())) {
        let at = vec![Segment::Key(key.clone())];
        collect(types, types.field(root, key), (&live[key], &Path::root().key(key)), &at, &mut lists);
    }
    for list in lists {
        let name = format!("{} {}", live["kind"].as_str().expect("a kind"), general(&list.path));
        let (_, merge) = list.shape.entries();
        let tried = outcome.tried.entry(name.clone()).or_default();
        // One entry alone does not tell.
        if *tried == TRIES || list.entries.len() < 2 || LEFT_OUT.contains(&name.as_str()) {
            continue;
        }
        *tried += 1;
        let first = match merge {
            Merge::Keyed(keys) => only(&list.entries[0], keys),
            Merge::Set | Merge::Atomic => list.entries[0].clone(),
        };
        let (expected, kind): (Value, _) = match merge {
            Merge::Keyed(_) => (list.entries.into(), "keyed"),
            Merge::Set => (list.entries.into(), "set"),
            Merge::Atomic => ([first.clone()].into_iter().collect(), "atomic"),
        };
        let mut body = wanted(&list.around, [first].into_iter().collect());
        for key in ["apiVersion", "kind"] {
            body[key] = live[key].clone();
        }
        for (content, query) in WAYS.into_iter().filter(|(content, _)| *merge != Merge::Set || content.contains("apply")) {
            let path = format!("{path}?dryRun=All&{query}");
            let Ok(answer) = call(client, ("PATCH", content), &path, &body).await else {
                outcome.refused += 1;
                continue;
            };
            if same(types, list.shape, Some(&expected), list.path.find(&answer)) {
                *outcome.agreed.entry(kind).or_default() += 1;
            } else {
                outcome.different.push(format!("{name} ({kind}): {content} {body} gives {:?}", list.path.find(&answer)));
            }
        }
    }
}

/// The lists in a value that an apply can name: in no other list but keyed ones.
fn collect<'a>(
    types: &'a Types,
    shape: &'a Shape,
    (value, path): (&'a Value, &Path),
    around: &[Segment],
    found: &mut Vec<Found<'a>>,
) {
    match value {
        Value::Object(fields) => {
            for (key, value) in fields {
                let around = [around, &[Segment::Key(key.clone())]].concat();
                collect(types, types.field(shape, key), (value, &path.key(key)), &around, found);
            }
        }
        Value::Array(entries) => {
            found.push(Found { path: path.clone(), entries, shape, around: around.to_vec() });
            let (item, Merge::Keyed(keys)) = shape.entries() else { return };
            for entry in entries {
                let parts: Vec<(&str, &Value)> = keys.iter().filter_map(|key| Some((key.as_str(), entry.get(key)?))).collect();
                let name = Segment::entry(&parts);
                let around = [around, std::slice::from_ref(&name)].concat();
                collect(types, item, (entry, &path.child(name)), &around, found);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// An apply that says this value at this place and nothing else.
fn wanted(around: &[Segment], value: Value) -> Value {
    around.iter().rev().fold(value, |inner, segment| match segment {
        Segment::Key(key) => Value::Object(Map::from_iter([(key.clone(), inner)])),
        Segment::Entry(keys) => {
            let mut entry = inner;
            for (key, text) in keys {
                entry[key.as_str()] = serde_json::from_str(text).expect("a key's value as JSON");
            }
            json!([entry])
        }
        Segment::Index(_) => inner,
    })
}

fn only(entry: &Value, keys: &[String]) -> Value {
    keys.iter().filter_map(|key| Some((key.clone(), entry.get(key)?.clone()))).collect::<Map<_, _>>().into()
}

/// A path without the names of entries: of lists of one type.
fn general(path: &Path) -> String {
    let segments = path.0.iter().filter(|segment| matches!(segment, Segment::Key(_))).cloned();
    Path(segments.collect()).to_string()
}
