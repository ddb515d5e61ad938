//! A real Terraform writes, trueup reads.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::Value;
use trueup_terraform::backend::{Backend, read};
use trueup_terraform::file::{self, FileError};
use trueup_terraform::http::Settings;
use trueup_terraform::state::{OutputValue, State};

use crate::server::{Server, answer};
use crate::{did_not_run, differences};

const OUTPUTS: &str = r#"
resource "terraform_data" "db" { input = var.endpoint }
variable "endpoint" { default = "db-a.internal" }
output "db_endpoint" { value = terraform_data.db.output }
output "empty" { value = "" }
output "replicas" { value = 3 }
output "big" { value = 123456789012345678901234567890 }
output "third" { value = 1 / 3 }
output "zones" { value = toset(["b", "a"]) }
output "nested" { value = { list = [1, "x", null, true], map = { "a.b" = {} }, text = "é\n\"<>&" } }
output "password" {
  value     = "hunter2"
  sensitive = true
}
"#;

fn terraform_is_here() -> bool {
    let is_here = Command::new("terraform").arg("version").output().is_ok();
    if !is_here {
        did_not_run("terraform");
    }
    is_here
}

fn command(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new("terraform");
    command.current_dir(folder).args(arguments).env("CHECKPOINT_DISABLE", "1").env("TF_IN_AUTOMATION", "1");
    command
}

fn terraform(folder: &Path, arguments: &[&str]) -> Vec<u8> {
    let output = command(folder, arguments).output().unwrap();
    assert!(output.status.success(), "terraform {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

fn apply(folder: &Path, configuration: &str) {
    fs::write(folder.join("main.tf"), configuration).unwrap();
    terraform(folder, &["init", "-input=false", "-no-color"]);
    terraform(folder, &["apply", "-auto-approve", "-input=false", "-no-color"]);
}

/// Every output as `terraform output -json` prints it: value, type and whether it is sensitive.
fn assert_same_outputs(state: &State, folder: &Path) {
    let printed: serde_json::Map<String, Value> = serde_json::from_slice(&terraform(folder, &["output", "-json"])).unwrap();
    assert_eq!(state.outputs.len(), printed.len());
    assert!(printed.len() >= 8);
    for (name, printed) in printed {
        let output = &state.outputs[&name];
        assert_eq!(output.declared_type, printed["type"], "{name}");
        assert_eq!(printed["sensitive"], matches!(output.value, OutputValue::Sensitive(_)), "{name}");
        match name.as_str() {
            // serde_json rounds what it reads of the printed ones; see below for their digits.
            "big" | "third" => assert!(printed["value"].is_number()),
            _ => assert_eq!(output.value.expose().shown(), printed["value"], "{name}"),
        }
    }
    assert_eq!(state.outputs["big"].value.expose().to_string(), "123456789012345678901234567890");
    assert!(state.outputs["third"].value.expose().to_string().starts_with(&format!("0.{}", "3".repeat(100))));
}

#[tokio::test]
async fn a_local_state_is_read_and_a_change_is_found() {
    if !terraform_is_here() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    apply(folder.path(), OUTPUTS);
    let backend = Backend::new("terraform.tfstate", folder.path()).unwrap();
    let reading = read(&backend, &Settings::default()).await.unwrap();
    assert_eq!((reading.problems.len(), reading.state.location.as_str()), (0, "terraform.tfstate"));
    assert_same_outputs(&reading.state, folder.path());

    let expected = "[output.db_endpoint]\nequals = \"db-a.internal\"\n[output.big]\nequals = 123456789012345678901234567890\n\
                    [output.zones]\nset = ['a', 'b']\n[output.third]\nmin = 0.333\nmax = 0.334\n[output.empty]\nequals = ''\n";
    assert_eq!(differences(expected, &reading.state), []);
    terraform(folder.path(), &["apply", "-auto-approve", "-no-color", "-var", "endpoint=db-b.internal"]);
    let later = read(&backend, &Settings::default()).await.unwrap().state;
    assert!(later.serial > reading.state.serial);
    assert_eq!(later.lineage, reading.state.lineage);
    let found = differences(expected, &later);
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].values().1.unwrap().to_string(), "db-b.internal");
}

#[test]
fn a_saved_plan_is_told_apart() {
    if !terraform_is_here() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("main.tf"), OUTPUTS).unwrap();
    terraform(folder.path(), &["init", "-input=false", "-no-color"]);
    terraform(folder.path(), &["plan", "-out=saved", "-no-color"]);
    let error = file::read(&folder.path().join("saved"), "saved").unwrap_err();
    assert!(
        error.to_string().ends_with("this is a saved plan, not a state; give the state, as `terraform state pull` prints it")
    );
}

/// While `terraform apply` runs it holds the lock; reading is refused with its name and does not disturb it.
#[test]
fn a_running_apply_is_left_alone() {
    if !terraform_is_here() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("terraform.tfstate");
    apply(folder.path(), OUTPUTS);
    let slow = "resource \"terraform_data\" \"slow\" {\n  provisioner \"local-exec\" {\n    command = \"touch started; while [ ! -e go ]; do sleep 0.05; done\"\n  }\n}\n";
    fs::write(folder.path().join("slow.tf"), slow).unwrap();
    let mut running = command(folder.path(), &["apply", "-auto-approve", "-input=false", "-no-color"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let deadline = Instant::now() + Duration::from_mins(1);
    while !folder.path().join("started").exists() {
        assert!(Instant::now() < deadline && running.try_wait().unwrap().is_none(), "the apply did not come so far");
        std::thread::sleep(Duration::from_millis(20));
    }
    let read_meanwhile = file::read(&path, "terraform.tfstate");
    fs::write(folder.path().join("go"), "").unwrap();
    assert!(running.wait().unwrap().success(), "the apply was disturbed");
    let Err(FileError::Locked { holder: Some(holder), .. }) = read_meanwhile else { panic!("{read_meanwhile:?}") };
    assert_eq!(holder.operation, "OperationTypeApply");
    assert!(holder.who.contains('@'), "{holder:?}");
    let reading = file::read(&path, "terraform.tfstate").unwrap();
    assert_eq!(reading.problems, [], "terraform took its note away");
}

/// The same through Terraform's `http` backend: Terraform writes to the server, trueup only asks it.
#[tokio::test(flavor = "multi_thread")]
async fn a_state_behind_http_is_read() {
    if !terraform_is_here() {
        return;
    }
    let stored = Arc::new(Mutex::new(None::<Vec<u8>>));
    let store = Arc::clone(&stored);
    let server = Server::start(move |request| match request.method.as_str() {
        "POST" => {
            *store.lock().unwrap() = Some(request.body.clone());
            answer("200 OK", "")
        }
        _ => match &*store.lock().unwrap() {
            Some(state) => answer("200 OK", state),
            None => answer("404 Not Found", ""),
        },
    })
    .await;
    let url = format!("http://127.0.0.1:{}/state", server.port);
    let folder = tempfile::tempdir().unwrap();
    apply(folder.path(), &format!("terraform {{\n  backend \"http\" {{\n    address = \"{url}\"\n  }}\n}}\n{OUTPUTS}"));
    let before = server.methods().len();
    let backend = Backend::new(&url, folder.path()).unwrap();
    let reading = read(&backend, &Settings::default()).await.unwrap();
    assert_eq!(server.methods()[before..], ["GET"]);
    assert_same_outputs(&reading.state, folder.path());
}
