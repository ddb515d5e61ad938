//! Several processes, some of which are killed. A child is this test program, started for one ignored test.

use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::CommandExt;

use super::*;

/// Where a child's ledger is: a file, or the URL of a database and a folder for the key.
#[derive(Debug, Clone)]
struct Given {
    ledger: String,
    folder: std::path::PathBuf,
}

impl Given {
    async fn new(storage: Storage, folder: &Path) -> Self {
        let ledger = match storage {
            Storage::File => folder.join("ledger.sqlite").display().to_string(),
            Storage::Server => database().await,
        };
        Self { ledger, folder: folder.to_owned() }
    }

    fn location(&self) -> Location {
        match Server::at(&self.ledger, self.folder.join("ledger-key")) {
            Some(server) => Location::Server(Box::new(server)),
            None => Location::File(self.ledger.clone().into()),
        }
    }

    async fn open(&self) -> Ledger {
        Ledger::open(&self.location()).await.expect("a ledger")
    }
}

fn child(test: &str, given: &Given) -> Command {
    let mut command = Command::new("/proc/self/exe");
    command
        .args(["--exact", &format!("ledger::tests::processes::{test}"), "--ignored", "--nocapture"])
        .env("TRUEUP_TEST_LEDGER", &given.ledger)
        .env("TRUEUP_TEST_LEDGER_FOLDER", &given.folder)
        .stdout(Stdio::piped());
    command
}

fn given() -> Given {
    let variable = |name| std::env::var(name).expect("given by the test that starts this one");
    Given { ledger: variable("TRUEUP_TEST_LEDGER"), folder: variable("TRUEUP_TEST_LEDGER_FOLDER").into() }
}

/// The numbers that the child printed, until `enough` says so; what it printed after that stays in the pipe.
fn acknowledged(lines: &mut impl Iterator<Item = std::io::Result<String>>, enough: usize) -> Vec<u64> {
    let numbers = lines.map_while(Result::ok).filter_map(|line| line.strip_prefix("acknowledged ")?.parse().ok());
    numbers.take(enough).collect()
}

fn start(test: &str, given: &Given) -> (Child, std::io::Lines<std::io::BufReader<std::process::ChildStdout>>) {
    let mut child = child(test, given).spawn().expect("a child");
    let lines = std::io::BufReader::new(child.stdout.take().expect("piped")).lines();
    (child, lines)
}

/// Appends this many, saying so after each.
async fn append_and_say(records: i64) -> Ledger {
    let ledger = given().open().await;
    println!();
    for number in 0..records {
        let note = format!("process {} note {number}", std::process::id());
        let recorded = ledger.append(&escalation(&note), second(number)).await.expect("recorded");
        println!("acknowledged {}", recorded.seq);
    }
    ledger
}

#[test]
#[ignore = "the child process of the test below, which starts it"]
fn child_that_appends() {
    in_runtime(append_and_say(100_000));
}

#[test]
fn what_was_acknowledged_survives_a_kill() {
    for storage in storages() {
        killed_again_and_again(storage);
    }
}

fn killed_again_and_again(storage: Storage) {
    let folder = tempfile::tempdir().expect("a folder");
    let given = in_runtime(Given::new(storage, folder.path()));
    let mut expected = 0;
    for round in 1..=5 {
        let (mut child, mut lines) = start("child_that_appends", &given);
        let mut seen = acknowledged(&mut lines, 20 * round);
        child.kill().expect("killed");
        child.wait().expect("ended");
        seen.extend(acknowledged(&mut lines, usize::MAX));
        let last = *seen.last().expect("some were acknowledged");
        assert_eq!(seen, (expected + 1..=last).collect::<Vec<_>>());
        expected = in_runtime(async {
            let (records, _) = whole(&given.open().await.verify().await.expect("read"));
            assert!((last..=last + 1).contains(&records), "{last} acknowledged, {records} there");
            records
        });
    }
}

#[test]
#[ignore = "the child process of the test below, which starts it"]
fn child_that_appends_and_stays() {
    in_runtime(async {
        let _open = append_and_say(12).await;
        tokio::time::sleep(std::time::Duration::from_mins(1)).await;
    });
}

