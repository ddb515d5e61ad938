//! Whatever is done to the records or the file, the check names the first record that is not what was recorded.

use super::*;

const RECORDS: u64 = 6;

/// Each column whose content is checked, and its type in SQLite.
const COLUMNS: [(&str, &str); 10] = [
    ("at", "TEXT"),
    ("kind", "TEXT"),
    ("body", "BLOB"),
    ("prev", "BLOB"),
    ("hash", "BLOB"),
    ("run", "TEXT"),
    ("instance", "TEXT"),
    ("cluster", "TEXT"),
    ("policy", "TEXT"),
    ("epoch", "INTEGER"),
];

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

/// Flips one bit in one column of one record; `None` where the database takes no such text.
async fn flip(world: &World, seq: u64, (name, kind): (&str, &str), at: usize, bit: u8) -> Option<()> {
    let mut intruder = world.intruder().await;
    if kind == "INTEGER" {
        let flipped = 1_i64 << bit;
        intruder
            .change(&format!("UPDATE records SET {name} = ({name} | {flipped}) - ({name} & {flipped}) WHERE seq = {seq}"))
            .await;
        return Some(());
    }
    let (read, write) = match (&world.at, kind) {
        (Location::File(_), _) => (format!("CAST({name} AS BLOB)"), format!("CAST(x'BYTES' AS {kind})")),
        (Location::Server(_), "TEXT") => {
            (format!("convert_to({name}, 'UTF8')"), "convert_from('\\xBYTES'::bytea, 'UTF8')".to_owned())
        }
        (Location::Server(_), _) => (name.to_owned(), "'\\xBYTES'::bytea".to_owned()),
    };
    let mut bytes = intruder.bytes(&format!("SELECT {read} FROM records WHERE seq = {seq}")).await;
    let at = at % bytes.len();
    bytes[at] ^= 1 << bit;
    let write = write.replace("BYTES", &trueup_core::seen::hex(&bytes));
    match (intruder.run(&format!("UPDATE records SET {name} = {write} WHERE seq = {seq}")).await, storage_of(world), kind) {
        (Ok(1), _, _) => Some(()),
        // PostgreSQL holds no text that is not UTF-8.
        (Err(_), Storage::Server, "TEXT") => None,
        (other, _, _) => panic!("{other:?}"),
    }
}

fn storage_of(world: &World) -> Storage {
    match world.at {
        Location::File(_) => Storage::File,
        Location::Server(_) => Storage::Server,
    }
}

