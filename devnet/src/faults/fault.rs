//! One fault: its effect, and the requests that it applies to.

use std::time::Duration;

use http::{HeaderName, HeaderValue};
use serde_json::Value;

use crate::endpoint::{Endpoint, Role};

/// What a fault does to a request or its answer.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum FaultEffect {
    Answer { status: u16, content_type: &'static str, body: String },
    DelayBefore(Duration),
    DelayAfter(Duration),
    DropBefore,
    DropAfter,
    Truncate { after: u64, clean: bool },
    Drip { chunk: usize, pause: Duration },
    Garbage { bytes: usize },
    Merge(Value),
    Header { name: HeaderName, value: HeaderValue },
}

/// Identifies a fault that was added to [`crate::Faults`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FaultId(pub(super) u64);

/// A failure to inject: its effect, the requests it applies to, and how often. Without [`Fault::on`] or
/// [`Fault::on_role`] it applies to every endpoint. All faults that match a request apply, in the order in
/// which they were added.
///
/// ```
/// use posemesh_devnet::{Devnet, DevnetConfig, DevnetError, Endpoint, Fault};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), DevnetError> {
/// let devnet = Devnet::start(DevnetConfig::default()).await?;
/// // DMS is overloaded for the second and the third poll.
/// let busy = devnet.faults().add(Fault::answer(503, "busy").on(Endpoint::Lease).skip(1).times(2));
/// // ... a node polls ...
/// assert_eq!(devnet.faults().hits(busy), Some(0));
/// # devnet.shutdown().await;
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Fault {
    pub(super) effect: FaultEffect,
    endpoints: Vec<Endpoint>,
    roles: Vec<Role>,
    path: Option<String>,
    /// Matching requests to leave alone first.
    pub(super) skip: u64,
    /// Requests to hit after those; none: all.
    pub(super) times: Option<u64>,
    pub(super) probability: f64,
}

impl Fault {
    fn new(effect: FaultEffect) -> Self {
        let (endpoints, roles) = (Vec::new(), Vec::new());
        Self { effect, endpoints, roles, path: None, skip: 0, times: None, probability: 1.0 }
    }

    /// Answers with this status and plain text; the request has no effect.
    pub fn answer(status: u16, body: impl Into<String>) -> Self {
        let content_type = "text/plain; charset=utf-8";
        Self::new(FaultEffect::Answer { status, content_type, body: body.into() })
    }

    /// Answers with this status and JSON text, which need not be valid; the request has no effect.
    pub fn answer_json(status: u16, body: impl Into<String>) -> Self {
        Self::new(FaultEffect::Answer { status, content_type: "application/json", body: body.into() })
    }

    /// Waits before the request takes effect.
    pub fn delay_before(delay: Duration) -> Self {
        Self::new(FaultEffect::DelayBefore(delay))
    }

    /// Waits after the request has taken effect, before it is answered.
    pub fn delay_after(delay: Duration) -> Self {
        Self::new(FaultEffect::DelayAfter(delay))
    }

    /// Closes the connection; the request has no effect.
    pub fn drop_before() -> Self {
        Self::new(FaultEffect::DropBefore)
    }

    /// Closes the connection instead of answering; the request has taken effect.
    pub fn drop_after() -> Self {
        Self::new(FaultEffect::DropAfter)
    }

    /// Closes the connection after this many bytes of the answer's body.
    pub fn truncate(after_bytes: u64) -> Self {
        Self::new(FaultEffect::Truncate { after: after_bytes, clean: false })
    }

    /// Ends the answer's body after this many bytes as if it were complete.
    pub fn truncate_cleanly(after_bytes: u64) -> Self {
        Self::new(FaultEffect::Truncate { after: after_bytes, clean: true })
    }

    /// Sends the answer's body in chunks of at most this many bytes, with a pause before each.
    pub fn drip(chunk_bytes: usize, pause: Duration) -> Self {
        Self::new(FaultEffect::Drip { chunk: chunk_bytes.max(1), pause })
    }

    /// Answers with the right status and headers, but with this many bytes of garbage as body; the request
    /// has taken effect.
    pub fn garbage(bytes: usize) -> Self {
        Self::new(FaultEffect::Garbage { bytes })
    }

    /// Changes the JSON of the answer by a merge patch (RFC 7396): fields of `patch` replace those of the
    /// same name, also within nested objects, and null removes a field. The request has taken effect.
    pub fn merge(patch: Value) -> Self {
        Self::new(FaultEffect::Merge(patch))
    }

    /// Sets a header of the answer.
    pub fn header(name: HeaderName, value: HeaderValue) -> Self {
        Self::new(FaultEffect::Header { name, value })
    }

    /// Restricts the fault to this endpoint; called again, it adds an endpoint.
    #[must_use]
    pub fn on(mut self, endpoint: Endpoint) -> Self {
        self.endpoints.push(endpoint);
        self
    }

    /// Restricts the fault to the endpoints of this role; called again, it adds a role.
    #[must_use]
    pub fn on_role(mut self, role: Role) -> Self {
        self.roles.push(role);
        self
    }

    /// Restricts the fault to requests whose path contains this text, for example a task id.
    #[must_use]
    pub fn path_contains(mut self, text: impl Into<String>) -> Self {
        self.path = Some(text.into());
        self
    }

    /// Leaves the first matching requests alone.
    #[must_use]
    pub fn skip(mut self, requests: u64) -> Self {
        self.skip = requests;
        self
    }

    /// Ends the fault after this many hits.
    #[must_use]
    pub fn times(mut self, hits: u64) -> Self {
        self.times = Some(hits);
        self
    }

    /// Hits only this one of the matching requests, counted from 1.
    #[must_use]
    pub fn nth(self, request: u64) -> Self {
        self.skip(request.saturating_sub(1)).times(1)
    }

    /// Hits each matching request with this probability, from 0 to 1. The outcome is determined by
    /// [`crate::DevnetConfig::seed`] and the order of requests.
    #[must_use]
    pub fn probability(mut self, probability: f64) -> Self {
        self.probability = probability;
        self
    }

    pub(super) fn matches(&self, endpoint: Option<Endpoint>, path: &str) -> bool {
        let anywhere = self.endpoints.is_empty() && self.roles.is_empty();
        let here = endpoint.is_some_and(|endpoint| {
            self.endpoints.contains(&endpoint) || self.roles.contains(&endpoint.role())
        });
        (anywhere || here) && self.path.as_ref().is_none_or(|text| path.contains(text.as_str()))
    }
}
