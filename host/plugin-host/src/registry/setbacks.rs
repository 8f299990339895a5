//! What was decided against a runner, remembered beyond the process: code that was taken back, and open circuit breakers. A
//! restart is nobody's word that either is better.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use posemesh_text::one_line;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tokio::time::Instant;

use crate::code::footprint::Footprint;
use crate::registry::breaker::{BreakerPhase, OpenReason};
use crate::registry::generation::Generation;
use crate::registry::slot::RunnerSlot;

/// How many runners are remembered.
const MAX_RUNNERS: usize = 4096;
/// The longest text that is remembered, in bytes.
const MAX_TEXT: usize = 500;

/// What was decided against runners, by their names.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Setbacks {
    rolled_back: BTreeMap<String, RolledBack>,
    breakers: BTreeMap<String, OpenBreaker>,
}

/// Code that was taken back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RolledBack {
    /// SHA-256 of its file, in hex.
    digest: String,
    /// Why, in words.
    why: String,
    /// When, in seconds since 1970.
    at_secs: i64,
    /// What serves in its place.
    kept: Option<KeptCode>,
}

/// Code whose file is not in the folder any more. Its machine code may be in the cache.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct KeptCode {
    /// SHA-256 of its file, in hex.
    pub(crate) digest: String,
    /// Size of its file, in bytes.
    pub(crate) bytes: u64,
    /// What an instance costs before it runs.
    pub(crate) footprint: Footprint,
}

/// A breaker that is open or half open.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct OpenBreaker {
    /// SHA-256 of the runner's file, in hex.
    digest: String,
    /// When it will be half open, in milliseconds since 1970.
    until_ms: u64,
    /// How often it has opened, each time for longer.
    pub(crate) openings: u32,
    why: String,
    last_failure: String,
}

impl RolledBack {
    /// What is said of it in the next process.
    fn sentence(&self, name: &str) -> String {
        let at = OffsetDateTime::from_unix_timestamp(self.at_secs).ok();
        let at = at.and_then(|at| at.format(&Rfc3339).ok()).unwrap_or_default();
        let name = one_line(name, MAX_TEXT);
        format!(
            "it was rolled back ({}; {at}), and a restart does not undo that: put another file in its place, or make this one \
             live after all by `posemesh-node plugin rollback {name}`",
            one_line(&self.why, MAX_TEXT)
        )
    }
}

impl OpenBreaker {
    /// How long it is still open.
    pub(crate) fn left(&self) -> Duration {
        Duration::from_millis(self.until_ms.saturating_sub(now_ms()))
    }

    pub(crate) fn reason(&self) -> OpenReason {
        OpenReason {
            why: one_line(&self.why, MAX_TEXT),
            last_failure: one_line(&self.last_failure, MAX_TEXT),
        }
    }

    /// Whether it is of this code.
    pub(crate) fn is_of(&self, generation: &Generation) -> bool {
        self.digest == generation.digest
    }
}

impl Setbacks {
    /// What another process has remembered.
    pub(crate) fn adopt(&mut self) {
        while self.rolled_back.len() > MAX_RUNNERS {
            self.rolled_back.pop_last();
        }
        while self.breakers.len() > MAX_RUNNERS {
            self.breakers.pop_last();
        }
    }

    /// This generation was taken back, and that one serves in its place.
    pub(crate) fn roll_back(
        &mut self,
        name: &str,
        back: &Generation,
        serves: Option<&Generation>,
        why: &str,
    ) {
        if self.rolled_back.len() >= MAX_RUNNERS && !self.rolled_back.contains_key(name) {
            // The one that was decided first: of many its file has long gone.
            let first = self.rolled_back.iter().min_by_key(|(_, one)| one.at_secs);
            let first = first.map(|(name, _)| name.clone());
            first.map(|name| self.rolled_back.remove(&name));
        }
        let kept = serves.map(|serves| KeptCode {
            digest: serves.digest.clone(),
            bytes: serves.bytes,
            footprint: serves.footprint,
        });
        let at_secs = OffsetDateTime::now_utc().unix_timestamp();
        let (digest, why) = (back.digest.clone(), one_line(why, MAX_TEXT));
        self.rolled_back.insert(name.to_owned(), RolledBack { digest, why, at_secs, kept });
    }

    /// Nothing of a runner is taken back any more. Whether anything was.
    pub(crate) fn accept(&mut self, name: &str) -> bool {
        self.rolled_back.remove(name).is_some()
    }

    /// Why this code of a runner does not serve, if it was taken back.
    pub(crate) fn held_back(&self, name: &str, digest: &str) -> Option<String> {
        let rolled_back = self.rolled_back.get(name).filter(|one| one.digest == digest)?;
        Some(rolled_back.sentence(name))
    }

    /// What serves in place of this code.
    pub(crate) fn kept(&self, name: &str, digest: &str) -> Option<KeptCode> {
        self.rolled_back.get(name).filter(|one| one.digest == digest)?.kept.clone()
    }

    /// The breakers that were open.
    pub(crate) fn breakers(&self) -> BTreeMap<String, OpenBreaker> {
        self.breakers.clone()
    }

    /// Forgets the breaker of a runner whose file has gone. What was taken back stays: a file that is put there again, or a
    /// folder that was away, is nobody's word that it is better. Whether anything was forgotten.
    pub(crate) fn forget(&mut self, name: &str) -> bool {
        self.breakers.remove(name).is_some()
    }

    /// The names of the runners that may have to be forgotten.
    pub(crate) fn names(&self) -> impl Iterator<Item = &String> {
        self.breakers.keys()
    }

    /// Notes which breakers are open. What is said of a runner that is not live yet stays, if `is_awaited`. Whether anything has
    /// changed.
    pub(crate) fn observe<'a>(
        &mut self,
        slots: impl Iterator<Item = (&'a String, &'a RunnerSlot)>,
        is_awaited: impl Fn(&str) -> bool,
    ) -> bool {
        let mut open = BTreeMap::new();
        for (name, slot) in slots.take(MAX_RUNNERS) {
            let (Some(live), Some(status)) = (&slot.live, slot.breaker.status()) else { continue };
            if status.phase == BreakerPhase::Closed {
                continue;
            }
            // The same opening is noted once: its time is not reckoned anew.
            let known = self.breakers.get(name);
            let known = known.filter(|known| known.is_of(live) && known.openings == status.openings);
            let left = status.until.map(|until| until.saturating_duration_since(Instant::now()));
            let noted = known.cloned().unwrap_or_else(|| OpenBreaker {
                digest: live.digest.clone(),
                until_ms: now_ms().saturating_add(millis(left.unwrap_or_default())),
                openings: status.openings,
                why: status.opened.map(|opened| opened.why.clone()).unwrap_or_default(),
                last_failure: status.opened.map(|opened| opened.last_failure.clone()).unwrap_or_default(),
            });
            open.insert(name.clone(), noted);
        }
        let awaited = self.breakers.iter().filter(|(name, _)| is_awaited(name));
        for (name, breaker) in awaited {
            open.entry(name.clone()).or_insert_with(|| breaker.clone());
        }
        let changed = open != self.breakers;
        self.breakers = open;
        changed
    }
}

fn now_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map(millis).unwrap_or_default()
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
