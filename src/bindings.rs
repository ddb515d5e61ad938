//! Bindings: outputs of Terraform states that must equal fields of manifests, or outputs of other states. They are joined when
//! all targets have been judged, as each of them concerns two.

use std::collections::BTreeMap;

use serde_json::Value;
use trueup_core::diff::Comparison;
use trueup_core::facts::{Desired, Evidence, Origin, Pair, Problem, Secrecy};
use trueup_core::finding::{Cause, Difference, Divergence, Expectation, Finding, OutputId, Predicate, Subject, Surroundings};
use trueup_core::object::TargetName;
use trueup_core::path::Path;
use trueup_core::policy::Policy;
use trueup_core::reach::Topology;
use trueup_core::secret;
use trueup_core::seen::{DigestKey, Seen};
use trueup_kubernetes::manifest;
use trueup_terraform::bind::{self, Binding, To, in_field, is_same, is_sensitive, part};
use trueup_terraform::state::State;

use crate::config::TargetKind;
use crate::explain::is_named;
use crate::session::Session;
use crate::source::{self, Pinned};
use crate::target::{Judged, JudgedCase, Judging, Reach};

/// Judges the bindings of each Terraform target, and tells the findings of bound fields what binds them.
pub fn join(session: &Session, pinned: &Pinned, policy: &Policy, targets: &mut [Judged]) {
    for target in &session.settings.targets {
        let TargetKind::Terraform { bind, .. } = &target.kind else { continue };
        let Some(at) = targets.iter().position(|judged| judged.name == target.name) else { continue };
        let Reach::State(state) = &targets[at].reach else { continue };
        if bind.is_empty() || targets[at].problems.iter().any(|problem| problem.code == "state-went-back") {
            continue;
        }
        let (state, topology) = (state.as_ref().clone(), Topology::default());
        let (standing, key) = (&target.standing, &session.key);
        let judging = Judging { source: &pinned.name, policy, key, standing, topology: &topology };
        let (bindings, mut problems) = bindings(pinned, bind);
        for binding in &bindings {
            let judged = match &binding.to {
                To::Field { file, object, path } => {
                    let compared = field(pinned, (file, object, path)).and_then(|field| compared(binding, &state, field));
                    compared.map(|compared| {
                        let moved = tell_field((&target.name, binding), &compared, (file, object, path), targets);
                        (compared, moved)
                    })
                }
                To::Output { target, output, pointer } => {
                    outputs(binding, &state, (&*targets, target), (output, pointer), key).map(|compared| (compared, None))
                }
            };
            match judged {
                Ok((compared, moved)) => {
                    let mut finding = compared.difference(&target.name, binding, &state).map(|found| judging.classify(found));
                    if let Some(finding) = &mut finding {
                        finding.reasons.extend(moved);
                    }
                    let findings = finding.into_iter().collect();
                    targets[at].cases.push(JudgedCase { pair: None, comparison: Comparison::default(), findings });
                }
                Err((code, message)) => problems.push(Problem::blind(code, message, Some(binding.origin.clone()))),
            }
        }
        targets[at].problems.extend(problems);
    }
}

/// What Git binds, from all files of a target.
#[must_use]
pub fn bindings(pinned: &Pinned, files: &[String]) -> (Vec<Binding>, Vec<Problem>) {
    let (mut bindings, mut problems) = (Vec::new(), Vec::new());
    for file in files {
        match source::read_text(pinned, file) {
            Ok(Some(text)) => {
                let (read, found) = bind::read(file, &text);
                bindings.extend(read);
                problems.extend(found);
            }
            Ok(None) => {
                let message = format!("`{file}` is not in commit {}: commit it, or correct `bind` in trueup.toml", pinned.commit);
                problems.push(Problem::blind("path-not-found", message, None));
            }
            Err(error) => problems.push(Problem::blind("source-unreadable", error.to_string(), None)),
        }
    }
    (bindings, problems)
}

