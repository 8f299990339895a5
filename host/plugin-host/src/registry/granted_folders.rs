//! The folders that a policy maps, opened and looked at: when a runner is loaded, and again for each task, since a path may
//! lead elsewhere by then.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use posemesh_runner_api::failure::RunFailure;
use posemesh_text::one_line;

use crate::folders::{OpenFolder, PrivateFolders};
use crate::load::error::LoadError;
use crate::load::loader::{Loader, READ_TIMEOUT};
use crate::manifest::policy::{Policy, PolicyError};

/// The longest name that an error shows, in bytes.
const MAX_NAME: usize = 300;

/// Checks the folders that a policy maps, whether or not the runner asks for them.
pub(crate) async fn check_directories(
    loader: &Loader,
    component: &Path,
    policy: &Policy,
) -> Result<Vec<OpenFolder>, LoadError> {
    if policy.directories.is_empty() {
        return Ok(Vec::new());
    }
    let (private, directories) = (loader.private().clone(), policy.directories.clone());
    let path = component.with_extension("toml");
    let look = move |_: &Path| Ok(open_all(&private, &directories));
    match loader.files().make(&path, READ_TIMEOUT, look).await {
        Ok(checked) => checked.map_err(|what| PolicyError::Invalid { path, what }.into()),
        Err(error) => Err(PolicyError::Read { path, error }.into()),
    }
}

/// Opens the granted folders for a task, and looks at them again: a path may lead elsewhere by now.
pub(crate) async fn open_directories(
    private: &Arc<PrivateFolders>,
    directories: &BTreeMap<String, PathBuf>,
) -> Result<Vec<OpenFolder>, RunFailure> {
    if directories.is_empty() {
        return Ok(Vec::new());
    }
    let (private, directories) = (private.clone(), directories.clone());
    // File system calls may block for long.
    let opened = tokio::task::spawn_blocking(move || open_all(&private, &directories));
    let failed = |what: String| RunFailure::host(format!("opening the granted folders: {what}"));
    opened.await.map_err(|error| failed(error.to_string()))?.map_err(failed)
}

fn open_all(
    private: &PrivateFolders,
    directories: &BTreeMap<String, PathBuf>,
) -> Result<Vec<OpenFolder>, String> {
    let open = |(name, folder): (&String, &PathBuf)| {
        let opened = private
            .open(folder)
            .map_err(|what| format!("[directories] {}: {what}", one_line(name, MAX_NAME)));
        Ok(OpenFolder { name: name.clone(), folder: opened? })
    };
    directories.iter().map(open).collect()
}
