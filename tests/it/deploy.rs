//! The shipped manifests: what they say, and what a real API server makes of their rights.

pub(crate) mod install;
mod rendered;
mod rights;
mod verbs;

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

/// What kubectl answered.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) ok: bool,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// `TRUEUP_KUBECTL`, else the one in PATH. Without any, a test says that it did not run; in CI that is a failure.
pub(crate) fn kubectl() -> Option<String> {
    let program = std::env::var("TRUEUP_KUBECTL").unwrap_or_else(|_| "kubectl".to_owned());
    let runs =
        Command::new(&program).args(["version", "--client"]).stdout(Stdio::null()).status().is_ok_and(|status| status.success());
    if !runs {
        did_not_run(&format!("`{program}` does not run; name a kubectl in TRUEUP_KUBECTL"));
    }
    runs.then_some(program)
}

pub(crate) fn did_not_run(why: &str) {
    assert_ne!(std::env::var("CI").as_deref(), Ok("true"), "{why}, but CI must run this test");
    eprintln!("not run: {why}");
}

fn run(program: &str, kubeconfig: Option<&Path>, args: &[&str], input: &str) -> Answer {
    let mut command = Command::new(program);
    command.args(args).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    if let Some(kubeconfig) = kubeconfig {
        command.env("KUBECONFIG", kubeconfig);
    }
    let mut child = command.spawn().expect("kubectl starts");
    // kubectl may end before it has read everything; its exit status tells.
    child.stdin.take().expect("stdin is piped").write_all(input.as_bytes()).ok();
    let output = child.wait_with_output().expect("kubectl ends");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("kubectl writes UTF-8");
    Answer { ok: output.status.success(), stdout: text(output.stdout), stderr: text(output.stderr) }
}

/// One of the folders of `manifests`, as `kubectl apply -k` would send it.
fn rendered(kubectl: &str, folder: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("manifests").join(folder);
    let answer = run(kubectl, None, &["kustomize", path.to_str().expect("a UTF-8 path")], "");
    assert!(answer.ok, "{}", answer.stderr);
    answer.stdout
}
