//! Loads that go on side by side: each runner is live as soon as it is ready, whatever becomes of the others.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use posemesh_runner_api::runner::Runner as _;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout, timeout_at};

use crate::load::error::LoadError;
use crate::load::lanes::Lanes;
use crate::load::loader::{Loader, READ_TIMEOUT};
use crate::load::stage::LoadStage;
use crate::manifest::canary::CanaryPolicy;
use crate::manifest::policy::{Policy, PolicyError};
use crate::registry::fingerprint::{Contents, FileFingerprint, FileLook, contents};
use crate::registry::generation::Generation;
use crate::registry::granted_folders::check_directories;
use crate::registry::seen::{InFlight, SeenFiles};
use crate::registry::setbacks::KeptCode;
use crate::registry::slot::{LoadRefusal, RetryWhen};
use crate::registry::table::RunnerTable;
use crate::registry::terms::Terms;

/// How many runners go through the stages at once; the loader bounds how many of them compile.
const LOADS_AT_ONCE: usize = 8;
/// A load that takes longer holds up no other one.
const SLOW_AFTER: Duration = Duration::from_secs(1);
/// So many slow ones go on beside the others.
const MAX_SLOW: usize = 64;
/// How long a newcomer that is ready waits for those that go before it. Of two that claim the same the first by name wins
/// then, not the one that compiles faster; but a slow one does not keep the others out.
const TURN_WAIT: Duration = Duration::from_secs(1);
/// How long a look at a file, or at the directory, may take.
pub(crate) const LOOK_TIMEOUT: Duration = Duration::from_secs(5);

/// The loads of a registry. Dropping it ends them.
pub(crate) struct Loads {
    context: Arc<LoadContext>,
    tasks: Mutex<JoinSet<()>>,
}

/// What each load needs.
pub(crate) struct LoadContext {
    pub(crate) loader: Arc<Loader>,
    pub(crate) table: Arc<RunnerTable>,
    pub(crate) plugins_dir: PathBuf,
    /// Variables that every runner which asks may see, with their values.
    pub(crate) environment: BTreeMap<String, String>,
    seen: Mutex<SeenFiles>,
    lanes: Lanes,
    /// Counts loads that have ended.
    ended: watch::Sender<u64>,
}

/// A file that is to be taken through the stages.
pub(crate) struct LoadCandidate {
    pub(crate) name: String,
    pub(crate) number: u64,
    /// The files as they were found.
    pub(crate) fingerprint: FileFingerprint,
    /// The component's file has changed, and not its policy alone.
    pub(crate) is_new_code: bool,
}

enum LoadOutcome {
    /// Ready, and what serves in its place if it was taken back before the node was started anew.
    Ready(Arc<Generation>, Option<CanaryPolicy>, Option<Arc<Generation>>),
    Disabled,
}

/// Notes the end of a load, however it ends.
struct Flight {
    context: Arc<LoadContext>,
    name: String,
    number: u64,
}

impl Drop for Flight {
    fn drop(&mut self) {
        let Self { context, name, number } = self;
        context.table.load_ended(name, *number);
        {
            let mut seen = context.seen();
            if seen.is_current(name, *number) {
                seen.in_flight.remove(name);
            }
        }
        // After it is gone: whoever is woken must not find it any more.
        context.ended.send_modify(|ended| *ended = ended.wrapping_add(1));
    }
}

impl Loads {
    pub(crate) fn new(
        loader: Arc<Loader>,
        table: Arc<RunnerTable>,
        plugins_dir: PathBuf,
        environment: BTreeMap<String, String>,
    ) -> Self {
        let context = LoadContext {
            loader,
            table,
            plugins_dir,
            environment,
            seen: Mutex::default(),
            lanes: Lanes::new(LOADS_AT_ONCE, MAX_SLOW, SLOW_AFTER),
            ended: watch::Sender::new(0),
        };
        Self { context: Arc::new(context), tasks: Mutex::default() }
    }

    /// What each load needs.
    pub(crate) fn context(&self) -> &LoadContext {
        &self.context
    }

    /// Takes files through the stages, and does not wait for it.
    pub(crate) fn start(&self, candidates: Vec<LoadCandidate>) {
        let mut tasks = self.tasks.lock().unwrap_or_else(PoisonError::into_inner);
        while tasks.try_join_next().is_some() {}
        let incumbents = self.context.table.incumbents();
        let Some(batch) = candidates.first().map(|first| first.number) else { return };
        for candidate in candidates {
            let (name, number) = (candidate.name.clone(), candidate.number);
            let (is_newcomer, is_incumbent) =
                (!self.context.table.is_live(&name), incumbents.contains(&name));
            // Held until it is noted, so that a load can't end before it has begun.
            let mut seen = self.context.seen();
            let abort = tasks.spawn(take_through(self.context.clone(), candidate, batch));
            seen.in_flight.insert(name, InFlight { number, batch, is_newcomer, is_incumbent, abort });
        }
    }

