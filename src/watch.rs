//! `trueup diff --watch`: the report again on each save (with `--work-tree`) or each new commit.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use notify::{RecursiveMode, Watcher};
use tokio::sync::mpsc;

use crate::cli::Output;
use crate::command::{complain, diff_once, show};
use crate::config::TargetKind;
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
    let watched = Arc::new(Watched::of(session)?);
    let hearing = Arc::clone(&watched);
    let mut notifier = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
        // A full channel means that a change is already waiting to be seen.
        if event.is_ok_and(|event| !event.kind.is_access() && event.paths.iter().any(|path| hearing.concerns(path))) {
            let _full = sender.try_send(());
        }
    })
    .map_err(Failure::usage)?;
    watched.watch(&mut notifier).map_err(Failure::usage)?;
    loop {
        match diff_once(session).await {
            Ok(report) => drop(show(&report, output)?),
            Err(failure) => complain(&failure),
        }
        tokio::select! {
            change = changes.recv() => if change.is_none() { return Ok(Exit::True) },
            () = stop.requested() => return Ok(Exit::True),
        }
        while tokio::time::timeout(QUIET, changes.recv()).await.is_ok() {}
    }
}

/// What is watched, and which of its files count.
struct Watched {
    /// Files on disk, where the work tree is what is judged.
    work_tree: Option<PathBuf>,
    /// Git's own folder, where commits are; of linked work trees the common one.
    git: PathBuf,
    /// Folders of live objects, and the folders of Terraform states.
    live: Vec<PathBuf>,
}

impl Watched {
    fn of(session: &Session) -> Result<Self, Failure> {
        let repo = &session.settings.source.repo;
        let local = repo.strip_prefix("file://").unwrap_or(repo);
        let repository = git2::Repository::discover(local)
            .map_err(|error| Failure::usage(anyhow::anyhow!("--watch needs a local repository, and `{repo}` is none: {}", error.message())))?;
        let live = session.settings.targets.iter().filter_map(|target| match &target.kind {
            TargetKind::Snapshot { live, .. } => Some(live.clone()),
            TargetKind::Terraform { state, .. } => Some(session.settings.folder.join(state)),
            TargetKind::Kubernetes { .. } => None,
        });
        let work_tree = repository.workdir().filter(|_| session.revision == Revision::WorkTree);
        let real = |path: &Path| path.canonicalize().unwrap_or_else(|_| path.to_owned());
        Ok(Self {
            work_tree: work_tree.map(real),
            git: real(repository.commondir()),
            live: live.filter(|path| path.exists()).map(|path| real(&path)).collect(),
        })
    }

    fn watch(&self, watcher: &mut impl Watcher) -> notify::Result<()> {
        watcher.watch(&self.git, RecursiveMode::NonRecursive)?;
        watcher.watch(&self.git.join("refs"), RecursiveMode::Recursive)?;
        if let Some(folder) = &self.work_tree {
            watcher.watch(folder, RecursiveMode::Recursive)?;
        }
        for path in &self.live {
            // An editor replaces a file by another one of its name: its folder hears of both.
            let folder = if path.is_dir() { path } else { path.parent().unwrap_or(path) };
            watcher.watch(folder, RecursiveMode::Recursive)?;
        }
        Ok(())
    }

    /// Whether a change of this file may change the report.
    fn concerns(&self, path: &Path) -> bool {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if let Ok(inside) = path.strip_prefix(&self.git) {
            return !name.ends_with(".lock") && (name == "packed-refs" || name == "HEAD" || inside.starts_with("refs"));
        }
        let temporary = name.ends_with('~') || name.starts_with('.') || name.ends_with(".swp") || name.ends_with(".tmp") || name == "4913";
        let in_live = self.live.iter().any(|live| path.starts_with(live));
        !temporary && (in_live || self.work_tree.as_ref().is_some_and(|root| path.starts_with(root)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_save_and_a_new_commit_count_and_git_s_own_files_do_not() {
        let on_disk = Watched { work_tree: Some("/r".into()), git: "/r/.git".into(), live: vec!["/live".into()] };
        let concerns = |path: &str| on_disk.concerns(Path::new(path));
        assert!(concerns("/r/manifests/a.yaml") && concerns("/live/a.yaml") && concerns("/r/.git/refs/heads/main"));
        assert!(!concerns("/r/.git/index") && !concerns("/r/.git/refs/heads/main.lock") && !concerns("/r/.git/objects/ab/cd"));
        assert!(!concerns("/r/manifests/.a.yaml.swp") && !concerns("/r/manifests/a.yaml~") && !concerns("/r/4913"));

        let bare = Watched { work_tree: None, git: "/r.git".into(), live: Vec::new() };
        assert!(bare.concerns(Path::new("/r.git/packed-refs")) && bare.concerns(Path::new("/r.git/refs/heads/main")));
        assert!(!bare.concerns(Path::new("/elsewhere/manifests/a.yaml")));
    }
}
