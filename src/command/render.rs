//! `trueup render`: what Git declares, as trueup reads it.

use serde_json::Value;
use trueup_core::facts::{Desired, Secrecy};
use trueup_core::secret;
use trueup_kubernetes::manifest::to_kubectl_json;

use crate::cli::Output;
use crate::command::print;
use crate::config::TargetKind;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::session::{self, Session};
use crate::target::declared;
use crate::visible::visible;

/// What it prints is for people and programs alike: secret values are masks in it.
pub(super) async fn render(session: &Session, output: Option<Output>) -> Result<Exit, Failure> {
    let pinned = session::pin(session).await?;
    let mut values = Vec::new();
    let mut exit = Exit::True;
    for target in &session.settings.targets {
        let (TargetKind::Kubernetes { paths, .. } | TargetKind::Snapshot { paths, .. }) = &target.kind else { continue };
        let (desired, problems) = match declared(session, &pinned, paths).await {
            Ok(declared) => (declared.objects, declared.problems),
            Err(problems) => (Vec::new(), problems),
        };
        for problem in &problems {
            eprintln!("{}", visible(&problem.to_string()));
            if problem.blinds {
                exit = Exit::Unseen;
            }
        }
        values.extend(desired.iter().map(|object| shown(session, object)));
    }
    match output.unwrap_or(Output::Yaml) {
        Output::Json => print(&to_kubectl_json(&values))?,
        Output::Yaml | Output::Text | Output::Markdown | Output::Csv => {
            let documents: Result<Vec<String>, _> = values.iter().map(serde_yaml::to_string).collect();
            print(&documents.map_err(Failure::usage)?.join("---\n"))?
        }
    };
    Ok(exit)
}

fn shown(session: &Session, object: &Desired) -> Value {
    let secrecy = if object.id.is_secret() { Secrecy::Secret } else { Secrecy::Open };
    secret::shown(secrecy, &object.value, &session.key)
}