/// What of the bindings can be known without any state: that their fields are there, and their targets.
#[must_use]
pub fn check(session: &Session, pinned: &Pinned, files: &[String]) -> (usize, Vec<Problem>) {
    let (bindings, mut problems) = bindings(pinned, files);
    for binding in &bindings {
        let found = match &binding.to {
            To::Field { file, object, path } => field(pinned, (file, object, path)).map(drop),
            To::Output { target, .. } => state_of(session, target),
        };
        if let Err((code, message)) = found {
            problems.push(Problem::blind(code, message, Some(binding.origin.clone())));
        }
    }
    (bindings.len(), problems)
}

/// A stable name, and what is wrong with a binding.
type Fault = (&'static str, String);

fn state_of(session: &Session, name: &TargetName) -> Result<(), Fault> {
    let is_it = |target: &&crate::config::Target| target.name == *name;
    match session.settings.targets.iter().find(is_it).map(|target| &target.kind) {
        Some(TargetKind::Terraform { .. }) => Ok(()),
        Some(_) => Err(("binding", format!("target `{name}` is no Terraform state"))),
        None => Err(("binding", format!("there is no target `{name}` here: name a Terraform target of trueup.toml"))),
    }
}

/// A field as Git declares it.
struct Field {
    value: Value,
    origin: Origin,
}

fn field(pinned: &Pinned, (file, object, path): (&str, &str, &Path)) -> Result<Field, Fault> {
    let text = source::read(pinned, file).map_err(|error| ("binding-not-found", error.to_string()))?;
    let text = text.ok_or_else(|| ("binding-not-found", format!("`{file}` is not in commit {}", pinned.commit)))?;
    let declared = declared(file, &text, object)?;
    let value = path.find(&declared.value);
    let value = value.ok_or_else(|| {
        ("binding-not-found", format!("`{object}` in `{file}` has no `{path}`: declare it, for a binding to keep it right"))
    })?;
    // Which key masks it makes no difference to whether it is masked.
    let seen = secret::seen(Secrecy::Open, path, value, &DigestKey::new(b"whether it is secret"));
    if declared.id.is_secret() || matches!(seen, Seen::Masked(_)) {
        let message = format!("`{path}` of `{object}` is secret: a binding would put its value into Git in clear");
        return Err(("binding-secret", message));
    }
    Ok(Field { value: value.clone(), origin: declared.origin_of(path) })
}

/// The object of this name in a file.
///
/// # Errors
/// When there is none, or there are several.
pub fn declared(file: &str, text: &[u8], object: &str) -> Result<Desired, Fault> {
    let (objects, _) = manifest::read(file, text);
    let mut named = objects.into_iter().filter(|declared| is_named(&declared.id, object));
    match (named.next(), named.next()) {
        (Some(declared), None) => Ok(declared),
        (Some(_), Some(_)) => {
            Err(("binding-not-found", format!("`{file}` declares more than one `{object}`: name its namespace, too")))
        }
        (None, _) => Err(("binding-not-found", format!("`{file}` declares no `{object}`: correct file or object"))),
    }
}

/// What a binding compares: what should be, and what the output is.
struct Compared {
    predicate: Predicate,
    desired: Option<Seen>,
    live: Option<Seen>,
    is_equal: bool,
    origin: Origin,
}

impl Compared {
    fn difference(self, target: &TargetName, binding: &Binding, state: &State) -> Option<Difference> {
        if self.is_equal {
            return None;
        }
        let subject = Subject::Output(OutputId {
            state: state.location.clone(),
            serial: state.serial,
            lineage: state.lineage.clone(),
            output: binding.output.clone(),
            bound: Some(binding.bound()),
        });
        let Self { predicate, desired, live, origin, .. } = self;
        Some(Difference {
            target: target.clone(),
            subject,
            divergence: Divergence::Expectation(Expectation { predicate, desired, live }),
            // A state does not tell who wrote it.
            cause: Cause::default(),
            evidence: Some(Evidence::State),
            origin,
            labels: BTreeMap::new(),
            ignored_in_git: false,
            surroundings: Surroundings::default(),
        })
    }
}

/// An output against the field that it is bound to.
fn compared(binding: &Binding, state: &State, field: Field) -> Result<Compared, Fault> {
    let output = state.outputs.get(&binding.output);
    if is_sensitive(output) {
        let message = format!("the output `{}` is sensitive: a binding would put it into Git in clear", binding.output);
        return Err(("binding-secret", message));
    }
    let live = match part(output, &binding.pointer) {
        Some(value) => Some(in_field(value, &field.value).ok_or_else(|| {
            let message = format!(
                "the field holds a {}, and the output `{}` is none: bind a part of it",
                kind(&field.value),
                binding.output
            );
            ("binding-type", message)
        })?),
        None => None,
    };
    let is_equal =
        part(output, &binding.pointer).is_some_and(|value| is_same(value, &field.value)) || live.as_ref() == Some(&field.value);
    let (desired, live) = (Some(Seen::Plain(field.value)), live.map(Seen::Plain));
    Ok(Compared { predicate: Predicate::Bound, desired, live, is_equal, origin: field.origin })
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "number",
        Value::String(_) => "text",
        Value::Array(_) => "list",
        Value::Object(_) => "map",
    }
}

