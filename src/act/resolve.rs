//! A write whose answer was lost: what came of it is found out by reading, and it is never sent again.

use trueup_core::decide::Correction;
use trueup_core::run::{PatchEffect, Resolution, resolve};
use trueup_kubernetes::patch::Patched;

use crate::target::{Judged, Sent};

/// A write without an answer is resolved by reading, never repeated blindly. What does not prove that it happened is left open:
/// it may still be on its way.
pub(super) async fn settle(judged: &Judged, correction: &Correction, sent: Sent) -> Sent {
    let Sent::Unanswered(reason) = sent else { return sent };
    let live = match judged.reach.read(&correction.object).await {
        Ok(live) => live,
        Err(error) => return Sent::Unanswered(format!("{reason}; reading it again: {error}")),
    };
    let may_still_land = true;
    match (resolve(live.as_ref(), (&PatchEffect::of(correction), &correction.paths), may_still_land), live) {
        (Resolution::Applied, Some(live)) => Sent::Applied(Box::new(Patched { live, warnings: Vec::new() })),
        (Resolution::Applied | Resolution::NoEffect | Resolution::Undetermined(_) | Resolution::TooEarly, _) => {
            Sent::Unanswered(reason)
        }
    }
}
