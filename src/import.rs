//! `trueup policy import`: the ignore rules of Argo CD and Flux as a policy, with what each means spelt out.

mod argo;
mod flux;
mod jq;
mod rule;

use std::fmt::Write;
use std::path::{Path, PathBuf};

use anyhow::Context;
use serde_json::Value;
use trueup_core::facts::{Desired, Origin};
use trueup_kubernetes::manifest;

use crate::command::print;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::visible::visible;

use rule::Found;

const HEAD: &str = "\
# Ignore rules, imported. Argo CD and Flux compare without what such a rule names. trueup tells it in lane `ignore`, and
# neither writes nor proposes it; everything beside it is judged as ever. A rule that matches nothing for 30 days is told.
";

/// Prints the rules of these files as a policy; what cannot be said in one is named, with the reason.
///
/// # Errors
/// A file that cannot be read, and files without any rule.
pub fn import(files: &[PathBuf]) -> Result<Exit, Failure> {
    let mut found = Vec::new();
    for file in files {
        let bytes = std::fs::read(file).with_context(|| format!("cannot read `{}`", file.display())).map_err(Failure::usage)?;
        found.extend(rules_of(file, &bytes).map_err(Failure::usage)?);
    }
    if found.is_empty() {
        let message = "no ignore rule in these files: give Argo CD Applications, the ConfigMap argocd-cm, Flux HelmReleases or \
                       Kustomizations, or manifests with Flux's annotations";
        return Err(Failure::usage(anyhow::anyhow!(message)));
    }
    let refused = found.iter().filter(|found| matches!(found, Found::Refused { .. })).count();
    if refused > 0 {
        eprintln!("{refused} not imported: see the comments that begin with `Not imported`");
    }
    print(&policy(&found))
}

/// What the objects of one file hold.
///
/// # Errors
/// A file that is no manifest.
fn rules_of(file: &Path, bytes: &[u8]) -> anyhow::Result<Vec<Found>> {
    let (objects, problems) = manifest::read(&file.display().to_string(), bytes);
    if let Some(problem) = problems.first() {
        anyhow::bail!("{problem}");
    }
    let of_object = |object: &Desired| {
        let group = object.id.group();
        let mut found = match (group, object.id.kind.as_str()) {
            ("argoproj.io", "Application" | "ApplicationSet") => argo::application(object),
            ("", "ConfigMap") if object.id.name == "argocd-cm" => argo::settings(object),
            ("helm.toolkit.fluxcd.io", "HelmRelease") | ("kustomize.toolkit.fluxcd.io", "Kustomization") => flux::release(object),
            _ => Vec::new(),
        };
        found.extend(flux::annotations(object));
        found
    };
    Ok(objects.iter().flat_map(of_object).collect())
}

/// The policy's text.
fn policy(found: &[Found]) -> String {
    let mut names = std::collections::BTreeMap::new();
    let mut text = HEAD.to_owned();
    for found in found {
        text.push('\n');
        match found {
            Found::Rule(rule) => {
                let count = names.entry(rule.name.clone()).and_modify(|count| *count += 1).or_insert(1);
                let name = if *count == 1 { rule.name.clone() } else { format!("{}-{count}", rule.name) };
                text.push_str(&rule.print(&name));
            }
            Found::Refused { origin, from, what, why } => {
                let line = format!("# Not imported: {} ({from}): `{what}`: {why}", place(origin));
                writeln!(text, "{}", visible(&line)).expect("writing to a String cannot fail");
            }
        }
    }
    text
}

fn place(origin: &Origin) -> String {
    format!("{}:{}", origin.file, origin.line)
}

/// The texts of a list; what is none is left out.
fn texts(value: Option<&Value>) -> Vec<String> {
    let entries = value.and_then(Value::as_array).into_iter().flatten();
    entries.filter_map(Value::as_str).map(str::to_owned).collect()
}

/// Where a value of an object stands, by its JSON pointer.
fn origin_of(object: &Desired, pointer: &str) -> Origin {
    match object.positions.get(pointer) {
        Some(position) => Origin { line: position.line, column: position.column, ..object.origin.clone() },
        None => object.origin.clone(),
    }
}

#[cfg(test)]
mod tests;
