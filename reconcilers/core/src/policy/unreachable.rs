//! Classes and ignore rules that can never count, as far as that can be proven.

use super::matching::Match;
use super::{IgnoreRule, Policy, Precedence};
use crate::facts::Problem;
use crate::finding::{Change, Lane};
use crate::path::Path;
use crate::pattern::{NamePattern, PathPattern};

/// With more pairs than this, not every pair is compared.
const MOST_PAIRS: usize = 500_000;

/// What has no effect, and why: each is proven. A class is without effect where
///
/// - its conditions contradict each other,
/// - an ignore rule covers all that it means,
/// - it is a fallback, and a regular class means all that it means,
/// - an earlier class means all that it means and is in a stricter lane, or in the same one at the same stage or an earlier
///   one: then that one gives lane, stage and name. (Not below lane `review`: there every class's stage counts.)
///
/// An ignore rule is without effect where its conditions contradict each other or an earlier rule covers all that it means.
#[must_use]
pub fn unreachable(policy: &Policy) -> Vec<Problem> {
    let mut pairs = Pairs(0);
    let mut problems = Vec::new();
    for (at, class) in policy.classes.iter().enumerate() {
        let why = contradiction(&class.matches).or_else(|| {
            let mut rules = policy.ignores.iter().filter(|rule| rule.covers_whole_paths());
            let rule = rules.find(|rule| pairs.includes(&rule.matches, &class.matches));
            rule.map(covered).or_else(|| outdone(policy, at, &mut pairs))
        });
        problems.extend(why.map(|why| problem(&format!("class `{}`", class.name), class.origin.clone(), &why)));
    }
    for (at, rule) in policy.ignores.iter().enumerate() {
        let mut earlier = policy.ignores[..at].iter();
        let why = contradiction(&rule.matches)
            .or_else(|| earlier.find(|over| pairs.includes(&over.matches, &rule.matches)).map(covered));
        problems.extend(why.map(|why| problem(&format!("ignore rule `{}`", rule.name), rule.origin.clone(), &why)));
    }
    if pairs.0 > MOST_PAIRS {
        let message = format!("the policy is too large to look for all classes without effect: {MOST_PAIRS} pairs were compared");
        problems.push(Problem::note("policy-large", message, None));
    }
    problems
}

/// How many pairs were compared.
struct Pairs(usize);

impl Pairs {
    fn includes(&mut self, wide: &Match, narrow: &Match) -> bool {
        self.0 += 1;
        self.0 <= MOST_PAIRS && wide.includes(narrow)
    }
}

fn covered(rule: &IgnoreRule) -> String {
    format!("{rule} covers all that it means")
}

fn problem(what: &str, origin: crate::facts::Origin, why: &str) -> Problem {
    let message = format!("{what} never has an effect: {why}; remove it, or change what it matches");
    Problem::note("unreachable", message, Some(origin))
}

/// The class that leaves the one at this place without effect, wherever that matches.
fn outdone(policy: &Policy, at: usize, pairs: &mut Pairs) -> Option<String> {
    let class = &policy.classes[at];
    let mut others = policy.classes.iter().enumerate();
    let (_, over) = others.find(|(other, over)| {
        let may = match (class.precedence, over.precedence) {
            (Precedence::Fallback, Precedence::Regular) => true,
            (Precedence::Regular, Precedence::Fallback) => false,
            (Precedence::Regular, Precedence::Regular) | (Precedence::Fallback, Precedence::Fallback) => {
                let is_as_strict = over.lane > class.lane || (over.lane == class.lane && over.stage <= class.stage);
                *other < at && over.lane >= Lane::Review && is_as_strict
            }
        };
        may && pairs.includes(&over.matches, &class.matches)
    })?;
    Some(match (class.precedence, over.precedence) {
        (Precedence::Fallback, Precedence::Regular) => format!("it is a fallback, and {over} matches wherever it does"),
        (Precedence::Regular | Precedence::Fallback, _) => {
            format!("{over} matches wherever it does, comes first and is as strict")
        }
    })
}

