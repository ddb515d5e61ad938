//! Real repositories, made and asked by the real `git`; a Git server on the loopback interface.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tempfile::TempDir;
use trueup::source::credentials::{Credentials, Secret, Token};
use trueup::source::transport::Transport;
use trueup::source::{Access, Limits, Pinned, Revision, SourceSpec, pin};

/// A repository in a temporary folder.
pub struct Repo {
    pub folder: TempDir,
}

impl Repo {
    pub fn new() -> Self {
        let repo = Self { folder: TempDir::new().unwrap() };
        repo.git(&["init", "-q", "-b", "main"]);
        repo
    }

    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    pub fn git(&self, arguments: &[&str]) -> String {
        git(self.path(), arguments)
    }

    pub fn write(&self, path: &str, bytes: impl AsRef<[u8]>) {
        let path = self.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }

    /// Adds everything and commits; returns the commit.
    pub fn commit(&self, message: &str) -> String {
        self.git(&["add", "-A"]);
        self.git(&["commit", "-q", "--allow-empty", "-m", message]);
        self.git(&["rev-parse", "HEAD"])
    }

    /// A bare clone in `<folder>/<name>`.
    pub fn bare(&self, folder: &Path, name: &str) -> PathBuf {
        let path = folder.join(name);
        git(folder, &["clone", "-q", "--bare", self.path().to_str().unwrap(), path.to_str().unwrap()]);
        path
    }
}

pub fn git(folder: &Path, arguments: &[&str]) -> String {
    String::from_utf8(git_bytes(folder, arguments, b"")).unwrap().trim().to_owned()
}

/// Runs `git` with none of the user's configuration.
pub fn git_bytes(folder: &Path, arguments: &[&str], input: &[u8]) -> Vec<u8> {
    let mut child = Command::new("git")
        .args(["-c", "protocol.file.allow=always"])
        .args(arguments)
        .current_dir(folder)
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_SYSTEM", "/dev/null")
        .envs(
            ["AUTHOR", "COMMITTER"]
                .iter()
                .flat_map(|role| [(format!("GIT_{role}_NAME"), "Ada"), (format!("GIT_{role}_EMAIL"), "ada@example.org")]),
        )
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(input).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "git {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

pub fn spec(repo: &str, reference: &str) -> SourceSpec {
    SourceSpec { repo: repo.to_owned(), reference: reference.to_owned(), revision: Revision::Reference }
}

pub fn spec_of(path: &Path, reference: &str) -> SourceSpec {
    spec(&path.display().to_string(), reference)
}

/// The program under test serves the network; the deadline is far away.
pub fn access(cache: &Path) -> Access {
    Access { cache: cache.to_owned(), transport: transport(), limits: Limits::default() }
}

pub fn transport() -> Transport {
    Transport {
        program: PathBuf::from(env!("CARGO_BIN_EXE_trueup")),
        deadline: std::time::Duration::from_mins(1),
        bytes: 1 << 30,
        credentials: Credentials::default(),
    }
}

pub fn token(host: &str, secret: &str) -> Credentials {
    Credentials { token: Some(Token { host: host.to_owned(), secret: Secret::new(secret) }), ssh_key: None }
}

pub fn pin_local(path: &Path, reference: &str) -> Pinned {
    pin(&spec_of(path, reference), &access(Path::new("/nonexistent"))).unwrap()
}

/// The program as one whose HOME (`.gitconfig`, `.ssh`) is `home`, with some more environment.
pub fn at_home(home: &Path, environment: &str) -> Transport {
    let script = home.join("trueup-at-home");
    let text = format!(
        "#!/bin/sh\nHOME='{}' XDG_CONFIG_HOME='{0}' {environment} exec '{}' \"$@\"\n",
        home.display(),
        env!("CARGO_BIN_EXE_trueup")
    );
    std::fs::write(&script, text).unwrap();
    let mut rights = std::fs::metadata(&script).unwrap().permissions();
    std::os::unix::fs::PermissionsExt::set_mode(&mut rights, 0o755);
    std::fs::set_permissions(&script, rights).unwrap();
    Transport { program: script, ..transport() }
}

/// What the token `right` looks like on the wire: `x-access-token:right`.
pub const RIGHT: &str = "Basic eC1hY2Nlc3MtdG9rZW46cmlnaHQ=";

/// `git http-backend` over a folder of bare repositories, on a free port of the loopback interface.
pub struct Server {
    pub port: u16,
}

impl Server {
    /// With a `password`, each request must show this header.
    pub fn start(root: &Path, password: Option<&'static str>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let root = root.to_owned();
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let root = root.clone();
                std::thread::spawn(move || serve(stream, &root, password));
            }
        });
        Self { port }
    }

    pub fn url(&self, name: &str) -> String {
        format!("http://127.0.0.1:{}/{name}", self.port)
    }
}

