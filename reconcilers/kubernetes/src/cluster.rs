//! A connection to one cluster, found as kubectl finds it.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use http::HeaderValue;
use k8s_openapi::api::authentication::v1::SelfSubjectReview;
use kube::Api;
use kube::api::PostParams;
use kube::config::{Config, KubeConfigOptions, Kubeconfig, KubeconfigError};
use serde::Deserialize;

use crate::gate::{Gate, Pauses};
use crate::request::{Call, RequestError, ask};
use crate::rescan::Memory;

/// What a server calls whoever shows it no credentials.
const ANONYMOUS: &str = "system:anonymous";

/// How long a connection may take to come up.
const CONNECT_DEADLINE: Duration = Duration::from_secs(10);

/// What is waited where the server has too much to do and does not say for how long.
const PAUSES: Pauses = Pauses { first: Duration::from_secs(1), longest: Duration::from_secs(30) };

/// A connection to an API server. Clones share it; all connections to one server share the pause that it asked for.
#[derive(Clone)]
pub struct Cluster {
    pub(crate) client: kube::Client,
    pub(crate) agent: HeaderValue,
    /// Shut while the server asks to wait: for all requests to it, not only the one that was refused.
    pub(crate) gate: Arc<Gate>,
    /// What was seen of it before; without one, each look is a first one.
    pub(crate) memory: Option<Memory>,
    server: String,
    default_namespace: String,
}

/// Why there is no connection to a cluster.
#[derive(Debug, thiserror::Error)]
pub enum ClusterError {
    /// The kubeconfig cannot be read.
    #[error("the kubeconfig cannot be read: {source}; check KUBECONFIG, or ~/.kube/config")]
    Kubeconfig {
        /// What is wrong.
        source: Box<KubeconfigError>,
    },
    /// The kubeconfig has no such context.
    #[error("there is no context `{context}` in the kubeconfig; there are: {}", list(.known))]
    NoContext {
        /// The one asked for.
        context: String,
        /// Those that are there.
        known: Vec<String>,
    },
    /// No context was asked for, and the kubeconfig names none as current.
    #[error("the kubeconfig has no current context; give one with `--context`; there are: {}", list(.known))]
    NoCurrentContext {
        /// Those that are there.
        known: Vec<String>,
    },
    /// There is neither a kubeconfig nor a service account.
    #[error("there is no cluster to talk to: no kubeconfig (KUBECONFIG, ~/.kube/config), and not inside a cluster")]
    Nowhere {
        /// Why not inside a cluster.
        source: kube::config::InClusterError,
    },
    /// The connection cannot be set up.
    #[error("the connection to `{server}` cannot be set up: {source}; check the context's cluster and user")]
    Setup {
        /// The server's address.
        server: String,
        /// What is wrong.
        source: Box<kube::Error>,
    },
    /// The server does not say who we are.
    #[error("`{server}` does not say who we are: {source}; check the context's user")]
    Who {
        /// The server's address.
        server: String,
        /// What it answered.
        source: Box<kube::Error>,
    },
    /// A name that is no header value.
    #[error("`{agent}` cannot be sent as User-Agent; use printable ASCII")]
    Agent {
        /// The name.
        agent: String,
    },
    /// The server does not know who we are.
    #[error("`{server}` does not accept our credentials (401); log in again, or check the context's user")]
    Unauthorized {
        /// The server's address.
        server: String,
    },
    /// The server takes us for nobody.
    #[error("`{server}` takes us for `{name}`, which is nobody; log in, or check the context's user")]
    Nobody {
        /// The server's address.
        server: String,
        /// What it calls us.
        name: String,
    },
    /// The first request failed.
    #[error("the cluster's {subject} cannot be read")]
    Read {
        /// What was asked for.
        subject: &'static str,
        /// What went wrong.
        #[source]
        source: RequestError,
    },
}

impl Cluster {
    /// The server's address.
    #[must_use]
    pub fn server(&self) -> &str {
        &self.server
    }

    /// Where objects live whose manifest names no namespace: the context's namespace, or `default`.
    #[must_use]
    pub fn default_namespace(&self) -> &str {
        &self.default_namespace
    }

    /// The same connection, with what earlier ones have seen of this cluster.
    #[must_use]
    pub fn remembering(self, memory: Memory) -> Self {
        Self { memory: Some(memory), ..self }
    }

    /// The same connection under another User-Agent (`trueup/0.1.0 run/01J…`), which the server's audit log shows.
    ///
    /// # Errors
    /// If `agent` cannot be sent.
    pub fn named(&self, agent: &str) -> Result<Self, ClusterError> {
        Ok(Self { agent: header(agent)?, ..self.clone() })
    }
}

