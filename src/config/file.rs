//! The format of `trueup.toml`.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;
use toml::Spanned;
use trueup_core::facts::Origin;
use trueup_core::finding::Standing;
use trueup_core::object::TargetName;
use trueup_core::policy::{TIERS, origin_at};
use trueup_kubernetes::own_config_map::OwnConfigMap;

use crate::ledger::Server;
use crate::source::credentials::Secret;

use super::app::{AppEntry, web_of};
use super::render::{PathEntry, RenderEntry, RendererName};
use super::{
    Forge, LedgerSettings, Readiness, ReviewSettings, RunSettings, Secrets, Settings, SourceSettings, Target, TargetKind,
};

/// Why there are no settings.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// No file.
    #[error("no `trueup.toml` in `{}` or a folder above it: run `trueup init`, or name one with --config", here.display())]
    NotFound {
        /// Where the search began.
        here: PathBuf,
    },
    /// A file that cannot be read.
    #[error("cannot read `{}`", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A mistake in the file.
    #[error("{}:{}:{}: {message}", origin.file, origin.line, origin.column)]
    Invalid {
        /// Where.
        origin: Origin,
        /// What, and what to write instead.
        message: String,
    },
    /// A mistake in the environment.
    #[error("environment variable `{name}`: {message}")]
    Environment {
        /// Which variable.
        name: String,
        /// What, and what to write instead.
        message: String,
    },
    /// `--target` names no target.
    #[error("`{}` has no target `{name}`: there are `{known}`", path.display())]
    UnknownTarget {
        /// What was asked for.
        name: String,
        /// The configuration.
        path: PathBuf,
        /// The targets there are.
        known: String,
    },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    source: SourceEntry,
    #[serde(default)]
    policy: PolicyEntry,
    review: Option<Spanned<ReviewEntry>>,
    #[serde(default)]
    ledger: LedgerEntry,
    #[serde(default)]
    run: RunEntry,
    #[serde(default)]
    render: RenderEntry,
    #[serde(default)]
    target: Vec<Spanned<TargetEntry>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SourceEntry {
    repo: String,
    #[serde(rename = "ref")]
    reference: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PolicyEntry {
    paths: Vec<String>,
}

impl Default for PolicyEntry {
    fn default() -> Self {
        Self { paths: vec!["policies".to_owned()] }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum ForgeName {
    Local,
    GitHub,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ReviewEntry {
    forge: ForgeName,
    repo: Option<String>,
    base: Option<String>,
    api: Option<String>,
    web: Option<String>,
    app: Option<Spanned<AppEntry>>,
    #[serde(default)]
    labels: Vec<String>,
    #[serde(default)]
    reviewers: Vec<String>,
    max_open: Option<Spanned<u32>>,
    #[serde(default)]
    draft: bool,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct LedgerEntry {
    url: Option<Spanned<String>>,
    keep: Option<Spanned<String>>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct RunEntry {
    every: Option<Spanned<String>>,
    jitter: Option<Spanned<String>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum KindName {
    Kubernetes,
    Snapshot,
    Terraform,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TargetEntry {
    name: String,
    kind: KindName,
    context: Option<String>,
    cluster_uid: Option<String>,
    head: Option<String>,
    paths: Option<Vec<PathEntry>>,
    render: Option<RendererName>,
    secrets: Option<Secrets>,
    live: Option<PathBuf>,
    state: Option<String>,
    expect: Option<Vec<String>>,
    bind: Option<Vec<String>>,
    environment: Option<String>,
    tier: Option<u8>,
}

/// The file's text and name, for places in messages.
struct Text<'a> {
    file: String,
    text: &'a str,
}

impl Text<'_> {
    fn invalid(&self, at: usize, message: impl Into<String>) -> ConfigError {
        ConfigError::Invalid { origin: origin_at(&self.file, self.text, at), message: message.into() }
    }
}

pub(super) fn parse(path: &Path, text: &str, environment: &dyn Fn(&str) -> Option<String>) -> Result<Settings, ConfigError> {
    let place = Text { file: path.display().to_string(), text };
    let file: File = toml::from_str(text).map_err(|error| {
        let at = error.span().map_or(0, |span| span.start);
        place.invalid(at, error.message().lines().next().unwrap_or_default())
    })?;
    let absolute = std::path::absolute(path).map_err(|source| ConfigError::Unreadable { path: path.to_owned(), source })?;
    let folder = absolute.parent().unwrap_or(Path::new("/")).to_owned();
    if file.target.is_empty() {
        return Err(place.invalid(text.len(), "no [[target]]: name at least one cluster, snapshot or Terraform state"));
    }
    Ok(Settings {
        source: source(file.source, &folder, environment),
        policies: file.policy.paths,
        review: review(file.review, &place, &folder, environment)?,
        ledger: ledger(file.ledger, &place, environment)?,
        run: run(&file.run, &place, environment)?,
        targets_in_file: file.target.len(),
        render: file.render.settings(&folder, environment("PATH")).map_err(|(at, message)| place.invalid(at, message))?,
        targets: targets(file.target, &place, &folder)?,
        file: absolute,
        folder,
    })
}

fn source(entry: SourceEntry, folder: &Path, environment: &dyn Fn(&str) -> Option<String>) -> SourceSettings {
    let repo = environment("TRUEUP_SOURCE_REPO").unwrap_or(entry.repo);
    let is_remote = repo.contains("://") || (repo.contains(':') && !Path::new(&repo).exists());
    SourceSettings {
        repo: if is_remote { repo } else { folder.join(repo).display().to_string() },
        reference: environment("TRUEUP_SOURCE_REF").or(entry.reference).unwrap_or_else(|| "main".to_owned()),
    }
}

fn review(
    entry: Option<Spanned<ReviewEntry>>,
    place: &Text<'_>,
    folder: &Path,
    environment: &dyn Fn(&str) -> Option<String>,
) -> Result<ReviewSettings, ConfigError> {
    let Some(entry) = entry else { return Ok(ReviewSettings::default()) };
    let at = entry.span().start;
    let entry = entry.into_inner();
    let forge = match entry.forge {
        ForgeName::Local if entry.repo.is_some() => {
            return Err(
                place.invalid(at, "`repo` belongs to forge = \"github\": the local forge uses the source's own repository")
            );
        }
        ForgeName::Local if entry.app.is_some() => {
            return Err(place.invalid(at, "`app` belongs to forge = \"github\": the local forge asks nobody"));
        }
        ForgeName::Local => Forge::Local,
        ForgeName::GitHub => {
            let repo = environment("TRUEUP_REVIEW_REPO")
                .or(entry.repo)
                .filter(|repo| repo.split('/').filter(|part| !part.is_empty()).count() == 2);
            let api = environment("TRUEUP_REVIEW_API").or(entry.api).unwrap_or_else(|| "https://api.github.com".to_owned());
            let web = environment("TRUEUP_REVIEW_WEB").or(entry.web).or_else(|| web_of(&api));
            Forge::GitHub {
                repo: repo.ok_or_else(|| place.invalid(at, "forge = \"github\" needs repo = \"owner/name\""))?,
                base: environment("TRUEUP_REVIEW_BASE").or(entry.base).unwrap_or_else(|| "main".to_owned()),
                web: web.ok_or_else(|| {
                    place.invalid(at, format!("`{api}` does not tell where branches go: name web = \"https://HOST\""))
                })?,
                app: entry.app.map(|app| {
                    let origin = origin_at(&place.file, place.text, app.span().start);
                    app.into_inner().settings(folder, origin)
                }),
                api,
            }
        }
    };
    let max_open = match entry.max_open {
        Some(most) if *most.get_ref() == 0 => {
            return Err(place.invalid(most.span().start, "`max_open` is 0: then nothing could be proposed; write 1 or more"));
        }
        Some(most) => usize::try_from(*most.get_ref()).unwrap_or(usize::MAX),
        None => ReviewSettings::default().max_open,
    };
    let readiness = if entry.draft { Readiness::Draft } else { Readiness::Ready };
    Ok(ReviewSettings { forge, labels: entry.labels, reviewers: entry.reviewers, max_open, readiness })
}

/// The URL's text is in no message: it may hold a password.
fn ledger(
    entry: LedgerEntry,
    place: &Text<'_>,
    environment: &dyn Fn(&str) -> Option<String>,
) -> Result<LedgerSettings, ConfigError> {
    const NO_URL: &str = "this is no URL of a PostgreSQL database: write postgres://user@host/database, and the password in TRUEUP_LEDGER_URL alone";
    let known = |url: &str| Server::at(url, PathBuf::new()).is_some();
    let url = match (environment("TRUEUP_LEDGER_URL"), entry.url) {
        (Some(url), _) if known(&url) => Some(url),
        (Some(_), _) => {
            return Err(ConfigError::Environment { name: "TRUEUP_LEDGER_URL".to_owned(), message: NO_URL.to_owned() });
        }
        (None, Some(url)) if !known(url.get_ref()) => return Err(place.invalid(url.span().start, NO_URL)),
        (None, url) => url.map(Spanned::into_inner),
    };
    let keep =
        entry.keep.map(|keep| days(keep.get_ref()).ok_or_else(|| place.invalid(keep.span().start, not_days(keep.get_ref()))));
    Ok(LedgerSettings { url: url.map(Secret::new), keep: keep.transpose()? })
}

/// `30d`. Guards look back for a day, so what is younger than two never goes.
fn days(text: &str) -> Option<Duration> {
    let days = text.strip_suffix('d')?.parse::<u64>().ok().filter(|days| (2..=36_500).contains(days))?;
    Some(Duration::from_secs(days * 24 * 3600))
}

fn not_days(text: &str) -> String {
    format!("`{text}` is no time to keep records for: write days, two at least, as in \"90d\"")
}

fn run(entry: &RunEntry, place: &Text<'_>, environment: &dyn Fn(&str) -> Option<String>) -> Result<RunSettings, ConfigError> {
    let setting = |name: &str, value: &Option<Spanned<String>>, default: u64| match (environment(name), value) {
        (Some(text), _) => {
            duration(&text).ok_or_else(|| ConfigError::Environment { name: name.to_owned(), message: not_a_duration(&text) })
        }
        (None, Some(value)) => {
            duration(value.get_ref()).ok_or_else(|| place.invalid(value.span().start, not_a_duration(value.get_ref())))
        }
        (None, None) => Ok(Duration::from_secs(default)),
    };
    let every = setting("TRUEUP_RUN_EVERY", &entry.every, 300)?;
    let jitter = setting("TRUEUP_RUN_JITTER", &entry.jitter, every.as_secs() / 10)?;
    Ok(RunSettings { every, jitter })
}

pub(super) fn not_a_duration(text: &str) -> String {
    format!("`{text}` is no duration: write seconds, minutes or hours, as in \"30s\", \"5m\" or \"1h\"")
}

/// `30s`, `5m`, `1h`; never zero but for `0s`.
pub(super) fn duration(text: &str) -> Option<Duration> {
    let (number, factor) = match text.as_bytes().last()? {
        b's' => (text.strip_suffix('s')?, 1),
        b'm' => (text.strip_suffix('m')?, 60),
        b'h' => (text.strip_suffix('h')?, 3600),
        _ => return None,
    };
    number.parse::<u64>().ok()?.checked_mul(factor).map(Duration::from_secs)
}

fn targets(entries: Vec<Spanned<TargetEntry>>, place: &Text<'_>, folder: &Path) -> Result<Vec<Target>, ConfigError> {
    let mut names = BTreeSet::new();
    let mut targets = Vec::new();
    for entry in entries {
        let at = entry.span().start;
        let target = target(entry.into_inner(), folder).map_err(|message| place.invalid(at, message))?;
        if !names.insert(target.name.clone()) {
            return Err(place.invalid(at, format!("target `{}` is defined twice: give each target its own name", target.name)));
        }
        targets.push(target);
    }
    Ok(targets)
}

fn own_config_map(target: &str, text: &str) -> Result<OwnConfigMap, String> {
    let hint = "write the namespace and the name of a ConfigMap, as in \"trueup-system/trueup-head\"";
    OwnConfigMap::parse(text).ok_or_else(|| format!("target `{target}`: head = \"{text}\" is no place: {hint}"))
}

fn target(entry: TargetEntry, folder: &Path) -> Result<Target, String> {
    if entry.name.is_empty() || !entry.name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.')) {
        return Err(format!("`{}` is no target name: use letters, digits, `-`, `_` and `.`", entry.name));
    }
    let name = entry.name.clone();
    let foreign = foreign_keys(&entry);
    if let Some(key) = foreign {
        return Err(format!("target `{name}`: `{key}` does not belong to a target of this kind"));
    }
    let standing = standing(&name, entry.environment.clone(), entry.tier)?;
    let need = |what: &str| format!("target `{name}` needs `{what}`");
    let paths = |paths: Option<Vec<PathEntry>>| {
        let paths = paths.ok_or_else(|| need("paths = [\"manifests\"]"))?;
        let paths = paths.into_iter().map(|path| path.checked(entry.render)).collect::<Result<Vec<_>, _>>();
        paths.map_err(|message| format!("target `{name}`: {message}"))
    };
    let kind = match entry.kind {
        KindName::Kubernetes => TargetKind::Kubernetes {
            context: entry.context,
            cluster_uid: entry.cluster_uid,
            paths: paths(entry.paths)?,
            secrets: entry.secrets.unwrap_or_default(),
            head: entry.head.map(|head| own_config_map(&name, &head)).transpose()?,
        },
        KindName::Snapshot => TargetKind::Snapshot {
            live: folder.join(entry.live.ok_or_else(|| need("live = \"folder\""))?),
            paths: paths(entry.paths)?,
            secrets: entry.secrets.unwrap_or_default(),
        },
        KindName::Terraform => TargetKind::Terraform {
            state: entry.state.ok_or_else(|| need("state = \"terraform.tfstate\" or a URL"))?,
            expect: match (&entry.expect, &entry.bind) {
                (None, None) => return Err(need("expect = [\"infra/data.expect.toml\"]")),
                (expect, _) => expect.clone().unwrap_or_default(),
            },
            bind: entry.bind.unwrap_or_default(),
        },
    };
    Ok(Target { name: TargetName(entry.name), kind, standing })
}

/// What a target is to its owners.
fn standing(name: &str, environment: Option<String>, tier: Option<u8>) -> Result<Standing, String> {
    if environment.as_ref().is_some_and(String::is_empty) {
        return Err(format!("target `{name}`: `environment` is empty: name one, as in environment = \"production\""));
    }
    if tier.is_some_and(|tier| !TIERS.contains(&tier)) {
        return Err(format!("target `{name}`: a tier is a number from 1, the most important, to 9"));
    }
    Ok(Standing { environment, tier })
}

/// The first key that a target of this kind has no use for.
fn foreign_keys(entry: &TargetEntry) -> Option<&'static str> {
    let given = [
        ("context", entry.context.is_some()),
        ("cluster_uid", entry.cluster_uid.is_some()),
        ("head", entry.head.is_some()),
        ("paths", entry.paths.is_some()),
        ("render", entry.render.is_some()),
        ("secrets", entry.secrets.is_some()),
        ("live", entry.live.is_some()),
        ("state", entry.state.is_some()),
        ("expect", entry.expect.is_some()),
        ("bind", entry.bind.is_some()),
    ];
    let own: &[&str] = match entry.kind {
        KindName::Kubernetes => &["context", "cluster_uid", "head", "paths", "render", "secrets"],
        KindName::Snapshot => &["live", "paths", "render", "secrets"],
        KindName::Terraform => &["state", "expect", "bind"],
    };
    given.into_iter().find(|(key, given)| *given && !own.contains(key)).map(|(key, _)| key)
}
