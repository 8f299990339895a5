//! `run`: the node.

use std::io;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use clap::Args;
use posemesh_node_core::config::{Config, SettingSource};
use posemesh_node_core::node::Node;
use posemesh_node_core::shutdown::{EarlySignals, Shutdown, Signals};
use posemesh_node_core::telemetry::{self, LogFormat, tell_start_error};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde_json::{Map, Value};
use tokio::time::timeout;

use crate::output::tell;
use crate::settings::SettingsArgs;
use crate::systemd;

/// How long a service manager may take to hear that the node stops.
const TOLD_WITHIN: Duration = Duration::from_secs(1);

#[derive(Debug, Args)]
pub(crate) struct RunArgs {
    #[command(flatten)]
    settings: SettingsArgs,
}

/// Runs the node until a signal or an operator ends it. `unprotected` is what the process lacks of its protection.
///
/// # Errors
/// When the node can't be started, or its identity is rejected for good.
pub(crate) async fn run(
    args: RunArgs,
    early: io::Result<EarlySignals>,
    unprotected: Vec<String>,
) -> Result<ExitCode> {
    // Before everything else: a signal must not wait for the start.
    let signals = early.and_then(Signals::install).context("installing signal handlers")?;
    let shutdown = Shutdown::new();
    let _listening = signals.pass_on(&shutdown);
    // Until there is a log: panics are told in its form.
    telemetry::tell_panics(early_format(&args.settings));
    let (config, misspelt) = match args.settings.config() {
        Ok(read) => read,
        Err(error) => {
            match early_format(&args.settings) {
                LogFormat::Text => tell!("{error:#}"),
                LogFormat::Json => tell_start_error(LogFormat::Json, &format!("{error:#}"), Map::new()),
            }
            return Ok(ExitCode::from(2));
        }
    };
    let mut log = telemetry::init(&config.log)?;
    log.tell("posemesh-node starts", about(&config));
    misspelt.iter().for_each(|variable| tracing::warn!("{variable}"));
    unprotected.iter().chain(config.warnings()).for_each(|warning| tracing::warn!("{warning}"));
    raise_open_file_limit();
    let stop_told = systemd::tell(&shutdown, config.shutdown_grace());
    let _alive_told = systemd::tell_alive();
    let ended = tokio::select! {
        biased;
        () = shutdown.killed().cancelled() => return Ok(ExitCode::FAILURE),
        ended = start_and_run(config, args.settings, &shutdown) => ended,
    };
    log.send_traces().await;
    if shutdown.stopping().is_cancelled() {
        // A node without work ends before anything else gets to run.
        let _ = timeout(TOLD_WITHIN, stop_told).await;
    }
    Ok(ended.map_or_else(
        |error| {
            // By the log, which can't be held up, and not by `main`, which prints to the same descriptor.
            tracing::error!("{error:#}");
            ExitCode::FAILURE
        },
        |()| ExitCode::SUCCESS,
    ))
}

/// The form of the log before the settings are read, for what goes wrong before.
fn early_format(settings: &SettingsArgs) -> LogFormat {
    let environment = settings.environment().ok();
    let given = environment.as_ref().and_then(|environment| environment.get("LOG_FORMAT"));
    match given {
        Some((format, _)) if format.eq_ignore_ascii_case("text") => LogFormat::Text,
        _ => LogFormat::Json,
    }
}

/// Tells, in the form of the log, why there is no node.
pub(crate) fn tell_error(message: &str) {
    let format = std::env::var("LOG_FORMAT").unwrap_or_default();
    match format.trim().eq_ignore_ascii_case("text") {
        true => tell!("error: {message}"),
        false => tell_start_error(LogFormat::Json, message, Map::new()),
    }
}

/// What the node is: its version and every setting, secrets masked. In text those that somebody has set.
fn about(config: &Config) -> Map<String, Value> {
    let is_text = config.log.format == LogFormat::Text;
    let shown = config.effective().iter().filter(|one| !is_text || one.source != SettingSource::Default);
    let settings: Map<String, Value> =
        shown.map(|setting| (setting.name.to_owned(), setting.value.clone().into())).collect();
    let mut about = Map::from_iter([
        ("version".to_owned(), env!("CARGO_PKG_VERSION").into()),
        ("process".to_owned(), std::process::id().into()),
    ]);
    match is_text {
        true => about.extend(settings),
        false => drop(about.insert("settings".to_owned(), settings.into())),
    }
    about
}

async fn start_and_run(config: Config, settings: SettingsArgs, shutdown: &Shutdown) -> Result<()> {
    let node = tokio::select! {
        node = Node::start(config) => node?,
        () = shutdown.stopping().cancelled() => {
            tracing::info!("stopped by a signal before the node was started");
            return Ok(());
        }
    };
    // As at the start: the same files, and the environment of this process, which stays what it was.
    let settings = match settings.environment() {
        Ok(environment) => settings.found_for(&environment),
        Err(_) => settings,
    };
    let read = move || settings.config().map(|(config, _)| config).map_err(|error| format!("{error:#}"));
    let node = node.reloaded_by(Arc::new(read));
    systemd::ready();
    node.run(shutdown).await?;
    Ok(())
}

/// Raises the limit on open files to the maximum that the system allows: each task has connections and files
/// of its own, for which the common default of 1024 is too low.
fn raise_open_file_limit() {
    let allowed = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: allowed.maximum, maximum: allowed.maximum };
    if let Err(error) = setrlimit(Resource::Nofile, raised) {
        tracing::warn!(%error, current = allowed.current, "the limit on open files could not be raised");
    }
}
