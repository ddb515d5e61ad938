//! Talking to a Git server, in a child of this program that is killed at its deadline.
//!
//! libgit2 waits for ever on a silent server and cannot be interrupted there, so whatever touches the network runs in a
//! process of its own: the request goes in as one line of JSON on stdin (secrets never stand in arguments or the
//! environment), the reply comes back as one line on stdout. The child ends when its stdin closes, so none outlives us.

use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use git2::{ErrorClass, ErrorCode};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::credentials::{Credentials, Secret, Token};
use super::fetch::{self, FetchRequest, Fetched};
use crate::review::push::{self, PushRequest, Pushed};

/// The program's hidden first argument that makes it a transport.
pub const ARGUMENT: &str = "git-transport";

/// How a remote is reached.
#[derive(Debug, Clone)]
pub struct Transport {
    /// The program that serves [`ARGUMENT`]: this one.
    pub program: PathBuf,
    /// How long one conversation may take.
    pub deadline: Duration,
    /// How many bytes of a pack may come in.
    pub bytes: u64,
    /// What may be shown to the server.
    pub credentials: Credentials,
}

impl Transport {
    /// This program, a minute, a gibibyte.
    ///
    /// # Errors
    /// When the program's own path cannot be found.
    pub fn new(credentials: Credentials) -> Result<Self, RemoteError> {
        let program = std::env::current_exe().map_err(|error| RemoteError::Child { detail: error.to_string() })?;
        Ok(Self { program, deadline: Duration::from_mins(1), bytes: 1 << 30, credentials })
    }
}

/// Why a remote did not give or take what it was asked for.
#[derive(Debug, Clone, PartialEq, Eq, Error, Serialize, Deserialize)]
pub enum RemoteError {
    /// The address is not allowed, or git's configuration rewrites it.
    #[error("the remote `{remote}` is refused: {detail}; check the address and `url.*.insteadOf` in git's configuration")]
    Address {
        /// The remote.
        remote: String,
        /// Why.
        detail: String,
    },
    /// The server wants other credentials.
    #[error(
        "`{remote}` refused the credentials (it was shown {offered}); check the token variable, the ssh agent or git's credential helper"
    )]
    Credentials {
        /// The remote.
        remote: String,
        /// What it was shown.
        offered: String,
    },
    /// The server's ssh key is not the known one.
    #[error(
        "the ssh host key of `{remote}` is unknown or has changed; compare it with the server's published key, then put it into `~/.ssh/known_hosts` (`ssh-keyscan` prints it)"
    )]
    HostKey {
        /// The remote.
        remote: String,
    },
    /// The server's TLS certificate does not hold.
    #[error(
        "the certificate of `{remote}` was not accepted: {detail}; check the host's name and the machine's certificate store"
    )]
    Certificate {
        /// The remote.
        remote: String,
        /// What TLS says.
        detail: String,
    },
    /// The remote has no such branch or tag.
    #[error("`{remote}` has no branch or tag `{reference}`{near}", near = super::reference::near_hint(near))]
    MissingReference {
        /// The remote.
        remote: String,
        /// What was asked for.
        reference: String,
        /// Names like it.
        near: Vec<String>,
    },
    /// The remote has no commit at all.
    #[error("`{remote}` is an empty repository; push a first commit")]
    Empty {
        /// The remote.
        remote: String,
    },
    /// More came in than allowed.
    #[error("`{remote}` sends more than {limit} bytes; raise the limit or name a smaller repository")]
    TooLarge {
        /// The remote.
        remote: String,
        /// The cap.
        limit: u64,
    },
    /// The server sends us elsewhere.
    #[error("`{remote}` sends to another host, which is not followed; name the repository's present address")]
    Redirect {
        /// The remote.
        remote: String,
    },
    /// It took too long.
    #[error("`{remote}` did not finish within {seconds} s; check the network and the server")]
    Deadline {
        /// The remote.
        remote: String,
        /// The deadline.
        seconds: u64,
    },
    /// Anything else that libgit2 says.
    #[error("`{remote}` cannot be reached or read: {detail}; check the address with `git ls-remote`")]
    Unreachable {
        /// The remote.
        remote: String,
        /// What libgit2 says.
        detail: String,
    },
    /// The cache in the state folder is unusable.
    #[error("the repository `{path}` cannot be used: {detail}; check its rights, or remove it if it is a cache")]
    Repository {
        /// Its folder.
        path: String,
        /// What libgit2 says.
        detail: String,
    },
    /// The child could not be run, or ended without a reply.
    #[error("the program's own git transport failed: {detail}; report this")]
    Child {
        /// What happened.
        detail: String,
    },
}

#[derive(Serialize, Deserialize)]
enum Request {
    Fetch(FetchRequest, Shown),
    Push(PushRequest, Shown),
}

#[derive(Serialize, Deserialize)]
enum Reply {
    Fetched(Fetched),
    Pushed(Pushed),
    Failed(RemoteError),
}

/// Credentials as they go through the pipe.
#[derive(Serialize, Deserialize)]
struct Shown {
    token: Option<(String, String)>,
    ssh_key: Option<PathBuf>,
}

/// Fetches one reference into a cache repository.
///
/// # Errors
/// [`RemoteError`].
pub fn fetch(request: FetchRequest, transport: &Transport) -> Result<Fetched, RemoteError> {
    let remote = request.remote();
    match converse(&Request::Fetch(request, pack(&transport.credentials)), &remote, transport)? {
        Reply::Fetched(fetched) => Ok(fetched),
        Reply::Failed(error) => Err(error),
        Reply::Pushed(_) => Err(RemoteError::Child { detail: "it answered a fetch with a push".to_owned() }),
    }
}

