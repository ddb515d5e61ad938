//! The disk below the ledger: records in their stored form; a crash may tear the last one, and there may be no room.

use jiff::Timestamp;
use trueup_core::run::{Entry, Record, Runs, Standing};

#[derive(Debug, Clone, Default)]
pub struct Disk {
    pub full: bool,
    /// What was said to be durable, whatever became of it.
    pub acknowledged: Vec<Acknowledged>,
    stored: Vec<(Timestamp, Vec<u8>)>,
    /// What the program has read of it.
    pub records: Vec<Record>,
    pub runs: Runs,
    pub standing: Standing,
}

/// A record that was said to be durable.
#[derive(Debug, Clone)]
pub struct Acknowledged {
    pub seq: u64,
    pub entry: Entry,
}

/// No room.
#[derive(Debug)]
pub struct Full;

impl Disk {
    pub fn append(&mut self, entry: &Entry, at: Timestamp) -> Result<u64, Full> {
        if self.full {
            return Err(Full);
        }
        self.stored.push((at, entry.encode().expect("an entry has a stored form")));
        let record = self.take_in(self.stored.len() - 1);
        self.acknowledged.push(Acknowledged { seq: record, entry: entry.clone() });
        Ok(record)
    }

    /// A record in the middle of which the program was killed: nothing of it is there, a part, or all.
    pub fn cut_off(&mut self, entry: &Entry, at: Timestamp, how: usize) {
        let bytes = entry.encode().expect("an entry has a stored form");
        match how {
            0 => {}
            1 => self.stored.push((at, bytes[..bytes.len() / 2].to_vec())),
            _ => self.stored.push((at, bytes)),
        }
    }

    /// Reads all of it anew; a last record that is torn goes.
    pub fn restart(&mut self, loses_one: bool) {
        let is_torn = self.stored.last().is_some_and(|(_, bytes)| Entry::decode(bytes).is_err());
        if is_torn || (loses_one && !self.stored.is_empty()) {
            self.stored.pop();
        }
        (self.records, self.runs, self.standing) = (Vec::new(), Runs::default(), Standing::default());
        for at in 0..self.stored.len() {
            self.take_in(at);
        }
    }

    fn take_in(&mut self, index: usize) -> u64 {
        let (at, bytes) = &self.stored[index];
        let seq = u64::try_from(index).expect("few records") + 1;
        let entry = Entry::decode(bytes).expect("what was encoded");
        let record = Record { seq, at: *at, entry };
        self.runs.apply(&record).expect("a record that follows");
        self.standing.apply(&record);
        self.records.push(record);
        seq
    }
}
