//! What a process was given as settings, from all of its sources.

use std::path::{Path, PathBuf};

use super::env_file::EnvFileError;
use super::environment::Environment;
use super::settings_file::{self, DEFAULT_NAME, SettingsFileError};
use super::variable::Declared;

/// The variable that names the settings file.
const NAMES_THE_FILE: &str = "POSEMESH_CONFIG";

/// Why settings can't be read at all.
#[derive(Debug, thiserror::Error)]
pub enum GivenError {
    /// The file of variables.
    #[error(transparent)]
    EnvFile(#[from] EnvFileError),
    /// The settings file.
    #[error(transparent)]
    SettingsFile(#[from] SettingsFileError),
}

/// Files with settings that were named on the command line; without them those of the working directory count.
#[derive(Debug, Clone, Default)]
pub struct SettingsFiles {
    /// Lines of `NAME=value`; without it `.env`, if it is there.
    pub env_file: Option<PathBuf>,
    /// TOML; without it the one that `POSEMESH_CONFIG` names, or else `posemesh-node.toml`, if it is there.
    pub settings_file: Option<PathBuf>,
}

/// Reads the environment, and what completes it. `declared` are the settings, whose keys a settings file may have.
///
/// # Errors
/// When a file can't be read, has a line that is not `NAME=value`, or is not TOML.
pub(super) fn read(
    files: &SettingsFiles,
    declared: impl FnOnce() -> Vec<Declared>,
) -> Result<Environment, GivenError> {
    let mut environment = Environment::of_process();
    match files.env_file.as_deref() {
        Some(path) => environment.add_from_file(path)?,
        None if Path::new(".env").is_file() => environment.add_from_file(Path::new(".env"))?,
        None => {}
    }
    let named = environment.get(NAMES_THE_FILE).map(|(path, _)| PathBuf::from(path));
    let default = || Some(PathBuf::from(DEFAULT_NAME)).filter(|path| path.symlink_metadata().is_ok());
    if let Some(path) = files.settings_file.clone().or(named).or_else(default) {
        environment.add_settings(settings_file::read(&path, &declared())?);
    }
    Ok(environment)
}
