//! Every end of an offer is a legal sequence of records, and a branch is known again.

use trueup_core::facts::Origin;
use trueup_core::finding::{Cause, Difference, Divergence, Expectation, Lane, OutputId, Predicate, Risk, Stage, Subject};
use trueup_core::object::TargetName;
use trueup_core::policy::Remedy;
use trueup_core::run::{Due, Effect, Intent};
use trueup_core::seen::DigestKey;

use super::*;
use crate::act::propose::known::{known, runs_of};
use crate::act::propose::open;
use crate::ledger::Ledger;
use crate::review::Content;

fn finding() -> Finding {
    let output = OutputId { state: "s".to_owned(), serial: 1, lineage: "l".to_owned(), output: "o".to_owned(), bound: None };
    let difference = Difference {
        target: TargetName("data".to_owned()),
        subject: Subject::Output(output),
        divergence: Divergence::Expectation(Expectation { predicate: Predicate::Equals, desired: None, live: None }),
        cause: Cause::default(),
        evidence: None,
        origin: Origin { file: "a.toml".to_owned(), line: 1, column: 1, document: 1 },
        labels: std::collections::BTreeMap::new(),
        ignored_in_git: false,
        surroundings: trueup_core::finding::Surroundings::default(),
    };
    Finding {
        id: difference.id("s", &DigestKey::new(b"k")),
        place: difference.place("s"),
        difference,
        class: None,
        meant_by: Vec::new(),
        problems: Vec::new(),
        stage: Stage::Recommend,
        lane: Lane::Review,
        risk: Risk::default(),
        barred: None,
        kept: None,
        reasons: vec!["a test".to_owned()],
    }
}

fn begun(finding: &Finding, run: &str, head: &str) -> Entry {
    Entry::Intent(Box::new(Intent {
        run: run.parse().expect("an id"),
        target: finding.difference.target.clone(),
        subject: finding.difference.subject.clone(),
        findings: vec![finding.id.clone()],
        places: vec![finding.place.clone()],
        paths: Vec::new(),
        classes: Vec::new(),
        policy_digest: String::new(),
        commit: String::new(),
        decided: None,
        effect: Effect::PullRequest { branch: "b".to_owned(), head_commit: head.to_owned() },
        reasons: vec!["a test".to_owned()],
    }))
}

const EARLIER: &str = "01JD0000000000000000000000";
const OWN: &str = "01JD0000000000000000000001";

fn about<'a>(findings: &'a [&'a Finding]) -> Content<'a> {
    Content { findings, remedy: Remedy::Adopt, edits: &[], removed: &[] }
}

/// What was there before an offer.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Before {
    Nothing,
    CutOff,
    Open,
    OpenAndSame,
}

/// The ledger after an offer that ended like this: every record was legal.
async fn after(before: Before, standing: Standing) -> (Ledger, tempfile::TempDir) {
    let (folder, finding) = (tempfile::tempdir().expect("a folder"), finding());
    let ledger = Ledger::open(&folder.path().join("ledger.sqlite")).await.expect("a ledger");
    let append = async |entry: &Entry| {
        ledger.append(entry, Timestamp::now()).await.unwrap_or_else(|error| panic!("{before:?} {entry:?}: {error}"))
    };
    let proposal = review::propose("b", "base", about(&[&finding]), &review::Audience::default());
    let identity = review::Identity { number: 4, author: "us".to_owned() };
    if before != Before::Nothing {
        append(&begun(&finding, EARLIER, "h1")).await;
    }
    if matches!(before, Before::Open | Before::OpenAndSame) {
        let end = End { run: &EARLIER.parse().expect("an id"), open: None, interrupted: None, same: false };
        let opened = Opened { url: None, head: Some("h1".to_owned()), standing: Standing::Created(identity.clone()) };
        for entry in entries(&end, &proposal, std::slice::from_ref(&finding), &opened).0 {
            append(&entry).await;
        }
    }
    let same = before == Before::OpenAndSame;
    if !same {
        append(&begun(&finding, OWN, "h2")).await;
    }
    let own = if same { EARLIER } else { OWN }.parse().expect("an id");
    let runs = ledger.runs().await.expect("read");
    let stands = ledger.standing().await.expect("read");
    let open = open::of(&stands, &runs, &finding.difference.target).into_iter().find(|open| !open.records.is_empty());
    let interrupted = (before == Before::CutOff).then(|| {
        let opened = Opened { url: None, head: Some("h1".to_owned()), standing: Standing::Denied(identity.clone()) };
        let cut_off = EARLIER.parse().expect("an id");
        vec![record(&cut_off, (&proposal, &opened), &review::Identity { number: 0, author: String::new() }, &finding)]
    });
    let end = End { run: &own, open: open.as_ref(), interrupted, same };
    let opened = Opened { url: None, head: Some("h2".to_owned()), standing };
    for entry in entries(&end, &proposal, std::slice::from_ref(&finding), &opened).0 {
        append(&entry).await;
    }
    (ledger, folder)
}

#[tokio::test]
async fn every_end_of_an_offer_is_a_legal_sequence_of_records() {
    let identity = || review::Identity { number: 4, author: "us".to_owned() };
    for before in [Before::Nothing, Before::CutOff, Before::Open, Before::OpenAndSame] {
        for standing in [
            Standing::Created(identity()),
            Standing::Updated(identity()),
            Standing::Unchanged(identity()),
            Standing::Foreign("theirs".to_owned()),
            Standing::Denied(identity()),
            Standing::Merged(identity()),
        ] {
            let (ledger, _folder) = after(before, standing.clone()).await;
            let runs = ledger.runs().await.expect("read");
            let own = runs.last().expect("a run");
            assert_ne!(own.due(), Due::Resolution, "{before:?} {standing:?}");
            let denied = ledger.standing().await.expect("read").is_denied(&finding().place, &finding().id);
            let expected = matches!(standing, Standing::Denied(_)) && before != Before::Nothing;
            assert_eq!(denied, expected, "{before:?} {standing:?}");
        }
    }
}

#[tokio::test]
async fn a_branch_is_known_again_after_its_proposal_ended_or_was_not_recorded() {
    let (finding, identity) = (finding(), review::Identity { number: 4, author: "us".to_owned() });
    let (ledger, _folder) = after(Before::Open, Standing::Denied(identity)).await;
    let runs = ledger.runs().await.expect("read");
    let earlier = runs_of("b", &runs);
    let heads: Vec<_> = known(None, &earlier).iter().map(|(known, _)| known.head().map(str::to_owned)).collect();
    assert_eq!(heads, [Some("h2".to_owned()), Some("h1".to_owned())], "denied: its branch is still ours");

    let (ledger, _folder) = after(Before::Open, Standing::Foreign("moved".to_owned())).await;
    let (runs, standing) = (ledger.runs().await.expect("read"), ledger.standing().await.expect("read"));
    let open = open::of(&standing, &runs, &finding.difference.target);
    let heads: Vec<_> =
        known(open.first(), &runs_of("b", &runs)).iter().map(|(known, _)| known.head().map(str::to_owned)).collect();
    assert_eq!(heads, [Some("h1".to_owned()), Some("h2".to_owned())], "pushed, and then not recorded");
}
