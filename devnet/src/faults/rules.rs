//! The faults of a devnet, and which of them a request is hit by.

use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::endpoint::Endpoint;
use crate::faults::fault::{Fault, FaultEffect, FaultId};

/// A fault with its counters.
#[derive(Debug)]
struct FaultRule {
    id: FaultId,
    fault: Fault,
    /// Requests that the fault applies to, including those that were skipped or missed by chance.
    matched: u64,
    hits: u64,
}

#[derive(Debug)]
struct FaultRules {
    rules: Vec<FaultRule>,
    next_id: u64,
    random: fastrand::Rng,
}

/// The faults of a devnet. Changes take effect with the next request.
#[derive(Debug)]
pub struct Faults {
    rules: Mutex<FaultRules>,
}

impl Faults {
    pub(crate) fn new(seed: u64) -> Self {
        let random = fastrand::Rng::with_seed(seed);
        Self { rules: Mutex::new(FaultRules { rules: Vec::new(), next_id: 0, random }) }
    }

    fn rules(&self) -> MutexGuard<'_, FaultRules> {
        self.rules.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a fault.
    pub fn add(&self, fault: Fault) -> FaultId {
        let mut rules = self.rules();
        let id = FaultId(rules.next_id);
        rules.next_id += 1;
        rules.rules.push(FaultRule { id, fault, matched: 0, hits: 0 });
        id
    }

    /// Removes a fault; false if it was not there.
    pub fn remove(&self, id: FaultId) -> bool {
        let mut rules = self.rules();
        let before = rules.rules.len();
        rules.rules.retain(|rule| rule.id != id);
        rules.rules.len() < before
    }

    /// Removes all faults.
    pub fn clear(&self) {
        self.rules().rules.clear();
    }

    /// The number of requests that a fault has hit; none if it was removed.
    pub fn hits(&self, id: FaultId) -> Option<u64> {
        self.rules().rules.iter().find(|rule| rule.id == id).map(|rule| rule.hits)
    }

    /// The faults that hit a request that has just arrived.
    pub(crate) fn select(&self, endpoint: Option<Endpoint>, path: &str) -> Vec<(FaultId, FaultEffect)> {
        let mut rules = self.rules();
        let FaultRules { rules, random, .. } = &mut *rules;
        let mut selected = Vec::new();
        for rule in rules.iter_mut().filter(|rule| rule.fault.matches(endpoint, path)) {
            rule.matched += 1;
            // The random number comes last: only requests that could be hit advance the sequence, so it does
            // not depend on how often a client polls elsewhere.
            let over = rule.fault.times.is_some_and(|times| rule.hits >= times);
            if rule.matched <= rule.fault.skip || over || random.f64() >= rule.fault.probability {
                continue;
            }
            rule.hits += 1;
            selected.push((rule.id, rule.fault.effect.clone()));
        }
        selected
    }
}

#[cfg(test)]
mod tests;
