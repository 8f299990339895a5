//! The argument of commands that read the node's environment.

use std::path::PathBuf;

use anyhow::{Result, anyhow};
use clap::Args;
use posemesh_node_core::config::{Config, Environment, MisspeltVariable, environment, misspelt};

#[derive(Debug, Args)]
pub(crate) struct EnvFileArgs {
    /// File of NAME=value lines; variables of the environment take precedence. Default: `.env`, if it exists.
    #[arg(long, value_name = "FILE")]
    env_file: Option<PathBuf>,
}

impl EnvFileArgs {
    /// The environment of this process and the variables of the file.
    ///
    /// # Errors
    /// When the file can't be read.
    pub(crate) fn environment(&self) -> Result<Environment> {
        Ok(environment(self.env_file.as_deref())?)
    }

    /// The node's configuration, checked, and the variables that look like settings and are none.
    ///
    /// # Errors
    /// When the file can't be read; else every problem of every setting at once.
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
