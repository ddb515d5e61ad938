//! The chain: each record's hash covers its number, its time, its body and the hash before it.

use std::fmt;

use aws_lc_rs::digest::{Context, SHA256};
use futures::stream::BoxStream;
use jiff::Timestamp;
use sqlx::sqlite::SqliteConnection;
use trueup_core::run::{Entry, RunId};
use trueup_core::seen::hex;

use super::Recorded;

/// The version of what is hashed: its first byte.
const VERSION: u8 = 1;

/// A record's hash: SHA-256 over version ‖ number ‖ length of the time ‖ time ‖ hash before ‖ body, numbers as 8 bytes,
/// big end first.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct RecordHash([u8; 32]);

/// One row as it is stored, whatever the bytes are.
#[derive(Debug, Clone, sqlx::FromRow)]
pub(super) struct Row {
    pub(super) seq: i64,
    pub(super) at: Vec<u8>,
    pub(super) run: Option<Vec<u8>>,
    pub(super) kind: Vec<u8>,
    pub(super) body: Vec<u8>,
    pub(super) prev: Vec<u8>,
    pub(super) hash: Vec<u8>,
}

/// How far the chain was followed.
#[derive(Debug)]
pub(super) struct Chain {
    next: u64,
    before: Before,
}

/// What stands before the next record.
#[derive(Debug)]
enum Before {
    /// Nothing: it is the first.
    Start,
    /// Records that were not looked at.
    Unseen,
    /// This one.
    Record(Recorded),
}

/// What is wrong, and with which record.
#[derive(Debug)]
pub(super) struct Flaw {
    pub(super) seq: u64,
    pub(super) why: String,
}

/// The columns as bytes, so that changed types and broken texts are seen as changed content.
macro_rules! select {
    () => {
        "SELECT seq, CAST(at AS BLOB) AS at, CAST(run AS BLOB) AS run, CAST(kind AS BLOB) AS kind, \
         CAST(body AS BLOB) AS body, CAST(prev AS BLOB) AS prev, CAST(hash AS BLOB) AS hash FROM records"
    };
}
pub(super) use select;

/// The rows from this number on, in order.
pub(super) fn rows_from(connection: &mut SqliteConnection, seq: u64) -> BoxStream<'_, Result<Row, sqlx::Error>> {
    let whole = concat!(select!(), " ORDER BY seq");
    let rest = concat!(select!(), " WHERE seq >= $1 ORDER BY seq");
    match i64::try_from(seq) {
        Ok(..=1) => sqlx::query_as(whole).fetch(connection),
        Ok(seq) => sqlx::query_as(rest).bind(seq).fetch(connection),
        Err(_) => Box::pin(futures::stream::empty()),
    }
}

/// The rows of one run, in order.
pub(super) async fn rows_of_run(connection: &mut SqliteConnection, run: &RunId) -> Result<Vec<Row>, sqlx::Error> {
    let of_run = concat!(select!(), " WHERE run = $1 ORDER BY seq");
    sqlx::query_as(of_run).bind(run.as_str()).fetch_all(connection).await
}

impl RecordHash {
    /// What stands before the first record.
    pub(super) const NONE: Self = Self([0; 32]);

    fn read(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }
}

/// 64 hexadecimal digits.
impl fmt::Display for RecordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&hex(&self.0))
    }
}

impl fmt::Debug for RecordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RecordHash({self})")
    }
}

impl Chain {
    /// Before the first record.
    pub(super) fn start() -> Self {
        Self { next: 1, before: Before::Start }
    }

    /// After this record, which is not looked at.
    pub(super) fn after(seq: u64) -> Self {
        match seq {
            0 => Self::start(),
            seq => Self { next: seq.saturating_add(1), before: Before::Unseen },
        }
    }

    /// The number that the next record must have.
    pub(super) fn next(&self) -> u64 {
        self.next
    }

    /// The last record that was followed.
    pub(super) fn head(&self) -> Option<Recorded> {
        match self.before {
            Before::Record(recorded) => Some(recorded),
            Before::Start | Before::Unseen => None,
        }
    }

