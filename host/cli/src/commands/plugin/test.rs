//! `plugin test`: a runner's test cases.

mod junit;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context as _, Result};
use clap::Args;
use posemesh_runner_cases::case;
use posemesh_text::escaped;

use crate::commands::plugin::cases::{HowToRun, run_all, sum_up};
use crate::output::tell;
use crate::runner_loading::load;
use crate::settings::SettingsArgs;

#[derive(Debug, Args)]
pub(crate) struct TestArgs {
    /// The component.
    #[arg(value_name = "FILE")]
    component: PathBuf,
    /// Folders of cases, or single cases.
    #[arg(value_name = "CASES", required = true)]
    cases: Vec<PathBuf>,
    /// Only cases whose name contains this.
    #[arg(long, value_name = "TEXT")]
    filter: Option<String>,
    /// How many cases run at a time.
    #[arg(long, value_name = "NUMBER", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=64))]
    jobs: u64,
    /// Write what each run has shown into its `expected/`; look at the difference before you keep it.
    #[arg(long)]
    update: bool,
    /// Write the results to this file in the XML of JUnit, too.
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
    /// Keep the artifacts of the cases in this folder.
    #[arg(long, value_name = "DIR")]
    keep: Option<PathBuf>,
    #[command(flatten)]
    settings: SettingsArgs,
}

/// Runs every case and prints what differs; exit code 1 if a case fails.
///
/// # Errors
/// When there is no case, or the component is refused.
pub(crate) async fn run(args: &TestArgs) -> Result<ExitCode> {
    let mut folders = Vec::new();
    for folder in &args.cases {
        folders.extend(case::find(folder)?);
    }
    if let Some(filter) = &args.filter {
        folders.retain(|folder| case::name_of(folder).contains(filter));
        if folders.is_empty() {
            tell!("no case has {} in its name", escaped(filter));
            return Ok(ExitCode::FAILURE);
        }
    }
    let runner = Arc::new(load(&args.component, &args.settings.environment()?).await?);
    let temporary = tempfile::tempdir().context("creating a folder for the artifacts")?;
    let out = args.keep.clone().unwrap_or_else(|| temporary.path().to_owned());
    let began = Instant::now();
    let how = HowToRun { jobs: usize::try_from(args.jobs).unwrap_or(1), update: args.update };
    let ended = run_all(&runner, &folders, &out, how).await?;
    let failed = sum_up(&runner.name, &ended);
    if let Some(path) = &args.junit {
        let report = junit::report(&runner.name, &ended, began.elapsed());
        tokio::fs::write(path, report).await.with_context(|| format!("writing {}", path.display()))?;
    }
    Ok(if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
