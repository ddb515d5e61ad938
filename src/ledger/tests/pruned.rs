//! Old records go behind a checkpoint: the chain holds, how things stand stays, and what is unfinished stays whole.

use trueup_core::finding::{Digests, ValueDigest};
use trueup_core::run::{Approval, Area, AreaHold, Denial, Grant, KnownBy, Person, Pin, Ruled, Ruling, Spot};

use super::*;

/// Some stories of runs, each with its records in order; times are seconds.
fn stories() -> impl Strategy<Value = Vec<Entry>> {
    let story = (0_usize..6, 0_usize..14).prop_map(|(number, length)| {
        let run = run_id(number);
        let mut story = vec![
            patch(number, "because"),
            Entry::Outcome { run: run.clone(), outcome: Outcome::Applied { resource_version: None, warnings: Vec::new() } },
            Entry::Verification { run, outlook: Outlook::Settled, why: None },
            escalation(&format!("of story {number}")),
            Entry::Hold(trueup_core::run::Hold { places: vec![place(number)], reason: "r".into(), findings: Vec::new() }),
            Entry::Pin(Pin { source: "acme/platform".into(), reference: "main".into(), commit: format!("c{number}") }),
        ];
        story.extend(rulings(number));
        story.truncate(length + 1);
        story
    });
    prop::collection::vec(story, 1..6).prop_flat_map(|stories| {
        let entries: Vec<Entry> = stories.into_iter().flatten().collect();
        Just(entries).prop_shuffle()
    })
}

/// What a person decided about a story's place.
fn rulings(number: usize) -> impl Iterator<Item = Entry> {
    let (target, name) = (TargetName("prod".into()), format!("place {number}"));
    let spot = Spot { target: target.clone(), place: place(number), name };
    let (area, finding) = (Area::Place(spot.clone()), FindingId(format!("f-{number}")));
    let (live, until) = (ValueDigest::from("v1:live".to_owned()), second(500));
    let digests = Digests { desired: "v1:desired".to_owned().into(), live: live.clone() };
    let decided = [
        Ruled::Hold(AreaHold { area: area.clone(), until: number.is_multiple_of(2).then(|| second(500)) }),
        Ruled::Hold(AreaHold { area: Area::Everything, until: None }),
        Ruled::EarlierWrites { target, heads: vec!["trueup-head-v1 7".to_owned()] },
        Ruled::Deny(Denial { spot: spot.clone(), finding: finding.clone() }),
        Ruled::Approve(Box::new(Approval { spot: spot.clone(), finding: finding.clone(), digests, class: None, until })),
        Ruled::Lease(Box::new(Grant { spot: spot.clone(), finding, live, until })),
        Ruled::EndLease(spot),
        Ruled::Resume { area },
    ];
    let by = Person { name: "anna".into(), known_by: KnownBy::ApiServer };
    decided.into_iter().map(move |what| Entry::Ruling(Box::new(Ruling { by: by.clone(), because: "b".into(), what })))
}

#[test]
fn what_went_changes_neither_the_chain_nor_how_things_stand() {
    law(48, &(stories(), 0_i64..20), |storage, (entries, before)| {
        in_runtime(async {
            let world = World::new(storage).await;
            for (number, entry) in (0..).zip(entries) {
                // Out of order, many cannot follow.
                let _refused = world.ledger.append(&entry, second(number)).await.is_err();
            }
            let (records, standing) =
                (world.ledger.entries(0).await.expect("read"), world.ledger.standing().await.expect("read"));
            let due: Vec<Run> =
                world.ledger.runs().await.expect("read").into_iter().filter(|run| run.due() != Due::Nothing).collect();
            let went = world.ledger.prune(second(before), second(1000)).await.expect("pruned");
            let audit = world.ledger.verify().await.expect("read");
            let Audit::Whole { records: left, pruned, signed, .. } = audit else { panic!("{audit:?}") };
            let all = records.len() as u64;
            assert_eq!((left, pruned), if went == 0 { (all, 0) } else { (all - went + 1, went) });
            assert!(all == 0 || matches!(signed, Signed::Here(_)), "{signed:?}");
            let after = world.ledger.standing().await.expect("read");
            assert_eq!(
                (after.holds(), after.escalated(), after.proposals(), after.denied()),
                (standing.holds(), standing.escalated(), standing.proposals(), standing.denied())
            );
            assert_eq!(after.people(), standing.people());
            let last = |standing: &Standing| standing.last_commit("acme/platform", "main").map(str::to_owned);
            assert_eq!(last(&after), last(&standing));
            let prod = TargetName("prod".into());
            assert_eq!((after.begun(), after.has_written_to(&prod)), (standing.begun(), standing.has_written_to(&prod)));
            let runs = world.ledger.runs().await.expect("read");
            assert!(due.iter().all(|run| runs.contains(run)), "{due:?} {runs:?}");
            let kept = world.ledger.entries(0).await.expect("read");
            assert!(kept.iter().zip(&records[usize::try_from(went).expect("small")..]).all(|(kept, record)| kept == record));
            if let Some(checkpoint) = kept.iter().find_map(|record| match &record.entry {
                Entry::Checkpoint(checkpoint) => Some(checkpoint),
                _ => None,
            }) {
                assert!(checkpoint.until < second(before));
                assert_eq!(checkpoint.counts.values().sum::<u64>(), went);
            }
            world.ledger.append(&escalation("goes on"), second(2000)).await.expect("recorded");
            world.ledger.close().await.expect("closed");
            let again = Ledger::open(&world.at).await.expect("opened");
            assert!(matches!(again.verify().await.expect("read"), Audit::Whole { .. }));
        });
    });
}

