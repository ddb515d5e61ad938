//! Step 7: the only caller of anything that writes. Each effect is recorded before it is sent, and looked at after it.

mod basis;
mod batch;
mod correct;
mod attempt;
mod resolve;
mod verify;
mod roll_back;
mod episodes;
mod propose;
mod recover;

use jiff::Timestamp;
use trueup_core::decide::{Decision, Guards, Proposal, Request, Settled};
use trueup_core::finding::{FindingId, Place};
use trueup_core::object::ObjectId;
use trueup_core::policy::{Policy, Remedy};
use trueup_core::run::{Entry, Episode, Escalation, RunId, Standing};

use crate::ledger::{Ledger, LedgerError};
use crate::report::{ActionName, RunReport};
use crate::session::Session;
use crate::source::Pinned;
use crate::stop::Stop;
use crate::target::Judged;

use propose::{Turn, Verdict};

pub use basis::{Basis, decided};
pub use episodes::{Now, end_episodes, now};
pub use recover::{Guarded, guarded};
pub use roll_back::{request, roll_back_worse, untouched};

/// After this many refusals of the very same act within an hour, it is not asked for again in that hour.
const REFUSALS: usize = 3;

/// What every act needs.
#[derive(Debug, Clone, Copy)]
pub struct Acting<'a> {
    /// Settings, state folder, keys.
    pub session: &'a Session,
    /// The commit that was judged by.
    pub pinned: &'a Pinned,
    /// The policy that was judged by.
    pub policy: &'a Policy,
    /// Where intents and outcomes go.
    pub ledger: &'a Ledger,
    /// By what was decided.
    pub basis: &'a Basis,
    /// What people ask for at this target's findings.
    pub requests: &'a [Request],
    /// The findings that are acted on; all where none is named.
    pub only: &'a [String],
    /// Asked between two acts.
    pub stop: &'a Stop,
}

/// Performs the decisions of one target: first what asks for people, one after the other, then the corrections, then what
/// these have left to review; after a stop, no further one is begun. The reports stand in the order of the decisions.
///
/// # Errors
/// When the ledger cannot be appended to: nothing more is written then.
pub async fn perform(
    acting: Acting<'_>,
    judged: &Judged,
    guards: &Guards,
    decisions: Vec<Decision>,
) -> Result<Vec<RunReport>, LedgerError> {
    let mut reports: Vec<(usize, Vec<RunReport>)> = Vec::new();
    let mut corrections = Vec::new();
    let mut verdicts = propose::verdicts(&decisions);
    for (number, decision) in decisions.into_iter().enumerate() {
        if acting.stop.is_requested() {
            break;
        }
        match decision {
            Decision::Correct(correction) => corrections.push((number, *correction)),
            Decision::Propose(_) => {}
            Decision::Escalate(settled) => {
                reports.push((number, escalate(acting, judged, settled).await?.into_iter().collect()));
            }
            Decision::Hold(_) | Decision::Leave(_) => reports.push((number, vec![previewed(&decision)])),
        }
    }
    let reviewed = Box::pin(propose::review(acting, judged, &verdicts, Turn::All)).await?;
    reports.extend(reviewed.into_iter().map(|(number, report)| (number, vec![report])));
    let (corrected, left) = batch::correct_all(acting, judged, guards, corrections).await?;
    reports.extend(corrected);
    for (number, basis, Proposal { finding, reasons, remedy, .. }) in left {
        if acting.stop.is_requested() {
            break;
        }
        verdicts.insert(finding.clone(), Verdict::Propose(number, remedy, reasons));
        let acting = Acting { basis: &basis, ..acting };
        let reviewed = Box::pin(propose::review(acting, judged, &verdicts, Turn::Late(&finding))).await?;
        let is_late = |report: &RunReport| report.finding.contains(&finding.0);
        reports.extend(reviewed.into_iter().filter(|(_, report)| is_late(report)).map(|(number, report)| (number, vec![report])));
    }
    reports.sort_by_key(|(number, _)| *number);
    Ok(reports.into_iter().flat_map(|(_, reports)| reports).collect())
}

/// What people have said by now, also since something was decided.
struct ByNow {
    holds: Guards,
    standing: Standing,
}

