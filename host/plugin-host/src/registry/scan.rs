//! One scan of the directory: what is gone is withdrawn, what is new is taken through the stages.

use std::collections::BTreeMap;
use std::future::ready;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use futures_util::{StreamExt as _, stream};
use posemesh_runner_api::runner::Runner as _;
use tokio::sync::Mutex;
use tokio::time::Instant;

use crate::load::error::LoadError;
use crate::load::loader::{Loader, READ_TIMEOUT};
use crate::load::stage::LoadStage;
use crate::manifest::canary::CanaryPolicy;
use crate::manifest::policy::{Policy, PolicyError};
use crate::registry::fingerprint::{FileFingerprint, FileLook, contents, find_components};
use crate::registry::generation::Generation;
use crate::registry::slot::{LoadRefusal, RetryWhen};
use crate::registry::table::RunnerTable;

/// How many runners go through the stages at once; the loader bounds how many of them compile.
const LOADS_AT_ONCE: usize = 4;
/// How many files are looked at at once.
const LOOKS_AT_ONCE: usize = 16;
/// How long a look at a file, or at the directory, may take.
const LOOK_TIMEOUT: Duration = Duration::from_secs(5);
/// Wait before a runner is loaded again that was refused through no fault of its file.
const RETRY_DELAY: Duration = Duration::from_secs(30);

/// How eager a scan is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scan {
    /// A file is taken when it looks as it did at the scan before, so that a half-written one is not.
    Careful,
    /// Everything is taken as it is, and what was refused is tried again: somebody says that it is time.
    Now,
}

/// Keeps a table in step with a directory.
pub(crate) struct Scanner {
    loader: Arc<Loader>,
    table: Arc<RunnerTable>,
    plugins_dir: PathBuf,
    /// Variables that every runner which asks may see, with their values.
    environment: BTreeMap<String, String>,
    /// Held for a whole scan: there is one at a time.
    seen: Mutex<SeenFiles>,
}

/// What the scans remember of each name.
#[derive(Debug, Default)]
struct SeenFiles {
    /// The fingerprint with which it was last taken through the stages.
    loaded: BTreeMap<String, FileFingerprint>,
    /// The fingerprint of a changed one at the last scan.
    pending: BTreeMap<String, FileFingerprint>,
    /// What was in the files of each when they were last taken through the stages.
    contents: BTreeMap<String, [u8; 32]>,
    loads: u64,
}

struct LoadCandidate {
    name: String,
    number: u64,
    fingerprint: FileFingerprint,
}

enum LoadOutcome {
    Ready(Arc<Generation>, Option<CanaryPolicy>),
    Disabled,
}

impl Scanner {
    pub(crate) fn new(
        loader: Arc<Loader>,
        table: Arc<RunnerTable>,
        plugins_dir: PathBuf,
        environment: BTreeMap<String, String>,
    ) -> Self {
        Self { loader, table, plugins_dir, environment, seen: Mutex::default() }
    }

    /// Whether a changed file waits for the next scan.
    pub(crate) async fn has_pending(&self) -> bool {
        !self.seen.lock().await.pending.is_empty()
    }

    /// See [`Registry::scan`](crate::registry::Registry::scan).
    pub(crate) async fn scan(&self, scan: Scan) -> io::Result<()> {
        let mut seen = self.seen.lock().await;
        let found = self.look().await?;
        // First, since a removed runner may free a capability that a newcomer of this scan claims.
        self.withdraw_missing(&mut seen, &found);
        if scan == Scan::Now {
            self.compare_contents(&mut seen, &found).await;
        }
        // What goes live or leaves can make room for one that was refused.
        loop {
            let candidates = self.candidates(&mut seen, &found, scan);
            if candidates.is_empty() {
                break;
            }
            // Results come in order: of two newcomers that claim the same, the first by name wins, not the one that
            // compiles faster.
            let mut loads = stream::iter(candidates)
                .map(async |candidate| {
                    let contents = self.contents(&candidate.name).await;
                    let loaded = self.load(&candidate).await;
                    (candidate, contents, loaded)
                })
                .buffered(LOADS_AT_ONCE);
            while let Some((candidate, contents, loaded)) = loads.next().await {
                match contents {
                    Ok(contents) => drop(seen.contents.insert(candidate.name.clone(), contents)),
                    // The load says why.
                    Err(_) => drop(seen.contents.remove(&candidate.name)),
                }
                self.finish_load(&mut seen, candidate, loaded).await;
            }
            // Such a scan retries every refusal, so a runner that is refused again would keep the loop going for
            // ever.
            if scan == Scan::Now {
                break;
            }
        }
        drop(seen);
        self.table.conclude_trials();
        Ok(())
    }

