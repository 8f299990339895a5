//! The plugin host: what the sandbox costs a task, loading with and without the cache, the time from a new file
//! to its being live, and the memory of runners and runs.

mod load;
mod memory;
pub(crate) mod run;
pub(crate) mod sandbox;
pub(crate) mod setup;
mod swap;

use anyhow::Result;

use crate::report::Report;

/// How much is measured.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Runs of a runner that does nothing, of each side
    #[arg(long, default_value_t = 3000)]
    runs: usize,
    /// How often the sides of a comparison take turns
    #[arg(long, default_value_t = 8)]
    turns: usize,
    /// Tasks of each side in one turn
    #[arg(long, default_value_t = 300)]
    tasks: usize,
    /// Loads of each runner
    #[arg(long, default_value_t = 15)]
    loads: usize,
    /// Swaps in each way
    #[arg(long, default_value_t = 30)]
    swaps: u32,
    /// Runners that are live at once, and runs that wait at once are twice as many
    #[arg(long, default_value_t = 200)]
    many: u32,
}

/// Measures everything.
///
/// # Errors
/// When something can't be set up or a run fails.
pub(crate) async fn measure(options: &Options, report: &mut Report) -> Result<()> {
    // Memory first: it would include what the other parts leave behind.
    report.table(memory::measure(options.many.max(1)).await?);
    report.table(run::measure(options.runs.max(1)).await?);
    sandbox::measure(options.turns.max(1), options.tasks.max(1), report).await?;
    load::measure(options.loads.max(1), options.many.div_ceil(4), report).await?;
    report.table(swap::measure(options.swaps.max(1)).await?);
    Ok(())
}
