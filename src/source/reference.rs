//! Which commit a reference means.

use git2::{ErrorCode, Oid, Repository};

/// The full names that a reference as people write it can stand for, in the order they are tried: a branch wins over a
/// tag of its name. `HEAD` stands for itself.
#[must_use]
pub fn candidates(reference: &str) -> Vec<String> {
    if reference == "HEAD" || reference.starts_with("refs/") {
        return vec![reference.to_owned()];
    }
    ["heads", "tags", "remotes"].iter().map(|kind| format!("refs/{kind}/{reference}")).collect()
}

/// Whether git takes such a name at all.
#[must_use]
pub fn is_valid(reference: &str) -> bool {
    !reference.starts_with('-') && candidates(reference).iter().all(|name| git2::Reference::is_valid_name(name))
}

/// What looking a reference up gives.
#[derive(Debug, PartialEq, Eq)]
pub enum Lookup {
    /// The commit, and the full name it was found under.
    Found(Oid, String),
    /// No such name; these are like it.
    Missing(Vec<String>),
    /// There is the name (`HEAD` of a fresh repository), but no commit yet.
    Unborn,
}

/// Looks a reference up in a repository. An annotated tag gives the commit that it points at.
///
/// # Errors
/// When the repository is corrupt, or the reference points at no commit.
pub fn look_up(repository: &Repository, reference: &str) -> Result<Lookup, git2::Error> {
    for name in candidates(reference) {
        match repository.find_reference(&name) {
            Ok(found) => match found.peel_to_commit() {
                Ok(commit) => return Ok(Lookup::Found(commit.id(), name)),
                Err(error) if error.code() == ErrorCode::UnbornBranch => return Ok(Lookup::Unborn),
                Err(error) if error.code() == ErrorCode::NotFound && is_unborn(repository) => return Ok(Lookup::Unborn),
                Err(error) => return Err(error),
            },
            Err(error) if matches!(error.code(), ErrorCode::NotFound) => {}
            Err(error) => return Err(error),
        }
    }
    let names: Vec<String> = repository.references()?.names().filter_map(|name| name.ok().map(str::to_owned)).collect();
    if names.is_empty() && is_unborn(repository) {
        return Ok(Lookup::Unborn);
    }
    Ok(Lookup::Missing(near(reference, names.iter().map(String::as_str))))
}

fn is_unborn(repository: &Repository) -> bool {
    matches!(repository.head(), Err(error) if matches!(error.code(), ErrorCode::UnbornBranch | ErrorCode::NotFound))
}

/// At most three short names that are like the one that was asked for.
pub fn near<'a>(wanted: &str, names: impl Iterator<Item = &'a str>) -> Vec<String> {
    let wanted = short(wanted);
    let mut like: Vec<(usize, &str)> =
        names.map(short).filter(|name| *name != "HEAD").map(|name| (distance(wanted, name), name)).collect();
    like.sort_unstable();
    like.dedup();
    let close = |(steps, name): &(usize, &str)| *steps <= wanted.len().max(3) / 2 || name.contains(wanted) || *name == "main";
    like.into_iter().filter(close).take(3).map(|(_, name)| name.to_owned()).collect()
}

/// `; did you mean …`, or the general advice.
#[must_use]
pub fn near_hint(near: &[String]) -> String {
    match near {
        [] => "; `git ls-remote` lists what there is".to_owned(),
        names => format!("; did you mean {}?", names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(" or ")),
    }
}

fn short(name: &str) -> &str {
    ["refs/heads/", "refs/tags/", "refs/remotes/"].iter().find_map(|prefix| name.strip_prefix(prefix)).unwrap_or(name)
}

/// Levenshtein's: how many letters to add, drop or change.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, left) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, right) in b.iter().enumerate() {
            let changed = diagonal + usize::from(left != *right);
            diagonal = row[j + 1];
            row[j + 1] = changed.min(row[j] + 1).min(row[j + 1] + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_names_come_first() {
        let names = ["refs/heads/main", "refs/heads/release-1.4", "refs/tags/v1.4.2", "refs/heads/zebra"];
        assert_eq!(near("mian", names.into_iter()), ["main"]);
        assert_eq!(near("release-1.5", names.into_iter())[0], "release-1.4");
        assert_eq!(near_hint(&["main".to_owned()]), "; did you mean `main`?");
    }

    #[test]
    fn a_branch_wins_over_a_tag() {
        assert_eq!(candidates("v1"), ["refs/heads/v1", "refs/tags/v1", "refs/remotes/v1"]);
        assert_eq!(candidates("refs/pull/1/head"), ["refs/pull/1/head"]);
        assert!(is_valid("main") && is_valid("HEAD") && is_valid("feature/a"));
        assert!(!is_valid("-main") && !is_valid("a..b") && !is_valid("a b") && !is_valid(""));
    }
}
