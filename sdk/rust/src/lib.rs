//! Write a capability runner for posemesh nodes: a type that implements [`Runner`], and [`export!`].
//!
//! ```
//! use std::io::BufRead;
//!
//! use posemesh_runner::{Result, Runner, Task};
//! use serde::Deserialize;
//!
//! #[derive(Deserialize)]
//! #[serde(deny_unknown_fields)]
//! struct Params {
//!     #[serde(default)]
//!     skip_blank: bool,
//! }
//!
//! struct Lines;
//!
//! impl Runner for Lines {
//!     const CAPABILITIES: &[&str] = &["/example/lines/v1"];
//!     type Params = Params;
//!
//!     fn run(task: &Task, params: Params) -> Result<()> {
//!         let mut lines = 0;
//!         for part in task.parts() {
//!             for line in part?.lines() {
//!                 lines += usize::from(!(params.skip_blank && line?.is_empty()));
//!             }
//!         }
//!         task.write_json("lines.json", &serde_json::json!({ "lines": lines }))?;
//!         Ok(())
//!     }
//! }
//!
//! posemesh_runner::export!(Lines);
//!
//! // Off wasm the node is in memory, so a runner is tested like any other Rust:
//! let run = posemesh_runner::testing::Run::new().input("a.txt", "one\n\ntwo\n").run::<Lines>();
//! assert_eq!(run.result, Ok(()));
//! assert_eq!(run.json("lines.json"), serde_json::json!({ "lines": 3 }));
//! ```
//!
//! Its crate is a library with `crate-type = ["cdylib"]`, built for `wasm32-wasip2`. Name, version, summary (`description`),
//! licence and homepage of the runner are those of its Cargo.toml.
//!
//! - Inputs are streams: a [`Part`] is [`Read`](std::io::Read) and [`BufRead`](std::io::BufRead), and nothing of it is kept.
//! - An [`Artifact`] is [`Write`](std::io::Write), and stored once it is finished.
//! - Every error is an [`Error`]. Those of the node travel through [`std::io::Error`] and come out whole, so that `?` is
//!   right everywhere.
//! - The contract itself lies in `wit/`, with every function and limit explained.

mod artifact;
#[cfg(target_family = "wasm")]
#[doc(hidden)]
pub mod component;
mod description;
mod error;
mod host;
mod input;
mod runner;
mod task;
#[cfg(not(target_family = "wasm"))]
pub mod testing;

pub use artifact::{Artifact, ArtifactOptions, Stored};
#[doc(hidden)]
pub use description::Package;
pub use description::Requests;
pub use error::{Error, Result};
pub use input::{Input, Part, PartInfo};
pub use runner::Runner;
pub use task::{Budget, LogLevel, Task};

/// The version of the contract that runners are built against with this crate.
pub const WIT_VERSION: &str = "0.2.0";

/// Makes a runner of the crate: exports the type, which implements [`Runner`].
///
/// Once in a crate. It needs a `description` in Cargo.toml, which becomes the runner's summary.
#[macro_export]
macro_rules! export {
    ($runner:ty) => {
        #[cfg(target_family = "wasm")]
        const _: () = {
            const _: () = $crate::package!().check();

            struct Exported;

            impl $crate::component::Guest for Exported {
                fn describe() -> $crate::component::Description {
                    $crate::component::describe::<$runner>(&$crate::package!())
                }

                fn run(task: $crate::component::Task) -> ::std::result::Result<(), $crate::component::Error> {
                    $crate::component::run::<$runner>(task)
                }
            }

    $crate::component::export!(Exported with_types_in $crate::component::bindings);
        };

        // Off wasm nobody calls it, and its parts are no dead code all the same.
        #[cfg(not(target_family = "wasm"))]
        const _: () = $crate::testing::exported::<$runner>(&$crate::package!());
    };
}

/// What Cargo.toml says of the crate that this stands in.
#[doc(hidden)]
#[macro_export]
macro_rules! package {
    () => {
        $crate::Package {
            name: env!("CARGO_PKG_NAME"),
            version: env!("CARGO_PKG_VERSION"),
            summary: env!("CARGO_PKG_DESCRIPTION"),
            homepage: env!("CARGO_PKG_HOMEPAGE"),
            repository: env!("CARGO_PKG_REPOSITORY"),
            license: env!("CARGO_PKG_LICENSE"),
        }
    };
}
