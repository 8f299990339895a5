//! The runner: the node on one side, [`crate::pipeline`] on the other.

use std::io;
use std::time::Duration;

use posemesh_runner::{
    Artifact as Stored, ArtifactOptions, Error, LogLevel, Part, Requests, Result, Runner, Task,
};

use crate::failure::Failure;
use crate::params::{META_SCHEMA, Params};
use crate::pipeline::{self, Artifact, Outputs};
use crate::progress::Control;
use crate::summary::Input;

struct Pointcloud;

impl Runner for Pointcloud {
    const CAPABILITIES: &[&str] = &["/posemesh/pointcloud/v1"];
    type Params = Params;

    fn requests() -> Requests {
        Requests::new().memory_mib(1024).deadline(Duration::from_secs(10 * 60))
    }

    fn meta_schema() -> Option<String> {
        Some(META_SCHEMA.into())
    }

    fn run(task: &Task, params: Params) -> Result<()> {
        let [cid] = task.inputs_cids() else {
            let count = task.inputs_cids().len();
            return Err(Error::InvalidTask(format!("the task has {count} inputs; it takes one, a PLY scan")));
        };
        let scan = find_scan(task, cid)?;
        let input = Input { name: scan.name().to_owned(), size: scan.size() };
        pipeline::run(scan, input, &params, &mut Node(task), &mut Node(task))?;
        Ok(())
    }
}

posemesh_runner::export!(Pointcloud);

/// The first part of an input that looks like a PLY file, or its only part, whatever that looks like.
fn find_scan(task: &Task, cid: &str) -> Result<Part> {
    let (mut others, mut names) = (Vec::new(), Vec::new());
    for part in task.open(cid)? {
        let part = part?;
        let info = part.info();
        let name = info.name.to_ascii_lowercase();
        if info.data_type == "ply" || name.ends_with(".ply") || name.ends_with(".ply.gz") {
            return Ok(part);
        }
        names.push(format!("{} ({})", info.name, info.data_type));
        others.push(part);
    }
    match (others.pop(), names.len()) {
        (Some(only), 1) => Ok(only),
        _ => Err(Error::InvalidInput(format!("expected a PLY scan, found only: {}", names.join(", ")))),
    }
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::InvalidTask(what) => Self::InvalidTask(what),
            Failure::InvalidInput(what) => Self::InvalidInput(what),
            Failure::Cancelled => Self::Cancelled,
            Failure::Io(error) => error.into(),
            Failure::Failed(what) => Self::Failed(what),
        }
    }
}

/// The node: it takes reports and artifacts.
struct Node<'a>(&'a Task);

impl Control for Node<'_> {
    fn progress(&mut self, fraction: f64, stage: &str) {
        // Whether to stop is asked by `cancelled`.
        let _ = self.0.progress(fraction, stage);
    }

    fn cancelled(&mut self) -> bool {
        self.0.check_cancelled().is_err()
    }

    fn note(&mut self, text: &str) {
        self.0.log(LogLevel::Warn, text);
    }
}

impl Outputs for Node<'_> {
    fn create(&mut self, path: &str, size: u64) -> io::Result<Box<dyn Artifact>> {
        let options = ArtifactOptions::new().size_hint(size);
        Ok(Box::new(self.0.create_with(path, &options)?))
    }
}

impl Artifact for Stored {
    fn finish(self: Box<Self>) -> io::Result<()> {
        Stored::finish(*self).map(drop).map_err(io::Error::from)
    }
}
