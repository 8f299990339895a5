//! The artifacts of a task: what they are called, what they replace, which were finished (protocol 3.5
//! and 6.10).

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use posemesh_domain_data::{cid, excerpt, name};

use super::access::Access;
use super::error::StorageError;
use super::lookup::Existing;
use super::single::Stored;
use super::writer::Writer;
use posemesh_runner_api::ports::{Artifact, ArtifactSpec, ArtifactWriter, OutputPort, PortError};

/// Stores artifacts in the lease's domain.
pub(super) struct DomainOutputs {
    access: Arc<Access>,
    book: Arc<Book>,
}

impl DomainOutputs {
    pub fn new(access: Arc<Access>) -> Self {
        Self { access, book: Arc::default() }
    }
}

#[async_trait]
impl OutputPort for DomainOutputs {
    async fn create(&self, spec: ArtifactSpec) -> Result<Box<dyn ArtifactWriter>, PortError> {
        self.access.check_server()?;
        self.book.entries().check_budget(&self.access, spec.size_hint.unwrap_or_default())?;
        let open = Arc::clone(&self.access.open_artifacts).try_acquire_owned().map_err(|_| {
            PortError::limit(format!(
                "a task may have {} artifacts open; finish or close one before the next",
                self.access.settings().max_open_artifacts
            ))
        })?;
        let target = self.book.target(&self.access, &spec)?;
        Ok(Box::new(Writer::new(Arc::clone(&self.access), Arc::clone(&self.book), target, open)))
    }

    fn finished(&self) -> Vec<Artifact> {
        self.book.entries().finished.clone()
    }

    async fn settle(&self) {
        // Each of them gives up giving up after a while.
        self.access.given_up.close();
        self.access.given_up.wait().await;
    }
}

/// What an artifact is called and what the runner said that it replaces.
#[derive(Debug, Clone)]
pub(super) struct Target {
    pub logical_path: String,
    pub name: String,
    pub data_type: String,
    pub given_id: Option<String>,
}

/// What one task knows of its artifacts.
#[derive(Debug, Default)]
pub(super) struct Book {
    entries: Mutex<Entries>,
}

#[derive(Debug, Default)]
struct Entries {
    /// Names in use, each with the types and logical paths that use it.
    names: HashMap<String, Vec<(String, String)>>,
    /// What was stored under a logical path, name and type, so that writing it again replaces it.
    stored: HashMap<(String, String, String), Stored>,
    finished: Vec<Artifact>,
    created: usize,
    written: u64,
}

impl Book {
    fn entries(&self) -> MutexGuard<'_, Entries> {
        // Nothing panics while the lock is held; if something did, the entries are still whole.
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Finds name and type of a new artifact, and checks what the runner chose itself.
    fn target(&self, access: &Access, spec: &ArtifactSpec) -> Result<Target, StorageError> {
        let logical_path = name::logical_path(access.lease.outputs_prefix.as_deref(), &spec.path);
        if logical_path.is_empty() {
            return Err(StorageError::Invalid("an artifact needs a path".to_owned()));
        }
        if let Some(id) = spec.existing_id.as_deref().filter(|id| cid::uuid(id).is_none()) {
            let id = excerpt(id, 80);
            return Err(StorageError::Invalid(format!("the artifact's existing id `{id}` is not a UUID")));
        }
        let data_type = match &spec.data_type {
            Some(data_type) => {
                name::check("data type", data_type)?;
                data_type.clone()
            }
            None => name::data_type(&spec.path),
        };
        let limit = access.settings().max_artifacts;
        let mut entries = self.entries();
        if entries.created >= limit {
            return Err(StorageError::Limit(format!("a task may start {limit} artifacts, and it has")));
        }
        let name = match &spec.name {
            Some(name) => {
                name::check("name", name)?;
                entries.check_explicit(name, &data_type, &logical_path)?;
                name.clone()
            }
            None => entries.derive(&logical_path, &name::task_suffix(access.task_id())),
        };
        entries.created += 1;
        entries.names.entry(name.clone()).or_default().push((data_type.clone(), logical_path.clone()));
        Ok(Target { logical_path, name, data_type, given_id: spec.existing_id.clone() })
    }

    /// What the artifact replaces: what the runner said, what this task stored there before, or what the
    /// server knows.
    pub async fn existing(&self, access: &Access, target: &Target) -> Result<Existing, StorageError> {
        if let Some(id) = &target.given_id {
            return Ok(Existing::Given(id.clone()));
        }
        let known = self.entries().stored.get(&target.key()).cloned();
        match known {
            Some(Stored { id: Some(id), updated_at }) => Ok(Existing::Found { id, updated_at }),
            _ => access.find_existing(&target.name, &target.data_type).await,
        }
    }

    /// Counts bytes that are about to be written.
    pub fn spend(&self, access: &Access, bytes: u64) -> Result<(), StorageError> {
        let mut entries = self.entries();
        entries.check_budget(access, bytes)?;
        entries.written += bytes;
        Ok(())
    }

    /// Notes an artifact that was stored; the last one of a logical path counts.
    pub fn finish(&self, target: &Target, stored: Stored, artifact: &Artifact) {
        let mut entries = self.entries();
        entries.stored.insert(target.key(), stored);
        entries.finished.retain(|other| other.logical_path != artifact.logical_path);
        entries.finished.push(artifact.clone());
    }
}

impl Target {
    fn key(&self) -> (String, String, String) {
        (self.logical_path.clone(), self.name.clone(), self.data_type.clone())
    }
}

impl Entries {
    fn check_budget(&self, access: &Access, bytes: u64) -> Result<(), StorageError> {
        let (limit, written) = (access.lease.max_output_bytes, self.written);
        if written.checked_add(bytes).is_some_and(|sum| sum <= limit) {
            return Ok(());
        }
        Err(StorageError::Limit(format!(
            "the task may write {limit} bytes of artifacts; {written} were written, and {bytes} more do not fit"
        )))
    }

    /// The name of an artifact that was given none: the plain one, unless another path has it.
    fn derive(&self, logical_path: &str, task_id: &str) -> String {
        let plain = name::derive(logical_path, task_id);
        let mut users = self.names.get(&plain).into_iter().flatten();
        match users.find(|(_, owner)| owner != logical_path) {
            Some(_) => name::derive_distinct(logical_path, task_id),
            _ => plain,
        }
    }

    /// A name that the runner chose must not silently replace another artifact of the task.
    fn check_explicit(&self, name: &str, data_type: &str, logical_path: &str) -> Result<(), StorageError> {
        let mut users = self.names.get(name).into_iter().flatten();
        match users.find(|(kind, owner)| owner != logical_path && kind == data_type) {
            Some((_, owner)) => Err(StorageError::Invalid(format!(
                "the artifact `{owner}` of this task has the name `{name}` and the same type already"
            ))),
            _ => Ok(()),
        }
    }
}
