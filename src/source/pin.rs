//! Pins a source to one commit: a folder's where it is, a remote's by a fetch into the cache.

use std::fs::{File, TryLockError};
use std::path::Path;
use std::time::{Duration, Instant};

use git2::{Commit, ErrorCode, Oid, Repository};
use jiff::Timestamp;

use super::address::{Address, RemoteAddress, bare_name, name_in};
use super::error::SourceError;
use super::fetch::FetchRequest;
use super::reference::{self, Lookup};
use super::transport::{self, at};
use super::{Access, CommitId, Content, Limits, Pinned, Revision, SourceSpec, open, work_tree};

/// Pins a source to one commit. A remote is fetched first: its reference alone, into a bare repository in the cache.
///
/// # Errors
/// [`SourceError`]: nothing is ever pinned to less than what was asked for.
pub fn pin(spec: &SourceSpec, access: &Access) -> Result<Pinned, SourceError> {
    if !reference::is_valid(&spec.reference) {
        return Err(SourceError::ReferenceName { reference: spec.reference.clone() });
    }
    match Address::parse(&spec.repo).map_err(SourceError::Address)? {
        Address::Local(path) => pin_local(spec, &path, access.limits),
        Address::Remote(remote) => pin_remote(spec, remote, access),
    }
}

fn pin_local(spec: &SourceSpec, path: &Path, limits: Limits) -> Result<Pinned, SourceError> {
    if !path.exists() {
        return Err(SourceError::NoSuchFolder { path: at(path) });
    }
    let repository = Repository::discover(path).map_err(|error| SourceError::open(path, error))?;
    let place = Place { name: local_name(&repository), remote: None, limits };
    match &spec.revision {
        Revision::WorkTree => pin_work_tree(spec, &repository, place),
        Revision::Reference | Revision::Commit(_) => {
            let tip = resolve(&repository, &spec.reference)?;
            pin_commit(spec, &repository, tip, place)
        }
    }
}

fn pin_remote(spec: &SourceSpec, remote: RemoteAddress, access: &Access) -> Result<Pinned, SourceError> {
    if spec.revision == Revision::WorkTree {
        return Err(SourceError::NoWorkTree { repository: remote.to_string() });
    }
    let cache = access.cache.join(format!("{}.git", digest(&remote.url)));
    let _lock = lock(&access.cache, &cache.with_extension("lock"), access.transport.deadline)?;
    let request = FetchRequest {
        cache: cache.clone(),
        url: remote.url.clone(),
        reference: spec.reference.clone(),
        bytes: access.transport.bytes,
    };
    let fetched = transport::fetch(request, &access.transport).map_err(SourceError::Remote)?;
    let repository = open(&cache)?;
    let tip = repository
        .revparse_single(&fetched.object)
        .and_then(|object| object.peel_to_commit())
        .map_err(|error| SourceError::corrupt(&fetched.object, &error))?
        .id();
    let place = Place { name: remote.name.clone(), remote: Some(remote), limits: access.limits };
    pin_commit(spec, &repository, tip, place)
}

/// What a pinned source says about where it is.
struct Place {
    name: String,
    remote: Option<RemoteAddress>,
    limits: Limits,
}

fn pin_commit(spec: &SourceSpec, repository: &Repository, tip: Oid, place: Place) -> Result<Pinned, SourceError> {
    let id = match &spec.revision {
        Revision::Commit(revision) => find_revision(repository, revision, &spec.reference)?,
        Revision::Reference | Revision::WorkTree => tip,
    };
    let commit = repository.find_commit(id).map_err(|error| SourceError::corrupt(&id.to_string(), &error))?;
    // an unreadable tree must fail here, not look like an empty one later
    let tree = commit.tree().map_err(|error| SourceError::corrupt(&id.to_string(), &error))?;
    Ok(Pinned {
        name: place.name,
        reference: spec.reference.clone(),
        commit: CommitId::from(id),
        time: time_of(&commit),
        dirty: false,
        repository: repository.path().to_owned(),
        remote: place.remote,
        content: Content::Tree(tree.id()),
        limits: place.limits,
        tip: CommitId::from(tip),
    })
}

