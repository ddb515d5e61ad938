//! Everything that trueup ever asks of an API server, as a closed list: what is not a `Call` cannot be sent.

use std::fmt;
use std::time::Duration;

use http::{HeaderMap, Method, Request, StatusCode, header};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::time::timeout;

use crate::cluster::Cluster;
use crate::gate::{Pause, back_off};

/// How long one request may take; a slow list of a large cluster takes half of this.
const DEADLINE: Duration = Duration::from_mins(1);
/// Stands for a server's words that may repeat a secret value.
pub(crate) const WITHHELD: &str = "(the server's words are not shown: they may repeat a secret value)";
/// How often a read is tried in all.
const ATTEMPTS: u32 = 4;
/// The first pause between two tries; it doubles each time.
const FIRST_PAUSE: Duration = Duration::from_millis(200);
/// No request waits longer than this; where the server asks for more, it is not sent at all.
const LONGEST_WAIT: Duration = Duration::from_mins(1);

/// One request. There is no create and no apply but a dry run, no update and no delete.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Call<'a> {
    /// Reads.
    Get { path: &'a str },
    /// Reads a list of nothing but its objects' metadata (`meta.k8s.io/v1 PartialObjectMetadataList`).
    ListMetadata { path: &'a str },
    /// Reads `/api` or `/apis` as one aggregated discovery document (KEP-3352).
    Discover { path: &'a str },
    /// Reads an object's metadata alone.
    Metadata { path: &'a str },
    /// Asks what a server-side apply to an object that is there would give, without applying.
    DryRunApply { path: &'a str, body: &'a Value },
    /// Asks what a create would give, without creating.
    DryRunCreate { collection: &'a str, body: &'a Value },
    /// Patches one object (RFC 7386).
    MergePatch { path: &'a str, body: &'a Value, effect: Effect },
}

/// Whether a patch is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// The server says what it would do.
    DryRun,
    /// The server does it.
    Real,
}

impl Call<'_> {
    fn method(&self) -> Method {
        match self {
            Self::Get { .. } | Self::Metadata { .. } | Self::ListMetadata { .. } | Self::Discover { .. } => Method::GET,
            Self::DryRunCreate { .. } => Method::POST,
            Self::DryRunApply { .. } | Self::MergePatch { .. } => Method::PATCH,
        }
    }

    /// Path and query. The one place where `dryRun=All` is added, and the one place that names us as field manager.
    fn target(&self) -> String {
        match self {
            Self::Get { path } | Self::Metadata { path } | Self::ListMetadata { path } | Self::Discover { path } => {
                (*path).to_owned()
            }
            // The values of Git are asked after, whoever owns the fields now.
            Self::DryRunApply { path, .. } => format!("{path}?dryRun=All&fieldManager=trueup&force=true"),
            Self::DryRunCreate { collection, .. } => format!("{collection}?dryRun=All&fieldManager=trueup"),
            Self::MergePatch { path, effect: Effect::DryRun, .. } => format!("{path}?dryRun=All&fieldManager=trueup"),
            Self::MergePatch { path, effect: Effect::Real, .. } => format!("{path}?fieldManager=trueup"),
        }
    }

    fn request(&self, agent: &http::HeaderValue) -> Request<Vec<u8>> {
        let (body, content_type) = match self {
            Self::Get { .. } | Self::Metadata { .. } | Self::ListMetadata { .. } | Self::Discover { .. } => (Vec::new(), None),
            Self::DryRunApply { body, .. } => (body.to_string().into_bytes(), Some("application/apply-patch+yaml")),
            Self::DryRunCreate { body, .. } => (body.to_string().into_bytes(), Some("application/json")),
            Self::MergePatch { body, .. } => (body.to_string().into_bytes(), Some("application/merge-patch+json")),
        };
        let mut request = Request::new(body);
        *request.method_mut() = self.method();
        *request.uri_mut() = self.target().parse().expect("an escaped path is a URI");
        let accept = match self {
            Self::Discover { .. } => "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList",
            Self::Metadata { .. } => "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1",
            Self::ListMetadata { .. } => "application/json;as=PartialObjectListMetadata;g=meta.k8s.io;v=v1",
            Self::Get { .. } | Self::DryRunCreate { .. } | Self::DryRunApply { .. } | Self::MergePatch { .. } => {
                "application/json"
            }
        };
        request.headers_mut().insert(header::ACCEPT, http::HeaderValue::from_static(accept));
        request.headers_mut().insert(header::USER_AGENT, agent.clone());
        if let Some(content_type) = content_type {
            request.headers_mut().insert(header::CONTENT_TYPE, http::HeaderValue::from_static(content_type));
        }
        request
    }
}

impl fmt::Display for Call<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.method(), self.target())
    }
}

