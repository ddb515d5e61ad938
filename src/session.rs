//! What every command works with: settings, the revision to read, the state folder and its key.

use std::ffi::OsString;
use std::path::PathBuf;

use trueup_core::seen::DigestKey;

use crate::cli::Global;
use crate::config::{self, Overrides, Settings};
use crate::failure::Failure;
use crate::source::credentials::{Credentials, Secret, Token};
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
    /// Ledger, caches, key.
    pub state: StateFolder,
    /// For ids and masks.
    pub key: DigestKey,
    /// The forge's token, sent to the forge's host alone.
    pub forge_token: Option<Secret>,
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
    let key = digest_key(&state, variable("TRUEUP_KEY").as_deref()).map_err(Failure::usage)?;
    let access = Access::new(state.path().join("cache"), credentials()).map_err(Failure::usage)?;
    Ok(Session { revision: revision(global), access, state, key, forge_token: forge_token(), settings })
}

/// Pins the source: the whole round sees this one commit.
///
/// # Errors
/// What was not found is a matter of configuration; a remote that did not answer leaves nothing to judge by.
pub fn pin(session: &Session) -> Result<Pinned, Failure> {
    let settings = &session.settings.source;
    let spec = SourceSpec { repo: settings.repo.clone(), reference: settings.reference.clone(), revision: session.revision.clone() };
    source::pin(&spec, &session.access).map_err(|error| match &error {
        source::SourceError::Remote(_) => Failure::unseen(error),
        _ => Failure::usage(error),
    })
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
    let environment = StateEnvironment {
        state_dir: state_dir.as_deref(),
        xdg_state_home: xdg_state_home.as_deref(),
        home: home.as_deref(),
    };
    let state = StateFolder::resolve(environment, &settings.file).map_err(Failure::usage)?;
    state.create().map_err(Failure::usage)?;
    Ok(state)
}

/// The first of the forge's variables that is set.
fn forge_token() -> Option<Secret> {
    ["TRUEUP_GITHUB_TOKEN", "GITHUB_TOKEN", "GH_TOKEN"].into_iter().find_map(variable).map(Secret::new)
}

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}