    /// The runners of the directory by name, with the fingerprints of their files. A file whose file system does not
    /// answer holds up nobody but itself.
    async fn look(&self) -> io::Result<BTreeMap<String, FileFingerprint>> {
        let files = self.loader.files();
        let components = files.make(&self.plugins_dir, LOOK_TIMEOUT, find_components).await?;
        let looks = components.into_iter().map(async |(name, component)| {
            let look = files.make(&component, LOOK_TIMEOUT, |component| Ok(FileFingerprint::at(component)));
            let fingerprint = look.await.unwrap_or_else(|error| FileFingerprint::silent(&error));
            (name, fingerprint)
        });
        let found = stream::iter(looks).buffer_unordered(LOOKS_AT_ONCE);
        // Not what was removed since it was listed.
        let there = |found: &(String, FileFingerprint)| ready(found.1.component != FileLook::Missing);
        Ok(found.filter(there).collect().await)
    }

    /// Forgets the fingerprints of files that have other contents than when they were loaded: somebody asks for a look
    /// that no clock and no size can deceive.
    async fn compare_contents(&self, seen: &mut SeenFiles, found: &BTreeMap<String, FileFingerprint>) {
        for (name, fingerprint) in found {
            if seen.loaded.get(name) != Some(fingerprint) {
                continue;
            }
            let Some(loaded) = seen.contents.get(name) else { continue };
            if self.contents(name).await.is_ok_and(|now| now != *loaded) {
                tracing::info!(
                    runner = name,
                    "its file has other contents, though size and times are the same"
                );
                seen.loaded.remove(name);
            }
        }
    }

    async fn contents(&self, name: &str) -> io::Result<[u8; 32]> {
        let most = self.loader.component_bytes();
        let read = move |component: &Path| contents(component, most);
        self.loader.files().make(&self.component(name), READ_TIMEOUT, read).await
    }

    fn withdraw_missing(&self, seen: &mut SeenFiles, found: &BTreeMap<String, FileFingerprint>) {
        // Forgotten as well as withdrawn: the same file put back later counts as new.
        for (name, _) in seen.loaded.extract_if(.., |name, _| !found.contains_key(name)) {
            self.table.withdraw(&name, "its file was removed", None);
        }
        seen.pending.retain(|name, _| found.contains_key(name));
        seen.contents.retain(|name, _| found.contains_key(name));
    }

    /// Which names are to be taken through the stages, in their order.
    fn candidates(
        &self,
        seen: &mut SeenFiles,
        found: &BTreeMap<String, FileFingerprint>,
        scan: Scan,
    ) -> Vec<LoadCandidate> {
        let mut candidates = Vec::new();
        for (name, fingerprint) in found {
            let unchanged = seen.loaded.get(name) == Some(fingerprint);
            // Nothing to do; a file that changed and was changed back has nothing pending any more.
            if unchanged && !self.table.may_retry(name, |refusal| may_retry(refusal, scan)) {
                seen.pending.remove(name);
                continue;
            }
            // It may still be being written; it is taken once two scans in a row see the same fingerprint.
            if !unchanged && scan == Scan::Careful && seen.pending.get(name) != Some(fingerprint) {
                seen.pending.insert(name.clone(), fingerprint.clone());
                continue;
            }
            seen.pending.remove(name);
            // Noted before the load, whatever comes of it: a file that is refused must not be loaded at each scan.
            seen.loaded.insert(name.clone(), fingerprint.clone());
            seen.loads += 1;
            let (name, fingerprint) = (name.clone(), fingerprint.clone());
            candidates.push(LoadCandidate { name, number: seen.loads, fingerprint });
        }
        candidates
    }