/// Six records, each about a run; a file is made once, and copied for each case.
async fn world(storage: Storage) -> World {
    static FILES: std::sync::OnceLock<[Vec<u8>; 2]> = std::sync::OnceLock::new();
    if storage == Storage::Server {
        return six_records(storage).await;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("ledger.sqlite");
    let made = || {
        in_runtime(async {
            let World { folder, ledger, .. } = six_records(Storage::File).await;
            ledger.close().await.expect("closed");
            ["ledger.sqlite", "ledger-key"].map(|name| std::fs::read(folder.path().join(name)).expect("read"))
        })
    };
    let [file, key] = FILES.get_or_init(|| std::thread::spawn(made).join().expect("no panic"));
    std::fs::write(&path, file).expect("written");
    let key_path = folder.path().join("ledger-key");
    std::fs::write(&key_path, key).expect("written");
    std::fs::set_permissions(key_path, std::os::unix::fs::PermissionsExt::from_mode(0o600)).expect("set");
    let ledger = Ledger::open(&path).await.expect("a ledger");
    World { at: Location::File(path), folder, ledger }
}

async fn six_records(storage: Storage) -> World {
    let world = World::new(storage).await;
    let about = About { cluster: Some("c-1".to_owned()), policy: Some("0d1e".to_owned()) };
    let ledger = world.ledger.about(about);
    for number in 1..=RECORDS {
        let number = usize::try_from(number).expect("small");
        ledger.append(&patch(number, "because"), second(0)).await.expect("recorded");
    }
    world
}

#[test]
fn a_flipped_bit_is_found() {
    let strategy = (1..=RECORDS, prop::sample::select(&COLUMNS[..]), any::<usize>(), 0_u8..8);
    law(96, &strategy, |storage, (seq, column, at, bit)| {
        in_runtime(async {
            let world = world(storage).await;
            if flip(&world, seq, column, at, bit).await.is_some() {
                assert_eq!(broken_at(&world.ledger).await, seq);
                assert_refused(&world.ledger, seq).await;
            }
        });
    });
}

#[test]
fn an_emptied_column_is_found() {
    const OPTIONAL: [&str; 5] = ["run", "instance", "epoch", "cluster", "policy"];
    law(32, &(1..=RECORDS, prop::sample::select(&OPTIONAL[..])), |storage, (seq, column)| {
        in_runtime(async {
            let world = world(storage).await;
            world.intruder().await.change(&format!("UPDATE records SET {column} = NULL WHERE seq = {seq}")).await;
            assert_eq!(broken_at(&world.ledger).await, seq);
            assert_refused(&world.ledger, seq).await;
        });
    });
}

#[test]
fn a_dropped_record_is_found() {
    law(16, &(1..RECORDS), |storage, seq| {
        in_runtime(async {
            let world = world(storage).await;
            world.intruder().await.change(&format!("DELETE FROM records WHERE seq = {seq}")).await;
            assert_eq!(broken_at(&world.ledger).await, seq);
            assert_refused(&world.ledger, seq).await;
        });
    });
}

#[test]
fn an_end_that_was_cut_off_is_found() {
    law(16, &(1..=RECORDS), |storage, first| {
        in_runtime(async {
            let world = world(storage).await;
            world.intruder().await.change(&format!("DELETE FROM records WHERE seq >= {first}")).await;
            assert_eq!(broken_at(&world.ledger).await, first);
            let error = Ledger::open(&world.at).await.expect_err("nothing is appended to it");
            assert!(matches!(error, LedgerError::Broken { seq, .. } if seq == first), "{error}");
        });
    });
}

#[test]
fn two_swapped_records_are_found() {
    law(32, &(1..RECORDS, 1..RECORDS), |storage, (one, distance)| {
        in_runtime(async {
            let other = (one + distance).min(RECORDS);
            let world = world(storage).await;
            let mut intruder = world.intruder().await;
            for (to, from) in
                [("-1".to_owned(), one.to_string()), (one.to_string(), other.to_string()), (other.to_string(), "-1".to_owned())]
            {
                intruder.change(&format!("UPDATE records SET seq = {to} WHERE seq = {from}")).await;
            }
            assert_eq!(broken_at(&world.ledger).await, one);
            assert_refused(&world.ledger, one).await;
        });
    });
}

#[test]
fn a_repeated_record_is_found() {
    law(16, &(1..=RECORDS, 1_u64..4), |storage, (seq, behind)| {
        in_runtime(async {
            let world = world(storage).await;
            let number = RECORDS + behind;
            let columns = "at, run, kind, body, prev, hash, instance, epoch, cluster, policy, through, signature";
            let copy = format!("INSERT INTO records (seq, {columns}) SELECT {number}, {columns} FROM records WHERE seq = {seq}");
            world.intruder().await.change(&copy).await;
            assert_eq!(broken_at(&world.ledger).await, RECORDS + 1);
            let error = world.ledger.append(&escalation(""), second(9)).await.expect_err("its last record does not hold");
            assert!(matches!(error, LedgerError::Broken { seq, .. } if seq == number), "{error}");
        });
    });
}

/// A bit anywhere in the file: found, or it was in bytes that hold no record.
#[test]
fn a_flipped_bit_of_the_file_never_passes_for_another_record() {
    let mut runner = TestRunner::new(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(64) });
    let strategy = (any::<prop::sample::Index>(), 0_u8..8);
    let ran = runner.run(&strategy, |(at, bit)| {
        in_runtime(damaged_file_never_lies(|bytes| {
            let at = at.index(bytes.len());
            bytes[at] ^= 1 << bit;
        }));
        Ok(())
    });
    ran.unwrap_or_else(|failure| panic!("{failure}"));
}

#[test]
fn a_file_cut_short_never_passes_for_a_whole_one() {
    let mut runner = TestRunner::new(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(64) });
    let ran = runner.run(&any::<prop::sample::Index>(), |length| {
        in_runtime(damaged_file_never_lies(|bytes| bytes.truncate(length.index(bytes.len()))));
        Ok(())
    });
    ran.unwrap_or_else(|failure| panic!("{failure}"));
}

async fn damaged_file_never_lies(damage: impl FnOnce(&mut Vec<u8>)) {
    let world = world(Storage::File).await;
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
    let world = World::new(Storage::File).await;
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

/// Its own hash is made to fit, so it is the record behind it that no longer follows.
#[tokio::test]
async fn a_forged_record_breaks_the_link_behind_it() {
    for storage in storages() {
        let world = world(storage).await;
        let mut intruder = world.intruder().await;
        let before = intruder.bytes("SELECT hash FROM records WHERE seq = 2").await;
        let before = RecordHash::read(&before).expect("a hash");
        let reason = patch(3, "a better reason");
        let forged = Row::sealed(3, second(0), &reason, reason.encode().expect("JSON"), before, &nobody());
        intruder.change("DELETE FROM records WHERE seq = 3").await;
        intruder.insert(&forged).await;
        assert_eq!(broken_at(&world.ledger).await, 4);
    }
}
