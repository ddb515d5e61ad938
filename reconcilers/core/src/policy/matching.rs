//! What a class or an ignore rule means: conditions over a difference.

use std::cell::OnceCell;
use std::collections::BTreeMap;

use crate::direction::Direction;
use crate::finding::{Change, Difference, Divergence, Subject};
use crate::path::Path;
use crate::pattern::{NamePattern, PathPattern};
use crate::policy::condition::{Condition, Variables};
use crate::security::Category;

/// Conditions that all must hold; one that is absent holds.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Match {
    pub(super) kinds: Vec<NamePattern>,
    pub(super) groups: Vec<NamePattern>,
    pub(super) namespaces: Vec<NamePattern>,
    pub(super) names: Vec<NamePattern>,
    pub(super) labels: BTreeMap<String, NamePattern>,
    pub(super) paths: Vec<PathPattern>,
    pub(super) changes: Vec<Change>,
    pub(super) managers: Vec<NamePattern>,
    pub(super) owned_by: Vec<NamePattern>,
    pub(super) category: Option<Category>,
    pub(super) direction: Option<Direction>,
    pub(super) cel: Option<Condition>,
}

/// Whether conditions hold for a difference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Holds {
    /// All of them do.
    Yes,
    /// One does not.
    No,
    /// All others do, and the one in CEL could not be evaluated, because of this.
    Failed(String),
}

/// A difference, and what conditions ask of it: worked out at most once, however many rules ask.
pub struct Facts<'a> {
    /// The difference.
    pub difference: &'a Difference,
    path: Path,
    category: OnceCell<Option<Category>>,
    direction: OnceCell<Direction>,
    variables: OnceCell<Variables<'a>>,
}

impl<'a> Facts<'a> {
    /// Of this difference.
    #[must_use]
    pub fn of(difference: &'a Difference) -> Self {
        let path = difference.path();
        Self { difference, path, category: OnceCell::new(), direction: OnceCell::new(), variables: OnceCell::new() }
    }

    /// What it concerns.
    pub fn category(&self) -> Option<Category> {
        *self.category.get_or_init(|| Category::of(self.difference))
    }

    /// Whether it loosens or tightens.
    pub fn direction(&self) -> Direction {
        *self.direction.get_or_init(|| Direction::of(self.difference))
    }

    fn variables(&self) -> &Variables<'a> {
        self.variables.get_or_init(|| Variables::of(self.difference, self.category(), self.direction()))
    }

    fn pointer(&self) -> &str {
        match &self.difference.divergence {
            Divergence::Field(drift) => &drift.pointer,
            Divergence::Object(_) | Divergence::Expectation(_) => "",
        }
    }
}

impl Match {
    /// Whether a class with these conditions means the difference: a path is met as a whole.
    #[must_use]
    pub fn holds(&self, facts: &Facts<'_>) -> Holds {
        let on_path = |pattern: &PathPattern| pattern.matches_at(&facts.path, facts.pointer());
        if !self.paths.is_empty() && !self.paths.iter().any(on_path) {
            return Holds::No;
        }
        self.holds_beside_its_path(facts)
    }

    /// Whether an ignore rule with these conditions means the difference: a path stands for all that is inside, too.
    ///
    /// A manager's name is what a program calls itself: where nothing but that says what is meant, it never covers what
    /// concerns security.
    #[must_use]
    pub fn covers(&self, facts: &Facts<'_>) -> Holds {
        let on_path = |pattern: &PathPattern| pattern.covers_at(&facts.path, facts.pointer());
        if !self.paths.is_empty() && !self.paths.iter().any(on_path) {
            return Holds::No;
        }
        let by_name_alone = self.paths.is_empty() && !(self.owned_by.is_empty() && self.managers.is_empty());
        if by_name_alone && self.category.is_none() && facts.category() == Some(Category::Security) {
            return Holds::No;
        }
        self.holds_beside_its_path(facts)
    }

    /// The paths that lead to something below the difference, where all else holds for it.
    pub(crate) fn paths_below(&self, facts: &Facts<'_>) -> Vec<&PathPattern> {
        let below = self.paths.iter().filter(|pattern| pattern.reaches_below(&facts.path, facts.pointer()));
        let below: Vec<&PathPattern> = below.collect();
        if below.is_empty() || self.holds_beside_its_path(facts) != Holds::Yes { Vec::new() } else { below }
    }

    /// Whether the class says by name that it means this change.
    #[must_use]
    pub fn names(&self, change: Change) -> bool {
        self.changes.contains(&change)
    }

    /// Whether it asks which way security goes.
    #[must_use]
    pub fn asks_direction(&self) -> bool {
        self.direction.is_some()
    }

    /// Whether a condition in CEL is among them.
    #[must_use]
    pub fn has_condition(&self) -> bool {
        self.cel.is_some()
    }

    fn holds_beside_its_path(&self, facts: &Facts<'_>) -> Holds {
        let difference = facts.difference;
        let owners = &difference.surroundings.owners;
        let holds = self.matches_subject(&difference.subject)
            && self.labels.iter().all(|(key, pattern)| difference.labels.get(key).is_some_and(|value| pattern.matches(value)))
            && (self.changes.is_empty() || self.changes.contains(&difference.change()))
            && any(&self.managers, difference.cause.manager.as_deref().unwrap_or_default())
            && (self.owned_by.is_empty() || (!owners.is_empty() && owners.iter().all(|owner| any(&self.owned_by, owner))))
            && self.category.is_none_or(|category| facts.category() == Some(category))
            && self.direction.is_none_or(|direction| facts.direction().may_be(direction));
        match &self.cel {
            _ if !holds => Holds::No,
            None => Holds::Yes,
            Some(condition) => condition.holds(facts.variables()),
        }
    }

    fn matches_subject(&self, subject: &Subject) -> bool {
        match subject {
            Subject::Object(id) => {
                any(&self.kinds, &id.kind)
                    && any(&self.groups, id.group())
                    && any(&self.namespaces, id.namespace.as_deref().unwrap_or_default())
                    && any(&self.names, &id.name)
            }
            Subject::Output(id) => {
                any(&self.kinds, "Output")
                    && any(&self.groups, "terraform")
                    && any(&self.namespaces, "")
                    && any(&self.names, &id.output)
            }
        }
    }
}

fn any(patterns: &[NamePattern], text: &str) -> bool {
    patterns.is_empty() || patterns.iter().any(|pattern| pattern.matches(text))
}
