//! What a ledger takes, keeps and gives back.

use std::io::BufRead;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use futures::TryStreamExt;
use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use serde_json::json;
use sqlx::postgres::PgConnection;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, Connection as _};
use tempfile::TempDir;
use trueup_core::finding::{FindingId, Subject};
use trueup_core::object::{ObjectId, TargetName};
use trueup_core::run::{
    Due, Effect, Episode, Escalation, Fate, HistoryError, Intent, Outcome, Outlook, PatchEffect, Proposal, Run, RunId, RunStatus,
    Standing,
};

use super::*;

mod damage;
mod entries;
mod heads;
mod layouts;
mod processes;
mod pruned;
mod server;
mod world;

use entries::{any_entry, escalation, intent, patch, place, run_id, second};
use world::{Intruder, Storage, World, database, in_runtime, law, nobody, storages};

#[test]
fn what_is_appended_is_read_and_holds() {
    law(24, &prop::collection::vec(any_entry(), 0..40), |storage, entries| {
        in_runtime(async {
            let world = World::new(storage).await;
            let mut model = Runs::default();
            let mut records = Vec::new();
            for (number, entry) in (0..).zip(entries) {
                let record = Record { seq: records.len() as u64 + 1, at: second(number), entry };
                match (world.ledger.append(&record.entry, record.at).await, model.apply(&record)) {
                    (Ok(recorded), Ok(())) => {
                        assert_eq!(recorded.seq, record.seq);
                        records.push(record);
                    }
                    (Err(LedgerError::History(refusal)), Err(expected)) => assert_eq!(refusal, expected),
                    (appended, applied) => panic!("{appended:?} but {applied:?}"),
                }
            }
            world.ledger.close().await.expect("closed");
            let ledger = Ledger::open(&world.at).await.expect("opened again");
            assert_eq!(ledger.entries(0).await.expect("read"), records);
            assert_eq!(ledger.entries(3).await.expect("read"), records.get(3..).unwrap_or_default());
            assert_eq!(ledger.runs().await.expect("read"), model.into_all());
            let found = ledger.verify().await.expect("read");
            assert_eq!(whole(&found), (records.len() as u64, ledger.head().await.expect("read")));
        });
    });
}

/// How many records, and the last one.
fn whole(audit: &Audit) -> (u64, Option<Recorded>) {
    match audit {
        Audit::Whole { records, head, .. } => (*records, *head),
        Audit::Broken { seq, why } => panic!("broken at {seq}: {why}"),
    }
}

#[tokio::test]
async fn a_run_is_found_with_what_it_owes() {
    for storage in storages() {
        let world = World::new(storage).await;
        for number in 1..4 {
            world.ledger.append(&patch(number, "because"), second(0)).await.expect("recorded");
        }
        let applied = Outcome::Applied { resource_version: Some("42".into()), warnings: Vec::new() };
        let lost = Outcome::Unknown { reason: "timeout".into() };
        world.ledger.append(&Entry::Outcome { run: run_id(1), outcome: applied }, second(1)).await.expect("recorded");
        world.ledger.append(&Entry::Outcome { run: run_id(2), outcome: lost }, second(1)).await.expect("recorded");
        let unfinished = world.ledger.unfinished().await.expect("read");
        assert_eq!(unfinished.iter().map(|run| run.intent.run.clone()).collect::<Vec<_>>(), [run_id(2), run_id(3)]);
        let run = world.ledger.run(&run_id(1)).await.expect("read").expect("there");
        assert_eq!(run.status, RunStatus::Applied { resource_version: Some("42".into()) });
        assert_eq!(world.ledger.run(&run_id(7)).await.expect("read"), None);
        assert_eq!(world.ledger.standing().await.expect("read").writes_of_class("config-value", second(0)), 3);
    }
}

