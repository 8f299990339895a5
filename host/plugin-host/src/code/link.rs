//! From machine code to what instances are made from.

use posemesh_text::one_line;
use wasmtime::component::{Component, InstancePre};

use crate::code::engine::RunnerEngine;
use crate::code::world::check_world;
use crate::instance::state::RunState;

/// The longest cause that is told, in bytes.
const MAX_CAUSE: usize = 400;

/// Links a component to what runners may import.
///
/// # Errors
/// When it is not of the world of runners, in words.
pub(crate) fn link_component(
    engine: &RunnerEngine,
    component: &Component,
) -> Result<InstancePre<RunState>, String> {
    let ty = component.component_type();
    let wasmtime_engine = engine.engine();
    let imports = ty.imports(wasmtime_engine).map(|(name, _)| name);
    let exports: Vec<&str> = ty.exports(wasmtime_engine).map(|(name, _)| name).collect();
    check_world(imports, exports.iter().copied())?;
    engine.link(component).map_err(|error| {
        format!(
            "{}; build it against the WIT package of this node",
            one_line(format_args!("{error:#}"), MAX_CAUSE)
        )
    })
}
