//! Whatever is done to the records or the file, the check names the first record that is not what was recorded.

use super::*;

const RECORDS: u64 = 6;

async fn broken_at(ledger: &Ledger) -> u64 {
    match ledger.verify().await.expect("read") {
        Audit::Broken { seq, .. } => seq,
        Audit::Whole { .. } => panic!("nothing was found"),
    }
}

/// Every way of reading refuses too, and nothing is appended on top.
async fn assert_refused(ledger: &Ledger, seq: u64) {
    for error in [ledger.runs().await.map(|_| ()), ledger.standing().await.map(|_| ())] {
        assert!(matches!(error, Err(LedgerError::Broken { seq: found, .. }) if found == seq), "{error:?}");
    }
}

async fn change(path: &Path, statement: &'static str, numbers: &[i64]) {
    let mut connection = intruder(path).await;
    let query = numbers.iter().fold(sqlx::query(statement), |query, number| query.bind(*number));
    assert!(query.execute(&mut connection).await.expect("changed").rows_affected() > 0);
}

/// Flips one bit in one column of one record.
async fn flip(path: &Path, seq: u64, column: usize, at: usize, bit: u8) {
    let names = [("at", "TEXT"), ("kind", "TEXT"), ("body", "BLOB"), ("prev", "BLOB"), ("hash", "BLOB"), ("run", "TEXT")];
    let (name, kind) = names[column];
    let mut connection = intruder(path).await;
    let select = sqlx::AssertSqlSafe(format!("SELECT CAST({name} AS BLOB) FROM records WHERE seq = $1"));
    let seq = seq.cast_signed();
    let mut bytes: Vec<u8> = sqlx::query_scalar(select).bind(seq).fetch_one(&mut connection).await.expect("read");
    let at = at % bytes.len();
    bytes[at] ^= 1 << bit;
    let update = sqlx::AssertSqlSafe(format!("UPDATE records SET {name} = CAST($1 AS {kind}) WHERE seq = $2"));
    sqlx::query(update).bind(bytes).bind(seq).execute(&mut connection).await.expect("changed");
}

/// Six records, each about a run.
async fn world() -> World {
    let world = World::new().await;
    for number in 1..=RECORDS {
        let number = usize::try_from(number).expect("small");
        world.ledger.append(&patch(number, "because"), second(0)).await.expect("recorded");
    }
    world
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_flipped_bit_is_found(seq in 1..=RECORDS, column in 0_usize..6, at in any::<usize>(), bit in 0_u8..8) {
        in_runtime(async {
            let world = world().await;
            flip(&world.path(), seq, column, at, bit).await;
            assert_eq!(broken_at(&world.ledger).await, seq);
            assert_refused(&world.ledger, seq).await;
        });
    }

    #[test]
    fn a_dropped_record_is_found(seq in 1..RECORDS) {
        in_runtime(async {
            let world = world().await;
            change(&world.path(), "DELETE FROM records WHERE seq = $1", &[seq.cast_signed()]).await;
            assert_eq!(broken_at(&world.ledger).await, seq);
            assert_refused(&world.ledger, seq).await;
        });
    }

    #[test]
    fn two_swapped_records_are_found(one in 1..RECORDS, distance in 1..RECORDS) {
        in_runtime(async {
            let other = (one + distance).min(RECORDS);
            let world = world().await;
            let (first, second) = (one.cast_signed(), other.cast_signed());
            let path = world.path();
            change(&path, "UPDATE records SET seq = -1 WHERE seq = $1", &[first]).await;
            change(&path, "UPDATE records SET seq = $1 WHERE seq = $2", &[first, second]).await;
            change(&path, "UPDATE records SET seq = $1 WHERE seq = -1", &[second]).await;
            assert_eq!(broken_at(&world.ledger).await, one);
            assert_refused(&world.ledger, one).await;
        });
    }

    /// A bit anywhere in the file: found, or it was in bytes that hold no record.
    #[test]
    fn a_flipped_bit_of_the_file_never_passes_for_another_record(at in any::<prop::sample::Index>(), bit in 0_u8..8) {
        in_runtime(damaged_file_never_lies(|bytes| {
            let at = at.index(bytes.len());
            bytes[at] ^= 1 << bit;
        }));
    }

    #[test]
    fn a_file_cut_short_never_passes_for_a_whole_one(length in any::<prop::sample::Index>()) {
        in_runtime(damaged_file_never_lies(|bytes| bytes.truncate(length.index(bytes.len()))));
    }
}

