//! Compiling, in a process of its own: a component that is made to hurt the compiler hurts a process
//! with little memory, little time, no environment and no file to write to, and not the node.

pub(crate) mod child;
mod refusal;
mod room;

use std::collections::BTreeMap;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use posemesh_net::histogram::{Histogram, HistogramView};
use posemesh_text::one_line;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::{Child, Command};
use wasmtime::Engine;

use crate::code::compiled::{CompiledComponent, MAX_COMPILED_BYTES};
use crate::load::compiler::child::ChildLimits;
use crate::load::compiler::refusal::{Refusal, RefusalKind, compile_here};
use crate::load::compiler::room::has_memory;
use crate::load::error::{LoadError, MAX_CAUSE};
use crate::load::lanes::{Lane, Lanes};
use crate::program::own_program;

/// How much of the compiler's standard error is read, in bytes.
const MAX_COMPLAINT: u64 = 16 << 10;
/// Threads that one compilation may use: more only helps components that are large anyway.
const THREADS: usize = 4;
/// A compilation that takes longer holds up no other one, as long as there is memory.
const SLOW_AFTER: Duration = Duration::from_secs(2);
/// So many slow ones go on beside the others.
const MAX_SLOW: usize = 16;

/// What compiling one component may cost.
#[derive(Debug, Clone)]
pub struct CompilerSettings {
    /// The program that is started to compile: by default this one, whose `main` begins with
    /// [`run_child_if_asked`](crate::run_child_if_asked). None compiles in this process, without a
    /// bound on memory or time, for programs that trust their components.
    pub program: Option<PathBuf>,
    /// How long one component may take.
    pub timeout: Duration,
    /// Address space of one compiler process, in bytes.
    pub memory_bytes: u64,
    /// How many compile at once. One that takes long does not count, as long as there is memory for another.
    pub parallelism: usize,
    /// Soon rather than well: without optimisation, on all processors, and before other work. For somebody who waits for it;
    /// a cache with such code is not for a node that serves others.
    pub in_haste: bool,
}

impl Default for CompilerSettings {
    fn default() -> Self {
        Self {
            program: own_program(),
            timeout: Duration::from_secs(600),
            memory_bytes: 2 << 30,
            parallelism: 1,
            in_haste: false,
        }
    }
}

/// Compiles components, a bounded number at once.
#[derive(Debug)]
pub(crate) struct Compiler {
    settings: CompilerSettings,
    lanes: Lanes,
    /// What is compiled now, and since when.
    compiling: Mutex<BTreeMap<u64, (PathBuf, Instant)>>,
}

/// A component that is compiled.
struct Compiling<'a> {
    compiler: &'a Compiler,
    number: u64,
}

impl Drop for Compiling<'_> {
    fn drop(&mut self) {
        self.compiler.compiling.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.number);
    }
}

/// Times of compilations, in seconds.
const BOUNDS: [f64; 9] = [0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0, 60.0, 120.0];
/// Compilations of this process that brought code.
static SUCCEEDED: Histogram<9> = Histogram::new(BOUNDS);
/// Those that did not.
static FAILED: Histogram<9> = Histogram::new(BOUNDS);

