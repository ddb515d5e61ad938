//! `trueup check`: everything that can be known without a server.

use std::fmt::Write;

use trueup_core::facts::Problem;
use trueup_core::policy::{Policy, unproven, unreachable};

use crate::bindings;
use crate::cli::{Global, Output};
use crate::command::print;
use crate::config::{Forge, TargetKind};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::report::text::count;
use crate::report::{ProblemReport, problem_report};
use crate::review::forge::{self, AppKeyTrouble};
use crate::rules;
use crate::session::{self, Session};
use crate::source::{Pinned, Revision};
use crate::target::{declared, terraform::expectations};
use crate::visible::visible;

/// Checks the files as they are on disk, unless `--commit` names another revision or the source is remote.
pub(super) async fn check(global: &Global) -> Result<Exit, Failure> {
    let session = as_on_disk(session::open(global)?);
    let pinned = session::pin(&session).await?;
    let (objects, outputs, mut problems) = manifests_and_expectations(&session, &pinned).await;
    let files = session::policy_files(&session, &pinned).map_err(Failure::usage)?;
    let mut notes = Vec::new();
    let classes = match Policy::read(&files) {
        Ok(policy) => {
            problems.extend(unreachable(&policy));
            problems.extend(unproven(&policy));
            notes = rules::unused(&session, &policy);
            policy.classes.len()
        }
        Err(found) => {
            problems.extend(found);
            0
        }
    };
    match app_key(&session) {
        Some(AppKeyTrouble::Missing(note)) => notes.push(note),
        Some(AppKeyTrouble::Unusable(problem)) => problems.push(problem),
        None => {}
    }
    let exit = if problems.is_empty() { Exit::True } else { Exit::Usage };
    let found = problems.len();
    // What a record says about time is no mistake in a file.
    problems.extend(notes);
    if global.output == Some(Output::Json) {
        let problems: Vec<ProblemReport> = problems.iter().map(|problem| problem_report(problem, None)).collect();
        print(&format!(
            "{}\n",
            serde_json::to_string_pretty(&serde_json::json!({"problems": problems})).map_err(Failure::usage)?
        ))?;
        return Ok(exit);
    }
    let mut text = String::new();
    for problem in &problems {
        writeln!(text, "{}", visible(&problem.to_string())).expect("writing to a String cannot fail");
    }
    print(&text)?;
    if found == 0 {
        let (targets, objects) = (count(session.settings.targets.len(), "target"), count(objects, "object"));
        let (outputs, classes) = (count(outputs, "output"), count(classes, "class"));
        return print(&format!("checked {targets}, {objects}, {outputs}, {classes}: no problem\n"));
    }
    eprintln!("{}", count(found, "problem"));
    Ok(exit)
}

/// What is wrong with the key of the forge's app, where there is one.
fn app_key(session: &Session) -> Option<AppKeyTrouble> {
    let Forge::GitHub { app: Some(app), .. } = &session.settings.review.forge else { return None };
    forge::app_key(session, app).err()
}

/// A session that reads files as they are on disk, unless `--commit` names another revision or the source is remote.
pub(super) fn as_on_disk(mut session: Session) -> Session {
    if session.revision == Revision::Reference && has_work_tree(&session.settings.source.repo) {
        session.revision = Revision::WorkTree;
    }
    session
}

/// Whether the source is a folder with files on disk: no remote, and not bare.
fn has_work_tree(repo: &str) -> bool {
    git2::Repository::discover(repo).is_ok_and(|repository| !repository.is_bare())
}

async fn manifests_and_expectations(session: &Session, pinned: &Pinned) -> (usize, usize, Vec<Problem>) {
    let (mut objects, mut outputs, mut problems) = (0, 0, Vec::new());
    for target in &session.settings.targets {
        match &target.kind {
            TargetKind::Kubernetes { paths, .. } | TargetKind::Snapshot { paths, .. } => {
                match declared(session, pinned, paths).await {
                    Ok(declared) => {
                        objects += declared.objects.len();
                        problems.extend(declared.problems);
                    }
                    Err(found) => problems.extend(found),
                }
            }
            TargetKind::Terraform { expect, bind, .. } => {
                let (read, found) = expectations(pinned, expect);
                let (bound, wrong) = bindings::check(session, pinned, bind);
                outputs += read.len() + bound;
                problems.extend(found);
                problems.extend(wrong);
            }
        }
    }
    problems.sort_by(|a, b| a.origin.cmp(&b.origin));
    problems.dedup();
    (objects, outputs, problems)
}
