//! The component: the node's interface on one side, [`crate::pipeline`] on the other.

mod ports;

/// What `wit-bindgen` makes of `wit/`.
#[allow(missing_docs, clippy::all)]
mod bindings {
    wit_bindgen::generate!({ path: "../../wit", world: "runner" });
}

use bindings::exports::posemesh::runner::entry::{Description, Guest, RunError, Task};
use bindings::posemesh::runner::inputs::{self, Part};
use bindings::posemesh::runner::types::Requests;

use crate::failure::Failure;
use crate::params::{META_SCHEMA, Params};
use crate::pipeline;
use crate::summary::Input;

struct Pointcloud;

impl Guest for Pointcloud {
    fn describe() -> Description {
        Description {
            name: "pointcloud".into(),
            version: env!("CARGO_PKG_VERSION").into(),
            summary: "Thins a PLY scan on a voxel grid; makes points, a preview and a summary.".into(),
            capabilities: vec!["/posemesh/pointcloud/v1".into()],
            requests: Requests {
                memory_bytes: Some(1 << 30),
                deadline_ms: Some(10 * 60 * 1000),
                cpu_time_ms: None,
                scratch_bytes: None,
                output_bytes: None,
                network_hosts: vec![],
                environment: vec![],
                directories: vec![],
            },
            meta_schema: Some(META_SCHEMA.into()),
            homepage: None,
            license: Some(env!("CARGO_PKG_LICENSE").into()),
        }
    }

    fn run(task: Task) -> Result<(), RunError> {
        let params = Params::parse(&task.meta).map_err(explain)?;
        let [cid] = &task.inputs_cids[..] else {
            let count = task.inputs_cids.len();
            return Err(RunError::InvalidTask(format!(
                "the task has {count} inputs; it takes one, a PLY scan"
            )));
        };
        let scan = find_scan(cid)?;
        let info = scan.info();
        let input = Input { name: info.name, size: info.size };
        let scan = ports::Scan::new(scan);
        pipeline::run(scan, input, &params, &mut ports::Node, &mut ports::Node).map_err(explain)?;
        Ok(())
    }
}

/// The first part of an input that looks like a PLY file, or its only part, whatever that looks like.
fn find_scan(cid: &str) -> Result<Part, RunError> {
    let input = inputs::open(cid).map_err(RunError::Port)?;
    let (mut others, mut names) = (Vec::new(), Vec::new());
    while let Some(part) = input.next_part().map_err(RunError::Port)? {
        let info = part.info();
        let name = info.name.to_ascii_lowercase();
        if info.data_type == "ply" || name.ends_with(".ply") || name.ends_with(".ply.gz") {
            return Ok(part);
        }
        names.push(format!("{} ({})", info.name, info.data_type));
        others.push(part);
    }
    match (others.pop(), names.len()) {
        (Some(only), 1) => Ok(only),
        _ => Err(RunError::InvalidInput(format!("expected a PLY scan, found only: {}", names.join(", ")))),
    }
}

fn explain(failure: Failure) -> RunError {
    match failure {
        Failure::InvalidTask(what) => RunError::InvalidTask(what),
        Failure::InvalidInput(what) => RunError::InvalidInput(what),
        Failure::Cancelled => RunError::Cancelled,
        Failure::Io(error) => match ports::port_error(&error) {
            Some(error) => RunError::Port(error),
            None => RunError::Failed(error.to_string()),
        },
        Failure::Failed(what) => RunError::Failed(what),
    }
}

// Outside a component there is nobody to call it.
#[cfg(target_family = "wasm")]
bindings::export!(Pointcloud with_types_in bindings);
