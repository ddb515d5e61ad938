//! A disk that is full, a folder that cannot be written, a log that is torn: without a ledger nothing is written, what to do
//! is said, and once there is room again nothing is lost and nothing done twice.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::*;
use crate::daemon::{self, Loop};
use crate::deploy::did_not_run;
use crate::world::within;

/// The ledger takes some hundred KiB of it.
const SIZE: &str = "2m";

/// How much is left on the disk at each step of the sweep: the least that a file can grow by.
const STEP: usize = 4096;

/// A disk of its own for the state; unmounted when it is dropped.
struct Disk {
    folder: TempDir,
    sudo: bool,
}

impl Disk {
    /// A small disk, where this machine lets the tests mount one.
    fn new() -> Option<Self> {
        let folder = TempDir::new().unwrap();
        let owner = std::fs::metadata(folder.path()).unwrap().uid();
        let options = format!("size={SIZE},mode=700,uid={owner}");
        let place = folder.path().to_str().unwrap();
        let mount = ["mount", "-t", "tmpfs", "-o", &options, "none", place];
        let sudo = [false, true].into_iter().find(|sudo| privileged(*sudo, &mount));
        if sudo.is_none() {
            did_not_run("no small disk can be mounted here: neither `mount` nor `sudo -n mount` does it");
        }
        sudo.map(|sudo| Self { folder, sudo })
    }

    fn state(&self) -> PathBuf {
        self.folder.path().join("state")
    }

    fn remount(&self, mode: &str) {
        let place = self.folder.path().to_str().unwrap();
        assert!(privileged(self.sudo, &["mount", "-o", &format!("remount,{mode}"), place]));
    }

    fn filler(&self) -> PathBuf {
        self.folder.path().join("filler")
    }

    /// Takes all the room but for so many bytes.
    fn fill(&self, left: usize) {
        let mut filler = File::create(self.filler()).unwrap();
        while filler.write_all(&[0; STEP]).is_ok() {}
        let taken = filler.metadata().unwrap().len();
        filler.set_len(taken.saturating_sub(left as u64)).unwrap();
    }

    fn empty(&self) {
        std::fs::remove_file(self.filler()).unwrap();
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        privileged(self.sudo, &["umount", self.folder.path().to_str().unwrap()]);
    }
}

