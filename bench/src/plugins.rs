//! The plugin host: what the sandbox costs a task, loading with and without the cache, the time from a new file
//! to its being live, and the memory of runners and runs.

mod load;
mod memory;
mod run;
mod sandbox;
mod setup;
mod swap;

use anyhow::Result;

/// Measures everything and prints a table for each part.
///
/// # Errors
/// When something can't be set up or a run fails.
pub(crate) async fn measure() -> Result<()> {
    // Memory first: it would include what the other parts leave behind.
    memory::measure().await?;
    run::measure().await?;
    sandbox::measure().await?;
    load::measure().await?;
    swap::measure().await
}
