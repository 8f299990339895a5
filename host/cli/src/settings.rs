//! The arguments of commands that read the node's settings.

use std::path::PathBuf;

use anyhow::{Result, anyhow};
use clap::Args;
use posemesh_node_core::config::{
    Config, Environment, MisspeltVariable, SettingsFiles, environment, misspelt,
};

/// Which files settings are read from, beside the environment.
#[derive(Debug, Clone, Args)]
pub(crate) struct SettingsArgs {
    /// Settings file, TOML; the environment and the file of --env-file take precedence. Default: POSEMESH_CONFIG, or
    /// `posemesh-node.toml`, if it exists.
    #[arg(long = "config", value_name = "FILE")]
    settings_file: Option<PathBuf>,
    /// File of NAME=value lines; variables of the environment take precedence. Default: `.env`, if it exists.
    #[arg(long, value_name = "FILE")]
    env_file: Option<PathBuf>,
}

impl SettingsArgs {
    /// The environment of this process, the variables of the file, and the settings file.
    ///
    /// # Errors
    /// When a file can't be read.
    pub(crate) fn environment(&self) -> Result<Environment> {
        let Self { settings_file, env_file } = self.clone();
        Ok(environment(&SettingsFiles { env_file, settings_file })?)
    }

    /// The same files again, as they were found for this environment: one that has gone since is an error then, and no
    /// settings without it.
    pub(crate) fn found_for(&self, environment: &Environment) -> Self {
        let found = |path: Option<&std::path::Path>| path.map(std::path::Path::to_owned);
        Self {
            settings_file: self.settings_file.clone().or_else(|| found(environment.settings_file())),
            env_file: self.env_file.clone().or_else(|| found(environment.env_file())),
        }
    }

    /// The node's configuration, checked, and the variables that look like settings and are none.
    ///
    /// # Errors
    /// When a file can't be read; else every problem of every setting at once.
    pub(crate) fn config(&self) -> Result<(Config, Vec<MisspeltVariable>)> {
        let environment = self.environment()?;
        let misspelt = misspelt(&environment);
        match Config::load(&environment) {
            Ok(config) => Ok((config, misspelt)),
            Err(problems) => {
                // A setting that is missing may be there by another name.
                let hints: String = misspelt.iter().map(|variable| format!("\n  {variable}")).collect();
                Err(anyhow!("{problems}{hints}"))
            }
        }
    }
}
