//! Manifests made by another program from a folder of Git: `kustomize build` or `helm template`.
//!
//! The program gets a folder of its own with the files of the pinned revision, written from the object store, and sees
//! nothing else of us: no environment, no credentials, no PATH. It gets no network as far as that can be held from outside:
//! what a kustomization names must be in the source, and the only proxy that it is told of does not answer.

mod kustomization;
mod program;
pub mod uses;

use std::fs;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use serde::Serialize;
use trueup_core::facts::{Desired, Origin, Problem};
use trueup_core::positions::Positions;
use trueup_core::seen::hex;
use trueup_core::shared::Shared;
use trueup_kubernetes::manifest;

use crate::config::{Chart, ManifestPath, RenderSettings, Rendering};
use crate::source::export::LeftOut;
use crate::source::{self, Pinned};
use program::{Output, Runnable};

/// Folders that a killed process left behind are removed after this long.
const ABANDONED: Duration = Duration::from_hours(1);

/// What a program made of one path.
#[derive(Debug, Clone)]
pub struct Rendered {
    /// What was rendered, by what, to which bytes.
    pub record: Record,
    /// The objects.
    pub objects: Vec<Shared<Desired>>,
    /// What of it is no manifest.
    pub problems: Vec<Problem>,
}

/// What was rendered, for reports and the ledger.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Record {
    /// The path in the source.
    pub path: String,
    /// `kustomize` or `helm`.
    pub with: &'static str,
    /// The program's file.
    pub program: String,
    /// The SHA-256 of what it printed.
    pub sha256: String,
}

impl Record {
    /// Whether a file belongs to what was rendered.
    #[must_use]
    pub fn has(&self, file: &str) -> bool {
        covers(&self.path, file)
    }

    /// What a finding's reasons say of it, and with them the ledger.
    #[must_use]
    pub fn reason(&self) -> String {
        format!("`{}` was rendered by {} (`{}`), output sha256:{}", self.path, self.with, self.program, self.sha256)
    }
}

