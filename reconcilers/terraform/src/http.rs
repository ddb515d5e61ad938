//! A state behind Terraform's `http` backend: one GET, never a LOCK, UNLOCK, POST or DELETE.

use std::fmt;
use std::io::{self, Read};
use std::str::FromStr;
use std::time::Duration;

use reqwest::{Client, Response, StatusCode, Url, redirect};
use tokio::sync::mpsc;

use crate::secret::Secret;
use crate::state::{self, State, StateError};

/// Where a state is served.
#[derive(Debug, Clone)]
pub struct Address {
    /// With credentials and query.
    url: Secret<Url>,
    /// Without them.
    name: String,
}

/// How a state is asked for, and how much of an answer is read.
#[derive(Debug, Clone)]
pub struct Settings {
    /// `TF_HTTP_USERNAME` and `TF_HTTP_PASSWORD`; instead of those in the URL.
    pub credentials: Option<Credentials>,
    /// For the connection alone.
    pub connect_timeout: Duration,
    /// For everything, the last byte included.
    pub timeout: Duration,
    /// The most bytes of a state that are read, after decompression.
    pub max_bytes: u64,
}

/// User and password for HTTP basic authentication (RFC 7617).
#[derive(Debug, Clone)]
pub struct Credentials {
    /// The user.
    pub username: String,
    /// The password.
    pub password: Secret<String>,
}

/// Why there is no state.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    /// Not an address.
    #[error("the state's address is not an `http` or `https` URL with a host; check the target's `state`")]
    NotAnAddress,
    /// TLS or proxy settings that make no client.
    #[error("cannot make an HTTP client for `{address}`: {source}")]
    Client {
        /// Where to.
        address: String,
        /// Why.
        source: reqwest::Error,
    },
    /// No answer, or one that broke off.
    #[error("`{address}` did not give the state: {}; see whether it is up", chain(.source))]
    Transport {
        /// Where.
        address: String,
        /// Why.
        source: reqwest::Error,
    },
    /// Too late.
    #[error("`{address}` did not give the whole state within {} s; see whether it is up", .after.as_secs_f32())]
    TimedOut {
        /// Where.
        address: String,
        /// After how long.
        after: Duration,
    },
    /// 404 or 204.
    #[error("`{address}` holds no state yet (status {status}); check the target's `state`, or run `terraform apply` first")]
    NoStateYet {
        /// Where.
        address: String,
        /// 404 or 204.
        status: StatusCode,
    },
    /// 401 or 403.
    #[error("`{address}` refuses to show the state (status {status}); check `TF_HTTP_USERNAME` and `TF_HTTP_PASSWORD`")]
    Refused {
        /// Where.
        address: String,
        /// 401 or 403.
        status: StatusCode,
    },
    /// A redirect that credentials must not follow.
    #[error("`{address}` redirects (status {status}){}; trueup follows within one host only, give the address itself", to(.host.as_deref()))]
    Redirected {
        /// From where.
        address: String,
        /// 301, 302, 303, 307 or 308.
        status: StatusCode,
        /// To which host.
        host: Option<String>,
    },
    /// 5xx.
    #[error("`{address}` fails (status {status}); read it again later")]
    ServerFails {
        /// Where.
        address: String,
        /// 5xx.
        status: StatusCode,
    },
    /// Any other status.
    #[error("`{address}` answers with status {status} in place of a state; check the target's `state`")]
    Unexpected {
        /// Where.
        address: String,
        /// Which.
        status: StatusCode,
    },
    /// More than the cap.
    #[error("the state at `{address}` is larger than {cap} bytes; raise the cap if it should be")]
    TooLarge {
        /// Where.
        address: String,
        /// The most that is read.
        cap: u64,
    },
    /// The program ends.
    #[error("reading `{address}` was interrupted: {source}")]
    Interrupted {
        /// Where.
        address: String,
        /// Why.
        source: tokio::task::JoinError,
    },
    /// What came is not a state that can be judged.
    #[error("state `{address}`: {source}")]
    State {
        /// Where.
        address: String,
        /// Why.
        source: StateError,
    },
}

/// A chain of redirects within one host that is longer is a loop.
const MAX_REDIRECTS: usize = 5;

/// Chunks that wait for the reader: more would only take memory.
const CHUNKS: usize = 4;

impl Default for Settings {
    fn default() -> Self {
        Self {
            credentials: None,
            connect_timeout: Duration::from_secs(10),
            timeout: Duration::from_mins(1),
            max_bytes: 512 * 1024 * 1024,
        }
    }
}

/// Reads the state at `address`.
///
/// # Errors
/// Where it does not come whole and in time, or is not a whole state of version 4.
pub async fn read(address: &Address, settings: &Settings) -> Result<State, HttpError> {
    let mut response = get(address, settings).await?;
    judge(&response, address)?;
    let (sender, receiver) = mpsc::channel(CHUNKS);
    let name = address.name.clone();
    let reader = tokio::task::spawn_blocking(move || state::read(&name, ChunkReader { receiver, chunk: io::Cursor::default() }));
    let forwarded = forward(&mut response, sender, address, settings).await;
    let read = reader.await.map_err(|source| HttpError::Interrupted { address: address.to_string(), source })?;
    // A body that broke off is that, whatever the reader made of its beginning.
    forwarded?;
    read.map_err(|source| HttpError::State { address: address.to_string(), source })
}

