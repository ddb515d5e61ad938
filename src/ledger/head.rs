//! The signed head: what one instance says the ledger was when it last appended.
//!
//! The chain alone does not show that its end was cut off, or that the whole was written anew. A head does, and only the
//! holder of the key can make one: `audit verify` compares the ledger with the one beside it, and with one kept elsewhere.

use std::fmt;
use std::path::Path;
use std::str::FromStr;

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};
use trueup_core::seen::hex;

use super::storage::HeadRow;
use super::{RecordHash, Recorded};
use crate::state::{KeyError, Purpose, kept_key, read_key, unhex};

/// What is signed begins with this, so that no signature passes for one of something else.
const HEAD: &[u8] = b"trueup ledger head v1\n";
const CHECKPOINT: &[u8] = b"trueup ledger checkpoint v1\n";

/// The first word of a head's text.
const WORD: &str = "trueup-head-v1";

/// Names the holder of a key: 32 digits of the SHA-256 of the public key.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Instance(String);

/// The key of one state folder (ed25519, RFC 8032).
pub(super) struct Signer {
    pair: Ed25519KeyPair,
    instance: Instance,
}

/// A record's number and hash, signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedHead {
    /// The record, and with it all before it.
    pub recorded: Recorded,
    /// The instance's turn in which it was appended.
    pub epoch: u64,
    pub(super) key: [u8; 32],
    pub(super) signature: [u8; 64],
}

/// Why a text is no head.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum HeadError {
    /// It does not read.
    #[error("this is no head: it is the one line that `trueup audit head` prints, or a file with it")]
    Form,
    /// It was changed.
    #[error("the signature of this head does not hold: it was changed, or cut short")]
    Signature,
}

impl Instance {
    fn of(key: &[u8]) -> Self {
        Self(hex(&digest(&SHA256, key).as_ref()[..16]))
    }

    /// Its 32 digits.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Instance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl Signer {
    /// The state folder's key, made at first use.
    pub(super) fn kept(path: &Path) -> Result<Self, KeyError> {
        let seed = kept_key(path, Purpose::Ledger)?;
        Self::of(&seed).ok_or_else(|| KeyError::File(path.to_owned()))
    }

    fn of(seed: &[u8]) -> Option<Self> {
        let pair = Ed25519KeyPair::from_seed_unchecked(seed).ok()?;
        let instance = Instance::of(pair.public_key().as_ref());
        Some(Self { pair, instance })
    }

    pub(super) fn instance(&self) -> &Instance {
        &self.instance
    }

    pub(super) fn sign(&self, recorded: Recorded, epoch: u64) -> SignedHead {
        SignedHead {
            recorded,
            epoch,
            key: fixed(self.pair.public_key().as_ref()),
            signature: fixed(self.pair.sign(&head_message(recorded, epoch)).as_ref()),
        }
    }

    /// A checkpoint's signature: that this instance let older records go.
    pub(super) fn sign_checkpoint(&self, hash: RecordHash) -> Vec<u8> {
        self.pair.sign(&[CHECKPOINT, hash.bytes()].concat()).as_ref().to_vec()
    }
}

/// Names the holder, not the key.
impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Signer({})", self.instance)
    }
}

/// Whose the key of this file is; `None` where there is none that can be read.
pub(super) fn instance_of(path: &Path) -> Option<Instance> {
    let seed = read_key(path, Purpose::Ledger).ok()??;
    Signer::of(&seed).map(|signer| signer.instance)
}

impl SignedHead {
    /// Whose it is.
    #[must_use]
    pub fn instance(&self) -> Instance {
        Instance::of(&self.key)
    }

    /// Whether the key's holder said so.
    #[must_use]
    pub fn holds(&self) -> bool {
        verifies(&self.key, &head_message(self.recorded, self.epoch), &self.signature)
    }

    /// Whether this instance signed a checkpoint with this hash.
    pub(super) fn signed_checkpoint(&self, hash: RecordHash, signature: &[u8]) -> bool {
        verifies(&self.key, &[CHECKPOINT, hash.bytes()].concat(), signature)
    }

    /// What is stored, if it reads, and names its own key's instance.
    pub(super) fn stored(row: &HeadRow) -> Option<Self> {
        let head = Self {
            recorded: Recorded { seq: u64::try_from(row.seq).ok()?, hash: RecordHash::read(&row.hash)? },
            epoch: u64::try_from(row.epoch).ok()?,
            key: row.key.as_slice().try_into().ok()?,
            signature: row.signature.as_slice().try_into().ok()?,
        };
        (head.instance().as_str() == row.instance && head.holds()).then_some(head)
    }
}

/// One line, to be kept elsewhere.
impl fmt::Display for SignedHead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { recorded, epoch, key, signature } = self;
        write!(f, "{WORD} {} {} {epoch} {} {}", recorded.seq, recorded.hash, hex(key), hex(signature))
    }
}

impl FromStr for SignedHead {
    type Err = HeadError;

    fn from_str(text: &str) -> Result<Self, HeadError> {
        let words: Vec<&str> = text.split_whitespace().collect();
        let [WORD, seq, hash, epoch, key, signature] = words[..] else { return Err(HeadError::Form) };
        let bytes = |word: &str| unhex(word).ok_or(HeadError::Form);
        let head = Self {
            recorded: Recorded {
                seq: seq.parse().map_err(|_| HeadError::Form)?,
                hash: RecordHash::read(&bytes(hash)?).ok_or(HeadError::Form)?,
            },
            epoch: epoch.parse().map_err(|_| HeadError::Form)?,
            key: bytes(key)?.try_into().map_err(|_| HeadError::Form)?,
            signature: bytes(signature)?.try_into().map_err(|_| HeadError::Form)?,
        };
        if head.holds() { Ok(head) } else { Err(HeadError::Signature) }
    }
}

fn head_message(recorded: Recorded, epoch: u64) -> Vec<u8> {
    [HEAD, &recorded.seq.to_be_bytes(), recorded.hash.bytes(), &epoch.to_be_bytes()].concat()
}

fn verifies(key: &[u8; 32], message: &[u8], signature: &[u8]) -> bool {
    UnparsedPublicKey::new(&ED25519, key).verify(message, signature).is_ok()
}

fn fixed<const LENGTH: usize>(bytes: &[u8]) -> [u8; LENGTH] {
    bytes.try_into().expect("the lengths of ed25519's keys and signatures are fixed")
}
