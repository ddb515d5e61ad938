//! A ledger of a test's own, in a file or on a server, and somebody who changes it behind its back.

use super::*;

/// A ledger in a folder of its own, or in a database of its own.
pub(super) struct World {
    pub(super) folder: TempDir,
    pub(super) at: Location,
    pub(super) ledger: Ledger,
}

/// What a ledger is kept in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Storage {
    File,
    Server,
}

/// Both storages, or the file alone where there is no server, which CI does not accept.
pub(super) fn storages() -> Vec<Storage> {
    if std::env::var_os("TRUEUP_TEST_POSTGRES").is_some() {
        return vec![Storage::File, Storage::Server];
    }
    assert!(std::env::var_os("CI").is_none(), "TRUEUP_TEST_POSTGRES is not set: `scripts/postgres` starts a server");
    eprintln!("not run on PostgreSQL: TRUEUP_TEST_POSTGRES is not set");
    vec![Storage::File]
}

/// Holds on each storage; fewer cases on a server, where each needs a database.
pub(super) fn law<S: Strategy>(cases: u32, strategy: &S, holds: impl Fn(Storage, S::Value)) {
    for storage in storages() {
        let cases = if storage == Storage::File { cases } else { (cases / 8).max(2) };
        let mut runner = TestRunner::new(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(cases) });
        let ran = runner.run(strategy, |value| {
            holds(storage, value);
            Ok(())
        });
        ran.unwrap_or_else(|failure| panic!("on {storage:?}: {failure}"));
    }
}

pub(super) async fn at(storage: Storage, folder: &Path) -> Location {
    match storage {
        Storage::File => Location::File(folder.join("ledger.sqlite")),
        Storage::Server => Location::Server(Box::new(Server::at(&database().await, folder.join("ledger-key")).expect("a URL"))),
    }
}

/// The URL of a new database.
pub(super) async fn database() -> String {
    let url = std::env::var("TRUEUP_TEST_POSTGRES").expect("looked for before");
    let name = format!("ledger_{}", ulid::Ulid::generate().to_string().to_lowercase());
    let mut admin = PgConnection::connect(&url).await.expect("a server");
    sqlx::query(sqlx::AssertSqlSafe(format!("CREATE DATABASE {name}"))).execute(&mut admin).await.expect("made");
    url.replace("/postgres?", &format!("/{name}?"))
}

impl World {
    pub(super) async fn new(storage: Storage) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let at = at(storage, folder.path()).await;
        let ledger = Ledger::open(&at).await.expect("a ledger");
        Self { folder, at, ledger }
    }

    /// With this many escalations.
    pub(super) async fn with(storage: Storage, records: i64) -> Self {
        let world = Self::new(storage).await;
        for number in 0..records {
            let note = format!("note {number}");
            world.ledger.append(&escalation(&note), second(number)).await.expect("recorded");
        }
        world
    }

    pub(super) fn path(&self) -> std::path::PathBuf {
        self.folder.path().join("ledger.sqlite")
    }

    pub(super) async fn intruder(&self) -> Intruder {
        Intruder::at(&self.at).await
    }
}

/// Another program's connection, with the guards against change taken away.
pub(super) struct Intruder(pub(super) Connection);

impl Intruder {
    pub(super) async fn at(at: &Location) -> Self {
        let mut intruder = match at {
            Location::File(path) => {
                Self(Connection::Sqlite(SqliteConnectOptions::new().filename(path).connect().await.expect("open")))
            }
            Location::Server(server) => {
                let options = server.options().expect("a URL").options([("search_path", "trueup")]);
                Self(Connection::Postgres(options.connect().await.expect("open")))
            }
        };
        for trigger in ["records_never_change", "records_never_go", "records_go_behind_a_checkpoint_alone"] {
            let statement = match &intruder.0 {
                Connection::Sqlite(_) => format!("DROP TRIGGER IF EXISTS {trigger}"),
                Connection::Postgres(_) => format!("DROP TRIGGER IF EXISTS {trigger} ON records"),
            };
            intruder.run(&statement).await.expect("dropped");
        }
        intruder
    }

    /// How many rows it changed.
    pub(super) async fn run(&mut self, statement: &str) -> Result<u64, sqlx::Error> {
        let query = sqlx::AssertSqlSafe(statement.to_owned());
        match &mut self.0 {
            Connection::Sqlite(connection) => sqlx::raw_sql(query).execute(connection).await.map(|done| done.rows_affected()),
            Connection::Postgres(connection) => sqlx::raw_sql(query).execute(connection).await.map(|done| done.rows_affected()),
        }
    }

    pub(super) async fn change(&mut self, statement: &str) {
        assert!(self.run(statement).await.expect("changed") > 0, "{statement}");
    }

    pub(super) async fn bytes(&mut self, select: &str) -> Vec<u8> {
        let query = sqlx::AssertSqlSafe(select.to_owned());
        match &mut self.0 {
            Connection::Sqlite(connection) => sqlx::query_scalar(query).fetch_one(connection).await.expect("read"),
            Connection::Postgres(connection) => sqlx::query_scalar(query).fetch_one(connection).await.expect("read"),
        }
    }

    pub(super) async fn insert(&mut self, row: &Row) {
        let on = match &mut self.0 {
            Connection::Sqlite(connection) => storage::On::Sqlite(connection),
            Connection::Postgres(connection) => storage::On::Postgres(connection),
        };
        storage::insert(on, row).await.expect("inserted");
    }
}

pub(super) fn nobody() -> By {
    By { instance: "somebody".to_owned(), epoch: 1, cluster: None, policy: None }
}

pub(super) fn in_runtime<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime").block_on(future)
}
