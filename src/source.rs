//! The source: a Git repository at a reference, pinned to one commit for a whole round.
//!
//! Files are read from the object store by walking the commit's tree, never by a checkout: no filter, hook, link or
//! attribute of the repository takes part. Everything here blocks; callers in async code use `spawn_blocking`.

pub mod address;
pub mod credentials;
pub mod error;
pub mod export;
pub mod fetch;
pub mod former;
pub mod history;
pub mod name;
pub mod reference;
pub mod transport;
pub mod tree;
pub mod work_tree;

use std::fmt;
use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::{Duration, Instant};

use git2::{Commit, ErrorCode, Oid, Repository};
use jiff::Timestamp;
use trueup_core::facts::Problem;

use self::address::{Address, RemoteAddress, bare_name, name_in};
use self::credentials::Credentials;
use self::error::SourceError;
use self::fetch::FetchRequest;
use self::reference::Lookup;
use self::transport::{Transport, at};

pub use self::tree::Trees;

/// Which files a round reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceSpec {
    /// A folder (also one inside a repository), `file://`, https or ssh.
    pub repo: String,
    /// A branch, a tag, a full reference or `HEAD`.
    pub reference: String,
    /// The reference itself, another commit, or the files on disk.
    pub revision: Revision,
}

/// What of a source is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Revision {
    /// The commit that the reference names now.
    Reference,
    /// Another commit, as git's revision syntax names it (`4f2c9e1`, `HEAD~2`).
    Commit(String),
    /// The files as they are on disk; local repositories only.
    WorkTree,
}

/// What a source may use of this machine.
#[derive(Debug, Clone)]
pub struct Access {
    /// The folder for cached repositories, one for each remote.
    pub cache: PathBuf,
    /// How remotes are reached.
    pub transport: Transport,
    /// How much is read.
    pub limits: Limits,
}

/// How much is read of one commit. What goes beyond is a named problem, never cut off in silence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of one file.
    pub file_bytes: usize,
    /// Bytes of all files together.
    pub total_bytes: usize,
    /// Entries of all trees together, manifests or not.
    pub entries: usize,
    /// Folders inside folders.
    pub depth: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { file_bytes: 16 << 20, total_bytes: 512 << 20, entries: 1_000_000, depth: 64 }
    }
}

impl Access {
    /// A cache folder, with the default limits.
    ///
    /// # Errors
    /// When the program's own path cannot be found.
    pub fn new(cache: PathBuf, credentials: Credentials) -> Result<Self, SourceError> {
        let transport = Transport::new(credentials).map_err(SourceError::Remote)?;
        Ok(Self { cache, transport, limits: Limits::default() })
    }
}

/// A commit's id: 40 hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CommitId {
    id: Oid,
    text: String,
}

impl CommitId {
    /// All 40 digits.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// For libgit2.
    #[must_use]
    pub fn oid(&self) -> Oid {
        self.id
    }
}

impl From<Oid> for CommitId {
    fn from(id: Oid) -> Self {
        Self { id, text: id.to_string() }
    }
}

impl FromStr for CommitId {
    type Err = SourceError;

    fn from_str(text: &str) -> Result<Self, SourceError> {
        let whole = Some(text).filter(|text| text.len() == 40).and_then(|text| Oid::from_str(text).ok());
        whole.map(Self::from).ok_or_else(|| SourceError::CommitId { text: text.to_owned() })
    }
}

impl fmt::Display for CommitId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// A source at one commit. Whatever moves meanwhile, it stays at that commit.
#[derive(Debug, Clone)]
pub struct Pinned {
    /// The source's name: `acme/platform` from a remote's address, else the folder's.
    pub name: String,
    /// The reference it was pinned through, as it was given.
    pub reference: String,
    /// The commit; for the work tree, the one that is checked out.
    pub commit: CommitId,
    /// When it was committed.
    pub time: Timestamp,
    /// Whether the files differ from the commit's: with the work tree alone.
    pub dirty: bool,
    /// The repository (of a remote: its cache), where objects are read and written.
    pub repository: PathBuf,
    /// The remote's URL; `None` for a folder of this machine.
    pub remote: Option<RemoteAddress>,
    content: Content,
    limits: Limits,
    tip: CommitId,
}

impl Pinned {
    /// Whether the files are those of a commit, so that they never change.
    #[must_use]
    pub fn is_fixed(&self) -> bool {
        self.tree().is_some()
    }

    /// Where the reference itself is, whatever commit of it is looked at.
    #[must_use]
    pub fn tip(&self) -> &CommitId {
        &self.tip
    }

    /// The id of the commit's whole tree, where the files are those of a commit: with it, all of them are the same.
    #[must_use]
    pub fn tree(&self) -> Option<Oid> {
        match self.content {
            Content::Tree(id) => Some(id),
            Content::WorkTree(_) => None,
        }
    }
}

/// Where the files come from.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Content {
    /// Of a commit, by its id.
    Tree(Oid),
    WorkTree(PathBuf),
}

