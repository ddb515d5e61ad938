//! Who owns a file, as `CODEOWNERS` of the pinned commit says: the last line that matches wins.
//!
//! The rules are GitHub's, which are those of `.gitignore` but for `!`, `[ ]` and what a `*` at the end covers.
//! <https://docs.github.com/en/repositories/managing-your-repositorys-settings-and-features/customizing-your-repository/about-code-owners>

use std::collections::BTreeSet;

use crate::source::{self, Pinned};

/// Where GitHub looks; the first that is there counts.
const FILES: [&str; 3] = [".github/CODEOWNERS", "CODEOWNERS", "docs/CODEOWNERS"];
/// GitHub loads no larger one.
const SIZE_LIMIT: usize = 3 << 20;

/// The lines of a `CODEOWNERS` file.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Owners(Vec<Line>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Line {
    pattern: Vec<Part>,
    owners: Vec<String>,
}

/// One part of a pattern between slashes.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    /// `**`: any folders.
    Any,
    /// A name with `*` and `?`.
    Name(Vec<Sign>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sign {
    Many,
    One,
    Exactly(char),
}

impl Owners {
    /// The owners of a commit's files; none where it has no such file, or one that cannot be read.
    #[must_use]
    pub fn of(pinned: &Pinned) -> Self {
        let text = FILES.iter().find_map(|file| source::read_text(pinned, file).ok().flatten());
        text.filter(|text| text.len() <= SIZE_LIMIT).map(|text| Self::read(&text)).unwrap_or_default()
    }

    /// Reads a file; a line that GitHub would skip is skipped.
    #[must_use]
    pub fn read(text: &str) -> Self {
        Self(text.lines().filter_map(line).collect())
    }

    /// Logins and `organisation/team`s that own a file. What is owned by an address alone has nobody to ask.
    pub fn of_file<'a>(&'a self, file: &str) -> impl Iterator<Item = &'a str> {
        let path: Vec<&str> = file.split('/').collect();
        let last = self.0.iter().rev().find(|line| matches(&line.pattern, &path));
        last.into_iter().flat_map(|line| &line.owners).filter_map(|owner| owner.strip_prefix('@'))
    }

    /// All who own one of the files.
    #[must_use]
    pub fn of_files<'a>(&self, files: impl IntoIterator<Item = &'a str>) -> BTreeSet<String> {
        files.into_iter().flat_map(|file| self.of_file(file).map(str::to_owned).collect::<Vec<_>>()).collect()
    }
}

fn line(text: &str) -> Option<Line> {
    let mut words: Vec<Vec<char>> = vec![Vec::new()];
    let mut escaped = false;
    for character in text.trim().chars() {
        let word = words.last_mut()?;
        match character {
            _ if escaped => {
                word.extend(['\\', character]);
                escaped = false;
            }
            '\\' => escaped = true,
            '#' if word.is_empty() => break,
            space if space.is_whitespace() => {
                if !word.is_empty() {
                    words.push(Vec::new());
                }
            }
            other => word.push(other),
        }
    }
    let mut words = words.into_iter().filter(|word| !word.is_empty());
    let pattern = pattern(&words.next()?)?;
    Some(Line { pattern, owners: words.map(|word| word.into_iter().collect()).collect() })
}

/// A pattern's parts; `None` for what GitHub does not take.
fn pattern(written: &[char]) -> Option<Vec<Part>> {
    let is_refused = written.first() == Some(&'!') || written.windows(3).any(|signs| signs == ['*', '*', '*']);
    if is_refused || written == ['/'] {
        return None;
    }
    let mut parts: Vec<&[char]> = written.split(|sign| *sign == '/').collect();
    let is_rooted = parts.first().is_some_and(|first| first.is_empty());
    let is_folder = parts.len() > 1 && parts.last().is_some_and(|last| last.is_empty());
    parts.retain(|part| !part.is_empty());
    let mut pattern: Vec<Part> = parts.into_iter().map(part).collect();
    // One name alone is looked for in any folder.
    if !is_rooted && pattern.len() == 1 && pattern[0] != Part::Any {
        pattern.insert(0, Part::Any);
    }
    if is_folder {
        pattern.push(Part::Any);
    }
    Some(pattern)
}

fn part(written: &[char]) -> Part {
    if written == ['*', '*'] {
        return Part::Any;
    }
    let mut signs = Vec::new();
    let mut rest = written.iter();
    while let Some(sign) = rest.next() {
        signs.push(match sign {
            '*' => Sign::Many,
            '?' => Sign::One,
            '\\' => Sign::Exactly(*rest.next().unwrap_or(&'\\')),
            other => Sign::Exactly(*other),
        });
    }
    Part::Name(signs)
}

