//! What every command works with: settings, the revision to read, the state folder and its key.

use std::collections::BTreeMap;
use std::path::PathBuf;

use trueup_core::object::TargetName;
use trueup_core::policy::Policy;
use trueup_core::seen::DigestKey;
use trueup_kubernetes::rescan::Memory;

use crate::cli::Global;
use crate::config::{self, Forge, Overrides, Settings};
use crate::desired::{Lasting, Readings};
use crate::failure::Failure;
use crate::ledger::{Location, Server};
use crate::review::forge::{self, Connection};
use crate::source::credentials::{Credentials, Secret, Token};
use crate::source::error::SourceError;
use crate::source::{self, Access, Pinned, Revision, SourceSpec};
use crate::state::{StateEnvironment, StateFolder, digest_key};

/// One command's world.
#[derive(Debug, Clone)]
pub struct Session {
    /// What `trueup.toml`, the environment and the flags say.
    pub settings: Settings,
    /// Which revision of the source is read.
    pub revision: Revision,
    /// How remotes are reached, and where they are cached.
    pub access: Access,
    /// Caches, keys, and the ledger's file where there is no server for it.
    pub state: StateFolder,
    /// Where the ledger is.
    pub ledger: Location,
    /// What was read of the source before.
    pub readings: Readings,
    /// What was seen of each target before; empty where nobody looks again.
    pub memories: BTreeMap<TargetName, Memory>,
    /// For ids and masks.
    pub key: DigestKey,
    /// The forge's token, sent to the forge's host alone.
    pub forge_token: Option<Secret>,
    /// The private key of the forge's app, where the environment gives it.
    pub forge_app_key: Option<Secret>,
    /// The GitHub of the settings, once it was asked.
    pub github: Connection,
}

/// Reads the settings and opens the state folder.
///
/// # Errors
/// Each is a matter of configuration: exit code 2.
pub fn open(global: &Global) -> Result<Session, Failure> {
    let here = std::env::current_dir().map_err(Failure::usage)?;
    let overrides = Overrides { file: global.config.clone(), targets: global.targets.clone(), context: global.context.clone() };
    let settings = config::load(&overrides, &here, &variable).map_err(Failure::usage)?;
    let state = state_folder(&settings)?;
    let key = digest_key(variable("TRUEUP_KEY").as_deref(), &state).map_err(Failure::usage)?;
    let access = Access::new(state.path().join("cache"), credentials(&settings)).map_err(Failure::usage)?;
    let readings = Readings::of(&state, settings.render.clone(), Lasting::OneRound);
    let memories = BTreeMap::new();
    let ledger = ledger(&settings, &state)?;
    Ok(Session {
        revision: revision(global),
        access,
        state,
        ledger,
        readings,
        memories,
        key,
        forge_token: forge_token(),
        forge_app_key: variable("TRUEUP_GITHUB_APP_KEY").map(Secret::new),
        github: Connection::default(),
        settings,
    })
}

impl Session {
    /// For a program that looks again and again: what it has read and seen stays in memory.
    #[must_use]
    pub fn lasting(self) -> Self {
        let readings = Readings::of(&self.state, self.settings.render.clone(), Lasting::Rounds);
        let memories = self.settings.targets.iter().map(|target| (target.name.clone(), Memory::default())).collect();
        Self { readings, memories, ..self }
    }
}

/// Pins the source: the whole round sees this one commit.
///
/// # Errors
/// What was not found is a matter of configuration; a remote that did not answer leaves nothing to judge by.
pub async fn pin(session: &Session) -> Result<Pinned, Failure> {
    let settings = &session.settings.source;
    let spec =
        SourceSpec { repo: settings.repo.clone(), reference: settings.reference.clone(), revision: session.revision.clone() };
    let access = forge::access(session).await;
    let pinned = tokio::task::spawn_blocking(move || source::pin(&spec, &access)).await.map_err(Failure::unseen)?;
    pinned.map_err(|error| match &error {
        SourceError::Remote(_) => Failure::unseen(error),
        _ => Failure::usage(error),
    })
}

/// So many mistakes of a policy are told; the others are counted.
const MOST_MISTAKES: usize = 100;

