//! How far a runner reaches in the domain of its task: `inputs` and `replace` of `NAME.toml`.

use serde::{Deserialize, Serialize};

/// Which data of its domain a runner may read, or replace.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DataScope {
    /// What its task names, was given when it opened that, and has stored itself.
    #[default]
    Task,
    /// Any data of the domain.
    Domain,
}
