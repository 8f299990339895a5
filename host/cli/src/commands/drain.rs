//! `drain`, `pause` and `resume`: make the running node take no new leases, and take them again.

use std::process::ExitCode;

use anyhow::Result;
use clap::Args;
use posemesh_node_core::shutdown::AfterDrain;

use crate::node_api::{LeaseTaking, NodeApi, NodeApiArgs};
use crate::output::out;

#[derive(Debug, Args)]
pub(crate) struct DrainArgs {
    /// Let the node stay when its last task has ended, until it is resumed, stopped or started anew (`pause` outlives that);
    /// otherwise it ends then.
    #[arg(long)]
    stay: bool,
    #[command(flatten)]
    node: NodeApiArgs,
}

#[derive(Debug, Args)]
pub(crate) struct PauseArgs {
    /// Why, for people who look at the node.
    #[arg(long, value_name = "TEXT", default_value = "")]
    note: String,
    /// For how many minutes; without it until `resume`.
    #[arg(long = "for", value_name = "MINUTES", value_parser = clap::value_parser!(u64).range(1..=44_640))]
    minutes: Option<u64>,
    #[command(flatten)]
    node: NodeApiArgs,
}

#[derive(Debug, Args)]
pub(crate) struct ResumeArgs {
    #[command(flatten)]
    node: NodeApiArgs,
}

/// Drains the node and prints how many tasks it still has.
///
/// # Errors
/// When no node answers, or it rejects the call.
pub(crate) async fn run(args: &DrainArgs) -> Result<ExitCode> {
    let then = if args.stay { AfterDrain::Stay } else { AfterDrain::Stop };
    let LeaseTaking { running, noted } = NodeApi::new(&args.node)?.drain(then).await?;
    let after = if args.stay { "stays idle then, until it is started anew" } else { "ends then" };
    out!(
        "draining: {running} tasks are running, no new lease is taken; the node {after}. `resume` undoes it"
    );
    warn_of_unnoted(noted, "it would be paused again");
    Ok(ExitCode::SUCCESS)
}

/// Pauses the node and prints how many tasks it still has.
///
/// # Errors
/// When no node answers, or it rejects the call.
pub(crate) async fn pause(args: &PauseArgs) -> Result<ExitCode> {
    let secs = args.minutes.map(|minutes| minutes * 60);
    let LeaseTaking { running, noted } = NodeApi::new(&args.node)?.pause(&args.note, secs).await?;
    let until = args.minutes.map_or_else(String::new, |minutes| format!(" for {minutes} minutes"));
    out!("paused{until}: {running} tasks are running, no new lease is taken. `resume` undoes it");
    warn_of_unnoted(noted, "the pause would be over");
    Ok(ExitCode::SUCCESS)
}

/// Lets the node take leases again.
///
/// # Errors
/// When no node answers, or it rejects the call.
pub(crate) async fn resume(args: &ResumeArgs) -> Result<ExitCode> {
    let LeaseTaking { noted, .. } = NodeApi::new(&args.node)?.resume().await?;
    out!("the node takes leases again");
    warn_of_unnoted(noted, "it would be paused again");
    Ok(ExitCode::SUCCESS)
}

/// Says that a restart undoes what was asked for, if it does.
fn warn_of_unnoted(noted: bool, then: &str) {
    if !noted {
        out!("warning: the node can't note that in WORK_DIR (its log says why): after a restart {then}");
    }
}