/// One file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceFile {
    /// Its path inside the repository, with `/`.
    pub path: String,
    /// Its content.
    pub bytes: Vec<u8>,
    /// The blob's id, which is a digest of the content.
    pub blob: String,
}

/// The size of a blob's content, where whoever asks needs none of it.
pub type KnownSizes<'a> = dyn Fn(Oid) -> Option<usize> + 'a;

/// One file, with its content or without.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    /// It was read.
    Read(SourceFile),
    /// Its blob is known to whoever asked: nothing was read of it.
    Known {
        /// Its path inside the repository, with `/`.
        path: String,
        /// The blob's id.
        blob: Oid,
    },
}

impl Found {
    /// The file, where it was read.
    #[must_use]
    pub fn read(self) -> Option<SourceFile> {
        match self {
            Self::Read(file) => Some(file),
            Self::Known { .. } => None,
        }
    }
}

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

/// The manifests (`.yaml`, `.yml`, `.json`) under some paths, sorted by path, and what could not be read.
///
/// A path may name a folder or one file. Each problem here blinds: objects may be declared in what was not read.
#[must_use]
pub fn files(pinned: &Pinned, under: &[String]) -> (Vec<SourceFile>, Vec<Problem>) {
    let (files, problems) = files_but(pinned, under, &|_| None, &mut Trees::default());
    (files.into_iter().filter_map(Found::read).collect(), problems)
}

/// As [`files`], but nothing is read of blobs whose size is `known`, as far as they are told apart without reading, nor of
/// `trees` that were read before.
#[must_use]
pub fn files_but(pinned: &Pinned, under: &[String], known: &KnownSizes<'_>, trees: &mut Trees) -> (Vec<Found>, Vec<Problem>) {
    let repository = match open(&pinned.repository) {
        Ok(repository) => repository,
        Err(error) => return (Vec::new(), vec![Problem::blind("source-unreadable", error.to_string(), None)]),
    };
    match &pinned.content {
        Content::Tree(_) => tree::files(&repository, &pinned.commit, under, pinned.limits, (known, trees)),
        Content::WorkTree(root) => {
            let (files, problems) = work_tree::files(&repository, root, under, pinned.limits);
            (files.into_iter().map(Found::Read).collect(), problems)
        }
    }
}

/// Writes all files into a folder that is there and empty; returns what was left out.
///
/// # Errors
/// When something cannot be read or written, or is too much.
pub fn export(pinned: &Pinned, into: &Path) -> Result<Vec<export::LeftOut>, SourceError> {
    let repository = open(&pinned.repository)?;
    match &pinned.content {
        Content::Tree(_) => export::tree(&repository, &pinned.commit, pinned.limits, into),
        Content::WorkTree(root) => export::work_tree(&repository, root, pinned.limits, into),
    }
}

/// One file's content; `None` where there is no such file. For policies and expectations.
///
/// # Errors
/// When the path leads out, through a link or into a submodule, or the content cannot be read.
pub fn read(pinned: &Pinned, path: &str) -> Result<Option<Vec<u8>>, SourceError> {
    match &pinned.content {
        Content::Tree(_) => tree::read(&open(&pinned.repository)?, &pinned.commit, path, pinned.limits),
        Content::WorkTree(root) => work_tree::read(root, path, pinned.limits),
    }
}

/// One file's content at another commit of the source; `None` where there is no such file.
///
/// # Errors
/// As [`read`], and when the commit is not here.
pub fn read_at(pinned: &Pinned, commit: &CommitId, path: &str) -> Result<Option<Vec<u8>>, SourceError> {
    tree::read(&open(&pinned.repository)?, commit, path, pinned.limits)
}

/// One file's text; `None` where there is no such file.
///
/// # Errors
/// As [`read`], and when the file is not UTF-8: no byte is guessed.
pub fn read_text(pinned: &Pinned, path: &str) -> Result<Option<String>, SourceError> {
    let Some(bytes) = read(pinned, path)? else { return Ok(None) };
    String::from_utf8(bytes).map(Some).map_err(|error| {
        let before = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        let line = before.split(|byte| *byte == b'\n').count();
        SourceError::NotUtf8 { path: path.to_owned(), line }
    })
}

/// The paths of the `*.toml` files in one folder, sorted; none where there is no such folder.
///
/// # Errors
/// When the folder cannot be listed, or one of its `*.toml` entries is no plain file.
pub fn list_toml(pinned: &Pinned, folder: &str) -> Result<Vec<String>, SourceError> {
    match &pinned.content {
        Content::Tree(_) => tree::list_toml(&open(&pinned.repository)?, &pinned.commit, folder),
        Content::WorkTree(root) => work_tree::list_toml(root, folder),
    }
}

/// Opens a repository that has been found before.
///
/// # Errors
/// When it is gone or unusable.
pub fn open(path: &Path) -> Result<Repository, SourceError> {
    Repository::open(path).map_err(|error| SourceError::open(path, error))
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