fn privileged(sudo: bool, words: &[&str]) -> bool {
    let prefix: &[&str] = if sudo { &["sudo", "-n"] } else { &[] };
    let words = [prefix, words].concat();
    let mut command = Command::new(words[0]);
    command.args(&words[1..]).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

/// One value, in Git and live.
fn world() -> World {
    World::of(&json!({"a": "1"}), &json!({"a": "1"}))
}

/// A value that somebody wrote, under this version.
fn drift(world: &World, version: usize) {
    world.live_managed(&json!({"a": "2"}), &version.to_string());
}

/// The live value, and how often it was written since this version.
fn live(world: &World, version: usize) -> (Value, usize) {
    let live = world.read_live();
    let now: usize = live["metadata"]["resourceVersion"].as_str().unwrap().parse().unwrap();
    (live["data"]["a"].clone(), now - version)
}

/// A command with its state on the disk: its code, and what it said.
fn run(world: &World, state: &Path, arguments: &[&str]) -> (i32, String) {
    let output = world.command(arguments).env("TRUEUP_STATE_DIR", state).env("TRUEUP_LOG", "warn").output().unwrap();
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    (output.status.code().unwrap_or_else(|| panic!("killed: {said}")), said)
}

#[test]
fn wherever_a_disk_is_full_nothing_is_written_without_a_record_and_all_goes_on_with_room() {
    let Some(disk) = Disk::new() else { return };
    let (world, state) = (world(), disk.state());
    let sync = || run(&world, &state, &["sync"]);
    assert_eq!(sync().0, 0);
    let (mut refused, mut done, mut left) = (0, 0, 0);
    while done < 3 {
        // Another value each time: to write the same one again and again would be a fight.
        let (wanted, version) = (format!("wanted with {left} bytes"), 10 * (refused + done + 1));
        world.declare(&json!({"a": wanted}));
        drift(&world, version);
        disk.fill(left);
        let (code, said) = sync();
        if code == 0 {
            assert_eq!(live(&world, version), (json!(wanted), 1), "{said}");
            done += 1;
        } else {
            assert_eq!(code, 2, "{wanted}: {said}");
            assert!(said.contains("the disk is full; free some space"), "{wanted}: {said}");
            assert!(live(&world, version).1 <= 1, "{wanted}: {said}");
            refused += 1;
        }
        disk.empty();
        let (code, said) = sync();
        assert_eq!((code, live(&world, version)), (0, (json!(wanted), 1)), "{wanted}, and room again: {said}");
        let (code, said) = run(&world, &state, &["audit", "verify"]);
        assert_eq!(code, 0, "{wanted}: {said}");
        every_write_is_recorded(&world, &state, refused + done);
        left += STEP;
        assert!(left < 1 << 20, "it needs no megabyte");
    }
    println!("{refused} rounds had too little room, {done} had enough");
    assert!(refused >= 3, "{refused}");
}

/// Each of so many writes belongs to exactly one run that says so.
fn every_write_is_recorded(world: &World, state: &Path, writes: usize) {
    let (code, said) = run(world, state, &["runs", "-o", "json"]);
    assert_eq!(code, 0, "{said}");
    let runs: Value = serde_json::from_str(&said).unwrap();
    // Of an object without managers, what is found by reading may be somebody else's.
    let says_so = ["applied", "settled", "undetermined"];
    let applied = |run: &&Value| says_so.iter().any(|says| run["status"].as_str().unwrap().starts_with(says));
    let open = |run: &&Value| ["intended", "unknown"].contains(&run["status"].as_str().unwrap());
    let runs = runs.as_array().unwrap();
    assert_eq!((runs.iter().filter(applied).count(), runs.iter().filter(open).count()), (writes, 0), "{runs:#?}");
}

#[test]
fn a_loop_without_room_for_its_ledger_is_not_ready_and_goes_on_with_room() {
    let Some(disk) = Disk::new() else { return };
    let (world, state) = (world(), disk.state());
    assert_eq!(run(&world, &state, &["sync"]).0, 0);
    drift(&world, 10);
    disk.fill(0);
    let mut command = world.command(&daemon::ARGUMENTS);
    command.env("TRUEUP_STATE_DIR", &state).env("TRUEUP_LOG", "info").env("TRUEUP_RUN_EVERY", "1s").stderr(Stdio::piped());
    let running = Loop::of(command);
    let patience = Duration::from_mins(1);
    within(patience, || running.get("/readyz"), |(code, why)| *code == 503 && why.contains("the disk is full; free some space"));
    assert_eq!((running.get("/healthz").0, live(&world, 10)), (200, (json!("2"), 0)), "it turns, and writes nothing");
    disk.empty();
    within(patience, || running.get("/readyz").0, |code| *code == 200);
    assert_eq!(live(&world, 10), (json!("1"), 1));
}

#[test]
fn a_folder_that_cannot_be_written_stops_every_write_and_no_look() {
    let Some(disk) = Disk::new() else { return };
    let (world, state) = (world(), disk.state());
    assert_eq!(run(&world, &state, &["sync"]).0, 0);
    drift(&world, 10);
    disk.remount("ro");
    let (code, said) = run(&world, &state, &["sync"]);
    assert_eq!((code, live(&world, 10)), (2, (json!("2"), 0)), "{said}");
    assert!(said.contains("the disk is read-only; set `TRUEUP_STATE_DIR` to a folder on a disk that can be written"), "{said}");
    let (code, said) = run(&world, &state, &["diff"]);
    assert_eq!(code, 1, "what is only looked at needs no ledger: {said}");
    disk.remount("rw");
    let (code, said) = run(&world, &state, &["sync"]);
    assert_eq!((code, live(&world, 10)), (0, (json!("1"), 1)), "{said}");
}

/// Killed after the write, and the power went with it: the end of the log is not on the disk.
#[test]
fn a_torn_end_of_the_ledger_is_dropped_and_what_was_written_is_found_by_reading() {
    for (step, torn) in
        [("correction: outcome recorded", 1), ("correction: verification recorded", 2000), ("correction: intended", 1)]
    {
        let world = world();
        assert_eq!(run(&world, world.state.path(), &["sync"]).0, 0);
        drift(&world, 10);
        let mut command = world.command(&["sync"]);
        let mut child = command.env("FAILPOINT", step).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let lines = std::io::BufRead::lines(std::io::BufReader::new(child.stderr.take().unwrap()));
        assert!(lines.map_while(Result::ok).any(|said| said == format!("failpoint: {step}")), "{step}");
        child.kill().unwrap();
        child.wait().unwrap();
        let log = OpenOptions::new().write(true).open(world.state.path().join("ledger.sqlite-wal")).unwrap();
        log.set_len(log.metadata().unwrap().len() - torn).unwrap();
        let (code, said) = run(&world, world.state.path(), &["audit", "verify"]);
        assert_eq!(code, 0, "{step}: {said}");
        let (code, said) = run(&world, world.state.path(), &["sync"]);
        assert_eq!((code, live(&world, 10)), (0, (json!("1"), 1)), "{step}: {said}");
        every_write_is_recorded(&world, world.state.path(), 1);
    }
}
