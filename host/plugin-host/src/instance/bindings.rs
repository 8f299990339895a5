//! The newest version of the WIT contract in Rust, made from `wit/` when the crate is compiled.
//!
//! Host functions are async and may trap; results with an `error` are written as `Result<_, PortFailure>`,
//! so that an error for the guest and a trap that ends it are different things.

#![allow(missing_docs, unreachable_pub, reason = "generated; the documentation is in the WIT")]

pub(crate) use generated::*;

mod generated {
    wasmtime::component::bindgen!({
        path: "../../wit",
        world: "runner",
        imports: { default: async | trappable },
        exports: { default: async },
        with: {
            "posemesh:runner/inputs.input": crate::instance::resources::InputHandle,
            "posemesh:runner/inputs.part": crate::instance::resources::PartHandle,
            "posemesh:runner/outputs.artifact": crate::instance::resources::ArtifactHandle,
        },
        trappable_error_type: {
            "posemesh:runner/types.error" => crate::instance::port_failure::PortFailure,
        },
    });
}
