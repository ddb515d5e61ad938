//! Faults on the wire: a loopback server that answers from a script.

mod rescan;

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use trueup_core::facts::{Desired, Origin};
use trueup_core::object::ObjectId;
use trueup_core::positions::Positions;
use trueup_kubernetes::baseline::{DryRunCreate, ask_for};
use trueup_kubernetes::cluster::{Cluster, ClusterError, connect_by, identity};
use trueup_kubernetes::discovery::{Resource, Scaling, Scope, Server};
use trueup_kubernetes::list::{ListError, list_one};
use trueup_kubernetes::patch::{PatchError, send};

/// One scripted answer.
#[derive(Clone)]
enum Answer {
    Json(u16, Value),
    Text(String),
    RetryAfter(u64),
    /// Half a body, then the connection ends.
    CutOff,
    /// No answer: the connection ends.
    Hangup,
}

/// Requests as they came (`GET /path`), and for each the answers to give, the last one for ever.
#[derive(Clone, Default)]
struct Script {
    seen: Arc<Mutex<Vec<String>>>,
    answers: Arc<Mutex<BTreeMap<String, Vec<Answer>>>>,
}

impl Script {
    fn on(self, request: &str, answers: &[Answer]) -> Self {
        self.answers.lock().expect("unpoisoned").insert(request.to_owned(), answers.to_vec());
        self
    }

    fn next(&self, request: &str) -> Answer {
        self.seen.lock().expect("unpoisoned").push(request.to_owned());
        let mut all = self.answers.lock().expect("unpoisoned");
        let answers = all.get_mut(request).unwrap_or_else(|| panic!("unexpected request {request}"));
        if answers.len() > 1 { answers.remove(0) } else { answers[0].clone() }
    }

    fn count(&self, request: &str) -> usize {
        self.seen.lock().expect("unpoisoned").iter().filter(|seen| *seen == request).count()
    }
}

async fn serve(script: Script) -> Cluster {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("an address").port();
    std::thread::spawn(move || {
        while let Ok((stream, _)) = listener.accept() {
            let script = script.clone();
            std::thread::spawn(move || answer(stream, &script));
        }
    });
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("config");
    let config = json!({"apiVersion": "v1", "kind": "Config", "current-context": "a", "users": [],
        "contexts": [{"name": "a", "context": {"cluster": "a", "user": ""}}],
        "clusters": [{"name": "a", "cluster": {"server": format!("http://127.0.0.1:{port}")}}]});
    std::fs::write(&file, config.to_string()).expect("written");
    connect_by(&file, None, "trueup/test wire").await.expect("a usable kubeconfig")
}

