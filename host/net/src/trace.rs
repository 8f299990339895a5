//! How the parts of a node mark what belongs into the trace of a task (OpenTelemetry).

/// The target of the spans that a task's trace has besides the task itself. They are for the trace alone: the log never shows
/// them, so that its lines keep the fields of the task.
pub const TARGET: &str = "posemesh_trace";
