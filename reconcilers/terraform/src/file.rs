//! A state in a file. Whether Terraform is writing it is asked (`F_GETLK`), never claimed.

use std::fs::{self, File, Metadata};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use nix::fcntl::{FcntlArg, fcntl};
use nix::libc;
use trueup_core::facts::Problem;

use crate::state::{self, State, StateError};

/// What one look at a state gave.
#[derive(Debug, Clone, PartialEq)]
pub struct Reading {
    /// The state.
    pub state: State,
    /// What people should know beside it.
    pub problems: Vec<Problem>,
}

/// Who holds a state's lock, as Terraform wrote it beside the state.
#[derive(Debug, Clone, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Holder {
    /// `anna@build-3`
    pub who: String,
    /// `OperationTypeApply`
    pub operation: String,
    /// Since when, RFC 3339.
    pub created: String,
}

/// Why a file gave no state.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// Nothing there.
    #[error("there is no state `{0}`; check the target's `state`, or run `terraform apply` first")]
    NotFound(PathBuf),
    /// A folder, a pipe…
    #[error("the state `{0}` is not a regular file; check the target's `state`")]
    NotAFile(PathBuf),
    /// The system said no.
    #[error("cannot {step} the state `{path}`: {source}")]
    Io {
        /// `open`, `look at`…
        step: &'static str,
        /// Which file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Its lock is held.
    #[error("the state `{path}` is being written{}; read it again later", held_by(.holder.as_ref()))]
    Locked {
        /// Which file.
        path: PathBuf,
        /// By whom, where the lock's note can be read.
        holder: Option<Holder>,
    },
    /// It changed while it was read.
    #[error("the state `{0}` is being written, it changed while it was read; read it again later")]
    Changed(PathBuf),
    /// What was read is not a state that can be judged.
    #[error("state `{path}`: {source}")]
    State {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: StateError,
    },
}

impl FileError {
    /// Whether the same file may be read in a moment: a writer is at it.
    #[must_use]
    pub fn is_being_written(&self) -> bool {
        matches!(self, Self::Locked { .. } | Self::Changed(_))
    }
}

/// More than any lock's note, and little enough to read unasked.
const MAX_LOCK_INFO: u64 = 64 * 1024;

/// Reads the state at `path`; reports call it `location`.
///
/// # Errors
/// Where there is none, it is being written, or it is not a whole state of version 4.
pub fn read(path: &Path, location: &str) -> Result<Reading, FileError> {
    let file = open(path)?;
    refuse_locked(&file, path)?;
    let before = look_at(&file, path)?;
    let read = state::read(location, &file);
    refuse_locked(&file, path)?;
    if changed(&before, &file, path)? {
        return Err(FileError::Changed(path.to_owned()));
    }
    let state = read.map_err(|source| FileError::State { path: path.to_owned(), source })?;
    Ok(Reading { state, problems: left_lock(path, location).into_iter().collect() })
}

/// Opens a regular file only: a pipe would make the opening wait for its writer.
fn open(path: &Path) -> Result<File, FileError> {
    let failed = |step| {
        move |source: io::Error| match source.kind() {
            io::ErrorKind::NotFound => FileError::NotFound(path.to_owned()),
            _ => FileError::Io { step, path: path.to_owned(), source },
        }
    };
    if !fs::metadata(path).map_err(failed("look at"))?.is_file() {
        return Err(FileError::NotAFile(path.to_owned()));
    }
    File::open(path).map_err(failed("open"))
}

fn look_at(file: &File, path: &Path) -> Result<Metadata, FileError> {
    file.metadata().map_err(|source| FileError::Io { step: "look at", path: path.to_owned(), source })
}

/// Terraform holds a write lock on the whole file for as long as a command runs, and writes it several times meanwhile.
fn refuse_locked(file: &File, path: &Path) -> Result<(), FileError> {
    let mut lock = whole_file(libc::F_RDLCK);
    fcntl(file, FcntlArg::F_GETLK(&mut lock)).map_err(|source| FileError::Io {
        step: "ask for the lock of",
        path: path.to_owned(),
        source: source.into(),
    })?;
    if i32::from(lock.l_type) == libc::F_UNLCK {
        return Ok(());
    }
    Err(FileError::Locked { path: path.to_owned(), holder: holder(path) })
}

/// A lock of the whole file; as a question it means: what would stand in this lock's way?
fn whole_file(kind: i32) -> libc::flock {
    let [l_type, l_whence] = [kind, libc::SEEK_SET].map(|value| i16::try_from(value).expect("fcntl's constants are small"));
    libc::flock { l_type, l_whence, l_start: 0, l_len: 0, l_pid: 0 }
}

/// Whether the file was written to, or another one took its name.
fn changed(before: &Metadata, file: &File, path: &Path) -> Result<bool, FileError> {
    let identity = |metadata: &Metadata| {
        (metadata.dev(), metadata.ino(), metadata.len(), metadata.mtime(), metadata.mtime_nsec(), metadata.ctime_nsec())
    };
    let after = look_at(file, path)?;
    let named = fs::metadata(path).ok();
    Ok(identity(before) != identity(&after) || named.is_none_or(|named| identity(&named) != identity(&after)))
}

