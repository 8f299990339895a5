//! A runner that sleeps. It reads no input and makes no artifact, but it shows all that a runner needs:
//! `describe` says who it is, `run` does one task, and `sleep` is the work itself, free of the
//! component's interface, so that it is tested like any other Rust.

mod sleep;

/// What `wit-bindgen` makes of `wit/`: the imports as modules, the export as a trait.
#[allow(missing_docs, clippy::all)]
mod bindings {
    wit_bindgen::generate!({ path: "../../wit", world: "runner" });
}

use bindings::exports::posemesh::runner::entry::{Description, Guest, RunError, Task};
use bindings::posemesh::runner::control;
use bindings::posemesh::runner::types::Requests;

/// How long a task sleeps that does not say: seconds, granted by the operator.
const SLEEP_VARIABLE: &str = "NOOP_SLEEP_SECS";

struct Noop;

impl Guest for Noop {
    fn describe() -> Description {
        Description {
            name: "noop".into(),
            version: env!("CARGO_PKG_VERSION").into(),
            summary: "Sleeps for a while, reports progress and makes nothing.".into(),
            capabilities: vec!["/posemesh/noop/v1".into()],
            requests: Requests {
                memory_bytes: Some(16 << 20),
                deadline_ms: Some(sleep::MAX_MS + 60_000),
                cpu_time_ms: None,
                scratch_bytes: None,
                output_bytes: None,
                network_hosts: vec![],
                environment: vec![SLEEP_VARIABLE.into()],
                directories: vec![],
            },
            meta_schema: Some(sleep::META_SCHEMA.into()),
            homepage: None,
            license: Some(env!("CARGO_PKG_LICENSE").into()),
        }
    }

    fn run(task: Task) -> Result<(), RunError> {
        let default = std::env::var(SLEEP_VARIABLE).ok();
        let total_ms = sleep::duration_ms(&task.meta, default.as_deref()).map_err(RunError::InvalidTask)?;

        for slice in sleep::slices(total_ms) {
            // Reports may be refused (too many too fast); that is no reason to fail.
            let _ = control::progress(&sleep::progress(slice.done_ms, total_ms));
            if control::wait_cancelled(slice.wait_ms) {
                return Err(RunError::Cancelled);
            }
        }
        let _ = control::progress(&sleep::progress(total_ms, total_ms));
        Ok(())
    }
}

// Outside a component there is nobody to call it.
#[cfg(target_family = "wasm")]
bindings::export!(Noop with_types_in bindings);
