//! A Terraform state against the expectations in Git.

use std::path::Path;

use trueup_core::diff::Comparison;
use trueup_core::facts::Problem;
use trueup_core::finding::Subject;
use trueup_terraform::backend::{self, Backend};
use trueup_terraform::expect::{self, Expectation};
use trueup_terraform::file::Reading;
use trueup_terraform::secret::Secret;
use trueup_terraform::{check, http};

use super::{Judged, JudgedCase, Judging, Reach};
use crate::config::Target;
use crate::source::{self, Pinned};

/// A state that is being written is read again this often, a second apart.
const READINGS: u32 = 3;

/// Steps 2 to 5 for a state.
pub(super) async fn judge(
    pinned: &Pinned,
    target: &Target,
    (state, folder, (files, bind)): (&str, &Path, (&[String], &[String])),
    judging: Judging<'_>,
) -> Judged {
    let (expectations, mut problems) = expectations(pinned, files);
    if expectations.is_empty() && (bind.is_empty() || !files.is_empty()) {
        let message = format!("no output is expected in `{}` at commit {}", files.join("`, `"), pinned.commit);
        problems.push(Problem::blind("nothing-declared", message, None));
        return Judged::unseen(target, problems);
    }
    let state = match read(state, folder).await {
        Ok(read) => {
            problems.extend(read.problems);
            read.state
        }
        Err(problem) => {
            problems.push(problem);
            return Judged::unseen(target, problems);
        }
    };
    let (differences, found) = check::check(&target.name, &expectations, &state, judging.key);
    problems.extend(found);
    let findings: Vec<_> = differences.into_iter().map(|difference| judging.classify(difference)).collect();
    let case = |expectation: &Expectation| {
        let is_meant = |subject: &Subject| matches!(subject, Subject::Output(id) if id.output == expectation.output);
        let findings = findings.iter().filter(|finding| is_meant(&finding.difference.subject)).cloned().collect();
        JudgedCase { pair: None, comparison: Comparison::default(), findings }
    };
    let cases = expectations.iter().map(case).collect();
    Judged { cases, serial: Some(state.serial), reach: Reach::State(Box::new(state)), ..Judged::unseen(target, problems) }
}

/// What Git expects, from all files of a target.
pub(crate) fn expectations(pinned: &Pinned, files: &[String]) -> (Vec<Expectation>, Vec<Problem>) {
    let (mut expectations, mut problems) = (Vec::new(), Vec::new());
    for file in files {
        match source::read_text(pinned, file) {
            Ok(Some(text)) => {
                let (read, found) = expect::read(file, &text);
                expectations.extend(read);
                problems.extend(found);
            }
            Ok(None) => {
                let message =
                    format!("`{file}` is not in commit {}: commit it, or correct `expect` in trueup.toml", pinned.commit);
                problems.push(Problem::blind("path-not-found", message, None));
            }
            Err(error) => problems.push(Problem::blind("source-unreadable", error.to_string(), None)),
        }
    }
    (expectations, problems)
}

/// What the state says; one that is being written is read again a little later.
async fn read(state: &str, folder: &Path) -> Result<Reading, Problem> {
    let backend = Backend::new(state, folder).map_err(|error| Problem::blind("state-unreadable", error.to_string(), None))?;
    let settings = http::Settings { credentials: http_credentials(), ..http::Settings::default() };
    let mut reading = 1;
    loop {
        match backend::read(&backend, &settings).await {
            Ok(read) => return Ok(read),
            Err(error) if error.is_being_written() && reading < READINGS => {
                reading += 1;
                tokio::time::sleep(std::time::Duration::from_secs(1)).await;
            }
            Err(error) => return Err(error.problem()),
        }
    }
}

/// As Terraform's `http` backend takes them.
fn http_credentials() -> Option<http::Credentials> {
    let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let password = Secret::new(variable("TF_HTTP_PASSWORD").unwrap_or_default());
    variable("TF_HTTP_USERNAME").map(|username| http::Credentials { username, password })
}
