//! `trueup demo`: a whole small world without any server, and what trueup does in it.

use std::path::{Path, PathBuf};

use anyhow::Context;

use crate::cli::Global;
use crate::command::{diff_once, print, show, sync};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::init::{self, Template};
use crate::{session, stop};

/// Git's side, committed; and the side of what runs, which is not in Git.
const FILES: [Template; 13] = [
    ("trueup.toml", include_str!("demo/trueup.toml")),
    ("manifests/configmap.yaml", include_str!("demo/manifests/configmap.yaml")),
    ("manifests/deployment.yaml", include_str!("demo/manifests/deployment.yaml")),
    ("manifests/network.yaml", include_str!("demo/manifests/network.yaml")),
    ("policies/drift.toml", include_str!("demo/policies/drift.toml")),
    ("policies/drift.cases.toml", include_str!("demo/policies/drift.cases.toml")),
    ("infra/data.expect.toml", include_str!("demo/infra/data.expect.toml")),
    (".gitignore", "live/\n*.tfstate\n"),
    ("infra/terraform.tfstate", include_str!("demo/infra/terraform.tfstate")),
    ("live/configmap.yaml", include_str!("demo/live/configmap.yaml")),
    ("live/deployment.yaml", include_str!("demo/live/deployment.yaml")),
    ("live/service.yaml", include_str!("demo/live/service.yaml")),
    ("live/networkpolicy.yaml", include_str!("demo/live/networkpolicy.yaml")),
];

/// Makes the world, then shows `diff`, `sync` and `diff` in it, and leaves it to play with.
///
/// # Errors
/// When the folder is not empty, or anything in it fails.
pub async fn demo(dir: Option<&Path>) -> Result<Exit, Failure> {
    let folder = dir.map_or_else(|| PathBuf::from("trueup-demo"), Path::to_owned);
    make(&folder).map_err(Failure::usage)?;
    let name = folder.display();
    print(&format!("made {name}: a Git repository, live objects as a snapshot, a Terraform state, a policy\n\n$ trueup diff\n"))?;
    let session = session::open(&global(&folder))?;
    show(&diff_once(&session).await?, crate::cli::Output::Text)?;
    print("\n$ trueup sync\n")?;
    let stop = stop::on_signal().map_err(Failure::usage)?;
    show(&sync(&session, &[], &stop).await?, crate::cli::Output::Text)?;
    print("\n$ trueup diff\n")?;
    show(&diff_once(&session).await?, crate::cli::Output::Text)?;
    print(&format!(
        "\nWhat happened: the log level was put back in {name}/live by a merge patch; the hot image and the moved database\n\
         endpoint wait as branches trueup/… (`git -C {name} log --all --oneline --graph`) and as patch files; the opened egress\n\
         was escalated, not touched.\n\n\
         Go on: cd {name}; trueup runs; trueup undo RUN; trueup explain NetworkPolicy/checkout; git merge trueup/…; trueup diff\n"
    ))
}

fn global(folder: &Path) -> Global {
    Global {
        config: Some(folder.join("trueup.toml")),
        targets: Vec::new(),
        context: None,
        commit: None,
        work_tree: false,
        output: None,
        color: crate::cli::Color::Auto,
        quiet: false,
        verbose: 0,
    }
}

fn make(folder: &Path) -> anyhow::Result<()> {
    let occupied = std::fs::read_dir(folder).is_ok_and(|mut entries| entries.next().is_some());
    anyhow::ensure!(!occupied, "`{}` is not empty: name a new folder", folder.display());
    std::fs::create_dir_all(folder).with_context(|| format!("cannot make folder `{}`", folder.display()))?;
    let mut options = git2::RepositoryInitOptions::new();
    options.initial_head("main");
    let repository = git2::Repository::init_opts(folder, &options)?;
    init::write(folder, &FILES)?;
    let mut index = repository.index()?;
    index.add_all(["*"], git2::IndexAddOption::DEFAULT, None)?;
    index.write()?;
    let tree = repository.find_tree(index.write_tree()?)?;
    let author = git2::Signature::now("trueup demo", "demo@localhost")?;
    repository.commit(Some("HEAD"), &author, &author, "What should run", &tree, &[])?;
    Ok(())
}