/// Pushes one commit to one branch.
///
/// # Errors
/// [`RemoteError`].
pub fn push(request: PushRequest, transport: &Transport) -> Result<Pushed, RemoteError> {
    let remote = request.remote();
    match converse(&Request::Push(request, pack(&transport.credentials)), &remote, transport)? {
        Reply::Pushed(pushed) => Ok(pushed),
        Reply::Failed(error) => Err(error),
        Reply::Fetched(_) => Err(RemoteError::Child { detail: "it answered a push with a fetch".to_owned() }),
    }
}

/// Serves one request if the program was started for that; `None` otherwise. `main` calls it first.
#[must_use]
pub fn serve_if_asked() -> Option<ExitCode> {
    (std::env::args_os().nth(1)? == ARGUMENT).then(serve)
}

/// What libgit2's error means, told apart as far as its codes allow.
#[must_use]
pub fn explain(error: &git2::Error, remote: &str, offered: String) -> RemoteError {
    let remote = remote.to_owned();
    let detail = error.message().to_owned();
    match (error.code(), error.class()) {
        (ErrorCode::Auth, _) => RemoteError::Credentials { remote, offered },
        (ErrorCode::Certificate, ErrorClass::Ssh) => RemoteError::HostKey { remote },
        (ErrorCode::Certificate, _) => RemoteError::Certificate { remote, detail },
        // libgit2 tells these two by words alone
        _ if detail.contains("redirect") => RemoteError::Redirect { remote },
        (_, ErrorClass::Ssh) if detail.contains("authenticat") => RemoteError::Credentials { remote, offered },
        _ => RemoteError::Unreachable { remote, detail },
    }
}

fn converse(request: &Request, remote: &str, transport: &Transport) -> Result<Reply, RemoteError> {
    let failed = |detail: String| RemoteError::Child { detail };
    let line = serde_json::to_string(request).map_err(|error| failed(error.to_string()))?;
    let mut child = Command::new(&transport.program)
        .arg(ARGUMENT)
        .env("GIT_TERMINAL_PROMPT", "0")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .map_err(|error| failed(format!("`{}`: {error}", transport.program.display())))?;
    let answer = exchange(&mut child, &line, transport.deadline);
    // at this point it has answered, or has nothing more to say
    child.kill().and_then(|()| child.wait()).map_err(|error| failed(error.to_string()))?;
    match answer {
        Ok(text) => serde_json::from_str(&text).map_err(|_| failed("it ended without a reply".to_owned())),
        Err(Silence::Deadline) => Err(RemoteError::Deadline { remote: remote.to_owned(), seconds: transport.deadline.as_secs() }),
        Err(Silence::Broken(detail)) => Err(failed(detail)),
    }
}

enum Silence {
    Deadline,
    Broken(String),
}

/// Sends the request and waits for the reply; stdin stays open until then, as the child ends with it.
fn exchange(child: &mut Child, line: &str, deadline: Duration) -> Result<String, Silence> {
    let broken = |error: std::io::Error| Silence::Broken(error.to_string());
    let (Some(mut stdin), Some(stdout)) = (child.stdin.take(), child.stdout.take()) else {
        return Err(Silence::Broken("it has no pipes".to_owned()));
    };
    writeln!(stdin, "{line}").map_err(broken)?;
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        let mut text = String::new();
        let read = BufReader::new(stdout).read_line(&mut text).map(|_| text);
        // nobody listens any more once the deadline has passed
        drop(sender.send(read));
    });
    let reply = receiver.recv_timeout(deadline);
    drop(stdin);
    reply.map_err(|_| Silence::Deadline)?.map_err(broken)
}

fn serve() -> ExitCode {
    let mut line = String::new();
    let Ok(request) = BufReader::new(UnbufferedStdin).read_line(&mut line).map(|_| serde_json::from_str::<Request>(&line)) else {
        return ExitCode::FAILURE;
    };
    let Ok(request) = request else { return ExitCode::FAILURE };
    std::thread::spawn(end_with_stdin);
    let reply = match request {
        Request::Fetch(request, shown) => fetch::perform(&request, unpack(shown)).map_or_else(Reply::Failed, Reply::Fetched),
        Request::Push(request, shown) => push::perform(&request, unpack(shown)).map_or_else(Reply::Failed, Reply::Pushed),
    };
    let written = serde_json::to_string(&reply).map(|text| writeln!(std::io::stdout(), "{text}").is_ok());
    if matches!(written, Ok(true)) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// The process that asked is gone, or has closed the pipe: whatever is under way here is of no use.
fn end_with_stdin() {
    let mut rest = [0_u8; 1];
    while matches!(UnbufferedStdin.read(&mut rest), Ok(1)) {}
    std::process::exit(1);
}

/// `Stdin` locks while it reads; two threads read here, one after the other.
struct UnbufferedStdin;

impl Read for UnbufferedStdin {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        std::io::stdin().lock().read(buffer)
    }
}

fn pack(credentials: &Credentials) -> Shown {
    Shown {
        token: credentials.token.as_ref().map(|token| (token.host.clone(), token.secret.reveal().to_owned())),
        ssh_key: credentials.ssh_key.clone(),
    }
}

fn unpack(shown: Shown) -> Credentials {
    let token = shown.token.map(|(host, secret)| Token { host, secret: Secret::new(secret) });
    Credentials { token, ssh_key: shown.ssh_key }
}

/// A folder for messages.
#[must_use]
pub fn at(path: &Path) -> String {
    path.display().to_string()
}