impl IgnoreRule {
    /// Whether all that its conditions name is ignored: a rule by manager alone leaves out what concerns security, and one
    /// with a condition in CEL that for which it cannot be evaluated.
    fn covers_whole_paths(&self) -> bool {
        let by_name = !(self.matches.managers.is_empty() && self.matches.owned_by.is_empty());
        !self.matches.has_condition() && (!by_name || !self.matches.paths.is_empty() || self.matches.category.is_some())
    }
}

/// Why no difference can meet all conditions.
fn contradiction(matches: &Match) -> Option<String> {
    let only = |changes: &[Change]| !matches.changes.is_empty() && matches.changes.iter().all(|change| changes.contains(change));
    let outputs = !matches.kinds.is_empty() && matches.kinds.iter().all(|kind| kind.is_exactly("Output"));
    let in_objects = !matches.paths.is_empty() && matches.paths.iter().all(|pattern| !pattern.matches(&Path::root()));
    let meets =
        |patterns: &[NamePattern], text: &str| patterns.is_empty() || patterns.iter().any(|pattern| pattern.matches(text));
    if matches.cel.as_ref().and_then(super::Condition::constant) == Some(false) {
        return Some("its condition in CEL is always false".to_owned());
    }
    if only(&[Change::MissingObject, Change::ExtraObject]) && in_objects {
        return Some("a whole object that is missing or extra has no path".to_owned());
    }
    if only(&[Change::Removed, Change::MissingObject]) && !meets(&matches.managers, "") {
        return Some("nothing tells who removed something, so no manager matches".to_owned());
    }
    if only(&[Change::Removed, Change::MissingObject]) && !matches.owned_by.is_empty() {
        return Some("nobody owns what is not there".to_owned());
    }
    if outputs {
        let object = [
            ("path", in_objects),
            ("labels", !matches.labels.is_empty()),
            ("category", matches.category.is_some()),
            ("namespace", !meets(&matches.namespaces, "")),
            ("group", !meets(&matches.groups, "terraform")),
            ("owned_by", !matches.owned_by.is_empty()),
            ("manager", !meets(&matches.managers, "")),
        ];
        let key = object.into_iter().find(|(_, contradicts)| *contradicts).map(|(key, _)| key);
        return key.map(|key| format!("a Terraform output has no `{key}` that matches"));
    }
    None
}

impl Match {
    /// Whether these conditions hold wherever the others do: `true` is proven.
    fn includes(&self, narrower: &Self) -> bool {
        names(&self.kinds, &narrower.kinds)
            && names(&self.groups, &narrower.groups)
            && names(&self.namespaces, &narrower.namespaces)
            && names(&self.names, &narrower.names)
            && self.labels.iter().all(|(key, wide)| narrower.labels.get(key).is_some_and(|narrow| wide.includes(narrow)))
            && all_within(&self.paths, &narrower.paths, PathPattern::includes)
            && all_within(&self.changes, &narrower.changes, |wide, narrow| wide == narrow)
            && names(&self.managers, &narrower.managers)
            && names(&self.owned_by, &narrower.owned_by)
            && self.category.is_none_or(|category| narrower.category == Some(category))
            && self.direction.is_none_or(|direction| narrower.direction == Some(direction))
            && names(&self.environments, &narrower.environments)
            && all_within(&self.tiers, &narrower.tiers, |wide, narrow| wide == narrow)
            && self.cel.as_ref().is_none_or(|condition| narrower.cel.as_ref() == Some(condition))
    }
}

fn names(wide: &[NamePattern], narrow: &[NamePattern]) -> bool {
    all_within(wide, narrow, NamePattern::includes)
}

/// Lists of alternatives; an empty one stands for everything.
fn all_within<T>(wide: &[T], narrow: &[T], includes: impl Fn(&T, &T) -> bool) -> bool {
    wide.is_empty() || (!narrow.is_empty() && narrow.iter().all(|narrow| wide.iter().any(|wide| includes(wide, narrow))))
}
