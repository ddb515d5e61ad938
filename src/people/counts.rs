//! What people decided about a finding, and whether that counts now.

use jiff::Timestamp;
use serde::Serialize;
use trueup_core::decide::{Ground, Guards, Request, Restore};
use trueup_core::finding::{Confidence, Finding, Lane, Subject};
use trueup_core::policy::{Approvers, Policy};
use trueup_core::run::{Approval, KnownBy, Person, Said, Standing};

use crate::target::Judged;

/// By what it is told whether a decision of people counts.
#[derive(Debug, Clone, Copy)]
pub struct Known<'a> {
    /// What the ledger says.
    pub standing: &'a Standing,
    /// The policy in force.
    pub policy: &'a Policy,
    /// When.
    pub now: Timestamp,
}

/// What people decided about a finding.
#[derive(Debug, Clone, Default, Serialize)]
pub struct OfPeople {
    /// The live value may stay for a while.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lease: Option<Decided>,
    /// Git's value is wanted back.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub approval: Option<Decided>,
    /// Why nothing is written or proposed for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hold: Option<String>,
    /// It is left as it is until live or Git moves.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub denied: bool,
}

/// A decision that counts until a time.
#[derive(Debug, Clone, Serialize)]
pub struct Decided {
    /// The first instant at which it no longer counts.
    pub until: Timestamp,
    /// Who decided.
    pub by: Person,
    /// Why.
    pub because: String,
    /// Why it does not count.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub void: Option<String>,
}

impl OfPeople {
    /// What people decided about a finding.
    #[must_use]
    pub fn of(finding: &Finding, known: Known<'_>) -> Self {
        let Known { standing, now, .. } = known;
        let people = standing.people();
        let lease = people.lease_of(finding, now).filter(|_| finding.lane > Lane::Ignore);
        let approval = people.approval(&finding.place);
        let guards = Guards { holds: people.holds_in(&finding.difference.target), ..Guards::none(Ground::Snapshot) };
        let object = match &finding.difference.subject {
            Subject::Object(id) => Some(id),
            Subject::Output(_) => None,
        };
        Self {
            lease: lease.map(|said| decided(said, said.what.until, None)),
            approval: approval.map(|said| decided(said, said.what.until, void(said, finding, known))),
            hold: guards.held_by_people(object, [&finding.place], now),
            denied: standing.is_denied(&finding.place, &finding.id),
        }
    }

    /// The same in words, a line each.
    #[must_use]
    pub fn lines(&self) -> Vec<(&'static str, String)> {
        let said = |what: &str, decided: &Decided| {
            let Decided { until, by, because, void } = decided;
            let void = void.as_ref().map(|void| format!("; it does not count: {void}")).unwrap_or_default();
            format!("{what} until {until:.0}: {because} ({by}){void}")
        };
        let lease = self.lease.iter().map(|lease| ("lease", said("it may stay", lease)));
        let approval = self.approval.iter().map(|approval| ("approval", said("Git's value is wanted back", approval)));
        let hold = self.hold.iter().map(|hold| ("hold", hold.clone()));
        let denied = self.denied.then(|| ("denial", "people leave it as it is, until live or Git moves".to_owned()));
        lease.chain(approval).chain(hold).chain(denied).collect()
    }
}

fn decided<T>(said: &Said<T>, until: Timestamp, void: Option<String>) -> Decided {
    Decided { until, by: said.by.clone(), because: said.because.clone(), void }
}

/// Why an approval does not count for a finding.
fn void(said: &Said<Approval>, finding: &Finding, known: Known<'_>) -> Option<String> {
    let approval = &said.what;
    if known.now >= approval.until {
        return Some("its time has passed".to_owned());
    }
    if approval.digests != finding.digests() {
        return Some("it was given for other values".to_owned());
    }
    void_by_policy(said, finding, known)
}

/// Why policy as it is now does not take an approval, whatever its values and time, which `decide` looks at.
fn void_by_policy(said: &Said<Approval>, finding: &Finding, known: Known<'_>) -> Option<String> {
    if said.what.class != finding.class {
        let class = said.what.class.as_deref().unwrap_or("none");
        return Some(format!("it was given while the class was {class}"));
    }
    may_approve(finding, &said.by, known.policy).err()
}

/// Whether a person may approve a finding on the command line.
///
/// # Errors
/// For people: why not, and how else.
pub fn may_approve(finding: &Finding, person: &Person, policy: &Policy) -> Result<(), String> {
    let named = |name: &str| policy.classes.iter().find(|class| class.name == name);
    let Some(class) = finding.class.as_deref().and_then(named) else { return Ok(()) };
    let author = &finding.difference.cause;
    match (class.approval, author.confidence, person.known_by) {
        (Approvers::Anybody, _, _) => Ok(()),
        (Approvers::OtherPerson, Confidence::Certain, KnownBy::ApiServer) => {
            if author.manager.as_ref().is_some_and(|author| *author != person.name) {
                Ok(())
            } else {
                Err(format!("class {} wants another person than the one who wrote the live value", class.name))
            }
        }
        (Approvers::OtherPerson, Confidence::Unknown | Confidence::Reported | Confidence::Certain, _) => Err(format!(
            "class {} wants another person than the one who wrote the live value, and who that was is not certain (managedFields \
             name a program, never a person): a pull request is needed, which another person merges",
            class.name
        )),
    }
}

/// What people ask for at a target's findings.
#[must_use]
pub fn requests(judged: &Judged, known: Known<'_>) -> Vec<Request> {
    let request = |finding: &Finding| {
        let said = known.standing.people().approval(&finding.place)?;
        if void_by_policy(said, finding, known).is_some() {
            return None;
        }
        let Approval { spot, digests, until, .. } = &said.what;
        Some(Request::Restore(Restore {
            place: spot.place.clone(),
            desired: digests.desired.clone(),
            live: digests.live.clone(),
            expires: *until,
            by: format!("{}: {}", said.by, said.because),
        }))
    };
    judged.findings().filter_map(request).collect()
}
