//! What the operator allows a generation today. The code of a generation never changes, its terms follow `NAME.toml`: a
//! rollback brings yesterday's code back, and no grant that was withdrawn since.

use std::sync::Arc;

use crate::load::loader::Loader;
use crate::manifest::breaker::BreakerPolicy;
use crate::manifest::description::Description;
use crate::manifest::policy::{Grant, Policy};

/// What follows from `NAME.toml` for one generation. A task keeps those that it started with.
#[derive(Debug, Clone, PartialEq)]
pub struct Terms {
    /// What the runner may do and use.
    pub grant: Arc<Grant>,
    /// Who serves a capability that several claim: the highest.
    pub priority: i32,
    /// When it is left out because it fails again and again.
    pub(crate) breaker: BreakerPolicy,
    /// The granted variables with their values.
    pub(crate) environment: Vec<(String, String)>,
}

impl Terms {
    /// What a policy means for a runner that describes itself so; `value` looks up the node's value of a variable.
    pub(crate) fn new(
        policy: &Policy,
        description: &Description,
        loader: &Loader,
        value: &(dyn Fn(&str) -> Option<String> + Sync),
    ) -> Self {
        let grant = policy.grant(description, loader.maximum(), loader.defaults());
        // Read once, so that all tasks under the same terms see the same values. An unset variable is left out.
        let environment =
            grant.environment.iter().filter_map(|name| Some((name.clone(), value(name)?))).collect();
        Self {
            grant: Arc::new(grant),
            priority: policy.priority,
            breaker: policy.breaker.clone(),
            environment,
        }
    }

    /// The same grants, with no more claims than before: those of `before` that are still allowed.
    pub(crate) fn with_claims_of(mut self, before: &Self) -> Self {
        self.priority = before.priority;
        let kept = |capability: &String| before.grant.capabilities.contains(capability);
        Arc::make_mut(&mut self.grant).capabilities.retain(kept);
        self
    }
}
