//! What the servers remember: machines and their logins, jobs and their tasks, data and upload sessions. It knows no
//! requests: the endpoints of `dds`, `dms` and `domain` read and change it.

pub(crate) mod blob;
pub(crate) mod credentials;
pub(crate) mod entries;
pub(crate) mod item;
mod items;
pub(crate) mod machine_records;
pub(crate) mod queue;
pub(crate) mod registry;
pub(crate) mod sessions;
pub(crate) mod store;
pub(crate) mod task_records;