    async fn load(&self, candidate: &LoadCandidate) -> Result<LoadOutcome, LoadError> {
        let LoadCandidate { name, number, fingerprint } = candidate;
        let reached = |stage: LoadStage| {
            tracing::debug!(runner = name, number, %stage, "runner {stage}");
            self.table.load_reached(name, *number, stage);
        };
        reached(LoadStage::Found);
        let path = self.component(name);
        // Said without opening it: that may never end.
        if let FileLook::Odd(what) = &fingerprint.component {
            return Err(LoadError::NotAFile { path, what: what.clone() });
        }
        let policy_path = path.with_extension("toml");
        let read = |path: &Path| Ok(Policy::read(path));
        let mut policy = match self.loader.files().make(&policy_path, READ_TIMEOUT, read).await {
            Ok(read) => read?,
            Err(error) => return Err(PolicyError::Read { path: policy_path, error }.into()),
        };
        // Before the component is read: a disabled one may be broken, and compiling it would be in vain.
        if !policy.enabled {
            return Ok(LoadOutcome::Disabled);
        }
        // These are the node's to give: a runner that asks for them needs no permission in its own policy.
        policy.environment.extend(self.environment.keys().cloned());
        let value = |name: &str| {
            let fixed = self.environment.get(name).cloned();
            fixed.or_else(|| std::env::var(name).ok())
        };
        let generation = Generation::load(&self.loader, &path, *number, &policy, &value, &reached).await?;
        Ok(LoadOutcome::Ready(Arc::new(generation), policy.canary))
    }

    /// Hands the outcome to the table. Whatever goes wrong leaves what was live as it was.
    async fn finish_load(
        &self,
        seen: &mut SeenFiles,
        candidate: LoadCandidate,
        loaded: Result<LoadOutcome, LoadError>,
    ) {
        let LoadCandidate { name, number, fingerprint } = candidate;
        // The load may have read half of an old and half of a new file, so its outcome says nothing then.
        let look = |component: &Path| Ok(FileFingerprint::at(component));
        let now = self.loader.files().make(&self.component(&name), LOOK_TIMEOUT, look).await;
        let passed = self.table.load_ended(&name);
        if now.is_ok_and(|now| now != fingerprint) {
            tracing::debug!(runner = name, number, "its file changed while it was loaded");
            // Forgotten, so that the next scan sees it as changed and takes it once it has come to rest.
            seen.loaded.remove(&name);
            return;
        }
        match loaded {
            Ok(LoadOutcome::Ready(generation, canary)) => {
                // Only a warning: a runner may do without, and the operator can read here what it lacks.
                for asked in &generation.grant.not_granted {
                    tracing::warn!(runner = %generation.label(), "asked for and not granted: {asked}");
                }
                if let Err(refusal) = self.table.arrive(&name, generation, canary) {
                    self.table.refuse(&name, refusal);
                }
            }
            Ok(LoadOutcome::Disabled) => {
                let reason = "disabled by its policy".to_owned();
                let refusal = LoadRefusal { number, passed, reason, retry: RetryWhen::Requested };
                // Unlike a failed load, this takes the live generation out: the operator has said so.
                self.table.withdraw(&name, "its policy says enabled = false", Some(refusal));
            }
            Err(error) => {
                let retry = match error.is_the_files_fault() {
                    true => RetryWhen::Requested,
                    // A read that failed or a compiler that took too long may go well later with the same file.
                    false => RetryWhen::After(Instant::now() + RETRY_DELAY),
                };
                self.table.refuse(&name, LoadRefusal { number, passed, reason: error.to_string(), retry });
            }
        }
    }

    fn component(&self, name: &str) -> PathBuf {
        self.plugins_dir.join(format!("{name}.wasm"))
    }
}

fn may_retry(refusal: &LoadRefusal, scan: Scan) -> bool {
    let requested = scan == Scan::Now;
    match refusal.retry {
        // A rollback is the operator's word; it is not undone by another scan.
        RetryWhen::Requested => requested && !matches!(refusal.passed, LoadStage::Live | LoadStage::Canary),
        RetryWhen::After(time) => requested || Instant::now() >= time,
        // The table decides on these by the claims of the moment and does not ask here.
        RetryWhen::Unclaimed(_) => false,
    }
}
