//! The status server: what the node reports about itself on `STATUS_ADDR`, and the admin calls.
//!
//! | route | what it answers |
//! | --- | --- |
//! | `GET /health` | 200 as long as the process lives |
//! | `GET /ready` | 200, or 503 with what is missing ([`ready`]) |
//! | `GET /metrics` | counts, gauges and histograms ([`metrics`], docs/metrics.md) |
//! | `GET /api/plugins` | runners and their generations ([`posemesh_plugin_host::registry::RunnerView`]) |
//! | `GET /api/tasks`, `/api/tasks/{id}`, `/api/tasks/{id}/log` | the last tasks ([`tasks`]) |
//! | `GET /api/node` | which node this is ([`node`]) |
//! | `POST /api/admin/...` | rescan, rollback, close-breaker, drain, resume ([`admin`]) |
//!
//! Answers but `/metrics` and logs are JSON; errors are `{"error": "..."}`. On a loopback address only
//! requests that name one are answered, so that no web page can ask in a user's browser.

mod admin;
mod answer;
mod folders;
mod guard;
mod identity;
mod metrics;
mod node;
mod readiness;
mod ready;
mod server;
mod settings;
mod sources;
mod tasks;

pub(crate) use folders::WatchedFolders;
pub use identity::NodeIdentity;
pub use metrics::reference as metrics_reference;
pub(crate) use readiness::Readiness;
pub(crate) use server::{StatusError, StatusServer};
pub use settings::DEFAULT_ADDR;
pub(crate) use settings::StatusSettings;
pub(crate) use sources::StatusSources;
