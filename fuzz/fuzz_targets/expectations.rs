//! Expectation files of Terraform outputs: every mistake has its place, and so has every predicate.
#![no_main]

use libfuzzer_sys::fuzz_target;
use trueup_fuzz::{FILE, problems_have_places};
use trueup_terraform::expect::{Test, read};

fuzz_target!(|text: &str| {
    let (expectations, problems) = read(FILE, text);
    let (again, same) = read(FILE, text);
    assert_eq!((&expectations, &problems), (&again, &same), "the same text means the same");
    assert!(!(expectations.is_empty() && problems.is_empty()), "a file that expects nothing says so");
    problems_have_places(text.as_bytes(), &problems);
    for expectation in &expectations {
        assert!(!expectation.predicates.is_empty(), "{}", expectation.output);
        for predicate in &expectation.predicates {
            let position = predicate.position;
            assert!(text.get(position.start..position.end).is_some_and(|span| !span.is_empty()), "{position:?}");
            let line = text[..position.start].matches('\n').count() + 1;
            assert_eq!(position.line as usize, line, "{position:?}");
            if let Test::Matches(pattern) = &predicate.test {
                let _ = pattern.is_full_match(text);
            }
        }
    }
});