/// Why a request gave no answer that can be used.
#[derive(Debug, thiserror::Error)]
pub enum RequestError {
    /// The server answered with an error.
    #[error("the API server refused `{call}`: {refusal}")]
    Refused {
        /// Method and path.
        call: String,
        /// The answer.
        refusal: Box<Refusal>,
    },
    /// The server's certificate is not one to trust.
    #[error("the certificate of `{server}` is not trusted: {reason}; check `certificate-authority` of the context's cluster")]
    Untrusted {
        /// The server's address.
        server: String,
        /// What is wrong with it.
        reason: String,
    },
    /// There are no credentials to send.
    #[error("no credentials for `{server}`; check the context's user in the kubeconfig")]
    Credentials {
        /// The server's address.
        server: String,
        /// What went wrong.
        #[source]
        source: Box<kube::Error>,
    },
    /// There was no connection, or it broke. A write may have happened.
    #[error("`{server}` cannot be reached: {reason}; check the network and the context's `server`")]
    Unreachable {
        /// The server's address.
        server: String,
        /// The innermost cause.
        reason: String,
        /// The whole chain.
        #[source]
        source: Box<kube::Error>,
    },
    /// The server asked to wait for longer than a request does. Nothing was sent.
    #[error("`{server}` asks to wait {} s more: nothing is sent to it before", left.as_secs())]
    AskedToWait {
        /// The server's address.
        server: String,
        /// How long it asks to wait.
        left: Duration,
    },
    /// There was no answer in time. A write may have happened.
    #[error("`{server}` did not answer `{call}` within {} s", DEADLINE.as_secs())]
    TimedOut {
        /// The server's address.
        server: String,
        /// Method and path.
        call: String,
    },
    /// The answer is not what the API promises, or it was cut off. A write has happened.
    #[error("the answer to `{call}` cannot be read: {source}")]
    Unreadable {
        /// Method and path.
        call: String,
        /// Where it broke.
        source: serde_json::Error,
    },
}

impl RequestError {
    /// The server's answer, if it gave one.
    #[must_use]
    pub fn refusal(&self) -> Option<&Refusal> {
        match self {
            Self::Refused { refusal, .. } => Some(refusal),
            _ => None,
        }
    }

    /// The same without the server's words, which may repeat a secret value.
    #[must_use]
    pub(crate) fn without_words(self) -> Self {
        match self {
            Self::Refused { call, refusal } => Self::Refused { call, refusal: Box::new(refusal.without_words()) },
            other => other,
        }
    }

    /// Whether the same read may succeed later.
    fn is_passing(&self) -> bool {
        match self {
            Self::Refused { refusal, .. } => matches!(refusal.code, 429 | 500 | 502 | 503 | 504),
            Self::Unreachable { .. } | Self::Unreadable { .. } => true,
            Self::Untrusted { .. } | Self::Credentials { .. } | Self::AskedToWait { .. } | Self::TimedOut { .. } => false,
        }
    }
}

/// An answer other than success (`metav1.Status`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The HTTP status.
    pub code: u16,
    /// `NotFound`, `Conflict`…; empty where the answer was no `Status`.
    pub reason: String,
    /// The server's words.
    pub message: String,
    /// Which fields are concerned.
    pub causes: Vec<RefusalCause>,
    /// How long to wait, as the server asks.
    pub retry_after: Option<Duration>,
}

/// One field that an answer complains about.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct RefusalCause {
    /// `metadata.uid`
    #[serde(default)]
    pub field: String,
    /// The server's words.
    #[serde(default)]
    pub message: String,
}

impl Refusal {
    /// The same without the server's words, which may repeat a secret value.
    #[must_use]
    pub fn without_words(self) -> Self {
        let withheld = |cause: RefusalCause| RefusalCause { message: WITHHELD.to_owned(), ..cause };
        let fields: Vec<&str> = self.causes.iter().map(|cause| cause.field.as_str()).filter(|field| !field.is_empty()).collect();
        let about = if fields.is_empty() { String::new() } else { format!(" about `{}`", fields.join("`, `")) };
        let reason = if self.reason.is_empty() { String::new() } else { format!("{}{about}: ", self.reason) };
        Self { message: format!("{reason}{WITHHELD}"), causes: self.causes.into_iter().map(withheld).collect(), ..self }
    }

