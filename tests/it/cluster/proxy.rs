//! A loopback proxy between the program and the API server that sees each request go by. `kubectl proxy` speaks for the
//! account, so that what passes here is plain HTTP.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::json;

use crate::world::World;

/// When the proxy asks what to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    /// A request has come from the program; the server has not seen it.
    Before,
    /// The server has answered; the program has not heard it.
    After,
}

/// What becomes of the connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    Pass,
    Cut,
    /// Half of what came passes, then the connection ends.
    Half,
    /// So many bytes of what comes pass, then the connection ends.
    First(usize),
    /// All of what comes passes but its last byte, then the connection ends.
    AllButTheLast,
    /// The program gets this answer (`metav1.Status`): the server does not hear of the request, or its own answer is lost.
    Answer(u16, &'static str),
    /// Neither: the server has too much to do, and asks to wait for so many seconds.
    Wait(u64),
}

/// What becomes of a request, by its first line.
type Hook = Arc<dyn Fn(&str, Moment) -> Fate + Send + Sync>;

/// The proxy. It ends with the test.
pub struct Proxy {
    pub kubeconfig: PathBuf,
    kubectl: Child,
}

impl Proxy {
    /// A proxy that asks about real writes alone.
    pub fn start(world: &World, hook: impl Fn(Moment) -> Fate + Send + Sync + 'static) -> Self {
        let is_write = |line: &str| line.starts_with("PATCH ") && !line.contains("dryRun=All");
        Self::of_all(world, move |line, moment| if is_write(line) { hook(moment) } else { Fate::Pass })
    }

    /// A proxy that asks about each request.
    pub fn of_all(world: &World, hook: impl Fn(&str, Moment) -> Fate + Send + Sync + 'static) -> Self {
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
    let asked: Arc<Mutex<Option<String>>> = Arc::default();
    let both = || (client.try_clone().unwrap(), server.try_clone().unwrap());
    let ((client_in, server_out), (client_out, server_in), (mut told, _)) = (both(), both(), both());
    let (of_requests, of_answers) = (Arc::clone(hook), Arc::clone(hook));
    let asking = Arc::clone(&asked);
    std::thread::spawn(move || {
        copy(client_in, server_out, |bytes| {
            let line = String::from_utf8_lossy(bytes.split(|byte| *byte == b'\r').next().unwrap_or_default()).into_owned();
            let fate = of_requests(&line, Moment::Before);
            *asking.lock().unwrap() = (fate == Fate::Pass).then_some(line);
            match fate {
                Fate::Answer(code, message) => told.write_all(answer(code, message, "").as_bytes()).unwrap(),
                Fate::Wait(seconds) => {
                    let header = format!("retry-after: {seconds}\r\n");
                    told.write_all(answer(429, "too many requests", &header).as_bytes()).unwrap();
                }
                Fate::Pass | Fate::Cut | Fate::Half | Fate::First(_) | Fate::AllButTheLast => {}
            }
            fate
        });
    });
    let mut told = client.try_clone().unwrap();
    std::thread::spawn(move || {
        copy(server_in, client_out, |_| {
            let line = asked.lock().unwrap().take();
            match line.map_or(Fate::Pass, |line| of_answers(&line, Moment::After)) {
                Fate::Answer(code, message) => {
                    told.write_all(answer(code, message, "connection: close\r\n").as_bytes()).unwrap();
                    // More of the server's own answer may come.
                    Fate::Cut
                }
                fate => fate,
            }
        });
    });
}

fn answer(code: u16, message: &str, header: &str) -> String {
    let body = json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "message": message, "code": code}).to_string();
    format!("HTTP/1.1 {code} x\r\ncontent-type: application/json\r\n{header}content-length: {}\r\n\r\n{body}", body.len())
}

/// Until one side closes, or fate cuts: then both directions end.
fn copy(mut from: TcpStream, mut to: TcpStream, mut fate: impl FnMut(&[u8]) -> Fate) {
    let mut buffer = vec![0; 1 << 16];
    while let Ok(read @ 1..) = from.read(&mut buffer) {
        let passed = match fate(&buffer[..read]) {
            Fate::Pass => to.write_all(&buffer[..read]).is_ok(),
            Fate::Answer(..) | Fate::Wait(_) => true,
            part @ (Fate::Half | Fate::First(_) | Fate::AllButTheLast) => {
                let whole = whole(&buffer[..read], &mut from);
                let passes = match part {
                    Fate::First(bytes) => bytes.min(whole.len()),
                    Fate::AllButTheLast => whole.len() - 1,
                    _ => whole.len() / 2,
                };
                // The other side may be closed already.
                to.write_all(&whole[..passes]).ok();
                false
            }
            Fate::Cut => false,
        };
        if !passed {
            break;
        }
    }
    // The other side may be closed already.
    from.shutdown(Shutdown::Both).ok();
    to.shutdown(Shutdown::Both).ok();
}

/// What has come, and what comes until nothing more does for a moment.
fn whole(begun: &[u8], from: &mut TcpStream) -> Vec<u8> {
    let mut whole = begun.to_vec();
    from.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
    // It ends by this timeout: a connection stays open for the next request.
    from.read_to_end(&mut whole).ok();
    whole
}
