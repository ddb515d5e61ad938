//! An API server as far as a look asks one: versions, discovery, lists, objects. It keeps what it is given and admits by the
//! table, so that what is declared as it is put there is true. It refuses every dry run.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use tempfile::TempDir;
use trueup_core::facts::{Desired, Origin};
use trueup_core::object::ObjectId;
use trueup_core::positions::Positions;
use trueup_kubernetes::normal;
use trueup_kubernetes::table::Table;

/// Group, version, kind and plural of what is served.
const SERVED: [(&str, &str, &str, &str); 5] = [
    ("", "v1", "ConfigMap", "configmaps"),
    ("", "v1", "Service", "services"),
    ("", "v1", "Secret", "secrets"),
    ("apps", "v1", "Deployment", "deployments"),
    ("example.com", "v1", "Widget", "widgets"),
];

pub struct Server {
    held: Arc<Mutex<Held>>,
    folder: TempDir,
}

#[derive(Default)]
struct Held {
    version: String,
    /// The default of the custom kind's field.
    default: u8,
    /// The last resourceVersion.
    last: u64,
    /// By plural and name.
    objects: BTreeMap<(String, String), Value>,
    asked: Vec<String>,
}

impl Server {
    pub fn start() -> Self {
        let held = Arc::new(Mutex::new(Held { version: "v1.36.3".to_owned(), ..Held::default() }));
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let serving = Arc::clone(&held);
        std::thread::spawn(move || {
            while let Ok((stream, _)) = listener.accept() {
                let held = Arc::clone(&serving);
                std::thread::spawn(move || answer(stream, &held));
            }
        });
        let folder = TempDir::new().unwrap();
        let config = json!({"apiVersion": "v1", "kind": "Config", "current-context": "a", "users": [],
            "contexts": [{"name": "a", "context": {"cluster": "a", "user": ""}}],
            "clusters": [{"name": "a", "cluster": {"server": format!("http://127.0.0.1:{port}")}}]});
        std::fs::write(folder.path().join("config"), config.to_string()).unwrap();
        Self { held, folder }
    }

    pub fn kubeconfig(&self) -> PathBuf {
        self.folder.path().join("config")
    }

    /// What was asked for, as `list configmaps`, `metadata configmaps`, `get configmaps a` or the path.
    pub fn requests(&self) -> Vec<String> {
        self.held.lock().unwrap().asked.clone()
    }

    /// The object as somebody writes it, with what a server adds to it.
    pub fn put(&self, declared: &Value, manager: &str) {
        let mut held = self.held.lock().unwrap();
        let key = key(declared);
        let uid = held.objects.get(&key).map_or_else(|| format!("u{}", held.last), |old| text(old, "uid"));
        let object = held.admitted(declared, &uid, manager);
        held.objects.insert(key, object);
    }

    pub fn recreate(&self, declared: &Value) {
        self.remove(declared);
        self.put(declared, "somebody");
    }

    pub fn remove(&self, declared: &Value) {
        self.held.lock().unwrap().objects.remove(&key(declared));
    }

    pub fn touch(&self, declared: &Value) {
        let mut held = self.held.lock().unwrap();
        let version = held.next();
        if let Some(object) = held.objects.get_mut(&key(declared)) {
            object["metadata"]["resourceVersion"] = version.into();
        }
    }

    /// A writer of its own adds a key to the object's data, or a label where it has none.
    pub fn add(&self, declared: &Value, field: &str) {
        let mut held = self.held.lock().unwrap();
        let version = held.next();
        let Some(object) = held.objects.get_mut(&key(declared)) else { return };
        object["metadata"]["resourceVersion"] = version.into();
        if object["kind"] == "ConfigMap" {
            object["data"][field] = "x".into();
        } else {
            object["metadata"]["labels"] = json!({field: "x"});
        }
        let fields = json!({"f:data": {format!("f:{field}"): {}}});
        let entry = json!({"manager": "writer", "operation": "Update", "fieldsType": "FieldsV1", "fieldsV1": fields});
        object["metadata"]["managedFields"].as_array_mut().unwrap().push(entry);
    }

