//! A loopback proxy between the program and the API server that sees each real write go by. `kubectl proxy` speaks for the
//! account, so that what passes here is plain HTTP.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::json;

use crate::world::World;

/// When the proxy asks what to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    /// A write has come from the program; the server has not seen it.
    Before,
    /// The server has answered; the program has not heard it.
    After,
}

/// What becomes of the connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    Pass,
    Cut,
}

type Hook = Arc<dyn Fn(Moment) -> Fate + Send + Sync>;

/// The proxy. It ends with the test.
pub struct Proxy {
    pub kubeconfig: PathBuf,
    kubectl: Child,
}

impl Proxy {
    pub fn start(world: &World, hook: impl Fn(Moment) -> Fate + Send + Sync + 'static) -> Self {
        let mut kubectl = Command::new(world.kubectl_program())
            .args(["proxy", "--port", "0", "--kubeconfig", world.install.kubeconfig().to_str().unwrap()])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(kubectl.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let upstream = line.trim().rsplit_once(' ').unwrap().1.to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let hook: Hook = Arc::new(hook);
        std::thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let server = TcpStream::connect(&upstream).unwrap();
                carry(&client, &server, &hook);
            }
        });
        let kubeconfig = world.repo.path().join(".git").join(format!("proxy-{}", address.port()));
        let config = json!({"apiVersion": "v1", "kind": "Config", "current-context": "proxy", "users": [],
            "clusters": [{"name": "proxy", "cluster": {"server": format!("http://{address}")}}],
            "contexts": [{"name": "proxy", "context": {"cluster": "proxy", "user": ""}}]});
        std::fs::write(&kubeconfig, config.to_string()).unwrap();
        Self { kubeconfig, kubectl }
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.kubectl.kill().unwrap();
        self.kubectl.wait().unwrap();
    }
}

/// Both directions of one connection, each on a thread. A client sends its next request only after the answer, so a
/// request begins where a reading does.
fn carry(client: &TcpStream, server: &TcpStream, hook: &Hook) {
    let writing = Arc::new(AtomicBool::new(false));
    let both = || (client.try_clone().unwrap(), server.try_clone().unwrap());
    let ((client_in, server_out), (client_out, server_in)) = (both(), both());
    let (of_requests, of_answers) = (Arc::clone(hook), Arc::clone(hook));
    let seen = Arc::clone(&writing);
    std::thread::spawn(move || {
        copy(client_in, server_out, |bytes| {
            let line = bytes.split(|byte| *byte == b'\r').next().unwrap_or_default();
            let is_write = line.starts_with(b"PATCH ") && !String::from_utf8_lossy(line).contains("dryRun=All");
            if !is_write {
                return Fate::Pass;
            }
            let fate = of_requests(Moment::Before);
            seen.store(fate == Fate::Pass, Ordering::SeqCst);
            fate
        });
    });
    std::thread::spawn(move || {
        copy(
            server_in,
            client_out,
            |_| if writing.swap(false, Ordering::SeqCst) { of_answers(Moment::After) } else { Fate::Pass },
        );
    });
}

/// Until one side closes, or fate cuts: then both directions end.
fn copy(mut from: TcpStream, mut to: TcpStream, fate: impl Fn(&[u8]) -> Fate) {
    let mut buffer = vec![0; 1 << 16];
    while let Ok(read @ 1..) = from.read(&mut buffer) {
        if fate(&buffer[..read]) == Fate::Cut || to.write_all(&buffer[..read]).is_err() {
            break;
        }
    }
    // The other side may be closed already.
    from.shutdown(Shutdown::Both).ok();
    to.shutdown(Shutdown::Both).ok();
}
