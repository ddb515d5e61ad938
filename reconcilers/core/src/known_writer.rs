//! Programs that write by right into objects which people declare: what each may write, and what none may.

use serde::Deserialize;

use crate::path::{Path, PathError, Segment};

/// One program, and one value that it writes by right where Git declares none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownWriter {
    /// Its field managers, exactly.
    pub managers: Vec<String>,
    /// The subresource that it goes through; `None` for the object itself.
    pub subresource: Option<String>,
    /// The object's API group; empty for the core group.
    pub group: String,
    /// The object's kind.
    pub kind: String,
    /// What it writes; `*` in an entry's merge key is any text.
    pub path: Path,
    /// What it may write there.
    pub value: ValueForm,
    /// Why, for `explain`.
    pub reason: String,
}

/// What a value looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ValueForm {
    /// Anything.
    #[default]
    Any,
    /// A whole number, also in quotes.
    Number,
    /// A time as in RFC 3339.
    Time,
}

/// Why there can be no such known writer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KnownWriterError {
    /// It leaves open who or what.
    #[error("a known writer names one `kind` and each `manager` exactly: `{0}` does not")]
    Vague(String),
    /// Its path is none.
    #[error(transparent)]
    Path(PathError),
    /// A key of its path is a pattern.
    #[error(
        "`{path}` leaves open which key is meant: a known writer names each key exactly; `*` is for list entries, as in `[name=*]`"
    )]
    Open {
        /// The path.
        path: String,
    },
    /// It would excuse what is never excused.
    #[error("`{path}` of `{kind}` is never excused: it decides what runs, with which rights, or who reaches it")]
    Protected {
        /// The kind.
        kind: String,
        /// The path.
        path: String,
    },
}

/// A known writer as it is written in TOML.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KnownWriterText {
    manager: Managers,
    subresource: Option<String>,
    #[serde(default)]
    group: String,
    kind: String,
    path: String,
    #[serde(default)]
    value: ValueForm,
    reason: String,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
enum Managers {
    One(String),
    Many(Vec<String>),
}

impl TryFrom<KnownWriterText> for KnownWriter {
    type Error = KnownWriterError;

    fn try_from(text: KnownWriterText) -> Result<Self, KnownWriterError> {
        let managers = match text.manager {
            Managers::One(manager) => vec![manager],
            Managers::Many(managers) => managers,
        };
        let is_vague = |name: &&String| name.is_empty() || name.contains('*');
        if let Some(name) = managers.iter().chain([&text.kind]).find(is_vague) {
            return Err(KnownWriterError::Vague(name.clone()));
        }
        let path: Path = text.path.parse().map_err(KnownWriterError::Path)?;
        if path.0.iter().any(|segment| matches!(segment, Segment::Key(key) if key.contains('*'))) {
            return Err(KnownWriterError::Open { path: text.path });
        }
        if is_protected(&text.group, &text.kind, &path) {
            return Err(KnownWriterError::Protected { kind: text.kind, path: path.to_string() });
        }
        let (subresource, group, kind) = (text.subresource, text.group, text.kind);
        Ok(Self { managers, subresource, group, kind, path, value: text.value, reason: text.reason })
    }
}

/// Where a pod is described.
const PODS: [&[&str]; 4] =
    [&["spec"], &["spec", "template", "spec"], &["spec", "jobTemplate", "spec", "template", "spec"], &["template", "spec"]];

/// What decides what runs and with which rights, wherever it stands.
const PROTECTED: [&str; 9] = [
    "containers",
    "initContainers",
    "ephemeralContainers",
    "securityContext",
    "hostNetwork",
    "hostPID",
    "hostIPC",
    "serviceAccountName",
    "automountServiceAccountToken",
];

/// Whether a path decides what runs, with which rights, or who reaches it.
#[must_use]
pub fn is_protected(group: &str, kind: &str, path: &Path) -> bool {
    let metadata = Path::of_keys(&["metadata"]);
    let inside = |segment: &Segment| matches!(segment, Segment::Key(key) if PROTECTED.contains(&key.as_str()));
    let binds = |segment: &Segment| matches!(segment, Segment::Key(key) if key.starts_with("pod-security.kubernetes.io/"));
    group == "rbac.authorization.k8s.io"
        || kind.ends_with("NetworkPolicy")
        || path.covers(&metadata)
        || PODS.iter().any(|keys| path.covers(&Path::of_keys(keys)))
        || (!metadata.covers(path) && path.0.iter().any(inside))
        || path.0.iter().any(binds)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(group: &str, kind: &str, path: &str) -> bool {
        let text = format!("manager = 'm'\ngroup = '{group}'\nkind = '{kind}'\npath = '{path}'\nreason = 'r'\n");
        KnownWriter::try_from(toml::from_str::<KnownWriterText>(&text).expect("its form")).is_err()
    }

    #[test]
    fn what_decides_what_runs_is_never_excused() {
        for (group, kind, path) in [
            ("apps", "Deployment", "spec"),
            ("apps", "Deployment", "spec.template"),
            ("apps", "Deployment", "spec.template.spec"),
            ("apps", "Deployment", "spec.template.spec.containers[name=app].image"),
            ("apps", "Deployment", "spec.template.spec.initContainers"),
            ("apps", "Deployment", "spec.template.spec.securityContext.runAsUser"),
            ("apps", "Deployment", "spec.template.spec.hostNetwork"),
            ("apps", "Deployment", "spec.template.spec.serviceAccountName"),
            ("apps", "Deployment", "spec.template.spec.*"),
            ("batch", "CronJob", "spec.jobTemplate"),
            ("", "PodTemplate", "template"),
            ("", "Namespace", r#"metadata.labels["pod-security.kubernetes.io/enforce"]"#),
            ("", "Namespace", "metadata"),
            ("", "Namespace", "metadata.labels.*"),
            ("rbac.authorization.k8s.io", "Role", "metadata.labels.x"),
            ("networking.k8s.io", "NetworkPolicy", "spec.ingress"),
            ("policy.networking.k8s.io", "AdminNetworkPolicy", "spec.priority"),
            ("apps", "*", "metadata.labels.x"),
            ("apps", "Deployment", "metadata..x"),
        ] {
            assert!(refused(group, kind, path), "{kind} {path}");
        }
        assert!(!refused("apps", "Deployment", "metadata.labels.x"));
        assert!(!refused("apps", "Deployment", "metadata.annotations.containers"));
        assert!(!refused("apps", "Deployment", "spec.template.metadata.annotations.x"));
        assert!(!refused("", "Service", "spec.ports[port=*].nodePort"));
    }
}
