//! What guards ask of the ledger: how things stand, as all records together tell it.

mod people;

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{
    Area, Denial, Effect, Entry, Episode, Fate, Hold, Intent, Outcome, Outlook, PatchEffect, Pin, Proposal, Record, Ruled,
    Ruling, RunId, Spot, StateSeen,
};
use crate::finding::{FindingId, Place, Subject};
use crate::object::TargetName;
use crate::path::Path;

pub use people::{People, Said};

/// How things stand after some records. Taking in the rest later gives the same as taking in all at once.
///
/// Its stored form leaves out writes and what was not admitted ([`Standing::let_go`]); what an earlier one has not is nothing.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Standing {
    begun: Option<Timestamp>,
    /// Targets of writes that were let go.
    wrote_to: BTreeSet<TargetName>,
    #[serde(skip)]
    writes: Vec<Write>,
    #[serde(skip)]
    inadmissible: Vec<Inadmissible>,
    failures: Vec<Failure>,
    /// After which record a place is at peace: a person, Git or the end of an episode came between. Only later writes are fought
    /// over, and clocks do not tell which these are. What is let go was before any that is kept.
    #[serde(skip)]
    peace: BTreeMap<Place, u64>,
    holds: BTreeMap<Place, Hold>,
    proposals: BTreeMap<Place, Proposal>,
    denied: BTreeMap<Place, BTreeSet<FindingId>>,
    escalated: BTreeMap<Place, Episode>,
    targets: BTreeMap<Place, TargetName>,
    clusters: BTreeMap<TargetName, String>,
    people: People,
    /// The last commit of each source by its references.
    commits: BTreeMap<String, BTreeMap<String, String>>,
    /// The last Terraform state of each target.
    states: BTreeMap<TargetName, StateSeen>,
}

/// One patch that went out, or may have gone out: an intent counts until it is known to have had no effect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Write {
    /// Its run.
    pub run: RunId,
    /// The number of its intent's record.
    pub seq: u64,
    /// When it was intended.
    pub at: Timestamp,
    /// In which target.
    pub target: TargetName,
    /// In which namespace; `""` where the object is in none.
    pub namespace: String,
    /// The policy classes that allowed it; none where a person asked for it.
    pub classes: Vec<String>,
    /// What it was to put right.
    pub findings: Vec<FindingId>,
    /// Where it wrote.
    pub places: Vec<Place>,
    /// What it wrote at each of them; `null` where it took something out.
    pub values: Vec<Value>,
    /// The digest of the policy that allowed it.
    pub policy_digest: String,
}

/// A write after which health got worse.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// Its run.
    pub run: RunId,
    /// The policy classes that allowed it.
    pub classes: Vec<String>,
    /// The digest of the policy that allowed it.
    pub policy_digest: String,
}

/// A place where the same value was written again and again, and written back each time.
#[derive(Debug, Clone, PartialEq)]
pub struct Fight {
    /// When it was written, the oldest first.
    pub times: Vec<Timestamp>,
    /// What was written; `null` where something was taken out.
    pub value: Value,
}

/// A patch that the server did not admit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inadmissible {
    /// When it was said.
    pub at: Timestamp,
    /// What was to be put right.
    pub findings: Vec<FindingId>,
    /// In the server's words.
    pub message: String,
}

