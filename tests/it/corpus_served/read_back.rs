//! The read-back corpus: what the server admits, put there in each way, is what Git says.

use std::collections::BTreeMap;

use serde_json::Value;

use super::ground::{Ground, Put, Way};
use super::objects::Object;
use crate::world::World;

/// One line of the table.
struct Row {
    way: Way,
    given: usize,
    put: Put,
}

#[test]
fn the_corpus_as_put_there_is_what_git_says() {
    let Some(mut ground) = Ground::new() else { return };
    let corpus = &ground.corpus;
    println!("{} files: {} objects, {} documents that are none", corpus.files, corpus.objects.len(), corpus.unread.len());
    for line in &corpus.unread {
        println!("  no object  {line}");
    }
    let mut faults = Vec::new();
    for (way, name) in [(Way::Create, "created"), (Way::Apply, "applied"), (Way::ServerSide, "served")] {
        let (moved, mut definitions) = ground.prepare(name, way);
        let rest = ground.put(way, &moved.objects);
        let given = moved.definitions.len() + moved.objects.len();
        definitions.admitted.extend(rest.admitted);
        definitions.refused.extend(rest.refused);
        let row = Row { way, given, put: definitions };
        ground.declare(name, &row.put.admitted);
        faults.extend(judge(&ground, &row));
        if way == Way::Create {
            let put = ground.put(Way::Replace, &row.put.admitted);
            let replaced = Row { way: Way::Replace, given: row.put.admitted.len(), put };
            faults.extend(judge(&ground, &replaced));
        }
    }
    assert_eq!(faults, [""; 0]);
}

/// Looks as each account, and prints what it saw; returns what should not be.
fn judge(ground: &Ground, row: &Row) -> Vec<String> {
    println!("{:?}: {} objects, {} admitted, {} refused", row.way, row.given, row.put.admitted.len(), row.put.refused.len());
    let mut faults = tell_refused(&row.put.refused);
    for (rights, world) in &ground.accounts {
        let begun = std::time::Instant::now();
        let report = look(world);
        let counts = &report["targets"][0]["objects"];
        let findings = report["findings"].as_array().unwrap();
        println!("  {rights:?}: {counts}, {} findings, {:.1} s", findings.len(), begun.elapsed().as_secs_f32());
        let number = |key: &str| counts[key].as_u64().unwrap();
        if number("true") != number("declared") {
            faults.push(format!("{:?} {rights:?}: not all are true: {counts}", row.way));
        }
        faults.extend(findings.iter().map(|finding| format!("{:?} {rights:?}: {}", row.way, told(finding))));
        let mut codes: BTreeMap<&str, usize> = BTreeMap::new();
        for problem in report["problems"].as_array().unwrap() {
            *codes.entry(problem["code"].as_str().unwrap()).or_default() += 1;
        }
        println!("    problems: {codes:?}");
        for problem in report["problems"].as_array().unwrap() {
            println!("      {} {}", problem["code"], problem["message"].as_str().unwrap().chars().take(300).collect::<String>());
        }
    }
    faults
}

fn tell_refused(refused: &[(Object, String)]) -> Vec<String> {
    for (object, reason) in refused {
        println!("  refused  {}: {}", object.from, reason.chars().take(200).collect::<String>());
    }
    let silent = refused.iter().filter(|(_, reason)| reason.is_empty());
    silent.map(|(object, _)| format!("{} is not there, and nobody said why", object.from)).collect()
}

pub fn look(world: &World) -> Value {
    let ended = world.trueup(&["diff", "-o", "json"]);
    assert!(matches!(ended.code, Some(0 | 1 | 3)), "{}", ended.stderr);
    ended.json()
}

fn told(finding: &Value) -> String {
    let object = &finding["object"];
    format!(
        "{} {}/{} {} {} {} → {} ({}, {})",
        object["kind"],
        object["namespace"],
        object["name"],
        finding["path"],
        finding["change"],
        finding["desired"],
        finding["live"],
        finding["evidence"],
        finding["cause"]["manager"]
    )
}
