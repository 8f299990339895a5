//! A task's ports as its runner gets them: held to what the operator lets it reach and use.
//!
//! These wrappers stand on the node's side of whatever separates the runner from it, next to the ports that spend the
//! node's account: what a guest, or the process that it runs in, asks for beyond its share is never requested.

mod budget;
pub(crate) mod inputs;
mod named;
mod outputs;

use std::sync::Arc;

use posemesh_runner_api::runner::RunnerCall;

use crate::manifest::policy::Grant;
use crate::ports::budget::InputBudget;
use crate::ports::inputs::GuardedInputs;
use crate::ports::named::NamedData;
use crate::ports::outputs::GuardedOutputs;

/// The same call with ports that keep to a grant.
pub(crate) fn guarded(call: RunnerCall, grant: &Grant) -> RunnerCall {
    let named = Arc::new(NamedData::of(&call.task));
    let budget = Arc::new(InputBudget::new(&grant.limits));
    let inputs = GuardedInputs::new(call.inputs, named.clone(), budget, grant.inputs);
    let outputs = GuardedOutputs::new(call.outputs, named, grant.replace);
    RunnerCall { inputs: Arc::new(inputs), outputs: Arc::new(outputs), ..call }
}
