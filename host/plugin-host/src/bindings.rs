//! The WIT contract in Rust, made from `wit/` when the crate is compiled.
//!
//! Host functions are async and may trap; `port-error` results are written as `Result<_, PortFailure>`,
//! so that what the guest is told and what ends the guest are different things.

#![allow(missing_docs, reason = "the documentation is in the WIT")]

pub use generated::*;

mod generated {
    wasmtime::component::bindgen!({
        path: "../../wit",
        world: "runner",
        imports: { default: async | trappable },
        exports: { default: async },
        with: {
            "posemesh:runner/inputs.input": crate::host_inputs::InputHandle,
            "posemesh:runner/inputs.part": crate::host_inputs::PartHandle,
            "posemesh:runner/outputs.artifact": crate::host_outputs::ArtifactHandle,
        },
        trappable_error_type: {
            "posemesh:runner/types.port-error" => crate::state::PortFailure,
        },
    });
}
