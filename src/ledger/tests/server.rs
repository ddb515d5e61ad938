//! What is so on a server alone.

use super::*;

fn server(url: &str) -> Location {
    Location::Server(Box::new(Server::at(url, "/nowhere/ledger-key".into()).expect("a URL")))
}

fn has_server() -> bool {
    storages().contains(&Storage::Server)
}

#[tokio::test]
async fn no_message_repeats_what_the_url_has_beside_host_and_database() {
    let mut urls = vec!["postgres://c4nary-user:c4nary-word@127.0.0.1:1/c4se?application_name=c4nary".to_owned()];
    if has_server() {
        let url = database().await;
        let mut admin = PgConnection::connect(&url).await.expect("a server");
        let role = format!("c4nary_{}", ulid::Ulid::generate().to_string().to_lowercase());
        let made = sqlx::AssertSqlSafe(format!("CREATE ROLE {role} LOGIN PASSWORD 'right'"));
        sqlx::query(made).execute(&mut admin).await.expect("made");
        urls.push(url.replace("trueup@", &format!("{role}:c4nary-word@")));
    }
    for url in urls {
        let location = server(&url);
        for error in [Ledger::open(&location).await.map(|_| ()), Ledger::open_to_read(&location).await.map(|_| ())] {
            let error = error.expect_err("not let in");
            let said = format!("{} {error:?} {location:?}", crate::failure::with_causes(&error));
            assert!(!said.contains("c4nary"), "{said}");
            assert!(said.contains("postgres://"), "{said}");
        }
    }
}

#[test]
fn what_is_no_url_of_a_database_is_none() {
    for text in ["", "ledger.sqlite", "sqlite://ledger", "mysql://a/b", "postgres:", "http://host/db"] {
        assert!(Server::at(text, "/nowhere".into()).is_none(), "{text}");
    }
    let named = server("postgresql://u:p@db.example:6432/audit?sslmode=verify-full");
    assert_eq!(named.name(), "postgres://db.example:6432/audit");
}

#[tokio::test]
async fn a_database_that_asks_for_less_than_durable_is_overruled() {
    if !has_server() {
        return;
    }
    let url = database().await;
    let mut admin = PgConnection::connect(&url).await.expect("a server");
    let name = url.split(['/', '?']).nth(3).expect("a database").to_owned();
    let statement = format!("ALTER DATABASE {name} SET synchronous_commit = off");
    sqlx::query(sqlx::AssertSqlSafe(statement)).execute(&mut admin).await.expect("set");
    let folder = tempfile::tempdir().expect("a folder");
    let at = Location::Server(Box::new(Server::at(&url, folder.path().join("ledger-key")).expect("a URL")));
    // What the database says is overruled by what the connection asks for.
    let ledger = Ledger::open(&at).await.expect("durable all the same");
    ledger.append(&escalation(""), second(0)).await.expect("recorded");
}

#[tokio::test]
async fn a_table_of_somebody_else_is_left_alone() {
    if !has_server() {
        return;
    }
    let url = database().await;
    let mut admin = PgConnection::connect(&url).await.expect("a server");
    let songs = "CREATE SCHEMA trueup; CREATE TABLE trueup.records (name TEXT); CREATE TABLE public._sqlx_migrations (a INT)";
    sqlx::raw_sql(songs).execute(&mut admin).await.expect("made");
    assert!(matches!(Ledger::open(&server(&url)).await, Err(LedgerError::NotALedger { .. })));
    assert!(matches!(Ledger::open_to_read(&server(&url)).await, Err(LedgerError::NotALedger { .. })));
    let tables: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM pg_tables WHERE schemaname = 'trueup'")
        .fetch_one(&mut admin)
        .await
        .expect("read");
    assert_eq!(tables, 1);
}

#[tokio::test]
async fn a_ledger_that_is_not_there_is_missing_and_reading_makes_none() {
    if !has_server() {
        return;
    }
    let url = database().await;
    assert!(matches!(Ledger::open_to_read(&server(&url)).await, Err(LedgerError::Missing { .. })));
    assert!(Ledger::open_if_there(&server(&url)).await.expect("reached").is_none());
    let mut admin = PgConnection::connect(&url).await.expect("a server");
    let made: bool =
        sqlx::query_scalar("SELECT to_regnamespace('trueup') IS NOT NULL").fetch_one(&mut admin).await.expect("read");
    assert!(!made);
}

/// Two state folders, each with its own key, share one chain.
#[tokio::test]
async fn two_instances_share_one_chain_and_each_signs_its_own() {
    if !has_server() {
        return;
    }
    let url = database().await;
    let folders = [tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder")];
    let mut ledgers = Vec::new();
    for folder in &folders {
        let at = Location::Server(Box::new(Server::at(&url, folder.path().join("ledger-key")).expect("a URL")));
        ledgers.push(Ledger::open(&at).await.expect("a ledger"));
    }
    for number in 0..6 {
        ledgers[number % 2].append(&escalation("x"), second(0)).await.expect("recorded");
    }
    let audits = [ledgers[0].verify().await.expect("read"), ledgers[1].verify().await.expect("read")];
    assert!(matches!(&audits[0], Audit::Whole { records: 6, signed: Signed::Elsewhere(_), .. }), "{audits:?}");
    assert!(matches!(&audits[1], Audit::Whole { records: 6, signed: Signed::Here(_), .. }), "{audits:?}");
}

/// A server that goes away takes nothing with it that was acknowledged, and the next append finds it again.
#[tokio::test]
async fn an_append_after_a_lost_connection_goes_on() {
    for storage in storages().into_iter().filter(|storage| *storage == Storage::Server) {
        let world = World::with(storage, 2).await;
        let Location::Server(server) = &world.at else { panic!("a server") };
        let mut admin = server.options().expect("a URL").connect().await.expect("open");
        let end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()";
        sqlx::query(end).execute(&mut admin).await.expect("ended");
        assert_eq!(world.ledger.append(&escalation("after"), second(3)).await.expect("recorded").seq, 3);
        assert_eq!(whole(&world.ledger.verify().await.expect("read")).0, 3);
    }
}
