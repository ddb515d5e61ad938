//! The state folder's keys: made once, kept for their owner alone.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use trueup_core::seen::{DigestKey, hex};

use super::{StateFolder, advice};

/// The fewest bytes that a key may have: as many as HMAC-SHA-256 gives.
const LEAST: usize = 32;

/// What a key is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// Masks and finding ids.
    Digest,
    /// The ledger's signed head.
    Ledger,
}

impl Purpose {
    fn name(self) -> &'static str {
        match self {
            Self::Digest => "digest key",
            Self::Ledger => "ledger's key",
        }
    }

    /// How else the key can be given.
    fn otherwise(self) -> &'static str {
        match self {
            Self::Digest => ", or set `TRUEUP_KEY`",
            Self::Ledger => "",
        }
    }
}

/// Why there is no key.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// `TRUEUP_KEY` is no key. Its value is not shown.
    #[error("`TRUEUP_KEY` is not at least {LEAST} bytes in hexadecimal: make one with `openssl rand -hex 32`")]
    Given,
    /// The key's file holds no key. Its content is not shown.
    #[error("`{0}` does not hold at least {LEAST} bytes in hexadecimal: restore it, or remove it to have a new key made")]
    File(PathBuf),
    /// Others than the owner may use the key's file.
    #[error("`{path}` may be used by others (mode {mode:04o}): `chmod 600` it{}", purpose.otherwise())]
    Exposed {
        /// The key's file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
        /// What the key is for.
        purpose: Purpose,
    },
    /// The file cannot be read.
    #[error("cannot read the {} `{path}`: {}", purpose.name(), advice(source))]
    Read {
        /// The key's file.
        path: PathBuf,
        /// What the key is for.
        purpose: Purpose,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The file cannot be made.
    #[error("cannot make the {} `{path}`: {}{}", purpose.name(), advice(source), purpose.otherwise())]
    Make {
        /// The file that was to be written.
        path: PathBuf,
        /// What the key is for.
        purpose: Purpose,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The operating system gave no random bytes.
    #[error("the operating system gave no random bytes for the {} `{path}`{}", purpose.name(), purpose.otherwise())]
    Random {
        /// The file that was to be written.
        path: PathBuf,
        /// What the key is for.
        purpose: Purpose,
    },
}

/// The key under which masks and finding ids are made: the given one (`TRUEUP_KEY`), else the state folder's, which is
/// made at first use. Two processes that make it at once agree on one.
///
/// # Errors
/// [`KeyError`] where a key is too short, lies open to others, or cannot be read or made.
pub fn digest_key(given: Option<&str>, folder: &StateFolder) -> Result<DigestKey, KeyError> {
    if let Some(text) = given.filter(|text| !text.is_empty()) {
        return decode(text).map(|bytes| DigestKey::new(&bytes)).ok_or(KeyError::Given);
    }
    kept_key(&folder.key(), Purpose::Digest).map(|bytes| DigestKey::new(&bytes))
}

/// The key in this file, which is made at first use. Two processes that make it at once agree on one.
///
/// # Errors
/// [`KeyError`]
pub fn kept_key(path: &Path, purpose: Purpose) -> Result<Vec<u8>, KeyError> {
    if let Some(bytes) = read_key(path, purpose)? {
        return Ok(bytes);
    }
    make(path, purpose)?;
    read_key(path, purpose)?.ok_or_else(|| KeyError::File(path.to_owned()))
}

/// The key in the file; `None` where there is no file.
///
/// # Errors
/// [`KeyError`]
pub fn read_key(path: &Path, purpose: Purpose) -> Result<Option<Vec<u8>>, KeyError> {
    let error = |source| KeyError::Read { path: path.to_owned(), purpose, source };
    let file = match File::open(path) {
        Ok(file) => file,
        Err(missing) if missing.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(error(source)),
    };
    let mode = file.metadata().map_err(error)?.mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(KeyError::Exposed { path: path.to_owned(), mode, purpose });
    }
    let mut text = String::new();
    file.take(4096).read_to_string(&mut text).map_err(error)?;
    decode(text.trim_end()).map(Some).ok_or_else(|| KeyError::File(path.to_owned()))
}

/// Writes a new key beside its place and links it there: whole or not at all, and never over another's. A rename would
/// replace a key that another process has made and used in the meantime.
fn make(path: &Path, purpose: Purpose) -> Result<(), KeyError> {
    let mut bytes = [0; LEAST + 8];
    // The system's own random bytes: a generator on top of them takes longer to start than all else that trueup does first.
    getrandom::fill(&mut bytes).map_err(|_| KeyError::Random { path: path.to_owned(), purpose })?;
    let (key, name) = bytes.split_at(LEAST);
    let draft = path.with_extension(hex(name));
    let error = |source| KeyError::Make { path: draft.clone(), purpose, source };
    let written = write(&draft, &hex(key)).and_then(|()| link(&draft, path));
    let removed = match fs::remove_file(&draft) {
        Err(missing) if missing.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    };
    written.and(removed).map_err(error)
}

fn write(draft: &Path, key: &str) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(draft)?;
    writeln!(file, "{key}")?;
    file.sync_all()
}

fn link(draft: &Path, path: &Path) -> io::Result<()> {
    match fs::hard_link(draft, path) {
        Err(made) if made.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(source) => Err(source),
        Ok(()) => path.parent().map_or(Ok(()), |folder| File::open(folder)?.sync_all()),
    }
}

/// At least [`LEAST`] bytes from hexadecimal digits.
fn decode(text: &str) -> Option<Vec<u8>> {
    unhex(text).filter(|bytes| bytes.len() >= LEAST)
}

/// Bytes from hexadecimal digits.
#[must_use]
pub fn unhex(text: &str) -> Option<Vec<u8>> {
    let digits: Option<Vec<u8>> = text.chars().map(|c| c.to_digit(16).and_then(|digit| u8::try_from(digit).ok())).collect();
    let digits = digits.filter(|digits| digits.len() % 2 == 0)?;
    Some(digits.chunks_exact(2).map(|pair| pair[0] << 4 | pair[1]).collect())
}
