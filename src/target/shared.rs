//! Objects that two targets declare: each would put right what the other one wrote.

use std::collections::BTreeMap;
use std::time::Duration;

use trueup_core::facts::{Origin, Problem};
use trueup_core::object::{ObjectId, TargetName};

use super::{Judged, Reach, identity};

/// A cluster that does not say who it is within this time is known by its address.
const PATIENCE: Duration = Duration::from_secs(10);

/// One object, whatever version it is declared in.
type Key = (String, String, Option<String>, String);

/// Notes each object that two targets of one place declare, in both of them: it is judged, and nothing is written for it.
pub(crate) async fn tell(targets: &mut [Judged]) {
    let mut places: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    for (number, place) in places_of(targets).await.into_iter().enumerate() {
        if let Some(place) = place {
            places.entry(place).or_default().push(number);
        }
    }
    for together in places.into_values().filter(|together| together.len() > 1) {
        tell_those(targets, &together);
    }
}

/// Where each target's objects are: the same text for the same place, and none where they are nowhere. One target alone
/// is not asked for.
async fn places_of(targets: &[Judged]) -> Vec<Option<String>> {
    let clusters = targets.iter().filter(|target| matches!(target.reach, Reach::Cluster(..))).count();
    let place = async |target: &Judged| match &target.reach {
        Reach::Cluster(..) if clusters < 2 => None,
        // Two contexts may lead to one cluster; where that cannot be told, two of one address do.
        Reach::Cluster(cluster, _) => match tokio::time::timeout(PATIENCE, identity(&target.reach)).await {
            Ok(Ok(Some(uid))) => Some(format!("cluster {uid}")),
            Ok(Ok(None) | Err(_)) | Err(_) => Some(format!("server {}", cluster.server())),
        },
        Reach::Snapshot(folder) => Some(format!("folder {}", folder.canonicalize().unwrap_or_else(|_| folder.clone()).display())),
        Reach::State(_) | Reach::None => None,
    };
    futures::future::join_all(targets.iter().map(place)).await
}

fn tell_those(targets: &mut [Judged], together: &[usize]) {
    let mut declared: BTreeMap<Key, Vec<(usize, ObjectId, TargetName, Origin)>> = BTreeMap::new();
    for &number in together {
        let target = &targets[number];
        for case in target.cases.iter().filter(|case| !case.is_extra()) {
            let Some(desired) = case.pair.as_ref().map(trueup_core::facts::Pair::desired) else { continue };
            let id = &desired.id;
            let key = (id.group().to_owned(), id.kind.clone(), id.namespace.clone(), id.name.clone());
            let one = (number, id.clone(), target.name.clone(), desired.origin.clone());
            declared.entry(key).or_default().push(one);
        }
    }
    for those in declared.into_values() {
        for (number, id, name, origin) in &those {
            let Some((_, _, other, at)) = those.iter().find(|(other, ..)| other != number) else { continue };
            let message = format!(
                "`{id}` of target `{name}` is also declared at {at}, for target `{other}`, and both are in one place: \
                 nothing is written for it; keep one of the two"
            );
            let target = &mut targets[*number];
            target.problems.push(Problem::note("declared-by-two-targets", message.clone(), Some(origin.clone())));
            target.contested.insert(id.clone(), message);
        }
    }
}
