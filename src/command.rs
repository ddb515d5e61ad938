//! One function a command: what it prints, and how it ends.

mod audit;
mod check;
mod diff;
mod render;
mod runs;
mod sync;
mod undo;

pub(crate) use diff::{diff_once, show};
pub(crate) use sync::sync;

use std::io::{IsTerminal, Write};
use std::process::ExitCode;

use clap::CommandFactory;

use crate::cli::{Audit, Cli, Color, Command, Global, Output};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::visible::visible_lines;
use crate::{daemon, demo, doctor, explain, init, session, stop, watch};

/// Runs one command to its exit code; a failure is one message on stderr.
#[must_use]
pub fn run(cli: Cli) -> ExitCode {
    choose_colour(cli.global.color);
    log_to_stderr(&cli.global, &cli.command);
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return fail(&Failure::usage(error)),
    };
    let ended = runtime.block_on(dispatch(cli));
    // What still runs is a read that nobody waits for.
    runtime.shutdown_background();
    match ended {
        Ok(exit) => exit.into(),
        Err(failure) => fail(&failure),
    }
}

fn fail(failure: &Failure) -> ExitCode {
    complain(failure);
    failure.exit.into()
}

/// One message on stderr.
pub(crate) fn complain(failure: &Failure) {
    let style = anstyle::AnsiColor::Red.on_default().bold();
    anstream::eprintln!("{style}error:{style:#} {}", visible_lines(&failure.to_string()));
}

async fn dispatch(cli: Cli) -> Result<Exit, Failure> {
    let Cli { global, command } = cli;
    only_known_forms(&command, global.output)?;
    match command {
        Command::Init { dir } => init(&dir),
        Command::Check => check::check(&global).await,
        Command::Render => render::render(&session::open(&global)?, global.output).await,
        Command::Diff { watch: true } => watch::watch(&session::open(&global)?, output(&global)).await,
        Command::Diff { watch: false } => diff::diff(&session::open(&global)?, output(&global)).await,
        Command::Explain { what, path } => explain::explain(&session::open(&global)?, &what, path.as_deref()).await,
        Command::Sync { dry_run, only } => {
            let session = session::open(&global)?;
            let report = if dry_run {
                sync::preview(&session, &only).await?
            } else {
                let stop = stop::on_signal().map_err(Failure::usage)?;
                sync(&session, &only, &stop).await?
            };
            show(&report, output(&global))?;
            Ok(report.exit())
        }
        Command::Runs { id } => runs::runs(&session::open(&global)?, id.as_deref(), output(&global)).await,
        Command::Undo { run } => undo::undo(&session::open(&global)?, &run, output(&global)).await,
        Command::Audit { command: Audit::Verify } => audit::verify(&session::open(&global)?, output(&global)).await,
        Command::Run { listen } => {
            let session = session::open(&global)?;
            let stop = stop::on_signal().map_err(Failure::usage)?;
            let round = || sync(&session, &[], &stop);
            daemon::run(session.settings.run, listen, stop.clone(), round).await?;
            Ok(Exit::True)
        }
        Command::Doctor => doctor::doctor(&session::open(&global)?, output(&global)).await,
        Command::Demo { dir } => demo::demo(dir.as_deref()).await,
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "trueup", &mut script);
            print(&String::from_utf8_lossy(&script))
        }
        Command::Man => {
            let mut page = Vec::new();
            clap_mangen::Man::new(Cli::command()).render(&mut page).map_err(Failure::usage)?;
            print(&String::from_utf8_lossy(&page))
        }
    }
}

fn output(global: &Global) -> Output {
    global.output.unwrap_or(Output::Text)
}

/// Refuses a form that a command does not have, before anything is done.
fn only_known_forms(command: &Command, output: Option<Output>) -> Result<(), Failure> {
    let known: &[Output] = match command {
        Command::Render => &[Output::Yaml, Output::Json],
        Command::Check
        | Command::Diff { .. }
        | Command::Sync { .. }
        | Command::Runs { .. }
        | Command::Undo { .. }
        | Command::Audit { .. }
        | Command::Doctor => &[Output::Text, Output::Json],
        Command::Init { .. }
        | Command::Explain { .. }
        | Command::Run { .. }
        | Command::Demo { .. }
        | Command::Completions { .. }
        | Command::Man => &[Output::Text],
    };
    let Some(asked) = output.filter(|asked| !known.contains(asked)) else { return Ok(()) };
    let known: Vec<String> = known.iter().map(|form| format!("`{}`", form.name())).collect();
    let message = format!("this command has no form `{}`: use {}", asked.name(), known.join(" or "));
    Err(Failure::usage(anyhow::anyhow!(message)))
}

pub(crate) fn no_yaml() -> Failure {
    Failure::usage(anyhow::anyhow!("this command has no form `yaml`: use `text` or `json`"))
}

/// Prints a result; a closed pipe is the reader's way to say that it has enough.
///
/// # Errors
/// When stdout cannot be written for another reason.
pub fn print(text: &str) -> Result<Exit, Failure> {
    let mut out = anstream::stdout();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Ok(()) => Ok(Exit::True),
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(Exit::True),
        Err(error) => Err(Failure::usage(anyhow::Error::new(error).context("cannot write the result"))),
    }
}

fn init(dir: &std::path::Path) -> Result<Exit, Failure> {
    let written = init::write(dir, &init::TEMPLATES).map_err(Failure::usage)?;
    let mut text = String::new();
    for file in &written {
        match file {
            init::Written::Created(path) => text.push_str(&format!("wrote {}\n", path.display())),
            init::Written::Kept(path) => text.push_str(&format!("kept  {} (it exists)\n", path.display())),
        }
    }
    text.push_str("\nnext: set your cluster's context in trueup.toml, put your manifests into manifests/, then\n");
    text.push_str("  trueup check                # without any server\n  git add -A && git commit    # trueup reads commits\n  trueup diff\n");
    print(&text)
}

fn choose_colour(color: Color) {
    match color {
        Color::Auto => {}
        Color::Always => anstream::ColorChoice::Always.write_global(),
        Color::Never => anstream::ColorChoice::Never.write_global(),
    }
}

/// Logs to stderr: warnings, or what `-q`, `-v` or `TRUEUP_LOG` ask for; of the loop also what it does. As JSON with
/// `TRUEUP_LOG_FORMAT=json`; without times where a person waits for the end.
fn log_to_stderr(global: &Global, command: &Command) {
    use tracing_subscriber::EnvFilter;
    let in_loop = matches!(command, Command::Run { .. });
    let default = match (global.quiet, global.verbose) {
        (true, _) => "error",
        // Its own text tells what was escalated.
        (false, 0) if matches!(command, Command::Demo { .. }) => "error",
        (false, 0) if in_loop => "warn,trueup=info",
        (false, 0) => "warn",
        (false, 1) => "info,trueup=debug",
        (false, _) => "debug,hyper=info,h2=info,rustls=info",
    };
    let filter = EnvFilter::try_from_env("TRUEUP_LOG").unwrap_or_else(|_| EnvFilter::new(default));
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    if std::env::var("TRUEUP_LOG_FORMAT").is_ok_and(|format| format == "json") {
        return builder.json().flatten_event(true).init();
    }
    let colours = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    let builder = builder.compact().with_ansi(colours && global.color != Color::Never).with_target(false);
    if in_loop { builder.init() } else { builder.without_time().init() }
}
