//! A state of 50 MB in under 60 MB: the peak is that of a whole process, so the test runs again in one of its own.

use std::env;
use std::io::BufWriter;
use std::process::Command;
use std::thread;

use trueup_terraform::state::read;

#[path = "../../examples/large_state.rs"]
#[expect(dead_code, reason = "the example's `main`")]
mod large_state;

const INSTANCES: u32 = 24_000;

/// Set in the process that runs this test and no other.
const ALONE: &str = "TRUEUP_TEST_ALONE";

#[test]
#[cfg(target_os = "linux")]
fn a_large_state_is_never_in_memory() {
    if env::var_os(ALONE).is_some() {
        return reads_a_large_state_within_bounds();
    }
    let arguments = ["--exact", "memory::a_large_state_is_never_in_memory", "--nocapture"];
    let alone = Command::new(env::current_exe().unwrap()).args(arguments).env(ALONE, "1").output().unwrap();
    let printed = String::from_utf8_lossy(&alone.stdout);
    assert!(alone.status.success() && printed.contains("kB at the peak"), "{alone:?}");
    print!("{printed}");
}

fn reads_a_large_state_within_bounds() {
    let (reader, writer) = std::io::pipe().unwrap();
    let writing = thread::spawn(move || {
        let mut counted = Counted { writer: BufWriter::new(writer), bytes: 0 };
        large_state::write_state(INSTANCES, &mut counted).unwrap();
        counted.bytes
    });
    let state = read("large.tfstate", reader).unwrap();
    let bytes = writing.join().unwrap();
    assert!(bytes > 50_000_000, "the state had {bytes} bytes");
    assert_eq!((state.serial, state.outputs.len()), (118, 2));
    let peak = peak_kilobytes();
    println!("{bytes} bytes of state, {peak} kB at the peak");
    assert!(peak < 60_000, "{peak} kB at the peak");
}

fn peak_kilobytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

struct Counted<W> {
    writer: W,
    bytes: usize,
}

impl<W: std::io::Write> std::io::Write for Counted<W> {
    fn write(&mut self, buffer: &[u8]) -> std::io::Result<usize> {
        let written = self.writer.write(buffer)?;
        self.bytes += written;
        Ok(written)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.writer.flush()
    }
}
