//! From a file to something that can be instantiated: read, verified, compiled, linked.
//!
//! **Invariant:** no component is compiled in this process unless an embedder asks for that, and no machine code
//! is loaded that did not come from the compiler process or from the checked cache.

pub(crate) mod cache;
pub(crate) mod compiler;
pub(crate) mod error;
pub(crate) mod file_calls;
pub(crate) mod footprint;
pub(crate) mod lanes;
pub(crate) mod loader;
pub(crate) mod proposals;
pub(crate) mod stage;

pub use crate::code::engine::{EngineError, RunnerEngine};
pub use crate::code::names::ComponentNames;
pub use crate::folders::{OpenFolder, PrivateFolders};
pub use cache::CacheError;
pub use compiler::{CompilerSettings, compile_times};
pub use error::LoadError;
pub use loader::{Loader, LoaderSettings};
pub use stage::LoadStage;