    /// Ends all loads that go on.
    pub(crate) fn abort_all(&self) {
        self.tasks.lock().unwrap_or_else(PoisonError::into_inner).abort_all();
    }

    /// Counts the loads that have ended.
    pub(crate) fn ended(&self) -> watch::Receiver<u64> {
        self.context.ended.subscribe()
    }

    /// Waits until no load goes on.
    pub(crate) async fn idle(&self) {
        let mut ended = self.ended();
        while !self.context.seen().in_flight.is_empty() {
            if ended.changed().await.is_err() {
                return;
            }
        }
    }

    /// The names of the runners that are being loaded, or are about to be.
    pub(crate) fn under_way(&self) -> Vec<String> {
        self.context.seen().in_flight.keys().cloned().collect()
    }

    /// Waits until no load goes on, or something is live and the next one does not end within `quiet`, or all of them within
    /// `longest`; returns the names of those that go on.
    pub(crate) async fn settled(&self, quiet: Duration, longest: Duration) -> Vec<String> {
        let mut ended = self.ended();
        let mut capabilities = self.context.table.capabilities();
        let mut live_since = None;
        loop {
            let left = self.under_way();
            if left.is_empty() {
                return left;
            }
            if live_since.is_none() && !capabilities.borrow_and_update().is_empty() {
                live_since = Some(Instant::now());
            }
            match live_since {
                Some(since) => {
                    let until = (Instant::now() + quiet).min(since + longest);
                    if timeout_at(until, ended.changed()).await.is_err() {
                        return left;
                    }
                }
                // Without any runner there is nothing to be done: however long that takes.
                None => tokio::select! {
                    _ = ended.changed() => {}
                    _ = capabilities.changed() => {}
                },
            }
        }
    }
}

async fn take_through(context: Arc<LoadContext>, candidate: LoadCandidate, batch: u64) {
    let _flight = Flight { context: context.clone(), name: candidate.name.clone(), number: candidate.number };
    let work = async {
        let contents = context.contents(&candidate.name).await;
        (contents, context.load(&candidate).await)
    };
    let lane = context.lanes.enter(candidate.fingerprint.bytes()).await;
    let (contents, loaded) = context.lanes.work(lane, || true, work).await;
    if let Ok(LoadOutcome::Ready(generation, ..)) = &loaded {
        context.wait_for_turn(generation, &candidate.name, batch).await;
    }
    context.finish(candidate, contents, loaded).await;
}

