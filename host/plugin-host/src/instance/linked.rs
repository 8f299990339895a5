//! A linked component and its instance, whichever version of the contract it speaks: whoever calls it says and hears the
//! newest one.

use std::sync::Arc;

use tokio::sync::OwnedSemaphorePermit;
use wasmtime::component::InstancePre;
use wasmtime::{Engine, Store};

use crate::contract::{Line, PACKAGE};
use crate::instance::bindings::posemesh::runner::types::{Description, Error, Task};
use crate::instance::bindings::{Runner, RunnerPre};
use crate::instance::state::RunState;
use crate::instance::v0_1;

/// A linked component, which instances are made from.
#[derive(Clone)]
pub(crate) struct LinkedRunner {
    entry: LinkedEntry,
    /// The right to make one where there are only so many places.
    _place: Option<Arc<OwnedSemaphorePermit>>,
}

#[derive(Clone)]
enum LinkedEntry {
    /// Of the newest line of versions.
    Newest(RunnerPre<RunState>),
    /// Of 0.1.x.
    V0_1(v0_1::RunnerPre<RunState>),
}

/// An instance of a component.
pub(crate) enum RunnerInstance {
    /// Of the newest line of versions.
    Newest(Runner),
    /// Of 0.1.x.
    V0_1(v0_1::Runner),
}

impl LinkedRunner {
    /// Finds the exports of a component, by the version that it exports.
    ///
    /// # Errors
    /// When one is missing or of another type.
    pub(crate) fn new(pre: InstancePre<RunState>) -> wasmtime::Result<Self> {
        let component = pre.component().component_type();
        let line = component.exports(pre.engine()).find_map(|(name, _)| line_of_entry(name));
        let entry = match line {
            Some(Line::V0_1) => v0_1::RunnerPre::new(pre).map(LinkedEntry::V0_1),
            // Without any line the error says what is missing of the newest one.
            Some(Line::V0_2) | None => RunnerPre::new(pre).map(LinkedEntry::Newest),
        };
        Ok(Self { entry: entry?, _place: None })
    }

    /// The same for one instance, which has a place until this is dropped: to be kept longer than the instance's store.
    pub(crate) fn in_place(&self, place: OwnedSemaphorePermit) -> Self {
        Self { entry: self.entry.clone(), _place: Some(Arc::new(place)) }
    }

    /// The engine that it was linked for.
    pub(crate) fn engine(&self) -> &Engine {
        match &self.entry {
            LinkedEntry::Newest(pre) => pre.engine(),
            LinkedEntry::V0_1(pre) => pre.engine(),
        }
    }

    /// Makes an instance.
    ///
    /// # Errors
    /// When there is no room for one, or its start function traps.
    pub(crate) async fn instantiate_async(
        &self,
        store: &mut Store<RunState>,
    ) -> wasmtime::Result<RunnerInstance> {
        match &self.entry {
            LinkedEntry::Newest(pre) => pre.instantiate_async(store).await.map(RunnerInstance::Newest),
            LinkedEntry::V0_1(pre) => pre.instantiate_async(store).await.map(RunnerInstance::V0_1),
        }
    }
}

impl RunnerInstance {
    /// Calls `describe`.
    ///
    /// # Errors
    /// When it traps.
    pub(crate) async fn describe(&self, store: &mut Store<RunState>) -> wasmtime::Result<Description> {
        match self {
            Self::Newest(runner) => runner.posemesh_runner_entry().call_describe(store).await,
            Self::V0_1(runner) => v0_1::describe(runner, store).await,
        }
    }

    /// Calls `run`.
    ///
    /// # Errors
    /// When it traps. What it returns is inside.
    pub(crate) async fn run(
        &self,
        store: &mut Store<RunState>,
        task: &Task,
    ) -> wasmtime::Result<Result<(), Error>> {
        match self {
            Self::Newest(runner) => runner.posemesh_runner_entry().call_run(store, task).await,
            Self::V0_1(runner) => v0_1::run(runner, store, task).await,
        }
    }
}

/// The line of an export, if that is `entry`.
fn line_of_entry(export: &str) -> Option<Line> {
    let version = export.strip_prefix(PACKAGE)?.strip_prefix("/entry@")?;
    Line::serving(version)
}
