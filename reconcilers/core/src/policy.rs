//! Policy: the classes of `policies/*.toml`, read and validated.

mod cases;
mod condition;
mod file;
mod freeze;
mod indexed;
mod limits;
mod matching;
mod shown;
mod unreachable;
mod watched;

use std::collections::BTreeSet;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::facts::{Origin, Problem};
use crate::finding::{Lane, Stage};
use crate::known_writer::KnownWriter;

pub use cases::{CaseObject, Expected, PolicyCase, Verb};
pub use condition::{Condition, VARIABLES};
pub use freeze::{Clock, Freeze, FreezeError, Times};
pub use indexed::Indexed;
pub use limits::Limits;
pub use matching::{Facts, Holds, Match};
pub use unreachable::unreachable;
pub use watched::{Watched, WatchedError};

/// All classes and ignore rules, in the order of files and places in them.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Policy {
    /// The classes.
    pub classes: Indexed<Class>,
    /// Programs that write by right, beside those that are known anyway.
    pub known_writers: Vec<KnownWriter>,
    /// The ignore rules.
    pub ignores: Indexed<IgnoreRule>,
    /// Times in which nothing is corrected.
    pub freezes: Vec<Freeze>,
    /// Limits that hold whatever the class.
    pub limits: Limits,
    /// The cases that show what the classes do.
    pub cases: Vec<PolicyCase>,
    /// SHA-256 over the files' names and texts, as hexadecimal digits.
    pub digest: String,
}

/// A named kind of finding.
#[derive(Debug, Clone, PartialEq)]
pub struct Class {
    /// Its name, unique in a policy.
    pub name: String,
    /// Where it is written.
    pub origin: Origin,
    /// What it matches.
    pub matches: Match,
    /// Whether it counts only where no other class matches.
    pub precedence: Precedence,
    /// Where its findings go.
    pub lane: Lane,
    /// How far that lane may act.
    pub stage: Stage,
    /// What a correction does where a field belongs to somebody's server-side apply.
    pub ownership: Ownership,
    /// What its proposals ask for; by the finding's lane where absent.
    pub review: Option<Remedy>,
    /// Who may approve a correction on the command line.
    pub approval: Approvers,
    /// How many writes in an hour; no limit where absent.
    pub writes_per_hour: Option<u32>,
    /// How long after a write the drift may take to be gone, in seconds.
    pub window_seconds: u32,
    /// Objects whose health is watched beside the one that is written.
    pub health: Vec<Watched>,
    /// For people: a URL or a file.
    pub runbook: Option<String>,
    /// Whether its cases hold.
    pub proof: Proof,
}

/// Whether a class is shown to do what its author meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Proof {
    /// No case expects it.
    Missing,
    /// This case of it does not hold.
    Broken(String),
    /// So many cases expect it, and all hold.
    Held(usize),
}

impl Class {
    /// How far it may act: to correct, its cases must hold.
    #[must_use]
    pub fn stage_in_force(&self) -> Stage {
        if matches!(self.proof, Proof::Held(_)) { self.stage } else { self.stage.min(Stage::Recommend) }
    }

    /// Why it does not correct though its stage says so.
    #[must_use]
    pub fn unproven(&self) -> Option<String> {
        let why = match &self.proof {
            _ if self.stage != Stage::Auto => return None,
            Proof::Held(_) => return None,
            Proof::Missing => "no [[case]] expects it".to_owned(),
            Proof::Broken(case) => format!("its case `{case}` does not hold"),
        };
        Some(format!("class {} is at stage auto and counts as recommend: {why} (`trueup policy test`)", self.name))
    }
}

/// What is left alone, whatever the classes say: it settles a finding before they vote.
#[derive(Debug, Clone, PartialEq)]
pub struct IgnoreRule {
    /// Its name, unique among rules and classes.
    pub name: String,
    /// Where it is written.
    pub origin: Origin,
    /// What it names; a path stands for all that is inside, too.
    pub matches: Match,
    /// Why, for reports.
    pub reason: Option<String>,
}

/// The tiers that a target may have, from the most important one.
pub const TIERS: std::ops::RangeInclusive<u8> = 1..=9;

/// The classes whose stage is `auto` and that correct nothing, since no case shows what they do.
#[must_use]
pub fn unproven(policy: &Policy) -> Vec<Problem> {
    let problem = |class: &Class| Some(Problem::note("auto-without-case", class.unproven()?, Some(class.origin.clone())));
    policy.classes.iter().filter_map(problem).collect()
}

/// Whether a class always counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Precedence {
    /// It votes whenever it matches.
    Regular,
    /// It votes only where no regular class matches.
    Fallback,
}

