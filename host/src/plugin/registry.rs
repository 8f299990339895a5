//! Which runners are live: found in `PLUGINS_DIR`, taken through every stage, swapped while work is
//! running.
//!
//! **Invariant:** a capability is served by at most one live generation, and a new one goes live only
//! after it has passed every stage; until then the old one serves.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::component::Loader;
use super::generation::Generation;
use super::load_error::LoadError;
use super::policy::Policy;
use crate::runner::{Runner, Runners};

/// How often the directory is looked at.
const RESCAN_INTERVAL: Duration = Duration::from_secs(2);

/// What the registry is told once.
#[derive(Debug, Clone)]
pub struct RegistrySettings {
    /// Where the runners lie.
    pub plugins_dir: PathBuf,
    /// Capabilities that are not served, whoever claims them.
    pub withheld: BTreeSet<String>,
    /// Variables that every runner which asks may see, with their values.
    pub environment: BTreeMap<String, String>,
}

/// The live runners of a node.
pub struct Registry {
    loader: Arc<Loader>,
    settings: RegistrySettings,
    state: Mutex<State>,
    /// One scan at a time.
    scanning: tokio::sync::Mutex<Scans>,
    capabilities: watch::Sender<BTreeSet<String>>,
}

#[derive(Default)]
struct State {
    /// By file stem.
    live: BTreeMap<String, Arc<Generation>>,
    refused: BTreeMap<String, String>,
}

#[derive(Default)]
struct Scans {
    /// What each name looked like when it was last taken through the stages.
    settled: BTreeMap<String, Look>,
    /// What each changed name looked like at the last scan: loaded when it looks the same again, so
    /// that a half-written file is not.
    pending: BTreeMap<String, Look>,
    loads: u64,
}

/// What of a file and its policy shows that they changed.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Look {
    component: Option<(SystemTime, u64)>,
    policy: Option<(SystemTime, u64)>,
}

/// One line of what a registry holds.
#[derive(Debug, Clone)]
pub struct Listed {
    /// The file's stem.
    pub name: String,
    /// The generation that serves, if there is one.
    pub live: Option<Arc<Generation>>,
    /// Why the newest file was not taken, if it was not.
    pub refused: Option<String>,
}

impl std::fmt::Debug for Generation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.label())
    }
}

impl Registry {
    /// An empty one; [`Registry::scan_now`] fills it.
    pub fn new(loader: Arc<Loader>, settings: RegistrySettings) -> Self {
        Self {
            loader,
            settings,
            state: Mutex::default(),
            scanning: tokio::sync::Mutex::default(),
            capabilities: watch::Sender::new(BTreeSet::new()),
        }
    }

    /// What is there, by name.
    pub fn list(&self) -> Vec<Listed> {
        let state = self.state();
        let names: BTreeSet<&String> = state.live.keys().chain(state.refused.keys()).collect();
        names
            .into_iter()
            .map(|name| Listed {
                name: name.clone(),
                live: state.live.get(name).cloned(),
                refused: state.refused.get(name).cloned(),
            })
            .collect()
    }

    /// Takes in what is there now, whether or not it may still be written.
    ///
    /// # Errors
    /// When the directory can't be read. A runner that can't be loaded is no error: it is logged and
    /// listed with its reason.
    pub async fn scan_now(&self) -> std::io::Result<()> {
        self.scan(false).await
    }