    fn read(status: StatusCode, headers: &HeaderMap, body: &[u8]) -> Self {
        #[derive(Deserialize, Default)]
        struct Status {
            #[serde(default)]
            reason: String,
            #[serde(default)]
            message: String,
            #[serde(default)]
            details: Details,
        }
        #[derive(Deserialize, Default)]
        struct Details {
            #[serde(default)]
            causes: Vec<RefusalCause>,
        }
        let seconds = headers.get(header::RETRY_AFTER).and_then(|value| value.to_str().ok()).and_then(|text| text.parse().ok());
        let told = serde_json::from_slice::<Status>(body).unwrap_or_else(|_| Status {
            message: String::from_utf8_lossy(body).trim().chars().take(300).collect(),
            ..Status::default()
        });
        Self {
            code: status.as_u16(),
            reason: told.reason,
            message: told.message,
            causes: told.details.causes,
            retry_after: seconds.map(Duration::from_secs),
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.message, self.code)
    }
}

/// One segment of a path, or one value of a query, with everything escaped that is not unreserved (RFC 3986, 2.3): what
/// stands in a manifest never becomes another path or a query of its own.
pub(crate) fn escaped(text: &str) -> String {
    let escape = |byte: u8| {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            char::from(byte).to_string()
        } else {
            format!("%{byte:02X}")
        }
    };
    match text {
        // Alone, they would lead upwards.
        "." | ".." => text.replace('.', "%2E"),
        _ => text.bytes().map(escape).collect(),
    }
}

/// An answer that is a success.
#[derive(Debug)]
pub(crate) struct Answer<T> {
    /// What was asked for.
    pub(crate) value: T,
    /// What the server warns of: deprecated versions, unknown fields, policies that only warn.
    pub(crate) warnings: Vec<String>,
}

/// Asks something that changes nothing: tried again where that may help, with growing pauses and as `Retry-After` says.
pub(crate) async fn ask<T: DeserializeOwned>(cluster: &Cluster, call: Call<'_>) -> Result<T, RequestError> {
    let mut attempt = 1;
    loop {
        match send(cluster, call).await {
            Err(error) if attempt < ATTEMPTS && error.is_passing() => {
                tracing::debug!(attempt, %error, "trying again");
                back_off(FIRST_PAUSE, attempt).await;
                attempt += 1;
            }
            answer => return answer.map(|answer| answer.value),
        }
    }
}

/// Sends one request exactly once, after any pause that the server has asked for.
pub(crate) async fn send<T: DeserializeOwned>(cluster: &Cluster, call: Call<'_>) -> Result<Answer<T>, RequestError> {
    let waiting = |left| RequestError::AskedToWait { server: cluster.server().to_owned(), left };
    cluster.gate.pass(LONGEST_WAIT).await.map_err(waiting)?;
    let (status, headers, body) = timeout(DEADLINE, exchange(cluster, call))
        .await
        .map_err(|_| RequestError::TimedOut { server: cluster.server().to_owned(), call: call.to_string() })?
        .map_err(|error| lost(cluster.server(), error))?;
    if !status.is_success() {
        let refusal = Refusal::read(status, &headers, &body);
        if status == StatusCode::TOO_MANY_REQUESTS || refusal.retry_after.is_some() {
            cluster.gate.close(refusal.retry_after.map_or(Pause::Unsaid, Pause::For));
        }
        return Err(RequestError::Refused { call: call.to_string(), refusal: Box::new(refusal) });
    }
    cluster.gate.answered();
    let value = serde_json::from_slice(&body).map_err(|source| RequestError::Unreadable { call: call.to_string(), source })?;
    Ok(Answer { value, warnings: warnings(&headers) })
}

/// The texts of `Warning` headers (`299 - "text"`, RFC 7234, 5.5).
fn warnings(headers: &HeaderMap) -> Vec<String> {
    let text = |value: &http::HeaderValue| {
        let quoted = value.to_str().ok()?.split_once('"')?.1;
        let mut text = String::new();
        let mut rest = quoted.chars();
        while let Some(next) = rest.next().filter(|next| *next != '"') {
            text.push(if next == '\\' { rest.next()? } else { next });
        }
        Some(text)
    };
    headers.get_all(header::WARNING).iter().filter_map(text).collect()
}