impl ByNow {
    async fn of(acting: Acting<'_>, judged: &Judged) -> Result<Self, LedgerError> {
        let standing = acting.ledger.standing().await?;
        let holds = standing.people().holds_in(&judged.name);
        Ok(Self { holds: Guards { holds, ..Guards::none(judged.ground) }, standing })
    }

    /// Why nothing is done at these places of an object.
    fn holds<'a>(&self, object: Option<&ObjectId>, places: impl IntoIterator<Item = &'a Place>) -> Option<String> {
        self.holds.held_by_people(object, places, Timestamp::now())
    }

    /// Why nothing is done about these findings of an object, each with its place.
    fn stops<'a>(
        &self,
        object: Option<&ObjectId>,
        mut findings: impl Iterator<Item = (&'a FindingId, &'a Place)> + Clone,
    ) -> Option<String> {
        let reason = self.holds(object, findings.clone().map(|(_, place)| place));
        let is_denied = findings.any(|(finding, place)| self.standing.is_denied(place, finding));
        reason.or_else(|| is_denied.then(|| "denied by people: left as it is until live or Git moves".to_owned()))
    }
}

/// What would be done, for `--dry-run`.
#[must_use]
pub fn preview(decisions: &[Decision]) -> Vec<RunReport> {
    decisions.iter().map(previewed).collect()
}

fn previewed(decision: &Decision) -> RunReport {
    match decision {
        Decision::Correct(correction) => RunReport {
            patch: Some(correction.patch.clone()),
            inverse: Some(correction.inverse.clone()),
            ..report(
                ActionName::Patch,
                "would patch",
                correction.corrected.iter().map(|(id, _)| id.to_string()),
                &correction.reasons,
            )
        },
        Decision::Propose(proposal) => {
            let status = match proposal.remedy {
                Remedy::Adopt => "would propose",
                Remedy::Restore => "would ask to restore",
            };
            report(ActionName::PullRequest, status, [proposal.finding.to_string()], &proposal.reasons)
        }
        Decision::Escalate(settled) => {
            report(ActionName::Escalate, "would escalate", [settled.finding.to_string()], &settled.reasons)
        }
        Decision::Hold(settled) => report(ActionName::None, "held", [settled.finding.to_string()], &settled.reasons),
        Decision::Leave(settled) => report(ActionName::None, "left", [settled.finding.to_string()], &settled.reasons),
    }
}

fn left(settled: &Settled) -> RunReport {
    report(ActionName::None, "left", [settled.finding.to_string()], &settled.reasons)
}

/// A report without a run.
fn report(action: ActionName, status: &str, findings: impl IntoIterator<Item = String>, reasons: &[String]) -> RunReport {
    RunReport {
        id: None,
        finding: findings.into_iter().collect(),
        action,
        status: status.to_owned(),
        reasons: reasons.to_vec(),
        patch: None,
        inverse: None,
        url: None,
        records: Vec::new(),
    }
}

/// Tells people, once an episode.
async fn escalate(acting: Acting<'_>, judged: &Judged, settled: Settled) -> Result<Option<RunReport>, LedgerError> {
    let mut told = report(ActionName::Escalate, "escalated before", [settled.finding.to_string()], &settled.reasons);
    if acting.ledger.standing().await?.escalated().contains_key(&settled.place) {
        return Ok(Some(told));
    }
    tracing::warn!(finding = %settled.finding, place = %settled.place, reasons = ?settled.reasons, "needs people");
    let entry = Entry::Escalation(Escalation {
        target: judged.name.clone(),
        episode: Episode(acting.pinned.commit.to_string()),
        finding: settled.finding,
        place: settled.place,
        reasons: settled.reasons,
    });
    let recorded = acting.ledger.append(&entry, Timestamp::now()).await?;
    "escalated".clone_into(&mut told.status);
    told.records.push(recorded.seq);
    Ok(Some(told))
}

/// Whether a finding is one of those that are asked for; all are where none is named.
#[must_use]
pub fn is_wanted(id: &FindingId, only: &[String]) -> bool {
    only.is_empty() || only.contains(&id.0)
}

/// A new run's id: sortable by time.
fn new_run() -> RunId {
    ulid::Ulid::generate().to_string().parse().expect("a ULID is a run id")
}
