//! Where the guests of one generation run: in processes of their own, or, where the settings say so, in this one.

use std::path::Path;
use std::sync::Arc;

use posemesh_runner_api::failure::RunFailure;
use posemesh_runner_api::runner::RunnerCall;
use posemesh_text::one_line;

use crate::code::compiled::CompiledComponent;
use crate::code::footprint::Footprint;
use crate::folders::OpenFolder;
use crate::instance::describe::{DescribeError, describe};
use crate::instance::guest_threads::GuestThreads;
use crate::instance::linked::LinkedRunner;
use crate::instance::run::{GenerationSetup, run};
use crate::load::error::{LoadError, MAX_CAUSE};
use crate::load::loader::Loader;
use crate::load::stage::{LoadStage, Reached};
use crate::manifest::description::RawDescription;
use crate::manifest::limits::Limits;
use crate::manifest::policy::Grant;
use crate::sandbox::node::pool::{LoadFailure, Pool};

/// The guests of one generation.
pub(crate) enum Guests {
    /// In processes of their own.
    Apart(Pool),
    /// In the node's process, with what an instance costs it in bytes.
    Here(LinkedRunner, GuestThreads, u64),
}

impl Guests {
    /// Gets ready to run this code, and calls `describe`. `folders` are those that the operator grants to a runner that asks
    /// for them.
    ///
    /// # Errors
    /// When the component is not of the world of runners or does not describe itself.
    pub(crate) async fn load(
        loader: &Loader,
        path: &Path,
        code: CompiledComponent,
        footprint: Footprint,
        probe: &Limits,
        folders: Vec<OpenFolder>,
        reached: Reached<'_>,
    ) -> Result<(Self, RawDescription), LoadError> {
        let owned = || path.to_owned();
        let Some(sandbox) = loader.sandbox() else {
            let pre = loader.link(path, code).await?;
            reached(LoadStage::Linked);
            let threads = loader.engine().guest_threads().clone();
            let instance_bytes = footprint.host_bytes;
            let raw =
                describe(pre.clone(), path, &threads, probe, instance_bytes).await.map_err(|error| {
                    match error {
                        DescribeError::Runner(cause) => LoadError::Describe { path: owned(), cause },
                        DescribeError::Host(what) => LoadError::Host { path: owned(), what },
                    }
                })?;
            return Ok((Self::Here(pre, threads, instance_bytes), raw));
        };
        let sealed = tokio::task::spawn_blocking(move || code.seal())
            .await
            .map_err(std::io::Error::other)
            .and_then(|sealed| sealed)
            .map_err(|error| LoadError::Host {
                path: owned(),
                what: format!("putting the compiled code into a memory file: {error}"),
            })?;
        let label = path.file_stem().map(|stem| one_line(stem.display(), 100)).unwrap_or_default();
        let pool = Pool::new(sandbox.clone(), label, sealed, footprint);
        let linked = || reached(LoadStage::Linked);
        let raw = pool.describe(probe, folders, linked).await.map_err(|failure| match failure {
            LoadFailure::World(what) => LoadError::World { path: owned(), what: one_line(what, MAX_CAUSE) },
            LoadFailure::Describe(cause) => {
                LoadError::Describe { path: owned(), cause: one_line(cause, MAX_CAUSE) }
            }
            LoadFailure::Description(what) => {
                LoadError::Description { path: owned(), what: one_line(what, MAX_CAUSE) }
            }
            LoadFailure::Host(what) => LoadError::Host { path: owned(), what: one_line(what, MAX_CAUSE) },
        })?;
        Ok((Self::Apart(pool), raw))
    }

    /// Runs one task to its end.
    ///
    /// # Errors
    /// When the runner fails or is ended.
    pub(crate) async fn run(
        &self,
        label: &str,
        grant: &Arc<Grant>,
        environment: &[(String, String)],
        folders: Vec<OpenFolder>,
        call: RunnerCall,
    ) -> Result<(), RunFailure> {
        match self {
            Self::Apart(pool) => {
                pool.run(label.to_owned(), grant.clone(), environment.to_vec(), folders, call).await
            }
            Self::Here(pre, threads, instance_bytes) => {
                let instance_bytes = *instance_bytes;
                run(
                    pre.clone(),
                    GenerationSetup { label, grant, environment, threads, folders, instance_bytes },
                    call,
                )
                .await
            }
        }
    }
}