/// How long the compilations of this process took, in seconds, by whether they `succeeded` or `failed`. What came from the
/// cache is not among them.
pub fn compile_times() -> [(&'static str, HistogramView); 2] {
    [("succeeded", SUCCEEDED.view()), ("failed", FAILED.view())]
}

/// How a compiler process ended without code.
enum CompilerEnd {
    Status(ExitStatus, String),
    TimedOut,
    Io(std::io::Error),
}

impl Compiler {
    /// Nothing compiles yet.
    pub(crate) fn new(settings: CompilerSettings) -> Self {
        let lanes = Lanes::new(settings.parallelism, MAX_SLOW, SLOW_AFTER);
        Self { settings, lanes, compiling: Mutex::default() }
    }

    /// Waits until one more may compile; the smallest component is the next.
    pub(crate) async fn permit(&self, bytes: u64) -> Lane {
        self.lanes.enter(bytes).await
    }

    /// What is compiled now: the paths, each with the time that it has taken so far.
    pub(crate) fn compiling(&self) -> Vec<(PathBuf, Duration)> {
        let compiling = self.compiling.lock().unwrap_or_else(PoisonError::into_inner);
        compiling.values().map(|(path, began)| (path.clone(), began.elapsed())).collect()
    }

    /// Notes that a component is compiled, until the guard is dropped.
    fn note(&self, path: &Path) -> Compiling<'_> {
        let mut compiling = self.compiling.lock().unwrap_or_else(PoisonError::into_inner);
        let number = compiling.last_key_value().map_or(0, |(last, _)| last + 1);
        compiling.insert(number, (path.to_owned(), Instant::now()));
        Compiling { compiler: self, number }
    }

    /// Compiles. Dropping the future ends the compiler.
    ///
    /// # Errors
    /// What is wrong with the component, or which bound it passed.
    pub(crate) async fn compile(
        &self,
        permit: Lane,
        engine: &Engine,
        path: &Path,
        bytes: Arc<Vec<u8>>,
    ) -> Result<CompiledComponent, LoadError> {
        let room = || has_memory(self.settings.memory_bytes);
        let began = Instant::now();
        let _compiling = self.note(path);
        let compiled = self.lanes.work(permit, room, self.compile_now(engine, path, bytes)).await;
        let times = if compiled.is_ok() { &SUCCEEDED } else { &FAILED };
        times.observe_time(began.elapsed());
        compiled
    }

    async fn compile_now(
        &self,
        engine: &Engine,
        path: &Path,
        bytes: Arc<Vec<u8>>,
    ) -> Result<CompiledComponent, LoadError> {
        let Some(program) = &self.settings.program else {
            let engine = engine.clone();
            let work = move || compile_here(&engine, &bytes);
            let died = |error: tokio::task::JoinError| LoadError::Compiler {
                path: path.to_owned(),
                what: format!("compiling in this process: {error}"),
            };
            let result = tokio::task::spawn_blocking(work).await.map_err(died)?;
            return result
                .map(CompiledComponent::from_our_compiler)
                .map_err(|Refusal { kind, text }| refused(path.to_owned(), kind, text));
        };
        match self.in_child(program, &bytes).await {
            Ok(code) => Ok(CompiledComponent::from_our_compiler(code)),
            Err(ended) => Err(self.explain(path, ended)),
        }
    }

    async fn in_child(&self, program: &Path, bytes: &[u8]) -> Result<Vec<u8>, CompilerEnd> {
        let limits = ChildLimits {
            memory_bytes: self.settings.memory_bytes,
            // The parent's clock ends it first; this is for when the parent is gone.
            cpu_seconds: self.settings.timeout.as_secs().saturating_add(1).saturating_mul(THREADS as u64),
            in_haste: self.settings.in_haste,
        };
        let mut child = Command::new(program)
            .args(limits.arguments())
            .env_clear()
            .env("RAYON_NUM_THREADS", threads(limits.in_haste).to_string())
            // glibc reserves address space for each thread that allocates; the limit counts it.
            .env("MALLOC_ARENA_MAX", "2")
            // A terminal signals the whole group of its foreground: the node is asked to stop, not its compiler.
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(CompilerEnd::Io)?;
        let result = tokio::time::timeout(self.settings.timeout, talk(&mut child, bytes)).await;
        result.unwrap_or_else(|_| {
            let _ = child.start_kill();
            Err(CompilerEnd::TimedOut)
        })
    }

    fn explain(&self, path: &Path, ended: CompilerEnd) -> LoadError {
        let path = path.to_owned();
        let memory = || {
            let mib = self.settings.memory_bytes >> 20;
            format!("it needs more than {mib} MiB of memory to compile (COMPILE_MEMORY_BYTES)")
        };
        match ended {
            CompilerEnd::TimedOut => LoadError::CompileTime { path, limit: self.settings.timeout },
            CompilerEnd::Io(error) => {
                LoadError::Compiler { path, what: format!("talking to the compiler process: {error}") }
            }
            CompilerEnd::Status(status, complaint) => {
                // First: the words of a refusal may hold whatever the component's author put into its names.
                if let Some(kind) = status.code().and_then(RefusalKind::of_exit_code) {
                    return refused(path, kind, complaint);
                }
                let no_memory =
                    ["memory allocation of", "Cannot allocate memory", "out of memory", "os error 12"];
                if no_memory.iter().any(|sign| complaint.contains(sign)) {
                    return LoadError::CompileResources { path, what: memory() };
                }
                match status.signal() {
                    // SIGXCPU.
                    Some(24) => LoadError::CompileTime { path, limit: self.settings.timeout },
                    _ => {
                        let what = format!("the compiler ended with {status}: {complaint}");
                        LoadError::CompileResources { path, what }
                    }
                }
            }
        }
    }
}

/// The component is at fault.
fn refused(path: PathBuf, kind: RefusalKind, text: String) -> LoadError {
    match kind {
        RefusalKind::Broken => LoadError::Compile { path, cause: text },
        RefusalKind::Proposals => LoadError::Proposals { path, proposals: text },
        RefusalKind::NotCompiled => LoadError::NotCompiled { path, cause: text },
    }
}

/// Writes the component, reads the code; all three pipes at once, so that none can fill up.
async fn talk(child: &mut Child, bytes: &[u8]) -> Result<Vec<u8>, CompilerEnd> {
    let missing = || CompilerEnd::Io(std::io::Error::other("a pipe is missing"));
    let mut stdin = child.stdin.take().ok_or_else(missing)?;
    let stdout = child.stdout.take().ok_or_else(missing)?;
    let stderr = child.stderr.take().ok_or_else(missing)?;
    let write = async {
        // A compiler that ends early says why on its standard error.
        let _ = stdin.write_all(bytes).await;
        drop(stdin);
    };
    let (mut code, mut complaint) = (Vec::new(), Vec::new());
    let read = async {
        // One byte more than allowed tells code that is too long from code that just fits.
        let read = stdout.take(MAX_COMPILED_BYTES + 1).read_to_end(&mut code).await;
        read.map(drop)
    };
    let listen = async {
        let mut stderr = stderr;
        let mut head = (&mut stderr).take(MAX_COMPLAINT);
        head.read_to_end(&mut complaint).await?;
        // The rest is read and thrown away: a full pipe would block the compiler in the middle of its complaint.
        tokio::io::copy(&mut stderr, &mut tokio::io::sink()).await.map(drop)
    };
    let ((), read, listened) = tokio::join!(write, read, listen);
    read.and(listened).map_err(CompilerEnd::Io)?;
    let status = child.wait().await.map_err(CompilerEnd::Io)?;
    let complaint = one_line(String::from_utf8_lossy(&complaint).trim(), MAX_CAUSE);
    if code.len() as u64 > MAX_COMPILED_BYTES {
        return Err(CompilerEnd::Status(
            status,
            format!("its code has more than {MAX_COMPILED_BYTES} bytes"),
        ));
    }
    if status.success() { Ok(code) } else { Err(CompilerEnd::Status(status, complaint)) }
}

/// Half of the processors: the node's other work goes on meanwhile. All of them if somebody waits.
fn threads(in_haste: bool) -> usize {
    let all = std::thread::available_parallelism().map_or(1, std::num::NonZeroUsize::get);
    (if in_haste { all } else { all / 2 }).clamp(1, THREADS)
}
