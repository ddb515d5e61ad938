//! One run of a program: found and checked, with bounds on time and output, and with nothing of ours.

use std::ffi::OsStr;
use std::fs;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use trueup_core::seen::hex;

use crate::config::{Program, RenderSettings};
use crate::visible::visible;

/// How long a program may take, where nothing else is said.
const DEADLINE: Duration = Duration::from_mins(1);

/// How many bytes of memory it may hold, where nothing else is said.
const MEMORY: u64 = 1 << 30;

/// How much it may print: what is read as one file of manifests.
const LARGEST: usize = trueup_kubernetes::manifest::SIZE_LIMIT;

/// How much of what it complains about is kept.
const COMPLAINT: usize = 2000;

/// The proxy that it is told of: nothing can be there.
const NO_PROXY_ANSWERS: &str = "http://127.0.0.1:0";

/// A program that was found and is the one that was meant.
#[derive(Debug)]
pub(super) struct Runnable {
    file: PathBuf,
    first: Option<&'static str>,
    deadline: Duration,
    memory: u64,
}

/// What a program printed.
#[derive(Debug)]
pub(super) struct Output {
    pub(super) bytes: Vec<u8>,
}

/// Why there is no program to run.
#[derive(Debug, thiserror::Error)]
pub(super) enum ProgramError {
    #[error("no `{names}` in PATH; install it, or name it: [render.{table}] program = \"/…\"")]
    NotFound { names: String, table: &'static str },
    #[error("`{file}` is no program that can be run; check [render.{table}] program")]
    NotRunnable { file: String, table: &'static str },
    #[error("`{file}` cannot be read to check its SHA-256: {source}")]
    Unreadable { file: String, source: std::io::Error },
    #[error("`{file}` has the SHA-256 {found}, and [render.{table}] allows {wanted}: it is not run")]
    Another { file: String, table: &'static str, found: String, wanted: String },
}

/// Why a run gave nothing.
#[derive(Debug, thiserror::Error)]
pub(super) enum RunError {
    #[error("`{file}` cannot be started: {source}")]
    Start { file: String, source: std::io::Error },
    #[error("the memory of `{file}` cannot be bounded, so it was stopped: {source}")]
    Bound { file: String, source: std::io::Error },
    #[error("`{file}` ended with {status}: {complaint}")]
    Failed { file: String, status: String, complaint: String },
    #[error("`{file}` did not end within {seconds} s: {complaint}")]
    TooLong { file: String, seconds: u64, complaint: String },
    #[error("`{file}` printed more than {LARGEST} bytes; render smaller parts")]
    TooMuch { file: String },
}

impl Runnable {
    /// `kustomize build`, or `kubectl kustomize`.
    pub(super) fn kustomize(settings: &RenderSettings) -> Result<Self, ProgramError> {
        let file = find(&settings.kustomize, &["kustomize", "kubectl"], &settings.search, "kustomize")?;
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        let first = if name.starts_with("kubectl") { "kustomize" } else { "build" };
        Ok(Self::bounded(file, Some(first), &settings.kustomize))
    }

    /// `helm`.
    pub(super) fn helm(settings: &RenderSettings) -> Result<Self, ProgramError> {
        let file = find(&settings.helm, &["helm"], &settings.search, "helm")?;
        Ok(Self::bounded(file, None, &settings.helm))
    }

    fn bounded(file: PathBuf, first: Option<&'static str>, settings: &Program) -> Self {
        let (deadline, memory) = (settings.timeout.unwrap_or(DEADLINE), settings.memory.unwrap_or(MEMORY));
        Self { file, first, deadline, memory }
    }

    pub(super) fn file(&self) -> &Path {
        &self.file
    }

    /// Runs it in `folder`, with `home` as the place for whatever it keeps.
    pub(super) fn run(&self, arguments: &[String], folder: &Path, home: &Path) -> Result<Output, RunError> {
        let mut command = Command::new(&self.file);
        command.args(self.first).args(arguments).current_dir(folder).env_clear().env("HOME", home).env("TMPDIR", home);
        for name in ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"] {
            command.env(name, NO_PROXY_ANSWERS);
        }
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let name = || self.file.display().to_string();
        let mut child = command.spawn().map_err(|source| RunError::Start { file: name(), source })?;
        if let Err(source) = bound_memory(&child, self.memory) {
            stop(&mut child);
            return Err(RunError::Bound { file: name(), source });
        }
        let end = Instant::now() + self.deadline;
        let printed = listen(child.stdout.take(), LARGEST + 1);
        let complained = listen(child.stderr.take(), COMPLAINT);
        let bytes = printed.recv_timeout(self.deadline).ok().filter(|bytes| bytes.len() <= LARGEST);
        let (ended, bytes) = match bytes {
            Some(bytes) => (wait(&mut child, end), bytes),
            None if Instant::now() < end => {
                stop(&mut child);
                return Err(RunError::TooMuch { file: name() });
            }
            None => (None, Vec::new()),
        };
        if ended.is_none() {
            stop(&mut child);
        }
        let complaint = complained.recv_timeout(Duration::from_secs(1)).unwrap_or_default();
        let complaint = visible(String::from_utf8_lossy(&complaint).trim());
        match ended {
            Some(status) if status.success() => Ok(Output { bytes }),
            Some(status) => Err(RunError::Failed { file: name(), status: status.to_string(), complaint }),
            None => Err(RunError::TooLong { file: name(), seconds: self.deadline.as_secs(), complaint }),
        }
    }
}

/// All that comes, or its first part; what is beyond is thrown away, so that the writer is not held up.
fn listen(stream: Option<impl Read + Send + 'static>, most: usize) -> mpsc::Receiver<Vec<u8>> {
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        let Some(mut stream) = stream else { return };
        let mut bytes = Vec::new();
        // What was read before an error is what there is.
        let _read = stream.by_ref().take(most as u64).read_to_end(&mut bytes);
        // Nobody may listen any more.
        let _sent = sender.send(bytes);
        let _rest = std::io::copy(&mut stream, &mut std::io::sink());
    });
    receiver
}

