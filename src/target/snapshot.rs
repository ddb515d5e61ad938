//! A folder of live objects: the same line without a server, judged by the table.

use std::path::Path;

use tokio::task::JoinHandle;
use trueup_core::facts::{Desired, Problem};
use trueup_core::shared::Shared;
use trueup_kubernetes::allowances::Rules;
use trueup_kubernetes::expect::Expecting;
use trueup_kubernetes::kinds::Kinds;
use trueup_kubernetes::snapshot::{Contents, observe};
use trueup_kubernetes::table::Table;

use super::cluster::secrets_mode;
use super::judging::judged;
use super::{Judged, Judging, Reach};
use crate::config::{Secrets, Target};

/// What the folder holds, read on a thread of its own from now on: that takes as long as to read what is declared.
pub(super) fn reading(folder: &Path) -> JoinHandle<Contents> {
    let folder = folder.to_owned();
    tokio::task::spawn_blocking(move || Contents::of(&folder))
}

/// Steps 3 to 5 for a snapshot.
pub(super) async fn judge(
    target: &Target,
    (folder, reading, secrets): (&Path, JoinHandle<Contents>, Secrets),
    (desired, problems): (Vec<Shared<Desired>>, Vec<Problem>),
    judging: Judging<'_>,
) -> Judged {
    let contents = reading.await.unwrap_or_else(|error| Contents::unread(error.to_string()));
    let kinds = Kinds::new(Table::load(), contents.schemas(&desired));
    let (defaulted, shape) = (|id: &_, value: &_| kinds.defaulted(id, value), |id: &_| kinds.shape(id));
    let rules = Rules::load().with(&judging.policy.known_writers);
    let expecting = Expecting { defaulted: &defaulted, shape: &shape, types: kinds.types(), rules: &rules };
    let observation = observe(contents, desired, secrets_mode(secrets), &expecting);
    judged(target, observation, problems, (judging, None), (Reach::Snapshot(folder.to_owned()), kinds))
}