#[tokio::test]
async fn what_cannot_follow_is_not_recorded() {
    for storage in storages() {
        let world = World::new(storage).await;
        let verification = Entry::Verification { run: run_id(1), outlook: Outlook::Settled, why: None };
        let error = world.ledger.append(&verification, second(0)).await.expect_err("no intent");
        assert!(matches!(error, LedgerError::History(HistoryError::NoIntent(_))), "{error}");
        world.ledger.append(&patch(1, ""), second(0)).await.expect("recorded");
        let error = world.ledger.append(&verification, second(0)).await.expect_err("nothing applied");
        assert!(matches!(error, LedgerError::History(HistoryError::Step { .. })), "{error}");
        assert_eq!(world.ledger.entries(0).await.expect("read").len(), 1);
    }
}

#[tokio::test]
async fn a_secrets_value_is_not_recorded() {
    let world = World::new(Storage::File).await;
    let canary = "c2VjcmV0LWNhbmFyeQ";
    let effect = Effect::Patch(PatchEffect {
        uid: None,
        resource_version: None,
        patch: json!({"data": {"password": canary}}),
        pre_image: json!({}),
        inverse: json!({}),
        ..PatchEffect::default()
    });
    let error = world.ledger.append(&intent(1, effect, "Secret", ""), second(0)).await.expect_err("a secret");
    assert_eq!(error.to_string(), "the entry would keep the value of a Secret (`data`): such an action belongs in review");
    world.ledger.append(&escalation(""), second(0)).await.expect("recorded");
    for file in std::fs::read_dir(world.folder.path()).expect("a folder") {
        let bytes = std::fs::read(file.expect("a file").path()).expect("read");
        assert!(!bytes.windows(canary.len()).any(|window| window == canary.as_bytes()));
    }
}

#[tokio::test]
async fn the_database_itself_refuses_changes() {
    for storage in storages() {
        let world = World::with(storage, 2).await;
        let connection = match &world.at {
            Location::File(path) => Connection::Sqlite(SqliteConnectOptions::new().filename(path).connect().await.expect("open")),
            Location::Server(server) => {
                let options = server.options().expect("a URL").options([("search_path", "trueup")]);
                Connection::Postgres(options.connect().await.expect("open"))
            }
        };
        let mut other = Intruder(connection);
        let mut statements = vec!["UPDATE records SET kind = 'hold'", "DELETE FROM records WHERE seq = 2"];
        statements.extend((storage == Storage::Server).then_some("TRUNCATE records"));
        for statement in statements {
            let error = other.run(statement).await.expect_err("refused").to_string();
            assert!(error.contains("a ledger is append-only"), "{error}");
        }
    }
}

#[tokio::test]
async fn the_file_is_its_owners_alone() {
    use std::os::unix::fs::MetadataExt;
    let world = World::with(Storage::File, 1).await;
    for file in std::fs::read_dir(world.folder.path()).expect("a folder") {
        let metadata = file.expect("a file").metadata().expect("read");
        assert_eq!(metadata.mode() & 0o777, 0o600);
    }
}

#[tokio::test]
async fn a_full_storage_is_an_error_and_loses_nothing() {
    let world = World::with(Storage::File, 3).await;
    let small = "PRAGMA max_page_count = 1";
    let mut connection = world.ledger.shared.connection.lock().await;
    let Connection::Sqlite(sqlite) = &mut *connection else { panic!("a file") };
    sqlx::query(small).execute(sqlite).await.expect("set");
    drop(connection);
    let long = "x".repeat(100_000);
    let error = world.ledger.append(&escalation(&long), second(3)).await.expect_err("full");
    assert!(matches!(error, LedgerError::Storage { fault: StorageFault::Full, .. }), "{error:?}");
    let text = format!("cannot append to the ledger `{}`: the disk is full; free some space", world.path().display());
    assert_eq!(error.to_string(), text);
    assert_eq!(world.ledger.append(&escalation(&long), second(4)).await.expect("recorded").seq, 4);
    assert!(matches!(world.ledger.verify().await.expect("read"), Audit::Whole { records: 4, .. }));
}