fn pin_work_tree(spec: &SourceSpec, repository: &Repository, place: Place) -> Result<Pinned, SourceError> {
    let root = repository.workdir().ok_or_else(|| SourceError::NoWorkTree { repository: at(repository.path()) })?.to_owned();
    let content = Content::WorkTree(root);
    match resolve(repository, "HEAD") {
        Ok(head) => {
            let dirty = work_tree::is_dirty(repository)?;
            Ok(Pinned { dirty, content, ..pin_commit(spec, repository, head, place)? })
        }
        Err(SourceError::Empty { .. }) => Ok(unborn(spec, repository, place, content)),
        Err(error) => Err(error),
    }
}

/// Files on disk before the first commit: judged like others, under the commit id that no commit has.
fn unborn(spec: &SourceSpec, repository: &Repository, place: Place, content: Content) -> Pinned {
    let none = CommitId::from(Oid::ZERO_SHA1);
    Pinned {
        name: place.name,
        reference: spec.reference.clone(),
        commit: none.clone(),
        time: Timestamp::UNIX_EPOCH,
        dirty: true,
        repository: repository.path().to_owned(),
        remote: place.remote,
        content,
        limits: place.limits,
        tip: none,
    }
}

fn resolve(repository: &Repository, reference: &str) -> Result<Oid, SourceError> {
    match reference::look_up(repository, reference) {
        Ok(Lookup::Found(id, _)) => Ok(id),
        Ok(Lookup::Unborn) => Err(SourceError::Empty { repository: at(repository.path()) }),
        Ok(Lookup::Missing(near)) => {
            Err(SourceError::MissingReference { repository: at(repository.path()), reference: reference.to_owned(), near })
        }
        Err(error) => Err(SourceError::corrupt(reference, &error)),
    }
}

fn find_revision(repository: &Repository, revision: &str, reference: &str) -> Result<Oid, SourceError> {
    let unknown = || SourceError::UnknownRevision { revision: revision.to_owned(), reference: reference.to_owned() };
    if revision.is_empty() || revision.starts_with('-') {
        return Err(unknown());
    }
    let object = repository.revparse_single(revision).map_err(|error| match error.code() {
        ErrorCode::NotFound | ErrorCode::InvalidSpec | ErrorCode::Ambiguous => unknown(),
        _ => SourceError::corrupt(revision, &error),
    })?;
    object.peel_to_commit().map(|commit| commit.id()).map_err(|_| unknown())
}

fn time_of(commit: &Commit<'_>) -> Timestamp {
    // outside of the years that a timestamp can hold only in a forged commit
    Timestamp::from_second(commit.time().seconds()).unwrap_or(Timestamp::UNIX_EPOCH)
}

/// From the remote `origin`, so that a clone is called as its remote is; else the folder's name.
fn local_name(repository: &Repository) -> String {
    let origin = repository.config().and_then(|config| config.get_string("remote.origin.url")).ok();
    let folder = repository.workdir().unwrap_or_else(|| repository.path());
    let folder = || bare_name(&folder.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default());
    origin.as_deref().and_then(name_in).unwrap_or_else(folder)
}

fn digest(url: &str) -> String {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, url.as_bytes());
    trueup_core::seen::hex(&digest.as_ref()[..16])
}

/// One fetch at a time into one cache. The lock ends with the process, however that ends.
fn lock(folder: &Path, path: &Path, deadline: Duration) -> Result<File, SourceError> {
    let failed = |error: std::io::Error| SourceError::Cache { path: at(path), source: error };
    std::fs::create_dir_all(folder).map_err(failed)?;
    let file = File::options().create(true).truncate(false).write(true).open(path).map_err(failed)?;
    let end = Instant::now() + deadline;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::Error(error)) => return Err(failed(error)),
            Err(TryLockError::WouldBlock) if Instant::now() > end => return Err(SourceError::CacheBusy { path: at(path) }),
            Err(TryLockError::WouldBlock) => std::thread::sleep(Duration::from_millis(50)),
        }
    }
}
