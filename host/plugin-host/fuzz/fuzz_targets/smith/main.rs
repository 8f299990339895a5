//! Components that wasm-smith makes of the input, mostly valid ones, which get further than damaged bytes do. What has to
//! hold is `component::holds`.
//!
//! The input means something to wasm-smith alone. When it fails, the component is written into the folder that
//! `FUZZ_FAILURES` names: as a seed of the target `component`, it fails in `cargo test`.

#![no_main]

mod made;
mod wrapped;

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use posemesh_plugin_host_fuzz::component::holds;

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let Some(component) = made::component(input) else { return };
    if let Err(panic) = catch_unwind(AssertUnwindSafe(|| holds(&component))) {
        if let Some(folder) = std::env::var_os("FUZZ_FAILURES") {
            let _ = std::fs::write(std::path::Path::new(&folder).join("component.wasm"), &component);
        }
        resume_unwind(panic);
    }
});
