//! What is rendered before it is read, and by which program.

use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::de::value::MapAccessDeserializer;
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use toml::Spanned;
use trueup_core::quantity::Quantity;

use super::file::{duration, not_a_duration};

/// A path in the source, and what makes manifests of it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ManifestPath {
    /// A folder or a file.
    pub path: String,
    /// The rendering; `None` where its files are the manifests.
    pub rendering: Option<Rendering>,
}

/// What makes manifests of a folder.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rendering {
    /// The folder is a kustomization.
    Kustomize,
    /// The folder is a chart.
    Helm(Chart),
}

/// How a chart is rendered.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Chart {
    /// The release's name.
    pub release: String,
    /// The release's namespace, where its objects are that name none.
    pub namespace: String,
    /// Files of values in the source, the last one wins.
    pub values: Vec<String>,
}

/// The programs that render.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RenderSettings {
    /// `kustomize build`, or `kubectl kustomize`.
    pub kustomize: Program,
    /// `helm template`.
    pub helm: Program,
    /// Where programs are looked for that are not named: `PATH`.
    pub search: OsString,
}

/// One program.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Program {
    /// Where it is; looked for in `PATH` where absent.
    pub path: Option<PathBuf>,
    /// The SHA-256 of its file in hexadecimal: another file is not run.
    pub sha256: Option<String>,
    /// How long it may take; a minute where absent.
    pub timeout: Option<Duration>,
    /// How many bytes of memory it may hold; 1 GiB where absent.
    pub memory: Option<u64>,
}

impl Rendering {
    /// `kustomize`, `helm`.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Kustomize => "kustomize",
            Self::Helm(_) => "helm",
        }
    }
}

/// `render = "…"`.
#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum RendererName {
    Kustomize,
    Helm,
}

/// A path: text alone, or a table.
pub(super) struct PathEntry {
    path: String,
    table: Option<PathTable>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PathTable {
    path: String,
    render: Option<RendererName>,
    release: Option<String>,
    namespace: Option<String>,
    values: Option<Vec<String>>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
pub(super) struct RenderEntry {
    #[serde(default)]
    kustomize: ProgramEntry,
    #[serde(default)]
    helm: ProgramEntry,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct ProgramEntry {
    program: Option<PathBuf>,
    sha256: Option<Spanned<String>>,
    timeout: Option<Spanned<String>>,
    memory: Option<Spanned<String>>,
}

impl<'de> Deserialize<'de> for PathEntry {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Entry;
        impl<'de> Visitor<'de> for Entry {
            type Value = PathEntry;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a path, or a table as { path = \"overlays/prod\", render = \"kustomize\" }")
            }

            fn visit_str<E>(self, text: &str) -> Result<PathEntry, E> {
                Ok(PathEntry { path: text.to_owned(), table: None })
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<PathEntry, A::Error> {
                let table = PathTable::deserialize(MapAccessDeserializer::new(map))?;
                Ok(PathEntry { path: table.path.clone(), table: Some(table) })
            }
        }
        deserializer.deserialize_any(Entry)
    }
}

impl PathEntry {
    /// The path with its rendering; `default` is the target's own.
    ///
    /// # Errors
    /// What does not belong to this rendering.
    pub(super) fn checked(self, default: Option<RendererName>) -> Result<ManifestPath, String> {
        let Self { path, table } = self;
        let render = table.as_ref().and_then(|table| table.render).or(default);
        let (release, namespace, values) =
            table.map_or((None, None, None), |table| (table.release, table.namespace, table.values));
        let given = [("release", release.is_some()), ("namespace", namespace.is_some()), ("values", values.is_some())];
        let rendering = match render {
            Some(RendererName::Helm) => Some(Rendering::Helm(Chart {
                release: release.unwrap_or_else(|| path.trim_end_matches('/').rsplit('/').next().unwrap_or_default().to_owned()),
                namespace: namespace.unwrap_or_else(|| "default".to_owned()),
                values: values.unwrap_or_default(),
            })),
            Some(RendererName::Kustomize) | None => {
                if let Some((key, _)) = given.iter().find(|(_, given)| *given) {
                    return Err(format!("path `{path}`: `{key}` belongs to render = \"helm\""));
                }
                render.map(|_| Rendering::Kustomize)
            }
        };
        if let Some(Rendering::Helm(chart)) = &rendering {
            let is_name = |name: &str| {
                let bytes = name.as_bytes();
                let inner = bytes.iter().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || *byte == b'-');
                inner && !bytes.is_empty() && bytes.len() <= 53 && !name.starts_with('-') && !name.ends_with('-')
            };
            for (key, name) in [("release", &chart.release), ("namespace", &chart.namespace)] {
                if !is_name(name) {
                    return Err(format!(
                        "path `{path}`: `{name}` cannot be the {key}; set {key} = \"…\" to lower-case letters, digits and `-`"
                    ));
                }
            }
        }
        Ok(ManifestPath { path, rendering })
    }
}

impl RenderEntry {
    /// # Errors
    /// Where in the file, and what is wrong.
    pub(super) fn settings(self, folder: &Path, search: Option<String>) -> Result<RenderSettings, (usize, String)> {
        Ok(RenderSettings {
            kustomize: self.kustomize.checked(folder)?,
            helm: self.helm.checked(folder)?,
            search: search.unwrap_or_default().into(),
        })
    }
}

impl ProgramEntry {
    fn checked(self, folder: &Path) -> Result<Program, (usize, String)> {
        if let Some(sha256) = &self.sha256 {
            let text = sha256.get_ref();
            if text.len() != 64 || !text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')) {
                let message = format!("`{text}` is no SHA-256: `sha256sum` prints one, 64 digits in lower case");
                return Err((sha256.span().start, message));
            }
        }
        let timeout = self.timeout.map(|timeout| {
            let seconds = duration(timeout.get_ref()).filter(|timeout| !timeout.is_zero());
            seconds.ok_or_else(|| (timeout.span().start, not_a_duration(timeout.get_ref())))
        });
        let memory = self.memory.map(|memory| {
            let bytes = Quantity::parse(memory.get_ref()).and_then(|quantity| quantity.whole()).filter(|bytes| *bytes > 0);
            let wrong = || {
                format!("`{}` is no amount of memory: write a quantity of bytes, as in \"512Mi\" or \"2Gi\"", memory.get_ref())
            };
            bytes.ok_or_else(|| (memory.span().start, wrong()))
        });
        // A name alone is looked for in PATH.
        let is_name = |program: &PathBuf| program.components().count() == 1;
        let path = self.program.map(|program| if is_name(&program) { program } else { folder.join(program) });
        let sha256 = self.sha256.map(Spanned::into_inner);
        Ok(Program { path, sha256, timeout: timeout.transpose()?, memory: memory.transpose()? })
    }
}