/// An output against an output of another state. What either calls sensitive is a mask on both sides.
fn outputs(
    binding: &Binding,
    state: &State,
    (targets, target): (&[Judged], &TargetName),
    (output, pointer): (&str, &jsonptr::PointerBuf),
    key: &DigestKey,
) -> Result<Compared, Fault> {
    let other = targets.iter().find(|judged| judged.name == *target).map(|judged| &judged.reach);
    let Some(Reach::State(other)) = other else {
        return Err(("binding", format!("the state of target `{target}` was not read in this round")));
    };
    let (own, others) = (state.outputs.get(&binding.output), other.outputs.get(output));
    let is_secret = is_sensitive(own) || is_sensitive(others);
    let seen = |value: Value| if is_secret { Seen::Masked(key.mask(&value)) } else { Seen::Plain(value) };
    let (own, others) = (part(own, &binding.pointer), part(others, pointer));
    Ok(Compared {
        predicate: Predicate::SameAs,
        desired: others.map(|value| seen(value.shown())),
        live: own.map(|value| seen(value.shown())),
        is_equal: own.is_some() && own == others,
        origin: binding.origin.clone(),
    })
}

/// Tells the finding of a bound field what binds it: Git follows the output, so it does not follow another live value. Where
/// live has moved, too, says so.
fn tell_field(
    (target, binding): (&TargetName, &Binding),
    compared: &Compared,
    (file, object, path): (&str, &str, &Path),
    targets: &mut [Judged],
) -> Option<String> {
    let is_it = |case: &&mut JudgedCase| {
        let desired = case.pair.as_ref().map(Pair::desired);
        desired.is_some_and(|desired| desired.origin.file == file && is_named(&desired.id, object))
    };
    let cases = targets.iter_mut().flat_map(|judged| &mut judged.cases).filter(is_it);
    let is_bound = |finding: &&mut Finding| match &finding.difference.divergence {
        Divergence::Field(drift) => drift.path.covers(path) || path.covers(&drift.path),
        Divergence::Object(_) | Divergence::Expectation(_) => false,
    };
    let mut moved = None;
    for finding in cases.flat_map(|case| &mut case.findings).filter(is_bound) {
        let output = &binding.output;
        finding.reasons.push(format!("`{path}` is bound to the output `{output}` of target `{target}`"));
        if compared.is_equal {
            finding.kept = Some(format!(
                "it is bound to the output `{output}` of target `{target}`, which is as Git says: Git does not follow live; put \
                 live right, or change the output"
            ));
        } else {
            let both = format!(
                "the output `{output}` of target `{target}`, to which it is bound, has moved, too: the binding's proposal edits \
                 this line, and what is live is decided about when it is merged"
            );
            finding.barred = Some(both.clone());
            finding.kept = Some(both);
            let (_, live) = finding.difference.values();
            let live = live.map_or_else(|| "it has none".to_owned(), |live| format!("it has {live}"));
            moved =
                Some(format!("both have moved: live (target `{}`) is not as Git says either, {live}", finding.difference.target));
        }
    }
    moved
}
