//! The command line: flags as typed, nothing looked up yet.

pub mod people;

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use jiff::Timestamp;

/// Keeps what runs true to what Git says, and knows when not to touch it.
#[derive(Debug, Parser)]
#[command(name = "trueup", version, propagate_version = true, max_term_width = 110)]
#[command(
    after_help = "Exit codes: 0 true · 1 drift, or a gate not passed · 2 configuration or usage · 3 not enough could be seen to judge.\n\
    Start with `trueup demo`, or with `trueup init` in a repository."
)]
pub struct Cli {
    /// Flags of every command.
    #[command(flatten)]
    pub global: Global,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// Flags of every command.
#[derive(Debug, Args)]
#[command(next_help_heading = "Options of every command")]
pub struct Global {
    /// The configuration [default: trueup.toml here or in a parent folder]
    #[arg(long, global = true, value_name = "FILE", env = "TRUEUP_CONFIG", hide_env_values = true)]
    pub config: Option<PathBuf>,
    /// Only this target (repeatable)
    #[arg(long = "target", global = true, value_name = "NAME", env = "TRUEUP_TARGET", hide_env_values = true)]
    pub targets: Vec<String>,
    /// The kubeconfig context for targets that name none
    #[arg(long, global = true, value_name = "NAME", env = "TRUEUP_CONTEXT", hide_env_values = true)]
    pub context: Option<String>,
    /// Another revision than the source's ref
    #[arg(long, global = true, value_name = "REV", conflicts_with = "work_tree")]
    pub commit: Option<String>,
    /// The files as they are on disk, marked dirty
    #[arg(long, global = true)]
    pub work_tree: bool,
    /// The form of the result on stdout: text, json, yaml, markdown or csv
    #[arg(short, long, global = true, value_enum, value_name = "FORM", hide_possible_values = true)]
    pub output: Option<Output>,
    /// Colours: auto (on a terminal, unless `NO_COLOR` is set), always or never
    #[arg(long, global = true, value_enum, default_value_t = Color::Auto, value_name = "WHEN")]
    #[arg(hide_possible_values = true, hide_default_value = true, env = "TRUEUP_COLOR", hide_env_values = true)]
    pub color: Color,
    /// Say less on stderr
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub quiet: bool,
    /// Say more on stderr (repeat for more)
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub verbose: u8,
}

/// The form of a result.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// For people.
    Text,
    /// For programs.
    Json,
    /// Manifests (`render` alone).
    Yaml,
    /// A table (`policy list` alone).
    Markdown,
    /// For spreadsheets (`audit query` alone).
    Csv,
}

impl Output {
    /// As it is typed.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Json => "json",
            Self::Yaml => "yaml",
            Self::Markdown => "markdown",
            Self::Csv => "csv",
        }
    }
}

