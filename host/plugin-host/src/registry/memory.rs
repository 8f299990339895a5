//! What is remembered of runners beyond the process: who served which capability, how each component described itself, and
//! what was decided against it.
//!
//! **Invariant:** a capability that a runner served stays that runner's for as long as its file is there and enabled, also
//! while it is not loaded yet or can't be: no other runner of the same priority gets its tasks by being faster. And the same
//! bytes describe themselves the same each time.

use std::collections::{BTreeMap, BTreeSet};

use posemesh_text::one_line;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::manifest::description::Description;
use crate::registry::claims::{Claim, owner};
use crate::registry::setbacks::Setbacks;

/// The most capabilities and the most descriptions that are remembered.
const MAX_ENTRIES: usize = 4096;
/// How much of a name is shown, in bytes.
const MAX_SHOWN: usize = 100;

/// What is remembered. It is written to a file by [`MemoryFile`](crate::registry::memory_file::MemoryFile).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RunnerMemory {
    /// The version of the node that wrote it.
    node: String,
    /// Who served a capability last.
    incumbents: BTreeMap<String, Incumbent>,
    /// How the component of a digest described itself.
    descriptions: BTreeMap<String, Seen>,
    /// Counts what was described, so that the oldest goes first.
    described: u64,
    /// What was decided against runners.
    #[serde(default)]
    pub(crate) setbacks: Setbacks,
}

/// Who served a capability last.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Incumbent {
    /// The file's stem.
    name: String,
    /// SHA-256 of the file, in hex.
    digest: String,
    priority: i32,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Seen {
    /// SHA-256 of the description, in hex.
    sha256: String,
    number: u64,
}

/// A runner that served a capability, as a newcomer finds it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum IncumbentState {
    /// Its file is gone or disabled, or it is live, so that its claims speak for themselves.
    Settled,
    /// Its file is there, and its load goes on or has not begun.
    Awaited,
    /// Its file is there and was refused.
    Refused,
}

impl RunnerMemory {
    /// What another process has remembered. Other versions of the node may read a description otherwise, so theirs are
    /// forgotten.
    pub(crate) fn adopt(mut self) -> Self {
        if self.node != env!("CARGO_PKG_VERSION") {
            self.descriptions.clear();
        }
        self.node = env!("CARGO_PKG_VERSION").to_owned();
        while self.incumbents.len() > MAX_ENTRIES {
            self.incumbents.pop_last();
        }
        self.forget_oldest();
        self.setbacks.adopt();
        self
    }

    /// Why a runner can't go live though no live one claims the same: another one served it before, and is there.
    pub(crate) fn reserved(&self, claim: &Claim, state: impl Fn(&str) -> IncumbentState) -> Option<String> {
        claim.capabilities.iter().find_map(|capability| {
            let incumbent = self.incumbents.get(capability).filter(|one| one.name != claim.name)?;
            let how = match state(&incumbent.name) {
                // One with a lower priority stands in for it in any case, once it is known that it has to.
                IncumbentState::Awaited if claim.priority <= incumbent.priority => "is not loaded yet",
                IncumbentState::Refused if claim.priority == incumbent.priority => "can't be loaded now",
                IncumbentState::Awaited | IncumbentState::Refused | IncumbentState::Settled => return None,
            };
            let [name, rival] = [&claim.name, &incumbent.name].map(|name| one_line(name, MAX_SHOWN));
            Some(format!(
                "{name} claims {capability}, which {rival} served before; {rival}.wasm is still there and {how}. To hand \
                 the capability over, remove or disable {rival}, or give {name} a higher `priority` in {name}.toml",
            ))
        })
    }

    /// Whether a runner served all that it claims before.
    pub(crate) fn is_incumbent_of(&self, claim: &Claim) -> bool {
        let is_own = |capability| {
            self.incumbents.get(capability).is_some_and(|one: &Incumbent| one.name == claim.name)
        };
        claim.capabilities.iter().all(is_own)
    }

    /// The names of all runners that served something.
    pub(crate) fn incumbents(&self) -> BTreeSet<String> {
        self.incumbents.values().map(|incumbent| incumbent.name.clone()).collect()
    }

    /// Notes who serves what; `digest` is that of a live runner. Whether anything has changed.
    pub(crate) fn observe(
        &mut self,
        claims: &[Claim],
        digest: impl Fn(&str) -> Option<String>,
        state: impl Fn(&str) -> IncumbentState,
    ) -> bool {
        let before = self.incumbents.clone();
        // Who is live and claims something no more has given it up.
        self.incumbents.retain(|capability, incumbent| {
            let live = claims.iter().find(|claim| claim.name == incumbent.name);
            live.is_none_or(|claim| claim.capabilities.contains(capability))
        });
        let claimed: BTreeSet<&String> = claims.iter().flat_map(|claim| &claim.capabilities).collect();
        for capability in claimed {
            let Some(claim) =
                owner(capability, claims).and_then(|name| claims.iter().find(|one| one.name == name))
            else {
                continue;
            };
            let stands_in = self.incumbents.get(capability).is_some_and(|incumbent| {
                incumbent.name != claim.name
                    && incumbent.priority > claim.priority
                    && state(&incumbent.name) != IncumbentState::Settled
            });
            if stands_in || self.incumbents.len() >= MAX_ENTRIES && !self.incumbents.contains_key(capability)
            {
                continue;
            }
            let (name, priority) = (claim.name.clone(), claim.priority);
            let digest = digest(&name).unwrap_or_default();
            self.incumbents.insert(capability.clone(), Incumbent { name, digest, priority });
        }
        self.incumbents != before
    }

    /// A runner has left: what it served is free. Whether anything has changed.
    pub(crate) fn forget(&mut self, name: &str) -> bool {
        let before = self.incumbents.len();
        self.incumbents.retain(|_, incumbent| incumbent.name != name);
        self.incumbents.len() != before
    }

    /// Notes how a component describes itself.
    ///
    /// # Errors
    /// When the same bytes described themselves otherwise before.
    pub(crate) fn describe(&mut self, digest: &str, description: &Description) -> Result<bool, String> {
        let sha256 = fingerprint(description);
        match self.descriptions.get(digest) {
            Some(seen) if seen.sha256 == sha256 => Ok(false),
            Some(_) => Err(
                "it describes itself otherwise than it did before, though its bytes are the same; what `describe` returns \
                 may depend on nothing, neither the time nor chance: build it anew so, or ask its author"
                    .to_owned(),
            ),
            None => {
                self.described = self.described.saturating_add(1);
                let number = self.described;
                self.descriptions.insert(digest.to_owned(), Seen { sha256, number });
                self.forget_oldest();
                Ok(true)
            }
        }
    }

    fn forget_oldest(&mut self) {
        while self.descriptions.len() > MAX_ENTRIES {
            let oldest = self.descriptions.iter().min_by_key(|(_, seen)| seen.number);
            let Some(oldest) = oldest.map(|(digest, _)| digest.clone()) else { return };
            self.descriptions.remove(&oldest);
        }
    }
}

/// SHA-256 of a description, in hex. What it does not say is left out, so that a field that is added later changes nothing.
fn fingerprint(description: &Description) -> String {
    let mut value = serde_json::to_value(description).unwrap_or_default();
    if let Some(fields) = value.as_object_mut() {
        fields.retain(|_, field| !field.is_null());
    }
    hex::encode(Sha256::digest(value.to_string()))
}

#[cfg(test)]
mod tests;