/// A lock's note without a lock: a command was killed, or the lock is held on another machine that this file system does
/// not tell of.
fn left_lock(path: &Path, location: &str) -> Option<Problem> {
    let info = lock_info(path);
    info.exists().then(|| {
        let held = held_by(holder(path).as_ref());
        let message = format!(
            "a lock's note lies beside the state `{location}`{held}, but nobody holds the lock here; if no `terraform` runs \
             on another machine, delete `{}`",
            info.display()
        );
        Problem::note("state-lock-left", message, None)
    })
}

fn holder(path: &Path) -> Option<Holder> {
    let mut text = String::new();
    File::open(lock_info(path)).ok()?.take(MAX_LOCK_INFO).read_to_string(&mut text).ok()?;
    serde_json::from_str(&text).ok()
}

/// Where Terraform's local backend notes who holds the lock: `.terraform.tfstate.lock.info`.
fn lock_info(path: &Path) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!(".{name}.lock.info"))
}

fn held_by(holder: Option<&Holder>) -> String {
    holder.map_or_else(String::new, |Holder { who, operation, created }| format!(" by `{who}` (`{operation}` since {created})"))
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::thread;
    use std::time::Duration;

    use super::*;

    /// A lock of an open file description, unlike one of a process, stands in the way of the process that holds it, too.
    fn lock(path: &Path, kind: i32) -> File {
        let file = File::options().read(true).write(true).open(path).unwrap();
        fcntl(&file, FcntlArg::F_OFD_SETLK(&whole_file(kind))).unwrap();
        file
    }

    fn state(folder: &Path) -> PathBuf {
        let path = folder.join("terraform.tfstate");
        let text = r#"{"version":4,"terraform_version":"1.11.4","serial":1,"lineage":"l","outputs":{}}"#;
        fs::write(&path, text).unwrap();
        path
    }

    #[test]
    fn a_held_lock_names_its_holder_and_none_is_taken() {
        let folder = tempfile::tempdir().unwrap();
        let path = state(folder.path());
        let info = r#"{"ID":"1","Operation":"OperationTypeApply","Who":"anna@build-3","Created":"2026-11-20T21:45:02Z"}"#;
        fs::write(folder.path().join(".terraform.tfstate.lock.info"), info).unwrap();
        let held = lock(&path, libc::F_WRLCK);
        let error = read(&path, "s").unwrap_err();
        assert!(error.is_being_written());
        assert_eq!(
            error.to_string(),
            format!(
                "the state `{}` is being written by `anna@build-3` (`OperationTypeApply` since 2026-11-20T21:45:02Z); read it \
                 again later",
                path.display()
            )
        );
        drop(held);
        let reading = read(&path, "s").unwrap();
        assert_eq!(reading.problems.len(), 1, "the note is still there: {:?}", reading.problems);
        assert!(reading.problems[0].message.contains("anna@build-3"));
        assert!(!reading.problems[0].blinds);
        drop(lock(&path, libc::F_WRLCK));
    }

    #[test]
    fn another_reader_is_not_in_the_way() {
        let folder = tempfile::tempdir().unwrap();
        let path = state(folder.path());
        let _held = lock(&path, libc::F_RDLCK);
        assert!(read(&path, "s").is_ok());
    }

    #[test]
    fn a_write_and_an_exchange_are_seen() {
        let folder = tempfile::tempdir().unwrap();
        let path = state(folder.path());
        let file = open(&path).unwrap();
        let before = look_at(&file, &path).unwrap();
        assert!(!changed(&before, &file, &path).unwrap());
        fs::write(folder.path().join("other"), "{}").unwrap();
        fs::rename(folder.path().join("other"), &path).unwrap();
        assert!(changed(&before, &file, &path).unwrap(), "another file took the name");
        let file = open(&path).unwrap();
        let before = look_at(&file, &path).unwrap();
        fs::write(&path, "{ }").unwrap();
        assert!(changed(&before, &file, &path).unwrap(), "it grew");
    }

    /// What is appended is white space, so that each reading by itself would be a whole state.
    #[test]
    fn a_file_that_changes_while_it_is_read_is_being_written() {
        let folder = tempfile::tempdir().unwrap();
        let path = state(folder.path());
        let mut writer = File::options().append(true).open(&path).unwrap();
        writer.write_all(&vec![b' '; 2_000_000]).unwrap();
        assert!(read(&path, "s").is_ok());
        let has_read = AtomicBool::new(false);
        let read = thread::scope(|scope| {
            scope.spawn(|| {
                while !has_read.load(Ordering::Relaxed) {
                    writer.write_all(b" ").unwrap();
                    thread::sleep(Duration::from_millis(1));
                }
            });
            let read = read(&path, "s");
            has_read.store(true, Ordering::Relaxed);
            read
        });
        assert!(matches!(read, Err(FileError::Changed(_))), "{read:?}");
    }

    #[test]
    fn what_is_no_file_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        assert!(matches!(read(folder.path(), "s"), Err(FileError::NotAFile(_))));
        assert!(matches!(read(&folder.path().join("none"), "s"), Err(FileError::NotFound(_))));
        let pipe = folder.path().join("pipe");
        nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRWXU).unwrap();
        assert!(matches!(read(&pipe, "s"), Err(FileError::NotAFile(_))));
    }
}
