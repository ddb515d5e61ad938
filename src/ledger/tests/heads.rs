//! The signed head: what the chain alone cannot show.

use super::*;

async fn broken(ledger: &Ledger) -> (u64, String) {
    match ledger.verify().await.expect("read") {
        Audit::Broken { seq, why } => (seq, why),
        Audit::Whole { .. } => panic!("nothing was found"),
    }
}

#[tokio::test]
async fn the_last_record_is_signed_and_its_head_reads_back() {
    for storage in storages() {
        let world = World::with(storage, 3).await;
        let head = world.ledger.signed_head().await.expect("read").expect("signed");
        assert_eq!(head.recorded.seq, 3);
        assert_eq!(head.to_string().parse::<SignedHead>(), Ok(head.clone()));
        let Audit::Whole { signed: Signed::Here(by), .. } = world.ledger.verify().await.expect("read") else {
            panic!("not ours")
        };
        assert_eq!(by, head.instance());
        world.ledger.close().await.expect("closed");
        let again = Ledger::open(&world.at).await.expect("opened");
        again.append(&escalation(""), second(9)).await.expect("recorded");
        let later = again.signed_head().await.expect("read").expect("signed");
        assert_eq!((later.instance(), later.epoch), (head.instance(), head.epoch + 1));
    }
}

#[test]
fn a_head_that_was_changed_does_not_read() {
    let (world, head) = in_runtime(async {
        let world = World::with(Storage::File, 3).await;
        let head = world.ledger.signed_head().await.expect("read").expect("signed").to_string();
        (world, head)
    });
    drop(world);
    law(64, &(any::<prop::sample::Index>(), 0_u8..7), |_, (at, bit)| {
        let mut bytes = head.clone().into_bytes();
        let at = at.index(bytes.len());
        bytes[at] ^= 1 << bit;
        let Ok(changed) = String::from_utf8(bytes) else { return };
        // Digits of either case are the same number.
        if !changed.eq_ignore_ascii_case(&head) {
            changed.parse::<SignedHead>().expect_err(&changed);
        }
    });
    for text in ["", "trueup-head-v1", "trueup-head-v2 1 2 3 4 5"] {
        assert_eq!(text.parse::<SignedHead>(), Err(HeadError::Form));
    }
}

/// The chain and the head beside it are those of last week: only what was kept elsewhere shows it.
#[tokio::test]
async fn a_ledger_copied_back_from_last_week_is_named() {
    let world = World::with(Storage::File, 3).await;
    let Location::File(path) = &world.at else { panic!("a file") };
    world.ledger.close().await.expect("closed");
    let last_week = std::fs::read(path).expect("read");
    let ledger = Ledger::open(path).await.expect("opened");
    for number in 3..6 {
        ledger.append(&escalation("this week"), second(number)).await.expect("recorded");
    }
    let kept = ledger.signed_head().await.expect("read").expect("signed").recorded;
    ledger.close().await.expect("closed");
    std::fs::write(path, &last_week).expect("copied back");
    let back = Ledger::open(path).await.expect("nothing beside it tells");
    assert_eq!(whole(&back.verify().await.expect("read")).0, 3);
    assert!(!back.holds(kept).await.expect("read"));
    let Audit::Broken { seq, why } = back.verify_against(kept).await.expect("read") else { panic!("not found") };
    assert_eq!(seq, 4);
    assert_eq!(why, "it was recorded once and is no longer there: the ledger went back, and record 6 was its end");
    for number in 3..6 {
        back.append(&escalation("another week"), second(number)).await.expect("recorded");
    }
    assert!(!back.holds(kept).await.expect("read"));
    let Audit::Broken { seq, why } = back.verify_against(kept).await.expect("read") else { panic!("not found") };
    assert_eq!((seq, why.as_str()), (6, "it is not the one of the head: the ledger was written anew"));
}

#[tokio::test]
async fn a_head_that_is_gone_or_changed_is_found_and_nothing_is_appended() {
    for storage in storages() {
        for change in
            ["DELETE FROM heads", "UPDATE heads SET seq = 2", "UPDATE heads SET epoch = 7", "UPDATE heads SET instance = 'x'"]
        {
            let world = World::with(storage, 3).await;
            world.intruder().await.change(change).await;
            let (_, why) = broken(&world.ledger).await;
            assert!(why.contains("signed head"), "{change}: {why}");
            let opened = Ledger::open(&world.at).await;
            assert!(matches!(opened, Err(LedgerError::Broken { .. })), "{change}: {opened:?}");
        }
    }
}

/// Whoever can write the records cannot sign them.
#[tokio::test]
async fn a_record_that_somebody_else_added_is_found() {
    for storage in storages() {
        let world = World::with(storage, 3).await;
        let head = world.ledger.signed_head().await.expect("read").expect("signed");
        let by = By { instance: head.instance().to_string(), epoch: 1, cluster: None, policy: None };
        let entry = escalation("added");
        let row = Row::sealed(4, second(4), &entry, entry.encode().expect("JSON"), head.recorded.hash, &by);
        world.intruder().await.insert(&row).await;
        assert_eq!(broken(&world.ledger).await, (4, "its instance has not signed it: somebody else added it".to_owned()));
        assert!(matches!(Ledger::open(&world.at).await, Err(LedgerError::Broken { seq: 4, .. })));
    }
}

/// With a key of one's own a ledger can be written anew; the check says that it is another's.
#[tokio::test]
async fn what_another_key_has_signed_is_said() {
    for storage in storages() {
        let world = World::with(storage, 3).await;
        world.ledger.close().await.expect("closed");
        std::fs::remove_file(world.folder.path().join("ledger-key")).expect("lost");
        let audit = Ledger::open_to_read(&world.at).await.expect("there").verify().await.expect("read");
        assert!(matches!(audit, Audit::Whole { signed: Signed::Elsewhere(_), records: 3, .. }), "{audit:?}");
        let ledger = Ledger::open(&world.at).await.expect("with a new key");
        ledger.append(&escalation(""), second(5)).await.expect("recorded");
        let audit = ledger.verify().await.expect("read");
        assert!(matches!(audit, Audit::Whole { signed: Signed::Here(_), records: 4, .. }), "{audit:?}");
    }
}

#[tokio::test]
async fn each_record_says_who_recorded_it_by_which_policy_of_which_cluster() {
    for storage in storages() {
        let world = World::new(storage).await;
        let about = About { cluster: Some("c-1".to_owned()), policy: Some("0d1e".to_owned()) };
        world.ledger.about(about).append(&escalation("a"), second(0)).await.expect("recorded");
        world.ledger.append(&escalation("b"), second(1)).await.expect("recorded");
        let mut found = Vec::new();
        world.ledger.each(|kept| found.push(kept.by.expect("named"))).await.expect("read");
        let instance = world.ledger.signed_head().await.expect("read").expect("signed").instance().to_string();
        let first = By { instance: instance.clone(), epoch: 1, cluster: Some("c-1".into()), policy: Some("0d1e".into()) };
        assert_eq!(found, [first, By { instance, epoch: 1, cluster: None, policy: None }]);
    }
}
