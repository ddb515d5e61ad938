//! What another policy would have decided, finding by finding.

use std::collections::BTreeMap;
use std::fmt::Write;

use serde_json::{Value, json};
use trueup_core::decide::{DecisionRecord, Inputs, What, decide};
use trueup_core::finding::FindingId;
use trueup_core::policy::Policy;
use trueup_core::run::Run;

use crate::cli::Output;
use crate::command::print;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::visible::visible;

/// What is done about a finding, and why.
#[derive(Debug, Clone, PartialEq, Default)]
struct Course {
    /// `correct`, `propose`, `escalate`, `hold` or `leave`.
    verb: String,
    reasons: Vec<String>,
}

pub(super) fn show(run: &Run, record: &DecisionRecord, policy: &Policy, output: Output) -> Result<Exit, Failure> {
    let decided = serde_json::to_value(decide(&record.inputs.under(policy))).map_err(Failure::usage)?;
    let (then, now) = (courses(&record.decisions), courses(&decided));
    let otherwise = then.iter().filter(|(finding, then)| now.get(*finding).is_none_or(|now| now.verb != then.verb)).count();
    let exit = if otherwise == 0 { Exit::True } else { Exit::Drift };
    if output == Output::Json {
        let told = json!({
            "schema": "trueup.replay/v1",
            "run": run.intent.run,
            "same": otherwise == 0,
            "policy_digest": policy.digest,
            "recorded": record.decisions,
            "decided": decided,
        });
        return print(&format!("{told:#}\n")).map(|_| exit);
    }
    let mut text = match otherwise {
        0 => "the same: this policy decides as the one that was in force\n".to_owned(),
        _ => format!("not the same: this policy decides otherwise about {otherwise} of {}\n", counted(then.len())),
    };
    for (finding, place) in places(&record.inputs) {
        let (Some(then), Some(now)) = (then.get(&finding), now.get(&finding)) else { continue };
        let course = if then.verb == now.verb { then.verb.clone() } else { format!("{} → {}", then.verb, now.verb) };
        writeln!(text, "  {finding}  {course}  {}", visible(&place)).expect("writing to a String cannot fail");
        for reason in now.reasons.iter().filter(|_| then.verb != now.verb) {
            writeln!(text, "      {}", visible(reason)).expect("writing to a String cannot fail");
        }
    }
    print(&text).map(|_| exit)
}

fn counted(findings: usize) -> String {
    if findings == 1 { "1 finding".to_owned() } else { format!("{findings} findings") }
}

/// By finding; what was asked for, as an undo, is about no finding of the round.
fn courses(decisions: &Value) -> BTreeMap<FindingId, Course> {
    let mut courses = BTreeMap::new();
    let all = decisions.as_array().into_iter().flatten().filter_map(Value::as_object);
    for (verb, decision) in all.flat_map(|decision| decision.iter()) {
        let reasons = decision["reasons"].as_array().into_iter().flatten();
        let reasons = reasons.filter_map(Value::as_str).map(str::to_owned).collect();
        let course = Course { verb: verb.clone(), reasons };
        let corrected = decision["corrected"].as_array().into_iter().flatten().map(|one| &one[0]);
        for finding in corrected.chain(decision.get("finding")).filter_map(Value::as_str) {
            courses.insert(FindingId(finding.to_owned()), course.clone());
        }
    }
    courses
}

/// Each finding and where it is, for people.
fn places(inputs: &Inputs) -> Vec<(FindingId, String)> {
    let places = inputs.objects.iter().flat_map(|object| {
        object.findings.iter().map(|weighed| {
            let path = match &weighed.what {
                What::Field { path, .. } => format!(" {path}"),
                What::Object(_) | What::Expectation { .. } => String::new(),
            };
            (weighed.finding.clone(), format!("{}{path}", object.subject))
        })
    });
    places.collect()
}