/// Whether a file stands at or below a path.
#[must_use]
pub fn covers(path: &str, file: &str) -> bool {
    let path = path.trim_start_matches("./").trim_end_matches('/');
    matches!(path, "" | ".") || file.strip_prefix(path).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Renders one path of the pinned revision. Blocks until the program has ended, at most as long as its deadline.
///
/// # Errors
/// The problem that blinds the target.
pub fn render(pinned: &Pinned, path: &ManifestPath, programs: &RenderSettings, workshop: &Path) -> Result<Rendered, Problem> {
    Bench::open(pinned, path, programs, workshop)?.render()
}

/// A private folder with the files of the pinned revision, to render a path from, as often as need be.
pub struct Bench {
    path: ManifestPath,
    folder: Workshop,
    left_out: Vec<LeftOut>,
    runnable: Runnable,
}

impl Bench {
    /// Writes the files.
    ///
    /// # Errors
    /// The problem that blinds the target.
    pub fn open(pinned: &Pinned, path: &ManifestPath, programs: &RenderSettings, workshop: &Path) -> Result<Self, Problem> {
        let Some(rendering) = &path.rendering else {
            return Err(fail(path, "render-failed", "nothing is to be rendered there"));
        };
        let wanted = match rendering {
            Rendering::Kustomize => Runnable::kustomize(programs),
            Rendering::Helm(_) => Runnable::helm(programs),
        };
        let runnable = wanted.map_err(|error| fail(path, "renderer-missing", &error.to_string()))?;
        let folder =
            Workshop::open(workshop).map_err(|error| fail(path, "render-failed", &format!("no folder to work in: {error}")))?;
        let left_out = source::export(pinned, &folder.tree()).map_err(|error| fail(path, "render-failed", &error.to_string()))?;
        Ok(Self { path: path.clone(), folder, left_out, runnable })
    }

    /// The folder with the source's files.
    #[must_use]
    pub fn tree(&self) -> PathBuf {
        self.folder.tree()
    }

    /// What the files as they are now render to.
    ///
    /// # Errors
    /// The problem that blinds the target.
    pub fn render(&self) -> Result<Rendered, Problem> {
        self.render_path(&self.path)
    }

    /// What another path of the same files renders to by the same program.
    ///
    /// # Errors
    /// The problem that blinds the target.
    pub fn render_path(&self, path: &ManifestPath) -> Result<Rendered, Problem> {
        let Some(rendering) = &path.rendering else {
            return Err(fail(path, "render-failed", "nothing is to be rendered there"));
        };
        let (place, arguments) = match rendering {
            Rendering::Kustomize => of_kustomization(path, &self.folder, &self.left_out)?,
            Rendering::Helm(chart) => of_chart(path, chart, &self.folder, &self.left_out)?,
        };
        let output = self.runnable.run(&arguments, &self.folder.tree(), &self.folder.home());
        let output = output.map_err(|error| fail(path, "render-failed", &format!("{error}{}", named(&self.left_out))))?;
        Ok(read(path, rendering, &place, &output, &self.runnable))
    }
}

/// The kustomization's file, and what the program is told.
fn of_kustomization(path: &ManifestPath, folder: &Workshop, left_out: &[LeftOut]) -> Result<(String, Vec<String>), Problem> {
    refuse_left_out(path, left_out)?;
    let found = kustomization::check(&folder.tree(), &path.path, left_out);
    let file = found.map_err(|refused| Problem::blind("render-refused", refused.message, Some(refused.origin)))?;
    Ok((file, vec![format!("./{}", path.path)]))
}

/// The chart's file, and what the program is told.
fn of_chart(
    path: &ManifestPath,
    chart: &Chart,
    folder: &Workshop,
    left_out: &[LeftOut],
) -> Result<(String, Vec<String>), Problem> {
    refuse_left_out(path, left_out)?;
    let inside =
        source::name::normalise(&path.path).ok_or_else(|| fail(path, "render-failed", "the path leads out of the source"))?;
    let file = [inside.join("/"), "Chart.yaml".to_owned()].join("/");
    if !folder.tree().join(&file).is_file() {
        return Err(fail(path, "render-failed", &format!("there is no chart: `{file}` is not in the source")));
    }
    let mut arguments: Vec<String> =
        ["template", &chart.release, &format!("./{}", path.path), "--namespace", &chart.namespace].map(str::to_owned).into();
    arguments.extend(["--include-crds", "--no-hooks"].map(str::to_owned));
    for values in &chart.values {
        // Helm would fetch a URL.
        let inside = source::name::normalise(values).filter(|inside| folder.tree().join(inside.join("/")).is_file());
        if inside.is_none() {
            return Err(fail(path, "render-failed", &format!("the values file `{values}` is not in the source")));
        }
        arguments.extend(["--values".to_owned(), format!("./{values}")]);
    }
    Ok((file, arguments))
}

/// What is no plain file below the path might have changed the outcome in silence.
fn refuse_left_out(path: &ManifestPath, left_out: &[LeftOut]) -> Result<(), Problem> {
    let below = format!("{}/", path.path.trim_matches('/').trim_start_matches("./"));
    let inside = |left: &&LeftOut| left.path == path.path || left.path.starts_with(&below) || path.path == ".";
    match left_out.iter().find(inside) {
        Some(left) => Err(fail(path, "render-refused", &format!("`{}` is not written for the program: {}", left.path, left.why))),
        None => Ok(()),
    }
}

/// What the program did not get, where that may be why it failed.
fn named(left_out: &[LeftOut]) -> String {
    match left_out {
        [] => String::new(),
        [first, rest @ ..] => {
            let more = if rest.is_empty() { String::new() } else { format!(", nor {} more", rest.len()) };
            format!("; it did not get `{}` ({}){more}", first.path, first.why)
        }
    }
}

fn fail(path: &ManifestPath, code: &'static str, why: &str) -> Problem {
    let with = path.rendering.as_ref().map_or("nothing", Rendering::name);
    let message = format!("`{}` cannot be rendered by {with}: {why}", path.path);
    Problem::blind(code, message, Some(Origin::rendered(&path.path, 1)))
}

/// The program's output as manifests. Where each object stands in Git is known for charts by Helm's own comments, and for
/// kustomizations not at all: then it is the kustomization.
fn read(path: &ManifestPath, rendering: &Rendering, place: &str, output: &Output, runnable: &Runnable) -> Rendered {
    let (mut objects, problems) = manifest::read(place, &output.bytes);
    for object in &mut objects {
        let start = object.positions.get("").map_or(0, |position| position.start);
        let file = match rendering {
            Rendering::Kustomize => None,
            Rendering::Helm(_) => template_of(&output.bytes[..start], &path.path),
        };
        object.origin = Origin::rendered(file.as_deref().unwrap_or(place), object.origin.document);
        // They are places in the output, which nobody has.
        object.positions = Positions::default();
        if let Rendering::Helm(chart) = rendering {
            object.id.namespace.get_or_insert_with(|| chart.namespace.clone());
        }
    }
    let told = |problem: Problem| {
        let line = problem.origin.as_ref().map_or(0, |origin| origin.line);
        let document = problem.origin.as_ref().map_or(1, |origin| origin.document);
        let message = format!("line {line} of what {} printed: {}", rendering.name(), problem.message);
        Problem { message, origin: Some(Origin::rendered(place, document)), ..problem }
    };
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &output.bytes);
    let record = Record {
        path: path.path.clone(),
        with: rendering.name(),
        program: runnable.file().display().to_string(),
        sha256: hex(digest.as_ref()),
    };
    let objects = objects.into_iter().map(Shared::from).collect();
    Rendered { record, objects, problems: problems.into_iter().map(told).collect() }
}

