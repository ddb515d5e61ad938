//! One object that is declared in two places: which of them is meant cannot be told.

use std::borrow::Borrow;
use std::collections::{BTreeMap, HashMap};

use trueup_core::facts::{Desired, Origin, Pair, Problem};
use trueup_core::object::ObjectId;

/// The second place of each object that files declare twice.
pub(crate) fn declared_twice<D: Borrow<Desired>>(desired: &[D]) -> Vec<Problem> {
    let problem = |(first, second): (usize, usize)| {
        let (first, Desired { id, origin, .. }) = (&desired[first].borrow().origin, desired[second].borrow());
        let message = format!("`{id}` is also declared at {first}: keep one of the two");
        Problem::blind("declared-twice", message, Some(origin.clone()))
    };
    doubled(desired.iter().map(Borrow::borrow)).into_iter().map(problem).collect()
}

/// The places of objects that are declared again, each with that of the declaration before it.
fn doubled<'a>(desired: impl Iterator<Item = &'a Desired>) -> Vec<(usize, usize)> {
    let mut last = HashMap::with_capacity(desired.size_hint().0);
    let again = |(at, object): (usize, &'a Desired)| last.insert(object.id.key(), at).map(|before| (before, at));
    desired.enumerate().filter_map(again).collect()
}

/// Two declarations of one object are seen only now where one of them leaves out the namespace. Neither is judged: put right
/// by the one, the object would be wrong by the other.
#[must_use]
pub fn told_apart(pairs: Vec<Pair>) -> (Vec<Pair>, Vec<Problem>) {
    if doubled(pairs.iter().map(|pair| &**pair.desired())).is_empty() {
        return (pairs, Vec::new());
    }
    let mut origins: BTreeMap<_, Vec<Origin>> = BTreeMap::new();
    for pair in &pairs {
        let Desired { id, origin, .. } = &**pair.desired();
        origins.entry(owned_key(id)).or_default().push(origin.clone());
    }
    let mut problems = Vec::new();
    let told_apart = |pair: Pair| {
        let Desired { id, origin, .. } = &**pair.desired();
        let Some(other) = origins[&owned_key(id)].iter().find(|other| *other != origin) else { return pair };
        let message = format!("`{id}` is also declared at {other}: keep one of the two");
        problems.push(Problem::blind("declared-twice", message.clone(), Some(origin.clone())));
        Pair::Unseen(pair.desired().clone(), message)
    };
    let pairs = pairs.into_iter().map(told_apart).collect();
    (pairs, problems)
}

fn owned_key(id: &ObjectId) -> (String, String, Option<String>, String) {
    let (group, kind, namespace, name) = id.key();
    (group.to_owned(), kind.to_owned(), namespace.map(str::to_owned), name.to_owned())
}
