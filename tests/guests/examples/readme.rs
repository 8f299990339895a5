wit_bindgen::generate!({ path: "wit", world: "runner" });

use exports::posemesh::runner::entry::{Description, Guest, RunError, Task};
use posemesh::runner::{control, inputs, outputs, types::Requests};

struct Count;

impl Guest for Count {
    fn describe() -> Description {
        Description {
            name: "count".into(),
            version: env!("CARGO_PKG_VERSION").into(),
            summary: "Counts the bytes of its inputs.".into(),
            capabilities: vec!["/example/count/v1".into()],
            // Nothing beyond the defaults: no network, no environment, 512 MiB of memory.
            requests: Requests {
                memory_bytes: None,
                deadline_ms: None,
                cpu_time_ms: None,
                scratch_bytes: None,
                output_bytes: None,
                network_hosts: vec![],
                environment: vec![],
                directories: vec![],
            },
            meta_schema: None,
            homepage: None,
            license: None,
        }
    }

    fn run(task: Task) -> Result<(), RunError> {
        let mut bytes = 0;
        for (n, cid) in task.inputs_cids.iter().enumerate() {
            let input = inputs::open(cid).map_err(RunError::Port)?;
            while let Some(part) = input.next_part().map_err(RunError::Port)? {
                bytes += part.info().size;
            }
            let done = (n + 1) as f64 / task.inputs_cids.len() as f64;
            let _ = control::progress(&format!(r#"{{"progress": {done}, "stage": "counting"}}"#));
        }
        let summary = format!(r#"{{"bytes": {bytes}}}"#);
        let options =
            outputs::ArtifactOptions { name: None, data_type: None, existing_id: None, size_hint: None };
        outputs::put_bytes("count.json", summary.as_bytes(), &options).map_err(RunError::Port)?;
        Ok(())
    }
}

export!(Count);
