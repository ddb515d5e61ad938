//! GitHub's own description between us and the loopback server: `scripts/github-stand-in`.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

/// A running validating proxy.
pub struct StandIn {
    pub address: String,
    child: Child,
    log: Arc<Mutex<Vec<String>>>,
}

/// Starts the proxy in front of `upstream`. Without Node there is none: a failure in CI, elsewhere the test says so.
pub fn start(upstream: &str) -> Option<StandIn> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/github-stand-in");
    let built = Command::new(&script).arg("build").output().expect("the script runs");
    if !built.status.success() {
        let why = String::from_utf8_lossy(&built.stderr).into_owned();
        assert!(std::env::var("CI").as_deref() != Ok("true"), "CI needs the stand-in for GitHub: {why}");
        eprintln!("did not run, as there is no stand-in for GitHub: {why}");
        return None;
    }
    let mut child = Command::new(&script).args(["serve", upstream]).stdout(Stdio::piped()).spawn().expect("the script runs");
    let (sender, receiver) = mpsc::channel();
    let log = Arc::new(Mutex::new(Vec::new()));
    let (lines, kept) = (BufReader::new(child.stdout.take().expect("piped")).lines(), Arc::clone(&log));
    std::thread::spawn(move || {
        for line in lines.map_while(Result::ok) {
            if let Some((_, address)) = line.split_once("listening on ") {
                sender.send(address.trim().to_owned()).expect("the test waits");
            }
            kept.lock().expect("no panic with the lock").push(line);
        }
    });
    let address = receiver.recv_timeout(Duration::from_mins(2)).expect("the proxy takes requests");
    Some(StandIn { address, child, log })
}

impl StandIn {
    /// What the proxy found against GitHub's description.
    pub fn violations(&self) -> Vec<String> {
        let log = self.log.lock().expect("no panic with the lock");
        let is_bad =
            |line: &&String| !line.contains("[CLI]") && ["✖", "⚠", "error", "warn"].iter().any(|sign| line.contains(sign));
        log.iter().filter(is_bad).cloned().collect()
    }
}

impl Drop for StandIn {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{}", self.log.lock().expect("no panic with the lock").join("\n"));
        }
        self.child.kill().expect("it runs");
        self.child.wait().expect("it ends");
    }
}
