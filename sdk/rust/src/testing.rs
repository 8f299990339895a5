//! Tests of runners, without a component, a node or a network: the node is in memory.
//!
//! ```
//! use posemesh_runner::testing::Run;
//! use posemesh_runner::{Error, Result, Runner, Task};
//!
//! struct Size;
//!
//! impl Runner for Size {
//!     const CAPABILITIES: &[&str] = &["/example/size/v1"];
//!     type Params = ();
//!
//!     fn run(task: &Task, (): ()) -> Result<()> {
//!         task.write("size.txt", task.only_part()?.size().to_string())?;
//!         Ok(())
//!     }
//! }
//!
//! let run = Run::new().input("scan.bin", [0; 7]).run::<Size>();
//! assert_eq!(run.result, Ok(()));
//! assert_eq!(run.artifact("size.txt"), b"7");
//! assert!(matches!(Run::new().run::<Size>().result, Err(Error::InvalidTask(_))));
//! ```

use serde::Serialize;

use crate::artifact::Stored;
use crate::description::Package;
use crate::error::{Error, Result};
use crate::host::{Host, State};
use crate::input::PartInfo;
use crate::runner::Runner;
use crate::task::{Given, LogLevel, Task};

/// A task for a test: what it is given, and how the node is going to behave.
#[derive(Debug, Default)]
pub struct Run {
    given: Given,
    state: State,
    /// What is wrong with the test itself.
    mistake: Option<String>,
}

/// How a run ended, and what the node has of it.
#[derive(Debug)]
#[non_exhaustive]
pub struct Outcome {
    /// What `run` returned.
    pub result: Result<()>,
    /// What was stored, in the order in which it was finished.
    pub artifacts: Vec<(Stored, Vec<u8>)>,
    /// The paths of artifacts that were begun and never finished.
    pub unfinished: Vec<String>,
    /// The progress that was told, as JSON.
    pub progress: Vec<String>,
    /// The events, as JSON.
    pub events: Vec<String>,
    /// The lines of [`Task::log`].
    pub log: Vec<(LogLevel, String)>,
}

impl Run {
    /// A task without inputs and parameters.
    #[must_use]
    pub fn new() -> Self {
        let given = Given {
            id: "00000000-0000-0000-0000-000000000000".to_owned(),
            meta: "null".to_owned(),
            capability_filters: "null".to_owned(),
            ..Given::default()
        };
        Self { given, ..Self::default() }
    }

    /// One more input, of one part. Its CID is the name; its kind is what follows the last dot.
    #[must_use]
    pub fn input(self, name: &str, bytes: impl Into<Vec<u8>>) -> Self {
        self.input_of_parts(name, [(name, bytes.into())])
    }

    /// One more input, of several parts, each with its name.
    #[must_use]
    pub fn input_of_parts<N: Into<String>, B: Into<Vec<u8>>>(
        mut self,
        cid: &str,
        parts: impl IntoIterator<Item = (N, B)>,
    ) -> Self {
        let parts = parts.into_iter().map(|(name, bytes)| {
            let (name, bytes) = (name.into(), bytes.into());
            let data_type = name.rsplit_once('.').map(|(_, end)| end.to_owned()).unwrap_or_default();
            let info = PartInfo { name, data_type, size: bytes.len() as u64, ..PartInfo::default() };
            (info, bytes)
        });
        self.state.inputs.insert(cid.to_owned(), parts.collect());
        self.given.inputs_cids.push(cid.to_owned());
        self
    }

    /// The parameters.
    #[must_use]
    pub fn meta(mut self, meta: impl Serialize) -> Self {
        match serde_json::to_string(&meta) {
            Ok(json) => self.given.meta = json,
            Err(error) => self.mistake = Some(format!("the test's meta has no JSON: {error}")),
        }
        self
    }

    /// The capability that is wanted; without it the runner's first one.
    #[must_use]
    pub fn capability(mut self, capability: &str) -> Self {
        self.given.capability = capability.to_owned();
        self
    }

    /// Cancels the task once this much progress was told; 0 cancels it at the first word.
    #[must_use]
    pub fn cancel_at(mut self, fraction: f64) -> Self {
        self.state.cancel_at = Some(fraction);
        self
    }

    /// Has reading this input fail with an error of the node, before its last byte.
    #[must_use]
    pub fn fail_input(mut self, cid: &str, error: Error) -> Self {
        self.state.failures.insert(cid.to_owned(), error);
        self
    }

    /// Runs a runner.
    pub fn run<R: Runner>(self) -> Outcome {
        let Self { mut given, state, mistake } = self;
        if given.capability.is_empty() {
            given.capability = R::CAPABILITIES.first().copied().unwrap_or_default().to_owned();
        }
        let host = Host::new(state);
        let task = Task::new(given, host.clone());
        let result = match mistake {
            Some(mistake) => Err(Error::Failed(mistake)),
            None => task.params().and_then(|params| R::run(&task, params)),
        };
        drop(task);
        let mut state = host.into_state();
        Outcome {
            result,
            artifacts: std::mem::take(&mut state.artifacts),
            unfinished: std::mem::take(&mut state.unfinished),
            progress: std::mem::take(&mut state.progress),
            events: std::mem::take(&mut state.events),
            log: std::mem::take(&mut state.log),
        }
    }
}

impl Outcome {
    /// The bytes of an artifact.
    ///
    /// # Panics
    /// When there is none, with those that there are and how the run ended.
    #[allow(clippy::panic, reason = "it fails a test")]
    #[track_caller]
    pub fn artifact(&self, path: &str) -> &[u8] {
        let found = self.artifacts.iter().find(|(stored, _)| stored.logical_path == path);
        let Some((_, bytes)) = found else {
            let paths: Vec<&str> =
                self.artifacts.iter().map(|(stored, _)| stored.logical_path.as_str()).collect();
            panic!("there is no artifact {path}, but {paths:?}; the run returned {:?}", self.result);
        };
        bytes
    }

    /// An artifact, read as JSON.
    ///
    /// # Panics
    /// When there is none, or it is no JSON.
    #[allow(clippy::panic, reason = "it fails a test")]
    #[track_caller]
    pub fn json(&self, path: &str) -> serde_json::Value {
        serde_json::from_slice(self.artifact(path))
            .unwrap_or_else(|error| panic!("{path} is no JSON: {error}"))
    }
}

/// What `export!` checks off wasm.
#[doc(hidden)]
pub const fn exported<R: Runner>(package: &Package) {
    package.check();
    assert!(!R::CAPABILITIES.is_empty(), "a runner serves one capability at least: see `CAPABILITIES`");
    // Used by a component alone, and no dead code for that.
    let _: fn(&Task, R::Params) -> Result<()> = R::run;
    let _: fn() -> crate::description::Requests = R::requests;
    let _: fn() -> Option<String> = R::meta_schema;
}
