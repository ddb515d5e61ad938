//! Rules under what they name, so that a difference is held against few of many.
//!
//! Of each rule one condition is chosen that a difference must meet, the one that the fewest rules share: a literal step of its
//! paths, or how a name begins. Only the rules whose condition is met are asked, in their order, and asked for all of theirs:
//! the index can leave a rule out, and never decides for one.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::ops::{Bound, Deref};

use super::matching::{Facts, Match};

/// Rules in their order. They do not change: the index says of the very rules that are there what they name.
#[derive(Clone)]
pub struct Indexed<R> {
    rules: Vec<R>,
    under: BTreeMap<String, Entry>,
    /// Rules that name nothing which can be looked up.
    everywhere: Vec<usize>,
}

/// The rules under one beginning.
#[derive(Debug, Clone, Default)]
struct Entry {
    rules: Vec<usize>,
    /// The longest other entry that this one begins with.
    shorter: Option<String>,
}

impl<R> Indexed<R> {
    /// These rules, each with its conditions.
    pub(super) fn new(rules: Vec<R>, conditions: impl Fn(&R) -> &Match) -> Self {
        let names: Vec<Vec<Vec<String>>> = rules.iter().map(|rule| conditions(rule).beginnings()).collect();
        let mut shared: BTreeMap<&str, usize> = BTreeMap::new();
        for name in names.iter().flatten().flatten() {
            *shared.entry(name).or_default() += 1;
        }
        let mut under: BTreeMap<String, Entry> = BTreeMap::new();
        let mut everywhere = Vec::new();
        for (at, condition) in names.iter().enumerate() {
            let most_shared = |alternatives: &&Vec<String>| alternatives.iter().map(|name| shared[name.as_str()]).max();
            match condition.iter().min_by_key(most_shared) {
                Some(alternatives) => {
                    for name in alternatives.iter().collect::<BTreeSet<_>>() {
                        under.entry(name.clone()).or_default().rules.push(at);
                    }
                }
                None => everywhere.push(at),
            }
        }
        link(&mut under);
        Self { rules, under, everywhere }
    }

    /// Changes each rule in something else than its conditions: by those they are looked up.
    pub fn for_each_mut(&mut self, change: impl FnMut(&mut R)) {
        self.rules.iter_mut().for_each(change);
    }

    /// The rules that may mean a difference, in their order: every one that does is among them.
    pub(crate) fn for_facts(&self, facts: &Facts<'_>) -> impl Iterator<Item = &R> {
        let mut found = self.everywhere.clone();
        if !self.under.is_empty() {
            for text in facts.texts() {
                let longest = self.under.range::<str, _>((Bound::Unbounded, Bound::Included(text.as_str()))).next_back();
                let mut next = longest.map(|(name, _)| name);
                while let Some(name) = next {
                    let entry = &self.under[name];
                    if text.starts_with(name.as_str()) {
                        found.extend(&entry.rules);
                    }
                    next = entry.shorter.as_ref();
                }
            }
        }
        found.sort_unstable();
        found.dedup();
        found.into_iter().map(|at| &self.rules[at])
    }
}

/// Gives each entry the longest one that it begins with. In order, an entry's beginnings stand before it, and what stands
/// between a beginning and the entry begins with that, too.
fn link(under: &mut BTreeMap<String, Entry>) {
    let mut around: Vec<String> = Vec::new();
    for (name, entry) in under {
        while around.last().is_some_and(|shorter| !name.starts_with(shorter.as_str())) {
            around.pop();
        }
        entry.shorter = around.last().cloned();
        around.push(name.clone());
    }
}

impl<R> Default for Indexed<R> {
    fn default() -> Self {
        Self { rules: Vec::new(), under: BTreeMap::new(), everywhere: Vec::new() }
    }
}

impl<R> Deref for Indexed<R> {
    type Target = [R];

    fn deref(&self) -> &[R] {
        &self.rules
    }
}

/// What is looked up follows from the rules.
impl<R: PartialEq> PartialEq for Indexed<R> {
    fn eq(&self, other: &Self) -> bool {
        self.rules == other.rules
    }
}

impl<R: fmt::Debug> fmt::Debug for Indexed<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.rules.fmt(f)
    }
}