/// What a correction does where a field belongs to somebody's server-side apply.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ownership {
    /// Leaves it to review.
    #[default]
    Review,
    /// Corrects it and gives the field back to its owner by a second write: the owner's next apply passes.
    HandBack,
    /// Corrects it and becomes the field's owner: the owner's next apply meets a conflict.
    Take,
}

/// What a proposal asks people for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Remedy {
    /// Git follows live: an edit of the source. Nothing is written to the target.
    Adopt,
    /// Live follows Git: an approval, by which trueup corrects these very values once it is merged.
    Restore,
}

impl Remedy {
    /// As it stands in reports and policies.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Adopt => "adopt",
            Self::Restore => "restore",
        }
    }

    /// What is asked for where the class does not say: lane `auto` says that Git is right, and `review` leaves that open, so
    /// that the answer which writes nothing to a target is offered.
    #[must_use]
    pub fn of(lane: Lane) -> Self {
        match lane {
            Lane::Auto => Self::Restore,
            Lane::Ignore | Lane::Watch | Lane::Review | Lane::Escalate => Self::Adopt,
        }
    }
}

/// Who may approve a correction on the command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Approvers {
    /// Anybody who may append to the ledger.
    #[default]
    Anybody,
    /// Another person than the one who wrote the live value, where it is certain who that was; else nobody.
    OtherPerson,
}

impl Policy {
    /// A policy of these classes and ignore rules alone.
    #[must_use]
    pub fn of(classes: Vec<Class>, ignores: Vec<IgnoreRule>) -> Self {
        let classes = Indexed::new(classes, |class| &class.matches);
        Self { classes, ignores: Indexed::new(ignores, |rule| &rule.matches), ..Self::default() }
    }

    /// Reads policy files, each a name and its text. One mistake and there is no policy: a class that was not understood
    /// might have been the strict one.
    ///
    /// # Errors
    /// Every mistake that was found, each at its `file:line:column`.
    pub fn read(files: &[(String, String)]) -> Result<Self, Vec<Problem>> {
        let mut all = file::Read::default();
        for (file, text) in files {
            let read = file::read(file, text);
            all.classes.extend(read.classes);
            all.ignores.extend(read.ignores);
            all.known_writers.extend(read.known_writers);
            all.problems.extend(read.problems);
            all.freezes.extend(read.freezes);
            all.cases.extend(read.cases);
            all.limits = all.limits.and(read.limits);
        }
        let mut policy = Self {
            known_writers: all.known_writers,
            freezes: all.freezes,
            limits: all.limits,
            cases: all.cases,
            digest: digest(files),
            ..Self::of(all.classes, all.ignores)
        };
        let mut problems = all.problems;
        problems.extend(policy.named_twice());
        if !problems.is_empty() {
            return Err(problems);
        }
        // Only the whole policy tells whether a case holds: every class votes.
        crate::proof::prove(&mut policy);
        Ok(policy)
    }

    fn named_twice(&self) -> Vec<Problem> {
        let classes = self.classes.iter().map(|class| ("class", &class.name, &class.origin));
        let rules = self.ignores.iter().map(|rule| ("ignore rule", &rule.name, &rule.origin));
        let freezes = self.freezes.iter().map(|freeze| ("freeze", &freeze.name, &freeze.origin));
        let mut names = BTreeSet::new();
        let twice = classes.chain(rules).chain(freezes).filter(|(_, name, _)| !names.insert(*name));
        let problem = |(what, name, origin): (&str, &String, &Origin)| {
            let message = format!("{what} `{name}` is defined twice: give each class, ignore rule and freeze its own name");
            Problem::blind("policy", message, Some(origin.clone()))
        };
        twice.map(problem).collect()
    }
}

fn digest(files: &[(String, String)]) -> String {
    let text = serde_json::json!(files).to_string();
    crate::seen::hex(aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, text.as_bytes()).as_ref())
}

/// The place of a byte in a file's text.
#[must_use]
pub fn origin_at(file: &str, text: &str, at: usize) -> Origin {
    let before = &text[..text.floor_char_boundary(at)];
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    let count = |n: usize| u32::try_from(n + 1).unwrap_or(u32::MAX);
    Origin {
        file: file.to_owned(),
        line: count(before.matches('\n').count()),
        column: count(before[line_start..].chars().count()),
        document: 1,
    }
}

/// `policies/drift.toml:14: class image-change`
impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: class {}", self.origin.file, self.origin.line, self.name)
    }
}

/// `policies/drift.toml:14: ignore rule replicas`, and why.
impl fmt::Display for IgnoreRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: ignore rule {}", self.origin.file, self.origin.line, self.name)?;
        self.reason.iter().try_for_each(|reason| write!(f, ": {reason}"))
    }
}
