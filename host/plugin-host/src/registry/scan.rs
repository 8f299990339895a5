//! One scan of the directory: what is gone is withdrawn, what is new is taken through the stages.

use std::collections::BTreeMap;
use std::future::ready;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{StreamExt as _, stream};
use tokio::sync::{Mutex, watch};
use tokio::time::{Instant, timeout};

use crate::load::loader::{Loader, READ_TIMEOUT};
use crate::load::stage::LoadStage;
use crate::registry::fingerprint::{Contents, FileFingerprint, FileLook, find_components};
use crate::registry::loads::{LOOK_TIMEOUT, LoadCandidate, LoadContext, Loads};
use crate::registry::memory::RunnerMemory;
use crate::registry::memory_file::MemoryFile;
use crate::registry::slot::{LoadRefusal, RetryWhen};
use crate::registry::table::RunnerTable;

/// How many files are looked at at once.
const LOOKS_AT_ONCE: usize = 16;
/// How often a scan looks for room that it has made itself.
const MAX_ROUNDS: usize = 16;

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
    loads: Loads,
    memory_file: Option<MemoryFile>,
    /// What the file has, once it was read. Held while it is read or written.
    remembered: Mutex<Option<RunnerMemory>>,
    /// Held for a whole scan: there is one at a time.
    scanning: Mutex<()>,
}

impl Scanner {
    pub(crate) fn new(
        loader: Arc<Loader>,
        table: Arc<RunnerTable>,
        plugins_dir: PathBuf,
        environment: BTreeMap<String, String>,
        memory: Option<PathBuf>,
    ) -> Self {
        Self {
            loads: Loads::new(loader, table, plugins_dir, environment),
            memory_file: memory.map(MemoryFile::new),
            remembered: Mutex::default(),
            scanning: Mutex::default(),
        }
    }

    /// Whether a changed file waits for the next scan.
    pub(crate) fn has_pending(&self) -> bool {
        !self.context().seen().pending.is_empty()
    }

    /// Counts the loads that have ended.
    pub(crate) fn ended(&self) -> watch::Receiver<u64> {
        self.loads.ended()
    }

    /// Ends the loads that go on.
    pub(crate) fn stop(&self) {
        self.loads.abort_all();
    }

    /// Scans, and leaves the loads that this begins to themselves.
    ///
    /// # Errors
    /// When the directory can't be read.
    pub(crate) async fn begin(&self, scan: Scan) -> io::Result<()> {
        let _scanning = self.scanning.lock().await;
        self.recall().await;
        let found = self.look().await?;
        let table = &self.context().table;
        table.files_there(found.keys().cloned().collect());
        // First, since a removed runner may free a capability that a newcomer of this scan claims.
        self.withdraw_missing(&found);
        if scan == Scan::Now {
            self.compare_contents(&found).await;
        }
        self.loads.start(self.candidates(&found, scan));
        table.conclude_trials();
        Ok(())
    }

    /// See [`Registry::scan`](crate::registry::Registry::scan).
    pub(crate) async fn scan(&self, scan: Scan) -> io::Result<()> {
        self.begin(scan).await?;
        self.finish().await;
        Ok(())
    }

    /// See [`Registry::scan_within`](crate::registry::Registry::scan_within).
    pub(crate) async fn scan_within(&self, longest: Duration) -> io::Result<Vec<String>> {
        self.begin(Scan::Now).await?;
        // The loads are tasks of their own, and go on without this.
        match timeout(longest, self.finish()).await {
            Ok(()) => Ok(Vec::new()),
            Err(_) => Ok(self.loads.under_way()),
        }
    }

    /// Waits for the loads, and for those that they make room for.
    async fn finish(&self) {
        self.loads.idle().await;
        // What goes live or leaves can make room for one that was refused.
        for _ in 0..MAX_ROUNDS {
            let candidates = self.unclaimed();
            if candidates.is_empty() {
                break;
            }
            self.loads.start(candidates);
            self.loads.idle().await;
        }
        self.context().table.conclude_trials();
        self.save().await;
    }

    /// See [`Registry::start`](crate::registry::Registry::start).
    pub(crate) async fn start(&self, quiet: Duration, longest: Duration) -> io::Result<Vec<String>> {
        self.begin(Scan::Now).await?;
        let left = self.loads.settled(quiet, longest).await;
        self.save().await;
        Ok(left)
    }

    /// Keeps the file in step with what is to be remembered. Never returns.
    pub(crate) async fn keep_memory(&self) {
        loop {
            self.context().table.learned().await;
            self.save().await;
        }
    }

    fn context(&self) -> &LoadContext {
        self.loads.context()
    }

    /// Reads what an earlier process has remembered, once, before anything is loaded.
    async fn recall(&self) {
        let Some(file) = &self.memory_file else { return };
        let mut remembered = self.remembered.lock().await;
        if remembered.is_some() {
            return;
        }
        let reading = file.clone();
        let read = self.context().loader.files().make(file.path(), READ_TIMEOUT, move |_| Ok(reading.read()));
        let memory = read.await.unwrap_or_else(|error| {
            tracing::warn!(path = %file.path().display(), %error, "who served which capability can't be read");
            RunnerMemory::default().adopt()
        });
        self.context().table.recall(memory.clone());
        *remembered = Some(memory);
    }

