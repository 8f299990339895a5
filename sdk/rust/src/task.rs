//! One task: its parameters, its inputs and outputs, and the line to whoever waits for it.

use std::cell::RefCell;
use std::path::Path;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::artifact::{Artifact, ArtifactOptions, Stored, store};
use crate::description::millis;
use crate::error::{Error, Result};
use crate::host::Host;
use crate::input::{Input, Part, only_part, parts};

/// Progress is told in steps of this size, and at each new stage.
const STEP: f64 = 0.005;

/// How serious a line of the log is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogLevel {
    /// For whoever looks for a mistake.
    Debug,
    /// What happened.
    Info,
    /// What may be wrong.
    Warn,
    /// What is wrong.
    Error,
}

/// What a task may use. 0 in a field that ends in `_left` means that nothing is left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Budget {
    /// Bytes of memory in all.
    pub memory_bytes: u64,
    /// Bytes of the sandbox directory in all.
    pub scratch_bytes: u64,
    /// Bytes of artifacts that may still be written.
    pub output_bytes_left: u64,
    /// Time until the deadline ends the task, in milliseconds.
    pub time_left_ms: u64,
}

/// What the task was given, as the job server has it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Given {
    pub(crate) id: String,
    pub(crate) job_id: Option<String>,
    pub(crate) domain_id: Option<String>,
    pub(crate) capability: String,
    pub(crate) capability_filters: String,
    pub(crate) inputs_cids: Vec<String>,
    pub(crate) outputs_prefix: Option<String>,
    pub(crate) label: Option<String>,
    pub(crate) stage: Option<String>,
    pub(crate) meta: String,
    pub(crate) attempts: Option<u32>,
    pub(crate) max_attempts: Option<u32>,
}

/// One unit of work that the node has leased from the job server.
#[derive(Debug)]
pub struct Task {
    given: Given,
    host: Host,
    told: RefCell<Told>,
}

/// The progress that was told last.
#[derive(Debug, Default)]
struct Told {
    stage: String,
    fraction: f64,
    is_any: bool,
}

impl Task {
    pub(crate) fn new(given: Given, host: Host) -> Self {
        Self { given, host, told: RefCell::default() }
    }

    /// The task's UUID.
    pub fn id(&self) -> &str {
        &self.given.id
    }

    /// The UUID of the job that the task is part of.
    pub fn job_id(&self) -> Option<&str> {
        self.given.job_id.as_deref()
    }

    /// The UUID of the domain whose data the task works on.
    pub fn domain_id(&self) -> Option<&str> {
        self.given.domain_id.as_deref()
    }

    /// Which of the runner's capabilities is wanted.
    pub fn capability(&self) -> &str {
        &self.given.capability
    }

    /// What the submitter asked of the node beyond the capability, as JSON text; `null` when nothing.
    pub fn capability_filters(&self) -> &str {
        &self.given.capability_filters
    }

    /// The CIDs of the inputs, in the submitter's order.
    pub fn inputs_cids(&self) -> &[String] {
        &self.given.inputs_cids
    }

    /// The folder that artifacts are filed under; the node puts it before every path.
    pub fn outputs_prefix(&self) -> Option<&str> {
        self.given.outputs_prefix.as_deref()
    }

    /// What the submitter calls the task.
    pub fn label(&self) -> Option<&str> {
        self.given.label.as_deref()
    }

    /// The stage of the job that the task belongs to.
    pub fn stage(&self) -> Option<&str> {
        self.given.stage.as_deref()
    }

    /// The parameters, as JSON text; `null` when there are none. [`Runner::Params`](crate::Runner::Params) has them read.
    pub fn meta(&self) -> &str {
        &self.given.meta
    }

    /// How often the task was tried before.
    pub fn attempts(&self) -> Option<u32> {
        self.given.attempts
    }

    /// How often the task may be tried in all.
    pub fn max_attempts(&self) -> Option<u32> {
        self.given.max_attempts
    }

    /// The parameters, read into a type.
    pub(crate) fn params<P: DeserializeOwned>(&self) -> Result<P> {
        let meta = &self.given.meta;
        let refused = |error| Error::InvalidTask(format!("can't read the task's meta: {error}"));
        if meta.trim() == "null" {
            // A record of parameters that all have defaults reads `{}`, and says better what it lacks.
            return serde_json::from_str("null").or_else(|_| serde_json::from_str("{}")).map_err(refused);
        }
        serde_json::from_str(meta).map_err(refused)
    }

