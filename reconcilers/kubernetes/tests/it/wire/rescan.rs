//! The second look at a kind: what the server says has changed is read, and nothing else.

use std::collections::BTreeSet;

use trueup_kubernetes::list::{self, Listing, Slot};
use trueup_kubernetes::rescan::Memory;

use super::*;

const LIST: &str = "GET /api/v1/namespaces/n/configmaps?limit=500";

fn one(name: &str) -> String {
    format!("GET /api/v1/namespaces/n/configmaps/{name}")
}

/// An object as a full list has it.
fn object(name: &str, uid: &str, version: &str, data: &str) -> Value {
    json!({"metadata": {"name": name, "namespace": "n", "uid": uid, "resourceVersion": version}, "data": {"k": data}})
}

/// The same as a list of metadata has it.
fn head(name: &str, uid: &str, version: &str) -> Value {
    json!({"metadata": {"name": name, "namespace": "n", "uid": uid, "resourceVersion": version}})
}

fn items(items: &[Value]) -> Answer {
    Answer::Json(200, json!({"metadata": {"resourceVersion": "9"}, "items": items}))
}

/// Two objects, and two looks at them, the second one with this answer to the list.
fn two_looks(second: &[Answer]) -> Script {
    let first = items(&[object("a", "ua", "1", "old"), object("b", "ub", "2", "old"), object("other", "uo", "3", "x")]);
    Script::default().on(LIST, &[&[first], second].concat())
}

fn wanted() -> BTreeSet<Slot> {
    ["a", "b"].into_iter().map(|name| (Some("n".to_owned()), name.to_owned())).collect()
}

async fn look(cluster: &Cluster, resource: &Resource) -> Listing {
    list::list(cluster, resource, &wanted(), 500).await
}

/// Name and data of what was found.
fn data(listing: &Listing) -> Vec<(String, String)> {
    let text = |value: &Value| value["data"]["k"].as_str().unwrap_or("none").to_owned();
    listing.found.iter().map(|((_, name), live)| (name.clone(), text(&live.value))).collect()
}

async fn second(script: &Script, resource: &Resource) -> (Cluster, Listing) {
    let cluster = serve(script.clone()).await.remembering(Memory::default());
    let pair = |name: &str, data: &str| (name.to_owned(), data.to_owned());
    assert_eq!(data(&look(&cluster, resource).await), [pair("a", "old"), pair("b", "old")]);
    let listing = look(&cluster, resource).await;
    (cluster, listing)
}

fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(name, data)| ((*name).to_owned(), (*data).to_owned())).collect()
}

#[tokio::test]
async fn what_has_kept_its_version_is_not_read_again() {
    let script = two_looks(&[items(&[head("a", "ua", "1"), head("b", "ub", "2"), head("other", "uo", "4")])]);
    let (_, listing) = second(&script, &config_maps()).await;
    assert_eq!((data(&listing), listing.failed.len()), (pairs(&[("a", "old"), ("b", "old")]), 0));
    assert_eq!(script.count(LIST), 2);
}

#[tokio::test]
async fn what_has_another_version_or_uid_is_read() {
    for other in [head("b", "ub", "5"), head("b", "new", "2"), json!({"metadata": {"name": "b", "namespace": "n"}})] {
        let script = two_looks(&[items(&[head("a", "ua", "1"), other])])
            .on(&one("b"), &[Answer::Json(200, object("b", "ub", "5", "new"))]);
        let (cluster, listing) = second(&script, &config_maps()).await;
        assert_eq!(data(&listing), pairs(&[("a", "old"), ("b", "new")]));
        assert_eq!((script.count(LIST), script.count(&one("b"))), (2, 1));
        assert_eq!(data(&look(&cluster, &config_maps()).await).len(), 2);
    }
}