#[tokio::test]
async fn a_cancelled_append_happened_or_did_not() {
    for storage in storages() {
        let world = World::new(storage).await;
        let mut acknowledged = 0;
        for step in 0..60 {
            let patience = std::time::Duration::from_micros(20 * step);
            if tokio::time::timeout(patience, world.ledger.append(&escalation("x"), second(0))).await.is_ok() {
                acknowledged += 1;
            }
        }
        let last = world.ledger.append(&escalation("last"), second(1)).await.expect("recorded");
        assert!((acknowledged + 1..=61).contains(&last.seq), "{acknowledged} acknowledged, the last is {}", last.seq);
        assert_eq!(whole(&world.ledger.verify().await.expect("read")), (last.seq, Some(last)));
    }
}

#[tokio::test]
async fn what_is_no_ledger_is_left_alone() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("other.sqlite");
    let options = SqliteConnectOptions::new().filename(&path).create_if_missing(true);
    let mut other = options.connect().await.expect("made");
    sqlx::query("CREATE TABLE songs (name TEXT)").execute(&mut other).await.expect("made");
    other.close().await.expect("closed");
    let before = std::fs::read(&path).expect("read");
    assert!(matches!(Ledger::open(&path).await, Err(LedgerError::NotALedger { .. })));
    assert!(matches!(Ledger::open_to_read(&path).await, Err(LedgerError::NotALedger { .. })));
    assert_eq!(std::fs::read(&path).expect("read"), before);

    std::fs::write(&path, "no database at all, but long enough for a header of one hundred bytes ".repeat(4)).expect("written");
    let error = Ledger::open(&path).await.expect_err("no database").to_string();
    assert_eq!(
        error,
        format!("cannot open the ledger `{}`: the file is no ledger; move it away, or restore a copy", path.display())
    );
}

#[tokio::test]
async fn a_ledger_that_is_not_there_is_made_only_to_append() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("ledger.sqlite");
    assert!(matches!(Ledger::open_to_read(&path).await, Err(LedgerError::Missing { .. })));
    assert!(!path.exists());
    std::fs::write(&path, "").expect("cut off before anything was written");
    assert!(matches!(Ledger::open_to_read(&path).await, Err(LedgerError::Missing { .. })));
    Ledger::open(&path).await.expect("made").append(&escalation(""), second(0)).await.expect("recorded");
    let reader = Ledger::open_to_read(&path).await.expect("there");
    assert_eq!(reader.entries(0).await.expect("read").len(), 1);
    assert!(matches!(reader.append(&escalation(""), second(1)).await, Err(LedgerError::OpenToRead { .. })));
    let nowhere = Ledger::open(&folder.path().join("no/folder/ledger.sqlite")).await;
    assert!(matches!(nowhere, Err(LedgerError::Write { .. })));
}

#[tokio::test]
async fn a_later_trueup_is_not_second_guessed() {
    for storage in storages() {
        let world = World::with(storage, 2).await;
        let head = world.ledger.head().await.expect("read").expect("there");
        let later = br#"{"format":2,"entry":{"dream":{}}}"#.to_vec();
        let mut intruder = world.intruder().await;
        intruder.insert(&Row::sealed(3, second(3), &escalation(""), later, head.hash, &nobody())).await;
        assert!(matches!(world.ledger.runs().await, Err(LedgerError::Unreadable { seq: 3, .. })));
        assert!(matches!(world.ledger.verify().await.expect("read"), Audit::Broken { seq: 3, .. }), "nobody signed it");

        world.ledger.close().await.expect("closed");
        let layout = "INSERT INTO _sqlx_migrations VALUES (9999, 'later', CURRENT_TIMESTAMP, TRUE, ";
        let bytes = if storage == Storage::File { "x'00'" } else { "'\\x00'" };
        intruder.change(&format!("{layout}{bytes}, 0)")).await;
        assert!(matches!(Ledger::open(&world.at).await, Err(LedgerError::LaterLayout { version: 9999, .. })));
        assert!(matches!(Ledger::open_to_read(&world.at).await, Err(LedgerError::LaterLayout { version: 9999, .. })));
    }
}
