//! What the status server of a node reads and commands, from the parts of the node.

use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use posemesh_net::http::peer;
use posemesh_plugin_host::registry::Registry;
use serde_json::json;
use time::OffsetDateTime;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use url::Url;

use super::limits::who;
use super::operator_pause::OperatorPause;
use crate::admission::{Admission, LiveBudget, TroubleBoard};
use crate::archive::Archive;
use crate::audit::AuditLog;
use crate::config::Config;
use crate::host_name;
use crate::records::TaskRecords;
use crate::registration::Membership;
use crate::reload::Reload;
use crate::status::{About, Link, NodeIdentity, Readiness, StatusSources, Streams, WatchedFolders};

/// How long DMS may be silent before the node is not ready.
const LONGEST_SILENCE: Duration = Duration::from_secs(60);

/// The parts of a running node that its status server reads and commands.
pub(super) struct StatusParts<'a> {
    pub(super) config: &'a Config,
    pub(super) identity: NodeIdentity,
    pub(super) registry: &'a Arc<Registry>,
    pub(super) board: &'a TroubleBoard,
    pub(super) slots: watch::Receiver<usize>,
    pub(super) budget: &'a LiveBudget,
    pub(super) audit: &'a AuditLog,
    pub(super) archive: &'a Archive,
    /// Which folders are open to other users.
    pub(super) folder_warnings: &'a [String],
    pub(super) membership: &'a Arc<Membership>,
    pub(super) records: TaskRecords,
    pub(super) admission: Arc<Admission>,
    pub(super) reload: &'a Reload,
    pub(super) operator_pause: &'a OperatorPause,
    pub(super) stop: &'a CancellationToken,
}

impl StatusParts<'_> {
    /// What the status server is given.
    pub(super) fn sources(self) -> StatusSources {
        let Self { config, registry, membership, records, admission, reload, operator_pause, .. } = self;
        let (token, of_registration) = (membership.clone(), membership.clone());
        let (of_reload, by_call, shown) = (reload.clone(), reload.clone(), reload.clone());
        let of_archive = self.archive.clone();
        let (operator_pause, shutdown) = (operator_pause.clone(), operator_pause.shutdown());
        let readiness = Readiness {
            registration: membership.status(),
            registration_error: Arc::new(move || of_registration.registration_error()),
            token: Arc::new(move || token.token_status()),
            runners: registry.clone(),
            records: records.clone(),
            board: self.board.clone(),
            shutdown: shutdown.clone(),
            // Longer only if the operator wants work to be asked for more rarely.
            longest_silence: LONGEST_SILENCE.max(2 * config.worker.poll_backoff_max),
            slots: self.slots,
            reload_warnings: Arc::new(move || of_reload.warnings()),
            noop: config.noop_check(),
            folders: self.folder_warnings.into(),
            history: Arc::new(move || of_archive.view().warnings()),
        };
        StatusSources {
            identity: self.identity,
            registry: registry.clone(),
            records,
            folders: WatchedFolders::new(config.paths.work.clone(), config.paths.cache.clone()),
            memory_budget: self.budget.clone(),
            memory_promised: Arc::new(move || admission.promised_memory()),
            reload: Arc::new(move || {
                let reload = by_call.clone();
                async move { reload.reload("admin call").await.map(|done| json!(done)) }.boxed()
            }),
            settings: Arc::new(move || shown.settings()),
            remember_pause: Arc::new(move || {
                let pause = operator_pause.clone();
                async move { pause.remember().await }.boxed()
            }),
            readiness,
            shutdown: shutdown.clone(),
            about: Arc::new(about(config)),
            admin_token: config.status.admin_token.clone(),
            status_token: config.status.status_token.clone(),
            audit: self.audit.clone(),
            archive: self.archive.clone(),
            streams: Streams::default(),
            stop: self.stop.clone(),
        }
    }
}

/// What it was started with, for people who look.
fn about(config: &Config) -> About {
    let link = |url: &Url| Link { url: url.to_string(), through: peer(url) };
    About {
        who: who(config),
        host: host_name::host_name(),
        started_at: OffsetDateTime::now_utc(),
        started: Instant::now(),
        dds: link(&config.membership.dds_base_url),
        dms: link(&config.dms_base_url),
        work_dir: config.paths.work.clone(),
        cache_dir: config.paths.cache.clone(),
    }
}