async fn pruned(storage: Storage) -> World {
    let world = World::with(storage, 8).await;
    assert_eq!(world.ledger.prune(second(4), second(100)).await.expect("pruned"), 4);
    assert_eq!(world.ledger.prune(second(6), second(101)).await.expect("pruned"), 2);
    world
}

#[tokio::test]
async fn a_second_checkpoint_stands_for_the_first_ones_records_too() {
    for storage in storages() {
        let world = pruned(storage).await;
        let numbers: Vec<u64> = world.ledger.entries(0).await.expect("read").iter().map(|record| record.seq).collect();
        assert_eq!(numbers, [7, 8, 9, 10]);
        let found = world.ledger.entries(0).await.expect("read").pop().expect("there");
        let Entry::Checkpoint(checkpoint) = found.entry else { panic!("{found:?}") };
        assert_eq!((checkpoint.through, checkpoint.counts), (6, [("escalation".to_owned(), 6)].into()));
        assert!(matches!(world.ledger.verify().await.expect("read"), Audit::Whole { records: 4, pruned: 6, .. }));
        assert_eq!(world.ledger.standing().await.expect("read").escalated().len(), 1);
    }
}

#[tokio::test]
async fn a_head_from_before_the_checkpoint_is_compared_as_far_as_that_goes() {
    for storage in storages() {
        let world = World::with(storage, 5).await;
        let records: Vec<Recorded> = {
            let mut connection = world.ledger.shared.connection.lock().await;
            let mut snapshot = connection.snapshot().await.expect("begun");
            let rows: Vec<Row> = storage::rows_from(snapshot.on(), 0).try_collect().await.expect("read");
            rows.iter().map(|row| row.sound().expect("sound")).collect()
        };
        world.ledger.prune(second(3), second(100)).await.expect("pruned");
        for kept in &records {
            assert!(world.ledger.holds(*kept).await.expect("read"));
            assert!(matches!(world.ledger.verify_against(*kept).await.expect("read"), Audit::Whole { .. }));
        }
        let forged = Recorded { seq: 3, hash: records[0].hash };
        assert!(!world.ledger.holds(forged).await.expect("read"));
        assert!(matches!(world.ledger.verify_against(forged).await.expect("read"), Audit::Broken { seq: 3, .. }));
    }
}

/// Whatever is left can be damaged as before, and the checkpoint's own end is signed.
#[tokio::test]
async fn damage_behind_a_checkpoint_is_found() {
    for storage in storages() {
        for (statement, seq) in [
            ("DELETE FROM records WHERE seq = 7", 7),
            ("DELETE FROM records WHERE seq = 9", 9),
            ("UPDATE records SET through = 7 WHERE seq = 10", 10),
            // The first checkpoint stands for four records, so the fifth is missed.
            ("UPDATE records SET through = NULL WHERE seq = 10", 5),
            ("UPDATE records SET signature = hash WHERE seq = 10", 10),
            ("UPDATE records SET signature = hash WHERE seq = 8", 8),
        ] {
            let world = pruned(storage).await;
            world.intruder().await.change(statement).await;
            let audit = world.ledger.verify().await.expect("read");
            assert!(matches!(audit, Audit::Broken { seq: found, .. } if found == seq), "{statement}: {audit:?}");
        }
    }
}

/// Records do not go by a checkpoint that no key has signed.
#[tokio::test]
async fn a_forged_checkpoint_excuses_nothing() {
    for storage in storages() {
        let world = World::with(storage, 5).await;
        let head = world.ledger.head().await.expect("read").expect("there");
        let by =
            By { instance: world.ledger.signed_head().await.expect("read").expect("signed").instance().to_string(), ..nobody() };
        let entry = Entry::Checkpoint(Box::new(trueup_core::run::Checkpoint {
            through: 5,
            hash: head.hash.to_string(),
            until: second(5),
            counts: [("escalation".to_owned(), 5)].into(),
            standing: Standing::default(),
        }));
        let mut row = Row::sealed(6, second(6), &entry, entry.encode().expect("JSON"), head.hash, &by);
        row.signature = Some(vec![0; 64]);
        let mut intruder = world.intruder().await;
        intruder.insert(&row).await;
        intruder.change("DELETE FROM records WHERE seq <= 5").await;
        assert!(matches!(world.ledger.verify().await.expect("read"), Audit::Broken { seq: 6, .. }));
        assert!(matches!(world.ledger.standing().await, Err(LedgerError::Broken { seq: 6, .. })));
        assert!(matches!(Ledger::open(&world.at).await, Err(LedgerError::Broken { .. })));
    }
}
