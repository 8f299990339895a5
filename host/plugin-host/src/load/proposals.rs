//! Which proposals of WebAssembly a component needs that this node does not run. Asked once a component has been
//! refused, so that one that is only newer than the node is not called broken.

use wasmparser::{Validator, WasmFeatures};

/// What the engine compiles: the third version of WebAssembly without what is switched off, and components. A test
/// compares it with the engine's own settings.
const OFFERED: WasmFeatures = WasmFeatures::WASM3
    .difference(WasmFeatures::GC_TYPES)
    .difference(WasmFeatures::EXCEPTIONS)
    .difference(WasmFeatures::THREADS)
    .difference(WasmFeatures::MEMORY64)
    .union(WasmFeatures::COMPONENT_MODEL)
    .union(WasmFeatures::CM_ASYNC);

/// What is wrong with a component that the engine refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Fault {
    /// It is no valid component, whatever is offered.
    Broken,
    /// It would be valid if these proposals were offered.
    Needs(Vec<String>),
    /// It is valid, and the engine can't compile it all the same.
    Valid,
}

/// Finds out why a component was refused. Takes as long as validating it a few times.
pub(crate) fn fault(component: &[u8]) -> Fault {
    let mut features = OFFERED;
    let mut needed = WasmFeatures::empty();
    loop {
        let missing = match Validator::new_with_features(features).validate_all(component) {
            Ok(_) if needed.is_empty() => return Fault::Valid,
            Ok(_) => return Fault::Needs(names(needed)),
            Err(error) => error.missing_wasm_feature().map(|missing| missing.difference(features)),
        };
        match missing {
            // Each round adds one at least, so that this ends.
            Some(missing) if !missing.is_empty() => {
                needed |= missing;
                features |= missing;
            }
            _ => return fault_by_elimination(component),
        }
    }
}

/// Not every error says which proposal would help: those are needed without which the component is not valid.
fn fault_by_elimination(component: &[u8]) -> Fault {
    let valid = |features| Validator::new_with_features(features).validate_all(component).is_ok();
    // Proposals can contradict each other, so that a component of the node's own set may fail with all of them.
    if !valid(WasmFeatures::all()) {
        return Fault::Broken;
    }
    let beyond = WasmFeatures::all().difference(OFFERED);
    let needed = beyond.iter().filter(|feature| !valid(WasmFeatures::all().difference(*feature)));
    let needed: WasmFeatures = needed.collect();
    if needed.is_empty() { Fault::Valid } else { Fault::Needs(names(needed)) }
}

/// The proposals as people call them, and the name of their switch in tools.
fn names(features: WasmFeatures) -> Vec<String> {
    features.iter_names().map(|(flag, feature)| name(flag, feature)).collect()
}

fn name(flag: &str, feature: WasmFeatures) -> String {
    let known = match feature {
        WasmFeatures::GC | WasmFeatures::GC_TYPES => "garbage collection (gc)",
        WasmFeatures::CM_GC => "components with garbage collection (cm-gc)",
        WasmFeatures::MEMORY64 => "64-bit memories (memory64)",
        WasmFeatures::CM64 => "components with 64-bit memories (cm64)",
        WasmFeatures::THREADS => "threads and shared memory (threads)",
        WasmFeatures::SHARED_EVERYTHING_THREADS => "shared-everything threads (shared-everything-threads)",
        WasmFeatures::CM_THREADING => "threads of components (cm-threading)",
        WasmFeatures::EXCEPTIONS => "exception handling (exceptions)",
        WasmFeatures::LEGACY_EXCEPTIONS => "the old form of exception handling (legacy-exceptions)",
        WasmFeatures::STACK_SWITCHING => "stack switching (stack-switching)",
        WasmFeatures::WIDE_ARITHMETIC => "wide arithmetic (wide-arithmetic)",
        WasmFeatures::CUSTOM_PAGE_SIZES => "custom page sizes (custom-page-sizes)",
        WasmFeatures::MEMORY_CONTROL => "memory control (memory-control)",
        _ => return flag.to_lowercase().replace('_', "-"),
    };
    known.to_owned()
}

#[cfg(test)]
mod tests;
