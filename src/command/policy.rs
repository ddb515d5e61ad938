//! `trueup policy test` and `trueup policy list`: what a policy says, and whether it does what its cases say.

use std::fmt::Write;
use std::path::PathBuf;

use serde::Serialize;
use serde_json::json;
use trueup_core::facts::Problem;
use trueup_core::finding::{Lane, Stage};
use trueup_core::policy::{Class, Ownership, Policy, Proof, Remedy};
use trueup_core::proof::broken;

use crate::cli::{Global, Output};
use crate::command::{check, print};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::report::text::count;
use crate::session;
use crate::visible::visible;

/// Runs the cases: exit code 1 where one does not hold, or where a class that would correct has none.
pub(super) async fn test(global: &Global, files: &[PathBuf], output: Output) -> Result<Exit, Failure> {
    let policy = read(global, files).await?;
    let broken = broken(&policy);
    let without: Vec<&Class> = policy.classes.iter().filter(|class| class.proof == Proof::Missing).collect();
    let is_short = without.iter().any(|class| class.stage == Stage::Auto);
    let exit = if broken.is_empty() && !is_short { Exit::True } else { Exit::Drift };
    let held = policy.cases.len() - broken.len();
    if output == Output::Json {
        let failures = broken.iter().map(|broken| {
            json!({"case": broken.case.name, "origin": broken.case.origin, "expected": broken.case.expected, "found": broken.found})
        });
        let without: Vec<&str> = without.iter().map(|class| class.name.as_str()).collect();
        let told = json!({"schema": "trueup.policy-test/v1", "held": held, "failed": failures.collect::<Vec<_>>(), "without_case": without});
        return print(&format!("{}\n", serde_json::to_string_pretty(&told).map_err(Failure::usage)?)).map(|_| exit);
    }
    let mut text = String::new();
    let mut line = |words: String| writeln!(text, "{}", visible(&words)).expect("writing to a String cannot fail");
    for broken in &broken {
        line(format!("{}: case `{}` does not hold", broken.case.origin, broken.case.name));
        line(format!("  expected {}", broken.case.expected));
        line(format!("  found    {}", broken.found));
    }
    for class in without {
        let hint = if class.stage == Stage::Auto { "it has no case, so it counts as recommend" } else { "it has no case" };
        line(format!("{class}: {hint}"));
    }
    line(format!("{} of {} hold", held, count(policy.cases.len(), "case")));
    print(&text).map(|_| exit)
}

/// One class as it is listed.
#[derive(Debug, Serialize)]
struct Listed<'a> {
    name: &'a str,
    file: &'a str,
    line: u32,
    #[serde(rename = "match")]
    matches: String,
    fallback: bool,
    lane: Lane,
    stage: Stage,
    stage_in_force: Stage,
    ownership: Ownership,
    review: Option<Remedy>,
    writes_per_hour: Option<u32>,
    window_seconds: u32,
    cases: usize,
    runbook: Option<&'a str>,
}

/// Prints all that a policy has: classes, ignore rules, freezes and limits.
pub(super) async fn list(global: &Global, files: &[PathBuf], output: Output) -> Result<Exit, Failure> {
    let policy = read(global, files).await?;
    let classes: Vec<Listed<'_>> = policy.classes.iter().map(|class| listed(class, &policy)).collect();
    let text = match output {
        Output::Json => {
            let ignores = policy
                .ignores
                .iter()
                .map(|rule| json!({"name": rule.name, "match": rule.matches.to_string(), "reason": rule.reason}));
            let freezes = policy
                .freezes
                .iter()
                .map(|freeze| json!({"name": freeze.name, "match": freeze.matches.to_string(), "reason": freeze.reason}));
            let told = json!({
                "schema": "trueup.policy/v1",
                "digest": policy.digest,
                "classes": classes,
                "ignores": ignores.collect::<Vec<_>>(),
                "freezes": freezes.collect::<Vec<_>>(),
                "limits": policy.limits,
            });
            format!("{}\n", serde_json::to_string_pretty(&told).map_err(Failure::usage)?)
        }
        Output::Markdown => markdown(&classes),
        Output::Text | Output::Yaml | Output::Csv => plain(&classes, &policy),
    };
    print(&text)
}