    /// Writes what is to be remembered, if the file has something else.
    pub(crate) async fn save(&self) {
        let Some(file) = &self.memory_file else { return };
        let mut remembered = self.remembered.lock().await;
        let memory = self.context().table.memory();
        if remembered.as_ref() == Some(&memory) {
            return;
        }
        let (writing, written) = (file.clone(), memory.clone());
        let write = self.context().loader.files();
        match write.make(file.path(), READ_TIMEOUT, move |_| writing.write(&written)).await {
            Ok(()) => *remembered = Some(memory),
            // Tried again with the next change: without it, a restart forgets.
            Err(error) => {
                tracing::warn!(path = %file.path().display(), %error, "who serves which capability can't be kept")
            }
        }
    }

    /// The runners of the directory by name, with the fingerprints of their files. A file whose file system does not
    /// answer holds up nobody but itself.
    async fn look(&self) -> io::Result<BTreeMap<String, FileFingerprint>> {
        let files = self.context().loader.files();
        let components = files.make(&self.context().plugins_dir, LOOK_TIMEOUT, find_components).await?;
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
    async fn compare_contents(&self, found: &BTreeMap<String, FileFingerprint>) {
        let unchanged: Vec<(String, Contents)> = {
            let seen = self.context().seen();
            let same =
                found.iter().filter(|(name, fingerprint)| seen.loaded.get(*name) == Some(*fingerprint));
            same.filter_map(|(name, _)| Some((name.clone(), *seen.contents.get(name)?))).collect()
        };
        for (name, loaded) in unchanged {
            if self.context().contents(&name).await.is_ok_and(|now| now != loaded) {
                tracing::info!(
                    runner = name,
                    "its file has other contents, though size and times are the same"
                );
                self.context().seen().loaded.remove(&name);
            }
        }
    }

    fn withdraw_missing(&self, found: &BTreeMap<String, FileFingerprint>) {
        let mut seen = self.context().seen();
        // Forgotten as well as withdrawn: the same file put back later counts as new.
        let gone: Vec<String> =
            seen.loaded.keys().filter(|name| !found.contains_key(*name)).cloned().collect();
        for name in gone {
            seen.loaded.remove(&name);
            seen.no_trouble(&name);
            seen.abort(&name);
            self.context().table.withdraw(&name, "its file was removed", None);
        }
        seen.pending.retain(|name, _| found.contains_key(name));
        seen.contents.retain(|name, _| found.contains_key(name));
    }

    /// Which names are to be taken through the stages: the smallest first, which are live soonest; of equal ones those that
    /// served something.
    fn candidates(&self, found: &BTreeMap<String, FileFingerprint>, scan: Scan) -> Vec<LoadCandidate> {
        let table = &self.context().table;
        let incumbents = table.incumbents();
        let mut seen = self.context().seen();
        let mut names: Vec<&String> = found.keys().collect();
        let size = |name: &str| found.get(name).map_or(0, FileFingerprint::bytes);
        names.sort_by_key(|name| (size(name), !incumbents.contains(*name)));
        let mut candidates = Vec::new();
        for name in names {
            let Some(fingerprint) = found.get(name) else { continue };
            let loaded = seen.loaded.get(name);
            let unchanged = loaded == Some(fingerprint);
            let is_new_code = loaded.is_none_or(|loaded| loaded.component != fingerprint.component);
            let goes_on = seen.in_flight.contains_key(name);
            // Nothing to do; a file that changed and was changed back has nothing pending any more.
            if unchanged && (goes_on || !table.may_retry(name, |refusal| may_retry(refusal, scan))) {
                seen.pending.remove(name);
                continue;
            }
            // It may still be being written; it is taken once two scans in a row see the same fingerprint.
            if !unchanged && scan == Scan::Careful && seen.pending.get(name) != Some(fingerprint) {
                seen.pending.insert(name.clone(), fingerprint.clone());
                continue;
            }
            seen.pending.remove(name);
            // What it loads is not there any more.
            seen.abort(name);
            if !unchanged {
                seen.no_trouble(name);
            }
            // Noted before the load, whatever comes of it: a file that is refused must not be loaded at each scan.
            seen.loaded.insert(name.clone(), fingerprint.clone());
            let number = seen.next_number();
            let (name, fingerprint) = (name.clone(), fingerprint.clone());
            candidates.push(LoadCandidate { name, number, fingerprint, is_new_code });
        }
        candidates
    }

    /// Those that were refused for the claims of others which are gone.
    fn unclaimed(&self) -> Vec<LoadCandidate> {
        let mut seen = self.context().seen();
        let is_free = |name: &String| self.context().table.may_retry(name, |_| false);
        let names: Vec<String> = seen
            .loaded
            .keys()
            .filter(|name| !seen.in_flight.contains_key(*name) && is_free(name))
            .cloned()
            .collect();
        let candidate = |name: String| {
            let fingerprint = seen.loaded.get(&name)?.clone();
            Some(LoadCandidate { number: seen.next_number(), name, fingerprint, is_new_code: false })
        };
        names.into_iter().filter_map(candidate).collect()
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
