//! A write whose answer was lost: what came of it is found out by reading, and it is never sent again.

use jiff::Timestamp;
use trueup_core::decide::Correction;
use trueup_core::facts::Live;
use trueup_core::patch::{changes_nothing, values_under};
use trueup_core::run::PatchEffect;
use trueup_kubernetes::patch::Patched;

use crate::target::{Judged, Sent};

/// A write without an answer is resolved by reading, never repeated blindly.
pub(super) async fn settle(judged: &Judged, correction: &Correction, sent: Sent) -> Sent {
    let Sent::Unanswered(reason) = sent else { return sent };
    let now = Timestamp::now();
    match judged.reach.read(&correction.object).await {
        Ok(Some(live)) => match resolve(live, &PatchEffect::of(correction), judged.reach.may_still_land(now, now)) {
            Resolution::Was(sent) => sent,
            Resolution::MovedOn | Resolution::TooEarly => Sent::Unanswered(reason),
        },
        Ok(None) => Sent::Void("the object is gone".to_owned()),
        Err(error) => Sent::Unanswered(format!("{reason}; reading it again: {error}")),
    }
}

/// What a reading tells about a write whose answer was lost.
pub(super) enum Resolution {
    /// It is known what came of it.
    Was(Sent),
    /// The object changed since, and does not have this write's values.
    MovedOn,
    /// The object is as it was, and the write may still be on its way.
    TooEarly,
}

/// Resolves a write by the object as it is now. Where the object carries no version, its values tell.
pub(super) fn resolve(live: Live, effect: &PatchEffect, may_still_land: bool) -> Resolution {
    let no_effect = || Resolution::Was(Sent::Void("read again: the write had no effect".to_owned()));
    if live.uid != effect.uid {
        return Resolution::Was(Sent::Void("the object was replaced".to_owned()));
    }
    if effect.resource_version.is_some() && live.resource_version == effect.resource_version {
        return if may_still_land { Resolution::TooEarly } else { no_effect() };
    }
    if changes_nothing(&live.value, &effect.patch) {
        return Resolution::Was(Sent::Applied(Box::new(Patched { live, warnings: Vec::new() })));
    }
    let is_as_before = effect.resource_version.is_none() && values_under(&live.value, &effect.patch) == effect.pre_image;
    if is_as_before { no_effect() } else { Resolution::MovedOn }
}
