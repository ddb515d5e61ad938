//! A folder of live objects: the same line without a server, judged by the table.

use std::path::Path;

use trueup_core::facts::{Desired, Problem};
use trueup_kubernetes::allowances::Rules;
use trueup_kubernetes::snapshot::observe;

use super::cluster::{expecting, secrets_mode};
use super::{Judged, Judging, Reach, judged};
use crate::config::{Secrets, Target};

/// Steps 3 to 5 for a snapshot.
pub(super) fn judge(
    target: &Target,
    (folder, secrets): (&Path, Secrets),
    (desired, problems): (Vec<Desired>, Vec<Problem>),
    judging: Judging<'_>,
) -> Judged {
    let rules = Rules::load().with(&judging.policy.known_writers);
    let observation = observe(folder, desired, secrets_mode(secrets), &expecting(&rules));
    judged(target, observation, problems, judging, Reach::Snapshot(folder.to_owned()))
}