    pub fn define(&self, default: u8) {
        self.held.lock().unwrap().default = default;
    }

    pub fn become_version(&self, version: &str) {
        version.clone_into(&mut self.held.lock().unwrap().version);
    }
}

impl Held {
    fn next(&mut self) -> String {
        self.last += 1;
        self.last.to_string()
    }

    fn admitted(&mut self, declared: &Value, uid: &str, manager: &str) -> Value {
        let word = |key: &str| declared[key].as_str().unwrap().to_owned();
        let name = declared["metadata"]["name"].as_str().unwrap().to_owned();
        let id = ObjectId { api_version: word("apiVersion"), kind: word("kind"), namespace: Some("default".to_owned()), name };
        let origin = Origin { file: String::new(), line: 1, column: 1, document: 1 };
        let desired = Desired { id: id.clone(), value: declared.clone(), origin, positions: Positions::default() };
        let desired = normal::desired(desired).value;
        let table = Table::load();
        let mut object = if table.knows(&id) { table.expected(&id, &desired) } else { desired };
        if id.kind == "Service" {
            object["spec"]["clusterIP"] = format!("10.96.0.{}", self.last).into();
        }
        if id.kind == "Widget" && object["spec"].get("color").is_none() {
            object["spec"]["color"] = self.default.into();
        }
        let metadata = object["metadata"].as_object_mut().unwrap();
        let fields = json!({"f:data": {".": {}, "f:k": {}}, "f:spec": {"f:size": {}}});
        let entries = json!([{"manager": manager, "operation": "Update", "fieldsType": "FieldsV1", "fieldsV1": fields}]);
        metadata.extend([("namespace".to_owned(), "default".into()), ("uid".to_owned(), uid.into())]);
        metadata.extend([("resourceVersion".to_owned(), self.next().into()), ("managedFields".to_owned(), entries)]);
        object
    }

    /// Status and body.
    fn answer(&mut self, method: &str, path: &str, accept: &str) -> (u16, Value) {
        let path = path.split('?').next().unwrap();
        if method != "GET" {
            self.asked.push(format!("{method} {path}"));
            return (
                403,
                json!({"kind": "Status", "code": 403, "reason": "Forbidden", "message": "cannot create resource here"}),
            );
        }
        let parts: Vec<&str> = path.split('/').collect();
        let served = SERVED.iter().find(|(.., plural)| parts.contains(plural));
        match (path, served, parts.last()) {
            (_, Some((.., plural)), Some(last)) if last == plural => self.list(plural, accept.contains("PartialObject")),
            (_, Some((.., plural)), Some(name)) => {
                self.asked.push(format!("get {plural} {name}"));
                let object = self.objects.get(&((*plural).to_owned(), (*name).to_owned()));
                object.map_or_else(not_found, |object| (200, object.clone()))
            }
            _ => {
                self.asked.push(path.to_owned());
                match path {
                    "/version" => (200, json!({"gitVersion": self.version})),
                    "/api" => (200, discovery(str::is_empty)),
                    "/apis" => (200, discovery(|group| !group.is_empty())),
                    "/apis/apiregistration.k8s.io/v1/apiservices" => (200, api_services()),
                    "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/widgets.example.com" => (200, self.definition()),
                    _ => not_found(),
                }
            }
        }
    }

    fn list(&mut self, plural: &str, metadata_alone: bool) -> (u16, Value) {
        self.asked.push(format!("{} {plural}", if metadata_alone { "metadata" } else { "list" }));
        let objects = self.objects.iter().filter(|((of, _), _)| of == plural).map(|(_, object)| object);
        let item = |object: &Value| if metadata_alone { json!({"metadata": object["metadata"]}) } else { object.clone() };
        let items: Vec<Value> = objects.map(item).collect();
        (200, json!({"metadata": {"resourceVersion": self.last.to_string()}, "items": items}))
    }

