//! Where the corpus is put: the server, and one account for each of the shipped sets of rights.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::process::{Command, Output};

use serde_json::{Value, json};
use tempfile::TempDir;

use super::api::{Api, path_of, text};
use super::objects::{Corpus, Moved, Object, Place, group, namespace_list};
use crate::deploy::install::eventually;
use crate::world::{Rights, World};

const CONFIGURATION: &str = r#"
[source]
repo = "."
ref = "main"

[[target]]
name = "corpus"
kind = "kubernetes"
paths = ["manifests"]
secrets = "digest"
"#;

/// A way to put objects on a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Way {
    Create,
    Replace,
    Apply,
    ServerSide,
}

impl Way {
    pub fn arguments(self) -> &'static [&'static str] {
        match self {
            Self::Create => &["create"],
            Self::Replace => &["replace"],
            Self::Apply => &["apply"],
            Self::ServerSide => &["apply", "--server-side"],
        }
    }
}

/// The server, the corpus, and who looks.
pub struct Ground {
    pub api: Api,
    pub corpus: Corpus,
    /// As the shipped account with the shipped rights, without and with the overlay `baseline`; and with the right to ask for
    /// dry runs of applies instead, so that each kind of evidence judges all of the corpus.
    pub accounts: Vec<(Rights, World)>,
    kubectl: String,
    folder: TempDir,
    places: Vec<Moved>,
}

/// What came of putting objects there.
pub struct Put {
    /// The objects that the server has admitted.
    pub admitted: Vec<Object>,
    /// The others, each with the server's reason.
    pub refused: Vec<(Object, String)>,
}

impl Ground {
    pub fn new() -> Option<Self> {
        let mut accounts = Vec::new();
        for rights in [Rights::Base, Rights::Baseline, Rights::Apply] {
            let world = World::new(rights)?;
            world.repo.write("trueup.toml", CONFIGURATION);
            accounts.push((rights, world));
        }
        let root = PathBuf::from(std::env::var_os("TRUEUP_CORPUS")?).join("manifests");
        let kubectl = accounts[0].1.kubectl_program().to_owned();
        let api = Api::start(&kubectl);
        let folder = TempDir::new().unwrap();
        Some(Self { api, corpus: Corpus::read(&root), accounts, kubectl, folder, places: Vec::new() })
    }

