//! What a class or an ignore rule means: conditions over a difference.

use std::cell::OnceCell;
use std::collections::BTreeMap;

use crate::direction::Direction;
use crate::finding::{Change, Difference, Divergence, Standing, Subject};
use crate::path::Path;
use crate::pattern::{NamePattern, PathPattern, texts_of};
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
    pub(super) environments: Vec<NamePattern>,
    pub(super) tiers: Vec<u8>,
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
    /// Whether the values are there, for conditions in CEL.
    is_whole: bool,
    variables: OnceCell<Variables<'a>>,
}

impl<'a> Facts<'a> {
    /// What conditions of policy ask about this difference; read at the first question.
    #[must_use]
    pub fn of(difference: &'a Difference) -> Self {
        let path = difference.path();
        let (category, direction) = (OnceCell::new(), OnceCell::new());
        Self { difference, path, category, direction, is_whole: true, variables: OnceCell::new() }
    }

    /// Of a difference whose values are no longer there: what they told is given.
    #[must_use]
    pub fn recorded(difference: &'a Difference, category: Option<Category>, direction: Direction) -> Self {
        let (category, direction) = (OnceCell::from(category), OnceCell::from(direction));
        Self { difference, path: difference.path(), category, direction, is_whole: false, variables: OnceCell::new() }
    }

    /// Which category the difference falls into, if any.
    pub fn category(&self) -> Option<Category> {
        *self.category.get_or_init(|| Category::of(self.difference))
    }

    /// Whether the live value is weaker or stronger than the declared one.
    pub fn direction(&self) -> Direction {
        *self.direction.get_or_init(|| Direction::of(self.difference))
    }

    fn variables(&self) -> &Variables<'a> {
        self.variables.get_or_init(|| Variables::of(self.difference, self.category(), self.direction()))
    }

    /// What an index of rules looks up: each of the difference's names, and each segment of its path, as
    /// [`Match::beginnings`] writes them.
    pub(super) fn texts(&self) -> Vec<String> {
        let difference = self.difference;
        let (kind, _, namespace, name) = difference.subject.names();
        let manager = difference.cause.manager.as_deref().unwrap_or_default();
        let names = [(KIND, kind), (NAMESPACE, namespace), (NAME, name), (MANAGER, manager)];
        let names = names.into_iter().map(|(mark, text)| written(mark, text));
        names.chain(texts_of(&self.path, self.pointer()).map(|text| written(STEP, &text))).collect()
    }

    fn pointer(&self) -> &str {
        match &self.difference.divergence {
            Divergence::Field(drift) => &drift.pointer,
            Divergence::Object(_) | Divergence::Expectation(_) => "",
        }
    }
}

/// What marks the texts of an index: which of a difference's names one is, or that it is a step of its path.
const KIND: char = 'k';
const NAMESPACE: char = 's';
const NAME: char = 'n';
const MANAGER: char = 'm';
const STEP: char = 'p';

/// A whole text with its mark. Its end is written, so that only the whole begins with the whole.
fn written(mark: char, text: &str) -> String {
    format!("{mark}{text}\0")
}

impl Match {
    /// What a difference must have so that the conditions can hold: of each list here, at least one of the difference's texts
    /// ([`Facts::texts`]) begins with one of the entries. Conditions of which nothing can be looked up have no list.
    pub(super) fn beginnings(&self) -> Vec<Vec<String>> {
        let names = [(KIND, &self.kinds), (NAMESPACE, &self.namespaces), (NAME, &self.names), (MANAGER, &self.managers)];
        let of_names = |(mark, patterns): (char, &Vec<NamePattern>)| {
            let beginning = |pattern: &NamePattern| match pattern.beginning() {
                (text, true) => Some(written(mark, text)),
                ("", false) => None,
                (text, false) => Some(format!("{mark}{text}")),
            };
            (!patterns.is_empty()).then(|| patterns.iter().map(beginning).collect::<Option<Vec<_>>>()).flatten()
        };
        let mut all: Vec<Vec<String>> = names.into_iter().filter_map(of_names).collect();
        // Each literal step of a pattern is in each path that it matches or covers; with several patterns, the last of each is
        // taken, which tells the most.
        if let [pattern] = &self.paths[..] {
            all.extend(pattern.literals().map(|text| vec![written(STEP, &text)]));
        } else if !self.paths.is_empty() {
            let last = |pattern: &PathPattern| pattern.literals().last().map(|text| written(STEP, &text));
            all.extend(self.paths.iter().map(last).collect::<Option<Vec<_>>>());
        }
        all
    }

    /// Whether a class with these conditions means the difference: a path is met as a whole.
    #[must_use]
    pub fn holds(&self, facts: &Facts<'_>) -> Holds {
        if !self.matches_subject(&facts.difference.subject) {
            return Holds::No;
        }
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
        if !self.matches_subject(&facts.difference.subject) {
            return Holds::No;
        }
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
        if !self.matches_subject(&facts.difference.subject) {
            return Vec::new();
        }
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

    /// The conditions beside the subject and the path.
    fn holds_beside_its_path(&self, facts: &Facts<'_>) -> Holds {
        let difference = facts.difference;
        let owners = &difference.surroundings.owners;
        let holds =
            self.labels.iter().all(|(key, pattern)| difference.labels.get(key).is_some_and(|value| pattern.matches(value)))
                && (self.changes.is_empty() || self.changes.contains(&difference.change()))
                && any(&self.managers, difference.cause.manager.as_deref().unwrap_or_default())
                && (self.owned_by.is_empty() || (!owners.is_empty() && owners.iter().all(|owner| any(&self.owned_by, owner))))
                && self.category.is_none_or(|category| facts.category() == Some(category))
                && self.direction.is_none_or(|direction| facts.direction().may_be(direction))
                && self.matches_standing(&difference.surroundings.standing);
        match &self.cel {
            _ if !holds => Holds::No,
            None => Holds::Yes,
            Some(_) if !facts.is_whole => Holds::Failed("the values that it asks for were not recorded".to_owned()),
            Some(condition) => condition.holds(facts.variables()),
        }
    }

    /// Where nothing is said of a target, no condition about it holds.
    fn matches_standing(&self, standing: &Standing) -> bool {
        let environment = standing.environment.as_deref();
        (self.environments.is_empty() || environment.is_some_and(|name| any(&self.environments, name)))
            && (self.tiers.is_empty() || standing.tier.is_some_and(|tier| self.tiers.contains(&tier)))
    }

    fn matches_subject(&self, subject: &Subject) -> bool {
        let (kind, group, namespace, name) = subject.names();
        any(&self.kinds, kind) && any(&self.groups, group) && any(&self.namespaces, namespace) && any(&self.names, name)
    }
}

fn any(patterns: &[NamePattern], text: &str) -> bool {
    patterns.is_empty() || patterns.iter().any(|pattern| pattern.matches(text))
}
