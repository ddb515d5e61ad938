//! What is ignored by an annotation in Git, and ignore rules inside a value: where a difference is of a whole list or a whole
//! entry, and a rule names a part of it.

use serde_json::Value;

use crate::facts::{Desired, Matched, Problem};
use crate::finding::{Difference, Divergence, Drift, Inside};
use crate::path::Path;
use crate::pattern::PathPattern;
use crate::policy::{Facts, Policy};

/// The annotation that, declared in Git, names paths to ignore.
pub const IGNORE_ANNOTATION: &str = "trueup.dev/ignore";

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
    let of_git = declared.map(|pattern| (pattern, format!("`{}` in {}", IGNORE_ANNOTATION, difference.origin.file)));
    of_policy.chain(of_git).collect()
}

pub(crate) fn ignored_paths(desired: &Value) -> Vec<PathPattern> {
    let text = ignore_annotation(desired).and_then(Value::as_str).unwrap_or_default();
    patterns(text).filter_map(|pattern| pattern.trim().parse().ok()).collect()
}

fn ignore_annotation(desired: &Value) -> Option<&Value> {
    desired.get("metadata")?.get("annotations")?.get(IGNORE_ANNOTATION)
}

/// What `trueup.dev/ignore` in Git says and cannot mean: such a path is not ignored.
#[must_use]
pub fn ignore_problems(desired: &Desired) -> Vec<Problem> {
    let Some(value) = ignore_annotation(&desired.value) else { return Vec::new() };
    let origin = || desired.origin_of(&Path::root().key("metadata").key("annotations").key(IGNORE_ANNOTATION));
    let problem = |message: String| Problem::note("bad-ignore", message, Some(origin()));
    let Some(text) = value.as_str() else {
        return vec![problem(format!("`{IGNORE_ANNOTATION}` is no text: nothing is ignored by it; give paths in quotes"))];
    };
    let mistake = |pattern: &str| {
        let error = pattern.trim().parse::<PathPattern>().err()?;
        let shown = pattern.trim();
        Some(problem(format!("`{IGNORE_ANNOTATION}` names `{shown}`, which is no path and ignores nothing: {error}")))
    };
    patterns(text).filter_map(mistake).collect()
}

/// Splits at the commas that stand outside brackets; in quotes, a bracket is a letter.
fn patterns(text: &str) -> impl Iterator<Item = &str> {
    let (mut bracketed, mut quoted, mut escaped) = (false, false, false);
    text.split(move |letter| {
        match letter {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' if bracketed => quoted = !quoted,
            '[' if !quoted => bracketed = true,
            ']' if !quoted => bracketed = false,
            _ => {}
        }
        letter == ',' && !bracketed
    })
}
