//! The status server: what the node reports about itself on `STATUS_ADDR`, and the admin calls.
//!
//! | route | what it answers |
//! | --- | --- |
//! | `GET /health` | 200 as long as the process lives |
//! | `GET /ready` | 200, or 503 with what is missing ([`ready`]) |
//! | `GET /metrics` | counts, gauges and histograms ([`metrics`], docs/metrics.md) |
//! | `GET /api/plugins` | runners and their generations ([`posemesh_plugin_host::registry::RunnerView`]) |
//! | `GET /api/tasks`, `/api/tasks/{id}`, `/api/tasks/{id}/log` | the last tasks ([`tasks`]) |
//! | `GET /` | the page for people ([`page`]), which follows `/api/events` |
//! | `GET /api/status` | everything of importance at this moment ([`overview`]) |
//! | `GET /api/events` | the same as a stream of server-sent events ([`events`]) |
//! | `GET /api/node` | which node this is ([`node`]) |
//! | `GET /api/log` | the last lines of the log, for this machine or with the token ([`log`]) |
//! | `POST /api/admin/...` | rescan, rollback, close-breaker, drain, resume, log, reload ([`admin`]) |
//!
//! Answers but `/metrics` and logs are JSON; errors are `{"error": "..."}`. Who may ask for what stands in [`access`]. On a
//! loopback address only requests that name one are answered, so that no web page can ask in a user's browser.
//!
//! The same routes are served on the node's Unix socket ([`control`](crate::control)), to its user and to root.

mod about;
mod access;
mod admin;
mod answer;
mod build;
mod events;
mod folders;
mod guard;
mod identity;
mod local;
mod log;
mod metrics;
mod node;
mod overview;
mod page;
mod process;
mod readiness;
mod ready;
mod reason;
mod server;
mod settings;
mod sources;
mod streams;
mod tasks;

pub(crate) use about::{About, Link};
pub(crate) use folders::WatchedFolders;
pub use identity::NodeIdentity;
pub(crate) use local::serve_local;
pub use metrics::reference as metrics_reference;
pub(crate) use readiness::Readiness;
pub(crate) use server::{StatusError, StatusServer};
pub use settings::DEFAULT_ADDR;
pub(crate) use settings::StatusSettings;
pub(crate) use sources::StatusSources;
pub(crate) use streams::Streams;