async fn damaged_file_never_lies(damage: impl FnOnce(&mut Vec<u8>)) {
    let world = world().await;
    let path = world.path();
    let recorded = world.ledger.entries(0).await.expect("read");
    let head = world.ledger.head().await.expect("read").expect("there");
    world.ledger.close().await.expect("closed");
    let mut bytes = std::fs::read(&path).expect("read");
    damage(&mut bytes);
    std::fs::write(&path, bytes).expect("written");
    let Ok(ledger) = Ledger::open_to_read(&path).await else { return };
    match ledger.verify_against(head).await {
        Ok(Audit::Whole { records, .. }) => {
            assert_eq!(records, RECORDS);
            assert_eq!(ledger.entries(0).await.expect("read"), recorded);
        }
        Ok(Audit::Broken { .. }) | Err(_) => {}
    }
}

#[tokio::test]
async fn a_damaged_page_names_the_first_record_behind_it() {
    let world = World::new().await;
    for number in 0..40 {
        world.ledger.append(&escalation(&"x".repeat(1000)), second(number)).await.expect("recorded");
    }
    let path = world.path();
    world.ledger.close().await.expect("closed");
    let mut bytes = std::fs::read(&path).expect("read");
    let page = bytes.len() - 4096;
    bytes[page..page + 8].fill(0xff);
    std::fs::write(&path, bytes).expect("written");
    let ledger = Ledger::open_to_read(&path).await.expect("opened: the first pages are whole");
    let Audit::Broken { seq, why } = ledger.verify().await.expect("read") else { panic!("nothing was found") };
    assert!((30..=40).contains(&seq) && why.starts_with("the file is damaged here"), "{seq}: {why}");
    assert_eq!(ledger.entries(0).await.map(|_| ()).expect_err("damaged").to_string().lines().count(), 1);
}

#[tokio::test]
async fn an_inserted_record_is_found() {
    let world = world().await;
    let copy = "INSERT INTO records SELECT 7, at, run, kind, body, prev, hash FROM records WHERE seq = $1";
    change(&world.path(), copy, &[3]).await;
    assert_eq!(broken_at(&world.ledger).await, 7);
    let error = world.ledger.append(&escalation(""), second(9)).await.expect_err("its last record does not hold");
    assert!(matches!(error, LedgerError::Broken { seq: 7, .. }), "{error}");
}

#[tokio::test]
async fn what_the_chain_cannot_show_a_noted_head_shows() {
    let cut = world().await;
    let head = cut.ledger.head().await.expect("read").expect("there");
    change(&cut.path(), "DELETE FROM records WHERE seq = $1", &[6]).await;
    assert!(matches!(cut.ledger.verify().await.expect("read"), Audit::Whole { records: 5, .. }));
    let Audit::Broken { seq, .. } = cut.ledger.verify_against(head).await.expect("read") else { panic!("not found") };
    assert_eq!(seq, 6);

    let forged = Row::sealed(6, second(0), &escalation("forged"), escalation("forged").encode().expect("JSON"), {
        cut.ledger.head().await.expect("read").expect("there").hash
    });
    insert(&mut intruder(&cut.path()).await, &forged).await.expect("inserted");
    assert!(matches!(cut.ledger.verify().await.expect("read"), Audit::Whole { records: 6, .. }));
    let Audit::Broken { seq, .. } = cut.ledger.verify_against(head).await.expect("read") else { panic!("not found") };
    assert_eq!(seq, 6);
}
