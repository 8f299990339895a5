//! Why a component does not become a runner: one refusal for each stage.

use std::path::PathBuf;
use std::time::Duration;

use posemesh_text::ByteSize;

use crate::contract::VERSION;
use crate::manifest::policy::PolicyError;

/// The longest cause that is taken over from wasmtime or the compiler, in bytes.
pub(crate) const MAX_CAUSE: usize = 1000;

/// Why a component can't be loaded.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The file can't be read.
    #[error("reading {path}: {error}")]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's answer.
        error: std::io::Error,
    },
    /// It is no file that could be read.
    #[error("{path} can't be a runner: {what}")]
    NotAFile {
        /// What lies there.
        path: PathBuf,
        /// What it is.
        what: String,
    },
    /// The file is larger than allowed.
    #[error(
        "{path} has {bytes} bytes, more than the {} that a component may have (MAX_COMPONENT_BYTES)",
        ByteSize(*limit)
    )]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// The size that was found.
        bytes: u64,
        /// The limit.
        limit: u64,
    },
    /// The file is not a component.
    #[error("{path} is not a WebAssembly component: {what}")]
    NotAComponent {
        /// The file.
        path: PathBuf,
        /// What it is, and what helps.
        what: String,
    },
    /// The component is not valid, whatever is offered.
    #[error("{path} does not compile, so it is broken or cut short: {cause}")]
    Compile {
        /// The file.
        path: PathBuf,
        /// What wasmtime says.
        cause: String,
    },
    /// The component needs proposals of WebAssembly that the node does not run.
    #[error(
        "{path} needs what this node does not run of WebAssembly: {proposals}; nothing is broken, build it without \
         them (in Rust: target wasm32-wasip2 without further target features)"
    )]
    Proposals {
        /// The file.
        path: PathBuf,
        /// The proposals, as people call them.
        proposals: String,
    },
    /// The component is valid, and the engine can't compile it all the same.
    #[error("{path} is a valid component, but the engine of this node can't compile it: {cause}")]
    NotCompiled {
        /// The file.
        path: PathBuf,
        /// What wasmtime says.
        cause: String,
    },
    /// Compiling took too long.
    #[error(
        "{path} took more than {limit:?} to compile; it may be made to hurt, or this machine is too slow \
         (COMPILE_TIMEOUT_SECS)"
    )]
    CompileTime {
        /// The file.
        path: PathBuf,
        /// The limit.
        limit: Duration,
    },
    /// Compiling took too much memory or wrote too much, or the compiler died.
    #[error("{path} can't be compiled within the limits: {what}")]
    CompileResources {
        /// The file.
        path: PathBuf,
        /// Which limit, and where it is set.
        what: String,
    },
    /// The compiler could not be started, or its result could not be used. Nothing is wrong with the
    /// component.
    #[error("compiling {path}: {what}")]
    Compiler {
        /// The component's file.
        path: PathBuf,
        /// What was attempted and how it failed.
        what: String,
    },
    /// This machine had not what the load needs. Nothing is wrong with the component.
    #[error("loading {path}: {what}")]
    Host {
        /// The component's file.
        path: PathBuf,
        /// What was attempted and how it failed.
        what: String,
    },
    /// The component speaks another contract.
    #[error("{path} does not fit the world posemesh:runner/runner@{VERSION}: {what}")]
    World {
        /// The file.
        path: PathBuf,
        /// Which interface, wanted and offered, and what to do.
        what: String,
    },
    /// The call of `describe` failed.
    #[error("{path} did not describe itself: {cause}")]
    Describe {
        /// The file.
        path: PathBuf,
        /// How `describe` ended.
        cause: String,
    },
    /// An instance needs more memory than the runner may have before it says a word.
    #[error(
        "{path} needs {needed} bytes of memory to start with, and its limit `memory_bytes` is {}; its author asks for more by \
         `requests.memory-bytes` in `describe` or builds it with less, the operator sets it in NAME.toml, [limits], up to \
         RUNNER_MAX_MEMORY_BYTES",
        ByteSize(*limit)
    )]
    StartMemory {
        /// The file.
        path: PathBuf,
        /// Linear memory and what the host holds for the instance.
        needed: u64,
        /// The limit.
        limit: u64,
    },
    /// What `describe` returned is not acceptable.
    #[error("{path} describes itself wrongly: {what}")]
    Description {
        /// The file.
        path: PathBuf,
        /// The field, its value and what is allowed.
        what: String,
    },
    /// The operator's file can't be followed.
    #[error(transparent)]
    Policy(#[from] PolicyError),
}

impl LoadError {
    /// Whether the same file fails again: nothing but another file or another setting helps.
    pub(crate) fn is_the_files_fault(&self) -> bool {
        match self {
            Self::Read { .. }
            | Self::Policy(PolicyError::Read { .. })
            | Self::Compiler { .. }
            | Self::Host { .. } => false,
            Self::NotAFile { .. }
            | Self::TooLarge { .. }
            | Self::NotAComponent { .. }
            | Self::Compile { .. }
            | Self::Proposals { .. }
            | Self::NotCompiled { .. }
            | Self::CompileTime { .. }
            | Self::CompileResources { .. }
            | Self::World { .. }
            | Self::Describe { .. }
            | Self::StartMemory { .. }
            | Self::Description { .. }
            | Self::Policy(PolicyError::Invalid { .. }) => true,
        }
    }
}
