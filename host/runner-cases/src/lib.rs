//! Runs a runner on files instead of a domain server: once by hand, or through its test cases.
//!
//! A test case is a folder of `task.json`, `inputs/` and `expected/`:
//!
//! ```text
//! cases/truncated/
//!   task.json      {"meta": {"voxel_size": 0.1}, "inputs_cids": ["scan.ply"]}
//!   inputs/        scan.ply
//!   expected/      the artifacts, or failure.json: {"kind": "invalid_input", "reason_contains": ["byte 120"]}
//! ```
//!
//! `task.json` may also give `capability` (required if the runner has several), `outputs_prefix`, `files`
//! (inputs outside of the case, or of several parts: CID to path or list of paths, relative to the case) and `compare` (how an artifact is compared,
//! see [`compare::Comparison`]; byte for byte by default), and `expect`: what else the run must show.
//!
//! ```json
//! {
//!   "meta": {"voxel_size": 0.1},
//!   "inputs_cids": ["scan.ply", "tiles"],
//!   "files": {"tiles": ["../shared/a.ply", "../shared/b.ply"]},
//!   "compare": {"summary.json": {"kind": "json", "tolerance": 1e-6, "ignore": ["/elapsed_ms"]}},
//!   "expect": {"log_contains": ["2 tiles"], "at_most": {"memory_bytes": "64MiB", "artifacts": 2}}
//! }
//! ```
//!
//! `at_most` takes what is measured of a run: `memory_bytes`, `deadline_ms` (the time from start to end), `cpu_time_ms`,
//! `scratch_bytes`, `output_bytes`, `artifacts` and `log_bytes`. [`update`](mod@update) writes `expected/` from a run.
//!
//! The crate knows runners only as [`Runner`](posemesh_runner_api::runner::Runner): whether one is a component
//! in a sandbox or ten lines of Rust in a test is the caller's choice.
//!
//! ```
//! use async_trait::async_trait;
//! use bytes::Bytes;
//! use posemesh_runner_api::failure::{FailureKind, RunFailure};
//! use posemesh_runner_api::ports::{ArtifactSpec, InputPort, OutputPort, PortError};
//! use posemesh_runner_api::reports::{ReportLimits, Reports};
//! use posemesh_runner_api::runner::{Runner, RunnerCall};
//! use posemesh_runner_cases::case::Case;
//! use posemesh_runner_cases::check::check;
//!
//! /// Copies its first input to `upper.txt`, in capitals.
//! struct Upper;
//!
//! async fn upper(call: &RunnerCall) -> Result<(), PortError> {
//!     let cid = call.task.inputs_cids.first().map(String::as_str).unwrap_or_default();
//!     let mut input = call.inputs.open(cid).await?;
//!     input.next_part().await?;
//!     let text = input.read(1 << 20).await?;
//!     let spec = ArtifactSpec { path: "upper.txt".to_owned(), ..ArtifactSpec::default() };
//!     let mut output = call.outputs.create(spec).await?;
//!     output.write(Bytes::from(text.to_ascii_uppercase())).await?;
//!     output.finish().await?;
//!     Ok(())
//! }
//!
//! #[async_trait]
//! impl Runner for Upper {
//!     fn label(&self) -> String {
//!         "upper 0.1.0 #1".to_owned()
//!     }
//!
//!     async fn run(&self, call: RunnerCall) -> Result<(), RunFailure> {
//!         upper(&call).await.map_err(|error| RunFailure::host(error.to_string()))
//!     }
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let dir = tempfile::tempdir()?;
//! let case = dir.path().join("greeting");
//! std::fs::create_dir_all(case.join("inputs"))?;
//! std::fs::create_dir_all(case.join("expected"))?;
//! std::fs::write(case.join("task.json"), "{}")?;
//! std::fs::write(case.join("inputs/greeting.txt"), "hello")?;
//! std::fs::write(case.join("expected/upper.txt"), "HELLO")?;
//!
//! let capabilities = ["/example/upper/v1".to_owned()];
//! let reports = Reports::new(ReportLimits::default());
//! let result = check(&Upper, &capabilities, &Case::read(&case)?, dir.path(), reports).await;
//! assert_eq!(result, Ok(()));
//! # Ok(())
//! # }
//! ```

pub mod case;
pub mod check;
pub mod compare;
pub mod files;
pub mod run;
pub mod update;
