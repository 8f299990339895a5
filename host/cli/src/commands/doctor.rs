//! `doctor`: looks at everything that the node needs, for people and for programs.

use std::process::ExitCode;

use anyhow::Result;
use clap::Args;
use posemesh_node_core::doctor::{Area, Finding, Level, examine};
use serde::Serialize;

use crate::output::{self, out};
use crate::settings::SettingsArgs;

#[derive(Debug, Args)]
pub(crate) struct DoctorArgs {
    /// Print one JSON object: `ok`, and `findings` with `area`, `level` (ok, warning, error), `text` and `cure`.
    #[arg(long)]
    json: bool,
    /// Leave out what is in order.
    #[arg(long, short)]
    quiet: bool,
    #[command(flatten)]
    settings: SettingsArgs,
}

/// All findings, for programs.
#[derive(Serialize)]
struct Diagnosis {
    /// Whether there are no errors.
    ok: bool,
    errors: usize,
    warnings: usize,
    findings: Vec<Finding>,
}

/// Prints what is found; the exit code is 1 if there is an error, and 2 if the configuration can't be read.
///
/// # Errors
/// When the file of variables can't be read.
pub(crate) async fn run(args: DoctorArgs) -> Result<ExitCode> {
    let environment = args.settings.environment()?;
    let mut findings: Vec<Finding> = Vec::new();
    let mut last = None;
    let could_be_read = examine(&environment, &mut |finding: Finding| {
        if args.quiet && finding.level == Level::Ok {
            return;
        }
        // At once: a server that does not answer takes its time.
        if !args.json {
            print(&finding, last.replace(finding.area));
        }
        findings.push(finding);
    })
    .await;
    let count = |level| findings.iter().filter(|finding| finding.level == level).count();
    let (errors, warnings) = (count(Level::Error), count(Level::Warning));
    if args.json {
        output::json(&Diagnosis { ok: errors == 0, errors, warnings, findings })?;
    } else {
        out!("\n{errors} errors, {warnings} warnings");
    }
    Ok(match (could_be_read, errors) {
        (false, _) => ExitCode::from(2),
        (true, 0) => ExitCode::SUCCESS,
        (true, _) => ExitCode::FAILURE,
    })
}

fn print(finding: &Finding, last: Option<Area>) {
    if last != Some(finding.area) {
        out!("{}", finding.area);
    }
    out!("  {:<8} {}", finding.level, finding.text);
    if let Some(cure) = &finding.cure {
        out!("           {cure}");
    }
}