impl Standing {
    /// Takes in the next record.
    pub fn apply(&mut self, record: &Record) {
        self.begun.get_or_insert(record.at);
        match &record.entry {
            Entry::Intent(intent) => self.intend(intent, record),
            Entry::Outcome { run, outcome } => self.conclude(run, outcome, record.at),
            Entry::Proposal(proposal) => {
                self.proposals.insert(proposal.place.clone(), proposal.clone());
            }
            Entry::ProposalClosed { run, fate } => self.close(run, fate),
            Entry::Undone { run, .. } => self.proposals.retain(|_, proposal| proposal.run != *run),
            Entry::Escalation(escalation) => {
                self.targets.insert(escalation.place.clone(), escalation.target.clone());
                self.escalated.insert(escalation.place.clone(), escalation.episode.clone());
            }
            Entry::EpisodeEnded { places, .. } => {
                for place in places {
                    self.denied.remove(place);
                    self.escalated.remove(place);
                    self.peace.insert(place.clone(), record.seq);
                }
            }
            Entry::Hold(hold) => self.holds.extend(hold.places.iter().map(|place| (place.clone(), hold.clone()))),
            Entry::Resume { places, .. } => {
                self.holds.retain(|place, _| !places.contains(place));
                self.peace.extend(places.iter().map(|place| (place.clone(), record.seq)));
            }
            Entry::Identity { target, cluster_uid } => {
                self.clusters.entry(target.clone()).or_insert_with(|| cluster_uid.clone());
            }
            Entry::Verification { run, outlook: Outlook::Unhealthy, .. } => self.fail(run),
            Entry::Ruling(ruling) => self.rule(ruling, record),
            Entry::Pin(pin) => self.pin(pin),
            Entry::State(seen) => self.see(seen),
            Entry::Decided(_)
            | Entry::Verification { .. }
            | Entry::HandBack(_)
            | Entry::Withdrawal { .. }
            | Entry::Checkpoint(_) => {}
        }
    }

    /// What people decided.
    #[must_use]
    pub fn people(&self) -> &People {
        &self.people
    }

    /// The Terraform state by which a target was judged last, if it is the one at this path or URL.
    #[must_use]
    pub fn last_state(&self, target: &TargetName, state: &str) -> Option<&StateSeen> {
        self.states.get(target).filter(|seen| seen.state == state)
    }

    /// The commit that a source was pinned to last through a reference.
    #[must_use]
    pub fn last_commit(&self, source: &str, reference: &str) -> Option<&str> {
        self.commits.get(source)?.get(reference).map(String::as_str)
    }

    /// The writes since a time, the oldest first.
    pub fn writes_since(&self, since: Timestamp) -> impl Iterator<Item = &Write> {
        self.writes.iter().filter(move |write| write.at >= since)
    }

    /// When the first record was made; none where there is no record.
    #[must_use]
    pub fn begun(&self) -> Option<Timestamp> {
        self.begun
    }

    /// Whether any write to a target is known.
    #[must_use]
    pub fn has_written_to(&self, target: &TargetName) -> bool {
        self.wrote_to.contains(target) || self.writes.iter().any(|write| write.target == *target)
    }

    /// Forgets each write but for its target, and what was not admitted: they count for a day, and this is for what is older.
    pub fn let_go(&mut self) {
        self.wrote_to.extend(self.writes.drain(..).map(|write| write.target));
        self.inadmissible.clear();
    }

    /// What the server did not admit since a time, the oldest first.
    pub fn inadmissible_since(&self, since: Timestamp) -> impl Iterator<Item = &Inadmissible> {
        self.inadmissible.iter().filter(move |refusal| refusal.at >= since)
    }

    /// How many writes a class allowed since a time.
    #[must_use]
    pub fn writes_of_class(&self, class: &str, since: Timestamp) -> usize {
        self.writes_since(since).filter(|write| write.classes.iter().any(|name| name == class)).count()
    }

    /// How many writes went to a place since a time.
    #[must_use]
    pub fn writes_to_place(&self, place: &Place, since: Timestamp) -> usize {
        self.writes_since(since).filter(|write| write.places.contains(place)).count()
    }

    /// Writes of a policy after which health got worse, the oldest first.
    pub fn failures_under<'a>(&'a self, policy_digest: &'a str) -> impl Iterator<Item = &'a Failure> {
        self.failures.iter().filter(move |failure| failure.policy_digest == policy_digest)
    }

