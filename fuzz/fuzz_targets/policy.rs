//! Policies: a mistake has its place, and patterns match as their definition says, in little time.
#![no_main]

use libfuzzer_sys::fuzz_target;
use trueup_core::path::Path;
use trueup_core::pattern::{NamePattern, PathPattern};
use trueup_core::policy::Policy;
use trueup_fuzz::{FILE, problems_have_places};

fuzz_target!(|text: &str| {
    let files = [(FILE.to_owned(), text.to_owned())];
    let read = Policy::read(&files);
    assert_eq!(read, Policy::read(&files), "the same text means the same");
    match read {
        Ok(policy) => {
            let lines = text.matches('\n').count() + 1;
            assert!(policy.classes.iter().all(|class| (1..=lines).contains(&(class.origin.line as usize))));
        }
        Err(problems) => {
            assert!(!problems.is_empty(), "no policy, and no reason");
            problems_have_places(text.as_bytes(), &problems);
        }
    }
    let mut words = text.lines();
    let (Some(pattern), Some(subject)) = (words.next(), words.next()) else { return };
    a_name_pattern_matches_as_defined(pattern, subject);
    what_is_a_path_is_its_own_pattern(pattern, subject);
});

/// `*` stands for any text: tried by every split, which only short texts allow.
fn a_name_pattern_matches_as_defined(pattern: &str, name: &str) {
    let matches = NamePattern::new(pattern).matches(name);
    if pattern.len() <= 12 && name.len() <= 16 {
        assert_eq!(matches, tried(pattern, name), "{pattern:?} on {name:?}");
    }
}

fn tried(pattern: &str, name: &str) -> bool {
    match pattern.chars().next() {
        None => name.is_empty(),
        Some('*') => name.char_indices().map(|(at, _)| at).chain([name.len()]).any(|at| tried(&pattern[1..], &name[at..])),
        Some(first) => name.strip_prefix(first).is_some_and(|rest| tried(&pattern[first.len_utf8()..], rest)),
    }
}

fn what_is_a_path_is_its_own_pattern(pattern: &str, subject: &str) {
    let Ok(path) = subject.parse::<Path>() else { return };
    let printed = path.to_string();
    assert_eq!(printed.parse::<Path>().as_ref(), Ok(&path), "{printed:?}");
    let exact: PathPattern = printed.parse().unwrap_or_else(|error| panic!("{error}"));
    assert!(exact.matches(&path), "{printed:?}");
    let every: PathPattern = "**".parse().expect("a pattern");
    assert!(every.matches(&path), "{printed:?}");
    if let Ok(pattern) = pattern.parse::<PathPattern>() {
        let _ = pattern.matches(&path);
    }
}
