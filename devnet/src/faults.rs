//! Failures on order: rules that make the devnet answer wrongly, late, partly or not at all.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use http::{HeaderName, HeaderValue};
use serde_json::Value;

use crate::route::{Endpoint, Role};

pub(crate) mod body;

/// What goes wrong with a request.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Effect {
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

/// The name of a fault that was added.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FaultId(u64);

/// A rule: what goes wrong, with which requests, how often. Without `on` or `on_role` it hits every
/// endpoint; every rule that matches a request applies, in the order in which they were added.
#[derive(Debug, Clone)]
pub struct Fault {
    effect: Effect,
    endpoints: Vec<Endpoint>,
    roles: Vec<Role>,
    path: Option<String>,
    skip: u64,
    times: Option<u64>,
    probability: f64,
}

impl Fault {
    fn new(effect: Effect) -> Self {
        let (endpoints, roles) = (Vec::new(), Vec::new());
        Self { effect, endpoints, roles, path: None, skip: 0, times: None, probability: 1.0 }
    }

    /// Answers this status and plain text; the request is not acted on.
    pub fn answer(status: u16, body: impl Into<String>) -> Self {
        Self::new(Effect::Answer { status, content_type: "text/plain; charset=utf-8", body: body.into() })
    }

    /// Answers this status and JSON text, which need not be valid; the request is not acted on.
    pub fn answer_json(status: u16, body: impl Into<String>) -> Self {
        Self::new(Effect::Answer { status, content_type: "application/json", body: body.into() })
    }

    /// Waits before acting on the request.
    pub fn delay_before(delay: Duration) -> Self {
        Self::new(Effect::DelayBefore(delay))
    }

    /// Waits between acting and answering.
    pub fn delay_after(delay: Duration) -> Self {
        Self::new(Effect::DelayAfter(delay))
    }

    /// Closes the connection; the request is not acted on.
    pub fn drop_before() -> Self {
        Self::new(Effect::DropBefore)
    }

    /// Acts on the request, then closes the connection instead of answering.
    pub fn drop_after() -> Self {
        Self::new(Effect::DropAfter)
    }

    /// Closes the connection when this many bytes of the answer's body were sent.
    pub fn truncate(after_bytes: u64) -> Self {
        Self::new(Effect::Truncate { after: after_bytes, clean: false })
    }

    /// Ends the answer's body after this many bytes as if it were whole.
    pub fn truncate_cleanly(after_bytes: u64) -> Self {
        Self::new(Effect::Truncate { after: after_bytes, clean: true })
    }

    /// Sends the answer's body in pieces with a pause before each.
    pub fn drip(chunk_bytes: usize, pause: Duration) -> Self {
        Self::new(Effect::Drip { chunk: chunk_bytes.max(1), pause })
    }

    /// Acts on the request and answers with the right status and headers, but this many bytes of
    /// nonsense.
    pub fn garbage(bytes: usize) -> Self {
        Self::new(Effect::Garbage { bytes })
    }

    /// Acts on the request and changes the JSON of the answer: fields of `patch` take the place of those of
    /// the same name, objects within objects too, and null takes a field away (RFC 7396).
    pub fn merge(patch: Value) -> Self {
        Self::new(Effect::Merge(patch))
    }

    /// Adds a header to the answer, whatever it is.
    pub fn header(name: HeaderName, value: HeaderValue) -> Self {
        Self::new(Effect::Header { name, value })
    }

    /// Hits this endpoint; said again, that one too.
    #[must_use]
    pub fn on(mut self, endpoint: Endpoint) -> Self {
        self.endpoints.push(endpoint);
        self
    }

    /// Hits this role's endpoints; said again, that one's too.
    #[must_use]
    pub fn on_role(mut self, role: Role) -> Self {
        self.roles.push(role);
        self
    }

    /// Hits only requests whose path contains this text, such as a task id.
    #[must_use]
    pub fn path_contains(mut self, text: impl Into<String>) -> Self {
        self.path = Some(text.into());
        self
    }

    /// Spares the first matching requests.
    #[must_use]
    pub fn skip(mut self, requests: u64) -> Self {
        self.skip = requests;
        self
    }

    /// Is over after so many hits.
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

