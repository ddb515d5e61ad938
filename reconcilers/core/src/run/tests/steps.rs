//! The states against a second description of them: a grammar of letters, one for each event.

use super::*;

/// Whether a run may tell this story so far:
/// patch `u* (v | x | a look* seen? U?)`, `r` or `i`; proposal `u? (v | p+ (U | [dwc] | m look* seen? U?)?)` or `r`.
fn is_told(effect: EffectKind, story: &str) -> bool {
    if story == "r" || (story == "i" && effect == EffectKind::Patch) {
        return true;
    }
    let story = match effect {
        EffectKind::Patch => story.trim_start_matches('u'),
        EffectKind::PullRequest => story.strip_prefix('u').unwrap_or(story),
    };
    if story.is_empty() || story == "v" {
        return true;
    }
    match effect {
        EffectKind::Patch => story == "x" || story.strip_prefix('a').is_some_and(is_looked),
        EffectKind::PullRequest => {
            let rest = story.trim_start_matches('p');
            rest.len() < story.len()
                && (matches!(rest, "" | "U" | "d" | "w" | "c") || rest.strip_prefix('m').is_some_and(is_looked))
        }
    }
}

/// The state after a story, by its last letter: an answer is waited for, somebody is to look, or it is known what came of it.
fn state_told(effect: EffectKind, story: &str) -> State {
    match (effect, story.chars().last()) {
        (EffectKind::Patch | EffectKind::PullRequest, None | Some('u' | 'p')) => State::ExecuteRepair,
        (EffectKind::Patch, Some('a' | 'n' | 'o')) | (EffectKind::PullRequest, Some('m' | 'n' | 'o')) => State::Validate,
        (EffectKind::Patch | EffectKind::PullRequest, Some(_)) => State::ResumeOrRollback,
    }
}

fn is_looked(story: &str) -> bool {
    let rest = story.trim_start_matches(['n', 'o', 'h']);
    let rest = rest.strip_prefix(['s', 'f']).unwrap_or(rest);
    rest.is_empty() || rest == "U"
}

/// Every story of up to `left` further events: walks on where a step was taken, and checks each step either way.
fn walk(effect: EffectKind, status: &RunStatus, story: &mut String, left: usize, steps: &mut usize) {
    let mut taken = 0;
    for letter in LETTERS.chars() {
        story.push(letter);
        *steps += 1;
        match next_status(status, &event(letter)) {
            Ok(next) => {
                taken += 1;
                assert!(is_told(effect, story), "{effect} {story} gave {next:?}");
                assert_eq!(next.name(), event(letter).name(), "{effect} {story}");
                assert_eq!(next.state(), state_told(effect, story), "{effect} {story}");
                // What made something worse is looked at again until it is taken back; nothing else goes back to a former state.
                let may_go_back = *status == RunStatus::Verified(Outlook::Unhealthy);
                assert!(next.state() >= status.state() || may_go_back, "{effect} {story}");
                if left > 1 {
                    walk(effect, &next, story, left - 1, steps);
                }
            }
            Err(refusal) => {
                assert!(!is_told(effect, story), "{effect} {story}: {refusal}");
                assert_eq!((refusal.status, refusal.event), (status.name(), event(letter).name()));
            }
        }
        story.pop();
    }
    if taken == 0 {
        assert_eq!(status.due(), Due::Nothing, "a run that has ended owes nothing: {effect} {story}");
    }
    if status.due() != Due::Nothing {
        assert!(taken > 0, "what is owed can be given: {effect} {story}");
    }
}

#[test]
fn every_sequence_of_events_is_a_story_or_is_refused() {
    for effect in [EffectKind::Patch, EffectKind::PullRequest] {
        let mut steps = 0;
        walk(effect, &RunStatus::Intended(effect), &mut String::new(), 8, &mut steps);
        assert!(steps > 10_000, "{effect}: only {steps} steps were tried");
    }
}

#[test]
fn an_intent_without_an_answer_is_owed_a_resolution() {
    let intended = RunStatus::Intended(EffectKind::Patch);
    assert_eq!(intended.due(), Due::Resolution);
    let unknown = next_status(&intended, &event('u')).expect("possible");
    assert_eq!(unknown.due(), Due::Resolution);
    let refusal = next_status(&unknown, &event('r')).expect_err("a refusal cannot be read from the object");
    assert_eq!(refusal.to_string(), "a run that is `unknown` cannot become `refused`");
    let applied = next_status(&unknown, &event('a')).expect("possible");
    assert_eq!(applied, RunStatus::Applied { resource_version: Some("7".into()) });
    assert_eq!(applied.due(), Due::Verification);
}