fn answer(mut stream: TcpStream, script: &Script) {
    let Some(request) = read_request(&mut stream) else { return };
    let (code, extra, body, told) = match script.next(&request) {
        Answer::Hangup => return,
        Answer::Json(code, body) => (code, String::new(), body.to_string(), None),
        Answer::Text(body) => (200, String::new(), body, None),
        Answer::RetryAfter(seconds) => (429, format!("retry-after: {seconds}\r\n"), "Too many requests".to_owned(), None),
        Answer::CutOff => (200, String::new(), r#"{"metadata": {"resourceVersion": "5"}, "items": ["#.to_owned(), Some(9999)),
    };
    let length = told.unwrap_or(body.len());
    let text = format!("HTTP/1.1 {code} x\r\ncontent-length: {length}\r\nconnection: close\r\n{extra}\r\n{body}");
    // The client may be gone: then nobody is left to tell.
    drop(stream.write_all(text.as_bytes()));
}

/// Method and path of a request that came in whole.
fn read_request(stream: &mut TcpStream) -> Option<String> {
    let mut bytes = Vec::new();
    loop {
        let mut part = [0; 4096];
        match stream.read(&mut part) {
            Ok(count) if count > 0 => bytes.extend_from_slice(&part[..count]),
            _ => return None,
        }
        let text = String::from_utf8_lossy(&bytes);
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let length = head.lines().find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ")?.parse().ok());
        if body.len() >= length.unwrap_or(0) {
            let mut words = head.split(' ');
            return Some(format!("{} {}", words.next()?, words.next()?));
        }
    }
}

fn config_maps() -> Resource {
    Resource {
        group: String::new(),
        version: "v1".into(),
        kind: "ConfigMap".into(),
        plural: "configmaps".into(),
        scope: Scope::Namespaced,
        verbs: ["list".to_owned()].into(),
        scaling: Scaling::Fixed,
        server: Server::Local,
    }
}

fn page(version: &str, next: &str, names: &[&str]) -> Answer {
    let items: Vec<Value> = names.iter().map(|name| json!({"metadata": {"name": name, "namespace": "n"}})).collect();
    Answer::Json(200, json!({"metadata": {"resourceVersion": version, "continue": next}, "items": items}))
}

fn status(code: u16, message: &str) -> Answer {
    Answer::Json(code, json!({"kind": "Status", "message": message, "code": code}))
}

const FIRST: &str = "GET /api/v1/namespaces/n/configmaps?limit=2";
const SECOND: &str = "GET /api/v1/namespaces/n/configmaps?limit=2&continue=t";

async fn list(script: &Script) -> Result<Vec<String>, ListError> {
    let cluster = serve(script.clone()).await;
    let objects = list_one(&cluster, &config_maps(), Some("n"), 2).await?;
    Ok(objects.into_iter().map(|live| live.id.name).collect())
}

#[tokio::test]
async fn an_expired_list_begins_again() {
    let expired = status(410, "the provided continue parameter is too old");
    let script = Script::default()
        .on(FIRST, &[page("5", "t", &["a", "old"]), page("6", "t", &["a", "b"])])
        .on(SECOND, &[expired.clone(), page("6", "", &["c"])]);
    assert_eq!(list(&script).await.expect("a list"), ["a", "b", "c"]);
    let script = Script::default().on(FIRST, &[page("5", "t", &["a"])]).on(SECOND, &[expired]);
    assert!(matches!(list(&script).await, Err(ListError::Expired { .. })));
    assert_eq!(script.count(FIRST), 3);
}

#[tokio::test]
async fn half_a_list_is_no_list() {
    let script = Script::default().on(FIRST, &[page("5", "t", &["a"])]).on(SECOND, &[Answer::CutOff]);
    assert!(matches!(list(&script).await, Err(ListError::Broken { .. })));
    let script = Script::default().on(FIRST, &[page("5", "t", &["a"])]).on(SECOND, &[status(500, "etcd")]);
    assert!(matches!(list(&script).await, Err(ListError::Broken { .. })));
    let script = Script::default().on(FIRST, &[page("5", "t", &["a"])]).on(SECOND, &[page("6", "", &["b"])]);
    assert!(matches!(list(&script).await, Err(ListError::Mixed { .. })));
}

#[tokio::test]
async fn a_passing_fault_is_no_fault() {
    let script = Script::default().on(FIRST, &[Answer::CutOff, status(503, "starting"), Answer::Hangup, page("5", "", &["a"])]);
    assert_eq!(list(&script).await.expect("a list"), ["a"]);
}

#[tokio::test]
async fn the_server_says_how_long_to_wait_and_all_requests_wait() {
    let script = Script::default()
        .on(FIRST, &[Answer::RetryAfter(1), page("5", "", &["a"])])
        .on("GET /api/v1/namespaces/kube-system", &[Answer::Json(200, json!({"metadata": {"uid": "u"}}))]);
    let cluster = serve(script.clone()).await;
    let begun = Instant::now();
    let other = async {
        while script.count(FIRST) == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
        identity(&cluster).await.expect("an identity");
        begun.elapsed()
    };
    let resource = config_maps();
    let (listed, waited) = futures::join!(list_one(&cluster, &resource, Some("n"), 2), other);
    assert_eq!(listed.expect("a list").len(), 1);
    assert!(begun.elapsed() >= Duration::from_secs(1) && waited >= Duration::from_secs(1), "{waited:?}");
}

#[tokio::test]
async fn a_patch_without_an_answer_is_unknown_and_sent_once() {
    const PATCH: &str = "PATCH /api/v1/namespaces/n/configmaps/a?fieldManager=trueup";
    let id = ObjectId { api_version: "v1".into(), kind: "ConfigMap".into(), namespace: Some("n".into()), name: "a".into() };
    let patch = json!({"metadata": {"uid": "u", "resourceVersion": "5"}});
    for fault in [Answer::Hangup, Answer::CutOff, status(500, "etcd"), status(503, "x"), status(504, "timeout")] {
        let script = Script::default().on(PATCH, &[fault]);
        let sent = send(&serve(script.clone()).await, &config_maps(), &id, &patch).await;
        assert!(matches!(sent, Err(PatchError::Unknown { .. })), "{sent:?}");
        assert_eq!(script.count(PATCH), 1);
    }
    let script = Script::default().on(PATCH, &[Answer::RetryAfter(1)]);
    let sent = send(&serve(script.clone()).await, &config_maps(), &id, &patch).await;
    assert!(matches!(sent, Err(PatchError::Throttled { retry_after: Some(_), .. })), "{sent:?}");
    assert_eq!(script.count(PATCH), 1);
}

#[tokio::test]
async fn who_is_not_known_is_told_so() {
    let script = Script::default().on("GET /api/v1/namespaces/kube-system", &[status(401, "Unauthorized")]);
    let error = identity(&serve(script).await).await.expect_err("an error");
    assert!(matches!(error, ClusterError::Unauthorized { .. }), "{error}");
}

/// A refusal that repeats the object, as the API server's for a Pod that changes, and many a webhook's.
fn echo(canary: &str) -> Answer {
    let message = format!("Deployment \"web\" is invalid: spec: Invalid value: {{\"env\":[{{\"value\":\"{canary}\"}}]}}");
    let cause = json!({"field": "spec.template", "message": format!("Invalid value: \"{canary}\"")});
    let details = json!({"causes": [cause]});
    Answer::Json(422, json!({"kind": "Status", "reason": "Invalid", "message": message, "details": details}))
}

#[tokio::test]
async fn a_refusal_that_repeats_a_secret_is_told_without_its_words() {
    const CANARY: &str = "canary-5eb63bbb";
    let path = "/api/v1/namespaces/n/configmaps";
    let create = format!("POST {path}?dryRun=All&fieldManager=trueup");
    let cluster = serve(Script::default().on(&create, &[echo(CANARY)])).await;
    let resource = Resource { verbs: ["create".to_owned()].into(), ..config_maps() };
    let told = async |kind: &str, data: Value| {
        let id = ObjectId { api_version: "v1".into(), kind: kind.into(), namespace: Some("n".into()), name: "a".into() };
        let value = json!({"apiVersion": "v1", "kind": kind, "metadata": {"name": "a"}, "spec": data});
        let origin = Origin { file: "a.yaml".into(), line: 1, column: 1, document: 1 };
        let desired = Desired { id, value, origin, positions: Positions::default() };
        let error = ask_for(&cluster, &DryRunCreate::of(&resource, &desired).expect("allowed")).await.expect_err("refused");
        (error.to_string(), format!("{error:?}"))
    };
    for (kind, data) in [("Secret", json!({})), ("ConfigMap", json!({"env": [{"name": "A_KEY", "value": CANARY}]}))] {
        let (shown, debugged) = told(kind, data).await;
        assert!(!shown.contains(CANARY) && !debugged.contains(CANARY), "{kind}: {debugged}");
        assert!(shown.contains("Invalid about `spec.template`") && shown.contains("422"), "{shown}");
    }
    let (open, _) = told("ConfigMap", json!({"level": "info"})).await;
    assert!(open.contains(CANARY), "what holds no secret is told in the server's own words: {open}");
}

#[tokio::test]
async fn a_refused_patch_is_told_without_words_where_the_object_holds_a_secret() {
    const CANARY: &str = "canary-5eb63bbb";
    let patch = "PATCH /api/v1/namespaces/n/configmaps/a?fieldManager=trueup";
    let cluster = serve(Script::default().on(patch, &[echo(CANARY)])).await;
    let id = ObjectId { api_version: "v1".into(), kind: "ConfigMap".into(), namespace: Some("n".into()), name: "a".into() };
    let body = json!({"metadata": {"uid": "u", "resourceVersion": "1"}});
    let error = send(&cluster, &config_maps(), &id, &body).await.expect_err("refused");
    assert!(error.to_string().contains(CANARY));
    let error = error.without_words();
    assert!(matches!(error, PatchError::Invalid { .. }) && !format!("{error} {error:?}").contains(CANARY), "{error:?}");
}