    /// The places that were written `count` times with one value, each time within `window`, and neither a person nor Git
    /// nor a look that found them true has come between. However long ago that was: only one of these ends it. What came after what
    /// is told by the order of the records; where the clock went back between two writes, they count as within the window.
    #[must_use]
    pub fn fights(&self, count: usize, window: SignedDuration) -> BTreeMap<Place, Fight> {
        let mut written: BTreeMap<&Place, Vec<(Timestamp, &Value)>> = BTreeMap::new();
        for write in &self.writes {
            for (place, value) in write.places.iter().zip(&write.values) {
                let since = self.peace.get(place).is_none_or(|peace| write.seq > *peace);
                let writes = written.entry(place).or_default();
                writes.retain(|(_, earlier)| *earlier == value);
                writes.extend(since.then_some((write.at, value)));
            }
        }
        let fight = |(place, writes): (&Place, Vec<(Timestamp, &Value)>)| {
            let round = writes.windows(count).find(|round| {
                round.first().zip(round.last()).is_some_and(|((first, _), (last, _))| last.duration_since(*first) <= window)
            })?;
            let value = round.first()?.1.clone();
            Some((place.clone(), Fight { times: writes.iter().map(|(at, _)| *at).collect(), value }))
        };
        written.into_iter().filter_map(fight).collect()
    }

    /// The holds in force.
    #[must_use]
    pub fn holds(&self) -> &BTreeMap<Place, Hold> {
        &self.holds
    }

    /// The open proposals.
    #[must_use]
    pub fn proposals(&self) -> &BTreeMap<Place, Proposal> {
        &self.proposals
    }

    /// Whether people closed a proposal for exactly this finding in the running episode.
    #[must_use]
    pub fn is_denied(&self, place: &Place, fingerprint: &FindingId) -> bool {
        self.denied.get(place).is_some_and(|denied| denied.contains(fingerprint))
    }

    /// What people denied, by closing its proposal unmerged or by a command, in episodes that still run.
    #[must_use]
    pub fn denied(&self) -> &BTreeMap<Place, BTreeSet<FindingId>> {
        &self.denied
    }

    /// Where people were told, in episodes that still run.
    #[must_use]
    pub fn escalated(&self) -> &BTreeMap<Place, Episode> {
        &self.escalated
    }

    /// The holds in force at a target's places.
    pub fn holds_of(&self, target: &TargetName) -> impl Iterator<Item = (&Place, &Hold)> {
        self.holds.iter().filter(move |(place, _)| self.targets.get(*place) == Some(target))
    }

    /// The places of a target where an episode runs that people know of: they were told, or closed a proposal.
    pub fn episodes_of(&self, target: &TargetName) -> impl Iterator<Item = &Place> {
        let known: BTreeSet<&Place> = self.escalated.keys().chain(self.denied.keys()).collect();
        known.into_iter().filter(move |place| self.targets.get(*place) == Some(target))
    }

    /// The open proposals at a target's places.
    pub fn proposals_of(&self, target: &TargetName) -> impl Iterator<Item = &Proposal> {
        self.proposals.values().filter(move |proposal| self.targets.get(&proposal.place) == Some(target))
    }

    /// The cluster that a target was when it was first used.
    #[must_use]
    pub fn cluster_of(&self, target: &TargetName) -> Option<&str> {
        self.clusters.get(target).map(String::as_str)
    }

