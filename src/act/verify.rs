//! Step 8: whether the drift is gone, and whether anything does worse than before.

use std::time::Duration;

use futures::future::join_all;
use tokio::time::{Instant, sleep};
use trueup_core::decide::Correction;
use trueup_core::facts::{Live, Matched, Pair};
use trueup_core::health::{self, Change, Health, Vitals};
use trueup_core::object::ObjectId;
use trueup_core::patch::changes_nothing;
use trueup_core::policy::Class;
use trueup_core::run::Outlook;

use super::Acting;
use crate::target::{Judged, JudgedCase, Judging};

/// How long between two looks.
const PAUSE: Duration = Duration::from_millis(500);
/// What is worse in so many looks in a row is worse: one alone may be a moment between two pods.
const LOOKS: u32 = 3;

/// What verification saw.
#[derive(Debug, Clone)]
pub(super) struct Seen {
    pub(super) outlook: Outlook,
    /// Why it is not settled, where that can be said.
    pub(super) why: Option<String>,
}

/// How well the object and what its classes name do before a write. Objects that say nothing of their health are left out,
/// unless a class names them.
///
/// # Errors
/// Why nothing may be written: what a class wants watched cannot be seen, so that nobody could tell what the write did.
pub(super) async fn before(acting: Acting<'_>, judged: &Judged, correction: &Correction) -> Result<Vec<Vitals>, String> {
    if correction.undoes.is_some() {
        return Ok(Vec::new());
    }
    let Some(own) = judged.reach.vitals(&correction.object).await else { return Ok(Vec::new()) };
    let mut seen: Vec<Vitals> = Some(own).into_iter().filter(|own| !matches!(own.health, Health::Unknown(_))).collect();
    for class in classes(acting, correction) {
        for named in &class.health {
            let unseen =
                |why: &str| format!("class {} watches the health of `{named}`: {why}; nothing is written unwatched", class.name);
            let id = judged.reach.watched(named, &correction.object);
            let id = id.ok_or_else(|| unseen("the cluster serves no such kind"))?;
            match judged.reach.vitals(&id).await {
                Some(Vitals { health: Health::Unknown(why), .. }) => return Err(unseen(&why)),
                Some(vitals) if seen.iter().all(|other| !other.object.same_object(&id)) => seen.push(vitals),
                Some(_) | None => {}
            }
        }
    }
    Ok(seen)
}

/// The classes that a correction is for.
pub(super) fn classes<'a>(acting: Acting<'a>, correction: &Correction) -> impl Iterator<Item = &'a Class> {
    acting.policy.classes.iter().filter(|class| correction.classes.contains(&class.name))
}

/// Looks until the drift is gone or the class's window has passed; where health is watched, for the whole window.
pub(super) async fn verify(
    acting: Acting<'_>,
    judged: &Judged,
    (correction, written): (&Correction, &Live),
    before: &[Vitals],
) -> Seen {
    let until = Instant::now() + Duration::from_secs(u64::from(correction.window_seconds));
    let mut worse = 0;
    loop {
        let drift = drift(acting, judged, correction, written).await;
        let change = since(judged, before).await;
        worse = if matches!(change, Change::Worse(_)) { worse + 1 } else { 0 };
        let over = Instant::now() >= until;
        let seen = summed_up(drift, change);
        let (is_settled, is_bad) = (seen.outlook == Outlook::Settled, seen.outlook == Outlook::Unhealthy && worse >= LOOKS);
        if over || is_bad || (is_settled && before.is_empty()) {
            return seen;
        }
        if acting.stop.is_requested() {
            return Seen { outlook: Outlook::Pending, why: Some("stopped within its window".to_owned()) };
        }
        sleep(PAUSE).await;
    }
}

fn summed_up(drift: Outlook, change: Change) -> Seen {
    match (drift, change) {
        (Outlook::Settled, Change::Worse(why)) => Seen { outlook: Outlook::Unhealthy, why: Some(why) },
        (Outlook::Settled, Change::Open(why)) => Seen { outlook: Outlook::Pending, why: Some(why) },
        (drift, Change::NotWorse | Change::Open(_) | Change::Worse(_)) => Seen { outlook: drift, why: None },
    }
}

/// What became of the health that was seen before a write.
pub(super) async fn since(judged: &Judged, before: &[Vitals]) -> Change {
    let ids: Vec<&ObjectId> = before.iter().map(|vitals| &vitals.object).collect();
    let after: Vec<Vitals> = join_all(ids.into_iter().map(|id| judged.reach.vitals(id))).await.into_iter().flatten().collect();
    health::change(before, &after)
}

async fn drift(acting: Acting<'_>, judged: &Judged, correction: &Correction, written: &Live) -> Outlook {
    match judged.reach.read(&correction.object).await {
        Ok(Some(live)) if live.uid != written.uid => Outlook::Drifting,
        Ok(Some(live)) if changes_nothing(&live.value, &correction.patch) => Outlook::Settled,
        Ok(Some(live)) => still_drifting(acting, judged, correction, live),
        Ok(None) | Err(_) => Outlook::Unseen,
    }
}

/// The value is not to the letter what was written (the server may have normalised it): what does comparing say?
pub(super) fn still_drifting(acting: Acting<'_>, judged: &Judged, correction: &Correction, live: Live) -> Outlook {
    let case = judged.case_of(&correction.object).and_then(|case| judged_again(acting, judged, case, live));
    let gone = case.is_some_and(|case| {
        let places: Vec<_> = case.findings.iter().map(|finding| &finding.place).collect();
        correction.corrected.iter().all(|(_, place)| !places.contains(&place))
    });
    if gone { Outlook::Settled } else { Outlook::Drifting }
}

/// An object as it is now, compared and classified from scratch.
pub(super) fn judged_again(acting: Acting<'_>, judged: &Judged, case: &JudgedCase, live: Live) -> Option<JudgedCase> {
    let Some(Pair::Matched(matched)) = &case.pair else { return None };
    let matched = Matched { live: live.into(), ..matched.as_ref().clone() };
    let judging = Judging {
        source: &acting.pinned.name,
        policy: acting.policy,
        key: &acting.session.key,
        standing: &judged.standing,
        topology: &judged.topology,
    };
    let mut case = JudgedCase::of(Pair::Matched(Box::new(matched)), (&judged.name, &judged.kinds), judging);
    for finding in &mut case.findings {
        judged.histories.tell(finding);
    }
    Some(case)
}
