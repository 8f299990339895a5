//! The argument of commands that read the node's environment.

use std::path::PathBuf;

use anyhow::Result;
use clap::Args;
use posemesh_node_core::config::{Config, Environment, environment};

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

    /// The node's configuration, checked.
    ///
    /// # Errors
    /// When the file can't be read; else every problem of every setting at once.
    pub(crate) fn config(&self) -> Result<Config> {
        Ok(Config::load(&self.environment()?)?)
    }
}