async fn exchange(cluster: &Cluster, call: Call<'_>) -> Result<(StatusCode, HeaderMap, Vec<u8>), kube::Error> {
    let response = cluster.client.send(call.request(&cluster.agent).map(kube::client::Body::from)).await?;
    let (head, body) = response.into_parts();
    let body = body.collect_bytes().await?;
    Ok((head.status, head.headers, body.to_vec()))
}

/// Sorts a failed exchange by what to do about it.
fn lost(server: &str, error: kube::Error) -> RequestError {
    let server = server.to_owned();
    if matches!(error, kube::Error::Auth(_)) {
        return RequestError::Credentials { server, source: Box::new(error) };
    }
    let mut innermost: &dyn std::error::Error = &error;
    loop {
        if let Some(tls) = innermost.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref)
            && let Some(rustls::Error::InvalidCertificate(reason)) = tls.downcast_ref::<rustls::Error>()
        {
            return RequestError::Untrusted { server, reason: reason.to_string() };
        }
        match innermost.source() {
            Some(source) => innermost = source,
            None => break,
        }
    }
    RequestError::Unreachable { server, reason: innermost.to_string(), source: Box::new(error) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn every_create_is_a_dry_run() {
        let body = json!({"kind": "ConfigMap"});
        let request = Call::DryRunCreate { collection: "/api/v1/namespaces/a/configmaps", body: &body }
            .request(&http::HeaderValue::from_static("trueup/test"));
        assert_eq!(request.method(), Method::POST);
        assert_eq!(request.uri().query(), Some("dryRun=All&fieldManager=trueup"));
        assert_eq!(request.headers()["user-agent"], "trueup/test");
        let request = Call::DryRunApply { path: "/api/v1/namespaces/a/configmaps/b", body: &body }
            .request(&http::HeaderValue::from_static("trueup/test"));
        assert_eq!(request.method(), Method::PATCH);
        assert_eq!(request.uri().query(), Some("dryRun=All&fieldManager=trueup&force=true"));
        assert_eq!(request.headers()["content-type"], "application/apply-patch+yaml");
    }

    #[test]
    fn a_real_patch_is_the_one_call_with_an_effect() {
        let body = json!({});
        let targets = [Effect::DryRun, Effect::Real].map(|effect| Call::MergePatch { path: "/x", body: &body, effect }.target());
        assert_eq!(targets, ["/x?dryRun=All&fieldManager=trueup", "/x?fieldManager=trueup"]);
    }

    #[test]
    fn refusals_are_read_with_and_without_a_status() {
        let mut headers = HeaderMap::new();
        headers.insert(header::RETRY_AFTER, http::HeaderValue::from_static("3"));
        let busy = Refusal::read(StatusCode::TOO_MANY_REQUESTS, &headers, b"Too many requests, please try again later.\n");
        assert_eq!(busy.to_string(), "Too many requests, please try again later. (429)");
        assert_eq!(busy.retry_after, Some(Duration::from_secs(3)));
        let status =
            json!({"reason": "Invalid", "message": "m", "details": {"causes": [{"field": "metadata.uid", "message": "x"}]}});
        let invalid = Refusal::read(StatusCode::UNPROCESSABLE_ENTITY, &HeaderMap::new(), status.to_string().as_bytes());
        assert_eq!(invalid.causes[0].field, "metadata.uid");
        assert!(!invalid.without_words().to_string().contains('m'.to_string().as_str().repeat(2).as_str()));
    }

    #[test]
    fn what_a_manifest_says_stays_one_segment() {
        assert_eq!(escaped("eyJ2IjoiLyJ9+/=_-"), "eyJ2IjoiLyJ9%2B%2F%3D_-");
        assert_eq!(escaped("a/configmaps?x="), "a%2Fconfigmaps%3Fx%3D");
        assert_eq!(escaped("system:admin"), "system%3Aadmin");
        assert_eq!(escaped(".."), "%2E%2E");
    }

    #[test]
    fn warnings_are_read_without_their_code_and_agent() {
        let mut headers = HeaderMap::new();
        headers.append(
            header::WARNING,
            http::HeaderValue::from_static(r#"299 - "unknown field \"spec.x\"" "Sat, 21 Nov 2026 02:31:40 GMT""#),
        );
        headers.append(header::WARNING, http::HeaderValue::from_static("299 kube-apiserver"));
        headers.append(header::WARNING, http::HeaderValue::from_static(r#"299 - "v1beta1 is deprecated""#));
        assert_eq!(warnings(&headers), [r#"unknown field "spec.x""#, "v1beta1 is deprecated"]);
    }
}
