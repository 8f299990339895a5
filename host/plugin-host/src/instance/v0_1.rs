//! Components that were built against `posemesh:runner` 0.1.x: what they call and return is made into the newest version
//! and back, and nothing else is known here. To stop serving them, delete this module and its folder.
//!
//! What 0.1.0 lacks: ports fail with `port-error` and `run` with `run-error`, and `requests` has no `artifacts`.

mod bindings;
mod convert;
mod host;

use wasmtime::Store;

use crate::instance::bindings::posemesh::runner::types::{Description, Error, Task};
use crate::instance::state::RunState;

pub(crate) use bindings::{Runner, RunnerPre};
pub(crate) use host::add_to_linker;

/// Calls `describe`.
///
/// # Errors
/// When it traps.
pub(crate) async fn describe(runner: &Runner, store: &mut Store<RunState>) -> wasmtime::Result<Description> {
    let described = runner.posemesh_runner_entry().call_describe(store).await?;
    Ok(convert::description(described))
}

/// Calls `run`.
///
/// # Errors
/// When it traps. What it returns is inside.
pub(crate) async fn run(
    runner: &Runner,
    store: &mut Store<RunState>,
    task: &Task,
) -> wasmtime::Result<Result<(), Error>> {
    let returned = runner.posemesh_runner_entry().call_run(store, &convert::task(task)).await?;
    Ok(returned.map_err(convert::run_error))
}