/// The template's file, from Helm's comment above a document: `# Source: CHART/templates/web.yaml`.
fn template_of(before: &[u8], chart: &str) -> Option<String> {
    let text = String::from_utf8_lossy(before);
    let document = text.rsplit("\n---").next()?;
    let source = document.lines().rev().find_map(|line| line.strip_prefix("# Source: "))?;
    let (_, inside) = source.split_once('/')?;
    Some(format!("{}/{inside}", chart.trim_end_matches('/')))
}

/// A private folder, gone when this is dropped: the source's files in one part, the program's home in the other.
struct Workshop {
    path: PathBuf,
}

impl Workshop {
    fn open(workshop: &Path) -> std::io::Result<Self> {
        let private = |path: &Path| fs::DirBuilder::new().recursive(true).mode(0o700).create(path);
        private(workshop)?;
        clear(workshop);
        let folder = Self { path: workshop.join(ulid::Ulid::generate().to_string()) };
        private(&folder.tree())?;
        private(&folder.home())?;
        Ok(folder)
    }

    fn tree(&self) -> PathBuf {
        self.path.join("tree")
    }

    fn home(&self) -> PathBuf {
        self.path.join("home")
    }
}

impl Drop for Workshop {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.path) {
            tracing::warn!(%error, folder = %self.path.display(), "a folder that was rendered from is left behind");
        }
    }
}

/// Removes what processes left behind that were killed.
fn clear(workshop: &Path) {
    let entries = fs::read_dir(workshop).into_iter().flatten().filter_map(Result::ok);
    for entry in entries {
        let age = entry.metadata().and_then(|data| data.modified()).map(|time| SystemTime::now().duration_since(time));
        if matches!(age, Ok(Ok(age)) if age > ABANDONED) {
            fs::remove_dir_all(entry.path()).unwrap_or_else(|error| tracing::debug!(%error, "still in use"));
        }
    }
}
