//! The child's half of a fetch: one reference of a remote into a bare cache repository.

use std::cell::{Cell, RefCell};
use std::path::{Path, PathBuf};

use git2::{AutotagOption, FetchOptions, ProxyOptions, RemoteCallbacks, RemoteRedirect, Repository, RepositoryInitOptions};
use serde::{Deserialize, Serialize};

use super::address::{Address, RemoteAddress};
use super::credentials::{Conversation, Credentials};
use super::reference;
use super::transport::{RemoteError, at, explain};

/// What to fetch, and where to.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct FetchRequest {
    /// The bare cache repository; made where it is absent.
    pub cache: PathBuf,
    /// The remote.
    pub url: String,
    /// A branch, a tag, a full reference or `HEAD`.
    pub reference: String,
    /// How many bytes may come in.
    pub bytes: u64,
}

impl FetchRequest {
    /// The remote for messages.
    #[must_use]
    pub fn remote(&self) -> String {
        shown(&self.url)
    }
}

/// What the remote said.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Fetched {
    /// The object that the reference names there: a commit, or an annotated tag.
    pub object: String,
    /// The reference's full name there.
    pub name: String,
}

/// The remote for messages: without a user where that may be a token.
#[must_use]
pub fn shown(url: &str) -> String {
    match Address::parse(url) {
        Ok(Address::Remote(remote)) => remote.to_string(),
        Ok(Address::Local(path)) => at(&path),
        Err(_) => "the remote".to_owned(),
    }
}

/// Reads the address again: this process trusts no caller.
///
/// # Errors
/// When it is no remote that is allowed.
pub fn allowed(url: &str) -> Result<RemoteAddress, RemoteError> {
    let refused = |detail: String| RemoteError::Address { remote: shown(url), detail };
    match Address::parse(url) {
        Ok(Address::Remote(remote)) => Ok(remote),
        Ok(Address::Local(_)) => Err(refused("it is a folder".to_owned())),
        Err(error) => Err(refused(error.to_string())),
    }
}

/// Opens a remote that speaks to the very address given: `url.*.insteadOf` may not lead to another host.
///
/// # Errors
/// When it does.
pub fn remote_of<'a>(repository: &'a Repository, address: &RemoteAddress) -> Result<git2::Remote<'a>, RemoteError> {
    let remote =
        repository.remote_anonymous(&address.url).map_err(|error| explain(&error, &address.to_string(), String::new()))?;
    let used = [remote.url().unwrap_or_default(), remote.pushurl().ok().flatten().unwrap_or(&address.url)];
    for url in used {
        let same = allowed(url).is_ok_and(|found| found.host == address.host);
        if !same {
            let detail = "git's configuration rewrites it to another host".to_owned();
            return Err(RemoteError::Address { remote: address.to_string(), detail });
        }
    }
    Ok(remote)
}

/// Fetches. What is already in the cache stays there, a broken transfer changes nothing.
///
/// # Errors
/// [`RemoteError`].
pub fn perform(request: &FetchRequest, credentials: Credentials) -> Result<Fetched, RemoteError> {
    let address = allowed(&request.url)?;
    let cache = open_cache(&request.cache)?;
    let mut remote = remote_of(&cache, &address)?;
    let conversation = RefCell::new(Conversation::new(address.clone(), credentials));
    let overflow = Cell::new(false);
    let mut callbacks = RemoteCallbacks::new();
    callbacks.credentials(|_, user, allowed| conversation.borrow_mut().answer(user, allowed));
    callbacks.transfer_progress(|progress| {
        overflow.set(progress.received_bytes() as u64 > request.bytes);
        !overflow.get()
    });
    let names = reference::candidates(&request.reference);
    let refspecs: Vec<String> = names.iter().map(|name| format!("+{name}:{}", cached_name(name))).collect();
    let mut options = FetchOptions::new();
    options.remote_callbacks(callbacks).download_tags(AutotagOption::None).follow_redirects(RemoteRedirect::None);
    options.update_fetchhead(false).proxy_options(proxy());
    let fetched = remote.fetch(&refspecs, Some(&mut options), None);
    drop(options);
    if overflow.get() {
        return Err(RemoteError::TooLarge { remote: address.to_string(), limit: request.bytes });
    }
    let offered = || conversation.borrow().offered();
    fetched.map_err(|error| explain(&error, &address.to_string(), offered()))?;
    listed(&remote, &names, request, &address)
}

/// The proxy that git's configuration and the environment name.
#[must_use]
pub fn proxy<'a>() -> ProxyOptions<'a> {
    let mut proxy = ProxyOptions::new();
    proxy.auto();
    proxy
}

/// What the server listed decides, not what an earlier fetch left in the cache.
fn listed(
    remote: &git2::Remote<'_>,
    names: &[String],
    request: &FetchRequest,
    address: &RemoteAddress,
) -> Result<Fetched, RemoteError> {
    let heads = remote.list().map_err(|error| explain(&error, &address.to_string(), String::new()))?;
    for name in names {
        if let Some(head) = heads.iter().find(|head| head.name() == name) {
            return Ok(Fetched { object: head.oid().to_string(), name: name.clone() });
        }
    }
    if heads.is_empty() {
        return Err(RemoteError::Empty { remote: address.to_string() });
    }
    let near =
        reference::near(&request.reference, heads.iter().map(git2::RemoteHead::name).filter(|name| !name.ends_with("^{}")));
    Err(RemoteError::MissingReference { remote: address.to_string(), reference: request.reference.clone(), near })
}

/// Where a remote's reference is kept in the cache: without folders, as `a` may give way to `a/b` there.
fn cached_name(name: &str) -> String {
    format!("refs/remote/{}", name.replace('/', "%"))
}

fn open_cache(path: &Path) -> Result<Repository, RemoteError> {
    let failed = |error: git2::Error| RemoteError::Repository { path: at(path), detail: error.message().to_owned() };
    if path.join("HEAD").exists() {
        sweep(path);
        return Repository::open_bare(path).map_err(failed);
    }
    // no template: a template folder may hold hooks and configuration
    let mut options = RepositoryInitOptions::new();
    options.bare(true).mkpath(true).external_template(false).mode(git2::RepositoryInitMode::from_bits_retain(0o700));
    Repository::init_opts(path, &options).map_err(failed)
}

/// Removes what a transfer left that was killed at its deadline. The cache's lock is held, so none is under way.
fn sweep(cache: &Path) {
    let left = std::fs::read_dir(cache.join("objects/pack")).into_iter().flatten().flatten();
    for entry in left.filter(|entry| entry.file_name().to_string_lossy().starts_with("pack_git2_")) {
        // one that cannot be removed costs space, nothing else
        drop(std::fs::remove_file(entry.path()));
    }
}
