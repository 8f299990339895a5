//! The steps from a file to a linked component. Each has a refusal of its own.

use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use posemesh_files::open_regular;
use posemesh_text::one_line;
use sha2::{Digest as _, Sha256};

use crate::code::compiled::CompiledComponent;
use crate::code::engine::RunnerEngine;
use crate::code::footprint::Footprint;
use crate::code::link::link_component;
use crate::folders::PrivateFolders;
use crate::instance::linked::LinkedRunner;
use crate::load::cache::{Cache, CacheError, OpenedCache};
use crate::load::compiler::{Compiler, CompilerSettings};
use crate::load::error::{LoadError, MAX_CAUSE};
use crate::load::file_calls::FileCalls;
use crate::load::footprint::footprint;
use crate::load::stage::{LoadStage, Reached};
use crate::manifest::limits::Limits;
use crate::sandbox::node::pool::Sandbox;
use crate::sandbox::{SandboxError, SandboxMode, SandboxSettings};

/// How long reading one file may take. A file that takes longer is refused, so that it does not hold up the others, and
/// read again later.
pub(crate) const READ_TIMEOUT: Duration = Duration::from_secs(10);

/// How components are loaded. The defaults are those of a node without configuration.
#[derive(Debug, Clone)]
pub struct LoaderSettings {
    /// The largest component file, in bytes.
    pub component_bytes: u64,
    /// What compiling may cost.
    pub compiler: CompilerSettings,
    /// How long `describe` may take; it gets a quarter of it on the processor.
    pub describe_time: Duration,
    /// The directory of compiled components (`CACHE_DIR`); without one each load compiles.
    pub cache: Option<PathBuf>,
    /// The most that any runner gets of each limit, whatever its policy says.
    pub maximum: Limits,
    /// What a runner gets of each limit if neither it nor its policy says anything.
    pub defaults: Limits,
    /// Whether guests run in processes of their own (`SANDBOX`).
    pub sandbox: SandboxSettings,
    /// Folders that no runner gets, whatever its policy says.
    pub private: PrivateFolders,
}

impl Default for LoaderSettings {
    fn default() -> Self {
        Self {
            component_bytes: 64 << 20,
            compiler: CompilerSettings::default(),
            describe_time: Duration::from_secs(20),
            cache: None,
            maximum: Limits::node_maximum(),
            defaults: Limits::default(),
            sandbox: SandboxSettings::default(),
            private: PrivateFolders::default(),
        }
    }
}

impl LoaderSettings {
    /// The same, with another program for the processes that compile and run components: one whose `main` begins with
    /// [`run_child_if_asked`](crate::run_child_if_asked).
    #[must_use]
    pub fn with_program(mut self, program: impl Into<PathBuf>) -> Self {
        let program = program.into();
        self.compiler.program = Some(program.clone());
        self.sandbox.program = Some(program);
        self
    }

    /// The same without any process: for programs that trust their components.
    #[must_use]
    pub fn in_this_process(mut self) -> Self {
        self.compiler.program = None;
        self.sandbox.program = None;
        self
    }
}

/// Loads components. One a node: it bounds how many compile at once.
#[derive(Debug)]
pub struct Loader {
    engine: Arc<RunnerEngine>,
    component_bytes: u64,
    compiler: Compiler,
    describe_time: Duration,
    cache: Option<Cache>,
    /// Why the directory that was to be the cache is not used.
    distrusted_cache: Option<String>,
    maximum: Limits,
    defaults: Limits,
    sandbox: Option<Arc<Sandbox>>,
    sandbox_mode: SandboxMode,
    private: Arc<PrivateFolders>,
    files: FileCalls,
}

/// A component that is compiled.
pub(crate) struct LoadedComponent {
    /// Its machine code.
    pub(crate) code: CompiledComponent,
    /// What an instance costs before it runs.
    pub(crate) footprint: Footprint,
    /// SHA-256 of the file, in hex.
    pub(crate) digest: String,
    /// Size of the file, in bytes.
    pub(crate) bytes: u64,
    /// Whether the cache had it, so that nothing was compiled.
    pub(crate) cached: bool,
}

impl Loader {
    /// Opens the cache, if there is to be one. A directory that others could change is not used, and every component is
    /// compiled: see [`Loader::distrusted_cache`].
    ///
    /// # Errors
    /// When the cache's directory can't be made.
    pub async fn open(engine: Arc<RunnerEngine>, settings: LoaderSettings) -> Result<Self, CacheError> {
        let opened = match settings.cache {
            Some(dir) => Some(Cache::open(dir, engine.engine()).await?),
            None => None,
        };
        let (cache, distrusted_cache) = match opened {
            Some(OpenedCache::Open(cache)) => (Some(cache), None),
            Some(OpenedCache::Distrusted(why)) => {
                tracing::error!("{why}");
                (None, Some(why))
            }
            None => (None, None),
        };
        let compiler = Compiler::new(settings.compiler);
        Ok(Self {
            engine,
            component_bytes: settings.component_bytes,
            compiler,
            describe_time: settings.describe_time,
            cache,
            distrusted_cache,
            maximum: settings.maximum,
            defaults: settings.defaults,
            sandbox_mode: settings.sandbox.mode,
            sandbox: Sandbox::new(settings.sandbox),
            private: Arc::new(settings.private),
            files: FileCalls::default(),
        })
    }

