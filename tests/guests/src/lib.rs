//! What the guests share: the bindings, and a macro that makes a runner of one function.

wit_bindgen::generate!({ path: "../../wit", world: "runner", pub_export_macro: true, generate_all });

pub use exports::posemesh::runner::entry::{Error, Guest, Task};
pub use posemesh::runner::types::{Description, Requests};
pub use posemesh::runner::{control, inputs, outputs};

/// A description with only a name and the capability `/posemesh/test/NAME/v1`.
pub fn describe(name: &str) -> Description {
    let name = name.replace('_', "-");
    Description {
        capabilities: vec![format!("/posemesh/test/{name}/v1")],
        name,
        version: "0.1.0".into(),
        summary: "one behaviour, for a test".into(),
        requests: Requests {
            memory_bytes: None,
            deadline_ms: None,
            cpu_time_ms: None,
            scratch_bytes: None,
            output_bytes: None,
            artifacts: None,
            network_hosts: vec![],
            environment: vec![],
            directories: vec![],
        },
        meta_schema: None,
        homepage: None,
        license: None,
    }
}

/// Options of an artifact with every default.
pub fn plain() -> outputs::ArtifactOptions {
    outputs::ArtifactOptions { name: None, data_type: None, existing_id: None, size_hint: None }
}

/// A failed run with any error as its reason.
pub fn failed(error: impl std::fmt::Debug) -> Error {
    Error::Failed(format!("{error:?}"))
}

/// Exports a runner with this name, whose `run` is this function.
#[macro_export]
macro_rules! runner {
    ($name:literal, $run:expr) => {
        struct Runner;
        impl $crate::Guest for Runner {
            fn describe() -> $crate::Description {
                $crate::describe($name)
            }
            fn run(task: $crate::Task) -> Result<(), $crate::Error> {
                $run(task)
            }
        }
        $crate::export!(Runner with_types_in $crate);
    };
}