/// Whether to colour text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Color {
    /// On a terminal, unless `NO_COLOR` is set.
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Write a first configuration, policy, manifest and CI workflow; change no file that exists
    Init {
        /// Where
        #[arg(default_value = ".")]
        dir: PathBuf,
    },
    /// Check config, policies, manifests and expectations without any server
    Check,
    /// Print what Git declares, as trueup reads it
    Render,
    /// Show what differs from Git
    Diff {
        /// Show it again after each save (with --work-tree) or new commit
        #[arg(long, conflicts_with = "all_paths")]
        watch: bool,
        /// Show one object whole: each path, and why it is a finding or none
        #[arg(long, value_name = "KIND/NAME")]
        all_paths: Option<String>,
    },
    /// Say why something is a finding, or why it is not
    Explain {
        /// A finding's id, or KIND/NAME or KIND/NAMESPACE/NAME
        what: String,
        /// A path in that object, a finding or not, as in `data.LOG_LEVEL`
        path: Option<String>,
    },
    /// One round: correct, propose and escalate as the policy allows
    Sync {
        /// Decide everything, write nothing
        #[arg(long)]
        dry_run: bool,
        /// Only this finding (repeatable)
        #[arg(long, value_name = "ID")]
        only: Vec<String>,
    },
    /// List what was done, or show one run
    Runs {
        /// A run's id
        id: Option<String>,
    },
    /// Put back what a run changed, and hold the path
    Undo {
        /// The run's id
        run: String,
    },
    /// Decide again by what a run was decided by, and compare
    Replay {
        /// The run's id
        run: String,
        /// Files of another policy to decide by (repeatable)
        #[arg(long, value_name = "FILE")]
        policy: Vec<PathBuf>,
    },
    /// Want Git's value back for a finding, whatever its class's stage
    Approve(people::Approve),
    /// Leave a finding as it is, until live or Git moves
    Deny(people::Deny),
    /// Let a live value stay until a time
    Lease {
        /// What to do with leases
        #[command(subcommand)]
        command: people::Lease,
    },
    /// Write and propose nothing: everywhere, in a target, for an object or at a finding
    Hold(people::Hold),
    /// Let go on what was stopped: by a hold, an undo, a fight, a lost ledger or a rewritten history
    Resume(people::Resume),
    /// Check the ledger, or search it
    Audit {
        /// What to do with it
        #[command(subcommand)]
        command: Audit,
    },
    /// Work with policies
    Policy {
        /// What to do with them
        #[command(subcommand)]
        command: PolicyCommand,
    },
    /// Rounds on a schedule, until told to stop
    Run {
        /// Where to answer /healthz, /readyz and /metrics
        #[arg(long, value_name = "ADDRESS", env = "TRUEUP_LISTEN", default_value = "127.0.0.1:9464")]
        listen: SocketAddr,
    },
    /// Say what trueup can reach and may do, and what is missing
    Doctor,
    /// Make a small world without any server and show diff and sync in it
    Demo {
        /// A new or empty folder [default: trueup-demo]
        dir: Option<PathBuf>,
    },
    /// Print a shell's completions
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
    /// Print the manual page
    Man,
}

/// What to do with the ledger.
#[derive(Debug, Subcommand)]
pub enum Audit {
    /// Check the hash chain and its signed head; name the first record that breaks it
    Verify {
        /// A head that was kept elsewhere: what `audit head` printed, or a file with it
        #[arg(long, value_name = "FILE|TEXT")]
        head: Option<String>,
    },
    /// Print the signed head, for keeping elsewhere
    Head,
    /// Search the records
    Query(Query),
}

/// Which records; all of it must hold.
#[derive(Debug, Default, Args)]
pub struct Query {
    /// From this time on, as in 2026-11-21T02:14:07Z
    #[arg(long, value_name = "TIME")]
    pub since: Option<Timestamp>,
    /// Before this time
    #[arg(long, value_name = "TIME")]
    pub until: Option<Timestamp>,
    /// About this object: KIND/NAME, KIND/NAMESPACE/NAME or output/NAME
    #[arg(long, value_name = "KIND/NAME")]
    pub object: Option<String>,
    /// Allowed by this class
    #[arg(long, value_name = "NAME")]
    pub class: Option<String>,
    /// Recorded by this instance, or of what this person did
    #[arg(long, value_name = "NAME")]
    pub actor: Option<String>,
    /// Of this run
    #[arg(long, value_name = "ID")]
    pub run: Option<String>,
}

/// What to do with policies.
#[derive(Debug, Subcommand)]
pub enum PolicyCommand {
    /// Run the cases of a policy; name the classes that have none
    ///
    /// A file of cases stands beside a policy: `drift.cases.toml` beside `drift.toml`. Exit code 1 where a case does not
    /// hold, or a class at stage auto has none.
    Test {
        /// Policy files, with their cases beside them [default: the policy of trueup.toml, as it is on disk]
        #[arg(value_name = "FILE")]
        files: Vec<PathBuf>,
    },
    /// List every class with what it means, its lane, stage, limits and cases
    List {
        /// Policy files [default: the policy of trueup.toml, as it is on disk]
        #[arg(value_name = "FILE")]
        files: Vec<PathBuf>,
    },
    /// Print the ignore rules of Argo CD and Flux as a policy; name what cannot be said in one
    ///
    /// Reads Argo CD's Applications and its ConfigMap argocd-cm, Flux's Helm releases and Kustomizations, and Flux's
    /// annotations on any manifest.
    Import {
        /// YAML files
        #[arg(required = true, value_name = "FILE")]
        files: Vec<PathBuf>,
    },
}