    /// Why the directory that was to be the cache is not used, and what helps.
    pub fn distrusted_cache(&self) -> Option<&str> {
        self.distrusted_cache.as_deref()
    }

    /// The engine that components are made ready for.
    pub(crate) fn engine(&self) -> &RunnerEngine {
        &self.engine
    }

    /// The most that any runner gets.
    pub(crate) fn maximum(&self) -> &Limits {
        &self.maximum
    }

    /// What a runner gets of which nothing is said.
    pub(crate) fn defaults(&self) -> &Limits {
        &self.defaults
    }

    /// The folders that no runner gets.
    pub(crate) fn private(&self) -> &Arc<PrivateFolders> {
        &self.private
    }

    /// What is compiled now: the paths, each with the time that it has taken so far.
    pub(crate) fn compiling(&self) -> Vec<(PathBuf, Duration)> {
        self.compiler.compiling()
    }

    /// How files of `PLUGINS_DIR` are looked at and read.
    pub(crate) fn files(&self) -> &FileCalls {
        &self.files
    }

    /// The largest component file, in bytes.
    pub(crate) fn component_bytes(&self) -> u64 {
        self.component_bytes
    }

    /// How long `describe` may take.
    pub(crate) fn describe_time(&self) -> Duration {
        self.describe_time
    }

    /// Reads, verifies and compiles a component, and calls `reached` with each stage.
    ///
    /// # Errors
    /// At the first step that it does not pass.
    pub(crate) async fn load(&self, path: &Path, reached: Reached<'_>) -> Result<LoadedComponent, LoadError> {
        let bytes = Arc::new(self.read(path).await?);
        check_preamble(path, &bytes)?;
        let size = bytes.len() as u64;
        let digest = {
            let bytes = bytes.clone();
            off_the_runtime(path, move || hex::encode(Sha256::digest(&*bytes))).await?
        };
        reached(LoadStage::Verified);
        let of = path.to_owned();
        // Told after the compiler's word, which is the better one about a component that is broken.
        let priced = off_the_runtime(path, move || priced(&of, &bytes)).await?;
        let (code, cached) = match self.cached(&digest).await {
            Some(code) => (code, true),
            None => (self.compile(path, &digest, size).await?, false),
        };
        reached(LoadStage::Compiled);
        Ok(LoadedComponent { code, footprint: priced?, digest, bytes: size, cached })
    }

    /// A component whose file is not there any more, if the cache still has its machine code.
    pub(crate) async fn kept(
        &self,
        digest: &str,
        bytes: u64,
        footprint: Footprint,
    ) -> Option<LoadedComponent> {
        let code = self.cached(digest).await?;
        Some(LoadedComponent { code, footprint, digest: digest.to_owned(), bytes, cached: true })
    }

    /// Maps code into this process and links it, where guests run in it.
    ///
    /// # Errors
    /// When the component is not of the world of runners.
    pub(crate) async fn link(&self, path: &Path, code: CompiledComponent) -> Result<LinkedRunner, LoadError> {
        let engine = self.engine.clone();
        let linked = off_the_runtime(path, move || {
            let component = code.into_component(engine.engine()).map_err(|error| {
                Err(format!(
                    "the compiled code can't be used: {}",
                    one_line(format_args!("{error:#}"), MAX_CAUSE)
                ))
            })?;
            link_component(&engine, &component).map_err(Ok)
        });
        linked.await?.map_err(|why: Result<String, String>| match why {
            Ok(what) => LoadError::World { path: path.to_owned(), what },
            Err(what) => LoadError::Compiler { path: path.to_owned(), what },
        })
    }

    /// What starts sandbox processes; None where guests run in this process.
    pub(crate) fn sandbox(&self) -> Option<&Arc<Sandbox>> {
        self.sandbox.as_ref()
    }

    /// How guests are kept apart from this process.
    pub fn sandbox_mode(&self) -> SandboxMode {
        if self.sandbox.is_some() { self.sandbox_mode } else { SandboxMode::Off }
    }

    /// What this system lacks to hold sandbox processes, in words; None before the first was started, or without them.
    pub fn sandbox_missing(&self) -> Option<Vec<String>> {
        self.sandbox.as_ref()?.missing()
    }

