//! Objects that were what Git says when they were last compared. As long as all that the comparison saw is the very same, so is
//! its verdict, and nothing is walked again.
//!
//! Only what was true by the table alone is kept. What differs, and what the server was asked about, is judged anew each time:
//! its verdict also rests on policy and on answers that grow old.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use trueup_core::diff::Comparison;
use trueup_core::facts::{Desired, Evidence, Live, Matched};
use trueup_core::known_writer::KnownWriter;
use trueup_core::seen::DigestKey;
use trueup_core::shared::Shared;

use crate::autoscaling;
use crate::kinds::Kinds;
use crate::normal;

/// What was judged true of one target. Clones share it.
#[derive(Clone, Default)]
pub struct Verdicts(Arc<Mutex<Known>>);

/// All that a comparison depends on, beside the two objects.
#[derive(Debug, Clone, PartialEq)]
pub struct Ground {
    kinds: Kinds,
    known_writers: Vec<KnownWriter>,
    /// Which key masks were made with.
    key: String,
}

#[derive(Default)]
struct Known {
    /// Without one, nothing is known.
    ground: Option<Ground>,
    /// How many looks there were.
    looks: u64,
    /// By the address of what Git declares, in the form in which it is compared.
    trues: HashMap<usize, True>,
    /// By the address of what Git declares: the form in which it is compared.
    forms: HashMap<usize, Form>,
}

/// One object that was true. What it holds keeps its addresses from being given to others.
struct True {
    matched: Matched,
    comparison: Comparison,
    seen: u64,
}

struct Form {
    declared: Shared<Desired>,
    placed: Shared<Desired>,
    seen: u64,
}

impl Ground {
    /// What the verdicts of a round with these kinds, known writers and key rest on.
    #[must_use]
    pub fn new(kinds: &Kinds, known_writers: &[KnownWriter], key: &DigestKey) -> Self {
        Self { kinds: kinds.clone(), known_writers: known_writers.to_vec(), key: key.hex(&["which key this is"]) }
    }
}

impl Verdicts {
    /// A look begins, on this ground. What was judged on another one is forgotten, and so is what the last look did not see.
    pub fn begin(&self, ground: Ground) {
        let mut known = self.lock();
        if known.ground.as_ref() != Some(&ground) {
            known.trues.clear();
            known.ground = Some(ground);
        }
        let last = known.looks;
        known.trues.retain(|_, kept| kept.seen == last);
        known.forms.retain(|_, form| form.seen == last);
        known.looks += 1;
    }

    /// What Git declares, in the form and the namespace in which it is compared. For the same declaration it is the very same.
    #[must_use]
    pub fn placed(&self, declared: Shared<Desired>, namespace: Option<&str>) -> Shared<Desired> {
        let mut known = self.lock();
        let looks = known.looks;
        let form = known.forms.get_mut(&declared.address()).filter(|form| form.placed.id.namespace.as_deref() == namespace);
        if let Some(form) = form {
            form.seen = looks;
            return form.placed.clone();
        }
        let placed = placed(declared.clone(), namespace);
        if !placed.is_same(&declared) {
            let form = Form { declared, placed: placed.clone(), seen: looks };
            known.forms.insert(form.declared.address(), form);
        }
        placed
    }

    /// The pair, where these very objects were true when they were last seen.
    #[must_use]
    pub fn known(&self, desired: &Shared<Desired>, live: &Shared<Live>) -> Option<Matched> {
        let mut known = self.lock();
        let looks = known.looks;
        known.ground.as_ref()?;
        let kept = known.trues.get_mut(&desired.address())?;
        let is_same = kept.matched.desired.is_same(desired) && kept.matched.live.is_same(live);
        is_same.then(|| {
            kept.seen = looks;
            kept.matched.clone()
        })
    }

    /// What comparing this very pair showed, where it was true.
    #[must_use]
    pub fn comparison(&self, matched: &Matched) -> Option<Comparison> {
        let known = self.lock();
        known.ground.as_ref()?;
        let kept = known.trues.get(&matched.desired.address())?;
        kept.is_of(matched).then(|| kept.comparison.clone())
    }

    /// Keeps what comparing a pair showed, if it is true by the table alone.
    pub fn keep(&self, matched: &Matched, comparison: &Comparison) {
        // Whether replicas that differ are an autoscaler's is for other objects to say.
        let is_by_table = matched.expected.evidence == Evidence::Table && !autoscaling::is_scaled(matched);
        if !comparison.drifts.is_empty() || !is_by_table || !matched.former.is_empty() {
            return;
        }
        let mut known = self.lock();
        let kept = True { matched: matched.clone(), comparison: comparison.clone(), seen: known.looks };
        known.trues.insert(matched.desired.address(), kept);
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl True {
    fn is_of(&self, other: &Matched) -> bool {
        let Matched { desired, live, expected, secrecy, former } = &self.matched;
        desired.is_same(&other.desired)
            && live.is_same(&other.live)
            && expected.is_same(&other.expected)
            && *secrecy == other.secrecy
            && *former == other.former
    }
}

impl std::fmt::Debug for Verdicts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Secrets may be in it.
        f.write_str("Verdicts")
    }
}

/// What Git declares, in the form and the namespace in which it is compared.
pub(crate) fn placed(declared: Shared<Desired>, namespace: Option<&str>) -> Shared<Desired> {
    let mut placed = normal::shared(declared);
    if placed.id.namespace.as_deref() != namespace {
        placed.id.namespace = namespace.map(str::to_owned);
    }
    placed
}
