//! `trueup diff --watch`: the report again on each save (with `--work-tree`) or each new commit.

use std::path::{Path, PathBuf};
use std::time::Duration;

use notify::{RecursiveMode, Watcher};
use tokio::sync::mpsc;

use crate::cli::Output;
use crate::command::{diff_once, show};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::session::Session;
use crate::source::Revision;
use crate::stop;

/// A burst of changes is over once nothing has changed for this long.
const QUIET: Duration = Duration::from_millis(150);

/// Prints a report now and after each change, until told to stop. A failure is printed, and the watch goes on.
///
/// # Errors
/// When the folder cannot be watched.
pub async fn watch(session: &Session, output: Output) -> Result<Exit, Failure> {
    let stop = stop::on_signal().map_err(Failure::usage)?;
    let (sender, mut changes) = mpsc::channel(64);
    let folders = folders(session)?;
    let relevant = relevance(session);
    let mut watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
        // A full channel means that a change is already waiting to be seen.
        if event.is_ok_and(|event| !event.kind.is_access() && event.paths.iter().any(|path| relevant(path))) {
            let _full = sender.try_send(());
        }
    })
    .map_err(Failure::usage)?;
    for folder in &folders {
        watcher.watch(folder, RecursiveMode::Recursive).map_err(Failure::usage)?;
    }
    loop {
        match diff_once(session).await {
            Ok(report) => drop(show(&report, output)?),
            Err(failure) => eprintln!("error: {failure}"),
        }
        tokio::select! {
            change = changes.recv() => if change.is_none() { return Ok(Exit::True) },
            () = stop.requested() => return Ok(Exit::True),
        }
        while tokio::time::timeout(QUIET, changes.recv()).await.is_ok() {}
    }
}

/// What is watched: the repository's folder, and the snapshots' folders.
fn folders(session: &Session) -> Result<Vec<PathBuf>, Failure> {
    let source = Path::new(&session.settings.source.repo);
    if !source.exists() {
        return Err(Failure::usage(anyhow::anyhow!("--watch needs a local repository: `{}` is remote", source.display())));
    }
    let snapshots = session.settings.targets.iter().filter_map(|target| match &target.kind {
        crate::config::TargetKind::Snapshot { live, .. } => Some(live.clone()),
        crate::config::TargetKind::Kubernetes { .. } | crate::config::TargetKind::Terraform { .. } => None,
    });
    Ok(std::iter::once(source.to_owned()).chain(snapshots.filter(|folder| folder.is_dir())).collect())
}

/// With the work tree every saved file counts, but for Git's own and editors' temporary ones; with commits only refs do.
fn relevance(session: &Session) -> impl Fn(&Path) -> bool + Send + 'static {
    let work_tree = session.revision == Revision::WorkTree;
    let snapshots: Vec<PathBuf> = folders(session).unwrap_or_default().into_iter().skip(1).collect();
    move |path| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let temporary = name.ends_with('~') || name.starts_with(".#") || name.starts_with('.') || name.ends_with(".swp") || name.ends_with(".tmp") || name.ends_with(".lock");
        let in_git = path.components().any(|component| component.as_os_str() == ".git");
        let is_reference = in_git && (name == "HEAD" || name == "packed-refs" || path.components().any(|component| component.as_os_str() == "refs"));
        let in_snapshot = snapshots.iter().any(|folder| path.starts_with(folder));
        !temporary && (in_snapshot && !in_git || if work_tree { !in_git } else { is_reference })
    }
}
