//! The artifacts of one task: which names are taken, what was stored where, which were finished (protocol 3.5 and
//! 6.10).

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use posemesh_domain_data::{cid, name};
use posemesh_runner_api::ports::{Artifact, ArtifactSpec};
use posemesh_runner_api::replace::Replaceable;
use posemesh_text::one_line;
use uuid::Uuid;

use crate::api::error::DomainError;
use crate::api::lookup::ExistingData;
use crate::upload::stored::StoredData;
use crate::upload::target::ArtifactTarget;

/// What one task knows of its artifacts.
#[derive(Debug)]
pub(crate) struct ArtifactIndex {
    task_suffix: String,
    outputs_prefix: Option<String>,
    entries: Mutex<IndexEntries>,
}

#[derive(Debug, Default)]
struct IndexEntries {
    /// Names in use, each with the types and logical paths that use it.
    names: HashMap<String, Vec<(String, String)>>,
    /// What was stored under a logical path, name and type, so that writing it again replaces it.
    stored: HashMap<(String, String, String), StoredData>,
    finished: Vec<Artifact>,
}

impl ArtifactIndex {
    pub(crate) fn new(task_id: Uuid, outputs_prefix: Option<String>) -> Self {
        Self { task_suffix: name::task_suffix(task_id), outputs_prefix, entries: Mutex::default() }
    }

    /// Chooses name and type of a new artifact, and checks what the runner chose itself. `replaceable` is for what is
    /// found by a name of the runner's choosing.
    ///
    /// # Errors
    /// [`DomainError::Invalid`] or [`DomainError::Name`] when the runner's choice can't be used.
    pub(crate) fn add(
        &self,
        spec: &ArtifactSpec,
        replaceable: Replaceable,
    ) -> Result<ArtifactTarget, DomainError> {
        let logical_path = name::logical_path(self.outputs_prefix.as_deref(), &spec.path);
        if logical_path.is_empty() {
            return Err(DomainError::Invalid("an artifact needs a path".to_owned()));
        }
        if let Some(id) = spec.existing_id.as_deref().filter(|id| cid::hyphenated_uuid(id).is_none()) {
            let id = one_line(id, 80);
            return Err(DomainError::Invalid(format!("the artifact's existing id `{id}` is not a UUID")));
        }
        let data_type = match &spec.data_type {
            Some(data_type) => {
                name::check("data type", data_type)?;
                data_type.clone()
            }
            None => name::data_type(&spec.path),
        };
        let mut entries = self.entries();
        let name = match &spec.name {
            Some(name) => {
                name::check("name", name)?;
                entries.check_explicit(name, &data_type, &logical_path)?;
                name.clone()
            }
            None => entries.derive(&logical_path, &self.task_suffix),
        };
        // Under the same lock as the check: two artifacts that begin together must not take the same name.
        entries.names.entry(name.clone()).or_default().push((data_type.clone(), logical_path.clone()));
        let replaceable = if spec.name.is_some() { replaceable } else { Replaceable::anything() };
        Ok(ArtifactTarget { logical_path, name, data_type, given_id: spec.existing_id.clone(), replaceable })
    }

    /// What the artifact replaces, as far as it is known without asking the server: the id that the runner gave, or
    /// what this task stored there before.
    pub(super) fn known_existing(&self, target: &ArtifactTarget) -> Option<ExistingData> {
        // The runner's choice comes first; it may know of data that this task did not store.
        if let Some(id) = &target.given_id {
            return Some(ExistingData::Given(id.clone()));
        }
        match self.entries().stored.get(&key(target)).cloned()? {
            StoredData { id: Some(id), updated_at } => Some(ExistingData::Found { id, updated_at }),
            StoredData { id: None, .. } => None,
        }
    }

    /// Records an artifact that was stored. Of several with the same logical path the last one counts.
    pub(crate) fn finish(&self, target: &ArtifactTarget, stored: StoredData, artifact: &Artifact) {
        let mut entries = self.entries();
        entries.stored.insert(key(target), stored);
        entries.finished.retain(|other| other.logical_path != artifact.logical_path);
        entries.finished.push(artifact.clone());
    }

    /// The artifacts that were finished, in the order of finishing.
    pub(crate) fn finished(&self) -> Vec<Artifact> {
        self.entries().finished.clone()
    }

    fn entries(&self) -> MutexGuard<'_, IndexEntries> {
        // Nothing panics while the lock is held; if something did, the entries are still consistent.
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn key(target: &ArtifactTarget) -> (String, String, String) {
    (target.logical_path.clone(), target.name.clone(), target.data_type.clone())
}

impl IndexEntries {
    /// The name of an artifact whose runner chose none: the plain one, unless another path has it.
    fn derive(&self, logical_path: &str, task_suffix: &str) -> String {
        let plain = name::derive(logical_path, task_suffix);
        let mut users = self.names.get(&plain).into_iter().flatten();
        match users.find(|(_, owner)| owner != logical_path) {
            Some(_) => name::derive_distinct(logical_path, task_suffix),
            None => plain,
        }
    }

    /// A name that the runner chose must not silently replace another artifact of the task.
    fn check_explicit(&self, name: &str, data_type: &str, logical_path: &str) -> Result<(), DomainError> {
        let mut users = self.names.get(name).into_iter().flatten();
        match users.find(|(other_type, owner)| owner != logical_path && other_type == data_type) {
            Some((_, owner)) => Err(DomainError::Invalid(format!(
                "the artifact `{owner}` of this task has the name `{name}` and the same type already"
            ))),
            None => Ok(()),
        }
    }
}
