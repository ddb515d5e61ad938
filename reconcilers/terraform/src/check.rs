//! Expectations against a state's outputs: what differs, and what could not be judged.

use std::collections::BTreeMap;

use serde_json::Value;
use trueup_core::facts::{Evidence, Problem};
use trueup_core::finding::{Cause, Difference, Divergence, Expectation as Unmet, OutputId, Predicate, Subject};
use trueup_core::object::TargetName;
use trueup_core::seen::{DigestKey, Seen};

use crate::expect::{Expectation, Predicated, Test};
use crate::state::{Output, OutputValue, State};
use crate::value::ExactValue;

/// Compares a state with what Git expects of it: at most one difference for each output, in the order of `expectations`.
///
/// An output that no expectation names is no difference. An output that the state marks as sensitive, or that a
/// `sensitive` predicate is about, appears only as a mask.
#[must_use]
pub fn check(
    target: &TargetName,
    expectations: &[Expectation],
    state: &State,
    key: &DigestKey,
) -> (Vec<Difference>, Vec<Problem>) {
    let (expectations, mut problems) = one_for_each_output(expectations);
    let mut differences = Vec::new();
    for expectation in expectations {
        let output = state.outputs.get(&expectation.output);
        problems.extend(secrets_in_git(expectation, output));
        if let Some(unmet) = expectation.predicates.iter().find(|predicate| !is_met(&predicate.test, output)) {
            differences.push(difference(target, expectation, unmet, state, key));
        }
    }
    (differences, problems)
}

/// Two expectations of one output could not both be proposed, so the second is a problem and is not judged.
fn one_for_each_output(expectations: &[Expectation]) -> (Vec<&Expectation>, Vec<Problem>) {
    let mut first: BTreeMap<&str, &Expectation> = BTreeMap::new();
    let mut kept = Vec::new();
    let mut problems = Vec::new();
    for expectation in expectations {
        if let Some(other) = first.get(expectation.output.as_str()) {
            let message = format!(
                "the output `{}` is expected at {} already; merge the two, only the first is judged",
                expectation.output, other.origin
            );
            problems.push(Problem::blind("expected-twice", message, Some(expectation.origin.clone())));
        } else {
            first.insert(&expectation.output, expectation);
            kept.push(expectation);
        }
    }
    (kept, problems)
}

/// An output's author calls it sensitive and Git spells it out.
fn secrets_in_git(expectation: &Expectation, output: Option<&Output>) -> Vec<Problem> {
    if !matches!(output, Some(Output { value: OutputValue::Sensitive(_), .. })) {
        return Vec::new();
    }
    let spelled_out = expectation.predicates.iter().filter(|predicate| match predicate.test {
        Test::Equals(_) | Test::OneOf(_) | Test::Set(_) | Test::Subset(_) => true,
        Test::Matches(_) | Test::Min(_) | Test::Max(_) | Test::Present | Test::Absent | Test::Sensitive(_) => false,
    });
    spelled_out
        .map(|predicate| {
            let message = format!(
                "the output `{}` is sensitive, and its `{}` stands here in clear text; write `sensitive` with a digest, and \
                 change the secret, for Git remembers it",
                expectation.output,
                predicate.test.predicate().name()
            );
            Problem::note("secret-in-git", message, Some(expectation.origin_of(predicate)))
        })
        .collect()
}

fn is_met(test: &Test, output: Option<&Output>) -> bool {
    let Some(output) = output else {
        return matches!(test, Test::Absent);
    };
    match (test, output.value.expose()) {
        (Test::Present, _) => true,
        (Test::Equals(wanted), live) => wanted == live,
        (Test::OneOf(wanted), live) => wanted.contains(live),
        (Test::Sensitive(seal), live) => seal.fits(live),
        (Test::Matches(pattern), ExactValue::String(live)) => pattern.is_full_match(live),
        (Test::Min(least), ExactValue::Number(live)) => live >= least,
        (Test::Max(most), ExactValue::Number(live)) => live <= most,
        (Test::Set(wanted), ExactValue::List(live)) => sorted(wanted) == sorted(live),
        (Test::Subset(wanted), ExactValue::List(live)) => wanted.iter().all(|member| live.contains(member)),
        // There, or of another kind than can be asked so: a number where a pattern wants a string.
        (Test::Absent | Test::Matches(_) | Test::Min(_) | Test::Max(_) | Test::Set(_) | Test::Subset(_), _) => false,
    }
}

fn sorted(members: &[ExactValue]) -> Vec<&ExactValue> {
    let mut sorted: Vec<_> = members.iter().collect();
    sorted.sort();
    sorted
}

fn difference(target: &TargetName, expectation: &Expectation, unmet: &Predicated, state: &State, key: &DigestKey) -> Difference {
    let output = state.outputs.get(&expectation.output);
    let seen = seeing(&unmet.test, output, key);
    Difference {
        target: target.clone(),
        subject: Subject::Output(OutputId {
            state: state.location.clone(),
            serial: state.serial,
            lineage: state.lineage.clone(),
            output: expectation.output.clone(),
            bound: None,
        }),
        divergence: Divergence::Expectation(Unmet {
            predicate: unmet.test.predicate(),
            desired: asked_for(&unmet.test).map(&seen),
            live: output.map(|output| seen(output.value.expose().shown())),
        }),
        // A state does not tell who wrote it.
        cause: Cause::default(),
        evidence: Some(Evidence::State),
        origin: expectation.origin_of(unmet),
        labels: BTreeMap::new(),
        ignored_in_git: false,
        surroundings: trueup_core::finding::Surroundings::default(),
    }
}

/// How both values of a difference appear. A secret masks the wanted value too: beside a mask it would tell how the secret
/// differs.
fn seeing<'a>(test: &Test, output: Option<&Output>, key: &'a DigestKey) -> impl Fn(Value) -> Seen + use<'a> {
    let is_secret = test.predicate() == Predicate::Sensitive
        || output.is_some_and(|output| matches!(output.value, OutputValue::Sensitive(_)));
    move |value| if is_secret { Seen::Masked(key.mask(&value)) } else { Seen::Plain(value) }
}

/// What a predicate asks for, as it is shown; `present` and `absent` name no value.
fn asked_for(test: &Test) -> Option<Value> {
    let list = |members: &[ExactValue]| members.iter().map(ExactValue::shown).collect();
    match test {
        Test::Equals(value) => Some(value.shown()),
        Test::OneOf(values) | Test::Set(values) | Test::Subset(values) => Some(list(values)),
        Test::Matches(pattern) => Some(Value::from(pattern.as_str())),
        Test::Min(number) | Test::Max(number) => Some(ExactValue::Number(number.clone()).shown()),
        Test::Sensitive(seal) => Some(Value::from(seal.to_string())),
        Test::Present | Test::Absent => None,
    }
}