    /// Looks at the directory again and again until it is told to stop.
    pub async fn watch(&self, stop: CancellationToken) {
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(RESCAN_INTERVAL) => {}
            }
            if let Err(error) = self.scan(true).await {
                tracing::warn!(dir = %self.settings.plugins_dir.display(), %error, "looking for runners failed");
            }
        }
    }

    async fn scan(&self, debounce: bool) -> std::io::Result<()> {
        let mut scans = self.scanning.lock().await;
        let dir = self.settings.plugins_dir.clone();
        let found =
            tokio::task::spawn_blocking(move || look_at(&dir)).await.map_err(std::io::Error::other)??;
        let gone: Vec<String> =
            scans.settled.keys().filter(|name| !found.contains_key(*name)).cloned().collect();
        for name in gone {
            scans.settled.remove(&name);
            self.withdraw(&name, "its file was removed");
            self.state().refused.remove(&name);
        }
        for (name, look) in found {
            if scans.settled.get(&name) == Some(&look) {
                scans.pending.remove(&name);
                continue;
            }
            if debounce && scans.pending.get(&name) != Some(&look) {
                scans.pending.insert(name, look);
                continue;
            }
            scans.pending.remove(&name);
            scans.loads += 1;
            let number = scans.loads;
            scans.settled.insert(name.clone(), look);
            self.take_in(&name, number).await;
        }
        Ok(())
    }

    /// Takes one name through the stages; whatever goes wrong leaves what was live as it was.
    async fn take_in(&self, name: &str, number: u64) {
        let path = self.settings.plugins_dir.join(format!("{name}.wasm"));
        match self.load(&path, number).await {
            Ok(Some(generation)) => self.go_live(name, generation),
            Ok(None) => {
                self.withdraw(name, "its policy says enabled = false");
                self.state().refused.insert(name.to_owned(), "disabled by its policy".to_owned());
            }
            Err(error) => {
                let reason = error.to_string();
                let kept = self.state().live.get(name).map(|old| old.label());
                tracing::error!(runner = name, kept, "runner refused: {reason}");
                self.state().refused.insert(name.to_owned(), reason);
            }
        }
        self.publish();
    }

    async fn load(&self, path: &Path, number: u64) -> Result<Option<Generation>, LoadError> {
        let policy_path = path.with_extension("toml");
        let mut policy = Policy::read(&policy_path)?;
        if !policy.enabled {
            return Ok(None);
        }
        policy.environment.extend(self.settings.environment.keys().cloned());
        let value = |name: &str| {
            let fixed = self.settings.environment.get(name).cloned();
            fixed.or_else(|| std::env::var(name).ok())
        };
        let generation = Generation::load(&self.loader, path, number, &policy, &value).await?;
        Ok(Some(generation))
    }

    fn go_live(&self, name: &str, generation: Generation) {
        let label = generation.label();
        let mut state = self.state();
        let claimed = state.live.iter().find_map(|(other, live)| {
            let both = live
                .description
                .capabilities
                .iter()
                .find(|c| generation.description.capabilities.contains(c));
            both.filter(|_| other != name).map(|capability| (other.clone(), capability.clone()))
        });
        if let Some((other, capability)) = claimed {
            let reason = format!(
                "it claims {capability}, which {other} serves already; disable one of them by its NAME.toml"
            );
            tracing::error!(runner = name, "runner refused: {reason}");
            state.refused.insert(name.to_owned(), reason);
            return;
        }
        for asked in &generation.grant.not_granted {
            tracing::warn!(runner = %label, "asked for and not granted: {asked}");
        }
        tracing::info!(runner = %label, capabilities = ?generation.description.capabilities, "runner live");
        state.refused.remove(name);
        state.live.insert(name.to_owned(), Arc::new(generation));
    }

    fn withdraw(&self, name: &str, why: &str) {
        let old = self.state().live.remove(name);
        if let Some(old) = old {
            tracing::info!(runner = %old.label(), "runner withdrawn: {why}; tasks that it has go on");
            self.publish();
        }
    }

    fn publish(&self) {
        let served: BTreeSet<String> = {
            let state = self.state();
            let all = state.live.values().flat_map(|live| live.description.capabilities.iter().cloned());
            all.filter(|capability| !self.settings.withheld.contains(capability)).collect()
        };
        self.capabilities.send_if_modified(|now| {
            let changed = *now != served;
            *now = served;
            changed
        });
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Runners for Registry {
    fn capabilities(&self) -> watch::Receiver<BTreeSet<String>> {
        self.capabilities.subscribe()
    }

    fn pick(&self, capability: &str) -> Option<Arc<dyn Runner>> {
        if self.settings.withheld.contains(capability) {
            return None;
        }
        let state = self.state();
        let serves = |live: &&Arc<Generation>| live.description.capabilities.iter().any(|c| c == capability);
        state.live.values().find(serves).map(|live| live.clone() as Arc<dyn Runner>)
    }
}

/// The `*.wasm` files of a directory, by stem.
fn look_at(dir: &Path) -> std::io::Result<BTreeMap<String, Look>> {
    let seen = |path: &Path| {
        let meta = std::fs::metadata(path).ok().filter(std::fs::Metadata::is_file)?;
        Some((meta.modified().unwrap_or(SystemTime::UNIX_EPOCH), meta.len()))
    };
    let mut found = BTreeMap::new();
    for entry in std::fs::read_dir(dir)? {
        let path = entry?.path();
        let hidden = path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'));
        if hidden || path.extension().is_none_or(|extension| extension != "wasm") {
            continue;
        }
        let (Some(stem), component @ Some(_)) = (path.file_stem(), seen(&path)) else { continue };
        let look = Look { component, policy: seen(&path.with_extension("toml")) };
        found.insert(stem.to_string_lossy().into_owned(), look);
    }
    Ok(found)
}
