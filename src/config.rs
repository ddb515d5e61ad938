//! Settings: flags ▸ environment ▸ `trueup.toml` ▸ defaults, validated once.

mod app;
mod file;
mod render;

use std::path::{Path, PathBuf};
use std::time::Duration;

use trueup_core::finding::Standing;
use trueup_core::object::TargetName;
use trueup_kubernetes::own_config_map::OwnConfigMap;

use crate::source::credentials::Secret;

pub use app::AppSettings;
pub use file::ConfigError;
pub use render::{Chart, ManifestPath, Program, RenderSettings, Rendering};

/// Everything that `trueup.toml` and the environment say, as the program uses it.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The configuration file.
    pub file: PathBuf,
    /// Its folder: paths on disk are relative to it.
    pub folder: PathBuf,
    /// Where desired state comes from.
    pub source: SourceSettings,
    /// Policy files and folders in the source.
    pub policies: Vec<String>,
    /// Where proposals go.
    pub review: ReviewSettings,
    /// Where the ledger is, and for how long its records stay.
    pub ledger: LedgerSettings,
    /// When rounds run.
    pub run: RunSettings,
    /// The programs that render.
    pub render: RenderSettings,
    /// What is compared.
    pub targets: Vec<Target>,
    /// How many targets the file has, with those that were not asked for.
    pub targets_in_file: usize,
}

/// A Git repository at a ref.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceSettings {
    /// A path, resolved against the configuration's folder, or a URL.
    pub repo: String,
    /// Branch, tag or full ref.
    pub reference: String,
}

/// Where proposals go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReviewSettings {
    /// Which forge.
    pub forge: Forge,
    /// Labels of each pull request.
    pub labels: Vec<String>,
    /// People who are asked to review, beside those who own the files.
    pub reviewers: Vec<String>,
    /// At most so many proposals are open at a time.
    pub max_open: usize,
    /// How pull requests are opened.
    pub readiness: Readiness,
}

/// More than ten open questions, and nobody reads them.
impl Default for ReviewSettings {
    fn default() -> Self {
        let readiness = Readiness::Ready;
        Self { forge: Forge::Local, labels: Vec::new(), reviewers: Vec::new(), max_open: 10, readiness }
    }
}

/// How pull requests are opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Readiness {
    /// Ready for review.
    #[default]
    Ready,
    /// As drafts: nobody is asked before a person says that it is ready.
    Draft,
}

/// A place for pull requests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Forge {
    /// A branch in the source's repository and a patch file in the state folder.
    Local,
    /// GitHub or GitHub Enterprise.
    GitHub {
        /// `owner/name`.
        repo: String,
        /// The branch that pull requests go to.
        base: String,
        /// The API's base URL.
        api: String,
        /// The web's base URL, which is also where Git pushes to.
        web: String,
        /// The app as whom GitHub is asked; else by a token of the environment.
        app: Option<AppSettings>,
    },
}

/// Where the ledger is, and for how long its records stay.
#[derive(Debug, Clone, Default)]
pub struct LedgerSettings {
    /// A PostgreSQL database; without one the ledger is a file in the state folder.
    pub url: Option<Secret>,
    /// How old a record may get before it goes behind a checkpoint; without it all of them stay.
    pub keep: Option<Duration>,
}

/// When rounds run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RunSettings {
    /// From the start of one round to the start of the next.
    pub every: Duration,
    /// At most this much later, by chance, so that many instances do not ask at once.
    pub jitter: Duration,
}

/// One thing to compare with Git.
#[derive(Debug, Clone)]
pub struct Target {
    /// Its name.
    pub name: TargetName,
    /// What it is.
    pub kind: TargetKind,
    /// What it is to its owners.
    pub standing: Standing,
}

/// What a target is.
#[derive(Debug, Clone)]
pub enum TargetKind {
    /// A cluster.
    Kubernetes {
        /// The kubeconfig context; the current one where absent.
        context: Option<String>,
        /// The UID that its kube-system namespace must have.
        cluster_uid: Option<String>,
        /// Manifests in the source.
        paths: Vec<ManifestPath>,
        /// Whether Secrets are compared.
        secrets: Secrets,
        /// Where the ledger's end is kept in the cluster.
        head: Option<OwnConfigMap>,
    },
    /// A folder of live objects.
    Snapshot {
        /// The folder on disk.
        live: PathBuf,
        /// Manifests in the source.
        paths: Vec<ManifestPath>,
        /// Whether Secrets are compared.
        secrets: Secrets,
    },
    /// A Terraform state.
    Terraform {
        /// A path, relative to the configuration's folder, or the URL of Terraform's `http` backend.
        state: String,
        /// Expectation files in the source.
        expect: Vec<String>,
        /// Binding files in the source.
        bind: Vec<String>,
    },
}

/// Whether Secrets are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Secrets {
    /// Not asked for: skipped and counted.
    #[default]
    Off,
    /// By keyed digest.
    Digest,
}

/// What the command line says about the configuration.
#[derive(Debug, Clone, Default)]
pub struct Overrides {
    /// `--config`.
    pub file: Option<PathBuf>,
    /// `--target`: only these.
    pub targets: Vec<String>,
    /// `--context`: for Kubernetes targets that name none.
    pub context: Option<String>,
}

/// Reads and validates the settings.
///
/// `environment` gives a variable's value; `here` is where the search for `trueup.toml` starts.
///
/// # Errors
/// No file, a file that cannot be read, or the first mistake in it with its place.
pub fn load(overrides: &Overrides, here: &Path, environment: &dyn Fn(&str) -> Option<String>) -> Result<Settings, ConfigError> {
    let path = match &overrides.file {
        Some(path) => path.clone(),
        None => find(here).ok_or_else(|| ConfigError::NotFound { here: here.to_owned() })?,
    };
    let text = std::fs::read_to_string(&path).map_err(|source| ConfigError::Unreadable { path: path.clone(), source })?;
    let mut settings = file::parse(&path, &text, environment)?;
    if let Some(unknown) = overrides.targets.iter().find(|name| !settings.targets.iter().any(|target| target.name.0 == **name)) {
        let known = settings.targets.iter().map(|target| target.name.0.as_str()).collect::<Vec<_>>().join("`, `");
        return Err(ConfigError::UnknownTarget { name: unknown.clone(), path, known });
    }
    if !overrides.targets.is_empty() {
        settings.targets.retain(|target| overrides.targets.contains(&target.name.0));
    }
    for target in &mut settings.targets {
        if let TargetKind::Kubernetes { context, .. } = &mut target.kind {
            *context = context.take().or_else(|| overrides.context.clone());
        }
    }
    Ok(settings)
}

/// `trueup.toml` here or in a parent folder.
fn find(here: &Path) -> Option<PathBuf> {
    here.ancestors().map(|folder| folder.join("trueup.toml")).find(|path| path.is_file())
}

#[cfg(test)]
mod tests;
