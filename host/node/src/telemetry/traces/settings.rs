//! Where traces go, and what is a trace.

use posemesh_net::secret::Secret;
use url::Url;

/// The name of the span that is a task.
pub(crate) const TASK: &str = "task";
/// Where traces go.
#[derive(Debug, Clone)]
pub struct TraceSettings {
    /// The address of the collector for traces: `http://127.0.0.1:4318/v1/traces`.
    pub endpoint: Url,
    /// Headers that each request has, which may be secrets: `name=value`, with commas between them.
    pub headers: Option<Secret>,
    /// What the node is called there.
    pub service: String,
    /// How many of the traces that begin here are kept, from 0 to 1. A task whose `traceparent` says so is kept anyway.
    pub ratio: f64,
}