    /// Every part of every input, each as a stream: opened when its turn comes.
    pub fn parts(&self) -> impl Iterator<Item = Result<Part>> + '_ {
        parts(&self.host, &self.given.inputs_cids)
    }

    /// The only part of the only input.
    ///
    /// # Errors
    /// [`Error::InvalidTask`] with no or several inputs, [`Error::InvalidInput`] with several parts, and those of the node.
    pub fn only_part(&self) -> Result<Part> {
        only_part(&self.host, &self.given.inputs_cids)
    }

    /// Opens one of the task's CIDs.
    ///
    /// # Errors
    /// Those of the node.
    pub fn open(&self, cid: &str) -> Result<Input> {
        Input::open(&self.host, cid)
    }

    /// Starts an artifact at a relative path with `/` between its parts, such as `mesh/points.ply`. Its extension says which
    /// kind of data it is.
    ///
    /// # Errors
    /// Those of the node.
    pub fn create(&self, path: &str) -> Result<Artifact> {
        self.create_with(path, &ArtifactOptions::new())
    }

    /// The same, and says more about it.
    ///
    /// # Errors
    /// Those of the node.
    pub fn create_with(&self, path: &str, options: &ArtifactOptions) -> Result<Artifact> {
        self.host.create(path, options).map(Artifact::new)
    }

    /// Stores bytes that are at hand.
    ///
    /// # Errors
    /// Those of the node.
    pub fn write(&self, path: &str, bytes: impl AsRef<[u8]>) -> Result<Stored> {
        let bytes = bytes.as_ref();
        let options = ArtifactOptions::new().size_hint(bytes.len() as u64);
        store(self.create_with(path, &options)?, bytes)
    }

    /// Stores a value as JSON, indented for people.
    ///
    /// # Errors
    /// Those of the node, and [`Error::Failed`] for a value that has no JSON.
    pub fn write_json(&self, path: &str, value: &(impl Serialize + ?Sized)) -> Result<Stored> {
        let mut json = serde_json::to_vec_pretty(value)
            .map_err(|error| Error::failed(format!("writing {path} as JSON: {error}")))?;
        json.push(b'\n');
        self.write(path, json)
    }

    /// Stores a file of the sandbox directory `/work`, of any size.
    ///
    /// # Errors
    /// Those of the node.
    pub fn write_file(&self, path: &str, file: impl AsRef<Path>) -> Result<Stored> {
        self.host.put_file(path, &file.as_ref().to_string_lossy(), &ArtifactOptions::new())
    }

    /// Says how far the task is, from 0 to 1, and what is being done. It tells the node when that has changed enough, so it
    /// may be called often; each call asks whether to stop.
    ///
    /// # Errors
    /// [`Error::Cancelled`] when the task is being stopped.
    pub fn progress(&self, fraction: f64, stage: &str) -> Result<()> {
        let fraction = if fraction.is_finite() { fraction.clamp(0.0, 1.0) } else { 0.0 };
        let mut told = self.told.borrow_mut();
        let is_new_stage = !told.is_any || told.stage != stage;
        let is_last = fraction >= 1.0 && told.fraction < 1.0;
        if is_new_stage || is_last || (fraction - told.fraction).abs() >= STEP {
            *told = Told { stage: stage.to_owned(), fraction, is_any: true };
            self.host.progress(&serde_json::json!({ "progress": fraction, "stage": stage }).to_string());
        }
        drop(told);
        self.check_cancelled()
    }

    /// Asks whether to stop.
    ///
    /// # Errors
    /// [`Error::Cancelled`] when the task is being stopped.
    pub fn check_cancelled(&self) -> Result<()> {
        if self.host.is_cancelled() { Err(Error::Cancelled) } else { Ok(()) }
    }

    /// Waits, at most until the task is being stopped.
    ///
    /// # Errors
    /// [`Error::Cancelled`] when the task is being stopped.
    pub fn sleep(&self, time: Duration) -> Result<()> {
        if self.host.wait_cancelled(millis(time)) { Err(Error::Cancelled) } else { Ok(()) }
    }

    /// Adds an event to the task's record at the job server.
    ///
    /// # Errors
    /// [`Error::Failed`] when it is too large, came too fast after others, or has no JSON: ignoring that is fine.
    pub fn event(&self, event: &(impl Serialize + ?Sized)) -> Result<()> {
        let json = serde_json::to_string(event).map_err(Error::failed)?;
        self.host.log_event(&json).map_err(Error::Failed)
    }

    /// Writes a line to the node's log, as standard error does.
    pub fn log(&self, level: LogLevel, message: &str) {
        self.host.log(level, message);
    }

    /// What this task may use, as the operator has granted it.
    pub fn budget(&self) -> Budget {
        self.host.budget()
    }
}
