//! What an author writes.

use serde::de::DeserializeOwned;

use crate::description::Requests;
use crate::error::Result;
use crate::task::Task;

/// A capability runner. Each task gets a fresh instance of the component: nothing is left of an earlier one.
pub trait Runner {
    /// The capabilities that it serves, each as the job server writes it: `/example/lines/v1`. At least one.
    const CAPABILITIES: &'static [&'static str];

    /// The parameters of a task, read from its `meta`. What does not fit fails the task as invalid before [`Runner::run`] is
    /// called. A task without `meta` has those of `null`, or of `{}` where `null` does not fit; `()` takes `null` alone.
    type Params: DeserializeOwned;

    /// What it asks for beyond the node's defaults; the operator decides.
    fn requests() -> Requests {
        Requests::new()
    }

    /// A JSON Schema of [`Runner::Params`], which is shown to people.
    fn meta_schema() -> Option<String> {
        None
    }

    /// Does one task. It is completed with the artifacts that were finished, or fails with the error.
    ///
    /// # Errors
    /// Why the task failed: the case says whose fault it was, the text becomes the reason.
    fn run(task: &Task, params: Self::Params) -> Result<()>;
}
