use std::fs::Permissions;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::process::Command;

use super::*;

fn folder(path: &Path) -> StateFolder {
    StateFolder { path: path.to_owned() }
}

fn now() -> Timestamp {
    "2026-11-21T02:14:07.25Z".parse().expect("a time")
}

fn environment<'a>(state_dir: &'a str, xdg: &'a str, home: &'a str) -> StateEnvironment<'a> {
    StateEnvironment {
        state_dir: Some(OsStr::new(state_dir)),
        xdg_state_home: Some(OsStr::new(xdg)),
        home: Some(OsStr::new(home)),
    }
}

#[test]
fn the_nearest_place_wins() {
    let root = tempfile::tempdir().expect("a folder");
    let config = root.path().join("trueup.toml");
    std::fs::write(&config, "").expect("a file");
    let resolve = |environment| StateFolder::resolve(environment, &config).map(|folder| folder.path);
    let name = name_of(&config.canonicalize().expect("a path"));
    assert_eq!(resolve(environment("/state", "/xdg", "/home/a")).expect("a place"), Path::new("/state"));
    assert_eq!(resolve(environment("", "/xdg", "/home/a")).expect("a place"), Path::new("/xdg/trueup").join(&name));
    let home = Path::new("/home/a/.local/state/trueup").join(&name);
    assert_eq!(resolve(environment("", "relative", "/home/a")).expect("a place"), home);
    let nowhere = resolve(environment("", "", "")).expect_err("no place");
    assert_eq!(nowhere.to_string(), "no place for the state folder: set `TRUEUP_STATE_DIR` to a folder, or `HOME`");
    assert!(matches!(resolve(StateEnvironment::default()), Err(StateError::NoPlace)));
}

#[test]
fn a_configuration_has_one_folder_by_whatever_path_it_is_named() {
    let root = tempfile::tempdir().expect("a folder");
    for name in ["a", "b"] {
        std::fs::create_dir(root.path().join(name)).expect("a folder");
        std::fs::write(root.path().join(name).join("trueup.toml"), "").expect("a file");
    }
    let of = |config: &str| StateFolder::resolve(environment("", "/xdg", ""), &root.path().join(config)).expect("a place").path;
    assert_eq!(of("a/trueup.toml"), of("b/../a/trueup.toml"));
    assert_ne!(of("a/trueup.toml"), of("b/trueup.toml"));
}

#[test]
fn the_folder_is_its_owners_alone_and_may_exist() {
    let root = tempfile::tempdir().expect("a folder");
    let state = folder(&root.path().join("one/two"));
    state.create().expect("made");
    state.create().expect("there already");
    assert_eq!(std::fs::metadata(state.path()).expect("there").mode() & 0o777, 0o700);
}

#[test]
fn a_folder_that_cannot_be_made_says_what_to_do() {
    let root = tempfile::tempdir().expect("a folder");
    std::fs::write(root.path().join("file"), "").expect("a file");
    let path = root.path().join("file/state");
    let error = folder(&path).create().expect_err("a file is in the way");
    let text = format!(
        "cannot create the state folder `{}`: a file is in the way; move it, or set `TRUEUP_STATE_DIR` to another folder",
        path.display()
    );
    assert_eq!(error.to_string(), text);
}

#[test]
fn the_key_is_made_once_for_its_owner_alone() {
    let root = tempfile::tempdir().expect("a folder");
    let state = folder(root.path());
    let first = digest_key(None, &state).expect("made").hex(&["x"]);
    assert_eq!(digest_key(None, &state).expect("read").hex(&["x"]), first);
    assert_eq!(std::fs::metadata(state.key()).expect("there").mode() & 0o777, 0o600);
    assert_eq!(std::fs::read_dir(root.path()).expect("a folder").count(), 1, "no draft is left");
    let other = tempfile::tempdir().expect("a folder");
    assert_ne!(digest_key(None, &folder(other.path())).expect("made").hex(&["x"]), first);
}