    /// Hits each matching request with this chance, from 0 to 1. What comes of it follows from
    /// [`crate::DevnetConfig::seed`] and the order of requests.
    #[must_use]
    pub fn probability(mut self, chance: f64) -> Self {
        self.probability = chance;
        self
    }

    fn matches(&self, endpoint: Option<Endpoint>, path: &str) -> bool {
        let anywhere = self.endpoints.is_empty() && self.roles.is_empty();
        let here = endpoint.is_some_and(|endpoint| {
            self.endpoints.contains(&endpoint) || self.roles.contains(&endpoint.role())
        });
        (anywhere || here) && self.path.as_ref().is_none_or(|text| path.contains(text.as_str()))
    }
}

#[derive(Debug)]
struct Rule {
    id: FaultId,
    fault: Fault,
    matched: u64,
    hits: u64,
}

#[derive(Debug)]
struct Rules {
    rules: Vec<Rule>,
    next: u64,
    random: fastrand::Rng,
}

/// The faults of a devnet. Changes take effect with the next request.
#[derive(Debug)]
pub struct Faults {
    rules: Mutex<Rules>,
}

impl Faults {
    pub(crate) fn new(seed: u64) -> Self {
        let random = fastrand::Rng::with_seed(seed);
        Self { rules: Mutex::new(Rules { rules: Vec::new(), next: 0, random }) }
    }

    fn rules(&self) -> MutexGuard<'_, Rules> {
        self.rules.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a rule.
    pub fn add(&self, fault: Fault) -> FaultId {
        let mut rules = self.rules();
        let id = FaultId(rules.next);
        rules.next += 1;
        rules.rules.push(Rule { id, fault, matched: 0, hits: 0 });
        id
    }

    /// Takes a rule back; true if it was there.
    pub fn remove(&self, id: FaultId) -> bool {
        let mut rules = self.rules();
        let before = rules.rules.len();
        rules.rules.retain(|rule| rule.id != id);
        rules.rules.len() < before
    }

    /// Takes all rules back.
    pub fn clear(&self) {
        self.rules().rules.clear();
    }

    /// How many requests a rule has hit; none if it was taken back.
    pub fn hits(&self, id: FaultId) -> Option<u64> {
        self.rules().rules.iter().find(|rule| rule.id == id).map(|rule| rule.hits)
    }

    /// What is to go wrong with a request that has just arrived.
    pub(crate) fn select(&self, endpoint: Option<Endpoint>, path: &str) -> Vec<(FaultId, Effect)> {
        let mut rules = self.rules();
        let Rules { rules, random, .. } = &mut *rules;
        let mut hit = Vec::new();
        for rule in rules.iter_mut().filter(|rule| rule.fault.matches(endpoint, path)) {
            rule.matched += 1;
            let over = rule.fault.times.is_some_and(|times| rule.hits >= times);
            if rule.matched <= rule.fault.skip || over || random.f64() >= rule.fault.probability {
                continue;
            }
            rule.hits += 1;
            hit.push((rule.id, rule.fault.effect.clone()));
        }
        hit
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_count_spare_and_end() {
        let faults = Faults::new(0);
        let id = faults.add(Fault::drop_before().on(Endpoint::Lease).skip(1).times(2));
        let hits = |endpoint| faults.select(Some(endpoint), "/tasks").len();
        assert_eq!(hits(Endpoint::Heartbeat), 0);
        assert_eq!([1, 2, 3, 4].map(|_| hits(Endpoint::Lease)), [0, 1, 1, 0]);
        assert_eq!(faults.hits(id), Some(2));
        faults.clear();
        assert_eq!(faults.hits(id), None);
    }

    #[test]
    fn chance_follows_from_the_seed() {
        let run = |seed| {
            let faults = Faults::new(seed);
            faults.add(Fault::answer(503, "").on_role(Role::Dms).probability(0.5));
            (0..64).map(|_| faults.select(Some(Endpoint::Lease), "").len()).collect::<Vec<_>>()
        };
        assert_eq!(run(7), run(7));
        let hits: usize = run(7).into_iter().sum();
        assert!((10..=54).contains(&hits), "about half of 64 requests should be hit, not {hits}");
    }
}
