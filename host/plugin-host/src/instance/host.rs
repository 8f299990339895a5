//! The host's side of the WIT: each interface in terms of the context that it needs, and nothing else of an
//! instance.

mod bytes;
mod control;
mod inputs;
mod outputs;

use wasmtime::component::{HasData, Linker};

use crate::instance::bindings::posemesh::runner::{
    control as wit_control, inputs as wit_inputs, outputs as wit_outputs, types as wit_types,
};
use crate::instance::control::ControlView;
use crate::instance::inputs::InputsView;
use crate::instance::outputs::OutputsView;
use crate::instance::state::RunState;

/// Tells the linker which view the functions of an interface get.
pub(crate) struct HasInputs;
pub(crate) struct HasOutputs;
pub(crate) struct HasControl;

impl HasData for HasInputs {
    type Data<'a> = InputsView<'a>;
}

impl HasData for HasOutputs {
    type Data<'a> = OutputsView<'a>;
}

impl HasData for HasControl {
    type Data<'a> = ControlView<'a>;
}

/// Adds the interfaces of `posemesh:runner` to a linker.
pub(crate) fn add_to_linker(linker: &mut Linker<RunState>) -> wasmtime::Result<()> {
    // It has types alone, so whatever can convert its errors will do.
    wit_types::add_to_linker::<RunState, HasInputs>(linker, RunState::inputs)?;
    wit_inputs::add_to_linker::<RunState, HasInputs>(linker, RunState::inputs)?;
    wit_outputs::add_to_linker::<RunState, HasOutputs>(linker, RunState::outputs)?;
    wit_control::add_to_linker::<RunState, HasControl>(linker, RunState::control)?;
    bytes::add_to_linker(linker)
}
