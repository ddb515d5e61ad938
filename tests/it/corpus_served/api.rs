//! Plain API calls as the cluster's administrator, by `kubectl proxy`: nothing of trueup is between a test and the server.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};

use serde_json::Value;

const DISCOVERY: &str = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";

/// The server. The proxy ends with the test.
pub struct Api {
    proxy: Child,
    address: String,
}

/// The server's answer to one call.
pub struct Reply {
    pub status: u16,
    pub body: Value,
}

impl Reply {
    pub fn is_ok(&self) -> bool {
        (200..300).contains(&self.status)
    }
}

/// How objects of a kind are reached.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Kind {
    pub plural: String,
    pub is_namespaced: bool,
}

/// `apiVersion` and `kind` of everything that is served.
pub type Kinds = BTreeMap<(String, String), Kind>;

impl Api {
    pub fn start(kubectl: &str) -> Self {
        let mut proxy = Command::new(kubectl).args(["proxy", "--port", "0"]).stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(proxy.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let address = line.trim().rsplit_once(' ').unwrap().1.to_owned();
        Self { proxy, address }
    }

    pub fn get(&self, path: &str) -> Reply {
        self.call("GET", path, "application/json", None)
    }

    /// One request. HTTP/1.0, so that the answer ends where the connection does.
    pub fn call(&self, method: &str, path: &str, content_type: &str, body: Option<&Value>) -> Reply {
        let body = body.map(Value::to_string).unwrap_or_default();
        let accept = if path == "/api" || path == "/apis" { DISCOVERY } else { "application/json" };
        let head = format!(
            "{method} {path} HTTP/1.0\r\nHost: {}\r\nAccept: {accept}\r\nContent-Type: {content_type}\r\nContent-Length: {}\r\n\r\n",
            self.address,
            body.len()
        );
        let mut stream = TcpStream::connect(&self.address).unwrap();
        stream.write_all(head.as_bytes()).unwrap();
        stream.write_all(body.as_bytes()).unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        let end = answer.windows(4).position(|four| four == b"\r\n\r\n").unwrap();
        let status = std::str::from_utf8(&answer[9..12]).unwrap().parse().unwrap();
        Reply { status, body: serde_json::from_slice(&answer[end + 4..]).unwrap_or(Value::Null) }
    }

    pub fn kinds(&self) -> Kinds {
        let mut kinds = Kinds::new();
        for group in ["/api", "/apis"].iter().flat_map(|path| list(&self.get(path).body["items"])) {
            let name = text(&group["metadata"]["name"]);
            for version in list(&group["versions"]) {
                let prefix = if name.is_empty() { String::new() } else { format!("{name}/") };
                let api_version = format!("{prefix}{}", text(&version["version"]));
                for resource in list(&version["resources"]) {
                    let kind = Kind { plural: text(&resource["resource"]), is_namespaced: resource["scope"] == "Namespaced" };
                    kinds.entry((api_version.clone(), text(&resource["responseKind"]["kind"]))).or_insert(kind);
                }
            }
        }
        kinds
    }
}

impl Drop for Api {
    fn drop(&mut self) {
        self.proxy.kill().unwrap();
        self.proxy.wait().unwrap();
    }
}

/// Where an object is; `None` for a kind that is not served.
pub fn path_of(kinds: &Kinds, object: &Value) -> Option<String> {
    let api_version = text(&object["apiVersion"]);
    let kind = kinds.get(&(api_version.clone(), text(&object["kind"])))?;
    let root = if api_version.contains('/') { "/apis" } else { "/api" };
    let name = text(&object["metadata"]["name"]).replace('%', "%25");
    let place = match object["metadata"]["namespace"].as_str() {
        Some(namespace) if kind.is_namespaced => format!("namespaces/{namespace}/"),
        _ => String::new(),
    };
    Some(format!("{root}/{api_version}/{place}{}/{name}", kind.plural))
}

pub fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

pub fn list(value: &Value) -> Vec<Value> {
    value.as_array().cloned().unwrap_or_default()
}