async fn get(address: &Address, settings: &Settings) -> Result<Response, HttpError> {
    let client = Client::builder()
        .user_agent(concat!("trueup/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(settings.connect_timeout)
        .timeout(settings.timeout)
        .redirect(redirect::Policy::custom(within_one_host))
        .build()
        .map_err(|source| HttpError::Client { address: address.to_string(), source: source.without_url() })?;
    let mut url = address.url.expose().clone();
    if settings.credentials.is_some() {
        // An error here means that the URL can hold no credentials; then there are none to take out.
        let _ = url.set_username("").and_then(|()| url.set_password(None));
    }
    let mut request = client.get(url).header(reqwest::header::ACCEPT, "application/json");
    if let Some(Credentials { username, password }) = &settings.credentials {
        request = request.basic_auth(username, Some(password.expose()));
    }
    request.send().await.map_err(|source| transport(source, address, settings))
}

/// Credentials and trust belong to scheme, host and port together.
fn within_one_host(attempt: redirect::Attempt<'_>) -> redirect::Action {
    let stays = attempt.previous().first().is_some_and(|first| first.origin() == attempt.url().origin());
    if stays && attempt.previous().len() <= MAX_REDIRECTS { attempt.follow() } else { attempt.stop() }
}

fn judge(response: &Response, address: &Address) -> Result<(), HttpError> {
    let status = response.status();
    let address = address.to_string();
    match status {
        StatusCode::OK => Ok(()),
        StatusCode::NO_CONTENT | StatusCode::NOT_FOUND => Err(HttpError::NoStateYet { address, status }),
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Err(HttpError::Refused { address, status }),
        _ if status.is_redirection() => Err(HttpError::Redirected { address, status, host: redirected_to(response) }),
        _ if status.is_server_error() => Err(HttpError::ServerFails { address, status }),
        _ => Err(HttpError::Unexpected { address, status }),
    }
}

fn redirected_to(response: &Response) -> Option<String> {
    let location = response.headers().get(reqwest::header::LOCATION)?.to_str().ok()?;
    response.url().join(location).ok()?.host_str().map(str::to_owned)
}

/// Hands the body over chunk by chunk; ends early, and well, where the reader has seen enough to refuse it.
async fn forward(
    response: &mut Response,
    sender: mpsc::Sender<io::Result<Vec<u8>>>,
    address: &Address,
    settings: &Settings,
) -> Result<(), HttpError> {
    let mut room = settings.max_bytes;
    loop {
        let failure = match response.chunk().await {
            Ok(None) => return Ok(()),
            Ok(Some(chunk)) => match room.checked_sub(chunk.len() as u64) {
                Some(left) => {
                    room = left;
                    if sender.send(Ok(chunk.into())).await.is_err() {
                        return Ok(());
                    }
                    continue;
                }
                None => HttpError::TooLarge { address: address.to_string(), cap: settings.max_bytes },
            },
            Err(source) => transport(source, address, settings),
        };
        // The reader must not take the end of the channel for the end of the document. If it is gone, it does not.
        let _ = sender.send(Err(io::ErrorKind::ConnectionAborted.into())).await;
        return Err(failure);
    }
}

fn transport(source: reqwest::Error, address: &Address, settings: &Settings) -> HttpError {
    let source = source.without_url();
    let address = address.to_string();
    if source.is_timeout() {
        let after = if source.is_connect() { settings.connect_timeout } else { settings.timeout };
        return HttpError::TimedOut { address, after };
    }
    HttpError::Transport { address, source }
}

/// An error and what is behind it: the cause alone says what happened.
fn chain(error: &reqwest::Error) -> String {
    let mut text = error.to_string();
    let mut next = std::error::Error::source(error);
    while let Some(error) = next {
        text = format!("{text}: {error}");
        next = error.source();
    }
    text
}

fn to(host: Option<&str>) -> String {
    host.map_or_else(String::new, |host| format!(" to `{host}`"))
}

impl FromStr for Address {
    type Err = HttpError;

    fn from_str(text: &str) -> Result<Self, HttpError> {
        let url: Url = text.parse().map_err(|_| HttpError::NotAnAddress)?;
        if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
            return Err(HttpError::NotAnAddress);
        }
        let name = format!("{}{}", url.origin().ascii_serialization(), url.path());
        Ok(Self { url: Secret::new(url), name })
    }
}

/// Without credentials and query, which may be a token.
impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

/// The blocking end of the channel that the body comes through.
struct ChunkReader {
    receiver: mpsc::Receiver<io::Result<Vec<u8>>>,
    chunk: io::Cursor<Vec<u8>>,
}

impl Read for ChunkReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let length = self.chunk.read(buffer)?;
            if length > 0 || buffer.is_empty() {
                return Ok(length);
            }
            match self.receiver.blocking_recv() {
                Some(chunk) => self.chunk = io::Cursor::new(chunk?),
                None => return Ok(0),
            }
        }
    }
}
