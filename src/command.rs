//! One function a command: what it prints, and how it ends.

mod approve;
mod audit;
mod check;
mod diff;
mod hold;
mod lease;
mod log;
mod policy;
mod render;
mod replay;
mod resume;
mod runs;
mod sync;
mod undo;

pub(crate) use diff::{diff_once, show, terminal_width};
pub(crate) use sync::sync;

use std::io::Write;
use std::process::ExitCode;
use std::thread;
use std::time::Duration;

use clap::CommandFactory;

use crate::cli::{Audit, Cli, Command, Global, Output, PolicyCommand};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::visible::visible_lines;
use crate::{daemon, demo, doctor, explain, import, init, session, stop, watch};

/// Runs one command to its exit code; a failure is one message on stderr.
#[must_use]
pub fn run(cli: Cli) -> ExitCode {
    log::choose_colour(cli.global.color);
    log::to_stderr(&cli.global, &cli.command);
    // The thread that waits for the command works, too.
    let workers = thread::available_parallelism().map_or(1, |cores| cores.get().saturating_sub(1).max(1));
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    // What a thread that has read a file has given back, others can use only once it has ended.
    runtime.worker_threads(workers).thread_keep_alive(Duration::ZERO);
    let runtime = match runtime.enable_all().build() {
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
        Command::Init { dir } => init::init(&dir),
        Command::Check => check::check(&global).await,
        Command::Render => render::render(&session::open(&global)?, global.output).await,
        Command::Diff { watch: true, .. } => watch::watch(&session::open(&global)?.lasting(), output(&global)).await,
        Command::Diff { all_paths: Some(object), .. } => {
            diff::all_paths(&session::open(&global)?, &object, output(&global)).await
        }
        Command::Diff { .. } => diff::diff(&session::open(&global)?, output(&global)).await,
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
        Command::Replay { run, policy } => {
            let policy = if policy.is_empty() { None } else { Some(policy::read(&global, &policy).await?) };
            replay::replay(&session::open(&global)?, &run, policy.as_ref(), output(&global)).await
        }
        Command::Undo { run } => undo::undo(&session::open(&global)?, &run, output(&global)).await,
        Command::Approve(asked) => approve::approve(&session::open(&global)?, &asked, output(&global)).await,
        Command::Deny(asked) => approve::deny(&session::open(&global)?, &asked, output(&global)).await,
        Command::Lease { command } => lease::lease(&session::open(&global)?, &command, output(&global)).await,
        Command::Hold(asked) => hold::hold(&global, &session::open(&global)?, &asked, output(&global)).await,
        Command::Resume(asked) => resume::resume(&global, &session::open(&global)?, &asked, output(&global)).await,
        Command::Audit { command } => {
            let session = session::open(&global)?;
            match command {
                Audit::Verify { head } => audit::verify(&session, head.as_deref(), output(&global)).await,
                Audit::Head => audit::head(&session, output(&global)).await,
                Audit::Query(query) => audit::query(&session, &query, output(&global)).await,
            }
        }
        Command::Policy { command: PolicyCommand::Import { files } } => import::import(&files),
        Command::Policy { command: PolicyCommand::Test { files } } => policy::test(&global, &files, output(&global)).await,
        Command::Policy { command: PolicyCommand::List { files } } => policy::list(&global, &files, output(&global)).await,
        Command::Run { listen } => {
            let session = session::open(&global)?.lasting();
            let stop = stop::on_signal().map_err(Failure::usage)?;
            let round = || sync(&session, &[], &stop);
            Box::pin(daemon::run(session.settings.run, listen, stop.clone(), round)).await?;
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
        Command::Policy { command: PolicyCommand::List { .. } } => &[Output::Text, Output::Json, Output::Markdown],
        Command::Audit { command: Audit::Query(_) } => &[Output::Text, Output::Json, Output::Csv],
        Command::Check
        | Command::Diff { .. }
        | Command::Sync { .. }
        | Command::Runs { .. }
        | Command::Undo { .. }
        | Command::Replay { .. }
        | Command::Approve(_)
        | Command::Deny(_)
        | Command::Lease { .. }
        | Command::Hold(_)
        | Command::Resume(_)
        | Command::Audit { .. }
        | Command::Policy { command: PolicyCommand::Test { .. } }
        | Command::Doctor => &[Output::Text, Output::Json],
        Command::Init { .. }
        | Command::Explain { .. }
        | Command::Policy { command: PolicyCommand::Import { .. } }
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

/// A form that [`only_known_forms`] let pass by mistake.
pub(crate) fn no_form(asked: Output) -> Failure {
    Failure::usage(anyhow::anyhow!("this command has no form `{}`: use `text` or `json`", asked.name()))
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
