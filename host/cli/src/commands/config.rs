//! `config`: the settings that `run` would use, with secrets masked, and the documents about all settings and metrics.
//!
//! What `check` prints can be given to `--env-file` again, or to `--config` with `--toml`: each value as it is read, and in
//! comments what is no input.

use std::process::ExitCode;

use clap::{Args, Subcommand};
use posemesh_node_core::config::{Config, Setting, SettingSource};
use posemesh_node_core::node::metrics_reference;
use posemesh_plugin_host::sandbox::{self, SandboxMode};
use posemesh_text::one_line;

use crate::output::{self, out, tell};
use crate::runtime;
use crate::settings::SettingsArgs;

/// How much of a path is shown, in bytes.
const SHOWN_BYTES: usize = 400;

#[derive(Debug, Subcommand)]
pub(crate) enum ConfigCommand {
    /// Print every setting with its value, secrets masked; exit with 2 if one is wrong or missing, or can't work here.
    ///
    /// The output is a file for --env-file, or with --toml for --config: what it has as a comment is a secret, or stands
    /// for nothing. Above the settings stands where they come from. `doctor` looks further: at servers, machine and
    /// runners.
    Check(CheckArgs),
    /// Print docs/configuration.md: every setting with its default, what is allowed and what it means.
    #[command(hide = true)]
    Markdown,
    /// Print docs/metrics.md: every metric with its type, its labels and its meaning.
    #[command(hide = true)]
    Metrics,
}

#[derive(Debug, Args)]
pub(crate) struct CheckArgs {
    /// Print a settings file, as posemesh-node.toml is one, instead of lines of NAME=value.
    #[arg(long)]
    toml: bool,
    #[command(flatten)]
    settings: SettingsArgs,
}

pub(crate) fn run(command: ConfigCommand) -> ExitCode {
    match command {
        ConfigCommand::Check(args) => check(&args),
        ConfigCommand::Markdown => {
            output::raw(Config::reference().as_bytes());
            ExitCode::SUCCESS
        }
        ConfigCommand::Metrics => {
            output::raw(metrics_reference().as_bytes());
            ExitCode::SUCCESS
        }
    }
}

/// Prints the settings, or what is wrong with them.
fn check(args: &CheckArgs) -> ExitCode {
    match args.settings.config() {
        Ok((config, misspelt)) => {
            misspelt.iter().for_each(|variable| tell!("warning: {variable}"));
            config.warnings().iter().for_each(|warning| tell!("warning: {warning}"));
            print_settings(&config, args.toml);
            for note in config.notes() {
                out!("# {note}");
            }
            let obstacles = config.obstacles();
            obstacles.iter().for_each(|obstacle| tell!("error: {obstacle}"));
            match (check_sandbox(&config), obstacles.is_empty()) {
                (code, true) => code,
                (_, false) => ExitCode::from(2),
            }
        }
        Err(error) => {
            tell!("{error:#}");
            ExitCode::from(2)
        }
    }
}

/// By where they come from, what was set first.
fn print_settings(config: &Config, toml: bool) {
    let settings = config.effective();
    let mut sources: Vec<_> = settings.iter().map(|setting| setting.source).collect();
    sources.sort_unstable();
    sources.dedup();
    for source in sources {
        print_source(config, source);
        for setting in settings.iter().filter(|setting| setting.source == source) {
            let Setting { name, value, .. } = setting;
            // The pair of quotes that a value has itself would be taken off.
            let quote = if value.starts_with(['"', '\'']) { "\"" } else { "" };
            let comment = if setting.is_input { "" } else { "# " };
            match toml {
                true => out!("{comment}{}", setting.as_toml()),
                false => out!("{comment}{name}={quote}{value}{quote}"),
            }
        }
    }
}

fn print_source(config: &Config, source: SettingSource) {
    match config.file_of(source) {
        Some(path) => out!("# {source} {}", one_line(path.display(), SHOWN_BYTES)),
        None => out!("# {source}"),
    }
}

/// Says what this system lacks to keep runners in processes of their own.
fn check_sandbox(config: &Config) -> ExitCode {
    let settings = config.sandbox().clone();
    let checked = runtime::block_on(async {
        let mode = settings.mode;
        let missing = sandbox::check(settings).await?;
        match missing.as_slice() {
            _ if mode == SandboxMode::Off => out!("# sandbox: off, runners share the node's process"),
            [] => out!("# sandbox: complete: processes of their own, landlock, seccomp"),
            missing => {
                out!("# sandbox: runners are in processes of their own; missing: {}", missing.join("; "))
            }
        }
        Ok(ExitCode::SUCCESS)
    });
    checked.unwrap_or_else(|error| {
        tell!("{error:#}");
        ExitCode::from(2)
    })
}
