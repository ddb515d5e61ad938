//! `trueup init`: the first files of a repository. What exists is left as it is.

use std::fs::OpenOptions;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use anyhow::Context;

use crate::command::print;
use crate::exit::Exit;
use crate::failure::Failure;

/// What was done about one file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Written {
    /// It is new.
    Created(PathBuf),
    /// It was there and is as it was.
    Kept(PathBuf),
}

/// A file's path, and its text.
pub type Template = (&'static str, &'static str);

/// What `trueup init` writes.
pub const TEMPLATES: [Template; 5] = [
    ("trueup.toml", include_str!("init/trueup.toml")),
    ("policies/drift.toml", include_str!("init/drift.toml")),
    ("policies/drift.cases.toml", include_str!("init/drift.cases.toml")),
    ("manifests/example.yaml", include_str!("init/example.yaml")),
    (".github/workflows/trueup.yml", include_str!("init/workflow.yml")),
];

const NEXT: &str = "
next: set your cluster's context in trueup.toml, put your manifests into manifests/, then
  trueup check                # without any server
  git add -A && git commit    # trueup reads commits
  trueup diff
";

/// Writes the first files and says which, and what to do next.
///
/// # Errors
/// A folder or file that cannot be made.
pub fn init(folder: &Path) -> Result<Exit, Failure> {
    let written = write(folder, &TEMPLATES).map_err(Failure::usage)?;
    let lines: Vec<String> = written.iter().map(line).collect();
    print(&format!("{}\n{NEXT}", lines.join("\n")))
}

fn line(file: &Written) -> String {
    let shown = |path: &Path| path.strip_prefix(".").unwrap_or(path).display().to_string();
    match file {
        Written::Created(path) => format!("wrote {}", shown(path)),
        Written::Kept(path) => format!("kept  {} (it exists)", shown(path)),
    }
}

/// Writes the files that are not there yet; a Git repository is made where there is none, as `cargo init` does.
///
/// # Errors
/// A folder or file that cannot be made.
pub fn write(folder: &Path, templates: &[Template]) -> anyhow::Result<Vec<Written>> {
    std::fs::create_dir_all(folder).with_context(|| format!("cannot make folder `{}`", folder.display()))?;
    if git2::Repository::discover(folder).is_err() {
        let mut options = git2::RepositoryInitOptions::new();
        options.initial_head("main");
        git2::Repository::init_opts(folder, &options)
            .with_context(|| format!("cannot make a Git repository in `{}`", folder.display()))?;
    }
    templates.iter().map(|template| write_one(folder, *template)).collect()
}

fn write_one(folder: &Path, (name, text): Template) -> anyhow::Result<Written> {
    let path = folder.join(name);
    if let Some(parent) = path.parent() {
        std::fs::create_dir_all(parent).with_context(|| format!("cannot make folder `{}`", parent.display()))?;
    }
    match OpenOptions::new().write(true).create_new(true).open(&path) {
        Ok(mut file) => {
            file.write_all(text.as_bytes()).with_context(|| format!("cannot write `{}`", path.display()))?;
            Ok(Written::Created(path))
        }
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(Written::Kept(path)),
        Err(error) => Err(error).with_context(|| format!("cannot write `{}`", path.display())),
    }
}