#[test]
fn makers_at_once_agree_on_one_key() {
    let root = tempfile::tempdir().expect("a folder");
    let state = folder(root.path());
    let made: Vec<String> = std::thread::scope(|scope| {
        let makers: Vec<_> = (0..8).map(|_| scope.spawn(|| digest_key(None, &state).expect("a key").hex(&["x"]))).collect();
        makers.into_iter().map(|maker| maker.join().expect("no panic")).collect()
    });
    assert!(made.iter().all(|digest| *digest == made[0]), "{made:?}");
}

#[test]
fn a_key_that_others_may_read_or_that_is_short_is_refused() {
    let root = tempfile::tempdir().expect("a folder");
    let state = folder(root.path());
    digest_key(None, &state).expect("made");
    for mode in [0o640, 0o604, 0o602] {
        std::fs::set_permissions(state.key(), Permissions::from_mode(mode)).expect("set");
        let error = digest_key(None, &state).expect_err("exposed");
        assert!(matches!(error, KeyError::Exposed { mode: found, .. } if found == mode), "{error}");
    }
    std::fs::set_permissions(state.key(), Permissions::from_mode(0o600)).expect("set");
    for text in ["", "00ff", &"0".repeat(63), &"zz".repeat(32)] {
        std::fs::write(state.key(), text).expect("written");
        let error = digest_key(None, &state).expect_err("no key");
        assert!(matches!(error, KeyError::File(_)), "{error}");
    }
}

#[test]
fn a_given_key_comes_first_and_is_never_shown() {
    let state = folder(Path::new("/nowhere"));
    let given = digest_key(Some(&"5a".repeat(32)), &state).expect("a key").hex(&["x"]);
    assert_eq!(given, trueup_core::seen::DigestKey::new(&[0x5a; 32]).hex(&["x"]));
    let error = digest_key(Some("5ecre7"), &state).expect_err("short");
    assert!(!format!("{error} {error:?}").contains("5ecre7"));
}

#[test]
fn one_acts_at_a_time_and_the_other_is_told_who() {
    let root = tempfile::tempdir().expect("a folder");
    let state = folder(root.path());
    let held = state.lock(now()).expect("free");
    let error = state.lock(now()).expect_err("held");
    let text = format!(
        "`{}/lock` is locked by process {} since 2026-11-21T02:14:07Z: one trueup acts at a time; wait until it ends, or stop it",
        root.path().display(),
        std::process::id()
    );
    assert_eq!(error.to_string(), text);
    drop(held);
    state.lock(now()).expect("free again");
}

/// As a child that another thread starts has it for a moment: the same open file. The lock was taken for held then.
#[test]
fn a_lock_that_is_given_back_is_free_whoever_has_the_file_open() {
    let root = tempfile::tempdir().expect("a folder");
    let state = folder(root.path());
    let held = state.lock(now()).expect("free");
    let open_elsewhere = held.file.try_clone().expect("a second handle");
    drop(held);
    state.lock(now()).expect("free again");
    drop(open_elsewhere);
}

#[test]
#[ignore = "the child process of the test below, which starts it"]
fn child_that_holds_the_lock() {
    let path = std::env::var_os("TRUEUP_TEST_LOCK_FOLDER").expect("given by the test below");
    let _held = folder(Path::new(&path)).lock(now()).expect("free");
    println!("\nheld");
    std::thread::sleep(std::time::Duration::from_mins(1));
}

#[test]
fn a_killed_holder_leaves_the_lock_free() {
    use std::io::BufRead;
    let root = tempfile::tempdir().expect("a folder");
    let state = folder(root.path());
    let mut child = Command::new(std::env::current_exe().expect("this test"))
        .args(["--exact", "state::tests::child_that_holds_the_lock", "--ignored", "--nocapture"])
        .env("TRUEUP_TEST_LOCK_FOLDER", root.path())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .expect("a child");
    let lines = io::BufReader::new(child.stdout.take().expect("piped")).lines();
    assert!(lines.map_while(Result::ok).any(|line| line == "held"), "the child took the lock");
    let error = state.lock(now()).expect_err("held by the child").to_string();
    assert!(error.contains(&format!("process {} since", child.id())), "{error}");
    child.kill().expect("killed");
    child.wait().expect("ended");
    state.lock(now()).expect("free");
}