    /// The corpus in a place of its own, its definitions established and its namespaces made.
    pub fn prepare(&mut self, name: &str, way: Way) -> (Moved, Put) {
        let id = format!("{name}-{:x}", std::process::id());
        let place = Place { id };
        let definitions = self.put(way, &place.definitions(&self.corpus));
        // Custom resources shall come in this way even where it does not take their definitions.
        let too_long: Vec<Object> = definitions.refused.iter().map(|(object, _)| object.clone()).collect();
        assert!(self.put(Way::ServerSide, &too_long).refused.is_empty());
        let own = |object: &Object| format!("crd/{}", text(&object.value["metadata"]["name"]));
        let names: Vec<String> = place.definitions(&self.corpus).iter().map(own).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        self.must(
            &[
                &["wait", r#"--for=jsonpath={.status.conditions[?(@.type=="Established")].status}=True"#, "--timeout=60s"],
                &names[..],
            ]
            .concat(),
            "",
        );
        let moved = place.moved(&self.corpus, &self.api);
        self.must(&["create", "-f", "-"], &namespace_list(&moved.namespaces).to_string());
        for namespace in &moved.namespaces {
            self.must(&["wait", "--for=create", "serviceaccount/default", "-n", namespace, "--timeout=60s"], "");
        }
        for group in &moved.groups {
            self.grant(group);
        }
        self.places.push(moved.clone());
        (moved, definitions)
    }

    /// As an operator adds what Git declares beyond the shipped rights: a group's custom resources, and Secrets.
    fn grant(&mut self, group: &str) {
        for (rights, world) in &mut self.accounts {
            let mut roles = vec![role("observe", group, &["get", "list"])];
            if *rights == Rights::Baseline {
                roles.push(role("baseline", group, &["create"]));
            }
            let list = json!({"apiVersion": "v1", "kind": "List", "items": roles});
            world.install.apply_text(&list.to_string());
            let resource = format!("prometheuses.{group}");
            eventually(|| world.install.ask(&["auth", "can-i", "list", &resource, "-A"]), |answer| answer.ok);
            if *rights == Rights::Baseline {
                eventually(|| world.install.ask(&["auth", "can-i", "create", &resource, "-A"]), |answer| answer.ok);
            }
        }
    }

    /// Puts objects there, each from a file of its own. What the server has afterwards is admitted.
    pub fn put(&self, way: Way, objects: &[Object]) -> Put {
        if objects.is_empty() {
            return Put { admitted: Vec::new(), refused: Vec::new() };
        }
        let folder = self.folder.path().join("put");
        std::fs::create_dir_all(&folder).unwrap();
        for (index, object) in objects.iter().enumerate() {
            std::fs::write(folder.join(format!("{index:04}.json")), object.value.to_string()).unwrap();
        }
        let output = self.kubectl(&[way.arguments(), &["--validate=warn", "-f", folder.to_str().unwrap()]].concat(), "");
        std::fs::remove_dir_all(&folder).unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        let done = String::from_utf8_lossy(&output.stdout).into_owned();
        let kinds = self.api.kinds();
        let mut put = Put { admitted: Vec::new(), refused: Vec::new() };
        for (index, object) in objects.iter().enumerate() {
            let there = path_of(&kinds, &object.value).is_some_and(|path| self.api.get(&path).is_ok());
            let name = object.value["metadata"]["name"].as_str().unwrap();
            let marks = [format!("/{index:04}.json"), format!("\"{name}\""), format!("/{name};")];
            let reason = marks.iter().take(if there { 1 } else { 3 }).find_map(|mark| reason(&said, mark));
            match reason {
                Some(reason) if way == Way::Replace || !there => put.refused.push((object.clone(), reason)),
                None if !there => put.refused.push((object.clone(), taken(&done, &object.value))),
                Some(_) | None => put.admitted.push(object.clone()),
            }
        }
        put
    }

    /// Declares objects in each account's Git, below a folder.
    pub fn declare(&self, folder: &str, objects: &[Object]) {
        for (_, world) in &self.accounts {
            for (index, object) in objects.iter().enumerate() {
                let text = serde_json::to_string_pretty(&object.value).unwrap();
                world.repo.write(&format!("manifests/{folder}/{index:04}.json"), text);
            }
            world.repo.commit(folder);
        }
    }

    pub fn must(&self, arguments: &[&str], input: &str) -> String {
        let output = self.kubectl(arguments, input);
        assert!(output.status.success(), "kubectl {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    pub fn kubectl(&self, arguments: &[&str], input: &str) -> Output {
        let file = self.folder.path().join("input");
        std::fs::write(&file, input).unwrap();
        let mut command = Command::new(&self.kubectl);
        command.args(arguments).stdin(std::fs::File::open(&file).unwrap());
        command.output().unwrap()
    }
}

impl Drop for Ground {
    fn drop(&mut self) {
        for place in &self.places {
            let mut kinds: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
            for object in place.definitions.iter().chain(&place.objects) {
                let value = &object.value;
                if value["metadata"].get("namespace").is_none() {
                    let kind = format!("{}.{}", text(&value["kind"]), group(value));
                    kinds.entry(kind).or_default().insert(text(&value["metadata"]["name"]));
                }
            }
            kinds.insert("namespace".to_owned(), place.namespaces.clone());
            for (kind, names) in kinds {
                let names: Vec<&str> = names.iter().map(String::as_str).collect();
                self.kubectl(&[&["delete", &kind, "--ignore-not-found", "--wait=false"], &names[..]].concat(), "");
            }
        }
    }
}

fn role(of: &str, group: &str, verbs: &[&str]) -> Value {
    let short = group.split('.').next().unwrap();
    json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole",
        "metadata": {"name": format!("trueup-{of}-{short}"), "labels": {format!("trueup.dev/{of}"): "true"}},
        "rules": [{"apiGroups": [group], "resources": ["*"], "verbs": verbs},
            {"apiGroups": [""], "resources": ["secrets"], "verbs": verbs}]})
}

/// Why an object is not there of which kubectl complains not: a controller took the Pod for one of its own and deleted it.
fn taken(done: &str, value: &Value) -> String {
    let name = format!("pod/{} ", value["metadata"]["name"].as_str().unwrap());
    let is_made = value["kind"] == "Pod" && done.lines().any(|line| line.starts_with(&name));
    if is_made { "admitted, and deleted by the controller whose selector it matches".to_owned() } else { String::new() }
}

/// What kubectl said about a file.
fn reason(said: &str, file: &str) -> Option<String> {
    let at = said.lines().position(|line| line.contains(file) && !line.starts_with("Warning"))?;
    let line = said.lines().nth(at)?;
    let about = line.split_once(": ").map_or(line, |(_, about)| about);
    let more = said.lines().skip(at + 1).take_while(|line| line.starts_with([' ', '\t', '*'])).map(str::trim);
    Some(std::iter::once(about).chain(more).collect::<Vec<_>>().join(" "))
}