/// Whether a pattern names a file or a folder above it.
fn matches(pattern: &[Part], path: &[&str]) -> bool {
    match (pattern, path) {
        ([], path) => path.is_empty(),
        (_, []) => false,
        ([Part::Any], _) => true,
        ([Part::Any, rest @ ..], path) => (0..path.len()).any(|skipped| matches(rest, &path[skipped..])),
        // `docs/*` is what stands in `docs` itself; any other name is a file, or a folder with all that is in it.
        ([Part::Name(name)], [first, rest @ ..]) => is_name(name, first) && (rest.is_empty() || name.as_slice() != [Sign::Many]),
        ([Part::Name(name), more @ ..], [first, rest @ ..]) => is_name(name, first) && matches(more, rest),
    }
}

fn is_name(signs: &[Sign], name: &str) -> bool {
    let name: Vec<char> = name.chars().collect();
    // The state is how far the signs are met: no pattern takes longer than its length for each character.
    let mut met = vec![false; signs.len() + 1];
    met[0] = true;
    let skip = |met: &mut Vec<bool>| {
        for (at, sign) in signs.iter().enumerate() {
            met[at + 1] |= met[at] && *sign == Sign::Many;
        }
    };
    skip(&mut met);
    for character in name {
        let mut next = vec![false; signs.len() + 1];
        for (at, sign) in signs.iter().enumerate().filter(|(at, _)| met[*at]) {
            match sign {
                Sign::Many => next[at] = true,
                Sign::One => next[at + 1] = true,
                Sign::Exactly(wanted) => next[at + 1] |= *wanted == character,
            }
        }
        met = next;
        skip(&mut met);
    }
    met[signs.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The examples of GitHub's page, each with its words.
    #[test]
    fn githubs_own_examples_mean_what_its_page_says() {
        for (line, owned, not_owned) in [
            ("* @global-owner1 @global-owner2", &["a.js", "x/y.go"][..], &[][..]),
            ("*.js    @js-owner #This is an inline comment.", &["a.js", "x/y/b.js"], &["a.jsx", "js"]),
            ("*.go docs@example.com @gopher", &["a.go"], &["go/a.rs"]),
            ("/build/logs/ @doctocat", &["build/logs/a", "build/logs/x/b"], &["x/build/logs/a", "build/logs"]),
            ("docs/* docs@example.com @d", &["docs/getting-started.md"], &["docs/build-app/troubleshooting.md", "x/docs/a"]),
            ("apps/ @octocat", &["apps/a", "x/apps/b/c"], &["apps"]),
            ("/docs/ @doctocat", &["docs/a", "docs/x/b"], &["x/docs/a"]),
            ("/scripts/ @doctocat @octocat", &["scripts/a", "scripts/x/b"], &["x/scripts/a"]),
            ("**/logs @octocat", &["build/logs/a", "scripts/logs/b", "deeply/nested/logs/c", "logs/d"], &["log/a"]),
            ("/apps/github @doctocat", &["apps/github", "apps/github/a"], &["apps/githubber", "x/apps/github"]),
            ("foo/**/bar @x", &["foo/bar", "foo/a/b/bar/c"], &["foo/barn"]),
            ("with\\ space/a?c @x", &["with space/abc"], &["with space/ac", "with"]),
        ] {
            let owners = Owners::read(line);
            for file in owned {
                assert!(owners.of_file(file).next().is_some(), "{line}: {file}");
            }
            for file in not_owned {
                assert!(owners.of_file(file).next().is_none(), "{line}: {file}");
            }
        }
    }

    #[test]
    fn the_last_line_that_matches_wins_even_if_it_names_nobody() {
        let owners = Owners::read(
            "# all of it\n* @org/platform\n\n/apps/ @octocat mail@example.com\n/apps/github\n!x @nobody\n[ab] @odd\n",
        );
        let of = |file: &str| owners.of_file(file).collect::<Vec<_>>();
        assert_eq!(of("a.yaml"), ["org/platform"]);
        assert_eq!(of("apps/a"), ["octocat"]);
        assert_eq!(of("apps/github/a"), [""; 0], "left to nobody");
        assert_eq!(of("b"), ["org/platform"], "a range is no range here");
        assert_eq!(owners.of_files(["a.yaml", "apps/a"]).into_iter().collect::<Vec<_>>(), ["octocat", "org/platform"]);
        assert_eq!(Owners::read("").of_files(["a"]), BTreeSet::new());
    }
}
