//! From machine code to what instances are made from.

use posemesh_text::one_line;
use wasmtime::component::Component;

use crate::code::engine::RunnerEngine;
use crate::code::mismatch::differing_type;
use crate::code::world::{check_world, rebuild};
use crate::instance::linked::LinkedRunner;

/// The longest cause that is told, in bytes.
const MAX_CAUSE: usize = 400;

/// Links a component to what runners may import, and finds what it exports.
///
/// # Errors
/// When it is not of the world of runners, in words.
pub(crate) fn link_component(engine: &RunnerEngine, component: &Component) -> Result<LinkedRunner, String> {
    let ty = component.component_type();
    let wasmtime_engine = engine.engine();
    let imports = ty.imports(wasmtime_engine).map(|(name, _)| name);
    let exports: Vec<&str> = ty.exports(wasmtime_engine).map(|(name, _)| name).collect();
    check_world(imports, exports.iter().copied())?;
    // wasmtime counts the fields of a type and names none, and looks at those of exports only when it makes an instance.
    if let Some(which) = differing_type(&ty, wasmtime_engine) {
        return Err(format!("{which}; {}", rebuild()));
    }
    engine
        .link(component)
        .and_then(LinkedRunner::new)
        .map_err(|error| format!("{}; {}", one_line(format_args!("{error:#}"), MAX_CAUSE), rebuild()))
}
