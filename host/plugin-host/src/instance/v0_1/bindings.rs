//! The contract 0.1.0 in Rust, made from `wit/released/0.1.0`.

#![allow(missing_docs, unreachable_pub, reason = "generated; the documentation is in the WIT")]

pub(crate) use generated::*;

mod generated {
    wasmtime::component::bindgen!({
        path: "../../wit/released/0.1.0",
        world: "runner",
        imports: { default: async | trappable },
        exports: { default: async },
        with: {
            "posemesh:runner/inputs.input": crate::instance::resources::InputHandle,
            "posemesh:runner/inputs.part": crate::instance::resources::PartHandle,
            "posemesh:runner/outputs.artifact": crate::instance::resources::ArtifactHandle,
        },
        trappable_error_type: {
            "posemesh:runner/types.port-error" => crate::instance::port_failure::PortFailure,
        },
    });
}
