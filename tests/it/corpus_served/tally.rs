//! The table of a run: what came of the edits of each type.

use std::collections::BTreeMap;
use std::fmt::Write;

use serde_json::Value;

use super::edit::EDITS;

/// What came of all edits.
pub struct Outcome {
    /// One for each type of edit.
    pub tallies: Vec<Tally>,
    /// How many findings rest on which evidence, by account.
    pub evidence: BTreeMap<String, usize>,
    pub faults: Vec<String>,
}

/// What came of one edit, all accounts taken together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Meaning {
    /// To the server, the object is the same as before.
    None,
    /// What Git never said is gone, and the object says again what the server makes of Git's words.
    Returned,
    /// A controller had undone it before anybody looked.
    Undone,
    /// The object says something else than Git.
    Changed,
}

/// What came of the repair of what was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Repaired {
    /// It leads back, and its inverse to the edit.
    LeadsBack,
    /// It is never written, or cannot be said by a merge patch.
    NotWritten,
    /// The server takes it from nobody.
    Refused,
}

/// What came of one type of edit.
#[derive(Default, Clone)]
pub struct Tally {
    pub refused: usize,
    planted: usize,
    returned: usize,
    undone: usize,
    changed: usize,
    missed: usize,
    wrong: usize,
    leads_back: usize,
    not_written: usize,
    not_taken: usize,
}

impl Tally {
    pub fn add(&mut self, meaning: Meaning, is_missed: bool, is_wrong: bool) {
        self.planted += 1;
        match meaning {
            Meaning::None => {}
            Meaning::Returned => self.returned += 1,
            Meaning::Undone => self.undone += 1,
            Meaning::Changed => self.changed += 1,
        }
        self.missed += usize::from(is_missed);
        self.wrong += usize::from(is_wrong);
    }

    pub fn repaired(&mut self, repaired: Repaired) {
        match repaired {
            Repaired::LeadsBack => self.leads_back += 1,
            Repaired::NotWritten => self.not_written += 1,
            Repaired::Refused => self.not_taken += 1,
        }
    }

    /// The columns, each with its heading.
    fn columns(&self) -> [(&'static str, usize); 11] {
        [
            ("edits", self.planted),
            ("of meaning", self.changed),
            ("of none", self.planted - self.changed),
            ("returned", self.returned),
            ("undone", self.undone),
            ("missed", self.missed),
            ("false", self.wrong),
            ("repaired", self.leads_back),
            ("not written", self.not_written),
            ("not taken", self.not_taken),
            ("refused", self.refused),
        ]
    }

    fn join(&mut self, other: &Self) {
        self.refused += other.refused;
        self.planted += other.planted;
        self.returned += other.returned;
        self.undone += other.undone;
        self.changed += other.changed;
        self.missed += other.missed;
        self.wrong += other.wrong;
        self.leads_back += other.leads_back;
        self.not_written += other.not_written;
        self.not_taken += other.not_taken;
    }
}

impl Outcome {
    pub fn nothing_yet() -> Self {
        Self { tallies: vec![Tally::default(); EDITS.len()], evidence: BTreeMap::new(), faults: Vec::new() }
    }

    /// How many edits the server took.
    pub fn planted(&self) -> usize {
        self.tallies.iter().map(|tally| tally.planted).sum()
    }

    /// Counts on what an account's findings rest.
    pub fn rest(&mut self, account: &str, report: &Value) {
        for finding in report["findings"].as_array().unwrap() {
            let evidence = finding["evidence"].as_str().unwrap_or("none");
            *self.evidence.entry(format!("{account} {evidence}")).or_default() += 1;
        }
    }
}

/// One line for each type of edit, and the sum.
pub fn table(tallies: &[Tally]) -> String {
    let mut text = format!("{:<24}", "edit");
    for (heading, _) in Tally::default().columns() {
        write!(text, "{heading:>12}").unwrap();
    }
    let mut all = Tally::default();
    let mut line = |name: &str, tally: &Tally| {
        write!(text, "\n{name:<24}").unwrap();
        for (_, count) in tally.columns() {
            write!(text, "{count:>12}").unwrap();
        }
    };
    for ((name, _), tally) in EDITS.iter().zip(tallies) {
        line(name, tally);
        all.join(tally);
    }
    line("all", &all);
    text.push('\n');
    text
}