fn serve(stream: TcpStream, root: &Path, password: Option<&str>) -> Option<()> {
    let mut reader = BufReader::new(stream.try_clone().ok()?);
    let mut writer = stream;
    let mut first = String::new();
    reader.read_line(&mut first).ok()?;
    let (method, target) = first.split_once(' ')?;
    let target = target.split(' ').next()?;
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let headers = read_headers(&mut reader)?;
    let header = |name: &str| headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str());
    let body = read_body(&mut reader, header("content-length"), header("transfer-encoding"))?;
    if path.starts_with("/elsewhere") {
        return writer
            .write_all(b"HTTP/1.1 301 Moved\r\nLocation: http://localhost/x\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
            .ok();
    }
    if password.is_some() && header("authorization") != password {
        let refusal = "HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Basic realm=\"git\"\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
        return writer.write_all(refusal.as_bytes()).ok();
    }
    let mut child = Command::new("git")
        .args(["-c", "http.receivepack=true", "http-backend"])
        .env("GIT_PROJECT_ROOT", root)
        .env("GIT_HTTP_EXPORT_ALL", "1")
        .env("REQUEST_METHOD", method)
        .env("PATH_INFO", path)
        .env("QUERY_STRING", query)
        .env("CONTENT_TYPE", header("content-type").unwrap_or_default())
        .env("HTTP_CONTENT_ENCODING", header("content-encoding").unwrap_or_default())
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .ok()?;
    let mut stdin = child.stdin.take()?;
    std::thread::spawn(move || stdin.write_all(&body));
    let output = child.wait_with_output().ok()?.stdout;
    let split = output.windows(4).position(|four| four == b"\r\n\r\n")?;
    let head = String::from_utf8_lossy(&output[..split]);
    let status = head.lines().find_map(|line| line.strip_prefix("Status: ")).unwrap_or("200 OK");
    let length = output.len() - split - 4;
    write!(writer, "HTTP/1.1 {status}\r\n{head}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n").ok()?;
    writer.write_all(&output[split + 4..]).ok()
}

fn read_headers(reader: &mut impl BufRead) -> Option<Vec<(String, String)>> {
    let mut headers = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        match line.trim_end().split_once(": ") {
            Some((name, value)) => headers.push((name.to_ascii_lowercase(), value.to_owned())),
            None => return Some(headers),
        }
    }
}

fn read_body(reader: &mut impl BufRead, length: Option<&str>, encoding: Option<&str>) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    if encoding != Some("chunked") {
        body.resize(length.map_or(Some(0), |length| length.parse().ok())?, 0);
        reader.read_exact(&mut body).ok()?;
        return Some(body);
    }
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let size = usize::from_str_radix(line.trim(), 16).ok()?;
        let mut chunk = vec![0; size + 2];
        reader.read_exact(&mut chunk).ok()?;
        body.extend_from_slice(&chunk[..size]);
        if size == 0 {
            return Some(body);
        }
    }
}