    fn definition(&self) -> Value {
        let integer = json!({"type": "integer"});
        let color = json!({"type": "integer", "default": self.default});
        let spec = json!({"type": "object", "properties": {"size": integer, "color": color}});
        let schema = json!({"openAPIV3Schema": {"type": "object", "properties": {"spec": spec}}});
        json!({"spec": {"group": "example.com", "names": {"kind": "Widget"}, "versions": [{"name": "v1", "schema": schema}]}})
    }
}

fn not_found() -> (u16, Value) {
    (404, json!({"kind": "Status", "code": 404, "reason": "NotFound", "message": "not found"}))
}

fn discovery(is_wanted: impl Fn(&str) -> bool) -> Value {
    let mut groups: BTreeMap<&str, Vec<Value>> = BTreeMap::new();
    for (group, version, kind, plural) in SERVED.into_iter().filter(|(group, ..)| is_wanted(group)) {
        let kind = json!({"group": group, "version": version, "kind": kind});
        let verbs = ["create", "get", "list", "patch"];
        let resource =
            json!({"resource": plural, "responseKind": kind, "scope": "Namespaced", "singularResource": "", "verbs": verbs});
        groups.entry(group).or_default().push(resource);
    }
    let item = |(group, resources): (&str, Vec<Value>)| json!({"metadata": {"name": group}, "versions": [{"version": "v1", "resources": resources, "freshness": "Current"}]});
    json!({"kind": "APIGroupDiscoveryList", "apiVersion": "apidiscovery.k8s.io/v2", "metadata": {},
        "items": groups.into_iter().map(item).collect::<Vec<_>>()})
}

fn api_services() -> Value {
    let items = ["", "apps", "example.com"].map(|group| json!({"spec": {"group": group, "version": "v1"}}));
    json!({"items": items})
}

fn key(object: &Value) -> (String, String) {
    let (.., plural) = SERVED.into_iter().find(|(_, _, kind, _)| object["kind"] == *kind).unwrap();
    (plural.to_owned(), object["metadata"]["name"].as_str().unwrap().to_owned())
}

fn text(object: &Value, key: &str) -> String {
    object["metadata"][key].as_str().unwrap().to_owned()
}

fn answer(mut stream: TcpStream, held: &Mutex<Held>) {
    let Some((method, path, accept)) = read_request(&mut stream) else { return };
    let (code, body) = held.lock().unwrap().answer(&method, &path, &accept);
    let body = body.to_string();
    let length = body.len();
    let text = format!(
        "HTTP/1.1 {code} x\r\ncontent-length: {length}\r\ncontent-type: application/json\r\nconnection: close\r\n\r\n{body}"
    );
    // The client may be gone: then nobody is left to tell.
    drop(stream.write_all(text.as_bytes()));
}

/// Method, path and what is accepted, of a request that came in whole.
fn read_request(stream: &mut TcpStream) -> Option<(String, String, String)> {
    let mut bytes = Vec::new();
    loop {
        let mut part = [0; 4096];
        match stream.read(&mut part) {
            Ok(count) if count > 0 => bytes.extend_from_slice(&part[..count]),
            _ => return None,
        }
        let text = String::from_utf8_lossy(&bytes);
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let header = |name: &str| {
            head.lines().find_map(|line| Some(line.split_once(": ")?).filter(|(key, _)| key.eq_ignore_ascii_case(name)))
        };
        let length = header("content-length").and_then(|(_, value)| value.parse().ok());
        if body.len() >= length.unwrap_or(0) {
            let mut words = head.split(' ');
            let accept = header("accept").map_or_else(String::new, |(_, value)| value.to_owned());
            return Some((words.next()?.to_owned(), words.next()?.to_owned(), accept));
        }
    }
}