    /// Starts a sandbox process that only tries what this system can hold it by; says what it lacks, in words.
    ///
    /// # Errors
    /// [`SandboxError`] when no such process can be started, or when something is lacking and everything is required.
    pub async fn check_sandbox(&self) -> Result<Vec<String>, SandboxError> {
        match &self.sandbox {
            Some(sandbox) => sandbox.probe().await.map_err(SandboxError),
            None => Ok(Vec::new()),
        }
    }

    async fn read(&self, path: &Path) -> Result<Vec<u8>, LoadError> {
        let limit = self.component_bytes;
        let read = move |path: &Path| {
            let file = open_regular(path)?;
            let length = file.metadata()?.len();
            if length > limit {
                return Ok(Err(length));
            }
            let mut bytes = Vec::new();
            // It may grow while it is read.
            file.take(limit.saturating_add(1)).read_to_end(&mut bytes)?;
            let length = bytes.len() as u64;
            Ok(if length > limit { Err(length) } else { Ok(bytes) })
        };
        match self.files.make(path, READ_TIMEOUT, read).await {
            Ok(Ok(bytes)) => Ok(bytes),
            Ok(Err(bytes)) => Err(LoadError::TooLarge { path: path.to_owned(), bytes, limit }),
            Err(error) if error.kind() == io::ErrorKind::InvalidInput => {
                Err(LoadError::NotAFile { path: path.to_owned(), what: error.to_string() })
            }
            Err(error) => Err(LoadError::Read { path: path.to_owned(), error }),
        }
    }

    async fn cached(&self, digest: &str) -> Option<CompiledComponent> {
        self.cache.as_ref()?.get(digest).await
    }

    async fn compile(&self, path: &Path, digest: &str, size: u64) -> Result<CompiledComponent, LoadError> {
        // Whoever waited for a permit may find that somebody else compiled the same bytes meanwhile.
        let permit = self.compiler.permit(size).await;
        if let Some(code) = self.cached(digest).await {
            return Ok(code);
        }
        let began = Instant::now();
        let bytes = Arc::new(self.read(path).await?);
        let now = bytes.clone();
        if off_the_runtime(path, move || hex::encode(Sha256::digest(&*now))).await? != digest {
            let error = io::Error::other("it changed while it was loaded");
            return Err(LoadError::Read { path: path.to_owned(), error });
        }
        tracing::info!(path = %path.display(), bytes = size, "compiling a component");
        let compiled = self.compiler.compile(permit, self.engine.engine(), path, bytes).await?;
        tracing::info!(path = %path.display(), took_ms = began.elapsed().as_millis() as u64, "component compiled");
        if let Some(cache) = &self.cache {
            // Without it the next start takes longer, no more.
            if let Err(error) = cache.put(digest, &compiled).await {
                tracing::warn!(path = %path.display(), %error, "the compiled runner was not kept");
            }
        }
        Ok(compiled)
    }
}

/// Runs what takes long on a thread that may.
async fn off_the_runtime<T: Send + 'static>(
    path: &Path,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, LoadError> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|error| LoadError::Compiler { path: path.to_owned(), what: error.to_string() })
}

fn check_preamble(path: &Path, bytes: &[u8]) -> Result<(), LoadError> {
    let what = match (bytes.get(..4), bytes.get(4..8)) {
        (Some(b"\0asm"), Some([0x0d, 0, 1, 0])) => return Ok(()),
        (Some(b"\0asm"), Some([1, 0, 0, 0])) => {
            "it is a core module; build for wasm32-wasip2, or wrap it with `wasm-tools component new`"
                .to_owned()
        }
        (Some(b"\0asm"), Some(version)) => format!("its binary version {version:02x?} is unknown"),
        (Some(b"\0asm"), None) => format!("it ends after {} bytes", bytes.len()),
        _ if bytes.is_empty() => "it is empty".to_owned(),
        _ => "it does not start with the bytes of WebAssembly, \"\\0asm\"".to_owned(),
    };
    Err(LoadError::NotAComponent { path: path.to_owned(), what })
}

fn priced(path: &Path, component: &[u8]) -> Result<Footprint, LoadError> {
    footprint(component).map_err(|error| LoadError::NotCompiled {
        path: path.to_owned(),
        cause: one_line(format_args!("reading what an instance costs: {error}"), MAX_CAUSE),
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn core_modules_and_other_files_are_refused_in_different_words() {
        let path = Path::new("x.wasm");
        for (bytes, want) in [
            (&b"\0asm\x01\0\0\0"[..], "core module"),
            (b"\0asm", "ends after 4 bytes"),
            (b"", "empty"),
            (b"#!/bin/sh", "does not start with"),
        ] {
            let error = check_preamble(path, bytes).unwrap_err().to_string();
            assert!(error.contains(want), "{error}");
        }
        check_preamble(path, b"\0asm\x0d\0\x01\0").unwrap();
    }
}