    /// Goes on to this row if it is the next one and holds.
    pub(super) fn follow(&mut self, row: &Row) -> Result<(), Flaw> {
        let flaw = |why| Err(Flaw { seq: self.next, why });
        if u64::try_from(row.seq) != Ok(self.next) {
            return flaw(format!("it is missing; the next one there has number {}", row.seq));
        }
        let before = match self.before {
            Before::Start => Some(RecordHash::NONE),
            Before::Unseen => RecordHash::read(&row.prev),
            Before::Record(recorded) => Some(recorded.hash),
        };
        if before.is_none() || before != RecordHash::read(&row.prev) {
            return flaw("it does not follow from the record before it: one of the two was replaced".to_owned());
        }
        let recorded = row.sound()?;
        self.next = recorded.seq.saturating_add(1);
        self.before = Before::Record(recorded);
        Ok(())
    }
}

impl Row {
    /// The row of a new record, with its hash.
    pub(super) fn sealed(seq: u64, at: Timestamp, entry: &Entry, body: Vec<u8>, prev: RecordHash) -> Self {
        let mut row = Self {
            seq: seq.cast_signed(),
            at: at.to_string().into_bytes(),
            run: entry.run().map(|run| run.as_str().as_bytes().to_vec()),
            kind: entry.kind().as_bytes().to_vec(),
            body,
            prev: prev.0.to_vec(),
            hash: Vec::new(),
        };
        row.hash = row.computed_hash().0.to_vec();
        row
    }

    /// Its number.
    pub(super) fn number(&self) -> u64 {
        self.seq.cast_unsigned()
    }

    /// When it was recorded.
    pub(super) fn time(&self) -> Result<Timestamp, Flaw> {
        let text = str::from_utf8(&self.at).ok();
        text.and_then(|text| text.parse().ok()).ok_or_else(|| self.flaw("its time does not read"))
    }

    /// The hash that its content has.
    pub(super) fn computed_hash(&self) -> RecordHash {
        let mut context = Context::new(&SHA256);
        context.update(&[VERSION]);
        context.update(&self.seq.to_be_bytes());
        context.update(&(self.at.len() as u64).to_be_bytes());
        context.update(&self.at);
        context.update(&self.prev);
        context.update(&self.body);
        let mut hash = [0; 32];
        hash.copy_from_slice(context.finish().as_ref());
        RecordHash(hash)
    }

    /// Its number and hash, if its content is what was hashed.
    pub(super) fn sound(&self) -> Result<Recorded, Flaw> {
        let hash = RecordHash::read(&self.hash).filter(|hash| *hash == self.computed_hash());
        let hash = hash.ok_or_else(|| self.flaw("its content is not what was recorded"))?;
        Ok(Recorded { seq: self.number(), hash })
    }

    /// Whether the columns beside the body say what the body says. A body of a later format is taken at its hash's word.
    pub(super) fn agrees(&self) -> Result<(), Flaw> {
        let Ok(entry) = Entry::decode(&self.body) else { return Ok(()) };
        if self.kind != entry.kind().as_bytes() {
            return Err(self.flaw("its column `kind` was changed"));
        }
        if self.run.as_deref() != entry.run().map(|run| run.as_str().as_bytes()) {
            return Err(self.flaw("its column `run` was changed"));
        }
        Ok(())
    }

    /// Whether it is the record that was noted elsewhere, if that has its number.
    pub(super) fn is_witnessed(&self, witness: Option<Recorded>) -> Result<(), Flaw> {
        match witness {
            Some(witness) if witness.seq == self.number() && RecordHash::read(&self.hash) != Some(witness.hash) => {
                Err(self.flaw("it is not the one that was noted elsewhere: the ledger was written anew"))
            }
            Some(_) | None => Ok(()),
        }
    }

    fn flaw(&self, why: &str) -> Flaw {
        Flaw { seq: self.number(), why: why.to_owned() }
    }
}
