//! A stand-in for metrics.k8s.io: a TLS server on the loopback interface behind an `APIService`.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use serde_json::{Value, json};

use crate::deploy::install::EXAMPLE;
use crate::world::{World, within};

/// How long the load stays high, and then low.
const PHASE: Duration = Duration::from_secs(25);

/// What there is to measure.
pub struct Metrics {
    pub namespace: String,
    pub pods: Mutex<Vec<String>>,
}

/// Serves the metrics of these pods to the API server; whether it can reach this machine's loopback interface, which the
/// control plane of `scripts/control-plane` can.
pub fn serve(world: &mut World, metrics: &Arc<Metrics>) -> bool {
    if std::env::var_os("TRUEUP_AUDIT_LOG").is_none_or(|log| log.is_empty()) {
        eprintln!("not asserted: what an autoscaler does, as this cluster cannot reach a server of the test's");
        return false;
    }
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let config = Arc::new(certificate(world));
    let metrics = Arc::clone(metrics);
    let begun = Instant::now();
    std::thread::spawn(move || {
        for client in listener.incoming().map_while(Result::ok) {
            let (config, metrics) = (Arc::clone(&config), Arc::clone(&metrics));
            std::thread::spawn(move || answer(client, config, &metrics, begun));
        }
    });
    let namespace = world.namespace.clone();
    world.install.apply_text(
        &json!({"apiVersion": "v1", "kind": "List", "items": [
            {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "metrics", "namespace": EXAMPLE},
                "spec": {"type": "ExternalName", "externalName": "localhost", "ports": [{"port": port}]}},
            {"apiVersion": "apiregistration.k8s.io/v1", "kind": "APIService", "metadata": {"name": "v1beta1.metrics.k8s.io"}, "spec": {
                "group": "metrics.k8s.io", "version": "v1beta1", "groupPriorityMinimum": 100, "versionPriority": 100,
                "insecureSkipTLSVerify": true, "service": {"name": "metrics", "namespace": EXAMPLE, "port": port}}}]})
        .to_string(),
    );
    let path = format!("/apis/metrics.k8s.io/v1beta1/namespaces/{namespace}/pods");
    within(Duration::from_mins(1), || world.install.administer(&["get", "--raw", &path]), |answer| answer.ok);
    true
}

fn certificate(world: &World) -> ServerConfig {
    let folder = world.repo.path().join(".git");
    let (key, certificate) = (folder.join("key.pem"), folder.join("certificate.pem"));
    let openssl = Command::new("openssl")
        .args([
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:prime256v1",
            "-nodes",
            "-days",
            "2",
            "-subj",
            "/CN=localhost",
        ])
        .args([
            "-addext",
            "subjectAltName=DNS:localhost",
            "-keyout",
            key.to_str().unwrap(),
            "-out",
            certificate.to_str().unwrap(),
        ])
        .output()
        .unwrap();
    assert!(openssl.status.success(), "{openssl:?}");
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![CertificateDer::from_pem_file(certificate).unwrap()], PrivateKeyDer::from_pem_file(key).unwrap())
        .unwrap()
}

/// One connection, request after request.
fn answer(client: TcpStream, config: Arc<ServerConfig>, metrics: &Metrics, begun: Instant) {
    let mut stream = BufReader::new(StreamOwned::new(ServerConnection::new(config).unwrap(), client));
    loop {
        let mut request = String::new();
        if stream.read_line(&mut request).unwrap_or(0) == 0 {
            return;
        }
        let mut line = String::new();
        while stream.read_line(&mut line).unwrap_or(0) > 2 {
            line.clear();
        }
        let path = request.split(' ').nth(1).unwrap_or_default().split('?').next().unwrap_or_default();
        let (status, body) = match document(path, metrics, begun.elapsed()) {
            Some(document) => ("200 OK", document.to_string()),
            None => ("404 Not Found", "{}".to_owned()),
        };
        let head = format!("HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n", body.len());
        if stream.get_mut().write_all((head + &body).as_bytes()).and_then(|()| stream.get_mut().flush()).is_err() {
            return;
        }
    }
}

fn document(path: &str, metrics: &Metrics, elapsed: Duration) -> Option<Value> {
    let pods = format!("/apis/metrics.k8s.io/v1beta1/namespaces/{}/pods", metrics.namespace);
    match path {
        "/apis/metrics.k8s.io/v1beta1" => {
            Some(json!({"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": "metrics.k8s.io/v1beta1",
            "resources": [{"name": "pods", "singularName": "", "namespaced": true, "kind": "PodMetrics", "verbs": ["get", "list"]}]}))
        }
        path if path == pods => Some(usage(metrics, elapsed)),
        _ => None,
    }
}

/// All pods together do the same work, much of it and then little.
fn usage(metrics: &Metrics, elapsed: Duration) -> Value {
    let is_high = (elapsed.as_secs() / PHASE.as_secs()).is_multiple_of(2);
    let pods = metrics.pods.lock().unwrap();
    let work = if is_high { 250_000_000 } else { 60_000_000 } / pods.len().max(1);
    let item = |name: &String| {
        json!({"metadata": {"name": name, "namespace": metrics.namespace, "labels": {"app": "scaled"}},
            "timestamp": jiff::Timestamp::now().to_string(), "window": "15s", "containers": [
                {"name": "app", "usage": {"cpu": format!("{work}n"), "memory": "1Mi"}},
                {"name": "mesh-proxy", "usage": {"cpu": "1m", "memory": "1Mi"}}]})
    };
    json!({"kind": "PodMetricsList", "apiVersion": "metrics.k8s.io/v1beta1", "metadata": {}, "items": pods.iter().map(item).collect::<Vec<_>>()})
}
