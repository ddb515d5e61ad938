//! The recorded files of a real Terraform 1.11, in `$TRUEUP_CORPUS/terraform`.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use trueup_core::seen::Seen;
use trueup_terraform::file::{FileError, read};
use trueup_terraform::state::{OutputValue, StateError};

use crate::{did_not_run, differences};

fn corpus() -> Option<PathBuf> {
    let folder = std::env::var_os("TRUEUP_CORPUS").map(|corpus| Path::new(&corpus).join("terraform"));
    if folder.is_none() {
        did_not_run("TRUEUP_CORPUS");
    }
    folder
}

#[test]
fn outputs_are_those_that_terraform_prints() {
    let Some(folder) = corpus() else { return };
    let reading = read(&folder.join("tfstate_v4_after_apply.json"), "s").unwrap();
    let printed: BTreeMap<String, Value> = serde_json::from_reader(File::open(folder.join("output_json.json")).unwrap()).unwrap();
    let read: BTreeMap<String, Value> = reading
        .state
        .outputs
        .into_iter()
        .map(|(name, output)| {
            let sensitive = matches!(output.value, OutputValue::Sensitive(_));
            let value = output.value.expose().shown();
            (name, json!({"sensitive": sensitive, "type": output.declared_type, "value": value}))
        })
        .collect();
    assert_eq!(read, printed);
    assert_eq!((reading.state.serial, reading.problems), (7, vec![]));
}

/// Somebody opened the database to the world by hand, and a routine apply took that into the state: no plan shows it.
/// The configuration declares no ingress rule (they are "managed elsewhere"), so its owner expects the known one.
#[test]
fn a_laundered_change_is_found() {
    let Some(folder) = corpus() else { return };
    let configuration = fs::read_to_string(folder.join("laundered_drift_main.tf")).unwrap();
    let network = configuration.split('"').find(|text| text.starts_with("10.") && text.contains('/')).unwrap();
    let state = read(&folder.join("laundered_drift_state_after_routine_apply.json"), "infra/db.tfstate").unwrap().state;
    let found = differences(&format!("[output.db_ingress]\nset = [\"tcp/5432 {network}\"]\n"), &state);
    let [difference] = &found[..] else { panic!("{found:?}") };
    let (desired, live) = difference.values();
    assert_eq!(desired, Some(&Seen::Plain(json!(["tcp/5432 10.9.0.0/16"]))));
    assert_eq!(live, Some(&Seen::Plain(json!(["tcp/5432 0.0.0.0/0"]))));
    let trueup_core::finding::Subject::Output(id) = &difference.subject else { panic!("{difference:?}") };
    assert_eq!((id.serial, id.lineage.as_str()), (4, "d4c3c268-f896-3ece-1fc4-0f84f98423bd"));
}

#[test]
fn every_file_that_is_no_state_says_what_it_is() {
    let Some(folder) = corpus() else { return };
    let mut judged = 0;
    for entry in fs::read_dir(&folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        let error = match read(&path, "s") {
            Ok(_) => {
                assert!(["tfstate_v4_after_apply.json", "laundered_drift_state_after_routine_apply.json"].contains(&&*name));
                continue;
            }
            Err(FileError::State { source, .. }) => source,
            Err(other) => panic!("{name}: {other}"),
        };
        let is_right = match name.as_str() {
            "show_json_state.json" => matches!(error, StateError::ShowJson),
            "output_json.json" | "http_backend_requests.jsonl" => matches!(error, StateError::NotAState),
            _ if name.starts_with("show_json_") => matches!(error, StateError::PlanJson),
            _ if path.extension() == Some("jsonl".as_ref()) => matches!(error, StateError::Log),
            _ => matches!(error, StateError::NotJson(_)),
        };
        assert!(is_right, "{name}: {error:?}");
        judged += 1;
    }
    assert!(judged >= 16, "{judged} files were judged");
}
