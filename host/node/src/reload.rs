//! Settings that are read again while the node runs: by SIGHUP, and by an admin call.
//!
//! What can take effect at once does; everything else that has changed is named, and waits for the next start. When
//! anything is wrong with what is read, nothing changes at all.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use posemesh_text::one_line;
use serde::Serialize;
use serde_json::json;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio::task::spawn_blocking;
use tokio_util::sync::CancellationToken;

use crate::admission::{LiveBudget, MemoryBudget};
use crate::audit::AuditLog;
use crate::config::{Config, Difference, SettingSource};
use crate::telemetry;

/// How much of what is wrong is shown, in bytes.
const SHOWN_BYTES: usize = 2000;
/// The settings that take effect at once.
const LIVE: [&str; 3] = ["RUST_LOG", "MAX_CONCURRENCY", "MEMORY_BUDGET"];

/// Reads the settings as they are given now. May block.
pub type ReadSettings = Arc<dyn Fn() -> Result<Config, String> + Send + Sync>;

/// What a reload did.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Reloaded {
    /// What has taken effect.
    pub(crate) changed: Vec<Change>,
    /// What has changed and takes effect with the next start.
    pub(crate) needs_restart: Vec<&'static str>,
}

/// A setting that has another value now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Change {
    pub(crate) name: &'static str,
    pub(crate) before: String,
    pub(crate) after: String,
}

/// Reads the settings again. Clones share it.
#[derive(Clone)]
pub(crate) struct Reload {
    inner: Arc<Inner>,
}

struct Inner {
    read: Option<ReadSettings>,
    /// What the node runs with. One reload at a time.
    running: tokio::sync::Mutex<Config>,
    slots: watch::Sender<usize>,
    budget: LiveBudget,
    audit: AuditLog,
    shown: Mutex<Shown>,
}

/// What people see of it.
#[derive(Default)]
struct Shown {
    /// What the last reload left to be said.
    warnings: Vec<String>,
    /// The settings that the node runs with and that differ from the default: name, value, source.
    settings: Vec<[String; 3]>,
}

impl Reload {
    /// Of a node that runs with this configuration; without `read` there is nothing to read again.
    pub(crate) fn new(
        config: Config,
        read: Option<ReadSettings>,
        slots: watch::Sender<usize>,
        budget: LiveBudget,
        audit: AuditLog,
    ) -> Self {
        let shown = Mutex::new(Shown { warnings: Vec::new(), settings: set(&config) });
        let running = tokio::sync::Mutex::new(config);
        Self { inner: Arc::new(Inner { read, running, slots, budget, audit, shown }) }
    }

    /// What people should know of the last reload, a line each.
    pub(crate) fn warnings(&self) -> Vec<String> {
        self.shown().warnings.clone()
    }

    /// The settings that the node runs with and that differ from the default: name, value, source. Secrets are masked.
    pub(crate) fn settings(&self) -> Vec<[String; 3]> {
        self.shown().settings.clone()
    }

    fn shown(&self) -> MutexGuard<'_, Shown> {
        self.inner.shown.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads the settings again at each SIGHUP, until `stop`.
    pub(crate) async fn follow_signal(&self, stop: CancellationToken) {
        let mut hang_up = match signal(SignalKind::hangup()) {
            Ok(hang_up) => hang_up,
            Err(error) => return tracing::warn!(%error, "SIGHUP can't be listened to"),
        };
        if self.inner.read.is_none() {
            return;
        }
        while stop.run_until_cancelled(hang_up.recv()).await.flatten().is_some() {
            // Logged, and said by `/ready`.
            let _ = stop.run_until_cancelled(self.reload("SIGHUP")).await;
        }
    }

    /// Reads the settings now. `by` says for whom.
    ///
    /// # Errors
    /// When something is wrong with them, in words. Nothing has changed then.
    pub(crate) async fn reload(&self, by: &'static str) -> Result<Reloaded, String> {
        let Some(read) = self.inner.read.clone() else {
            return Err("the program that runs this node has no settings to read again".to_owned());
        };
        let mut running = self.inner.running.lock().await;
        let read = spawn_blocking(move || {
            let config = read()?;
            let budget = config.memory_budget.map_or_else(MemoryBudget::of_machine, MemoryBudget::of);
            Ok((config, budget))
        });
        let read = read.await.unwrap_or_else(|_| Err("reading the settings broke down".to_owned()));
        let applied = read.and_then(|(config, budget)| self.apply(&mut running, &config, budget));
        self.tell(by, &applied);
        applied
    }

    fn apply(&self, running: &mut Config, read: &Config, budget: MemoryBudget) -> Result<Reloaded, String> {
        let mut reloaded = Reloaded::default();
        for Difference { name, before, after } in running.differences(read) {
            if !LIVE.contains(&name) {
                reloaded.needs_restart.push(name);
                continue;
            }
            match name {
                "MAX_CONCURRENCY" => drop(self.inner.slots.send_replace(read.worker.max_concurrency)),
                "MEMORY_BUDGET" => self.inner.budget.set(budget),
                // The filter was parsed with the other settings; without a log of ours there is nothing to filter.
                _ => drop(telemetry::set_filter(&read.log.filter)),
            }
            running.take_over(name, read);
            reloaded.changed.push(Change { name, before, after });
        }
        self.shown().settings = set(running);
        Ok(reloaded)
    }

    fn tell(&self, by: &'static str, applied: &Result<Reloaded, String>) {
        let mut warnings = Vec::new();
        match applied {
            Ok(Reloaded { changed, needs_restart }) => {
                let shown: Vec<String> = changed
                    .iter()
                    .map(|Change { name, before, after }| format!("{name}: {before} -> {after}"))
                    .collect();
                let restart = needs_restart.join(", ");
                tracing::info!(
                    by,
                    changed = shown.join("; "),
                    needs_restart = restart,
                    "settings were read again"
                );
                if !needs_restart.is_empty() {
                    let text =
                        format!("changed settings take effect with the next start of the node: {restart}");
                    tracing::warn!("{text}");
                    warnings.push(text);
                }
                self.inner.audit.record(
                    "settings_reloaded",
                    [("by", by.into()), ("changed", json!(changed)), ("needs_restart", json!(needs_restart))],
                );
            }
            Err(what) => {
                let what = one_line(what.replace("\n  ", "; "), SHOWN_BYTES);
                tracing::error!(by, "settings were read again and are wrong; nothing has changed: {what}");
                self.inner
                    .audit
                    .record("settings_refused", [("by", by.into()), ("reason", what.clone().into())]);
                warnings.push(format!(
                    "the settings were read again and are wrong, so those from before hold (the next start would fail): {what}"
                ));
            }
        }
        self.shown().warnings = warnings;
    }
}

fn set(config: &Config) -> Vec<[String; 3]> {
    let set = config.effective().iter().filter(|setting| setting.source != SettingSource::Default);
    set.map(|setting| [setting.name.to_owned(), setting.value.clone(), setting.source.to_string()]).collect()
}

impl fmt::Debug for Reload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reload").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