#[tokio::test]
async fn what_is_gone_is_gone() {
    let script = two_looks(&[items(&[head("b", "ub", "2")]), items(&[head("a", "ua", "7"), head("b", "ub", "2")])])
        .on(&one("a"), &[status(404, "gone again")]);
    let (cluster, listing) = second(&script, &config_maps()).await;
    assert_eq!(data(&listing), pairs(&[("b", "old")]));
    assert_eq!(data(&look(&cluster, &config_maps()).await), pairs(&[("b", "old")]), "gone between list and read");
    assert_eq!(script.count(&one("a")), 1);
}

#[tokio::test]
async fn a_rescan_that_fails_blinds_and_the_next_look_is_a_first_one() {
    let whole = items(&[object("a", "ua", "1", "anew"), object("b", "ub", "2", "anew")]);
    let script = two_looks(&[status(401, "Unauthorized"), whole.clone()]);
    let (cluster, listing) = second(&script, &config_maps()).await;
    assert_eq!((listing.found.len(), listing.failed.len()), (0, 1));
    assert_eq!(data(&look(&cluster, &config_maps()).await), pairs(&[("a", "anew"), ("b", "anew")]));
    let script = two_looks(&[items(&[head("a", "ua", "1"), head("b", "ub", "5")]), whole]).on(&one("b"), &[status(401, "x")]);
    let (cluster, listing) = second(&script, &config_maps()).await;
    assert_eq!((listing.found.len(), listing.failed.len()), (0, 1));
    assert_eq!(data(&look(&cluster, &config_maps()).await), pairs(&[("a", "anew"), ("b", "anew")]));
}

#[tokio::test]
async fn where_a_list_is_the_better_way_all_is_read() {
    let whole = items(&[object("a", "ua", "1", "anew"), object("b", "ub", "5", "anew")]);
    let refused = two_looks(&[status(406, "not acceptable"), whole.clone()]);
    assert_eq!(data(&second(&refused, &config_maps()).await.1), pairs(&[("a", "anew"), ("b", "anew")]));
    let list_only =
        two_looks(&[items(&[head("a", "ua", "1"), head("b", "ub", "5")]), whole.clone()]).on(&one("b"), &[status(403, "no get")]);
    assert_eq!(data(&second(&list_only, &config_maps()).await.1), pairs(&[("a", "anew"), ("b", "anew")]));
    // A custom resource may be given otherwise under the same version.
    let custom = Resource { group: "example.com".into(), ..config_maps() };
    let list = "GET /apis/example.com/v1/namespaces/n/configmaps?limit=500";
    let first = items(&[object("a", "ua", "1", "old"), object("b", "ub", "5", "old")]);
    let script = Script::default().on(list, &[first, whole.clone()]);
    assert_eq!(data(&second(&script, &custom).await.1), pairs(&[("a", "anew"), ("b", "anew")]));
    // So may anything under another version of the server.
    let memory = Memory::default();
    memory.hold_to("v1.36.3");
    let script = two_looks(&[whole]);
    let cluster = serve(script).await.remembering(memory.clone());
    look(&cluster, &config_maps()).await;
    memory.hold_to("v1.36.4");
    assert_eq!(data(&look(&cluster, &config_maps()).await), pairs(&[("a", "anew"), ("b", "anew")]));
}

#[tokio::test]
async fn what_is_not_wanted_is_not_taken_apart() {
    let deep = format!("{}1{}", "[".repeat(500), "]".repeat(500));
    let unwanted: Value = json!({"metadata": {"name": "z", "namespace": "n"}, "data": "DEEP"});
    let page = json!({"metadata": {"resourceVersion": "9"}, "items": [object("a", "ua", "1", "x"), unwanted]});
    let text = page.to_string().replace("\"DEEP\"", &deep);
    let script = Script::default().on(LIST, &[Answer::Text(text.clone())]);
    assert_eq!(data(&look(&serve(script).await, &config_maps()).await), pairs(&[("a", "x")]));
    let script = Script::default().on(LIST, &[Answer::Text(text.replace("\"z\"", "\"b\""))]);
    let listing = look(&serve(script).await, &config_maps()).await;
    assert!(matches!(listing.failed[..], [(_, ListError::Broken { .. })]), "{:?}", listing.failed);
}
