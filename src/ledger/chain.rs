//! The chain: each record's hash covers its number, its time, who recorded it, its body and the hash before it.

use std::fmt;

use aws_lc_rs::digest::{Context, SHA256};
use jiff::Timestamp;
use trueup_core::run::Entry;
use trueup_core::seen::hex;

use super::Recorded;

/// A record's hash: SHA-256 over what is hashed in its form.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct RecordHash([u8; 32]);

/// One row as it is stored, whatever the bytes are.
#[derive(Debug, Clone, Default, sqlx::FromRow)]
pub(super) struct Row {
    pub(super) seq: i64,
    pub(super) at: Vec<u8>,
    pub(super) run: Option<Vec<u8>>,
    pub(super) kind: Vec<u8>,
    pub(super) body: Vec<u8>,
    pub(super) prev: Vec<u8>,
    pub(super) hash: Vec<u8>,
    pub(super) instance: Option<Vec<u8>>,
    pub(super) epoch: Option<i64>,
    pub(super) cluster: Option<Vec<u8>>,
    pub(super) policy: Option<Vec<u8>>,
    pub(super) through: Option<i64>,
    pub(super) signature: Option<Vec<u8>>,
}

/// What is hashed. Numbers are 8 bytes, big end first; the first byte is the form's number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    /// 1 ‖ number ‖ length of the time ‖ time ‖ hash before ‖ body. Nobody is named; records of the first layout.
    Unnamed,
    /// 2 ‖ number ‖ time ‖ instance ‖ epoch ‖ cluster ‖ policy ‖ through ‖ hash before ‖ body, where each text begins with its
    /// length, and what may be absent begins with 0 (it is) or 1.
    Named,
}

/// How far the chain was followed.
#[derive(Debug)]
pub(super) struct Chain {
    next: u64,
    before: Before,
    form: Form,
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

/// Who records, by which policy, of which cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct By {
    /// Whose key signs what it appends.
    pub instance: String,
    /// The instance's turn: one more each time that it opens the ledger to append.
    pub epoch: u64,
    /// The UID of the cluster's kube-system namespace; absent where no cluster is concerned, or it is not known.
    pub cluster: Option<String>,
    /// The digest of the policy in force; absent where none is.
    pub policy: Option<String>,
}

/// What is wrong, and with which record.
#[derive(Debug)]
pub(super) struct Flaw {
    pub(super) seq: u64,
    pub(super) why: String,
}

impl RecordHash {
    /// What stands before the first record.
    pub(super) const NONE: Self = Self([0; 32]);

    pub(super) fn read(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.0
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
        Self { next: 1, before: Before::Start, form: Form::Unnamed }
    }

    /// After this record, which is not looked at.
    pub(super) fn after(seq: u64) -> Self {
        match seq {
            0 => Self::start(),
            seq => Self { next: seq.saturating_add(1), before: Before::Unseen, form: Form::Unnamed },
        }
    }

    /// Behind this record, which went, and for which a checkpoint stands.
    pub(super) fn behind(record: Recorded) -> Self {
        Self { next: record.seq.saturating_add(1), before: Before::Record(record), form: Form::Unnamed }
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
        match (self.form, row.form()) {
            (Form::Named, Form::Unnamed) => return flaw("it names nobody, and the records before it do".to_owned()),
            (Form::Unnamed | Form::Named, form) => self.form = form,
        }
        self.next = recorded.seq.saturating_add(1);
        self.before = Before::Record(recorded);
        Ok(())
    }
}

impl Row {
    /// The row of a new record, with its hash.
    pub(super) fn sealed(seq: u64, at: Timestamp, entry: &Entry, body: Vec<u8>, prev: RecordHash, by: &By) -> Self {
        let text = |text: &Option<String>| text.as_ref().map(|text| text.clone().into_bytes());
        let mut row = Self {
            seq: seq.cast_signed(),
            at: at.to_string().into_bytes(),
            run: entry.run().map(|run| run.as_str().as_bytes().to_vec()),
            kind: entry.kind().as_bytes().to_vec(),
            body,
            prev: prev.0.to_vec(),
            hash: Vec::new(),
            instance: Some(by.instance.clone().into_bytes()),
            epoch: Some(by.epoch.cast_signed()),
            cluster: text(&by.cluster),
            policy: text(&by.policy),
            through: through(entry),
            signature: None,
        };
        row.hash = row.computed_hash().0.to_vec();
        row
    }

    /// Who recorded it, by which policy, of which cluster; `None` in a record that names nobody.
    pub(super) fn by(&self) -> Option<By> {
        let text = |bytes: &Option<Vec<u8>>| bytes.as_deref().map(|bytes| String::from_utf8_lossy(bytes).into_owned());
        Some(By {
            instance: text(&self.instance)?,
            epoch: self.epoch?.cast_unsigned(),
            cluster: text(&self.cluster),
            policy: text(&self.policy),
        })
    }

    fn form(&self) -> Form {
        let texts = [&self.instance, &self.cluster, &self.policy, &self.signature];
        if texts.iter().all(|text| text.is_none()) && self.epoch.is_none() && self.through.is_none() {
            Form::Unnamed
        } else {
            Form::Named
        }
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
        match self.form() {
            Form::Unnamed => {
                context.update(&[1]);
                context.update(&self.seq.to_be_bytes());
                text(&mut context, &self.at);
            }
            Form::Named => {
                context.update(&[2]);
                context.update(&self.seq.to_be_bytes());
                text(&mut context, &self.at);
                optional(&mut context, self.instance.as_deref());
                optional(&mut context, self.epoch.map(i64::to_be_bytes).as_ref().map(<[u8; 8]>::as_slice));
                optional(&mut context, self.cluster.as_deref());
                optional(&mut context, self.policy.as_deref());
                optional(&mut context, self.through.map(i64::to_be_bytes).as_ref().map(<[u8; 8]>::as_slice));
            }
        }
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
        if self.through != through(&entry) || self.through.is_some() != self.signature.is_some() {
            return Err(self.flaw("what it stands for was changed"));
        }
        Ok(())
    }

    /// Whether it is the record that was noted elsewhere, if that has its number.
    pub(super) fn is_witnessed(&self, witness: Option<Recorded>) -> Result<(), Flaw> {
        match witness {
            Some(witness) if witness.seq == self.number() && RecordHash::read(&self.hash) != Some(witness.hash) => {
                Err(self.flaw("it is not the one of the head: the ledger was written anew"))
            }
            Some(_) | None => Ok(()),
        }
    }

    pub(super) fn flaw(&self, why: &str) -> Flaw {
        Flaw { seq: self.number(), why: why.to_owned() }
    }
}

/// The last record that an entry stands for.
fn through(entry: &Entry) -> Option<i64> {
    let Entry::Checkpoint(checkpoint) = entry else { return None };
    Some(checkpoint.through.cast_signed())
}

fn text(context: &mut Context, bytes: &[u8]) {
    context.update(&(bytes.len() as u64).to_be_bytes());
    context.update(bytes);
}

fn optional(context: &mut Context, bytes: Option<&[u8]>) {
    match bytes {
        None => context.update(&[0]),
        Some(bytes) => {
            context.update(&[1]);
            text(context, bytes);
        }
    }
}
