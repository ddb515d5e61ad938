//! The loop on a real API server.

mod ending;
mod metrics;
mod rounds;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, ExitStatus};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::world::{World, within};

/// The loop, where it can be asked at a port of its own.
pub(crate) const ARGUMENTS: [&str; 3] = ["run", "--listen", "127.0.0.1:0"];

/// What the loop logs once it can be asked.
const LISTENS: &str = "answering /healthz, /readyz and /metrics";

/// Nothing here takes long; on a machine with much else to do, some seconds.
const PATIENCE: Duration = Duration::from_secs(20);

/// A running `trueup run`; killed when it is dropped.
pub(crate) struct Loop {
    child: Child,
    address: String,
    log: Arc<Mutex<Vec<Value>>>,
}

impl Loop {
    fn start(world: &World) -> Self {
        Self::start_by(world, &world.install.kubeconfig())
    }

    fn start_by(world: &World, kubeconfig: &Path) -> Self {
        Self::of(world.command_by(kubeconfig, &ARGUMENTS))
    }

    /// By a command with [`ARGUMENTS`] that can be read from.
    pub(crate) fn of(mut command: Command) -> Self {
        let mut child = command.env("TRUEUP_LOG_FORMAT", "json").spawn().unwrap();
        let (log, lines) = (Arc::default(), BufReader::new(child.stderr.take().unwrap()).lines());
        let written: Arc<Mutex<Vec<Value>>> = Arc::clone(&log);
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                let record = serde_json::from_str(&line).unwrap_or_else(|error| panic!("not a JSON line: {line}: {error}"));
                written.lock().unwrap().push(record);
            }
        });
        let mut running = Self { child, address: String::new(), log };
        running.await_log(LISTENS, 1);
        running.logged(LISTENS)[0]["address"].as_str().unwrap().clone_into(&mut running.address);
        running
    }

    /// What it has logged with this message.
    fn logged(&self, message: &str) -> Vec<Value> {
        self.log.lock().unwrap().iter().filter(|record| record["message"] == message).cloned().collect()
    }

    fn await_log(&self, message: &str, times: usize) {
        within(PATIENCE, || self.logged(message).len(), |seen| *seen >= times);
    }

    /// Status and body.
    pub(crate) fn get(&self, path: &str) -> (u16, String) {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        write!(stream, "GET {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", self.address).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
    }

    /// One number; 0 where it was never set.
    fn metric(&self, sample: &str) -> u64 {
        let (status, text) = self.get("/metrics");
        assert_eq!(status, 200);
        metrics::read(&text).get(sample).map_or(0, |value| value.parse().unwrap())
    }

    /// The sum of a metric over its labels.
    fn sum(&self, name: &str) -> u64 {
        let samples = metrics::read(&self.get("/metrics").1);
        let of_it = |sample: &str| sample.split('{').next() == Some(name);
        samples.iter().filter(|(sample, _)| of_it(sample)).map(|(_, value)| value.parse::<u64>().unwrap()).sum()
    }

    /// SIGTERM; how it ended, and after how long.
    fn terminate(&mut self) -> (ExitStatus, Duration) {
        let asked = Instant::now();
        assert!(Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status().unwrap().success());
        (self.child.wait().unwrap(), asked.elapsed())
    }
}

impl Drop for Loop {
    fn drop(&mut self) {
        // It may have ended already.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}
