//! The repair of what was found, as the server answers it: it leads back to what was there before the edit, and its inverse
//! to the edit.

use std::collections::BTreeSet;

use serde_json::Value;
use trueup_core::diff::compare;
use trueup_core::facts::{Desired, Matched, Origin};
use trueup_core::finding::Drift;
use trueup_core::object::ObjectId;
use trueup_core::patch::{Repair, repair, with_preconditions};
use trueup_core::path::{Path, Segment};
use trueup_core::positions::Positions;
use trueup_core::seen::DigestKey;
use trueup_kubernetes::allowances::Rules;
use trueup_kubernetes::expect::Expecting;
use trueup_kubernetes::kinds::Kinds;
use trueup_kubernetes::normal;
use trueup_kubernetes::schema;
use trueup_kubernetes::table::Table;

use super::api::{path_of, text};
use super::call::MERGE;
use super::judge::{changes, is_said};
use super::live::Live;
use super::objects::Object;
use super::schema::Schemas;
use super::tally::Repaired;
use super::verdict::{Case, edited};

/// What the program knows of the kinds of these objects.
pub fn kinds(objects: &[Object], version: &str) -> Kinds {
    let ids: Vec<ObjectId> = objects.iter().map(|object| id(&object.value)).collect();
    let schemas = schema::among(ids.iter().zip(objects.iter().map(|object| &object.value)));
    Kinds::new(Table::nearest(version), schemas)
}

/// What the program computes by itself, against what the server makes of it.
pub struct Repairing<'a> {
    pub kinds: &'a Kinds,
    pub schemas: &'a Schemas,
    pub live: &'a Live<'a>,
}

impl Repairing<'_> {
    /// Repairs the differences at `due` alone, by a dry run.
    pub fn attempt(&self, case: &Case<'_>, now: &Value, due: &BTreeSet<Path>) -> Result<Repaired, String> {
        let matched = self.matched(case.declared, now);
        let found = self.drifts(&matched);
        let drifts: Vec<&Drift> = found.iter().filter(|drift| due.contains(&drift.path)).collect();
        if drifts.len() != due.len() {
            return Err(format!("the table alone finds {found:?}"));
        }
        let Ok(repair) = repair(&matched.live, &matched.expected.value, &drifts) else { return Ok(Repaired::NotWritten) };
        let metadata = &now["metadata"];
        let patch = with_preconditions(&repair.patch, &text(&metadata["uid"]), &text(&metadata["resourceVersion"]));
        let place = path_of(&self.live.kinds, now).unwrap();
        let reply = self.live.api.call("PATCH", &format!("{place}?dryRun=All"), MERGE, Some(&patch));
        if reply.status == 409 {
            return Ok(Repaired::Refused);
        }
        if !reply.is_ok() {
            return refused(&reply.body, &place);
        }
        self.leads_back(&repair, case, (now, &reply.body), due)
    }

    fn leads_back(
        &self,
        repair: &Repair,
        case: &Case<'_>,
        (now, answer): (&Value, &Value),
        due: &BTreeSet<Path>,
    ) -> Result<Repaired, String> {
        let left = edited(self.schemas, &repair.patch.to_string(), (case.before, answer)).into_iter();
        let left = left.filter(|path| !case.is_returned(answer, path) && !is_allocated_anew(case.declared, path, due));
        let left: Vec<String> = left.map(|path| path.to_string()).collect();
        // What else differs is a controller's.
        let others: BTreeSet<String> = changes(self.schemas, case.before, now).difference(due).map(Path::to_string).collect();
        if left.iter().any(|path| !others.contains(path)) {
            return Err(format!("the repair {} leaves {left:?}", repair.patch));
        }
        let mut undone = answer.clone();
        json_patch::merge(&mut undone, &repair.inverse);
        let mut beside = edited(self.schemas, &repair.inverse.to_string(), (now, &undone));
        beside.retain(|path| due.contains(path) || !is_allocated_anew(case.declared, path, due));
        if beside.is_empty() { Ok(Repaired::LeadsBack) } else { Err(format!("the inverse {} leaves {beside:?}", repair.inverse)) }
    }

    fn matched(&self, declared: &Value, now: &Value) -> Matched {
        let (defaulted, shape) = (|id: &_, value: &_| self.kinds.defaulted(id, value), |id: &_| self.kinds.shape(id));
        let expecting = Expecting { defaulted: &defaulted, shape: &shape, types: self.kinds.types(), rules: Rules::load() };
        let origin = Origin { file: "corpus.json".to_owned(), line: 1, column: 1, document: 1 };
        let id = id(declared);
        let desired = Desired { id: id.clone(), value: declared.clone(), origin, positions: Positions::default() };
        expecting.by_table(normal::desired(desired), normal::live(id, now.clone()))
    }

    fn drifts(&self, matched: &Matched) -> Vec<Drift> {
        let shape = self.kinds.shape(&matched.desired.id);
        compare(matched, self.kinds.types(), &shape, &DigestKey::new(&[7; 32])).drifts
    }
}

/// A node port that a patch takes away, with something else or because Git says none, is allocated anew, and it is another one.
fn is_allocated_anew(declared: &Value, path: &Path, due: &BTreeSet<Path>) -> bool {
    let is_node_port = matches!(path.0.last(), Some(Segment::Key(key)) if key == "nodePort");
    declared["kind"] == "Service" && is_node_port && (!due.contains(path) || !is_said(declared, path))
}

/// A refusal is the server's word on the field, not on the form of the patch.
fn refused(answer: &Value, path: &str) -> Result<Repaired, String> {
    let message = text(&answer["message"]);
    if answer["code"] == 422 || answer["code"] == 403 { Ok(Repaired::Refused) } else { Err(format!("{path}: {message}")) }
}

fn id(value: &Value) -> ObjectId {
    ObjectId {
        api_version: text(&value["apiVersion"]),
        kind: text(&value["kind"]),
        namespace: value["metadata"]["namespace"].as_str().map(str::to_owned),
        name: text(&value["metadata"]["name"]),
    }
}