fn listed<'a>(class: &'a Class, policy: &Policy) -> Listed<'a> {
    let is_its = |case: &&trueup_core::policy::PolicyCase| case.expected.class.as_ref() == Some(&class.name);
    Listed {
        name: &class.name,
        file: &class.origin.file,
        line: class.origin.line,
        matches: class.matches.to_string(),
        fallback: class.precedence == trueup_core::policy::Precedence::Fallback,
        lane: class.lane,
        stage: class.stage,
        stage_in_force: class.stage_in_force(),
        ownership: class.ownership,
        review: class.review,
        writes_per_hour: class.writes_per_hour,
        window_seconds: class.window_seconds,
        cases: policy.cases.iter().filter(is_its).count(),
        runbook: class.runbook.as_deref(),
    }
}

fn stage(class: &Listed<'_>) -> String {
    if class.stage == class.stage_in_force {
        class.stage.name().to_owned()
    } else {
        format!("{} (counts as {})", class.stage.name(), class.stage_in_force.name())
    }
}

fn limits(class: &Listed<'_>) -> String {
    class.writes_per_hour.map_or_else(|| "no limit".to_owned(), |limit| format!("{limit} writes an hour"))
}

fn plain(classes: &[Listed<'_>], policy: &Policy) -> String {
    let mut text = String::new();
    let mut line = |words: String| writeln!(text, "{}", visible(&words)).expect("writing to a String cannot fail");
    for class in classes {
        let fallback = if class.fallback { " (fallback)" } else { "" };
        line(format!("{}{fallback}   {}:{}", class.name, class.file, class.line));
        line(format!("  for      {}", class.matches));
        line(format!("  lane     {}, stage {}", class.lane, stage(class)));
        if let Some(review) = class.review {
            line(format!("  review   asks to {}", review.name()));
        }
        line(format!("  limits   {}, verified within {} s", limits(class), class.window_seconds));
        line(format!("  cases    {}", class.cases));
        if let Some(runbook) = class.runbook {
            line(format!("  runbook  {runbook}"));
        }
    }
    for rule in policy.ignores.iter() {
        line(format!("{rule}: ignores {}", rule.matches));
    }
    for freeze in &policy.freezes {
        line(format!("{freeze}: for {}", freeze.matches));
    }
    text
}

fn markdown(classes: &[Listed<'_>]) -> String {
    let cell = |words: &str| visible(words).replace('|', "\\|");
    let mut text = String::from("| class | for | lane | stage | limits | cases | where |\n|---|---|---|---|---|---|---|\n");
    for class in classes {
        let Listed { name, matches, lane, cases, file, line, .. } = class;
        let row = [cell(name), cell(matches), lane.to_string(), stage(class), limits(class), cases.to_string()];
        writeln!(text, "| {} | {}:{line} |", row.join(" | "), cell(file)).expect("writing to a String cannot fail");
    }
    text
}

/// The policy of these files, or the one of `trueup.toml` as it is on disk.
pub(super) async fn read(global: &Global, files: &[PathBuf]) -> Result<Policy, Failure> {
    let texts = if files.is_empty() {
        let session = check::as_on_disk(session::open(global)?);
        let pinned = session::pin(&session).await?;
        session::policy_files(&session, &pinned).map_err(Failure::usage)?
    } else {
        let mut texts = Vec::new();
        for file in files {
            texts.push(text_of(file)?);
            // A policy's cases stand beside it.
            let cases = file.with_extension("cases.toml");
            if cases.is_file() && !files.contains(&cases) {
                texts.push(text_of(&cases)?);
            }
        }
        texts
    };
    Policy::read(&texts).map_err(|problems| {
        let lines: Vec<String> = problems.iter().map(Problem::to_string).collect();
        Failure::usage(anyhow::anyhow!("the policy has mistakes:\n{}", lines.join("\n")))
    })
}

fn text_of(file: &PathBuf) -> Result<(String, String), Failure> {
    let text = std::fs::read_to_string(file)
        .map_err(|error| Failure::usage(anyhow::Error::new(error).context(format!("cannot read `{}`", file.display()))))?;
    Ok((file.display().to_string(), text))
}
