//! `trueup approve` and `trueup deny`: a person has seen a finding's two values, and wants Git's back, or leaves live as it is.

use jiff::{SignedDuration, Timestamp};
use trueup_core::decide::{Decision, Guards, Request, Restore};
use trueup_core::finding::{Finding, Lane};
use trueup_core::policy::{Limits, Policy};
use trueup_core::run::{Approval, Denial, Person, Ruled};

use super::hold::{found, no_finding, show, spot_of};
use crate::cli::Output;
use crate::cli::people::{Approve, Deny};
use crate::command::print;
use crate::exit::Exit;
use crate::explain::decided_about;
use crate::failure::Failure;
use crate::guards;
use crate::ledger::Ledger;
use crate::people::{self, may_approve};
use crate::round::{Round, look};
use crate::session::Session;
use crate::target::{Freshness, Judged};
use crate::visible::visible;

/// How long an approval counts where nothing else is said.
const DAY: SignedDuration = SignedDuration::from_hours(24);

pub(super) async fn approve(session: &Session, asked: &Approve, output: Output) -> Result<Exit, Failure> {
    let now = Timestamp::now();
    let until = match asked.until {
        Some(until) => until.from(now).map_err(|reason| Failure::usage(anyhow::anyhow!("`--until`: {reason}")))?,
        None => now + DAY,
    };
    let round = look(session, Freshness::Cached).await?;
    let (judged, finding) = seen(&round, &asked.id)?;
    let by = who(session, judged).await?;
    let refuse = |reason: String| Failure::usage(anyhow::anyhow!("`{}` cannot be approved: {reason}", asked.id));
    may_approve(finding, &by, &round.policy).map_err(refuse)?;
    let because = asked.because.text();
    let (spot, digests) = (spot_of(judged, finding), finding.digests());
    let restore = Request::Restore(Restore {
        place: finding.place.clone(),
        desired: digests.desired.clone(),
        live: digests.live.clone(),
        expires: until,
        by: by.to_string(),
    });
    would_help(judged, finding, &restore, &round.policy).map_err(refuse)?;
    let (id, class) = (finding.id.clone(), finding.class.clone());
    let approval = Approval { spot, finding: id, digests, class, until };
    let told = people::record(session, &by, &because, vec![Ruled::Approve(Box::new(approval))]).await?;
    show(&told, output)?;
    let ledger = Ledger::open_if_there(&session.ledger).await.map_err(Failure::usage)?;
    let guards = guards::preview(session, ledger.as_ref(), (judged, &round.policy, &round.pinned), Timestamp::now()).await?;
    if output == Output::Text {
        let next = decided_about(judged, finding, (&guards, &round.policy), &[restore]).map(|decision| words(&decision));
        print(&format!("  {}\n", visible(&next.unwrap_or_default())))?;
    }
    Ok(Exit::True)
}

pub(super) async fn deny(session: &Session, asked: &Deny, output: Output) -> Result<Exit, Failure> {
    let round = look(session, Freshness::Cached).await?;
    let (judged, finding) = seen(&round, &asked.id)?;
    if finding.lane <= Lane::Watch {
        let why = format!("`{}` is in lane {}: nothing is written or proposed for it", asked.id, finding.lane);
        return Err(Failure::usage(anyhow::anyhow!(why)));
    }
    let by = who(session, judged).await?;
    let denial = Denial { spot: spot_of(judged, finding), finding: finding.id.clone() };
    show(&people::record(session, &by, &asked.because.text(), vec![Ruled::Deny(denial)]).await?, output)
}

/// The finding of this very id: what is decided is decided about values that were seen.
pub(super) fn seen<'a>(round: &'a Round, id: &str) -> Result<(&'a Judged, &'a Finding), Failure> {
    let known = found(round, id).filter(|(_, finding)| finding.id.0 == id);
    known.ok_or_else(|| no_finding(id))
}

/// Who decides about a target.
pub(super) async fn who(session: &Session, judged: &Judged) -> Result<Person, Failure> {
    let target = session.settings.targets.iter().find(|target| target.name == judged.name);
    match target {
        Some(target) => people::person(target).await,
        None => Err(Failure::usage(anyhow::anyhow!("target `{}` is not in trueup.toml", judged.name))),
    }
}

/// Whether an approval would lead to a correction, but for what stands against it now and passes: holds, freezes, limits.
fn would_help(judged: &Judged, finding: &Finding, restore: &Request, policy: &Policy) -> Result<(), String> {
    let lasting = Policy { freezes: Vec::new(), limits: Limits::default(), ..policy.clone() };
    let guards = Guards::none(judged.ground);
    match decided_about(judged, finding, (&guards, &lasting), std::slice::from_ref(restore)) {
        Some(Decision::Correct(_)) => Ok(()),
        Some(Decision::Leave(settled) | Decision::Hold(settled) | Decision::Escalate(settled)) => {
            Err(settled.reasons.last().cloned().unwrap_or_default())
        }
        Some(Decision::Propose(proposal)) => Err(proposal.reasons.last().cloned().unwrap_or_default()),
        None => Err("nothing is decided about it".to_owned()),
    }
}

/// What follows from the approval now.
fn words(decision: &Decision) -> String {
    match decision {
        Decision::Correct(correction) => format!("the next sync patches it: {}", correction.patch),
        Decision::Leave(settled) | Decision::Hold(settled) | Decision::Escalate(settled) => {
            format!("not yet: {}", settled.reasons.last().map(String::as_str).unwrap_or_default())
        }
        Decision::Propose(_) => "the next sync proposes it".to_owned(),
    }
}