/// What a program and its children allocate beyond this fails. It has hardly begun: a program needs longer to start than this
/// call to happen.
#[cfg(target_os = "linux")]
fn bound_memory(child: &Child, bytes: u64) -> std::io::Result<()> {
    use rustix::process::{Pid, Resource, Rlimit, prlimit};
    let limit = Rlimit { current: Some(bytes), maximum: Some(bytes) };
    match prlimit(Some(Pid::from_child(child)), Resource::Data, limit) {
        // It has ended already.
        Ok(_) | Err(rustix::io::Errno::SRCH) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Only Linux bounds another process.
#[cfg(not(target_os = "linux"))]
fn bound_memory(_child: &Child, _bytes: u64) -> std::io::Result<()> {
    Ok(())
}

fn wait(child: &mut Child, end: Instant) -> Option<std::process::ExitStatus> {
    loop {
        match child.try_wait() {
            Ok(Some(status)) => return Some(status),
            Ok(None) if Instant::now() < end => std::thread::sleep(Duration::from_millis(2)),
            Ok(None) | Err(_) => return None,
        }
    }
}

fn stop(child: &mut Child) {
    // It may have ended by itself.
    let _killed = child.kill();
    let _waited = child.wait();
}

fn find(program: &Program, names: &[&str], search: &OsStr, table: &'static str) -> Result<PathBuf, ProgramError> {
    let file = match &program.path {
        Some(path) if path.components().count() > 1 => path.clone(),
        Some(name) => in_path(&[name.as_os_str()], search)
            .ok_or_else(|| ProgramError::NotFound { names: name.display().to_string(), table })?,
        None => in_path(&names.iter().map(OsStr::new).collect::<Vec<_>>(), search)
            .ok_or_else(|| ProgramError::NotFound { names: names.join("` or `"), table })?,
    };
    let shown = || file.display().to_string();
    if !is_program(&file) {
        return Err(ProgramError::NotRunnable { file: shown(), table });
    }
    if let Some(wanted) = &program.sha256 {
        let bytes = fs::read(&file).map_err(|source| ProgramError::Unreadable { file: shown(), source })?;
        let found = hex(aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &bytes).as_ref());
        if found != *wanted {
            return Err(ProgramError::Another { file: shown(), table, found, wanted: wanted.clone() });
        }
    }
    Ok(file)
}

/// The first of these names that is a program, name by name through all folders.
fn in_path(names: &[&OsStr], search: &OsStr) -> Option<PathBuf> {
    // Relative folders of PATH would be looked for in whatever folder this is.
    let folders: Vec<PathBuf> = std::env::split_paths(search).filter(|folder| folder.is_absolute()).collect();
    names.iter().flat_map(|name| folders.iter().map(move |folder| folder.join(name))).find(|file| is_program(file))
}

fn is_program(file: &Path) -> bool {
    fs::metadata(file).is_ok_and(|data| data.is_file() && data.permissions().mode() & 0o111 != 0)
}