/// Connects as kubectl would: by the kubeconfig (`KUBECONFIG`, else `~/.kube/config`) with `context` (else its current one),
/// and where there is no kubeconfig, by the service account of the pod. Sends nothing yet.
///
/// # Errors
/// If there is no usable configuration.
pub async fn connect(context: Option<&str>, agent: &str) -> Result<Cluster, ClusterError> {
    match Kubeconfig::read() {
        Ok(kubeconfig) => connect_with(config(kubeconfig, context).await?, agent),
        Err(error) if context.is_none() && is_absent(&error) => {
            connect_with(Config::incluster().map_err(|source| ClusterError::Nowhere { source })?, agent)
        }
        Err(source) => Err(ClusterError::Kubeconfig { source: Box::new(source) }),
    }
}

/// Connects by this kubeconfig alone.
///
/// # Errors
/// If it is not usable.
pub async fn connect_by(kubeconfig: &Path, context: Option<&str>, agent: &str) -> Result<Cluster, ClusterError> {
    let kubeconfig = Kubeconfig::read_from(kubeconfig).map_err(|source| ClusterError::Kubeconfig { source: Box::new(source) })?;
    connect_with(config(kubeconfig, context).await?, agent)
}

fn connect_with(mut config: Config, agent: &str) -> Result<Cluster, ClusterError> {
    let agent = header(agent)?;
    config.connect_timeout = Some(CONNECT_DEADLINE);
    // kube would send a PATCH again after a 503 or 504, when the first one may have been carried out.
    config.default_retry = false;
    let (server, default_namespace) = (config.cluster_url.to_string(), config.default_namespace.clone());
    match kube::Client::try_from(config) {
        Ok(client) => {
            let gate = Gate::of(&server, PAUSES);
            Ok(Cluster { client, agent, gate, memory: None, server, default_namespace })
        }
        Err(source) => Err(ClusterError::Setup { server, source: Box::new(source) }),
    }
}

/// What a cluster is known by: the UID of its namespace `kube-system`.
///
/// # Errors
/// If it cannot be read.
pub async fn identity(cluster: &Cluster) -> Result<String, ClusterError> {
    #[derive(Deserialize)]
    struct Namespace {
        metadata: Metadata,
    }
    #[derive(Deserialize)]
    struct Metadata {
        uid: String,
    }
    let call = Call::Get { path: "/api/v1/namespaces/kube-system" };
    let namespace: Namespace = ask(cluster, call).await.map_err(|error| unread(cluster, "identity", error))?;
    Ok(namespace.metadata.uid)
}

/// Who we are to the server, by the credentials that are shown to it: a user name (`SelfSubjectReview`).
///
/// # Errors
/// If it does not say, or takes us for nobody.
pub async fn who(cluster: &Cluster) -> Result<String, ClusterError> {
    let reviews: Api<SelfSubjectReview> = Api::all(cluster.client.clone());
    let asked = reviews.create(&PostParams::default(), &SelfSubjectReview::default()).await;
    let server = || cluster.server().to_owned();
    let answer = asked.map_err(|source| ClusterError::Who { server: server(), source: Box::new(source) })?;
    let name = answer.status.and_then(|status| status.user_info?.username).unwrap_or_default();
    if name.is_empty() || name == ANONYMOUS {
        return Err(ClusterError::Nobody { server: server(), name });
    }
    Ok(name)
}

/// The server's version: `v1.36.3`.
///
/// # Errors
/// If it cannot be read.
pub async fn version(cluster: &Cluster) -> Result<String, ClusterError> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Version {
        git_version: String,
    }
    let version: Version =
        ask(cluster, Call::Get { path: "/version" }).await.map_err(|error| unread(cluster, "version", error))?;
    Ok(version.git_version)
}

fn header(agent: &str) -> Result<HeaderValue, ClusterError> {
    HeaderValue::from_str(agent).map_err(|_| ClusterError::Agent { agent: agent.to_owned() })
}

fn unread(cluster: &Cluster, subject: &'static str, source: RequestError) -> ClusterError {
    match source.refusal() {
        Some(refusal) if refusal.code == 401 => ClusterError::Unauthorized { server: cluster.server().to_owned() },
        _ => ClusterError::Read { subject, source },
    }
}

async fn config(kubeconfig: Kubeconfig, context: Option<&str>) -> Result<Config, ClusterError> {
    let known: Vec<String> = kubeconfig.contexts.iter().map(|context| context.name.clone()).collect();
    let options = KubeConfigOptions { context: context.map(str::to_owned), ..KubeConfigOptions::default() };
    Config::from_custom_kubeconfig(kubeconfig, &options).await.map_err(|error| match error {
        KubeconfigError::LoadContext(context) => ClusterError::NoContext { context, known },
        KubeconfigError::CurrentContextNotSet => ClusterError::NoCurrentContext { known },
        source => ClusterError::Kubeconfig { source: Box::new(source) },
    })
}

fn is_absent(error: &KubeconfigError) -> bool {
    match error {
        KubeconfigError::FindPath => true,
        KubeconfigError::ReadConfig(source, _) => source.kind() == io::ErrorKind::NotFound,
        _ => false,
    }
}

fn list(names: &[String]) -> String {
    if names.is_empty() { "none".to_owned() } else { names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ") }
}
