//! A folder of live objects: the same line without a server, judged by the table.

use std::path::Path;

use trueup_core::facts::{Desired, Problem};
use trueup_core::shared::Shared;
use trueup_kubernetes::allowances::Rules;
use trueup_kubernetes::expect::Expecting;
use trueup_kubernetes::kinds::Kinds;
use trueup_kubernetes::snapshot::{Contents, observe};
use trueup_kubernetes::table::Table;

use super::cluster::secrets_mode;
use super::{Judged, Judging, Reach, judged};
use crate::config::{Secrets, Target};

/// Steps 3 to 5 for a snapshot.
pub(super) fn judge(
    target: &Target,
    (folder, secrets): (&Path, Secrets),
    (desired, problems): (Vec<Shared<Desired>>, Vec<Problem>),
    judging: Judging<'_>,
) -> Judged {
    let contents = Contents::of(folder);
    let kinds = Kinds::new(Table::load(), contents.schemas(&desired));
    let (defaulted, shape) = (|id: &_, value: &_| kinds.defaulted(id, value), |id: &_| kinds.shape(id));
    let rules = Rules::load().with(&judging.policy.known_writers);
    let expecting = Expecting { defaulted: &defaulted, shape: &shape, types: kinds.types(), rules: &rules };
    let observation = observe(contents, desired, secrets_mode(secrets), &expecting);
    judged(target, observation, problems, (judging, None), (Reach::Snapshot(folder.to_owned()), kinds))
}
