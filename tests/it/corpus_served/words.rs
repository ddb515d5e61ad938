//! What the server makes of Git's words alone, asked here once more and independently of trueup: a dry run of creating each
//! object under another name.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::api::{path_of, text};
use super::live::Live;
use super::objects::{Object, label};

/// The server's answers, by label; none for what it does not create a second time, such as a port that is taken.
pub fn words(live: &Live<'_>, objects: &[Object]) -> BTreeMap<String, Value> {
    let answers = objects.iter().filter_map(|object| Some((label(&object.value), word(live, &object.value)?)));
    answers.collect()
}

fn word(live: &Live<'_>, declared: &Value) -> Option<Value> {
    let path = path_of(&live.kinds, declared)?;
    let collection = path.rsplit_once('/')?.0;
    let body = renamed(declared);
    let reply =
        live.api.call("POST", &format!("{collection}?dryRun=All&fieldValidation=Ignore"), "application/json", Some(&body));
    let mut answer = reply.is_ok().then_some(reply.body)?;
    let metadata = answer["metadata"].as_object_mut()?;
    metadata.remove("generateName");
    metadata.insert("name".to_owned(), declared["metadata"]["name"].clone());
    if declared["kind"] == "Namespace" {
        answer["metadata"]["labels"]["kubernetes.io/metadata.name"] = declared["metadata"]["name"].clone();
    }
    if has_group(declared) {
        answer["spec"]["group"] = declared["spec"]["group"].clone();
    }
    Some(answer)
}

/// Names that say what they are get another group; the others are left to the server.
fn renamed(declared: &Value) -> Value {
    let mut body = declared.clone();
    let metadata = body["metadata"].as_object_mut().unwrap();
    metadata.remove("name");
    metadata.insert("generateName".to_owned(), "again-".into());
    if has_group(declared) {
        let group = format!("again.{}", text(&declared["spec"]["group"]));
        let before = if declared["kind"] == "APIService" { "version" } else { "names/plural" };
        let before = text(&declared["spec"].pointer(&format!("/{before}")).cloned().unwrap_or_default());
        body["metadata"]["name"] = format!("{before}.{group}").into();
        body["spec"]["group"] = json!(group);
    }
    body
}

fn has_group(declared: &Value) -> bool {
    declared["kind"] == "CustomResourceDefinition" || declared["kind"] == "APIService"
}
