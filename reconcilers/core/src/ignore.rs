//! Ignore rules inside a value: where a difference is of a whole list or a whole entry, and a rule names a part of it.

use crate::classify::ignored_paths;
use crate::facts::Matched;
use crate::finding::{Difference, Divergence, Drift, Inside};
use crate::path::Path;
use crate::pattern::PathPattern;
use crate::policy::{Facts, Policy};

/// Says of each difference whether something else differs once what ignore rules name inside it is left out. `compare` is
/// the comparison that found them: it is asked again without those values, so that all else is judged as ever.
pub fn look_inside(differences: &mut [Difference], matched: &Matched, policy: &Policy, compare: &dyn Fn(&Matched) -> Vec<Drift>) {
    let declared = ignored_paths(&matched.desired.value);
    for difference in differences {
        let Divergence::Field(drift) = &difference.divergence else { continue };
        let rules = rules_inside(difference, drift, policy, &declared);
        if rules.is_empty() {
            continue;
        }
        let mut left = matched.clone();
        let at = &drift.path;
        let mut named = Vec::new();
        for (pattern, name) in rules {
            let sides = [&mut left.desired.value, &mut left.expected.value, &mut left.live.value];
            let values = sides.into_iter().filter_map(|root| at.find_mut(root));
            // Each side is looked through: no rule stops at the first.
            let found: Vec<bool> = values.map(|value| pattern.leave_out(at, &drift.pointer, value)).collect();
            if found.contains(&true) && !named.contains(&name) {
                named.push(name);
            }
        }
        if named.is_empty() {
            continue;
        }
        let is_left = compare(&left).iter().any(|other| touches(&other.path, at));
        difference.surroundings.inside = if is_left { Inside::Part(named) } else { Inside::All(named) };
    }
}

fn touches(one: &Path, other: &Path) -> bool {
    one.covers(other) || other.covers(one)
}

/// The patterns that lead into the values of a difference, each with its rule as reports show it.
fn rules_inside<'a>(
    difference: &Difference,
    drift: &Drift,
    policy: &'a Policy,
    declared: &'a [PathPattern],
) -> Vec<(&'a PathPattern, String)> {
    let facts = Facts::of(difference);
    let of_rule = |rule: &'a crate::policy::IgnoreRule| {
        rule.matches.paths_below(&facts).into_iter().map(|pattern| (pattern, rule.to_string()))
    };
    let of_policy = policy.ignores.iter().flat_map(of_rule);
    let declared = declared.iter().filter(|pattern| pattern.reaches_below(&drift.path, &drift.pointer));
    let of_git =
        declared.map(|pattern| (pattern, format!("`{}` in {}", crate::classify::IGNORE_ANNOTATION, difference.origin.file)));
    of_policy.chain(of_git).collect()
}
