//! What goes to stderr, and in which colours.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;

use crate::cli::{Color, Command, Global};

pub(super) fn choose_colour(color: Color) {
    match color {
        Color::Auto => {}
        Color::Always => anstream::ColorChoice::Always.write_global(),
        Color::Never => anstream::ColorChoice::Never.write_global(),
    }
}

/// Logs to stderr: warnings, or what `-q`, `-v` or `TRUEUP_LOG` ask for; of the loop also what it does. As JSON with
/// `TRUEUP_LOG_FORMAT=json`; without times where a person waits for the end.
pub(super) fn to_stderr(global: &Global, command: &Command) {
    let in_loop = matches!(command, Command::Run { .. });
    let default = match (global.quiet, global.verbose) {
        (true, _) => "error",
        // Its own text tells what was escalated.
        (false, 0) if matches!(command, Command::Demo { .. }) => "error",
        // What the client says of a server that does not answer, the report says once, with its place.
        (false, 0) if in_loop => "warn,trueup=info,kube_client=off",
        (false, 0) => "warn,kube_client=off",
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