#[test]
fn a_torn_log_leaves_a_whole_beginning() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("ledger.sqlite");
    let given = in_runtime(Given::new(Storage::File, folder.path()));
    let (mut child, mut lines) = start("child_that_appends_and_stays", &given);
    assert_eq!(acknowledged(&mut lines, 12).len(), 12);
    child.kill().expect("killed");
    child.wait().expect("ended");
    let log = folder.path().join("ledger.sqlite-wal");
    let whole = std::fs::read(&log).expect("the log of a killed process stays");
    std::fs::remove_file(folder.path().join("ledger.sqlite-shm")).expect("removed");
    let file = std::fs::read(&path).expect("read");
    let mut kept = Vec::new();
    for torn in [1, whole.len() / 3, whole.len() / 2] {
        std::fs::write(&path, &file).expect("written");
        std::fs::write(&log, &whole[..whole.len() - torn]).expect("written");
        kept.push(in_runtime(async {
            let ledger = Ledger::open(&path).await.expect("a ledger");
            let Audit::Whole { records, .. } = ledger.verify().await.expect("read") else { panic!("torn is not broken") };
            let appended = ledger.append(&escalation("after the tear"), second(0)).await.expect("recorded");
            assert_eq!(appended.seq, records + 1);
            assert!(matches!(ledger.verify().await.expect("read"), Audit::Whole { .. }));
            ledger.close().await.expect("closed");
            records
        }));
    }
    assert!(kept[0] == 11 && kept[0] > kept[1] && kept[1] > kept[2], "{kept:?}");
}

#[test]
#[ignore = "the child process of the test below, which starts it"]
fn child_that_appends_some() {
    in_runtime(append_and_say(40));
}

#[test]
fn processes_that_append_at_once_share_one_chain() {
    for storage in storages() {
        three_at_once(storage);
    }
}

fn three_at_once(storage: Storage) {
    let folder = tempfile::tempdir().expect("a folder");
    let given = in_runtime(Given::new(storage, folder.path()));
    let children: Vec<_> = (0..3).map(|_| start("child_that_appends_some", &given)).collect();
    let mut seen = Vec::new();
    for (mut child, mut lines) in children {
        seen.extend(acknowledged(&mut lines, usize::MAX));
        assert!(child.wait().expect("ended").success());
    }
    seen.sort_unstable();
    assert_eq!(seen, (1..=120).collect::<Vec<_>>());
    let audit = in_runtime(async { given.open().await.verify().await.expect("read") });
    assert!(matches!(audit, Audit::Whole { records: 120, .. }), "{audit:?}");
}

#[test]
#[ignore = "the child process of the test below, which starts it"]
fn child_that_may_only_read() {
    in_runtime(async {
        let path = std::path::PathBuf::from(given().ledger);
        let error = Ledger::open(&path).await.expect_err("nothing can be written").to_string();
        let ledger = Ledger::open_to_read(&path).await.expect("readable");
        let Audit::Whole { records, .. } = ledger.verify().await.expect("read") else { panic!("broken") };
        println!("\nacknowledged {records}\n{error}");
    });
}

/// A superuser may write anywhere, so the child becomes nobody where this test runs as one.
#[test]
fn a_folder_that_cannot_be_written_can_be_read() {
    let world = in_runtime(World::with(Storage::File, 3));
    let path = world.path();
    in_runtime(world.ledger.close()).expect("closed");
    std::fs::set_permissions(&path, PermissionsExt::from_mode(0o444)).expect("set");
    std::fs::set_permissions(world.folder.path(), PermissionsExt::from_mode(0o555)).expect("set");
    let mut command =
        child("child_that_may_only_read", &Given { ledger: path.display().to_string(), folder: world.folder.path().to_owned() });
    if std::fs::metadata("/proc/self").expect("of this process").uid() == 0 {
        command.uid(65_534).gid(65_534).current_dir("/");
    }
    let output = command.output().expect("a child");
    std::fs::set_permissions(world.folder.path(), PermissionsExt::from_mode(0o755)).expect("set");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.contains("acknowledged 3"), "{text}{}", String::from_utf8_lossy(&output.stderr));
    let advice = format!("cannot write the ledger `{}`: permission denied; set `TRUEUP_STATE_DIR`", path.display());
    assert!(text.contains(&advice), "{text}");
}

/// What was read is not read again: whoever appends or prunes meanwhile, it comes to what a first reading comes to.
#[tokio::test]
async fn what_was_read_before_goes_on_where_others_append_and_prune() {
    for storage in storages() {
        let world = World::with(storage, 4).await;
        let other = Ledger::open(&world.at).await.expect("opened");
        for step in 0..8 {
            let fresh = Ledger::open_to_read(&world.at).await.expect("there");
            assert_eq!(world.ledger.standing().await.expect("read"), fresh.standing().await.expect("read"));
            assert_eq!(world.ledger.runs().await.expect("read"), fresh.runs().await.expect("read"));
            other.append(&escalation(&format!("step {step}")), second(10 + step)).await.expect("recorded");
            if step % 3 == 2 {
                other.prune(second(9 + step), second(100 + step)).await.expect("pruned");
            }
        }
        assert!(matches!(world.ledger.verify().await.expect("read"), Audit::Whole { pruned: 7.., .. }));
    }
}