/// The policy at the pinned commit. One mistake and there is none.
///
/// # Errors
/// Every mistake at its place, or a file that cannot be read: exit code 2.
pub fn policy(session: &Session, pinned: &Pinned) -> Result<Policy, Failure> {
    let files = policy_files(session, pinned).map_err(Failure::usage)?;
    Policy::read(&files).map_err(|problems| {
        let mut lines: Vec<String> = problems.iter().take(MOST_MISTAKES).map(ToString::to_string).collect();
        if let Some(more @ 1..) = problems.len().checked_sub(MOST_MISTAKES) {
            lines.push(format!("and {more} more"));
        }
        let place = if pinned.dirty { "on disk".to_owned() } else { format!("at commit {}", pinned.commit) };
        Failure::usage(anyhow::anyhow!("the policy {place} has mistakes, so none of it counts:\n{}", lines.join("\n")))
    })
}

/// Names and texts of the policy files, in order.
///
/// # Errors
/// When one cannot be read.
pub fn policy_files(session: &Session, pinned: &Pinned) -> Result<Vec<(String, String)>, SourceError> {
    let mut files = Vec::new();
    for path in &session.settings.policies {
        let names = if std::path::Path::new(path).extension().is_some_and(|extension| extension.eq_ignore_ascii_case("toml")) {
            vec![path.clone()]
        } else {
            source::list_toml(pinned, path)?
        };
        for name in names {
            let text = source::read_text(pinned, &name)?.unwrap_or_default();
            files.push((name, text));
        }
    }
    Ok(files)
}

fn revision(global: &Global) -> Revision {
    match (&global.commit, global.work_tree) {
        (Some(commit), _) => Revision::Commit(commit.clone()),
        (None, true) => Revision::WorkTree,
        (None, false) => Revision::Reference,
    }
}

fn state_folder(settings: &Settings) -> Result<StateFolder, Failure> {
    let [state_dir, xdg_state_home, home] = ["TRUEUP_STATE_DIR", "XDG_STATE_HOME", "HOME"].map(std::env::var_os);
    let environment =
        StateEnvironment { state_dir: state_dir.as_deref(), xdg_state_home: xdg_state_home.as_deref(), home: home.as_deref() };
    let state = StateFolder::resolve(environment, &settings.file).map_err(Failure::usage)?;
    state.create().map_err(Failure::usage)?;
    Ok(state)
}

fn ledger(settings: &Settings, state: &StateFolder) -> Result<Location, Failure> {
    let Some(url) = &settings.ledger.url else { return Ok(Location::File(state.ledger())) };
    let server = Server::at(url.reveal(), state.ledger_key());
    let server = server.ok_or_else(|| Failure::usage(anyhow::anyhow!("`[ledger] url` is no URL of a PostgreSQL database")))?;
    Ok(Location::Server(Box::new(server)))
}

/// What Git servers may see: a token for the source's own host, else the forge's token for the forge's host.
fn credentials(settings: &Settings) -> Credentials {
    let own = variable("TRUEUP_GIT_TOKEN").zip(host_of(&settings.source.repo));
    let forge = match &settings.review.forge {
        Forge::GitHub { web, app: None, .. } => forge_token().zip(host_of(web)),
        // An app's tokens are asked for where they are needed.
        Forge::GitHub { app: Some(_), .. } | Forge::Local => None,
    };
    let token = own.map(|(text, host)| Token { host, secret: Secret::new(text) });
    let token = token.or_else(|| forge.map(|(secret, host)| Token { host, secret }));
    Credentials { token, ssh_key: std::env::var_os("TRUEUP_SSH_KEY").map(PathBuf::from) }
}

/// The host of a URL, without user and port.
#[must_use]
pub fn host_of(url: &str) -> Option<String> {
    let authority = url.split_once("://")?.1.split('/').next()?;
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    let without_port = host.rsplit_once(':').filter(|(_, port)| port.bytes().all(|byte| byte.is_ascii_digit()));
    Some(without_port.map_or(host, |(host, _)| host).to_owned())
}

/// The first of the forge's variables that is set.
fn forge_token() -> Option<Secret> {
    ["TRUEUP_GITHUB_TOKEN", "GITHUB_TOKEN", "GH_TOKEN"].into_iter().find_map(variable).map(Secret::new)
}

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}