    fn rule(&mut self, ruling: &Ruling, record: &Record) {
        self.people.apply(ruling, record.at);
        match &ruling.what {
            // A fight begins anew, and if it goes on, people are told anew.
            Ruled::Resume { area: Area::Place(Spot { place, .. }) } => {
                self.holds.remove(place);
                self.denied.remove(place);
                self.escalated.remove(place);
                self.peace.insert(place.clone(), record.seq);
            }
            Ruled::History { source, reference, to, .. } => {
                self.pin(&Pin { source: source.clone(), reference: reference.clone(), commit: to.clone() });
            }
            Ruled::Deny(Denial { spot, finding }) => {
                self.targets.insert(spot.place.clone(), spot.target.clone());
                self.denied.entry(spot.place.clone()).or_default().insert(finding.clone());
            }
            Ruled::Approve(approval) => {
                if let Some(denied) = self.denied.get_mut(&approval.spot.place) {
                    denied.remove(&approval.finding);
                }
            }
            Ruled::State(seen) => self.see(seen),
            Ruled::Resume { .. } | Ruled::Hold(_) | Ruled::EarlierWrites { .. } | Ruled::Lease(_) | Ruled::EndLease(_) => {}
        }
    }

    fn pin(&mut self, pin: &Pin) {
        self.commits.entry(pin.source.clone()).or_default().insert(pin.reference.clone(), pin.commit.clone());
    }

    fn see(&mut self, seen: &StateSeen) {
        self.states.insert(seen.target.clone(), seen.clone());
    }

    fn intend(&mut self, intent: &Intent, record: &Record) {
        self.targets.extend(intent.places.iter().map(|place| (place.clone(), intent.target.clone())));
        match &intent.effect {
            Effect::Patch(effect) => self.writes.push(Write {
                run: intent.run.clone(),
                seq: record.seq,
                at: record.at,
                target: intent.target.clone(),
                namespace: namespace_of(&intent.subject),
                classes: intent.classes.clone(),
                findings: intent.findings.clone(),
                places: intent.places.clone(),
                values: intent.paths.iter().map(|path| written(effect, path)).collect(),
                policy_digest: intent.policy_digest.clone(),
            }),
            Effect::PullRequest { .. } => {}
        }
    }

    fn conclude(&mut self, run: &RunId, outcome: &Outcome, at: Timestamp) {
        match outcome {
            Outcome::Refused { .. } | Outcome::Void { .. } => self.writes.retain(|write| write.run != *run),
            Outcome::Inadmissible { message } => {
                for write in self.writes.extract_if(.., |write| write.run == *run) {
                    self.inadmissible.push(Inadmissible { at, findings: write.findings, message: message.clone() });
                }
            }
            // What may have been used up is.
            Outcome::Applied { .. } | Outcome::Undetermined { .. } => {
                let written = self.writes.iter().filter(|write| write.run == *run).flat_map(|write| &write.places);
                written.for_each(|place| self.people.use_up(place));
            }
            Outcome::Unknown { .. } => {}
        }
    }

    fn fail(&mut self, run: &RunId) {
        let known = self.failures.iter().any(|failure| failure.run == *run);
        let write = self.writes.iter().find(|write| write.run == *run).filter(|_| !known);
        self.failures.extend(write.map(|write| Failure {
            run: run.clone(),
            classes: write.classes.clone(),
            policy_digest: write.policy_digest.clone(),
        }));
    }

    fn close(&mut self, run: &RunId, fate: &Fate) {
        let (closed, open): (BTreeMap<_, _>, _) =
            std::mem::take(&mut self.proposals).into_iter().partition(|(_, proposal)| proposal.run == *run);
        self.proposals = open;
        match fate {
            Fate::Denied => {
                for (place, proposal) in closed {
                    self.denied.entry(place).or_default().insert(proposal.fingerprint);
                }
            }
            Fate::Merged | Fate::Withdrawn { .. } | Fate::Replaced { .. } => {}
        }
    }
}

fn namespace_of(subject: &Subject) -> String {
    match subject {
        Subject::Object(id) => id.namespace.clone().unwrap_or_default(),
        Subject::Output(_) => String::new(),
    }
}

/// What a patch writes at a path; `null` where it takes something out.
fn written(effect: &PatchEffect, path: &str) -> Value {
    let path: Result<Path, _> = path.parse();
    path.ok().and_then(|path| path.find(&effect.patch).cloned()).unwrap_or(Value::Null)
}