impl LoadContext {
    pub(crate) fn seen(&self) -> MutexGuard<'_, SeenFiles> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn component(&self, name: &str) -> PathBuf {
        self.plugins_dir.join(format!("{name}.wasm"))
    }

    /// SHA-256 of what is in the two files of a runner.
    ///
    /// # Errors
    /// What the file system says.
    pub(crate) async fn contents(&self, name: &str) -> io::Result<Contents> {
        let most = self.loader.component_bytes();
        let read = move |component: &Path| contents(component, most);
        self.loader.files().make(&self.component(name), READ_TIMEOUT, read).await
    }

    async fn load(&self, candidate: &LoadCandidate) -> Result<LoadOutcome, LoadError> {
        let LoadCandidate { name, number, fingerprint, .. } = candidate;
        let reached = |stage: LoadStage| {
            tracing::debug!(runner = name, number, %stage, "runner {stage}");
            self.table.load_reached(name, *number, stage);
        };
        reached(LoadStage::Found);
        let path = self.component(name);
        let policy = self.policy(name).await?;
        // Before the component is read: a disabled one may be broken, and compiling it would be in vain.
        if !policy.enabled {
            return Ok(LoadOutcome::Disabled);
        }
        let value = |name: &str| {
            let fixed = self.environment.get(name).cloned();
            fixed.or_else(|| std::env::var(name).ok())
        };
        // Whatever becomes of this load, what serves keeps nothing that was withdrawn from it.
        let checked = check_directories(&self.loader, &path, &policy).await;
        self.table.follow_policy(name, &policy, |kept| {
            let mut followed = policy.clone();
            if checked.is_err() {
                // What it has already is looked at again for each task.
                let had = &kept.terms().grant;
                followed.directories.retain(|name, folder| had.directories.get(name) == Some(folder));
            }
            Terms::new(&followed, &kept.description, &self.loader, &value)
        });
        checked?;
        // Said without opening it: that may never end.
        if let FileLook::Odd(what) = &fingerprint.component {
            return Err(LoadError::NotAFile { path, what: what.clone() });
        }
        let generation = Generation::load(&self.loader, &path, *number, &policy, &value, &reached).await?;
        let kept = self.load_kept(candidate, &generation.digest, &policy, &value).await;
        Ok(LoadOutcome::Ready(Arc::new(generation), policy.canary, kept))
    }

    /// The version that served in place of this code, if that was taken back before the node was started anew: from the
    /// cache, since its file is gone.
    async fn load_kept(
        &self,
        candidate: &LoadCandidate,
        digest: &str,
        policy: &Policy,
        environment: &(dyn Fn(&str) -> Option<String> + Sync),
    ) -> Option<Arc<Generation>> {
        let name = &candidate.name;
        let KeptCode { digest, bytes, footprint } = self.table.kept_for(name, digest)?;
        let Some(loaded) = self.loader.kept(&digest, bytes, footprint).await else {
            tracing::warn!(
                runner = name,
                sha256 = digest,
                "the version that served before is not in CACHE_DIR any more (or the cache is off, or this node has another \
                 engine): nothing of this runner serves until there is another file"
            );
            return None;
        };
        let number = self.seen().next_number();
        let path = self.component(name);
        let kept = Generation::of(&self.loader, &path, loaded, number, policy, environment, &|_| ()).await;
        kept.map(Arc::new)
            .inspect_err(|error| {
                tracing::warn!(runner = name, %error, "the version that served before can't be used any more");
            })
            .ok()
    }

    async fn policy(&self, name: &str) -> Result<Policy, PolicyError> {
        let path = self.component(name).with_extension("toml");
        let read = |path: &Path| Ok(Policy::read(path));
        let mut policy = match self.loader.files().make(&path, READ_TIMEOUT, read).await {
            Ok(read) => read?,
            Err(error) => return Err(PolicyError::Read { path, error }),
        };
        // These are the node's to give: a runner that asks for them needs no permission in its own policy.
        policy.environment.extend(self.environment.keys().cloned());
        Ok(policy)
    }

    /// Waits for those that go before a newcomer, for a moment.
    async fn wait_for_turn(&self, generation: &Generation, name: &str, batch: u64) {
        // Who takes nothing from anybody waits for nobody.
        if self.table.is_live(name) || self.table.is_incumbent_of(&generation.claim(name)) {
            return;
        }
        let mut ended = self.ended.subscribe();
        let turn = async { while self.seen().is_preceded(name, batch) && ended.changed().await.is_ok() {} };
        let _ = timeout(TURN_WAIT, turn).await;
    }

    /// Hands the outcome to the table. Whatever goes wrong leaves what was live as it was.
    async fn finish(
        &self,
        candidate: LoadCandidate,
        contents: io::Result<Contents>,
        loaded: Result<LoadOutcome, LoadError>,
    ) {
        let LoadCandidate { name, number, fingerprint, is_new_code } = candidate;
        // The load may have read half of an old and half of a new file, so its outcome says nothing then.
        let look = |component: &Path| Ok(FileFingerprint::at(component));
        let now = self.loader.files().make(&self.component(&name), LOOK_TIMEOUT, look).await;
        // Held to the end: a scan that finds another file meanwhile comes before or after it as a whole.
        let mut seen = self.seen();
        if !seen.is_current(&name, number) {
            return;
        }
        let passed = self.table.load_ended(&name, number);
        if now.is_ok_and(|now| now != fingerprint) {
            tracing::debug!(runner = name, number, "its file changed while it was loaded");
            // Forgotten, so that the next scan sees it as changed and takes it once it has come to rest.
            seen.loaded.remove(&name);
            return;
        }
        let digest = contents.as_ref().ok().map(|contents| hex::encode(contents.component));
        match contents {
            Ok(contents) => drop(seen.contents.insert(name.clone(), contents)),
            // The load says why.
            Err(_) => drop(seen.contents.remove(&name)),
        }
        if loaded.as_ref().err().is_none_or(LoadError::is_the_files_fault) {
            seen.no_trouble(&name);
        }
        match loaded {
            Ok(LoadOutcome::Ready(generation, canary, kept)) => {
                // Only a warning: a runner may do without, and the operator can read here what it lacks.
                for asked in &generation.terms().grant.not_granted {
                    tracing::warn!(runner = %generation.label(), "asked for and not granted: {asked}");
                }
                match self.table.arrive(&name, generation, canary, is_new_code) {
                    Ok(()) => kept.into_iter().for_each(|kept| self.table.serve_kept(&name, kept)),
                    Err(refusal) => self.table.refuse(&name, refusal),
                }
            }
            Ok(LoadOutcome::Disabled) => {
                let reason = "disabled by its policy".to_owned();
                let refusal = LoadRefusal { number, digest, passed, reason, retry: RetryWhen::Requested };
                // Unlike a failed load, this takes the live generation out: the operator has said so.
                self.table.withdraw(&name, "its policy says enabled = false", Some(refusal));
            }
            Err(error) => {
                let retry = match error.is_the_files_fault() {
                    // The same file fails again, so it is not loaded again until it or its policy has changed.
                    true => RetryWhen::Requested,
                    // What this machine lacked may be there later.
                    false => RetryWhen::After(Instant::now() + seen.trouble(&name)),
                };
                self.table
                    .refuse(&name, LoadRefusal { number, digest, passed, reason: error.to_string(), retry });
            }
        }
    }
}
